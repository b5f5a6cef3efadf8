"""Targets with an operating system: this machine, and others' programs under qemu-user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .target import MEASURED, Outcome, core_sizes, split
from .toolchain import HERE, STRICT, Sources, found, run, version

MAIN = HERE / "golden_main.c"


@dataclass(frozen=True)
class Hosted:
    """A target with an operating system: this machine, or another one's programs under qemu-user.

    Attributes:
        emulator: the words before the program, or none.
        size: whether the size of the core is looked at.
        instructions: whether callgrind counts them.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    goldens: tuple[str, ...] = ("full",)
    size: bool = False
    instructions: bool = False

    def missing(self) -> str:
        tools = [self.compiler, *self.emulator[:1], *(["valgrind"] * self.instructions)]
        return ", ".join(f"no {tool}" for tool in tools if not found(tool))

    def run(self, sources: Sources, folder: Path) -> Outcome:
        outcome = Outcome(compiler=version(self.compiler))
        for golden in self.goldens:
            program = self._build(sources, folder, golden)
            printed = run([*self.emulator, program], f"the program of {self.name}")
            outcome.printed[golden] = split(printed, outcome.measures)
        outcome.measures.clear()  # of a machine whose word size and library are not a device's
        if self.size:
            tool = self.compiler.replace("gcc", "size")
            outcome.measures |= core_sizes(self.compiler, tool, ("-Os",), sources, folder)
        if self.instructions:
            outcome.measures["instructions"] = self._instructions(sources, folder)
        return outcome

    def _build(self, sources: Sources, folder: Path, golden: str) -> Path:
        program = folder / golden
        files = [MAIN, HERE / "port_hosted.c", sources.of(golden), sources.core]
        compile_ = [self.compiler, *STRICT, *self.flags, f"-I{HERE}", f"-I{sources.folder}"]
        run([*compile_, *files, "-o", program], f"compiling {self.name}")
        return program

    def _instructions(self, sources: Sources, folder: Path) -> int:
        """Of one prediction, in the mean: callgrind's count is the same every time."""
        program = self._build(sources, folder, MEASURED)
        counts = folder / "callgrind.out"
        valgrind = ["valgrind", "--tool=callgrind", "--toggle-collect=pg_predict", f"--callgrind-out-file={counts}"]
        run([*valgrind, "--log-file=" + str(folder / "callgrind.log"), program], f"callgrind of {self.name}")
        summary = next(line for line in counts.read_text().splitlines() if line.startswith("summary:"))
        calls = 3 * len(sources.goldens[MEASURED].rows)  # with scores, without, and measured
        return int(summary.split()[1]) // calls
