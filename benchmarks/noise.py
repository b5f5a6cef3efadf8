"""Test accuracy against the share of corrupted characters, for models that were trained once on clean text.

    python benchmarks/noise.py SETS/clinc150 --labels 5 --seeds 0 1 --rates 0 0.05 0.1 0.2 --models FOLDER

Every method is trained once a seed, on the same labelled rows, and predicts corrupted copies of the test texts (see
`projgraph.features.corruption`). One Markdown row per rate: accuracy, and in brackets the loss against clean texts,
both the mean over the seeds. With `--models` a trained .pgb file is kept there and used again; what is not known here
goes to `projgraph train`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from peers import PEERS, Setting, default_encoder, projgraph
from rows import Task, draw

from projgraph import load
from projgraph.features.corruption import KINDS, corrupt

Predict = Callable[[Sequence[str]], Sequence[str]]


def fitted(method: str, task: Task, setting: Setting, kept: Path | None) -> Predict | None:
    """The predictor of a method; None, told, where it cannot run here."""
    reason = PEERS[method].missing(setting)
    if reason is not None:
        print(f"{PEERS[method].title}: not run: {reason}")
        return None
    if method != "projgraph" or kept is None:
        return PEERS[method].fit(task, setting).predict
    if not kept.exists():
        projgraph(task, setting)
        shutil.copyfile(task.folder / "model.pgb", kept)
    return load(kept).predict


def accuracies(predict: Predict, task: Task, rates: list[float], kind: str) -> list[float]:
    """Accuracy at each rate; the copies depend on the seed of the task."""
    texts, expected = task.test
    found = []
    for rate in rates:
        labels = predict(corrupt(texts, rate, task.seed, kind))
        found.append(statistics.fmean(label == wanted for label, wanted in zip(labels, expected, strict=True)))
    return found


def table(rates: list[float], curves: dict[str, list[list[float]]]) -> str:
    """Markdown: a row for each rate, a column for each method."""
    lines = ["| corrupted characters | " + " | ".join(PEERS[method].title for method in curves) + " |"]
    lines += ["|" + "---|" * (len(curves) + 1)]
    for place, rate in enumerate(rates):
        cells = []
        for seeds in curves.values():
            now = statistics.mean(curve[place] for curve in seeds)
            loss = statistics.mean(curve[0] for curve in seeds) - now
            cells.append(f"{100 * now:.1f} (-{100 * loss:.1f})" if place else f"{100 * now:.1f}")
        lines.append(f"| {100 * rate:g} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", default="5", help="labels a class, or all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--rates", nargs="+", type=float, default=[0, 0.05, 0.1, 0.2], help="the first is the reference"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["typing"])
    parser.add_argument("--methods", nargs="+", choices=PEERS, default=["projgraph", "tfidf", "fasttext"])
    parser.add_argument("--models", type=Path, help="folder that keeps the .pgb files")
    options, extra = parser.parse_known_args()
    labels = None if options.labels == "all" else int(options.labels)
    if options.models is not None:
        options.models.mkdir(parents=True, exist_ok=True)
    for source in options.folders:
        curves: dict[str, dict[str, list[list[float]]]] = {kind: {} for kind in options.kinds}
        with tempfile.TemporaryDirectory() as scratch:
            setting = Setting(Path(scratch), default_encoder(), tuple(extra))
            for seed in options.seeds:
                task = draw(source, labels, seed, Path(scratch) / str(seed))
                kept = options.models and options.models / f"{source.name}-{options.labels}-{seed}.pgb"
                for method in options.methods:
                    predict = fitted(method, task, setting, kept)
                    for kind in options.kinds if predict is not None else []:
                        curve = accuracies(predict, task, options.rates, kind)
                        curves[kind].setdefault(method, []).append(curve)
        for kind, found in curves.items():
            print(f"\n{source.name}, {options.labels} labels a class, seeds {options.seeds}, {kind}\n")
            print(table(options.rates, found), flush=True)


if __name__ == "__main__":
    main()
