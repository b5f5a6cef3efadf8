"""The student's fit: it learns what bits can tell, repeats itself, ends as planned, and heeds the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from projgraph.config import StudentConfig
from projgraph.errors import InputError
from projgraph.graph.csr import from_csr
from projgraph.projection.fit import Student, StudentTask, Targets, fit_student, sharpen
from projgraph.projection.words import WordRows
from projgraph.records import UNLABELLED, Bits, Graph

pytestmark = pytest.mark.usefixtures("one_thread")

N_BITS = 64


def config(loss: dict[str, float] | None = None, **changes: float) -> StudentConfig:
    """Small steps; nothing here is a tuned value."""
    given = {"epochs": 8, "min_steps": 1, "batch": 32, "rate": 0.02, "dropout": 0.0, "held_out": 0.2}
    terms = {"distil": 1.0, "gold": 0.1, "edges": 0.0, "hamming": 0.0, **(loss or {})}
    return StudentConfig.model_validate({**given, **changes, "loss": terms})


def pack(values: np.ndarray) -> Bits:
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    return Bits(planes[0], planes[1], values.shape[1])


def logits(student: Student, bits: Bits) -> np.ndarray:
    """The head as the record describes it, in numpy."""
    values = bits.values(np.float32)
    if student.hidden is not None:
        values = np.maximum(values @ student.hidden.weights + student.hidden.bias, 0)
    return values @ student.output.weights + student.output.bias


def softmax(rows: np.ndarray) -> np.ndarray:
    odds = np.exp(rows - rows.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def certain(labels: np.ndarray, n_classes: int) -> Targets:
    beliefs = np.eye(n_classes, dtype=np.float32)[labels]
    return sharpen(beliefs, np.full(len(labels), UNLABELLED, dtype=np.int64), 1.0)


@pytest.fixture(scope="module")
def separable():
    """Three classes, each with a word of 64 bits of which a quarter is lost in every row."""
    generator = np.random.default_rng(0)
    labels = np.arange(240) % 3
    words = generator.choice(np.array([-1, 1], dtype=np.int8), size=(3, N_BITS))
    values = np.where(generator.random((240, N_BITS)) < 0.25, 0, words[labels]).astype(np.int8)
    return pack(values), labels


# ------------------------------------------------------------------------------------------------------------ targets

BELIEFS = np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], dtype=np.float32)
NO_GOLD = np.full(3, UNLABELLED, dtype=np.int64)


def test_sharpen_by_hand():
    targets = sharpen(BELIEFS, NO_GOLD, 2.0)
    np.testing.assert_allclose(
        targets.distributions, [[4 / 6, 1 / 6, 1 / 6], [1 / 11, 1 / 11, 9 / 11], [1, 0, 0]], rtol=1e-6
    )
    np.testing.assert_allclose(targets.weights, [0.5, 0.6, 1.0], rtol=1e-6)
    assert np.array_equal(targets.beliefs, BELIEFS)
    assert targets.gold is NO_GOLD


def test_power_one_leaves_beliefs_as_they_are():
    np.testing.assert_allclose(sharpen(BELIEFS, NO_GOLD, 1.0).distributions, BELIEFS, rtol=1e-6)


def test_great_power_leaves_the_maximum_and_no_nan():
    tiny = np.array([[1e-30, 1 - 1e-7, 1e-7]], dtype=np.float32)
    np.testing.assert_allclose(sharpen(tiny, NO_GOLD[:1], 16.0).distributions, [[0, 1, 0]], atol=1e-6)


def test_labelled_rows_are_certain():
    gold = np.array([UNLABELLED, 0, UNLABELLED])
    before = BELIEFS.copy()
    targets = sharpen(BELIEFS, gold, 3.0)
    assert targets.distributions[1].tolist() == [1, 0, 0]
    assert targets.weights[1] == 1.0
    assert targets.weights[0] == 0.5
    assert np.array_equal(BELIEFS, before)


# ---------------------------------------------------------------------------------------------------------------- fit


@pytest.mark.parametrize("units", [0, 16])
def test_separable_bits_are_learnt_without_error(separable, units):
    bits, labels = separable
    student = fit_student(StudentTask(bits, certain(labels, 3), config(), units=units))
    assert (student.hidden is None) == (units == 0)
    if student.hidden is not None:
        assert student.hidden.weights.shape == (N_BITS, units)
        assert student.hidden.bias.shape == (units,)
    assert student.output.weights.shape == (units or N_BITS, 3)
    assert student.output.bias.shape == (3,)
    assert student.output.weights.dtype == np.float32
    assert np.array_equal(logits(student, bits).argmax(axis=1), labels)
    assert np.array_equal(student.held_out_logits.argmax(axis=1), labels[student.held_out])
    assert student.history[-1]["held_out_accuracy"] == 1.0


def test_soft_targets_are_met():
    # One bit that is set or not: a linear head can say any two distributions.
    values = np.repeat(np.array([[1], [-1]], dtype=np.int8), 64, axis=0)
    beliefs = np.repeat(np.array([[0.9, 0.1], [0.3, 0.7]], dtype=np.float32), 64, axis=0)
    targets = sharpen(beliefs, np.full(128, UNLABELLED, dtype=np.int64), 1.0)
    fitted = fit_student(StudentTask(pack(values), targets, config(epochs=60, held_out=0, weight_decay=0)))
    np.testing.assert_allclose(softmax(logits(fitted, pack(values))), beliefs, atol=0.02)


@pytest.mark.parametrize("units", [0, 8])
def test_same_seed_same_weights(separable, units):
    bits, labels = separable
    one, same, other = (
        fit_student(StudentTask(bits, certain(labels, 3), config(epochs=3), units=units, seed=seed))
        for seed in (5, 5, 6)
    )
    assert np.array_equal(one.output.weights, same.output.weights)
    assert np.array_equal(one.output.bias, same.output.bias)
    assert np.array_equal(one.held_out, same.held_out)
    assert one.history == same.history
    assert not np.array_equal(one.output.weights, other.output.weights)


def test_same_seed_same_weights_with_dropout(separable):
    bits, labels = separable
    torch.manual_seed(1)
    one = fit_student(StudentTask(bits, certain(labels, 3), config(epochs=2, dropout=0.5), units=8, seed=5))
    torch.manual_seed(2)
    same = fit_student(StudentTask(bits, certain(labels, 3), config(epochs=2, dropout=0.5), units=8, seed=5))
    assert np.array_equal(one.output.weights, same.output.weights), "whatever the caller has drawn before"


def test_the_callers_random_state_is_left_alone(separable):
    bits, labels = separable
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit_student(StudentTask(bits, certain(labels, 3), config(epochs=1), units=8))
    assert torch.equal(torch.rand(4), expected)


def test_the_callers_threads_are_left_alone(separable):
    bits, labels = separable
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen: list[int] = []
        fit_student(
            StudentTask(bits, certain(labels, 3), config(epochs=1)), lambda _: seen.append(torch.get_num_threads())
        )
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_history_and_listener(separable):
    bits, labels = separable
    heard: list[dict[str, float]] = []
    gold = np.where(np.arange(240) < 30, labels, UNLABELLED)
    targets = sharpen(np.eye(3, dtype=np.float32)[labels], gold, 1.0)
    student = fit_student(
        StudentTask(bits, targets, config({"distil": 1.0, "gold": 0.5}, epochs=4)), listener=heard.append
    )
    assert heard == list(student.history)
    assert [figures["epoch"] for figures in heard] == [1.0, 2.0, 3.0, 4.0]
    for figures in heard:
        assert set(figures) - JUDGED == {"epoch", "loss", "distil", "gold"}
        assert figures["loss"] == pytest.approx(figures["distil"] + 0.5 * figures["gold"], rel=1e-4)
    assert heard[-1]["loss"] < heard[0]["loss"]


JUDGED = {"held_out_loss", "held_out_accuracy"}


@pytest.mark.parametrize(
    ("epochs", "batch", "judged"),
    [
        (3, 5, [1, 2, 3]),  # 39 steps an epoch
        (5, 6, [1, 2, 3, 4, 5]),  # 32
        (5, 8, [2, 4, 5]),  # 24
        (25, 32, [6, 12, 18, 24, 25]),  # 6
        (12, 32, [6, 12]),
        (3, 1000, [3]),
    ],
)
def test_held_out_rows_are_judged_every_32_steps_and_at_the_end(separable, epochs, batch, judged):
    bits, labels = separable
    student = fit_student(StudentTask(bits, certain(labels, 3), config(epochs=epochs, batch=batch)))
    assert [figures["epoch"] for figures in student.history] == list(range(1, epochs + 1))
    assert [figures["epoch"] for figures in student.history if set(figures) >= JUDGED] == judged
    assert [figures["epoch"] for figures in student.history if JUDGED & set(figures)] == judged


@pytest.mark.parametrize(("share", "most", "expected"), [(0.2, 1000, 48), (0.5, 17, 17), (0.0, 1000, 0), (0.001, 9, 0)])
def test_held_out_rows(separable, share, most, expected):
    bits, labels = separable
    student = fit_student(StudentTask(bits, certain(labels, 3), config(epochs=2, held_out=share, held_out_rows=most)))
    assert len(np.unique(student.held_out)) == len(student.held_out) == expected
    assert (np.diff(student.held_out) > 0).all()
    assert student.held_out_logits.shape == (expected, 3)
    assert ("held_out_loss" in student.history[-1]) == (expected > 0)


def test_held_out_figures_are_of_the_held_out_rows(separable):
    bits, labels = separable
    heard: list[dict[str, float]] = []
    student = fit_student(StudentTask(bits, certain(labels, 3), config(epochs=3)), heard.append)
    shares = softmax(student.held_out_logits.astype(np.float64))
    truth = labels[student.held_out]
    loss = -np.log(shares[np.arange(len(truth)), truth]).mean()
    assert heard[-1]["held_out_loss"] == pytest.approx(loss, rel=1e-4)
    assert heard[-1]["held_out_accuracy"] == (shares.argmax(axis=1) == truth).mean()


def noise() -> tuple[Bits, Targets]:
    """Labels that no bit knows anything of: the longer the fit, the worse on rows it has not seen."""
    generator = np.random.default_rng(1)
    values = generator.choice(np.array([-1, 1], dtype=np.int8), size=(120, N_BITS))
    return pack(values), certain(generator.integers(0, 2, size=120), 2)


def test_the_schedule_runs_to_its_end_though_held_out_rows_get_worse():
    bits, targets = noise()
    student = fit_student(StudentTask(bits, targets, config(epochs=40, rate=0.1)))
    assert len(student.history) == 40
    losses = [figures["held_out_loss"] for figures in student.history if "held_out_loss" in figures]
    assert losses[-1] > min(losses)


def test_held_out_logits_are_of_the_last_epoch():
    bits, targets = noise()
    student = fit_student(StudentTask(bits, targets, config(epochs=40, rate=0.1)))
    shares = softmax(student.held_out_logits.astype(np.float64))
    losses = -np.log((shares * targets.distributions[student.held_out]).sum(axis=1))
    assert losses.mean() == pytest.approx(student.history[-1]["held_out_loss"], rel=1e-4)


def test_without_held_out_rows_every_epoch_is_run():
    bits, targets = noise()
    student = fit_student(StudentTask(bits, targets, config(epochs=12, rate=0.1, held_out=0)))
    assert [figures["epoch"] for figures in student.history] == list(np.arange(1.0, 13.0))


def test_a_small_set_is_passed_over_more_often():
    chosen = StudentConfig(epochs=5, min_steps=600, batch=100)
    assert chosen.epochs_for(1) == 600
    assert chosen.epochs_for(1000) == 60
    assert chosen.epochs_for(1001) == 54
    assert chosen.epochs_for(1_000_000) == 5


# -------------------------------------------------------------------------------------------------------------- edges


@pytest.fixture(scope="module")
def pairs():
    """Forty pairs of rows of two separable classes, and the graph that joins each pair across the classes."""
    generator = np.random.default_rng(2)
    labels = np.repeat([0, 1], 40)
    words = generator.choice(np.array([-1, 1], dtype=np.int8), size=(2, N_BITS))
    values = np.where(generator.random((80, N_BITS)) < 0.25, 0, words[labels]).astype(np.int8)
    targets = certain(labels, 2)
    one, other = np.arange(40), np.arange(40, 80)
    dense = np.zeros((80, 80), dtype=np.float32)
    dense[one, other] = dense[other, one] = 1
    return pack(values), targets, from_csr(sparse.csr_array(dense))


def disagreement(student: Student, bits: Bits) -> float:
    """Mean total variation distance between the rows of a pair."""
    shares = softmax(logits(student, bits))
    return float(np.abs(shares[:40] - shares[40:]).sum(axis=1).mean() / 2)


@pytest.mark.parametrize("term", ["edges", "hamming"])
def test_edges_make_neighbours_agree(pairs, term):
    bits, targets, graph = pairs
    joined = {"graph" if term == "edges" else "hamming": graph}
    without, little, much = (
        fit_student(StudentTask(bits, targets, config({term: weight}, epochs=20, held_out=0), **joined))
        for weight in (0.0, 0.5, 20.0)
    )
    assert disagreement(without, bits) > 0.9
    assert disagreement(little, bits) < disagreement(without, bits)
    assert disagreement(much, bits) < 0.5 * disagreement(without, bits)
    assert term not in without.history[0]
    last = much.history[-1]
    assert last["loss"] == pytest.approx(last["distil"] + 0.1 * last["gold"] + 20 * last[term], rel=1e-3)
    assert 0 <= last[term] <= np.log(2)


def test_a_term_of_weight_zero_is_off(pairs):
    bits, targets, graph = pairs
    one = fit_student(StudentTask(bits, targets, config(epochs=2), graph=graph, hamming=graph))
    other = fit_student(StudentTask(bits, targets, config(epochs=2)))
    assert np.array_equal(one.output.weights, other.output.weights)


def test_nodes_without_edges_are_fitted_as_if_there_were_no_graph(pairs):
    bits, targets, _ = pairs
    nothing = Graph(np.zeros(81, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
    # One batch an epoch: its gradient does not depend on the order of its rows, which drawing edges changes.
    joined, alone = (
        fit_student(StudentTask(bits, targets, config(loss, epochs=2, batch=80, held_out=0), graph=nothing))
        for loss in ({"edges": 1.0}, {})
    )
    assert joined.history[-1]["edges"] == 0.0
    np.testing.assert_allclose(joined.output.weights, alone.output.weights, atol=1e-5)
    assert np.abs(alone.output.weights).max() > 1e-3


# ------------------------------------------------------------------------------------------------------------- copies


@pytest.fixture(scope="module")
def halves(separable):
    """The separable rows with their second half of bits blank, and copies of them with the first half blank."""
    bits, labels = separable
    first, second = bits.values(), bits.values()
    first[:, N_BITS // 2 :] = 0
    second[:, : N_BITS // 2] = 0
    return pack(first), pack(second), labels


def stacked(*versions: Bits) -> Bits:
    return pack(np.concatenate([bits.values() for bits in versions]))


def test_copies_of_rows_are_learnt_beside_them(halves):
    rows, copies, labels = halves
    alone = fit_student(StudentTask(rows, certain(labels, 3), config()))
    both = fit_student(StudentTask(stacked(rows, copies), certain(labels, 3), config(epochs=16)))
    assert (logits(alone, copies).argmax(axis=1) == labels).mean() < 0.8
    assert (logits(both, copies).argmax(axis=1) == labels).mean() > 0.97
    assert (logits(both, rows).argmax(axis=1) == labels).mean() > 0.97
    again = fit_student(StudentTask(stacked(rows, copies), certain(labels, 3), config(epochs=16)))
    np.testing.assert_array_equal(both.output.weights, again.output.weights)


def test_held_out_rows_are_judged_as_they_are(halves):
    rows, copies, labels = halves
    student = fit_student(StudentTask(stacked(rows, copies), certain(labels, 3), config(epochs=16)))
    assert len(student.held_out) == 48
    assert student.held_out.max() < len(labels)
    assert (student.held_out_logits.argmax(axis=1) == labels[student.held_out]).mean() > 0.95


def test_half_a_copy_is_told(halves):
    rows, _, labels = halves
    seen = stacked(rows, rows.select(np.arange(7)))
    with pytest.raises(InputError) as error:
        fit_student(StudentTask(seen, certain(labels, 3), config()))
    assert str(error.value) == (
        "there are 247 rows of bits for 240 targets; expected as many, or whole copies of them behind"
    )


def test_a_fit_learns_at_the_rate_that_its_filters_ask_for(separable):
    bits, labels = separable
    words = WordRows(
        codes=np.array([[1, -1] * 4, [-1, 1] * 4, [1, 1, -1, -1] * 2], dtype=np.int8),
        rows=labels.astype(np.int64),
        offsets=np.arange(len(labels) + 1, dtype=np.int64),
        sums=np.zeros((len(labels), 8), dtype=np.float32),
    )

    def weights(rate: float | None, filters: int) -> np.ndarray:
        settings = config().model_copy(update={"rate": rate, "epochs": 2})
        task = StudentTask(bits, certain(labels, 3), settings, units=4, words=words, filters=filters)
        return fit_student(task).output.weights

    for filters, rate in ((0, 0.002), (3, 0.004)):
        np.testing.assert_array_equal(weights(None, filters), weights(rate, filters))
        assert (weights(None, filters) != weights(0.006 - rate, filters)).any()
