"""Commands, the exported core and the golden file as C sources in one folder; it knows no target."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from projgraph.atomic import atomic_write
from projgraph.pack.export import export_model

from .golden import Golden

HERE = Path(__file__).parent
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffp-contract=off")
LIMIT_SECONDS = 300.0
BYTES_A_ROW = 24


class TargetError(Exception):
    """A target that does not build, does not run, or prints what no golden program prints."""


@dataclass(frozen=True)
class Sources:
    """The folder of everything that a target compiles.

    Attributes:
        folder: `projgraph.c` and `.h`, the core as `projgraph export --target c` writes it.
        goldens: golden sets by name; `golden_NAME.c` and `golden_NAME.bin` hold each.
    """

    folder: Path
    goldens: dict[str, Golden]

    @property
    def core(self) -> Path:
        """The core in one file."""
        return self.folder / "projgraph.c"

    def of(self, golden: str) -> Path:
        """A golden set as a C array."""
        return self.folder / f"golden_{golden}.c"

    def binary(self, golden: str) -> Path:
        """The same bytes as a file, for targets that read one."""
        return self.folder / f"golden_{golden}.bin"


def write_sources(folder: Path, goldens: dict[str, Golden]) -> Sources:
    """Export the core and write the golden sets."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = Sources(folder, goldens)
    model = folder / "any.pgb"
    atomic_write(model, next(iter(goldens.values())).cases[0].data)
    export_model(model, "c", folder)
    for name, golden in goldens.items():
        data = golden.to_bytes()
        atomic_write(sources.binary(name), data)
        atomic_write(sources.of(name), _array(data).encode())
    return sources


def _array(data: bytes) -> str:
    rows = (", ".join(map(str, data[at : at + BYTES_A_ROW])) for at in range(0, len(data), BYTES_A_ROW))
    return "extern const unsigned char golden[];\nconst unsigned char golden[] = {\n" + ",\n".join(rows) + "\n};\n"


def found(tool: str) -> bool:
    """Whether there is such a command."""
    return shutil.which(tool) is not None


def run(command: Sequence[str | Path], what: str, expected_errors: str = "", errors: bool = False) -> str:
    """The standard output of a command, which may say on standard error what is expected there and nothing else.

    With ``errors`` it may say anything there, which is what is returned.

    Raises:
        TargetError: it fails, prints anything else to standard error, or takes longer than `LIMIT_SECONDS`.
    """
    # LeakSanitizer needs ptrace, which containers forbid.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{what} took longer than {LIMIT_SECONDS:.0f} s") from error
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != 0 or (said not in ("", expected_errors) and not errors):
        end = (said or done.stdout.decode("utf-8", "replace").strip())[-2000:]
        raise TargetError(f"{what} ended with {done.returncode}: {end}")
    return said if errors else done.stdout.decode("utf-8", "replace")


def version(compiler: str) -> str:
    """The first line that a compiler tells of itself, without what its packager added."""
    first = run([compiler, "--version"], f"{compiler} --version").splitlines()[0]
    words = first.split()
    number = next((word for word in reversed(words) if word[:1].isdigit() and "." in word), "")
    return f"{compiler} {number}"


def object_sizes(size_tool: str, file: Path) -> tuple[int, int]:
    """Bytes of code and of constants of an object file."""
    code = constants = 0
    for line in run([size_tool, "-A", file], f"{size_tool} {file.name}").splitlines():
        words = line.split()
        if len(words) == 3 and words[1].isdigit():
            if words[0].startswith(".text"):
                code += int(words[1])
            elif words[0].startswith((".rodata", ".progmem", ".data.rel.ro")):
                constants += int(words[1])
    return code, constants
