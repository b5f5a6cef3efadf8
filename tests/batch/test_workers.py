"""Processes that die take one task with them; the others are done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from projgraph.batch.workers import run_all

sys.path.insert(0, str(Path(__file__).parent))
import deadly


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_kills_its_process_is_the_only_one_that_fails(jobs: int) -> None:
    tasks = [1, 2, -3, 4, 5, -6, 7]
    found = dict(run_all(tasks, deadly.work, deadly.died, jobs))
    alone = "by one thread: 1"
    assert found == {task: f"{task} died" if task < 0 else f"{task} {alone}" for task in tasks}


def test_no_task_is_no_process() -> None:
    assert list(run_all([], deadly.work, deadly.died, 2)) == []
