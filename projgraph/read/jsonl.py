"""Rows of JSON Lines files, one object a line; it knows nothing of what becomes of a row."""

from __future__ import annotations

import json
from collections.abc import Iterator

from projgraph.read.columns import ColumnRequest, Columns, choose_columns, show_names
from projgraph.read.labels import typed_label
from projgraph.read.rows import Row
from projgraph.read.source import Source


def jsonl_rows(source: Source, request: ColumnRequest) -> Iterator[Row]:
    """The rows of a JSONL (NDJSON) file; the keys of the first object choose the columns. Blank lines are skipped.

    A text of null is an empty text, a label of null or -1 no label; further keys are not looked at.

    Raises:
        InputError: with file and line: broken JSON, not an object, a key that is missing or of the wrong type.
    """
    columns: Columns | None = None
    for line, written in enumerate(source.lines(), 1):
        if not written.strip():
            continue
        record = _parse(source, written, line)
        if columns is None:
            columns = choose_columns(list(record), request, source, line)
        text = _value(source, record, columns.text, line)
        if text is None:
            text = ""
        if not isinstance(text, str):
            source.fail(f"the text is of type {type(text).__name__}; expected a string", line, columns.text)
        label = None
        if columns.label is not None:
            try:
                label = typed_label(_value(source, record, columns.label, line))
            except TypeError as error:
                source.fail(str(error), line, columns.label)
        yield line, text, label


def _parse(source: Source, written: str, line: int) -> dict[str, object]:
    try:
        record = json.loads(written)
    except json.JSONDecodeError as error:
        source.fail(f"broken JSON at character {error.colno} ({error.msg}); expected one JSON object a line", line)
    except (ValueError, RecursionError) as error:
        source.fail(f"JSON that cannot be read ({error}); expected one flat JSON object a line", line)
    if not isinstance(record, dict):
        source.fail(
            f'a JSON {type(record).__name__}; expected one object a line, such as {{"text": "...", "label": "..."}}',
            line,
        )
    return record


def _value(source: Source, record: dict[str, object], name: str, line: int) -> object:
    try:
        return record[name]
    except KeyError:
        source.fail(f"there is no key {name!r}; the keys are {show_names(list(record))}", line)
