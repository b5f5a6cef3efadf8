"""Seconds, peak memory and recall of exact Hamming neighbours beside faiss IndexBinaryFlat, on bits of texts.

    python benchmarks/hamming.py sets/banking77/train.csv sets/clinc150/train.csv --rows 10000 100000
    python benchmarks/hamming.py sets/*/train.csv --rows 1000000 --searches ours graph

The texts: each real utterance is cut at a random word boundary, and the head of one is joined to the tail of another,
both drawn with replacement. A word boundary is one of those that leave both parts a word. The bits are those that the
device computes, `projgraph.native.project` with the default layout of so many bits. Under the sign quantiser one plane
is searched, under the ternary one both, twice as many bits.

Every search runs in a process of its own: the peak is that of the whole process, its interpreter (some 100 MB) and the
rows included. Recall is against faiss' distances: a neighbour as near as the last of the exact list is as good. The
exponent is that of seconds over rows, from the size before. The search "graph" builds the whole graph.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import re
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from projgraph import native
from projgraph.graph.hamming import hamming_search
from projgraph.graph.hamming_index import recall_of
from projgraph.kernels.hamming import hamming_neighbours
from projgraph.kernels.paths import paths
from projgraph.pack.format import Quantiser
from projgraph.pack.projection import ProjectionSpec
from projgraph.read import read_texts
from projgraph.records import Bits, Texts


def recombined(utterances: list[list[str]], rows: int, seed: int) -> Texts:
    """Heads of utterances joined to tails of others, all of two words at least."""
    rng = np.random.default_rng(seed)
    long = [words for words in utterances if len(words) > 1]
    chosen = rng.integers(len(long), size=(2, rows)).tolist()
    cuts = rng.random((2, rows)).tolist()

    def cut(words: list[str], share: float) -> int:
        return 1 + int(share * (len(words) - 1))

    return Texts.from_strings(
        " ".join(long[head][: cut(long[head], one)] + long[tail][cut(long[tail], other) :])
        for head, tail, one, other in zip(*chosen, *cuts, strict=True)
    )


def searched(bits: Bits, quantiser: Quantiser) -> np.ndarray:
    """The planes that a search compares."""
    if quantiser == Quantiser.SIGN:
        return bits.positive
    return np.hstack([bits.positive, bits.negative])


def ours(rows: np.ndarray, count: int, threads: int) -> np.ndarray:
    return hamming_neighbours(rows, count, threads)[0]


def faiss_flat(rows: np.ndarray, count: int, threads: int) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexBinaryFlat(rows.shape[1] * 8)
    index.add(rows)
    return index.search(rows, count + 1)[0][:, 1:]  # without the row itself, or a copy at the same distance


def whole_graph(rows: np.ndarray, count: int, threads: int) -> np.ndarray:
    """The graph of a sign plane, or of both ternary planes side by side; returns its degrees."""
    half = rows.shape[1] // 2
    ternary = not np.any(rows[:, :half] & rows[:, half:])
    planes = (rows[:, :half], rows[:, half:]) if ternary else (rows, ~rows)
    graph = hamming_search(Bits(*planes, planes[0].shape[1] * 8), count, threads=threads).graph
    return np.diff(graph.indptr)[:, None].astype(np.int32)


SEARCHES = {"ours": ours, "faiss": faiss_flat, "graph": whole_graph}


def peak_mb() -> float:
    """Of this process alone: Linux counts what its parent held into ru_maxrss."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(search: str, rows: Path, out: Path, count: int, threads: int) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak MB of one search; its result goes to a file."""
    packed = np.load(rows)
    wall, cpu = time.perf_counter(), time.process_time()
    found = SEARCHES[search](packed, count, threads)
    figures = time.perf_counter() - wall, time.process_time() - cpu
    np.save(out, found)
    return *figures, peak_mb()


def measure(search: str, rows: Path, folder: Path, count: int, threads: int) -> tuple[tuple[float, ...], np.ndarray]:
    out = folder / "found.npy"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, search, rows, out, count, threads).result(), np.load(out)


def table(quantiser: Quantiser, options: argparse.Namespace, utterances: list[list[str]]) -> None:
    before: dict[str, tuple[int, float]] = {}
    spec = ProjectionSpec.for_text(bits=options.bits, quantiser=quantiser)
    for size in options.rows:
        texts = recombined(utterances, size, options.seed)
        begun = time.perf_counter()
        bits = native.project(spec.to_bytes(), texts, options.threads)
        projected = time.perf_counter() - begun
        with tempfile.TemporaryDirectory() as name:
            rows = Path(name) / "rows.npy"
            np.save(rows, searched(bits, quantiser))
            exact: dict[str, np.ndarray] = {}
            seconds: dict[str, float] = {}
            for search in options.searches:
                if search == "faiss" and size > options.peer_rows:
                    continue
                figures, found = measure(search, rows, Path(name), options.neighbours, options.threads)
                exact[search], seconds[search] = found, figures[0]
                recall = f"{recall_of(exact['ours'], found):.4f}" if search == "faiss" and "ours" in exact else ""
                ratio = f"{figures[0] / seconds['ours']:.1f}" if search != "ours" and "ours" in seconds else ""
                rise = ""
                if search in before:
                    small, short = before[search]
                    rise = f"{math.log(figures[0] / short) / math.log(size / small):.2f}"
                before[search] = (size, figures[0])
                cells = [quantiser.name.lower(), f"{size:,}", search, f"{figures[0]:.2f}", f"{figures[1]:.2f}"]
                cells += [f"{figures[2]:.0f}", recall, ratio, rise, f"{projected:.2f}"]
                print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+", help="files of real utterances")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--peer-rows", type=int, default=100_000, help="the most rows that faiss searches")
    parser.add_argument("--bits", type=int, default=512)
    parser.add_argument("--quantisers", nargs="+", default=["sign", "ternary"])
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=["ours", "faiss"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    utterances = [text.split() for path in options.texts for text in read_texts(path)]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{len(utterances):,} utterances; {options.bits} bits, {options.neighbours} neighbours, ", end="")
    print(f"{options.threads} threads, {paths()[-1].name}; load before: {load}\n")
    heads = "quantiser | rows | search | seconds | processor s | peak MB | recall of ours | x ours | exponent | bits s"
    print(f"| {heads} |\n|" + "---|" * 10)
    for name in options.quantisers:
        table(Quantiser[name.upper()], options, utterances)


if __name__ == "__main__":
    main()
