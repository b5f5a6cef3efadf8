"""Chooses bits, hidden units and weight bits that fit a byte budget; it trains nothing and looks at no data.

Preference, measured on splits of training rows (`benchmarks/LOG.md`): where words are asked for, a hidden layer over
2,048 bits with word codes and a convolution beside it, then without the convolution, as long as there is room for
``FEWEST_WORDS``; else a hidden layer over at least 2,048 bits; else a linear head with as many bits as fit, up to
4,096, eight-bit weights before four-bit ones as long as they do not cost bits below 2,048.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from projgraph.config import TrainConfig
from projgraph.errors import BudgetError
from projgraph.pack.format import MAX_INPUT_SUM
from projgraph.pack.quantise import Shape
from projgraph.pack.write import predicted_size

PROVENANCE_ROOM = 1024
"""Bytes kept for the provenance section."""

FEWEST_WORDS = 2000
"""Fewer words are not worth their bytes: the bits tell as much."""
_FILTERS = (128, 0)
_HIDDEN_AND_WORDS = ((2048, 128), (2048, 96), (2048, 64))
"""Bits and hidden units, the preferred ones first."""
_HIDDEN = ((3072, 128), (2048, 128), (2048, 96), (2048, 64))
_LINEAR_MOST = 4096
_LINEAR_ENOUGH = 2048
_STEP = 64


@dataclass(frozen=True)
class Plan:
    """The dimensions of a model file.

    Attributes:
        bits: T x d.
        units: hidden units, 0 for a linear head.
        weight_bits: 8 or 4, of the layer over the bits; a layer behind hidden units has 8.
        size: bytes of the file, at most.
        words: that the file has room for; 0 for none.
        filters: of the convolution over words.
    """

    bits: int
    units: int
    weight_bits: int
    size: int
    words: int = 0
    filters: int = 0


def plan_model(classes: tuple[str, ...], config: TrainConfig, thresholds: bool | None = None) -> Plan:
    """The preferred plan within the budget and the fixed settings.

    Args:
        classes: label names.
        config: the settings.
        thresholds: None where rows are texts; whether the projection of vectors has thresholds.

    Raises:
        BudgetError: nothing fits; the message names the smallest budget that works.
    """
    with_words = _with_words(classes, config) if thresholds is None else None
    if with_words is not None:
        return with_words
    smallest: Plan | None = None
    for bits, units, weight_bits in _candidates(config):
        plan = _sized(Plan(bits, units, weight_bits, 0), classes, config, thresholds)
        if plan.size <= config.budget:
            return plan
        smallest = plan if smallest is None or plan.size < smallest.size else smallest
    if smallest is None:
        raise BudgetError("no plan is left: projection.bits, student.units and pack.weight_bits exclude each other")
    raise BudgetError(
        f"a budget of {config.budget} bytes is too small for {len(classes)} classes with these settings; "
        f"the smallest that works is {smallest.size} bytes: give --budget {-(-smallest.size // 1024)}KB or more"
    )


def head_weight_bits(plan: Plan) -> tuple[int, int | None]:
    """Weight bits of the output layer and of the hidden one, if there is one."""
    return (8, plan.weight_bits) if plan.units else (plan.weight_bits, None)


def _with_words(classes: tuple[str, ...], config: TrainConfig) -> Plan | None:
    """The preferred plan with words, as many as the budget and the settings allow; None where too few fit."""
    chosen, dimensions = config.projection.words, config.code_dimensions
    if not dimensions:
        return None
    fewest = min(FEWEST_WORDS, chosen.most)
    filters = _FILTERS if chosen.filters is None else (chosen.filters,)
    heads = dict.fromkeys(
        (config.projection.bits or bits, units if config.student.units is None else config.student.units, weight_bits)
        for bits, units in _HIDDEN_AND_WORDS
        for weight_bits in _weight_bits(config)
    )
    for (bits, units, weight_bits), count in product(heads, filters):
        if Shape(bits, len(classes), units or None, dimensions, count).largest_sum > MAX_INPUT_SUM:
            continue
        least = _sized(Plan(bits, units, weight_bits, 0, fewest, count), classes, config)
        if least.size <= config.budget:
            most = min(fewest + (config.budget - least.size) // (4 + dimensions // 8), chosen.most)
            # Sections are padded, so that the last word or two may not fit after all; the fewest do.
            plans = (_sized(replace(least, words=words), classes, config) for words in range(most, fewest - 1, -1))
            return next(plan for plan in plans if plan.size <= config.budget)
    return None


def _sized(plan: Plan, classes: tuple[str, ...], config: TrainConfig, thresholds: bool | None = None) -> Plan:
    """The plan with the bytes of its file."""
    output, hidden = head_weight_bits(plan)
    size = predicted_size(
        len(classes),
        sum(len(name.encode("utf-8", "surrogatepass")) for name in classes),
        plan.bits,
        output,
        units=plan.units,
        hidden_weight_bits=hidden,
        provenance_length=PROVENANCE_ROOM,
        thresholds=thresholds,
        words=(plan.words, config.code_dimensions) if plan.words else None,
        filters=plan.filters,
        width=config.projection.words.width,
    )
    return replace(plan, size=size)


def _weight_bits(config: TrainConfig) -> tuple[int, ...]:
    """The choices, the preferred one first."""
    return (config.pack.weight_bits,) if config.pack.weight_bits else (8, 4)


def _candidates(config: TrainConfig) -> Iterator[tuple[int, int, int]]:
    """(bits, units, weight bits) from the most to the least wanted."""
    fixed_bits, fixed_units, choices = config.projection.bits, config.student.units, _weight_bits(config)
    for bits, units in _HIDDEN if fixed_units is None else ():
        if fixed_bits in (None, bits):
            yield from ((bits, units, weight_bits) for weight_bits in choices)
    units = fixed_units or 0
    if fixed_bits is not None:
        yield from ((fixed_bits, units, weight_bits) for weight_bits in choices)
        return
    for bits in range(_LINEAR_MOST, _LINEAR_ENOUGH - 1, -_STEP):
        yield from ((bits, units, weight_bits) for weight_bits in choices)
    for bits in range(_LINEAR_ENOUGH - _STEP, 0, -_STEP):
        yield bits, units, choices[-1]
