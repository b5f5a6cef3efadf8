"""The IDX format of MNIST and its kin, gzipped or not: arrays of any rank; it knows no class and no pixel.

Two zero bytes, a byte for the type, a byte for the rank, a big-endian 32-bit integer for each dimension, then the
values, big-endian, the last dimension fastest. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of
handwritten digits".
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import InputError
from projgraph.read.source import Source
from projgraph.records import Dataset, ReadCounts, Vectors

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_RANK = 8
_MOST_BYTES = 1 << 34
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, in the machine's byte order.

    Raises:
        InputError: there is no such file, it is no IDX file, or it is cut or longer than its header says; the message
            names the file and what is expected.
    """
    source = Source(Path(path))
    with source.open() as stream:
        code, shape = _header(source, stream)
        dtype = np.dtype(_TYPES[code])
        expected = math.prod(shape) * dtype.itemsize
        if expected > _MOST_BYTES:
            source.fail(f"says that it holds {_times(shape)} values; expected at most {_MOST_BYTES >> 30} GiB of them")
        data = _bytes(stream, expected + 1)
    if len(data) < expected:
        source.fail(
            f"ends after {len(data)} bytes of values; expected {expected} for {_times(shape)} of {dtype.itemsize} "
            "bytes: download it again"
        )
    if len(data) > expected:
        source.fail(
            f"goes on after its {expected} bytes of values; expected nothing behind {_times(shape)} of "
            f"{dtype.itemsize} bytes: download it again"
        )
    return np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_idx_images(images: str | os.PathLike[str], labels: str | os.PathLike[str]) -> Dataset:
    """Labelled images: each row all pixels of one, line after line; classes are the labels as text, in their order.

    Args:
        images: (n, height, width) numbers, or of any rank above 1.
        labels: (n,) whole numbers.

    Raises:
        InputError: as ``read_idx``, or the two do not belong together.
    """
    pixels, given = read_idx(images), read_idx(labels)
    if pixels.ndim < 2 or 0 in pixels.shape:
        raise InputError(f"{Path(images)}: has the shape {pixels.shape}; expected images: (rows, height, width)")
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InputError(
            f"{Path(labels)}: holds {given.dtype.name} of shape {given.shape}; expected a whole number for each image"
        )
    if len(given) != len(pixels):
        raise InputError(f"{Path(labels)}: has {len(given)} labels; expected one for each of {len(pixels)} images")
    values, indices = np.unique(given, return_inverse=True)
    classes = tuple(map(str, values.tolist()))
    vectors = Vectors.from_matrix(pixels.reshape(len(pixels), -1))
    return Dataset(vectors, indices.astype(np.int64), classes, ReadCounts(len(pixels), len(pixels)))


def _header(source: Source, stream: BinaryIO) -> tuple[int, tuple[int, ...]]:
    magic = _bytes(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= _MOST_RANK:
        types = ", ".join(f"{code:02x}" for code in _TYPES)
        source.fail(
            f"starts with the bytes {magic.hex(' ')}; expected those of an IDX file: 00 00, a type of {types}, "
            f"a rank of 01 to {_MOST_RANK:02x}"
        )
    sizes = _bytes(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        source.fail(f"ends in its header, after {4 + len(sizes)} bytes; expected {4 + 4 * magic[3]} and the values")
    return magic[2], tuple(np.frombuffer(sizes, dtype=">u4").tolist())


def _bytes(stream: BinaryIO, count: int) -> bytearray:
    """Up to so many bytes, never more memory than there are: a header may say anything."""
    data = bytearray()
    while len(data) < count and (chunk := stream.read(min(_CHUNK, count - len(data)))):
        data += chunk
    return data


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
