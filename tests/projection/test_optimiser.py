"""The optimiser against torch's own AdamW and OneCycleLR, bit by bit."""

from __future__ import annotations

import pytest
import torch

from projgraph.projection.optimiser import Cycle, Optimiser

pytestmark = pytest.mark.usefixtures("one_thread")


def network() -> torch.nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    layers = torch.nn.Linear(7, 5), torch.nn.Linear(5, 3)
    for layer in layers:
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter, generator=generator)
    return torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])


def lossy(moved: torch.nn.Sequential, step: int) -> torch.Tensor:
    """A loss that is never twice the same, and of every third step leaves the last layer alone."""
    rows = torch.randn(6, 7, generator=torch.Generator().manual_seed(step))
    return (moved[0](rows) if step % 3 == 0 else moved(rows)).square().mean()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9, 10, 200])
@pytest.mark.parametrize(("rate", "weight_decay"), [(2e-3, 0.01), (0.3, 0.0), (0.05, 2.0)])
def test_weights_are_those_of_torchs_own_to_the_last_bit(steps: int, rate: float, weight_decay: float) -> None:
    one, other = network(), network()
    own = Optimiser(one.parameters(), Cycle(rate, steps + 1), weight_decay)
    peer = torch.optim.AdamW(other.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(peer, max_lr=rate, total_steps=steps + 1)
    for step in range(steps):
        assert own.cycle.at(step) == (peer.param_groups[0]["lr"], peer.param_groups[0]["betas"][0])
        own.clear()
        peer.zero_grad()
        lossy(one, step).backward()
        lossy(other, step).backward()
        own.step()
        peer.step()
        schedule.step()
        for parameter, expected in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(parameter, expected)


def test_a_cycle_rises_to_its_rate_and_falls_to_nearly_nothing() -> None:
    cycle = Cycle(0.5, 100)
    found = [cycle.at(step) for step in range(100)]
    rates = [rate for rate, _ in found]
    assert found[0] == pytest.approx((0.5 / 25, 0.95))
    assert found[99] == pytest.approx((0.5 / 25e4, 0.95))
    assert max(rates) == pytest.approx(0.5)
    peak = rates.index(max(rates))
    assert peak == 29
    assert found[peak][1] == pytest.approx(0.85)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_a_parameter_without_a_gradient_stays_as_it_is() -> None:
    moved = network()
    before = [parameter.detach().clone() for parameter in moved.parameters()]
    optimiser = Optimiser(moved.parameters(), Cycle(0.1, 10), 0.5)
    moved[0](torch.ones(1, 7)).sum().backward()
    optimiser.step()
    after = list(moved.parameters())
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [False, False, True, True]
    optimiser.clear()
    assert all(parameter.grad is None for parameter in after)
