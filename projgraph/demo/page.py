"""A model to one HTML page that runs it in a browser without server or network; it knows no training."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from pathlib import Path
from typing import Any

from projgraph.atomic import atomic_write
from projgraph.errors import InputError, ModelFileError, OutputError
from projgraph.native import NativeModel
from projgraph.pack.export import make_folder
from projgraph.pack.read import parse_model
from projgraph.pack.sections import model_file_bytes
from projgraph.pack.wasm import core_for, module_source
from projgraph.read import read_dataset
from projgraph.records import UNLABELLED, Dataset

TEMPLATES = Path(__file__).parent
PAGE = "index.html"
MARK = b"written by projgraph demo"
MARK_WITHIN = 256
PLACE = re.compile("@(title|style|data|module)@")
MOST_NODES = 5000
"""Training texts that a page carries at most; a browser projects them all when it opens the page, in 0.2 s or so."""
EXAMPLES = 6
_EXAMPLE_LENGTHS = range(18, 46)


def write_demo(
    model_path: str | os.PathLike[str],
    out: Path,
    nearest: Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
) -> Path:
    """Write the page into a folder; the same model and texts give the same bytes.

    Args:
        model_path: a `.pgb` file of texts.
        out: the folder, made if missing; the page is ``index.html`` in it, with everything inside.
        nearest: texts to search the nearest projection nodes in, such as the training's, with or without labels; of
            more than ``MOST_NODES``, as many evenly from first to last.
        text_column, label_column: of that file; guessed if left out.

    Returns:
        The page's path.

    Raises:
        InputError: there is no such file, or the model takes vectors.
        ModelFileError: it is no model.
        ConfigError: the WebAssembly core can be had nowhere.
        OutputError: the folder cannot be made, or has an ``index.html`` that no demo has written.
    """
    data, name = model_file_bytes(model_path)
    try:
        parse_model(data)
        native = NativeModel(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    if native.columns:
        raise InputError(f"{name} takes vectors of {native.columns} columns; expected a model of texts to type in")
    texts = None
    if nearest is not None:
        texts = read_dataset(nearest, text_column=text_column, label_column=label_column)
    content = page(data, native, Path(model_path).stem, texts)
    make_folder(out)
    target = out / PAGE
    if target.is_file() and not _is_ours(target):
        raise OutputError(f"{out} already has {PAGE}, not written by projgraph; move it away or choose another folder")
    atomic_write(target, content)
    return target


def page(data: bytes, native: NativeModel, title: str, texts: Dataset | None = None) -> bytes:
    """The page's bytes: styles, scripts, the WebAssembly core, the model and the texts in one file."""
    rows = range(0) if texts is None else evenly(len(texts), MOST_NODES)
    nodes = [] if texts is None else [(texts.texts[row], _label(texts, row)) for row in rows]
    facts: dict[str, Any] = {
        "bytes": len(data),
        "model": base64.b64encode(data).decode(),
        "wasm": base64.b64encode(core_for(native)).decode(),
        "nodes": nodes,
        "sampled": len(texts) if texts is not None and len(texts) > len(rows) else 0,
        "examples": examples(nodes),
    }
    parts = {
        "@title@": html.escape(title),
        "@style@": _template("page.css"),
        # A text must not end the element it stands in; a lone surrogate stays an escape.
        "@data@": json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c"),
        "@module@": module_source(PAGE) + "\n" + _template("page.mjs"),
    }
    return PLACE.sub(lambda place: parts[place[0]], _template("page.html")).encode()


def evenly(count: int, most: int) -> list[int]:
    """Up to ``most`` of the numbers below ``count``, evenly from the first on."""
    return list(range(count)) if count <= most else [row * count // most for row in range(most)]


def examples(nodes: list[tuple[str, str]]) -> list[str]:
    """A few texts to start from: the first of fitting length of each of some classes, spread over them."""
    first: dict[str, str] = {}
    for text, label in nodes:
        if label and len(text) in _EXAMPLE_LENGTHS:
            first.setdefault(label, text)
    return [first[label] for label in (sorted(first)[index] for index in evenly(len(first), EXAMPLES))]


def _label(texts: Dataset, row: int) -> str:
    label = int(texts.labels[row])
    return "" if label == UNLABELLED else texts.classes[label]


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK in file.read(MARK_WITHIN).lower()
    except OSError:
        return False
