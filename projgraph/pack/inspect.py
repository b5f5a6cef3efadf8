"""What is in a model file, byte by byte, as a dictionary and as tables for a terminal; it changes nothing."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from projgraph.errors import ModelFileError
from projgraph.pack.format import (
    CONVOLUTION,
    FAMILY,
    HEAD,
    HEADER,
    PROJECTION,
    SECTION,
    VECTOR,
    WEIGHT_NAMES,
    WORDS,
    FamilyKind,
    Field,
    HeadKind,
    InputKind,
    Quantiser,
    Section,
    struct_code,
)
from projgraph.pack.layer import WEIGHT_RANGES, QuantisedLayer
from projgraph.pack.projection import FAMILY_STRUCT, PROJECTION_STRUCT
from projgraph.pack.read import parse_model
from projgraph.pack.sections import Entry, model_file_bytes, read_table
from projgraph.pack.vector import VECTOR_STRUCT, input_kind
from projgraph.pack.words import WORDS_STRUCT, WordTable
from projgraph.pack.write import HEADER_STRUCT, SECTION_STRUCT
from projgraph.printable import printable

Account = dict[str, Any]
LABELS_SHOWN = 12


def describe(path: str | os.PathLike[str] | bytes) -> Account:
    """Every byte of a model file accounted for, in values that JSON can hold.

    The keys: ``bytes``; ``header`` (its fields); ``sections`` (name, kind, offset, length, the padding behind it and
    its fields where it has a fixed structure); ``bits``; ``layers`` (statistics of the integers); ``classes``;
    ``provenance``. A field is ``{"offset", "bytes", "field", "value", "meaning"}``, its offset from the file's start.

    Raises:
        InputError: there is no such file, or it cannot be read.
        ModelFileError: the bytes are no model.
    """
    data, name = model_file_bytes(path)
    try:
        model, provenance = parse_model(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    entries = read_table(data)
    first = HEADER_STRUCT.size + len(entries) * SECTION_STRUCT.size
    starts = [entry.offset for entry in entries] + [len(data)]
    filters = model.convolution.layer if model.convolution else None
    layers = {"convolution": filters, "hidden": model.hidden, "output": model.output}
    return {
        "path": name,
        "bytes": len(data),
        "bits": model.n_bits,
        "header": _fields(HEADER, data, 0),
        "table_padding": starts[0] - first,
        "sections": [
            {
                "name": entry.name,
                "kind": entry.kind,
                "offset": entry.offset,
                "length": entry.length,
                "padding": starts[row + 1] - entry.end,
                "entry": _fields(SECTION, data, HEADER_STRUCT.size + row * SECTION_STRUCT.size),
                "fields": _section_fields(entry, data),
            }
            for row, entry in enumerate(entries)
        ],
        "layers": {name: _statistics(layer) for name, layer in layers.items() if layer},
        "classes": list(model.classes),
        "provenance": provenance,
    }


def render(account: Account) -> list[RenderableType]:
    """An account from ``describe`` as lines and tables for a terminal."""
    sections = Table("offset", "bytes", "padding", "section", title="sections", title_justify="left")
    for section in account["sections"]:
        sections.add_row(str(section["offset"]), str(section["length"]), str(section["padding"]), section["name"])
    dimensions = f"{account['bytes']:,} bytes, {account['bits']} bits, {len(account['classes'])} classes"
    parts: list[RenderableType] = [
        Text(f"{_short(account['path'])}: {dimensions}"),
        _field_table("header", account["header"]),
        sections,
    ]
    parts += [_field_table(part["name"], part["fields"]) for part in account["sections"] if part["fields"]]
    layers = Table("layer", *account["layers"], title="weights", title_justify="left")
    for name in next(iter(account["layers"].values())):
        values = (facts[name] for facts in account["layers"].values())
        layers.add_row(name, *(_numbers(each) if isinstance(each, list) else _short(each) for each in values))
    shown = ", ".join(_short(name) for name in account["classes"][:LABELS_SHOWN])
    more = len(account["classes"]) - LABELS_SHOWN
    parts += [layers, Text(f"labels: {shown}" + (f" and {more} more" if more > 0 else ""))]
    parts += [Text(f"{_short(key)}: {_short(value)}") for key, value in account["provenance"].items()]
    return parts


def _fields(table: tuple[Field, ...], data: bytes, start: int) -> list[Account]:
    """The fields of a fixed structure that begins at an offset."""
    rows, offset = [], start
    for field, value in zip(table, struct.unpack_from(struct_code(table), data, start), strict=True):
        size = struct.calcsize("<" + field.code)
        shown = value.decode("latin-1") if isinstance(value, bytes) else value
        rows.append(
            {"offset": offset, "bytes": size, "field": field.name, "value": shown, "meaning": _meaning(field, value)}
        )
        offset += size
    return rows


def _meaning(field: Field, value: Any) -> str:
    """What a field means, with the name of a value that has one."""
    if field.name in ("weight_bits", "hidden_weight_bits") and value in WEIGHT_NAMES:
        return f"{field.meaning}: {WEIGHT_NAMES[value]}"
    for expected, enum in (
        ("Section", Section),
        ("Quantiser", Quantiser),
        ("InputKind", InputKind),
        ("FamilyKind", FamilyKind),
        ("HeadKind", HeadKind),
    ):
        if f" {expected} " in field.meaning and value in set(enum):
            return f"{field.meaning}: {enum(value).name}"
    return field.meaning


def _section_fields(entry: Entry, data: bytes) -> list[Account]:
    """The fields of the sections that have a fixed structure; none of the others."""
    return list(_section_field_rows(entry, data))


def _section_field_rows(entry: Entry, data: bytes) -> Iterator[Account]:
    if entry.kind == Section.HEAD:
        yield from _fields(HEAD, data, entry.offset)
    if entry.kind == Section.CONVOLUTION:
        yield from _fields(CONVOLUTION, data, entry.offset)
    if entry.kind == Section.WORDS:
        yield from _word_rows(entry, data)
    if entry.kind == Section.PROJECTION:
        yield from _fields(PROJECTION, data, entry.offset)
        if input_kind(data[entry.offset : entry.end]) == InputKind.VECTOR:
            yield from _vector_rows(entry, data)
            return
        starts = range(entry.offset + PROJECTION_STRUCT.size, entry.end, FAMILY_STRUCT.size)
        for index, start in enumerate(starts):
            for row in _fields(FAMILY, data, start):
                yield row | {"field": f"families[{index}].{row['field']}"}


def _vector_rows(entry: Entry, data: bytes) -> Iterator[Account]:
    """The fields of a projection of vectors, and its thresholds as a range."""
    start = entry.offset + PROJECTION_STRUCT.size
    for row in _fields(VECTOR, data, start):
        yield row | {"field": f"vector.{row['field']}"}
    start += VECTOR_STRUCT.size
    if start < entry.end:
        found = np.frombuffer(data[start : entry.end], dtype="<i4")
        meaning = "an int32 a bit, which its sum is compared with"
        value = f"{found.min()} to {found.max()}"
        yield {
            "offset": start,
            "bytes": entry.end - start,
            "field": "vector.all_thresholds",
            "value": value,
            "meaning": meaning,
        }


def _word_rows(entry: Entry, data: bytes) -> Iterator[Account]:
    """The fields of a table of words, its entries as the number of words of each weight, and its codes as their share
    of +1."""
    yield from _fields(WORDS, data, entry.offset)
    table, _ = WordTable.from_bytes(data[entry.offset : entry.end])
    start = entry.offset + WORDS_STRUCT.size
    counts = ", ".join(
        f"{count} of weight {1 << kind}" for kind, count in enumerate(np.bincount(table.classes)) if count
    )
    yield {
        "offset": start,
        "bytes": 4 * len(table),
        "field": "words.entries",
        "value": counts,
        "meaning": "a fingerprint and the class of its weight for every word: words of each weight",
    }
    yield {
        "offset": start + 4 * len(table),
        "bytes": entry.end - start - 4 * len(table),
        "field": "words.codes",
        "value": float((table.codes > 0).mean()),
        "meaning": "a code of -1 and +1 for every word: the share of +1",
    }


def _statistics(layer: QuantisedLayer) -> Account:
    """How a layer uses its integers; entropy is in bits per weight, a bound for any compression of single weights."""
    low, high = WEIGHT_RANGES[layer.weight_bits] if layer.codebook is None else (-128, 127)
    counts = np.bincount(layer.weights.reshape(-1).view(np.uint8), minlength=256)
    shares = counts[counts > 0] / layer.weights.size
    ends = counts[low % 256] + counts[high]
    return {
        "inputs": layer.weights.shape[0],
        "outputs": layer.weights.shape[1],
        "weights": layer.format_name,
        "weight_bits": layer.weight_bits,
        "codebook": None if layer.codebook is None else layer.codebook.tolist(),
        "smallest": int(layer.weights.min()),
        "largest": int(layer.weights.max()),
        "zero_share": float(counts[0] / layer.weights.size),
        "end_share": float(ends / layer.weights.size),
        "entropy": float(-(shares * np.log2(shares)).sum() + 0.0),
        "multipliers": [int(layer.multipliers.min()), int(layer.multipliers.max())],
        "bias": [int(layer.bias.min()), int(layer.bias.max())],
    }


def _field_table(title: str, rows: list[Account]) -> Table:
    table = Table("offset", "bytes", "field", "value", "meaning", title=title, title_justify="left")
    for row in rows:
        table.add_row(str(row["offset"]), str(row["bytes"]), row["field"], Text(_short(row["value"])), row["meaning"])
    return table


def _numbers(values: list[int]) -> str:
    """A range of two, or a list of more."""
    return (" to " if len(values) == 2 else " ").join(map(str, values))


def _short(value: Any) -> str:
    """A value for a terminal, which a file's control characters must not reach."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(str(value))
