"""What each term of the graph loss is worth to the student, on held-out training rows of folders with train.csv.

    python benchmarks/ablation.py DATA/banking77 DATA/clinc150 DATA/atis --labels 1 5 10 --seeds 20 21 22 --out runs.csv

A sixth of the training rows, drawn by the seed, is held out: graph, trainer and student never see it, and the accuracy
of the float student on it is the figure; test.csv is not read. The views are learned from all training texts, without
labels. The student is small (1,024 bits, 64 units), which is what makes dozens of fits affordable. A run that stands in
the file of --out is not run again; the tables say points against the sequential default, mean and, in brackets, spread
(largest minus smallest) over the seeds, which share split, labels and trainer.
Names of labels are not read.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rows import train_file
from scipy import sparse

from projgraph import native
from projgraph.config import TrainConfig, load_config
from projgraph.features.view import describe
from projgraph.graph.csr import from_csr, to_csr
from projgraph.graph.knn import knn_graph
from projgraph.pack.projection import ProjectionSpec
from projgraph.projection.fit import Student, StudentTask, fit_student, sharpen
from projgraph.projection.graph import describe_projection_graph, learned_bits, projection_graph
from projgraph.projection.joint import fit_jointly
from projgraph.read import few_labels, read_dataset
from projgraph.records import Bits, Dataset, FloatArray, Graph, IndexArray, SoftLabels, TrainerTask
from projgraph.trainers.registry import trainer

UNITS = 64
BITS = 1024
HELD_OUT = 6
"""One row in so many is held out."""
BASELINE = "sequential"


@dataclass(frozen=True)
class Trial:
    """One set, label count and seed: everything that the variants share."""

    config: TrainConfig
    task: TrainerTask
    bits: Bits
    taught: SoftLabels
    hamming: Graph
    truth: IndexArray
    unseen: Bits
    unseen_truth: IndexArray

    def settings(self, **changes: float | bool) -> TrainConfig:
        """The small student, with changes by dotted name in student (``loss__edges=1``)."""
        given = {f"student.{name.replace('__', '.')}": value for name, value in changes.items()}
        return load_config(None, (), {"student.units": UNITS, "seed": self.config.seed, **given})

    def fit(self, hamming: Graph | None = None, taught: SoftLabels | None = None, **changes: float | bool) -> Student:
        """The student under changed settings, other Hamming edges or another trainer's distributions."""
        chosen = self.settings(**changes).student
        beliefs = (taught or self.taught).probabilities
        targets = sharpen(beliefs, self.task.labels, chosen.sharpen)
        joined = self.hamming if hamming is None else hamming
        task = StudentTask(self.bits, targets, chosen, UNITS, self.config.seed, self.task.graph, joined)
        if chosen.joint and self.task.features is not None:
            return fit_jointly(task, self.task.features).student
        return fit_student(task)

    def teach_on(self, graph: Graph) -> SoftLabels:
        """The trainer's distributions on another graph."""
        task = self.task
        joined = TrainerTask(graph, task.features, task.labels, task.n_classes)
        return trainer(self.config.trainer.name)(joined, self.config.trainer, self.config.seed)

    def with_edges(self, added: Graph) -> Graph:
        """The trainer graph and other edges. Hamming similarities of sparse bits are all near one, so an added edge
        weighs as much as the mean edge of the trainer graph."""
        flat = to_csr(added).copy()
        flat.data = np.full_like(flat.data, self.task.graph.weights.mean())
        return from_csr(sparse.csr_array(to_csr(self.task.graph).maximum(flat)))

    def bit_cosine_edges(self) -> Graph:
        """Neighbours by the cosine of the ternary bits: Hamming distance grows with the number of set bits, so that
        short texts are near to everything and become hubs."""
        return knn_graph(self.bits.values(np.float32), self.config.graph.neighbours, self.config.graph.temperature)

    def wider(self) -> Graph:
        """The trainer graph with as many edges more as Hamming edges would add: what edges alone are worth."""
        features, chosen = self.task.features, self.config.graph
        if features is None:
            raise SystemExit("the trainer has no features to find neighbours by")
        return knn_graph(features, 2 * chosen.neighbours, chosen.temperature)

    def learned_edges(self) -> Graph:
        """Hamming edges between the signs of the sequential student's hidden units."""
        hidden = self.fit().hidden
        if hidden is None:
            raise SystemExit("the student has no hidden layer to learn bits from")
        bits = learned_bits(self.bits, hidden)
        return projection_graph(self.task.graph, bits, self.config.graph.neighbours).hamming_of_rows()


VARIANTS: dict[str, Callable[[Trial], Student]] = {
    BASELINE: lambda trial: trial.fit(),
    "+ trainer edges 0.5": lambda trial: trial.fit(loss__edges=0.5),
    "+ Hamming edges 0.5": lambda trial: trial.fit(loss__hamming=0.5),
    "- gold": lambda trial: trial.fit(loss__gold=0.0),
    "- distil: gold 1, trainer edges 1": lambda trial: trial.fit(loss__distil=0.0, loss__gold=1.0, loss__edges=1.0),
    "joint": lambda trial: trial.fit(joint=True),
    "joint, feedback 0": lambda trial: trial.fit(joint=True, feedback=0.0),
    "joint + trainer edges 0.5": lambda trial: trial.fit(joint=True, loss__edges=0.5),
    "trainer graph + Hamming edges": lambda trial: trial.fit(taught=trial.teach_on(trial.with_edges(trial.hamming))),
    "+ edges by cosine of bits 0.5": lambda trial: trial.fit(trial.bit_cosine_edges(), loss__hamming=0.5),
    "trainer graph + edges by cosine of bits": lambda trial: trial.fit(
        taught=trial.teach_on(trial.with_edges(trial.bit_cosine_edges()))
    ),
    "trainer graph of twice the neighbours": lambda trial: trial.fit(taught=trial.teach_on(trial.wider())),
    "joint, trainer graph + Hamming edges": lambda trial: trial.fit(
        taught=trial.teach_on(trial.with_edges(trial.hamming)), joint=True
    ),
    "+ learned Hamming edges 0.5": lambda trial: trial.fit(trial.learned_edges(), loss__hamming=0.5),
    "trainer graph + learned Hamming edges": lambda trial: trial.fit(
        taught=trial.teach_on(trial.with_edges(trial.learned_edges()))
    ),
}


def prepare(rows: Dataset, view: FloatArray, labels: int, seed: int) -> Trial:
    """Split, label, build both graphs and run the trainer."""
    config = load_config(None, (), {"seed": seed})
    unseen = hold_out(rows.labels, seed)
    seen = np.setdiff1d(np.arange(len(rows)), unseen)
    pool = Dataset(rows.texts.select(seen), rows.labels[seen], rows.classes)
    few, _ = few_labels(pool, labels, seed)
    spec = ProjectionSpec.for_text(bits=BITS, word_share=0.5, additions=config.projection.additions, seed=seed)
    bits = native.project(spec.to_bytes(), rows.texts)
    vectors = np.ascontiguousarray(view[seen])
    graph = knn_graph(vectors, config.graph.neighbours, config.graph.temperature)
    task = TrainerTask(graph, vectors, few.labels, len(rows.classes))
    taught = trainer(config.trainer.name)(task, config.trainer, seed)
    joined = projection_graph(graph, bits.select(seen), config.graph.neighbours)
    truth = rows.labels[seen]
    figures = describe_projection_graph(joined, truth)
    print(
        f"# k={labels} seed={seed}: trainer {100 * (taught.labels == truth).mean():.1f}, projection nodes "
        f"{figures.projection_nodes} of {figures.nodes}, edges trainer {figures.trainer_edges} Hamming "
        f"{figures.hamming_edges}, label agreement {figures.trainer_agreement:.3f} {figures.hamming_agreement:.3f}",
        flush=True,
    )
    hamming = joined.hamming_of_rows()
    return Trial(config, task, bits.select(seen), taught, hamming, truth, bits.select(unseen), rows.labels[unseen])


def hold_out(labels: IndexArray, seed: int) -> IndexArray:
    """A sixth of the rows; one row of each class, drawn too, always stays, or a rare class could not be taught."""
    order = np.random.default_rng(seed).permutation(len(labels))
    staying = np.unique(labels[order], return_index=True)[1]
    return np.sort(np.delete(order, staying)[: len(labels) // HELD_OUT])


def accuracy(student: Student, bits: Bits, truth: IndexArray) -> float:
    """Share of rows that the float student labels right."""
    values = bits.values(np.float32)
    if student.hidden is not None:
        values = np.maximum(values @ student.hidden.weights + student.hidden.bias, 0.0)
    return float(((values @ student.output.weights + student.output.bias).argmax(axis=1) == truth).mean())


def view_of(folder: Path, rows: Dataset, cache: Path | None) -> FloatArray:
    """The trainer's view of all training texts, kept in the cache folder where there is one."""
    kept = cache / f"{folder.name}.four.npy" if cache else None
    if kept is not None and kept.exists():
        vectors: FloatArray = np.load(kept)
        if len(vectors) != len(rows):
            raise SystemExit(f"{kept} has {len(vectors)} rows and {folder} {len(rows)}; remove it")
        return vectors
    vectors = describe(rows.texts, load_config().features, 0).vectors
    if kept is not None:
        np.save(kept, vectors)
    return vectors


def done(path: Path) -> dict[tuple[str, int, int, str], float]:
    """The runs of an earlier start: (set, labels, seed, variant) -> accuracy."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        return {(row[0], int(row[1]), int(row[2]), row[3]): float(row[4]) for row in csv.reader(stream)}


def run(folders: list[Path], labels: list[int], seeds: list[int], variants: list[str], out: Path, cache: Path | None):
    """Every run that the file lacks, seed by seed so that an early stop leaves whole comparisons."""
    for folder in folders:
        rows = read_dataset(train_file(folder))
        view = None
        for seed, count in ((seed, count) for seed in seeds for count in labels):
            missing = [name for name in variants if (folder.name, count, seed, name) not in done(out)]
            if not missing:
                continue
            view = view_of(folder, rows, cache) if view is None else view
            trial = prepare(rows, view, count, seed)
            for name in missing:
                start = time.process_time()
                figure = accuracy(VARIANTS[name](trial), trial.unseen, trial.unseen_truth)
                with out.open("a", newline="", encoding="utf-8") as stream:
                    csv.writer(stream).writerow([folder.name, count, seed, name, figure])
                seconds = time.process_time() - start
                print(f"# {folder.name} k={count} seed={seed} {name}: {100 * figure:.1f} ({seconds:.0f} s)", flush=True)


def table(runs: dict[tuple[str, int, int, str], float]) -> Iterator[str]:
    """Markdown: a row a variant, a column a set and label count, points against the baseline of the same seed."""
    columns = sorted({key[:2] for key in runs})
    yield "| | " + " | ".join(f"{name}, {count}" for name, count in columns) + " |\n|" + "---|" * (len(columns) + 1)
    for variant in VARIANTS:
        cells = []
        for name, count in columns:
            seeds = sorted(key[2] for key in runs if key[:2] == (name, count) and key[3] == variant)
            values = [100 * runs[name, count, seed, variant] for seed in seeds]
            if variant != BASELINE:
                values = [
                    value - 100 * runs[name, count, seed, BASELINE] for seed, value in zip(seeds, values, strict=True)
                ]
            sign = "" if variant == BASELINE else "+"
            mean = f"{statistics.mean(values):{sign}.1f} ({max(values) - min(values):.1f})" if values else "–"
            cells.append(mean if len(values) < 2 else f"{mean} n={len(values)}")
        yield f"| {variant} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[1, 5, 10], help="labels a class")
    parser.add_argument("--seeds", nargs="+", type=int, default=[20, 21, 22])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--cache", type=Path, help="folder that keeps the views of the sets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="CSV file that gets every single run")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run(options.folders, options.labels, options.seeds, options.variants, options.out, options.cache)
    print("\n".join(table(done(options.out))))


if __name__ == "__main__":
    main()
