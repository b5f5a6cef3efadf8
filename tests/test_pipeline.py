"""The whole training on a small corpus of made-up topics, without files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from projgraph import native, pipeline
from projgraph.config import TrainConfig, load_config
from projgraph.errors import BudgetError, ConfigError, InputError
from projgraph.evaluate.calibration import fit_temperature
from projgraph.native import NativeModel
from projgraph.pack.model import ProjectionModel
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantise import quantise
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.write import model_bytes
from projgraph.records import UNLABELLED, Dataset, Texts
from projgraph.trust import student_temperature, tempered

pytestmark = pytest.mark.usefixtures("one_thread")

TOPICS = {
    "cooking": ["oven", "pan", "butter", "onion", "simmer", "flour", "whisk", "garlic"],
    "sailing": ["mast", "rudder", "harbour", "anchor", "tide", "keel", "sail", "buoy"],
    "tennis": ["racket", "serve", "volley", "court", "umpire", "net", "deuce", "lob"],
}
COMMON = ["the", "a", "with", "of", "near", "every", "some", "before", "after", "quite"]


def corpus(rows: int = 150, labelled: int = 4, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Rows of a few words of a topic among words that say nothing, and their true classes."""
    generator = np.random.default_rng(seed)
    truth = np.arange(rows) % len(TOPICS)
    words = list(TOPICS.values())
    texts = []
    for topic in truth:
        chosen = [*generator.choice(words[topic], 3), *generator.choice(COMMON, 3)]
        texts.append(" ".join(generator.permutation(chosen)))
    labels = np.where(np.arange(rows) < labelled * len(TOPICS), truth, UNLABELLED).astype(np.int64)
    return Dataset(Texts.from_strings(texts), labels, tuple(TOPICS)), truth


@pytest.fixture(scope="module")
def config(small_settings) -> TrainConfig:
    return load_config(None, (), small_settings)


def changed(config: TrainConfig, **settings: object) -> TrainConfig:
    """Settings by dotted name with __ for the dot."""
    return load_config(None, (), config.flattened() | {name.replace("__", "."): settings[name] for name in settings})


def quiet(line: str) -> None:
    del line


def to_bytes(trained: pipeline.Trained) -> bytes:
    return model_bytes(trained.model, {})


@pytest.fixture(scope="module")
def trained(config):
    lines: list[str] = []
    heard: list[dict[str, float]] = []
    dataset, truth = corpus()
    return pipeline.train(dataset, config, lines.append, heard.append), dataset, truth, lines, heard


def test_trainer_and_student_know_the_topics(trained):
    result, dataset, truth, _, _ = trained
    assert (result.taught.labels == truth).mean() > 0.95
    assert result.taught.reached.all()
    assert result.graph is not None
    assert result.graph.n_nodes == len(dataset)
    labels = NativeModel(to_bytes(result)).labels(dataset.texts)
    assert (labels == truth).mean() > 0.9
    fresh, fresh_truth = corpus(90, seed=1)
    assert (NativeModel(to_bytes(result)).labels(fresh.texts) == fresh_truth).mean() > 0.85


def test_the_core_gives_the_integers_of_the_model(trained):
    result, dataset, _, _, _ = trained
    core = NativeModel(to_bytes(result))
    assert core.classes == tuple(TOPICS)
    assert np.array_equal(core.scores(dataset.texts), result.model.scores(result.bits.values()))
    bits = native.project(result.model.projection, dataset.texts)
    assert np.array_equal(bits.values(), result.bits.values())


def test_dimensions_are_those_of_the_plan(trained, config):
    result, _, _, _, _ = trained
    assert (result.plan.bits, result.plan.units) == (512, 0)
    assert (result.model.n_bits, result.model.units) == (512, 0)
    assert result.model.output.weight_bits == result.plan.weight_bits
    assert len(to_bytes(result)) <= result.plan.size <= config.budget
    spec = ProjectionSpec.from_bytes(result.model.projection)
    assert (spec.functions, spec.seed) == (config.projection.functions, config.seed)


def test_rounding_loses_little(trained):
    result, dataset, _, _, _ = trained
    values = result.bits.values(np.float32)
    exact = (values @ result.student.output.weights + result.student.output.bias).argmax(axis=1)
    rounded = NativeModel(to_bytes(result)).labels(dataset.texts)
    expected = result.taught.labels
    assert result.quantisation_drop == pytest.approx((exact == expected).mean() - (rounded == expected).mean())
    assert abs(result.quantisation_drop) < 0.03


def test_probabilities_follow_the_float_head(trained):
    result, _, _, _, _ = trained
    head = result.student.output
    exact = result.bits.values(np.float32) @ head.weights + head.bias
    rounded = result.model.scores(result.bits.values()) * result.model.scale * result.temperature
    assert (rounded - exact).std() < 0.02 * exact.std()
    assert np.abs(rounded - exact).max() < 0.1 * np.abs(exact).max()


def test_a_student_is_as_sure_as_it_is_expected_to_be_right(config):
    dataset, _ = corpus()
    result, taught = pipeline.train_and_keep(dataset, config, quiet)
    held_out, logits = result.student.held_out, result.student.held_out_logits
    believed, labels = tempered(taught.labels.probabilities[held_out], taught.temperature), dataset.labels[held_out]
    assert (labels == UNLABELLED).any()
    assert result.temperature == student_temperature(logits, believed, labels)
    assert result.temperature != pytest.approx(fit_temperature(logits, believed), rel=1e-3)


def test_a_tuning_has_half_the_rate_of_its_fit():
    default, given = TrainConfig(), load_config(None, (), {"student.rate": 0.01})
    assert [pipeline.weight_tuning(2, default, filters).rate for filters in (0, 128)] == [0.001, 0.002]
    assert [pipeline.weight_tuning(2, given, filters).rate for filters in (0, 128)] == [0.005, 0.005]


def test_stages_are_told_and_timed_in_their_order(trained):
    result, _, _, lines, heard = trained
    assert [line.partition(":")[0] for line in lines] == [
        "features", "graph", "labels", *["trainer"] * 4, "bits", "student", "integers",
    ]  # fmt: skip
    assert lines[5:7] == [f"trainer: labels drawn anew from its own, draw {draw} of 2" for draw in (1, 2)]
    assert lines[0] == "features: 150 texts"
    assert lines[7] == "bits: 150 rows x 512 bits"
    assert lines[8] == "student: a linear head"
    assert list(result.seconds) == ["features", "graph", "trainer", "trust", "bits", "student", "pack"]
    assert heard == list(result.student.history)


def test_same_seed_same_bytes(trained, config):
    result, dataset, _, _, _ = trained
    assert to_bytes(pipeline.train(dataset, config, quiet)) == to_bytes(result)
    assert to_bytes(pipeline.train(dataset, changed(config, seed=1), quiet)) != to_bytes(result)


def test_without_unlabelled_rows_there_is_no_graph(config):
    dataset, truth = corpus(90, labelled=30)
    lines: list[str] = []
    result = pipeline.train(dataset, config, lines.append)
    assert result.graph is None
    assert result.taught.reached.all()
    assert np.array_equal(result.taught.probabilities, np.eye(3)[truth])
    assert list(result.seconds) == ["bits", "student", "pack"]
    assert not any(line.startswith(("features", "graph", "trainer")) for line in lines)
    assert (NativeModel(to_bytes(result)).labels(dataset.texts) == truth).mean() > 0.95


def test_hidden_head(config):
    dataset, truth = corpus()
    chosen = changed(config, student__units=16, student__dropout=0.0, student__min_steps=100, pack__weight_bits=4)
    result = pipeline.train(dataset, chosen, quiet)
    assert (result.plan.units, result.plan.weight_bits) == (16, 4)
    assert result.model.hidden is not None
    assert (result.model.hidden.weight_bits, result.model.output.weight_bits) == (4, 8)
    core = NativeModel(to_bytes(result))
    assert np.array_equal(core.scores(dataset.texts), result.model.scores(result.bits.values()))
    assert (core.labels(dataset.texts) == truth).mean() > 0.9


@pytest.mark.parametrize(
    ("pack", "kind", "zeros", "units", "words"),
    [
        ({"weight_bits": 1}, 1, 0.0, 16, 16),
        ({"weight_bits": 1}, 1, 0.0, 0, 0),
        ({"weight_bits": 2}, 2, 0.1, 16, 0),
        ({"weight_bits": 2, "pruning": 0.8}, 34, 0.8, 16, 0),
        ({"weight_bits": 4, "pruning": 0.9}, 36, 0.9, 16, 0),
        ({"shared": True, "pruning": 0.9}, 52, 0.9, 0, 0),
        ({"shared": True}, 20, 0.0, 16, 0),
    ],
)
def test_weights_of_few_bits(config, pack, kind, zeros, units, words):
    """Of every format: the plan's bytes are enough, the core gives the integers' scores, and the rows are known."""
    dataset, truth = corpus()
    settings = {f"pack__{name}": value for name, value in pack.items()}
    settings |= {"student__units": units, "student__dropout": 0.0, "student__min_steps": 60}
    settings |= {"projection__words__dimensions": words, "projection__words__min_steps": 60}
    settings |= {"pack__tuning_epochs": 5}
    result = pipeline.train(dataset, changed(config, **settings), quiet)
    layer = result.model.hidden or result.model.output
    assert layer.format == kind
    assert (layer.weights == 0).mean() >= 0.99 * zeros
    assert len(to_bytes(result)) <= result.plan.size
    sequences = None
    if result.model.words is not None:
        fingerprints, offsets = native.word_fingerprints(result.model.projection, dataset.texts)
        sequences = (result.model.words.rows_of(fingerprints), offsets)
    core = NativeModel(to_bytes(result))
    assert np.array_equal(core.scores(dataset.texts), result.model.scores(result.bits.values(), sequences))
    assert (core.labels(dataset.texts) == truth).mean() > 0.9
    assert abs(result.quantisation_drop) < 0.05
    if kind == 1 and not words:
        again = pipeline.train(dataset, changed(config, **settings), quiet)
        assert to_bytes(again) == to_bytes(result)


def test_terms_of_the_loss_on_both_graphs(config):
    dataset, _ = corpus(60)
    weights = {"distil": 1.0, "gold": 0.1, "edges": 0.2, "hamming": 0.3}
    chosen = changed(config, **{f"student__loss__{name}": weight for name, weight in weights.items()})
    last = pipeline.train(dataset, chosen, quiet).student.history[-1]
    assert last["loss"] == pytest.approx(sum(weight * last[name] for name, weight in weights.items()), rel=1e-3)


def test_hamming_edges_come_as_a_projection_graph(config, trained):
    dataset, _ = corpus()
    result = pipeline.train(dataset, changed(config, student__loss__hamming=1.0), quiet)
    found = result.projection_graph
    assert found is not None
    assert found.trainer is result.graph
    assert np.array_equal(found.bits.positive[found.links], result.bits.positive)
    assert np.array_equal(found.bits.negative[found.links], result.bits.negative)
    assert trained[0].projection_graph is None, "no term asks for it"


def test_trainer_and_student_trained_jointly(config, trained):
    dataset, truth = corpus()
    joint = changed(config, student__joint=True)
    result, again = (pipeline.train(dataset, joint, quiet) for _ in range(2))
    assert to_bytes(result) == to_bytes(again)
    assert to_bytes(result) != to_bytes(trained[0])
    assert (result.taught.labels == truth).mean() > 0.95
    assert not np.array_equal(result.taught.probabilities, trained[0].taught.probabilities), "the joint trainer's own"
    labelled = dataset.labels != UNLABELLED
    assert np.array_equal(result.taught.probabilities[labelled], np.eye(3)[truth[labelled]])
    assert set(result.student.history[0]) >= {"trainer", "distil", "gold"}
    assert (NativeModel(to_bytes(result)).labels(dataset.texts) == truth).mean() > 0.9


def test_joint_training_without_unlabelled_rows(config):
    dataset, truth = corpus(60, labelled=20)
    result = pipeline.train(dataset, changed(config, student__joint=True), quiet)
    assert result.graph is not None
    assert np.array_equal(result.taught.probabilities, np.eye(3)[truth])
    assert set(result.student.history[0]) >= {"trainer", "distil", "gold"}


@pytest.mark.parametrize("beside", [{}, {"student__joint": True}, {"projection__words__dimensions": 16}])
def test_corrupted_copies_change_the_student_alone(config, beside):
    dataset, truth = corpus()
    plain = pipeline.train(dataset, changed(config, **beside), quiet)
    settings = changed(config, **beside, student__corruption__typing=0.2, student__corruption__truncation=0.3)
    noisy = pipeline.train(dataset, settings, quiet)
    assert to_bytes(noisy) != to_bytes(plain)
    assert to_bytes(noisy) == to_bytes(pipeline.train(dataset, settings, quiet))
    np.testing.assert_array_equal(noisy.bits.positive, plain.bits.positive)
    if "student__joint" not in beside:
        np.testing.assert_array_equal(noisy.taught.probabilities, plain.taught.probabilities)
    assert (NativeModel(to_bytes(noisy)).labels(dataset.texts) == truth).mean() > 0.85


def test_signs_instead_of_ternary_bits(config):
    dataset, _ = corpus(60)
    result = pipeline.train(dataset, changed(config, projection__quantiser="sign", projection__word_share=1.0), quiet)
    assert set(np.unique(result.bits.values())) == {-1, 1}
    spec = ProjectionSpec.from_bytes(result.model.projection)
    assert (spec.quantiser.name, len(spec.families)) == ("SIGN", 1)


def test_texts_that_nothing_describes_are_unreached(config):
    dataset, _ = corpus(60)
    texts = dataset.texts.concatenate(Texts.from_strings(["", "   ", "?!"]))
    more = dataclasses.replace(dataset, rows=texts, labels=np.append(dataset.labels, [UNLABELLED] * 3))
    taught = pipeline.train(more, config, quiet).taught
    assert np.flatnonzero(~taught.reached).tolist() == [60, 61, 62]
    assert np.isfinite(taught.probabilities).all()


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([UNLABELLED] * 4, (), "none of the 4 rows has a label; label at least one row of each class"),
        ([0, 0, UNLABELLED, 0], ("only",), "all 3 labelled rows have the class 'only'; expected two classes or more"),
        ([0, 0, UNLABELLED, 0], ("a", "b"), "1 of 2 classes have no labelled row"),
    ],
)
def test_labels_that_cannot_be_learnt_from(config, labels, classes, message):
    dataset = Dataset(Texts.from_strings(["a b", "b c", "c d", "a d"]), np.array(labels), classes)
    with pytest.raises(InputError, match=message):
        pipeline.train(dataset, config, quiet)


def test_budget_is_checked_before_the_work(config):
    lines: list[str] = []
    with pytest.raises(BudgetError, match="a budget of 1000 bytes is too small for 3 classes"):
        pipeline.train(corpus()[0], changed(config, budget=1000), lines.append)
    assert lines == []


@pytest.mark.parametrize("setting", [{"projection__functions": 100}, {"projection__word_ngrams": [2, 1]}])
def test_projection_is_checked_before_the_work(config, setting):
    lines: list[str] = []
    with pytest.raises(ConfigError, match="the projection cannot be used"):
        pipeline.train(corpus(60)[0], changed(config, **setting), lines.append)
    assert lines == []


@pytest.mark.parametrize(
    "held_out",
    [0.0, 0.2],
)
def test_a_training_that_diverges_is_told(config, held_out):
    chosen = changed(config, student__rate=1e30, student__units=8, student__held_out=held_out)
    with pytest.raises(ConfigError, match="training diverged: lower its learning rate"):
        pipeline.train(corpus(60)[0], chosen, quiet)


# ------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(("units", "filters"), [(0, 0), (0, 8), (16, 0), (16, 8)])
def test_words_beside_the_bits(config, units, filters):
    """Float model and integers agree on labels, the core gives the integers' scores; every word is there."""
    settings = {"projection__words__dimensions": 16, "projection__words__filters": filters, "student__units": units}
    chosen = changed(config, **settings, pack__weight_bits=8)
    dataset, truth = corpus()
    result = pipeline.train(dataset, chosen, quiet)
    model = result.model
    assert model.words is not None
    assert len(model.words) == sum(map(len, TOPICS.values())) + len(COMMON)
    assert (model.convolution is not None) == (filters > 0)
    assert "words" in result.seconds
    device = NativeModel(to_bytes(result))
    assert (device.labels(dataset.texts) == truth).mean() > 0.9
    fingerprints, offsets = native.word_fingerprints(model.projection, dataset.texts)
    sequences = (model.words.rows_of(fingerprints), offsets)
    scores = model.scores(result.bits.values(), sequences)
    assert np.array_equal(device.scores(dataset.texts), scores)
    assert abs(result.quantisation_drop) < 0.05


@pytest.mark.parametrize(
    ("filters", "pack"), [(0, {}), (8, {}), (8, {"pack__weight_bits": 1, "pack__tuning_epochs": 3})], ids=str
)
def test_rows_held_out_are_calibrated_and_judged_by_the_same_head_and_codes(config, monkeypatch, filters, pack):
    settings = {"projection__words__dimensions": 16, "projection__words__filters": filters, "student__units": 16}
    settings |= {"projection__words__min_steps": 40, "student__held_out": 0.5, "student__corruption__typing": 0.1}
    chosen = changed(config, **settings, **pack)
    rounded: list[ProjectionModel] = []

    def spy(model: ProjectionModel, *args: object) -> QuantisedModel:
        rounded.append(model)
        return quantise(model, *args)

    monkeypatch.setattr(pipeline, "quantise", spy)
    dataset, _ = corpus(90)
    taught = pipeline.teach_all(dataset, chosen, quiet)
    # Features at random, so that codes follow the texts that they are fitted to.
    taught = dataclasses.replace(taught, features=np.random.default_rng(0).normal(size=(90, 32)).astype(np.float32))
    result = pipeline.learn(taught.taken_from(dataset), taught, chosen, quiet, judge=True)
    last, unseen = rounded
    assert last.words is not None
    assert unseen.words is not None
    assert 0 < (last.words.codes != unseen.words.codes).mean() < 0.5
    held_out = result.student.held_out
    texts = taught.taken_from(dataset).texts.select(held_out)
    fingerprints, offsets = native.word_fingerprints(unseen.projection, texts)
    sequences = (unseen.words.rows_of(fingerprints), offsets)
    logits = unseen.logits(result.bits.select(held_out).values(), sequences)
    np.testing.assert_allclose(logits, result.student.held_out_logits, rtol=1e-3, atol=1e-3)
    right = logits.argmax(axis=1) == taught.labels.labels[held_out]
    assert result.held_out_accuracy == pytest.approx(right.mean(), abs=2 / len(held_out))
