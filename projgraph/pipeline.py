"""The story of a training, rows -> features -> graph -> trainer -> bits -> student -> integers, without files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from projgraph import native
from projgraph.bits import row_projection
from projgraph.config import StudentConfig, TrainConfig
from projgraph.errors import InputError
from projgraph.evaluate.calibration import fit_temperature
from projgraph.features.corruption import corrupt
from projgraph.features.vectors import describe_vectors
from projgraph.features.view import describe
from projgraph.graph.knn import build_knn
from projgraph.lesson import Lesson
from projgraph.pack.convolution import Convolution
from projgraph.pack.model import ProjectionModel
from projgraph.pack.quantise import QuantisedModel, quantise
from projgraph.pack.vector import has_thresholds
from projgraph.pack.words import Sequences, WordTable
from projgraph.plan import Plan, head_weight_bits, plan_model
from projgraph.projection.fit import Listener, Student, StudentTask, fit_student, sharpen
from projgraph.projection.graph import ProjectionGraph, projection_graph
from projgraph.projection.joint import fit_jointly
from projgraph.projection.words import WordRows
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
    TrainerTask,
    Vectors,
)
from projgraph.trainers.registry import trainer
from projgraph.trust import belief_temperature, score_threshold, tempered
from projgraph.vocabulary import word_rows, word_table

_CALIBRATION_ROWS = 2000
"""Sampled training rows that choose the integers' ranges."""


@dataclass(frozen=True)
class Trained:
    """A trained model and what it grew from.

    Attributes:
        model: the integers of the model file.
        plan: the dimensions that the budget chose.
        bits: projection nodes of all rows.
        taught: the trainer's label distributions, gold labels included; those of the neural trainer where it was
            trained jointly.
        graph: the trainer graph; None where every row was labelled and no joint trainer needs it.
        student: the float head and its history.
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
        InputError: no labelled row, or one class only.
        BudgetError: no model fits the budget.
    """
    return train_with_lesson(dataset, config, progress, listener)[0]


def train_with_lesson(
    dataset: Dataset, config: TrainConfig, progress: Progress, listener: Listener | None = None
) -> tuple[Trained, Lesson]:
    """As ``train``, with what further students can learn from by ``learn``."""
    _check_labels(dataset)
    plan = plan_rows(dataset, config)
    if plan.left_out:  # said before the work, so that nobody waits for another model than was asked for
        progress(f"note: {plan.left_out}")
    row_projection(dataset.rows, plan.bits, config)  # and so are settings that do not go with so many bits
    clock: dict[str, float] = {}
    lesson = _teach(dataset, config, plan.words > 0, progress, clock)
    trained = learn(dataset, lesson, config, progress, listener, plan)
    return replace(trained, seconds=clock | trained.seconds), lesson


def teach(dataset: Dataset, config: TrainConfig, progress: Progress) -> Lesson:
    """The trainer's part of ``train`` alone, for students of any budget.

    Raises:
        InputError: no labelled row, or one class only.
    """
    _check_labels(dataset)
    return _teach(dataset, config, config.code_dimensions > 0, progress, {})


def plan_rows(dataset: Dataset, config: TrainConfig) -> Plan:
    """The dimensions of a model of these rows, as `projgraph.plan.plan_model` prefers them.

    Raises:
        BudgetError: no model fits the budget.
    """
    rows, settings = dataset.rows, config.projection.vectors
    thresholds = has_thresholds(rows, settings.thresholds) if isinstance(rows, Vectors) else None
    return plan_model(dataset.classes, config, thresholds)


def learn(
    dataset: Dataset,
    lesson: Lesson,
    config: TrainConfig,
    progress: Progress,
    listener: Listener | None = None,
    plan: Plan | None = None,
    *,
    judge: bool = False,
) -> Trained:
    """The student's part of ``train``: a device model of the dimensions of a plan.

    Args:
        dataset: the rows that the lesson is of.
        lesson: what they are taught.
        config: the settings.
        progress: called with one line before each stage.
        listener: called after every epoch of the student with its figures.
        plan: the dimensions; as ``plan_rows`` chooses them if left out.
        judge: measure the integers on rows that the student did not see; takes another rounding.

    Raises:
        BudgetError: no model fits the budget.
    """
    plan = plan_rows(dataset, config) if plan is None else plan
    rows, taught = dataset.rows, lesson.taught
    projection = row_projection(rows, plan.bits, config)
    clock: dict[str, float] = {}
    with _timed(clock, "bits"):
        progress(f"bits: {len(dataset):,} rows x {plan.bits:,} bits")
        bits = native.project(projection, rows)
    table, words = None, None
    if plan.words and isinstance(rows, Texts):
        with _timed(clock, "words"):
            table, words = _words(rows, plan, projection, taught, lesson.features, config, progress)
    with _timed(clock, "student"):
        progress(f"student: {f'{plan.units} hidden units' if plan.units else 'a linear head'}")
        task, joined = _student_task(dataset, lesson, config, plan, bits, words)
        if isinstance(rows, Texts):
            task = with_copies(task, table, rows, projection, config)
        student, taught = _learn(task, lesson.features, taught, listener)
    with _timed(clock, "pack"):
        progress(f"integers: {plan.weight_bits}-bit weights")
        believed = tempered(taught.probabilities[student.held_out], lesson.belief)
        temperature = fit_temperature(student.held_out_logits, believed)
        float_model = _float_model(projection, dataset.classes, table, task, student, temperature)
        model, drop = _to_integers(float_model, plan, task, taught)
        unit = model.scale * temperature
        model = replace(model, threshold=score_threshold(student.held_out_logits, config.trust.abstain, unit))
        held_out = _judge(float_model, plan, task, student) if judge else None
    return Trained(model, plan, bits, taught, lesson.graph, student, drop, clock, joined, temperature, held_out)


def _check_labels(dataset: Dataset) -> None:
    labelled = int((dataset.labels != UNLABELLED).sum())
    if not labelled:
        raise InputError(f"none of the {len(dataset)} rows has a label; label at least one row of each class")
    if len(dataset.classes) < 2:
        raise InputError(
            f"all {labelled} labelled rows have the class {dataset.classes[0]!r}; expected two classes or more"
        )


def _teach(dataset: Dataset, config: TrainConfig, words: bool, progress: Progress, clock: dict[str, float]) -> Lesson:
    """Label distributions of all rows, with graph and features where they were needed.

    Without unlabelled rows there is nothing to teach but the labels; a joint trainer wants features all the same, and
    so do words that an encoder describes.
    """
    all_labelled = bool((dataset.labels != UNLABELLED).all())
    graphless = all_labelled and not config.student.joint
    if graphless and not (words and config.encoder):
        return Lesson(_certain(dataset), None, None, 1.0)
    with _timed(clock, "features"):
        features = _describe(dataset.rows, config, progress)
    if graphless:
        return Lesson(_certain(dataset), None, features, 1.0)
    with _timed(clock, "graph"):
        progress(f"graph: {config.graph.neighbours} nearest neighbours of each row")
        graph = build_knn(features, **config.graph.model_dump(), seed=config.seed).graph
    if all_labelled:
        return Lesson(_certain(dataset), graph, features, 1.0)
    with _timed(clock, "trainer"):
        task = TrainerTask(graph, features, dataset.labels, len(dataset.classes))
        taught = trainer(config.trainer.name)(task, config.trainer, config.seed, progress)
    with _timed(clock, "trust"):
        belief = 1.0 if config.student.joint else belief_temperature(task, taught, config, progress)
    return Lesson(taught, graph, features, belief)


def _certain(dataset: Dataset) -> SoftLabels:
    """Every row's label, believed in full."""
    certain = np.eye(len(dataset.classes), dtype=np.float32)[dataset.labels]
    return SoftLabels(certain, np.ones(len(dataset), dtype=np.bool_))


def _no_edges(n_nodes: int) -> Graph:
    empty = np.zeros(0, dtype=np.int32)
    return Graph(np.zeros(n_nodes + 1, dtype=np.int64), empty, empty.astype(np.float32))


def _describe(rows: Texts | Vectors, config: TrainConfig, progress: Progress) -> FloatArray:
    if isinstance(rows, Vectors):
        progress(f"features: {len(rows):,} vectors of {rows.n_columns:,} columns")
        return describe_vectors(rows, config.features.dimensions, config.seed)
    progress(f"features: {len(rows):,} texts" + (f", encoder {config.encoder}" if config.encoder else ""))
    return describe(rows, config.features, config.seed, config.encoder).vectors


def _beside_words(config: TrainConfig) -> StudentConfig:
    """The student's settings with the schedule that sums of codes need."""
    student, chosen = config.student, config.projection.words
    changed = {
        "min_steps": max(student.min_steps, chosen.min_steps),
        "patience": max(student.patience, chosen.patience),
    }
    return student.model_copy(update=changed)


def _words(
    texts: Texts,
    plan: Plan,
    projection: bytes,
    taught: SoftLabels,
    features: FloatArray | None,
    config: TrainConfig,
    progress: Progress,
) -> tuple[WordTable | None, WordRows | None]:
    """The words that the plan has room for, their codes fitted to what the rows look like and what they were taught."""
    progress(f"words: codes of {config.code_dimensions} signs")
    views = [taught.probabilities] if features is None else [features, taught.probabilities]
    targets = np.hstack([view / np.sqrt(np.square(view).sum(axis=1).mean()) for view in views])
    found = word_table(
        projection,
        texts,
        targets,
        most=plan.words,
        dimensions=config.code_dimensions,
        seed=config.seed,
        encoder=config.encoder if features is not None else None,
    )
    return (None, None) if found is None else found


def _student_task(
    dataset: Dataset, lesson: Lesson, config: TrainConfig, plan: Plan, bits: Bits, words: WordRows | None
) -> tuple[StudentTask, ProjectionGraph | None]:
    """What the student learns, and the projection graph where its loss has a term over Hamming edges."""
    joined = None
    if config.student.loss.hamming > 0:
        joined = projection_graph(lesson.graph or _no_edges(len(dataset)), bits, config.graph.neighbours)
    task = StudentTask(
        bits,
        sharpen(lesson.taught.probabilities, dataset.labels, config.student.sharpen),
        config.student if words is None else _beside_words(config),
        plan.units,
        config.seed,
        graph=lesson.graph,
        hamming=joined.hamming_of_rows() if joined else None,
        words=words,
        filters=plan.filters,
        width=config.projection.words.width,
    )
    return task, joined


def _learn(
    task: StudentTask, features: FloatArray | None, taught: SoftLabels, listener: Listener | None
) -> tuple[Student, SoftLabels]:
    """The student, and what it was taught: a joint trainer's distributions, where there is one."""
    if features is None or not task.config.joint:
        return fit_student(task, listener), taught
    joint = fit_jointly(task, features, listener)
    return joint.student, SoftLabels(joint.distributions, taught.reached)


def _float_model(
    projection: bytes,
    classes: tuple[str, ...],
    table: WordTable | None,
    task: StudentTask,
    student: Student,
    temperature: float,
) -> ProjectionModel:
    """The student as a model."""
    filters = student.convolution
    convolution = None if filters is None else Convolution(filters, task.width)
    return ProjectionModel(projection, student.output, student.hidden, temperature, classes, table, convolution)


def with_copies(
    task: StudentTask, table: WordTable | None, texts: Texts, projection: bytes, config: TrainConfig
) -> StudentTask:
    """The task with what is seen of each kind of corrupted copies of all texts behind what is seen of the texts."""
    rates = config.student.corruption.rates(bool((task.targets.gold == UNLABELLED).any()))
    if not rates:
        return task
    copies = Texts.from_strings(copy for kind in rates for copy in corrupt(texts, rates[kind], config.seed, kind))
    words = task.words
    if words is not None and table is not None:
        words = words.concatenate(word_rows(table, *native.word_fingerprints(projection, copies)))
    return replace(task, bits=task.bits.concatenate(native.project(projection, copies)), words=words)


def _to_integers(
    float_model: ProjectionModel, plan: Plan, task: StudentTask, taught: SoftLabels
) -> tuple[QuantisedModel, float]:
    """The integer model, its ranges chosen on sampled rows, and the share of those that rounding lost."""
    sample, values, sequences = _calibration_rows(task)
    model = quantise(float_model, *head_weight_bits(plan), values, sequences)
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


def _judge(float_model: ProjectionModel, plan: Plan, task: StudentTask, student: Student) -> float | None:
    """The accuracy of the first fit's head, in integers, on the rows that it did not see."""
    rows, first = student.held_out, student.first_fit
    if not len(rows) or first is None:
        return None
    filters = None if first.convolution is None else Convolution(first.convolution, task.width)
    unseen = replace(float_model, output=first.output, hidden=first.hidden, convolution=filters)
    _, values, sequences = _calibration_rows(task)
    model = quantise(unseen, *head_weight_bits(plan), values, sequences)
    words = None if task.words is None else task.words.sequences(rows)
    found = model.scores(task.bits.select(rows).values(), words).argmax(axis=1)
    return float((found == task.targets.distributions[rows].argmax(axis=1)).mean())


@contextmanager
def _timed(clock: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    clock[name] = time.perf_counter() - start
