import json

import numpy as np
import pytest

from projgraph.errors import InputError
from projgraph.evaluate import evaluate
from projgraph.records import Texts

CLASSES = ("cold", "hot", "warm")


class WordModel:
    """Says the class whose name is in the text, a hundred times surer with an exclamation mark."""

    classes = CLASSES
    scale = 0.05
    threshold = 0

    def scores(self, texts):
        rows = [[(name in text) * (100 if "!" in text else 20) for name in CLASSES] for text in texts]
        return np.array(rows, dtype=np.int32).reshape(len(texts), 3)

    def time_calls(self, texts, repeats):
        return np.array([[1000.0 * len(text)] * repeats for text in texts])


def case():
    texts = ["so cold", "so hot", "warm", "not warm but cold", "hot! really", "mild", "what"]
    labels = np.array([0, 1, 3, 3, 0, 2, -1])
    return Texts.from_strings(texts), labels, ["cold", "hot", "mild", "warm"]


def test_an_evaluation_by_hand():
    texts, labels, names = case()
    trained = np.array([0, 1, 3, 3, 1, -1, 0])
    result = evaluate(WordModel(), texts, labels, names, trained, model_bytes=777)
    assert (result.n_test, result.n_unlabelled, result.n_unknown, result.model_bytes) == (6, 1, 1, 777)
    # "not warm but cold" ties, cold is the lowest index; "hot! really" is wrong; "mild" is unknown to the model.
    assert result.accuracy == result.p_at_1 == pytest.approx(3 / 6)
    assert result.p_at_3 == result.p_at_5 == pytest.approx(5 / 6)
    assert result.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert result.agreement == pytest.approx(4 / 5)
    assert result.macro_f1 == pytest.approx((2 / 5 + 2 / 3 + 2 / 3) / 3)
    assert [(row.name, row.n) for row in result.per_class] == [("cold", 2), ("hot", 1), ("warm", 2)]
    assert result.confused_pairs() == [("cold", "hot", 1), ("warm", "cold", 1)]


def test_wrong_examples_come_surest_first_and_slow_ones_slowest_first():
    texts, labels, names = case()
    result = evaluate(WordModel(), texts, labels, names)
    assert [(row.text, row.label, row.predicted) for row in result.wrong] == [
        ("hot! really", "cold", "hot"),
        ("not warm but cold", "warm", "cold"),
        ("mild", "mild", "cold"),
    ]
    assert result.wrong[0].confidence == pytest.approx(np.exp(5) / (np.exp(5) + 2))
    assert result.wrong[2].confidence == pytest.approx(1 / 3)
    assert [row.text for row in result.slow][:2] == ["not warm but cold", "hot! really"]
    assert result.slow[0].microseconds == 17.0
    assert result.slow[0].text_bytes == 17
    assert result.latency_p50_us == pytest.approx(6.5)
    assert result.latency_p99_us == pytest.approx(np.percentile([7, 6, 4, 17, 11, 4], 99))


def test_known_and_unknown_rows_are_told_apart_by_confidence():
    texts, labels, names = case()
    assert evaluate(WordModel(), texts, labels, names).out_of_scope_auroc == 1.0
    known = labels != 2
    some = evaluate(WordModel(), texts.select(np.flatnonzero(known)), labels[known], names)
    assert some.out_of_scope_auroc is None
    assert "out_of_scope_auroc" not in some.figures
    assert some.figures["n_test"] == 5


def test_json_holds_plain_values_and_survives_a_round_trip():
    texts, labels, names = case()
    result = evaluate(WordModel(), texts, labels, names)
    plain = result.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["accuracy"] == 0.5
    assert plain["agreement"] is None
    assert plain["confusion"] == [["cold", "hot", 1], ["warm", "cold", 1]]
    assert plain["per_class"][1] == {"name": "hot", "n": 1, "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)}
    assert len(plain["reliability"]) == 15


def test_a_large_test_set_is_measured_like_a_small_one(monkeypatch):
    texts, labels, names = case()
    whole = evaluate(WordModel(), texts, labels, names)
    monkeypatch.setattr("projgraph.evaluate.evaluation._ROWS_AT_A_TIME", 2)
    assert evaluate(WordModel(), texts, labels, names).to_json() == whole.to_json()


def test_long_texts_and_lone_surrogates_can_be_shown():
    texts = Texts.from_strings(["x" * 1000, "a\ud800b"])
    result = evaluate(WordModel(), texts, np.array([1, 2]), list(CLASSES))
    assert [len(row.text) for row in result.wrong] == [400, 3]
    assert result.wrong[1].text == "a?b"
    assert result.slow[0].text_bytes == 1000


def test_tests_that_cannot_be_measured_are_refused():
    texts = Texts.from_strings(["a", "b"])
    with pytest.raises(InputError, match="none of the 2 test rows has a label; give a test file with a label column"):
        evaluate(WordModel(), texts, np.array([-1, -1]), list(CLASSES))
    with pytest.raises(InputError, match="2 texts, 1 labels and no trainer labels; expected one of each"):
        evaluate(WordModel(), texts, np.array([0]), list(CLASSES))
    with pytest.raises(InputError, match="2 texts, 2 labels and 3 trainer labels"):
        evaluate(WordModel(), texts, np.array([0, 1]), list(CLASSES), np.array([0, 1, 1]))


class HesitantModel(WordModel):
    threshold = 50


def test_what_a_threshold_costs_and_catches():
    texts, labels, names = case()
    result = evaluate(HesitantModel(), texts, labels, names)
    # Only "hot! really" reaches 50, and is wrong; "mild", of no class, gets no label.
    assert result.answered == pytest.approx(1 / 6)
    assert result.in_scope_accuracy == 0.0
    assert result.out_of_scope_recall == 1.0
    assert result.accuracy == evaluate(WordModel(), texts, labels, names).accuracy
    always = evaluate(WordModel(), texts, labels, names)
    assert (always.answered, always.in_scope_accuracy, always.out_of_scope_recall) == (None, None, None)
    known = labels != 2
    assert (
        evaluate(HesitantModel(), texts.select(np.flatnonzero(known)), labels[known], names).out_of_scope_recall is None
    )


def test_the_calibration_error_before_the_temperature():
    texts, labels, names = case()
    result = evaluate(WordModel(), texts, labels, names, temperature=2.0)
    assert evaluate(WordModel(), texts, labels, names).ece_uncalibrated is None
    twice = WordModel()
    twice.scale = 0.1
    assert result.ece_uncalibrated == evaluate(twice, texts, labels, names).ece
    assert result.ece == evaluate(WordModel(), texts, labels, names).ece
