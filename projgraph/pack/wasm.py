"""A model as a folder for JavaScript: the core as WebAssembly, an ES module, types, a package; it knows no training."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

from projgraph.core.wasm_core import CannotBuildError, core_wasm
from projgraph.errors import ConfigError
from projgraph.native import NativeModel

WEB = Path(__file__).with_name("web")
CORE = Path(__file__).parents[1] / "core"
STATUS = re.compile(r'^ *X\(PG_[A-Z_]+, ("[^"]*")\)', re.MULTILINE)

PACKAGE_VERSION = "1.0.0"
README = """\
# {title}

A {what} classifier written by projgraph export: `{file}` is the model, `projgraph.wasm` the core that runs it, without
imports or network; `index.mjs` loads them in node, browsers and workers, and bundlers take both along.

```js
import {{ load }} from "{package}";

const model = await load();
model.predict({example}); // a label, or null where the model gives none
model.scores({example}); // an integer a class: the same to the bit on every device
model.labels;
```

`load` also takes another model's URL or bytes, and `{{ wasm }}` where `projgraph.wasm` is elsewhere; `index.d.ts` has
the types. `npm pack` makes a package of this folder: give it a name and a version of your own in `package.json`, in a
copy, since the next export writes all of these files anew. The runtime is licensed Apache-2.0.
"""


def wasm_files(data: bytes, native: NativeModel, file: str) -> dict[str, bytes]:
    """The folder's files by name.

    Args:
        data: the model file's bytes, checked.
        native: the same model.
        file: the model file's name.

    Raises:
        ConfigError: the WebAssembly core is neither in this installation nor can it be compiled here.
    """
    text = {
        "index.mjs": module_source(file),
        "index.d.ts": (WEB / "index.d.ts").read_text(encoding="utf-8"),
        "package.json": _package(file),
        "README.md": _readme(native, file),
    }
    return {"projgraph.wasm": core_for(native), file: data} | {name: each.encode() for name, each in text.items()}


def core_for(native: NativeModel) -> bytes:
    """The WebAssembly core that runs a model.

    Raises:
        ConfigError: it is neither in this installation nor can it be compiled here.
    """
    try:
        return core_wasm("vector" if native.columns else "text")
    except CannotBuildError as error:
        raise ConfigError(
            f"the WebAssembly core is not in this installation of projgraph, and it cannot be compiled: {error}; "
            "install clang and lld (on Debian or Ubuntu `apt-get install clang lld`) and export again"
        ) from error


def module_source(file: str) -> str:
    """The ES module, with the model's file name and the core's messages in their places."""
    header = re.sub(r"\\\n", "\n", (CORE / "projgraph.h").read_text(encoding="utf-8"))
    statuses = ",\n    ".join(STATUS.findall(header))
    source = (WEB / "index.mjs").read_text(encoding="utf-8")
    source = source.replace('["@statuses@"]', f"[\n    {statuses},\n]")
    return source.replace("@file@", quote(file))


def package_name(file: str) -> str:
    """A name that npm takes, after the model file's."""
    plain = re.sub(r"[^a-z0-9._~-]+", "-", Path(file).stem.lower()).strip("-._~")
    return plain[:200] or "model"


def _package(file: str) -> str:
    package = {
        "description": "A classifier written by projgraph export",
        "name": package_name(file),
        "version": PACKAGE_VERSION,
        "type": "module",
        "exports": {
            ".": {"types": "./index.d.ts", "default": "./index.mjs"},
            "./model.pgb": f"./{file}",
            "./projgraph.wasm": "./projgraph.wasm",
        },
        "types": "./index.d.ts",
        "files": ["index.mjs", "index.d.ts", "projgraph.wasm", file],
        "sideEffects": False,
    }
    return json.dumps(package, ensure_ascii=False, indent=2) + "\n"


def _readme(native: NativeModel, file: str) -> str:
    example = f"[/* {native.columns} numbers */]" if native.columns else '"wake me up at seven"'
    what = "vector" if native.columns else "text"
    name = package_name(file)
    return README.format(title=name, what=what, file=file, package=name, example=example)
