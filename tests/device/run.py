"""One command for all targets: the same scores everywhere, bit for bit, within the gates; prints a table.

    python -m tests.device.run [--only NAME...] [--require-all] [--record] [--jobs N] [--build FOLDER]

It ends with 0 if all that ran agree with the reference within the gates, with 1 if not, with 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from .gates import Gates, read_gates, write_gates
from .golden import Golden, golden, measured
from .target import COMPACT, MEASURED, Outcome, Target
from .targets import TARGETS
from .toolchain import Sources, TargetError, write_sources

ROOT = Path(__file__).parents[2]
MEASURES = ("text", "flash", "stack", "ram", "compact_ram", "instructions")


@dataclass
class Result:
    """What became of one target.

    Attributes:
        outcome: None where it did not run.
        skipped: why it did not run.
        failures: what is wrong, a line each.
    """

    name: str
    outcome: Outcome | None = None
    skipped: str = ""
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def summary(self) -> str:
        """In a few words."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        if self.failures:
            return "FAILED"
        lines = sum(map(len, self.outcome.printed.values())) if self.outcome else 0
        return f"{lines:,} lines equal"


def golden_sets() -> dict[str, Golden]:
    """By name: all; what fits 256 KB of flash and 64 KB of RAM; what fits 16 KB of RAM; and less; what is measured."""
    full = golden()
    subsets = {"full": full, "flash": full.only(6_000, 60_000), "small": full.only(1_500, 9_000)}
    subsets["tiny"] = full.only(300, 2_200, every=8, classes=5)
    return {**subsets, MEASURED: measured(), COMPACT: measured(seen_slots_log2=7)}


def difference(set_: Golden, printed: Sequence[str]) -> str:
    """The first line in which a target differs from the reference, in words; empty where none does."""
    for expected, found in zip_longest(set_.expected, printed):
        if expected == found:
            continue
        if expected is None:
            return f"it prints more than was asked: {found!r}"
        place = set_.place(expected)
        if found is None:
            return f"it prints nothing for {place}"
        pairs = enumerate(zip_longest(expected.split(), found.split()))
        at, (wanted, got) = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
        what = {0: "the line", 1: "the line", 2: "the status" if expected.startswith("open") else "the label"}
        return f"{place}: {what.get(at, f'score {at - 3}')} is {got}; the reference has {wanted}"
    return ""


def run_target(target: Target, sources: Sources, build: Path, gates: Gates | None) -> Result:
    """Build, run and compare one target; without gates its measures are not looked at."""
    result = Result(target.name, skipped=target.missing())
    if result.skipped:
        return result
    started = time.monotonic()
    folder = build / target.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result.outcome = outcome = target.run(sources, folder)
    except TargetError as error:
        result.failures.append(str(error))
    else:
        for name, printed in outcome.printed.items():
            found = difference(sources.goldens[name], printed)
            if found:
                result.failures.append(f"golden set {name}: {found}")
        if gates:
            result.failures += gates.broken(target.name, outcome.compiler, outcome.measures)
    result.seconds = time.monotonic() - started
    return result


def table(results: Iterable[Result]) -> str:
    """Target, compiler, result and measures in columns."""
    rows: list[tuple[str, ...]] = [("target", "compiler", "result", *MEASURES, "seconds")]
    for result in results:
        measures = result.outcome.measures if result.outcome else {}
        numbers = [f"{measures[name]:,}" if name in measures else "-" for name in MEASURES]
        compiler = result.outcome.compiler if result.outcome else "-"
        rows.append((result.name, compiler, result.summary, *numbers, f"{result.seconds:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _options(arguments)
    unknown = set(options.only) - {target.name for target in TARGETS}
    if unknown:
        names = ", ".join(target.name for target in TARGETS)
        print(f"no such target: {', '.join(sorted(unknown))}; expected some of {names}", file=sys.stderr)
        return 2
    chosen = [target for target in TARGETS if not options.only or target.name in options.only]
    gates = read_gates()
    sources = write_sources(options.build / "sources", golden_sets())
    print(_about(sources), flush=True)
    with ThreadPoolExecutor(options.jobs) as threads:
        expected = threads.submit(lambda: [len(set_.expected) for set_ in sources.goldens.values()])
        expected.result()  # once, before the targets ask for it side by side
        applied = None if options.record else gates
        results = list(threads.map(lambda target: run_target(target, sources, options.build, applied), chosen))
    print(table(results))
    if options.record:
        write_gates(_recorded(gates, results))
    return 1 if _complain(results, gates, options.require_all) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.device.run", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these targets alone")
    parser.add_argument("--require-all", action="store_true", help="a target that is skipped fails")
    parser.add_argument("--record", action="store_true", help="write what is measured to gates.toml")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets side by side")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "device", help="where to compile")
    return parser.parse_args(arguments)


def _about(sources: Sources) -> str:
    full = sources.goldens["full"]
    lines = ", ".join(f"{name}: {len(set_.cases)} models" for name, set_ in sources.goldens.items())
    return f"golden set of {len(full.rows)} rows ({lines}); scores by the reference in Python"


def _recorded(gates: Gates, results: Iterable[Result]) -> Gates:
    for result in results:
        if result.outcome and result.outcome.measures:
            gates = gates.with_recorded(result.name, result.outcome.compiler, result.outcome.measures)
    return gates


def _complain(results: Iterable[Result], gates: Gates, require_all: bool) -> bool:
    """Tell what is wrong, target by target; whether anything is."""
    wrong = False
    for result in results:
        failures = list(result.failures)
        if result.skipped and require_all:
            failures.append(f"it was skipped ({result.skipped}), and --require-all was given")
        if result.outcome and result.outcome.measures:
            other = gates.other_compiler(result.name, result.outcome.compiler)
            if other:
                print(f"{result.name}: gates recorded with {other}, not with {result.outcome.compiler}: not compared")
        for failure in failures:
            wrong = True
            print(f"{result.name}: {failure}", file=sys.stderr)
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
