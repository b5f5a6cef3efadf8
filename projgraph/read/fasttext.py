"""Rows of fastText training files, `__label__NAME text`; it knows nothing of what becomes of a row."""

from __future__ import annotations

from collections.abc import Iterator

from projgraph.read.labels import written_label
from projgraph.read.rows import Row
from projgraph.read.source import Source

PREFIX = "__label__"


def fasttext_rows(source: Source) -> Iterator[Row]:
    """The rows of a fastText file: one text a line after its label; a line without a label is an unlabelled text.

    Raises:
        InputError: with file and line: a text with several labels.
    """
    for line, written in enumerate(source.lines(), 1):
        text = without_line_end(written)
        label = None
        if text.startswith(PREFIX):
            first, text = _split(text)
            if text.lstrip().startswith(PREFIX):
                source.fail("the text has several labels; expected one label a text", line)
            label = written_label(first.removeprefix(PREFIX))
        yield line, text, label


def is_fasttext(source: Source) -> bool:
    """Whether the first line that is not blank starts with `__label__`."""
    for written in source.lines():
        if written.strip():
            return written.startswith(PREFIX)
    return False


def without_line_end(line: str) -> str:
    """The line without its LF or CR LF."""
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


def _split(line: str) -> tuple[str, str]:
    # Only one separator belongs to the format; further white space belongs to the text.
    for position, character in enumerate(line):
        if character in " \t":
            return line[:position], line[position + 1 :]
    return line, ""
