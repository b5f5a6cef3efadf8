"""One model measured on one labelled test set: rightness, calibration, size and latency; training is unknown here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import InputError
from projgraph.evaluate import calibration, metrics
from projgraph.evaluate.out_of_scope import out_of_scope_auroc
from projgraph.records import UNLABELLED, IndexArray, Texts

_ROWS_AT_A_TIME = 16384
_TIMED_TEXTS = 1000
_TIMED_REPEATS = 11
_WRONG_EXAMPLES = 20
_SLOW_TEXTS = 10
_EXAMPLE_CHARACTERS = 400
_FIGURES = (
    "accuracy",
    "p_at_1",
    "p_at_3",
    "p_at_5",
    "macro_f1",
    "ece",
    "ece_uncalibrated",
    "agreement",
    "out_of_scope_auroc",
    "answered",
    "in_scope_accuracy",
    "out_of_scope_recall",
    "model_bytes",
    "latency_p50_us",
    "latency_p99_us",
    "n_test",
    "n_unlabelled",
    "n_unknown",
)


class ScoringModel(Protocol):
    """What is needed of a model; `projgraph.native.NativeModel` is one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the c classes."""

    @property
    def scale(self) -> float:
        """What turns an integer score into a logit."""

    @property
    def threshold(self) -> int:
        """A largest score below it gives no label; 0 for none."""

    def scores(self, texts: Texts) -> NDArray[np.int32]:
        """(n, c) integer scores."""

    def time_calls(self, texts: Texts, repeats: int) -> NDArray[np.float64]:
        """(n, repeats) nanoseconds of single predictions."""


@dataclass(frozen=True)
class WrongExample:
    """A text on which the model is wrong.

    Attributes:
        text: the text, cut at 400 characters.
        label: the true class.
        predicted: what the model says.
        confidence: how sure it is, 0 to 1.
    """

    text: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class SlowText:
    """A text that takes long.

    Attributes:
        text: the text, cut at 400 characters.
        text_bytes: its whole length in UTF-8.
        microseconds: median time of one prediction.
    """

    text: str
    text_bytes: int
    microseconds: float


@dataclass(frozen=True)
class Evaluation:
    """What one model is worth on one test set.

    Attributes:
        classes: the model's classes.
        n_test: labelled rows, on which everything is measured.
        n_unlabelled: rows without a label, left out.
        n_unknown: rows among ``n_test`` whose label the model does not know; each counts as wrong.
        accuracy: share of rows whose class is predicted.
        p_at_1, p_at_3, p_at_5: share of rows whose class is among the k highest scores.
        macro_f1: mean F1 over the classes that occur.
        ece: expected calibration error over 15 bins of equal width.
        ece_uncalibrated: the same before the temperature; None where that is not known.
        agreement: share of rows on which the trainer says the same; None without a trainer's labels.
        out_of_scope_auroc: how well confidence sorts known from unknown rows; None without unknown rows.
        answered: share of rows that get a label; None, as the next two, where the model always gives one.
        in_scope_accuracy: share of known rows that get a label, and the right one; None without known rows.
        out_of_scope_recall: share of unknown rows that get no label; None without unknown rows.
        model_bytes: size of the model file.
        latency_p50_us, latency_p99_us: microseconds of one prediction, in C, one text a call, without Python: over up
            to 1,000 evenly spread texts, each at the median of 11 calls.
        confusion: (c, c) counts, true class by predicted class.
        per_class: precision, recall and F1 of each class.
        reliability: confidence against accuracy.
        wrong: the most confident errors, surest first.
        slow: the slowest texts, slowest first.
    """

    classes: tuple[str, ...]
    n_test: int
    n_unlabelled: int
    n_unknown: int
    accuracy: float
    p_at_1: float
    p_at_3: float
    p_at_5: float
    macro_f1: float
    ece: float
    ece_uncalibrated: float | None
    agreement: float | None
    out_of_scope_auroc: float | None
    answered: float | None
    in_scope_accuracy: float | None
    out_of_scope_recall: float | None
    model_bytes: int
    latency_p50_us: float
    latency_p99_us: float
    confusion: IndexArray
    per_class: tuple[metrics.ClassScore, ...]
    reliability: tuple[calibration.ReliabilityBin, ...]
    wrong: tuple[WrongExample, ...]
    slow: tuple[SlowText, ...]

    @property
    def figures(self) -> Mapping[str, float]:
        """The single numbers, by name, as a tracker wants them; those that are None are left out."""
        values = {name: getattr(self, name) for name in _FIGURES}
        return {name: value for name, value in values.items() if value is not None}

    def confused_pairs(self) -> list[tuple[str, str, int]]:
        """(true class, predicted class, rows) of every kind of error that happened, most frequent first."""
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        cells = np.flatnonzero(errors)
        order = cells[np.argsort(-errors.ravel()[cells], kind="stable")]
        pairs = zip(*np.divmod(order, len(self.classes)), errors.ravel()[order], strict=True)
        return [(self.classes[true], self.classes[predicted], int(count)) for true, predicted, count in pairs]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries; the confusion matrix as its errors, most frequent first."""
        return {
            **{name: getattr(self, name) for name in _FIGURES},
            "classes": list(self.classes),
            "confusion": [list(pair) for pair in self.confused_pairs()],
            "per_class": [asdict(row) for row in self.per_class],
            "reliability": [asdict(row) for row in self.reliability],
            "wrong": [asdict(row) for row in self.wrong],
            "slow": [asdict(row) for row in self.slow],
        }


def evaluate(
    model: ScoringModel,
    texts: Texts,
    labels: IndexArray,
    classes: Sequence[str],
    trainer_labels: IndexArray | None = None,
    *,
    model_bytes: int = 0,
    temperature: float | None = None,
) -> Evaluation:
    """Measure a model on a test set.

    Args:
        model: what is measured.
        texts: the n texts.
        labels: (n,) index into ``classes``; ``UNLABELLED`` rows are left out, and those whose class the model does
            not know (or that are ``metrics.UNKNOWN`` already) count as wrong.
        classes: the names that ``labels`` index; they need not be the model's.
        trainer_labels: (n,) what the trainer says of the same rows, an index into ``classes`` or ``UNLABELLED``.
        model_bytes: size of the model file.
        temperature: that the model's scale holds, where it is known: the calibration error is measured without it too.

    Raises:
        InputError: no row has a label, or the lengths differ.
    """
    kept = _labelled(texts, labels, trainer_labels)
    texts = texts if len(kept) == len(labels) else texts.select(kept)
    true = metrics.align_labels(labels[kept], classes, model.classes)
    decided = _decide_all(model, texts, true, temperature)
    decisions, confidence = decided.decisions, decided.confidence
    right = decisions.predicted == true
    bins = calibration.reliability(confidence, right)
    taught = None if trainer_labels is None else metrics.align_labels(trainer_labels[kept], classes, model.classes)
    names = [classes[label] if label >= 0 else "(unknown)" for label in labels[kept].tolist()]
    p50, p99, slow = _time(model, texts)
    return Evaluation(
        classes=model.classes,
        n_test=len(kept),
        n_unlabelled=len(labels) - len(kept),
        n_unknown=int((true == metrics.UNKNOWN).sum()),
        accuracy=metrics.accuracy(decisions.predicted, true),
        p_at_1=metrics.precision_at(decisions.ranks, true, 1),
        p_at_3=metrics.precision_at(decisions.ranks, true, 3),
        p_at_5=metrics.precision_at(decisions.ranks, true, 5),
        macro_f1=metrics.macro_f1(decisions.predicted, true, len(model.classes)),
        ece=calibration.expected_calibration_error(bins),
        ece_uncalibrated=None
        if decided.uncalibrated is None
        else calibration.expected_calibration_error(calibration.reliability(decided.uncalibrated, right)),
        agreement=None if taught is None else metrics.agreement(decisions.predicted, taught),
        out_of_scope_auroc=out_of_scope_auroc(confidence, true >= 0),
        answered=float(decided.answered.mean()) if model.threshold else None,
        in_scope_accuracy=_share(right & decided.answered, true >= 0) if model.threshold else None,
        out_of_scope_recall=_share(~decided.answered, true < 0) if model.threshold else None,
        model_bytes=model_bytes,
        latency_p50_us=p50,
        latency_p99_us=p99,
        confusion=metrics.confusion_matrix(decisions.predicted, true, len(model.classes)),
        per_class=metrics.class_scores(decisions.predicted, true, model.classes),
        reliability=bins,
        wrong=_most_confident_errors(texts, names, model.classes, decisions.predicted, confidence, right),
        slow=slow,
    )


def _labelled(texts: Texts, labels: IndexArray, trainer_labels: IndexArray | None) -> IndexArray:
    """The rows to measure on, of which there is one at least."""
    if not len(texts) == len(labels) == len(labels if trainer_labels is None else trainer_labels):
        given = "no" if trainer_labels is None else len(trainer_labels)
        raise InputError(
            f"{len(texts)} texts, {len(labels)} labels and {given} trainer labels; expected one of each for every row"
        )
    kept = np.flatnonzero(labels != UNLABELLED)
    if not len(kept):
        raise InputError(f"none of the {len(labels)} test rows has a label; give a test file with a label column")
    return kept


@dataclass(frozen=True)
class _Decided:
    """Of n rows: decisions, confidence with and without the temperature, and whether each gets a label."""

    decisions: metrics.Decisions
    confidence: NDArray[np.float64]
    uncalibrated: NDArray[np.float64] | None
    answered: NDArray[np.bool_]


def _share(which: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(which[among].mean()) if among.any() else None


def _decide_all(model: ScoringModel, texts: Texts, true: IndexArray, temperature: float | None) -> _Decided:
    """Decisions and confidence, a slice at a time, so that the (n, c) scores of a large test set never exist whole."""
    parts, confidence, uncalibrated, answered = [], [], [], []
    for start in range(0, len(texts), _ROWS_AT_A_TIME):
        rows = np.arange(start, min(start + _ROWS_AT_A_TIME, len(texts)))
        scores = model.scores(texts if len(rows) == len(texts) else texts.select(rows))
        parts.append(metrics.decide(scores, true[rows]))
        confidence.append(calibration.softmax(scores * float(model.scale)).max(axis=1))
        if temperature is not None:
            uncalibrated.append(calibration.softmax(scores * (float(model.scale) * temperature)).max(axis=1))
        answered.append((scores.max(axis=1) >= model.threshold) if model.threshold else np.ones(len(rows), np.bool_))
    predicted = np.concatenate([part.predicted for part in parts])
    ranks = np.concatenate([part.ranks for part in parts])
    return _Decided(
        metrics.Decisions(predicted, ranks),
        np.concatenate(confidence),
        np.concatenate(uncalibrated) if uncalibrated else None,
        np.concatenate(answered),
    )


def _most_confident_errors(
    texts: Texts,
    names: Sequence[str],
    classes: Sequence[str],
    predicted: IndexArray,
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
) -> tuple[WrongExample, ...]:
    errors = np.flatnonzero(~right)
    worst = errors[np.argsort(-confidence[errors], kind="stable")][:_WRONG_EXAMPLES].tolist()
    return tuple(
        WrongExample(_shown(texts, row), names[row], classes[predicted[row]], float(confidence[row])) for row in worst
    )


def _time(model: ScoringModel, texts: Texts) -> tuple[float, float, tuple[SlowText, ...]]:
    """Median and 99th percentile in microseconds over evenly spread texts, and the slowest of them."""
    rows = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), _TIMED_TEXTS)).astype(np.int64))
    nanoseconds = model.time_calls(texts.select(rows), _TIMED_REPEATS).reshape(len(rows), -1)
    # The median of a text's repeats is its own cost; an average would add what the machine did meanwhile.
    microseconds = np.median(nanoseconds, axis=1) / 1000
    p50, p99 = np.percentile(microseconds, [50, 99]).tolist()
    slowest = np.argsort(-microseconds, kind="stable")[:_SLOW_TEXTS].tolist()
    slow = tuple(
        SlowText(
            _shown(texts, int(rows[place])),
            int(texts.offsets[rows[place] + 1] - texts.offsets[rows[place]]),
            float(microseconds[place]),
        )
        for place in slowest
    )
    return p50, p99, slow


def _shown(texts: Texts, row: int) -> str:
    """A text as it can be shown: cut, and without the lone surrogates that no UTF-8 file can hold."""
    text = texts[row].encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"
