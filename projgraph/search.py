"""Students of several shapes for one budget, and the one that is best on rows it did not see; it knows no test row.

The shapes are a linear head and hidden layers from narrow, so that many bits fit, to wide; the search itself tells
which is best for a budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from projgraph.blueprint import draw_blueprint, plan_rows
from projgraph.config import TrainConfig
from projgraph.errors import BudgetError
from projgraph.pipeline import Trained, learn
from projgraph.plan import Plan, smallest_size
from projgraph.records import Dataset, Progress
from projgraph.teach import Taught

UNITS = (0, 16, 32, 48, 64, 96, 128)
FEWEST_BITS = 256
"""Of a model that is worth its bytes: with fewer, too many features of a text fall on the same bit. Mean of ten models
of ten classes of the sample data on held-out rows: 38 % with 64 bits, 61 with 256, 65 with 512, 70 with 1,280."""


@dataclass(frozen=True)
class Tried:
    """A student that was fitted: the bytes that its plan needs, its accuracy on held-out rows, and its shape."""

    size: int
    held_out_accuracy: float | None
    shape: str


@dataclass(frozen=True)
class Search:
    """The best student, and all that were fitted."""

    chosen: Trained
    tried: tuple[Tried, ...]


def best_student(
    dataset: Dataset, taught: Taught, config: TrainConfig, progress: Progress, *, search: bool = False
) -> Search:
    """The student for a budget: of the preferred shape, or with a search the best of several on held-out rows.

    Args:
        dataset: the rows that were taught.
        taught: what the student is to learn.
        config: the settings, the budget among them.
        progress: called with one line before each stage.
        search: fit several shapes.

    Raises:
        BudgetError: no model of ``FEWEST_BITS`` fits the budget, unless the settings ask for fewer; the message names
            the smallest size that is worth it.
    """
    plans = [plan_rows(dataset, config)]
    if plans[0].bits < FEWEST_BITS and config.projection.bits is None:
        plans = list(shapes(dataset, config))
        if not plans:
            raise BudgetError(_too_small(dataset, config))
        plans = plans if search else plans[:1]
    elif search:
        plans += [plan for plan in shapes(dataset, config) if _dimensions(plan) != _dimensions(plans[0])]
    blueprints = (draw_blueprint(dataset, config, plan) for plan in plans)
    students = [learn(dataset, taught, config, progress, blueprint=each, judge=True) for each in blueprints]
    # The first of the best, and shapes come with the fewest steps a text first: a tie goes to the faster one.
    chosen = max(students, key=lambda student: student.held_out_accuracy or 0.0)
    tried = tuple(Tried(each.plan.size, each.held_out_accuracy, shape_in_words(each)) for each in students)
    return Search(chosen, tried)


def shapes(dataset: Dataset, config: TrainConfig) -> Iterator[Plan]:
    """The preferred plan for each number of hidden units that leaves room for enough bits."""
    for units in UNITS:
        if config.student.units not in (None, units):
            continue
        try:
            plan = plan_rows(dataset, config.model_copy(update={"student": _with_units(config, units)}))
        except BudgetError:
            continue
        if plan.bits >= FEWEST_BITS:
            yield plan


def _too_small(dataset: Dataset, config: TrainConfig) -> str:
    units = UNITS if config.student.units is None else (config.student.units,)
    needed = smallest_size(dataset.classes, config, FEWEST_BITS, units)
    return (
        f"a budget of {config.budget} bytes has room for fewer than {FEWEST_BITS} bits beside {len(dataset.classes)} "
        f"classes; the smallest size that is worth it is {needed} bytes: give {-(-needed // 1024)}KB or more, or set "
        "projection.bits to have fewer all the same"
    )


def shape_in_words(trained: Trained) -> str:
    """Such as "2,048 bits, 64 units, int4 weights"."""
    plan = trained.plan
    units = f"{plan.units} units" if plan.units else "linear"
    words = f", {plan.words:,} words" if plan.words else ""
    return f"{plan.bits:,} bits, {units}, {trained.model.over_bits.format_name} weights{words}"


def _with_units(config: TrainConfig, units: int) -> object:
    return config.student.model_copy(update={"units": units})


def _dimensions(plan: Plan) -> tuple[int, int, int, int, int]:
    return plan.bits, plan.units, plan.weight_bits, plan.words, plan.filters
