"""Weights of every format in everything that runs a model: C programs, node, onnxruntime, the light runtime."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from projgraph.native import NativeModel, project
from projgraph.pack.export import export_model
from projgraph.pack.format import WEIGHT_NAMES
from projgraph.pack.onnx_graph import onnx_bytes, onnx_inputs
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.read import parse_model
from projgraph.pack.write import model_bytes
from projgraph.records import Texts
from projgraph.runtime import load

from ..core.reference_head import WordShape, random_file, word_file
from . import test_onnx, test_wasm
from .test_export import SENTENCES, STRICT, compiler, labels, many_lines, run

SPEC = ProjectionSpec.for_text(bits=256, seen_slots_log2=6)
KINDS = {name: kind for kind, name in WEIGHT_NAMES.items()}
PAIRS = [
    ("int4", "binary"),
    ("int4", "ternary"),
    ("int8", "shared"),
    ("int8", "sparse int4"),
    ("ternary", "sparse shared"),
    ("sparse int8", "sparse ternary"),
]
"""Weights of the output and the hidden layer."""


def hidden_file(seed: int, output: str, hidden: str) -> bytes:
    return unbiased(random_file(SPEC, seed, 7, KINDS[output], 12, KINDS[hidden], shift=5))


def unbiased(data: bytes) -> bytes:
    """The model with biases that do not decide, so that labels depend on the text."""
    model, _ = parse_model(data)
    layers = {"output": model.output, "hidden": model.hidden}
    flat = {
        name: layer and dataclasses.replace(layer, bias=np.zeros_like(layer.bias), multipliers=layer.multipliers | 64)
        for name, layer in layers.items()
    }
    return model_bytes(dataclasses.replace(model, **flat), {})


@pytest.fixture(scope="module")
def core_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported core, compiled once; it is the same for all models."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "model.pgb").write_bytes(hidden_file(0, "int8", "int8"))
    export_model(folder / "model.pgb", "c", folder)
    command = [compiler(), *STRICT, "-c", "projgraph.c", "-o"]
    for name, flags in (("core.o", []), ("plain.o", ["-DPG_PLAIN_WEIGHTS"])):
        compiled = subprocess.run([*command, name, *flags], cwd=folder, capture_output=True, text=True)
        assert (compiled.returncode, compiled.stderr) == (0, "")
    return folder / "core.o"


def program(folder: Path, data: bytes, core: Path) -> Path:
    (folder / "model.pgb").write_bytes(data)
    export_model(folder / "model.pgb", "c", folder / "c")
    command = [compiler(), *STRICT, "main.c", "model.c", str(core), "-o", "predict"]
    compiled = subprocess.run(command, cwd=folder / "c", capture_output=True, text=True)
    assert (compiled.returncode, compiled.stderr) == (0, "")
    return folder / "c" / "predict"


@pytest.mark.parametrize(("output", "hidden"), PAIRS)
def test_the_c_program_gives_the_labels_of_the_binding(
    tmp_path: Path, core_object: Path, output: str, hidden: str
) -> None:
    data = hidden_file(3, output, hidden)
    expected = labels(data, lines := many_lines())
    assert len(set(expected)) >= 3
    assert run(program(tmp_path, data, core_object), b"\n".join(lines)) == expected


def test_a_core_of_plain_weights_says_that_it_cannot_run_others(tmp_path: Path, core_object: Path) -> None:
    plain = program(tmp_path, hidden_file(3, "int4", "binary"), core_object.with_name("plain.o"))
    ran = subprocess.run([plain], input=b"card\n", capture_output=True)
    assert (ran.returncode != 0, ran.stdout) == (True, b"")
    told = b"the model cannot be used: the core was compiled with PG_PLAIN_WEIGHTS, which leaves out such weights\n"
    assert ran.stderr == told


@pytest.mark.parametrize("names", [("int4", "binary"), ("shared", "sparse ternary"), ("ternary", "sparse shared")])
def test_node_gives_the_scores_of_the_binding(tmp_path: Path, names: tuple[str, str]) -> None:
    data = word_file(SPEC, [b"the snow", b"7 12 9"], WordShape(16, 5), 4, 9, KINDS[names[0]], 12, KINDS[names[1]])
    model, _ = parse_model(data := unbiased(data))
    folder, native = test_wasm.exported(tmp_path, model)
    texts = [*SENTENCES, "", "the snow", "snow 7 12 9 the"]
    found = test_wasm.answers(folder, [{"given": text} for text in texts])
    rows = Texts.from_strings(texts)
    assert len(np.unique(native.scores(rows), axis=0)) > len(texts) - 3
    test_wasm.assert_equal(found, native, rows, project(model.projection, rows))


@pytest.mark.parametrize("name", list(KINDS))
def test_onnx_gives_the_scores_of_the_core(name: str) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'projgraph[onnx]'")
    texts = Texts.from_strings(["", *SENTENCES])
    for data in (random_file(SPEC, 1, 9, KINDS[name]), hidden_file(2, "ternary", name)):
        model, _ = parse_model(data)
        test_onnx.assert_equal(test_onnx.answer(onnx_bytes(model, {}), onnx_inputs(model, texts)), model, texts)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_light_runtime_gives_the_labels_of_the_integers(tmp_path: Path, name: str) -> None:
    data = hidden_file(5, "sparse int4", name)
    (tmp_path / "model.pgb").write_bytes(data)
    model, _ = parse_model(data)
    expected = model.scores(project(model.projection, Texts.from_strings(SENTENCES)).values()).argmax(axis=1)
    with load(tmp_path / "model.pgb") as loaded:
        assert loaded.predict(SENTENCES) == [model.classes[index] for index in expected]
    np.testing.assert_array_equal(NativeModel(data).labels(Texts.from_strings(SENTENCES)), expected)
