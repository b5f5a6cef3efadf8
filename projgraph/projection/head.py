"""The head over the bits, linear or with one hidden layer; it knows neither rows nor loss."""

from __future__ import annotations

import torch

from projgraph.records import Layer


def build_head(n_inputs: int, n_classes: int, units: int, dropout: float, seed: int) -> torch.nn.Sequential:
    """The head with its start drawn from ``seed``: zero for a linear one, He (2015) for a hidden layer.

    Args:
        n_inputs: bits, or dimensions of a feature row.
        n_classes: outputs.
        units: of the hidden ReLU layer; 0 is a linear head.
        dropout: on the hidden units.
        seed: of the start.
    """
    if units == 0:
        linear = torch.nn.Linear(n_inputs, n_classes)
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
        return torch.nn.Sequential(linear)
    generator = torch.Generator().manual_seed(seed)
    first, last = torch.nn.Linear(n_inputs, units), torch.nn.Linear(units, n_classes)
    for layer in (first, last):
        torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
        torch.nn.init.zeros_(layer.bias)
    return torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Dropout(dropout), last)


def layers_of(head: torch.nn.Sequential) -> tuple[Layer | None, Layer]:
    """The hidden layer, if any, and the output layer, as (inputs, outputs) weights."""
    layers = [
        Layer(module.weight.detach().numpy().T.copy(), module.bias.detach().numpy().copy())
        for module in head
        if isinstance(module, torch.nn.Linear)
    ]
    return (layers[0] if len(layers) == 2 else None), layers[-1]
