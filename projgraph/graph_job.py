"""Graphs from files to files: builds and describes one, and lets a trainer label its nodes; it draws none."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from projgraph import __version__, native
from projgraph.atomic import atomic_write, check_target
from projgraph.bits import row_projection
from projgraph.checkpoint import Checkpoints, digest
from projgraph.config import TrainConfig
from projgraph.errors import ConfigError, InputError
from projgraph.graph.describe import describe_graph
from projgraph.graph.given import given_graph
from projgraph.graph.hamming import hamming_search
from projgraph.graph.store import read_graph, write_graph
from projgraph.read import few_labels, read_dataset, read_texts
from projgraph.read.edges import read_edges
from projgraph.records import (
    UNLABELLED,
    Dataset,
    FloatArray,
    Graph,
    IndexArray,
    Progress,
    SoftLabels,
    Texts,
    TrainerTask,
)
from projgraph.trainer_task import named_classes, nearest_rows, trainer_task
from projgraph.trainers.registry import EDGES_ALONE, trainer

Kind = Literal["knn", "hamming", "edges"]

_HAMMING_BITS = 512


@dataclass(frozen=True)
class BuildJob:
    """A graph to build.

    Attributes:
        source: texts, one node a row, or edges for the kind "edges"; .gz as well.
        out: the .npz file to write.
        kind: knn joins rows by the cosine of their views, hamming by the distance of their bits.
        text_column: its name where the guess would be wrong.
    """

    source: Path
    out: Path
    kind: Kind
    text_column: str | None = None


@dataclass(frozen=True)
class PropagateJob:
    """Nodes to label.

    Attributes:
        source: texts and labels, one node a row; .gz as well.
        out: the Parquet file to write: a row a node with label, confidence, reached and given.
        graph: a graph over the same rows; None builds the trainer's own.
        labels_per_class: keep so many labels a class and hide the others; None keeps all.
        text_column, label_column: names where the guess would be wrong.
    """

    source: Path
    out: Path
    graph: Path | None = None
    labels_per_class: int | None = None
    text_column: str | None = None
    label_column: str | None = None


def build(job: BuildJob, config: TrainConfig, progress: Progress) -> dict[str, Any]:
    """Build a graph and write it.

    What is done is kept beside the output until it stands, so that a killed run goes on: of the kind hamming the
    neighbours found so far, every 20 seconds; of the kind knn the views of the texts, not the search, which faiss
    cannot interrupt and which begins again.

    Raises:
        InputError: the source cannot be used.
        OutputError: the graph cannot be written.
    """
    started = time.time()
    if job.kind not in get_args(Kind):
        raise ConfigError(f"'{job.kind}' is no kind of graph; expected one of {', '.join(get_args(Kind))}")
    check_target(job.out, [job.source])
    if job.kind == "edges":
        graph, recall, method = _of_edges(job.source, progress), 1.0, "given"
        write_graph(job.out, graph)
    else:
        texts = read_texts(job.source, text_column=job.text_column)
        _check_rows(job.source, len(texts))
        progress(f"read {job.source}: {len(texts):,} rows")
        with Checkpoints(job.out, _key(job.kind, texts, config)) as kept:
            graph, recall, method = _search(job.kind, texts, config, kept, progress)
            write_graph(job.out, graph)
    return {
        "graph": str(job.out),
        "kind": job.kind,
        "method": method,
        "nodes": graph.n_nodes,
        "edges": graph.n_edges,
        "recall": recall,
        "seconds": round(time.time() - started, 3),
        "peak_mb": _peak_mb(),
    }


def propagate(job: PropagateJob, config: TrainConfig, progress: Progress, proba: bool = False) -> dict[str, Any]:
    """Label the nodes of a graph and write what the trainer believes.

    A trainer of edges alone gives no label to a node that no label reaches; the accuracy counts it as wrong. Rows
    unlike every labelled one, which a training leaves out, stay and are labelled.

    Raises:
        InputError: the rows cannot be used, or the graph is over other rows.
        ConfigError: the trainer is unknown.
        OutputError: the labels cannot be written.
    """
    started = time.time()
    check_target(job.out, (job.source, job.graph))
    dataset, hidden = _labelled(job, config.seed)
    progress(f"read {job.source}: {len(dataset):,} rows")
    graph = _given(job, len(dataset))
    key = _key(config.trainer.name, dataset.texts, config) | {
        "labels": digest(dataset.labels),
        "classes": digest(*(name.encode("utf-8", "surrogatepass") for name in dataset.classes)),
        "graph": _digest(graph),
    }
    with Checkpoints(job.out, key) as kept:
        if graph is not None and config.trainer.name in EDGES_ALONE:
            task = TrainerTask(graph, None, dataset.labels, len(dataset.classes), states=kept)
        else:
            view, names = _view(dataset.texts, named_classes(dataset, config), config, kept, progress)
            task = trainer_task(dataset, view, names, config, progress, graph, kept)
        progress(f"trainer: {config.trainer.name}")
        taught = trainer(config.trainer.name)(task, config.trainer, config.seed, progress)
        labels = taught.labels
        if config.trainer.name in EDGES_ALONE:
            labels[~taught.reached] = UNLABELLED
        _write_labels(job.out, dataset, taught, labels, proba)
    known = hidden != UNLABELLED
    return {
        "labels": str(job.out),
        "trainer": config.trainer.name,
        "trainer_accuracy": float((labels[known] == hidden[known]).mean()) if known.any() else None,
        "nodes": task.graph.n_nodes,
        "edges": task.graph.n_edges,
        "n_labelled": int((dataset.labels != UNLABELLED).sum()),
        "n_hidden": int(known.sum()),
        "n_classes": len(dataset.classes),
        "n_unreached": int((~taught.reached).sum()),
        "seconds": round(time.time() - started, 3),
        "peak_mb": _peak_mb(),
    }


def info(graph: Path, labels: Path | None = None, label_column: str | None = None) -> dict[str, Any]:
    """Figures of a stored graph: degrees and components, and with a labelled file over its nodes how labels lie in it.

    Raises:
        InputError: the graph or the labels cannot be read, or their rows differ in number.
    """
    opened = read_graph(graph)
    if labels is None:
        return describe_graph(opened).to_json()
    dataset = read_dataset(labels, label_column=label_column, keep_empty=True)
    if len(dataset) != opened.n_nodes:
        raise InputError(f"{labels}: has {len(dataset):,} rows, {graph} has {opened.n_nodes:,} nodes; expected as many")
    return describe_graph(opened, dataset.labels).to_json()


def _labelled(job: PropagateJob, seed: int) -> tuple[Dataset, IndexArray]:
    """The rows with the labels that are kept, and (n,) the labels that are hidden, ``UNLABELLED`` elsewhere."""
    dataset = read_dataset(job.source, text_column=job.text_column, label_column=job.label_column, keep_empty=True)
    _check_rows(job.source, len(dataset))
    hidden = np.full(len(dataset), UNLABELLED, dtype=np.int64)
    if job.labels_per_class is not None:
        dataset, hidden = few_labels(dataset, job.labels_per_class, seed)
    if not (dataset.labels != UNLABELLED).any():
        raise InputError(f"{job.source}: none of its {len(dataset)} rows has a label; label a row of each class")
    return dataset, hidden


def _of_edges(source: Path, progress: Progress) -> Graph:
    """A matrix means the same here as where it is read as a graph: a repeated entry is a sum."""
    if source.name.lower().endswith(".npz"):
        return read_graph(source, progress=progress)
    return given_graph(read_edges(source), progress=progress)


def _given(job: PropagateJob, rows: int) -> Graph | None:
    graph = None if job.graph is None else read_graph(job.graph)
    if graph is not None and graph.n_nodes != rows:
        raise InputError(
            f"{job.graph}: has {graph.n_nodes:,} nodes, {job.source} has {rows:,} rows; "
            "expected a node a row, as `projgraph graph build` makes of the same file"
        )
    return graph


def _search(
    kind: Kind, texts: Texts, config: TrainConfig, kept: Checkpoints, progress: Progress
) -> tuple[Graph, float, str]:
    if kind == "knn":
        built = nearest_rows(_view(texts, (), config, kept, progress)[0], config, progress)
        return built.graph, built.recall, built.method
    n_bits = config.projection.bits or _HAMMING_BITS
    projection = row_projection(texts, n_bits, config)
    progress(f"bits: {len(texts):,} rows x {n_bits:,} bits")
    bits = native.project(projection, texts)
    found = hamming_search(bits, config.graph.neighbours, progress=progress, states=kept)
    return found.graph, found.recall, found.method


def _view(
    texts: Texts, classes: Sequence[str], config: TrainConfig, kept: Checkpoints, progress: Progress
) -> tuple[FloatArray, FloatArray | None]:
    """What the texts look like, and what the names of classes do, where these are wanted."""
    progress(f"features: {len(texts):,} texts")

    def make() -> dict[str, FloatArray]:
        from projgraph.features.view import describe_named  # brings torch and sklearn, which bits and edges do without

        view, names = describe_named(texts, classes, config.features, config.seed, config.encoder)
        return {"vectors": view.vectors} | ({} if names is None else {"names": names.vectors})

    made = kept.part("view", make)
    return made["vectors"], made.get("names")


def _write_labels(out: Path, dataset: Dataset, taught: SoftLabels, labels: IndexArray, proba: bool) -> None:
    """A row a node, in the order of the file."""
    names = pa.array(dataset.classes, pa.string())
    label = pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32(), mask=labels == UNLABELLED), names)
    columns: dict[str, Any] = {
        "label": label.cast(pa.string()),
        "confidence": pa.array(taught.confidence, pa.float32()),
        "reached": pa.array(taught.reached),
        "given": pa.array(dataset.labels != UNLABELLED),
    }
    if proba:
        flat = pa.array(taught.probabilities.ravel(), pa.float32())
        columns["probabilities"] = pa.FixedSizeListArray.from_arrays(flat, len(dataset.classes))
    table = pa.table(columns).replace_schema_metadata({"classes": json.dumps(dataset.classes, ensure_ascii=False)})
    atomic_write(out, lambda file: pq.write_table(table, file))


def _check_rows(source: Path, rows: int) -> None:
    if rows < 2:
        raise InputError(f"{source}: has {rows} rows; a graph needs two or more")


def _key(work: str, texts: Texts, config: TrainConfig) -> dict[str, Any]:
    """What the parts of a work follow from; the version too, since another one may compute them differently."""
    return {
        "version": __version__,
        "work": work,
        "texts": digest(texts.data, texts.offsets),
        "settings": config.model_dump(mode="json"),
    }


def _digest(graph: Graph | None) -> str | None:
    return None if graph is None else digest(graph.indptr, graph.indices, graph.weights)


def _peak_mb() -> float:
    """The largest resident size of this process so far; the system counts it in KiB, macOS in bytes."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
