"""How the few labels reach every row: features, graph and trainer, twice where an encoder is tuned in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from projgraph.clock import Clock
from projgraph.config import TrainConfig
from projgraph.features.encoder import Encoder, load_encoder
from projgraph.features.encoder_tuning import tune_encoder, tuning_epochs
from projgraph.features.label_names import spoken_names
from projgraph.features.vectors import describe_vectors
from projgraph.features.view import View, beside, describe_named
from projgraph.graph.csr import induced
from projgraph.projection.fit import sharpen
from projgraph.records import (
    UNLABELLED,
    Dataset,
    FloatArray,
    Graph,
    IndexArray,
    Progress,
    SoftLabels,
    Texts,
    TrainerTask,
)
from projgraph.trainer_task import named_classes, trainer_task
from projgraph.trainers.foreign import foreign_rows
from projgraph.trainers.registry import trainer
from projgraph.trust import belief_temperature


@dataclass(frozen=True)
class Taught:
    """What a student is to learn: of all rows, or of those that are not foreign.

    Attributes:
        labels: their distributions, gold labels included.
        graph: the trainer graph; None where every row was labelled and no joint trainer needs it.
        features: (n, d) what the graph compares; None where nothing needs them.
        temperature: of the beliefs, fitted to labels that the trainer was not shown.
        encoder: that the features come from, tuned or as it was; None without one.
        rows: which rows of the data they are, in ascending order; None for all.
    """

    labels: SoftLabels
    graph: Graph | None = None
    features: FloatArray | None = None
    temperature: float = 1.0
    encoder: Encoder | None = None
    rows: IndexArray | None = None

    def taken_from(self, dataset: Dataset) -> Dataset:
        """The rows that this is about."""
        return dataset if self.rows is None else dataset.select(self.rows)

    def spread_over(self, labels: SoftLabels, n_rows: int) -> SoftLabels:
        """Distributions of these rows among all of the data: nothing is known of a foreign row, nothing reaches it."""
        if self.rows is None:
            return labels
        n_classes = labels.probabilities.shape[1]
        probabilities = np.full((n_rows, n_classes), 1 / n_classes, dtype=np.float32)
        reached = np.zeros(n_rows, dtype=np.bool_)
        probabilities[self.rows], reached[self.rows] = labels.probabilities, labels.reached
        return SoftLabels(probabilities, reached)


def teach(dataset: Dataset, config: TrainConfig, words: bool, progress: Progress, clock: Clock) -> Taught:
    """Label distributions of all rows but foreign ones, and what they grew from.

    Without unlabelled rows there is nothing to teach but the labels; codes of words want features all the same, and a
    joint trainer a graph over them.

    Args:
        dataset: rows, at least two classes, each with a labelled row.
        config: the settings.
        words: whether the model carries codes of words.
        progress: called with one line before each stage.
        clock: gains what each stage takes.

    Raises:
        MissingExtraError: an encoder is given and sentence-transformers is not installed.
        InputError: the encoder is neither a folder nor a model that can be had, or the trainer cannot take these rows.
        ConfigError: a stage's settings do not go with these rows.
    """
    if dataset.all_labelled:
        return _teach_labels(dataset, config, words, progress, clock)
    view, names, encoder = _describe(dataset, named_classes(dataset, config), config, progress, clock)
    task = _join(dataset, view.vectors, None if names is None else names.vectors, config, progress, clock)
    rows = _own_rows(task, config, progress) if isinstance(dataset.rows, Texts) and not config.trust.foreign else None
    if rows is not None:
        dataset, view = dataset.select(rows), view.select(rows)
        task = replace(task, graph=induced(task.graph, rows), features=view.vectors, labels=dataset.labels)
    labels = _spread(task, config, progress, clock)
    with clock.part("trust"):
        temperature = 1.0 if config.student.joint else belief_temperature(task, labels, config, progress)
    tuned = None if encoder is None else _tuned(dataset, view, labels, encoder, config, progress, clock)
    if tuned is not None:
        # The labels that were left out to fit the temperature have reached the tuned encoder: it stays as it was.
        encoder, features = tuned
        named = None
        if names is not None:
            named = beside(encoder.encode(spoken_names(dataset.classes)), names.joint, config.features)
        task = _join(dataset, features, named, config, progress, clock)
        labels = _spread(task, config, progress, clock)
    return Taught(labels, task.graph, task.features, temperature, encoder, rows)


def _teach_labels(dataset: Dataset, config: TrainConfig, words: bool, progress: Progress, clock: Clock) -> Taught:
    """Rows that all have a label, believed in full."""
    certain = np.eye(len(dataset.classes), dtype=np.float32)[dataset.labels]
    labels = SoftLabels(certain, np.ones(len(dataset), dtype=np.bool_))
    if not config.student.joint and not words:
        return Taught(labels)
    view, _, encoder = _describe(dataset, (), config, progress, clock)
    tuned = None if encoder is None else _tuned(dataset, view, labels, encoder, config, progress, clock)
    encoder, features = (encoder, view.vectors) if tuned is None else tuned
    graph = _join(dataset, features, None, config, progress, clock).graph if config.student.joint else None
    return Taught(labels, graph, features, encoder=encoder)


def _own_rows(task: TrainerTask, config: TrainConfig, progress: Progress) -> IndexArray | None:
    """The rows that are not foreign; None for all."""
    foreign = foreign_rows(task, config.seed)
    if not foreign.any():
        return None
    progress(
        f"note: {int(foreign.sum()):,} of {int((task.labels == UNLABELLED).sum()):,} rows without a label are unlike "
        "every labelled one and are left out; trust.foreign=true learns from them, too"
    )
    return np.flatnonzero(~foreign)


def _describe(
    dataset: Dataset, classes: Sequence[str], config: TrainConfig, progress: Progress, clock: Clock
) -> tuple[View, View | None, Encoder | None]:
    """What the rows look like, what the names of classes do, and the encoder that says so, where there is one."""
    rows, names = dataset.rows, None
    with clock.part("features"):
        if isinstance(rows, Texts):
            progress(f"features: {len(rows):,} texts" + (f", encoder {config.encoder}" if config.encoder else ""))
            view, names = describe_named(rows, classes, config.features, config.seed, config.encoder)
        else:
            progress(f"features: {len(rows):,} vectors of {rows.n_columns:,} columns")
            vectors = describe_vectors(rows, config.features.dimensions, config.seed)
            view = View(vectors, vectors, {})
    encoder = None if config.encoder is None or view.embedded is None else load_encoder(config.encoder)
    return view, names, encoder


def _join(
    dataset: Dataset,
    features: FloatArray,
    names: FloatArray | None,
    config: TrainConfig,
    progress: Progress,
    clock: Clock,
) -> TrainerTask:
    """The graph over the features, with the labels, and with their names where these tell."""
    with clock.part("graph"):
        return trainer_task(dataset, features, names, config, progress)


def _spread(task: TrainerTask, config: TrainConfig, progress: Progress, clock: Clock) -> SoftLabels:
    """What the trainer makes of the labels."""
    with clock.part("trainer"):
        return trainer(config.trainer.name)(task, config.trainer, config.seed, progress)


def _tuned(
    dataset: Dataset,
    view: View,
    labels: SoftLabels,
    encoder: Encoder,
    config: TrainConfig,
    progress: Progress,
    clock: Clock,
) -> tuple[Encoder, FloatArray] | None:
    """The encoder tuned to the beliefs, and the features that it gives; None where it is not to be tuned."""
    texts, embedded = dataset.texts, view.embedded
    epochs = tuning_epochs(encoder, texts, config.tuning)
    if not epochs or embedded is None:
        return None
    with clock.part("tuning"):
        progress(f"encoder: tuned to the beliefs, {epochs} x {len(texts):,} texts")
        targets = sharpen(labels.probabilities, dataset.labels, config.student.sharpen)
        learnt = targets.distributions, targets.weights
        tuned = tune_encoder(encoder, texts, embedded, *learnt, config.tuning, epochs, config.seed, progress)
        return tuned, beside(tuned.encode(texts), view.joint, config.features)
