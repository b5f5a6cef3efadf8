"""Estimates how frequent each class is among unlabelled rows, from the posteriors of a classifier fitted to few labels.

Expectation-maximisation of Saerens, Latinne & Decaestecker 2002 ("Adjusting the outputs of a classifier to new a
priori probabilities"), with a Dirichlet prior that pulls to the frequencies f of the labels:

    q_ic = (pi_c / f_c) p_ic / sum_k (pi_k / f_k) p_ik        pi_c = (mean_i q_ic + strength f_c) / (1 + strength)

The estimate is noisy, and where classes really are as frequent as the labels say, noise is all it adds. So it is
shrunk in the geometry of log-frequencies by how much it found, KL = sum_c pi_c log(pi_c / f_c):

    pi <- f (pi / f)^s, normalised        s = KL^2 / (KL^2 + noise^2)

Labels are often drawn evenly from classes that are anything but even; assuming the labels' frequencies would then be
wrong by the factor of the skew.
"""

from __future__ import annotations

import numpy as np

from projgraph.records import FloatArray

_STEPS = 100
_TOLERANCE = 1e-6
"""Of a frequency in one step, some ten times what float32 tells apart near 1; the steps end a slow search."""


def estimate_class_prior(posteriors: FloatArray, frequencies: FloatArray, strength: float) -> FloatArray:
    """Class frequencies of the rows.

    Args:
        posteriors: (n, c) class probabilities; without rows the frequencies are all that is known.
        frequencies: (c,) positive class frequencies of the rows that the classifier was fitted on.
        strength: weight of ``frequencies`` against one of the rows themselves, above zero; a class that no row
            supports keeps ``strength / (1 + strength)`` of its frequency.

    Returns:
        (c,) frequencies, positive, summing to one.
    """
    prior = np.asarray(frequencies, dtype=np.float32)
    if not len(posteriors):
        return prior
    for _ in range(_STEPS):
        previous = prior
        mean = reweigh(posteriors, prior / frequencies).mean(axis=0)
        prior = ((mean + strength * frequencies) / (1.0 + strength)).astype(np.float32)
        if float(np.abs(prior - previous).max()) < _TOLERANCE:
            break
    return prior


def shrink(prior: FloatArray, frequencies: FloatArray, noise: float) -> FloatArray:
    """An estimated class prior, drawn back to the labels' frequencies where it hardly differs from them.

    Args:
        prior: (c,) the estimate, positive.
        frequencies: (c,) of the labels, positive.
        noise: nats of divergence at which half of the estimate is believed, above zero.

    Returns:
        (c,) frequencies, positive, summing to one.
    """
    divergence = max(float((prior * np.log(prior / frequencies)).sum()), 0.0)
    believed = divergence**2 / (divergence**2 + noise**2)
    shrunk = frequencies * (prior / frequencies) ** believed
    return np.asarray(shrunk / shrunk.sum(), dtype=np.float32)


def reweigh(posteriors: FloatArray, ratios: FloatArray) -> FloatArray:
    """Posteriors under other class frequencies: (n, c) times the (c,) ratios of new to old, rows normalised."""
    weighted = posteriors * ratios
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True), dtype=np.float32)
