"""What the targets may cost: recorded values with tolerances, and limits, from and to one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from projgraph.atomic import atomic_write

GATES = Path(__file__).with_name("gates.toml")
Values = dict[str, int | str]
HEAD = """\
# What each target may cost; `make device-test` measures and compares, a gate that is exceeded fails.
# Tolerances and limits are set by hand. The recorded values are written by `python -m tests.device.run --record`.
#
# text: bytes of the core's code at -Os, as much of it as pg_open, pg_scratch_size, pg_predict and pg_label reach
# flash: these and the constants beside them; of wasm-node the whole module for texts
# scratch, stack, ram: bytes for the model of 2,048 bits, 77 classes and 8-bit weights over texts of twelve words; ram
#     is both and a pg_model
# compact_ram: the same with 128 slots in the repeat filter, as pipelines/tiny.toml has it
# instructions: of one prediction of those texts in the mean, by callgrind on the host at -O3, by the emulator's clock
#     at -Os elsewhere
"""


@dataclass(frozen=True)
class Gates:
    """Per cent above a recorded value that still pass, by measure; limits and recorded values, by target."""

    tolerance: dict[str, float]
    limits: dict[str, dict[str, int]]
    recorded: dict[str, Values]

    def broken(self, target: str, compiler: str, measures: Mapping[str, int]) -> Iterator[str]:
        """Every gate that these measures exceed, as a line."""
        for name, value in measures.items():
            limit = self.limits.get(target, {}).get(name)
            if limit is not None and value > limit:
                yield f"{name} is {value:,}; the limit is {limit:,}"
        recorded = self.recorded.get(target)
        if recorded is None:
            if measures:
                yield "nothing is recorded of it: look at what was measured, then run with --record"
            return
        if recorded.get("compiler") != compiler:
            return
        for name, value in measures.items():
            before = recorded.get(name)
            if not isinstance(before, int):
                yield f"{name} is not recorded: run with --record"
            elif value > before * (1 + self.tolerance[name] / 100):
                yield f"{name} is {value:,}, {100 * (value / before - 1):.1f} % above the {before:,} that are recorded"

    def other_compiler(self, target: str, compiler: str) -> str:
        """Of a target whose values were recorded with another compiler, which one; its values are not compared."""
        recorded = str(self.recorded.get(target, {}).get("compiler", compiler))
        return "" if recorded == compiler else recorded

    def with_recorded(self, target: str, compiler: str, measures: Mapping[str, int]) -> Gates:
        """The same with other values of one target."""
        values: Values = {"compiler": compiler, **measures}
        return Gates(self.tolerance, self.limits, {**self.recorded, target: values})

    def to_toml(self) -> str:
        """The file's text, which `read_gates` reads."""
        parts = [HEAD, "[tolerance] # per cent above the recorded value\n", *_lines(self.tolerance)]
        for kind, tables in (("limits", self.limits), ("recorded", self.recorded)):
            for target, values in tables.items():
                parts += [f"\n[{kind}.{target}]\n", *_lines(values)]
        return "".join(parts)


def _lines(values: Mapping[str, int | float | str]) -> Iterator[str]:
    for name, value in values.items():
        yield f'{name} = "{value}"\n' if isinstance(value, str) else f"{name} = {value:_}\n"


def read_gates(path: Path = GATES) -> Gates:
    """The gates of a file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Gates(table["tolerance"], table.get("limits", {}), table.get("recorded", {}))


def write_gates(gates: Gates, path: Path = GATES) -> None:
    """Write a file anew, whole or not at all."""
    atomic_write(path, gates.to_toml().encode())
