"""Solves a sparse symmetric system for many right-hand sides by conjugate gradients; it knows no label, no graph.

Hestenes & Stiefel 1952 with Jacobi's preconditioner, each column by itself and in double precision, ``_COLUMNS`` at a
time: O(m c) a step, and O(m + n _COLUMNS) memory beside the (n, c) float32 result. A singular system is solved where
its right-hand sides are orthogonal to its null space; what the solution holds of the null space is the caller's to fix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.config import ClassicConfig
from projgraph.records import FloatArray, Progress, StateKeeper
from projgraph.trainers.convergence import ending

_COLUMNS = 32


def conjugate_gradients(
    matrix: sparse.csr_array,
    right: FloatArray | NDArray[np.float64],
    config: ClassicConfig,
    name: str,
    progress: Progress | None = None,
    states: StateKeeper | None = None,
) -> FloatArray:
    """x of ``matrix x = right``, from x = 0.

    Args:
        matrix: (n, n) double, symmetric, positive semi-definite, its diagonal positive.
        right: (n, c).
        config: a column ends at the residual norm ``tolerance |right|``, or after ``max_steps``.
        name: of the trainer, for the line that reports how the columns ended.
        progress: called with that line.
        states: where solved columns are kept now and then, and found again after a kill.
    """
    solution = np.zeros(right.shape, dtype=np.float32)
    inverse = 1.0 / matrix.diagonal()[:, None]
    first, steps, residual = 0, 0, 0.0
    kept = states.load(name) if states else None
    if kept is not None:
        solution = np.asarray(kept["solution"])
        first, steps, residual = int(kept["first"]), int(kept["steps"]), float(kept["residual"])
    for start in range(first, right.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        solution[:, part], taken, left = _solve(matrix, inverse, right[:, part].astype(np.float64), config)
        steps, residual = max(steps, taken), max(residual, left)
        if states:
            numbers = {"first": start + _COLUMNS, "steps": steps, "residual": residual}
            state = {"solution": solution} | {key: np.array(value) for key, value in numbers.items()}
            states.keep(name, state.copy)
    if progress is not None:
        progress(ending(name, steps, residual, config))
    return solution


def _solve(
    matrix: sparse.csr_array, inverse: NDArray[np.float64], residual: NDArray[np.float64], config: ClassicConfig
) -> tuple[NDArray[np.float64], int, float]:
    """The solution, the steps taken, and the largest relative residual; ``residual`` is the right-hand side."""
    solution = np.zeros_like(residual)
    norm = np.sqrt(_dot(residual, residual))
    norm[norm == 0] = 1.0
    direction = inverse * residual
    energy = _dot(residual, direction)
    for step in range(config.max_steps + 1):
        left = np.sqrt(_dot(residual, residual)) / norm
        # A column at rest keeps its place: what it would still move is rounding, divided by zero.
        moving = (left > config.tolerance) & (energy > 0)
        if not moving.any() or step == config.max_steps:
            break
        product = matrix @ direction
        length = np.where(moving, energy, 0.0) / np.where(moving, _dot(direction, product), 1.0)
        solution += length * direction
        residual -= length * product
        conditioned = inverse * residual
        renewed = _dot(residual, conditioned)
        direction *= np.where(moving, renewed, 0.0) / np.where(moving, energy, 1.0)
        direction += conditioned
        energy = np.where(moving, renewed, energy)
    return solution, step, float(left.max(initial=0.0))


def _dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("ij,ij->j", one, other), dtype=np.float64)
