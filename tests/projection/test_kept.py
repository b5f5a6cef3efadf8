"""A kept fit is the fit itself, to the last bit, or none: not one of another task, nor a damaged file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import OutputError
from projgraph.graph.csr import from_csr
from projgraph.projection import kept
from projgraph.projection.fit import Student, StudentTask, fit_student, sharpen
from projgraph.projection.head import HeadLayers
from projgraph.projection.kept import FIT_SUFFIX, fit_key, fit_or_read
from projgraph.projection.straight_through import Tuning
from projgraph.projection.tune import tune_student
from projgraph.projection.words import WordRows
from projgraph.records import UNLABELLED, Bits, Graph

from .test_fit import certain, config, pack

pytestmark = pytest.mark.usefixtures("one_thread")

N_ROWS, N_BITS, N_CLASSES = 60, 32, 3


def sample(seed: int = 0) -> tuple[Bits, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = generator.choice(np.array([-1, 0, 1], dtype=np.int8), size=(N_ROWS, N_BITS))
    return pack(values), np.arange(N_ROWS) % N_CLASSES


def words(seed: int = 0) -> WordRows:
    """Two words a row of five that have codes."""
    generator = np.random.default_rng(seed)
    codes = generator.choice(np.array([-1, 1], dtype=np.int8), size=(5, 8))
    rows = generator.integers(0, 5, 2 * N_ROWS)
    sums = codes[rows].reshape(N_ROWS, 2, 8).sum(axis=1).astype(np.float32)
    return WordRows(codes, rows, 2 * np.arange(N_ROWS + 1), sums)


def ring(weight: float = 1.0) -> Graph:
    dense = np.zeros((N_ROWS, N_ROWS), dtype=np.float32)
    dense[np.arange(N_ROWS), (np.arange(N_ROWS) + 1) % N_ROWS] = weight
    return from_csr(sparse.csr_array(dense + dense.T))


BITS, LABELS = sample()
SHORT = config(epochs=3, dropout=0.3)
LINEAR = StudentTask(BITS, certain(LABELS, N_CLASSES), SHORT)
HIDDEN = replace(LINEAR, units=4)
WORDS = replace(HIDDEN, words=words(), filters=3, width=2)
GRAPHS = replace(HIDDEN, config=config({"edges": 0.5, "hamming": 0.5}, epochs=3), graph=ring(), hamming=ring(2.0))
UNHELD = replace(HIDDEN, config=config(epochs=3, held_out=0.0))
HELD_OUT_WORDS = replace(WORDS.words, unseen=-WORDS.words.codes, held_out=np.arange(0, N_ROWS, 2))
TASKS = {
    "held-out words": replace(WORDS, words=HELD_OUT_WORDS),
    "linear": LINEAR,
    "hidden": HIDDEN,
    "words": WORDS,
    "graphs": GRAPHS,
    "none held out": UNHELD,
}
TUNINGS = [Tuning(1, 0.0, 2, 1, 0.01), Tuning(2, 0.0, 2, 1, 0.01), Tuning(4, 0.5, 2, 1, 0.01)]


def arrays(student: Student) -> dict[str, bytes]:
    """Every number of a student."""
    found = {"held_out": student.held_out.tobytes(), "logits": student.held_out_logits.tobytes()}
    for fit, layers in (("first", student.first_fit), ("second", student.layers)):
        for field in fields(HeadLayers) if layers is not None else ():
            layer = getattr(layers, field.name)
            if layer is not None:
                found |= {f"{fit} {field.name}": layer.weights.tobytes() + layer.bias.tobytes()}
    return found | {"history": json.dumps(student.history).encode()}


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[StudentTask]:
    """The tasks that were fitted and not read."""
    tasks: list[StudentTask] = []

    def fit(task: StudentTask, listener=None) -> Student:
        tasks.append(task)
        return fit_student(task, listener)

    monkeypatch.setattr(kept, "fit_student", fit)
    return tasks


@pytest.mark.parametrize("name", TASKS)
def test_a_fit_that_is_read_is_the_fit_and_is_tuned_alike(name: str, tmp_path: Path, fitted: list[StudentTask]) -> None:
    task = TASKS[name]
    heard: list[list[dict[str, float]]] = [[], []]
    fresh, read = (fit_or_read(tmp_path, task, each.append) for each in heard)
    assert len(fitted) == 1
    alone = fit_student(task)
    assert arrays(fresh) == arrays(read) == arrays(alone)
    assert [list(row.items()) for row in heard[0]] == [list(row.items()) for row in heard[1]], "names in order, too"
    for tuning in TUNINGS:
        tuned = arrays(tune_student(read, task, tuning))
        assert tuned == arrays(tune_student(alone, task, tuning))
        assert tuned["second hidden" if task.units else "second output"] not in arrays(read).values()
    assert arrays(read) == arrays(alone), "a tuning leaves the fit as it was"


def test_the_same_fit_is_the_same_bytes(tmp_path: Path) -> None:
    data = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        fit_or_read(folder, WORDS)
        (path,) = folder.iterdir()
        assert path.name == fit_key(WORDS) + FIT_SUFFIX
        data.append(path.read_bytes())
    assert data[0] == data[1]


OTHERS: dict[str, list[object]] = {
    "bits": [sample(1)[0], replace(BITS, positive=BITS.negative, negative=BITS.positive), BITS.concatenate(BITS)],
    "targets": [
        certain(LABELS[::-1], N_CLASSES),
        replace(WORDS.targets, weights=WORDS.targets.weights / 2),
        replace(WORDS.targets, gold=np.zeros(N_ROWS, dtype=np.int64)),
        replace(WORDS.targets, beliefs=WORDS.targets.beliefs[::-1]),
        sharpen(np.eye(4, dtype=np.float32)[LABELS], np.full(N_ROWS, UNLABELLED), 1.0),
    ],
    "config": [
        config(**{"epochs": 3, "dropout": 0.3, name: value})
        for name, value in (
            ("epochs", 4), ("min_steps", 40), ("batch", 16), ("rate", 0.03), ("weight_decay", 0.02),
            ("dropout", 0.4), ("held_out", 0.3), ("held_out_rows", 3),
        )
    ] + [config({"distil": 0.5}, epochs=3, dropout=0.3), config({"edges": 0.5}, epochs=3, dropout=0.3)],
    "units": [0, 5],
    "members": [2],
    "seed": [1],
    "graph": [ring()],
    "hamming": [ring()],
    "words": [None, words(1), replace(WORDS.words, sums=WORDS.words.sums * 2), HELD_OUT_WORDS],
    "filters": [0, 4],
    "width": [3],
    "groups": [np.arange(N_ROWS) // 2],
}  # fmt: skip


def test_every_part_of_a_task_makes_another_fit() -> None:
    assert set(OTHERS) == {field.name for field in fields(StudentTask)}
    changed = [replace(WORDS, **{name: value}) for name, values in OTHERS.items() for value in values]
    keys = [fit_key(task) for task in [WORDS, replace(WORDS, graph=ring(2.0)), *changed]]
    assert len(set(keys)) == len(keys)
    copy = replace(WORDS, bits=Bits(BITS.positive.copy(), BITS.negative.copy(order="F"), N_BITS), config=SHORT)
    assert fit_key(copy) == fit_key(WORDS), "the same content"


@pytest.mark.parametrize("name", ["__version__", "np.__version__", "torch.__version__"])
def test_another_version_makes_another_fit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = fit_key(LINEAR)
    monkeypatch.setattr(f"projgraph.projection.kept.{name}", "9.9")
    assert fit_key(LINEAR) != before


def changed(data: bytes, **arrays: np.ndarray | None) -> bytes:
    """A whole file with other arrays, or without them."""
    with np.load(io.BytesIO(data)) as file:
        content = {**{name: file[name] for name in file.files}, **arrays}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: each for name, each in content.items() if each is not None})
    return buffer.getvalue()


def about(content: object) -> np.ndarray:
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


HISTORY = [{"epoch": 1.0}, {"epoch": 2.0}, {"epoch": 3.0}]
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "no archive": lambda data: b"a fit",
    "more behind": lambda data: data + data[:50],
    "a turned bit": lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    "no array": lambda data: changed(data, second_output_bias=None),
    "no first fit": lambda data: changed(data, first_hidden_weights=None),
    "another shape": lambda data: changed(data, second_hidden_weights=np.zeros((N_BITS, 5), dtype=np.float32)),
    "another kind": lambda data: changed(data, second_output_bias=np.zeros(N_CLASSES)),
    "no number": lambda data: changed(data, second_output_bias=np.full(N_CLASSES, np.nan, dtype=np.float32)),
    "other rows": lambda data: changed(data, held_out=np.arange(12)),
    "logits of fewer": lambda data: changed(data, held_out_logits=np.zeros((11, 3), dtype=np.float32)),
    "no JSON": lambda data: changed(data, about=np.frombuffer(b"{", dtype=np.uint8)),
    "other JSON": lambda data: changed(data, about=about([1])),
    "deep JSON": lambda data: changed(data, about=np.frombuffer(b"[" * 100_000, dtype=np.uint8)),
    "no key": lambda data: changed(data, about=about({"history": HISTORY})),
    "no history": lambda data: changed(data, about=about({"key": fit_key(HIDDEN), "history": []})),
    "odd history": lambda data: changed(data, about=about({"key": fit_key(HIDDEN), "history": [1, 2, 3]})),
    "a number too large": lambda data: changed(
        data, about=about({"key": fit_key(HIDDEN), "history": [{"epoch": 10**400}] * 3})
    ),
    "words in the history": lambda data: changed(data, about=about({"key": fit_key(HIDDEN), "history": ["a"] * 3})),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes]]:
    """A file and the student in it."""
    folder = tmp_path_factory.mktemp("whole")
    student = fit_or_read(folder, HIDDEN)
    return (folder / (fit_key(HIDDEN) + FIT_SUFFIX)).read_bytes(), arrays(student)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_fitted_again(
    damage: str, whole: tuple[bytes, dict[str, bytes]], tmp_path: Path, fitted: list[StudentTask]
) -> None:
    data, expected = whole
    path = tmp_path / (fit_key(HIDDEN) + FIT_SUFFIX)
    path.write_bytes(DAMAGES[damage](data))
    assert arrays(fit_or_read(tmp_path, HIDDEN)) == expected
    assert len(fitted) == 1 or damage == "more behind", "an archive is found from its end"
    assert path.read_bytes() == data or damage == "more behind"


def test_a_fit_of_another_task_under_this_name_is_fitted_again(tmp_path: Path, fitted: list[StudentTask]) -> None:
    """Of the same shape and held-out rows, so that the key in the file alone tells."""
    other = replace(HIDDEN, config=config(epochs=3, dropout=0.3, rate=0.03))
    assert np.array_equal(fit_or_read(tmp_path, other).held_out, fit_student(HIDDEN).held_out)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / (fit_key(HIDDEN) + FIT_SUFFIX))
    assert arrays(fit_or_read(tmp_path, HIDDEN)) == arrays(fit_student(HIDDEN))
    assert len(fitted) == 2


def test_a_folder_in_the_place_of_a_fit_is_told(tmp_path: Path) -> None:
    (tmp_path / (fit_key(LINEAR) + FIT_SUFFIX)).mkdir()
    with pytest.raises(OutputError, match="it is a folder; expected the path of a file"):
        fit_or_read(tmp_path, LINEAR)


def test_whatever_byte_is_damaged_it_is_the_fit_or_none(whole: tuple[bytes, dict[str, bytes]], tmp_path: Path) -> None:
    data, expected = whole
    path, key = tmp_path / "damaged", fit_key(HIDDEN)
    generator = np.random.default_rng(0)
    refused = 0
    for place in generator.choice(len(data), 600, replace=False):
        path.write_bytes(data[:place] + bytes([data[place] ^ int(generator.integers(1, 256))]) + data[place + 1 :])
        found = kept._read(path, key, HIDDEN)
        refused += found is None
        assert found is None or arrays(found) == expected
    assert refused > 300
