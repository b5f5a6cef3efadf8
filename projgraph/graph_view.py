"""A stored graph for eyes and other programs, from files to files: drawings and exports; it builds and teaches none."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projgraph import native
from projgraph.atomic import check_target
from projgraph.errors import ConfigError, InputError
from projgraph.graph.draw import draw_neighbourhood, neighbourhood
from projgraph.graph.export import write_graphml, write_parquet
from projgraph.graph.store import read_graph
from projgraph.pack.read import read_model
from projgraph.projection.graph import projection_graph
from projgraph.projection.store import read_projection_graph
from projgraph.read import read_dataset, read_texts
from projgraph.records import UNLABELLED, Dataset, Graph, IndexArray, Texts

EXPORTS = (".graphml", ".parquet", ".pt")

_HAMMING_NEIGHBOURS = 10


@dataclass(frozen=True)
class RowFiles:
    """Files over the rows of a graph, each of them optional.

    Attributes:
        labels: texts and labels, one node a row.
        texts: texts alone.
        text_column, label_column: names where the guess would be wrong.
    """

    labels: Path | None = None
    texts: Path | None = None
    text_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class DrawJob:
    """A drawing to make.

    Attributes:
        graph: as `graph build` writes it.
        node: the centre.
        out: .png or .svg.
        hops: 1 or 2.
        max_nodes: nodes at most, the centre counted.
        projection: a Hamming graph over the same rows, a stored projection graph, or a model; None draws no
            projection nodes.
    """

    graph: Path
    node: int
    out: Path
    hops: int = 1
    max_nodes: int = 40
    projection: Path | None = None


def draw(job: DrawJob, rows: RowFiles | None = None) -> dict[str, Any]:
    """Draw the neighbourhood of a node; the same files give the same bytes.

    Raises:
        InputError: a file cannot be used, there is no such node, or a file has other rows than the graph.
        ConfigError: another ending, hops or max_nodes out of range, or a model without texts.
        OutputError: the picture cannot be written.
    """
    rows = rows or RowFiles()
    check_target(job.out, (job.graph, job.projection, rows.labels, rows.texts))
    graph = read_graph(job.graph)
    # Before the rows are read and projected, which may take long.
    nodes = neighbourhood(graph, job.node, job.hops, job.max_nodes)
    dataset, texts = _rows(rows, job.graph, graph)
    hamming, links = _projection(job.projection, job.graph, graph, texts)
    size = draw_neighbourhood(
        job.out,
        graph,
        job.node,
        hops=job.hops,
        max_nodes=job.max_nodes,
        hamming=hamming,
        links=links,
        labels=None if dataset is None else _label_names(dataset),
        texts=texts,
    )
    return {
        "drawing": str(job.out),
        "node": job.node,
        "nodes": len(nodes),
        "projection_nodes": 0 if hamming is None else len(nodes if links is None else set(links[nodes].tolist())),
        "bytes": size,
    }


def export(graph: Path, out: Path, rows: RowFiles | None = None) -> dict[str, Any]:
    """Write a graph as its ending says: GraphML, a Parquet of edges, or the tensors of PyG's `Data`.

    Raises:
        InputError: a file cannot be used, or the labels are of other rows.
        ConfigError: another ending.
        OutputError: the file cannot be written.
    """
    kind = out.suffix.lower()
    if kind not in EXPORTS:
        raise ConfigError(f"export: {out} ends in {kind!r}; expected one of {', '.join(EXPORTS)}")
    rows = rows or RowFiles()
    check_target(out, (graph, rows.labels))
    opened = read_graph(graph)
    dataset, _ = _rows(rows, graph, opened)
    if kind == ".pt":
        from projgraph.trainers.gnn.data import to_data, write_data  # PyG costs seconds that the others need not pay

        labels, classes = (None, ()) if dataset is None else (dataset.labels, dataset.classes)
        size = write_data(out, to_data(opened, labels=labels), classes)
    else:
        write = write_graphml if kind == ".graphml" else write_parquet
        size = write(out, opened, None if dataset is None else _label_names(dataset))
    return {"export": str(out), "nodes": opened.n_nodes, "edges": opened.n_edges, "bytes": size}


def _rows(files: RowFiles, path: Path, graph: Graph) -> tuple[Dataset | None, Texts | None]:
    """The labelled rows and the texts, as far as they are given, checked to be as many as the nodes of ``path``."""
    dataset, texts = None, None
    if files.labels is not None:
        dataset = read_dataset(
            files.labels, text_column=files.text_column, label_column=files.label_column, keep_empty=True
        )
        _check_rows(files.labels, len(dataset), path, graph)
        texts = dataset.texts
    if files.texts is not None:
        texts = read_texts(files.texts, text_column=files.text_column)
        _check_rows(files.texts, len(texts), path, graph)
    return dataset, texts


def _projection(
    projection: Path | None, path: Path, graph: Graph, texts: Texts | None
) -> tuple[Graph | None, IndexArray | None]:
    """The Hamming graph of the projection nodes, and which of them each row has."""
    if projection is None:
        return None, None
    if projection.suffix.lower() != ".npz":
        model, _ = read_model(projection)
        if texts is None:
            raise ConfigError(f"drawing: the model {projection} needs texts to project; give --labels or --texts")
        made = projection_graph(graph, native.project(model.projection, texts), _HAMMING_NEIGHBOURS)
        return made.hamming, made.links
    if _holds_links(projection):
        stored = read_projection_graph(projection)
        _check_rows(projection, len(stored.links), path, graph)
        return stored.hamming, stored.links
    hamming = read_graph(projection)
    _check_rows(projection, hamming.n_nodes, path, graph)
    return hamming, None


def _holds_links(path: Path) -> bool:
    """Whether a file is a stored projection graph; what is no archive is for `read_graph` to refuse."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "links.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _label_names(dataset: Dataset) -> list[str | None]:
    """The name of each node's label, None of a node without one."""
    return [None if label == UNLABELLED else dataset.classes[label] for label in dataset.labels.tolist()]


def _check_rows(given: Path, rows: int, path: Path, graph: Graph) -> None:
    if rows != graph.n_nodes:
        raise InputError(f"{given}: has {rows:,} rows, {path} has {graph.n_nodes:,} nodes; expected as many")
