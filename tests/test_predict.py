"""`projgraph predict`: what comes in, what goes out, what goes wrong, and how little is imported for it."""

from __future__ import annotations

import dataclasses
import gzip
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from projgraph import runtime
from projgraph.native import NativeModel
from projgraph.pack.read import read_model
from projgraph.pack.write import write_model
from projgraph.predict import _GZIP, _TABULAR, _UTF16, run
from projgraph.read import EXTENSIONS
from projgraph.read.source import GZIP_MAGIC, UTF16_BOMS
from projgraph.records import Texts

LINES = ["turn the lamp on please", "lock the front door", "will it rain tomorrow", "wake me at seven", ""]


def predict(*arguments: object, given: bytes = b"", environment: dict[str, str] | None = None):
    command = [sys.executable, "-m", "projgraph", "predict", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout, done.stderr.decode()


def joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture(scope="module")
def expected(small_model) -> bytes:
    """What the runtime says of the lines."""
    with runtime.load(small_model) as model:
        labels = model.predict(LINES)
    assert len(set(labels)) > 2
    return joined(labels)


def test_standard_input_is_the_default(small_model, expected):
    assert predict(small_model, given=joined(LINES)) == (0, expected, "")
    assert predict(small_model, "-", given=joined(LINES)) == (0, expected, "")


def test_line_ends(small_model, expected):
    windows = joined(LINES).replace(b"\n", b"\r\n")
    assert predict(small_model, given=windows) == (0, expected, "")
    unfinished = joined(LINES[:-1]).removesuffix(b"\n")
    assert predict(small_model, given=unfinished) == (0, joined(expected.decode().split()[:-1]), "")


def test_file_of_lines_whatever_its_name(small_model, expected, tmp_path, capfdbinary):
    for name in ("texts.txt", "texts", "texts.log"):
        (tmp_path / name).write_bytes(joined(LINES))
        assert run([str(small_model), str(tmp_path / name)]) == 0
        assert capfdbinary.readouterr() == (expected, b"")


@pytest.mark.parametrize("name", ["rows.csv", "rows.CSV", "rows.tsv", "rows.tab"])
def test_table(small_model, expected, tmp_path, capfdbinary, name):
    separator = "," if name.lower().endswith("csv") else "\t"
    path = tmp_path / name
    path.write_bytes(joined([f"number{separator}utterance", *(f"7{separator}{line}" for line in LINES)]))
    assert run([str(small_model), str(path), "--text-column", "utterance"]) == 0
    assert capfdbinary.readouterr() == (expected, b"")


def test_every_format_with_an_extension_is_a_table_but_plain_text():
    assert {*_TABULAR, ".txt"} == {*EXTENSIONS, ".gz"}


def test_unknown_column_names_those_there_are(small_model, tmp_path, capfd):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,b\n")
    assert run([str(small_model), str(path), "--text-column", "sentence"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"projgraph: {path}")
    assert "sentence" in err
    assert "text" in err


@pytest.mark.parametrize("options", [[], ["--proba"], ["--proba", "--oos-label", "nobody"]])
@pytest.mark.parametrize("threshold", [0, 1 << 30])
def test_a_text_is_read_once(small_model, tmp_path, monkeypatch, capfdbinary, options, threshold):
    model, provenance = read_model(small_model)
    write_model(tmp_path / "m.pgb", dataclasses.replace(model, threshold=threshold), provenance)
    (tmp_path / "texts.txt").write_bytes(joined(LINES))
    calls: list[str] = []
    for name in ("predict_one", "scores", "labels"):
        real = getattr(NativeModel, name)

        def counted(self: NativeModel, *rows: object, _name: str = name, _real=real, **named: object) -> object:
            calls.append(_name)
            return _real(self, *rows, **named)

        monkeypatch.setattr(NativeModel, name, counted)
    assert run([str(tmp_path / "m.pgb"), str(tmp_path / "texts.txt"), *options]) == 0
    assert len(calls) == len(LINES)
    capfdbinary.readouterr()


def test_proba_agrees_with_the_label_and_the_runtime(small_model, tmp_path, capfdbinary):
    path = tmp_path / "texts.txt"
    path.write_bytes(joined(LINES))
    assert run([str(small_model), str(path), "--proba"]) == 0
    rows = [line.split("\t") for line in capfdbinary.readouterr().out.decode().splitlines()]
    with runtime.load(small_model) as model:
        probabilities, labels = model.predict_proba(LINES), model.predict(LINES)
    assert [row[0] for row in rows] == labels
    assert [float(row[1]) for row in rows] == pytest.approx(probabilities.max(axis=1).tolist(), abs=1e-6)


def test_nothing_in_nothing_out(small_model, tmp_path, capfdbinary):
    assert predict(small_model) == (0, b"", "")
    (tmp_path / "empty.txt").write_bytes(b"")
    assert run([str(small_model), str(tmp_path / "empty.txt"), "--proba"]) == 0
    assert capfdbinary.readouterr() == (b"", b"")


def test_ill_formed_utf8_is_replaced_and_stays_one_line(small_model, tmp_path, capfdbinary):
    path = tmp_path / "texts.txt"
    path.write_bytes(b"lock the \xff\xfe front door\n\xed\xa0\x80 wake me\n\x00 lamp on\n\xf0\x9f\x98")
    assert run([str(small_model), str(path)]) == 0
    lines = [line.decode("utf-8", "replace") for line in path.read_bytes().split(b"\n")]
    with runtime.load(small_model) as model:
        assert capfdbinary.readouterr().out == joined(model.predict(lines))


def test_a_byte_order_mark_does_not_matter(small_model, expected):
    assert predict(small_model, given=b"\xef\xbb\xbf" + joined(LINES)) == (0, expected, "")


def test_predict_and_the_readers_know_other_files_by_the_same_bytes():
    assert (_GZIP, _UTF16) == (GZIP_MAGIC, UTF16_BOMS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(joined(LINES), mtime=0),
            "is compressed by gzip; unpack it, or give a file whose name ends in .gz",
        ),
        ("play music\n".encode("utf-16"), "starts with a UTF-16 byte order mark; save it as UTF-8"),
        (b"\xfe\xff" + "play music\n".encode("utf-16-be"), "starts with a UTF-16 byte order mark; save it as UTF-8"),
    ],
    ids=["gzip", "utf-16", "utf-16-be"],
)
def test_what_is_no_text_in_utf8_is_refused(small_model, tmp_path, content, message):
    (tmp_path / "texts.txt").write_bytes(content)
    for arguments, given, name in (((), content, "standard input"), ((tmp_path / "texts.txt",), b"", "texts.txt")):
        code, out, err = predict(small_model, *arguments, given=given)
        assert (code, out) == (2, b"")
        assert f"{name}: {message}" in err


@pytest.mark.parametrize(
    ("missing", "arguments"), [("numpy", "predict MODEL --proba"), ("typer", "inspect MODEL"), ("typer", "--help")]
)
def test_what_is_not_installed_is_named(small_model, missing, arguments):
    lines = f"import sys; sys.modules[{missing!r}] = None; from projgraph.__main__ import main; main()"
    command = [sys.executable, "-c", lines, *arguments.replace("MODEL", str(small_model)).split()]
    done = subprocess.run(command, capture_output=True, input=b"hello\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(
        f"projgraph: this needs {missing}, which is not installed; install projgraph".encode()
    )
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("streams", ["<&-", ">&-", "<&- >&-", "2>&-"])
def test_a_closed_stream_is_an_empty_one(small_model, tmp_path, streams):
    (tmp_path / "texts.txt").write_bytes(joined(LINES))
    commands = (f"predict {small_model} {tmp_path / 'texts.txt'}", f"predict {small_model}", f"inspect {small_model}")
    for command in commands:
        shell = ["sh", "-c", f"{sys.executable} -m projgraph {command} {streams}"]
        done = subprocess.run(shell, capture_output=True, input=b"")
        assert (done.returncode, done.stderr) == (0, b"")


def test_labels_are_utf8_in_any_locale(small_model, tmp_path):
    model, provenance = read_model(small_model)
    named = tmp_path / "named.pgb"
    write_model(named, dataclasses.replace(model, classes=("ä", "日", "😀", "b", "c")), provenance)
    plain = predict(named, given=joined(LINES))
    assert plain[0] == 0
    assert set(plain[1].decode().split()) <= {"ä", "日", "😀", "b", "c"}
    assert plain[1].decode() != plain[1].decode("ascii", "replace")
    assert predict(named, given=joined(LINES), environment={"PYTHONIOENCODING": "latin-1"}) == plain


def test_each_line_is_answered_before_the_next_is_given(small_model):
    command = [sys.executable, "-m", "projgraph", "predict", str(small_model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            process.stdin.write(b"lock the front door\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"door_lock\n"
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_reader_that_goes_away_is_no_error(small_model):
    command = [sys.executable, "-m", "projgraph", "predict", str(small_model)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write(b"lock the front door\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"door_lock\n"
        process.stdout.close()
        try:
            process.stdin.write(b"lock the front door\n" * 10_000)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has stopped reading
        assert process.wait(10) == 0
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_behind_standard_output(small_model):
    command = [sys.executable, "-m", "projgraph", "predict", str(small_model)]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(command, input=joined(LINES), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == (
        b"projgraph: standard output cannot be written: No space left on device; make room or choose another\n"
    )


def broken(path: Path, model: Path, how: str) -> Path:
    """A model file with one thing wrong."""
    content = bytearray(model.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "changed":
        content[len(content) // 2] ^= 1
    elif how == "text":
        content = bytearray(b"text,label\nlock the door,door_lock\n")
    elif how == "empty":
        content.clear()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("how", ["cut", "changed", "text", "empty"])
def test_a_model_that_is_none(small_model, tmp_path, capfd, how):
    path = broken(tmp_path / "broken.pgb", small_model, how)
    assert run([str(path), "-"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"projgraph: {path}: the model cannot be used: ")
    assert err.endswith("write it again with this version of projgraph\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--proba"]])
def test_a_model_of_vectors_is_given_texts(vector_model, tmp_path, capfd, options):
    (tmp_path / "texts.txt").write_text("1 2 3\n")
    assert run([str(vector_model), str(tmp_path / "texts.txt"), *options]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("projgraph: given texts; the model takes vectors of 3 columns: give a matrix")
    assert err.count("\n") == 1


def test_no_model(tmp_path, capfd):
    assert run([str(tmp_path / "none.pgb"), "-"]) == 2
    assert capfd.readouterr() == (
        "",
        f"projgraph: there is no file {tmp_path / 'none.pgb'}: train one with `projgraph train`, or check the path\n",
    )
    assert run([str(tmp_path), "-"]) == 2
    assert capfd.readouterr().err == f"projgraph: {tmp_path} is not an ordinary file: give the path of a .pgb model\n"


def test_texts_that_cannot_be_read(small_model, tmp_path, capfd):
    for path, reason in ((tmp_path / "none.txt", "No such file or directory"), (tmp_path, "Is a directory")):
        assert run([str(small_model), str(path)]) == 2
        assert capfd.readouterr() == (
            "",
            f"projgraph: {path}: cannot be read: {reason}; "
            "expected a file of one text a line, or - for standard input\n",
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: MODEL.pgb"),
        (["model.pgb", "file", "another"], "unrecognized arguments: another"),
        (["model.pgb", "--probability"], "unrecognized arguments: --probability"),
        (["model.pgb", "--text-column"], "argument --text-column: expected one argument"),
    ],
)
def test_wrong_usage_is_one_line(capfd, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        run(arguments)
    assert stopped.value.code == 2
    assert capfd.readouterr() == ("", f"projgraph: predict: {message}; see projgraph predict --help\n")


def test_help(capfd):
    with pytest.raises(SystemExit) as stopped:
        run(["--help"])
    assert stopped.value.code == 0
    out, err = capfd.readouterr()
    assert out.startswith("usage: projgraph predict")
    assert err == ""


def test_interrupted(small_model, monkeypatch, capfd):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "load", interrupt)
    assert run([str(small_model)]) == 130
    assert capfd.readouterr() == ("", "projgraph: interrupted\n")


@pytest.mark.parametrize("options", [[], ["--proba"]])
def test_the_core_runs_once_a_text(small_model, tmp_path, monkeypatch, capfdbinary, options):
    calls = []

    def counted(name, call):
        return lambda self, *rows, **given: (calls.append(name), call(self, *rows, **given))[1]

    for name in ("predict_one", "scores", "labels"):
        monkeypatch.setattr(NativeModel, name, counted(name, getattr(NativeModel, name)))
    texts = tmp_path / "texts.txt"
    texts.write_bytes(joined(LINES))
    assert run([str(small_model), str(texts), *options]) == 0
    assert calls == ["scores" if options else "predict_one"] * len(LINES)
    assert capfdbinary.readouterr().out.count(b"\n") == len(LINES)


HEAVY = {"numpy", "torch", "sklearn", "mlflow", "faiss", "pydantic", "typer", "rich", "scipy", "pyarrow", "matplotlib"}

WATCHED = """
import sys
from projgraph.__main__ import main
try:
    main()
except SystemExit as stopped:
    assert stopped.code == 0, stopped.code
sys.stderr.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_little_is_imported(small_model, expected):
    command = [sys.executable, "-c", WATCHED, "predict", str(small_model)]
    done = subprocess.run(command, input=joined(LINES), capture_output=True)
    assert (done.returncode, done.stdout) == (0, expected)
    loaded = set(done.stderr.decode().split())
    assert "projgraph" in loaded
    assert loaded & HEAVY == set()


def test_probabilities_cost_numpy_and_nothing_more(small_model):
    command = [sys.executable, "-c", WATCHED, "predict", str(small_model), "--proba"]
    done = subprocess.run(command, input=joined(LINES), capture_output=True)
    assert set(done.stderr.decode().split()) & HEAVY == {"numpy"}


def test_importtime_agrees(small_model):
    command = [sys.executable, "-X", "importtime", "-m", "projgraph", "predict", str(small_model)]
    done = subprocess.run(command, input=joined(LINES), capture_output=True, text=False)
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.decode().splitlines()
        if line.startswith("import time:")
    }
    assert "projgraph" in imported
    assert imported & HEAVY == set()


def test_a_text_below_the_threshold_gets_no_label_or_the_one_asked_for(small_model, tmp_path, capfdbinary):
    model, facts = read_model(small_model)
    lines = [*LINES, "qqq zzz"]
    with runtime.load(small_model) as opened:
        largest = opened.native.scores(Texts.from_strings(lines)).max(axis=1)
        labels = opened.predict(lines)
    threshold = int(np.median(largest))
    path, texts = tmp_path / "hesitant.pgb", tmp_path / "texts.txt"
    write_model(path, dataclasses.replace(model, threshold=threshold), facts)
    texts.write_bytes(joined(lines))
    expected = [name if score >= threshold else "" for name, score in zip(labels, largest, strict=True)]
    assert "" in expected
    assert run([str(path), str(texts)]) == 0
    assert capfdbinary.readouterr().out == joined(expected)
    assert run([str(path), str(texts), "--oos-label", "niemand ü", "--proba"]) == 0
    printed = [line.split("\t")[0] for line in capfdbinary.readouterr().out.decode().splitlines()]
    assert printed == [name or "niemand ü" for name in expected]
    with runtime.load(path) as opened:
        assert opened.predict(lines) == expected
        assert opened.predict(lines * 99) == expected * 99
