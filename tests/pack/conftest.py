"""Models of arbitrary dimensions, whose integers reach the ends of their ranges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from projgraph.native import word_fingerprints
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_BIAS, FamilyKind, Quantiser
from projgraph.pack.layer import WEIGHT_RANGES, QuantisedLayer
from projgraph.pack.projection import Family, ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.words import WordTable
from projgraph.records import Texts

MakeModel = Callable[..., QuantisedModel]


def random_layer(rng: np.random.Generator, inputs: int, outputs: int, weight_bits: int) -> QuantisedLayer:
    low, high = WEIGHT_RANGES[weight_bits]
    weights = rng.integers(low, high, (inputs, outputs), endpoint=True).astype(np.int8)
    return QuantisedLayer(
        weights=np.where(weights < 0, -1, 1).astype(np.int8) if weight_bits == 1 else weights,
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
    words: int = 0,
    dimensions: int = 16,
    filters: int = 0,
    width: int = 2,
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
    inputs = bits + (dimensions if words else 0)
    return QuantisedModel(
        projection=spec.to_bytes(),
        output=random_layer(rng, (units or inputs) + filters, classes, weight_bits),
        hidden=random_layer(rng, inputs, units, hidden_weight_bits) if units else None,
        hidden_shift=int(rng.integers(31)) if units else 0,
        scale=float(np.float32(rng.uniform(1e-6, 1e6))),
        classes=tuple(f"{'äß日𝄞'[: index % 5]}{index}" for index in range(classes)),
        words=random_words(rng, spec, words, dimensions) if words else None,
        norm_shift=int(rng.integers(7)) if words else 0,
        convolution=random_filters(rng, filters, width, dimensions) if filters else None,
    )


def random_words(rng: np.random.Generator, spec: ProjectionSpec, count: int, dimensions: int) -> WordTable:
    """A table of the word "word" and of numbers."""
    texts = Texts.from_strings([f"word {index}" for index in range(count)])
    fingerprints = np.unique(word_fingerprints(spec.to_bytes(), texts)[0])[:count]
    codes = rng.integers(0, 2, (len(fingerprints), dimensions)) * 2 - 1
    return WordTable(fingerprints, rng.integers(0, 4, len(fingerprints)).astype(np.uint8), codes.astype(np.int8))


def random_filters(rng: np.random.Generator, filters: int, width: int, dimensions: int) -> QuantisedConvolution:
    layer = random_layer(rng, width * dimensions, filters, 8)
    return QuantisedConvolution(layer, width, int(rng.integers(31)))


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """``make_model(seed, bits, classes, weight_bits, units, hidden_weight_bits, families)``, and of words ``words,
    dimensions, filters, width``."""
    return random_model
