"""The story of a training, rows -> features -> graph -> trainer -> bits -> student -> integers; it reads no rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from projgraph import native
from projgraph.blueprint import Blueprint, check_labels, draw_blueprint
from projgraph.clock import Clock
from projgraph.config import StudentConfig, TrainConfig
from projgraph.features.corruption import corrupt
from projgraph.features.substitution import near_words, substitute
from projgraph.pack.convolution import Convolution
from projgraph.pack.model import ProjectionModel
from projgraph.pack.packing import Packing
from projgraph.pack.quantise import quantise
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.words import Sequences
from projgraph.plan import Plan, head_weight_bits
from projgraph.projection.fit import Listener, Student, StudentTask, fit_student, held_out_rows, sharpen
from projgraph.projection.graph import ProjectionGraph, projection_graph
from projgraph.projection.head import members_of
from projgraph.projection.joint import fit_jointly
from projgraph.projection.kept import fit_or_read
from projgraph.projection.straight_through import Tuning
from projgraph.projection.tune import tune_student
from projgraph.records import (
    UNLABELLED,
    Bits,
    Dataset,
    FloatArray,
    Graph,
    IndexArray,
    Progress,
    SoftLabels,
    Texts,
)
from projgraph.teach import Taught, teach
from projgraph.trust import score_threshold, student_temperature, tempered
from projgraph.vocabulary import Vocabulary, build_vocabulary, word_rows

_CALIBRATION_ROWS = 2000
"""Sampled training rows that choose the integers' ranges."""


@dataclass(frozen=True)
class Trained:
    """A trained model and what it grew from.

    The rows that were learnt from are all but foreign ones; ``taught.rows`` of `train_and_keep` says which these are.

    Attributes:
        model: the integers of the model file.
        plan: the dimensions that the budget chose.
        bits: projection nodes of the rows that were learnt from.
        taught: the trainer's label distributions, gold labels included; those of the neural trainer where it was
            trained jointly. From `train`, of all rows; from `learn`, of those that were learnt from.
        graph: the trainer graph over the rows that were learnt from; None where every row was labelled and no joint
            trainer needs it.
        student: the float head and its history; its held-out rows count among those that were learnt from.
        quantisation_drop: share of sampled training rows that the float head got right, less that of the integers.
        seconds: what each stage took, by its name.
        projection_graph: links and Hamming edges; None where no term of the loss asks for them.
        temperature: that the model's scale holds; its logits before calibration are ``score * scale * temperature``.
        held_out_accuracy: share of the rows held out of the first fit that its head, in integers, says the label of:
            the given one, or else the trainer's. None where it was not asked for, or no row was held out.
    """

    model: QuantisedModel
    plan: Plan
    bits: Bits
    taught: SoftLabels
    graph: Graph | None
    student: Student
    quantisation_drop: float
    seconds: dict[str, float]
    projection_graph: ProjectionGraph | None = None
    temperature: float = 1.0
    held_out_accuracy: float | None = None


def train(dataset: Dataset, config: TrainConfig, progress: Progress, listener: Listener | None = None) -> Trained:
    """Train a device model on labelled and unlabelled rows.

    Args:
        dataset: rows, at least two classes, each with a labelled row.
        config: the settings.
        progress: called with one line before each stage.
        listener: called after every epoch of the student with its figures.

    Raises:
        InputError: a class has no labelled row, there is one class only, or the encoder cannot be had.
        BudgetError: no model fits the budget.
        ConfigError: the settings do not go with so many bits, or the student's training diverged.
        MissingExtraError: an encoder is given and sentence-transformers is not installed.
    """
    return train_and_keep(dataset, config, progress, listener)[0]


def train_and_keep(
    dataset: Dataset,
    config: TrainConfig,
    progress: Progress,
    listener: Listener | None = None,
    blueprint: Blueprint | None = None,
    *,
    keep: bool = False,
) -> tuple[Trained, Taught]:
    """As ``train``, with what further students can learn from by ``learn``.

    Args:
        dataset, config, progress, listener: as for ``train``.
        blueprint: the model to train; as ``draw_blueprint`` draws it if left out.
        keep: there will be further students, which may have codes of words where this one has none.
    """
    check_labels(dataset)
    blueprint = draw_blueprint(dataset, config) if blueprint is None else blueprint
    if blueprint.plan.left_out:  # said before the work, so that nobody waits for another model than was asked for
        progress(f"note: {blueprint.plan.left_out}")
    clock = Clock()
    words = blueprint.plan.words > 0 or (keep and config.code_dimensions > 0)
    taught = teach(dataset, config, words, progress, clock)
    trained = learn(taught.taken_from(dataset), taught, config, progress, listener, blueprint)
    labels = taught.spread_over(trained.taught, len(dataset))
    return replace(trained, taught=labels, seconds=clock.seconds | trained.seconds), taught


def teach_all(dataset: Dataset, config: TrainConfig, progress: Progress) -> Taught:
    """The trainer's part of ``train`` alone, for students of any budget.

    Raises:
        InputError, ConfigError, MissingExtraError: as of ``train``.
    """
    check_labels(dataset)
    return teach(dataset, config, config.code_dimensions > 0, progress, Clock())


def learn(
    dataset: Dataset,
    taught: Taught,
    config: TrainConfig,
    progress: Progress,
    listener: Listener | None = None,
    blueprint: Blueprint | None = None,
    *,
    judge: bool = False,
    fits: Path | None = None,
) -> Trained:
    """The student's part of ``train``: a device model as its blueprint says.

    Args:
        dataset: the rows that were taught, no others.
        taught: what the student is to learn.
        config: the settings.
        progress: called with one line before each stage.
        listener: called after every epoch of the student with its figures.
        blueprint: the model; as ``draw_blueprint`` draws it if left out.
        judge: measure the integers on rows that the student did not see; takes another rounding.
        fits: a folder, where fits are kept for students that differ in weights alone; None keeps none. A joint
            trainer's fit is not kept.

    Raises:
        BudgetError: no model fits the budget.
        ConfigError: the settings do not go with so many bits, no term of the loss is on, or the training diverged.
        OutputError: a fit cannot be kept.
    """
    blueprint = draw_blueprint(dataset, config) if blueprint is None else blueprint
    plan, projection = blueprint.plan, blueprint.projection
    rows, clock = dataset.rows, Clock()
    with clock.part("bits"):
        progress(f"bits: {len(dataset):,} rows x {plan.bits:,} bits")
        bits = native.project(projection, rows)
    vocabulary = None
    if plan.words and isinstance(rows, Texts):
        with clock.part("words"):
            progress(f"words: codes of {config.code_dimensions} signs")
            vocabulary = _vocabulary(rows, blueprint, dataset, taught, config)
    with clock.part("student"):
        progress(f"student: {f'{plan.units} hidden units' if plan.units else 'a linear head'}")
        task, joined = _student_task(dataset, taught, config, plan, bits, vocabulary)
        if isinstance(rows, Texts):
            task = with_copies(task, vocabulary, rows, projection, config)
        student, labels = _learn(task, taught, weight_tuning(plan.weight_bits, config, plan.filters), listener, fits)
    with clock.part("pack"):
        progress(f"integers: {plan.weight_bits}-bit weights")
        believed = tempered(labels.probabilities[student.held_out], taught.temperature)
        temperature = student_temperature(student.held_out_logits, believed, dataset.labels[student.held_out])
        float_model = _float_model(projection, dataset.classes, vocabulary, task, student, temperature)
        packing = weight_packing(config)
        model, drop = _to_integers(float_model, plan, packing, task, labels)
        unit = model.scale * temperature
        model = replace(model, threshold=score_threshold(student.held_out_logits, config.trust.abstain, unit))
        held_out = _judge(float_model, plan, packing, task, student) if judge else None
    return Trained(model, plan, bits, labels, taught.graph, student, drop, clock.seconds, joined, temperature, held_out)


def _student_task(
    dataset: Dataset, taught: Taught, config: TrainConfig, plan: Plan, bits: Bits, vocabulary: Vocabulary | None
) -> tuple[StudentTask, ProjectionGraph | None]:
    """What the student learns, and the projection graph where its loss has a term over Hamming edges."""
    joined = None
    if config.student.loss.hamming > 0:
        joined = projection_graph(taught.graph or _no_edges(len(dataset)), bits, config.graph.neighbours)
    task = StudentTask(
        bits,
        sharpen(taught.labels.probabilities, dataset.labels, config.student.sharpen),
        config.student if vocabulary is None else _beside_words(config),
        plan.units,
        config.seed,
        members_of(plan.units),
        graph=taught.graph,
        hamming=joined.hamming_of_rows() if joined else None,
        words=vocabulary.rows if vocabulary else None,
        filters=plan.filters,
        width=config.projection.words.width,
    )
    return task, joined


def _no_edges(n_nodes: int) -> Graph:
    empty = np.zeros(0, dtype=np.int32)
    return Graph(np.zeros(n_nodes + 1, dtype=np.int64), empty, empty.astype(np.float32))


def weight_packing(config: TrainConfig) -> Packing:
    """How the weights over the bits are stored beside their number of bits."""
    return Packing(config.pack.shared, config.pack.pruning > 0)


def weight_tuning(weight_bits: int, config: TrainConfig, filters: int) -> Tuning | None:
    """How a fit goes on with weights of few bits, or pruned ones, beside so many filters; None with others."""
    pack = config.pack
    if weight_bits >= 4 and not pack.pruning:
        return None
    student = config.student
    return Tuning(weight_bits, pack.pruning, pack.tuning_epochs, student.min_steps, student.peak_rate(filters) / 2)


def _beside_words(config: TrainConfig) -> StudentConfig:
    """The student's settings with the schedule that sums of codes need."""
    student, chosen = config.student, config.projection.words
    return student.model_copy(update={"min_steps": max(student.min_steps, chosen.min_steps)})


def _vocabulary(
    texts: Texts, blueprint: Blueprint, dataset: Dataset, taught: Taught, config: TrainConfig
) -> Vocabulary | None:
    """The words that the plan has room for."""
    return build_vocabulary(
        blueprint.projection,
        texts,
        _word_targets(dataset, taught),
        most=blueprint.plan.words,
        dimensions=config.code_dimensions,
        seed=config.seed,
        encoder=taught.encoder,
        held_out=held_out_rows(len(dataset), config.student, config.seed),
    )


def _word_targets(dataset: Dataset, taught: Taught) -> FloatArray:
    """(n, d) what codes of words are fitted to: what the rows look like, beside what they were taught.

    Where every row has a label, codes that know the labels made a worse student than those of the features alone.
    """
    views = [] if taught.features is None else [taught.features]
    views += [] if dataset.all_labelled and views else [taught.labels.probabilities]
    return np.hstack([view / np.sqrt(np.square(view).sum(axis=1).mean()) for view in views])


def _learn(
    task: StudentTask, taught: Taught, tuning: Tuning | None, listener: Listener | None, fits: Path | None
) -> tuple[Student, SoftLabels]:
    """The student, and what it was taught: a joint trainer's distributions, where there is one."""
    if taught.features is None or not task.config.joint:
        student = fit_student(task, listener) if fits is None else fit_or_read(fits, task, listener)
        return (student if tuning is None else tune_student(student, task, tuning)), taught.labels
    joint = fit_jointly(task, taught.features, listener, tuning)
    return joint.student, SoftLabels(joint.distributions, taught.labels.reached)


def _float_model(
    projection: bytes,
    classes: tuple[str, ...],
    vocabulary: Vocabulary | None,
    task: StudentTask,
    student: Student,
    temperature: float,
) -> ProjectionModel:
    """The student as a model."""
    filters = student.convolution
    convolution = None if filters is None else Convolution(filters, task.width)
    table = None if vocabulary is None else vocabulary.table
    return ProjectionModel(projection, student.output, student.hidden, temperature, classes, table, convolution)


def with_copies(
    task: StudentTask, vocabulary: Vocabulary | None, texts: Texts, projection: bytes, config: TrainConfig
) -> StudentTask:
    """The task with what is seen of each kind of changed copies of all texts behind what is seen of the texts."""
    kinds = list(_copies(texts, vocabulary, config, bool((task.targets.gold == UNLABELLED).any())))
    if not kinds:
        return task
    spelt, coded = (Texts.from_strings(copy for kind in kinds for copy in kind[side]) for side in (0, 1))
    words = task.words
    if words is not None and vocabulary is not None:
        words = words.concatenate(word_rows(vocabulary.table, *native.word_fingerprints(projection, coded)))
    return replace(task, bits=task.bits.concatenate(native.project(projection, spelt)), words=words)


def _copies(
    texts: Texts, vocabulary: Vocabulary | None, config: TrainConfig, unlabelled: bool
) -> Iterator[tuple[list[str], list[str]]]:
    """For each kind of copies the texts whose bits, and the texts whose codes of words the student sees."""
    vectors = None if vocabulary is None else vocabulary.vectors
    for kind, rate in config.student.corruption.rates(unlabelled, vectors is not None).items():
        if kind != "substitution":
            copies = corrupt(texts, rate, config.seed, kind)
            yield copies, copies
        elif vocabulary is not None and vectors is not None:
            near = near_words(vocabulary.names, vectors)
            if near:
                copies = substitute(texts, near, rate, config.seed)
                yield copies, copies
                # Words that have a code, spelt as no text of the training spells them.
                yield substitute(texts, near, rate, config.seed + 1), list(texts)


def _to_integers(
    float_model: ProjectionModel, plan: Plan, packing: Packing, task: StudentTask, taught: SoftLabels
) -> tuple[QuantisedModel, float]:
    """The integer model, its ranges chosen on sampled rows, and the share of those that rounding lost."""
    sample, values, sequences = _calibration_rows(task)
    model = quantise(float_model, *head_weight_bits(plan), values, sequences, packing)
    expected = taught.probabilities[sample].argmax(axis=1)
    rounded = (model.scores(values, sequences).argmax(axis=1) == expected).mean()
    exact = (float_model.logits(values, sequences).argmax(axis=1) == expected).mean()
    return model, float(exact - rounded)


def _calibration_rows(task: StudentTask) -> tuple[IndexArray, NDArray[np.int8], Sequences | None]:
    """Sampled training rows, with their bits and words."""
    n_rows = len(task.targets.gold)
    generator = np.random.default_rng(task.seed)
    sample = np.sort(generator.choice(n_rows, min(n_rows, _CALIBRATION_ROWS), replace=False)).astype(np.int64)
    return sample, task.bits.select(sample).values(), None if task.words is None else task.words.sequences(sample)


def _judge(
    float_model: ProjectionModel, plan: Plan, packing: Packing, task: StudentTask, student: Student
) -> float | None:
    """The accuracy of the first fit's head, in integers, on the rows that it did not see."""
    rows, first = student.held_out, student.first_fit
    if not len(rows) or first is None:
        return None
    filters = None if first.convolution is None else Convolution(first.convolution, task.width)
    unseen = replace(float_model, output=first.output, hidden=first.hidden, convolution=filters)
    if unseen.words is not None and task.words is not None and task.words.unseen is not None:
        unseen = replace(unseen, words=replace(unseen.words, codes=task.words.unseen))
    _, values, sequences = _calibration_rows(task)
    model = quantise(unseen, *head_weight_bits(plan), values, sequences, packing)
    words = None if task.words is None else task.words.sequences(rows)
    found = model.scores(task.bits.select(rows).values(), words).argmax(axis=1)
    return float((found == task.targets.distributions[rows].argmax(axis=1)).mean())
