"""Trains a neural trainer and the projection model together; it knows rows, targets and edges, neither files nor texts.

Source: Ravi 2017, equation 1 and section 6 (figure 3); the trainer's own loss with neighbours is that of neural graph
machines (Bui, Ravi & Ramavajjala 2017). With g_i the trainer's distribution of node i (softmax, linear or with one
hidden layer, over the features), h_i the student's over the bits, t_i the propagated distribution, D cross-entropy:

    L = trainer * (mean_{i labelled} D(y_i, g_i) + anchor * mean_i c_i D(t_i, g_i))
      + distil  * mean_i max(g_i) D(g_i^p / Z, h_i)           labelled rows: D(y_i, h_i)
      + gold    * mean_{i labelled} D(y_i, h_i)
      + edges   * mean_(i,j) [JS(g_i, g_j) + JS(h_i, h_j)] over trainer edges
      + hamming * mean_(i,j) JS(h_i, h_j) over Hamming edges

Both networks move in every step. Of the distillation's gradient the share ``feedback`` reaches the trainer: at 1 it is
equation 1 as written, at 0 the trainer does not hear its student. A linear trainer starts at the regression on the
propagated distributions, where the sequential trainer ends. Time and memory as in fit.py, and O(epochs n d c).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from projgraph.errors import ConfigError, InputError
from projgraph.projection.fit import Fit, Listener, Student, StudentTask, Targets, fit_twice
from projgraph.projection.head import Head, build_head, mean
from projgraph.projection.loss import EdgeSampler, distillation, edge_consistency, gold, weighted_sum
from projgraph.projection.straight_through import Tuning
from projgraph.projection.tune import tune_twice
from projgraph.records import UNLABELLED, FloatArray, IndexArray
from projgraph.trainers.prior import fit_prior

_START_L2 = 1e-5
"""As in the last rounds of the default trainer."""


@dataclass(frozen=True)
class Joint:
    """What a joint training gives.

    Attributes:
        student: the projection model's head, as of a sequential fit.
        distributions: (n, c) the trainer's distributions at the end, labelled rows one-hot.
    """

    student: Student
    distributions: FloatArray


def fit_jointly(
    task: StudentTask, features: FloatArray, listener: Listener | None = None, tuning: Tuning | None = None
) -> Joint:
    """Fit trainer and student together, by the schedule of the student alone.

    Args:
        task: of n rows; its targets are the propagated distributions that the trainer is anchored to and starts from.
        features: (n, d) of the same rows, finite.
        listener: called after every epoch of the first fit with its figures.
        tuning: with which both fits go on, the student's weights rounded or pruned; None for none.

    Raises:
        InputError: the features are not of the same rows as the bits, or not finite.
        ConfigError: the loss is not finite at the end, or no term of the loss is on.
    """
    _check(task, features)
    start = None if task.config.joint_units else _regression(features, task.targets)
    fits, student = fit_twice(lambda: JointFit(task, features, start), task, listener)
    if tuning is not None:
        student = tune_twice(fits, student, tuning)
    return Joint(student, fits.second.distributions())


class JointFit(Fit):
    """One run of the optimiser over both networks; a linear trainer may be given a (d + 1, c) start."""

    def __init__(self, task: StudentTask, features: FloatArray, start: FloatArray | None = None) -> None:
        super().__init__(task)
        self._features = np.ascontiguousarray(features, dtype=np.float32)
        n_classes, config = task.targets.distributions.shape[1], task.config
        self.trainer = build_head(features.shape[1], n_classes, config.joint_units, config.dropout, seed=task.seed + 1)
        if start is not None:
            _set_linear(self.trainer, start)
        self._neighbours = EdgeSampler(task.graph) if config.loss.edges > 0 and task.graph is not None else None

    def parameters(self) -> list[torch.nn.Parameter]:
        """Those of both networks."""
        return [*self.head.parameters(), *self.trainer.parameters()]

    def terms(self, batch: IndexArray) -> dict[str, torch.Tensor]:
        """Every term of the loss on a batch of rows, and their weighted sum as ``loss``."""
        answers, taught = self.head.answers(*self._version(batch)), self.trainer(self._rows(batch))
        labels = torch.from_numpy(self._task.targets.gold[batch])
        shares, trust = self._lesson(taught, labels)
        terms = {
            "trainer": self._trainer_term(taught, labels, batch),
            "distil": mean([distillation(logits, shares, trust) for logits in answers]),
            "gold": mean([gold(logits, labels) for logits in answers]),
        }
        terms |= self._edge_terms(mean(answers), batch)
        if self._neighbours is not None:
            neighbours, joined = self._neighbours.draw(batch, self._random)
            consistent = edge_consistency(taught, self.trainer(self._rows(neighbours)), torch.from_numpy(joined))
            terms["edges"] = terms["edges"] + consistent
        return terms | {"loss": weighted_sum(terms, self._task.config.loss)}

    def _trainer_term(self, taught: torch.Tensor, labels: torch.Tensor, batch: IndexArray) -> torch.Tensor:
        term = gold(taught, labels)
        targets, anchor = self._task.targets, self._task.config.anchor
        if anchor > 0:
            shares, trust = torch.from_numpy(targets.distributions[batch]), torch.from_numpy(targets.weights[batch])
            term = term + anchor * distillation(taught, shares, trust)
        return term

    def _lesson(self, taught: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The trainer's distributions as targets, sharpened as ``sharpen`` does, and the trust in each."""
        config, still = self._task.config, taught.detach()
        heard = still + config.feedback * (taught - still)
        labelled = labels >= 0
        given = torch.nn.functional.one_hot(labels.clamp_min(0), taught.shape[1]).to(taught.dtype)
        # A distribution to the power p, normalised, is the softmax of p times its logits.
        shares = torch.where(labelled[:, None], given, torch.softmax(config.sharpen * heard, dim=1))
        trust = torch.where(labelled, torch.ones_like(still[:, 0]), torch.softmax(still, dim=1).amax(dim=1))
        return shares, trust

    def _rows(self, rows: IndexArray) -> torch.Tensor:
        return torch.from_numpy(self._features[rows])

    @torch.no_grad()
    def distributions(self) -> FloatArray:
        """(n, c) the trainer's distributions as it is now, labelled rows one-hot."""
        self.trainer.eval()
        shares = torch.softmax(self.trainer(torch.from_numpy(self._features)), dim=1).numpy()
        self.trainer.train()
        gold_labels = self._task.targets.gold
        labelled = np.flatnonzero(gold_labels != UNLABELLED)
        shares[labelled] = 0.0
        shares[labelled, gold_labels[labelled]] = 1.0
        return np.asarray(shares, dtype=np.float32)


def _regression(features: FloatArray, targets: Targets) -> FloatArray:
    """(d + 1, c) coefficients of the regression on the propagated distributions."""
    return fit_prior(features, targets.distributions, targets.weights, _START_L2)


@torch.no_grad()
def _set_linear(trainer: Head, coefficients: FloatArray) -> None:
    weight, bias = trainer.parameters()
    weight.copy_(torch.from_numpy(coefficients[:-1].T.copy()))
    bias.copy_(torch.from_numpy(coefficients[-1].copy()))


def _check(task: StudentTask, features: FloatArray) -> None:
    bits, targets = task.bits, task.targets
    if features.ndim != 2 or not len(features) == len(targets.gold) or len(bits) % max(len(features), 1):
        raise InputError(
            f"joint training: {len(bits)} rows of bits, features of shape {features.shape}, targets of "
            f"{len(targets.gold)} rows; expected the same rows in each"
        )
    if not np.isfinite(features).all():
        raise InputError("joint training: the features hold NaN or infinity; clean them or drop those rows")
    if not targets.weights.any():
        raise ConfigError("joint training: every target has weight zero; expected trust in at least one row")
