"""The latency table: methods are answered for by processes of their own, ratios are the right way round."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from projgraph import load
from projgraph.read import read_dataset

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def latency() -> ModuleType:
    return importlib.import_module("latency")


@pytest.fixture
def served() -> ModuleType:
    return importlib.import_module("served")


def figures(time: float, instructions: float | None = None, core: float | None = None) -> dict[str, object]:
    found = {"accuracy": 0.5, "bytes": 1234, "peak_mb": 17.4, "single_p50_us": time, "single_p99_us": 2 * time}
    found |= {"batch_us": time / 2, "batch_clock_us": time / 4}
    if instructions:
        found |= {"single_instructions": instructions, "batch_instructions": instructions / 2}
    if core:
        found |= {"core_p50_us": core, "core_p99_us": 2 * core, "core_words_us": core, "core_instructions": 100.0}
        found |= {"portable_p50_us": 2 * core, "portable_p99_us": 3 * core}
    return found


def test_ratios_are_the_reference_over_each_method(latency: ModuleType) -> None:
    rows = {"projgraph": figures(4.0, 1000.0, 2.0), "fasttext_ftz": figures(12.0, 3000.0)}
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in latency.table(rows)[2:]]
    assert [row[0] for row in cells] == [
        *(f"projgraph, {how}" for how in ("C, the portable core", "C, a text a call", "a text a call")),
        *(f"projgraph, in a batch, {how}" for how in ("one processor", "all processors")),
        "fastText .ftz, a text a call",
        *(f"fastText .ftz, in a batch, {how}" for how in ("one processor", "all processors")),
    ]
    assert cells[0][4:] == ["4.00", "6.00", "–", "3", "–"]
    assert cells[1][4:] == ["2.00", "4.00", "100", "6", "30"]
    assert cells[2][1:] == ["50.0", "1,234", "17", "4.00", "8.00", "1,000", "3", "3"]
    assert cells[3][3:] == ["–", "2.00", "–", "500", "3", "3"]
    assert cells[4][3:] == ["–", "1.00", "–", "–", "3", "–"]
    assert {tuple(row[-2:]) for row in cells[5:7]} == {("1", "1")}


def test_a_method_that_could_not_run_says_why_and_nothing_is_compared_without_the_reference(
    latency: ModuleType,
) -> None:
    lines = latency.table({"projgraph": figures(4.0), "fasttext_ftz": {"missing": "No module named 'fasttext'"}})
    assert lines[-1].startswith("| fastText .ftz | not run: No module named 'fasttext' |")
    assert len({line.count("|") for line in lines}) == 1
    assert [line.split("|")[-3].strip() for line in lines[2:-1]] == ["–"] * 3


@pytest.mark.parametrize(("own", "met"), [(4.0, "meets"), (4.2, "MISSES")])
def test_floors_are_told_whether_met_or_not(latency: ModuleType, own: float, met: str) -> None:
    rows = {"projgraph": figures(own), "fasttext_ftz": figures(12.0), "projgraph_bits": figures(3.0, None, 2.4)}
    lines = latency.floors(rows)
    assert lines[0].endswith(f": .ftz takes {12 / own:.1f} times as much, {met} the floor of 3")
    assert "MISSES the floor of 8" in lines[1]
    assert lines[-1] == "core, bits alone, 12 words: 2.40 µs, meets the floor of 2.5 µs"


def test_figures_are_summed_up_by_text(latency: ModuleType) -> None:
    texts = ["a " * 12, "b", "c"]
    given = {"answers": ["x", "y", "y"], "peak_kb": 2048, "single_ns": [3000.0, 1000.0, 2000.0]}
    given |= {"batch_ns": 500.0, "batch_clock_ns": 250.0, "single_instructions": 7.0, "scratch_bytes": 99}
    found = latency.summed_up(given, ["x", "y", "x"], texts)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert (found["single_p50_us"], found["single_words_us"], found["peak_mb"]) == (2.0, 3.0, 2.0)
    assert (found["batch_us"], found["batch_clock_us"]) == (0.5, 0.25)
    assert (found["single_instructions"], found["scratch_bytes"]) == (7.0, 99)
    assert "core_p50_us" not in found


@pytest.fixture
def trained(small_model: Path, intents: Path, tmp_path: Path) -> tuple[Path, Path, list[str]]:
    """A trained folder, and some test texts as a file and as a list."""
    folder = tmp_path / "projgraph"
    folder.mkdir()
    shutil.copy(small_model, folder / "model.pgb")
    texts = list(read_dataset(intents / "test.csv").texts)[:40]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    return folder, tmp_path / "texts.json", texts


def test_a_process_answers_as_the_model_does(latency: ModuleType, trained: tuple[Path, Path, list[str]]) -> None:
    folder, path, texts = trained
    found = latency.timed("projgraph", folder, path)
    assert found["answers"] == load(folder / "model.pgb").predict(texts)
    assert len(found["single_ns"]) == len(found["core_ns"]) == len(texts)
    assert 0 < min(found["core_ns"]) < max(found["single_ns"])
    assert len(found["portable_ns"]) == len(texts)
    assert found["batch_ns"] > 0
    assert 5_000 < found["peak_kb"] < 60_000, "the light runtime: no numpy before the batch"
    assert latency.size_of(folder) == (folder / "model.pgb").stat().st_size


def test_instructions_are_counted_of_each_way(
    latency: ModuleType, trained: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    folder, path, _ = trained
    library = latency.marker(tmp_path)
    if library is None:
        pytest.skip("no valgrind with its headers, or no C compiler")
    first = latency.instructions("projgraph", folder, path, library, tmp_path)
    assert set(first) == {"single_instructions", "batch_instructions", "core_instructions"}
    assert 1_000 < first["core_instructions"] < first["single_instructions"] < 1e6


def test_a_batch_that_answers_otherwise_is_no_figure(served: ModuleType) -> None:
    wrong = served.Served(one=lambda text: "a", many=lambda texts: ["b"] * len(texts))
    with pytest.raises(SystemExit, match="a batch is answered in another way than one text after the other"):
        served.measure(wrong, ["x", "y"])


def test_a_process_that_fails_says_why_in_its_last_line(latency: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text("[]")
    with pytest.raises(RuntimeError, match=r"ModelFileError: there is no file .*model\.pgb"):
        latency.timed("projgraph", tmp_path / "nothing", tmp_path / "texts.json")


def test_a_missing_package_is_a_row(latency, intents, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fasttext", None)
    task = importlib.import_module("rows").draw(intents, None, 0, tmp_path / "task")
    options = argparse.Namespace(work=tmp_path, encoder=None)
    said: list[str] = []
    assert latency.measured("fasttext_ftz", task, options, said.append)["missing"].startswith("import of fasttext")
    assert said == ["fasttext_ftz: training, unless it is kept"]
    monkeypatch.setitem(sys.modules, "model2vec", None)
    assert "no encoder" in latency.measured("model2vec", task, options, said.append)["missing"]
