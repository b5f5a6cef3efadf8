"""How the few labels reach every row: features, graph and trainer, twice where an encoder is tuned in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from projgraph.clock import Clock
from projgraph.config import TrainConfig
from projgraph.features.encoder import Encoder, load_encoder
from projgraph.features.encoder_tuning import tune_encoder, tuning_epochs
from projgraph.features.vectors import describe_vectors
from projgraph.features.view import View, beside, describe
from projgraph.graph.knn import build_knn
from projgraph.projection.fit import sharpen
from projgraph.records import UNLABELLED, Dataset, FloatArray, Graph, Progress, SoftLabels, Texts, TrainerTask
from projgraph.trainers.registry import trainer
from projgraph.trust import belief_temperature


@dataclass(frozen=True)
class Taught:
    """What a student is to learn.

    Attributes:
        labels: distributions of all rows, gold labels included.
        graph: the trainer graph; None where every row was labelled and no joint trainer needs it.
        features: (n, d) what the graph compares; None where nothing needs them.
        temperature: of the beliefs, fitted to labels that the trainer was not shown.
        encoder: that the features come from, tuned or as it was; None without one.
    """

    labels: SoftLabels
    graph: Graph | None = None
    features: FloatArray | None = None
    temperature: float = 1.0
    encoder: Encoder | None = None


def teach(dataset: Dataset, config: TrainConfig, words: bool, progress: Progress, clock: Clock) -> Taught:
    """Label distributions of all rows and what they grew from.

    Without unlabelled rows there is nothing to teach but the labels; codes of words want features all the same, and a
    joint trainer a graph over them.

    Args:
        dataset: rows, at least two classes, each with a labelled row.
        config: the settings.
        words: whether the model carries codes of words.
        progress: called with one line before each stage.
        clock: gains what each stage takes.
    """
    all_labelled = bool((dataset.labels != UNLABELLED).all())
    if all_labelled and not config.student.joint and not words:
        return Taught(_certain(dataset))
    with clock.part("features"):
        view = _describe(dataset, config, progress)
    features = view.vectors
    encoder = None if config.encoder is None or view.embedded is None else load_encoder(config.encoder)
    if all_labelled:
        labels, temperature, graph = _certain(dataset), 1.0, None
    else:
        graph, labels = _spread(dataset, features, config, progress, clock)
        with clock.part("trust"):
            task = TrainerTask(graph, features, dataset.labels, len(dataset.classes))
            temperature = 1.0 if config.student.joint else belief_temperature(task, labels, config, progress)
    tuned = None if encoder is None else _tuned(dataset, view, labels, encoder, config, progress, clock)
    if tuned is not None:
        encoder, features = tuned
        if not all_labelled:
            # The labels that were left out to fit the temperature have reached the tuned encoder: it stays as it was.
            graph, labels = _spread(dataset, features, config, progress, clock)
    if all_labelled and config.student.joint:
        graph = _graph(features, config, progress, clock)
    return Taught(labels, graph, features, temperature, encoder)


def _certain(dataset: Dataset) -> SoftLabels:
    """Every row's label, believed in full."""
    certain = np.eye(len(dataset.classes), dtype=np.float32)[dataset.labels]
    return SoftLabels(certain, np.ones(len(dataset), dtype=np.bool_))


def _describe(dataset: Dataset, config: TrainConfig, progress: Progress) -> View:
    rows = dataset.rows
    if isinstance(rows, Texts):
        progress(f"features: {len(rows):,} texts" + (f", encoder {config.encoder}" if config.encoder else ""))
        return describe(rows, config.features, config.seed, config.encoder)
    progress(f"features: {len(rows):,} vectors of {rows.n_columns:,} columns")
    vectors = describe_vectors(rows, config.features.dimensions, config.seed)
    return View(vectors, vectors, {})


def _graph(features: FloatArray, config: TrainConfig, progress: Progress, clock: Clock) -> Graph:
    with clock.part("graph"):
        progress(f"graph: {config.graph.neighbours} nearest neighbours of each row")
        return build_knn(features, **config.graph.model_dump(), seed=config.seed).graph


def _spread(
    dataset: Dataset, features: FloatArray, config: TrainConfig, progress: Progress, clock: Clock
) -> tuple[Graph, SoftLabels]:
    """The graph over the features, and what the trainer makes of the labels on it."""
    graph = _graph(features, config, progress, clock)
    with clock.part("trainer"):
        task = TrainerTask(graph, features, dataset.labels, len(dataset.classes))
        return graph, trainer(config.trainer.name)(task, config.trainer, config.seed, progress)


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
