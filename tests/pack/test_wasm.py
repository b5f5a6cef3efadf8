"""The WebAssembly target: node gives the scores of the binding to the bit, and what it cannot run is refused."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projgraph.core import wasm_core
from projgraph.core.wasm_core import CannotBuildError, built_path, compile_core, core_wasm
from projgraph.errors import ConfigError, OutputError
from projgraph.native import NativeModel, project
from projgraph.pack.export import export_model
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec
from projgraph.pack.wasm import module_source, package_name
from projgraph.pack.write import model_bytes
from projgraph.records import Texts
from projgraph.runtime import load

from .test_export import SENTENCES, a_model, a_model_of_words, many_lines

MakeModel = Callable[..., QuantisedModel]

LARGEST_MODULE = 24 * 1024
RUN = Path(__file__).with_name("run_model.mjs")
SURROGATES = ["\ud800", "\udfff\ud800", "half \ud83d of a pair", "a pair \U0001f600 and \udc00\ud800 none"]
TEXTS = [*SENTENCES, *SURROGATES, "", " ", "snow " * 20_000, "日本" * 18_000]


def needed(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} missing on this machine")


def exported(folder: Path, model: QuantisedModel, provenance: dict[str, Any] | None = None) -> tuple[Path, NativeModel]:
    """The folder that an export writes, and the same model in the binding."""
    needed("node", "clang", "wasm-ld")
    data = model_bytes(model, provenance or {})
    (folder / "a model.pgb").write_bytes(data)
    export_model(folder / "a model.pgb", "wasm", folder / "js")
    return folder / "js", NativeModel(data)


def answers(folder: Path, cases: list[dict[str, Any]], model: str | None = None) -> dict[str, Any]:
    given = json.dumps({"cases": cases, "model": model})  # ASCII: a lone surrogate stands as its escape
    ran = subprocess.run(["node", str(RUN), str(folder)], input=given, capture_output=True, text=True, cwd=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    return dict(json.loads(ran.stdout))


def probabilities(scores: np.ndarray, scale: float) -> np.ndarray:
    logits = scores * np.float64(scale)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def assert_equal(found: dict[str, Any], native: NativeModel, rows: Any, bits: Any) -> None:
    scores, labels = native.scores(rows), native.labels(rows)
    assert [each.get("error") for each in found["answers"]] == [None] * len(rows)
    assert [each["scores"] for each in found["answers"]] == scores.tolist()
    named = [native.classes[index] if index >= 0 else None for index in labels.tolist()]
    assert [each["label"] for each in found["answers"]] == named
    assert [each["bits"] for each in found["answers"]] == bits.values().tolist()
    expected = probabilities(scores, native.scale)
    np.testing.assert_allclose([each["probabilities"] for each in found["answers"]], expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(12, 8, 0), (11, 4, 12), "words"], ids=["linear", "hidden", "convolution"])
def test_node_gives_the_scores_of_the_binding(tmp_path, make_model, shape):
    model = a_model_of_words(make_model, 0) if shape == "words" else a_model(make_model, *shape)
    folder, native = exported(tmp_path, model)
    rng = np.random.default_rng(0)
    known = [" ".join(rng.choice(["word", "7", "12", "9", "unknown", "3"], 9)) for _ in range(60)]
    lines = many_lines()
    cases = [{"given": text} for text in [*TEXTS, *known]]
    cases += [{"bytes": base64.b64encode(line).decode()} for line in lines]
    parts = [*(text.encode("utf-8", "surrogatepass") for text in [*TEXTS, *known]), *lines]
    texts = Texts(b"".join(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.uint64))
    assert len(set(native.labels(texts).tolist())) >= 3
    assert_equal(answers(folder, cases), native, texts, project(model.projection, texts))


def test_a_text_below_the_threshold_has_no_label(tmp_path, make_model):
    model = a_model(make_model, 12, 8, 0)
    largest = NativeModel(model_bytes(model, {})).scores(Texts.from_strings(SENTENCES)).max(axis=1)
    threshold = int(np.median(largest))
    folder, native = exported(tmp_path, dataclasses.replace(model, threshold=threshold), {"run": "ä"})
    found = answers(folder, [{"given": text} for text in SENTENCES])
    unlabelled = [each["label"] is None for each in found["answers"]]
    assert unlabelled == (largest < threshold).tolist()
    assert 0 < sum(unlabelled) < len(SENTENCES)
    facts = {"labels": list(native.classes), "bits": 256, "columns": 0, "threshold": threshold, "valueScale": 0}
    assert found["facts"] == {**facts, "scale": native.scale, "provenance": {"run": "ä"}}


def vector_model(make: MakeModel, spec: VectorSpec) -> QuantisedModel:
    model = a_model(make, 11, 8, 0)
    output = dataclasses.replace(model.output, multipliers=np.ones_like(model.output.multipliers))
    return dataclasses.replace(model, projection=spec.to_bytes(), output=output)


@pytest.mark.parametrize("scale", [1.0, 8.0, float(np.float32(0.1))])
def test_node_gives_the_scores_of_vectors(tmp_path, make_model, scale):
    thresholds = np.arange(-128, 128, dtype=np.int32)
    model = vector_model(make_model, VectorSpec(16, 16, 23, 5, scale, thresholds))
    folder, native = exported(tmp_path, model)
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 300, (120, 23)).astype(np.float32)
    rows[40:80] = rng.integers(-900, 900, (40, 23)) / (2 * scale)  # halves, which round to even
    rows[80:] *= rng.random((40, 23)) < 0.2
    rows[0], rows[1], rows[-1] = 3e38, -3e38, 0
    dense = answers(folder, [{"row": row} for row in rows.tolist()])
    assert_equal(dense, native, rows, project(model.projection, rows))
    pairs = [{"columns": np.flatnonzero(row).tolist(), "values": row[row != 0].tolist()} for row in rows]
    sparse = answers(folder, [{"given": pair} for pair in pairs])
    assert sparse["answers"] == dense["answers"]
    assert (dense["facts"]["columns"], dense["facts"]["valueScale"]) == (23, scale)


def test_what_the_model_does_not_take_is_refused(tmp_path, make_model):
    folder, _ = exported(tmp_path, a_model(make_model, 12, 8, 0))
    takes = "the model takes texts: a string, or its UTF-8 as a Uint8Array"
    for case, kind in (({"given": 7}, "number"), ({"given": [1, 2]}, "Array"), ({"given": None}, "null")):
        assert answers(folder, [case])["answers"] == [{"error": f"TypeError: given {kind}; {takes}"}]


def test_rows_that_the_model_does_not_take_are_refused(tmp_path, make_model):
    folder, _ = exported(tmp_path, vector_model(make_model, VectorSpec(16, 16, 3, 2)))
    takes = "the model takes 3 numbers, or {columns, values}"
    disordered = "no prediction: a dense vector has another length, or a sparse one's columns do not ascend within"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"given": "wake me up"}, f"TypeError: given string; {takes}"),
        ({"undefined": True}, f"TypeError: given undefined; {takes}"),
        ({"given": {}}, f"TypeError: given Object; {takes}"),
        ({"given": [1, 2]}, "RangeError: given 2 numbers; the model has 3 columns"),
        ({"given": [1, None, "x"]}, "RangeError: number 2 is x; expected a finite one"),
        ({"given": [1, 2, 1e39]}, "RangeError: number 2 is 1e+39; expected a finite one"),
        ({"given": {"columns": [1], "values": [1, 2]}}, "RangeError: given 2 numbers; the model has 3 columns"),
        ({"given": {"columns": [2, 1], "values": [1, 2]}}, f"RangeError: {disordered}"),
        ({"given": {"columns": [3], "values": [1]}}, f"RangeError: {disordered}"),
    ]
    found = answers(folder, [case for case, _ in cases])["answers"]
    for each, (_, message) in zip(found, cases, strict=True):
        assert each["error"].startswith(message)


def test_a_model_that_is_none_is_refused(tmp_path, make_model):
    folder, _ = exported(tmp_path, a_model(make_model, 12, 8, 0))
    data = (folder / "a model.pgb").read_bytes()
    (folder / "damaged.pgb").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (folder / "cut.pgb").write_bytes(data[:20])
    (folder / "vectors.pgb").write_bytes(model_bytes(vector_model(make_model, VectorSpec(16, 16, 3, 2)), {}))
    script = """
        const { load } = await import(process.argv[1]);
        for (const each of ["damaged.pgb", "cut.pgb", "missing.pgb", 7, "vectors.pgb"])
            await load(each).then(() => console.log("loaded"), (error) => console.log(error.message));
    """
    command = ["node", "--input-type=module", "-e", script, str(folder / "index.mjs")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.splitlines()
    assert lines[0] == "the model cannot be used: the checksum does not match: the file is damaged"
    assert lines[1] == "the model cannot be used: the bytes end before the file's own length"
    assert "ENOENT" in lines[2]
    assert lines[3] == "given number; expected a URL, bytes or a Response"
    assert lines[4] == "the model cannot be used: the model takes vectors, not texts"


def test_a_model_comes_by_path_url_bytes_or_response(tmp_path, make_model):
    folder, native = exported(tmp_path, a_model(make_model, 12, 8, 0))
    script = """
        import { readFileSync } from "node:fs";
        const { load } = await import(process.argv[1]);
        const bytes = readFileSync("a model.pgb"), wasm = readFileSync("projgraph.wasm");
        const whole = new Uint8Array([0, ...bytes]).subarray(1);
        const sources = ["a model.pgb", new URL("a%20model.pgb", `file://${process.cwd()}/`), bytes, whole,
                         whole.slice().buffer, new Response(bytes)];
        for (const each of sources) console.log((await load(each)).scores("snow").join());
        const compiled = await WebAssembly.compile(wasm);
        for (const each of [wasm, compiled]) console.log((await load(bytes, { wasm: each })).scores("snow").join());
        console.log(JSON.stringify([WebAssembly.Module.imports(compiled), wasm.length]));
    """
    command = ["node", "--input-type=module", "-e", script, str(folder / "index.mjs")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.splitlines()
    expected = ",".join(map(str, native.scores(Texts.from_strings(["snow"]))[0].tolist()))
    assert lines[:-1] == [expected] * 8
    assert json.loads(lines[-1]) == [[], (folder / "projgraph.wasm").stat().st_size]


def test_models_do_not_share_memory(tmp_path, make_model):
    folder, native = exported(tmp_path, a_model(make_model, 12, 8, 0))
    other = NativeModel(data := model_bytes(a_model(make_model, 52, 8, 0), {}))
    (folder / "other.pgb").write_bytes(data)
    script = """
        const { load } = await import(process.argv[1]);
        const [one, two] = await Promise.all([load(), load("other.pgb")]);
        const kept = one.scores("snow");
        console.log(JSON.stringify([two.scores("snow"), one.scores("x".repeat(1e6)) && kept, one.scores("snow")]
            .map((each) => [...each])));
    """
    command = ["node", "--input-type=module", "-e", script, str(folder / "index.mjs")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    own = native.scores(snow := Texts.from_strings(["snow"]))[0].tolist()
    assert json.loads(ran.stdout) == [other.scores(snow)[0].tolist(), own, own]


@pytest.mark.parametrize("kind", wasm_core.KINDS)
def test_the_module_is_small_and_the_same_each_time(kind):
    needed("clang", "wasm-ld")
    module = compile_core(kind)
    assert len(module) <= LARGEST_MODULE
    assert module == compile_core(kind)
    assert str(Path(__file__).parents[2]).encode() not in module


def test_a_module_that_was_built_needs_no_compiler(tmp_path, monkeypatch):
    needed("clang", "wasm-ld")
    monkeypatch.setattr(wasm_core, "built_path", lambda kind, core=None: tmp_path / "wasm" / f"{kind}.wasm")
    assert wasm_core.build(tmp_path).startswith("with the WebAssembly core: text ")
    module = (tmp_path / "wasm" / "text.wasm").read_bytes()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert core_wasm("text") == module
    stale = module[:40] + b"0123" + module[44:]  # from other sources
    (tmp_path / "wasm" / "text.wasm").write_bytes(stale)
    with pytest.raises(CannotBuildError, match="clang and wasm-ld missing on this machine"):
        core_wasm("text")


def test_without_module_and_compiler_the_error_says_what_to_install(tmp_path, make_model, monkeypatch):
    (tmp_path / "model.pgb").write_bytes(model_bytes(make_model(), {}))
    monkeypatch.setattr(wasm_core, "built_path", lambda kind, core=None: tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"clang and wasm-ld missing on this machine; install clang and lld \(.*apt-get install clang lld"
    with pytest.raises(ConfigError, match=message):
        export_model(tmp_path / "model.pgb", "wasm", tmp_path / "js")
    assert not (tmp_path / "js").exists()
    assert wasm_core.build(tmp_path).startswith("without the WebAssembly core: clang and wasm-ld missing")


def test_a_compiler_that_refuses_is_quoted(tmp_path, monkeypatch):
    for tool in ("clang", "wasm-ld"):
        (tmp_path / tool).write_text("#!/bin/sh\necho 'no such target' >&2\nexit 1\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CannotBuildError, match="clang refuses the core: no such target"):
        compile_core("text")


def test_the_build_of_the_package_puts_modules_beside_the_core():
    assert built_path("text").relative_to(wasm_core.CORE).as_posix() == "wasm/text.wasm"
    assert built_path("vector", Path("build")).as_posix() == "build/wasm/vector.wasm"


def test_the_module_knows_every_message_of_the_core():
    header = (wasm_core.CORE / "projgraph.h").read_text(encoding="utf-8")
    source = module_source("model.pgb")
    listed = json.loads("[" + source.split("const STATUSES = [")[1].split("];")[0].strip().removesuffix(",") + "]")
    assert len(listed) == header.count("    X(PG_")
    assert (listed[0], listed[7]) == ("ok", "the checksum does not match: the file is damaged")
    assert all(f', "{each}")' in header for each in listed)


@pytest.mark.parametrize(
    ("file", "name"),
    [("Home Intents.pgb", "home-intents"), ("_.pgb", "model"), ("日本.pgb", "model"), ("a.b~1.pgb", "a.b~1")],
)
def test_a_package_has_a_name_that_npm_takes(file, name):
    assert package_name(file) == name


def test_npm_packs_the_folder(tmp_path, make_model):
    needed("npm")
    folder, _ = exported(tmp_path, a_model(make_model, 12, 8, 0))
    command = ["npm", "pack", "--dry-run", "--json", "--offline", "--cache", str(tmp_path / "cache")]
    packed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    (package,) = json.loads(packed.stdout)
    assert (package["name"], package["version"]) == ("a-model", "1.0.0")
    expected = ["README.md", "a model.pgb", "index.d.ts", "index.mjs", "package.json", "projgraph.wasm"]
    assert sorted(file["path"] for file in package["files"]) == expected


def test_the_types_say_what_the_module_does(tmp_path, make_model):
    needed("tsc")
    folder, _ = exported(tmp_path, a_model(make_model, 12, 8, 0))
    good = """
        import { load, Model, type SparseVector } from "./index.mjs";
        const model: Model = await load();
        const label: string | null = model.predict("text");
        const scores: Int32Array = model.scores(new Uint8Array(3));
        const row: SparseVector = { columns: [1], values: [0.5] };
        const all: [Float64Array, Int8Array] = [model.probabilities(row), model.project([1, 2])];
        export { label, scores, all };
    """
    (folder / "good.mts").write_text(good)
    (folder / "bad.mts").write_text(
        'import { load } from "./index.mjs"; const n: string = (await load()).predict("a");'
    )
    (folder / "index.d.mts").write_bytes((folder / "index.d.ts").read_bytes())
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    command = ["tsc", *options, "--skipDefaultLibCheck", "good.mts", "bad.mts"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    (line,) = checked.stdout.splitlines()[:1]
    assert line.startswith("bad.mts(1,")
    assert "error TS2322: Type 'string | null' is not assignable to type 'string'" in line
    assert checked.stdout.count(" error ") == 1


def test_the_small_model_answers_in_node_as_in_python(tmp_path, small_model):
    needed("node", "clang", "wasm-ld")
    export_model(small_model, "wasm", tmp_path / "js")
    texts = ["wake me at six", "is it going to rain", "lock the front door", "play some jazz", ""]
    found = answers(tmp_path / "js", [{"given": text} for text in texts])
    assert [each["label"] or "" for each in found["answers"]] == load(small_model).predict(texts)


def test_an_export_is_written_anew_and_files_of_others_are_not(tmp_path, make_model):
    folder, _ = exported(tmp_path, a_model(make_model, 12, 8, 0))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    export_model(tmp_path / "a model.pgb", "wasm", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "projgraph.wasm").write_bytes(b"\0asm\1\0\0\0")
    (folder / "package.json").write_text('{"name": "mine"}')
    with pytest.raises(OutputError, match=r"already has projgraph\.wasm, package\.json, not written by projgraph"):
        export_model(tmp_path / "a model.pgb", "wasm", folder)
