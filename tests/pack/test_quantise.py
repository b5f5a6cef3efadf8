from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.pack.format import MAX_BIAS
from projgraph.pack.layer import WEIGHT_RANGES, QuantisedLayer, best_steps, shared_values
from projgraph.pack.model import ProjectionModel
from projgraph.pack.packing import Packing
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantise import quantise
from projgraph.pack.quantised import QuantisedModel
from projgraph.records import Layer

BITS = 256


def float_model(
    weights: NDArray[np.float32],
    bias: NDArray[np.float32] | None = None,
    hidden: Layer | None = None,
    temperature: float = 1.0,
) -> ProjectionModel:
    classes = weights.shape[1]
    bits = weights.shape[0] if hidden is None else hidden.weights.shape[0]
    return ProjectionModel(
        projection=ProjectionSpec.for_text(bits=bits).to_bytes(),
        output=Layer(weights.astype(np.float32), np.zeros(classes, np.float32) if bias is None else bias),
        hidden=hidden,
        temperature=temperature,
        classes=tuple(f"class {index}" for index in range(classes)),
    )


def normal(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def bit_values(seed: int, rows: int, bits: int = BITS) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-1, 2, (rows, bits)).astype(np.int8)


def logits(model: ProjectionModel, values: NDArray[np.int8]) -> NDArray[np.float64]:
    inputs = values.astype(np.float64)
    if model.hidden:
        inputs = np.maximum(inputs @ model.hidden.weights + model.hidden.bias, 0)
    return (inputs @ model.output.weights.astype(np.float64) + model.output.bias) / model.temperature


def test_scores_are_the_written_formula() -> None:
    hidden = QuantisedLayer(
        np.array([[3, -2]] * 16, np.int8), np.array([2, 255], np.uint8), np.array([5, -7], np.int32), 4
    )
    output = QuantisedLayer(
        np.array([[1, -128], [127, 4]], np.int8), np.array([1, 9], np.uint8), np.array([0, 1], np.int32), 8
    )
    projection = ProjectionSpec.for_text(bits=16).to_bytes()
    model = QuantisedModel(projection, output, hidden, 2, 0.5, ("a", "b"))
    values = np.zeros((3, 16), np.int8)
    values[1, 0] = 1
    values[2, :3] = -1
    # sums (5, -7), (3*2+5, -2*255-7), (-9*2+5, 6*255-7), rectified, shifted right by 2, cut at 127
    activations = [(1, 0), (2, 0), (0, 127)]
    expected = [(a + 127 * b, (-128 * a + 4 * b) * 9 + 1) for a, b in activations]
    assert model.scores(values).tolist() == [list(row) for row in expected]
    assert model.scores(values).dtype == np.int32


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weight_bits", [8, 4])
def test_weight_error_stays_within_half_a_step_and_near_the_optimum(weight_bits: int, seed: int) -> None:
    weights = normal(seed, BITS, 40) * np.random.default_rng(seed).uniform(0.3, 3, 40).astype(np.float32)
    model = quantise(float_model(weights), weight_bits)
    steps = model.output.multipliers * np.float64(model.scale)
    errors = np.abs(model.output.weights * steps - weights)
    low, high = WEIGHT_RANGES[weight_bits]
    inside = (weights >= low * steps) & (weights <= high * steps)
    assert (errors[inside] <= (steps * 0.5001 + np.zeros_like(errors))[inside]).all()
    # 17 clippings and whole multipliers of a shared scale, against the best of 400 free steps for each class
    candidates = np.linspace(0.1, 1.1, 400)[:, None, None] * np.abs(weights).max(axis=0) / high
    rounded = np.clip(np.rint(weights / candidates), low, high) * candidates
    least = np.square(rounded - weights).sum(axis=1).min(axis=0)
    share = np.square(errors).sum(axis=0) / least
    assert share.max() < 1.25
    assert np.square(errors).mean() / np.square(weights).mean() < {4: 0.0125, 8: 0.00008}[weight_bits]


def test_clipping_beats_the_full_range_at_four_bits() -> None:
    weights = normal(0, BITS, 10).astype(np.float64)
    full = np.abs(weights).max(axis=0) / 7
    best = best_steps(weights, 4)
    assert (best < full).all()
    for steps in (full, full * 0.3):
        errors = [np.square(np.clip(np.rint(weights / s), -8, 7) * s - weights).sum(axis=0) for s in (steps, best)]
        assert (errors[1] < errors[0]).all()


@pytest.mark.parametrize(("weight_bits", "agreement", "tolerance"), [(8, 0.97, 0.01), (4, 0.80, 0.12)])
@pytest.mark.parametrize("units", [0, 64])
def test_labels_and_logits_agree_with_float(weight_bits: int, agreement: float, tolerance: float, units: int) -> None:
    hidden = Layer(normal(1, BITS, units) / 10, normal(2, units)) if units else None
    model = float_model(normal(3, units or BITS, 20), normal(4, 20), hidden, temperature=1.7)
    packed = quantise(model, weight_bits, calibration=bit_values(5, 200))
    values = bit_values(6, 2000)
    expected, found = logits(model, values), packed.scores(values) * packed.scale
    assert np.mean(expected.argmax(axis=1) == found.argmax(axis=1)) > agreement
    assert np.sqrt(np.mean((expected - found) ** 2)) / expected.std() < tolerance * (2 if units else 1)


def test_confident_rows_keep_their_label_at_four_bits() -> None:
    model = float_model(normal(0, BITS, 20))
    values = bit_values(1, 4000)
    expected, found = logits(model, values), quantise(model, 4).scores(values)
    ordered = np.sort(expected, axis=1)
    confident = ordered[:, -1] - ordered[:, -2] > 0.5 * expected.std()
    assert confident.sum() > 500
    assert np.mean(expected.argmax(axis=1)[confident] == found.argmax(axis=1)[confident]) > 0.99


def test_eight_bits_are_closer_than_four() -> None:
    model, values = float_model(normal(0, BITS, 30), normal(1, 30)), bit_values(2, 500)
    errors = []
    for weight_bits in (8, 4):
        packed = quantise(model, weight_bits)
        errors.append(float(np.abs(packed.scores(values) * packed.scale - logits(model, values)).mean()))
    assert errors[0] * 8 < errors[1]


def test_the_temperature_only_scales() -> None:
    weights, bias = normal(0, BITS, 5), normal(1, 5)
    one, two = (quantise(float_model(weights, bias, temperature=t)) for t in (1.0, 4.0))
    assert (one.output.weights == two.output.weights).all()
    assert (one.output.bias == two.output.bias).all()
    assert one.scale == 4 * two.scale


def test_the_order_of_classes_does_not_matter() -> None:
    weights, bias, order = normal(0, BITS, 9), normal(1, 9), np.random.default_rng(2).permutation(9)
    plain, permuted = quantise(float_model(weights, bias), 4), quantise(float_model(weights[:, order], bias[order]), 4)
    assert (plain.output.weights[:, order] == permuted.output.weights).all()
    assert (plain.output.multipliers[order] == permuted.output.multipliers).all()


@pytest.mark.parametrize("weight_bits", [8, 4])
@pytest.mark.parametrize(
    ("weights", "bias", "label"),
    [
        (np.zeros((BITS, 3)), [0, 0, 0], 0),  # a tie: the lowest index
        (np.zeros((BITS, 3)), [0, 0.001, -5], 1),
        (np.zeros((BITS, 3)), [-1e30, -2e30, 1e-30], 2),
        (np.full((BITS, 2), 1e-45), [0, 0], 0),
        (np.full((BITS, 2), 1e-30), [0, 1e30], 1),
    ],
)
def test_degenerate_weights_keep_the_label(
    weights: NDArray[np.float64], bias: list[float], label: int, weight_bits: int
) -> None:
    model = quantise(float_model(weights.astype(np.float32), np.array(bias, np.float32)), weight_bits)
    assert np.abs(model.output.bias).max() <= MAX_BIAS
    scores = model.scores(np.zeros((1, BITS), np.int8))
    assert int(scores.argmax()) == label


@pytest.mark.parametrize("weight_bits", [8, 4])
def test_one_huge_weight_is_kept_and_leaves_other_classes_usable(weight_bits: int) -> None:
    weights = normal(0, BITS, 5)
    weights[3, 2] = 1e4
    model = quantise(float_model(weights), weight_bits)
    steps = model.output.multipliers * model.scale
    rounded = model.output.weights * steps
    assert abs(rounded[3, 2] / 1e4 - 1) < 0.07
    assert model.output.multipliers.tolist().count(255) == 1
    smallest_step = 1e4 / WEIGHT_RANGES[weight_bits][1] / 255
    others = [0, 1, 3, 4]
    assert np.abs(rounded - weights)[:, others].max() <= smallest_step / 2 + 1e-6


def test_integers_stay_within_32_bits_at_the_largest_dimensions() -> None:
    bits = 16384
    layer = QuantisedLayer(
        np.full((bits, 1), -128, np.int8), np.array([255], np.uint8), np.array([-MAX_BIAS], np.int32), 8
    )
    exact = -(bits * 128 * 255 + MAX_BIAS)
    assert layer.sums(np.ones((1, bits), np.int8)).tolist() == [[exact]]
    output = QuantisedLayer(
        np.full((256, 1), -128, np.int8), np.array([255], np.uint8), np.array([-MAX_BIAS], np.int32), 8
    )
    assert output.sums(np.full((1, 256), 127, np.int8)).tolist() == [[-(256 * 127 * 128 * 255 + MAX_BIAS)]]


def test_hidden_activations_fill_their_range_and_round() -> None:
    hidden = Layer(normal(0, BITS, 16) / 5, normal(1, 16))
    model = float_model(normal(2, 16, 4), hidden=hidden)
    values = bit_values(3, 500)
    packed = quantise(model, 8, calibration=values)
    assert packed.hidden is not None
    assert packed.hidden_shift > 0
    activations = np.minimum(np.maximum(packed.hidden.sums(values), 0) >> packed.hidden_shift, 127)
    assert activations.max() > 100
    expected = np.maximum(values @ hidden.weights + hidden.bias, 0)
    unit = float((activations * expected).sum() / (activations * activations).sum())
    inside = activations < 127
    assert abs(float((activations * unit - expected)[inside & (expected > unit)].mean())) < 0.05 * unit  # unbiased


def test_dead_hidden_units_leave_the_bias() -> None:
    hidden = Layer(np.zeros((BITS, 3), np.float32), np.full(3, -1, np.float32))
    model = quantise(float_model(normal(0, 3, 4), np.arange(4, dtype=np.float32), hidden), calibration=bit_values(0, 9))
    assert model.scores(bit_values(1, 5)).argmax(axis=1).tolist() == [3] * 5


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_hidden_layers_of_any_size_fit(size: float) -> None:
    hidden = Layer(normal(0, BITS, 8) * np.float32(size), normal(1, 8) * np.float32(size))
    model, values = float_model(normal(2, 8, 4) / np.float32(size), hidden=hidden), bit_values(3, 300)
    packed = quantise(model, calibration=values)
    assert np.mean(packed.scores(values).argmax(axis=1) == logits(model, values).argmax(axis=1)) > 0.97


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"classes": ("a", "a", "b")}, ["the class 'a' stands twice; expected distinct names"]),
        ({"classes": ("a", "b", "\ud800")}, [r"the class '\ud800' has no UTF-8 form"]),
        ({"classes": ("a", "b")}, ["the output layer has weights (256, 3) and bias (3,); expected (256, 2) and (2,)"]),
        ({"temperature": 0.0}, ["temperature is 0.0; expected a positive number"]),
        (
            {
                "temperature": float("nan"),
                "output": Layer(np.full((BITS, 3), np.nan, np.float32), np.zeros(3, np.float32)),
            },
            ["the output layer holds NaN or infinity; training diverged", "temperature is nan"],
        ),
    ],
)
def test_unusable_models_are_refused(change: dict[str, object], messages: list[str]) -> None:
    given = float_model(np.zeros((BITS, 3), np.float32))
    with pytest.raises(ConfigError) as caught:
        quantise(ProjectionModel(**(vars(given) | change)))
    assert str(caught.value).startswith("the model cannot be packed: ")
    assert all(message in str(caught.value) for message in messages)


def test_limits_are_named() -> None:
    many = float_model(np.zeros((16, 4097), np.float32))
    with pytest.raises(ConfigError, match="there are 4097 classes; expected 1 to 4096"):
        quantise(many)
    wide = float_model(
        np.zeros((257, 2), np.float32), hidden=Layer(np.zeros((16, 257), np.float32), np.zeros(257, np.float32))
    )
    with pytest.raises(ConfigError, match="there are 257 hidden units; expected 1 to 256; calibration is None"):
        quantise(wide)
    with pytest.raises(
        ConfigError, match=r"weights of 3 bits were asked for; expected 8, 4, 2 \(ternary\) or 1 \(binary\)"
    ):
        quantise(float_model(np.zeros((16, 2), np.float32)), 3)


def test_a_layer_that_no_file_can_hold_is_refused() -> None:
    layer = QuantisedLayer(
        np.full((16, 2), 9, np.int8), np.array([0, 1], np.uint8), np.array([0, MAX_BIAS + 1], np.int32), 4
    )
    with pytest.raises(ConfigError) as caught:
        QuantisedModel(ProjectionSpec.for_text(bits=16).to_bytes(), layer, None, 3, 0.1, ("a", "b"))
    for message in (
        "output.weights leave -8 to 7; expected 4-bit integers",
        "output.multipliers hold 0; expected 1 to 255",
        "output.bias leaves -1073741823 to 1073741823",
        "hidden_shift is 3; expected 0",
        "scale is 0.1; expected a positive normal float32 value",
    ):
        assert message in str(caught.value)


@pytest.mark.parametrize("sparse", [False, True])
def test_shared_values_are_nearest_and_better_than_even_ones(sparse: bool) -> None:
    weights = normal(1, BITS, 12)
    if sparse:
        weights[np.abs(weights) < 1.2] = 0
    exact = quantise(float_model(weights), 8)
    packed = quantise(float_model(weights), 4, packing=Packing(shared=True, sparse=sparse))
    codebook = packed.output.codebook
    assert codebook is not None
    assert packed.output.sparse == sparse
    assert (np.diff(codebook.astype(int)) >= 0).all()
    stored = exact.output.weights != 0 if sparse else np.ones(weights.shape, dtype=bool)
    distances = np.abs(codebook[:, None].astype(int) - exact.output.weights[stored].astype(int))
    found = np.abs(packed.output.weights[stored].astype(int) - exact.output.weights[stored])
    assert np.array_equal(found, distances.min(axis=0))
    assert not packed.output.weights[~stored].any()
    even = np.linspace(codebook.min(), codebook.max(), 16)
    gaps = np.abs(even[:, None] - exact.output.weights[stored]).min(axis=0)
    assert np.square(found.astype(float)).mean() < 0.9 * np.square(gaps).mean()


def test_shared_values_of_few_numbers_are_these_numbers() -> None:
    shares = np.zeros(256)
    shares[[128 - 100, 128 - 3, 128 + 5, 128 + 127]] = [1, 9, 9, 1]
    assert {-100, -3, 5, 127} <= set(shared_values(shares).tolist())
    assert shared_values(np.zeros(256)).tolist() == [0] * 16


def test_weights_are_sparse_only_where_that_takes_fewer_bytes() -> None:
    weights = normal(1, BITS, 12)
    dense = quantise(float_model(weights), 4, packing=Packing(sparse=True))
    assert not dense.output.sparse
    weights[np.random.default_rng(0).random(weights.shape) < 0.9] = 0
    assert quantise(float_model(weights), 4, packing=Packing(sparse=True)).output.sparse
    assert not quantise(float_model(weights), 4).output.sparse


@pytest.mark.parametrize(
    ("weight_bits", "packing", "message"),
    [
        (8, Packing(shared=True), "shared weights of 8 bits were asked for; expected 4"),
        (1, Packing(sparse=True), "sparse weights of 1 bit were asked for; expected 8, 4 or 2, of which one can be 0"),
    ],
)
def test_packings_that_do_not_go_with_the_bits(weight_bits: int, packing: Packing, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quantise(float_model(normal(0, BITS, 3)), weight_bits, packing=packing)
