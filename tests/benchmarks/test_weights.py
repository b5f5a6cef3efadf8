"""The table of formats: every one from the same float head, smaller where it should be, and timed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from ..conftest import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_format_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    weights = importlib.import_module("weights")
    words = {"play": ["music", "song", "band", "tune"], "light": ["lamp", "dark", "bright", "dim"]}
    rows = [[f"{one} the {two}", label] for label, some in words.items() for one in some for two in some]
    for name in ("train.csv", "test.csv"):
        write_rows(tmp_path / name, [["text", "label"], *rows])
    chosen = [each for each in weights.FORMATS if each.name in ("int8", "binary", "binary, not tuned")]
    monkeypatch.setattr(weights, "FORMATS", chosen)
    monkeypatch.setattr(sys, "argv", ["weights.py", str(tmp_path), "--bits", "128", "--units", "8"])
    weights.main()
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [line[0] for line in lines] == [f"| {each.name}" for each in chosen]
    sizes = [int(line[1].replace(",", "")) for line in lines]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] == sizes[2] < sizes[0]
    assert float(lines[0][2]) == 100.0
    assert float(lines[0][3]) == 0.0
    assert all(float(line[4].rstrip("| ")) > 0 for line in lines)
    (tmp_path / "train.csv").write_text("text,label\na,\nb,x\nc,y\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="a row has no label"):
        weights.main()
