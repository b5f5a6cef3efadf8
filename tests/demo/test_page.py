"""The demo page in a real Chromium, from a file and without network: it shows what Python predicts, to the bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projgraph.cli import app
from projgraph.demo.page import PAGE, evenly, examples, page, write_demo
from projgraph.errors import InputError, ModelFileError, OutputError
from projgraph.native import NativeModel, project
from projgraph.nearest import NearestTexts
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.read import read_model
from projgraph.pack.write import model_bytes
from projgraph.read import read_dataset
from projgraph.records import UNLABELLED, Dataset, Texts
from projgraph.runtime import load

from ..core.reference_head import random_file
from ..pack.conftest import random_model
from ..pack.test_export import a_model, a_model_of_words
from ..pack.test_wasm import TEXTS, needed

SENTENCES = ["wake me at six", "is it going to rain", "lock the front door", "play some jazz", "", "zzz 日本 😀"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    needed("chromium", "clang", "wasm-ld")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


def opened(browser: Any, path: Path, wait: str = "window.projgraph") -> Any:
    """The page from its file, without network; what it complains of fails the test."""
    shown = browser.new_context(offline=True, viewport={"width": 1120, "height": 900}).new_page()
    complaints: list[str] = []
    requests: list[str] = []
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("request", lambda request: requests.append(request.url))
    shown.goto(path.as_uri())
    shown.wait_for_function(wait)
    assert (complaints, [url for url in requests if not url.startswith("data:")]) == ([], [path.as_uri()])
    return shown


def asked(shown: Any, text: str) -> dict[str, Any]:
    """What the page shows of a text that is typed."""
    shown.fill("#text", text)
    return {
        "label": shown.inner_text("#label"),
        "confidence": shown.inner_text("#confidence"),
        "classes": [row.split("\n") for row in shown.locator("#classes li").all_inner_texts()],
        "counts": shown.inner_text("#counts"),
        "nodes": [row.split("\n") for row in shown.locator("#nodes li").all_inner_texts()],
    }


def test_the_page_shows_what_python_predicts(browser, small_model, intents, tmp_path):
    train = intents / "train.csv"
    shown = opened(browser, write_demo(small_model, tmp_path / "site", train).resolve())
    model = load(small_model)
    nearest = NearestTexts(read_model(small_model)[0].projection, read_dataset(train))
    for text in SENTENCES:
        found = asked(shown, text)
        shares = model.predict_proba([text])[0]
        best = np.argsort(-shares, kind="stable")
        assert found["label"] == model.predict([text])[0]
        assert found["confidence"] == f"{100 * shares[best[0]]:.1f} % confident"
        assert found["classes"] == [[model.classes[each], f"{100 * shares[each]:.1f} %"] for each in best[:5]]
        lit = int(np.abs(project(read_model(small_model)[0].projection, Texts.from_strings([text])).values()).sum())
        assert found["counts"] == f"{lit} of 512 bits lit"
        expected = nearest.find(text, 6)
        assert [[node[1], node[2]] for node in found["nodes"]] == [[" ".join(t.split()), c] for _, t, c in expected]
        assert [node[3] for node in found["nodes"]] == [f"{far:.3f}" for far, _, _ in expected]
    facts = shown.inner_text("#facts").split("\n")
    assert facts[0] == "5 classes"
    assert facts[2] == "512 bits"
    assert float(facts[3].removesuffix(" µs a call")) > 0
    assert shown.locator("#map circle.dot").count() == 6


def test_bits_are_drawn_in_their_colours(browser, small_model, tmp_path):
    shown = opened(browser, write_demo(small_model, tmp_path / "site").resolve())
    shown.fill("#text", "wake me at six")
    drawn = shown.evaluate("""() => {
        const canvas = document.getElementById("bits"), context = canvas.getContext("2d"), columns = 96;
        const cell = canvas.width / columns;
        return [...Array(512).keys()].map((bit) => [...context.getImageData(
            Math.round((bit % columns) * cell) + 1, Math.round(Math.floor(bit / columns) * cell) + 1, 1, 1).data]);
    }""")
    colours = {(13, 148, 136, 255): 1, (245, 158, 11, 255): -1, (233, 237, 242, 255): 0}
    projection = read_model(small_model)[0].projection
    bits = project(projection, Texts.from_strings(["wake me at six"])).values()[0]
    assert [colours[tuple(pixel)] for pixel in drawn] == bits.tolist()
    assert set(bits.tolist()) == {-1, 0, 1}
    assert not shown.is_visible("#nearest")


@pytest.mark.parametrize("kind", ["hidden", "words", "packed"])
def test_scores_in_chromium_are_those_of_the_core_to_the_bit(browser, tmp_path, kind):
    model = a_model_of_words(random_model, 12) if kind == "words" else a_model(random_model, 11, 4, 12)
    data = model_bytes(model, {})
    if kind == "packed":  # ternary behind sparse ones of 16 values
        data = random_file(ProjectionSpec.for_text(bits=256), 3, 7, 2, 12, 52)
    (tmp_path / "model.pgb").write_bytes(data)
    shown = opened(browser, write_demo(tmp_path / "model.pgb", tmp_path).resolve())
    script = "(texts) => JSON.parse(texts).map((text) => [...projgraph.model.scores(text)])"
    expected = NativeModel(data).scores(Texts.from_strings(TEXTS))
    assert shown.evaluate(script, json.dumps(TEXTS)) == expected.tolist()


def test_a_model_that_abstains_says_so(browser, tmp_path):
    model = dataclasses.replace(a_model(random_model, 12, 8, 0), threshold=2**31 - 1)
    (tmp_path / "model.pgb").write_bytes(data := model_bytes(model, {}))
    shown = opened(browser, write_demo(tmp_path / "model.pgb", tmp_path).resolve())
    best = model.classes[int(NativeModel(data).scores(Texts.from_strings(["snow"])).argmax())]
    found = asked(shown, "snow")
    assert found["label"] == "no label"
    assert found["confidence"] == f"The best score, of {best}, is below the model's threshold: it abstains."


def test_texts_and_labels_are_never_markup(browser, tmp_path):
    hostile = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    model = a_model(random_model, 12, 8, 0)
    model = dataclasses.replace(model, classes=(hostile, *model.classes[1:]))
    (tmp_path / "a<b>&'.pgb").write_bytes(data := model_bytes(model, {}))
    rows = Texts.from_strings([hostile, "half \ud83d of a pair"])
    texts = Dataset(rows, np.array([0, UNLABELLED], dtype=np.int64), (hostile,))
    native = NativeModel(data)
    (tmp_path / PAGE).write_bytes(page(data, native, "a<b>&'", texts))
    shown = opened(browser, (tmp_path / PAGE).resolve())
    found = asked(shown, hostile)
    assert found["nodes"][0][1:] == [hostile, hostile, "0.000"]
    assert found["nodes"][1][2] == "no label"
    assert shown.inner_text("h1") == "a<b>&'"
    assert shown.evaluate("window.hacked") is None


def test_a_page_that_cannot_run_says_why(browser, small_model, tmp_path):
    path = write_demo(small_model, tmp_path)
    source = path.read_text(encoding="utf-8")
    start = source.index('"model":"') + 200
    path.write_text(source[:start] + ("A" if source[start] != "A" else "B") + source[start + 1 :], encoding="utf-8")
    shown = opened(browser, path.resolve(), wait="document.querySelector('.error')")
    damaged = "the model cannot be used: the checksum does not match: the file is damaged"
    assert shown.inner_text("main") == f"This page cannot run: {damaged}"


def test_the_command_writes_one_file_that_is_the_same_each_time(small_model, intents, tmp_path):
    from typer.testing import CliRunner

    needed("clang", "wasm-ld")
    arguments = ["demo", str(small_model), "--out", str(tmp_path / "new" / "site"), "--json"]
    ran = CliRunner().invoke(app, [*arguments, "--nearest", str(intents / "train.csv")])
    assert (ran.exit_code, list(tmp_path.glob("new/site/*"))) == (0, [tmp_path / "new" / "site" / PAGE])
    content = (tmp_path / "new" / "site" / PAGE).read_bytes()
    assert json.loads(ran.stdout) == {"page": str(tmp_path / "new" / "site" / PAGE), "bytes": len(content)}
    assert write_demo(small_model, tmp_path / "again", intents / "train.csv").read_bytes() == content
    assert b"://" not in content.replace(b"http://www.w3.org/2000/svg", b"").replace(b'"://"', b"").replace(
        b"`file://", b""
    )


def test_what_cannot_be_shown_is_refused(vector_model, small_model, tmp_path):
    needed("clang", "wasm-ld")
    with pytest.raises(InputError, match="takes vectors of 3 columns; expected a model of texts to type in"):
        write_demo(vector_model, tmp_path / "site")
    with pytest.raises(InputError, match=r"cannot read .*missing\.pgb"):
        write_demo(tmp_path / "missing.pgb", tmp_path / "site")
    (tmp_path / "none.pgb").write_bytes(b"PGB\0")
    with pytest.raises(ModelFileError, match=r"none\.pgb: the file's length is 4"):
        write_demo(tmp_path / "none.pgb", tmp_path / "site")
    assert not (tmp_path / "site").exists()
    (tmp_path / "site").write_text("mine")
    with pytest.raises(OutputError, match=r"site: it is a file; expected a folder"):
        write_demo(small_model, tmp_path / "site")
    (tmp_path / PAGE).write_text("<html>mine</html>")
    with pytest.raises(OutputError, match=r"already has index\.html, not written by projgraph"):
        write_demo(small_model, tmp_path)


def test_of_many_texts_some_are_taken_evenly():
    assert evenly(3, 5) == [0, 1, 2]
    assert evenly(10, 4) == [0, 2, 5, 7]
    rows = [
        ("too short", "a"),
        ("the first of fitting length", "a"),
        ("the second one of a", "a"),
        ("of b, fits as well", "b"),
    ]
    assert examples([*rows, ("without a label it is none", "")]) == [
        "the first of fitting length",
        "of b, fits as well",
    ]
