"""A projection graph as one npz file and back; a file is checked before anything of it is used.

Arrays, all little-endian and without pickle: ``links``, ``positive``, ``negative``, ``n_bits``, and ``indptr``,
``indices`` and ``weights`` of both graphs, named ``trainer_*`` and ``hamming_*``. Same graph, same bytes.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.atomic import atomic_write
from projgraph.errors import InputError
from projgraph.projection.graph import ProjectionGraph
from projgraph.records import Bits, Graph

_GRAPHS = ("trainer", "hamming")
_KINDS = {
    "links": np.int64,
    "positive": np.uint8,
    "negative": np.uint8,
    "n_bits": np.int64,
    **{f"{graph}_{name}": kind for graph in _GRAPHS for name, kind in (("indptr", np.int64), ("indices", np.int32))},
    **{f"{graph}_weights": np.float32 for graph in _GRAPHS},
}


def write_projection_graph(graph: ProjectionGraph, path: str | os.PathLike[str]) -> int:
    """Write a projection graph whole or not at all; returns the bytes of the file.

    Raises:
        OutputError: the path cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {
        "links": graph.links,
        "positive": graph.bits.positive,
        "negative": graph.bits.negative,
        "n_bits": np.array(graph.bits.n_bits),
    }
    for name, part in zip(_GRAPHS, (graph.trainer, graph.hamming), strict=True):
        arrays |= {f"{name}_indptr": part.indptr, f"{name}_indices": part.indices, f"{name}_weights": part.weights}
    typed: dict[str, Any] = {name: np.ascontiguousarray(array, dtype=_KINDS[name]) for name, array in arrays.items()}
    typed["n_bits"] = typed["n_bits"].reshape(())
    return atomic_write(path, lambda file: np.savez(file, **typed))


def read_projection_graph(path: str | os.PathLike[str]) -> ProjectionGraph:
    """Read what `write_projection_graph` wrote.

    Raises:
        InputError: the file cannot be read, is no projection graph, or contradicts itself; every fault is listed.
    """
    try:
        # numpy would leave a file open that it cannot read, had it opened it.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _KINDS if name in file}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as a projection graph: {error}; expected an npz file") from error
    faults = list(_shape_faults(arrays)) or list(_value_faults(arrays))
    if faults:
        raise InputError(f"{path}: is no projection graph: {'; '.join(faults)}")
    trainer, hamming = (
        Graph(arrays[f"{name}_indptr"], arrays[f"{name}_indices"], arrays[f"{name}_weights"]) for name in _GRAPHS
    )
    bits = Bits(arrays["positive"], arrays["negative"], int(arrays["n_bits"]))
    return ProjectionGraph(trainer, arrays["links"], bits, hamming)


def _shape_faults(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """What is missing, or is not of its type and dimensions."""
    for name, kind in _KINDS.items():
        dimensions = {"n_bits": 0, "positive": 2, "negative": 2}.get(name, 1)
        array = arrays.get(name)
        if array is None:
            yield f"{name} is missing"
        elif array.dtype != kind or array.ndim != dimensions:
            yield f"{name} is {array.dtype} of shape {array.shape}; expected {np.dtype(kind)}, {dimensions}-dimensional"


def _value_faults(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """What contradicts the rest."""
    links, positive, n_bits = arrays["links"], arrays["positive"], int(arrays["n_bits"])
    if n_bits < 1 or positive.shape[1] != -(-n_bits // 8) or arrays["negative"].shape != positive.shape:
        yield f"bit planes of shapes {positive.shape} and {arrays['negative'].shape} for {n_bits} bits"
    n_projection = len(positive)
    if not np.array_equal(np.unique(links), np.arange(n_projection)):
        yield f"the links do not reach projection nodes 0 to {n_projection - 1}, each at least once"
    for name, n_nodes in zip(_GRAPHS, (len(links), n_projection), strict=True):
        yield from _graph_faults(
            name, n_nodes, arrays[f"{name}_indptr"], arrays[f"{name}_indices"], arrays[f"{name}_weights"]
        )


def _graph_faults(
    name: str, n_nodes: int, indptr: NDArray[Any], indices: NDArray[Any], weights: NDArray[Any]
) -> Iterator[str]:
    steps = np.diff(indptr)
    if len(indptr) != n_nodes + 1 or indptr[0] != 0 or indptr[-1] != len(indices) or (steps < 0).any():
        yield f"{name}_indptr is not the row starts of {n_nodes} nodes and {len(indices)} entries"
        return
    if len(weights) != len(indices):
        yield f"{name} has {len(indices)} indices and {len(weights)} weights"
    if len(indices) and not 0 <= indices.min() <= indices.max() < n_nodes:
        yield f"{name}_indices are from {indices.min()} to {indices.max()}; expected 0 to {n_nodes - 1}"
    if (indices == np.repeat(np.arange(n_nodes), steps)).any():
        yield f"{name} has an edge from a node to itself"
    if not (np.isfinite(weights) & (weights > 0)).all():
        yield f"{name}_weights are not all positive and finite"
