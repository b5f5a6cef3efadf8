"""The targets of `make device-test`.

A target is anything with a `name`, `goldens`, `missing` and `run` (`target.Target`). One more is one more entry of
`TARGETS`, at the end of this module, and, where it is of a new kind, a class in a module of its own.
"""

from __future__ import annotations

from .hosted import Hosted
from .microcontrollers import Avr, CortexM
from .target import COMPACT, MEASURED, Target
from .wasm import Wasm

KILO = 1024
THUMB = ("-mthumb", "-mfloat-abi=soft")
SANITISED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
UNTOUCHED = ("-O1", "-g", "-DPORT_UNTOUCHED")
MEMCHECK = ("valgrind", "--quiet", "--error-exitcode=9")
"""Finds what is decided by memory that nobody wrote; it says nothing where there is nothing."""
STATIC = ("-O2", "-static")
SMALL = "-DPG_SMALL"
"""The core for devices with little memory."""
PLAIN = "-DPG_PLAIN_WEIGHTS"
"""The core for devices whose models have int8 and int4 weights alone."""

HOST: tuple[Target, ...] = (
    Hosted("host-gcc-O0", "gcc", ("-O0",)),
    Hosted("host-gcc-Os", "gcc", ("-Os",), size=True),
    Hosted("host-gcc-O3", "gcc", ("-O3",), instructions=True),
    Hosted("host-clang-O2", "clang", ("-O2",)),
    Hosted("host-asan-ubsan", "gcc", SANITISED),
    Hosted("host-small", "gcc", (*SANITISED, SMALL)),
    Hosted("host-memcheck", "gcc", UNTOUCHED, MEMCHECK, ("small",)),
    Hosted("host-small-memcheck", "gcc", (*UNTOUCHED, SMALL), MEMCHECK, ("small",)),
)
USER: tuple[Target, ...] = (
    Hosted("i686", "i686-linux-gnu-gcc", STATIC, size=True),
    Hosted("aarch64", "aarch64-linux-gnu-gcc", STATIC, ("qemu-aarch64",), size=True),
    Hosted("armhf", "arm-linux-gnueabihf-gcc", STATIC, ("qemu-arm",), size=True),
    Hosted("riscv64", "riscv64-linux-gnu-gcc", STATIC, ("qemu-riscv64",), size=True),
    Hosted("s390x", "s390x-linux-gnu-gcc", STATIC, ("qemu-s390x",), size=True),
    Hosted("mips", "mips-linux-gnu-gcc", STATIC, ("qemu-mips",), size=True),
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
        name="cortex-m4-plain",
        machine="mps2-an386",
        flags=(*THUMB, "-mcpu=cortex-m4", PLAIN),
        flash=(0, 4096 * KILO),
        ram=(0x20000000, 4096 * KILO),
        goldens=(MEASURED,),
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
SIXTEEN_BIT: tuple[Target, ...] = (Avr("avr", "atmega1284p", (SMALL,), ("tiny",)),)
WASM: tuple[Target, ...] = (Wasm("wasm-node"), Wasm("wasm-chromium", browser=True))
TARGETS: tuple[Target, ...] = (*HOST, *USER, *CORTEX_M, *SIXTEEN_BIT, *WASM)
