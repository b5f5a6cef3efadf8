"""Seconds and memory of one propagation step beside scipy, PyTorch and PyG, and of label spreading beside scikit-learn.

    python benchmarks/graph_scale.py [--nodes 1000000] [--neighbours 20] [--classes 64] [--threads 2]

The graph imitates that of nearest neighbours: nodes fall into clusters of 500, each asks for so many others, four in
five of them in its own cluster and the rest anywhere. ``clustered`` numbers nodes cluster by cluster, ``shuffled``
numbers them at random, which is how rows of a file come. Every figure is the best of a few steps, taken in a process of
its own that loads the graph from a temporary file; peak memory is that process's, graph and arrays included.
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

import numpy as np
from scipy import sparse

_CLUSTER = 500
_OWN_CLUSTER = 0.8
_SHARE = 0.9
_STEPS = 4
_GIGABYTE = 1 << 30
_LIMIT = 11 * _GIGABYTE

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
    """LabelPropagation of two layers less one of one layer."""
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
    one, two = (best(lambda layers=layers: LabelPropagation(layers, _SHARE)(labels, index), 1) for layers in (1, 2))
    return two[0] - one[0], two[1] - one[1]


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


def time_sklearn(rows: int, classes: int, kernel: str) -> Seconds:
    from sklearn.semi_supervised import LabelSpreading

    random = np.random.default_rng(1)
    features = random.random((rows, 32), dtype=np.float32)
    labels = np.where(random.random(rows) < 0.01, random.integers(0, classes, rows), -1)
    labels[:classes] = np.arange(classes)
    return best(lambda: LabelSpreading(kernel=kernel, n_neighbors=20, alpha=_SHARE).fit(features, labels), 1)


METHODS = {
    "projgraph": time_projgraph,
    "projgraph expander": time_expander,
    "projgraph spreading": time_spreading,
    "scipy": time_scipy,
    "torch.sparse": time_torch,
    "PyG LabelPropagation": time_pyg,
}


def child(arguments: list[str]) -> None:
    """Measure one method and print seconds and peak megabytes, or what went wrong; or write the graph."""
    method, place, classes, threads = arguments[0], arguments[1], int(arguments[2]), int(arguments[3])
    if method == "write":
        print(write_graph(Path(place), classes, threads, arguments[4] == "shuffled"))
        return
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT, _LIMIT))
    try:
        if method.startswith("sklearn"):
            wall, processor = time_sklearn(int(place), classes, method.split()[1])
        else:
            wall, processor = METHODS[method](Path(place), classes, threads)
    except (MemoryError, RuntimeError) as error:
        print(f"fails under {_LIMIT // _GIGABYTE} GB: {str(error).splitlines()[0][:110]}")
        return
    print(f"{wall:.3f} | {processor:.3f} | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


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
    parser.add_argument("--methods", nargs="+", default=[name for name in METHODS if name != "projgraph spreading"])
    parser.add_argument("--no-spreading", action="store_true")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {options.threads} threads\n")
    with tempfile.TemporaryDirectory() as folder:
        steps(options, folder)
        if not options.no_spreading:
            spreading(options, folder)


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


def spreading(options: argparse.Namespace, folder: str) -> None:
    rows = options.nodes * 7 // 10
    print()
    row("label spreading", "rows", "classes", "wall s", "CPU s", "peak")
    row(*["---"] * 6)
    written(folder, rows, options.neighbours, "shuffled")
    result = measure("projgraph spreading", folder, options.classes, options.threads)
    row("projgraph, graph given", f"{rows:,}", options.classes, result)
    for kernel, count in (("rbf", rows), ("knn", 20_000)):
        result = measure(f"sklearn {kernel}", str(count), options.classes, options.threads)
        row(f"LabelSpreading({kernel})", f"{count:,}", options.classes, result)


if __name__ == "__main__":
    main()
