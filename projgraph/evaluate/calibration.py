"""Whether a model is as sure as it is right: softmax, calibration error, reliability, temperature; it knows no model.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, sections 2 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

BINS = 15
"""Equal-width bins of confidence, as in the paper."""

TEMPERATURES = (0.05, 20.0)
"""What a fitted temperature can be: beyond these a sample says nothing more."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The rows whose confidence lies in (lower, upper].

    Attributes:
        lower: confidence above which the bin begins.
        upper: confidence up to which it reaches.
        n: rows in it.
        confidence: their mean confidence; 0 if there are none.
        accuracy: share of them that are right; 0 if there are none.
    """

    lower: float
    upper: float
    n: int
    confidence: float
    accuracy: float


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """(n, c) probabilities: exp(z_c) / sum_c exp(z_c) of each row."""
    shifted: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def reliability(
    confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_], bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Confidence against accuracy in equal-width bins.

    Args:
        confidence: (n,) probability of the predicted class, in (0, 1].
        right: (n,) whether the predicted class is the true one.
        bins: how many; bin m of M covers ((m - 1) / M, m / M].
    """
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    n = np.bincount(index, minlength=bins)
    mean_confidence = np.bincount(index, weights=confidence, minlength=bins) / np.maximum(n, 1)
    mean_right = np.bincount(index, weights=right, minlength=bins) / np.maximum(n, 1)
    return tuple(
        ReliabilityBin(m / bins, (m + 1) / bins, int(n[m]), float(mean_confidence[m]), float(mean_right[m]))
        for m in range(bins)
    )


def expected_calibration_error(table: tuple[ReliabilityBin, ...]) -> float:
    """ECE = sum over bins of |B| / n * |accuracy(B) - confidence(B)| (equation 3 of the paper); 0 without rows."""
    n = sum(row.n for row in table)
    return sum(row.n / n * abs(row.accuracy - row.confidence) for row in table if row.n)


@dataclass(frozen=True)
class TemperaturePrior:
    """What is known of a temperature T beforehand: log T is normal.

    Attributes:
        centre: the most likely T.
        deviation: standard deviation of log T.
    """

    centre: float
    deviation: float


def _expected_logits(z: NDArray[np.float64], targets: NDArray[Any], softening: float) -> NDArray[np.float64]:
    """(n,) sum_c q_c z_c; of a true class, q is its one-hot label of which all classes share ``softening``."""
    if targets.ndim == 2:
        return np.asarray((targets * z).sum(axis=1))
    return np.asarray((1 - softening) * z[np.arange(len(z)), targets] + softening * z.mean(axis=1))


def fit_temperature(
    logits: NDArray[Any],
    targets: NDArray[Any],
    weights: NDArray[np.floating[Any]] | None = None,
    prior: TemperaturePrior | None = None,
) -> float:
    """The T that makes softmax(logits / T) as likely as can be on held-out rows (temperature scaling).

        T = argmin over T of mean over rows of -sum_c q_c log softmax(z / T)_c

    q is the given distribution, or the one-hot label softened as in Platt's 1999 scaling: the true class keeps
    (n + 1) / (n + 2) and the rest is shared by all classes. With many rows that is the plain likelihood; with a
    handful, all of them right, it keeps T from running to the lower bound and the model from claiming a certainty
    that nobody saw. The loss is convex in 1 / T, hence has one minimum, which is looked for on a logarithmic scale
    within ``TEMPERATURES``.

    Args:
        logits: (n, c) unnormalised log probabilities of rows that the model was not fitted on.
        targets: (n, c) distributions, or (n,) true classes; rows with a negative class are left out.
        weights: (n,) how much each row counts, not negative, some above zero; None counts all alike. The softening
            counts rows by (sum of weights)^2 / sum of squared weights, as many equal rows as would say as much.
        prior: weighed against the likelihood of so many rows; T is then the most likely one after both.

    Returns:
        T; the prior's centre, or else 1, where no row is left or no row's logits tell two classes apart.
    """
    known = targets >= 0 if targets.ndim == 1 else np.ones(len(targets), dtype=np.bool_)
    z = np.asarray(logits, dtype=np.float64)[known]
    if not len(z) or not np.ptp(z, axis=1).any():
        return 1.0 if prior is None else prior.centre
    z = z - z.max(axis=1, keepdims=True)
    w = np.ones(len(z)) if weights is None else np.asarray(weights, dtype=np.float64)[known]
    share = w / w.sum()
    rows = 1 / float(share @ share)
    target = float(share @ _expected_logits(z, targets[known], 1 / (rows + 2)))

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        surprise = float(share @ np.log(np.exp(z * inverse).sum(axis=1)) - inverse * target)
        if prior is None:
            return surprise
        return surprise + float((log_temperature - np.log(prior.centre)) / prior.deviation) ** 2 / (2 * rows)

    found = minimize_scalar(loss, bounds=(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1])), method="bounded")
    return float(np.clip(np.exp(found.x), *TEMPERATURES))


def match_confidence(logits: NDArray[Any], accuracy: float) -> float:
    """The T at which the mean of the largest probabilities of softmax(logits / T) is an accuracy.

    The mean falls as T grows, so T is found by Brent's method on a logarithmic scale within ``TEMPERATURES``.

    Args:
        logits: (n, c) of rows that the model was not fitted on.
        accuracy: the share of them that it gets right, as far as is known.

    Returns:
        T, a bound where the mean cannot be reached within them; 1 where no row's logits tell two classes apart.
    """
    z = np.asarray(logits, dtype=np.float64)
    if not len(z) or not np.ptp(z, axis=1).any():
        return 1.0

    def excess(log_temperature: float) -> float:
        return float(softmax(z * np.exp(-log_temperature)).max(axis=1).mean()) - accuracy

    sharpest, flattest = np.log(TEMPERATURES)
    if excess(sharpest) <= 0:
        return TEMPERATURES[0]
    if excess(flattest) >= 0:
        return TEMPERATURES[1]
    return float(np.exp(brentq(excess, sharpest, flattest, xtol=1e-6)))
