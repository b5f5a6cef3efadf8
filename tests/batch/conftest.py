"""A kept run of a second's training, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from projgraph import pipeline
from projgraph.config import TrainConfig, load_config
from projgraph.lesson import KeptRun, write_run
from projgraph.read import read_dataset


def quiet(line: str) -> None:
    del line


def in_this_process(tasks, work, died, jobs):
    """In the place of `run_all`: processes take seconds to import torch, and the test that kills them is enough."""
    del died, jobs
    return [(task, work(task)) for task in tasks]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projgraph.batch.export_job.run_all", in_this_process)


@pytest.fixture(scope="session")
def small_config(small_settings: dict[str, object]) -> TrainConfig:
    """Without a fixed number of bits: the budget chooses."""
    return load_config(None, (), small_settings | {"projection.bits": None, "student.units": None})


@pytest.fixture(scope="session")
def kept(intents: Path, small_config: TrainConfig) -> KeptRun:
    """Five intents with all their labels."""
    rows = read_dataset(intents / "train.csv")
    return KeptRun(rows, pipeline.teach_all(rows, small_config, quiet), small_config)


@pytest.fixture(scope="session")
def run_file(kept: KeptRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "intents.run.npz"
    write_run(path, kept)
    return path
