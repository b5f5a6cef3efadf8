"""What the trainer costs where it should have been left alone: accuracy of regressions on its own view, less its own.

    python benchmarks/regret.py DATA/banking77 DATA/atis DATA/swda --labels 1 5 10 --seeds 0 1 2 --skewed

Both are measured on the hidden training rows, by the few-label protocol. The regressions see the labelled rows alone:
the trainer's own prior, and scikit-learn's with its defaults (C = 1); the better of the two in the mean over the seeds
counts. "regret" is theirs less the trainer's in the mean, "worst" for the worst seed; below zero the trainer gains.
With ``--skewed`` each set stands there a second time, its classes thinned out: they keep from all of their rows down to
a hundredth, geometrically (Cui et al. 2019), but one at least, in an order drawn by seed 0.
Nobody reads names of labels here.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from few_labels import spread
from rows import train_file
from sklearn.linear_model import LogisticRegression

from projgraph.config import load_config
from projgraph.features.view import describe
from projgraph.graph.csr import induced
from projgraph.graph.knn import build_knn
from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED, Dataset, FloatArray, Graph, IndexArray, TrainerTask
from projgraph.trainers.foreign import foreign_rows
from projgraph.trainers.prior import FEW_LABELS_L2, fit_prior, predict_prior
from projgraph.trainers.registry import trainer

_SKEW = 100.0


def skewed(dataset: Dataset) -> Dataset:
    """Each class keeps a share of its rows, from all of them to a hundredth, geometrically, but one row at least."""
    random = np.random.default_rng(0)
    sizes = np.bincount(dataset.labels, minlength=len(dataset.classes))
    order = random.permutation(len(sizes))
    shares = _SKEW ** (-np.arange(len(sizes)) / max(len(sizes) - 1, 1))
    kept = [
        random.choice(np.flatnonzero(dataset.labels == index), max(1, round(sizes[index] * share)), replace=False)
        for index, share in zip(order, shares, strict=True)
    ]
    return dataset.select(np.sort(np.concatenate(kept)))


def guesses(features: FloatArray, graph: Graph, rows: Dataset, seed: int) -> tuple[IndexArray, ...]:
    """The classes that the trainer, its prior and scikit-learn's regression give all rows."""
    config = load_config(None, (), {"seed": seed})
    task = TrainerTask(graph, features, rows.labels, len(rows.classes))
    own = np.flatnonzero(~foreign_rows(task, seed))
    part = replace(task, graph=induced(graph, own), features=features[own], labels=rows.labels[own])
    taught = np.zeros(len(rows), dtype=np.int64)
    taught[own] = trainer(config.trainer.name)(part, config.trainer, seed, None).labels
    labelled = np.flatnonzero(rows.labels != UNLABELLED)
    given = rows.labels[labelled]
    one_hot = np.eye(len(rows.classes), dtype=np.float32)[given]
    prior = fit_prior(features[labelled], one_hot, np.ones(len(labelled), dtype=np.float32), FEW_LABELS_L2)
    regression = LogisticRegression(max_iter=1000).fit(features[labelled], given)
    return taught, predict_prior(features, prior).argmax(axis=1), regression.predict(features)


def measure(name: str, dataset: Dataset, counts: list[int], seeds: list[int]) -> None:
    """Print one row for each number of labels."""
    config = load_config(None, (), {})
    features = describe(dataset.texts, config.features, config.seed).vectors
    graph = build_knn(features, **config.graph.model_dump(), seed=config.seed).graph
    for count in counts:
        shares = []
        for seed in seeds:
            rows, hidden = few_labels(dataset, count, seed)
            known = hidden != UNLABELLED
            shares.append([(said[known] == hidden[known]).mean() for said in guesses(features, graph, rows, seed)])
        taught, *peers = np.array(shares).T
        better = max(peers, key=np.mean)
        regret = 100 * (better - taught)
        cells = [name, f"{len(dataset):,}", str(count), spread(taught), *map(spread, peers)]
        print("| " + " | ".join([*cells, f"{regret.mean():+.1f}", f"{regret.max():+.1f}"]) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[1, 5, 10])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--skewed", action="store_true")
    options = parser.parse_args()
    print("| set | rows | labels a class | trainer | prior | LR, C = 1 | regret | worst |\n|" + "---|" * 8)
    for folder in options.folders:
        dataset = read_dataset(train_file(folder))
        measure(folder.name, dataset, options.labels, options.seeds)
        if options.skewed:
            measure(f"{folder.name}, skewed", skewed(dataset), options.labels, options.seeds)


if __name__ == "__main__":
    main()
