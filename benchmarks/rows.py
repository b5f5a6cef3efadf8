"""The rows that every method of a benchmark sees: one folder with train.csv, most labels hidden, and test.csv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from projgraph.features.label_names import spoken_names
from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED, Dataset


def train_file(folder: Path) -> Path:
    """The training rows: train and development set together where the set has such a file."""
    return _first(folder, ("trainfull.csv", "trainfull.csv.gz", "train.csv", "train.csv.gz"))


def test_file(folder: Path) -> Path:
    """The test rows."""
    return _first(folder, ("test.csv", "test.csv.gz"))


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise SystemExit(f"{folder}: has none of {', '.join(names)}; expected a folder with train.csv and test.csv")


@dataclass(frozen=True)
class Task:
    """One draw of labels, as files that any program can read.

    Attributes:
        folder: holds train.csv (the label is empty where it is hidden) and test.csv.
        seed: of the draw, and of every method that takes one.
        named: whether the names of the classes count as labelled texts, for methods that do not read them themselves.
    """

    folder: Path
    seed: int
    named: bool = False

    @property
    def train_path(self) -> Path:
        return self.folder / "train.csv"

    @property
    def test_path(self) -> Path:
        return self.folder / "test.csv"

    @cached_property
    def train(self) -> Dataset:
        return read_dataset(self.train_path)

    @cached_property
    def labelled(self) -> tuple[list[str], list[str]]:
        """Texts and class names of the labelled rows, and of the names where these count."""
        kept, classes = np.flatnonzero(self.train.labels != UNLABELLED), self.train.classes
        texts, labels = list(self.train.texts.select(kept)), [classes[label] for label in self.train.labels[kept]]
        return (texts + list(spoken_names(classes)), labels + list(classes)) if self.named else (texts, labels)

    @cached_property
    def test(self) -> tuple[list[str], list[str]]:
        """Texts and class names of the test rows."""
        rows = read_dataset(self.test_path, keep_empty=True)
        return list(rows.texts), [rows.classes[label] for label in rows.labels]


def draw(source: Path, labels: int | None, seed: int, folder: Path, unlabelled: int | None = None) -> Task:
    """Write one draw of few labels.

    Args:
        source: folder of the whole set.
        labels: kept of each class, by the protocol of `projgraph.read.few_labels`; None keeps all.
        seed: of the draw.
        folder: to write to; made here.
        unlabelled: so many of the other rows are kept at most, drawn by the seed; None keeps them all.
    """
    rows = read_dataset(train_file(source))
    if labels is not None:
        rows, _ = few_labels(rows, labels, seed)
    hidden = np.flatnonzero(rows.labels == UNLABELLED)
    if unlabelled is not None and unlabelled < len(hidden):
        hidden = np.random.default_rng(seed).choice(hidden, unlabelled, replace=False)
    kept = np.sort(np.concatenate([np.flatnonzero(rows.labels != UNLABELLED), hidden]))
    test = read_dataset(test_file(source), keep_empty=True)
    folder.mkdir(parents=True)
    _write(folder / "train.csv", rows, kept)
    _write(folder / "test.csv", test, np.flatnonzero(test.labels != UNLABELLED))
    return Task(folder, seed)


def _write(path: Path, rows: Dataset, kept: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for row in kept.tolist():
            label = rows.labels[row]
            writer.writerow([rows.texts[row], "" if label == UNLABELLED else rows.classes[label]])
