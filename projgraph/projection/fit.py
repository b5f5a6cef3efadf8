"""Fits the projection model on bits by the graph loss; it knows rows and targets, neither files nor texts.

A linear or one-hidden-layer head over the T x d bits, AdamW under a one-cycle schedule (Smith & Topin 2019) to its end:
a fit that stops where held-out loss is least stops at a high learning rate, and was up to four points worse. A first
fit holds rows of the training set out, which calibrate and judge it; a second fit sees every row for as many epochs.
Time O(epochs n bits c) for a linear head, O(epochs n units (bits + c)) for a hidden layer; memory O(n (bits / 4 + c))
since the bits of many rows are unpacked batch by batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from projgraph.config import StudentConfig
from projgraph.errors import ConfigError, InputError
from projgraph.projection.at_once import at_once, undisturbed
from projgraph.projection.head import HeadLayers, build_head, layers_of, mean
from projgraph.projection.loss import EdgeSampler, distillation, edge_consistency, gold, weighted_sum
from projgraph.projection.straight_through import Tuning, finish_rounding, start_rounding
from projgraph.projection.words import WordBatch, WordConvolution, WordRows
from projgraph.records import UNLABELLED, Bits, FloatArray, Graph, IndexArray, Layer

EpochFigures = dict[str, float]
Listener = Callable[[EpochFigures], None]

_JUDGED_STEPS = 32
"""From one judgement of held-out rows to the next, at least: after each of hundreds of short epochs it took a twentieth
of the time of a first fit."""
_UNPACKED_BYTES = 1 << 26
"""Of the bits of all rows, a byte each: if they take no more they are unpacked once, which saves a twentieth of the
time of a fit."""
_TUNING = 1
"""Beside a task's seed, that of a tuning."""


@dataclass(frozen=True)
class Targets:
    """What the student learns.

    Attributes:
        distributions: (n, c) the trainer's label distributions, sharpened for the student.
        weights: (n,) the trust in each.
        gold: (n,) given labels, ``UNLABELLED`` elsewhere.
        beliefs: (n, c) the trainer's distributions as they are; they calibrate, and no fit learns from them.
    """

    distributions: FloatArray
    weights: FloatArray
    gold: IndexArray
    beliefs: FloatArray


@dataclass(frozen=True)
class StudentTask:
    """What a student is given, all of the same n rows, and how it is fitted.

    Behind the n rows of bits and words whole copies of them may follow. In every step a row is then seen as it is or as
    one of its copies, drawn at random; held-out rows are judged as they are.

    Attributes:
        bits: the projection nodes of the rows.
        targets: what their bits should tell.
        config: schedule and weights of the loss terms.
        units: of the hidden layer; 0 is a linear head.
        seed: of the start, the held-out rows, the order of the rows and the drawn edges.
        members: that the hidden units are of, as many of each; 1 without a hidden layer.
        graph: trainer edges for the term ``edges``; None switches it off.
        hamming: Hamming edges for the term ``hamming``; None switches it off.
        words: the words of the rows, or None.
        filters: of the convolution over the words; 0 for none.
        width: words that a filter sees at once.
        groups: (n,) rows of one number are held out together, such as those of one text; None for each row by itself.
    """

    bits: Bits
    targets: Targets
    config: StudentConfig
    units: int = 0
    seed: int = 0
    members: int = 1
    graph: Graph | None = None
    hamming: Graph | None = None
    words: WordRows | None = None
    filters: int = 0
    width: int = 3
    groups: IndexArray | None = None

    @property
    def peak_rate(self) -> float:
        """The learning rate at the peak of the fit's schedule."""
        return self.config.peak_rate(self.filters)


@dataclass(frozen=True)
class Student:
    """A fitted head and how it came about.

    Attributes:
        hidden: the ReLU layer of a hidden head, or None.
        output: the last layer.
        history: figures of every epoch of the first fit, those of held-out rows where they were judged.
        held_out: rows that the first fit did not see.
        held_out_logits: (len(held_out), c) the first fit's logits of them.
        convolution: (width D, filters) over the codes of words, or None.
        first_fit: the first fit's head, whose logits those are; None where no row was held out.
    """

    hidden: Layer | None
    output: Layer
    history: tuple[EpochFigures, ...]
    held_out: IndexArray
    held_out_logits: FloatArray
    convolution: Layer | None = None
    first_fit: HeadLayers | None = None

    @property
    def layers(self) -> HeadLayers:
        """Those of the second fit."""
        return HeadLayers(self.hidden, self.output, self.convolution)


FitT = TypeVar("FitT", bound="Fit")


@dataclass(frozen=True)
class Fits(Generic[FitT]):
    """Both fits of a task, at their ends.

    Attributes:
        first: with rows held out; None where there are none.
        second: of all rows.
    """

    first: FitT | None
    second: FitT


def sharpen(beliefs: FloatArray, gold_labels: IndexArray, power: float) -> Targets:
    """Targets of a student: beliefs to a power, normalised, weighted by the belief's maximum; gold rows one-hot.

    Args:
        beliefs: (n, c) the trainer's distributions.
        gold_labels: (n,) given labels, ``UNLABELLED`` elsewhere.
        power: 1 leaves the beliefs as they are, a great one leaves their maximum.
    """
    peak = beliefs.max(axis=1)
    distributions = (beliefs / peak[:, None]) ** power
    distributions /= distributions.sum(axis=1, keepdims=True)
    labelled = np.flatnonzero(gold_labels != UNLABELLED)
    distributions[labelled] = 0.0
    distributions[labelled, gold_labels[labelled]] = 1.0
    weights = peak.astype(np.float32)
    weights[labelled] = 1.0
    return Targets(distributions.astype(np.float32), weights, gold_labels, beliefs)


def fit_student(task: StudentTask, listener: Listener | None = None) -> Student:
    """Fit a head to the targets.

    Args:
        task: rows, targets and settings.
        listener: called after every epoch of the first fit with its figures.

    Raises:
        ConfigError: the loss is not finite at the end, or no term of the loss is on.
        InputError: the rows of bits are neither as many as the targets nor whole copies of them.
    """
    return fit_twice(lambda: Fit(task), task, listener)[1]


def fit_twice(
    start: Callable[[], FitT], task: StudentTask, listener: Listener | None = None
) -> tuple[Fits[FitT], Student]:
    """Fit with rows held out, then all rows for as many epochs.

    Args:
        start: a new fit of the task, the same at every call.
        task: its targets judge the held-out rows, its seed draws them.
        listener: called after every epoch of the first fit with its figures.

    Returns:
        Both fits, and the student that they made.

    Raises:
        ConfigError: the loss is not finite at the end, or no term of the loss is on.
    """
    n_rows, config = len(task.targets.gold), task.config
    held_out = held_out_rows(n_rows, config, task.seed, task.groups)
    rows = np.setdiff1d(np.arange(n_rows), held_out)
    epochs = config.epochs_for(len(rows))
    threads = torch.get_num_threads()
    with undisturbed():
        first = start()

        def learn() -> tuple[tuple[EpochFigures, ...], FloatArray]:
            return _first_history(first, task, rows, held_out, epochs, listener)

        def learn_all(unwanted: threading.Event) -> FitT:
            fit = start()
            for _ in fit.run(np.arange(n_rows), epochs, unwanted):
                pass
            return fit

        if len(held_out):
            (history, logits), second = at_once(learn, learn_all, threads)
        else:
            (history, logits), second = learn(), first
    fits = Fits(first if len(held_out) else None, second)
    last, unseen = layers_of(second.head), None if fits.first is None else layers_of(first.head)
    return fits, Student(last.hidden, last.output, history, held_out, logits, last.convolution, unseen)


def _first_history(
    fit: Fit, task: StudentTask, rows: IndexArray, held_out: IndexArray, epochs: int, listener: Listener | None
) -> tuple[tuple[EpochFigures, ...], FloatArray]:
    """Figures of every epoch of a fit of some rows, and at its end the logits of those held out."""
    history: list[EpochFigures] = []
    logits = np.zeros((0, task.targets.beliefs.shape[1]), dtype=np.float32)
    steps, judged = -(-len(rows) // task.config.batch), 0
    for epoch, figures in enumerate(fit.run(rows, epochs), 1):
        if len(held_out) and ((epoch - judged) * steps >= _JUDGED_STEPS or epoch == epochs):
            logits, judged = fit.logits(held_out), epoch
            figures = figures | _judge(logits, task.targets, held_out)
        history.append({"epoch": float(epoch)} | figures)
        if listener is not None:
            listener(history[-1])
    if not all(np.isfinite(value) for value in history[-1].values()):
        raise ConfigError(f"training diverged: lower its learning rate, student.rate={task.peak_rate:g}")
    return tuple(history), logits


class Fit:
    """One run of the optimiser over some rows; ``terms`` says what is minimised.

    Args:
        task: rows, targets and settings.
        layers: to start from; None draws the start from the task's seed.
    """

    def __init__(self, task: StudentTask, layers: HeadLayers | None = None) -> None:
        self._task = task
        self._versions, rest = divmod(len(task.bits), len(task.targets.gold))
        if rest or not self._versions:
            raise InputError(
                f"there are {len(task.bits):,} rows of bits for {len(task.targets.gold):,} targets; expected as many, "
                "or whole copies of them behind"
            )
        self._random = np.random.default_rng(task.seed)
        self._bits = task.bits.values() if len(task.bits) * task.bits.n_bits <= _UNPACKED_BYTES else None
        convolution, dense = None, 0
        if task.words is not None:
            dense = task.words.dimensions
            if task.filters:
                generator = torch.Generator().manual_seed(task.seed + 2)
                convolution = WordConvolution(task.words.all_codes, task.filters, task.width, generator)
        n_inputs, n_classes = task.bits.n_bits + dense, task.targets.distributions.shape[1]
        self.head = build_head(
            n_inputs,
            n_classes,
            task.units,
            task.config.dropout,
            seed=task.seed,
            members=task.members,
            dense=dense,
            convolution=convolution,
        )
        if layers is not None:
            self.head.load(layers)
        weights = task.config.loss
        self._samplers = [
            (EdgeSampler(graph), name)
            for name, weight, graph in (
                ("edges", weights.edges, task.graph),
                ("hamming", weights.hamming, task.hamming),
            )
            if weight > 0 and graph is not None
        ]

    @property
    def n_rows(self) -> int:
        """Rows of the task."""
        return len(self._task.targets.gold)

    def parameters(self) -> list[torch.nn.Parameter]:
        """All that the optimiser moves."""
        return list(self.head.parameters())

    def run(self, rows: IndexArray, epochs: int, unwanted: threading.Event | None = None) -> Iterator[EpochFigures]:
        """Train epoch by epoch under a schedule of ``epochs``, yielding the mean of every loss term.

        It ends early once ``unwanted`` is set.
        """
        yield from self._run(rows, epochs, self._task.peak_rate, unwanted)

    def tune(self, rows: IndexArray, tuning: Tuning, unwanted: threading.Event | None = None) -> None:
        """Train on with rounded weights, which are the head's own afterwards, and with a seed of its own.

        It ends early once ``unwanted`` is set.
        """
        layer = self.head.over_bits
        start = self._task.bits.n_bits
        stop = start if self._task.words is None else start + self._task.words.dimensions
        seed = (self._task.seed, _TUNING)
        self._random = np.random.default_rng(seed)
        self.head.restart_dropout(seed)
        start_rounding(layer, tuning, slice(start, stop))
        epochs = tuning.epochs_for(-(-len(rows) // self._task.config.batch))
        if epochs:
            for _ in self._run(rows, epochs, tuning.rate, unwanted):
                pass
        finish_rounding(layer)

    def _run(
        self, rows: IndexArray, epochs: int, rate: float, unwanted: threading.Event | None
    ) -> Iterator[EpochFigures]:
        config = self._task.config
        batches = -(-len(rows) // config.batch)
        optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=config.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=epochs * batches + 1)
        for _ in range(epochs):
            if unwanted is not None and unwanted.is_set():
                return
            sums: EpochFigures = {}
            for batch in np.array_split(self._random.permutation(rows), batches):
                terms = self.terms(batch)
                optimiser.zero_grad(set_to_none=True)
                terms["loss"].backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(batch)
            yield {name: value / len(rows) for name, value in sums.items()}

    def terms(self, batch: IndexArray) -> dict[str, torch.Tensor]:
        """Every term of the loss on a batch of rows, and their weighted sum as ``loss``."""
        targets, weights = self._task.targets, self._task.config.loss
        answers = [self._masked(logits, batch) for logits in self.head.answers(*self._version(batch))]
        wanted, trust = torch.from_numpy(targets.distributions[batch]), torch.from_numpy(targets.weights[batch])
        labels = torch.from_numpy(targets.gold[batch])
        terms = {
            "distil": mean([distillation(logits, wanted, trust) for logits in answers]),
            "gold": mean([gold(logits, labels) for logits in answers]),
        }
        terms |= self._edge_terms(mean(answers), batch)
        return terms | {"loss": weighted_sum(terms, weights)}

    def _masked(self, logits: torch.Tensor, rows: IndexArray) -> torch.Tensor:
        """The logits of some rows, without those of classes that they cannot have; here they can have all."""
        del rows
        return logits

    def _edge_terms(self, logits: torch.Tensor, batch: IndexArray) -> dict[str, torch.Tensor]:
        """The student's consistency along the edges whose weight is above zero, one drawn for each row."""
        terms = {}
        for sampler, name in self._samplers:
            neighbours, joined = sampler.draw(batch, self._random)
            terms[name] = edge_consistency(logits, self.head(*self._inputs(neighbours)), torch.from_numpy(joined))
        return terms

    def _version(self, batch: IndexArray) -> tuple[torch.Tensor, WordBatch | None]:
        """Each row of a batch as it is, or as one of its copies."""
        if self._versions == 1:
            return self._inputs(batch)
        drawn = self._random.integers(self._versions, size=len(batch))
        return self._inputs(batch + drawn * len(self._task.targets.gold))

    def _inputs(self, rows: IndexArray) -> tuple[torch.Tensor, WordBatch | None]:
        """(len(rows), bits + D) inputs of the head, and the rows' words where it has a convolution."""
        words, n_bits = self._task.words, self._task.bits.n_bits
        inputs = np.empty((len(rows), n_bits + (0 if words is None else words.dimensions)), dtype=np.float32)
        inputs[:, :n_bits] = self._task.bits.select(rows).values() if self._bits is None else self._bits.take(rows, 0)
        if words is None:
            return torch.from_numpy(inputs), None
        inputs[:, n_bits:] = words.sums[rows]
        return torch.from_numpy(inputs), words.batch(rows) if self._task.filters else None

    @torch.no_grad()
    def logits(self, rows: IndexArray) -> FloatArray:
        """(len(rows), c) logits of the head as it is now."""
        self.head.eval()
        blocks = [
            self._masked(self.head(*self._inputs(block)), block).numpy()
            for block in np.array_split(rows, -(-len(rows) // 1024))
        ]
        self.head.train()
        return np.concatenate(blocks)


def held_out_rows(n_rows: int, config: StudentConfig, seed: int, groups: IndexArray | None = None) -> IndexArray:
    """The rows of a task that its first fit does not see, ascending: a share of its groups, drawn from its seed."""
    choices = n_rows if groups is None else len(np.unique(groups))
    count = min(int(choices * config.held_out), config.held_out_rows)
    drawn = np.sort(np.random.default_rng(seed + 1).choice(choices, count, replace=False)).astype(np.int64)
    return drawn if groups is None else np.flatnonzero(np.isin(groups, np.unique(groups)[drawn]))


def _judge(logits: FloatArray, targets: Targets, rows: IndexArray) -> EpochFigures:
    """Loss and accuracy on held-out rows against what the trainer believes of them."""
    log_probability = torch.log_softmax(torch.from_numpy(logits), dim=1).numpy()
    weights = targets.weights[rows]
    losses = -(targets.distributions[rows] * log_probability).sum(axis=1)
    hits = logits.argmax(axis=1) == targets.distributions[rows].argmax(axis=1)
    return {
        "held_out_loss": float((weights * losses).sum() / weights.sum()),
        "held_out_accuracy": float((weights * hits).sum() / weights.sum()),
    }
