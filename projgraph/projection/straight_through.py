"""Weights that are rounded in every step and learn as if they were not; it knows one layer, neither rows nor loss.

The straight-through estimator (Bengio, Leonard & Courville 2013): the forward pass sees the rounded weights, and their
gradient moves those that are kept beside them. With W the weights of one output and s its step:

    1 bit    sign(W) s,  s = mean |W|                                    (XNOR-Net, Rastegari et al. 2016)
    2 bits   sign(W) s where |W| > s / 2, else 0,  s = mean of those     (ternary weight networks, Li & Liu 2016)
    more     as they are: rounding them afterwards costs nothing that a fit of few passes gets back

s is what `projgraph.pack` finds for weights that are rounded so, and packing them rounds them no further. Weights that
are pruned are zero from the start and stay so: those that are smallest in size of the whole layer (Han et al. 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.utils import parametrize

from projgraph.pack.format import MAX_NORM_SHIFT
from projgraph.ternary import ternary_steps

_ROUNDS = 6
"""For a ternary step; packing takes more. A fit goes on from the last one, by a round in each of its steps: six of them
were two fifths of its time."""


@dataclass(frozen=True)
class Tuning:
    """How the layer over the bits is rounded while it is tuned.

    Attributes:
        weight_bits: 1 and 2 round; weights of more bits are only pruned.
        pruning: share of its weights that are made zero.
        epochs: passes over the rows.
        min_steps: a small set is passed over more often, up to so many steps; not where there is no epoch at all.
        rate: peak learning rate.
    """

    weight_bits: int
    pruning: float = 0.0
    epochs: int = 20
    min_steps: int = 600
    rate: float = 1e-3

    def epochs_for(self, batches: int) -> int:
        """Passes over rows of so many steps each."""
        return max(self.epochs, self.min_steps // max(batches, 1)) if self.epochs else 0


class _Rounding(torch.nn.Module):
    """What stands between a layer's (outputs, inputs) weights and their use."""

    def __init__(self, tuning: Tuning, mask: torch.Tensor | None, scales: torch.Tensor | None) -> None:
        super().__init__()
        self._weight_bits, self._mask, self._scales = tuning.weight_bits, mask, scales
        self._steps: torch.Tensor | None = None

    def forward(self, weights: torch.Tensor) -> torch.Tensor:
        kept = weights if self._mask is None else weights * self._mask
        learning = torch.is_grad_enabled()
        with torch.no_grad():
            rounded = self._round(kept if self._scales is None else kept * self._scales, learning)
            if self._scales is not None:
                rounded = rounded / self._scales
        # The sum is off by what floats round: what is left at the end, and what is judged, is rounded exactly.
        return kept + (rounded - kept).detach() if learning else rounded

    def _round(self, weights: torch.Tensor, learning: bool) -> torch.Tensor:
        if self._weight_bits == 1:
            return binary(weights)
        if self._weight_bits == 2:
            if self._mask is not None:
                return _signs(weights, self._mask)
            if not learning:
                return ternary(weights)
            self._steps = ternary_steps_of(weights, self._steps)
            return ternary(weights, self._steps)
        return weights


def binary(weights: torch.Tensor) -> torch.Tensor:
    """(outputs, inputs) weights rounded to -s and +s by their sign; that of 0 counts."""
    return torch.copysign(weights.abs().mean(dim=1, keepdim=True), weights)


def ternary(weights: torch.Tensor, steps: torch.Tensor | None = None) -> torch.Tensor:
    """(outputs, inputs) weights rounded to -s, 0 and +s, of (outputs, 1) steps s; None finds them."""
    steps = ternary_steps_of(weights) if steps is None else steps
    return (weights.abs() - steps / 2).clamp_(min=0).sign_().mul_(steps).mul_(torch.sign(weights))


def ternary_steps_of(weights: torch.Tensor, before: torch.Tensor | None = None) -> torch.Tensor:
    """(outputs, 1) steps of (outputs, inputs) weights, in rounds that each lower the squared error.

    Args:
        weights: to round.
        before: steps of nearly the same weights, from which one round is enough; None starts at their mean size.
    """
    sizes = weights.abs()

    def mean_above(thresholds: torch.Tensor) -> torch.Tensor:
        # By what is left above: in floats alone, since masks of bytes take three times as long.
        left = (sizes - thresholds).clamp_(min=0)
        rest = left.sum(dim=1, keepdim=True)
        count = left.sign_().sum(dim=1, keepdim=True)
        return (rest + thresholds * count) / count.clamp(min=1)

    if before is not None:
        return mean_above(before / 2)
    return ternary_steps(sizes.mean(dim=1, keepdim=True), mean_above, _ROUNDS)


def _signs(weights: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Pruned weights: all that are left have the size of their mean."""
    steps = weights.abs().sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.sign(weights) * steps


def start_rounding(layer: torch.nn.Linear, tuning: Tuning, sums: slice) -> None:
    """Round and prune a layer's weights from here on.

    Args:
        layer: the one over the bits.
        tuning: how.
        sums: which of its inputs are sums of codes. The file multiplies those by a power of two to make integers of
            them; the one that brings their weights nearest to the others' is taken.
    """
    weights = layer.weight.detach()
    mask = None
    if tuning.pruning:
        sizes = weights.abs()
        count = min(int(tuning.pruning * sizes.numel()), sizes.numel() - 1)
        mask = (sizes > sizes.flatten().kthvalue(count).values).to(weights.dtype) if count else None
    scales = None
    if tuning.weight_bits < 4 and sums.start < sums.stop:
        ratio = weights[:, sums].abs().mean() / weights[:, : sums.start].abs().mean().clamp(min=1e-12)
        scales = torch.ones(weights.shape[1])
        scales[sums] = 2.0 ** -min(max(round(float(ratio.clamp(min=1e-12).log2())), 0), MAX_NORM_SHIFT)
    parametrize.register_parametrization(layer, "weight", _Rounding(tuning, mask, scales), unsafe=True)


def finish_rounding(layer: torch.nn.Linear) -> None:
    """Leave the rounded weights as the layer's own."""
    with torch.no_grad():
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
