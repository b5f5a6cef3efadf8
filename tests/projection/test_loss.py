"""The terms of the graph loss by hand, the bounds of the divergence, and how edges are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from projgraph.graph.csr import from_csr
from projgraph.projection.loss import EdgeSampler, distillation, edge_consistency, gold

pytestmark = pytest.mark.usefixtures("one_thread")

HALF = [0.0, 0.0]
THREE_TO_ONE = [math.log(3.0), 0.0]
EVERY = torch.tensor([True])


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def js(one, other):
    """Jensen-Shannon divergence of two lists of probabilities, in nats."""
    total = 0.0
    for p, q in zip(one, other, strict=True):
        middle = (p + q) / 2
        total += sum(0.5 * x * math.log(x / middle) for x in (p, q) if x > 0)
    return total


def test_distillation_by_hand():
    # CE of (1, 0) to (1/2, 1/2) is ln 2; of (1/2, 1/2) to (3/4, 1/4) is -(ln 3/4 + ln 1/4) / 2; trusted 1 : 3.
    loss = distillation(tensor(HALF, THREE_TO_ONE), tensor([1, 0], [0.5, 0.5]), tensor(1.0, 3.0))
    expected = (math.log(2) - 3 * (math.log(0.75) + math.log(0.25)) / 2) / 4
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_distillation_is_least_at_the_targets():
    targets = tensor([0.75, 0.25])
    at_target = distillation(tensor(THREE_TO_ONE), targets, tensor(1.0))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(at_target) == pytest.approx(entropy, rel=1e-6)
    assert float(distillation(tensor(HALF), targets, tensor(1.0))) > entropy


def test_distillation_knows_only_ratios_of_trust():
    logits, targets = tensor(HALF, THREE_TO_ONE), tensor([1, 0], [0.2, 0.8])
    one, other = (distillation(logits, targets, tensor(1.0, 2.0) * factor) for factor in (1, 100))
    assert float(one) == pytest.approx(float(other), rel=1e-6)
    assert float(distillation(logits, targets, tensor(0.0, 0.0))) == 0.0


def test_gold_by_hand():
    # -ln 3/4 and -ln 1/2; the row in the middle has no label.
    logits = tensor(THREE_TO_ONE, [9.0, -9.0], HALF)
    expected = -(math.log(0.75) + math.log(0.5)) / 2
    assert float(gold(logits, torch.tensor([0, -1, 1]))) == pytest.approx(expected, rel=1e-6)


def test_terms_without_rows_are_zero_and_can_be_differentiated():
    logits = tensor(THREE_TO_ONE).requires_grad_()
    nothing = gold(logits, torch.tensor([-1])) + edge_consistency(logits, logits + 1, torch.tensor([False]))
    nothing.backward()
    assert float(nothing.detach()) == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 0.0]]


def test_edge_consistency_by_hand():
    value = float(edge_consistency(tensor(HALF), tensor(THREE_TO_ONE), EVERY))
    assert value == pytest.approx(js([0.5, 0.5], [0.75, 0.25]), rel=1e-5)


def test_edge_consistency_is_a_mean_over_joined_pairs():
    ones, others = tensor(HALF, [5, -5], HALF), tensor(THREE_TO_ONE, [-5, 5], HALF)
    joined = torch.tensor([True, False, True])
    assert float(edge_consistency(ones, others, joined)) == pytest.approx(js([0.5, 0.5], [0.75, 0.25]) / 2, rel=1e-5)


def test_distributions_without_overlap_are_at_the_bound():
    apart = edge_consistency(tensor([60.0, -60.0]), tensor([-60.0, 60.0]), EVERY)
    assert float(apart) == pytest.approx(math.log(2), rel=1e-6)


LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3)


@given(LOGITS, LOGITS)
def test_divergence_is_symmetric_bounded_and_zero_only_without_difference(one, other):
    forth = float(edge_consistency(tensor(one), tensor(other), EVERY))
    back = float(edge_consistency(tensor(other), tensor(one), EVERY))
    assert forth == pytest.approx(back, abs=1e-6)
    assert -1e-6 <= forth <= math.log(2) + 1e-6
    assert float(edge_consistency(tensor(one), tensor(one), EVERY)) == pytest.approx(0, abs=1e-6)
    shares = [torch.softmax(tensor(logits).double(), dim=1)[0].tolist() for logits in (one, other)]
    assert forth == pytest.approx(js(*shares), abs=1e-5)


def graph_of(dense):
    return from_csr(sparse.csr_array(np.array(dense, dtype=np.float32)))


UNEVEN = graph_of(
    [
        [0, 0, 0, 0, 0],
        [0, 0, 1, 4, 0],
        [0, 1, 0, 3, 0],
        [0, 4, 3, 0, 0],
        [0, 0, 0, 0, 0],
    ]
)
"""Nodes 0 and 4 are on their own; node 1 draws 2 and 3 as 1 : 4, node 2 draws 1 and 3 as 1 : 3."""


def test_neighbours_are_drawn_in_proportion_to_their_weight():
    rows = np.repeat(np.arange(5), 20_000)
    neighbours, joined = EdgeSampler(UNEVEN).draw(rows, np.random.default_rng(0))
    assert np.array_equal(joined, np.isin(rows, [1, 2, 3]))
    shares = [np.bincount(neighbours[rows == row], minlength=5) / 20_000 for row in range(5)]
    expected = [[1, 0, 0, 0, 0], [0, 0, 0.2, 0.8, 0], [0, 0.25, 0, 0.75, 0], [0, 4 / 7, 3 / 7, 0, 0], [0, 0, 0, 0, 1]]
    # Five standard deviations of a share of 20,000.
    np.testing.assert_allclose(shares, expected, atol=0.018)
    assert (np.array(shares)[np.array(expected) == 0] == 0).all(), "only neighbours, or the row itself without any"


def test_rows_may_come_in_any_order_and_number():
    sampler = EdgeSampler(UNEVEN)
    neighbours, joined = sampler.draw(np.array([4, 2, 0]), np.random.default_rng(1))
    assert neighbours[[0, 2]].tolist() == [4, 0]
    assert neighbours[1] in (1, 3)
    assert joined.tolist() == [False, True, False]
    assert sampler.draw(np.zeros(0, dtype=np.int64), np.random.default_rng(1))[0].tolist() == []


class Ends:
    """A generator that draws an end of [0, 1) and nothing between."""

    def __init__(self, value: float) -> None:
        self._value = value

    def random(self, count: int) -> np.ndarray:
        return np.full(count, self._value)


@given(st.lists(st.floats(2**-10, 1024, width=32), min_size=6, max_size=6))
def test_no_draw_leaves_its_row(weights):
    dense = np.zeros((5, 5))
    for (one, other), weight in zip([(0, 1), (0, 3), (1, 3), (1, 4), (2, 3), (3, 4)], weights, strict=True):
        dense[one, other] = dense[other, one] = weight
    sampler = EdgeSampler(graph_of(dense))
    for value, choose in ((0.0, min), (np.nextafter(1.0, 0.0), max)):
        neighbours, joined = sampler.draw(np.arange(5), Ends(value))
        assert joined.all()
        assert neighbours.tolist() == [choose(np.flatnonzero(row)) for row in dense]


def test_same_generator_same_edges():
    rows = np.repeat(np.arange(5), 50)
    sampler = EdgeSampler(UNEVEN)
    one, other = (sampler.draw(rows, np.random.default_rng(2))[0] for _ in range(2))
    assert np.array_equal(one, other)


def test_a_graph_without_edges():
    neighbours, joined = EdgeSampler(graph_of(np.zeros((3, 3)))).draw(np.arange(3), np.random.default_rng(0))
    assert neighbours.tolist() == [0, 1, 2]
    assert not joined.any()
