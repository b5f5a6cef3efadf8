"""Labels to doubt and rows to label next, from files to files, by what the trainer graph says."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.atomic import atomic_write, check_target
from projgraph.config import TrainConfig
from projgraph.errors import ConfigError, InputError
from projgraph.graph.cover import greedy_cover, uncovered
from projgraph.native import NativeModel
from projgraph.pack.sections import model_file_bytes
from projgraph.read import few_labels, read_dataset
from projgraph.records import UNLABELLED, Dataset, Progress, TrainerTask
from projgraph.runtime import Model
from projgraph.trainer_task import named_classes, trainer_task
from projgraph.trainers.leave_out import LeftOut, leave_out
from projgraph.trainers.registry import trainer

FOLDS = 5
"""Parts of the labels that are hidden in turn. On BANKING77 with 5 labels a class and a fifth of them flipped, 5 parts
rank wrong labels as well as 10 do: average precision 0.898 and 0.900 without self-training, 0.934 with it."""


@dataclass(frozen=True)
class SuspectsJob:
    """Labels to doubt.

    Attributes:
        source: texts and labels, one node a row; rows without a label join the graph.
        out: the CSV file to write: row, text, label, suggested, probability, suggested_probability, surprise.
        labels_per_class: keep so many labels a class and hide the others; None keeps all.
        text_column, label_column: names where the guess would be wrong.
    """

    source: Path
    out: Path
    labels_per_class: int | None = None
    text_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class SuggestJob:
    """Rows to label next.

    Attributes:
        source: texts, some of them labelled; one without any label is covered as evenly as the graph allows.
        out: the CSV file to write: rank, row, text, guess, confidence, gain.
        count: rows that are wanted.
        model: a model file whose doubts count instead of the trainer's.
        text_column, label_column: names where the guess would be wrong.
    """

    source: Path
    out: Path
    count: int
    model: Path | None = None
    text_column: str | None = None
    label_column: str | None = None


def suspects(job: SuspectsJob, config: TrainConfig, progress: Progress) -> dict[str, Any]:
    """Rank the labels that the graph contradicts, most surprising first, and write them.

    A row's surprise is 1 - p, p what the trainer believes of its label without having seen it. It is written where the
    trainer believes more in another one. The only label of a class is never in doubt. Whether names of labels tell is
    asked once, of all labels. Rows unlike every labelled one stay in the graph, which a training leaves out.

    Raises:
        InputError: the rows cannot be used, or no class has two labels.
        ConfigError: the trainer is unknown.
        OutputError: the file cannot be written.
    """
    started = time.time()
    check_target(job.out, [job.source])
    dataset = _read(job)
    if job.labels_per_class is not None:
        if job.labels_per_class == 1:
            raise ConfigError(
                "labels per class is 1; expected 2 or more: a label is compared with another of its class"
            )
        dataset, _ = few_labels(dataset, job.labels_per_class, config.seed)
    _check_classes(job.source, dataset)
    if np.bincount(dataset.labels[dataset.labels != UNLABELLED]).max() < 2:
        raise InputError(
            f"{job.source}: no class has two labels; expected one to doubt and another to compare it with: label a "
            "second row of some class"
        )
    progress(f"read {job.source}: {len(dataset):,} rows")
    task = _task(dataset, config, progress)
    teach = trainer(config.trainer.name)
    seen = leave_out(task, teach, config.trainer, config.seed, FOLDS, progress=progress)
    header = ("row", "text", "label", "suggested", "probability", "suggested_probability", "surprise")
    doubted = _doubted(dataset, seen)
    _write(job.out, header, doubted)
    return {
        "suspects": str(job.out),
        "trainer": config.trainer.name,
        "n_labelled": int((dataset.labels != UNLABELLED).sum()),
        "n_judged": len(seen.rows),
        "n_suspects": len(doubted),
        "seconds": round(time.time() - started, 3),
    }


def _doubted(dataset: Dataset, seen: LeftOut) -> list[tuple[object, ...]]:
    """A line for each row that the trainer believes more in another label of, the most surprising label first."""
    given, best = dataset.labels[seen.rows], seen.probabilities.argmax(axis=1)
    places = np.arange(len(seen.rows))
    of_given, of_best = seen.probabilities[places, given], seen.probabilities[places, best]
    doubted = np.flatnonzero(best != given)
    order = doubted[np.argsort(of_given[doubted], kind="stable")]
    names = dataset.classes
    return [
        (
            int(seen.rows[at]) + 1,
            dataset.texts[int(seen.rows[at])],
            names[given[at]],
            names[best[at]],
            f"{of_given[at]:.6f}",
            f"{of_best[at]:.6f}",
            f"{1 - of_given[at]:.6f}",
        )
        for at in order.tolist()
    ]


def suggest(job: SuggestJob, config: TrainConfig, progress: Progress) -> dict[str, Any]:
    """Choose the rows whose labels would tell the trainer most, and write them, best first.

    Each row needs a label by 1 - p, p the trainer's belief in its guess, as far as no label is near it in the graph;
    rows are chosen to cover that need, see `projgraph.graph.cover`. Rows unlike every labelled one, which a training
    leaves out, may be chosen: a label would tell whether they belong. Of rows of one text the first is, unless one has
    a label; an empty one never.

    Raises:
        InputError: the rows or the model cannot be used, or none is left without a label.
        ConfigError: the trainer is unknown, or no row is wanted.
        OutputError: the file cannot be written.
    """
    started = time.time()
    if job.count < 1:
        raise ConfigError(f"count is {job.count}; expected 1 or more rows to label")
    check_target(job.out, (job.source, job.model))
    dataset = _read(job, plain=True)
    free = dataset.labels == UNLABELLED
    if not free.any():
        raise InputError(f"{job.source}: all {len(dataset)} rows have a label; expected some without to choose from")
    allowed = free & _news(dataset)
    if not allowed.any():
        raise InputError(
            f"{job.source}: its {int(free.sum())} rows without a label are empty or repeat labelled ones; expected "
            "other texts to choose from"
        )
    model = None if job.model is None else Model(NativeModel(model_file_bytes(job.model)[0]), str(job.model))
    progress(f"read {job.source}: {len(dataset):,} rows")
    task = _task(dataset, config, progress, asked=model is None and len(dataset.classes) > 1)
    beliefs, names, by = _beliefs(dataset, model, task, config, progress)
    sure = beliefs.max(axis=1, initial=0.0)
    need = ((1 - sure) * uncovered(task.graph, np.flatnonzero(~free))).astype(np.float32)
    progress(f"choosing {job.count:,} of {int(allowed.sum()):,} rows")
    chosen, gains = greedy_cover(task.graph, need, allowed, job.count)
    header = ("rank", "row", "text", "guess", "confidence", "gain")
    guesses = [names[at] for at in beliefs[chosen].argmax(axis=1)] if beliefs.shape[1] else [""] * len(chosen)
    lines = (
        (rank + 1, row + 1, dataset.texts[row], guess, f"{sure[row]:.6f}", f"{gain:.6f}")
        for rank, (row, guess, gain) in enumerate(zip(chosen.tolist(), guesses, gains.tolist(), strict=True))
    )
    _write(job.out, header, lines)
    return {
        "rows": str(job.out),
        "by": by,
        "n_labelled": int((~free).sum()),
        "n_unlabelled": int(free.sum()),
        "n_suggested": len(chosen),
        "seconds": round(time.time() - started, 3),
    }


def _news(dataset: Dataset) -> NDArray[np.bool_]:
    """(n,) True for texts that are not empty, have no label in any row and stand in no row before."""
    texts = [text.strip() for text in dataset.texts]
    seen = {texts[row] for row in np.flatnonzero(dataset.labels != UNLABELLED)} | {""}
    new = np.zeros(len(texts), dtype=np.bool_)
    for row, text in enumerate(texts):
        new[row] = text not in seen
        seen.add(text)
    return new


def _beliefs(
    dataset: Dataset, model: Model | None, task: TrainerTask, config: TrainConfig, progress: Progress
) -> tuple[NDArray[np.floating[Any]], tuple[str, ...], str]:
    """(n, c) what is believed of every row, the names of its c classes, and who believes it.

    That is the model, or else the trainer, or where no two classes have labels nobody, with c of 0.
    """
    if model is not None:
        return model.predict_proba(list(dataset.texts)), model.classes, model.source
    if len(dataset.classes) < 2:
        return np.ones((len(dataset), 0), dtype=np.float32), dataset.classes, "nothing"
    progress(f"trainer: {config.trainer.name}")
    taught = trainer(config.trainer.name)(task, config.trainer, config.seed, progress)
    return taught.probabilities, dataset.classes, config.trainer.name


def _read(job: SuspectsJob | SuggestJob, plain: bool = False) -> Dataset:
    """The rows as the file has them, empty ones too, so that row numbers are the file's."""
    names = {"text_column": job.text_column, "label_column": job.label_column}
    dataset = read_dataset(job.source, **names, keep_empty=True, plain=plain)
    if len(dataset) < 2:
        raise InputError(f"{job.source}: has {len(dataset)} rows; a graph needs two or more")
    return dataset


def _check_classes(source: Path, dataset: Dataset) -> None:
    if len(dataset.classes) < 2:
        raise InputError(
            f"{source}: its labels name {len(dataset.classes)} classes; expected two or more: label rows of another one"
        )


def _task(dataset: Dataset, config: TrainConfig, progress: Progress, asked: bool = True) -> TrainerTask:
    """The graph of the rows with their labels; with the names of these where the trainer is asked and learns them."""
    from projgraph.features.view import describe_named  # brings torch and sklearn, which a refused file need not load

    progress(f"features: {len(dataset):,} texts")
    classes = named_classes(dataset, config) if asked else ()
    view, names = describe_named(dataset.texts, classes, config.features, config.seed, config.encoder)
    return trainer_task(dataset, view.vectors, None if names is None else names.vectors, config, progress)


def _write(out: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    atomic_write(out, lines.getvalue().encode("utf-8", "replace"))
