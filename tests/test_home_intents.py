"""The sample data set data/home_intents: its form, its split and that its rows really differ."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "data" / "home_intents"
HEADERS = {"train.csv": ["text", "label"], "test.csv": ["text", "label"], "out_of_scope.csv": ["text"]}


def rows(name: str) -> list[list[str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def normal(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


def texts(name: str) -> list[str]:
    if name == "unlabelled.txt":
        return (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [row[0] for row in rows(name)[1:]]


EVERY_FILE = [*HEADERS, "unlabelled.txt"]


@pytest.mark.parametrize("name", EVERY_FILE)
def test_form(name: str) -> None:
    raw = (FOLDER / name).read_bytes()
    text = raw.decode("utf-8")
    assert not text.startswith("\ufeff")
    assert b"\r" not in raw
    assert text.endswith("\n")
    if name in HEADERS:
        table = rows(name)
        assert table[0] == HEADERS[name]
        assert {len(row) for row in table} == {len(HEADERS[name])}
    assert all(line and line == line.strip() and len(line.split()) <= 25 for line in texts(name))


def test_counts() -> None:
    train = Counter(row[1] for row in rows("train.csv")[1:])
    test = Counter(row[1] for row in rows("test.csv")[1:])
    assert len(train) == 20
    assert train.keys() == test.keys()
    assert (train.total(), test.total()) == (1035, 269)
    assert all(45 <= count <= 90 for count in (train + test).values())
    assert min(test.values()) >= 10
    assert len(texts("out_of_scope.csv")) >= 60
    assert len(texts("unlabelled.txt")) >= 150


def test_no_text_occurs_twice_in_any_files() -> None:
    count = Counter(normal(text) for name in EVERY_FILE for text in texts(name))
    assert [text for text, times in count.items() if times > 1] == []


def test_out_of_scope_is_not_in_train() -> None:
    assert {normal(text) for text in texts("out_of_scope.csv")}.isdisjoint(map(normal, texts("train.csv")))


def test_no_near_duplicates() -> None:
    words = [frozenset(normal(text).split()) for name in EVERY_FILE for text in texts(name)]
    longer = [one for one in words if len(one) >= 4]
    assert [(a, b) for a, b in combinations(longer, 2) if len(a & b) > 0.7 * len(a | b)] == []


def test_rows_of_an_intent_differ() -> None:
    intents: dict[str, list[frozenset[str]]] = {}
    for name in ("train.csv", "test.csv"):
        for text, label in rows(name)[1:]:
            intents.setdefault(label, []).append(frozenset(normal(text).split()))
    for label, group in intents.items():
        nearest = [max(len(a & b) / len(a | b) for j, b in enumerate(group) if j != i) for i, a in enumerate(group)]
        assert sum(nearest) / len(nearest) < 0.4, label
