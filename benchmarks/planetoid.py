"""Cora and Citeseer under the Planetoid protocol: fixed split, every trainer, mean and range over seeds.

    python benchmarks/planetoid.py DATA/planetoid --sets cora citeseer --trainers gcn appnp --seeds 10 --student appnp

20 labels a class teach, 500 validation rows count epochs and choose settings, 1,000 test rows are only reported.
`feature_smoothing` has no random part; its settings come from a small grid on the validation rows and its features are
TF-IDF. GNNs see rows that sum to one, as in their papers. `--student` trains the bits of one trainer's distributions
twice: with the test rows among the unlabelled rows (their labels unseen), and without.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch

from projgraph.config import StudentConfig, TrainerConfig, load_config
from projgraph.native import project
from projgraph.pack.projection import ProjectionSpec
from projgraph.projection.fit import StudentTask, fit_student, sharpen
from projgraph.read.planetoid import Planetoid, read_planetoid
from projgraph.records import Bits, FloatArray, SoftLabels, Texts, TrainerTask
from projgraph.trainers.registry import TRAINERS, trainer

PAPERS = {
    ("citeseer", "gcnii"): ["gcnii.layers=32", "gcnii.hidden=256", "gcnii.dropout=0.7", "gcnii.identity=0.6"],
}
"""Constants of a paper's table that differ from its defaults."""

GRID = {
    "feature_teleport": (0.15, 0.3, 0.5),
    "rounds": (0, 2),
}


def tf_idf(features: FloatArray) -> FloatArray:
    """Whether a word occurs, times log(rows / rows with the word)."""
    occurs = (features > 0).astype(np.float32)
    return occurs * np.log(len(occurs) / np.maximum(occurs.sum(axis=0), 1)).astype(np.float32)


def accuracy(found: SoftLabels, data: Planetoid, rows: np.ndarray) -> float:
    return float((found.labels[rows] == data.labels[rows]).mean())


def task_of(data: Planetoid, features: FloatArray) -> TrainerTask:
    return TrainerTask(
        data.graph, features, data.labels_of(data.train), data.n_classes, data.labels_of(data.validation)
    )


def best_smoothing(data: Planetoid) -> tuple[SoftLabels, str]:
    """Feature smoothing with the settings that the validation rows like best; the first of equals."""
    task = task_of(data, tf_idf(data.features))
    tried: list[tuple[float, SoftLabels, str]] = []
    for values in itertools.product(*GRID.values()):
        chosen = dict(zip(GRID, values, strict=True))
        config = load_config(None, [f"trainer.feature_smoothing.{name}={value}" for name, value in chosen.items()])
        found = trainer("feature_smoothing")(task, config.trainer, 0)
        settings = ", ".join(f"{name} {value:g}" for name, value in chosen.items())
        tried.append((accuracy(found, data, data.validation), found, settings))
    _, found, settings = max(tried, key=lambda one: one[0])
    return found, settings


def config_of(name: str, data_set: str, settings: list[str]) -> TrainerConfig:
    paper = [f"trainer.neural.{setting}" for setting in PAPERS.get((data_set, name), [])]
    return load_config(None, [*paper, *settings]).trainer


def bits_of(data: Planetoid, n_bits: int, additions: int) -> Bits:
    """The bits of the words that a row has, each word by the name of its column."""
    texts = Texts.from_strings(" ".join(f"w{word}" for word in np.flatnonzero(row)) for row in data.features)
    spec = ProjectionSpec.for_text(n_bits, word_share=1.0, additions=additions, word_ngrams=(1, 1))
    return project(spec.to_bytes(), texts)


def student_accuracy(
    data: Planetoid, found: SoftLabels, bits: Bits, config: StudentConfig, units: int, seed: int, transductive: bool
) -> tuple[float, float]:
    """Validation and test accuracy of a student on the bits of those rows alone."""
    rows = np.arange(len(bits)) if transductive else np.setdiff1d(np.arange(len(bits)), data.test)
    targets = sharpen(found.probabilities[rows], data.labels_of(data.train)[rows], config.sharpen)
    student = fit_student(StudentTask(bits.select(rows), targets, config, units, seed))
    hidden = bits.values(np.float32)
    if student.hidden is not None:
        hidden = np.maximum(hidden @ student.hidden.weights + student.hidden.bias, 0.0)
    right = (hidden @ student.output.weights + student.output.bias).argmax(axis=1) == data.labels
    return float(right[data.validation].mean()), float(right[data.test].mean())


def spread(values: list[float]) -> str:
    """Mean, standard deviation and range in per cent."""
    per_cent = 100 * np.array(values)
    return f"{per_cent.mean():.1f} ± {per_cent.std():.1f} ({per_cent.min():.1f} to {per_cent.max():.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=["cora", "citeseer"])
    parser.add_argument("--trainers", nargs="*", default=["feature_smoothing", "gcn", "gat", "appnp"], choices=TRAINERS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", nargs="*", default=[], help="such as trainer.neural.epochs=400", dest="settings")
    parser.add_argument("--student", choices=TRAINERS, help="train bits on this trainer's distributions")
    parser.add_argument("--bits", type=int, default=4096)
    parser.add_argument("--additions", type=int, default=2)
    parser.add_argument("--units", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| set | trainer | seeds | validation | test | CPU s a run | settings |\n|" + "---|" * 7, flush=True)
    for name in options.sets:
        data = read_planetoid(options.folder, name)
        for chosen in options.trainers:
            run_trainer(data, name, chosen, options)
        if options.student:
            run_student(data, name, options)


def run_trainer(data: Planetoid, name: str, chosen: str, options: argparse.Namespace) -> None:
    start, results, note = time.process_time(), [], " ".join(options.settings)
    if chosen == "feature_smoothing":
        found, note = best_smoothing(data)
        results.append(found)
    else:
        config, task = config_of(chosen, name, options.settings), task_of(data, data.features)
        results += [trainer(chosen)(task, config, seed) for seed in range(options.seeds)]
    seconds = (time.process_time() - start) / len(results)
    judged, tested = ([accuracy(f, data, rows) for f in results] for rows in (data.validation, data.test))
    print(
        f"| {name} | {chosen} | {len(results)} | {spread(judged)} | {spread(tested)} | {seconds:.1f} | {note} |",
        flush=True,
    )


def run_student(data: Planetoid, name: str, options: argparse.Namespace) -> None:
    config = load_config(None, options.settings)
    if options.student == "feature_smoothing":
        found, _ = best_smoothing(data)
    else:
        found = trainer(options.student)(
            task_of(data, data.features), config_of(options.student, name, options.settings), 0
        )
    bits = bits_of(data, options.bits, options.additions)
    for transductive in (True, False):
        start = time.process_time()
        pairs = [
            student_accuracy(data, found, bits, config.student, options.units, seed, transductive)
            for seed in range(options.seeds)
        ]
        judged, tested = ([pair[which] for pair in pairs] for which in (0, 1))
        rows = "all rows" if transductive else "without test rows"
        print(
            f"| {name} | student of {options.student}, {rows} | {len(pairs)} | {spread(judged)} | {spread(tested)} | "
            f"{(time.process_time() - start) / len(pairs):.1f} | {options.bits} bits, {options.units} units |",
            flush=True,
        )


if __name__ == "__main__":
    main()
