"""The source tree of projgraph-runtime, put together from the project's own files: python runtime/stage.py FOLDER."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROJECT = HERE.parent
NAME = "projgraph_runtime"
MODULES = (
    "errors.py",
    "printable.py",
    "native.py",
    "records.py",
    "runtime.py",
    "_core.pyi",
    "py.typed",
    "pack/__init__.py",
    "pack/format.py",
)
IMPORT = re.compile(r"^( *(?:from|import) )projgraph\b", re.MULTILINE)
RELEASE = ["-g0"]
"""Without what a debugger reads, which is most of an extension's bytes."""


def stage(folder: Path) -> None:
    """Write the tree into a folder, which is emptied first."""
    whole = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)
    for module in MODULES:
        write(folder / NAME / module, (PROJECT / "projgraph" / module).read_text(encoding="utf-8"))
    start = (HERE / "__init__.py").read_text(encoding="utf-8")
    write(folder / NAME / "__init__.py", start.replace("@version@", whole["project"]["version"]))
    write(folder / "pyproject.toml", project_file(whole, folder))
    shutil.copy(HERE / "README.md", folder)
    shutil.copy(PROJECT / "LICENSE", folder)


def write(target: Path, text: str) -> None:
    """A file whose imports of the project, if it is a module, are of the runtime instead."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(IMPORT.sub(rf"\g<1>{NAME}", text), encoding="utf-8")


def project_file(whole: dict[str, Any], folder: Path) -> str:
    """The runtime's project file, with projgraph's version and its extension of the core, whose sources it copies."""
    core = next(each for each in whole["tool"]["setuptools"]["ext-modules"] if each["name"] == "projgraph._core")
    for file in [*core["sources"], *core["depends"]]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, folder / file)
    extension = {**core, "name": f"{NAME}._core", "extra-compile-args": core["extra-compile-args"] + RELEASE}
    fields = ", ".join(f"{name} = {json.dumps(value)}" for name, value in extension.items())  # JSON of these is TOML
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace('dynamic = ["version"]', f'version = "{whole["project"]["version"]}"')
    return text.replace("[tool.setuptools]\n", f"[tool.setuptools]\next-modules = [{{ {fields} }}]\n")


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
