"""Rows of Parquet files, batch by batch; the only file here that imports pyarrow."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from projgraph.read.columns import ColumnRequest, Columns, choose_columns
from projgraph.read.labels import typed_label
from projgraph.read.rows import Row
from projgraph.read.source import Source

BATCH_ROWS = 8192
BUFFER_BYTES = 1 << 20


def parquet_rows(source: Source, request: ColumnRequest) -> Iterator[Row]:
    """The rows of a Parquet file, counted from 1; only the chosen columns are read.

    The text column is of a string type (a dictionary of strings too), the label column of strings, numbers or truth
    values. A null text is an empty text, a null label no label.

    Raises:
        InputError: not a Parquet file, a damaged one, or a column of the wrong type.
    """
    with source.open() as stream, _seekable(stream) as file:
        try:
            yield from _batches(source, request, file)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            source.fail(
                f"is not a whole Parquet file ({_first_line(error)}); write it again, or rename it as what it is"
            )


def read_table(source: Source, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """The values of whole columns by name; an optional column that the file lacks is left out.

    Raises:
        InputError: not a Parquet file, a damaged one, or a column that the file lacks or has twice.
    """
    with source.open() as stream, _seekable(stream) as file:
        try:
            table = pq.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
            names = list(table.schema_arrow.names)
            for name in wanted + optional:
                if names.count(name) > 1 or (name in wanted and name not in names):
                    source.fail(f"has {names.count(name)} columns {name!r} (of {', '.join(names)}); expected one")
            chosen = [name for name in wanted + optional if name in names]
            read = table.read(columns=chosen)
            return {name: _values(source, read.column(name), name, 0) for name in chosen}
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            source.fail(
                f"is not a whole Parquet file ({_first_line(error)}); write it again, or rename it as what it is"
            )


def _batches(source: Source, request: ColumnRequest, file: BinaryIO) -> Iterator[Row]:
    table = pq.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
    schema = table.schema_arrow
    columns = choose_columns(schema.names, request, source)
    _check_types(source, columns, schema)
    wanted = [columns.text] if columns.label is None else [columns.text, columns.label]
    row = 0
    for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
        texts = _values(source, batch.column(columns.text), columns.text, row)
        labels = [None] * len(texts)
        if columns.label is not None:
            labels = _values(source, batch.column(columns.label), columns.label, row)
        for text, label in zip(texts, labels, strict=True):
            row += 1
            try:
                yield row, text or "", typed_label(label)
            except TypeError as error:
                source.fail(str(error), row, columns.label, unit="row")


def _values(source: Source, column: Any, name: str, row: int) -> list[Any]:
    try:
        return list(column.to_pylist())
    except OverflowError as error:  # a date or a duration that Python has none of
        source.fail(f"is of type {column.type} ({error}); write the column as strings or numbers", column=name)
    except UnicodeDecodeError:
        values = []
        for number, value in enumerate(column, row + 1):
            try:
                values.append(value.as_py())
            except UnicodeDecodeError as error:
                source.fail(
                    f"byte {error.start + 1} of the value, 0x{error.object[error.start]:02x}, is not UTF-8; "
                    "write the column as UTF-8",
                    number,
                    name,
                    unit="row",
                )
        return values


def _check_types(source: Source, columns: Columns, schema: Any) -> None:
    text = _value_type(schema.field(columns.text_position).type)
    if not (pa.types.is_string(text) or pa.types.is_large_string(text) or pa.types.is_string_view(text)):
        source.fail(f"the text is of type {text}; expected strings", column=columns.text)
    if columns.label is None:
        return
    label = _value_type(schema.field(columns.label_position).type)
    good = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_null,
    )
    if not any(check(label) for check in good):
        source.fail(f"the label is of type {label}; expected strings, numbers or truth values", column=columns.label)


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[Any]:
    """Parquet is read from its end, so a compressed file is unpacked to a temporary one."""
    if not isinstance(stream, gzip.GzipFile):
        yield stream
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(stream, unpacked)
        unpacked.seek(0)
        yield unpacked


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
