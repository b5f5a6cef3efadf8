"""Rounded weights that learn: the rounding against its formula and brute force, what is kept, and what it gains."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from projgraph.pack.layer import best_steps, round_layer
from projgraph.projection.fit import StudentTask, fit_student
from projgraph.projection.straight_through import Tuning, binary, finish_rounding, start_rounding, ternary
from projgraph.projection.tune import tune_student
from projgraph.records import Bits

from .test_fit import certain, config, logits, pack

pytestmark = pytest.mark.usefixtures("one_thread")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_binary_weights_are_signs_times_the_mean_size() -> None:
    found = binary(torch.tensor([[1.0, -2.0, 0.0, 3.0], [-5.0, 5.0, 5.0, -5.0]]))
    assert found.tolist() == [[1.5, -1.5, 1.5, 1.5], [-5.0, 5.0, 5.0, -5.0]]


def test_ternary_weights_have_nearly_the_least_error_there_is() -> None:
    weights = normal(6, 300)
    found = ternary(weights)
    for row, rounded in zip(weights.double().numpy(), found.double().numpy(), strict=True):
        assert len(np.unique(np.abs(rounded))) == 2
        sizes = np.sort(np.abs(row))[::-1]
        # The best k weights to keep, tried one by one: their mean is the step, all others are 0.
        kept = np.arange(1, len(sizes) + 1)
        least = (np.square(row).sum() - np.square(np.cumsum(sizes)) / kept).min()
        assert np.square(rounded - row).sum() <= 1.01 * least


def test_a_row_of_zeros_stays_zero() -> None:
    assert not ternary(torch.zeros(2, 5)).any()
    assert not binary(torch.zeros(2, 5)).any()


@pytest.mark.parametrize("weight_bits", [1, 2])
def test_packing_rounds_rounded_weights_no_further(weight_bits: int) -> None:
    rounded = (binary if weight_bits == 1 else ternary)(normal(7, 200)).double().numpy().T
    steps = best_steps(rounded, weight_bits)
    np.testing.assert_allclose(steps, np.abs(rounded).max(axis=0), rtol=1e-6)
    layer = round_layer(rounded, np.zeros(7), weight_bits, steps, float(steps.max()) / 255)
    np.testing.assert_array_equal(layer.weights, np.sign(rounded))
    np.testing.assert_allclose(layer.multipliers * steps.max() / 255, steps, rtol=0.01)


def test_gradients_pass_the_rounding_and_stop_at_pruned_weights() -> None:
    layer = torch.nn.Linear(10, 3)
    before = layer.weight.detach().clone()
    start_rounding(layer, Tuning(weight_bits=2, pruning=0.4), slice(10, 10))
    (layer(torch.ones(1, 10)).sum() * 2).backward()
    sizes = before.abs().flatten()
    pruned = before.abs() <= sizes.kthvalue(12).values
    gradient = layer.parametrizations.weight.original.grad
    assert torch.equal(gradient, torch.where(pruned, 0.0, 2.0))
    finish_rounding(layer)
    assert torch.equal(layer.weight == 0, pruned)
    kept = [row[row != 0].abs() for row in layer.weight.detach()]
    means = [row[~skip].abs().mean() for row, skip in zip(before, pruned, strict=True)]
    for sizes, mean in zip(kept, means, strict=True):
        torch.testing.assert_close(sizes, mean.expand(len(sizes)))


def test_weights_of_many_bits_are_pruned_and_otherwise_as_they_were() -> None:
    layer = torch.nn.Linear(50, 4)
    before = layer.weight.detach().clone()
    start_rounding(layer, Tuning(weight_bits=8, pruning=0.9), slice(50, 50))
    finish_rounding(layer)
    assert int((layer.weight == 0).sum()) == 180
    assert torch.equal(layer.weight[layer.weight != 0], before[layer.weight != 0])
    assert before[layer.weight == 0].abs().max() < before[layer.weight != 0].abs().min()


@pytest.mark.parametrize(("ratio", "shift"), [(0.3, 0), (1.0, 0), (4.1, 2), (1e9, 6)])
def test_weights_of_code_sums_are_rounded_as_the_file_scales_them(ratio: float, shift: int) -> None:
    layer = torch.nn.Linear(12, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.sign(normal(3, 12)))
        layer.weight[:, 8:] *= ratio
    start_rounding(layer, Tuning(weight_bits=1), slice(8, 12))
    finish_rounding(layer)
    steps = layer.weight.detach().abs()
    torch.testing.assert_close(steps[:, 8:], steps[:, :1].expand(3, 4) * 2**shift)


@pytest.fixture(scope="module")
def separable() -> tuple[Bits, np.ndarray]:
    """Six classes, each with a word of 96 bits of which half is lost in every row."""
    generator = np.random.default_rng(0)
    labels = np.arange(240) % 6
    words = generator.choice(np.array([-1, 1], dtype=np.int8), size=(6, 96))
    values = np.where(generator.random((240, 96)) < 0.5, 0, words[labels]).astype(np.int8)
    return pack(values), labels


@pytest.mark.parametrize("units", [0, 16])
@pytest.mark.parametrize(("weight_bits", "pruning", "sizes"), [(1, 0.0, 1), (2, 0.0, 2), (2, 0.7, 2), (8, 0.7, None)])
def test_a_tuned_student_has_rounded_weights_and_knows_its_rows(
    separable: tuple[Bits, np.ndarray], weight_bits: int, pruning: float, sizes: int | None, units: int
) -> None:
    bits, labels = separable
    task, tuning = (
        StudentTask(bits, certain(labels, 6), config(epochs=12), units),
        Tuning(weight_bits, pruning, 5, 1, 0.01),
    )
    student = tune_student(fit_student(task), task, tuning)
    layer = student.output if student.hidden is None else student.hidden
    assert (layer.weights == 0).mean() >= 0.99 * pruning
    if sizes is not None:
        assert max(len(np.unique(np.abs(column))) for column in layer.weights.T) == sizes
    assert (logits(student, bits).argmax(axis=1) == labels).mean() > 0.95
    again = tune_student(fit_student(task), task, tuning) if units == 0 else student
    np.testing.assert_array_equal(student.output.weights, again.output.weights)
    np.testing.assert_array_equal(student.held_out_logits, again.held_out_logits)


def test_tuning_gives_back_what_rounding_lost(separable: tuple[Bits, np.ndarray]) -> None:
    """By the loss on all rows: the same start, rounded with no epoch and with ten."""
    bits, labels = separable
    task = StudentTask(bits, certain(labels, 6), config(epochs=12), 8)
    fitted = fit_student(task)

    def loss(epochs: int) -> float:
        tuning = Tuning(1, epochs=epochs, min_steps=1, rate=0.01)
        found = logits(tune_student(fitted, task, tuning), bits)
        odds = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
        return float(-odds[np.arange(len(labels)), labels].mean())

    assert loss(10) < 0.5 * loss(0)


def test_held_out_rows_are_judged_by_rounded_weights_that_did_not_see_them(separable: tuple[Bits, np.ndarray]) -> None:
    bits, labels = separable
    task = StudentTask(bits, certain(labels, 6), config(epochs=12), 0)
    plain = fit_student(task)
    tuned = tune_student(plain, task, Tuning(1, 0.0, 5, 1, 0.01))
    np.testing.assert_array_equal(plain.held_out, tuned.held_out)
    assert not np.array_equal(plain.held_out_logits, tuned.held_out_logits)
    assert plain.history == tuned.history
    assert tuned.first_fit is not None
    assert {len(np.unique(np.abs(column))) for column in tuned.first_fit.output.weights.T} == {1}
    head, values = tuned.first_fit.output, bits.select(tuned.held_out).values(np.float32)
    np.testing.assert_allclose(values @ head.weights + head.bias, tuned.held_out_logits, rtol=1e-4, atol=1e-4)
    # A logit of weights of one size is a whole number of steps above its bias: many rows share one.
    for sums, exact in zip(tuned.held_out_logits.T, plain.held_out_logits.T, strict=True):
        assert len(np.unique(sums.round(4))) < 0.7 * len(sums)
        assert len(np.unique(exact.round(4))) > 0.9 * len(exact)


def test_epochs_are_passes_or_enough_steps() -> None:
    assert Tuning(1, epochs=5, min_steps=150).epochs_for(30) == 5
    assert Tuning(1, epochs=5, min_steps=150).epochs_for(10) == 15
    assert Tuning(1, epochs=0, min_steps=150).epochs_for(10) == 0
