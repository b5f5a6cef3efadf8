"""Models of several runs over one hidden layer: its bytes once, each head its own classes, no text seen by another."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from projgraph import pipeline
from projgraph.config import TrainConfig, change_config, load_config
from projgraph.errors import ConfigError
from projgraph.lesson import KeptRun
from projgraph.native import NativeBundle
from projgraph.pack.bundle import bundle_bytes, shared_kinds
from projgraph.pack.write import model_bytes
from projgraph.projection.fit import StudentTask, fit_twice, sharpen
from projgraph.projection.shared import SharedFit
from projgraph.read import read_dataset
from projgraph.records import Bits, Dataset, Texts
from projgraph.shared_trunk import _groups, train_shared

pytestmark = pytest.mark.usefixtures("one_thread")


def quiet(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def config(small_settings) -> TrainConfig:
    return load_config(None, (), small_settings | {"student.units": 16, "student.min_steps": 150})


def of_classes(rows: Dataset, names: tuple[str, ...]) -> Dataset:
    places = {rows.classes.index(name): place for place, name in enumerate(names)}
    kept = np.flatnonzero(np.isin(rows.labels, list(places)))
    return Dataset(rows.texts.select(kept), np.array([places[label] for label in rows.labels[kept].tolist()]), names)


TASKS = {
    "home": ("door_lock", "light_on"),
    "day": ("alarm_set", "music_play", "weather_ask"),
    "same": ("door_lock", "light_on"),
}


@pytest.fixture(scope="module")
def runs(intents: Path, config: TrainConfig) -> dict[str, KeptRun]:
    whole = read_dataset(intents / "train.csv")
    tasks = {name: of_classes(whole, names) for name, names in TASKS.items()}
    return {name: KeptRun(rows, pipeline.teach_all(rows, config, quiet), config) for name, rows in tasks.items()}


@pytest.fixture(scope="module")
def bundle(runs: dict[str, KeptRun], config: TrainConfig):
    heads = train_shared(runs, config, quiet)
    return heads, bundle_bytes({name: model_bytes(head.model, head.provenance) for name, head in heads.items()})


def test_one_hidden_layer_and_each_heads_own_classes(bundle, intents: Path) -> None:
    heads, data = bundle
    shared = shared_kinds(data)
    assert shared["projection"] == shared["hidden_weights"] == shared["hidden_bias"] == 1
    test = read_dataset(intents / "test.csv")
    opened = NativeBundle(data)
    for name, names in TASKS.items():
        rows = of_classes(test, names)
        assert opened.heads[name].classes == names
        right = (opened.heads[name].labels(rows.texts) == rows.labels).mean()
        assert right > 0.6, f"{name}: {right}; by chance at most {1 / len(names)}"
        assert heads[name].provenance["rows"] > 0
        assert 0.5 < heads[name].held_out_accuracy <= 1


def test_the_same_runs_give_the_same_bytes(runs: dict[str, KeptRun], config: TrainConfig, bundle) -> None:
    heads = train_shared(runs, config, quiet)
    assert bundle_bytes({name: model_bytes(head.model, head.provenance) for name, head in heads.items()}) == bundle[1]


@pytest.mark.parametrize(("pack", "name"), [({"weight_bits": 2}, "ternary"), ({"shared": True}, "shared")])
def test_the_hidden_layer_is_packed_and_tuned_as_the_settings_say(
    runs: dict[str, KeptRun], config: TrainConfig, bundle, intents: Path, pack: dict[str, object], name: str
) -> None:
    chosen = change_config(config, [], {f"pack.{key}": value for key, value in pack.items()})
    heads = train_shared(runs, chosen, quiet)
    assert {head.model.over_bits.format_name for head in heads.values()} == {name}
    data = bundle_bytes({name: model_bytes(head.model, head.provenance) for name, head in heads.items()})
    assert shared_kinds(data)["hidden_weights"] == 1
    assert len(data) < len(bundle[1]) + 100
    test, opened = read_dataset(intents / "test.csv"), NativeBundle(data)
    for task, names in TASKS.items():
        rows = of_classes(test, names)
        assert (opened.heads[task].labels(rows.texts) == rows.labels).mean() > 0.6, task
        assert 0.5 < heads[task].held_out_accuracy <= 1


def clusters(n_rows: int, n_classes: int, seed: int) -> tuple[Bits, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n_rows)
    planes = rng.random((n_rows, 64)) < np.where((np.arange(64) % n_classes)[None] == labels[:, None], 0.7, 0.1)
    positive = np.packbits(planes, axis=1, bitorder="little")
    return Bits(positive, np.zeros_like(positive), 64), labels


def test_a_rows_loss_and_logits_know_its_own_classes_alone(config: TrainConfig) -> None:
    bits, labels = clusters(200, 5, 0)
    tasks = (labels >= 2).astype(np.int64)
    certain = np.eye(5, dtype=np.float32)[labels]
    task = StudentTask(bits, sharpen(certain, labels, 2.0), config.student, 8, groups=np.arange(200) // 2)
    fits, student = fit_twice(lambda: SharedFit(task, tasks, np.array([2, 3])), task)
    logits = fits.second.logits(np.arange(200))
    assert (logits[tasks == 0, 2:] < -1e8).all()
    assert (logits[tasks == 1, :2] < -1e8).all()
    assert (logits.argmax(axis=1) == labels).mean() > 0.8
    losses = [row["held_out_loss"] for row in student.history if "held_out_loss" in row]
    assert np.isfinite(losses).all()
    assert losses[0] < np.log(3) + 0.5, "not the logarithm of all classes"
    held_out = set(student.held_out.tolist())
    assert held_out == {row ^ 1 for row in held_out}, "rows of a group are held out together"
    assert len(held_out) == 20


def test_a_text_of_several_runs_is_one_group_and_a_long_one_costs_its_own_bytes() -> None:
    texts = Texts.from_strings(["b", "a", "b", "", "a\0", "a", "é", "\ud800"])
    assert _groups(texts).tolist() == [3, 1, 3, 0, 2, 1, 4, 5]
    many = Texts.from_strings([*map(str, range(20_000)), "long " * 20_000])
    tracemalloc.start()
    try:
        assert sorted(_groups(many).tolist()) == list(range(20_001))
        assert tracemalloc.get_traced_memory()[1] < 10e6, "not 100,000 characters a row"
    finally:
        tracemalloc.stop()


def test_what_heads_cannot_share_is_refused(runs: dict[str, KeptRun], config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="there is 1 run; expected two or more that share a hidden layer"):
        train_shared({"home": runs["home"]}, config, quiet)
    wrong = change_config(config, ["student.loss.edges=1", "student.joint=true"])
    with pytest.raises(ConfigError, match=r"student.loss.edges, student.joint: heads over one hidden layer cannot"):
        train_shared(runs, wrong, quiet)
