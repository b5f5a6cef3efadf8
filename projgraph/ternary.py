"""The size that ternary weights share, found in rounds; it knows no layer and no kind of array.

Weights of sizes |w| become -s, 0 or +s, those of size t or less 0. Of all s the squared error is least at the mean of
the other sizes, and of all t at s / 2, so that rounds of the one after the other lower it (Li & Liu 2016, ternary
weight networks; the start is their equation 6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

FIRST_THRESHOLD = 0.7
"""Times the mean of all sizes: the t of the first round."""

Steps = TypeVar("Steps", "NDArray[np.float64]", "torch.Tensor")


def ternary_steps(means: Steps, mean_above: Callable[[Steps], Steps], rounds: int) -> Steps:
    """The step s of each output of a layer.

    Args:
        means: of the sizes of each output's weights.
        mean_above: for each output the mean of the sizes above its threshold; 0 where none is.
        rounds: 1 or more.
    """
    steps = mean_above(FIRST_THRESHOLD * means)
    for _ in range(rounds - 1):
        steps = mean_above(steps / 2)
    return steps
