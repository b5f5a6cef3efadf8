"""Float layers to the integers of the model file, with the least squared error; it knows no byte order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.pack.convolution import Convolution, QuantisedConvolution, round_convolution, shape_problems
from projgraph.pack.format import MAX_NORM_SHIFT
from projgraph.pack.layer import (
    WEIGHT_BITS,
    WEIGHT_RANGES,
    Doubles,
    QuantisedLayer,
    best_activation_step,
    best_steps,
    rectified,
    round_layer,
    round_rectified,
    smallest_scale,
)
from projgraph.pack.model import ProjectionModel
from projgraph.pack.packing import Packing
from projgraph.pack.quantised import QuantisedModel, Shape, name_problems, word_problems
from projgraph.pack.vector import LARGEST_SCALE, SMALLEST_SCALE, read_projection
from projgraph.pack.words import Sequences, WordTable
from projgraph.records import Layer

UNIT_POWERS = (-1, 0, 1, 2, 3, 4)
"""Of two: how far the step of the filters' activations may lie from their own best one, tried one by one."""
ROWS_THAT_CHOOSE = 512
"""Calibration rows whose errors choose norm_shift and the unit of the filters."""


@dataclass(frozen=True)
class _Inputs:
    """What a layer sees of the calibration rows, in integers.

    Attributes:
        values: (n, inputs), no row where none is needed.
        scales: (inputs,) what 1 of each is worth.
    """

    values: NDArray[np.int8]
    scales: Doubles


def quantise(
    model: ProjectionModel,
    weight_bits: int = 8,
    hidden_weight_bits: int | None = None,
    calibration: NDArray[np.int8] | None = None,
    sequences: Sequences | None = None,
    packing: Packing | None = None,
) -> QuantisedModel:
    """Round a trained model to integers, with the least squared error that clipping and steps per class allow.

    Args:
        model: float layers over n_bits inputs, and the sums of word codes behind them.
        weight_bits: 8, 4, 2 or 1, of the output layer.
        hidden_weight_bits: likewise, of the hidden layer; as ``weight_bits`` unless given.
        calibration: (n, n_bits) bits of some training rows, which choose the range of the hidden activations and what
            a step of the code sums is worth; needed with a hidden layer or words, unused without.
        sequences: of the same rows' words, as for `QuantisedModel.scores`; needed with words.
        packing: further ways to make the layer over the bits small.

    Raises:
        ConfigError: listing everything that a model file cannot hold.
    """
    hidden_weight_bits = weight_bits if hidden_weight_bits is None else hidden_weight_bits
    packing = packing or Packing()
    over_bits = weight_bits if model.hidden is None else hidden_weight_bits
    rounded_to = packing.rounded_to(weight_bits) if model.hidden is None else weight_bits
    problems = list(_unusable(model, {weight_bits, hidden_weight_bits}, rounded_to, calibration, sequences))
    problems += packing.problems(over_bits)
    if problems:
        raise ConfigError("the model cannot be packed: " + "; ".join(problems))
    norm_shift, inputs = _first_inputs(model, packing.rounded_to(over_bits), calibration, sequences)
    hidden, hidden_shift, convolution = None, 0, None
    if model.hidden is not None:
        hidden, hidden_shift, inputs = _round_hidden(model.hidden, hidden_weight_bits, packing, inputs)
    if model.convolution is not None and model.words is not None and sequences is not None:
        filters, words = model.convolution, model.words
        convolution, unit = _best_convolution(model.output, filters, words, weight_bits, inputs, sequences)
        inputs = replace(inputs, scales=np.concatenate([inputs.scales, np.full(convolution.filters, unit)]))
    output, scale = _round_output(*_scaled(model.output, inputs.scales), rounded_to)
    output = output if hidden else packing.pack(output)
    return QuantisedModel(
        projection=model.projection,
        output=output,
        hidden=hidden,
        hidden_shift=hidden_shift,
        scale=float(np.float32(min(max(scale / model.temperature, SMALLEST_SCALE), LARGEST_SCALE))),
        classes=model.classes,
        words=model.words,
        norm_shift=norm_shift,
        convolution=convolution,
    )


def _input_scales(model: ProjectionModel, norm_shift: int) -> Doubles:
    """(n_bits + D,) what 1 of each input of the first layer is worth."""
    sums = model.words.dimensions if model.words is not None else 0
    n_bits = read_projection(model.projection).n_bits
    return np.concatenate([np.ones(n_bits), np.full(sums, 2.0**-norm_shift)])


def _scaled(layer: Layer, scales: Doubles) -> tuple[Doubles, Doubles]:
    """Weights and bias of the same layer over inputs that are integers of these scales."""
    return layer.weights.astype(np.float64) * scales[:, None], layer.bias.astype(np.float64)


def _first_inputs(
    model: ProjectionModel, weight_bits: int, calibration: NDArray[np.int8] | None, sequences: Sequences | None
) -> tuple[int, _Inputs]:
    """norm_shift, and the bits with the sums of codes behind them."""
    if calibration is None:
        calibration = np.zeros((0, read_projection(model.projection).n_bits), dtype=np.int8)
    if model.words is None or sequences is None:
        return 0, _Inputs(calibration, _input_scales(model, 0))
    norm_shift = _best_norm_shift(model, model.words, weight_bits, calibration, sequences)
    values = np.concatenate([calibration, model.words.sums(*sequences, norm_shift)], axis=1)
    return norm_shift, _Inputs(values, _input_scales(model, norm_shift))


def _round_hidden(
    layer: Layer, weight_bits: int, packing: Packing, inputs: _Inputs
) -> tuple[QuantisedLayer, int, _Inputs]:
    """The hidden layer in integers, the shift of its sums, and its units as inputs of the layer behind it."""
    weights, bias = _scaled(layer, inputs.scales)
    step = best_activation_step(np.maximum(inputs.values.astype(np.float64) @ weights + bias, 0.0))
    rounded, shift, unit = round_rectified(weights, bias, packing.rounded_to(weight_bits), step)
    hidden = packing.pack(rounded)
    return hidden, shift, _Inputs(rectified(hidden.sums(inputs.values), shift), np.full(len(bias), unit))


def _round_output(weights: Doubles, bias: Doubles, weight_bits: int) -> tuple[QuantisedLayer, float]:
    """The layer in integers, and what one of its sums is worth."""
    steps = best_steps(weights, weight_bits)
    scale = smallest_scale(steps, bias)
    return round_layer(weights, bias, weight_bits, steps, scale), scale


def _best_norm_shift(
    model: ProjectionModel, words: WordTable, weight_bits: int, calibration: NDArray[np.int8], sequences: Sequences
) -> int:
    """The shift with the least squared error of the first layer's sums: more shift, finer sums and larger weights."""
    first = model.hidden or model.output
    n_inputs = calibration.shape[1] + words.dimensions
    layer = Layer(first.weights[:n_inputs], first.bias)
    bits = calibration[:ROWS_THAT_CHOOSE]
    rows = (sequences[0], sequences[1][: len(bits) + 1])
    exact = np.concatenate([bits, words.raw_sums(*rows)], axis=1) @ layer.weights
    errors = []
    for norm_shift in range(MAX_NORM_SHIFT + 1):
        inputs = np.concatenate([bits, words.sums(*rows, norm_shift)], axis=1)
        rounded, scale = _round_output(*_scaled(layer, _input_scales(model, norm_shift)), weight_bits)
        found = (rounded.sums(inputs) - rounded.bias) * scale
        errors.append(float(np.square(found - exact).sum()))
    return int(np.argmin(errors))


def _best_convolution(
    output_layer: Layer,
    convolution: Convolution,
    words: WordTable,
    weight_bits: int,
    inputs: _Inputs,
    sequences: Sequences,
) -> tuple[QuantisedConvolution, float]:
    """The filters in integers and what a step of them is worth: the one with the least squared error of the logits.

    Filters share the steps of the output layer's weights with its other inputs, so the best step of their activations
    alone may be too small or too large for its weights.
    """
    values, scales = inputs.values[:ROWS_THAT_CHOOSE], inputs.scales
    rows = (sequences[0], sequences[1][: len(values) + 1])
    activations = convolution.activations(words, rows)
    exact = np.concatenate([values * scales, activations], axis=1) @ output_layer.weights
    step, found = best_activation_step(activations), []
    for power in UNIT_POWERS:
        rounded, unit = round_convolution(convolution, step * 2.0**power)
        layer = _scaled(output_layer, np.concatenate([scales, np.full(rounded.filters, unit)]))
        output, scale = _round_output(*layer, weight_bits)
        sums = output.sums(np.concatenate([values, rounded.activations(words, rows)], axis=1)) - output.bias
        found.append((float(np.square(sums * scale - exact).sum()), rounded, unit))
    _, rounded, unit = min(found, key=lambda candidate: candidate[0])
    return rounded, unit


def _unusable(
    model: ProjectionModel,
    weight_bits: set[int],
    output_bits: int,
    calibration: NDArray[np.int8] | None,
    sequences: Sequences | None,
) -> Iterator[str]:
    """Every reason why the model cannot be quantised."""
    n_bits = read_projection(model.projection).n_bits
    for choice in sorted(weight_bits - set(WEIGHT_RANGES)):
        yield f"weights of {choice} bits were asked for; expected {WEIGHT_BITS}"
    units = None if model.hidden is None else len(model.hidden.bias)
    if len(set(model.classes)) != len(model.classes):
        repeated = next(name for index, name in enumerate(model.classes) if name in model.classes[:index])
        yield f"the class {repeated!r} stands twice; expected distinct names"
    dimensions = 0 if model.words is None else model.words.dimensions
    filters = 0 if model.convolution is None else len(model.convolution.layer.bias)
    shape = Shape(n_bits, len(model.classes), units, dimensions, filters)
    yield from shape.problems(output_bits)
    yield from name_problems(model.classes)
    yield from word_problems(model.projection, model.words, 0, model.convolution is not None)
    yield from _uncalibrated(model, n_bits, calibration, sequences)
    layers = [("output", model.output, shape.output)]
    if model.hidden is not None:
        layers.append(("hidden", model.hidden, shape.hidden))
    if model.convolution is not None:
        layer, width = model.convolution.layer, model.convolution.width
        yield from shape_problems(layer.weights.shape, width, dimensions)
        layers.append(("convolution", layer, (width * dimensions, filters)))
    for name, layer, expected in layers:
        if layer.weights.shape != expected or layer.bias.shape != expected[1:]:
            shapes = f"weights {layer.weights.shape} and bias {layer.bias.shape}"
            yield f"the {name} layer has {shapes}; expected {expected} and {expected[1:]}"
        if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
            yield f"the {name} layer holds NaN or infinity; training diverged: lower its learning rate"
    if not (math.isfinite(model.temperature) and model.temperature > 0):
        yield f"temperature is {model.temperature}; expected a positive number"


def _uncalibrated(
    model: ProjectionModel, n_bits: int, calibration: NDArray[np.int8] | None, sequences: Sequences | None
) -> Iterator[str]:
    """What is missing of the rows that ranges are chosen by."""
    if model.hidden is None and model.words is None:
        return
    if calibration is None or not len(calibration) or calibration.shape[1:] != (n_bits,):
        found = None if calibration is None else calibration.shape
        of = "the hidden layer's range" if model.hidden is not None else "the range of the code sums"
        yield f"calibration is {found}; expected (n, {n_bits}) bits of training rows for {of}"
    elif model.words is not None and (sequences is None or len(sequences[1]) != len(calibration) + 1):
        given = None if sequences is None else len(sequences[1]) - 1
        yield f"sequences are of {given} rows; expected the words of the {len(calibration)} rows of calibration"
