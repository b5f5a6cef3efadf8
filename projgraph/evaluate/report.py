"""The report of one training as a single HTML file that asks nothing of any network; it measures nothing itself."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template

from projgraph.atomic import atomic_write
from projgraph.evaluate import plots
from projgraph.evaluate.bit_use import BitUse
from projgraph.evaluate.evaluation import Evaluation

_TABLE_CLASSES = 20
"""Up to so many classes the confusion is a table of numbers; above, it is a heat map."""
_NARROW_CLASSES = 8
"""Up to so many classes that table leaves room for another beside it."""
_PAIRS = 25

_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10, 13)} | {0x7F: "\u2421"}
"""Control characters, which HTML cannot hold, as the pictures Unicode has of them."""


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
        sections.append(_section("Training", _scroll(plots.training_curves(given.history))))
    if given.evaluation is not None:
        sections += _evaluation_sections(given.evaluation)
    if given.bits is not None:
        sections.append(_bits(given.bits))
    if given.counts:
        sections.append(_section("Data", _table(("", "#"), given.counts.items())))
    if given.configuration:
        sections.append(_section("Configuration", _table(("setting", "value"), given.configuration.items())))
    template = Template(files("projgraph.evaluate").joinpath("report.html").read_text("utf-8"))
    page = template.substitute(title=_text(given.title), subtitle=_text(given.created), sections="\n".join(sections))
    return page.encode()


def _headline(given: ReportInput) -> str:
    result = given.evaluation
    figures: list[tuple[str, str, str]] = []
    if result is not None:
        share = f"of {result.n_test:,} test rows"
        figures += [
            ("accuracy", _percent(result.accuracy), share),
            ("P@3", _percent(result.p_at_3), "true class among the 3 first"),
            ("P@5", _percent(result.p_at_5), "true class among the 5 first"),
            ("macro F1", _percent(result.macro_f1), f"mean over {len(result.classes):,} classes"),
        ]
    if given.trainer_accuracy is not None:
        figures.append(("trainer", _percent(given.trainer_accuracy), "right on unlabelled rows"))
    if result is not None:
        if result.agreement is not None:
            figures.append(("agreement", _percent(result.agreement), "says what the trainer says"))
        before = "" if result.ece_uncalibrated is None else f", {_percent(result.ece_uncalibrated)} uncalibrated"
        figures.append(("calibration error", _percent(result.ece), f"expected, 15 bins{before}"))
        if result.out_of_scope_auroc is not None:
            figures.append(("out of scope", f"{result.out_of_scope_auroc:.3f}", "AUROC of confidence"))
        if result.answered is not None:
            foreign = result.out_of_scope_recall
            caught = "" if foreign is None else f"; none for {_percent(foreign)} of rows of no class"
            figures.append(("answered", _percent(result.answered), f"rows that get a label{caught}"))
        if result.model_bytes:
            figures.append(("model", _size(result.model_bytes), f"{result.model_bytes:,} bytes"))
        figures.append(("latency", f"{result.latency_p50_us:.1f} µs", f"median; p99 {result.latency_p99_us:.1f} µs"))
    cards = "".join(
        f'<div class="figure"><span>{_text(name)}</span><b>{_text(value)}</b><small>{_text(meaning)}</small></div>'
        for name, value, meaning in figures
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
    notes = f"<p>{_text(' '.join(left_out))}</p>" if left_out else ""
    wrong = _table(
        ("text", "true class", "predicted", "sure #"),
        ((row.text, row.label, row.predicted, _percent(row.confidence)) for row in result.wrong),
    )
    slow = _table(
        ("text", "bytes #", "µs #"),
        ((row.text, f"{row.text_bytes:,}", f"{row.microseconds:.1f}") for row in result.slow),
    )
    classes = _table(
        ("class", "rows #", "precision #", "recall #", "F1 #"),
        (
            (row.name, f"{row.n:,}", _percent(row.precision), _percent(row.recall), _percent(row.f1))
            for row in sorted(result.per_class, key=lambda row: (row.f1, row.name))
        ),
    )
    return [
        _section("Confusion", notes + _confusion(result)),
        _section(
            "Classes",
            f"<details><summary>{len(result.classes):,} classes, worst first</summary>{_scroll(classes)}</details>",
        ),
        _section(
            "Calibration",
            "<p>How often the model is right, by how sure it is. On the dashed line it is as sure as it is right.</p>"
            + _scroll(plots.reliability_diagram(result.reliability)),
        ),
        _section("Most confident errors", _scroll(wrong) if result.wrong else "<p>There are no errors.</p>"),
        _section("Slowest texts", _scroll(slow)),
    ]


def _confusion(result: Evaluation) -> str:
    pairs = result.confused_pairs()
    table = _table(("true class", "predicted", "rows #"), pairs[:_PAIRS], caption="Most confused pairs")
    if len(result.classes) > _TABLE_CLASSES:
        picture = plots.confusion_map(result.confusion)
    else:
        picture = _confusion_table(result)
    pair = "" if _NARROW_CLASSES < len(result.classes) <= _TABLE_CLASSES else "pair"
    return f'<div class="{pair}">{_scroll(picture)}{_scroll(table) if pairs else "<p>There are no errors.</p>"}</div>'


def _confusion_table(result: Evaluation) -> str:
    heat = plots.heat(result.confusion)
    head = "".join(f"<th>{_text(name)}</th>" for name in result.classes)
    rows = []
    for true, name in enumerate(result.classes):
        cells = "".join(
            f'<td{" class=right" if true == predicted else ""} style="--heat:{heat[true, predicted]:.3f}">'
            f"{result.confusion[true, predicted] or ''}</td>"
            for predicted in range(len(result.classes))
        )
        rows.append(f"<tr><th>{_text(name)}</th>{cells}</tr>")
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
    return _section("Bits", f"<p>{_text(facts)}</p>{_scroll(plots.bit_histogram(use))}")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>\n{body}\n</section>"


def _scroll(body: str) -> str:
    return f'<div class="scroll">{body}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; a heading that ends in # makes its column one of numbers, one called text a column of running text."""
    kinds = ["number" if name.endswith("#") else "text" if name == "text" else "name" for name in head]
    heading = "".join(
        f'<th class="{kind}">{_text(name.removesuffix("#").strip())}</th>'
        for name, kind in zip(head, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{_cell(value)}</td>' for value, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    title = f"<caption>{_text(caption)}</caption>" if caption else ""
    shown = f"<thead><tr>{heading}</tr></thead>" if any(name.strip("#") for name in head) else ""
    return f"<table>{title}{shown}<tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"<bdi>{_text(str(value))}</bdi>"  # a text that runs from right to left must not turn its neighbours around


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode().translate(_VISIBLE))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _size(n_bytes: int) -> str:
    return (
        f"{n_bytes} B"
        if n_bytes < 1000
        else f"{n_bytes / 1024:.0f} KiB"
        if n_bytes < 1 << 20
        else f"{n_bytes / (1 << 20):.1f} MiB"
    )
