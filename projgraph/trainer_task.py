"""What a trainer is given of rows that are described: a graph, labels, and names of labels; it knows no file."""

from __future__ import annotations

from projgraph.config import TrainConfig
from projgraph.features.label_names import telling_names
from projgraph.graph.knn import build_knn
from projgraph.records import Dataset, FloatArray, Graph, GraphBuild, Progress, StateKeeper, TrainerTask
from projgraph.trainers.registry import LEARN_EXAMPLES


def named_classes(dataset: Dataset, config: TrainConfig) -> tuple[str, ...]:
    """The classes whose names are to be described: all of them where the trainer learns examples, or else none."""
    return dataset.classes if config.trainer.name in LEARN_EXAMPLES else ()


def nearest_rows(features: FloatArray, config: TrainConfig, progress: Progress) -> GraphBuild:
    """The graph that joins each of (n, d) rows to its nearest by the graph's settings.

    Raises:
        ConfigError: the settings do not go with these rows.
    """
    progress(f"graph: {config.graph.neighbours} nearest neighbours of each row")
    return build_knn(features, **config.graph.model_dump(), seed=config.seed)


def trainer_task(
    dataset: Dataset,
    features: FloatArray,
    names: FloatArray | None,
    config: TrainConfig,
    progress: Progress,
    graph: Graph | None = None,
    states: StateKeeper | None = None,
) -> TrainerTask:
    """The rows as nodes of a graph, with their labels, and with the names of these where they tell.

    Args:
        dataset: n rows of c classes.
        features: (n, d) what the rows look like, unit rows.
        names: (c, d) what the names of the classes do; None where they are not read.
        config: the graph's settings and its seed.
        progress: called with one line before each stage.
        graph: over the rows; None joins each to its nearest by cosine.
        states: where the trainer keeps what it has done; None keeps nothing.

    Raises:
        ConfigError: the graph's settings do not go with these rows.
    """
    graph = nearest_rows(features, config, progress).graph if graph is None else graph
    examples = telling_names(names, features, dataset.labels, progress)
    return TrainerTask(graph, features, dataset.labels, len(dataset.classes), states=states, examples=examples)
