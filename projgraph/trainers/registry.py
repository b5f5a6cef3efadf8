"""The trainers by name; one is imported when it is asked for, so that its libraries are."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from projgraph.config import TrainerConfig
from projgraph.errors import ConfigError
from projgraph.records import Progress, SoftLabels, TrainerTask

TRAINERS = {
    "expander": "projgraph.trainers.expander",
    "prior_smoothing": "projgraph.trainers.prior_smoothing",
    "label_propagation": "projgraph.trainers.label_propagation",
    "label_spreading": "projgraph.trainers.label_spreading",
    "modified_adsorption": "projgraph.trainers.modified_adsorption",
    "laplace": "projgraph.trainers.laplace",
    "poisson": "projgraph.trainers.poisson",
    "correct_and_smooth": "projgraph.trainers.correct_and_smooth",
    "feature_smoothing": "projgraph.trainers.feature_smoothing",
    "gcn": "projgraph.trainers.gnn.gcn",
    "graphsage": "projgraph.trainers.gnn.graphsage",
    "gat": "projgraph.trainers.gnn.gat",
    "appnp": "projgraph.trainers.gnn.appnp",
    "gcnii": "projgraph.trainers.gnn.gcnii",
    "sign": "projgraph.trainers.gnn.sign",
    "neural_graph_machine": "projgraph.trainers.neural_graph_machine",
}
"""Name of a trainer, which is the name of its function too, and the module it stands in."""

LEARN_EXAMPLES = frozenset({"prior_smoothing", "correct_and_smooth"})
"""Those that learn a task's examples, so that names of labels are described for them alone."""

EDGES_ALONE = frozenset(
    {"label_propagation", "label_spreading", "modified_adsorption", "laplace", "poisson", "expander"}
)
"""Trainers that do not look at features."""


class Trainer(Protocol):
    """From graph, features and few labels to a label distribution for every node."""

    def __call__(
        self, task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None
    ) -> SoftLabels:
        """See the trainer's own module."""


def trainer(name: str) -> Trainer:
    """The trainer of a name.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in TRAINERS:
        raise ConfigError(f"'{name}' is no trainer; expected one of {', '.join(TRAINERS)}")
    return cast("Trainer", getattr(import_module(TRAINERS[name]), name))
