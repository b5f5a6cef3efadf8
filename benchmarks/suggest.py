"""What chosen labels are worth beside random ones: accuracy of the trainer after rounds of labelling, on held-out rows.

    python benchmarks/suggest.py DATA/banking77 DATA/clinc150 --seeds 10 11

A sixth of the training rows, drawn by the seed, is held out: they are nodes of the graph, but never chosen, and the
accuracy of the trainer on them is the figure; test.csv is not read. `suggest` starts without any label and chooses as
many rows as there are classes, five times, each time seeing the labels of the rows it chose before. `random` does the
same at random. The yardstick is the accuracy of 5 random labels of every class, which needs somebody who knows the
classes beforehand. "needed" is where the curve crosses it, between rounds by a straight line.
Names of labels are not read, neither for the choice nor for the yardstick.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accuracy import train_file

from projgraph.config import TrainConfig, load_config
from projgraph.features.view import describe
from projgraph.graph.cover import greedy_cover, uncovered
from projgraph.graph.knn import build_knn
from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED, Dataset, FloatArray, Graph, IndexArray, TrainerTask
from projgraph.trainers.registry import trainer

ROUNDS = 5
HELD_OUT = 6
"""One row in so many is held out."""
YARDSTICK = 5
"""Random labels of each class."""


@dataclass(frozen=True)
class Pool:
    """One set and seed: what may be chosen, and what is measured on."""

    dataset: Dataset
    graph: Graph
    features: FloatArray
    held_out: IndexArray
    config: TrainConfig

    def beliefs(self, chosen: IndexArray) -> FloatArray:
        """(n, c) what the trainer says with these labels; it knows only the classes that it saw."""
        n_classes = len(self.dataset.classes)
        if not len(chosen):
            return np.zeros((len(self.dataset), n_classes), dtype=np.float32)
        seen, numbers = np.unique(self.dataset.labels[chosen], return_inverse=True)
        labels = np.full(len(self.dataset), UNLABELLED, dtype=np.int64)
        labels[chosen] = numbers
        task = TrainerTask(self.graph, self.features, labels, len(seen))
        found = np.zeros((len(self.dataset), n_classes), dtype=np.float32)
        teach = trainer(self.config.trainer.name)
        found[:, seen] = teach(task, self.config.trainer, self.config.seed).probabilities
        return found

    def accuracy(self, chosen: IndexArray) -> float:
        found = self.beliefs(chosen).argmax(axis=1)
        return float((found == self.dataset.labels)[self.held_out].mean())

    def free(self, chosen: IndexArray) -> np.ndarray:
        free = np.ones(len(self.dataset), dtype=np.bool_)
        free[self.held_out] = free[chosen] = False
        return free


Choose = Callable[[Pool, IndexArray, FloatArray, int], IndexArray]


def by_cover(pool: Pool, chosen: IndexArray, beliefs: FloatArray, count: int) -> IndexArray:
    """As `projgraph suggest` does."""
    need = (1 - beliefs.max(axis=1)) * uncovered(pool.graph, chosen)
    return greedy_cover(pool.graph, need, pool.free(chosen), count)[0]


def at_random(pool: Pool, chosen: IndexArray, beliefs: FloatArray, count: int) -> IndexArray:
    del beliefs
    random = np.random.default_rng([pool.config.seed, len(chosen)])
    return random.choice(np.flatnonzero(pool.free(chosen)), count, replace=False)


def curve(pool: Pool, choose: Choose) -> list[tuple[int, float]]:
    """(labels, accuracy) after each round."""
    chosen, beliefs = np.zeros(0, dtype=np.int64), pool.beliefs(np.zeros(0, dtype=np.int64))
    points = []
    for _ in range(ROUNDS):
        more = choose(pool, chosen, beliefs, len(pool.dataset.classes))
        chosen = np.concatenate([chosen, more])
        beliefs = pool.beliefs(chosen)
        right = beliefs.argmax(axis=1) == pool.dataset.labels
        points.append((len(chosen), float(right[pool.held_out].mean())))
    return points


def needed(points: list[tuple[int, float]], target: float) -> float | None:
    """Labels at which the curve first reaches the target; None where it does not."""
    before = (0, 0.0)
    for after in points:
        if after[1] >= target:
            return before[0] + (after[0] - before[0]) * (target - before[1]) / (after[1] - before[1])
        before = after
    return None


def yardstick(pool: Pool) -> float:
    """Accuracy of the trainer with random labels of every class."""
    dataset, hidden = pool.dataset, pool.dataset.labels.copy()
    hidden[pool.held_out] = UNLABELLED
    few, _ = few_labels(Dataset(dataset.rows, hidden, dataset.classes), YARDSTICK, pool.config.seed)
    return pool.accuracy(np.flatnonzero(few.labels != UNLABELLED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[10, 11])
    options = parser.parse_args()
    print("| set | seed | choice | " + " | ".join(f"{i + 1} a class" for i in range(ROUNDS)) + " | 5 random | needed |")
    print("|---|---|---|" + "---|" * (ROUNDS + 2))
    for folder in options.folders:
        dataset = read_dataset(train_file(folder))
        plain = load_config()
        features = describe(dataset.texts, plain.features, plain.seed).vectors
        graph = build_knn(features, **plain.graph.model_dump(), seed=plain.seed).graph
        for seed in options.seeds:
            size = len(dataset) // HELD_OUT
            held_out = np.random.default_rng(seed).choice(len(dataset), size, replace=False)
            pool = Pool(dataset, graph, features, held_out, load_config(None, (), {"seed": seed}))
            target = yardstick(pool)
            for name, choose in (("suggest", by_cover), ("random", at_random)):
                points = curve(pool, choose)
                labels = needed(points, target)
                share = "-" if labels is None else f"{100 * labels / (YARDSTICK * len(dataset.classes)):.0f} %"
                figures = " | ".join(f"{100 * accuracy:.1f}" for _, accuracy in points)
                print(f"| {folder.name} | {seed} | {name} | {figures} | {100 * target:.1f} | {share} |", flush=True)


if __name__ == "__main__":
    main()
