"""Exports: the generated C compiles alone without a warning and answers as the Python binding does."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from projgraph.errors import ConfigError, InputError, ModelFileError, OutputError
from projgraph.native import NativeModel
from projgraph.pack.export import export_model
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec
from projgraph.pack.write import model_bytes, write_model
from projgraph.records import Texts

MakeModel = Callable[..., QuantisedModel]

C_FILES = ["projgraph.h", "projgraph.c", "model.h", "model.c", "main.c", "README.txt"]
STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
LINE_BYTES = 1 << 20

SENTENCES = [
    "The quick brown fox jumps over the lazy dog",
    "Übergrößenträger fahren nach KÖLN, nicht wahr?",
    "L’été, j’ai mangé des œufs à l’Élysée",
    "Быстрая лиса ПРЫГАЕТ через собаку",
    "Η γρήγορη αλεπού, ΣΊΣΥΦΟΣ",
    "İstanbul'da ışık ve IŞIK",
    "今日は天気がいいですね。ラーメンを食べたい",
    "我们明天去北京吗？",
    "สวัสดีครับ ยินดีต้อนรับ",
    "안녕하세요 세계",
    "مرحبا بالعالم، كيف حالك؟",
    "שלום עולם",
    "नमस्ते दुनिया",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧 🇩🇪 ☃️",
    "zero\0byte and a\ttab, a\u00a0hard space, a soft\u00adhyphen",
    "one\rcarriage return inside",
]
BROKEN = [
    b"\xff\xfe",
    b"cut \xe2\x82",
    b"surrogate \xed\xa0\x80 here",
    b"overlong \xc0\xaf \xe0\x80\xaf",
    b"beyond \xf4\x90\x80\x80 and \xf8\x88\x80\x80\x80",
    b"lone \x80 continuation \xbf",
    b"latin-1 caf\xe9",
]


def many_lines() -> list[bytes]:
    """About a hundred lines without line ends, empty ones and ill-formed ones among them."""
    sentences = [sentence.encode() for sentence in SENTENCES]
    lines = [b"", b" ", *sentences, *BROKEN, *(sentence.upper().encode() for sentence in SENTENCES)]
    for first, second in zip(sentences, [*sentences[3:], *sentences[:3]], strict=True):
        lines += [first[: len(first) // 2] + second, second[7:] + b" " + first, first[::-1]]
    return [*lines, b"w" * 5000, b"x y " * 3000]


def a_model(make: MakeModel, seed: int, weight_bits: int, units: int, **of_words: int) -> QuantisedModel:
    """A model whose biases do not decide, so that labels depend on the text."""
    shape = {"weight_bits": weight_bits, "units": units, "hidden_weight_bits": 12 - weight_bits, **of_words}
    model = make(seed, bits=256, classes=7, **shape)
    output = dataclasses.replace(model.output, bias=np.zeros_like(model.output.bias))
    hidden = model.hidden and dataclasses.replace(model.hidden, bias=np.zeros_like(model.hidden.bias))
    return dataclasses.replace(model, output=output, hidden=hidden, hidden_shift=9 if units else 0)


def a_model_of_words(make: MakeModel, units: int) -> QuantisedModel:
    """One that knows "word" and numbers, and filters them."""
    model = a_model(make, 7, 8, units, words=20, dimensions=64, filters=33, width=3)
    assert model.convolution is not None
    layer = dataclasses.replace(model.convolution.layer, bias=np.zeros_like(model.convolution.layer.bias))
    return dataclasses.replace(model, convolution=dataclasses.replace(model.convolution, layer=layer, shift=14))


def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if not found:
        pytest.skip("no C compiler on this machine")
    return found


def build(folder: Path, *core_flags: str) -> Path:
    """The compiled program; the flags are for the core alone, since system headers may need GCC's name."""
    for command in (["-c", *core_flags, "projgraph.c"], ["main.c", "model.c", "projgraph.o", "-o", "predict"]):
        compiled = subprocess.run([compiler(), *STRICT, *command], cwd=folder, capture_output=True, text=True)
        assert (compiled.returncode, compiled.stderr) == (0, "")
    return folder / "predict"


def run(program: Path, text: bytes) -> list[bytes]:
    found = subprocess.run([program], input=text, capture_output=True)
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.endswith(b"\n") or not found.stdout
    return found.stdout.split(b"\n")[:-1]


def labels(data: bytes, lines: list[bytes]) -> list[bytes]:
    model = NativeModel(data)
    offsets = np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(np.uint64)
    return [model.classes[index].encode() for index in model.labels(Texts(b"".join(lines), offsets), threads=1)]


# Without __GNUC__ the sources take the road of a compiler that is not GCC's kind.
@pytest.mark.parametrize(
    ("seed", "weight_bits", "units", "flags"),
    [(12, 8, 0, ()), (11, 4, 0, ()), (52, 8, 12, ("-U__GNUC__",)), (23, 4, 12, ("-O3",))],
    ids=["linear-int8", "linear-int4", "hidden-int8-plain-c99", "hidden-int4-O3"],
)
def test_the_c_program_gives_the_labels_of_the_binding(tmp_path, make_model, seed, weight_bits, units, flags):
    data = model_bytes(a_model(make_model, seed, weight_bits, units), {})
    (tmp_path / "model.pgb").write_bytes(data)
    export_model(tmp_path / "model.pgb", "c", tmp_path / "c")
    program = build(tmp_path / "c", *flags)
    lines = many_lines()
    expected = labels(data, lines)
    assert len(lines) > 90
    assert len(set(expected)) >= 4
    assert run(program, b"\n".join(lines)) == expected
    assert run(program, b"".join(line + b"\r\n" for line in lines)) == expected
    assert run(program, b"") == []
    assert run(program, b"\n\r\n\n") == labels(data, [b""] * 3)


def vector_lines(rows: np.ndarray, separator: str) -> bytes:
    return b"".join(separator.join(map(repr, row)).encode() + b"\n" for row in rows.tolist())


def pair_lines(rows: np.ndarray) -> bytes:
    return b"".join(
        " ".join(f"{column}:{row[column]!r}" for column in range(len(row)) if row[column]).encode() + b"\n"
        for row in rows.tolist()
    )


def vector_program(folder: Path, make: MakeModel, spec: VectorSpec, *flags: str) -> tuple[bytes, Path]:
    model = a_model(make, 11, 8, 0)
    output = dataclasses.replace(model.output, multipliers=np.ones_like(model.output.multipliers))
    data = model_bytes(dataclasses.replace(model, projection=spec.to_bytes(), output=output), {})
    (folder / "model.pgb").write_bytes(data)
    export_model(folder / "model.pgb", "c", folder / "c")
    return data, build(folder / "c", *flags)


@pytest.mark.parametrize(("scale", "flags"), [(1.0, ()), (8.0, ("-U__GNUC__",)), (float(np.float32(0.1)), ("-O3",))])
def test_the_c_program_of_vectors_gives_the_labels_of_the_binding(tmp_path, make_model, scale, flags):
    thresholds = np.arange(-128, 128, dtype=np.int32)
    data, program = vector_program(tmp_path, make_model, VectorSpec(16, 16, 23, 5, scale, thresholds), *flags)
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 300, (120, 23)).astype(np.float32)
    rows[40:80] = rng.integers(-900, 900, (40, 23)) / (2 * scale)  # halves, which round to even
    rows[80:] *= rng.random((40, 23)) < 0.2
    rows[0], rows[1], rows[-1] = 3e38, -3e38, 0
    model = NativeModel(data)
    expected = [model.classes[index].encode() for index in model.labels(rows).tolist()]
    assert len(set(expected)) >= 4
    for separator in (",", " ", "\t", " ; "):
        assert run(program, vector_lines(rows, separator)) == expected
    assert run(program, pair_lines(rows)) == expected  # the last is an empty line
    assert run(program, vector_lines(rows, ",").replace(b"\n", b"\r\n").removesuffix(b"\r\n")) == expected
    assert run(program, b"") == []
    assert "23 numbers or column:number pairs" in (tmp_path / "c" / "README.txt").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2", "row 2 of 2 numbers, the model has 3 columns: "),
        ("1,2,3,4", "row 2: expected at most 3 finite numbers, or column:number pairs"),
        ("0:1 3:1", "row 2 of 2 numbers, the model has 3 columns: "),
        ("2:1 1:1", "row 2 of 2 numbers, the model has 3 columns: "),
        ("4294967296:1", "row 2: expected"),
        ("-1:1", "row 2: expected"),
        (":1", "row 2: expected"),
        ("1:", "row 2: expected"),
        ("1 1:1 2", "row 2: expected"),
        ("wake me up", "row 2: expected"),
        ("1,nan,3", "row 2: expected"),
        ("1,inf,3", "row 2: expected"),
        ("1,1e39,3", "row 2: expected"),
        ("1,2," + "3" * 64, "row 2: expected"),
    ],
)
def test_the_c_program_of_vectors_says_what_is_wrong(three_columns, line, message):
    found = subprocess.run([three_columns], input=f"1 2 3\n{line}\n1 2 3\n".encode(), capture_output=True)
    assert (found.returncode, found.stdout.count(b"\n")) == (1, 1)
    assert found.stderr.decode().startswith(message)


@pytest.fixture(scope="module")
def three_columns(tmp_path_factory, make_model) -> Path:
    return vector_program(tmp_path_factory.mktemp("three"), make_model, VectorSpec(16, 16, 3, 2))[1]


@pytest.mark.parametrize(
    ("units", "flags"), [(0, ("-U__GNUC__",)), (12, ("-O3",))], ids=["linear-plain-c99", "hidden-O3"]
)
def test_the_c_program_knows_words(tmp_path, make_model, units, flags):
    data = model_bytes(a_model_of_words(make_model, units), {})
    (tmp_path / "model.pgb").write_bytes(data)
    export_model(tmp_path / "model.pgb", "c", tmp_path / "c")
    program = build(tmp_path / "c", *flags)
    rng = np.random.default_rng(0)
    lines = [b" ".join(rng.choice([b"word", b"7", b"12", b"9", b"unknown", b"3"], 9)) for _ in range(60)]
    expected = labels(data, lines)
    assert len(set(expected)) >= 3
    assert run(program, b"\n".join(lines)) == expected


def test_only_the_first_mebibyte_of_a_line_is_its_text(tmp_path, make_model):
    data = model_bytes(a_model(make_model, 10, 8, 0), {})
    (tmp_path / "model.pgb").write_bytes(data)
    export_model(tmp_path / "model.pgb", "c", tmp_path / "c")
    program = build(tmp_path / "c")
    start = b"snow".ljust(LINE_BYTES)
    tails = [b"\r" + word for word in (b"ice", b"fire", b"river", b"mountain", b"desert", b"storm", b"cloud", b"moon")]
    whole = labels(data, [start + tail for tail in tails])
    seen = labels(data, [start])
    assert set(whole) != set(seen)  # so a tail that is looked at would show
    lines = [start, start + b"\r", *(start + tail for tail in tails), b"snow"]
    assert run(program, b"\n".join(lines)) == seen * (len(tails) + 2) + labels(data, [b"snow"])
    full = [start[:-4] + b" \xe2\x82\xac", start[:-2] + b" a"]  # in these, the last bytes count
    assert run(program, b"\r\n".join([full[0] + b"z", full[1] + b"b"])) == labels(data, full)


def test_a_model_that_does_not_fit_its_scratch_stops_the_program(tmp_path, make_model):
    write_model(tmp_path / "model.pgb", make_model(), {})
    export_model(tmp_path / "model.pgb", "c", tmp_path)
    header = tmp_path / "model.h"
    header.write_text(re.sub(r"(SCRATCH )\d+", r"\g<1>100", header.read_text()))
    found = subprocess.run([build(tmp_path)], input=b"text\n", capture_output=True)
    assert (found.returncode, found.stdout) == (1, b"")
    assert found.stderr == b"no prediction: the scratch is smaller than the size asked for\n"


def test_a_small_build_gives_the_same_labels_in_less_scratch(tmp_path, make_model):
    data = model_bytes(a_model(make_model, 7, 4, 0), {})
    (tmp_path / "model.pgb").write_bytes(data)
    export_model(tmp_path / "model.pgb", "c", tmp_path / "c")
    assert NativeModel(data).scratch_bytes > 8_000
    command = [compiler(), *STRICT, "-DPG_SMALL", "-DPROJGRAPH_MODEL_SCRATCH=2500", "main.c", "model.c", "projgraph.c"]
    subprocess.run([*command, "-o", "predict"], cwd=tmp_path / "c", check=True)
    lines = many_lines()
    assert len(set(labels(data, lines))) >= 4
    assert run(tmp_path / "c" / "predict", b"\n".join(lines)) == labels(data, lines)


def test_the_core_is_one_pair_without_python(tmp_path, make_model):
    write_model(tmp_path / "model.pgb", make_model(), {})
    export_model(tmp_path / "model.pgb", "c", tmp_path)
    header, source = ((tmp_path / name).read_text() for name in ("projgraph.h", "projgraph.c"))
    assert re.findall(r'#include "(.+)"', header) == []
    assert re.findall(r'#include "(.+)"', source) == ["projgraph.h"]
    assert set(re.findall(r"#include <(.+)>", header + source)) == {"stddef.h", "stdint.h", "string.h"}
    assert "Py" not in header + source


def test_the_core_needs_no_extension_of_a_compiler(tmp_path, make_model):
    write_model(tmp_path / "model.pgb", make_model(), {})
    export_model(tmp_path / "model.pgb", "c", tmp_path)
    command = [compiler(), "-std=c99", "-U__GNUC__", "-E", "-P", "projgraph.c"]
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "pg_predict(" in plain
    assert re.findall(r"__builtin_\w+|__attribute__|#pragma.*|_Pragma|\basm\b", plain) == []


def test_every_file_is_named_and_has_the_same_bytes_each_time(tmp_path, make_model):
    data = model_bytes(make_model(), {"run": "a"})
    (tmp_path / "model.pgb").write_bytes(data)
    written = export_model(tmp_path / "model.pgb", "c", tmp_path / "new" / "one")
    again = export_model(str(tmp_path / "model.pgb"), "c", tmp_path / "two")
    assert written == tuple(tmp_path / "new" / "one" / name for name in C_FILES)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(C_FILES)
    contents = [path.read_bytes() for path in written]
    assert contents == [path.read_bytes() for path in again]
    assert len((tmp_path / "two" / "README.txt").read_text().splitlines()) == 3
    numbers = re.findall(r"\d+(?=,)", (tmp_path / "two" / "model.c").read_text())
    assert bytes(map(int, numbers)) == data
    assert export_model(tmp_path / "model.pgb", "c", tmp_path / "two") == again
    assert contents == [path.read_bytes() for path in again]
    assert not any(str(tmp_path).encode() in content for content in contents)


def test_the_model_itself_is_copied_under_its_name(tmp_path, make_model):
    size = write_model(tmp_path / "intents.pgb", make_model(), {})
    written = export_model(tmp_path / "intents.pgb", "pgb", tmp_path / "out")
    assert written == (tmp_path / "out" / "intents.pgb",)
    assert written[0].read_bytes() == (tmp_path / "intents.pgb").read_bytes()
    write_model(tmp_path / "intents.pgb", make_model(seed=1), {})
    export_model(tmp_path / "intents.pgb", "pgb", tmp_path / "out")
    assert written[0].read_bytes() == (tmp_path / "intents.pgb").read_bytes()
    assert written[0].stat().st_size == size


def test_files_of_others_are_left_alone(tmp_path, make_model):
    write_model(tmp_path / "model.pgb", make_model(), {})
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.c").write_text("mine")
    export_model(tmp_path / "model.pgb", "c", out)
    assert (out / "notes.c").read_text() == "mine"
    before = (out / "model.c").read_bytes()
    (out / "main.c").write_text("int main(void) { return 0; }\n")
    (out / "README.txt").write_text("")
    write_model(tmp_path / "model.pgb", make_model(seed=1), {})
    with pytest.raises(OutputError, match=r"already has main\.c, README\.txt, not written by projgraph; .* move them"):
        export_model(tmp_path / "model.pgb", "c", out)
    assert (out / "main.c").read_text() == "int main(void) { return 0; }\n"
    assert (out / "model.c").read_bytes() == before
    (out / "model.pgb").write_text("notes")
    with pytest.raises(OutputError, match=r"already has model\.pgb, not written by projgraph"):
        export_model(tmp_path / "model.pgb", "pgb", out)


def test_what_cannot_be_exported_is_refused_before_anything_is_written(tmp_path, make_model):
    path, out = tmp_path / "model.pgb", tmp_path / "out"
    write_model(path, make_model(), {})
    with pytest.raises(ConfigError, match="target is 'rust'; expected pgb, c, wasm or onnx"):
        export_model(path, "rust", out)
    with pytest.raises(InputError, match=r"cannot read .*missing\.pgb': No such file"):
        export_model(tmp_path / "missing.pgb", "c", out)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    for target in ("pgb", "c"):
        with pytest.raises(ModelFileError, match=r"model\.pgb: checksum is .*the file is damaged"):
            export_model(path, target, out)
    assert not out.exists()


@pytest.mark.parametrize("target", ["pgb", "c"])
def test_a_folder_that_is_none_is_refused(tmp_path, make_model, target):
    write_model(tmp_path / "model.pgb", make_model(), {})
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(OutputError, match=r"cannot export to .*out: it is a file; expected a folder"):
        export_model(tmp_path / "model.pgb", target, out)
    with pytest.raises(OutputError, match=r"cannot export to .*below': Not a directory; expected a folder"):
        export_model(tmp_path / "model.pgb", target, out / "below")
    with pytest.raises(OutputError, match=r"embedded null byte; expected a folder"):
        export_model(tmp_path / "model.pgb", target, tmp_path / "a\0b")
    assert out.read_text() == "mine"
    name = "main.c" if target == "c" else "model.pgb"
    (tmp_path / "folder" / name).mkdir(parents=True)
    with pytest.raises(OutputError, match=rf"cannot write .*{re.escape(name)}: it is a folder"):
        export_model(tmp_path / "model.pgb", target, tmp_path / "folder")
