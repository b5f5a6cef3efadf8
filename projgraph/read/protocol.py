"""The few-label protocol: k labels a class are kept and the other rows become unlabelled; it trains nothing."""

from __future__ import annotations

import numpy as np

from projgraph.errors import ConfigError
from projgraph.records import UNLABELLED, Dataset, IndexArray, ReadCounts


def few_labels(dataset: Dataset, k: int, seed: int) -> tuple[Dataset, IndexArray]:
    """Keep k labels of each class, drawn without replacement, and hide the others.

    One generator serves all classes, so that figures can be compared between programs::

        rng = numpy.random.default_rng(seed)
        for each class in sorted order:
            rows = rows of that class, in file order
            labelled += rng.choice(rows, min(k, len(rows)), replace=False)

    A class with fewer than k rows keeps them all; `short_classes` names such classes.

    Returns:
        The same rows with the other labels hidden, and (n,) the hidden labels (``UNLABELLED`` where nothing was
        hidden), for reporting only: nothing that trains or selects a model may see them.

    Raises:
        ConfigError: k is below 1 or the seed is negative.
    """
    _check(k)
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; expected 0 or more")
    rng = np.random.default_rng(seed)
    labels = np.full(len(dataset), UNLABELLED, dtype=np.int64)
    # A stable sort lists the rows of each class in file order.
    order = np.argsort(dataset.labels, kind="stable")
    bounds = np.searchsorted(dataset.labels[order], np.arange(len(dataset.classes) + 1))
    for index in range(len(dataset.classes)):
        rows = order[bounds[index] : bounds[index + 1]]
        labels[rng.choice(rows, min(k, len(rows)), replace=False)] = index
    hidden = np.where(labels == UNLABELLED, dataset.labels, UNLABELLED)
    counts = dataset.counts
    labelled = int(np.count_nonzero(labels != UNLABELLED))
    counts = ReadCounts(counts.rows, labelled, counts.empty, counts.duplicates)
    return Dataset(dataset.rows, labels, dataset.classes, counts), hidden


def short_classes(dataset: Dataset, k: int) -> dict[str, int]:
    """The classes with fewer than k labelled rows, and how many they have.

    Raises:
        ConfigError: k is below 1.
    """
    _check(k)
    sizes = np.bincount(dataset.labels[dataset.labels != UNLABELLED], minlength=len(dataset.classes))
    return {name: int(size) for name, size in zip(dataset.classes, sizes, strict=True) if size < k}


def _check(k: int) -> None:
    if k < 1:
        raise ConfigError(f"labels per class is {k}; expected 1 or more")
