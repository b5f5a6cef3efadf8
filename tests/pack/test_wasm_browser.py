"""The WebAssembly folder behind a web server: a page and a worker of Chromium give the binding's scores to the bit."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from projgraph.records import Texts

from .test_export import a_model
from .test_wasm import TEXTS, exported, needed

PAGE = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.mjs"></script>'
SCRIPT = """
import { load } from "./index.mjs";
const texts = await (await fetch("texts.json")).json();
const model = await load();
const own = texts.map((text) => [...model.scores(text)]);
const worker = new Worker("worker.mjs", { type: "module" });
worker.onmessage = (event) => { window.found = [own, event.data]; };
worker.postMessage(texts);
"""
WORKER = """
import { load } from "./index.mjs";
onmessage = async (event) => {
    const model = await load("a model.pgb");
    postMessage(event.data.map((text) => [...model.scores(text)]));
};
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of the exported folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path / "js")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_and_a_worker_give_the_scores_of_the_binding(tmp_path, make_model, served):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    needed("chromium")
    folder, native = exported(tmp_path, a_model(make_model, 11, 4, 12))
    files = {"index.html": PAGE, "page.mjs": SCRIPT, "worker.mjs": WORKER, "texts.json": json.dumps(TEXTS)}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--no-proxy-server", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{served}/index.html")
        page.wait_for_function("window.found")
        own, worker = page.evaluate("window.found")
        browser.close()
    assert complaints == []
    expected = native.scores(Texts.from_strings(TEXTS)).tolist()
    assert own == expected
    assert worker == expected
