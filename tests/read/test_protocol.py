import csv
from pathlib import Path

import numpy as np
import pytest

from projgraph.errors import ConfigError
from projgraph.read import few_labels, read_dataset, short_classes
from projgraph.records import UNLABELLED, Dataset, ReadCounts, Texts


def dataset(labels: list[int], classes: tuple[str, ...]) -> Dataset:
    texts = Texts.from_strings([f"text {row}" for row in range(len(labels))])
    labelled = sum(label != UNLABELLED for label in labels)
    return Dataset(texts, np.array(labels, dtype=np.int64), classes, ReadCounts(len(labels), labelled, 2, 1))


SMALL = dataset([1, 0, 1, UNLABELLED, 2, 1, 0, 1, 2, 0], ("a", "b", "c"))


def by_the_book(names: list[str | None], k: int, seed: int) -> set[int]:
    """The protocol as its text has it, on label names."""
    rng = np.random.default_rng(seed)
    labelled: set[int] = set()
    for name in sorted({name for name in names if name is not None}):
        n = [row for row, other in enumerate(names) if other == name]
        labelled |= {int(row) for row in rng.choice(n, min(k, len(n)), replace=False)}
    return labelled


@pytest.mark.parametrize("k", [1, 2, 3, 100])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_are_those_of_the_protocol(k: int, seed: int) -> None:
    few, hidden = few_labels(SMALL, k, seed)
    names = [None if label == UNLABELLED else SMALL.classes[label] for label in SMALL.labels]
    assert set(np.flatnonzero(few.labels != UNLABELLED).tolist()) == by_the_book(names, k, seed)
    kept = few.labels != UNLABELLED
    assert few.labels[kept].tolist() == SMALL.labels[kept].tolist()
    assert hidden[~kept].tolist() == SMALL.labels[~kept].tolist()
    assert (hidden[kept] == UNLABELLED).all()
    assert few.classes == SMALL.classes
    assert few.texts is SMALL.texts
    assert few.counts == ReadCounts(10, int(kept.sum()), 2, 1)


def test_draws_known_by_value() -> None:
    rows = [0] * 5 + [1] * 5
    few, _ = few_labels(dataset(rows, ("a", "b")), 2, 0)
    assert np.flatnonzero(few.labels != UNLABELLED).tolist() == [3, 4, 6, 9]


def test_a_class_with_too_few_rows_keeps_them_all() -> None:
    few, hidden = few_labels(SMALL, 3, 0)
    assert np.flatnonzero(few.labels == 2).tolist() == [4, 8]
    assert np.count_nonzero(hidden != UNLABELLED) == 1
    assert short_classes(SMALL, 3) == {"c": 2}
    assert short_classes(SMALL, 2) == {}
    assert short_classes(SMALL, 9) == {"a": 3, "b": 4, "c": 2}


def test_a_class_without_rows_is_short() -> None:
    empty = dataset([0, 0], ("a", "b"))
    few, _ = few_labels(empty, 1, 0)
    assert np.count_nonzero(few.labels == 0) == 1
    assert short_classes(empty, 1) == {"b": 0}


def test_arguments() -> None:
    with pytest.raises(ConfigError, match="labels per class is 0; expected 1 or more"):
        few_labels(SMALL, 0, 0)
    with pytest.raises(ConfigError, match="labels per class is -2; expected 1 or more"):
        short_classes(SMALL, -2)
    with pytest.raises(ConfigError, match="the seed is -1; expected 0 or more"):
        few_labels(SMALL, 1, -1)


def test_on_a_public_set(public_sets: Path) -> None:
    path = public_sets / "banking77" / "train.csv"
    with path.open(newline="", encoding="utf-8") as file:
        names: list[str | None] = [row["label"] for row in csv.DictReader(file)]
    few, hidden = few_labels(read_dataset(path), 5, 1)
    assert set(np.flatnonzero(few.labels != UNLABELLED).tolist()) == by_the_book(names, 5, 1)
    assert np.count_nonzero(hidden != UNLABELLED) == 10_003 - 77 * 5
