"""The targets of `make device-test` here, the comparison that would notice a wrong one, and the gates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from . import run as command
from .gates import GATES, Gates, read_gates
from .golden import Golden, golden, measured
from .hosted import Hosted
from .microcontrollers import CortexM, serial_lines
from .run import Result, difference, golden_sets, run_target, table
from .target import MEASURED, Outcome, Target, split
from .targets import TARGETS
from .toolchain import Sources, TargetError, write_sources
from .wasm import named

QUICK = (
    *("host-gcc-O0", "host-clang-O2", "host-asan-ubsan", "host-small", "armhf", "s390x", "mips"),
    *("cortex-m0-small", "cortex-m33", "wasm-node"),
)
"""A target of each kind; make device-test runs all of them."""
GATE_FREE = Gates({}, {}, {})


@pytest.fixture(scope="module")
def whole() -> Golden:
    return golden()


@pytest.fixture(scope="module")
def sources(whole: Golden, tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Every model, but only some of the rows: all of them are what `make device-test` is for."""
    some = whole.only(1_500, 9_000, every=9)
    return write_sources(tmp_path_factory.mktemp("device"), dict.fromkeys(("full", "flash", "small"), some))


def quick(target: Target) -> Target:
    """The same target without what takes a second run to measure."""
    if isinstance(target, CortexM):
        return dataclasses.replace(target, goldens=("small",))
    return dataclasses.replace(target, size=False, instructions=False) if isinstance(target, Hosted) else target


@pytest.mark.parametrize("target", [target for target in TARGETS if target.name in QUICK], ids=lambda t: t.name)
def test_a_target_finds_the_scores_of_the_reference(sources: Sources, tmp_path: Path, target: Target) -> None:
    target = quick(target)
    if target.missing():
        pytest.skip(target.missing())
    result = run_target(target, sources, tmp_path, None)
    assert result.failures == []
    assert result.outcome is not None
    printed = result.outcome.printed[target.goldens[0]]
    assert len(printed) == len(sources.goldens["small"].expected) > 200


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("*at >= low && *at <= high", "*at >= 0x80 && *at <= 0xBF"),  # a subpart that is ill-formed, not its bytes
        ("if (point >= PG_TABLE_END) return point;", "if (point >= 65536u) return point;"),  # Deseret keeps its case
    ],
)
def test_a_core_that_reads_texts_another_way_is_noticed(whole: Golden, tmp_path: Path, right: str, wrong: str) -> None:
    target = next(target for target in TARGETS if target.name == "host-gcc-O0")
    if target.missing():
        pytest.skip(target.missing())
    asked = tuple(index for index in whole.cases[0].rows if len(whole.rows[index].text) < 1_500)
    sources = write_sources(tmp_path, {"full": Golden(whole.rows, (dataclasses.replace(whole.cases[0], rows=asked),))})
    text = sources.core.read_text()
    assert right in text
    sources.core.write_text(text.replace(right, wrong))
    result = run_target(target, sources, tmp_path, None)
    assert len(result.failures) == 1
    assert result.failures[0].startswith("golden set full: model 'linear of 8 bits', row '")
    assert "; the reference has " in result.failures[0]


def test_the_golden_set_is_the_same_each_time(whole: Golden) -> None:
    assert golden().to_bytes() == whole.to_bytes()
    names = [row.name for row in whole.rows]
    assert len(set(names)) == len(names)
    assert {len(row.text) for row in whole.rows} >= {0, 1, 256, 100_000}
    assert len({case.name for case in whole.cases}) == len(whole.cases)


def test_the_subsets_fit_what_they_are_for() -> None:
    sets = golden_sets()
    assert len(sets["small"].to_bytes()) < 64 * 1024
    assert len(sets["flash"].to_bytes()) < 192 * 1024
    assert len(sets["tiny"].to_bytes()) < 48 * 1024
    assert max(map(len, (row.text for row in sets["tiny"].rows))) < 300
    assert len(sets[MEASURED].to_bytes()) < 192 * 1024
    assert sets["full"].rows == golden().rows
    kinds = ("linear", "hidden", "threshold", "words", "convolution", "signs of", "ternary of")
    names = " / ".join(case.name for case in sets["small"].cases)
    assert [kind for kind in kinds if kind not in names] == []


def test_the_sentences_have_twelve_words_and_the_model_its_size() -> None:
    one = measured()
    assert [len(row.text.split()) for row in one.rows] == [12] * len(one.rows)
    assert [len(line.split()) for line in one.expected[1:]] == [3 + 77] * len(one.rows)


def two_rows() -> Golden:
    one = measured()
    case = dataclasses.replace(one.cases[0], rows=(0, 1))
    return Golden(one.rows, (case, *golden().cases[-1:]))


def test_a_difference_is_told_by_model_row_and_score() -> None:
    set_ = two_rows()
    lines = list(set_.expected)
    about = "model '2,048 bits, 77 classes', row 'sentence 1': "
    assert difference(set_, lines) == ""
    words = lines[2].split()
    assert difference(set_, [*lines[:2], " ".join([*words[:7], "7", *words[8:]]), *lines[3:]]) == (
        f"{about}score 4 is 7; the reference has {words[7]}"
    )
    assert difference(set_, [*lines[:2], " ".join([*words[:2], "99", *words[3:]]), *lines[3:]]) == (
        f"{about}the label is 99; the reference has {words[2]}"
    )
    assert difference(set_, [*lines[:3], "open 1 PG_OK"]) == (
        "opening model 'its bytes the other way around': the status is PG_OK; the reference has PG_BAD_MAGIC"
    )
    assert difference(set_, lines[:2]) == "it prints nothing for model '2,048 bits, 77 classes', row 'sentence 1'"
    assert difference(set_, [*lines, "more"]) == "it prints more than was asked: 'more'"
    assert difference(set_, [*lines[:2], " ".join(words[:-1]), *lines[3:]]) == (
        f"{about}score 76 is None; the reference has {words[-1]}"
    )


def test_measurements_are_kept_apart_and_a_program_that_stops_is_none() -> None:
    measures: dict[str, int] = {}
    line = "# model 0 scratch 100 stack 20 state 8 instructions 0"
    assert split(f"open 0 PG_OK\n{line}\n# model 1 scratch 7 stack 7\n# end\n", measures) == ["open 0 PG_OK"]
    assert measures == {"scratch": 100, "stack": 20, "state": 8, "ram": 128}
    with pytest.raises(TargetError, match=r"stopped before its end, after \['open 0 PG_OK'\]"):
        split("open 0 PG_OK\n", measures)
    with pytest.raises(TargetError, match="stopped before its end"):
        split("", measures)


def test_a_module_that_throws_is_read_by_its_status() -> None:
    said = "open 3 the model cannot be used: the bytes are not a .pgb model"
    assert named(said) == "open 3 PG_BAD_MAGIC"
    assert named("open 3 the model cannot be used: something else") == "open 3 something else"
    assert named("0 0 1 -5") == "0 0 1 -5"


def test_what_an_avr_says_is_read_from_the_lines_of_its_emulator() -> None:
    said = "Loaded 8820 .data\n\x1b[32mopen 0 PG_OK.\n\x1b[0m\x1b[32m0 0 1 -5.\n\x1b[0m\x1b[32m# end.\n\x1b[0m\n"
    assert split(serial_lines(said), {}) == ["open 0 PG_OK", "0 0 1 -5"]


def test_gates_break_above_tolerance_and_limit() -> None:
    gates = Gates({"text": 2}, {"m4": {"text": 110}}, {"m4": {"compiler": "gcc 12", "text": 100}})
    assert list(gates.broken("m4", "gcc 12", {"text": 102})) == []
    assert list(gates.broken("m4", "gcc 12", {"text": 103})) == ["text is 103, 3.0 % above the 100 that are recorded"]
    assert list(gates.broken("m4", "gcc 12", {"text": 90})) == []
    assert list(gates.broken("m4", "gcc 13", {"text": 103})) == []
    assert list(gates.broken("m4", "gcc 13", {"text": 111})) == ["text is 111; the limit is 110"]
    assert list(gates.broken("m4", "gcc 12", {"stack": 3})) == ["stack is not recorded: run with --record"]
    assert list(gates.broken("m3", "gcc 12", {"text": 3})) == [
        "nothing is recorded of it: look at what was measured, then run with --record"
    ]
    assert list(gates.broken("m3", "gcc 12", {})) == []
    assert gates.other_compiler("m4", "gcc 13") == "gcc 12"
    assert gates.other_compiler("m4", "gcc 12") == gates.other_compiler("m3", "gcc 12") == ""


def test_the_gates_file_is_what_its_writer_writes(tmp_path: Path) -> None:
    assert read_gates().to_toml() == GATES.read_text(encoding="utf-8")
    changed = read_gates().with_recorded("cortex-m4", "gcc 1", {"text": 12345})
    (tmp_path / "gates.toml").write_text(changed.to_toml())
    again = read_gates(tmp_path / "gates.toml")
    assert again == changed
    assert again.recorded["cortex-m4"] == {"compiler": "gcc 1", "text": 12345}
    assert again.limits == read_gates().limits


def test_every_recorded_target_exists() -> None:
    gates = read_gates()
    names = {target.name for target in TARGETS}
    assert set(gates.recorded) | set(gates.limits) <= names
    assert {name for values in gates.recorded.values() for name in values} <= {"compiler", *gates.tolerance}


def test_a_missing_tool_is_skipped_with_its_reason(sources: Sources, tmp_path: Path) -> None:
    absent = Hosted("absent", "no-such-gcc", (), ("qemu-nothing",))
    result = run_target(absent, sources, tmp_path, GATE_FREE)
    assert result.summary == "skipped: no no-such-gcc, no qemu-nothing"
    assert result.failures == []


def test_skips_fail_only_where_all_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    results = [Result("absent", skipped="no gcc"), Result("wrong", failures=["a line"])]
    assert command._complain(results[:1], GATE_FREE, require_all=False) is False
    assert command._complain(results, GATE_FREE, require_all=True) is True
    assert capsys.readouterr().err.splitlines() == [
        "absent: it was skipped (no gcc), and --require-all was given",
        "wrong: a line",
    ]


def test_the_table_has_a_line_a_target() -> None:
    outcome = Outcome({"full": ["a", "b"]}, "gcc 12", {"text": 12345})
    rows = table([Result("one", outcome, seconds=1.25), Result("two", skipped="no gcc")]).splitlines()
    assert [row.split() for row in rows] == [
        ["target", "compiler", "result", "text", "flash", "stack", "ram", "compact_ram", "instructions", "seconds"],
        ["one", "gcc", "12", "2", "lines", "equal", "12,345", "-", "-", "-", "-", "-", "1.2"],
        ["two", "-", "skipped:", "no", "gcc", "-", "-", "-", "-", "-", "-", "0.0"],
    ]


def test_an_unknown_target_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "cortex-m99"]) == 2
    assert capsys.readouterr().err.startswith("no such target: cortex-m99; expected some of host-gcc-O0, ")
