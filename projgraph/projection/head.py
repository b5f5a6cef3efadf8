"""The head over the bits, linear or with one hidden layer, words beside them; it knows neither rows nor loss."""

from __future__ import annotations

import numpy as np
import torch

from projgraph.projection.words import WordBatch, WordConvolution
from projgraph.records import Layer

_DRAWS = 1 << 16
"""Values of a random number that decides whether a unit is dropped: its share is a multiple of 1 / 65,536."""


class Dropout(torch.nn.Module):
    """Units dropped at random while training, the others scaled up (Srivastava et al. 2014).

    PyTorch's own draws its numbers one at a time on a CPU, a tenth of a step.
    """

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.share = share
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

    def limit_dropout(self, most: float) -> None:
        """Drop no larger share from here on."""
        self._dropout.share = min(self._dropout.share, most)

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


def layers_of(head: Head) -> tuple[Layer | None, Layer]:
    """The hidden layer, if any, and the output layer, as (inputs, outputs) weights."""
    return (None if head.hidden is None else _layer(head.hidden)), _layer(head.output)


def convolution_of(head: Head) -> Layer | None:
    """The convolution as (width D, filters) weights, the first word's D rows first; None without one."""
    convolution = head.convolution
    if convolution is None:
        return None
    weights = convolution.weight.detach().numpy()
    return Layer(weights.reshape(-1, weights.shape[2]).copy(), convolution.bias.detach().numpy().copy())


def _layer(module: torch.nn.Linear) -> Layer:
    return Layer(module.weight.detach().numpy().T.copy(), module.bias.detach().numpy().copy())
