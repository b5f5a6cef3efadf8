"""Chooses bits, units and weight bits that fit the budgets of bytes and time; it trains nothing and sees no data.

Preference, measured on splits of training rows (`benchmarks/LOG.md`): a hidden layer over 2,048 bits with word codes
and, with an encoder, a convolution beside it, then without the convolution, as long as there is room for
``FEWEST_WORDS``, 256 units of two members before 128 of one; else a hidden layer alone, down to binary weights; else a
linear head with as many bits as fit, up to 4,096, eight-bit weights before four-bit ones as long as they do not cost
bits below 2,048, and a narrow hidden layer of binary weights before few bits. The first that fits is taken; its time is
the one that `projgraph.cost` predicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from projgraph.config import TrainConfig
from projgraph.cost import predicted_nanoseconds
from projgraph.errors import BudgetError, ConfigError
from projgraph.pack.format import MAX_INPUT_SUM
from projgraph.pack.quantised import Shape
from projgraph.pack.write import predicted_size

PROVENANCE_ROOM = 1024
"""Bytes kept for the provenance section."""

FEWEST_WORDS = 2000
"""Fewer words are not worth their bytes: the bits tell as much."""
_FILTERS = (128, 0)
"""With an encoder; codes from the texts alone gain nothing by a convolution on all sets but CLINC150."""
_HIDDEN_AND_WORDS = ((2048, 256), (2048, 128), (2048, 96), (2048, 64))
"""Bits and hidden units, the preferred ones first."""
_OPEN_WEIGHTS = (
    *((2048, 256, 8), (2048, 256, 4), (2048, 256, 2)),
    *((2048, 128, 8), (2048, 128, 4), (2048, 256, 1), (2048, 128, 2)),
)
"""The same with bits of a weight, where those are open: fewer of them lose less than fewer units, and binary weights of
two members less than ternary ones of one."""
_LARGEST = ((3072, 128), (2048, 128))
"""Worth more than a hidden layer of fewer bits a weight."""
_HIDDEN = (*_LARGEST, (2048, 96), (2048, 64))
_WIDE = (*_LARGEST, (1408, 128))
"""Of weights of 2 bits or 1, worth more than a linear head."""
_NARROW = ((1408, 96), (2048, 64), (2816, 32), (1216, 64), (2048, 32), (1024, 32))
"""Of such weights, worth more than a linear head of less than ``_LINEAR_LEAST`` bits."""
_LINEAR_MOST = 4096
ENOUGH_BITS = 2048
"""Of a linear head, worth more than eight-bit weights; of a hidden layer, more than four-bit ones."""
_LINEAR_LEAST = 640
_STEP = 64


@dataclass(frozen=True)
class Plan:
    """The dimensions of a model file.

    Attributes:
        bits: T x d.
        units: hidden units, 0 for a linear head.
        weight_bits: 8, 4, 2 or 1, of the layer over the bits; a layer behind hidden units has 8, or 4 where that one
            has fewer.
        size: bytes of the file, at most.
        words: that the file has room for; 0 for none.
        filters: of the convolution over words.
        nanoseconds: of a text of 12 words on the reference machine, see `projgraph.cost`; None where rows are vectors.
        left_out: what the settings ask for and the budget has no room for, in one line; empty if nothing.
    """

    bits: int
    units: int
    weight_bits: int
    size: int
    words: int = 0
    filters: int = 0
    nanoseconds: int | None = None
    left_out: str = ""

    @property
    def dimensions(self) -> tuple[int, int, int, int, int]:
        """Bits, units, weight bits, words and filters: what tells a student from others."""
        return self.bits, self.units, self.weight_bits, self.words, self.filters


def plan_model(classes: tuple[str, ...], config: TrainConfig, thresholds: bool | None = None) -> Plan:
    """The preferred plan within the budgets and the fixed settings.

    Args:
        classes: label names.
        config: the settings.
        thresholds: None where rows are texts; whether the projection of vectors has thresholds.

    Raises:
        BudgetError: nothing fits; the message names the smallest budget that works.
        ConfigError: there is a budget of time, and rows are vectors.
    """
    if thresholds is not None and config.time_budget is not None:
        raise ConfigError(
            f"time_budget is {config.time_budget} ns, and the rows are vectors; "
            "expected texts, whose time is predicted: give a budget of bytes alone"
        )
    left_out = ""
    if thresholds is None and config.code_dimensions:
        beside_words = list(_beside_words(classes, config))
        for least in beside_words:
            if _fits(least, config):
                return _with_most_words(least, classes, config)
        left_out = _left_out(beside_words, config) if config.projection.words.dimensions else ""
    plans = []
    for bits, units, weight_bits in _candidates(config):
        plans.append(_sized(Plan(bits, units, weight_bits, 0), classes, config, thresholds))
        if _fits(plans[-1], config):
            return replace(plans[-1], left_out=left_out)
    short = shortage(plans, config)
    raise BudgetError(
        f"a budget of {short.given} is too small for {len(classes)} classes with these settings; "
        f"the smallest that works is {short.needed}: give --budget {short.budget} or more"
    )


def smallest_plans(classes: tuple[str, ...], config: TrainConfig, bits: int, units: Sequence[int]) -> list[Plan]:
    """The smallest plans of texts with so few bits, without words, whether they fit the budgets or not.

    Args:
        classes: label names.
        config: the settings.
        bits: fewer than ``ENOUGH_BITS``, where only the narrowest weights of a linear head are worth it.
        units: the choices of hidden units, 0 for a linear head.
    """
    narrowest = _weight_bits(config)[-1]
    shapes = [(count, narrowest) for count in units]
    shapes += [(count, 1) for count in units if count and weights_are_open(config)]
    return [_sized(Plan(bits, count, weight_bits, 0), classes, config) for count, weight_bits in shapes]


@dataclass(frozen=True)
class Shortage:
    """Budgets that are too small, in words.

    Attributes:
        given: such as "2000 bytes and 10 ns a text"; those alone that are too small.
        needed: as many bytes and nanoseconds as do.
        budget: that has room for them, as `--budget` takes it.
    """

    given: str
    needed: str
    budget: str


def shortage(plans: Sequence[Plan], config: TrainConfig) -> Shortage:
    """What is too small for every plan, and the least that would do for one of them."""
    nearest = _nearest(plans, config)
    given, needed = [], []
    if nearest.size > config.budget:
        given.append(f"{config.budget} bytes")
        needed.append(f"{nearest.size} bytes")
    if not _in_time(nearest, config):
        given.append(f"{config.time_budget} ns a text")
        needed.append(f"{nearest.nanoseconds} ns")
    return Shortage(" and ".join(given), " and ".join(needed), _raised(nearest, config))


def weights_are_open(config: TrainConfig) -> bool:
    """Whether the settings leave open how weights are stored."""
    return config.pack.weight_bits is None and not config.pack.shared and not config.pack.pruning


def head_weight_bits(plan: Plan) -> tuple[int, int | None]:
    """Weight bits of the output layer and of the hidden one, if there is one."""
    return weight_bits_of(plan.weight_bits, hidden=plan.units > 0)


def weight_bits_of(over_bits: int, *, hidden: bool) -> tuple[int, int | None]:
    """The same of a head whose layer over the bits has weights of so many bits, hidden units behind it or not."""
    return (8 if over_bits >= 4 else 4, over_bits) if hidden else (over_bits, None)


def _output_bits(plan: Plan, config: TrainConfig) -> int:
    """Of the values of the output layer's weights."""
    output_bits, hidden_bits = head_weight_bits(plan)
    return 8 if config.pack.shared and hidden_bits is None else output_bits


def plan_shape(plan: Plan, classes: int, config: TrainConfig) -> Shape:
    """Inputs and outputs of the plan's layers."""
    dimensions = config.code_dimensions if plan.words else 0
    return Shape(plan.bits, classes, plan.units or None, dimensions, plan.filters)


def _beside_words(classes: tuple[str, ...], config: TrainConfig) -> Iterator[Plan]:
    """Plans with the fewest words that are worth it, from the most to the least wanted."""
    chosen = config.projection.words
    fewest = min(FEWEST_WORDS, chosen.most)
    filters = (_FILTERS if config.encoder else (0,)) if chosen.filters is None else (chosen.filters,)
    shapes = [(*shape, weight_bits) for shape in _HIDDEN_AND_WORDS for weight_bits in _weight_bits(config)]
    if weights_are_open(config):
        shapes = list(_OPEN_WEIGHTS)
    heads = dict.fromkeys(
        (config.projection.bits or bits, units if config.student.units is None else config.student.units, weight_bits)
        for bits, units, weight_bits in shapes
    )
    for count, (bits, units, weight_bits) in product(filters, heads):
        plan = Plan(bits, units, weight_bits, 0, fewest, count)
        if plan_shape(plan, len(classes), config).largest_sum(_output_bits(plan, config)) <= MAX_INPUT_SUM:
            yield _sized(plan, classes, config)


def _with_most_words(least: Plan, classes: tuple[str, ...], config: TrainConfig) -> Plan:
    """The plan with as many words as the budgets and the settings allow; it fits with those that it has."""
    room = (config.budget - least.size) // (4 + config.code_dimensions // 8)
    most = min(least.words + room, config.projection.words.most)
    # Sections are padded, so that the last word or two may not fit after all, and to find a word among many takes time.
    plans = (_sized(replace(least, words=words), classes, config) for words in range(most, least.words - 1, -1))
    return next(plan for plan in plans if _fits(plan, config))


def _sized(plan: Plan, classes: tuple[str, ...], config: TrainConfig, thresholds: bool | None = None) -> Plan:
    """The plan with the bytes of its file and the time of a text."""
    shape = plan_shape(plan, len(classes), config)
    size = predicted_size(
        shape,
        sum(len(name.encode("utf-8", "surrogatepass")) for name in classes),
        *head_weight_bits(plan),
        words=plan.words,
        width=config.projection.words.width,
        pruning=config.pack.pruning,
        shared=config.pack.shared,
        thresholds=thresholds,
        provenance_length=PROVENANCE_ROOM,
    )
    if thresholds is not None:
        return replace(plan, size=size)
    time = predicted_nanoseconds(shape, plan.weight_bits, config.projection, plan.words, config.pack)
    return replace(plan, size=size, nanoseconds=time)


def _fits(plan: Plan, config: TrainConfig) -> bool:
    return plan.size <= config.budget and _in_time(plan, config)


def _in_time(plan: Plan, config: TrainConfig) -> bool:
    return config.time_budget is None or (plan.nanoseconds or 0) <= config.time_budget


def _nearest(plans: Sequence[Plan], config: TrainConfig) -> Plan:
    """Of plans that do not fit, one for which as few budgets as possible must be raised, and these by the least."""
    in_time = [plan for plan in plans if _in_time(plan, config)]
    if in_time:
        return min(in_time, key=lambda plan: plan.size)
    small = [plan for plan in plans if plan.size <= config.budget]
    return min(small or plans, key=lambda plan: (plan.nanoseconds or 0, plan.size))


def _raised(plan: Plan, config: TrainConfig) -> str:
    """The budget that makes room for a plan."""
    size = f"{-(-plan.size // 1024)}KB" if plan.size > config.budget else f"{config.budget}"
    if config.time_budget is None:
        return size
    return f"{size},{max(plan.nanoseconds or 0, config.time_budget)}ns"


def _left_out(plans: Sequence[Plan], config: TrainConfig) -> str:
    """That words were asked for and are not there, and what would make room for them."""
    asked = f"words of {config.code_dimensions} signs (projection.words.dimensions) are left out: "
    if not plans:
        given = "projection.bits, student.units and projection.words.filters"
        return asked + f"with so many {given} sums leave their range: give fewer"
    nearest = _nearest(plans, config)
    time = "" if config.time_budget is None else f" and {nearest.nanoseconds} ns a text"
    allowed = "" if config.time_budget is None else f" and {config.time_budget} ns"
    return (
        f"{asked}{nearest.words} of them need {nearest.size} bytes{time}, "
        f"the budget is {config.budget} bytes{allowed}: give --budget {_raised(nearest, config)} or more"
    )


def _weight_bits(config: TrainConfig) -> tuple[int, ...]:
    """The choices of a linear head, the preferred one first."""
    if config.pack.shared:
        return (4,)
    return (config.pack.weight_bits,) if config.pack.weight_bits else (8, 4)


def _hidden(config: TrainConfig) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """(bits, units, weight bits) of heads with a hidden layer: those wanted before a linear one, and the others."""
    choices, fixed = _weight_bits(config), config.projection.bits
    if config.student.units is not None:
        return [], []
    if weights_are_open(config):
        first = [(bits, units, weight_bits) for bits, units in _LARGEST for weight_bits in choices]
        first += [(bits, units, 1) for bits, units in _WIDE]
        second = [(bits, units, 1) for bits, units in _NARROW]
    else:
        shapes = _WIDE + _NARROW if choices[-1] < 4 else _HIDDEN
        first, second = [(bits, units, weight_bits) for bits, units in shapes for weight_bits in choices], []
    return [plan for plan in first if fixed in (None, plan[0])], [plan for plan in second if fixed in (None, plan[0])]


def _candidates(config: TrainConfig) -> Iterator[tuple[int, int, int]]:
    """(bits, units, weight bits) from the most to the least wanted."""
    fixed_bits, units, choices = config.projection.bits, config.student.units or 0, _weight_bits(config)
    wide, narrow = _hidden(config)
    yield from wide
    if fixed_bits is not None:
        yield from ((fixed_bits, units, weight_bits) for weight_bits in choices)
        yield from narrow
        return
    for bits in range(_LINEAR_MOST, ENOUGH_BITS - 1, -_STEP):
        yield from ((bits, units, weight_bits) for weight_bits in choices)
    yield from ((bits, units, choices[-1]) for bits in range(ENOUGH_BITS - _STEP, _LINEAR_LEAST - 1, -_STEP))
    yield from narrow
    yield from ((bits, units, choices[-1]) for bits in range(_LINEAR_LEAST - _STEP, 0, -_STEP))
