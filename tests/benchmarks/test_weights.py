"""The table of formats: every one from the same float head, smaller where it should be, and timed."""

from __future__ import annotations

import gzip
import importlib
import sys
from pathlib import Path

import numpy as np
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


def test_images_are_rows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bright on the left, or on the right: every format tells them apart."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    weights = importlib.import_module("weights")
    digits = np.arange(40, dtype=np.uint8) % 2
    images = np.random.default_rng(0).integers(1, 60, (40, 4, 4), dtype=np.uint8)
    for image, digit in zip(images, digits, strict=True):
        image[:, 2 * digit : 2 * digit + 2] += 190
    for part in ("train", "t10k"):
        for name, array in ((weights.IMAGES, images), (weights.DIGITS, digits)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
            (tmp_path / name.format(part)).write_bytes(gzip.compress(header + array.tobytes()))
    chosen = [each for each in weights.FORMATS if each.name in ("int8", "ternary")]
    monkeypatch.setattr(weights, "FORMATS", chosen)
    monkeypatch.setattr(sys, "argv", ["weights.py", str(tmp_path), "--bits", "128", "--units", "8"])
    weights.main()
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [line[2] for line in lines] == ["100.00", "100.00"]
