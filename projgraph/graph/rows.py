"""Feature rows made fit for a search: checked, brought to one scale, zeros set aside; it knows no index and no edge."""

from __future__ import annotations

import numpy as np

from projgraph.errors import ConfigError
from projgraph.records import FloatArray, IndexArray


def check_finite(features: FloatArray, what: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        ConfigError: the message begins with ``what``.
    """
    if not np.isfinite(features).all():
        raise ConfigError(f"{what}: the features hold NaN or infinity; clean them or drop those rows")


def unit_rows(features: FloatArray) -> tuple[IndexArray, FloatArray]:
    """The indices of the g rows that are not zero, and those rows at length one, (g, d) and contiguous."""
    described = np.flatnonzero(np.any(features != 0, axis=1))
    unit = np.ascontiguousarray(features[described], dtype=np.float32)
    # First by the largest element, or the squares of large and small rows would leave float32.
    unit /= np.maximum(unit.max(axis=1, initial=0), -unit.min(axis=1, initial=0))[:, None]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return described, unit


def centred_rows(features: FloatArray) -> tuple[FloatArray, float]:
    """The rows less their mean over the largest element of what is left, and that element (1 where all is zero).

    Euclidean distances are the same up to that factor, and float32 no longer loses them beside a large mean.
    """
    centred = features.astype(np.float64)
    centred -= centred.mean(axis=0) if len(centred) else 0.0
    scale = float(np.abs(centred).max(initial=0.0)) or 1.0
    centred /= scale
    return np.ascontiguousarray(centred, dtype=np.float32), scale
