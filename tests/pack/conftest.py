"""Models of arbitrary dimensions, whose integers reach the ends of their ranges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from projgraph.pack.format import MAX_BIAS, FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec
from projgraph.pack.quantise import WEIGHT_RANGES, QuantisedLayer, QuantisedModel

MakeModel = Callable[..., QuantisedModel]


def random_layer(rng: np.random.Generator, inputs: int, outputs: int, weight_bits: int) -> QuantisedLayer:
    low, high = WEIGHT_RANGES[weight_bits]
    return QuantisedLayer(
        weights=rng.integers(low, high, (inputs, outputs), endpoint=True).astype(np.int8),
        multipliers=rng.integers(1, 255, outputs, endpoint=True).astype(np.uint8),
        bias=rng.integers(-MAX_BIAS, MAX_BIAS, outputs, endpoint=True).astype(np.int32),
        weight_bits=weight_bits,
    )


def random_model(
    seed: int = 0,
    bits: int = 64,
    classes: int = 5,
    weight_bits: int = 8,
    units: int = 0,
    hidden_weight_bits: int = 8,
    families: int = 2,
) -> QuantisedModel:
    rng = np.random.default_rng(seed)
    block = bits // families
    spec = ProjectionSpec(
        functions=1,
        function_bits=bits,
        families=tuple(
            Family(FamilyKind.WORD if index % 2 == 0 else FamilyKind.CHARACTER, 1, 2 + index, 1, index * block, block)
            for index in range(families)
        ),
        seed=int(rng.integers(1 << 64, dtype=np.uint64)),
        quantiser=Quantiser(seed % 2),
        seen_slots_log2=seed % 17,
    )
    return QuantisedModel(
        projection=spec.to_bytes(),
        output=random_layer(rng, units or bits, classes, weight_bits),
        hidden=random_layer(rng, bits, units, hidden_weight_bits) if units else None,
        hidden_shift=int(rng.integers(31)) if units else 0,
        scale=float(np.float32(rng.uniform(1e-6, 1e6))),
        classes=tuple(f"{'äß日𝄞'[: index % 5]}{index}" for index in range(classes)),
    )


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """``make_model(seed, bits, classes, weight_bits, units, hidden_weight_bits, families)``."""
    return random_model
