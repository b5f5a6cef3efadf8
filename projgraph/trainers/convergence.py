"""Repeats the step of a fixed-point iteration until it has nothing left to change; it knows no trainer's equation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from projgraph.config import ClassicConfig
from projgraph.records import FloatArray, Progress, StateKeeper


def iterate(
    step: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    config: ClassicConfig,
    name: str,
    progress: Progress | None = None,
    states: StateKeeper | None = None,
) -> FloatArray:
    """The beliefs at which a step changes no entry by more than the tolerance, or those after ``max_steps``.

    Of a step that contracts by a rate r the error is then at most ``tolerance r / (1 - r)``. Far from every label
    beliefs begin below the tolerance: steps go on while they arrive at rows that had none.

    Args:
        step: a new (n, c) array from the last one, which it leaves as it is.
        start: (n, c) beliefs, left as they are.
        config: tolerance, max_steps.
        name: of the trainer, for the line that reports how the iteration ended.
        progress: called with that line.
        states: where the beliefs are kept now and then, and found again after a kill.
    """
    beliefs, change, number, arriving = start, np.inf, 0, True
    kept = states.load(name) if states else None
    if kept is not None:
        beliefs, number = np.asarray(kept["beliefs"]), int(kept["steps"])
    while (change > config.tolerance or arriving) and number < config.max_steps:
        stepped = step(beliefs)
        difference = stepped - beliefs
        change = float(max(difference.max(initial=0.0), -difference.min(initial=0.0)))
        arriving = change <= config.tolerance and _rows_with_beliefs(stepped) > _rows_with_beliefs(beliefs)
        beliefs, number = stepped, number + 1
        if states:
            state = {"beliefs": beliefs, "steps": np.array(number)}
            states.keep(name, state.copy)
    if progress is not None:
        progress(ending(name, number, change, config))
    return beliefs


def _rows_with_beliefs(beliefs: FloatArray) -> int:
    return int(np.count_nonzero(beliefs.any(axis=1)))


def ending(name: str, steps: int, change: float, config: ClassicConfig) -> str:
    """One line that says whether a trainer converged, and what to do where it did not."""
    if change <= config.tolerance:
        return f"trainer: {name} converged after {steps} steps"
    return (
        f"trainer: {name} stopped at max_steps={steps} with a change of {change:.1e} above tolerance="
        f"{config.tolerance:g}; raise trainer.classic.max_steps or trainer.classic.tolerance"
    )
