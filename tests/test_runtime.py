"""The light runtime: what it answers, how it refuses, what it does not import."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

import projgraph
from projgraph.errors import InputError, ModelFileError
from projgraph.native import ROWS_PER_TASK, NativeModel, project
from projgraph.pack.format import Quantiser
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.write import model_bytes, write_model
from projgraph.records import Texts
from projgraph.runtime import Model

CLASSES = ("aus", "ein", "日")
TEXTS = ["", "turn it on", "turn it off", "日本語", "\ud800 lone", "🙂"]


def quantised(scale: float = 0.01, seed: int = 0) -> QuantisedModel:
    rng = np.random.default_rng(seed)
    spec = ProjectionSpec.for_text(
        bits=128,
        word_share=0.5,
        additions=4,
        seed=seed,
        quantiser=Quantiser.TERNARY,
        word_ngrams=(1, 2),
        character_ngrams=(3, 4),
        functions=8,
    )
    layer = QuantisedLayer(
        weights=rng.integers(-128, 127, (128, 3), endpoint=True).astype(np.int8),
        multipliers=np.array([1, 2, 1], dtype=np.uint8),
        bias=np.array([3, -5, 0], dtype=np.int32),
        weight_bits=8,
    )
    return QuantisedModel(spec.to_bytes(), layer, None, 0, float(np.float32(scale)), CLASSES)


def opened(model: QuantisedModel) -> Model:
    return Model(NativeModel(model_bytes(model, {"rows": 7})))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("runtime") / "model.pgb"
    write_model(place, quantised(), {"rows": 7})
    return place


def test_a_loaded_file_answers_as_its_integers_say(path):
    source = quantised()
    scores = source.scores(project(source.projection, Texts.from_strings(TEXTS)).values())
    with projgraph.load(path) as model:
        assert model.classes == CLASSES
        assert model.provenance == {"rows": 7}
        assert model.predict(TEXTS) == [CLASSES[index] for index in scores.argmax(axis=1)]
        odds = np.exp(scores * np.float64(np.float32(0.01)))
        np.testing.assert_allclose(model.predict_proba(TEXTS), odds / odds.sum(axis=1, keepdims=True), rtol=1e-12)
        assert repr(model) == f"Model({str(path)!r}, 3 classes, 128 bits)"


def test_a_single_string_is_one_text(path):
    model = projgraph.load(path)
    assert model.predict("turn it on") == model.predict(["turn it on"])
    np.testing.assert_array_equal(model.predict_proba("turn it on"), model.predict_proba(["turn it on"]))
    assert model.predict("ab") == model.predict(["ab"])


def test_few_and_many_texts_are_predicted_alike(path):
    model = projgraph.load(path)
    texts = [f"text {number} {number * 7919}" for number in range(4 * ROWS_PER_TASK)]
    one_by_one = [model.predict(text)[0] for text in texts]
    assert set(one_by_one) == set(CLASSES)
    assert model.predict(texts) == one_by_one
    assert model.predict(texts[:ROWS_PER_TASK]) == one_by_one[:ROWS_PER_TASK]
    assert model.predict(tuple(texts[: ROWS_PER_TASK + 1])) == one_by_one[: ROWS_PER_TASK + 1]


def test_no_text_gives_no_answer(path):
    model = projgraph.load(path)
    assert model.predict([]) == []
    assert model.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("scale", [1.2e-38, 1e-17, 1e-3, 1.0, 3e38])
def test_the_largest_probability_is_the_prediction_at_any_scale(scale):
    model = opened(quantised(scale))
    texts = [f"words {number}" for number in range(300)]
    probabilities = model.predict_proba(texts)
    assert [CLASSES[index] for index in probabilities.argmax(axis=1)] == model.predict(texts)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert (probabilities >= 0).all()


def test_a_tie_goes_to_the_first_class():
    source = quantised()
    zero = dataclasses.replace(
        source.output, weights=np.zeros((128, 3), dtype=np.int8), bias=np.array([0, 4, 4], dtype=np.int32)
    )
    model = opened(dataclasses.replace(source, output=zero))
    assert model.predict(["any"] * (ROWS_PER_TASK + 1)) == ["ein"] * (ROWS_PER_TASK + 1)
    assert model.predict("any") == ["ein"]
    assert model.predict_proba("any")[0].argmax() == 1


def test_threads_share_a_model(path):
    model = projgraph.load(path)
    texts = [f"text {number}" for number in range(100)]
    expected, found = model.predict(texts), []
    threads = [Thread(target=lambda: found.append(model.predict(texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize(("text", "kind"), [(None, "NoneType"), (b"a", "bytes"), (3, "int"), (float("nan"), "float")])
def test_what_is_no_text_is_named_by_its_row(path, method, text, kind):
    message = f"text 1 is {kind}, expected str: convert missing values to ''"
    with projgraph.load(path) as model, pytest.raises(InputError, match=message):
        getattr(model, method)(["a", text])


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize(
    "given",
    [None, 3, b"card", bytearray(b"card"), np.array("card"), np.array([["card"]]), pd.DataFrame({"text": ["card"]})],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_column_of_texts_is_named(path, method, given):
    """A table would give the labels of its columns' names."""
    message = f"given {type(given).__name__}, expected a str or one column of them, as a list"
    with projgraph.load(path) as model, pytest.raises(InputError, match=message):
        getattr(model, method)(given)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_a_column_of_texts_is_any_that_has_an_order(path, method):
    class Named(str):
        pass

    texts = ["card", "lamp \ud800", "a\0b", "x" * 100_000]
    with projgraph.load(path) as model:
        expected = list(getattr(model, method)(texts))
        for given in (
            tuple(texts),
            iter(texts),
            pd.Series(texts, index=[7, 7, 8, 9], dtype=object),
            list(map(Named, texts)),
        ):
            np.testing.assert_array_equal(list(getattr(model, method)(given)), expected)
        with pytest.raises(ZeroDivisionError):
            getattr(model, method)(1 / 0 for _ in range(2))


def test_a_closed_model_says_so(path):
    model = projgraph.load(path)
    with model:
        pass
    for use in (model.predict, model.predict_proba):
        with pytest.raises(ValueError, match="closed"):
            use(["a"])


def test_a_file_that_is_no_model_is_refused(path, tmp_path):
    with pytest.raises(ModelFileError, match=r"there is no file .*none\.pgb: train one with `projgraph train`"):
        projgraph.load(tmp_path / "none.pgb")
    with pytest.raises(ModelFileError, match=r"is not an ordinary file: give the path of a \.pgb model"):
        projgraph.load(tmp_path)
    with pytest.raises(ModelFileError, match=r"cannot read 'a.x00b': .*; give the path of a readable \.pgb model"):
        projgraph.load("a\0b")
    data = path.read_bytes()
    for name, content in (
        ("empty", b""),
        ("cut", data[:-1]),
        ("flipped", data[:200] + bytes([data[200] ^ 1]) + data[201:]),
    ):
        wrong = tmp_path / f"{name}.pgb"
        wrong.write_bytes(content)
        with pytest.raises(ModelFileError, match=rf"{name}\.pgb: the model cannot be used: .*; check that it is"):
            projgraph.load(wrong)


def test_replacing_the_file_does_not_change_a_loaded_model(path, tmp_path):
    place = tmp_path / "model.pgb"
    place.write_bytes(path.read_bytes())
    model = projgraph.load(place)
    before = model.predict(TEXTS)
    os.truncate(place, 10)
    assert model.predict(TEXTS) == before


def test_a_prediction_of_few_texts_imports_nothing_heavy(path):
    script = (
        "import sys, projgraph\n"
        "print(projgraph.load(sys.argv[1]).predict(['turn it on'])[0])\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'torch', 'faiss', 'mlflow', 'pydantic', 'typer'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    answer = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, check=True, env=environment
    ).stdout.decode()
    assert answer.splitlines() == [projgraph.load(path).predict("turn it on")[0], "[]"]
