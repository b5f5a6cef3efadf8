"""The reader and the predictor under libFuzzer with the address and undefined-behaviour sanitizers; prints a table.

    python -m tests.fuzz.run [--seconds 60 | --runs N] [--only model|row] [--fork N] [--small] [--require]

It ends with 0 if nothing was found, with 1 if something was (the message names the input), with 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import projgraph.core
from projgraph.atomic import atomic_write

from .seeds import SEEDS, models_header

HERE = Path(__file__).parent
CORE = Path(projgraph.core.__file__).parent
BUILD = HERE.parents[1] / "build" / "fuzz"
FLAGS = (
    *("-std=c99", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffp-contract=off"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
)
COVERED = ("-fsanitize=fuzzer-no-link", f"-fsanitize-coverage-ignorelist={HERE / 'coverage_ignored.txt'}")
NO_COMPARISONS = "-fno-sanitize-coverage=trace-cmp"
"""For everything but the reader: comparisons with loop bounds would take most of the time."""
READER = ("pg_model.c", "pg_bundle.c")
# LeakSanitizer needs ptrace, which containers forbid. What is freed is soon overwritten anyway.
SANITIZERS = "detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=3"
REPORT_CHARACTERS = 4000
GRACE_SECONDS = 120.0
INTERRUPTED = 72
"""How libFuzzer ends when it is told to: what it has done until then counts."""


@dataclass(frozen=True)
class Fuzzer:
    """A program: its sources beside the core, the longest input, and the share of the seconds that it gets."""

    name: str
    sources: tuple[str, ...]
    longest: int
    share: float


FUZZERS = (
    Fuzzer("model", ("fuzz_model.c", "mutate_model.c"), 2048, 0.5),
    Fuzzer("row", ("fuzz_row.c",), 192, 0.5),
)


@dataclass(frozen=True)
class Result:
    """What one fuzzer did.

    Attributes:
        crash: libFuzzer's report, empty where nothing was found; the input is named in it.
    """

    name: str
    executions: int
    seconds: float
    inputs: int
    crash: str = ""

    @property
    def line(self) -> str:
        found = "FOUND A CRASH" if self.crash else "no crash"
        each = self.executions / max(self.seconds, 1e-9)
        return f"{self.name:<8}{self.executions:>14,}{each:>12,.0f}{self.inputs:>9,}  {found}"


class BuildError(Exception):
    """The compiler refused, which a machine without libFuzzer does too."""


def missing(folder: Path) -> str:
    """Why there is no fuzzing here, in a few words; empty where there is."""
    if shutil.which("clang") is None:
        return "no clang"
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / "probe.c"
    probe.write_text(
        "#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *, size_t);\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return (void)data, (void)size, 0; }\n"
    )
    try:
        _compile([*FLAGS, "-fsanitize=fuzzer", probe, "-o", folder / "probe"])
    except BuildError:
        return "clang has no libFuzzer or no sanitizers: in Debian they are in libclang-rt-dev"
    return ""


def build(fuzzers: Sequence[Fuzzer], folder: Path, core: Path = CORE, flags: Sequence[str] = ()) -> dict[str, Path]:
    """The programs by name, of the core's sources in a folder.

    Raises:
        BuildError: something does not compile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "models.h", models_header().encode())
    include = (f"-I{core}", f"-I{folder}", f"-I{HERE}")
    sources = {HERE / name for fuzzer in fuzzers for name in fuzzer.sources}
    sources |= {*core.glob("pg_*.c"), *core.glob("host*.c")}
    objects = {source: folder / f"{source.stem}.o" for source in sorted(sources)}
    for source, target in objects.items():
        covered = COVERED if source.name in READER else (*COVERED, NO_COMPARISONS)
        _compile([*FLAGS, *flags, *covered, *include, "-c", source, "-o", target])
    programs = {fuzzer.name: folder / f"fuzz_{fuzzer.name}" for fuzzer in fuzzers}
    for fuzzer in fuzzers:
        wanted = [
            target for source, target in objects.items() if source.parent == core or source.name in fuzzer.sources
        ]
        _compile([*FLAGS, "-fsanitize=fuzzer", *wanted, "-o", programs[fuzzer.name]])
    return programs


def _compile(arguments: Sequence[str | Path]) -> None:
    done = subprocess.run(["clang", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"clang ended with {done.returncode}: {done.stderr[-REPORT_CHARACTERS:]}")


def fuzz(fuzzer: Fuzzer, program: Path, folder: Path, limits: Sequence[str], seconds: float | None = None) -> Result:
    """Run one, from the seeds and from what earlier runs in this folder kept.

    Args:
        fuzzer: which one.
        program: as built.
        folder: `corpus-NAME` and the inputs that were found are kept there.
        limits: libFuzzer's own options that end it.
        seconds: stop it by force two minutes behind these; None waits.
    """
    corpus, started = folder / f"corpus-{fuzzer.name}", time.monotonic()
    corpus.mkdir(parents=True, exist_ok=True)
    command = [program, *limits, f"-max_len={fuzzer.longest}", f"-dict={SEEDS / f'{fuzzer.name}.dict'}", "-timeout=10"]
    command += ["-print_final_stats=1", f"-artifact_prefix={folder}/{fuzzer.name}-", corpus, SEEDS / fuzzer.name]
    limit = None if seconds is None else seconds + GRACE_SECONDS
    environment = {**os.environ, "ASAN_OPTIONS": SANITIZERS, "UBSAN_OPTIONS": "print_stacktrace=1"}
    log = folder / f"{fuzzer.name}.log"
    with log.open("wb") as stream:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, check=False, timeout=limit
        )
    said = log.read_text(encoding="utf-8", errors="replace")
    crash = report(said) if done.returncode not in (0, INTERRUPTED) else ""
    return Result(fuzzer.name, executions(said), time.monotonic() - started, len(list(corpus.iterdir())), crash)


def report(said: str) -> str:
    """What a sanitizer or libFuzzer complains of, and the line that names the input; else the end of it all."""
    found = re.search(r"ERROR: |runtime error: ", said)
    if not found:
        return said[-REPORT_CHARACTERS:]
    named = re.findall(r"Test unit written to .*", said)
    return "\n".join([said[found.start() :][:REPORT_CHARACTERS], *named[-1:]])


def executions(said: str) -> int:
    """How many inputs were run, by libFuzzer's last word on it; in fork mode it counts in its lines alone."""
    stated = re.findall(r"^stat::number_of_executed_units: (\d+)", said, re.MULTILINE)
    counted = re.findall(r"^#(\d+)", said, re.MULTILINE)
    return int((stated or counted or ["0"])[-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and run them one after the other."""
    options = _options(arguments)
    folder = options.build / ("small" if options.small else "full")
    if reason := missing(folder):
        print(f"nothing is fuzzed: {reason}", file=sys.stderr)
        return 1 if options.require else 0
    chosen = [fuzzer for fuzzer in FUZZERS if options.only in (None, fuzzer.name)]
    programs = build(chosen, folder, flags=["-DPG_SMALL"] if options.small else [])
    whole = sum(fuzzer.share for fuzzer in chosen)
    print(f"{'target':<8}{'executions':>14}{'a second':>12}{'inputs':>9}")
    results = []
    for fuzzer in chosen:
        seconds = None if options.runs else max(1, round(options.seconds * fuzzer.share / whole))
        limits = [f"-runs={options.runs}"] if options.runs else [f"-max_total_time={seconds}"]
        limits += [f"-fork={options.fork}"] if options.fork else []
        results.append(fuzz(fuzzer, programs[fuzzer.name], folder, limits, seconds))
        print(results[-1].line, flush=True)
    for result in results:
        if result.crash:
            print(f"\n{result.crash}\n{result.name}: see the input that it names", file=sys.stderr)
    return int(any(result.crash for result in results))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=_positive, default=60, help="of all of them together")
    parser.add_argument("--runs", type=_positive, help="inputs of each, instead of seconds")
    parser.add_argument("--only", choices=[fuzzer.name for fuzzer in FUZZERS])
    parser.add_argument("--fork", type=_positive, help="processes side by side, for long runs")
    parser.add_argument("--small", action="store_true", help="the core with -DPG_SMALL")
    parser.add_argument("--require", action="store_true", help="fail where clang has no libFuzzer")
    parser.add_argument("--build", type=Path, default=BUILD, help="where to compile, and to keep what was found")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
