"""Few labels on images: patch views, a graph, Poisson learning, and a device model that sees pixels alone.

    python benchmarks/mnist.py ../shared/data/mnist --labels 1 5 --seeds 0 1 2 --json mnist.json

The folder holds MNIST's four IDX files. Labels are drawn from the training rows by the few-label protocol; the trainer
labels the other training rows; the student learns from those and is measured on the test images, which are in no
graph, as the integers of the model file predict. Slant is taken out of the images that the graph compares; the student
sees pixels as they are. Figures: the trainer on hidden rows, the model on test rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import spread

from projgraph.config import ClassicConfig, StudentConfig, TrainerConfig
from projgraph.features.patches import describe_images
from projgraph.features.slant import upright
from projgraph.graph.knn import build_knn
from projgraph.native import NativeModel, project_vectors
from projgraph.pack.quantise import quantise
from projgraph.pack.vector import VectorSpec
from projgraph.pack.write import model_bytes
from projgraph.projection.fit import Edges, fit_student, sharpen
from projgraph.read.idx import read_idx
from projgraph.records import UNLABELLED, Bits, Graph, ProjectionModel, SoftLabels, TrainerTask, Vectors
from projgraph.trainers.registry import trainer

BITS = 2048
UNITS = 128
NEIGHBOURS = 10
CLASSES = tuple("0123456789")
SHARPEN = 16.0
"""Of the trainer's distributions. Poisson learning's are flat (median maximum 0.5): on 10,000 held-out training rows,
seed 10, 6 epochs, powers 2 / 8 / 32 gave 90.0 / 92.7 / 93.2 with 1 label a class and 91.3 / 94.1 / 94.5 with 5."""


def few(labels: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(n,) the labels of k rows a class, drawn by the few-label protocol, ``UNLABELLED`` elsewhere."""
    generator = np.random.default_rng(seed)
    kept = np.full(len(labels), UNLABELLED, dtype=np.int64)
    for label in range(len(CLASSES)):
        kept[generator.choice(np.flatnonzero(labels == label), k, replace=False)] = label
    return kept


def teach(graph: Graph, given: np.ndarray, name: str) -> SoftLabels:
    """The trainer's distributions; class masses follow the labels, which the protocol draws evenly."""
    config = TrainerConfig(name=name, classic=ClassicConfig(class_masses="labels"))
    return trainer(name)(TrainerTask(graph, None, given, len(CLASSES)), config, 0)


def learn(spec: VectorSpec, bits: Bits, taught: SoftLabels, given: np.ndarray, seed: int) -> bytes:
    """A model file that has learned the distributions."""
    student = fit_student(bits, sharpen(taught.probabilities, given, SHARPEN), Edges(), StudentConfig(), UNITS, seed)
    model = ProjectionModel(spec.to_bytes(), student.output, student.hidden, 1.0, CLASSES)
    sample = np.random.default_rng(seed).choice(len(bits), 2000, replace=False)
    return model_bytes(quantise(model, 8, 4, bits.select(np.sort(sample)).values()), {})


def measure(folder: Path, labels: list[int], seeds: list[int], name: str) -> list[dict[str, Any]]:
    """A row of figures for every number of labels."""
    images, digits = (read_idx(folder / f"train-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1"))
    test_images, test_digits = (read_idx(folder / f"t10k-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1"))
    started = time.perf_counter()
    graph = build_knn(describe_images(upright(images), 0), NEIGHBOURS).graph
    graph_seconds = time.perf_counter() - started
    pixels = Vectors.from_matrix(images.reshape(len(images), -1))
    spec = VectorSpec.for_rows(pixels, BITS)
    bits = project_vectors(spec.to_bytes(), pixels)
    rows = []
    for k in labels:
        trainer_accuracy, test_accuracy, size = [], [], 0
        for seed in seeds:
            given = few(digits, k, seed)
            taught = teach(graph, given, name)
            hidden = given == UNLABELLED
            trainer_accuracy.append(100 * float((taught.labels[hidden] == digits[hidden]).mean()))
            data = learn(spec, bits, taught, given, seed)
            size = len(data)
            found = NativeModel(data).labels(test_images.reshape(len(test_images), -1))
            test_accuracy.append(100 * float((found == test_digits).mean()))
            print(f"{k} labels, seed {seed}: {trainer_accuracy[-1]:.1f}, {test_accuracy[-1]:.1f}", file=sys.stderr)
        rows.append(
            {"labels": k, "trainer": trainer_accuracy, "test": test_accuracy, "bytes": size, "graph_s": graph_seconds}
        )
    return rows


def main() -> None:
    """Print a table, and the rows as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trainer", default="poisson")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.folder, options.labels, options.seeds, options.trainer)
    for row in rows:
        accuracy = f"trainer {spread(row['trainer'])}, test {spread(row['test'])}"
        print(f"{row['labels']} labels: {accuracy}, {row['bytes']:,} bytes")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
