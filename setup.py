"""The one step of the build that pyproject.toml cannot tell: the WebAssembly core, where clang and lld are at hand."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

CORE = Path("projgraph") / "core"


class BuildExtensions(build_ext):
    """The extensions, and the modules beside the core."""

    def run(self) -> None:
        """Without clang the package works all the same: its export of WebAssembly says what is missing."""
        super().run()
        root = Path() if self.inplace or self.editable_mode else Path(self.build_lib)
        build = runpy.run_path(str(CORE / "wasm_core.py"))["build"]
        sys.stderr.write(f"projgraph: {build(root / CORE)}\n")


setup(cmdclass={"build_ext": BuildExtensions})
