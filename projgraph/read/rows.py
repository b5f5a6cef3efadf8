"""Rows gathered into packed records as they stream past; it knows no format and keeps no Python string."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from io import BytesIO
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from projgraph.pack.format import MAX_CLASSES
from projgraph.read.source import Source
from projgraph.records import UNLABELLED, Dataset, IndexArray, ReadCounts, Texts

Row: TypeAlias = "tuple[int, str, str | None]"
"""The line (or row) number, the text, and the class name or None for no label."""


class RowCollector:
    """Packs rows; one row costs its UTF-8 bytes and 24 bytes more (offset, label, hash of the text).

    Empty texts (nothing but white space) are counted, and kept only with ``keep_empty``. A repeated text is kept and
    counted: hashes of 64 bits stand for the texts, so among five million texts one is miscounted with a chance of
    about one in a million.
    """

    def __init__(self, source: Source, *, keep_empty: bool, unit: str = "line") -> None:
        self._source = source
        self._keep_empty = keep_empty
        self._unit = unit
        # BytesIO, since getvalue() hands its buffer over without a copy; bytes(bytearray) would double the peak.
        self._data = BytesIO()
        self._offsets = array("Q", [0])
        self._labels = array("q")
        self._hashes = array("q")
        self._names: dict[str, int] = {}
        self._empty = 0

    def add_all(self, rows: Iterable[Row]) -> None:
        """Take rows in file order.

        Raises:
            InputError: a text or label has a NUL character, a label is not valid Unicode, or there are too many labels.
        """
        data, end = self._data, self._offsets[-1]
        for line, text, name in rows:
            if not text or text.isspace():
                self._empty += 1
                if not self._keep_empty:
                    continue
            if "\0" in text:
                self._source.fail(
                    "the text has a NUL character; expected UTF-8 text without one", line, unit=self._unit
                )
            packed = text.encode("utf-8", "surrogatepass")
            end += len(packed)
            data.write(packed)
            self._offsets.append(end)
            self._hashes.append(hash(packed))
            self._labels.append(UNLABELLED if name is None else self._index(name, line))

    def _index(self, name: str, line: int) -> int:
        index = self._names.get(name)
        return index if index is not None else self._new_class(name, line)

    def _new_class(self, name: str, line: int) -> int:
        if "\0" in name:
            self._source.fail(
                f"the label {name!r} has a NUL character; expected UTF-8 text without one", line, unit=self._unit
            )
        if "\n" in name or "\r" in name:
            self._source.fail(
                f"the label {name!r} has a line break; expected one line: labels are printed one a line",
                line,
                unit=self._unit,
            )
        try:
            name.encode()
        except UnicodeEncodeError:
            self._source.fail(f"the label {name!r} is not valid Unicode; expected UTF-8 text", line, unit=self._unit)
        if len(self._names) == MAX_CLASSES:
            self._source.fail(
                f"there are more than {MAX_CLASSES:,} different labels (here {name!r}); a model holds at most "
                f"{MAX_CLASSES:,}: check that the label column is the label",
                line,
                unit=self._unit,
            )
        self._names[name] = len(self._names)
        return self._names[name]

    def texts(self) -> Texts:
        """The texts so far.

        Raises:
            InputError: there is no row, or every row was empty and none is kept.
        """
        if len(self._offsets) == 1:
            self._source.fail(
                f"has no text: all {self._empty:,} rows are empty"
                if self._empty
                else "has no rows; expected at least one row of text after the header"
            )
        return Texts(self._data.getvalue(), np.frombuffer(self._offsets, dtype=np.uint64))

    def dataset(self) -> Dataset:
        """The rows so far, with classes in sorted order."""
        texts = self.texts()
        first_seen = np.frombuffer(self._labels, dtype=np.int64)
        labels, classes = sort_classes(first_seen, tuple(self._names))
        counts = ReadCounts(
            rows=len(texts),
            labelled=int(np.count_nonzero(labels != UNLABELLED)),
            empty=self._empty,
            duplicates=count_repeats(np.frombuffer(self._hashes, dtype=np.int64)),
        )
        return Dataset(texts, labels, classes, counts)


def sort_classes(labels: IndexArray, names: tuple[str, ...]) -> tuple[IndexArray, tuple[str, ...]]:
    """(n,) indices into names become indices into the sorted names."""
    classes = tuple(sorted(names))
    position = {name: index for index, name in enumerate(classes)}
    # The last entry serves index -1.
    lookup = np.array([*(position[name] for name in names), UNLABELLED], dtype=np.int64)
    return lookup[labels], classes


def count_repeats(hashes: NDArray[np.int64]) -> int:
    """How many of (n,) hashes equal an earlier one."""
    ordered = np.sort(hashes)
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))
