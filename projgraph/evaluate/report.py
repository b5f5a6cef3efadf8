"""The report of one training as a single HTML file that asks nothing of any network; it measures nothing itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from projgraph.atomic import atomic_write
from projgraph.evaluate import page, plots
from projgraph.evaluate.bit_use import BitUse
from projgraph.evaluate.evaluation import Evaluation

_TABLE_CLASSES = 20
"""Up to so many classes the confusion is a table of numbers; above, it is a heat map."""
_NARROW_CLASSES = 8
"""Up to so many classes that table leaves room for another beside it."""
_PAIRS = 25


@dataclass(frozen=True)
class ReportInput:
    """What a report shows; the same input gives the same bytes.

    Attributes:
        title: its heading.
        evaluation: the model on the test set; None without one.
        trainer_accuracy: share of unlabelled rows, whose label the file happened to have, that the trainer got right.
        history: one row of figures an epoch; see `plots.training_curves`.
        bits: how the projection's bits are used.
        configuration: every setting by its dotted name.
        counts: what was read: rows, labelled rows, classes and so on.
        created: when and by what, as it shall read; the report adds no date of its own.
    """

    title: str
    evaluation: Evaluation | None = None
    trainer_accuracy: float | None = None
    history: Sequence[Mapping[str, float]] = ()
    bits: BitUse | None = None
    configuration: Mapping[str, object] = field(default_factory=dict)
    counts: Mapping[str, object] = field(default_factory=dict)
    created: str = ""


def write_report(path: str | os.PathLike[str], given: ReportInput) -> None:
    """Write the report.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    atomic_write(path, render(given))


def render(given: ReportInput) -> bytes:
    """The report as UTF-8 HTML."""
    sections = [_headline(given)]
    if given.history:
        sections.append(page.section("Training", page.scroll(plots.training_curves(given.history))))
    if given.evaluation is not None:
        sections += _evaluation_sections(given.evaluation)
    if given.bits is not None:
        sections.append(_bits(given.bits))
    if given.counts:
        sections.append(page.section("Data", page.table(("", "#"), given.counts.items())))
    if given.configuration:
        sections.append(page.section("Configuration", page.table(("setting", "value"), given.configuration.items())))
    return page.page(given.title, given.created, sections)


def _headline(given: ReportInput) -> str:
    result = given.evaluation
    figures: list[tuple[str, str, str]] = []
    if result is not None:
        share = f"of {result.n_test:,} test rows"
        figures += [
            ("accuracy", page.percent(result.accuracy), share),
            ("P@3", page.percent(result.p_at_3), "true class among the 3 first"),
            ("P@5", page.percent(result.p_at_5), "true class among the 5 first"),
            ("macro F1", page.percent(result.macro_f1), f"mean over {len(result.classes):,} classes"),
        ]
    if given.trainer_accuracy is not None:
        figures.append(("trainer", page.percent(given.trainer_accuracy), "right on unlabelled rows"))
    if result is not None:
        if result.agreement is not None:
            figures.append(("agreement", page.percent(result.agreement), "says what the trainer says"))
        before = "" if result.ece_uncalibrated is None else f", {page.percent(result.ece_uncalibrated)} uncalibrated"
        figures.append(("calibration error", page.percent(result.ece), f"expected, 15 bins{before}"))
        if result.out_of_scope_auroc is not None:
            figures.append(("out of scope", f"{result.out_of_scope_auroc:.3f}", "AUROC of confidence"))
        if result.answered is not None:
            foreign = result.out_of_scope_recall
            caught = "" if foreign is None else f"; none for {page.percent(foreign)} of rows of no class"
            figures.append(("answered", page.percent(result.answered), f"rows that get a label{caught}"))
        if result.model_bytes:
            figures.append(("model", page.size(result.model_bytes), f"{result.model_bytes:,} bytes"))
        figures.append(("latency", f"{result.latency_p50_us:.1f} µs", f"median; p99 {result.latency_p99_us:.1f} µs"))
    cards = "".join(
        f'<div class="figure"><span>{name}</span><b>{value}</b><small>{meaning}</small></div>'
        for name, value, meaning in (map(page.text, figure) for figure in figures)
    )
    return f'<div class="figures">{cards}</div>' if cards else ""


def _evaluation_sections(result: Evaluation) -> list[str]:
    left_out = [
        f"{meaning}: {count:,}."
        for count, meaning in (
            (result.n_unlabelled, "Rows without a label, left out"),
            (result.n_unknown, "Rows with a label that the model does not know, each counted as wrong"),
        )
        if count
    ]
    notes = f"<p>{page.text(' '.join(left_out))}</p>" if left_out else ""
    wrong = page.table(
        ("text", "true class", "predicted", "sure #"),
        ((row.text, row.label, row.predicted, page.percent(row.confidence)) for row in result.wrong),
    )
    slow = page.table(
        ("text", "bytes #", "µs #"),
        ((row.text, f"{row.text_bytes:,}", f"{row.microseconds:.1f}") for row in result.slow),
    )
    classes = page.table(
        ("class", "rows #", "precision #", "recall #", "F1 #"),
        (
            (row.name, f"{row.n:,}", page.percent(row.precision), page.percent(row.recall), page.percent(row.f1))
            for row in sorted(result.per_class, key=lambda row: (row.f1, row.name))
        ),
    )
    return [
        page.section("Confusion", notes + _confusion(result)),
        page.section(
            "Classes",
            f"<details><summary>{len(result.classes):,} classes, worst first</summary>{page.scroll(classes)}</details>",
        ),
        page.section(
            "Calibration",
            "<p>How often the model is right, by how sure it is. On the dashed line it is as sure as it is right.</p>"
            + page.scroll(plots.reliability_diagram(result.reliability)),
        ),
        page.section("Most confident errors", page.scroll(wrong) if result.wrong else "<p>There are no errors.</p>"),
        page.section("Slowest texts", page.scroll(slow)),
    ]


def _confusion(result: Evaluation) -> str:
    pairs = result.confused_pairs()
    table = page.table(("true class", "predicted", "rows #"), pairs[:_PAIRS], caption="Most confused pairs")
    if len(result.classes) > _TABLE_CLASSES:
        picture = plots.confusion_map(result.confusion)
    else:
        picture = _confusion_table(result)
    pair = "" if _NARROW_CLASSES < len(result.classes) <= _TABLE_CLASSES else "pair"
    beside = page.scroll(table) if pairs else "<p>There are no errors.</p>"
    return f'<div class="{pair}">{page.scroll(picture)}{beside}</div>'


def _confusion_table(result: Evaluation) -> str:
    heat = plots.heat(result.confusion)
    head = "".join(f"<th>{page.text(name)}</th>" for name in result.classes)
    rows = []
    for true, name in enumerate(result.classes):
        cells = "".join(
            f'<td{" class=right" if true == predicted else ""} style="--heat:{heat[true, predicted]:.3f}">'
            f"{result.confusion[true, predicted] or ''}</td>"
            for predicted in range(len(result.classes))
        )
        rows.append(f"<tr><th>{page.text(name)}</th>{cells}</tr>")
    return (
        "<table class=confusion><caption>True class by predicted class</caption>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _bits(use: BitUse) -> str:
    never = int((use.non_zero == 0).sum())
    facts = (
        f"{len(use.non_zero):,} bits over {use.rows:,} rows: a row has {use.non_zero.mean():.1%} of them non-zero, "
        f"{use.positive.mean():.1%} positive; {never:,} bits are never used."
    )
    return page.section("Bits", f"<p>{page.text(facts)}</p>{page.scroll(plots.bit_histogram(use))}")
