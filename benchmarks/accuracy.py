"""Test accuracy of `projgraph train` beside TF-IDF + logistic regression, on folders of train.csv and test.csv.

    python benchmarks/accuracy.py DATA/banking77 DATA/clinc150 --labels 1 5 all --seeds 0 1 2

Every run is the command itself with its defaults in a process of its own; the figure is the quantised model as the C
core predicts it. One Markdown row per set and label count: mean and spread (largest minus smallest) over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from few_labels import spread
from peers import Setting, tfidf_regression
from rows import draw, test_file, train_file


def run_projgraph(folder: Path, labels: int | None, seed: int, extra: list[str]) -> dict[str, float]:
    """The figures of one training by the command."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "projgraph", "train", str(train_file(folder)), "--json", "--no-tracking"]
        command += ["--test", str(test_file(folder)), "--seed", str(seed), "--out", f"{scratch}/model.pgb", *extra]
        command += [] if labels is None else ["--labels-per-class", str(labels)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        return json.loads(done.stdout)


def run_peer(folder: Path, labels: int | None, seed: int) -> float:
    """Test accuracy of TF-IDF (words 1-2, characters 3-5) + logistic regression on the same labelled rows."""
    with tempfile.TemporaryDirectory() as scratch:
        task = draw(folder, labels, seed, Path(scratch) / "task")
        texts, expected = task.test
        found = tfidf_regression(task, Setting(Path(scratch))).predict(texts)
    return statistics.fmean(label == wanted for label, wanted in zip(found, expected, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", default=["5"], help="labels a class, or all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="CSV file that gets every single run")
    options, extra = parser.parse_known_args()
    print("| set | labels a class | projgraph | trainer | bytes | seconds | p50 µs | TF-IDF + LR |\n|" + "---|" * 8)
    for folder in options.folders:
        for written in options.labels:
            labels = None if written == "all" else int(written)
            runs = [run_projgraph(folder, labels, seed, extra) for seed in options.seeds]
            peers = [run_peer(folder, labels, seed) for seed in options.seeds] if options.peer else []
            taught = [run["trainer_accuracy"] for run in runs if run["trainer_accuracy"] is not None]
            cells = [folder.name, written, spread([run["test_accuracy"] for run in runs])]
            cells += [spread(taught) if taught else "–", f"{max(run['model_bytes'] for run in runs):,}"]
            cells += [f"{statistics.mean(run['seconds'] for run in runs):.0f}"]
            cells += [f"{statistics.mean(run['evaluation']['latency_p50_us'] for run in runs):.1f}"]
            cells += [spread(peers) if peers else "–"]
            print("| " + " | ".join(cells) + " |", flush=True)
            if options.out is not None:
                append(options.out, folder.name, written, options.seeds, runs)


def append(path: Path, name: str, labels: str, seeds: list[int], runs: list[dict[str, float]]) -> None:
    """Every single run as a CSV row."""
    with path.open("a", newline="", encoding="utf-8") as stream:
        for seed, run in zip(seeds, runs, strict=True):
            figures = [run["test_accuracy"], run["trainer_accuracy"], run["model_bytes"], run["seconds"]]
            csv.writer(stream).writerow([name, labels, seed, *figures])


if __name__ == "__main__":
    main()
