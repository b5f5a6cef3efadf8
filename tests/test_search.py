"""Shapes that a search fits: the weights that a plan of the budget has are among them, and refusals name what works."""

from __future__ import annotations

import re
import weakref
from dataclasses import dataclass

import numpy as np
import pytest

from projgraph.blueprint import Blueprint
from projgraph.config import TrainConfig
from projgraph.errors import BudgetError
from projgraph.plan import Plan, plan_model
from projgraph.records import Dataset, Texts
from projgraph.search import FEWEST_BITS, UNITS, best_student, plans_to_fit


def rows(classes: int) -> Dataset:
    names = tuple(f"intent {index:03}" for index in range(classes))
    return Dataset(Texts.from_strings(["lamp"] * classes), np.arange(classes), names)


def config(budget: int, **stages: object) -> TrainConfig:
    return TrainConfig.model_validate({"budget": budget, **stages})


@pytest.mark.parametrize("classes", [2, 20, 77, 150])
@pytest.mark.parametrize("kilobytes", [10, 12, 16, 32, 64])
def test_a_search_tries_the_preferred_plan_and_others_in_its_units(classes, kilobytes):
    given = config(1024 * kilobytes)
    preferred = plan_model(rows(classes).classes, given)
    plans = plans_to_fit(rows(classes), given, search=True)
    assert preferred.bits < FEWEST_BITS or plans[0] == preferred
    assert all(plan.size <= given.budget and plan.bits >= FEWEST_BITS for plan in plans)
    shapes = [(plan.bits, plan.units, plan.weight_bits, plan.words) for plan in plans]
    assert len(set(shapes)) == len(shapes), "none is fitted twice"
    # Where four bits a weight take bits below 2,048, one bit is tried in as many units, and it has more of them.
    for plan in plans[1:]:
        assert plan.units in UNITS
        if plan.units and plan.weight_bits > 1 and plan.bits < 2048:
            beside = [other.bits for other in plans if (other.units, other.weight_bits) == (plan.units, 1)]
            assert max(beside) > plan.bits


def test_small_budgets_try_binary_weights_in_every_width():
    plans = plans_to_fit(rows(77), config(16 * 1024), search=True)
    assert {plan.units for plan in plans if plan.weight_bits == 1} == {16, 32, 48, 64, 96, 128}
    assert {plan.weight_bits for plan in plans if not plan.units} == {4}, "a linear head is binary only if asked for"


@pytest.mark.parametrize("weight_bits", [8, 4, 2, 1])
def test_weights_that_are_asked_for_are_the_only_ones(weight_bits):
    plans = plans_to_fit(rows(20), config(16 * 1024, pack={"weight_bits": weight_bits}), search=True)
    assert {plan.weight_bits for plan in plans} == {weight_bits}


def test_units_that_are_asked_for_are_the_only_ones():
    plans = plans_to_fit(rows(20), config(8 * 1024, student={"units": 24}), search=True)
    assert {plan.units for plan in plans} == {24}
    assert {plan.weight_bits for plan in plans} == {4, 1}


@pytest.mark.parametrize("classes", [2, 20, 150])
@pytest.mark.parametrize(
    "stages",
    [
        {},
        {"student": {"units": 0}},
        {"student": {"units": 24}},
        {"pack": {"weight_bits": 8}},
        {"pack": {"weight_bits": 2}},
        {"pack": {"shared": True}},
        {"pack": {"pruning": 0.8}},
        {"time_budget": 5000},
    ],
    ids=str,
)
@pytest.mark.parametrize("search", [False, True])
def test_the_smallest_budget_that_is_named_works_and_a_byte_less_does_not(classes, stages, search):
    with pytest.raises(BudgetError) as caught:
        plans_to_fit(rows(classes), config(1000, **stages), search=search)
    found = re.fullmatch(
        rf"a budget of 1000 bytes has room for fewer than 256 bits beside {classes} classes; the smallest that is "
        r"worth it is (\d+) bytes: give (\d+)KB(,5000ns)? or more, or set projection.bits to have fewer all the same",
        str(caught.value),
    )
    assert found is not None, str(caught.value)
    needed, kilobytes = int(found[1]), int(found[2])
    plans = plans_to_fit(rows(classes), config(needed, **stages), search=search)
    assert needed in [plan.size for plan in plans]
    assert all(plan.bits >= FEWEST_BITS and plan.size <= needed for plan in plans)
    assert plans_to_fit(rows(classes), config(1024 * kilobytes, **stages))
    with pytest.raises(BudgetError, match=rf"a budget of {needed - 1} bytes .* worth it is {needed} bytes"):
        plans_to_fit(rows(classes), config(needed - 1, **stages), search=search)


def test_a_time_that_is_too_short_is_told_too():
    message = r"a budget of 1000 bytes and 1 ns a text has room .* worth it is \d+ bytes and \d+ ns: give"
    with pytest.raises(BudgetError, match=message) as caught:
        plans_to_fit(rows(20), config(1000, time_budget=1))
    found = re.search(r"give (\d+)KB,(\d+)ns or more", str(caught.value))
    assert found is not None
    enough = config(1024 * int(found[1]), time_budget=int(found[2]))
    assert plans_to_fit(rows(20), enough)[0].nanoseconds == int(found[2])


def test_bits_that_are_asked_for_may_be_few():
    fixed = {"projection": {"bits": 64}}
    assert [plan.bits for plan in plans_to_fit(rows(20), config(8 * 1024, **fixed))] == [64]
    with pytest.raises(BudgetError, match=r"is too small for 20 classes with these settings; the smallest that works"):
        plans_to_fit(rows(20), config(1000, **fixed))


class Model:
    """What a search asks of a model."""

    format_name = "int4"

    @property
    def over_bits(self) -> Model:
        return self


@dataclass(frozen=True, eq=False)
class Student:
    """What a search asks of a student."""

    plan: Plan
    held_out_accuracy: float | None
    model: Model


@pytest.mark.parametrize("accuracies", [[0.5, 0.9, 0.7], [0.5, 0.9, 0.9], [None, None, None]])
def test_a_search_keeps_the_first_of_the_best_and_lets_the_others_go(monkeypatch, accuracies):
    """A student holds the bits of all rows: there are never more than the best, the last and the next at a time."""
    living: weakref.WeakSet[Student] = weakref.WeakSet()
    most = 0

    def learn(*args: object, blueprint: Blueprint, **options: object) -> Student:
        nonlocal most
        student = Student(blueprint.plan, figure(blueprint.plan), Model())
        living.add(student)
        most = max(most, len(living))
        return student

    def figure(plan: Plan) -> float | None:
        return accuracies[min(plan.units // 16, 2)]

    monkeypatch.setattr("projgraph.search.learn", learn)
    data, given = rows(20), config(64 * 1024)
    plans = plans_to_fit(data, given, search=True)
    found = best_student(data, None, given, lambda line: None, search=True)
    assert [each.size for each in found.tried] == [plan.size for plan in plans]
    figures = [each.held_out_accuracy for each in found.tried]
    assert figures == [figure(plan) for plan in plans]
    best = None if accuracies[0] is None else max(accuracies)
    assert found.chosen.plan == plans[figures.index(best)]
    assert len(plans) > most == 3
