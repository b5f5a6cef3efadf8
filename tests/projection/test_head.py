"""Dropping units keeps a value's mean, whatever the share, and draws the same units from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from projgraph.projection.head import Dropout, build_head

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
        linear.output.weight.fill_(1.0)
    assert torch.equal(linear(rows), torch.full((5, 3), 8.0))
