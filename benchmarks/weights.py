"""Bytes, accuracy and CPU time of one head in every format of weights, on folders of train.csv and test.csv, or MNIST.

    python benchmarks/weights.py sets/banking77 sets/clinc150 sets/atis sets/mnist [--bits 2048] [--units 128]

For each folder one head is trained on all rows that have a label, in float; every format starts from it. Weights of 2
bits and 1, and pruned ones, are tuned as `projgraph train` does it. The accuracy is that of the integers on the rows of
test.csv, as the C core predicts them, and nothing is chosen by it. The time is CPU time a text of the core's loop over
all of them in one thread, the least of a few passes, so that what else the machine does counts little.

``--budgets 256KB 64KB 32KB 16KB`` trains a model for each budget instead: the first one as `projgraph train` does it by
default, the others with binary weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rows import test_file, train_file

from projgraph import native
from projgraph.bits import row_projection
from projgraph.config import TrainConfig
from projgraph.native import NativeModel
from projgraph.pack.model import ProjectionModel
from projgraph.pack.packing import Packing
from projgraph.pack.quantise import quantise
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.write import model_bytes
from projgraph.pipeline import train
from projgraph.projection.fit import Fit, StudentTask, fit_student, sharpen
from projgraph.projection.head import HeadLayers, layers_of
from projgraph.projection.straight_through import Tuning
from projgraph.provenance import describe_training
from projgraph.read import read_dataset
from projgraph.read.idx import read_idx_images
from projgraph.records import UNLABELLED, Dataset

CALIBRATION_ROWS = 2000
IMAGES, DIGITS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
PASSES = 7


@dataclass(frozen=True)
class Format:
    """How the layer over the bits is stored; the output layer has 8 bits, or 4 behind fewer than 4."""

    name: str
    weight_bits: int
    pruning: float = 0.0
    shared: bool = False
    tuned: bool = True

    @property
    def tuning(self) -> Tuning | None:
        plain = self.weight_bits >= 4 and not self.pruning
        return None if plain or not self.tuned else Tuning(self.weight_bits, self.pruning)


FORMATS = (
    Format("int8", 8),
    Format("int4", 4),
    Format("k-means, 16 values", 4, shared=True),
    Format("ternary", 2),
    Format("ternary, not tuned", 2, tuned=False),
    Format("binary", 1),
    Format("binary, not tuned", 1, tuned=False),
    Format("int8, 80 % pruned", 8, pruning=0.8),
    Format("int4, 80 % pruned", 4, pruning=0.8),
    Format("k-means, 80 % pruned", 4, pruning=0.8, shared=True),
    Format("ternary, 80 % pruned", 2, pruning=0.8),
)


class Trained:
    """A float head, and what every format of it needs."""

    def __init__(self, dataset: Dataset, bits: int, units: int, seed: int) -> None:
        if (dataset.labels == UNLABELLED).any():
            raise SystemExit("a row has no label: there would be a graph to teach from; give rows with labels alone")
        self._config, self._classes = TrainConfig(seed=seed), dataset.classes
        self._projection = row_projection(dataset.rows, bits, self._config)
        self.bits = native.project(self._projection, dataset.rows)
        certain = np.eye(len(dataset.classes), dtype=np.float32)[dataset.labels]
        targets = sharpen(certain, dataset.labels, self._config.student.sharpen)
        self._task = StudentTask(self.bits, targets, self._config.student, units, seed)
        self.layers = fit_student(self._task).layers
        self._tuned: dict[Tuning, HeadLayers] = {}

    def in_format(self, chosen: Format) -> QuantisedModel:
        """The head's integers in a format."""
        layers = self.layers if chosen.tuning is None else self._tune(chosen.tuning)
        hidden = layers.hidden
        model = ProjectionModel(self._projection, layers.output, hidden, 1.0, self._classes)
        generator = np.random.default_rng(self._config.seed)
        rows = np.sort(generator.choice(len(self.bits), min(len(self.bits), CALIBRATION_ROWS), replace=False))
        over_bits = chosen.weight_bits
        output_bits = over_bits if hidden is None else 8 if over_bits >= 4 else 4
        packing = Packing(chosen.shared, chosen.pruning > 0)
        return quantise(model, output_bits, over_bits, self.bits.select(rows).values(), packing=packing)

    def _tune(self, tuning: Tuning) -> HeadLayers:
        """The float head after tuning; weights of 4 bits and more are tuned once for all of them."""
        key = replace(tuning, weight_bits=min(tuning.weight_bits, 4))
        if key not in self._tuned:
            fit = Fit(self._task, self.layers)
            fit.tune(np.arange(len(self.bits)), tuning)
            self._tuned[key] = layers_of(fit.head)
        return self._tuned[key]


def whole(folder: Path) -> tuple[Dataset, Dataset]:
    """All training rows and all test rows, of texts or of MNIST's images."""
    if not (folder / IMAGES.format("train")).is_file():
        return read_dataset(train_file(folder)), read_dataset(test_file(folder), keep_empty=True)
    train, test = (
        read_idx_images(folder / IMAGES.format(part), folder / DIGITS.format(part)) for part in ("train", "t10k")
    )
    return train, test


def rows(folder: Path, bits: int, units: int, seed: int) -> Iterator[tuple[str, int, float, float]]:
    """Of each format its name, bytes, accuracy in per cent and CPU microseconds a text."""
    dataset, test = whole(folder)
    trained = Trained(dataset, bits, units, seed)
    for chosen in FORMATS:
        model = trained.in_format(chosen)
        data = model_bytes(model, {})
        yield chosen.name, len(data), *judged(model, data, test)


def budget_rows(folder: Path, budgets: list[str], seed: int) -> Iterator[tuple[str, int, float, float]]:
    """Of the model for each budget what it is, its bytes, accuracy in per cent and CPU microseconds a text."""
    dataset, test = whole(folder)
    for index, budget in enumerate(budgets):
        pack = {"weight_bits": 1} if index else {}
        config = TrainConfig.model_validate({"seed": seed, "budget": budget, "pack": pack})
        result = train(dataset, config, lambda line: None)
        plan, data = result.plan, model_bytes(result.model, describe_training(dataset, config, result.temperature))
        name = f"{budget}: {plan.bits} bits x {plan.units} units of {plan.weight_bits} bits, {plan.words} words"
        yield name, len(data), *judged(result.model, data, test)


def judged(model: QuantisedModel, data: bytes, test: Dataset) -> tuple[float, float]:
    """Accuracy in per cent, and CPU microseconds a text."""
    device = NativeModel(data)
    found = [model.classes[index] for index in device.labels(test.rows, threads=1)]
    expected = [test.classes[index] for index in test.labels]
    hits = [one == other for one, other in zip(found, expected, strict=True)]
    return 100 * float(np.mean(hits)), cpu_time(device, test)


def cpu_time(device: NativeModel, test: Dataset) -> float:
    """CPU microseconds a text of the core's loop."""
    times = []
    for _ in range(PASSES):
        start = time.process_time()
        device.labels(test.rows, threads=1)
        times.append(time.process_time() - start)
    return 1e6 * min(times) / len(test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--units", type=int, default=128, help="0 for a linear head")
    parser.add_argument("--budgets", nargs="+", help="one model a budget, instead of one in every format")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in options.folders:
        about = "" if options.budgets else f", {options.bits} bits, {options.units} hidden units"
        print(f"\n{folder.name}{about}\n")
        print("| weights | bytes | accuracy | against the first | CPU µs a text |\n|" + "---|" * 5)
        table = rows(folder, options.bits, options.units, options.seed)
        if options.budgets:
            table = budget_rows(folder, options.budgets, options.seed)
        first = None
        for name, size, accuracy, micros in table:
            first = accuracy if first is None else first
            print(f"| {name} | {size:,} | {accuracy:.2f} | {accuracy - first:+.2f} | {micros:.2f} |", flush=True)


if __name__ == "__main__":
    main()
