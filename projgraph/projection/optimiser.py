"""AdamW under a one-cycle schedule, of torch's own fused step; it knows parameters and a rate, no loss.

Source: Loshchilov & Hutter 2019 for the step, Smith & Topin 2019 for the schedule. Over the first three tenths of the
steps the rate rises along half a cosine from r / 25 to r, over the others it falls likewise to r / 250,000; the decay
of the gradient's mean falls from 0.95 to 0.85 and rises again. Weights are those of ``torch.optim.AdamW`` under
``OneCycleLR`` to the last bit. The hooks of these take 0.1 ms of a step of one to three, and the first optimiser of a
process imports torch's compiler, which takes 1.5 s, as long as to import torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.optim.adamw import adamw

_WARM = 0.3
_FIRST, _LAST = 25.0, 1e4
_LEAST_DECAY, _MOST_DECAY = 0.85, 0.95
_SECOND_DECAY = 0.999
_EPSILON = 1e-8


@dataclass(frozen=True)
class Cycle:
    """A peak learning rate and the steps to rise to it and fall from it."""

    rate: float
    steps: int

    def at(self, step: int) -> tuple[float, float]:
        """The learning rate and the first moment's decay of a step from 0 on."""
        peak, end = _WARM * self.steps - 1, self.steps - 1
        first = self.rate / _FIRST
        if step <= peak:
            share = step / peak
            return _between(first, self.rate, share), _between(_MOST_DECAY, _LEAST_DECAY, share)
        share = (step - peak) / (end - peak)
        return _between(self.rate, first / _LAST, share), _between(_LEAST_DECAY, _MOST_DECAY, share)


def _between(start: float, end: float, share: float) -> float:
    """Along half a cosine."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


class Optimiser:
    """Moves parameters by their gradients; one without a gradient stays, and has no weight decay.

    Args:
        parameters: float32 on the CPU.
        cycle: the schedule.
        weight_decay: times the learning rate, of every step.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], cycle: Cycle, weight_decay: float) -> None:
        self.cycle, self._weight_decay, self._done = cycle, weight_decay, 0
        # Of each parameter: itself, the means of its gradient and of its gradient's square, and its steps.
        self._states: list[tuple[torch.Tensor, ...]] = [
            (each, torch.zeros_like(each), torch.zeros_like(each), torch.zeros(())) for each in parameters
        ]

    def clear(self) -> None:
        """Forget all gradients."""
        for parameter, *_ in self._states:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Go one step of the schedule."""
        rate, decay = self.cycle.at(self._done)
        self._done += 1
        moved = [
            (parameter, parameter.grad, *state) for parameter, *state in self._states if parameter.grad is not None
        ]
        parameters, gradients, means, squares, steps = (list(each) for each in zip(*moved, strict=True))
        adamw(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=decay,
            beta2=_SECOND_DECAY,
            lr=rate,
            weight_decay=self._weight_decay,
            eps=_EPSILON,
            maximize=False,
        )
