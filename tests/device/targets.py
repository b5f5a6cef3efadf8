"""The targets of `make device-test`, and how each compiles and runs the golden program.

A target is anything with a `name`, `missing` and `run` (`Target` below). One more is one more entry of `TARGETS`, at
the end of this module, and, where it is of a new kind, a class in a module of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .toolchain import HERE, STRICT, Sources, TargetError, found, object_sizes, run, version

MAIN = HERE / "golden_main.c"
MEASURED = "measured"
"""The golden set of one model, which sizes and instructions are stated for."""
COMPACT = "compact"
"""The same with the repeat filter of `pipelines/tiny.toml`, of which the RAM is looked at."""
USED = ("pg_open", "pg_scratch_size", "pg_predict", "pg_label")
"""What a firmware calls; the linker leaves out what these do not reach."""
QEMU_SAYS = "Timer with period zero, disabling"
"""Of a board (lm3s6965evb) whose clocks are still off when the emulator resets its timers."""
KILO = 1024


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


@dataclass(frozen=True)
class Hosted:
    """A target with an operating system: this machine, or another one's programs under qemu-user.

    Attributes:
        emulator: the command before the program, or none.
        size: whether the size of the core is looked at.
        instructions: whether callgrind counts them.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    emulator: str = ""
    goldens: tuple[str, ...] = ("full",)
    size: bool = False
    instructions: bool = False

    def missing(self) -> str:
        tools = [self.compiler, *([self.emulator] if self.emulator else []), *(["valgrind"] * self.instructions)]
        return ", ".join(f"no {tool}" for tool in tools if not found(tool))

    def run(self, sources: Sources, folder: Path) -> Outcome:
        outcome = Outcome(compiler=version(self.compiler))
        for golden in self.goldens:
            program = self._build(sources, folder, golden)
            command: list[str | Path] = [self.emulator, program] if self.emulator else [program]
            outcome.printed[golden] = split(run(command, f"the program of {self.name}"), outcome.measures)
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
    stack: int = 8 * KILO
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
        link += ["-nostartfiles", "-Wl,--gc-sections", f"-T{HERE / 'cortex_m.ld'}"]
        flags = ["-Os", "-ffunction-sections", "-fdata-sections", *self.flags]
        compile_ = [self.compiler, *STRICT, *flags, f"-I{HERE}", f"-I{sources.folder}"]
        run([*compile_, *files, *link, "-o", program], f"compiling {self.name}")
        return program


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


THUMB = ("-mthumb", "-mfloat-abi=soft")
SANITISED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
STATIC = ("-O2", "-static")
SMALL = "-DPG_SMALL"
"""The core for devices with little memory."""

HOST: tuple[Target, ...] = (
    Hosted("host-gcc-O0", "gcc", ("-O0",)),
    Hosted("host-gcc-Os", "gcc", ("-Os",), size=True),
    Hosted("host-gcc-O3", "gcc", ("-O3",), instructions=True),
    Hosted("host-clang-O2", "clang", ("-O2",)),
    Hosted("host-asan-ubsan", "gcc", SANITISED),
    Hosted("host-small", "gcc", (*SANITISED, SMALL)),
)
USER: tuple[Target, ...] = (
    Hosted("i686", "i686-linux-gnu-gcc", STATIC, size=True),
    Hosted("aarch64", "aarch64-linux-gnu-gcc", STATIC, "qemu-aarch64", size=True),
    Hosted("armhf", "arm-linux-gnueabihf-gcc", STATIC, "qemu-arm", size=True),
    Hosted("riscv64", "riscv64-linux-gnu-gcc", STATIC, "qemu-riscv64", size=True),
    Hosted("s390x", "s390x-linux-gnu-gcc", STATIC, "qemu-s390x", size=True),
    Hosted("mips", "mips-linux-gnu-gcc", STATIC, "qemu-mips", size=True),
)
CORTEX_M: tuple[Target, ...] = (
    CortexM(
        name="cortex-m0",
        machine="microbit",
        flags=(*THUMB, "-mcpu=cortex-m0"),
        flash=(0, 256 * KILO),
        ram=(0x20000000, 16 * KILO),
        goldens=("small",),
        stack=4 * KILO,
    ),
    CortexM(
        name="cortex-m0-small",
        machine="microbit",
        flags=(*THUMB, "-mcpu=cortex-m0", SMALL),
        flash=(0, 256 * KILO),
        ram=(0x20000000, 16 * KILO),
        goldens=("small", MEASURED, COMPACT),
        stack=4 * KILO,
    ),
    CortexM(
        name="cortex-m3",
        machine="lm3s6965evb",
        flags=(*THUMB, "-mcpu=cortex-m3"),
        flash=(0, 256 * KILO),
        ram=(0x20000000, 64 * KILO),
        goldens=("flash", MEASURED),
    ),
    CortexM(
        name="cortex-m4",
        machine="mps2-an386",
        flags=(*THUMB, "-mcpu=cortex-m4"),
        flash=(0, 4096 * KILO),
        ram=(0x20000000, 4096 * KILO),
        goldens=("full", MEASURED),
    ),
    CortexM(
        name="cortex-m4-small",
        machine="mps2-an386",
        flags=(*THUMB, "-mcpu=cortex-m4", SMALL),
        flash=(0, 4096 * KILO),
        ram=(0x20000000, 4096 * KILO),
        goldens=("full", MEASURED, COMPACT),
    ),
    CortexM(
        name="cortex-m33",
        machine="mps2-an505",
        flags=(*THUMB, "-mcpu=cortex-m33"),
        flash=(0x10000000, 4096 * KILO),
        ram=(0x38000000, 2048 * KILO),
        goldens=("full", MEASURED),
    ),
)
# A target of another kind, as wasm-node and wasm-chromium, is a class like these in a module of its own, which reads
# `sources.binary("full")` and prints golden_main.c's lines; its instances are added to TARGETS here.
TARGETS: tuple[Target, ...] = (*HOST, *USER, *CORTEX_M)
