"""Names of labels as texts, and when they are believed."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.features.label_names import spoken_names, telling_names
from projgraph.records import UNLABELLED, Examples


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("card_arrival", "card arrival"),
        ("BookRestaurant", "Book Restaurant"),
        ("SetATimer", "Set A Timer"),
        ("GPSSignal", "GPS Signal"),
        ("pin2Change", "pin2 Change"),
        ("2FA_setup", "2FA setup"),
        ("5G", "5G"),
        ("flight#airfare", "flight airfare"),
        ("ENTY:techmeth", "ENTY techmeth"),
        ("Refund-not.showing/up?", "Refund not showing up"),
        ("don't_know", "don't know"),
        ("C++", "C++"),
        ("Überweisung_Straße", "Überweisung Straße"),
        ("ÄpfelUndBirnen", "Äpfel Und Birnen"),
        ("Cafe\u0301Bar", "Caf\u00e9 Bar"),
        ("मौसम_पूछना", "मौसम पूछना"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("查询天气", "查询天气"),
        ("3", "3"),
        ("_ -", ""),
        ("😀", "😀"),
        ("a\udc80b", "a\udc80b"),
    ],
)
def test_names_are_said_as_words_apart(name: str, spoken: str) -> None:
    assert list(spoken_names([name])) == [spoken]


def rows_near(names: np.ndarray, told: list[int], seed: int = 0) -> np.ndarray:
    """Unit rows, each nearest to the given name."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(len(told), names.shape[1]))
    rows = names[told] + noise
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def examples_of(told: list[int], labels: list[int], n_names: int = 4) -> Examples | None:
    names = np.eye(n_names, 6, dtype=np.float32)
    return telling_names(names, rows_near(names, told), np.array(labels), lambda line: None)


def test_names_that_tell_are_examples_of_their_classes() -> None:
    found = examples_of([0, 1, 2, 3, 1, 1], [0, 1, 2, 3, UNLABELLED, UNLABELLED])
    assert found is not None
    np.testing.assert_array_equal(found.features, np.eye(4, 6))
    np.testing.assert_array_equal(found.labels, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("told", "labels", "tell"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], True),  # all of four by luck: 1/256
        ([0, 1, 2, 0], [0, 1, 2, 3], False),  # three of four by luck: 13/256
        ([0, 1, 2], [0, 1, 2], False),  # 1/27, since one class has no row
        ([0, 1] * 4, [0, 1] * 4, True),  # 1/256
        ([0, 1] * 3, [0, 1] * 3, False),  # 1/64
        ([1, 0] * 4, [0, 1] * 4, False),
        ([0] * 8, [0] * 8, False),  # chance is certain
    ],
)
def test_luck_is_told_from_knowledge(told: list[int], labels: list[int], tell: bool) -> None:
    assert (examples_of(told, labels) is not None) == tell


@pytest.mark.parametrize(("hits", "tell"), [(1200, True), (1230, True), (1170, False)])
def test_agreement_has_to_be_fair(hits: int, tell: bool) -> None:
    # Two classes, half and half in labels and guesses: kappa = 2 hits / n - 1, and of 2,000 rows no share is luck.
    labels = [0, 1] * 1000
    told = [label if row < hits else 1 - label for row, label in enumerate(labels)]
    assert (examples_of(told, labels) is not None) == tell


def test_a_name_of_which_nothing_is_known_is_no_example() -> None:
    names = np.eye(4, 6, dtype=np.float32)
    names[2] = 0
    said: list[str] = []
    near = rows_near(np.eye(4, 6), [0, 1, 3, 0, 1, 3])
    found = telling_names(names, near, np.array([0, 1, 3, 0, 1, 3]), said.append)
    assert said == ["labels: their names tell what their rows are about"]
    assert found is not None
    np.testing.assert_array_equal(found.labels, [0, 1, 3])
    np.testing.assert_array_equal(found.features, names[[0, 1, 3]])


def test_nothing_to_tell_from() -> None:
    names, rows, none = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), np.full(2, UNLABELLED)
    said: list[str] = []
    assert telling_names(names, rows, none, said.append) is None
    assert telling_names(np.zeros_like(names), rows, np.arange(2), said.append) is None
    assert telling_names(names[:0], rows, none, said.append) is None
    assert said == ["labels: their names do not tell"] * 3
    assert telling_names(None, rows, np.arange(2), said.append) is None
    assert len(said) == 3
