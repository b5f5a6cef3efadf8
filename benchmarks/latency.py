"""Microseconds of one prediction in a C loop, and milliseconds until `projgraph predict` gives its first answer.

    python benchmarks/latency.py TEXTS.csv MODEL.pgb [MODEL.pgb ...] [--words 12]

Texts of exactly so many words are timed one call each, 101 times; the figure is the median over texts of the median
over calls, beside the same call from Python. The start is a new process that reads one line.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import projgraph
from projgraph.read import read_texts
from projgraph.records import Texts

_CALLS = 101
_STARTS = 15


def first_answer(model: Path) -> float:
    """Median milliseconds from the start of the command to its end, one line in."""
    command = [str(Path(sys.executable).with_name("projgraph")), "predict", str(model), "-"]
    seconds = []
    for _ in range(_STARTS):
        start = time.perf_counter()
        subprocess.run(command, input=b"my card has not arrived\n", stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def python_call(model: projgraph.Model, texts: Texts) -> float:
    """Median microseconds of ``model.predict`` with one text."""
    seconds = []
    for text in texts:
        start = time.perf_counter()
        model.predict(text)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--words", type=int, default=12)
    options = parser.parse_args()
    chosen = Texts.from_strings(text for text in read_texts(options.texts) if len(text.split()) == options.words)
    print(f"{len(chosen)} texts of {options.words} words")
    print("| model | classes | bits | C p50 µs | C p99 µs | Python p50 µs | start ms |\n|" + "---|" * 7)
    for path in options.models:
        with projgraph.load(path) as model:
            medians = np.median(model.native.time_calls(chosen, _CALLS), axis=1) / 1e3
            cells = [path.name, str(len(model.classes)), str(model.native.n_bits)]
            cells += [f"{np.median(medians):.2f}", f"{np.percentile(medians, 99):.2f}"]
            cells += [f"{python_call(model, chosen):.2f}", f"{first_answer(path):.0f}"]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
