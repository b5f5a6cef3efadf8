"""Edges from a file: text, NSL's TSV, Parquet, or a CSR matrix in `.npz`, as directed as they stand; it knows no graph.

Text has an edge a line, ``source target`` or ``source target weight``, parted by tabs, commas or spaces (the first edge
decides for all); lines that start with # and blank lines count for nothing, and so does a first line that says
``source,target[,weight]``. NSL's TSV (Neural Structured Learning) is the same with tabs. Text and Parquet may be
gzipped.
"""

from __future__ import annotations

import os
import re
from array import array
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from projgraph.read.npz import read_csr
from projgraph.read.parquet import read_table
from projgraph.read.source import Source
from projgraph.records import MAX_WEIGHT, EdgeList, IndexArray

Ids = Literal["auto", "index", "name"]

MAX_NODES = 2**31 - 1
_SPARSE = 1_000_000
"""Row numbers below this are believed; above, only where a hundredth of the rows have an edge."""

_HEADER = (("source", "target"), ("source", "target", "weight"))
_INDEX = re.compile(r"\d{1,18}", re.ASCII)


def read_edges(path: str | os.PathLike[str], ids: Ids = "auto", n_nodes: int | None = None) -> EdgeList:
    """The edges of a file; `.npz` and `.parquet` (`.pq`) are known by their names, everything else is text.

    Args:
        path: the file.
        ids: what the file calls a node: "index" for row numbers from 0, "name" for names, which are numbered in order
            of first appearance; "auto" takes row numbers where every node is a whole number. `.npz` has row numbers.
        n_nodes: rows that an index may name; without it the largest index counts them.

    Raises:
        InputError: naming file and line (Parquet: row): the file cannot be read, a line has not two or three fields, a
            weight is not a finite number from zero, or an index is out of range.
    """
    source = Source(Path(path))
    name = source.path.name.lower().removesuffix(".gz")
    if name.endswith(".npz"):
        return _of_npz(source, n_nodes)
    if name.endswith((".parquet", ".pq")):
        return _of_parquet(source, ids, n_nodes)
    quick = _of_blocks(source, ids, n_nodes) if ids in get_args(Ids) else None
    return quick or _of_text(source, ids, n_nodes)


class _Nodes:
    """Nodes by name, in order of first appearance, with the line of each."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.lines = array("q")

    def number(self, name: str, line: int) -> int:
        found = self.numbers.setdefault(name, len(self.lines))
        if found == len(self.lines):
            self.lines.append(line)
        return found


def _of_blocks(source: Source, ids: Ids, n_nodes: int | None) -> EdgeList | None:
    """What `_of_text` would return, or None for it to find out: it reads what is unusual, and says what is wrong."""
    from projgraph.read.edge_blocks import read_named, read_numbered

    numbered = None if ids == "name" else read_numbered(source)
    if numbered is not None:
        pairs, weights = numbered
        largest = int(pairs.max(initial=-1))
        limit = _SPARSE if n_nodes is None else n_nodes
        if n_nodes is None and largest >= limit:
            limit = min(100 * len(np.unique(pairs)), MAX_NODES)
        if largest >= limit:
            return None
        counted = largest + 1 if n_nodes is None else n_nodes
        return EdgeList(pairs[:, 0], pairs[:, 1], weights.astype(np.float32), counted)
    named = None if ids == "index" else read_named(source)
    if named is None or (ids == "auto" and all(_INDEX.fullmatch(name) for name in named[1])):
        return None
    (pairs, weights), names = named
    return EdgeList(pairs[:, 0], pairs[:, 1], weights.astype(np.float32), len(names), names)


def _of_text(source: Source, ids: Ids, n_nodes: int | None) -> EdgeList:
    nodes, ends, weights = _Nodes(), array("q"), array("d")
    delimiter: str | None = None
    fields = 0
    for line, written in enumerate(source.lines(), 1):
        text = written.strip("\r\n ")
        if not text or text.isspace() or text.startswith("#"):
            continue
        if not fields:
            delimiter = "\t" if "\t" in text else "," if "," in text else None
        parts = [part.strip() for part in text.split(delimiter)]
        if not fields:
            fields = len(parts)
            if tuple(part.lower() for part in parts) in _HEADER:
                continue
        if len(parts) != fields or fields not in (2, 3):
            expected = "source, target and weight" if fields == 3 else "source and target"
            if fields not in (2, 3):
                expected = "source, target and perhaps a weight, parted by tabs, commas or spaces"
            source.fail(f"{len(parts)} fields; expected {expected}", line)
        for part in parts[:2]:
            if not part:
                source.fail("a node without a name; expected source and target", line)
            ends.append(nodes.number(part, line))
        weights.append(_weight(source, parts[2], line) if fields == 3 else 1.0)
    pairs = np.frombuffer(ends, dtype=np.int64).reshape(-1, 2)
    return _edge_list(source, pairs, np.frombuffer(weights, dtype=np.float64), nodes, ids, n_nodes, "line")


def _weight(source: Source, written: str, line: int) -> float:
    try:
        value = float(written)
    except ValueError:
        source.fail(f"the weight {written!r} is not a number; expected one from zero", line)
    if not 0 <= value <= MAX_WEIGHT:
        source.fail(
            f"the weight {written} is not a finite number from zero to {MAX_WEIGHT:.1e}; mend it or drop the edge", line
        )
    return value


def _edge_list(
    source: Source,
    pairs: IndexArray,
    weights: NDArray[np.float64],
    nodes: _Nodes,
    ids: Ids,
    n_nodes: int | None,
    unit: str,
) -> EdgeList:
    names = tuple(nodes.numbers)
    if ids not in ("auto", "index", "name"):
        source.fail(f"ids={ids!r}; expected 'auto', 'index' or 'name'")
    wrong = next((place for place, name in enumerate(names) if not _INDEX.fullmatch(name)), None)
    if ids == "name" or (ids == "auto" and wrong is not None):
        return EdgeList(pairs[:, 0], pairs[:, 1], weights.astype(np.float32), len(names), names)
    if wrong is not None:
        source.fail(
            f"node {names[wrong]!r} is not a row number; expected 0 and up, or read with ids='name'",
            nodes.lines[wrong],
            unit=unit,
        )
    numbers = np.array([int(name) for name in names], dtype=np.int64)
    counted = _count(source, numbers, nodes, n_nodes, unit)
    indexed = numbers[pairs] if len(pairs) else pairs
    return EdgeList(indexed[:, 0], indexed[:, 1], weights.astype(np.float32), counted)


def _count(source: Source, numbers: IndexArray, nodes: _Nodes, n_nodes: int | None, unit: str) -> int:
    largest = int(numbers.max(initial=-1))
    limit = min(max(_SPARSE, 100 * len(numbers)), MAX_NODES) if n_nodes is None else n_nodes
    if largest >= limit:
        place = int(np.argmax(numbers >= limit))
        advice = (
            "number the rows without such gaps; put a letter before names that are numbers (in Python: ids='name')"
            if n_nodes is None
            else f"expected row numbers 0 to {limit - 1}"
        )
        source.fail(
            f"node {int(numbers[place])} is out of range for {limit:,} rows; {advice}", nodes.lines[place], unit=unit
        )
    return largest + 1 if n_nodes is None else n_nodes


def _of_npz(source: Source, n_nodes: int | None) -> EdgeList:
    stored = read_csr(source.path)
    if n_nodes is not None and stored.n_nodes != n_nodes:
        source.fail(f"is a graph of {stored.n_nodes:,} nodes; expected {n_nodes:,}")
    sources = np.repeat(np.arange(stored.n_nodes, dtype=np.int64), np.diff(stored.indptr))
    with np.errstate(over="ignore"):
        weights = stored.data.astype(np.float32)
    wrong = ~((weights >= 0) & (weights <= MAX_WEIGHT))
    if wrong.any():
        place = int(np.argmax(wrong))
        source.fail(
            f"the weight {stored.data[place]} of {sources[place]} -> {stored.indices[place]} is not a finite number "
            f"from zero to {MAX_WEIGHT:.1e}; mend it or drop the edge"
        )
    return EdgeList(sources, stored.indices.astype(np.int64), weights, stored.n_nodes)


def _of_parquet(source: Source, ids: Ids, n_nodes: int | None) -> EdgeList:
    table: dict[str, list[Any]] = read_table(source, ("source", "target"), ("weight",))
    nodes, ends = _Nodes(), array("q")
    for row, pair in enumerate(zip(table["source"], table["target"], strict=True), 1):
        for end in pair:
            if not isinstance(end, str | int) or isinstance(end, bool) or end == "":
                source.fail(f"node {end!r}; expected a name or a row number", row, unit="row")
            ends.append(nodes.number(str(end), row))
    weights = np.ones(len(table["source"]))
    for row, value in enumerate(table.get("weight", ()), 1):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_WEIGHT:
            source.fail(
                f"the weight {value!r} is not a finite number from zero to {MAX_WEIGHT:.1e}; mend it or drop the edge",
                row,
                unit="row",
            )
        weights[row - 1] = value
    return _edge_list(source, np.frombuffer(ends, dtype=np.int64).reshape(-1, 2), weights, nodes, ids, n_nodes, "row")
