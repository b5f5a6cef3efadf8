"""What a training leaves for students of other sizes: rows, labels and the trainer's beliefs; it trains nothing.

A run is one `.npz` file. The bits of a smaller model are not the first bits of a larger one: each feature touches two
bits anywhere in its block, so a model of fewer bits is projected anew, which needs the texts. They are in the file: who
may not pass the texts on may not pass the run on.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from projgraph.atomic import atomic_write
from projgraph.config import TrainConfig
from projgraph.errors import InputError
from projgraph.records import UNLABELLED, Dataset, Graph, ReadCounts, SoftLabels, Texts

if TYPE_CHECKING:
    from projgraph.teach import Taught

RUN_SUFFIX = ".run.npz"
_FORMAT = 1
_ABOUT = "about"


@dataclass(frozen=True)
class KeptRun:
    """A training as a file holds it: the texts, what they are taught, and the settings.

    An encoder is not in the file: a model of another size has the words of the texts alone, and codes fitted to the
    features that the encoder gave.
    """

    dataset: Dataset
    taught: Taught
    config: TrainConfig


def write_run(path: Path, run: KeptRun) -> int:
    """Write a run, whole or not at all; the same run gives the same bytes, of which the number is returned.

    The graph is kept where a term of the student's loss runs along its edges, the features where words or a joint
    trainer need them.

    Raises:
        InputError: the rows are vectors.
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    config, taught, texts = run.config, run.taught, run.dataset.texts
    loss, joint = config.student.loss, config.student.joint
    arrays: dict[str, NDArray[Any]] = {
        "texts": np.frombuffer(texts.data, dtype=np.uint8),
        "offsets": texts.offsets,
        "labels": run.dataset.labels,
        "taught": taught.labels.probabilities,
        "reached": taught.labels.reached,
    }
    if taught.graph is not None and (loss.edges > 0 or loss.hamming > 0 or joint):
        graph = taught.graph
        arrays |= {"indptr": graph.indptr, "indices": graph.indices, "weights": graph.weights}
    if taught.features is not None and (config.code_dimensions or joint):
        arrays["features"] = taught.features
    about = {
        "format": _FORMAT,
        "classes": run.dataset.classes,
        "belief": taught.temperature,
        "counts": asdict(run.dataset.counts),
        "config": config.model_dump(mode="json"),
    }
    arrays[_ABOUT] = np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return atomic_write(path, buffer.getvalue())


def read_run(path: Path) -> KeptRun:
    """The run that a file holds.

    Raises:
        InputError: it cannot be read, or is no run; the message says how to make one.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; {_EXPECTED}") from error
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is no run, or is damaged: {error}; {_EXPECTED}") from error
    try:
        return _to_run(arrays)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path} is no run of this version, or is damaged: {error}; {_EXPECTED}") from error


_EXPECTED = "expected what `projgraph train --keep-run` leaves beside its model, MODEL.run.npz"


def _to_run(arrays: Mapping[str, NDArray[Any]]) -> KeptRun:
    from projgraph.teach import Taught  # imports torch: not before a run is read

    about = json.loads(arrays[_ABOUT].tobytes())
    if about["format"] != _FORMAT:
        raise ValueError(f"its format is {about['format']}, expected {_FORMAT}")
    classes, labels = tuple(map(str, about["classes"])), arrays["labels"].astype(np.int64)
    texts = Texts(arrays["texts"].tobytes(), arrays["offsets"].astype(np.uint64))
    beliefs = SoftLabels(arrays["taught"].astype(np.float32), arrays["reached"].astype(np.bool_))
    graph = None
    if "indptr" in arrays:
        graph = Graph(arrays["indptr"], arrays["indices"], arrays["weights"])
    counts = ReadCounts(**{name: int(value) for name, value in about["counts"].items()})
    _check(texts, labels, beliefs, len(classes))
    return KeptRun(
        Dataset(texts, labels, classes, counts),
        Taught(beliefs, graph, arrays.get("features"), float(about["belief"])),
        TrainConfig.model_validate(about["config"]),
    )


def _check(texts: Texts, labels: NDArray[np.int64], taught: SoftLabels, n_classes: int) -> None:
    """That the parts are of one another."""
    offsets = texts.offsets
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(texts.data) or (offsets[1:] < offsets[:-1]).any():
        raise ValueError("its offsets are not those of its texts")
    if labels.shape != (len(texts),) or taught.probabilities.shape != (len(texts), n_classes):
        raise ValueError(f"its {len(texts)} texts have other labels or distributions")
    if len(labels) and not UNLABELLED <= labels.min() <= labels.max() < n_classes:
        raise ValueError(f"its labels are not of its {n_classes} classes")
    if not np.isfinite(taught.probabilities).all() or taught.reached.shape != (len(texts),):
        raise ValueError("its distributions are no numbers")
