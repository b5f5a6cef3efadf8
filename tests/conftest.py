"""What many tests share: one thread for small problems, small settings, and one small model trained once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .read.loopback import Loopback

if TYPE_CHECKING:
    from projgraph.records import SoftLabels, TrainerTask
    from projgraph.trainers.registry import Trainer

HOME_INTENTS = Path(__file__).parents[1] / "data" / "home_intents"
INTENTS = ("alarm_set", "door_lock", "light_on", "music_play", "weather_ask")

SMALL = {
    "features.dimensions": 32,
    "features.lsa_dimensions": 32,
    "features.windows": [],
    "features.contrastive_weight": 0.0,
    "graph.neighbours": 8,
    "trainer.rounds": 1,
    "projection.bits": 512,
    "projection.words.dimensions": 0,
    "student.units": 0,
    "student.epochs": 3,
    "student.min_steps": 30,
    "student.batch": 64,
    "student.corruption.typing": 0.0,
    "student.corruption.truncation": 0.0,
    "tuning.epochs": 0,
}
"""A training of about a second; nothing here is meant to be good."""


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: a second costs a small problem more than it gives, most of all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[TrainerTask]:
    """What a trainer is given, run by run, by whatever job asks one."""
    from projgraph.trainers.registry import trainer

    given: list[TrainerTask] = []

    def spy(name: str) -> Trainer:
        def learn(task: TrainerTask, *rest: Any) -> SoftLabels:
            given.append(task)
            return trainer(name)(task, *rest)

        return learn

    for job in ("teach", "graph_job", "labelling_job"):
        monkeypatch.setattr(f"projgraph.{job}.trainer", spy)
    return given


@pytest.fixture
def public_sets() -> Path:
    """The folder of converted public sets beside the checkout, where a developer has one."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the public sets are not beside this checkout ({folder.name} folder missing)")
    return folder


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A scripted web server, reached past any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Loopback()
    yield server
    server.close()


@pytest.fixture(scope="session")
def small_settings() -> dict[str, object]:
    return dict(SMALL)


def write_rows(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


@pytest.fixture(scope="session")
def intents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and test.csv of five intents, and the unlabelled texts of all."""
    folder = tmp_path_factory.mktemp("intents")
    for name in ("train.csv", "test.csv"):
        with (HOME_INTENTS / name).open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file))
        write_rows(folder / name, [header, *(row for row in rows if row[1] in INTENTS)])
    (folder / "unlabelled.txt").write_bytes((HOME_INTENTS / "unlabelled.txt").read_bytes())
    return folder


@pytest.fixture(scope="session")
def small_model(intents: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the five intents, trained on the labels alone."""
    import torch

    from projgraph.config import load_config
    from projgraph.job import TrainJob, run_training

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("model") / "intents.pgb"
    config = load_config(None, (), {**SMALL, "student.epochs": 10, "student.min_steps": 200})
    run_training(TrainJob(intents / "train.csv", out, track=False), config, lambda line: None)
    torch.set_num_threads(threads)
    return out


@pytest.fixture(scope="session")
def vector_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three columns, for those who give it texts."""
    import numpy as np

    from projgraph.pack.layer import QuantisedLayer
    from projgraph.pack.quantised import QuantisedModel
    from projgraph.pack.vector import VectorSpec
    from projgraph.pack.write import write_model

    spec = VectorSpec(8, 8, 3, 4)
    weights = np.random.default_rng(0).integers(-99, 99, (64, 2)).astype(np.int8)
    layer = QuantisedLayer(weights, np.ones(2, dtype=np.uint8), np.zeros(2, dtype=np.int32), 8)
    path = tmp_path_factory.mktemp("vectors") / "vectors.pgb"
    write_model(path, QuantisedModel(spec.to_bytes(), layer, None, 0, 1.0, ("no", "yes")), {})
    return path
