"""Dropping units keeps a value's mean and draws the same ones from a seed; members learn apart and answer as one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from projgraph.config import StudentConfig
from projgraph.projection.fit import Fit, StudentTask, sharpen
from projgraph.projection.head import Dropout, Head, HeadLayers, build_head, layers_of, members_of
from projgraph.projection.words import WordBatch, WordConvolution, WordRows
from projgraph.records import Bits, Layer

SHARES = [0.1, 0.5, 0.7, 0.99, 0.99999, 0.9999999, float(np.nextafter(1, 0)), 1e-4]


@pytest.mark.parametrize("share", SHARES)
def test_the_mean_is_kept(share: float) -> None:
    """Units are kept with a chance of kept / 65,536, and what they are multiplied by is its inverse, exactly."""
    dropout = Dropout(share, 0)
    values = dropout(torch.ones(2048, 2048)).numpy()
    factor = float(values.max())
    assert 1 <= factor <= 65_536, "a unit of 65,536 is kept at least: with none, nothing is learnt"
    chance = 65_536 / factor
    assert chance == pytest.approx(round(chance), rel=1e-6)
    deviation = (values.size * (1 / factor) * (1 - 1 / factor)) ** 0.5
    assert abs(np.count_nonzero(values) - values.size / factor) <= 4 * deviation


@pytest.mark.parametrize("share", [0.0, 1e-9])
def test_no_share_drops_nothing(share: float) -> None:
    values = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Dropout(share, 0)(values), values)


def test_half_is_half_and_others_are_doubled() -> None:
    values = Dropout(0.5, 1)(torch.ones(1000, 1000)).numpy()
    assert set(np.unique(values)) == {0.0, 2.0}
    assert np.array_equal(values, Dropout(0.5, 1)(torch.ones(1000, 1000)).numpy())
    assert not np.array_equal(values, Dropout(0.5, 2)(torch.ones(1000, 1000)).numpy())


def test_nothing_is_dropped_of_a_head_at_work_or_of_a_linear_one() -> None:
    rows = torch.ones(5, 8)
    head = build_head(8, 3, 4, 0.9999, seed=0).eval()
    assert torch.equal(head(rows), head(rows))
    linear = build_head(8, 3, 0, 0.9999, seed=0).train()
    with torch.no_grad():
        linear.over_bits.weight.fill_(1.0)
    assert torch.equal(linear(rows), torch.full((5, 3), 8.0))


def test_units_are_of_members_of_128() -> None:
    assert {units: members_of(units) for units in (0, 1, 64, 128, 192, 256)} == {
        0: 1,
        1: 1,
        64: 1,
        128: 1,
        192: 1,
        256: 2,
    }


def ensemble(filters: int = 0, classes: int = 3) -> tuple[Head, torch.Tensor, WordBatch | None]:
    """A head of two members of four units over eight bits, without dropout, with all its inputs."""
    random = np.random.default_rng(0)
    codes = random.choice(np.array([-1, 1], dtype=np.int8), size=(5, 8))
    generator = torch.Generator().manual_seed(3)
    convolution = WordConvolution(codes, filters, 3, generator) if filters else None
    head = build_head(8, classes, 8, 0.0, seed=1, members=2, convolution=convolution)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    words = WordRows(codes, random.integers(-1, 5, 18), np.arange(0, 19, 3), np.zeros((6, 8), dtype=np.float32))
    inputs = torch.from_numpy(random.integers(-1, 2, (6, 8)).astype(np.float32))
    return head, inputs, words.batch(np.arange(6)) if filters else None


@pytest.mark.parametrize("filters", [0, 5])
def test_members_answer_by_the_mean_of_their_logits_which_is_one_layer(filters: int) -> None:
    head, inputs, words = ensemble(filters)
    answers = head.answers(inputs, words)
    assert len(answers) == 2
    assert not torch.allclose(*answers)
    expected = head(inputs, words)
    torch.testing.assert_close(expected, (answers[0] + answers[1]) / 2)
    layers = layers_of(head)
    assert layers.hidden is not None
    behind = np.maximum(inputs.numpy() @ layers.hidden.weights + layers.hidden.bias, 0)
    if words is not None and head.convolution is not None:
        behind = np.hstack([behind, head.convolution(words).detach().numpy()])
    logits = behind @ layers.output.weights + layers.output.bias
    np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("filters", [0, 5])
def test_members_take_up_layers_that_were_one(filters: int) -> None:
    """What they share, bias and filters, each has the mean of: together they answer as before."""
    head, inputs, words = ensemble(filters)
    again = ensemble(filters)[0]
    for parameter in again.parameters():
        torch.nn.init.zeros_(parameter)
    again.load(layers_of(head))
    torch.testing.assert_close(again(inputs, words), head(inputs, words))
    units = 4
    for before, after in zip(head.outputs, again.outputs, strict=True):
        torch.testing.assert_close(after.weight[:, :units], before.weight[:, :units])
    one, other = layers_of(head), layers_of(again)
    np.testing.assert_allclose(one.output.weights, other.output.weights, rtol=1e-6)


def test_a_member_learns_as_if_it_were_alone() -> None:
    """The gradient of its units is its share of what it would be by itself: nothing of the other member is in it."""
    head, inputs, _ = ensemble()
    random = np.random.default_rng(5)
    values = inputs.numpy()
    bits = Bits(
        np.packbits(values > 0, axis=1, bitorder="little"), np.packbits(values < 0, axis=1, bitorder="little"), 8
    )
    labels = random.integers(0, 3, 6)
    targets = sharpen(np.eye(3, dtype=np.float32)[labels], labels, 1.0)
    config = StudentConfig(dropout=0.0)
    fit = Fit(StudentTask(bits, targets, config, units=8, members=2))
    fit.head.load(layers_of(head))
    fit.terms(np.arange(6))["loss"].backward()
    hidden = fit.head.over_bits
    for member, output in enumerate(fit.head.outputs):
        own = slice(4 * member, 4 * member + 4)
        alone = Fit(StudentTask(bits, targets, config, units=4))
        alone.head.load(HeadLayers(layer(hidden, own), layer(output, slice(None)), None))
        alone.terms(np.arange(6))["loss"].backward()
        torch.testing.assert_close(hidden.weight.grad[own], alone.head.over_bits.weight.grad / 2)
        torch.testing.assert_close(output.weight.grad, alone.head.outputs[0].weight.grad / 2)


def layer(module: torch.nn.Module, outputs: slice) -> Layer:
    weight, bias = (parameter.detach().numpy() for parameter in module.parameters())
    return Layer(weight[outputs].T.copy(), bias[outputs].copy())
