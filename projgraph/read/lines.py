"""Rows of plain text files, one unlabelled text a line; it knows nothing of what becomes of a row."""

from __future__ import annotations

from collections.abc import Iterator

from projgraph.read.fasttext import without_line_end
from projgraph.read.rows import Row
from projgraph.read.source import Source


def line_rows(source: Source) -> Iterator[Row]:
    """Every line is a text, blank ones are empty texts."""
    for line, written in enumerate(source.lines(), 1):
        yield line, without_line_end(written), None
