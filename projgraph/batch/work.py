"""One entry of a batch from its source to its files, as a worker does it; it knows no other entry.

What fails is a reason, not an exception, so that the rest goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from projgraph import native
from projgraph.atomic import atomic_write
from projgraph.batch.entry import Done, Entry, Outcome, Point, SourceFile
from projgraph.batch.store import Store
from projgraph.blueprint import draw_blueprint
from projgraph.config import change_config, weight_settings
from projgraph.errors import InputError, ProjgraphError
from projgraph.native import NativeModel
from projgraph.pack.export import export_model, make_folder
from projgraph.pack.read import parse_model
from projgraph.pack.sections import model_file_bytes
from projgraph.plan import Plan
from projgraph.records import Texts

if TYPE_CHECKING:
    from projgraph.lesson import KeptRun


@dataclass(frozen=True)
class Task:
    """What a worker is given.

    Attributes:
        entry: what to make.
        out: the folder of the batch.
        key: of the entry.
        done: its model is there, a target is not; None where the model is to be made.
    """

    entry: Entry
    out: Path
    key: str
    done: Done | None


@dataclass(frozen=True)
class _Fitted:
    """A model and how it was found.

    Attributes:
        data: bytes of the file.
        held_out: its accuracy on held-out training rows; None where there are none.
        tried: models of the search.
        student: hash of what it follows from, for other entries; "" where others cannot share it.
    """

    data: bytes
    held_out: float | None = None
    tried: tuple[Point, ...] = ()
    student: str = ""


@dataclass(frozen=True)
class Lecture:
    """A file of rows to teach from.

    Attributes:
        source: the file, of the kind "data", with the settings of the training.
        path: where what it taught is kept.
    """

    source: SourceFile
    path: Path


def teach(lecture: Lecture) -> str:
    """Teach and keep what was taught; the reason where that failed, "" where it did not."""
    from projgraph import pipeline
    from projgraph.job import TrainJob, read_training
    from projgraph.lesson import KeptRun, write_run

    source = lecture.source
    try:
        config = source.config
        if config is None:
            raise InputError(f"{source.path}: a training needs settings")
        job = TrainJob(
            train=source.path,
            out=lecture.path,
            unlabelled=source.unlabelled,
            labels_per_class=source.labels_per_class,
            text_column=source.text_column,
            label_column=source.label_column,
        )
        dataset, _, _ = read_training(job, config)
        taught = pipeline.teach_all(dataset, config, _quiet)
        write_run(lecture.path, KeptRun(taught.taken_from(dataset), taught, config))
    except Exception as error:  # whatever it is: the other entries go on
        return _reason(error)
    return ""


def make(task: Task) -> Outcome:
    """Make the model of an entry, where it is not there, and its targets, and record them."""
    store, entry, done = Store(task.out), task.entry, task.done
    failures: dict[str, str] = {}
    try:
        if done is None:
            done = _model(store, entry, task.key)
    except Exception as error:
        return Outcome(entry, None, {"model": _reason(error)})
    for target in entry.targets:
        if target in done.targets:
            continue
        try:
            files = _export(store, entry, target)
            done = replace(done, targets={**done.targets, target: store.written(entry, files)})
            store.save(entry, done)
        except Exception as error:
            failures[target] = _reason(error)
    return Outcome(entry, done, failures)


def _export(store: Store, entry: Entry, target: str) -> tuple[Path, ...]:
    model, folder = store.model(entry), store.folder(entry)
    return (model,) if target == "pgb" else export_model(model, target, folder / target)  # type: ignore[arg-type]


def _model(store: Store, entry: Entry, key: str) -> Done:
    """The entry's model written and recorded, and its figures."""
    started = time.perf_counter()
    by_itself = entry.source.kind == "model"
    fitted = _Fitted(model_file_bytes(entry.source.path)[0]) if by_itself else _fitted(store, entry)
    model, _ = parse_model(fitted.data)
    loaded = NativeModel(fitted.data)
    accuracy = _test_accuracy(entry, loaded)
    make_folder(store.folder(entry))
    atomic_write(store.model(entry), fitted.data)
    seconds = round(time.perf_counter() - started, 3)
    weights = model.over_bits.format_name
    written = store.written(entry, (store.model(entry),))[0]
    figures = (model.n_bits, model.units, weights, len(model.classes), fitted.held_out, accuracy, seconds)
    done = Done(key, written, *figures, fitted.tried, student=fitted.student)
    store.save(entry, done)
    if fitted.student:
        store.remember(fitted.student, entry)
    return done


def _fitted(store: Store, entry: Entry) -> _Fitted:
    """A model fitted to what a run was taught, or the one of another entry that has the same student."""
    # Imported here: torch takes seconds, and an entry that only writes a model for a target should not wait for it.
    from projgraph.lesson import read_run
    from projgraph.pack.write import model_bytes
    from projgraph.provenance import describe_training
    from projgraph.search import best_student, plans_to_fit, shape_in_words

    source = entry.source
    if source.kind == "run":
        run = read_run(source.path)
        given = {"budget": entry.budget, **weight_settings(entry.weights)}
        run = replace(run, config=change_config(run.config, entry.settings, given))
    else:
        run = _kept_lesson(store, source)
    student = ""
    if not entry.search:
        plan = plans_to_fit(run.dataset, run.config)[0]
        student = store.student_key(source, run.config, _with_words_of(run, plan).dimensions)
        if (same := store.alike(student)) is not None:
            data, done = same
            model, provenance = parse_model(data)
            held_out = done.held_out_accuracy
            point = Point(plan.size, held_out, shape_in_words(plan, model.over_bits.format_name))
            own = describe_training(run.dataset, run.config, provenance["temperature"])
            return _Fitted(model_bytes(model, own), held_out, (point,), student)
    found = best_student(run.dataset, run.taught, run.config, _quiet, search=entry.search, fits=store.fits)
    chosen = found.chosen
    provenance = describe_training(run.dataset, run.config, chosen.temperature)
    tried = tuple(Point(point.size, point.held_out_accuracy, point.shape) for point in found.tried)
    return _Fitted(model_bytes(chosen.model, provenance), chosen.held_out_accuracy, tried, student)


def _with_words_of(run: KeptRun, plan: Plan) -> Plan:
    """The plan with room for no more words than the texts have; an encoder knows others to fill it with."""
    rows = run.dataset.rows
    if not plan.words or run.taught.encoder is not None or not isinstance(rows, Texts):
        return plan
    projection = draw_blueprint(run.dataset, run.config, plan).projection
    return replace(plan, words=min(plan.words, len(np.unique(native.word_fingerprints(projection, rows)[0]))))


def _kept_lesson(store: Store, source: SourceFile) -> KeptRun:
    from projgraph.lesson import read_run

    path = store.lesson(source)
    try:
        run = read_run(path)
    except InputError:  # damaged since: no user made it, so no user can be told to make it again
        reason = teach(Lecture(source, path))
        if reason:
            raise InputError(reason) from None
        run = read_run(path)
    return run if source.config is None else replace(run, config=source.config)


def _test_accuracy(entry: Entry, model: NativeModel) -> float | None:
    """Share of the test rows with a label that get it; a label unknown to the model counts as wrong."""
    if entry.test is None:
        return None
    from projgraph.evaluate import metrics
    from projgraph.read import read_dataset
    from projgraph.records import UNLABELLED

    source = entry.source
    rows = read_dataset(entry.test, text_column=source.text_column, label_column=source.label_column, keep_empty=True)
    labelled = (rows.labels != UNLABELLED).nonzero()[0]
    if not len(labelled):
        raise InputError(f"{entry.test}: none of its {len(rows)} rows has a label; expected labels to measure against")
    true = metrics.align_labels(rows.labels[labelled], rows.classes, model.classes)
    return float((model.scores(rows.texts.select(labelled), 1).argmax(axis=1) == true).mean())


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ProjgraphError) else f"{type(error).__name__}: {text}"


def _quiet(line: str) -> None:
    del line


def failed(task: Task, reason: str) -> Outcome:
    """The outcome of an entry that no worker could finish: it died, or there is nothing to fit the model to."""
    return Outcome(task.entry, task.done, {"model": reason})
