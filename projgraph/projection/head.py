"""The head over the bits, linear or with one hidden layer, words beside them; it knows neither rows nor loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from projgraph.projection.words import WordBatch, WordConvolution
from projgraph.records import Layer

_DRAWS = 1 << 16
"""Values of a random number that decides whether a unit is dropped: its share is a multiple of 1 / 65,536."""


@dataclass(frozen=True)
class HeadLayers:
    """The layers of a head at one time: hidden or None, output, and filters over the codes of words or None.

    Weights are (inputs, outputs); those of a convolution (width D, filters), the first word's D rows first.
    """

    hidden: Layer | None
    output: Layer
    convolution: Layer | None


class Dropout(torch.nn.Module):
    """Units dropped at random while training, the others scaled up (Srivastava et al. 2014).

    PyTorch's own draws its numbers one at a time on a CPU, a tenth of a step.
    """

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.share = share
        self._random = np.random.default_rng(seed)

    def restart(self, most: float, seed: tuple[int, ...]) -> None:
        """Drop no larger share from here on, as a seed draws it."""
        self.share = min(self.share, most)
        self._random = np.random.default_rng(seed)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values, some of them zero."""
        # With all dropped nothing would be learnt, without a word.
        dropped = min(round(self.share * _DRAWS), _DRAWS - 1)
        if not self.training or not dropped:
            return values
        kept = self._random.integers(_DRAWS, size=tuple(values.shape), dtype=np.uint16) >= dropped
        return values * torch.from_numpy(kept * np.float32(_DRAWS / (_DRAWS - dropped)))


class Head(torch.nn.Module):
    """Inputs to logits; beside the hidden units, or the inputs of a linear head, stand a convolution's filters."""

    def __init__(
        self,
        hidden: torch.nn.Linear | None,
        output: torch.nn.Linear,
        dropout: Dropout,
        convolution: WordConvolution | None = None,
    ) -> None:
        super().__init__()
        self.hidden, self.output, self.convolution = hidden, output, convolution
        self._dropout = dropout

    def restart_dropout(self, most: float, seed: tuple[int, ...]) -> None:
        """Drop no larger share from here on, as a seed draws it."""
        self._dropout.restart(most, seed)

    @torch.no_grad()
    def load(self, layers: HeadLayers) -> None:
        """Take the weights of a head of the same shape, as `layers_of` gave them."""
        if self.hidden is not None and layers.hidden is not None:
            _set(self.hidden, layers.hidden)
        _set(self.output, layers.output)
        if self.convolution is not None and layers.convolution is not None:
            weight = self.convolution.weight
            weight.copy_(torch.from_numpy(layers.convolution.weights).reshape(weight.shape))
            self.convolution.bias.copy_(torch.from_numpy(layers.convolution.bias))

    def forward(self, inputs: torch.Tensor, words: WordBatch | None = None) -> torch.Tensor:
        """(b, c) logits of (b, n_inputs) rows, and of their words where there is a convolution."""
        behind = inputs if self.hidden is None else self.hidden(inputs).relu()
        if self.convolution is not None and words is not None:
            behind = torch.cat([behind, self.convolution(words)], dim=1)
        logits: torch.Tensor = self.output(self._dropout(behind))
        return logits


def build_head(
    n_inputs: int,
    n_classes: int,
    units: int,
    dropout: float,
    *,
    seed: int,
    dense: int = 0,
    convolution: WordConvolution | None = None,
) -> Head:
    """The head with its start drawn from ``seed``: zero for a linear one, He et al. (2015) for a hidden layer.

    Args:
        n_inputs: bits and sums of codes, or dimensions of a feature row.
        n_classes: outputs.
        units: of the hidden ReLU layer; 0 is a linear head.
        dropout: share of the hidden units, and of the convolution's filters beside them, that a step drops; a linear
            head drops nothing.
        seed: of the start, and of what is dropped.
        dense: how many of the inputs, the last ones, are sums of codes. Bits are mostly zero and sums are not, so the
            start counts them apart.
        convolution: over the words, or None.
    """
    filters = 0 if convolution is None else len(convolution.bias)
    if units == 0:
        linear = torch.nn.Linear(n_inputs + filters, n_classes)
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
        return Head(None, linear, Dropout(0.0, seed), convolution)
    generator = torch.Generator().manual_seed(seed)
    first, last = torch.nn.Linear(n_inputs, units), torch.nn.Linear(units + filters, n_classes)
    for layer in (first, last):
        torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
        torch.nn.init.zeros_(layer.bias)
    if dense:
        with torch.no_grad():
            first.weight[:, -dense:].normal_(0.0, (1.0 / dense) ** 0.5 / 2, generator=generator)
    return Head(first, last, Dropout(dropout, seed), convolution)


def layers_of(head: Head) -> HeadLayers:
    """A copy of the head's layers as they are now."""
    hidden = None if head.hidden is None else _layer(head.hidden)
    return HeadLayers(hidden, _layer(head.output), None if head.convolution is None else _filters(head.convolution))


def _layer(module: torch.nn.Linear) -> Layer:
    return Layer(module.weight.detach().numpy().T.copy(), module.bias.detach().numpy().copy())


def _filters(convolution: WordConvolution) -> Layer:
    weights = convolution.weight.detach().numpy()
    return Layer(weights.reshape(-1, weights.shape[2]).copy(), convolution.bias.detach().numpy().copy())


def _set(module: torch.nn.Linear, layer: Layer) -> None:
    module.weight.copy_(torch.from_numpy(layer.weights.T))
    module.bias.copy_(torch.from_numpy(layer.bias))
