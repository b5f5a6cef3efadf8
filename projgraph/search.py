"""Students of several shapes for one budget, and the one that is best on rows it did not see; it knows no test row.

The shapes are a linear head and hidden layers from narrow, so that many bits fit, to wide; the search itself tells
which is best for a budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from projgraph.blueprint import draw_blueprint, plan_rows
from projgraph.config import TrainConfig
from projgraph.errors import BudgetError
from projgraph.pipeline import Trained, learn
from projgraph.plan import ENOUGH_BITS, Plan, shortage, smallest_plans, weights_are_open
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
    dataset: Dataset,
    taught: Taught,
    config: TrainConfig,
    progress: Progress,
    *,
    search: bool = False,
    fits: Path | None = None,
) -> Search:
    """The student for a budget: of the preferred shape, or with a search the best of several on held-out rows.

    Args:
        dataset: the rows that were taught.
        taught: what the student is to learn.
        config: the settings, the budget among them.
        progress: called with one line before each stage.
        search: fit several shapes.
        fits: a folder where fits are kept, as for `projgraph.pipeline.learn`.

    Raises:
        BudgetError: no model of ``FEWEST_BITS`` fits the budget, unless the settings ask for fewer; the message names
            the smallest size that is worth it.
    """
    plans = plans_to_fit(dataset, config, search=search)
    tried: list[Tried] = []

    def students() -> Iterator[Trained]:
        for plan in plans:
            blueprint = draw_blueprint(dataset, config, plan)
            student = learn(dataset, taught, config, progress, blueprint=blueprint, judge=True, fits=fits)
            shape = shape_in_words(plan, student.model.over_bits.format_name)
            tried.append(Tried(plan.size, student.held_out_accuracy, shape))
            yield student

    # One by one, since a student holds the bits of all rows. The first of the best is taken, and shapes come with the
    # fewest steps a text first: a tie goes to the faster one.
    chosen = max(students(), key=lambda student: student.held_out_accuracy or 0.0)
    return Search(chosen, tuple(tried))


def plans_to_fit(dataset: Dataset, config: TrainConfig, *, search: bool = False) -> list[Plan]:
    """The preferred plan, and with a search one of each shape; shapes alone where the preferred one has few bits.

    Raises:
        BudgetError: as ``best_student``.
    """
    preferred = _fitting(dataset, config)
    if preferred is None and config.projection.bits is not None:
        preferred = plan_rows(dataset, config)  # says which budget would do
    if preferred is not None and (preferred.bits >= FEWEST_BITS or config.projection.bits is not None):
        others = shapes(dataset, config) if search else ()
        return [preferred, *(plan for plan in others if plan.dimensions != preferred.dimensions)]
    plans = list(shapes(dataset, config))
    if not plans:
        raise BudgetError(_too_small(dataset, config))
    return plans if search else plans[:1]


def shapes(dataset: Dataset, config: TrainConfig) -> Iterator[Plan]:
    """The preferred plan for each number of hidden units that leaves room for enough bits.

    Where the weights of such a hidden layer cost bits that are worth more, and the settings leave them open, there is
    one of binary weights beside it, as plans of no fixed number of units have.
    """
    for units in UNITS if config.student.units is None else (config.student.units,):
        chosen = _with(config, "student", units=units)
        plan = _fitting(dataset, chosen)
        found = [plan]
        if units and weights_are_open(config) and (plan is None or plan.bits < ENOUGH_BITS):
            found.append(_fitting(dataset, _with(chosen, "pack", weight_bits=1)))
        yield from (each for each in found if each is not None and each.bits >= FEWEST_BITS)


def _fitting(dataset: Dataset, config: TrainConfig) -> Plan | None:
    """The preferred plan, if one fits."""
    try:
        return plan_rows(dataset, config)
    except BudgetError:
        return None


def _too_small(dataset: Dataset, config: TrainConfig) -> str:
    units = UNITS if config.student.units is None else (config.student.units,)
    short = shortage(smallest_plans(dataset.classes, config, FEWEST_BITS, units), config)
    return (
        f"a budget of {short.given} has room for fewer than {FEWEST_BITS} bits beside {len(dataset.classes)} "
        f"classes; the smallest that is worth it is {short.needed}: give {short.budget} or more, or set "
        "projection.bits to have fewer all the same"
    )


def shape_in_words(plan: Plan, weights: str) -> str:
    """Such as "2,048 bits, 64 units, int4 weights"; the name of the weights is not of the plan alone."""
    units = f"{plan.units} units" if plan.units else "linear"
    words = f", {plan.words:,} words" if plan.words else ""
    return f"{plan.bits:,} bits, {units}, {weights} weights{words}"


def _with(config: TrainConfig, stage: str, **changes: int) -> TrainConfig:
    return config.model_copy(update={stage: getattr(config, stage).model_copy(update=changes)})
