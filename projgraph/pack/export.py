"""A model file to a folder that needs no Python: the file itself, or C99 sources; it knows no training."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from projgraph.atomic import atomic_write
from projgraph.errors import ConfigError, ModelFileError, OutputError
from projgraph.native import NativeModel
from projgraph.pack.format import MAGIC, MAX_VALUES
from projgraph.pack.onnx_graph import onnx_bytes
from projgraph.pack.read import parse_model
from projgraph.pack.sections import model_file_bytes
from projgraph.pack.wasm import wasm_files

Target = Literal["pgb", "c", "wasm", "onnx"]
TARGETS: tuple[Target, ...] = get_args(Target)

CORE = Path(__file__).parents[1] / "core"
MAIN = Path(__file__).with_name("main.c")
MAIN_OF_VECTORS = Path(__file__).with_name("main_vectors.c")
LOCAL_INCLUDE = re.compile(r'#include "(.+)"')
BYTES_A_ROW = 24
MARK = b"written by projgraph export"
"""Near the start of every generated file but a model: what lacks it is somebody else's and is not overwritten."""
MARK_WITHIN = 256

ABOUT_HEADER = (
    "/* Written by projgraph export: the device core's functions.\n * SPDX-License-Identifier: Apache-2.0 */\n\n"
)
ABOUT_SOURCE = (
    "/* Written by projgraph export: the device core in one file, for any C99 compiler.\n"
    " * SPDX-License-Identifier: Apache-2.0 */\n\n"
)
MODEL_HEADER = """\
/* Written by projgraph export: a .pgb model as an array; the core reads bytes, so that it needs no alignment. */

#ifndef PROJGRAPH_MODEL_H
#define PROJGRAPH_MODEL_H

#define PROJGRAPH_MODEL_LENGTH {length}UL
#ifndef PROJGRAPH_MODEL_SCRATCH /* less with -DPG_SMALL: give what pg_scratch_size says there */
#define PROJGRAPH_MODEL_SCRATCH {scratch}UL /* to predict with, which is checked; 32-bit devices need a little less */
#endif
{values}
#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char projgraph_model[PROJGRAPH_MODEL_LENGTH];

#ifdef __cplusplus
}}
#endif

#endif
"""
VALUES = "#define PROJGRAPH_MODEL_VALUES {values}UL /* of a row at most */\n"
README = """\
A text classifier written by projgraph export, in C99; projgraph.h has its functions and model.h its sizes.
Compile and run it: cc -std=c99 -O2 main.c model.c projgraph.c -o predict && ./predict < texts
A UTF-8 text a line goes in, its label a line comes out: the labels of `projgraph predict`.
"""
README_OF_VECTORS = """\
A classifier of rows of numbers written by projgraph export, in C99: projgraph.h has its functions, model.h its sizes.
Compile and run it: cc -std=c99 -O2 main.c model.c projgraph.c -o predict && ./predict < rows
A row a line goes in, {columns} numbers or column:number pairs from column 0 on, its label a line comes out.
"""


def export_model(model_path: str | os.PathLike[str], target: Target, out: Path) -> tuple[Path, ...]:
    """Write a model for a device into a folder; the same model gives the same bytes.

    Args:
        model_path: a `.pgb` file; it is validated before anything is written.
        target: "pgb" copies the file under its own name. "c" writes ``projgraph.h`` and ``projgraph.c`` (the core),
            ``model.h`` and ``model.c`` (the model as an array), ``main.c`` (a label a line of text, or of numbers where
            the model takes vectors) and ``README.txt``. "wasm" writes ``projgraph.wasm`` (the core), the model under
            its own name, ``index.mjs`` and ``index.d.ts`` (to load and run it), ``package.json`` and ``README.md``.
            "onnx" writes the graph of `projgraph.pack.onnx_graph` under the model's name.
        out: the folder, made if missing. Other files in it stay as they are.

    Returns:
        The files written, in that order.

    Raises:
        ConfigError: the target is unknown, or needs what is not installed; the message says what.
        InputError: there is no such model file, it cannot be read, or the target does not take it.
        ModelFileError: it is no model.
        OutputError: ``out`` is a file, a file there has one of these names but another origin, or the system refuses.
    """
    if target not in TARGETS:
        raise ConfigError(f"target is {target!r}; expected {', '.join(TARGETS[:-1])} or {TARGETS[-1]}")
    data, name = model_file_bytes(model_path)
    try:
        model, provenance = parse_model(data)
        native = NativeModel(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    file = Path(model_path).name
    if target == "onnx":
        files = {Path(file).with_suffix(".onnx").name: onnx_bytes(model, provenance)}
    elif target == "wasm":
        files = wasm_files(data, native, file)
    else:
        files = _c_files(data, native) if target == "c" else {file: data}
    make_folder(out)
    foreign = [file for file in files if _is_foreign(out / file)]
    if foreign:
        raise OutputError(
            f"{out} already has {', '.join(foreign)}, not written by projgraph; "
            "expected a folder without them: move them away or choose another folder"
        )
    for file, content in files.items():
        atomic_write(out / file, content)
    return tuple(out / file for file in files)


def _c_files(data: bytes, native: NativeModel) -> dict[str, bytes]:
    """The C folder's files by name."""
    columns = native.columns
    values = VALUES.format(values=min(columns, MAX_VALUES)) if columns else ""
    texts = {
        "projgraph.h": ABOUT_HEADER + "".join(_inlined(CORE / "projgraph.h", set())),
        "projgraph.c": "".join(_core_source()),
        "model.h": MODEL_HEADER.format(length=len(data), scratch=native.scratch_bytes, values=values),
        "model.c": "".join(_model_source(data)),
        "main.c": (MAIN_OF_VECTORS if columns else MAIN).read_text(encoding="utf-8"),
        "README.txt": README_OF_VECTORS.format(columns=columns) if columns else README,
    }
    return {file: text.encode() for file, text in texts.items()}


def _core_source() -> Iterator[str]:
    """The core's translation units one after the other, behind the headers they share; module.c is Python's."""
    yield ABOUT_SOURCE + '#include "projgraph.h"\n\n'
    seen = {"projgraph.h"}
    for source in sorted(CORE.glob("pg_*.c")):
        yield from _inlined(source, seen)
        yield "\n"


def _inlined(source: Path, seen: set[str]) -> Iterator[str]:
    """The lines of a source, with every local header not seen yet in the place of its include line."""
    for line in source.read_text(encoding="utf-8").splitlines(keepends=True):
        include = LOCAL_INCLUDE.match(line)
        if not include:
            yield line
        elif include[1] not in seen:
            seen.add(include[1])
            yield from _inlined(CORE / include[1], seen)


def _model_source(data: bytes) -> Iterator[str]:
    yield "/* Written by projgraph export. */\n\n"
    yield '#include "model.h"\n\nconst unsigned char projgraph_model[PROJGRAPH_MODEL_LENGTH] = {\n'
    for start in range(0, len(data), BYTES_A_ROW):
        yield "    " + ", ".join(map(str, data[start : start + BYTES_A_ROW])) + ",\n"
    yield "};\n"


def make_folder(out: Path) -> None:
    """Make a folder, and those above it, where there is none.

    Raises:
        OutputError: it is a file, or the system refuses.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"cannot export to {out}: it is a file; expected a folder, new or not") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot export to {str(out)!r}: {reason}; expected a folder, new or not") from error


def _is_foreign(path: Path) -> bool:
    """Whether an export would overwrite a file that no export has written."""
    if not path.is_file():
        return False  # nothing there, or nothing that a file can replace: writing says so
    try:
        with path.open("rb") as file:
            first = file.read(MARK_WITHIN)
    except OSError:
        return True
    return not first.startswith(MAGIC) and MARK not in first.lower()
