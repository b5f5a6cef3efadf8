"""Graphs as `.npz` files, which scipy.sparse.load_npz reads too: the same graph gives the same bytes."""

from __future__ import annotations

import os
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.atomic import atomic_write
from projgraph.errors import InputError
from projgraph.graph.given import Directed, given_graph
from projgraph.read.npz import read_csr
from projgraph.records import Graph, Progress

_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can name; the clock has no place in the bytes."""


def write_graph(path: str | os.PathLike[str], graph: Graph) -> int:
    """Write the keys of scipy.sparse.save_npz, uncompressed: 12 bytes a stored entry, 8 a node; returns the bytes.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    arrays: dict[str, NDArray[Any]] = {
        "indices": graph.indices.astype("<i4", copy=False),
        "indptr": graph.indptr.astype("<i8", copy=False),
        "format": np.array(b"csr"),
        "shape": np.array([graph.n_nodes, graph.n_nodes], dtype="<i8"),
        "data": graph.weights.astype("<f4", copy=False),
        "_is_array": np.array(True),
    }

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                member = zipfile.ZipInfo(f"{name}.npy", _MOMENT)
                member.create_system = 3  # Unix, on every system
                with archive.open(member, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)

    return atomic_write(path, write)


def read_graph(path: str | os.PathLike[str], directed: Directed = "maximum", progress: Progress | None = None) -> Graph:
    """Read a graph back, or the CSR matrix that another program wrote, under the rules of `graph.given`.

    Raises:
        InputError: the file is no such matrix, or the matrix no graph; the message names the file.
    """
    stored = read_csr(path)
    matrix = sparse.csr_array((stored.data, stored.indices, stored.indptr), shape=(stored.n_nodes, stored.n_nodes))
    try:
        return given_graph(matrix, directed=directed, progress=progress)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error
