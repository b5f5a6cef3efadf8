"""What a target of `make device-test` is, and what all of them measure; it knows no machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .toolchain import STRICT, Sources, TargetError, object_sizes, run

MEASURED = "measured"
"""The golden set of one model, which sizes and instructions are stated for."""
COMPACT = "compact"
"""The same with the repeat filter of `pipelines/tiny.toml`, of which the RAM is looked at."""
USED = ("pg_open", "pg_scratch_size", "pg_predict", "pg_label")
"""What a firmware calls; the linker leaves out what these do not reach."""


@dataclass
class Outcome:
    """What one target found.

    Attributes:
        printed: the golden sets it ran and the lines it printed for each, in order, without those of measurements.
        compiler: its name and version.
        measures: what gates look at, by name, in bytes or instructions.
    """

    printed: dict[str, list[str]] = field(default_factory=dict)
    compiler: str = ""
    measures: dict[str, int] = field(default_factory=dict)


class Target(Protocol):
    """One machine, compiler and set of flags."""

    @property
    def name(self) -> str: ...

    @property
    def goldens(self) -> tuple[str, ...]:
        """The golden sets it runs."""

    def missing(self) -> str:
        """Why it cannot run here, in a few words; empty where it can."""

    def run(self, sources: Sources, folder: Path) -> Outcome:
        """Build in a folder of its own, and run.

        Raises:
            TargetError: it does not build or run, or prints what no golden program prints.
        """


def split(output: str, measures: dict[str, int]) -> list[str]:
    """The lines to compare; what the others measured of the first model goes into measures.

    Raises:
        TargetError: the program did not reach its end.
    """
    lines = output.splitlines()
    if not lines or lines[-1] != "# end":
        raise TargetError(f"the program stopped before its end, after {lines[-1:]}")
    for line in lines:
        words = line.split()
        if words[:3] == ["#", "model", "0"]:
            measures |= {name: int(value) for name, value in zip(words[3::2], words[4::2], strict=True) if value != "0"}
            measures["ram"] = sum(measures.get(name, 0) for name in ("scratch", "stack", "state"))
    return [line for line in lines if not line.startswith("#")]


def core_sizes(compiler: str, size_tool: str, flags: tuple[str, ...], sources: Sources, folder: Path) -> dict[str, int]:
    """Bytes of what a firmware that predicts links of the core: its code, and both together with its constants."""
    whole, linked = folder / "core.o", folder / "linked.o"
    apart = ("-ffunction-sections", "-fdata-sections", "-c", f"-I{sources.folder}")
    run([compiler, *STRICT, *flags, *apart, sources.core, "-o", whole], "compiling the core alone")
    used = [f"-Wl,-u,{name}" for name in USED]
    run(
        [compiler, *flags, "-nostdlib", "-r", "-Wl,--gc-sections", *used, whole, "-o", linked], "linking the core alone"
    )
    code, constants = object_sizes(size_tool, linked)
    return {"text": code, "flash": code + constants}
