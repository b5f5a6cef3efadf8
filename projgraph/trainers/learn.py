"""The training loop of every neural trainer: Adam on the labelled rows, epochs counted on validation rows if given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from projgraph.config import NeuralConfig
from projgraph.errors import ConfigError, InputError
from projgraph.graph.csr import reached
from projgraph.records import UNLABELLED, FloatArray, IndexArray, Progress, SoftLabels, TrainerTask

_BLOCK = 16_384
_REPORTS = 10


class Network(nn.Module):
    """A network over the nodes of one task, whose features and edges it holds."""

    row_wise = False
    """True where a row's logits need no other row's hidden units, so that rows can be asked for in blocks."""

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """What a step adds to the cross-entropy of its labelled rows."""
        return torch.zeros(())


Build = Callable[[FloatArray], tuple[Network, torch.optim.Optimizer]]
"""From the task's features to a network and the optimiser that knows its weight decay."""


def learn(
    name: str,
    build: Build,
    task: TrainerTask,
    config: NeuralConfig,
    seed: int,
    progress: Progress | None = None,
    batch: int | None = None,
) -> SoftLabels:
    """Fit a network to the labelled rows and ask it about all.

    With validation rows, the weights of the epoch with the best accuracy on them (the lowest loss among equals) count,
    and ``config.patience`` epochs without a better one end the fit; without, the weights after ``config.epochs``.

    Args:
        name: of the trainer, for messages.
        build: makes the network and its optimiser; called once the random state is seeded.
        task: what to learn.
        config: epochs and patience.
        seed: of the start, dropout and the order of rows. The caller's random state is left alone.
        progress: called with a line ten times a fit.
        batch: labelled rows of a step; None takes all at once.

    Raises:
        InputError: no features, features that are not finite or do not fit the graph, or a class without a labelled
            row.
        ConfigError: the loss is no longer finite.
    """
    features = checked_features(name, task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, optimiser = build(features)
        _Fit(name, network, optimiser, task, config, batch, progress or (lambda _: None)).run()
        probabilities = torch.softmax(_logits(network, np.arange(task.graph.n_nodes)), dim=1).numpy()
    return SoftLabels(probabilities, reached(task.graph, task.labels != UNLABELLED))


def checked_features(name: str, task: TrainerTask) -> FloatArray:
    """The features of a task that a neural trainer can learn.

    Raises:
        InputError: see ``learn``.
    """
    if task.features is None:
        raise InputError(f"the trainer {name} needs features; give them, or choose a trainer of edges alone")
    if len(task.features) != task.graph.n_nodes or len(task.labels) != task.graph.n_nodes:
        raise InputError(
            f"the graph has {task.graph.n_nodes} nodes, features have {len(task.features)} rows and labels "
            f"{len(task.labels)}; expected one row and one label a node"
        )
    if not np.isfinite(task.features).all():
        raise InputError("a feature is not finite; expected numbers, so replace NaN and infinity")
    missing = task.n_classes - len(np.unique(task.labels[task.labels != UNLABELLED]))
    if missing:
        raise InputError(
            f"{missing} of {task.n_classes} classes have no labelled row; label at least one row of each class"
        )
    return task.features


class _Fit:
    """One run of the optimiser."""

    def __init__(
        self,
        name: str,
        network: Network,
        optimiser: torch.optim.Optimizer,
        task: TrainerTask,
        config: NeuralConfig,
        batch: int | None,
        say: Progress,
    ) -> None:
        self._name, self._network, self._optimiser, self._config, self._say = name, network, optimiser, config, say
        self._rows = torch.from_numpy(np.flatnonzero(task.labels != UNLABELLED))
        self._labels = torch.from_numpy(task.labels)
        self._batch = batch or len(self._rows)
        self._judges = np.zeros(0, dtype=np.int64)
        if task.validation is not None:
            self._judges = np.flatnonzero(task.validation != UNLABELLED)
            self._expected = torch.from_numpy(task.validation[self._judges])

    def run(self) -> None:
        """Train; afterwards the network holds the weights that count."""
        epochs, best, best_epoch = self._config.epochs, (-1.0, 0.0), 0
        kept: dict[str, Tensor] = {}
        for epoch in range(epochs):
            loss = self._epoch()
            if not np.isfinite(loss):
                raise ConfigError(f"{self._name} diverged in epoch {epoch + 1}; lower its learning rate")
            if (epoch + 1) % max(epochs // _REPORTS, 1) == 0:
                self._say(f"trainer: {self._name}, epoch {epoch + 1} of {epochs}, loss {loss:.3f}")
            if not len(self._judges):
                continue
            judged = self._judge()
            if judged > best:
                best, best_epoch = judged, epoch
                kept = {name: value.detach().clone() for name, value in self._network.named_parameters()}
            elif epoch - best_epoch >= self._config.patience:
                break
        if kept:
            self._network.load_state_dict(kept, strict=False)

    def _epoch(self) -> float:
        self._network.train()
        total = 0.0
        order = self._rows
        if self._batch < len(order):
            order = order[torch.randperm(len(order))]
        for rows in order.split(self._batch):
            self._optimiser.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(self._network(rows), self._labels[rows]) + self._network.penalty()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            total += float(loss.detach()) * len(rows)
        return total / len(order)

    def _judge(self) -> tuple[float, float]:
        """Accuracy and negative loss on the validation rows: more is better."""
        logits = _logits(self._network, self._judges)
        hits = (logits.argmax(dim=1) == self._expected).double().mean()
        return float(hits), -float(nn.functional.cross_entropy(logits, self._expected))


@torch.no_grad()
def _logits(network: Network, rows: IndexArray) -> Tensor:
    network.eval()
    blocks = torch.from_numpy(rows).split(_BLOCK if network.row_wise else max(len(rows), 1))
    return torch.cat([network(block) for block in blocks])
