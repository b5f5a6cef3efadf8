"""What a student loses against its trainer on the same test rows.

    python benchmarks/student_gap.py DATA/banking77 DATA/clinc150 --labels 1 5 10 --seeds 0 1 2 [--encoder MODEL]

A trainer labels the nodes of its graph alone, so the test texts are unlabelled nodes of it, none left out as foreign,
and it learns from them, too. "student" is of `projgraph train` with the same texts given to `--unlabelled`; "unseen" is
of the command without them, so that it differs by what these texts teach as well. Where the rows of training are all
labelled there is no trainer to compare with. One Markdown row per set and label count: mean and spread (largest minus
smallest) over the seeds, in per cent.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
from accuracy import run_projgraph
from few_labels import spread
from rows import test_file, train_file

from projgraph.clock import Clock
from projgraph.config import load_config
from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED
from projgraph.teach import teach


def trainer_accuracy(folder: Path, labels: int, seed: int, encoder: str | None) -> float:
    """The share of the labelled test rows, unlabelled nodes for the trainer, that it labels as the file does."""
    rows, _ = few_labels(read_dataset(train_file(folder)), labels, seed)
    test = read_dataset(test_file(folder), keep_empty=True)
    given = np.append(rows.labels, np.full(len(test), UNLABELLED))
    everything = replace(rows, rows=rows.texts.concatenate(test.texts), labels=given)
    # How sure the trainer is says nothing of which label it gives.
    changes = {"seed": seed, "encoder": encoder, "trust.draws": 0, "trust.foreign": True}
    taught = teach(everything, load_config(None, (), changes), True, lambda _: None, Clock())
    known = np.flatnonzero(test.labels != UNLABELLED)
    names = np.array(rows.classes)[taught.labels.labels[len(rows) :][known]]
    return float((names == np.array(test.classes)[test.labels[known]]).mean())


def student_accuracy(folder: Path, labels: int, seed: int, extra: list[str]) -> float:
    """That of a model trained by the command with the test texts among its unlabelled rows."""
    # Of a file for --unlabelled the texts alone are read.
    same = ["--unlabelled", str(test_file(folder)), "--set", "trust.foreign=true"]
    return run_projgraph(folder, labels, seed, [*extra, *same])["test_accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[1, 5, 10])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--encoder", help="sentence-transformers model of both, by name or folder")
    options = parser.parse_args()
    extra = [] if options.encoder is None else ["--encoder", options.encoder]
    print("| set | labels a class | trainer | student | student below it | unseen |\n|" + "---|" * 6)
    for folder in options.folders:
        for labels in options.labels:
            taught = [trainer_accuracy(folder, labels, seed, options.encoder) for seed in options.seeds]
            learnt = [student_accuracy(folder, labels, seed, extra) for seed in options.seeds]
            unseen = [run_projgraph(folder, labels, seed, extra)["test_accuracy"] for seed in options.seeds]
            gap = 100 * (statistics.mean(taught) - statistics.mean(learnt))
            cells = [folder.name, str(labels), spread(taught), spread(learnt), f"{gap:.1f}", spread(unseen)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
