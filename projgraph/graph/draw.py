"""A drawing of a node's neighbourhood, its projection nodes beside it; the only file here that imports matplotlib.

Trainer nodes are circles, coloured by label, joined by lines as wide as their weight. A dotted line joins each to its
projection node, a square in the same place of the right half, or between the places of the nodes that share it; Hamming
edges join the squares. The same graph gives the same bytes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from projgraph.atomic import atomic_write
from projgraph.errors import ConfigError, InputError
from projgraph.graph.csr import to_csr
from projgraph.records import Graph, IndexArray

FORMATS = (".png", ".svg")
MAX_HOPS = 2

_INK, _FAINT, _LINK = "#333333", "#bbbbbb", "#8a6fb0"
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee9944", "#775533")
"""Paul Tol's bright colours and two more; labels past the eighth share grey with the unknown."""
_RC: Any = {"svg.hashsalt": "projgraph", "svg.fonttype": "none", "text.parse_math": False, "font.size": 8}
_WORDS = 28


def neighbourhood(graph: Graph, node: int, hops: int = 1, max_nodes: int = 40) -> IndexArray:
    """The node, then its neighbours and theirs, nearest in hops first and of those the heaviest edge first.

    Args:
        graph: of n nodes.
        node: the centre.
        hops: 1 or 2.
        max_nodes: nodes at most, the centre counted.

    Raises:
        ConfigError: hops or max_nodes out of range.
        InputError: no such node.
    """
    if not 1 <= hops <= MAX_HOPS or max_nodes < 1:
        raise ConfigError(f"drawing: hops={hops}, max_nodes={max_nodes}; expected 1 or 2, and one or more")
    if not 0 <= node < graph.n_nodes:
        raise InputError(f"drawing: there is no node {node}; expected 0 to {graph.n_nodes - 1}")
    chosen = [node]
    ring = [node]
    for _ in range(hops):
        best: dict[int, float] = {}
        for one in ring:
            part = slice(int(graph.indptr[one]), int(graph.indptr[one + 1]))
            for other, weight in zip(graph.indices[part].tolist(), graph.weights[part].tolist(), strict=True):
                best[other] = max(best.get(other, 0.0), weight)
        known = set(chosen)
        ring = sorted((other for other in best if other not in known), key=lambda other: (-best[other], other))
        ring = ring[: max_nodes - len(chosen)]
        chosen += ring
    return np.array(chosen, dtype=np.int64)


def draw_neighbourhood(
    path: str | os.PathLike[str],
    graph: Graph,
    node: int,
    *,
    hops: int = 1,
    max_nodes: int = 40,
    hamming: Graph | None = None,
    links: IndexArray | None = None,
    labels: Sequence[str | None] | None = None,
    texts: Sequence[str] | None = None,
) -> int:
    """Write a PNG or SVG of the nodes around a node; returns the bytes.

    Args:
        path: the picture, .png or .svg.
        graph: of n trainer nodes.
        node: the centre, drawn with a thick rim.
        hops: 1 or 2.
        max_nodes: nodes at most, the centre counted; the heaviest edges win.
        hamming: of the projection nodes; None draws no projection nodes.
        links: (n,) the projection node of each trainer node; None where trainer node i has projection node i.
        labels: of the n nodes, None where unknown.
        texts: of the n nodes; a node is called by the beginning of its text, or by its number.

    Raises:
        ConfigError: another ending, or hops or max_nodes out of range.
        InputError: no such node, or labels, texts or projection nodes of another number.
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    kind = Path(path).suffix.lower()
    if kind not in FORMATS:
        raise ConfigError(f"drawing: {os.fspath(path)} ends in {kind!r}; expected one of {', '.join(FORMATS)}")
    linked = links if links is not None or hamming is None else np.arange(hamming.n_nodes)
    given = {"labels": labels, "texts": texts, "projection nodes": linked}
    for name, values in given.items():
        if values is not None and len(values) != graph.n_nodes:
            raise InputError(f"drawing: {len(values):,} {name} for {graph.n_nodes:,} nodes; expected as many")
    nodes = neighbourhood(graph, node, hops, max_nodes)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a script that the font lacks is drawn as boxes
        figure = Figure(figsize=(12 if hamming is not None else 7, 6.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        colours = _colours([None if labels is None else labels[node] for node in nodes.tolist()])
        places = _places(graph, nodes)
        if hamming is not None and linked is not None:
            _draw_projection(axes, hamming, linked[nodes], places, colours[0])
        _draw(axes, graph, nodes, places, colours, texts)
        metadata = {"Date": None} if kind == ".svg" else {"Software": None}
        return atomic_write(path, lambda file: figure.savefig(file, format=kind[1:], dpi=150, metadata=metadata))


def _draw(
    axes: Any,
    graph: Graph,
    nodes: IndexArray,
    places: Any,
    coloured: tuple[list[str], dict[str, str]],
    texts: Sequence[str] | None,
) -> None:
    colours, legend = coloured
    _edges(axes, graph, nodes, places, _FAINT)
    rims = [2.4] + [0.8] * (len(nodes) - 1)
    axes.scatter(*places.T, s=90, c=colours, edgecolors=_INK, linewidths=rims, zorder=3)
    for node, place in zip(nodes.tolist(), places, strict=True):
        axes.annotate(_word(node, texts), place, xytext=(0, 7), textcoords="offset points", ha="center", color=_INK)
    for label, colour in legend.items():
        axes.scatter([], [], c=[colour], edgecolors=_INK, linewidths=0.8, label=_printable(label))
    if legend:
        axes.legend(loc="lower left", frameon=False)
    axes.set_axis_off()
    axes.margins(0.08)


def _draw_projection(axes: Any, hamming: Graph, owners: IndexArray, places: Any, colours: Sequence[str]) -> None:
    """Squares beside the trainer nodes, in the colour that their drawn nodes agree on."""
    drawn, square = np.unique(owners, return_inverse=True)
    shared = np.bincount(square)[:, None]
    beside = np.array([2.6, 0.0]) + np.stack([np.bincount(square, axis) for axis in places.T], axis=1) / shared
    for one, other in zip(places, beside[square], strict=True):
        axes.plot(*zip(one, other, strict=True), color=_LINK, linewidth=0.5, linestyle=":", zorder=1)
    _edges(axes, hamming, drawn, beside, _LINK)
    theirs = [{colours[node] for node in np.flatnonzero(square == one).tolist()} for one in range(len(drawn))]
    filled = [next(iter(found)) if len(found) == 1 else _FAINT for found in theirs]
    axes.scatter(*beside.T, s=55, c=filled, marker="s", edgecolors=_LINK, linewidths=1.0, zorder=3)
    axes.text(2.6, 1.25, "projection nodes, Hamming edges", ha="center", color=_INK)
    axes.text(0.0, 1.25, "trainer nodes, trainer edges", ha="center", color=_INK)


def _places(graph: Graph, nodes: IndexArray) -> Any:
    """(k, 2) places within -1 to 1 by the spring model, the same for the same nodes."""
    import networkx as nx

    part = nx.from_scipy_sparse_array(to_csr(graph)[nodes][:, nodes])
    if len(nodes) == 1:
        return np.zeros((1, 2))
    layout = nx.spring_layout(part, seed=0, iterations=80, scale=1.0)
    return np.array([layout[place] for place in range(len(nodes))])


def _edges(axes: Any, graph: Graph, nodes: IndexArray, places: Any, colour: str) -> None:
    part = to_csr(graph)[nodes][:, nodes].tocoo()
    largest = float(part.data.max()) if part.nnz else 1.0
    for one, other, weight in zip(part.row.tolist(), part.col.tolist(), part.data.tolist(), strict=True):
        if one < other:
            ends = zip(places[one], places[other], strict=True)
            axes.plot(*ends, color=colour, linewidth=0.4 + 2.2 * weight / largest, zorder=2)


def _colours(labels: Sequence[str | None]) -> tuple[list[str], dict[str, str]]:
    """The colour of each node, and of each label for the legend, in sorted order."""
    known = sorted({label for label in labels if label is not None})
    legend = dict(zip(known, _COLOURS, strict=False))
    return [_FAINT if label is None else legend.get(label, _FAINT) for label in labels], legend


def _word(node: int, texts: Sequence[str] | None) -> str:
    if texts is None:
        return str(node)
    text = _printable(texts[node])
    return text if len(text) <= _WORDS else text[: _WORDS - 1].rstrip() + "…"


def _printable(text: str) -> str:
    """One line without characters that a font or XML lacks a form for."""
    return "".join(one if one.isprintable() else " " for one in text).strip() or "(empty)"
