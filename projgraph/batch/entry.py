"""What one export of many is asked for and how it went, as records and as the JSON that is kept; it does no work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from projgraph.config import TrainConfig
from projgraph.pack.export import Target

REPORT = "report.html"
TABLE = "report.parquet"
"""Of all entries, beside their folders."""

SourceKind = Literal["model", "run", "data"]


@dataclass(frozen=True)
class SourceFile:
    """Where models come from.

    Attributes:
        kind: a trained model, a kept run, or rows to train on.
        path: the file.
        config: of a training; None for a model or a run, which has its own.
        unlabelled: further texts of a training.
        labels_per_class: keep so many labels a class and hide the others; None keeps all.
        text_column, label_column: names where the guess would be wrong, in the test file too.
    """

    kind: SourceKind
    path: Path
    config: TrainConfig | None = None
    unlabelled: tuple[Path, ...] = ()
    labels_per_class: int | None = None
    text_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class Entry:
    """One model to make and the targets to write it for.

    Attributes:
        name: of its folder and its model file.
        model: of the line of the manifest that it belongs to; the sizes of one model share it.
        source: what it is made from.
        targets: what it is written for.
        budget: bytes at most; None is the settings' own.
        weights: their name, or a value of the setting ``pack.weight_bits``, as `projgraph.config.weight_settings`
            takes them; None is the settings' own.
        settings: further ``stage.key=value`` of a run's student.
        test: labelled rows to measure on.
        search: try several shapes of each size, and keep the one that is best on held-out training rows.
    """

    name: str
    model: str
    source: SourceFile
    targets: tuple[Target, ...]
    budget: int | None = None
    weights: int | str | None = None
    settings: tuple[str, ...] = ()
    test: Path | None = None
    search: bool = False


@dataclass(frozen=True)
class Written:
    """A file that was written: its path below the entry's folder, its bytes and their SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Point:
    """A model that was tried: its bytes, its accuracy on held-out training rows, and its shape in words."""

    size: int
    held_out_accuracy: float | None
    shape: str


@dataclass(frozen=True)
class Done:
    """What is kept of a finished entry; one that could not be made is not kept, and tried again.

    Attributes:
        key: hash of everything that the model follows from.
        model: the model file.
        bits, units, weights: its shape; 0 units for a linear head, and the name of the weights over the bits.
        classes: labels.
        held_out_accuracy: of a head in integers that was fitted without these training rows; None where the source is
            a model, which has no training rows.
        test_accuracy: None without a test file.
        seconds: that making the model took.
        tried: models of the search, the one that was kept among them.
        targets: files of each target that was written, for this version of projgraph.
        student: hash of what the model's student follows from; "" where others cannot share it.
    """

    key: str
    model: Written
    bits: int
    units: int
    weights: str
    classes: int
    held_out_accuracy: float | None
    test_accuracy: float | None
    seconds: float
    tried: tuple[Point, ...] = ()
    targets: Mapping[str, tuple[Written, ...]] = field(default_factory=dict)
    student: str = ""

    def to_json(self) -> bytes:
        """The record as it is kept."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()


def done_from_json(data: bytes) -> Done | None:
    """The record; None where it is damaged or of another version."""
    try:
        return _RECORD.validate_json(data, strict=True)
    except ValidationError:
        return None


_RECORD = TypeAdapter(Done)


@dataclass(frozen=True)
class Outcome:
    """How one entry ended.

    Attributes:
        entry: what was asked for.
        done: what is there; None where there is no model.
        failures: why a target, or under the name "model" the model itself, is not there.
        unchanged: nothing was to be done.
    """

    entry: Entry
    done: Done | None
    failures: Mapping[str, str] = field(default_factory=dict)
    unchanged: bool = False
