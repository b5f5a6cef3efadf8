"""Many intent models apart, bundled, and over one hidden layer: bytes, accuracy, CPU time of a text by all of them.

python benchmarks/bundle.py data/home_intents --tasks 100 --classes 10 --budget 8KB

A task is a random choice of the set's classes with all their labels; a model is measured on the test rows of its own
classes. Tasks that share rows flatter the hidden layer that they share: with few classes a set has few distinct tasks.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from projgraph import pipeline
from projgraph.config import load_config
from projgraph.lesson import KeptRun
from projgraph.native import NativeBundle, NativeModel
from projgraph.pack.bundle import bundle_bytes
from projgraph.pack.write import model_bytes
from projgraph.provenance import describe_training
from projgraph.read import read_dataset
from projgraph.records import Dataset, Texts
from projgraph.shared_trunk import train_shared

REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with train.csv and test.csv")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--budget", default="8KB", help="of each model apart")
    parser.add_argument("--units", type=int, default=64, help="of the hidden layer in common")
    parser.add_argument("--bits", type=int, default=None, help="of the models apart; the budget chooses if left out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    whole, test = read_dataset(options.folder / "train.csv"), read_dataset(options.folder / "test.csv")
    tasks = choose_tasks(whole, options.tasks, options.classes, options.seed)
    given = {"budget": options.budget, "seed": options.seed}
    config = load_config(None, (), given | {"projection.bits": options.bits})
    runs = {name: KeptRun(rows, pipeline.teach_all(rows, config, quiet), config) for name, rows in tasks.items()}
    tests = {name: of_classes(test, rows.classes) for name, rows in tasks.items()}
    apart = {name: fitted(run) for name, run in runs.items()}
    of_one_size = most_alike(apart)
    shared_config = load_config(None, (), {"seed": options.seed, "student.units": options.units})
    shared = train_shared(runs, shared_config, quiet)
    files = {name: model_bytes(head.model, head.provenance) for name, head in shared.items()}
    report(apart, of_one_size, files, tests, test.texts)


def choose_tasks(whole: Dataset, tasks: int, classes: int, seed: int) -> dict[str, Dataset]:
    random = np.random.default_rng(seed)
    chosen = [sorted(random.choice(len(whole.classes), classes, replace=False).tolist()) for _ in range(tasks)]
    return {f"task{place:03}": of_classes(whole, [whole.classes[c] for c in kept]) for place, kept in enumerate(chosen)}


def of_classes(rows: Dataset, names: list[str] | tuple[str, ...]) -> Dataset:
    """The rows of some classes, labelled by their places among them."""
    places = {rows.classes.index(name): place for place, name in enumerate(names)}
    kept = np.flatnonzero(np.isin(rows.labels, list(places)))
    labels = np.array([places[label] for label in rows.labels[kept].tolist()], dtype=np.int64)
    return Dataset(rows.texts.select(kept), labels, tuple(names))


def fitted(run: KeptRun) -> bytes:
    trained = pipeline.learn(run.dataset, run.taught, run.config, quiet)
    return model_bytes(trained.model, describe_training(run.dataset, run.config, trained.temperature))


def most_alike(files: dict[str, bytes]) -> dict[str, bytes]:
    """Those of the most frequent number of bits: models of other projections cannot be bundled."""
    bits = {name: NativeModel(file).n_bits for name, file in files.items()}
    values, counts = np.unique(list(bits.values()), return_counts=True)
    return {name: file for name, file in files.items() if bits[name] == values[counts.argmax()]}


def accuracy(models: dict[str, NativeModel], tests: dict[str, Dataset]) -> float:
    right = [(models[name].labels(tests[name].texts, 1) == tests[name].labels).mean() for name in models]
    return float(np.mean(right))


def cpu_microseconds(work: Callable[[], object], texts: int) -> float:
    """The least of several measurements, of one text."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return 1e6 * min(found) / texts


def report(
    apart: dict[str, bytes],
    of_one_size: dict[str, bytes],
    shared: dict[str, bytes],
    tests: dict[str, Dataset],
    texts: Texts,
) -> None:
    alone = {name: NativeModel(file) for name, file in apart.items()}
    lossless, trunk = bundle_bytes(of_one_size), bundle_bytes(shared)
    one, many = NativeBundle(trunk), NativeBundle(lossless)
    shared_alone = {name: NativeModel(file) for name, file in shared.items()}
    sizes = {
        "apart": sum(map(len, apart.values())),
        "apart, of one projection": sum(map(len, of_one_size.values())),
        "those bundled": len(lossless),
        "over one hidden layer, apart": sum(map(len, shared.values())),
        "over one hidden layer, bundled": len(trunk),
    }
    figures = {
        "heads": len(apart),
        "heads of one projection": len(of_one_size),
        "bytes": sizes,
        "bytes of the bundle for bytes apart": len(trunk) / sizes["apart"],
        "accuracy apart": accuracy(alone, tests),
        "accuracy over one hidden layer": accuracy(dict(one.heads), tests),
        "us a text, apart": cpu_microseconds(lambda: [model.labels(texts, 1) for model in alone.values()], len(texts)),
        "us a text, those of one projection apart": cpu_microseconds(
            lambda: [alone[name].labels(texts, 1) for name in of_one_size], len(texts)
        ),
        "us a text, those bundled": cpu_microseconds(lambda: many.scores(texts, 1), len(texts)),
        "us a text, over one hidden layer, apart": cpu_microseconds(
            lambda: [model.labels(texts, 1) for model in shared_alone.values()], len(texts)
        ),
        "us a text, over one hidden layer, bundled": cpu_microseconds(lambda: one.scores(texts, 1), len(texts)),
    }
    print(json.dumps(figures, indent=1))


def quiet(line: str) -> None:
    del line


if __name__ == "__main__":
    main()
