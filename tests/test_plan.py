"""Plans against files that are really packed: what a plan promises to fit does, and the budget an error names works."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.config import TrainConfig
from projgraph.cost import predicted_nanoseconds
from projgraph.errors import BudgetError, ConfigError
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes
from projgraph.plan import PROVENANCE_ROOM, Plan, head_weight_bits, plan_model, plan_shape

LARGEST_PROVENANCE = {"x": "y" * (PROVENANCE_ROOM - len('{"x":""}'))}


def config(budget: int = 1 << 28, **changes: object) -> TrainConfig:
    """Without words; ``bits``, ``units`` and ``weight_bits`` fix what the budget would choose."""
    stages = {"bits": "projection", "units": "student", "weight_bits": "pack"}
    given: dict[str, dict[str, object]] = {"projection": {"words": {"dimensions": 0}}}
    for name, value in changes.items():
        given.setdefault(stages[name], {})[name] = value
    return TrainConfig.model_validate({"budget": budget, **given})


def names(count: int, length: int = 3) -> tuple[str, ...]:
    return tuple(f"{index:0{length}}" for index in range(count))


def layer(inputs: int, outputs: int, weight_bits: int) -> QuantisedLayer:
    return QuantisedLayer(
        np.ones((inputs, outputs), dtype=np.int8),
        np.ones(outputs, dtype=np.uint8),
        np.zeros(outputs, dtype=np.int32),
        weight_bits,
    )


def packed(plan: Plan, classes: tuple[str, ...], dimensions: int = 0) -> bytes:
    """A model file of the plan's dimensions with the longest provenance that there is room for."""
    output_bits, hidden_bits = head_weight_bits(plan)
    inputs = plan.bits + dimensions
    codes = np.ones((plan.words, dimensions), dtype=np.int8)
    fingerprints = 4 * np.arange(plan.words, dtype=np.uint32)
    model = QuantisedModel(
        projection=ProjectionSpec.for_text(bits=plan.bits).to_bytes(),
        output=layer((plan.units or inputs) + plan.filters, len(classes), output_bits),
        hidden=layer(inputs, plan.units, hidden_bits) if hidden_bits is not None else None,
        hidden_shift=0,
        scale=1.0,
        classes=classes,
        words=WordTable(fingerprints, np.zeros(plan.words, np.uint8), codes) if plan.words else None,
        convolution=QuantisedConvolution(layer(3 * dimensions, plan.filters, 8), 3, 0) if plan.filters else None,
    )
    return model_bytes(model, LARGEST_PROVENANCE)


def named_budgets(error: BudgetError) -> tuple[int, int]:
    """The bytes of the smallest plan and the budget in KB that the message tells a user to give, in bytes."""
    found = re.search(r"smallest that works is (\d+) bytes: give --budget (\d+)KB or more", str(error))
    assert found is not None, str(error)
    return int(found[1]), int(found[2]) * 1024


def planned_or_refused(classes: tuple[str, ...], given: TrainConfig) -> Plan | BudgetError:
    try:
        return plan_model(classes, given)
    except BudgetError as error:
        return error


FIXED = st.fixed_dictionaries(
    {},
    optional={
        "bits": st.sampled_from([64, 128, 1024, 2048, 3072, 4096, 16384]),
        "units": st.sampled_from([0, 1, 17, 64, 128, 256]),
        "weight_bits": st.sampled_from([1, 2, 4, 8]),
    },
)


@settings(deadline=None, max_examples=80)
@given(
    count=st.one_of(st.integers(2, 30), st.sampled_from([77, 150, 151, 600])),
    length=st.integers(3, 40),
    budget=st.one_of(st.integers(1, 20_000), st.integers(20_000, 600_000)),
    fixed=FIXED,
)
def test_budgets_are_kept_by_files_and_errors_name_one_that_works(count, length, budget, fixed):
    classes = names(count, length)
    plan = planned_or_refused(classes, config(budget, **fixed))
    if isinstance(plan, BudgetError):
        smallest, in_words = named_budgets(plan)
        assert smallest > budget
        assert f"a budget of {budget} bytes is too small for {count} classes with these settings" in str(plan)
        plan = plan_model(classes, config(smallest, **fixed))
        assert plan.size == smallest
        assert plan_model(classes, config(in_words, **fixed)).size <= in_words
        with pytest.raises(BudgetError):
            plan_model(classes, config(smallest - 1, **fixed))
        budget = smallest
    assert {name: getattr(plan, name) for name in fixed} == fixed, "what is fixed stays as it is"
    assert len(packed(plan, classes)) == plan.size <= budget


@pytest.mark.parametrize(
    ("kilobytes", "count"), [(4, 2), (8, 20), (16, 77), (32, 150), (64, 77), (256, 20), (256, 150)]
)
def test_common_budgets_have_a_plan(kilobytes, count):
    classes = names(count, 12)
    plan = plan_model(classes, config(1024 * kilobytes))
    assert len(packed(plan, classes)) == plan.size <= 1024 * kilobytes


# ---------------------------------------------------------------------------------------------------------------- time


def timed(time_budget: int | None, budget: int = 256 * 1024, **words: object) -> TrainConfig:
    given = {"encoder": "some/model", "budget": budget, "time_budget": time_budget, "projection": {"words": words}}
    return TrainConfig.model_validate(given)


def tier(plan: Plan) -> str:
    return ("convolution" if plan.filters else "sums") if plan.words else "hidden" if plan.units else "linear"


def test_a_budget_of_time_chooses_among_the_tiers():
    times = {10_000: "convolution", 9000: "convolution", 7000: "sums", 3300: "hidden", 2350: "hidden", 1750: "linear"}
    chosen = {time: plan_model(names(77), timed(time, dimensions=64)) for time in times}
    assert {time: tier(plan) for time, plan in chosen.items()} == times
    assert chosen[10_000] == plan_model(names(77), timed(None, dimensions=64))
    assert [chosen[time].units for time in (10_000, 9000, 7000)] == [256, 128, 256], "a convolution before two members"
    assert chosen[3300].bits == 3072
    assert all(plan.nanoseconds <= time for time, plan in chosen.items())


@settings(deadline=None, max_examples=60)
@given(
    count=st.sampled_from([2, 7, 77, 150]),
    budget=st.integers(8_000, 400_000),
    time=st.integers(1, 12_000),
    dimensions=st.sampled_from([0, 64]),
)
def test_plans_keep_both_budgets_and_are_the_first_that_do(count, budget, time, dimensions):
    given = timed(time, budget, dimensions=dimensions)
    plan = planned_or_refused(names(count), given)
    if isinstance(plan, BudgetError):
        return
    assert plan.size <= budget
    assert plan.nanoseconds <= time
    without = plan_model(names(count), timed(None, budget, dimensions=dimensions))
    assert replace(without, left_out="") == replace(plan, left_out="") or without.nanoseconds > time
    assert predicted_nanoseconds(plan_shape(plan, count, given), plan.weight_bits, given.projection, plan.words) == (
        plan.nanoseconds
    )
    if plan.words:
        assert dimensions
        assert len(packed(plan, names(count), dimensions)) == plan.size


@pytest.mark.parametrize("count", [2, 77, 600])
@pytest.mark.parametrize("budget", [100, 16 * 1024, 1 << 20])
def test_an_error_names_a_time_that_works_and_none_shorter_does(count, budget):
    with pytest.raises(BudgetError) as caught:
        plan_model(names(count), timed(1, budget))
    found = re.search(r"give --budget (\d+)(KB)?,(\d+)ns or more$", str(caught.value))
    assert found is not None, str(caught.value)
    enough, time = int(found[1]) * (1024 if found[2] else 1), int(found[3])
    plan = plan_model(names(count), timed(time, enough))
    assert plan.nanoseconds == time
    assert "1 ns a text" in str(caught.value)
    assert (f"{budget} bytes" in str(caught.value)) == (enough > budget)
    with pytest.raises(BudgetError, match=f"a budget of {time - 1} ns a text is too small for {count} classes"):
        plan_model(names(count), timed(time - 1, enough))


def test_an_error_of_bytes_keeps_the_time():
    with pytest.raises(BudgetError, match=r"a budget of 100 bytes is too small .* give --budget \d+KB,5000ns or more"):
        plan_model(names(9), timed(5000, 100))


def test_vectors_have_no_predicted_time():
    assert plan_model(names(5), TrainConfig(), thresholds=True).nanoseconds is None
    message = "time_budget is 5000 ns, and the rows are vectors; expected texts, whose time is predicted"
    with pytest.raises(ConfigError, match=message):
        plan_model(names(5), timed(5000), thresholds=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            timed(None, 64 * 1024, dimensions=64),
            r"2000 of them need (\d+) bytes, the budget is 65536 bytes: give --budget (\d+)KB or more",
        ),
        (
            timed(2400, dimensions=32),
            r"2000 of them need (\d+) bytes and \d+ ns a text, the budget is 262144 bytes and 2400 ns: "
            r"give --budget 262144,(\d+)ns or more",
        ),
        (
            timed(2400, 64 * 1024, dimensions=64, filters=64),
            r"2000 of them need (\d+) bytes and \d+ ns a text, the budget is 65536 bytes and 2400 ns: "
            r"give --budget (\d+KB),(\d+)ns or more",
        ),
    ],
)
def test_words_that_are_left_out_are_told_with_what_they_need(given, message):
    plan = plan_model(names(77), given)
    assert plan.words == 0
    expected = rf"words of \d+ signs \(projection.words.dimensions\) are left out: {message}"
    assert re.fullmatch(expected, plan.left_out), plan.left_out
    option = re.search(r"--budget (\S+) ", plan.left_out)
    assert option is not None
    raised = given.model_dump() | TrainConfig.model_validate({"budget": option[1]}).model_dump(include={"budget"})
    if "," in option[1]:
        raised |= TrainConfig.model_validate({"budget": option[1]}).model_dump(include={"time_budget"})
    plan = plan_model(names(77), TrainConfig.model_validate(raised))
    assert plan.words >= 2000
    assert plan.left_out == ""


def test_words_that_cannot_be_are_told_too():
    given = timed(None, 1 << 24, dimensions=128, filters=128).model_dump()
    given["student"]["units"] = 256
    given["pack"]["weight_bits"] = 4  # of the hidden layer, behind which there are eight
    plan = plan_model(names(5), TrainConfig.model_validate(given))
    assert plan.left_out.endswith(
        "so many projection.bits, student.units and projection.words.filters sums leave their range: give fewer"
    )


@pytest.mark.parametrize(("pack", "fit"), [({"shared": True}, False), ({"weight_bits": 4}, True), ({}, True)])
def test_a_linear_head_of_bytes_has_no_room_for_all_words_and_filters(pack, fit):
    """2,048 bits and 127 times 128 sums and 128 filters: a codebook's values are bytes, those of 4 bits are not."""
    given = timed(None, 1 << 24, dimensions=128, filters=128).model_dump()
    given["student"]["units"], given["projection"]["bits"], given["pack"] = 0, 2048, pack
    plan = plan_model(names(5), TrainConfig.model_validate(given))
    assert (plan.words > 0, plan.left_out == "") == (fit, fit)


def test_words_that_nobody_asked_for_are_left_out_without_a_word():
    assert plan_model(names(77), TrainConfig(encoder="some/model", budget=64 * 1024)).left_out == ""
    assert plan_model(names(77), TrainConfig(budget=64 * 1024)).left_out == ""


def test_words_fill_the_budget():
    """A word takes 4 bytes and its signs, sections are padded to 16: no budget gives up units or filters for that."""
    classes, plans = names(77), []
    for budget in range(215_000, 215_200):
        settings = {"encoder": "some/model", "budget": budget, "projection": {"words": {"dimensions": 64}}}
        plans.append(plan_model(classes, TrainConfig.model_validate(settings)))
        assert budget - 12 - 16 < plans[-1].size <= budget
    assert {(plan.bits, plan.units, plan.filters) for plan in plans} == {(2048, 256, 128)}
    words = [plan.words for plan in plans]
    assert words == sorted(words)
    assert len(packed(plans[-1], classes, 64)) == plans[-1].size


def test_a_budget_of_exactly_the_size_is_enough():
    classes = names(20)
    plan = plan_model(classes, config(64 * 1024))
    assert plan_model(classes, config(plan.size)) == plan


@pytest.mark.parametrize("count", [2, 20, 150])
def test_more_room_is_never_left_for_a_smaller_linear_head(count):
    sizes = [plan_model(names(count), config(budget, units=0)).bits for budget in range(16_000, 200_000, 4_000)]
    assert sizes == sorted(sizes)


def test_utf8_bytes_of_names_are_counted():
    classes = ("ä" * 300, "日" * 300, "😀" * 300)
    plan = plan_model(classes, config())
    assert len(packed(plan, classes)) == plan.size


def test_weight_bits_of_a_head():
    assert head_weight_bits(Plan(2048, 0, 4, 1)) == (4, None)
    assert head_weight_bits(Plan(2048, 64, 4, 1)) == (8, 4)


def test_a_plan_is_a_projection_that_can_be_built():
    for budget in range(3_000, 300_000, 9_000):
        plan = plan_model(("no", "yes"), config(budget))
        chosen = TrainConfig().projection
        spec = ProjectionSpec.for_text(
            bits=plan.bits,
            word_share=chosen.word_share,
            additions=chosen.additions,
            functions=chosen.functions,
            word_ngrams=chosen.word_ngrams,
            character_ngrams=chosen.character_ngrams,
        )
        assert spec.n_bits == plan.bits


# ------------------------------------------------------------------------------------------------------------- words


def words(**settings: object) -> TrainConfig:
    chosen = {"words": {"dimensions": 64} | settings}
    return TrainConfig.model_validate({"encoder": "some/model", "projection": chosen})


def test_words_and_filters_fill_the_budget():
    plan = plan_model(names(77, 20), words())
    assert (plan.bits, plan.units, plan.weight_bits, plan.filters) == (2048, 256, 2, 128)
    assert 2000 < plan.words < 8000
    assert 256 * 1024 - 12 - 16 < plan.size <= 256 * 1024


def test_no_more_words_than_asked_for():
    assert plan_model(names(5), words(most=300)).words == 300


def test_filters_give_way_to_words_and_words_to_bits():
    many = plan_model(names(600), words())
    assert (many.filters, many.units, many.weight_bits) == (128, 256, 1)
    few = plan_model(names(77), words().model_copy(update={"budget": 112 * 1024}))
    assert (few.filters, few.units, few.weight_bits) == (0, 256, 1)
    assert many.words >= 2000 <= few.words
    assert plan_model(names(77), words().model_copy(update={"budget": 64 * 1024})).words == 0


def test_members_come_before_four_bits_and_words_before_either():
    budgets = {1 << 20: (256, 8), 400 * 1024: (256, 4), 256 * 1024: (256, 2), 128 * 1024: (256, 1)}
    chosen = {budget: plan_model(names(77), TrainConfig(budget=budget)) for budget in budgets}
    assert {budget: (plan.units, plan.weight_bits) for budget, plan in chosen.items()} == budgets
    assert all(plan.words >= 2000 for plan in chosen.values())
    quick = plan_model(names(77), TrainConfig(time_budget=4000))
    assert (quick.units, quick.weight_bits, quick.words) == (128, 4, 8000)


def test_words_come_by_themselves_and_a_convolution_with_an_encoder():
    alone, encoded = (plan_model(names(5), TrainConfig(encoder=encoder)) for encoder in (None, "some/model"))
    assert (alone.words, alone.filters) == (8000, 0)
    assert encoded.filters == 128
    assert plan_model(names(5), TrainConfig(projection={"words": {"filters": 32}})).filters == 32
    assert plan_model(names(5), TrainConfig(encoder="some/model", projection={"words": {"dimensions": 0}})).words == 0
    assert plan_model(names(5), words(), thresholds=True).words == 0


@pytest.mark.parametrize(("bits", "units"), [(512, 0), (1024, 32), (16384, 16)])
def test_words_stand_beside_fixed_bits_and_units(bits, units):
    chosen = words()
    chosen = chosen.model_copy(
        update={
            "projection": chosen.projection.model_copy(update={"bits": bits}),
            "student": chosen.student.model_copy(update={"units": units}),
            "budget": 1 << 22,
        }
    )
    plan = plan_model(names(4), chosen)
    assert (plan.bits, plan.units, plan.words) == (bits, units, 8000)


# ---------------------------------------------------------------------------------------------------------- few bits


@pytest.mark.parametrize(
    ("kilobytes", "weight_bits", "expected"),
    [(256, 1, (3072, 128)), (64, 1, (3072, 128)), (32, 1, (1408, 128)), (16, 1, (2816, 32)), (32, 2, (2816, 32))],
)
def test_few_bits_keep_a_hidden_layer_in_small_budgets(kilobytes, weight_bits, expected):
    """77 classes of 21 bytes, as BANKING77 has them; what is preferred was measured on its training rows."""
    given = {
        "budget": 1024 * kilobytes,
        "pack": {"weight_bits": weight_bits},
        "projection": {"words": {"dimensions": 0}},
    }
    plan = plan_model(names(77, 21), TrainConfig.model_validate(given))
    assert (plan.bits, plan.units, plan.weight_bits) == (*expected, weight_bits)
    assert head_weight_bits(plan) == (4, weight_bits)


def test_fixed_bits_take_a_narrow_hidden_layer_where_nothing_else_fits():
    classes = names(150)
    plan = plan_model(classes, config(16 * 1024, bits=1024))
    assert (plan.bits, plan.units, plan.weight_bits) == (1024, 32, 1)
    roomy = plan_model(classes, config(96 * 1024, bits=1024))
    assert (roomy.bits, roomy.units, roomy.weight_bits) == (1024, 0, 4), "a linear head comes first"


@pytest.mark.parametrize(
    "pack", [{"pruning": 0.8}, {"pruning": 0.8, "weight_bits": 2}, {"shared": True, "pruning": 0.5}]
)
def test_pruned_weights_make_room(pack):
    fixed = {"projection": {"bits": 1024, "words": {"dimensions": 0}}, "student": {"units": 64}}
    classes = names(20)
    bits = 4 if pack.get("shared") else pack.get("weight_bits", 8)
    plain = plan_model(classes, TrainConfig.model_validate(fixed | {"pack": {"weight_bits": bits}}))
    pruned = plan_model(classes, TrainConfig.model_validate(fixed | {"pack": pack}))
    values = 1024 * 64 - int(pack["pruning"] * 1024 * 64)
    stored = 1024 * 64 // 8 + 4 * 64 + values * (1 if bits == 2 else bits) // 8
    assert abs(plain.size - pruned.size - (1024 * 64 * bits // 8 - stored)) <= 32
