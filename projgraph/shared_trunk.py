"""Kept runs to models that share bits and one hidden layer, as a bundle holds them; it knows no file.

A head of its own costs a model of few classes little more than a hundred bytes a class: nearly all bytes are in the
hidden layer, which is there once, and learns from the rows of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from projgraph import native
from projgraph.bits import row_projection
from projgraph.config import TrainConfig
from projgraph.errors import ConfigError
from projgraph.lesson import KeptRun
from projgraph.pack.model import ProjectionModel
from projgraph.pack.quantise import quantise
from projgraph.pack.quantised import QuantisedModel
from projgraph.pipeline import weight_packing, weight_tuning, with_copies
from projgraph.plan import weight_bits_of
from projgraph.projection.fit import Listener, Student, StudentTask, Targets, sharpen
from projgraph.projection.head import HeadLayers
from projgraph.projection.shared import fit_shared
from projgraph.provenance import describe_training
from projgraph.records import UNLABELLED, Bits, FloatArray, IndexArray, Layer, Progress, Texts
from projgraph.trust import score_threshold, student_temperature, tempered

BITS = 2048
UNITS = 64
HIDDEN_WEIGHT_BITS = 4
_CALIBRATION_ROWS = 2000


@dataclass(frozen=True)
class SharedHead:
    """One of several models over a hidden layer.

    Attributes:
        model: its integers; the hidden layer is the same in all.
        provenance: what its file says of its making.
        held_out_accuracy: share of its held-out rows that a first fit's head, in integers, says the label of: the given
            one, or else the trainer's; None where none was held out.
    """

    model: QuantisedModel
    provenance: dict[str, Any]
    held_out_accuracy: float | None


def train_shared(
    runs: Mapping[str, KeptRun], config: TrainConfig, progress: Progress, listener: Listener | None = None
) -> dict[str, SharedHead]:
    """Fit models of several runs that share bits and hidden layer.

    Args:
        runs: what each was taught, by the names of the heads; two or more.
        config: settings of projection, student and pack, of which `projection.bits`, `student.units` and
            `pack.weight_bits` are 2,048, 64 and 4 unless given. Budgets are not looked at, and there are no words.
        progress: called with one line before each stage.
        listener: called after every epoch of the student with its figures.

    Raises:
        ConfigError: there are fewer than two runs, or the settings ask for what heads cannot share.
    """
    _check(runs, config)
    texts = Texts.from_strings(text for run in runs.values() for text in run.dataset.texts)
    n_bits, units = config.projection.bits or BITS, config.student.units or UNITS
    projection = row_projection(texts, n_bits, config)
    progress(f"bits: {len(texts):,} rows x {n_bits:,} bits")
    bits = native.project(projection, texts)
    rows_of = np.repeat(np.arange(len(runs)), [len(run.dataset) for run in runs.values()])
    classes = np.array([len(run.dataset.classes) for run in runs.values()])
    targets, tuning = _targets(runs, classes, config), weight_tuning(_weight_bits(config), config, 0)
    task = StudentTask(bits, targets, config.student, units, config.seed, groups=_groups(texts))
    task = with_copies(task, None, texts, projection, config)
    progress(f"student: {units} hidden units, {int(classes.sum()):,} classes of {len(runs)} heads")
    student = fit_shared(task, rows_of, classes, listener, tuning)
    progress(f"integers: {_weight_bits(config)}-bit weights of the hidden layer")
    blocks = np.concatenate([[0], np.cumsum(classes)])
    parts = zip(runs.items(), blocks[:-1], blocks[1:], strict=True)
    sampled = bits.select(_sample(len(texts), config.seed))
    return {
        name: _head(run, place, slice(int(start), int(end)), config, projection, task, student, sampled, rows_of)
        for place, ((name, run), start, end) in enumerate(parts)
    }


def _check(runs: Mapping[str, KeptRun], config: TrainConfig) -> None:
    if len(runs) < 2:
        raise ConfigError(f"there is {len(runs)} run; expected two or more that share a hidden layer")
    loss, student = config.student.loss, config.student
    wrong = {
        "student.loss.edges": loss.edges > 0,
        "student.loss.hamming": loss.hamming > 0,
        "student.joint": student.joint,
    }
    if any(wrong.values()):
        named = ", ".join(name for name, given in wrong.items() if given)
        raise ConfigError(f"{named}: heads over one hidden layer cannot have it; give 0, or bundle trained models")


def _groups(texts: Texts) -> IndexArray:
    """(n,) the place of each text among the different ones, in order: it may be in several runs.

    Where one head has not seen it, no other shall have.
    """
    # Not by numpy, whose strings all take the bytes of the longest, and end before a zero character.
    places = {text: place for place, text in enumerate(sorted(set(texts)))}
    return np.fromiter((places[text] for text in texts), dtype=np.int64, count=len(texts))


def _targets(runs: Mapping[str, KeptRun], classes: IndexArray, config: TrainConfig) -> Targets:
    """Every run's targets, each in its own block of classes. Memory O(n c) with the classes of all runs."""
    n_rows, n_classes = sum(len(run.dataset) for run in runs.values()), int(classes.sum())
    beliefs = np.zeros((n_rows, n_classes), dtype=np.float32)
    distributions = np.zeros_like(beliefs)
    weights = np.empty(n_rows, dtype=np.float32)
    gold = np.empty(n_rows, dtype=np.int64)
    row = block = 0
    for run, count in zip(runs.values(), classes.tolist(), strict=True):
        own = sharpen(run.taught.labels.probabilities, run.dataset.labels, config.student.sharpen)
        rows, columns = slice(row, row + len(run.dataset)), slice(block, block + count)
        beliefs[rows, columns], distributions[rows, columns] = own.beliefs, own.distributions
        weights[rows] = own.weights
        gold[rows] = np.where(own.gold == UNLABELLED, UNLABELLED, own.gold + block)
        row, block = rows.stop, columns.stop
    return Targets(distributions, weights, gold, beliefs)


def _sample(n_rows: int, seed: int) -> IndexArray:
    """Rows of all runs that choose the ranges of the hidden layer, the same for every head."""
    drawn = np.random.default_rng(seed).choice(n_rows, min(n_rows, _CALIBRATION_ROWS), replace=False)
    return np.sort(drawn).astype(np.int64)


def _head(
    run: KeptRun,
    place: int,
    block: slice,
    config: TrainConfig,
    projection: bytes,
    task: StudentTask,
    student: Student,
    sample: Bits,
    rows_of: IndexArray,
) -> SharedHead:
    """A run's own model: the hidden layer of all, and its block of the output layer."""
    own = np.flatnonzero(rows_of[student.held_out] == place)
    rows = student.held_out[own]
    logits: FloatArray = student.held_out_logits[own][:, block]
    believed = tempered(task.targets.beliefs[rows][:, block], run.taught.temperature)
    temperature = student_temperature(logits, believed, task.targets.gold[rows])
    last = HeadLayers(student.hidden, student.output, None)
    model = _integers(last, block, config, projection, run, temperature, sample)
    threshold = score_threshold(logits, run.config.trust.abstain, model.scale * temperature)
    accuracy = None
    if len(rows) and student.first_fit is not None:
        unseen = _integers(student.first_fit, block, config, projection, run, temperature, sample)
        found = unseen.scores(task.bits.select(rows).values()).argmax(axis=1)
        accuracy = float((found == task.targets.distributions[rows][:, block].argmax(axis=1)).mean())
    provenance = describe_training(run.dataset, run.config, temperature)
    return SharedHead(replace(model, threshold=threshold), provenance, accuracy)


def _integers(
    layers: HeadLayers,
    block: slice,
    config: TrainConfig,
    projection: bytes,
    run: KeptRun,
    temperature: float,
    sample: Bits,
) -> QuantisedModel:
    """The hidden layer and a block of the output layer, rounded as all heads are."""
    output_bits, hidden_bits = weight_bits_of(_weight_bits(config), hidden=True)
    output = Layer(layers.output.weights[:, block], layers.output.bias[block])
    model = ProjectionModel(projection, output, layers.hidden, temperature, run.dataset.classes)
    return quantise(model, output_bits, hidden_bits, sample.values(), packing=weight_packing(config))


def _weight_bits(config: TrainConfig) -> int:
    """Of the hidden layer."""
    return config.pack.weight_bits or HIDDEN_WEIGHT_BITS
