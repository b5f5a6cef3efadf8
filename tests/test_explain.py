"""Votes against the core itself, n-grams against the plain reference, and what `predict --explain` prints."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph import native
from projgraph.errors import InputError
from projgraph.explain import explain, feature_sums
from projgraph.nearest import NearestTexts
from projgraph.pack.format import Quantiser
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import read_model
from projgraph.pack.words import WordTable
from projgraph.predict import run
from projgraph.records import Dataset, Texts

ODD = st.text(alphabet="ab'é日本ガ-😀 \t\u200bZ9", max_size=30)


def random_model(spec: ProjectionSpec, classes: int = 3, threshold: int = 0) -> QuantisedModel:
    random = np.random.default_rng(1)
    weights = random.integers(-127, 128, (spec.n_bits, classes)).astype(np.int8)
    layer = QuantisedLayer(weights, np.ones(classes, np.uint8), np.zeros(classes, np.int32), 8)
    names = tuple("abcdefg"[:classes])
    return QuantisedModel(spec.to_bytes(), layer, None, 0, 0.5, names, threshold=threshold)


@pytest.mark.parametrize("quantiser", list(Quantiser))
@pytest.mark.parametrize("additions", [1, 2, 5, 9])
def test_sums_of_features_have_the_signs_of_the_core(quantiser, additions):
    spec = ProjectionSpec.for_text(bits=720, additions=additions, seed=5, quantiser=quantiser)
    for text in ("please lock the front door", "日本 ガ a-b", "", "a a a a a"):
        sums = feature_sums(spec, native.features(spec.to_bytes(), text))
        expected = np.sign(sums) if quantiser == Quantiser.TERNARY else np.where(sums > 0, 1, -1)
        bits = native.project(spec.to_bytes(), Texts.from_strings([text])).values()[0]
        assert bits.tolist() == expected.tolist()


def test_the_vote_of_the_only_feature_is_the_whole_margin():
    spec = ProjectionSpec.for_text(bits=64, word_share=1.0, word_ngrams=(1, 1))
    model = random_model(spec)
    found = explain(model, "door")
    assert [(vote.kind, vote.feature) for vote in found.votes] == [("word", "door")]
    # Without it all sums are zero, all scores equal, and the margin is gone.
    assert found.votes[0].vote == pytest.approx(found.margin)
    scores = native_scores(model, "door")
    assert found.label == model.classes[int(scores.argmax())]
    assert found.margin == pytest.approx((np.sort(scores)[-1] - np.sort(scores)[-2]) * 0.5)


def native_scores(model: QuantisedModel, text: str) -> np.ndarray:
    return model.scores(native.project(model.projection, Texts.from_strings([text])).values())[0].astype(np.int64)


def test_leaving_out_a_word_of_words_alone_is_predicting_without_it():
    spec = ProjectionSpec.for_text(bits=256, word_share=1.0, word_ngrams=(1, 1))
    model = random_model(spec)
    found = explain(model, "lock the door the")
    label = model.classes.index(found.label)
    for vote in found.votes:
        without = " ".join(word for word in ("lock", "the", "door") if word != vote.feature)
        scores = native_scores(model, without)
        margin = scores[label] - np.delete(scores, label).max()
        assert vote.vote == pytest.approx(found.margin - margin * 0.5)
    assert {vote.feature for vote in found.votes} == {"lock", "the", "door"}


def test_n_grams_are_named():
    spec = ProjectionSpec.for_text(bits=256, word_ngrams=(1, 2), character_ngrams=(3, 3))
    found = explain(random_model(spec), "Don't, go")
    assert {vote.feature for vote in found.votes if vote.kind == "word"} == {"dont", ",", "go", "dont go"}
    grams = {" do", "don", "ont", "nt ", " go", "go "}
    assert {vote.feature for vote in found.votes if vote.kind == "character"} == grams


@settings(max_examples=60, deadline=None)
@given(text=ODD)
def test_every_feature_of_any_text_has_a_name_and_votes_are_ordered(text):
    spec = ProjectionSpec.for_text(bits=128, word_ngrams=(1, 3), character_ngrams=(2, 4))
    found = explain(random_model(spec), text)
    assert len(found.votes) == len(set(native.features(spec.to_bytes(), text)))
    assert all(vote.feature != "?" or "?" in text for vote in found.votes)
    sizes = [abs(vote.vote) for vote in found.votes]
    assert sizes == sorted(sizes, reverse=True)


def test_the_code_of_a_word_votes_beside_its_features():
    spec = ProjectionSpec.for_text(bits=64)
    fingerprints, _ = native.word_fingerprints(spec.to_bytes(), Texts.from_strings(["door ,"]))
    order = np.argsort(fingerprints)
    codes = np.where(np.arange(32).reshape(2, 16) % 3 == 0, 1, -1).astype(np.int8)
    table = WordTable(fingerprints[order], np.array([1, 2], np.uint8), codes)
    plain = random_model(spec)
    weights = np.random.default_rng(2).integers(-99, 99, (64 + 16, 3)).astype(np.int8)
    model = replace(plain, output=replace(plain.output, weights=weights), words=table, norm_shift=4)
    found = explain(model, "a door, door")
    codes_left_out = {vote.feature: vote.vote for vote in found.votes if vote.kind == "code"}
    assert set(codes_left_out) == {"door", ","}
    label = model.classes.index(found.label)
    values = native.project(spec.to_bytes(), Texts.from_strings(["a door, door"])).values()
    places = table.rows_of(native.word_fingerprints(spec.to_bytes(), Texts.from_strings(["a door, door"]))[0])
    assert places[[0]].tolist() == [-1]
    assert places[1] == places[3] != places[2]
    offsets = np.array([0, 4])
    for name, gone in (("door", places[1]), (",", places[2])):
        scores = model.scores(values, (np.where(places == gone, -1, places), offsets))[0].astype(int)
        margin = (scores[label] - np.delete(scores, label).max()) * 0.5
        assert codes_left_out[name] == pytest.approx(found.margin - margin)


def test_a_threshold_does_not_hide_the_best_class():
    spec = ProjectionSpec.for_text(bits=128)
    found = explain(random_model(spec, threshold=2**31 - 1), "lock the door")
    assert not found.answered
    assert found.label == explain(random_model(spec), "lock the door").label


def test_one_class_has_nothing_to_vote_against():
    with pytest.raises(InputError, match="the model has one class; expected two or more"):
        explain(random_model(ProjectionSpec.for_text(bits=64), classes=1), "a")


def test_nearest_texts_by_hand():
    spec = ProjectionSpec.for_text(bits=512)
    texts = Texts.from_strings(["lock the door", "play music", "lock the doors", "lock the door"])
    dataset = Dataset(texts, np.array([0, 1, -1, 1]), ("door", "music"))
    found = NearestTexts(spec.to_bytes(), dataset).find("lock the door", 3)
    assert [(text, label) for _, text, label in found] == [
        ("lock the door", "door"),
        ("lock the door", "music"),
        ("lock the doors", ""),
    ]
    bits = native.project(spec.to_bytes(), texts).values().astype(int)
    lit = [{(bit, sign) for bit, sign in enumerate(row) if sign} for row in bits.tolist()]
    expected = 1 - len(lit[0] & lit[2]) / len(lit[0] | lit[2])
    assert [distance for distance, _, _ in found] == pytest.approx([0, 0, expected], abs=1e-6)


def test_a_short_text_is_not_near_everything():
    spec = ProjectionSpec.for_text(bits=2048)
    long = "please move the appointment with the dentist from monday morning to thursday"
    texts = Texts.from_strings(["mute", "move the appointment with the plumber to friday please", ""])
    found = NearestTexts(spec.to_bytes(), Dataset(texts, np.array([0, 1, 1]), ("sound", "calendar"))).find(long, 3)
    assert [label for _, _, label in found[:1]] == ["calendar"]
    assert found[2][0] == pytest.approx(1, abs=0.05)


def test_the_command_explains_line_by_line(small_model, intents, tmp_path, capfdbinary):
    path = tmp_path / "texts.txt"
    path.write_text("lock the front door\n\n", encoding="utf-8")
    assert run([str(small_model), str(path), "--nearest", str(intents / "train.csv")]) == 0
    first, second = (json.loads(line) for line in capfdbinary.readouterr().out.decode().splitlines())
    assert (first["text"], first["label"], first["best"]) == ("lock the front door", "door_lock", "door_lock")
    assert len(first["votes"]) == 10
    assert "door" in [feature for kind, feature, vote in first["votes"] if vote > 0 and kind == "word"]
    expected = explain(read_model(small_model)[0], "lock the front door")
    assert first["margin"] == pytest.approx(expected.margin, abs=1e-6)
    assert [len(each) for each in first["nearest"]] == [3, 3, 3]
    assert first["nearest"][0][2] == "door_lock"
    assert second["votes"] == []


def test_explain_of_wrong_input_is_one_line(small_model, tmp_path, capfdbinary):
    path = tmp_path / "texts.txt"
    path.write_text("a\n", encoding="utf-8")
    assert run([str(small_model), str(path), "--nearest", str(tmp_path / "none.csv")]) == 2
    captured = capfdbinary.readouterr()
    assert captured.out == b""
    assert captured.err.count(b"\n") == 1
    assert b"none.csv" in captured.err
