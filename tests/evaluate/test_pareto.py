"""The front of accuracy against bytes: what no other point is at least as good as in both."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.evaluate.pareto import pareto_front
from projgraph.evaluate.plots import pareto_plot


@pytest.mark.parametrize(
    ("sizes", "accuracies", "front"),
    [
        ([], [], []),
        ([8], [0.5], [0]),
        ([8, 16, 32], [0.5, 0.6, 0.7], [0, 1, 2]),
        ([32, 16, 8], [0.7, 0.6, 0.65], [2, 0]),
        ([8, 8, 8], [0.5, 0.7, 0.7], [1]),
        ([8, 16], [0.5, 0.5], [0]),
    ],
)
def test_known_fronts(sizes: list[int], accuracies: list[float], front: list[int]) -> None:
    assert pareto_front(sizes, accuracies) == front


def test_the_front_is_what_nothing_dominates() -> None:
    rng = np.random.default_rng(0)
    sizes, accuracies = rng.integers(1, 30, 60).tolist(), (rng.integers(0, 30, 60) / 30).tolist()
    front = pareto_front(sizes, accuracies)
    points = list(zip(sizes, accuracies, strict=True))

    def dominated(point: tuple[int, float]) -> bool:
        return any(s <= point[0] and a >= point[1] and (s, a) != point for s, a in points)

    assert {points[place] for place in front} == {point for point in points if not dominated(point)}


def test_the_plot_takes_the_pages_colours_and_is_the_same_each_time() -> None:
    given = ([8192, 16384, 32768], [0.7, 0.8, 0.79], [0, 1], [(9000, 0.6)])
    svg = pareto_plot(*given)
    assert svg == pareto_plot(*given)
    assert "var(--series-1)" in svg
    for label in ("8 KB", "16 KB", "32 KB", "tried", "exported"):
        assert label in svg
