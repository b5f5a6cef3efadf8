"""The core as a freestanding WebAssembly module: found as it was built, or compiled by clang; it knows no model.

A module takes texts, or vectors: each leaves out what the other needs. It is built with the package, since who exports
a model seldom has clang with a linker for WebAssembly; compiled at export, it would differ from machine to machine,
too. Only where the package was built without clang, or its sources have changed since, an export compiles. Only the
standard library is imported, so that the build of the package can run this file by itself.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["text", "vector"]
KINDS: tuple[Kind, ...] = get_args(Kind)

CORE = Path(__file__).parent
FOLDER = CORE / "wasm"
STAND_INS: dict[Kind, tuple[str, frozenset[str]]] = {
    "text": ("no_vectors.h", frozenset({"pg_vector.c"})),
    "vector": ("no_texts.h", frozenset({"pg_text.c", "pg_features.c", "pg_words.c"})),
}
"""For each kind, the file that stands in the place of others."""
COMPILER = "clang"
LINKER = "wasm-ld"
STACK_BYTES = 32768
FLAGS = (
    "--target=wasm32",
    "-std=c99",
    "-Oz",
    "-DPG_COMPACT",
    "-mbulk-memory",  # memset and memcpy are instructions: no C library is linked
    "-msign-ext",
    "-ffp-contract=off",
    "-Werror",
    "-nostdlibinc",
    "-c",
)
LINKER_FLAGS = (
    "--no-entry",
    "--strip-all",
    "--export=__heap_base",
    "--stack-first",  # a stack that is too small traps at once, it does not overwrite
    "-z",
    f"stack-size={STACK_BYTES}",
)
MARK = b"written by projgraph export"
"""Stands in the module's first section, so that an export knows its own file."""
_HEADER = b"\0asm\1\0\0\0"


class CannotBuildError(Exception):
    """clang or its linker is missing, or refuses; the message says which."""


def core_wasm(kind: Kind) -> bytes:
    """The module of this version's core: as the package was built with it, or else compiled now.

    Raises:
        CannotBuildError: the package was built without it, or from other sources, and it cannot be compiled here.
    """
    try:
        built = built_path(kind).read_bytes()
    except OSError:
        built = b""
    return built if built.startswith(_first_section(kind)) else compile_core(kind)


def built_path(kind: Kind, core: Path = CORE) -> Path:
    """Where the build of the package puts a module."""
    return core / FOLDER.name / f"{kind}.wasm"


def compile_core(kind: Kind) -> bytes:
    """The module, compiled from the core's sources.

    Raises:
        CannotBuildError: as ``core_wasm``.
    """
    missing = [tool for tool in (COMPILER, LINKER) if shutil.which(tool) is None]
    if missing:
        raise CannotBuildError(f"{' and '.join(missing)} missing on this machine")
    with tempfile.TemporaryDirectory() as folder:
        unit, compiled, linked = (Path(folder) / f"core.{ending}" for ending in ("c", "o", "wasm"))
        unit.write_text("".join(f'#include "{source.name}"\n' for source in _sources(kind)), encoding="utf-8")
        vectors = f"-DPG_WASM_VECTORS={int(kind == 'vector')}"
        places = (f"-I{FOLDER}", f"-I{CORE}")
        # Two steps: when clang links, it also runs a wasm-opt that happens to be there, and the bytes would differ.
        _run(COMPILER, *FLAGS, vectors, *places, str(unit), "-o", str(compiled))
        _run(LINKER, *LINKER_FLAGS, str(compiled), "-o", str(linked))
        return _first_section(kind) + linked.read_bytes().removeprefix(_HEADER)


def _run(tool: str, *arguments: str) -> None:
    ran = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines() or ["it says nothing"]
        told = next((line for line in lines if "error:" in line), lines[0])
        raise CannotBuildError(f"{tool} refuses the core: {told}")


def _sources(kind: Kind) -> list[Path]:
    """What a module is compiled from, in order."""
    stand_in, replaced = STAND_INS[kind]
    core = [source for source in sorted(CORE.glob("pg_*.c")) if source.name not in replaced]
    return [CORE / "pg_internal.h", FOLDER / stand_in, *core, FOLDER / "entry.c"]


def _first_section(kind: Kind) -> bytes:
    """The header and a custom section that says which sources and flags the module comes from."""
    digest = hashlib.sha256("\0".join((kind, *FLAGS, *LINKER_FLAGS)).encode())
    for source in [*sorted(CORE.glob("*.h")), FOLDER / "string.h", *_sources(kind)]:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    name, content = b"projgraph", MARK + b", core " + digest.hexdigest()[:32].encode()
    section = bytes([len(name)]) + name + content
    return _HEADER + b"\0" + bytes([len(section)]) + section


def build(core: Path) -> str:
    """Put every module where a built package has it; returns a line that says what was done.

    Args:
        core: the folder of the package that is being built, this file's own in a checkout.
    """
    try:
        modules = {kind: compile_core(kind) for kind in KINDS}
    except CannotBuildError as error:
        return f"without the WebAssembly core: {error}; `projgraph export --target wasm` will need clang and lld"
    for kind, module in modules.items():
        built_path(kind, core).parent.mkdir(parents=True, exist_ok=True)
        built_path(kind, core).write_bytes(module)
    sizes = ", ".join(f"{kind} {len(module)} bytes" for kind, module in modules.items())
    return f"with the WebAssembly core: {sizes}"
