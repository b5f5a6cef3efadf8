"""Fits that are kept in a folder, so that students that differ in their weights alone share one; it knows no model.

A fit is one file, HASH.fit.npz, named by a hash of all that it follows from: the task with every array of it, and the
versions of projgraph, numpy and torch. It may be deleted at any time, and is written whole or not at all. What is not
exactly a fit of the task is fitted again. Arrays, without pickle: ``about`` (JSON: the key and the history),
``held_out``, ``held_out_logits``, and for the layers of both fits ``first_*`` and ``second_*``.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from projgraph import __version__
from projgraph.atomic import atomic_write
from projgraph.config.stage import Stage
from projgraph.projection.fit import Listener, Student, StudentTask, fit_student, held_out_rows
from projgraph.projection.head import HeadLayers
from projgraph.records import Layer

FIT_SUFFIX = ".fit.npz"
_KEY_CHARACTERS = 32
_DAMAGED = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError),
)
"""What reading a file, and using what it says, raises where it is not what was written."""
_LAYERS = ("hidden", "output", "convolution")


def fit_key(task: StudentTask) -> str:
    """A hash of everything that the fit of a task follows from. Time and bytes read O(size of the task)."""
    digest = hashlib.sha256(json.dumps([__version__, np.__version__, torch.__version__]).encode())
    _add(digest, task)
    return digest.hexdigest()[:_KEY_CHARACTERS]


def fit_or_read(folder: Path, task: StudentTask, listener: Listener | None = None) -> Student:
    """The fitted student of a task from a folder, where it is kept after it was fitted.

    Args:
        folder: an existing one. Others may write into it meanwhile: the same fit has the same bytes.
        task: rows, targets and settings.
        listener: called with the figures of every epoch of the first fit, also of one that is read.

    Raises:
        ConfigError, InputError: as `fit_student`.
        OutputError: the system refuses to write.
    """
    key = fit_key(task)
    path = folder / (key + FIT_SUFFIX)
    student = _read(path, key, task)
    if student is None:
        student = fit_student(task, listener)
        atomic_write(path, _to_bytes(student, key))
    elif listener is not None:
        for figures in student.history:
            listener(figures)
    return student


def _to_bytes(student: Student, key: str) -> bytes:
    about = json.dumps({"key": key, "history": student.history})
    arrays: dict[str, NDArray[Any]] = {
        "about": np.frombuffer(about.encode(), dtype=np.uint8),
        "held_out": student.held_out,
        "held_out_logits": student.held_out_logits,
    }
    for fit, layers in (("first", student.first_fit), ("second", student.layers)):
        for name in _LAYERS if layers is not None else ():
            layer: Layer | None = getattr(layers, name)
            if layer is not None:
                arrays |= {f"{fit}_{name}_weights": layer.weights, f"{fit}_{name}_bias": layer.bias}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _read(path: Path, key: str, task: StudentTask) -> Student | None:
    """The student that a file holds; None where there is none, or it is damaged or of another task."""
    try:
        data = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.testzip() is not None:  # before memory is asked for as a damaged header says
                return None
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return _to_student({name: file[name] for name in file.files}, key, task)
    except _DAMAGED:
        return None


def _to_student(arrays: Mapping[str, NDArray[Any]], key: str, task: StudentTask) -> Student | None:
    about = json.loads(arrays["about"].tobytes())
    rows = held_out_rows(len(task.targets.gold), task.config, task.seed, task.groups)
    logits = arrays["held_out_logits"]
    epochs = task.config.epochs_for(len(task.targets.gold) - len(rows))
    history = tuple({str(name): float(value) for name, value in row.items()} for row in about["history"])
    second, first = _to_layers(arrays, "second", task), _to_layers(arrays, "first", task) if len(rows) else None
    right = (
        about["key"] == key
        and [row["epoch"] for row in history] == [float(epoch) for epoch in range(1, epochs + 1)]
        and np.array_equal(arrays["held_out"], rows)
        and _is_finite_of(logits, (len(rows), task.targets.distributions.shape[1]))
    )
    return Student(second.hidden, second.output, history, rows, logits, second.convolution, first) if right else None


def _to_layers(arrays: Mapping[str, NDArray[Any]], fit: str, task: StudentTask) -> HeadLayers:
    """The layers of a fit, which have the shapes that the task gives them."""
    dense = 0 if task.words is None else task.words.dimensions
    filters, inputs, classes = task.filters if dense else 0, task.bits.n_bits + dense, task.targets.beliefs.shape[1]
    shapes = (
        (inputs, task.units) if task.units else None,
        ((task.units or inputs) + filters, classes),
        (task.width * dense, filters) if filters else None,
    )
    layers: list[Layer | None] = []
    for name, shape in zip(_LAYERS, shapes, strict=True):
        layers.append(None)
        if shape is not None:
            weights, bias = arrays[f"{fit}_{name}_weights"], arrays[f"{fit}_{name}_bias"]
            if not _is_finite_of(weights, shape) or not _is_finite_of(bias, shape[1:]):
                raise ValueError(f"{name}: {weights.shape} weights; expected {shape}")
            layers[-1] = Layer(weights, bias)
    hidden, output, convolution = layers
    if output is None:
        raise ValueError("there is no output layer")
    return HeadLayers(hidden, output, convolution)


def _is_finite_of(array: NDArray[Any], shape: tuple[int, ...]) -> bool:
    return array.dtype == np.float32 and array.shape == shape and bool(np.isfinite(array).all())


def _add(digest: Any, value: object) -> None:
    """Every part of a record by its name, kind and content; arrays by their bytes."""
    if is_dataclass(value):
        for field in fields(value):
            digest.update(f"{field.name}(".encode())
            _add(digest, getattr(value, field.name))
            digest.update(b")")
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, Stage):
        digest.update(json.dumps(value.model_dump(mode="json"), sort_keys=True).encode())
    else:
        digest.update(json.dumps(value).encode())
