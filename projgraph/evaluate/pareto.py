"""Which models no other beats in both bytes and accuracy; it knows no model."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(sizes: Sequence[int], accuracies: Sequence[float]) -> list[int]:
    """The places of the points that no other is at least as small and as accurate as, smallest first.

    Of points alike in both the first stands for all.

    Args:
        sizes: bytes.
        accuracies: as many.
    """
    order = sorted(range(len(sizes)), key=lambda place: (sizes[place], -accuracies[place], place))
    front: list[int] = []
    for place in order:
        if not front or accuracies[place] > accuracies[front[-1]]:
            front.append(place)
    return front
