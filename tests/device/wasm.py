"""The WebAssembly targets: what `projgraph export --target wasm` writes, in node and in headless Chromium."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import projgraph.core
from projgraph.atomic import atomic_write
from projgraph.pack.export import export_model

from .golden import Golden
from .target import Outcome
from .toolchain import HERE, LIMIT_SECONDS, Sources, TargetError, found, run, version

STATUS = re.compile(r'X\((PG_\w+), +"([^"]+)"\)')
REFUSED = "the model cannot be used: "
PAGE = """\
<!doctype html><link rel="icon" href="data:,"><script type="module">
import { lines } from "./golden.mjs";
const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const compiled = async (name) => WebAssembly.compile(await read(name));
const cores = { text: await compiled("text/projgraph.wasm"), vector: await compiled("vector/projgraph.wasm") };
window.found = await lines(await read("golden.bin"), cores);
</script>
"""


@dataclass(frozen=True)
class Wasm:
    """The exported folders of a model of texts and of one of vectors, which run all golden models."""

    name: str
    browser: bool = False
    goldens: tuple[str, ...] = ("full",)
    compiler: str = "clang"

    def missing(self) -> str:
        tools = [self.compiler, "wasm-ld", "chromium" if self.browser else "node"]
        reasons = [f"no {tool}" for tool in tools if not found(tool)]
        if self.browser and importlib.util.find_spec("playwright") is None:
            reasons.append("playwright is not installed")
        return ", ".join(reasons)

    def run(self, sources: Sources, folder: Path) -> Outcome:
        outcome = Outcome(compiler=version(self.compiler))
        for golden in self.goldens:
            _export(sources.goldens[golden], folder)
            atomic_write(folder / "golden.bin", sources.binary(golden).read_bytes())
            atomic_write(folder / "golden.mjs", (HERE / "golden.mjs").read_bytes())
            atomic_write(folder / "index.html", PAGE.encode())
            printed = _in_chromium(folder) if self.browser else _in_node(folder)
            outcome.printed[golden] = [named(line) for line in printed]
        if not self.browser:
            outcome.measures["flash"] = (folder / "text" / "projgraph.wasm").stat().st_size
        return outcome


def named(line: str) -> str:
    """A line with the name of a status in the place of its meaning, which is what the module throws."""
    start, refused, meaning = line.partition(REFUSED)
    if not refused:
        return line
    header = (Path(projgraph.core.__file__).parent / "projgraph.h").read_text(encoding="utf-8")
    names: dict[str, str] = {text: name for name, text in STATUS.findall(header)}
    return start + names.get(meaning, meaning)


def _export(golden: Golden, folder: Path) -> None:
    """The folders `text` and `vector`, as a user has them."""
    for kind in ("text", "vector"):
        wanted = (case for case in golden.cases if case.rows)
        case = next(case for case in wanted if (golden.rows[case.rows[0]].values is None) == (kind == "text"))
        model = folder / f"{kind}.pgb"
        atomic_write(model, case.data)
        export_model(model, "wasm", folder / kind)


def _in_node(folder: Path) -> list[str]:
    return run(["node", folder / "golden.mjs"], "the module in node").splitlines()


def _in_chromium(folder: Path) -> list[str]:
    from playwright import sync_api

    complaints: list[str] = []
    with _served(folder) as address, sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--no-proxy-server", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            page.goto(f"{address}/index.html")
            page.wait_for_function("window.found", timeout=1000 * LIMIT_SECONDS)
            lines = [str(line) for line in page.evaluate("window.found")]
        except sync_api.Error as error:
            raise TargetError(f"the page ended with {error.message}; {'; '.join(complaints)}") from error
        finally:
            browser.close()
    if complaints:
        raise TargetError(f"the page complains: {'; '.join(complaints)}")
    return lines


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The address of a folder, since a page from a file may import no module."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
