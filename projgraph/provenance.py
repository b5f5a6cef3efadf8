"""What a model file says of its making: hashes of settings and data, row counts and seed; it knows no file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.config import TrainConfig
from projgraph.records import UNLABELLED, Dataset, Texts

_DIGEST_CHARACTERS = 16


def describe_training(dataset: Dataset, config: TrainConfig, temperature: float) -> dict[str, Any]:
    """The provenance of a model trained on these rows with these settings; the same training gives the same one.

    Args:
        dataset: what was trained on.
        config: the settings.
        temperature: that the model's scale holds; an evaluation needs it to tell what calibration did.
    """
    settings = json.dumps(config.flattened(), sort_keys=True)
    return {
        "config": hashlib.sha256(settings.encode()).hexdigest()[:_DIGEST_CHARACTERS],
        "data": data_digest(dataset),
        "labelled": int(np.count_nonzero(dataset.labels != UNLABELLED)),
        "rows": len(dataset),
        "seed": config.seed,
        "temperature": float(f"{temperature:.6g}"),
    }


def data_digest(dataset: Dataset) -> str:
    """A hash of every text or vector, label and class name, in order."""
    rows = dataset.rows
    parts: list[NDArray[Any]]
    if isinstance(rows, Texts):
        digest, parts = hashlib.sha256(rows.data), [rows.offsets]
    else:
        digest = hashlib.sha256(f"vectors of {rows.n_columns} columns".encode())
        parts = [part for part in (rows.values, rows.columns, rows.indptr) if part is not None]
    for part in (*parts, dataset.labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(json.dumps(dataset.classes).encode())
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
