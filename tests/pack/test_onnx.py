"""The ONNX target: onnxruntime gives the core's scores to the bit, from bits, words or rows."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projgraph.errors import ConfigError, InputError, OutputError
from projgraph.native import NativeModel
from projgraph.pack.export import export_model
from projgraph.pack.format import Quantiser
from projgraph.pack.onnx_graph import onnx_bytes, onnx_inputs
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import read_model
from projgraph.pack.vector import VectorSpec
from projgraph.pack.write import model_bytes
from projgraph.records import Texts, Vectors

from .test_export import SENTENCES, a_model, a_model_of_words, many_lines

MakeModel = Callable[..., QuantisedModel]

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'projgraph[onnx]'")

TEXTS = ["", *SENTENCES, *(line.decode("utf-8", "replace") for line in many_lines())]


def answer(data: bytes, inputs: dict[str, Any]) -> tuple[Any, ...]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["scores", "labels", "probabilities"]
    assert {each.name for each in session.get_inputs()} == set(inputs)
    return tuple(session.run(None, inputs))


def assert_equal(found: tuple[Any, ...], model: QuantisedModel, rows: Any) -> None:
    native = NativeModel(model_bytes(model, {}))
    scores, labels, probabilities = found
    expected = native.scores(rows)
    assert scores.dtype == np.int32
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(labels, native.labels(rows))
    odds = np.exp((expected - expected.max(axis=1, keepdims=True)) * np.float64(native.scale))
    np.testing.assert_allclose(probabilities, odds / odds.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("seed", "weight_bits", "units"),
    [(12, 8, 0), (11, 4, 0), (52, 8, 12), (23, 4, 12)],
    ids=["linear-int8", "linear-int4", "hidden-int8", "hidden-int4"],
)
def test_bits_give_the_scores_of_the_core(make_model, seed, weight_bits, units):
    model = a_model(make_model, seed, weight_bits, units)
    texts = Texts.from_strings(TEXTS)
    inputs = onnx_inputs(model, texts)
    assert (inputs["bits"].dtype, inputs["bits"].shape) == (np.int8, (len(TEXTS), 256))
    assert_equal(answer(onnx_bytes(model, {}), inputs), model, texts)


@pytest.mark.parametrize("seed", range(6))
def test_integers_at_the_ends_of_their_ranges_are_exact(make_model, seed):
    model = make_model(seed, bits=512, classes=9, units=17 * (seed % 2), words=30, filters=8 * (seed % 3), width=3)
    rng = np.random.default_rng(seed)
    words = ["word", "unknown", *map(str, range(40))]
    texts = Texts.from_strings([" ".join(rng.choice(words, size)) for size in (0, 1, 2, 3, 5, 40, 300)])
    assert_equal(answer(onnx_bytes(model, {}), onnx_inputs(model, texts)), model, texts)


@pytest.mark.parametrize("units", [0, 12])
def test_words_and_windows_give_the_scores_of_the_core(make_model, units):
    model = a_model_of_words(make_model, units)
    rng = np.random.default_rng(0)
    known = [" ".join(rng.choice(["word", "7", "12", "9", "unknown", "3"], rng.integers(1, 9))) for _ in range(60)]
    texts = Texts.from_strings([*known, *TEXTS[:20]])
    inputs = onnx_inputs(model, texts)
    assert len(np.unique(inputs["word_counts"])) > 5
    found = answer(data := onnx_bytes(model, {}), inputs)
    assert_equal(found, model, texts)
    alone = [answer(data, onnx_inputs(model, Texts.from_strings([text])))[0][0] for text in known[:5]]
    np.testing.assert_array_equal(alone, found[0][:5])  # what a text is padded with does not count
    nothing = onnx_inputs(model, Texts.from_strings(["", " "]))
    assert nothing["words"].shape == (2, 1, 64)
    assert_equal(answer(data, nothing), model, Texts.from_strings(["", " "]))


@pytest.mark.parametrize(
    ("scale", "quantiser", "has_thresholds"),
    [(1.0, Quantiser.SIGN, True), (8.0, Quantiser.TERNARY, False), (float(np.float32(0.1)), Quantiser.TERNARY, True)],
)
def test_rows_give_the_scores_of_the_core(make_model, scale, quantiser, has_thresholds):
    thresholds = np.arange(-128, 128, dtype=np.int32) if has_thresholds else None
    spec = VectorSpec(16, 16, 23, 5, scale, thresholds, 7, quantiser)
    model = a_model(make_model, 11, 8, 0)
    output = dataclasses.replace(model.output, multipliers=np.ones_like(model.output.multipliers))
    model = dataclasses.replace(model, projection=spec.to_bytes(), output=output)
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 300, (90, 23)).astype(np.float32)
    rows[30:60] = rng.integers(-900, 900, (30, 23)) / (2 * scale)  # halves, which round to even
    rows[60:] *= rng.random((30, 23)) < 0.2
    rows[0], rows[1], rows[-1] = 3e38, -3e38, 0
    assert_equal(answer(onnx_bytes(model, {}), {"rows": rows}), model, Vectors.from_matrix(rows))


def test_a_score_below_the_threshold_gives_minus_one(make_model):
    model = a_model(make_model, 12, 8, 0)
    texts = Texts.from_strings(SENTENCES)
    largest = NativeModel(model_bytes(model, {})).scores(texts).max(axis=1)
    model = dataclasses.replace(model, threshold=int(np.median(largest)))
    found = answer(onnx_bytes(model, {}), onnx_inputs(model, texts))
    assert_equal(found, model, texts)
    assert 0 < (found[1] == -1).sum() < len(SENTENCES)


def test_the_file_says_what_it_is_and_has_the_same_bytes_each_time(tmp_path, make_model):
    import onnx

    model = a_model_of_words(make_model, 0)
    (tmp_path / "intents.pgb").write_bytes(model_bytes(model, {"run": "ä"}))
    (written,) = export_model(tmp_path / "intents.pgb", "onnx", tmp_path / "out")
    assert written == tmp_path / "out" / "intents.onnx"
    assert written.read_bytes() == onnx_bytes(*read_model(tmp_path / "intents.pgb"))
    assert export_model(tmp_path / "intents.pgb", "onnx", tmp_path / "out") == (written,)
    proto = onnx.load(str(written))
    assert {each.domain for each in proto.opset_import} == {""}  # standard operators alone
    assert proto.producer_name == "projgraph"
    facts = {each.key: json.loads(each.value) for each in proto.metadata_props}
    assert facts == {"classes": list(model.classes), "provenance": {"run": "ä"}}
    weights = sum(len(each.raw_data) for each in proto.graph.initializer)
    assert weights < 1.1 * (tmp_path / "intents.pgb").stat().st_size
    written.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"already has intents\.onnx, not written by projgraph"):
        export_model(tmp_path / "intents.pgb", "onnx", tmp_path / "out")


def test_what_is_not_supported_is_refused(tmp_path, make_model, monkeypatch):
    model = a_model(make_model, 11, 8, 0)
    wide = dataclasses.replace(model, projection=VectorSpec(16, 16, 65_536, 1).to_bytes())
    with pytest.raises(InputError, match=r"vectors of 65536 columns; expected at most 65535 .*the target c or wasm"):
        onnx_bytes(wide, {})
    with pytest.raises(InputError, match="the model takes vectors of 65536 columns"):
        onnx_inputs(wide, Texts.from_strings(["a"]))
    (Path(tmp_path) / "model.pgb").write_bytes(model_bytes(model, {}))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"needs the package onnx, .*: pip install 'projgraph\[onnx\]'"):
        export_model(tmp_path / "model.pgb", "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()
