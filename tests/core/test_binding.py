"""Nothing that Python hands to the binding makes it read or write outside: wrong buffers are errors, with numbers."""

from __future__ import annotations

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from projgraph import _core, native
from projgraph.errors import ConfigError, ModelFileError
from projgraph.native import NativeModel, features, project
from projgraph.pack.projection import ProjectionSpec
from projgraph.records import Texts

from .reference_head import random_file, texts_of

SPEC = ProjectionSpec.for_text(bits=100, additions=4)
SECTION = SPEC.to_bytes()
PLANE = 13
FILE = random_file(SPEC, classes=3)
TEXTS = texts_of([b"where is my card", b"", b"card"])


def offsets(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def planes(rows: int, width: int = PLANE) -> np.ndarray:
    return np.zeros((rows, width), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (offsets(0, 4, 3), "the offsets of text 1 descend or leave the 4 bytes of data"),
        (offsets(0, 2, 5), "the offsets of text 1 descend or leave the 4 bytes of data"),
        (offsets(2**64 - 1, 2**64 - 1, 4), "the offsets of text 0 descend or leave the 4 bytes of data"),
        (offsets(3, 2, 4), "the offsets of text 0 descend or leave the 4 bytes of data"),
    ],
)
def test_offsets_outside_the_data_are_refused(given: np.ndarray, message: str) -> None:
    texts = Texts(b"abcd", given)
    model = NativeModel(FILE)
    for call in (lambda: project(SECTION, texts), lambda: model.scores(texts), lambda: model.labels(texts)):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=message):
        model.time_calls(texts, 1)


def test_signed_and_strided_offsets_are_read_by_value() -> None:
    expected = project(SECTION, TEXTS).values()
    signed = Texts(TEXTS.data, TEXTS.offsets.astype(np.int64))
    strided = Texts(TEXTS.data, np.repeat(TEXTS.offsets, 2)[::2])
    for texts in (signed, strided):
        np.testing.assert_array_equal(project(SECTION, texts).values(), expected)


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 3), (3, 3), (2**62, 2**62)])
def test_rows_outside_the_texts_are_refused(start: int, end: int) -> None:
    with pytest.raises(IndexError, match=f"rows {start} to {end} of 2 texts"):
        _core.project_rows(SECTION, b"abcd", offsets(0, 2, 4), start, end, planes(2), planes(2))


@pytest.mark.parametrize("length", [0, 7, 9])
def test_offsets_of_a_wrong_size_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"offsets has {length} bytes, expected 8 for every text and 8 more"):
        _core.project_rows(SECTION, b"abcd", bytes(length), 0, 0, planes(0), planes(0))


def test_outputs_of_a_wrong_size_are_refused() -> None:
    given = offsets(0, 2, 4)
    with pytest.raises(ValueError, match="negative has 13 bytes, expected 2 rows of 13"):
        _core.project_rows(SECTION, b"abcd", given, 0, 2, planes(2), planes(1))
    with pytest.raises(ValueError, match="positive has 28 bytes, expected 2 rows of 13"):
        _core.project_rows(SECTION, b"abcd", given, 0, 2, planes(2, 14), planes(2))
    model = _core.Model(FILE)
    with pytest.raises(ValueError, match="out has 20 bytes, expected 2 rows of 12"):
        model.scores(b"abcd", given, 0, 2, bytearray(20))
    with pytest.raises(ValueError, match="out has 24 bytes, expected 2 rows of 8"):
        model.labels(b"abcd", given, 0, 2, bytearray(24))
    with pytest.raises(ValueError, match="out has 8 bytes, expected 6 rows of 8"):
        model.time_calls(b"abcd", given, 3, bytearray(8))


def test_outputs_must_be_writable_and_in_one_piece() -> None:
    given = offsets(0, 2, 4)
    with pytest.raises((TypeError, BufferError)):
        _core.project_rows(SECTION, b"abcd", given, 0, 2, bytes(26), planes(2))
    with pytest.raises((TypeError, BufferError, ValueError)):
        _core.project_rows(SECTION, b"abcd", given, 0, 2, planes(2, 26)[:, ::2], planes(2))


@pytest.mark.parametrize("repeats", [0, -1, 2**62])
def test_repeats_out_of_range_are_refused(repeats: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        _core.Model(FILE).time_calls(b"abcd", offsets(0, 2, 4), repeats, bytearray(8))


def test_things_that_are_no_buffers_are_refused() -> None:
    for wrong in (None, 1, "text", [b"a"]):
        with pytest.raises(TypeError):
            NativeModel(wrong)
        with pytest.raises(TypeError):
            project(wrong, TEXTS)
    with pytest.raises(TypeError):
        _core.Model()
    with pytest.raises(TypeError, match="no keywords"):
        _core.Model(FILE, strict=True)
    for wrong in (None, b"card", 1):
        with pytest.raises(TypeError, match="expected a str"):
            NativeModel(FILE).predict_one(wrong)


@pytest.mark.parametrize(("index", "error"), [(-1, IndexError), (3, IndexError), (2**80, OverflowError)])
def test_labels_that_are_not_there_are_refused(index: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        _core.Model(FILE).label(index)


def test_a_status_arrives_as_the_packages_error() -> None:
    message = r"the model cannot be used: the bytes are not a .pgb model \(PG_BAD_MAGIC\); check that it is"
    with pytest.raises(ModelFileError, match=message) as caught:
        NativeModel(b"x" * 64)
    assert isinstance(caught.value.__cause__, _core.StatusError)
    assert caught.value.__cause__.args == ("PG_BAD_MAGIC", "the bytes are not a .pgb model")
    message = r"the projection cannot be used: the projection section's .* are out of range \(PG_BAD_PROJECTION\)"
    for call in (lambda: project(b"", TEXTS), lambda: features(b"", "card")):
        with pytest.raises(ModelFileError, match=message):
            call()


def test_a_buffer_that_can_change_is_copied() -> None:
    """The core checks the bytes once: whoever writes them afterwards must not reach it."""
    buffer = bytearray(FILE)
    model = NativeModel(buffer)
    expected = model.scores(TEXTS)
    buffer[:] = b"\xff" * len(buffer)
    buffer.clear()  # and it is not held either
    np.testing.assert_array_equal(model.scores(TEXTS), expected)
    assert model.classes == ("class 0", "class 1", "class 2")


def test_a_read_only_buffer_is_kept_alive_and_let_go() -> None:
    array = np.frombuffer(FILE, dtype=np.uint8).copy()
    array.flags.writeable = False
    model = NativeModel(array)
    expected = NativeModel(FILE).scores(TEXTS)
    del array
    gc.collect()
    np.testing.assert_array_equal(model.scores(TEXTS), expected)


def test_a_closed_model_says_so() -> None:
    model = NativeModel(FILE)
    model.close()
    model.close()
    for call in (
        lambda: model.predict_one("card"),
        lambda: model.scores(TEXTS),
        lambda: model.labels(TEXTS),
        lambda: model.time_calls(TEXTS, 1),
        lambda: model.provenance,
    ):
        with pytest.raises(ValueError, match="the model is closed"):
            call()
    assert model.classes == ("class 0", "class 1", "class 2")


def test_a_model_in_use_is_not_closed() -> None:
    """Either the call had ended, or close is refused: the bytes never go away under a running call."""
    texts = texts_of([b"where is my card " * 50] * 3000)
    model = NativeModel(FILE)
    expected = model.labels(texts, threads=1)
    outcomes = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(model.labels, texts, 1)
        while "closed" not in outcomes:
            try:
                model.close()
                outcomes.append("closed")
            except BufferError as error:
                outcomes.append(str(error))
    refusals = set(outcomes[:-1])
    assert refusals <= {"the model is in use by another thread: close it after the call returns"}
    if running.exception() is None:
        np.testing.assert_array_equal(running.result(), expected)
    else:  # closed before the call began
        assert not refusals
        assert str(running.exception()) == "the model is closed"


def test_one_model_serves_many_threads() -> None:
    model = NativeModel(FILE)
    strings = [f"card {index} {'x' * (index % 40)}" for index in range(400)]
    expected = [model.predict_one(text) for text in strings]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(model.predict_one, strings)) == expected


@pytest.mark.parametrize("call", ["project", "scores", "labels"])
def test_a_negative_number_of_threads_is_refused(call: str) -> None:
    model = NativeModel(FILE)
    calls = {
        "project": lambda: project(SECTION, TEXTS, -1),
        "scores": lambda: model.scores(TEXTS, -1),
        "labels": lambda: model.labels(TEXTS, -1),
    }
    with pytest.raises(ConfigError, match="threads is -1, expected 0 for all processors, or a number of threads"):
        calls[call]()


def test_an_error_in_one_of_many_threads_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "ROWS_PER_TASK", 2)
    given = np.arange(0, 101, dtype=np.uint64)
    given[77] = 1000
    with pytest.raises(ValueError, match=r"the offsets of text 7[67] descend or leave the 100 bytes of data"):
        project(SECTION, Texts(b"a" * 100, given), threads=3)


def test_no_texts_give_empty_arrays() -> None:
    nothing = Texts.from_strings([])
    bits = project(SECTION, nothing)
    assert bits.positive.shape == bits.negative.shape == (0, PLANE)
    model = NativeModel(FILE)
    assert model.scores(nothing).shape == (0, 3)
    assert model.labels(nothing).shape == (0,)
    assert model.time_calls(nothing, 4).shape == (0, 4)


def test_timed_calls_have_a_row_a_text() -> None:
    found = NativeModel(FILE).time_calls(TEXTS, 50)
    assert found.shape == (3, 50)
    assert (found > 0).all()
    assert np.median(found) < 1e6  # a millisecond: some hundred times what it takes
    with pytest.raises(ConfigError, match="repeats is 0, expected at least 1"):
        NativeModel(FILE).time_calls(TEXTS, 0)


def test_the_binding_keeps_no_references() -> None:
    def work() -> None:
        model = NativeModel(bytearray(FILE))
        model.scores(TEXTS)
        model.predict_one("card \ud800")
        model.provenance  # noqa: B018
        features(SECTION, "where is my card")
        for wrong in (b"", FILE[:-1]):
            with pytest.raises(ModelFileError):
                NativeModel(wrong)
        with pytest.raises(ValueError, match="offsets"):
            project(SECTION, Texts(b"a", offsets(0, 2)))

    for _ in range(3):
        work()
    gc.collect()
    before = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())
    references = sys.getrefcount(FILE), sys.getrefcount(TEXTS.data), sys.getrefcount(TEXTS.offsets)
    for _ in range(20):
        work()
    gc.collect()
    assert (sys.getrefcount(FILE), sys.getrefcount(TEXTS.data), sys.getrefcount(TEXTS.offsets)) == references
    after = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())
    assert after - before < 100


def test_importing_the_door_and_predicting_one_text_needs_no_numpy(tmp_path) -> None:
    path = tmp_path / "model.pgb"
    path.write_bytes(FILE)
    script = (
        "import sys; from projgraph.runtime import load; "
        f"print(load({str(path)!r}).predict(['card', 'where is my card'])); "
        "print(sorted({'numpy', 'torch', 'sklearn', 'faiss', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    model = NativeModel(FILE)
    expected = [model.classes[model.predict_one(text)] for text in ("card", "where is my card")]
    assert done.stdout.splitlines() == [str(expected), "[]"]


@pytest.mark.parametrize(("width", "most"), [(8, 24_000), (4, 24_000)])
def test_the_scratch_of_the_default_layout_stays_small(width: int, most: int) -> None:
    """2,048 bits and 77 classes: grows only if somebody means it to."""
    data = random_file(ProjectionSpec.for_text(), classes=77, width=width)
    assert NativeModel(data).scratch_bytes < most


def test_names_are_given_once_for_each_class_and_for_none() -> None:
    model = _core.Model(FILE)
    for call in (lambda: model.answer("card"), lambda: model.answers(("card",), 0, 1)):
        with pytest.raises(ValueError, match="the model has no names: set_names comes first"):
            call()
    with pytest.raises(TypeError, match="expected a tuple of names"):
        model.set_names(["a", "b", "c", ""])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 names, expected 4"):
        model.set_names(("a", "b", "c"))
    model.set_names(("a", "b", "c", ""))
    model.set_names(("x", "y", "z", ""))
    assert model.answer("card") == ["xyz"[model.predict("card")]]


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 3), (3, 3), (2**62, 2**62)])
def test_answers_to_rows_outside_the_texts_are_refused(start: int, end: int) -> None:
    model = NativeModel(FILE)
    with pytest.raises(IndexError, match=f"rows {start} to {end} of 2 texts"):
        model._model.answers(("a", "b"), start, end)


def test_answers_want_strings_in_a_tuple_and_an_open_model() -> None:
    model = NativeModel(FILE)
    for wrong in (b"card", None, 7):
        with pytest.raises(TypeError, match="expected a str"):
            model.answers(("card", wrong))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="expected a str"):
            model.answer(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be tuple, not list"):
        model.answers(["card"])  # type: ignore[arg-type]
    assert model.answers(()) == []
    lone = "\ud800 card"
    assert model.answers((lone,) * 20) == model.answer(lone) * 20
    model.close()
    for call in (lambda: model.answer("card"), lambda: model.answers(("card",))):
        with pytest.raises(ValueError, match="the model is closed"):
            call()


def test_vectors_of_an_unknown_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="vectors is 128, expected 0, 256 or 512 bits, or None for the most there"):
        NativeModel(FILE, vectors=128)


@pytest.mark.parametrize("call", ["predict", "answer"])
def test_a_model_that_is_closed_while_its_text_is_read_says_so(call: str) -> None:
    """A lone surrogate is encoded anew, which may collect garbage, and a finalizer may close the model."""
    model = _core.Model(FILE)
    model.set_names(("a", "b", "c", ""))

    class Closing:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            model.close()

    ask, before = getattr(model, call), gc.get_threshold()
    gc.collect()
    gc.disable()
    Closing()
    gc.set_threshold(1)

    def collect_and_ask() -> None:
        gc.enable()  # what is allocated next collects: nothing is before the call
        ask("card \ud800")

    try:
        with pytest.raises(ValueError, match="the model is closed"):
            collect_and_ask()
    finally:
        gc.enable()
        gc.set_threshold(*before)


def test_a_name_that_goes_may_ask_the_model() -> None:
    model = _core.Model(FILE)
    answers = []

    class Asking:
        def __del__(self) -> None:
            answers.extend(model.answer("card"))

    model.set_names(tuple(Asking() for _ in range(4)))  # type: ignore[misc]
    model.set_names(("x", "y", "z", ""))
    assert answers == ["xyz"[model.predict("card")]] * 4
