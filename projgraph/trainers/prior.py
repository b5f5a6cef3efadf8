"""Multinomial logistic regression with soft, weighted targets: what a trainer believes of a row before any edge.

Minimises ``sum_i w_i CE(target_i, softmax(x_i W + b)) / sum_i w_i + l2 |W|^2`` by L-BFGS (Liu & Nocedal 1989) over
PyTorch; convex, so that the start does not matter where iterations are enough for the minimum, and full batch, so that
the result has no random part.
"""

from __future__ import annotations

import numpy as np
import torch

from projgraph.records import FloatArray, IndexArray, TrainerTask
from projgraph.trainers.class_prior import reweigh

FEW_LABELS_L2 = 3e-5
"""Weight of |W|^2 in a fit on the labelled rows, and examples, alone. Not tuned: chosen with the first trainer."""

_TOLERANCE = 1e-5


def fit_prior(
    features: FloatArray,
    targets: FloatArray,
    weights: FloatArray,
    l2: float,
    start: FloatArray | None = None,
    iterations: int = 60,
) -> FloatArray:
    """Fit the regression.

    Args:
        features: (n, d) rows.
        targets: (n, c) distributions.
        weights: (n,) at least one above zero.
        l2: weight of the squared norm of W (the bias is free).
        start: (d + 1, c) coefficients to start from, as returned by an earlier fit.
        iterations: upper bound of L-BFGS steps.

    Returns:
        (d + 1, c) coefficients, the bias in the last row.
    """
    x = torch.from_numpy(np.ascontiguousarray(features))
    y = torch.from_numpy(np.ascontiguousarray(targets))
    share = torch.from_numpy((weights / weights.sum()).astype(np.float32))
    shape = (features.shape[1] + 1, targets.shape[1])
    coefficients = torch.zeros(shape) if start is None else torch.from_numpy(start.copy())
    coefficients.requires_grad_(True)
    solver = torch.optim.LBFGS(
        [coefficients], max_iter=iterations, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=_TOLERANCE
    )

    def objective() -> torch.Tensor:
        solver.zero_grad()
        log_probability = torch.log_softmax(x @ coefficients[:-1] + coefficients[-1], dim=1)
        loss = -(share * (y * log_probability).sum(dim=1)).sum() + l2 * coefficients[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(objective)  # type: ignore[no-untyped-call]
    return np.asarray(coefficients.detach().numpy(), dtype=np.float32)


def fit_few_labels(task: TrainerTask, labelled: IndexArray, one_hot: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit the regression to the labelled nodes and the examples of a task with features.

    Args:
        task: its n features and its examples are used.
        labelled: (l,) nodes, at least one of each class.
        one_hot: (l, c) their labels.

    Returns:
        (d + 1, c) coefficients, and the (n, c) class probabilities of all nodes under the class frequencies of the
        labelled ones.

    Raises:
        ValueError: there are no features.
    """
    if task.features is None:
        raise ValueError("the task has no features; expected some, since a regression needs them")
    features, targets = task.features[labelled], one_hot
    if task.examples is not None:
        features = np.vstack([features, task.examples.features])
        targets = np.vstack([targets, np.eye(task.n_classes, dtype=np.float32)[task.examples.labels]])
    coefficients = fit_prior(features, targets, np.ones(len(features), dtype=np.float32), FEW_LABELS_L2)
    posteriors = predict_prior(task.features, coefficients)
    if task.examples is not None:
        posteriors = reweigh(posteriors, one_hot.mean(axis=0) / targets.mean(axis=0))
    return coefficients, posteriors


def predict_prior(features: FloatArray, coefficients: FloatArray) -> FloatArray:
    """(n, c) class probabilities of the regression."""
    logits = features @ coefficients[:-1] + coefficients[-1]
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    return np.asarray(logits / logits.sum(axis=1, keepdims=True), dtype=np.float32)
