"""Joint training: which term moves which network, what both learn, and that it repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from projgraph.config import StudentConfig
from projgraph.errors import ConfigError, InputError
from projgraph.graph.csr import from_csr
from projgraph.projection.fit import StudentTask, Targets, fit_student, sharpen
from projgraph.projection.joint import Joint, JointFit, fit_jointly
from projgraph.projection.straight_through import Tuning
from projgraph.records import UNLABELLED, Bits, Graph
from projgraph.trainers.prior import fit_prior, predict_prior

pytestmark = pytest.mark.usefixtures("one_thread")

N_ROWS, N_BITS = 120, 32
OFF = {"trainer": 0.0, "distil": 0.0, "gold": 0.0, "edges": 0.0, "hamming": 0.0}
TERMS = tuple(OFF)


def config(loss: dict[str, float] | None = None, **changes: float) -> StudentConfig:
    """Small steps; nothing here is a tuned value."""
    given = {"epochs": 6, "min_steps": 1, "batch": 32, "rate": 0.02, "dropout": 0.0, "held_out": 0.2, "joint": True}
    return StudentConfig.model_validate({**given, **changes, "loss": {**OFF, **(loss or {})}})


ALL = config(dict.fromkeys(TERMS, 1.0))


@pytest.fixture(scope="module")
def clusters() -> tuple[Bits, np.ndarray, Targets, Graph, np.ndarray]:
    """Two clusters, told apart by bits and by features; the beliefs are 0.8 sure, two rows a class are labelled."""
    generator = np.random.default_rng(0)
    labels = np.arange(N_ROWS) % 2
    words = generator.choice(np.array([-1, 1], dtype=np.int8), size=(2, N_BITS))
    values = np.where(generator.random((N_ROWS, N_BITS)) < 0.25, 0, words[labels]).astype(np.int8)
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    features = (np.array([[1, 0], [0, 1]])[labels] + 0.1 * generator.normal(size=(N_ROWS, 2))).astype(np.float32)
    beliefs = np.full((N_ROWS, 2), 0.2, dtype=np.float32)
    beliefs[np.arange(N_ROWS), labels] = 0.8
    gold = np.where(np.arange(N_ROWS) < 4, labels, UNLABELLED)
    dense = np.zeros((N_ROWS, N_ROWS), dtype=np.float32)
    one = np.arange(N_ROWS - 1)
    dense[one, one + 1] = dense[one + 1, one] = 1.0
    graph = from_csr(sparse.csr_array(dense))
    return Bits(planes[0], planes[1], N_BITS), features, sharpen(beliefs, gold, 2.0), graph, labels


def fit(clusters, chosen: StudentConfig, units: int = 0, seed: int = 0) -> Joint:
    bits, features, targets, graph, _ = clusters
    return fit_jointly(StudentTask(bits, targets, chosen, units=units, seed=seed, graph=graph, hamming=graph), features)


def weights_of(module: torch.nn.Sequential) -> list[np.ndarray]:
    return [parameter.detach().numpy().copy() for parameter in module.parameters()]


def gradients(clusters, chosen: StudentConfig, units: int = 4) -> tuple[list[float], list[float]]:
    """Largest gradient of each parameter of student and trainer, -1 for one that the loss does not know."""
    bits, features, targets, graph, _ = clusters
    run = JointFit(StudentTask(bits, targets, chosen, units=units, graph=graph, hamming=graph), features)
    run.terms(np.arange(40))["loss"].backward()
    student, teacher = (
        [-1.0 if weight.grad is None else float(weight.grad.abs().max()) for weight in module.parameters()]
        for module in (run.head, run.trainer)
    )
    return student, teacher


# ---------------------------------------------------------------------------------------------------- which term moves


@pytest.mark.parametrize("units", [0, 8])
def test_with_the_trainer_term_alone_the_student_does_not_move(clusters, units):
    bits, features, targets, graph, _ = clusters
    run = JointFit(
        StudentTask(bits, targets, config({"trainer": 1.0}), units=units, graph=graph, hamming=graph), features
    )
    student, teacher = weights_of(run.head), weights_of(run.trainer)
    for _ in run.run(np.arange(N_ROWS), 3):
        pass
    assert all(np.array_equal(one, other) for one, other in zip(student, weights_of(run.head), strict=True))
    assert all(np.abs(one - other).max() > 0.01 for one, other in zip(teacher, weights_of(run.trainer), strict=True))


@pytest.mark.parametrize(
    ("term", "student_moves", "trainer_moves"),
    [
        ("trainer", False, True),
        ("distil", True, True),
        ("gold", True, False),
        ("edges", True, True),
        ("hamming", True, False),
    ],
)
def test_which_network_a_term_moves(clusters, term, student_moves, trainer_moves):
    # Two hidden layers, since at a linear head's start, zero, all rows agree and consistency has no gradient.
    student, teacher = gradients(clusters, config({term: 1.0}, joint_units=4))
    assert all(gradient > 0 for gradient in student) if student_moves else set(student) == {-1.0}
    assert all(gradient > 0 for gradient in teacher) if trainer_moves else set(teacher) == {-1.0}


def test_without_feedback_the_trainer_does_not_hear_the_student(clusters):
    student, teacher = gradients(clusters, config({"distil": 1.0}, joint_units=4, feedback=0.0))
    assert all(gradient > 0 for gradient in student)
    assert set(teacher) == {0.0}
    whole, half = (
        gradients(clusters, config({"distil": 1.0}, joint_units=4, feedback=share))[1] for share in (1.0, 0.5)
    )
    np.testing.assert_allclose(half, np.array(whole) / 2, rtol=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_weight_zero_leaves_the_gradient_of_the_others(clusters, term):
    """The gradient is that of a loss written without the term: nothing of it leaks in."""
    bits, features, targets, graph, _ = clusters
    chosen = config({**dict.fromkeys(TERMS, 0.7), term: 0.0})
    run = JointFit(StudentTask(bits, targets, chosen, units=4, graph=graph, hamming=graph), features)
    terms = run.terms(np.arange(40))
    without = sum(0.7 * value for name, value in terms.items() if name not in (term, "loss"))
    assert terms["loss"].item() == pytest.approx(without.item(), rel=1e-6)
    parameters = run.parameters()
    found = torch.autograd.grad(terms["loss"], parameters, retain_graph=True, allow_unused=True)
    expected = torch.autograd.grad(without, parameters, allow_unused=True)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-7)


def test_the_lesson_is_the_sharpened_distribution_of_the_trainer(clusters):
    """The distillation term at a known start equals the one of `sharpen` on the trainer's distributions."""
    bits, features, targets, graph, _ = clusters
    start = np.array([[2.0, -1.0], [0.5, 1.0], [0.1, 0.0]], dtype=np.float32)
    run = JointFit(StudentTask(bits, targets, config({"distil": 1.0}), graph=graph, hamming=graph), features, start)
    logits = features @ start[:2] + start[2]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    lesson = sharpen(shares, targets.gold, 2.0)
    # The student at zero says 1/2 for both classes, so that every row costs ln 2, whatever the lesson.
    assert run.terms(np.arange(N_ROWS))["distil"].item() == pytest.approx(np.log(2), rel=1e-6)
    torch.nn.init.constant_(run.head.over_bits.bias[:1], 1.0)
    log_share = np.array([1.0, 0.0]) - np.log(1 + np.e)
    expected = -(lesson.weights * (lesson.distributions * log_share).sum(axis=1)).sum() / lesson.weights.sum()
    assert run.terms(np.arange(N_ROWS))["distil"].item() == pytest.approx(expected, rel=1e-5)


def test_nothing_to_learn_from(clusters):
    with pytest.raises(
        ConfigError, match=r"no term of the loss is on: of trainer, distil, gold, .* raise student.loss"
    ):
        fit(clusters, config())
    bits, _, targets, _, _ = clusters
    with pytest.raises(ConfigError, match=r"no term of the loss is on: of distil, gold, which this data has"):
        fit_student(StudentTask(bits, targets, config({"edges": 1.0})))


# ------------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("joint_units", [0, 8])
@pytest.mark.parametrize("units", [0, 8])
def test_both_networks_learn_two_clusters(clusters, units, joint_units):
    bits, _, targets, _, labels = clusters
    chosen = config({"trainer": 1, "distil": 1, "gold": 0.1}, epochs=20, joint_units=joint_units, held_out=0)
    joint = fit(clusters, chosen, units)
    values = bits.values(np.float32)
    if joint.student.hidden is not None:
        values = np.maximum(values @ joint.student.hidden.weights + joint.student.hidden.bias, 0)
    logits = values @ joint.student.output.weights + joint.student.output.bias
    assert np.array_equal(logits.argmax(axis=1), labels)
    assert np.array_equal(joint.distributions.argmax(axis=1), labels)
    np.testing.assert_allclose(joint.distributions.sum(axis=1), 1, rtol=1e-5)
    labelled = targets.gold != UNLABELLED
    assert np.array_equal(joint.distributions[labelled], np.eye(2)[labels[labelled]])


def test_a_linear_trainer_starts_at_the_regression_on_the_targets(clusters):
    _, features, targets, _, _ = clusters
    joint = fit(clusters, config({"trainer": 1.0}, rate=1e-9, epochs=1, held_out=0))
    expected = predict_prior(features, fit_prior(features, targets.distributions, targets.weights, 1e-5))
    free = targets.gold == UNLABELLED
    np.testing.assert_allclose(joint.distributions[free], expected[free], atol=1e-5)


def test_history_has_every_term(clusters):
    joint = fit(clusters, ALL)
    figures = joint.student.history[-1]
    assert set(figures) == {"epoch", "loss", *TERMS, "held_out_loss", "held_out_accuracy"}
    assert figures["loss"] == pytest.approx(sum(figures[name] for name in TERMS), rel=1e-4)


def test_both_fits_are_tuned_and_the_trainer_beside_them(clusters):
    bits, features, targets, graph, labels = clusters
    task = StudentTask(
        bits, targets, config(dict.fromkeys(TERMS, 1.0), epochs=12, held_out=0.25), 0, graph=graph, hamming=graph
    )
    plain, tuned, same = (
        fit_jointly(task, features, tuning=tuning) for tuning in (None, *[Tuning(1, 0.0, 6, 1, 0.01)] * 2)
    )
    assert tuned.student.first_fit is not None
    for layer in (tuned.student.first_fit.output, tuned.student.output):
        assert {len(np.unique(np.abs(column))) for column in layer.weights.T} == {1}
    assert min(len(np.unique(np.abs(column))) for column in plain.student.output.weights.T) > 1
    assert plain.student.history == tuned.student.history
    assert not np.array_equal(plain.distributions, tuned.distributions), "both networks move in every step"
    np.testing.assert_allclose(tuned.distributions.sum(axis=1), 1, rtol=1e-5)
    assert np.array_equal(tuned.distributions.argmax(axis=1), labels)
    head, values = tuned.student.first_fit.output, bits.select(tuned.student.held_out).values(np.float32)
    np.testing.assert_allclose(values @ head.weights + head.bias, tuned.student.held_out_logits, rtol=1e-4, atol=1e-4)
    assert same.student.output.weights.tobytes() == tuned.student.output.weights.tobytes()
    assert same.distributions.tobytes() == tuned.distributions.tobytes()


# --------------------------------------------------------------------------------------------------------- invariances


@pytest.mark.parametrize("units", [0, 8])
def test_same_seed_same_bytes(clusters, units):
    one, same, other = (fit(clusters, ALL, units, seed) for seed in (3, 3, 4))
    assert one.student.output.weights.tobytes() == same.student.output.weights.tobytes()
    assert one.distributions.tobytes() == same.distributions.tobytes()
    assert one.student.history == same.student.history
    assert one.distributions.tobytes() != other.distributions.tobytes()


def test_the_scale_of_edge_weights_does_not_matter(clusters):
    bits, features, targets, graph, _ = clusters
    heavy = Graph(graph.indptr, graph.indices, graph.weights * 4)
    one, other = (
        fit_jointly(StudentTask(bits, targets, ALL, graph=each, hamming=each), features) for each in (graph, heavy)
    )
    assert np.array_equal(one.student.output.weights, other.student.output.weights)
    assert np.array_equal(one.distributions, other.distributions)


def test_the_names_of_the_classes_do_not_matter(clusters):
    bits, features, targets, graph, _ = clusters
    gold = np.where(targets.gold == UNLABELLED, UNLABELLED, 1 - targets.gold)
    swapped = Targets(targets.distributions[:, ::-1].copy(), targets.weights, gold, targets.beliefs[:, ::-1].copy())
    one, other = (
        fit_jointly(StudentTask(bits, each, ALL, graph=graph, hamming=graph), features) for each in (targets, swapped)
    )
    np.testing.assert_allclose(one.student.output.weights, other.student.output.weights[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(one.distributions, other.distributions[:, ::-1], atol=1e-4)


def test_the_callers_random_state_is_left_alone(clusters):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit(clusters, config({"trainer": 1, "distil": 1}, epochs=1, dropout=0.5, joint_units=4), 8)
    assert torch.equal(torch.rand(4), expected)


# ----------------------------------------------------------------------------------------------------------- bad input


def test_features_of_other_rows(clusters):
    bits, features, targets, graph, _ = clusters
    with pytest.raises(InputError, match=r"120 rows of bits, features of shape \(119, 2\), targets of 120 rows"):
        fit_jointly(StudentTask(bits, targets, ALL, graph=graph, hamming=graph), features[1:])


def test_features_that_are_not_finite(clusters):
    bits, features, targets, graph, _ = clusters
    with pytest.raises(InputError, match="the features hold NaN or infinity; clean them or drop those rows"):
        fit_jointly(
            StudentTask(bits, targets, ALL, graph=graph, hamming=graph), np.where(features > 1, np.nan, features)
        )
