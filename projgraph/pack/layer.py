"""One dense layer in the integers of the model file, and how float weights round to it; it knows no model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from projgraph.pack.format import CODEBOOK_SIZE, MAX_BIAS, MAX_SHIFT, WEIGHT_NAMES, WEIGHTS_SHARED, WEIGHTS_SPARSE
from projgraph.pack.vector import SMALLEST_SCALE
from projgraph.ternary import ternary_steps

WEIGHT_RANGES = {8: (-128, 127), 4: (-8, 7), 2: (-1, 1), 1: (-1, 1)}
"""The integers that a weight of so many bits can be; one of 1 bit is never 0."""
WEIGHT_BITS = "8, 4, 2 (ternary) or 1 (binary)"
"""Their number, for messages."""
MAX_MULTIPLIER = 255
MAX_ACTIVATION = 127
CLIP_RATIOS = np.linspace(0.2, 1.0, 17)
"""Candidates for the largest representable value as a share of the largest one seen."""
TERNARY_ROUNDS = 20
K_MEANS_ROUNDS = 50
CHUNK = 1 << 20
"""Weights whose rounding errors are looked at in one go, so that temporaries stay in the cache."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class QuantisedLayer:
    """One dense layer in integers: ``sum = (inputs @ weights) * multipliers + bias``.

    Attributes:
        weights: (inputs, outputs) int8, within the range of ``weight_bits``.
        multipliers: (outputs,) uint8, 1 to 255.
        bias: (outputs,) int32, at most ``MAX_BIAS`` in size.
        weight_bits: 8, 4, 2 or 1, as stored.
        codebook: (16,) int8, the values that 4 bits stand for, every weight among them; None where 4 bits are a number.
        sparse: whether only the weights other than zero are stored.
    """

    weights: NDArray[np.int8]
    multipliers: NDArray[np.uint8]
    bias: NDArray[np.int32]
    weight_bits: int
    codebook: NDArray[np.int8] | None = None
    sparse: bool = False

    @property
    def value_bits(self) -> int:
        """Of the values of weights: 8 of a codebook's."""
        return self.weight_bits if self.codebook is None else 8

    @property
    def format(self) -> int:
        """The head's byte for such weights."""
        shared = 0 if self.codebook is None else WEIGHTS_SHARED
        return self.weight_bits | shared | (WEIGHTS_SPARSE if self.sparse else 0)

    @property
    def format_name(self) -> str:
        """Such as "int8" or "sparse ternary"."""
        return WEIGHT_NAMES[self.format]

    def sums(self, inputs: NDArray[np.int8]) -> NDArray[np.int32]:
        """(n, outputs) int32 sums of (n, inputs) values.

        The values of a row are at most ``MAX_INPUT_SUM`` in size together where weights are bytes (`Shape.problems`).
        So every partial product sum is an integer below 2**24, and the float32 product exact in any order.
        """
        products = inputs.astype(np.float32) @ self.weights.astype(np.float32)
        return products.astype(np.int32) * self.multipliers.astype(np.int32) + self.bias

    def problems(self, name: str) -> Iterator[str]:
        """Every reason why the layer cannot be stored."""
        if self.weight_bits not in WEIGHT_RANGES:
            yield f"{name} has {self.weight_bits}-bit weights; expected {WEIGHT_BITS}"
            return
        outputs = self.weights.shape[1:]
        for part, array, dtype in (
            ("weights", self.weights, np.int8),
            ("multipliers", self.multipliers, np.uint8),
            ("bias", self.bias, np.int32),
        ):
            if array.dtype != dtype or (part != "weights" and array.shape != outputs):
                expected = f"{np.dtype(dtype).name} of shape {self.weights.shape if part == 'weights' else outputs}"
                yield f"{name}.{part} is {array.dtype.name} of shape {array.shape}; expected {expected}"
        yield from self._packing_problems(name)
        low, high = WEIGHT_RANGES[self.value_bits]
        if self.weights.size and not low <= int(self.weights.min()) <= int(self.weights.max()) <= high:
            yield f"{name}.weights leave {low} to {high}; expected {self.weight_bits}-bit integers"
        if self.multipliers.size and int(self.multipliers.min()) < 1:
            yield f"{name}.multipliers hold 0; expected 1 to {MAX_MULTIPLIER}"
        if self.bias.size and int(np.abs(self.bias.astype(np.int64)).max()) > MAX_BIAS:
            yield f"{name}.bias leaves -{MAX_BIAS} to {MAX_BIAS}; expected a larger scale"

    def _packing_problems(self, name: str) -> Iterator[str]:
        """Why the weights are not of their format, where it has more to it than a range."""
        if self.weight_bits == 1 and not self.weights.all():
            yield f"{name}.weights hold 0; expected -1 and +1 alone of 1-bit weights"
        if self.sparse and self.weight_bits == 1:
            yield f"{name} is sparse with 1-bit weights; expected 8, 4 or 2 bits, of which one can be 0"
        if self.codebook is None:
            return
        if self.weight_bits != 4 or self.codebook.dtype != np.int8 or self.codebook.shape != (CODEBOOK_SIZE,):
            found = f"{self.codebook.dtype.name} of shape {self.codebook.shape} with {self.weight_bits}-bit weights"
            yield f"{name}.codebook is {found}; expected {CODEBOOK_SIZE} int8 values with 4-bit weights"
        else:
            stored = self.weights[self.weights != 0] if self.sparse else self.weights
            missing = np.setdiff1d(stored, self.codebook)
            if len(missing):
                yield f"{name}.weights hold {missing[0]}; expected values of the codebook"


def shared(layer: QuantisedLayer, sparse: bool = False) -> QuantisedLayer:
    """The same layer of 8-bit weights with the 16 values that have the least squared error, by `shared_values`.

    Args:
        layer: of 8-bit weights.
        sparse: whether weights of 0 are left out, and stay 0.
    """
    errors = np.square(layer.multipliers.astype(np.float64))  # of a weight that is 1 off, for each output
    shares = np.zeros(256)
    np.add.at(shares, layer.weights.astype(np.int64) + 128, np.broadcast_to(errors, layer.weights.shape))
    if sparse:
        shares[128] = 0.0
    codebook = shared_values(shares)
    nearest = np.abs(codebook[None].astype(np.int64) - np.arange(-128, 128)[:, None]).argmin(axis=1)
    weights = codebook[nearest][layer.weights.astype(np.int64) + 128]
    if sparse:
        weights[layer.weights == 0] = 0
    return replace(layer, weights=weights, weight_bits=4, codebook=codebook)


def shared_values(shares: Doubles) -> NDArray[np.int8]:
    """(16,) the integers from -128 to 127 that stand for all, ascending; (256,) ``shares`` says what each counts.

    One-dimensional k-means that starts at even distances from the least to the largest (Han, Mao & Dally 2016, 3.2).
    """
    numbers = np.arange(-128, 128)
    there = numbers[shares > 0] if shares.any() else np.zeros(1, dtype=np.int64)
    centres = np.linspace(there[0], there[-1], CODEBOOK_SIZE)
    for _ in range(K_MEANS_ROUNDS):
        nearest = np.abs(numbers[:, None] - centres).argmin(axis=1)
        weight = np.bincount(nearest, shares, CODEBOOK_SIZE)
        mean = np.bincount(nearest, shares * numbers, CODEBOOK_SIZE) / np.where(weight > 0, weight, 1.0)
        centres = np.where(weight > 0, mean, centres)
    return np.sort(np.rint(centres)).astype(np.int8)


def rectified(sums: NDArray[np.int32], shift: int) -> NDArray[np.int8]:
    """What a hidden unit or a filter makes of its sum: 0 to 127."""
    values: NDArray[np.int8] = np.minimum(np.maximum(sums, 0) >> shift, MAX_ACTIVATION).astype(np.int8)
    return values


def round_rectified(
    weights: Doubles, bias: Doubles, weight_bits: int, unit: float
) -> tuple[QuantisedLayer, int, float]:
    """A layer that is rectified, the shift of its sums and what one step of an activation is worth, about ``unit``.

    A sum is worth ``scale``, an activation ``scale * 2**shift``. The shift is the largest that keeps the scale from
    falling below what the weights and biases need; half an activation step in the bias makes the shift round.
    """
    steps = best_steps(weights, weight_bits)
    scale, shift = smallest_scale(steps, bias), 0
    if unit > scale:
        shift = min(int(math.log2(unit / scale)), MAX_SHIFT)
        scale = unit / (1 << shift)
    half = (1 << shift) // 2
    return round_layer(weights, bias + half * scale, weight_bits, steps, scale), shift, scale * (1 << shift)


def best_steps(weights: Doubles, weight_bits: int) -> Doubles:
    """(outputs,) step of each column of (inputs, outputs) weights: of all clippings, the least squared error.

    A step is 0 where all weights of a column are 0. Of 2 and 1 bits it is the one that weights were tuned for, see
    `projgraph.projection.straight_through`: the mean size of those that do not round to zero.
    """
    if weight_bits < 4:
        return _mean_steps(np.abs(weights), weight_bits)
    largest = np.abs(weights).max(axis=0, initial=0.0) / WEIGHT_RANGES[weight_bits][1]
    candidates = CLIP_RATIOS[:, None] * largest
    errors = np.stack([_rounding_errors(weights, steps, weight_bits) for steps in candidates])
    best: Doubles = candidates[np.argmin(errors, axis=0), np.arange(weights.shape[1])]
    return best


def _mean_steps(sizes: Doubles, weight_bits: int) -> Doubles:
    """The step of each column of weights of these sizes: all have it, or all that are larger than half of it."""
    means: Doubles = sizes.mean(axis=0)
    if weight_bits == 1 or not sizes.size:
        return means

    def mean_above(thresholds: Doubles) -> Doubles:
        kept = sizes > thresholds
        mean: Doubles = (sizes * kept).sum(axis=0) / np.maximum(kept.sum(axis=0), 1)
        return mean

    return ternary_steps(means, mean_above, TERNARY_ROUNDS)


def best_activation_step(activations: Doubles) -> float:
    """The step of a 0 to 127 range with the least squared error over (n, units) activations; 0 where all are 0."""
    flat = activations.reshape(-1, 1)
    candidates = CLIP_RATIOS * (float(flat.max()) / MAX_ACTIVATION)
    errors = [float(_rounding_errors(flat, np.array([step]), 8)[0]) for step in candidates]
    return float(candidates[int(np.argmin(errors))])


def smallest_scale(steps: Doubles, bias: Doubles) -> float:
    """The smallest scale whose multipliers reach every step and whose biases fit; any number will do for all zeros."""
    needed = max(float(steps.max()) / MAX_MULTIPLIER, float(np.abs(bias).max()) / MAX_BIAS)
    return max(needed, SMALLEST_SCALE) if needed > 0.0 else 1.0


def round_layer(weights: Doubles, bias: Doubles, weight_bits: int, steps: Doubles, scale: float) -> QuantisedLayer:
    """Integers for a given scale: of the two multipliers around a step the one with the smaller squared error."""
    below = np.clip(np.floor(steps / scale), 1, MAX_MULTIPLIER)
    above = np.clip(np.ceil(steps / scale), 1, MAX_MULTIPLIER)
    better = _rounding_errors(weights, below * scale, weight_bits) < _rounding_errors(
        weights, above * scale, weight_bits
    )
    multipliers = np.where(better, below, above)
    return QuantisedLayer(
        weights=_rounded(weights, multipliers * scale, weight_bits).astype(np.int8),
        multipliers=multipliers.astype(np.uint8),
        bias=np.clip(np.rint(bias / scale), -MAX_BIAS, MAX_BIAS).astype(np.int32),
        weight_bits=weight_bits,
    )


def _rounded(weights: Doubles, steps: Doubles, weight_bits: int) -> Doubles:
    """(inputs, outputs) integers nearest to weights / steps within the range; 0 where the step is 0, but for 1 bit."""
    if weight_bits == 1:
        return np.where(weights < 0, -1.0, 1.0)
    low, high = WEIGHT_RANGES[weight_bits]
    inverse = np.divide(1.0, steps, out=np.zeros_like(steps), where=steps > 0.0)
    return np.clip(np.rint(weights * inverse), low, high)


def _rounding_errors(weights: Doubles, steps: Doubles, weight_bits: int) -> Doubles:
    """(outputs,) squared error of each column after rounding to multiples of its step."""
    total = np.zeros(weights.shape[1])
    rows = max(1, CHUNK // max(1, weights.shape[1]))
    for start in range(0, len(weights), rows):
        part = weights[start : start + rows]
        total += np.square(_rounded(part, steps, weight_bits) * steps - part).sum(axis=0)
    return total
