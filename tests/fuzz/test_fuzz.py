"""The fuzzers start from files of every kind, run clean, and find what is broken on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from projgraph.errors import ModelFileError
from projgraph.native import NativeModel
from projgraph.pack.format import MAX_COLUMNS, BundleSection, Section

from . import run as command
from . import seeds
from .run import CORE, FUZZERS, Result, build, executions, fuzz, missing

QUICK = ("-O1",)
RUNS = 10_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("fuzz")
    if reason := missing(found):
        pytest.skip(reason)
    return found


def kinds(data: bytes) -> set[int]:
    rows = int.from_bytes(data[16:20], "little")
    return {int.from_bytes(data[32 + 16 * row :][:4], "little") for row in range(rows)}


def test_the_seeds_are_what_the_script_writes() -> None:
    written = {
        path.relative_to(seeds.SEEDS).as_posix(): path.read_bytes() for path in seeds.SEEDS.rglob("*") if path.is_file()
    }
    assert written == dict(seeds.files()), "run python -m tests.fuzz.seeds"
    assert sum(map(len, written.values())) < 100_000


def test_the_seeds_have_every_kind_of_section_and_are_taken() -> None:
    models, bundles = seeds.models(), seeds.bundles()
    assert {kind for data in models.values() for kind in kinds(data)} == set(Section)
    assert all(BundleSection.HEADS in kinds(data) for data in bundles.values())
    assert {tuple(NativeModel(data).classes) for data in models.values()} == {("on", "off", "größer"), ("0", "1", "2")}
    for data in bundles.values():
        with pytest.raises(ModelFileError, match="PG_BAD_MAGIC"):
            NativeModel(data)
    assert all(len(data) <= FUZZERS[0].longest for data in (*models.values(), *bundles.values()))
    assert all(len(row) <= FUZZERS[1].longest for row in seeds.rows().values())


def test_the_dictionary_holds_limits_as_the_file_does() -> None:
    lines = dict(line.split("=", 1) for line in seeds.model_dictionary().splitlines())
    assert lines["magic"] == r'"\x50\x47\x42\x00"'
    assert lines["max_columns"] == '"' + "".join(f"\\x{byte:02x}" for byte in MAX_COLUMNS.to_bytes(4, "little")) + '"'
    assert len(set(lines.values())) == len(lines)


def test_the_core_runs_clean(folder: Path) -> None:
    programs = build(FUZZERS, folder, flags=QUICK)
    for fuzzer in FUZZERS:
        result = fuzz(fuzzer, programs[fuzzer.name], folder, ["-seed=1", f"-runs={RUNS}"], 60)
        assert result.crash == ""
        assert result.executions >= RUNS
        assert result.inputs > 20, "nothing new was found: the inputs reach no new code"


BROKEN = [
    ("model", "pg_model.c", "|| found->length > length - offset", "", "AddressSanitizer: "),
    ("row", "pg_text.c", "missing > 0 && at < end && ", "missing > 0 && at <= end && ", "AddressSanitizer: "),
    ("model", "host_words.c", "fingerprint) < 4 ? place", "fingerprint) < 1 ? place", "libFuzzer: deadly signal"),
    ("row", "host_text.c", "&& n - 1 <= before", "&& n <= before", "libFuzzer: deadly signal"),
]


@pytest.mark.parametrize(("name", "source", "right", "wrong", "error"), BROKEN)
def test_a_check_left_out_is_found(
    folder: Path, tmp_path: Path, name: str, source: str, right: str, wrong: str, error: str
) -> None:
    """The same seed, so the same inputs each time."""
    if source.startswith("host") and NativeModel(seeds.models()["words"]).vectors == 0:
        pytest.skip("this processor has none of the vectors that the host's code is for")
    core = tmp_path / "core"
    shutil.copytree(CORE, core, ignore=shutil.ignore_patterns("wasm", "__pycache__"))
    text = (core / source).read_text()
    assert right in text
    (core / source).write_text(text.replace(right, wrong))
    fuzzer = next(fuzzer for fuzzer in FUZZERS if fuzzer.name == name)
    program = build([fuzzer], tmp_path, core, QUICK)[name]
    result = fuzz(fuzzer, program, tmp_path, ["-seed=1", "-runs=2000000"], 30)
    assert result.crash.startswith(f"ERROR: {error}")
    assert result.crash.splitlines()[-1].startswith(f"Test unit written to {tmp_path}/{name}-crash-")
    assert list(tmp_path.glob(f"{name}-crash-*")) != []
    assert result.line.endswith("FOUND A CRASH")


def test_executions_are_libfuzzers_last_word() -> None:
    assert executions("#12 NEW\n#99 DONE\nstat::number_of_executed_units: 120\n") == 120
    assert executions("#12: cov: 1\n#345: cov: 2\nINFO: exiting\n") == 345
    assert executions("clang: error\n") == 0


def test_a_line_tells_inputs_a_second() -> None:
    assert Result("row", 3_000_000, 60.0, 17).line.split() == ["row", "3,000,000", "50,000", "17", "no", "crash"]


@pytest.mark.parametrize(("required", "status"), [([], 0), (["--require"], 1)])
def test_without_libfuzzer_the_reason_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    required: list[str],
    status: int,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main(["--build", str(tmp_path), *required]) == status
    assert capsys.readouterr().err == "nothing is fuzzed: no clang\n"


@pytest.mark.parametrize("seconds", ["0", "-3", "1.5", "ten"])
def test_seconds_are_a_positive_number(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["--seconds", seconds])
    assert stopped.value.code == 2
    assert "is not a positive number" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "crashed"), [(0, False), (72, False), (77, True), (1, True)])
def test_an_interrupted_run_is_no_crash(tmp_path: Path, status: int, crashed: bool) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho 'stat::number_of_executed_units: 7' >&2\nexit {status}\n")
    program.chmod(0o700)
    result = fuzz(FUZZERS[0], program, tmp_path, ["-runs=7"])
    assert result.executions == 7
    assert bool(result.crash) == crashed
