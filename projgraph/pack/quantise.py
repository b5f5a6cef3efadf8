"""Float layers to the integers of the model file, and those integers' scores in numpy; it knows no byte order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.pack.format import MAX_BIAS, MAX_CLASSES, MAX_SHIFT, MAX_UNITS
from projgraph.pack.vector import LARGEST_SCALE, SMALLEST_SCALE, read_projection
from projgraph.records import Layer, ProjectionModel

WEIGHT_RANGES = {8: (-128, 127), 4: (-8, 7)}
"""The integers that a weight of so many bits can be."""
MAX_MULTIPLIER = 255
MAX_ACTIVATION = 127
CLIP_RATIOS = np.linspace(0.2, 1.0, 17)
"""Candidates for the largest representable value as a share of the largest one seen."""
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
        weight_bits: 8 or 4, as stored.
    """

    weights: NDArray[np.int8]
    multipliers: NDArray[np.uint8]
    bias: NDArray[np.int32]
    weight_bits: int

    def sums(self, inputs: NDArray[np.int8]) -> NDArray[np.int32]:
        """(n, outputs) int32 sums of (n, inputs) values of at most 127 in size (at most 1 for over 1,024 inputs).

        Every partial product sum is an integer below 2**24, so the float32 product is exact in any order.
        """
        products = inputs.astype(np.float32) @ self.weights.astype(np.float32)
        return products.astype(np.int32) * self.multipliers.astype(np.int32) + self.bias

    def problems(self, name: str) -> Iterator[str]:
        """Every reason why the layer cannot be stored."""
        if self.weight_bits not in WEIGHT_RANGES:
            yield f"{name} has {self.weight_bits}-bit weights; expected 8 or 4"
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
        low, high = WEIGHT_RANGES[self.weight_bits]
        if self.weights.size and not low <= int(self.weights.min()) <= int(self.weights.max()) <= high:
            yield f"{name}.weights leave {low} to {high}; expected {self.weight_bits}-bit integers"
        if self.multipliers.size and int(self.multipliers.min()) < 1:
            yield f"{name}.multipliers hold 0; expected 1 to {MAX_MULTIPLIER}"
        if self.bias.size and int(np.abs(self.bias.astype(np.int64)).max()) > MAX_BIAS:
            yield f"{name}.bias leaves -{MAX_BIAS} to {MAX_BIAS}; expected a larger scale"


@dataclass(frozen=True)
class QuantisedModel:
    """What a model file holds, and what its integers say.

    Attributes:
        projection: bytes of the projection section.
        output: (n_bits or units) x classes.
        hidden: n_bits x units, or None for a linear head.
        hidden_shift: right shift of a hidden sum; 0 without a hidden layer.
        scale: ``logit = score * scale``, a float32 value; the temperature is in it.
        classes: label names.

    Raises:
        ConfigError: listing everything that a model file cannot hold.
    """

    projection: bytes
    output: QuantisedLayer
    hidden: QuantisedLayer | None
    hidden_shift: int
    scale: float
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError("the model cannot be packed: " + "; ".join(problems))

    @property
    def n_bits(self) -> int:
        """Bits of the projection."""
        return int((self.hidden or self.output).weights.shape[0])

    @property
    def units(self) -> int:
        """Hidden units, 0 for a linear head."""
        return int(self.hidden.weights.shape[1]) if self.hidden else 0

    def scores(self, values: NDArray[np.int8]) -> NDArray[np.int32]:
        """(n, classes) int32 scores of (n, n_bits) bits of -1, 0 and +1: the same integers as the core's."""
        if self.hidden:
            sums = np.maximum(self.hidden.sums(values), 0) >> self.hidden_shift
            values = np.minimum(sums, MAX_ACTIVATION).astype(np.int8)
        return self.output.sums(values)

    def _problems(self) -> Iterator[str]:
        n_bits = read_projection(self.projection).n_bits
        yield from _limits(self.classes, self.units if self.hidden else None)
        outputs = self.units if self.hidden else len(self.classes)
        for name, layer, shape in (
            ("hidden", self.hidden, (n_bits, outputs)),
            ("output", self.output, (outputs if self.hidden else n_bits, len(self.classes))),
        ):
            if layer is not None:
                if layer.weights.shape != shape:
                    yield f"{name}.weights has shape {layer.weights.shape}; expected {shape}"
                yield from layer.problems(name)
        if not 0 <= self.hidden_shift <= (MAX_SHIFT if self.hidden else 0):
            yield f"hidden_shift is {self.hidden_shift}; expected 0, or up to {MAX_SHIFT} with a hidden layer"
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE or self.scale != float(np.float32(self.scale)):
            yield f"scale is {self.scale!r}; expected a positive normal float32 value"


def _limits(classes: tuple[str, ...], units: int | None) -> Iterator[str]:
    if not 1 <= len(classes) <= MAX_CLASSES:
        yield f"there are {len(classes)} classes; expected 1 to {MAX_CLASSES}"
    for name in classes:
        try:
            name.encode()
        except UnicodeEncodeError:
            yield f"the class {name!r} has no UTF-8 form; expected names without lone surrogates"
    if units is not None and not 1 <= units <= MAX_UNITS:
        yield f"there are {units} hidden units; expected 1 to {MAX_UNITS}"


def quantise(
    model: ProjectionModel,
    weight_bits: int = 8,
    hidden_weight_bits: int | None = None,
    calibration: NDArray[np.int8] | None = None,
) -> QuantisedModel:
    """Round a trained model to integers, with the least squared error that clipping and steps per class allow.

    Args:
        model: float layers over n_bits inputs.
        weight_bits: 8 or 4, of the output layer.
        hidden_weight_bits: 8 or 4, of the hidden layer; as ``weight_bits`` unless given.
        calibration: (n, n_bits) bits of some training rows, which choose the range of the hidden activations;
            needed with a hidden layer, unused without.

    Raises:
        ConfigError: listing everything that a model file cannot hold.
    """
    hidden_weight_bits = weight_bits if hidden_weight_bits is None else hidden_weight_bits
    problems = list(_unusable(model, {weight_bits, hidden_weight_bits}, calibration))
    if problems:
        raise ConfigError("the model cannot be packed: " + "; ".join(problems))
    hidden, shift, unit = None, 0, 1.0
    if model.hidden is not None and calibration is not None:
        hidden, shift, unit = _quantise_hidden(model.hidden, hidden_weight_bits, calibration)
    weights, bias = model.output.weights.astype(np.float64) * unit, model.output.bias.astype(np.float64)
    steps = best_steps(weights, weight_bits)
    scale = _smallest_scale(steps, bias)
    output = _round_layer(weights, bias, weight_bits, steps, scale)
    logit_scale = min(max(scale / model.temperature, SMALLEST_SCALE), LARGEST_SCALE)
    return QuantisedModel(model.projection, output, hidden, shift, float(np.float32(logit_scale)), model.classes)


def _unusable(model: ProjectionModel, weight_bits: set[int], calibration: NDArray[np.int8] | None) -> Iterator[str]:
    n_bits = read_projection(model.projection).n_bits
    for choice in sorted(weight_bits - set(WEIGHT_RANGES)):
        yield f"weights of {choice} bits were asked for; expected 8 or 4"
    units = None if model.hidden is None else len(model.hidden.bias)
    if len(set(model.classes)) != len(model.classes):
        repeated = next(name for index, name in enumerate(model.classes) if name in model.classes[:index])
        yield f"the class {repeated!r} stands twice; expected distinct names"
    yield from _limits(model.classes, units)
    layers = [("output", model.output, (n_bits if units is None else units, len(model.classes)))]
    if model.hidden is not None:
        layers.append(("hidden", model.hidden, (n_bits, len(model.hidden.bias))))
        if calibration is None or not len(calibration) or calibration.shape[1:] != (n_bits,):
            found = None if calibration is None else calibration.shape
            yield f"calibration is {found}; expected (n, {n_bits}) bits of training rows for the hidden layer's range"
    for name, layer, shape in layers:
        if layer.weights.shape != shape or layer.bias.shape != shape[1:]:
            shapes = f"weights {layer.weights.shape} and bias {layer.bias.shape}"
            yield f"the {name} layer has {shapes}; expected {shape} and {shape[1:]}"
        if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
            yield f"the {name} layer holds NaN or infinity; training diverged: lower its learning rate"
    if not (math.isfinite(model.temperature) and model.temperature > 0):
        yield f"temperature is {model.temperature}; expected a positive number"


def _quantise_hidden(
    layer: Layer, weight_bits: int, calibration: NDArray[np.int8]
) -> tuple[QuantisedLayer, int, float]:
    """The layer, the shift of its sums and what one step of an activation is worth.

    A sum is worth ``scale``, an activation ``scale * 2**shift``. The shift is the largest that keeps the scale from
    falling below what the weights and biases need; half an activation step in the bias makes the shift round.
    """
    weights, bias = layer.weights.astype(np.float64), layer.bias.astype(np.float64)
    steps = best_steps(weights, weight_bits)
    scale, shift = _smallest_scale(steps, bias), 0
    activations = np.maximum(calibration.astype(np.float64) @ weights + bias, 0.0)
    unit = _best_activation_step(activations)
    if unit > scale:
        shift = min(int(math.log2(unit / scale)), MAX_SHIFT)
        scale = unit / (1 << shift)
    half = (1 << shift) // 2
    return _round_layer(weights, bias + half * scale, weight_bits, steps, scale), shift, scale * (1 << shift)


def best_steps(weights: Doubles, weight_bits: int) -> Doubles:
    """(outputs,) step of each column of (inputs, outputs) weights: of all clippings, the least squared error.

    A step is 0 where all weights of a column are 0.
    """
    largest = np.abs(weights).max(axis=0, initial=0.0) / WEIGHT_RANGES[weight_bits][1]
    candidates = CLIP_RATIOS[:, None] * largest
    errors = np.stack([_rounding_errors(weights, steps, weight_bits) for steps in candidates])
    best: Doubles = candidates[np.argmin(errors, axis=0), np.arange(weights.shape[1])]
    return best


def _best_activation_step(activations: Doubles) -> float:
    """The step of a 0 to 127 range with the least squared error over (n, units) activations; 0 where all are 0."""
    flat = activations.reshape(-1, 1)
    candidates = CLIP_RATIOS * (float(flat.max()) / MAX_ACTIVATION)
    errors = [float(_rounding_errors(flat, np.array([step]), 8)[0]) for step in candidates]
    return float(candidates[int(np.argmin(errors))])


def _smallest_scale(steps: Doubles, bias: Doubles) -> float:
    """The smallest scale whose multipliers reach every step and whose biases fit; any number will do for all zeros."""
    needed = max(float(steps.max()) / MAX_MULTIPLIER, float(np.abs(bias).max()) / MAX_BIAS)
    return max(needed, SMALLEST_SCALE) if needed > 0.0 else 1.0


def _round_layer(weights: Doubles, bias: Doubles, weight_bits: int, steps: Doubles, scale: float) -> QuantisedLayer:
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
    """(inputs, outputs) integers nearest to weights / steps within the range; 0 where the step is 0."""
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
