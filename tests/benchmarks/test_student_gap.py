"""The trainer's side of the gap: it is shown no label of the test rows, and those without one do not count."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from projgraph.records import UNLABELLED

from ..conftest import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WORDS = {"light": "lamp bright bulb", "music": "song loud guitar"}


@pytest.fixture
def student_gap(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("student_gap")


def test_labelled_test_rows_alone_count_and_none_is_shown(
    student_gap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [
        [f"{words} {place}", label] for label, words in WORDS.items() for place in ("here", "there", "now", "again")
    ]
    test = [["lamp bulb today", "light"], ["guitar song today", "music"], ["song loud", "light"], ["bulb", ""]]
    write_rows(tmp_path / "train.csv", [["text", "label"], *rows])
    write_rows(tmp_path / "test.csv", [["text", "label"], *test])
    given = []
    teach = student_gap.teach

    def spied(dataset, *rest):
        given.append(dataset.labels)
        return teach(dataset, *rest)

    monkeypatch.setattr(student_gap, "teach", spied)
    # The third row has another label than its words tell.
    assert student_gap.trainer_accuracy(tmp_path, 1, 0, None) == pytest.approx(2 / 3)
    assert (given[0][len(rows) :] == UNLABELLED).all()
    assert np.bincount(given[0][: len(rows)] + 1).tolist() == [6, 1, 1]
