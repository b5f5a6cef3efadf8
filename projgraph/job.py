"""One training from files to files: reads rows, trains, writes model and report, tracks the run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from projgraph.atomic import atomic_write, check_target
from projgraph.blueprint import check_labels, draw_blueprint
from projgraph.config import TrainConfig
from projgraph.errors import InputError
from projgraph.lesson import RUN_SUFFIX, KeptRun, write_run
from projgraph.native import NativeModel
from projgraph.pack.write import write_model
from projgraph.provenance import describe_training
from projgraph.read import few_labels, merge, read_dataset, read_texts, short_classes
from projgraph.records import UNLABELLED, Dataset, IndexArray, Progress
from projgraph.runs import TrackedData, TrackedRun, Tracking

if TYPE_CHECKING:
    from projgraph import pipeline
    from projgraph.evaluate import Evaluation
    from projgraph.projection.fit import Listener

_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True)
class TrainJob:
    """What a training reads and writes.

    Attributes:
        train: file with a text and a label column.
        out: the model file to write.
        test: labelled file to measure on, never trained or selected on.
        unlabelled: files of further texts.
        labels_per_class: keep so many labels a class and hide the others; None keeps all.
        text_column, label_column: names where the guess would be wrong.
        track: record the run in MLflow.
        store: the MLflow store; None is the environment's or `mlflow.db` beside the run.
        keep_run: write ``MODEL.run.npz`` beside the model, from which `projgraph export` makes models of other sizes.
    """

    train: Path
    out: Path
    test: Path | None = None
    unlabelled: tuple[Path, ...] = ()
    labels_per_class: int | None = None
    text_column: str | None = None
    label_column: str | None = None
    track: bool = True
    store: str | None = None
    keep_run: bool = False


@dataclass(frozen=True)
class TrainResult:
    """How a training went; ``to_json`` has the figures that the command prints.

    Attributes:
        figures: plain numbers and texts by name.
        evaluation: of the quantised model on the test file, as the C core predicts.
        report: the HTML report.
        tracking: where the run was recorded; None when it was not.
        notes: lines that a user should read.
    """

    figures: Mapping[str, Any]
    evaluation: Evaluation | None
    report: Path
    tracking: Tracking | None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The figures, and the evaluation's under ``evaluation``."""
        return {**self.figures, "evaluation": None if self.evaluation is None else self.evaluation.to_json()}


@dataclass(frozen=True)
class _Made:
    """A model that stands in its file.

    Attributes:
        dataset: the rows that it was trained on.
        hidden: (n,) labels that the training did not see, -1 elsewhere; None if none was hidden.
        trained: the model and what it grew from.
        size: bytes of the file.
        data_hash: of the rows.
        evaluation: of the file on the test rows; None without any.
    """

    dataset: Dataset
    hidden: IndexArray | None
    trained: pipeline.Trained
    size: int
    data_hash: str
    evaluation: Evaluation | None


def run_training(
    job: TrainJob, config: TrainConfig, progress: Progress, listener: Listener | None = None
) -> TrainResult:
    """Train as a job says.

    Raises:
        InputError: a file cannot be used.
        BudgetError: no model fits the budget.
        OutputError: the model cannot be written; an old file stays as it was.
    """
    started = time.time()
    beside = [".report.html", *([RUN_SUFFIX] if job.keep_run else []), *([".report.json"] if job.track else [])]
    for target in (job.out, *(_with_suffix(job.out, suffix) for suffix in beside)):
        check_target(target, (job.train, job.test, *job.unlabelled))
    test = None if job.test is None else _read_test(job, job.test)
    dataset, hidden, notes = read_training(job, config)
    progress(f"read {job.train}: {len(dataset):,} rows")
    check_labels(dataset)
    blueprint = draw_blueprint(dataset, config)
    # Imported here: torch and scipy take seconds, and what cannot be trained should be refused at once.
    from projgraph import pipeline

    trained, taught = pipeline.train_and_keep(dataset, config, progress, listener, blueprint, keep=job.keep_run)
    run = TrackedRun(name=job.out.stem, started_ms=int(started * 1000))
    provenance = describe_training(dataset, config, trained.temperature)
    size = write_model(job.out, trained.model, provenance)
    progress(f"wrote {job.out}: {size:,} bytes")
    if job.keep_run:
        kept = _with_suffix(job.out, RUN_SUFFIX)
        written = write_run(kept, KeptRun(taught.taken_from(dataset), taught, config))
        progress(f"wrote {kept}: {written:,} bytes, the training texts among them")
    evaluation = _evaluate(job.out, test, size, trained.temperature, progress)
    if test is not None and evaluation is not None and evaluation.n_unknown:
        unknown = sorted(set(test.classes) - set(dataset.classes))
        notes += (
            f"{evaluation.n_unknown:,} of {evaluation.n_test:,} test rows have a label that training does not, such as "
            f"'{unknown[0]}'; each counts as wrong",
        )
    made = _Made(dataset, hidden, trained, size, provenance["data"], evaluation)
    figures = _figures(job, made)
    report = _write_report(job, config, made, figures)
    figures |= {"report": str(report), "seconds": round(time.time() - started, 3), "run_id": run.run_id}
    tracking = None
    if job.track:
        progress("tracking the run")
        tracking = _track(job, run, config, made, figures, report)
        figures["run_id"] = tracking.run_id
        if not tracking.tracked:
            notes += (f"not tracked: {tracking.reason}",)
    figures["seconds"] = round(time.time() - started, 3)
    return TrainResult(figures, evaluation, report, tracking, notes)


def _read_test(job: TrainJob, path: Path) -> Dataset:
    test = _read(job, path, keep_empty=True)
    if not (test.labels != UNLABELLED).any():
        raise InputError(f"{path}: none of its {len(test)} rows has a label; expected labels to measure against")
    return test


def _read(job: TrainJob, path: Path, keep_empty: bool = False) -> Dataset:
    return read_dataset(path, text_column=job.text_column, label_column=job.label_column, keep_empty=keep_empty)


def read_training(job: TrainJob, config: TrainConfig) -> tuple[Dataset, IndexArray | None, tuple[str, ...]]:
    """All rows to train on, the labels that were hidden (-1 elsewhere), and what a user should know."""
    dataset, hidden, notes = _read(job, job.train), None, []
    if job.labels_per_class is not None and len(dataset.classes):
        short = short_classes(dataset, job.labels_per_class)
        if len(short) == len(dataset.classes):
            raise InputError(
                f"{job.train}: no class has {job.labels_per_class} labelled rows, the largest has "
                f"{max(short.values())}; ask for fewer --labels-per-class, or leave it out to train on all labels"
            )
        if short:
            named = ", ".join(f"{name} ({count})" for name, count in list(short.items())[:3])
            more_named = ", ..." if len(short) > 3 else ""
            notes.append(
                f"{len(short)} of {len(dataset.classes)} classes have fewer than {job.labels_per_class} labels: "
                f"{named}{more_named}"
            )
        dataset, hidden = few_labels(dataset, job.labels_per_class, config.seed)
    more = [read_texts(path, text_column=job.text_column if path.suffix != ".txt" else None) for path in job.unlabelled]
    if more:
        dataset = merge(dataset, more)
        if hidden is not None:
            hidden = np.concatenate([hidden, np.full(len(dataset) - len(hidden), UNLABELLED, dtype=np.int64)])
    if dataset.all_labelled:
        notes.append(
            "there are no unlabelled rows: nothing for the graph to teach, the student learns the labels alone"
        )
    return dataset, hidden, tuple(notes)


def _evaluate(out: Path, test: Dataset | None, size: int, temperature: float, progress: Progress) -> Evaluation | None:
    if test is None:
        return None
    from projgraph.evaluate import evaluate

    progress(f"evaluating on {len(test):,} rows")
    model = NativeModel(out.read_bytes())
    return evaluate(model, test.texts, test.labels, test.classes, model_bytes=size, temperature=temperature)


def _figures(job: TrainJob, made: _Made) -> dict[str, Any]:
    dataset, hidden, trained, evaluation = made.dataset, made.hidden, made.trained, made.evaluation
    known = np.zeros(len(dataset), dtype=np.bool_) if hidden is None else hidden != UNLABELLED
    taught_right = trained.taught.labels[known] == hidden[known] if hidden is not None else np.zeros(0)
    labelled = int((dataset.labels != UNLABELLED).sum())
    return {
        "test_accuracy": None if evaluation is None else evaluation.accuracy,
        "trainer_accuracy": float(taught_right.mean()) if len(taught_right) else None,
        "model_bytes": made.size,
        "predicted_us": None if trained.plan.nanoseconds is None else trained.plan.nanoseconds / 1000,
        "model": str(job.out),
        "n_rows": len(dataset),
        "n_labelled": labelled,
        "n_unlabelled": len(dataset) - labelled,
        "n_classes": len(dataset.classes),
        "n_empty": dataset.counts.empty,
        "n_duplicates": dataset.counts.duplicates,
        "n_unreached": int((~trained.taught.reached).sum()),
        "bits": trained.plan.bits,
        "hidden_units": trained.plan.units,
        "weight_bits": trained.plan.weight_bits,
        "weights": trained.model.over_bits.format_name,
        "quantisation_drop": trained.quantisation_drop,
        "stage_seconds": {name: round(value, 3) for name, value in trained.seconds.items()},
        "data_hash": made.data_hash,
        "n_foreign": len(dataset) - len(trained.bits),  # they taught nothing, being unlike every labelled row
    }


def _write_report(job: TrainJob, config: TrainConfig, made: _Made, figures: Mapping[str, Any]) -> Path:
    """The HTML page beside the model."""
    from projgraph.evaluate import ReportInput, bit_use, write_report

    counted = ("n_rows", "n_labelled", "n_unlabelled", "n_classes", "n_empty", "n_duplicates")
    report = _with_suffix(job.out, ".report.html")
    write_report(
        report,
        ReportInput(
            title=job.out.name,
            evaluation=made.evaluation,
            trainer_accuracy=figures["trainer_accuracy"],
            history=made.trained.student.history,
            bits=bit_use(made.trained.bits),
            configuration=config.flattened(),
            counts={name: figures[name] for name in counted},
        ),
    )
    return report


def _track(
    job: TrainJob, run: TrackedRun, config: TrainConfig, made: _Made, figures: Mapping[str, Any], report: Path
) -> Tracking:
    # Imported here: mlflow takes seconds, and a training that does not track should not wait for it.
    from projgraph.tracking import track

    dataset, evaluation = made.dataset, made.evaluation
    metrics = {name: float(value) for name, value in figures.items() if isinstance(value, int | float)}
    if evaluation is not None:
        metrics |= {f"test_{name}": float(value) for name, value in evaluation.figures.items()}
    metrics |= {f"seconds_{name}": value for name, value in figures["stage_seconds"].items()}
    examples = [text[:_EXAMPLE_CHARACTERS] for text in dataset.texts[:_EXAMPLES]]
    summary = _with_suffix(job.out, ".report.json")
    body = dict(figures) | {"evaluation": None if evaluation is None else evaluation.to_json()}
    atomic_write(summary, json.dumps(body, indent=1, sort_keys=True).encode())
    data = TrackedData(job.train.name, made.data_hash, str(job.train), "training", len(dataset))
    finished = replace(
        run,
        model_path=job.out,
        params={**config.flattened(), "labels_per_class": job.labels_per_class},
        metrics=metrics,
        history=made.trained.student.history,
        tags={"data_hash": made.data_hash},
        data=(data,),
        files={"report.html": report, "report.json": summary},
        input_example=examples,
        ended_ms=int(time.time() * 1000),
    )
    return track(finished, job.store)


def _with_suffix(out: Path, suffix: str) -> Path:
    return out.with_name(out.stem + suffix)
