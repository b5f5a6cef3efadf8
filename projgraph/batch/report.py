"""The report of many exports: one Parquet table and one page that asks nothing of any network; it measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from projgraph.atomic import atomic_write
from projgraph.batch.entry import REPORT, TABLE, Done, Outcome
from projgraph.evaluate import page, plots
from projgraph.evaluate.pareto import pareto_front

if TYPE_CHECKING:
    from rich.table import Table


def entry_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A row for each target of each entry: plain numbers, texts and lists."""
    return [_row(outcome, target) for outcome in outcomes for target in outcome.entry.targets]


def write_report(out: Path, outcomes: Sequence[Outcome]) -> tuple[Path, Path]:
    """Write the page and the table into a folder; returns their paths.

    Raises:
        OutputError: one cannot be written; what stood there before is untouched.
    """
    rows = entry_rows(outcomes)
    atomic_write(out / TABLE, lambda file: _write_parquet(rows, file))
    atomic_write(out / REPORT, _page(outcomes, rows))
    return out / REPORT, out / TABLE


def front_table(outcomes: Sequence[Outcome]) -> Iterator[Table]:
    """For each model of several sizes a table of them, the smallest first, that says which stand on the front."""
    from rich.table import Table

    for name, done, front in _models(outcomes):
        numbers = {"justify": "right", "no_wrap": True}
        table = Table(title=f"{name}: accuracy against bytes")
        table.add_column("size", no_wrap=True)
        for heading in ("bytes", "held out", "test"):
            table.add_column(heading, **numbers)  # type: ignore[arg-type]
        table.add_column("shape")
        table.add_column("front")
        for place, (entry, each) in sorted(enumerate(done), key=lambda item: item[1][1].model.size):
            held_out, test = _share(each.held_out_accuracy), _share(each.test_accuracy)
            table.add_row(entry, f"{each.model.size:,}", held_out, test, _shape(each), "*" if place in front else "")
        yield table


def _row(outcome: Outcome, target: str) -> dict[str, Any]:
    entry, done = outcome.entry, outcome.done
    files = () if done is None else done.targets.get(target, ())
    reason = outcome.failures.get("model") or outcome.failures.get(target, "")
    return {
        "name": entry.name,
        "model": entry.model,
        "source": entry.source.path.name,
        "target": target,
        "status": "failed" if reason else "unchanged" if outcome.unchanged else "made",
        "reason": reason,
        "budget": entry.budget,
        "weights": None if entry.weights is None else str(entry.weights),
        "model_bytes": None if done is None else done.model.size,
        "model_sha256": None if done is None else done.model.sha256,
        "bits": None if done is None else done.bits,
        "hidden_units": None if done is None else done.units,
        "weight_format": None if done is None else done.weights,
        "n_classes": None if done is None else done.classes,
        "held_out_accuracy": None if done is None else done.held_out_accuracy,
        "test_accuracy": None if done is None else done.test_accuracy,
        "seconds": None if done is None else done.seconds,
        "target_bytes": sum(file.size for file in files),
        "files": [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in files],
    }


def _write_parquet(rows: list[dict[str, Any]], file: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file_type = pa.struct([("path", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string())])
    integers = ("budget", "model_bytes", "bits", "hidden_units", "n_classes", "target_bytes")
    types = dict.fromkeys(integers, pa.int64())
    types |= dict.fromkeys(("held_out_accuracy", "test_accuracy", "seconds"), pa.float64())
    types["files"] = pa.list_(file_type)
    names = list(rows[0]) if rows else []
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")


def _page(outcomes: Sequence[Outcome], rows: list[dict[str, Any]]) -> bytes:
    failures = [(row["name"], row["target"], row["reason"]) for row in rows if row["reason"]]
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    sections = [_front_section(*model) for model in _models(outcomes)]
    measured = ("held out #", "test #", "bits #", "units #", "weights", "seconds #")
    head = ("entry", "target", "bytes #", "target's bytes #", *measured)
    body = [
        (
            row["name"],
            row["target"],
            "" if row["model_bytes"] is None else row["model_bytes"],
            row["target_bytes"],
            _share(row["held_out_accuracy"]),
            _share(row["test_accuracy"]),
            "" if row["bits"] is None else row["bits"],
            "" if row["hidden_units"] is None else row["hidden_units"],
            row["weight_format"] or "",
            "" if row["seconds"] is None else f"{row['seconds']:.1f}",
        )
        for row in rows
    ]
    sections.append(page.section("Entries", page.scroll(page.table(head, body))))
    checksums = [(row["name"], file["path"], file["bytes"], file["sha256"]) for row in rows for file in row["files"]]
    listed = page.scroll(page.table(("entry", "file", "bytes #", "SHA-256"), checksums))
    sections.append(
        page.section("Checksums", f"<details><summary>{len(checksums):,} files</summary>{listed}</details>")
    )
    if failures:
        sections.append(page.section("Failed", page.scroll(page.table(("entry", "target", "text"), failures))))
    return page.page("Exported models", f"{len(outcomes):,} entries, {failed:,} failed", sections)


Sized = list[tuple[str, Done]]


def _models(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Sized, list[int]]]:
    """Each model of which several sizes have an accuracy on held-out rows, and the places of those on the front."""
    by_model: dict[str, Sized] = {}
    for outcome in outcomes:
        if outcome.done is not None and outcome.done.held_out_accuracy is not None:
            by_model.setdefault(outcome.entry.model, []).append((outcome.entry.name, outcome.done))
    for name, done in by_model.items():
        if len(done) > 1:
            yield name, done, pareto_front([each.model.size for _, each in done], [_held_out(each) for _, each in done])


def _held_out(done: Done) -> float:
    return done.held_out_accuracy or 0.0


def _front_section(name: str, done: Sized, front: list[int]) -> str:
    sizes, accuracies = [each.model.size for _, each in done], [_held_out(each) for _, each in done]
    others = [
        (point.size, point.held_out_accuracy)
        for _, each in done
        for point in each.tried
        if len(each.tried) > 1 and point.held_out_accuracy is not None
    ]
    rows = (
        (
            entry,
            each.model.size,
            _share(each.held_out_accuracy),
            _share(each.test_accuracy),
            _shape(each),
            "yes" if place in front else "",
        )
        for place, (entry, each) in sorted(enumerate(done), key=lambda item: item[1][1].model.size)
    )
    told = (
        "<p>Accuracy against bytes. The accuracy is on training rows that the student did not see, by their labels or "
        "else by what the trainer says; the line joins the models that none beats in both.</p>"
    )
    chart = page.scroll(plots.pareto_plot(sizes, accuracies, front, others))
    table = page.table(("entry", "bytes #", "held out #", "test #", "shape", "on the front"), rows)
    return page.section(name, told + chart + page.scroll(table))


def _share(accuracy: float | None) -> str:
    return "" if accuracy is None else page.percent(accuracy)


def _shape(done: Done) -> str:
    return f"{done.bits:,} bits, {f'{done.units} units' if done.units else 'linear'}, {done.weights} weights"
