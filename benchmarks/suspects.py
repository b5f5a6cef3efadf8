"""How well `graph suspects` finds wrong labels: some of the few labels are flipped, and the ranking is measured.

    python benchmarks/suspects.py DATA/banking77 DATA/clinc150 --labels 5 10 --shares 0.1 0.2 0.3 --seeds 10

The labels are drawn by the few-label protocol from train.csv; a share of them, drawn by the seed, becomes another class
at random. Rows are ranked by 1 - p, p the trainer's belief in the given label without having seen it. "precision" and
"recall" are of the suspects (the rows for which the trainer believes more in another class), "at n" is the precision
among the first n of the ranking, n the number of flipped labels (so it is the recall there too), "average" the average
precision of the whole ranking, and "repaired" the share of flipped labels for which the suggestion is the true class.
Names of labels are not read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from accuracy import train_file
from sklearn.metrics import average_precision_score

from projgraph.config import load_config
from projgraph.features.view import describe
from projgraph.graph.knn import build_knn
from projgraph.labelling_job import FOLDS
from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED, IndexArray, TrainerTask
from projgraph.trainers.leave_out import LeftOut, leave_out
from projgraph.trainers.registry import trainer


def flipped(labels: IndexArray, share: float, n_classes: int, seed: int) -> tuple[IndexArray, IndexArray]:
    """The labels, a share of them another class, and the rows where they are."""
    random = np.random.default_rng(seed)
    labelled = np.flatnonzero(labels != UNLABELLED)
    wrong = random.choice(labelled, round(share * len(labelled)), replace=False)
    changed = labels.copy()
    changed[wrong] = (changed[wrong] + random.integers(1, n_classes, len(wrong))) % n_classes
    return changed, wrong


def figures(seen: LeftOut, given: IndexArray, truth: IndexArray) -> list[float]:
    """Precision and recall of the suspects, precision at n, average precision, share repaired."""
    wrong, best = given != truth, seen.probabilities.argmax(axis=1)
    surprise = 1 - seen.probabilities[np.arange(len(given)), given]
    suspect = best != given
    first = np.argsort(-surprise, kind="stable")[: wrong.sum()]
    return [
        float(wrong[suspect].mean()),
        float(suspect[wrong].mean()),
        float(wrong[first].mean()),
        float(average_precision_score(wrong, surprise)),
        float((best == truth)[wrong].mean()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[5, 10])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.2, 0.3])
    parser.add_argument("--seeds", nargs="+", type=int, default=[10])
    options = parser.parse_args()
    print("| set | labels a class | flipped | seed | precision | recall | at n | average | repaired |")
    print("|---|---|---|---|---|---|---|---|---|")
    config = load_config()
    for folder in options.folders:
        dataset = read_dataset(train_file(folder))
        features = describe(dataset.texts, config.features, config.seed).vectors
        graph = build_knn(features, **config.graph.model_dump(), seed=config.seed).graph
        for k in options.labels:
            for share in options.shares:
                for seed in options.seeds:
                    few, _ = few_labels(dataset, k, seed)
                    labels, _ = flipped(few.labels, share, len(dataset.classes), seed)
                    task = TrainerTask(graph, features, labels, len(dataset.classes))
                    seen = leave_out(task, trainer(config.trainer.name), config.trainer, seed, FOLDS)
                    row = figures(seen, labels[seen.rows], dataset.labels[seen.rows])
                    numbers = " | ".join(f"{100 * value:.1f}" for value in row)
                    print(f"| {folder.name} | {k} | {100 * share:.0f} % | {seed} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
