"""Edges of ordinary text, parsed block by block by pyarrow; whatever is unusual it leaves to `read.edges`.

It reads only what it can read exactly as that module's loop over lines does: it never raises an error of its own and
never guesses. A quote, an empty field, a number in another spelling, a comment between edges: all give None, and the
loop finds the edge or the error. One million lines on one core, lines a second of processor time: numbers with weights
4.6 million, names 1.4 million, the loop 0.27 million.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from projgraph.read.source import UTF8_BOM, UTF16_BOMS, Source
from projgraph.records import MAX_WEIGHT, IndexArray

Parsed = tuple[IndexArray, NDArray[np.float64]]
"""(m, 2) ends, and (m,) weights."""

_BLOCK = 1 << 24
"""Bytes parsed at a time."""
_HEADER = ([b"source", b"target"], [b"source", b"target", b"weight"])
_MAX_INDEX = 2**31
_LONG = re.compile(rb"[0-9]{19}")
"""What `read.edges` takes for a name, however small the number."""


class _UnusualError(Exception):
    """Not for this module."""


def read_numbered(source: Source) -> Parsed | None:
    """Edges between row numbers; None where a line is anything else.

    Raises:
        InputError: the file cannot be opened or unpacked.
    """

    def ends(table: pa.Table, block: bytes, _: str) -> IndexArray:
        found = np.stack([table.column(0).to_numpy(), table.column(1).to_numpy()], axis=1)
        # pyarrow reads 0x10 and numbers of 19 digits too, which are names; the small ones of these start with zeros.
        long = b"000000000" in block and _LONG.search(block)
        if long or b"x" in block or b"X" in block or not 0 <= found.min(initial=0) <= found.max(initial=0) < _MAX_INDEX:
            raise _UnusualError
        return found

    return _parsed(source, pa.int64(), ends)


def read_named(source: Source) -> tuple[Parsed, tuple[str, ...]] | None:
    """Edges between names, which are numbered in order of first appearance; None where a line is unusual.

    Raises:
        InputError: the file cannot be opened or unpacked.
    """
    numbers: dict[str, int] = {}

    def ends(table: pa.Table, _: bytes, delimiter: str) -> IndexArray:
        columns = pa.concat_arrays([*table.column(0).chunks, *table.column(1).chunks])
        order = np.arange(2 * len(table)).reshape(2, -1).T.ravel()  # source, target, source, target
        coded = columns.take(pa.array(order)).dictionary_encode()
        names = coded.dictionary.to_pylist()
        spaced = any(name.split() != [name] if delimiter == " " else name.strip() != name for name in names)
        if spaced or any(name[:1] in ("", "#") for name in names):
            raise _UnusualError
        known = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
        return known[coded.indices.to_numpy()].reshape(-1, 2) if len(names) else np.zeros((0, 2), np.int64)

    parsed = _parsed(source, pa.string(), ends)
    return None if parsed is None else (parsed, tuple(numbers))


def _parsed(source: Source, kind: Any, ends: Callable[[pa.Table, bytes, str], IndexArray]) -> Parsed | None:
    pairs, weights = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    with source.open() as stream:
        try:
            first, delimiter, fields = _start(stream)
            types = {"source": kind, "target": kind, **({"weight": pa.float64()} if fields == 3 else {})}
            options: dict[str, Any] = {
                "read_options": csv.ReadOptions(column_names=list(types), use_threads=False),
                "parse_options": csv.ParseOptions(delimiter=delimiter, quote_char=False, escape_char=False),
                "convert_options": csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
            }
            for block in _blocks(first, stream):
                table = csv.read_csv(pa.BufferReader(_plain(block, delimiter)), **options)
                if any(column.null_count for column in table.columns):
                    return None
                pairs.append(ends(table, block, delimiter))
                weights.append(_weights(table, fields))
        except (_UnusualError, pa.ArrowException, UnicodeDecodeError):
            return None
    return np.concatenate(pairs), np.concatenate(weights)


def _start(stream: BinaryIO) -> tuple[bytes, str, int]:
    """The first edge's line, after comments and a header, with the delimiter and the number of fields."""
    delimiter, fields, start = "", 0, True
    for line in stream:
        if start and line.startswith(UTF16_BOMS):
            raise _UnusualError
        text = (line.removeprefix(UTF8_BOM) if start else line).strip(b"\r\n ")
        start = False
        if not text or text.startswith(b"#"):
            line.decode()
            continue
        if not delimiter:
            delimiter = "\t" if b"\t" in text else "," if b"," in text else " "
            parts = [part.strip().lower() for part in text.split(delimiter.encode()) if part or delimiter != " "]
            fields = len(parts)
            if parts in _HEADER:
                continue
        if fields not in (2, 3):
            raise _UnusualError
        return text + b"\n", delimiter, fields
    raise _UnusualError


def _blocks(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines."""
    rest = first
    while block := stream.read(_BLOCK):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
    if rest.strip(b"\r\n "):
        yield rest


def _plain(block: bytes, delimiter: str) -> bytes:
    """The block with LF alone and one space between fields, if that is all that pyarrow would see differently."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b"\r" in block:
        raise _UnusualError
    if delimiter == " ":
        if b"\t" in block:
            raise _UnusualError
        if b"  " in block:
            block = re.sub(rb" {2,}", b" ", block)
        if b" \n" in block or b"\n " in block or block[:1] == b" ":
            block = re.sub(rb"(?m)^ | $", b"", block)
    return block


def _weights(table: pa.Table, fields: int) -> NDArray[np.float64]:
    if fields == 2:
        return np.ones(len(table))
    found = table.column(2).to_numpy()
    if not ((found >= 0) & (found <= MAX_WEIGHT)).all():
        raise _UnusualError
    return np.asarray(found)
