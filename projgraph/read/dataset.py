"""Files of text become records: the format by name or extension, then one pass; it does nothing with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from projgraph.errors import InputError
from projgraph.read.columns import ColumnRequest
from projgraph.read.delimited import BARE_TAB, COMMA, TAB, delimited_rows
from projgraph.read.fasttext import fasttext_rows, is_fasttext
from projgraph.read.jsonl import jsonl_rows
from projgraph.read.lines import line_rows
from projgraph.read.rows import Row, RowCollector, count_repeats
from projgraph.read.source import Source
from projgraph.records import UNLABELLED, Dataset, ReadCounts, Texts

FORMATS = ("csv", "tsv", "tsv-unquoted", "jsonl", "parquet", "fasttext", "text")
EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ft": "fasttext",
    ".fasttext": "fasttext",
    ".txt": "text",
}


def read_dataset(
    path: str | PathLike[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    format: str | None = None,  # noqa: A002 (what the command line calls it)
    keep_empty: bool = False,
    plain: bool = False,
) -> Dataset:
    """Read rows of text and label in one pass.

    The extension says the format (see ``EXTENSIONS``; .gz may follow), ``format`` overrules it. A .txt file is read as
    fastText. Columns are guessed where they are not named (see `projgraph.read.columns`); formats without columns
    ignore the names. An empty label, NaN, nan, null, None and -1 mean unlabelled; labels are stripped; whole numbers
    are named without a fraction. Texts are kept as they stand. A text of nothing but white space is dropped unless
    ``keep_empty``, and counted either way; a repeated text is kept and counted.

    Memory: the UTF-8 bytes of the texts and 24 bytes a row, at the peak about 42 (3 million rows of 44 bytes of text
    took 86 bytes a row).

    Args:
        path: the file.
        text_column: the name of the text column, None for a guess.
        label_column: the name of the label column, None for a guess.
        format: one of ``FORMATS``, None for the extension's.
        keep_empty: keep empty texts, so that rows stand for rows of the file (as for a test set).
        plain: take plain text, a text a line, as rows without labels.

    Raises:
        InputError: the file cannot be used; the message names the file and, where there is one, line and column.
    """
    source = Source(Path(path))
    name = _format(source, format)
    if name == "text":
        if format is None and is_fasttext(source):
            name = "fasttext"
        elif not plain:
            source.fail(
                "plain text has no labels; expected lines such as '__label__NAME text', or a CSV file with the "
                "columns text,label; give this file as unlabelled text instead"
            )
    collector = RowCollector(source, keep_empty=keep_empty, unit=_unit(name))
    collector.add_all(_rows(source, name, ColumnRequest(text_column, label_column)))
    return collector.dataset()


def read_texts(
    path: str | PathLike[str],
    *,
    text_column: str | None = None,
    format: str | None = None,  # noqa: A002 (what the command line calls it)
) -> Texts:
    """Read texts only, every row of the file, empty ones too; a label column is not looked at.

    As `read_dataset`; a .txt file holds one text a line, or is fastText where its first text starts with `__label__`.

    Raises:
        InputError: the file cannot be used; the message names the file and, where there is one, line and column.
    """
    source = Source(Path(path))
    name = _format(source, format)
    if name == "text" and format is None and is_fasttext(source):
        name = "fasttext"
    collector = RowCollector(source, keep_empty=True, unit=_unit(name))
    collector.add_all(_rows(source, name, ColumnRequest(text_column, labelled=False)))
    return collector.texts()


def merge(train: Dataset, unlabelled: Sequence[Texts]) -> Dataset:
    """The rows of train followed by unlabelled rows; empty texts among those are dropped, and all is counted anew."""
    texts, empty = train.texts, train.counts.empty
    for more in unlabelled:
        kept = np.flatnonzero([not text.isspace() and text != "" for text in more])
        empty += len(more) - len(kept)
        texts = texts.concatenate(more if len(kept) == len(more) else more.select(kept))
    added = np.full(len(texts) - len(train), UNLABELLED, dtype=np.int64)
    hashes = np.fromiter((hash(text) for text in texts), dtype=np.int64, count=len(texts))
    counts = ReadCounts(len(texts), train.counts.labelled, empty, count_repeats(hashes))
    return Dataset(texts, np.concatenate([train.labels, added]), train.classes, counts)


def _format(source: Source, name: str | None) -> str:
    if name is not None:
        if name not in FORMATS:
            raise InputError(f"{source.path}: unknown format {name!r}; expected one of {', '.join(FORMATS)}")
        return name
    path = source.path
    extension = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if extension not in EXTENSIONS:
        with source.open():  # says first what is wrong with the path itself
            pass
        known = ", ".join(EXTENSIONS)
        source.fail(
            f"the extension {extension!r} says no format; expected one of {known} (and .gz), "
            f"or name the format, from Python: {', '.join(FORMATS)}"
        )
    return EXTENSIONS[extension]


def _rows(source: Source, name: str, request: ColumnRequest) -> Iterator[Row]:
    if name == "parquet":
        from projgraph.read.parquet import parquet_rows  # pyarrow costs a tenth of a second that CSV need not pay

        return parquet_rows(source, request)
    if name == "jsonl":
        return jsonl_rows(source, request)
    if name == "fasttext":
        return fasttext_rows(source)
    if name == "text":
        return line_rows(source)
    return delimited_rows(source, request, {"csv": COMMA, "tsv": TAB, "tsv-unquoted": BARE_TAB}[name])


def _unit(name: str) -> str:
    return "row" if name == "parquet" else "line"
