"""Many exports from a list of entries to files and a report: what is there stays, the rest is made in parallel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from projgraph.batch.entry import Entry, Outcome
from projgraph.batch.report import entry_rows, write_report
from projgraph.batch.store import RECORDS, Store
from projgraph.batch.work import Lecture, Task, failed, make, teach
from projgraph.batch.workers import run_all
from projgraph.kernels.paths import chosen_threads
from projgraph.records import Progress
from projgraph.runs import locked

_DIED = "its process was killed or ended by itself; most often the memory did not suffice: give fewer --jobs"


@dataclass(frozen=True)
class BatchResult:
    """How a batch went.

    Attributes:
        outcomes: of every entry, in the order of the manifest.
        report: the HTML page.
        table: the Parquet file of the same figures.
    """

    outcomes: tuple[Outcome, ...]
    report: Path
    table: Path

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for each target that is not there."""
        return tuple(
            f"{outcome.entry.name}: {'' if part == 'model' else part + ': '}{reason}"
            for outcome in self.outcomes
            for part, reason in outcome.failures.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Counts, places, and a row for each target of each entry."""
        failed_entries = sum(bool(outcome.failures) for outcome in self.outcomes)
        unchanged = sum(outcome.unchanged for outcome in self.outcomes)
        return {
            "entries": len(self.outcomes),
            "made": len(self.outcomes) - unchanged - failed_entries,
            "unchanged": unchanged,
            "failed": failed_entries,
            "report": str(self.report),
            "table": str(self.table),
            "rows": entry_rows(self.outcomes),
        }


def run_batch(entries: Sequence[Entry], out: Path, jobs: int | None, progress: Progress) -> BatchResult:
    """Make what is not there yet, and the report.

    Every entry is recorded when it is finished, so that a batch that was killed goes on where it stood; one whose
    input, settings and version are those of its record is left as it is.

    Args:
        entries: what to make.
        out: the folder, made if missing; one batch at a time may write into it.
        jobs: processes at a time; None for all processors.
        progress: called with a line for each finished entry.

    Raises:
        InputError: another batch writes into the folder, or an input file cannot be read.
        OutputError: the folder or the report cannot be written.
    """
    store = Store(out)
    store.prepare()
    processes = chosen_threads(jobs or 0)
    with locked(out / RECORDS, 0.0):
        outcomes: dict[str, Outcome] = {}
        tasks = list(_tasks(store, entries, outcomes))
        if outcomes:
            progress(f"{len(outcomes)} of {len(entries)} entries are unchanged")
        tasks = _teach(store, tasks, processes, outcomes, progress)
        for task, outcome in run_all(_in_turns(tasks), make, lambda task: failed(task, _DIED), processes):
            outcomes[task.entry.name] = outcome
            progress(f"{len(outcomes)}/{len(entries)} {_line(outcome)}")
        ordered = tuple(outcomes[entry.name] for entry in entries)
        report, table = write_report(out, ordered)
    return BatchResult(ordered, report, table)


def _tasks(store: Store, entries: Sequence[Entry], outcomes: dict[str, Outcome]) -> list[Task]:
    """What is left to do; what is done already becomes an outcome."""
    tasks = []
    for entry in entries:
        key = store.key(entry)
        done = store.done(entry, key)
        if done is not None and set(entry.targets) <= set(done.targets):
            outcomes[entry.name] = Outcome(entry, done, unchanged=True)
        else:
            tasks.append(Task(entry, store.out, key, done))
    return tasks


def _teach(
    store: Store, tasks: Sequence[Task], processes: int, outcomes: dict[str, Outcome], progress: Progress
) -> list[Task]:
    """The tasks whose files of rows have taught; each does so once for all its sizes."""
    wanted = {
        store.lesson(task.entry.source): task.entry.source
        for task in tasks
        if task.entry.source.kind == "data" and task.done is None
    }
    lectures = [Lecture(source, path) for path, source in wanted.items() if not path.is_file()]
    reasons: dict[Path, str] = {}
    for lecture, reason in run_all(lectures, teach, lambda _: _DIED, processes):
        reasons[lecture.path] = reason
        progress(f"taught by {lecture.source.path}" + (f": failed: {reason}" if reason else ""))
    left = []
    for task in tasks:
        reason = reasons.get(store.lesson(task.entry.source), "") if task.entry.source.kind == "data" else ""
        if reason and task.done is None:
            outcomes[task.entry.name] = failed(task, reason)
        else:
            left.append(task)
    return left


def _in_turns(tasks: Sequence[Task]) -> list[Task]:
    """One task of each source after the other: those of one source may share a student or a fit that is there."""
    taken: Counter[Path] = Counter()
    turns = []
    for task in tasks:
        turns.append(taken[task.entry.source.path])
        taken[task.entry.source.path] += 1
    return [task for _, task in sorted(zip(turns, tasks, strict=True), key=itemgetter(0))]


def _line(outcome: Outcome) -> str:
    name, done = outcome.entry.name, outcome.done
    if done is None:
        return f"{name}: failed: {outcome.failures['model']}"
    parts = [f"{name}: {done.model.size:,} bytes"]
    parts += [f"held out {done.held_out_accuracy:.1%}"] if done.held_out_accuracy is not None else []
    parts += [f"test {done.test_accuracy:.1%}"] if done.test_accuracy is not None else []
    parts += [f"{target} failed: {reason}" for target, reason in outcome.failures.items()]
    return ", ".join(parts)
