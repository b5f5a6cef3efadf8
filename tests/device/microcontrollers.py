"""Targets without an operating system: a Cortex-M under qemu-system-arm, an AVR under simavr."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .hosted import MAIN
from .target import COMPACT, MEASURED, Outcome, core_sizes, split
from .toolchain import HERE, STRICT, Sources, found, run, version

QEMU_SAYS = "Timer with period zero, disabling"
"""Of a board (lm3s6965evb) whose clocks are still off when the emulator resets its timers."""
APART = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class CortexM:
    """A bare microcontroller under qemu-system-arm; an instruction takes one nanosecond of its time.

    Attributes:
        machine: qemu's name of the board.
        flash, ram: (address, bytes).
        stack: bytes of RAM that are kept for the stack.
    """

    name: str
    machine: str
    flags: tuple[str, ...]
    flash: tuple[int, int]
    ram: tuple[int, int]
    goldens: tuple[str, ...]
    stack: int = 8_192
    compiler: str = "arm-none-eabi-gcc"
    emulator: str = "qemu-system-arm"

    def missing(self) -> str:
        return ", ".join(f"no {tool}" for tool in (self.compiler, self.emulator) if not found(tool))

    def run(self, sources: Sources, folder: Path) -> Outcome:
        outcome = Outcome(compiler=version(self.compiler))
        for golden in self.goldens:
            program = self._build(sources, folder, golden)
            options = ["-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0"]
            semihosting = ["-semihosting-config", "enable=on,target=native"]
            command: list[str | Path] = [self.emulator, "-M", self.machine, *options, *semihosting, "-kernel", program]
            measures: dict[str, int] = {}
            outcome.printed[golden] = split(run(command, f"the program of {self.name}", QEMU_SAYS), measures)
            if golden == MEASURED:
                outcome.measures |= measures
            elif golden == COMPACT:
                outcome.measures["compact_ram"] = measures["ram"]
        outcome.measures |= core_sizes(self.compiler, "arm-none-eabi-size", ("-Os", *self.flags), sources, folder)
        return outcome

    def _build(self, sources: Sources, folder: Path, golden: str) -> Path:
        program = folder / f"{golden}.elf"
        files = [MAIN, HERE / "port_cortex_m.c", sources.of(golden), sources.core]
        memory = {"FLASH": self.flash[0], "FLASH_BYTES": self.flash[1], "RAM": self.ram[0], "RAM_BYTES": self.ram[1]}
        memory["STACK_BYTES"] = self.stack
        link = [f"-Wl,--defsym=PORT_{name}={value}" for name, value in memory.items()]
        link += ["-nostartfiles", f"-T{HERE / 'cortex_m.ld'}"]
        flags = ["-Os", *APART, *self.flags]
        compile_ = [self.compiler, *STRICT, *flags, f"-I{HERE}", f"-I{sources.folder}"]
        run([*compile_, *files, *link, "-o", program], f"compiling {self.name}")
        return program


@dataclass(frozen=True)
class Avr:
    """An AVR of 16 KB of RAM, whose int and pointers have 16 bits; it takes rows and models from far flash."""

    name: str
    machine: str
    flags: tuple[str, ...]
    goldens: tuple[str, ...]
    compiler: str = "avr-gcc"
    emulator: str = "simavr"

    def missing(self) -> str:
        return ", ".join(f"no {tool}" for tool in (self.compiler, self.emulator) if not found(tool))

    def run(self, sources: Sources, folder: Path) -> Outcome:
        outcome = Outcome(compiler=version(self.compiler))
        machine = ("-Os", f"-mmcu={self.machine}", *self.flags)
        for golden in self.goldens:
            program = folder / f"{golden}.elf"
            files = [MAIN, HERE / "port_avr.c", sources.core]
            data = [f'-DPORT_GOLDEN="{sources.binary(golden)}"', "-DGOLDEN_VALUES=64", "-DGOLDEN_CLASSES=5"]
            compile_ = [self.compiler, *STRICT, *machine, *data, f"-I{HERE}", f"-I{sources.folder}"]
            run([*compile_, *APART, "-fno-jump-tables", *files, "-o", program], f"compiling {self.name}")
            command: list[str | Path] = [self.emulator, "-m", self.machine, "-f", "16000000", program]
            outcome.printed[golden] = split(serial_lines(run(command, f"the program of {self.name}", errors=True)), {})
        outcome.measures |= core_sizes(self.compiler, "avr-size", machine, sources, folder)
        return outcome


def serial_lines(output: str) -> str:
    """What the program wrote to its serial port, out of what simavr prints: coloured lines that end in a dot."""
    lines = [line.removesuffix(".") for line in COLOUR.sub("", output).splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("Loaded "))
