"""Two fits at once give the bytes of one after the other, and neither outlives the other's failure for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest
import torch

from projgraph.config import StudentConfig
from projgraph.errors import ConfigError
from projgraph.projection.at_once import at_once, undisturbed
from projgraph.projection.fit import Student, StudentTask, fit_student, sharpen
from projgraph.projection.straight_through import Tuning
from projgraph.projection.tune import tune_student
from projgraph.records import Bits


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def task(rate: float = 0.02) -> StudentTask:
    random = np.random.default_rng(0)
    bits = Bits(random.integers(0, 255, (60, 2), dtype=np.uint8), np.zeros((60, 2), np.uint8), 16)
    labels = random.integers(0, 3, 60)
    config = StudentConfig(epochs=6, min_steps=1, batch=8, rate=rate, held_out=0.25)
    return StudentTask(bits, sharpen(np.eye(3, dtype=np.float32)[labels], labels, 1.0), config, units=256, members=2)


def content(student: Student) -> bytes:
    assert student.first_fit is not None
    arrays = (student.output.weights, student.first_fit.output.weights, student.held_out_logits)
    return b"".join(array.tobytes() for array in arrays)


def test_the_number_of_threads_changes_nothing() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            fitted = fit_student(task())
            tuned = tune_student(fitted, task(), Tuning(2, epochs=3, min_steps=1))
            assert torch.get_num_threads() == threads
            found.append((content(fitted), content(tuned)))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


def test_each_runs_where_it_should() -> None:
    def where(_: threading.Event | None = None) -> tuple[bool, int]:
        return threading.current_thread() is threading.main_thread(), torch.get_num_threads()

    with undisturbed():
        assert at_once(where, where, threads=2) == ((True, 1), (False, 1))
        assert at_once(where, where, threads=1) == ((True, 1), (True, 1))


def test_a_failure_ends_the_other_early() -> None:
    begun = threading.Event()

    def fail() -> None:
        assert begun.wait(60)
        raise ConfigError("no")

    def wait(unwanted: threading.Event) -> None:
        begun.set()
        assert unwanted.wait(60)

    with pytest.raises(ConfigError, match="no"):
        at_once(fail, wait, threads=2)


def test_an_interrupt_while_the_other_is_awaited_ends_it_early(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []

    def interrupted(_: Future[None]) -> None:
        raise KeyboardInterrupt

    def wait(unwanted: threading.Event) -> None:
        told.append(unwanted.wait(60))

    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        at_once(lambda: None, wait, threads=2)
    assert told == [True]


def test_a_failure_beside_is_told() -> None:
    def fail(_: threading.Event) -> None:
        raise ConfigError("beside")

    with pytest.raises(ConfigError, match="beside"):
        at_once(lambda: None, fail, threads=2)


def test_a_fit_that_diverges_is_told_in_either_case(threads: int) -> None:
    with pytest.raises(ConfigError, match=r"training diverged: lower its learning rate, student.rate=1e\+30"):
        fit_student(task(rate=1e30))
