"""Sparse matrices of `.npz` files as scipy.sparse.save_npz writes them, read without pickle; it knows no graph."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.read.source import Source

_MAX_HEADER = 1 << 12
_MAX_SMALL = 1 << 8
"""Bytes at most of the arrays that say what the others hold, so that these cost nothing to read first."""
_WANTED = "expected a file of scipy.sparse.save_npz(path, matrix.tocsr())"
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression this machine lacks
    RuntimeError,  # an encrypted member
    ValueError,
    TypeError,
    SyntaxError,
    OverflowError,
)


@dataclass(frozen=True)
class CsrArrays:
    """A CSR matrix as stored: consistent lengths, row starts that ascend, columns in range, real weights.

    Attributes:
        indptr: (n + 1,) int64 row starts.
        indices: (m,) integer column of each entry.
        data: (m,) real value of each entry; NaN and infinity are let through.
        n_nodes: n.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    data: NDArray[Any]
    n_nodes: int


def read_csr(path: str | os.PathLike[str]) -> CsrArrays:
    """The arrays of a square CSR matrix.

    Raises:
        InputError: there is no such file, or it is damaged, holds something else, or its arrays contradict each other.
    """
    source = Source(Path(path))
    with source.open():  # says what is wrong with the path itself
        pass
    try:
        with zipfile.ZipFile(source.path) as archive:
            form = _member(source, archive, "format", _MAX_SMALL)
            kind = form.item() if form.shape == () else None
            if kind not in (b"csr", "csr"):
                source.fail(f"holds a matrix of format {kind!r}; {_WANTED}")
            parts = {"shape": _member(source, archive, "shape", _MAX_SMALL)}
            parts |= {name: _member(source, archive, name) for name in ("indptr", "indices", "data")}
    except _DAMAGED as error:
        if type(error).__module__.startswith("projgraph"):
            raise
        source.fail(f"is not a whole .npz file ({str(error) or type(error).__name__}); {_WANTED}")
    except OSError as error:
        source.fail(f"cannot be read ({error.strerror or error})")
    return _checked(source, parts)


def _member(source: Source, archive: zipfile.ZipFile, name: str, most: int | None = None) -> NDArray[Any]:
    """One array; its header is held against the bytes that follow before anything of its size is set aside."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        source.fail(f"has no array {name!r}; {_WANTED}")
    with archive.open(info) as stream:
        head = io.BytesIO(stream.read(_MAX_HEADER))
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(head, max_header_size=_MAX_HEADER)
        if dtype.hasobject:
            source.fail(f"array {name!r} holds Python objects, which are never loaded; {_WANTED}")
        if most is not None and math.prod(shape) * dtype.itemsize > most:
            source.fail(f"array {name!r} is {dtype} of shape {shape}; {_WANTED}")
        if head.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            source.fail(f"array {name!r} says shape {shape} of {dtype}, which its {info.file_size:,} bytes are not")
        content = head.read() + stream.read()
    return np.frombuffer(content, dtype=dtype).reshape(shape)


def _checked(source: Source, parts: dict[str, NDArray[Any]]) -> CsrArrays:
    for name in ("shape", "indptr", "indices"):
        if parts[name].dtype.kind not in "iu" or parts[name].ndim != 1:
            source.fail(f"array {name!r} is {_shown(parts[name])}; expected one dimension of integers")
    data, indices, indptr = parts["data"], parts["indices"], parts["indptr"]
    if data.dtype.kind not in "biuf" or data.shape != indices.shape:
        source.fail(f"array 'data' is {_shown(data)}; expected a real number for each of {len(indices):,} indices")
    shape = tuple(int(length) for length in parts["shape"])
    if len(shape) != 2 or shape[0] != shape[1] or not 0 <= shape[0] < 2**31:
        source.fail(f"holds a matrix of shape {shape}; expected as many columns as rows, below 2^31")
    if len(indptr) != shape[0] + 1 or indptr[0] != 0 or indptr[-1] != len(indices) or (indptr[1:] < indptr[:-1]).any():
        source.fail(f"array 'indptr' does not ascend from 0 to {len(indices):,} over {shape[0]:,} rows; write it again")
    wrong = (indices < 0) | (indices >= shape[0])
    if wrong.any():
        entry = int(np.argmax(wrong))
        source.fail(f"column {int(indices[entry])} of entry {entry} is out of range; expected 0 to {shape[0] - 1}")
    return CsrArrays(indptr.astype(np.int64), indices.astype(np.int32), data.astype(_native(data.dtype)), shape[0])


def _native(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The type in this machine's byte order, and one that scipy.sparse has."""
    return np.dtype(np.float32) if kind == np.float16 else kind.newbyteorder("=")


def _shown(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"
