"""What a model of some rows will be, told before anything is learnt: its dimensions and its projection."""

from __future__ import annotations

from dataclasses import dataclass

from projgraph.bits import row_projection
from projgraph.config import TrainConfig
from projgraph.errors import InputError
from projgraph.pack.vector import has_thresholds
from projgraph.plan import Plan, plan_model
from projgraph.records import UNLABELLED, Dataset, Vectors


@dataclass(frozen=True)
class Blueprint:
    """A model that is yet to be learnt.

    Attributes:
        plan: the dimensions that the budgets leave room for.
        projection: the section of the model file that makes so many bits of a row.
    """

    plan: Plan
    projection: bytes


def draw_blueprint(dataset: Dataset, config: TrainConfig, plan: Plan | None = None) -> Blueprint:
    """The model that these rows and settings ask for.

    Args:
        dataset: the rows.
        config: the settings.
        plan: the dimensions; as ``plan_rows`` chooses them if left out.

    Raises:
        BudgetError: no model fits the budget.
        ConfigError: the settings do not go with so many bits.
    """
    plan = plan_rows(dataset, config) if plan is None else plan
    return Blueprint(plan, row_projection(dataset.rows, plan.bits, config))


def plan_rows(dataset: Dataset, config: TrainConfig) -> Plan:
    """The dimensions of a model of these rows, as `projgraph.plan.plan_model` prefers them.

    Raises:
        BudgetError: no model fits the budget.
    """
    rows, settings = dataset.rows, config.projection.vectors
    thresholds = has_thresholds(rows, settings.thresholds) if isinstance(rows, Vectors) else None
    return plan_model(dataset.classes, config, thresholds)


def check_labels(dataset: Dataset) -> None:
    """That there is something to teach.

    Raises:
        InputError: no labelled row, or one class only.
    """
    labelled = int((dataset.labels != UNLABELLED).sum())
    if not labelled:
        raise InputError(f"none of the {len(dataset)} rows has a label; label at least one row of each class")
    if len(dataset.classes) < 2:
        raise InputError(
            f"all {labelled} labelled rows have the class {dataset.classes[0]!r}; expected two classes or more"
        )
