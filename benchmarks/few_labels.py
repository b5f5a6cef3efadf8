"""projgraph and its peers on the same labelled rows: accuracy, bytes, microseconds, seconds and memory, in one run.

    python benchmarks/few_labels.py SETS/banking77 ANY/FOLDER --labels 1 5 10 --out benchmarks/few_labels.md

A folder holds train.csv and test.csv with the columns text and label. Every method runs with its defaults in a process
of its own; one that cannot run becomes a row that says why. `--runs FILE` keeps every single run, so that a run that
was interrupted goes on where it was, and so that the table can be written again. What is not known here, such as
`--set trainer.rounds=1`, goes to `projgraph train`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peers import PEERS, default_encoder
from rows import draw

from projgraph.atomic import atomic_write

Run = dict[str, Any]
"""One method on one draw: set, labels, seed, method, settings that are no defaults, its figures or why it has none."""


def run_peer(
    name: str, folder: Path, seed: int, work: Path, encoder: str | None, limit: float, extra: list[str]
) -> Run:
    """The figures of one method in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("peers.py")), name, str(folder), "--seed", str(seed)]
    command += ["--work", str(work), *(["--encoder", encoder] if encoder else []), *extra]
    # No method may reach for the network: what is not on this machine is a row that says so.
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return {"missing": f"took more than {limit:.0f} s"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return {"missing": f"failed: {last[0]:.160}"}
    figures: Run = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_all(options: argparse.Namespace, extra: list[str]) -> list[Run]:
    """Every method on every draw; runs that the file of runs already has are taken from there."""
    settings = " ".join([*extra, *([f"--unlabelled {options.unlabelled}"] if options.unlabelled else [])])
    runs = [run for run in read_runs(options.runs) if run["settings"] == settings]
    done = {_key(run) for run in runs}
    with tempfile.TemporaryDirectory() as scratch:
        for source in options.folders:
            for labels in options.labels:
                for seed in options.seeds:
                    wanted = [name for name in options.methods if (source.name, labels, seed, name) not in done]
                    if not wanted:
                        continue
                    folder = Path(scratch) / f"{source.name}-{labels}-{seed}"
                    draw(source, None if labels == "all" else int(labels), seed, folder, options.unlabelled)
                    for name in wanted:
                        figures = run_peer(name, folder, seed, Path(scratch), options.encoder, options.limit, extra)
                        run = {"set": source.name, "labels": labels, "seed": seed, "method": name, "settings": settings}
                        run |= figures
                        keep(run, options.runs)
                        runs.append(run)
    chosen = {folder.name for folder in options.folders}
    return [run for run in runs if run["set"] in chosen]


def _key(run: Run) -> tuple[str, str, int, str]:
    return run["set"], run["labels"], run["seed"], run["method"]


def read_runs(path: Path | None) -> list[Run]:
    """The runs of a file of JSON lines; none where there is no file."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def keep(run: Run, path: Path | None) -> None:
    """Tell how a run went, and add it to the file of runs."""
    told = run.get("missing") or f"{100 * run['accuracy']:.1f} % in {run['seconds']:.0f} s"
    print(
        f"{run['set']}, {run['labels']} labels, seed {run['seed']}, {run['method']}: {told}",
        file=sys.stderr,
        flush=True,
    )
    if path is not None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(run) + "\n")


def spread(values: list[float]) -> str:
    """Mean and range in per cent."""
    return f"{100 * statistics.mean(values):.1f} ({100 * (max(values) - min(values)):.1f})"


def table(runs: list[Run], name: str) -> list[str]:
    """The Markdown rows of one set, methods down and label counts across."""
    of_set = [run for run in runs if run["set"] == name]
    counts = _ordered(run["labels"] for run in of_set)
    lines = ["| method | " + " | ".join(f"k = {count}" for count in counts) + " | bytes | µs | seconds | MB |"]
    lines += ["|" + "---|" * (len(counts) + 5)]
    for method in PEERS:
        own = [run for run in of_set if run["method"] == method]
        if own:
            lines.append("| " + " | ".join([PEERS[method].title, *_cells(own, counts)]) + " |")
    return lines


def _cells(own: list[Run], counts: list[str]) -> list[str]:
    """Accuracy by label count, and what the method costs at the largest one that ran."""
    ran = [run for run in own if "accuracy" in run]
    if not ran:
        return ["not run: " + own[-1]["missing"], *[""] * (len(counts) + 3)]
    cells = []
    for count in counts:
        values = [run["accuracy"] for run in ran if run["labels"] == count]
        failed = [run["missing"] for run in own if run["labels"] == count and "missing" in run]
        cells.append(spread(values) if values else f"not run: {failed[0]}" if failed else "–")
    last = [run for run in ran if run["labels"] == [count for count in counts if _has(ran, count)][-1]]
    size, micro = [run["bytes"] for run in last], [run["microseconds"] for run in last]
    cells += [f"{max(size):,}" if None not in size else "a graph"]
    cells += [_micro(last) if None not in micro else "–"]
    cells += [f"{statistics.mean(run['seconds'] for run in last):.0f}", f"{max(run['peak_mb'] for run in last):,.0f}"]
    return cells


def _has(runs: list[Run], count: str) -> bool:
    return any(run["labels"] == count for run in runs)


def _micro(runs: list[Run]) -> str:
    """Microseconds of one call from Python, and of the core's loop where the method has a core."""
    python = statistics.mean(run["microseconds"] for run in runs)
    told = f"{python:,.1f}" if python < 100 else f"{python:,.0f}"
    if "core_microseconds" not in runs[0]:
        return told
    return f"{told} (C: {statistics.mean(run['core_microseconds'] for run in runs):.1f})"


def _ordered(counts: Iterable[str]) -> list[str]:
    """Label counts in ascending order, all labels last."""
    return sorted(set(counts), key=lambda count: float("inf") if count == "all" else int(count))


def report(runs: list[Run], picture: str | None) -> str:
    """The Markdown page of all sets."""
    lines = ["# Few labels", "", __doc__.split("\n\n")[0], ""]
    lines += [
        "k labels of each class are drawn by the few-label protocol (`projgraph.read.few_labels`); every method gets "
        "the same rows, the other training rows without their labels; projgraph also reads the names of the classes, "
        "other methods where a row says so. Test accuracy in per cent: mean over the seeds, "
        "and in brackets the range. Bytes, microseconds, seconds and megabytes are those of the largest k: what a "
        "device must hold; one text a call from Python (in brackets the C loop); training on the wall clock; peak "
        "memory of the process. LR is logistic regression with C = 30; a method has one setting for all sets.",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} at the end, {time.strftime('%Y-%m-%d')}.",
    ]
    if picture is not None:
        lines += ["", f"![Test accuracy against bytes of the model]({picture})"]
    for name in dict.fromkeys(run["set"] for run in runs):
        of_set = [run for run in runs if run["set"] == name]
        seeds = ", ".join(str(seed) for seed in sorted({run["seed"] for run in of_set}))
        settings = " ".join(f"Settings: `{said}`." for said in sorted({run["settings"] for run in of_set}) if said)
        lines += ["", f"## {name}", "", f"Seeds {seeds}. {settings}".strip(), "", *table(runs, name)]
    return "\n".join(lines) + "\n"


def draw_picture(runs: list[Run], path: Path) -> None:
    """Test accuracy against model bytes, one panel a set, a line a method through its label counts' means."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "projgraph", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot

    names = list(dict.fromkeys(run["set"] for run in runs))
    figure, panels = pyplot.subplots(
        1, len(names), figsize=(1 + 3.1 * len(names), 3.2), squeeze=False, sharex=True, sharey=True
    )
    for panel, name in zip(panels[0], names, strict=True):
        for number, (method, peer) in enumerate(PEERS.items()):
            points = _points([run for run in runs if run["set"] == name and run["method"] == method])
            if points:
                sizes, accuracies = zip(*points, strict=True)
                panel.plot(sizes, accuracies, "o-", color=f"C{number}", markersize=3 + (number < 2), label=peer.title)
        panel.set(xscale="log", title=name, xlabel="size of the model", xlim=(1e5, 3e8))
        panel.set_xticks([2**18, 2**20, 10 * 2**20, 100 * 2**20], ["256 KB", "1 MB", "10 MB", "100 MB"])
        panel.minorticks_off()
        panel.axvline(256 * 1024, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    panels[0][0].set_ylabel("test accuracy, %")
    handles = {label: handle for panel in panels[0] for handle, label in zip(*panel.get_legend_handles_labels())}  # noqa: B905
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.16, 1, 1))
    date = {"Date": None} if path.suffix == ".svg" else None
    atomic_write(path, lambda stream: figure.savefig(stream, format=path.suffix[1:], metadata=date))
    pyplot.close(figure)


def _points(runs: list[Run]) -> list[tuple[float, float]]:
    """Bytes and mean accuracy of each label count; none for a method without a model."""
    points = []
    for count in _ordered(run["labels"] for run in runs):
        own = [run for run in runs if run["labels"] == count and run.get("bytes")]
        if own:
            points.append((max(run["bytes"] for run in own), 100 * statistics.mean(run["accuracy"] for run in own)))
    return points


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", default=["1", "5", "10"], help="labels a class, or all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--methods", nargs="+", default=list(PEERS), choices=PEERS, metavar="METHOD", help=", ".join(PEERS)
    )
    parser.add_argument("--unlabelled", type=int, help="keep at most so many unlabelled rows, for a very large set")
    parser.add_argument("--encoder", default=default_encoder(), help="folder of a sentence-transformers model")
    parser.add_argument("--limit", type=float, default=1800, help="seconds that one method may take")
    parser.add_argument("--runs", type=Path, help="file of JSON lines that keeps every run")
    parser.add_argument("--out", type=Path, help="Markdown page to write; standard output if left out")
    parser.add_argument("--picture", type=Path, help=".svg or .png file to draw accuracy against bytes into")
    return parser.parse_known_args()


def main() -> None:
    options, extra = _options()
    runs = run_all(options, extra)
    if options.picture is not None:
        draw_picture(runs, options.picture)
    page = report(runs, options.picture and options.picture.name)
    if options.out is None:
        print(page)
        return
    atomic_write(options.out, page.encode())


if __name__ == "__main__":
    main()
