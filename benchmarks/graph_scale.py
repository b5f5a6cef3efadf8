"""Seconds and memory of one propagation step beside scipy, PyTorch and PyG, and of label spreading beside scikit-learn.

    python benchmarks/graph_scale.py [--nodes 1000000] [--neighbours 20] [--classes 64] [--threads 2]
        [--parts steps given features]

The graph imitates that of nearest neighbours: nodes fall into clusters of 500, each asks for so many others, four in
five of them in its own cluster and the rest anywhere. ``clustered`` numbers nodes cluster by cluster, ``shuffled``
numbers them at random, which is how rows of a file come. Every figure is the best of a few steps, taken in a process of
its own that loads the graph from a temporary file; peak memory is that process's, graph and arrays included. The part
``features`` starts from clustered features instead (`clustered`), builds the graph too, and runs once.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import sparse

_CLUSTER = 500
_DIMENSIONS = 64
_OWN_CLUSTER = 0.8
_SHARE = 0.9
_STEPS = 4
_GIGABYTE = 1 << 30
_LIMIT = 11 * _GIGABYTE

Method = Literal["auto", "ivf"]
Seconds = tuple[float, float]


def write_graph(folder: Path, nodes: int, neighbours: int, shuffled: bool) -> int:
    """The normalised adjacency as three arrays in a folder; returns its undirected edges."""
    random = np.random.default_rng(0)
    rows = np.repeat(np.arange(nodes, dtype=np.int32), neighbours)
    near = rows // _CLUSTER * _CLUSTER + random.integers(0, _CLUSTER, len(rows), dtype=np.int32)
    far = random.integers(0, nodes, len(rows), dtype=np.int32)
    columns = np.where(random.random(len(rows), dtype=np.float32) < _OWN_CLUSTER, near, far) % nodes
    columns = np.where(columns == rows, (columns + 1) % nodes, columns).astype(np.int32)
    if shuffled:
        names = random.permutation(nodes).astype(np.int32)
        rows, columns = names[rows], names[columns]
    weights = np.ones(len(rows), dtype=np.float32)
    directed = sparse.csr_array((weights, (rows, columns)), shape=(nodes, nodes))
    either = sparse.csr_array(directed + directed.T)
    root = 1 / np.sqrt(either.sum(axis=1))
    either.data *= (np.repeat(root, np.diff(either.indptr)) * root[either.indices]).astype(np.float32)
    np.save(folder / "starts.npy", either.indptr.astype(np.int64))
    np.save(folder / "ends.npy", either.indices.astype(np.int32))
    np.save(folder / "weights.npy", either.data)
    return either.nnz // 2


def best(step: Callable[[], object], count: int = _STEPS) -> Seconds:
    """Wall and processor seconds of the fastest of some calls; they differ by threads, and by what else runs."""
    seconds = []
    for _ in range(count):
        wall, processor = time.perf_counter(), time.process_time()
        step()
        seconds.append((time.perf_counter() - wall, time.process_time() - processor))
    return min(seconds)


def arrays(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    starts, ends, weights = (np.load(folder / f"{name}.npy") for name in ("starts", "ends", "weights"))
    return starts, ends, weights


def beliefs_of(nodes: int, classes: int) -> np.ndarray:
    return np.random.default_rng(1).random((nodes, classes), dtype=np.float32)


def time_projgraph(folder: Path, classes: int, threads: int) -> Seconds:
    from projgraph.kernels.propagate import Edges

    edges = Edges(*arrays(folder))
    beliefs = beliefs_of(edges.n_nodes, classes)
    out = np.empty_like(beliefs)
    return best(lambda: edges.propagate(beliefs, _SHARE, beliefs, out, threads))


def time_expander(folder: Path, classes: int, threads: int) -> Seconds:
    """A step of the top 8 labels, after five steps have filled the lists; one node in a hundred is a seed."""
    from projgraph.kernels.propagate import Edges, TopLabels

    edges, random = Edges(*arrays(folder)), np.random.default_rng(1)
    seeds = np.where(random.random(edges.n_nodes) < 0.01, random.integers(0, classes, edges.n_nodes), -1)
    seeds = seeds.astype(np.int32)
    lists = [TopLabels.of(seeds, 8, classes)]
    lists.append(lists[0].empty_like())

    def step() -> None:
        edges.expand(lists[0], seeds, (1.0, 0.1, 0.01), lists[1], threads)
        lists.reverse()

    for _ in range(5):
        step()
    return best(step)


def time_scipy(folder: Path, classes: int, threads: int) -> Seconds:
    starts, ends, weights = arrays(folder)
    nodes = len(starts) - 1
    matrix = sparse.csr_array((weights, ends, starts.astype(np.int32)), shape=(nodes, nodes))
    beliefs = beliefs_of(nodes, classes)
    return best(lambda: _SHARE * (matrix @ beliefs) + (1 - _SHARE) * beliefs, 2)


def torch_matrix(folder: Path, threads: int):
    import torch

    torch.set_num_threads(threads)
    starts, ends, weights = arrays(folder)
    parts = (torch.from_numpy(part) for part in (starts.astype(np.int32), ends, weights))
    return torch.sparse_csr_tensor(*parts, size=(len(starts) - 1,) * 2)


def time_torch(folder: Path, classes: int, threads: int) -> Seconds:
    import torch

    matrix = torch_matrix(folder, threads)
    beliefs = torch.from_numpy(beliefs_of(matrix.shape[0], classes))
    out = torch.empty_like(beliefs)
    return best(lambda: torch.addmm(beliefs, matrix, beliefs, beta=1 - _SHARE, alpha=_SHARE, out=out), 3)


def time_pyg(folder: Path, classes: int, threads: int) -> Seconds:
    """A step of LabelPropagation: ten layers less none, over ten, so that its preparation is not counted as a step."""
    import torch
    from torch_geometric.nn import LabelPropagation

    torch.set_num_threads(threads)
    starts, ends, _ = arrays(folder)
    nodes = len(starts) - 1
    index = torch.stack(
        [torch.from_numpy(np.repeat(np.arange(nodes), np.diff(starts))), torch.from_numpy(ends.astype(np.int64))]
    )
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, classes, nodes))
    LabelPropagation(1, _SHARE)(labels[:1], index[:, :0])
    none, ten = (best(lambda layers=layers: LabelPropagation(layers, _SHARE)(labels, index), 1) for layers in (0, 10))
    return (ten[0] - none[0]) / 10, (ten[1] - none[1]) / 10


def time_spreading(folder: Path, classes: int, threads: int) -> Seconds:
    """Label spreading from one node in a hundred until no probability moves by 1e-3, graph given."""
    from projgraph.kernels.propagate import Edges

    edges, random = Edges(*arrays(folder)), np.random.default_rng(1)
    anchor = np.zeros((edges.n_nodes, classes), dtype=np.float32)
    seeds = np.flatnonzero(random.random(edges.n_nodes) < 0.01)
    anchor[seeds, random.integers(0, classes, len(seeds))] = 1

    def spread() -> None:
        now, spare = anchor.copy(), np.empty_like(anchor)
        for _ in range(100):
            edges.propagate(now, _SHARE, anchor, spare, threads)
            now, spare = spare, now
            np.subtract(now, spare, out=spare)
            if max(spare.max(), -spare.min()) < 1e-3:
                break

    return best(spread, 1)


def clustered(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 64) float32 features, and the class of each row, known (else -1) and true.

    Rows fall at random into n / 500 Gaussian clusters: a row is its cluster's centre, drawn from N(0, 1 / 64) in each
    dimension, and noise of half that deviation, so that squared distances are about 1/2 within a cluster and 5/2
    between clusters. Cluster i has class i mod c. One row in a hundred is labelled, and the first one of each class.
    """
    random = np.random.default_rng(1)
    centres = random.standard_normal((max(rows // _CLUSTER, classes), _DIMENSIONS), dtype=np.float32)
    cluster = random.integers(0, len(centres), rows)
    features = random.standard_normal((rows, _DIMENSIONS), dtype=np.float32)
    features *= np.float32(0.5)
    features += centres[cluster]
    features /= np.float32(_DIMENSIONS**0.5)
    truth = cluster % classes
    known = random.random(rows) < 0.01
    known[np.unique(truth, return_index=True)[1]] = True
    return features, np.where(known, truth, -1), truth


def spread_by_sklearn(rows: int, classes: int, kernel: str) -> tuple[Seconds, str]:
    """Features in, labels out: 20 neighbours or its default rbf, at most 30 steps (its default)."""
    from sklearn.semi_supervised import LabelSpreading

    features, labels, truth = clustered(rows, classes)
    model = LabelSpreading(kernel=kernel, n_neighbors=20, alpha=_SHARE)
    seconds = best(lambda: model.fit(features, labels), 1)
    return seconds, f"{(model.transduction_ == truth)[labels < 0].mean():.4f} | exact, {model.n_iter_} steps"


def spread_by_projgraph(rows: int, classes: int, method: Method) -> tuple[Seconds, str]:
    """Features in, labels out: 20 neighbours by Euclidean distance, by the default search or ivf, at most 30 steps."""
    from projgraph.config import TrainerConfig
    from projgraph.graph.knn import build_knn
    from projgraph.records import TrainerTask
    from projgraph.trainers.label_spreading import label_spreading

    features, labels, truth = clustered(rows, classes)
    config = TrainerConfig.model_validate(
        {"classic": {"smoothing": _SHARE, "tolerance": 1e-3, "max_steps": 30, "clamping": "soft"}}
    )
    done: dict[str, Any] = {}

    def build() -> None:
        done["built"] = build_knn(features, 20, metric="euclidean", weight="binary", method=method)

    def spread() -> None:
        task = TrainerTask(done["built"].graph, None, labels.astype(np.int64), classes)
        done["labels"] = label_spreading(task, config, 0, lambda line: done.update(said=line)).labels

    built, taught = best(build, 1), best(spread, 1)
    search = f"{done['built'].method}, recall {done['built'].recall:.3f}, graph {built[0]:.1f} s; {done['said']}"
    right = (done["labels"] == truth)[labels < 0].mean()
    return (built[0] + taught[0], built[1] + taught[1]), f"{right:.4f} | {search}"


def time_describe(folder: Path, classes: int, threads: int) -> Seconds:
    """What `graph info` counts, of a graph that is in memory."""
    from projgraph.graph.describe import describe_graph
    from projgraph.records import Graph

    graph = Graph(*arrays(folder))
    return best(lambda: describe_graph(graph), 2)


STEPS = ["projgraph", "projgraph expander", "scipy", "torch.sparse", "PyG LabelPropagation"]
PARTS = ("steps", "given", "features")

METHODS = {
    "projgraph": time_projgraph,
    "projgraph expander": time_expander,
    "projgraph spreading": time_spreading,
    "scipy": time_scipy,
    "torch.sparse": time_torch,
    "PyG LabelPropagation": time_pyg,
    "describe": time_describe,
}


def child(arguments: list[str]) -> None:
    """Measure one method and print seconds and peak megabytes, or what went wrong; or write the graph."""
    method, place, classes, threads = arguments[0], arguments[1], int(arguments[2]), int(arguments[3])
    if method == "write":
        print(write_graph(Path(place), classes, threads, arguments[4] == "shuffled"))
        return
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT, _LIMIT))
    try:
        if method.startswith("end to end"):
            spread = spread_by_projgraph if method.startswith("end to end projgraph") else spread_by_sklearn
            (wall, processor), more = spread(int(place), classes, method.split()[-1])
        else:
            (wall, processor), more = METHODS[method](Path(place), classes, threads), ""
    except (MemoryError, RuntimeError) as error:
        print(f"fails under {_LIMIT // _GIGABYTE} GB: {str(error).splitlines()[0][:110]}")
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{wall:.3f} | {processor:.3f} | {peak:,.0f} MB" + (more and f" | {more}"))


def measure(method: str, place: str, classes: int, threads: int) -> str:
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))}
    command = [sys.executable, "-W", "ignore", __file__, "--child", method, place, str(classes), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.stdout.strip() or f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"


def written(folder: str, nodes: int, neighbours: int, order: str) -> int:
    """As `write_graph`, in a process of its own: a child's peak memory counts from what its parent holds."""
    command = [sys.executable, __file__, "--child", "write", folder, str(nodes), str(neighbours), order]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--classes", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--orders", nargs="+", default=["clustered", "shuffled"])
    parser.add_argument(
        "--methods", nargs="+", default=[name for name in METHODS if name not in ("projgraph spreading", "describe")]
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {options.threads} threads\n")
    with tempfile.TemporaryDirectory() as folder:
        if "steps" in options.parts:
            steps(options, folder)
        if "given" in options.parts:
            given(options, folder)
    if "features" in options.parts:
        end_to_end(options)


def steps(options: argparse.Namespace, folder: str) -> None:
    row("order", "edges", "classes", "step of", "wall s", "CPU s", "peak")
    row(*["---"] * 7)
    seconds: dict[tuple[str, str], list[float]] = {}
    sizes = [options.nodes // 4, options.nodes]
    for order in options.orders:
        for nodes in sizes:
            edges = written(folder, nodes, options.neighbours, order)
            for name in options.methods:
                classes = 1000 if name == "projgraph expander" else options.classes
                result = measure(name, folder, classes, options.threads)
                row(order, f"{edges:,}", classes, name, result)
                if " | " in result:
                    seconds.setdefault((order, name), []).append(float(result.split(" | ")[1]))
    for (order, name), both in seconds.items():
        if len(both) == len(sizes) and min(both) > 0:
            power = math.log(both[1] / both[0]) / math.log(sizes[1] / sizes[0])
            print(f"\n{name}, {order}: CPU seconds grow as edges^{power:.2f}")


def given(options: argparse.Namespace, folder: str) -> None:
    rows = options.nodes * 7 // 10
    print()
    row("at", "nodes", "classes", "wall s", "CPU s", "peak")
    row(*["---"] * 6)
    written(folder, rows, options.neighbours, "shuffled")
    for method in ("projgraph spreading", "describe"):
        row(f"{method}, graph given", f"{rows:,}", options.classes, measure(method, folder, 64, options.threads))


def end_to_end(options: argparse.Namespace) -> None:
    """Features in, labels out, beside scikit-learn at the most rows that it can hold."""
    rows, few = options.nodes * 7 // 10, min(20_000, options.nodes)
    print()
    ours = ("projgraph auto", "projgraph ivf")
    row("features in, labels out", "rows", "classes", "wall s", "CPU s", "peak", "accuracy", "search")
    row(*["---"] * 8)
    seconds = {}
    wanted = [*((name, few) for name in ("knn", "rbf", ours[0])), *((name, rows) for name in (*ours, "rbf"))]
    for name, count in wanted:
        result = measure(f"end to end {name}", str(count), options.classes, options.threads)
        shown = name if name in ours else f"LabelSpreading({name})"
        row(shown, f"{count:,}", options.classes, result)
        if " | " in result:
            seconds[name, count] = tuple(float(cell) for cell in result.split(" | ")[:2])
    scale = rows * math.log(rows) / (few * math.log(few))
    for mine, peer in ((mine, peer) for mine in ours for peer in ("knn", "rbf")):
        if (peer, few) in seconds and (mine, rows) in seconds:
            wall, processor = (seconds[mine, rows][at] / (scale * seconds[peer, few][at]) for at in (0, 1))
            print(
                f"\n{mine} at {rows:,} rows over LabelSpreading({peer}) at {few:,} rows times n log n "
                f"({scale:.1f}): {wall:.3f} of its wall seconds, {processor:.3f} of its CPU seconds"
            )


if __name__ == "__main__":
    main()
