"""Rows of CSV and TSV files; it knows nothing of what becomes of a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from projgraph.read.columns import ColumnRequest, Columns, choose_columns, show_names
from projgraph.read.labels import written_label
from projgraph.read.rows import Row
from projgraph.read.source import Source

MAX_FIELD = 1 << 24
"""Characters of one field; more means a quote that is never closed."""

COMMA: dict[str, Any] = {"delimiter": ",", "strict": True}
TAB: dict[str, Any] = {"delimiter": "\t", "strict": True}
BARE_TAB: dict[str, Any] = {"delimiter": "\t", "strict": True, "quoting": csv.QUOTE_NONE}


def delimited_rows(source: Source, request: ColumnRequest, dialect: dict[str, Any]) -> Iterator[Row]:
    """The rows below the header, as RFC 4180 has them: a quoted field may hold delimiters, line ends and "" for ".

    The first line names the columns; every row has as many. Blank lines are skipped. A row's number is the line that it
    starts on. Measured on one core: one million rows of 40 characters in about 3 seconds, the packing included.

    Raises:
        InputError: with file and line: no header, another number of columns, a quote that does not close.
    """
    with _field_limit():
        reader = csv.reader(source.lines(), **dialect)
        try:
            columns, count, header = None, 0, [""]
            line = 1
            for row in reader:
                if not row:
                    pass
                elif columns is None:
                    columns, count, header = choose_columns(row, request, source, line), len(row), row
                elif len(row) != count:
                    source.fail(_miscount(len(row), header), line)
                else:
                    yield _row(row, columns, line)
                line = reader.line_num + 1
        except csv.Error as error:
            source.fail(_explain(str(error), dialect), line)
        if columns is None:
            source.fail("has no rows; expected a first line that names the columns, such as text,label")


def _row(row: list[str], columns: Columns, line: int) -> Row:
    label = None if columns.label is None else written_label(row[columns.label_position])
    return line, row[columns.text_position], label


def _miscount(found: int, header: list[str]) -> str:
    return (
        f"{found} columns; the first line has {len(header)} ({show_names(header)}); "
        "put double quotes around a field that holds the delimiter"
    )


def _explain(error: str, dialect: dict[str, Any]) -> str:
    if "new-line character" in error:
        return "a carriage return stands inside an unquoted field; expected lines that end in LF or CR LF"
    if "field larger" in error:
        return f"a field has more than {MAX_FIELD:,} characters; is a double quote not closed?"
    message = f'the quotes are broken ({error}); write a quoted field as "..." and a quote inside it as ""'
    if dialect["delimiter"] == "\t":
        message += ", or read the file, from Python, with format 'tsv-unquoted' if its quotes are ordinary characters"
    return message


@contextmanager
def _field_limit() -> Iterator[None]:
    # The limit of the csv module belongs to the process, so it is put back.
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
