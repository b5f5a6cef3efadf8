"""Estimates how frequent each class is among unlabelled rows, from posteriors that assume equal classes.

Expectation-maximisation of Saerens, Latinne & Decaestecker 2002 ("Adjusting the outputs of a classifier to new a
priori probabilities"), with a Dirichlet prior that pulls to equal classes:

    q_ic = pi_c p_ic / sum_k pi_k p_ik        pi_c = (mean_i q_ic + strength / C) / (1 + strength)

Labels are often drawn evenly from classes that are anything but even; assuming the labels' frequencies would then be
wrong by the factor of the skew.
"""

from __future__ import annotations

import numpy as np

from projgraph.records import FloatArray

_STEPS = 100
_TOLERANCE = 1e-6


def estimate_class_prior(posteriors: FloatArray, strength: float) -> FloatArray:
    """Class frequencies of the rows.

    Args:
        posteriors: (n, c) class probabilities of a classifier whose training classes were equally weighted.
        strength: rows of equal classes added to every real row, above zero; a class that no row supports keeps
            ``strength / (1 + strength) / c``.

    Returns:
        (c,) frequencies, positive, summing to one.
    """
    n_classes = posteriors.shape[1]
    prior = np.full(n_classes, 1.0 / n_classes, dtype=np.float32)
    for _ in range(_STEPS):
        previous = prior
        mean = reweigh(posteriors, prior).mean(axis=0)
        prior = ((mean + strength / n_classes) / (1.0 + strength)).astype(np.float32)
        if float(np.abs(prior - previous).max()) < _TOLERANCE:
            break
    return prior


def reweigh(posteriors: FloatArray, prior: FloatArray) -> FloatArray:
    """Posteriors under other class frequencies: (n, c) times (c,), rows normalised."""
    weighted = posteriors * prior
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True), dtype=np.float32)
