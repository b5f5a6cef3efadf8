"""The head over the bits, linear or with one hidden layer, words beside them; it knows neither rows nor loss.

The hidden units may be those of several members, each with an output layer of its own. Members learn by themselves and
the head answers by the mean of their logits, which is one hidden and one output layer again: an ensemble (Hansen &
Salamon 1990) errs less than one network of as many units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from projgraph.projection.words import WordBatch, WordConvolution
from projgraph.records import Layer

MEMBER_UNITS = 128
"""Of an ensemble's member: two members of half as many err more than one of all (`benchmarks/LOG.md`)."""
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

    def restart(self, seed: tuple[int, ...]) -> None:
        """Draw what is dropped from another seed from here on."""
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
    """Inputs to logits; beside the hidden units, or the inputs of a linear head, stand a convolution's filters.

    Args:
        hidden: the units of all members, one member's after the other's; None for a linear head.
        outputs: of the members; a linear head is one. The filters are inputs of all.
        dropout: on the hidden units and filters.
        convolution: over the words, or None.
    """

    def __init__(
        self,
        hidden: torch.nn.Linear | None,
        outputs: Sequence[torch.nn.Linear],
        dropout: Dropout,
        convolution: WordConvolution | None = None,
    ) -> None:
        super().__init__()
        self.hidden, self.convolution = hidden, convolution
        self.outputs = tuple(outputs)
        self._parts = torch.nn.ModuleList(outputs)  # what torch finds their parameters by
        self._dropout = dropout

    @property
    def over_bits(self) -> torch.nn.Linear:
        """The layer that the bits are inputs of."""
        return self.outputs[0] if self.hidden is None else self.hidden

    def restart_dropout(self, seed: tuple[int, ...]) -> None:
        """Draw what is dropped from another seed from here on."""
        self._dropout.restart(seed)

    @torch.no_grad()
    def load(self, layers: HeadLayers) -> None:
        """Take the weights of a head of the same shape, as `layers_of` gave them."""
        if self.hidden is not None and layers.hidden is not None:
            _set(self.hidden, layers.hidden)
        members, weights = len(self.outputs), layers.output.weights
        units = 0 if self.hidden is None else self.hidden.out_features // members
        filters = weights[units * members :]
        for member, output in enumerate(self.outputs):
            own = weights[units * member : units * (member + 1)] * np.float32(members)
            _set(output, Layer(np.concatenate([own, filters]), layers.output.bias))
        if self.convolution is not None and layers.convolution is not None:
            weight = self.convolution.weight
            weight.copy_(torch.from_numpy(layers.convolution.weights).reshape(weight.shape))
            self.convolution.bias.copy_(torch.from_numpy(layers.convolution.bias))

    def forward(self, inputs: torch.Tensor, words: WordBatch | None = None) -> torch.Tensor:
        """(b, c) logits of (b, n_inputs) rows, and of their words where there is a convolution."""
        return mean(self.answers(inputs, words))

    def answers(self, inputs: torch.Tensor, words: WordBatch | None = None) -> list[torch.Tensor]:
        """The logits of every member."""
        behind = inputs if self.hidden is None else self.hidden(inputs).relu()
        filters = None if self.convolution is None or words is None else self.convolution(words)
        shares = []
        for output, own in zip(self.outputs, behind.chunk(len(self.outputs), dim=1), strict=True):
            seen = own if filters is None else torch.cat([own, filters], dim=1)
            shares.append(output(self._dropout(seen)))
        return shares


def members_of(units: int) -> int:
    """How many members so many hidden units are best of; 1 of a linear head."""
    return units // MEMBER_UNITS if units and units % MEMBER_UNITS == 0 else 1


def mean(values: Sequence[torch.Tensor]) -> torch.Tensor:
    """Of tensors of one shape; a single one is given back as it is."""
    return values[0] if len(values) == 1 else torch.stack(list(values)).mean(dim=0)


def build_head(
    n_inputs: int,
    n_classes: int,
    units: int,
    dropout: float,
    *,
    seed: int,
    members: int = 1,
    dense: int = 0,
    convolution: WordConvolution | None = None,
) -> Head:
    """The head with its start drawn from ``seed``: zero for a linear one, He et al. (2015) for a hidden layer.

    Args:
        n_inputs: bits and sums of codes, or dimensions of a feature row.
        n_classes: outputs.
        units: of the hidden ReLU layer, a multiple of the members; 0 is a linear head.
        dropout: share of the hidden units, and of the convolution's filters beside them, that a step drops of a member
            of ``MEMBER_UNITS`` or more; less in proportion of a narrower one, and nothing of a linear head.
        seed: of the start, and of what is dropped.
        members: that share the hidden units; 1 of a linear head.
        dense: how many of the inputs, the last ones, are sums of codes. Bits are mostly zero and sums are not, so the
            start counts them apart.
        convolution: over the words, or None.
    """
    filters = 0 if convolution is None else len(convolution.bias)
    if units == 0:
        linear = torch.nn.Linear(n_inputs + filters, n_classes)
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
        return Head(None, [linear], Dropout(0.0, seed), convolution)
    generator = torch.Generator().manual_seed(seed)
    first = torch.nn.Linear(n_inputs, units)
    outputs = [torch.nn.Linear(units // members + filters, n_classes) for _ in range(members)]
    for layer in (first, *outputs):
        torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
        torch.nn.init.zeros_(layer.bias)
    if dense:
        with torch.no_grad():
            first.weight[:, -dense:].normal_(0.0, (1.0 / dense) ** 0.5 / 2, generator=generator)
    share = dropout * min(1.0, units / members / MEMBER_UNITS)
    return Head(first, outputs, Dropout(share, seed), convolution)


def layers_of(head: Head) -> HeadLayers:
    """A copy of the head's layers as they are now, those of the members' outputs as one."""
    hidden = None if head.hidden is None else _layer(head.hidden)
    return HeadLayers(hidden, _as_one(head), None if head.convolution is None else _filters(head.convolution))


def _as_one(head: Head) -> Layer:
    """The layer whose logits are the mean of the members'."""
    outputs = [_layer(output) for output in head.outputs]
    if len(outputs) == 1:
        return outputs[0]
    units = head.hidden.out_features // len(outputs) if head.hidden is not None else 0
    own = [output.weights[:units] / np.float32(len(outputs)) for output in outputs]
    filters = np.mean([output.weights[units:] for output in outputs], axis=0)
    return Layer(np.concatenate([*own, filters]), np.mean([output.bias for output in outputs], axis=0))


def _layer(module: torch.nn.Linear) -> Layer:
    return Layer(module.weight.detach().numpy().T.copy(), module.bias.detach().numpy().copy())


def _filters(convolution: WordConvolution) -> Layer:
    weights = convolution.weight.detach().numpy()
    return Layer(weights.reshape(-1, weights.shape[2]).copy(), convolution.bias.detach().numpy().copy())


def _set(module: torch.nn.Linear, layer: Layer) -> None:
    module.weight.copy_(torch.from_numpy(layer.weights.T))
    module.bias.copy_(torch.from_numpy(layer.bias))
