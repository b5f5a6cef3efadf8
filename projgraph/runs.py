"""A training run as a record, and written down in a folder until a store has it; mlflow is unknown here.

The folder stands beside the model, `MODEL.pgb.run/RUN_ID/`:

    run.json     the record, written last: a folder that has one is complete
    model.pgb    a copy, since the next training may write over the model
    files/       the artifacts
    attempted    there once sending has begun
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from projgraph.atomic import atomic_write
from projgraph.errors import InputError

MODEL = "model.pgb"
RECORD = "run.json"
FILES = "files"
ATTEMPTED = "attempted"

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class TrackedData:
    """One data set that a run used.

    Attributes:
        name: how the interface lists it.
        digest: its hash; MLflow keeps 36 characters.
        source: where it was read from.
        context: what it was used for: training, unlabelled, test.
        rows: how many.
    """

    name: str
    digest: str
    source: str
    context: str
    rows: int


@dataclass(frozen=True)
class TrackedRun:
    """Everything that is known of one training run when it ends.

    Attributes:
        name: the run's name in the interface.
        model_path: the model file; None if the run made none.
        params: the flattened configuration.
        metrics: the final figures.
        history: one row of figures an epoch; the key `epoch` is its step, or else its place is, and the key `seconds`
            is when it was measured, counted from the start.
        tags: short texts to find the run by.
        data: the data sets used.
        files: artifacts by the name they get.
        input_example: a few texts to show how the model is called.
        experiment: the experiment's name.
        started_ms, ended_ms: milliseconds since 1970; 0 means now.
        run_id: the run's own id, there before any server has seen the run.
    """

    name: str
    model_path: Path | None = None
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    data: Sequence[TrackedData] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    input_example: Sequence[str] = ()
    experiment: str = "projgraph"
    started_ms: int = 0
    ended_ms: int = 0
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Tracking:
    """Where a run ended up.

    Attributes:
        run_id: MLflow's id of the run, or the run's own id while it waits.
        store: the store's address, without a password.
        tracked: whether the store has the whole run.
        reason: one line on why it has not; empty if it has.
        pending: the folder in which the run waits; None if it was sent.
    """

    run_id: str
    store: str
    tracked: bool
    reason: str = ""
    pending: Path | None = None


def store_address(store: str | None) -> str:
    """The address of a store: as given, or from ``MLFLOW_TRACKING_URI``, or `mlflow.db` in the current folder."""
    address = store or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if address.startswith("sqlite:///"):
        return f"sqlite:///{Path(address.removeprefix('sqlite:///')).absolute()}"
    return address


def public_address(address: str) -> str:
    """An address without the user name and password it may hold."""
    return re.sub("//[^/]*@", "//", address, count=1)


def write_folder(run: TrackedRun, address: str, parent: str | None) -> Path:
    """Write everything that sending needs, and return the folder.

    Args:
        run: what to write; the model and the artifacts are copied.
        address: the store it is meant for; a password in it is not written.
        parent: MLflow's id of the run that this one is part of.

    Raises:
        OSError, OutputError: something cannot be read or written.
    """
    now = int(time.time() * 1000)
    run = replace(run, started_ms=run.started_ms or now, ended_ms=run.ended_ms or now)
    beside = run.model_path or Path("run")
    folder = beside.with_name(beside.name + ".run") / run.run_id
    (folder / FILES).mkdir(parents=True)
    try:
        for name, path in run.files.items():
            target = folder / FILES / name
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(target, path.read_bytes())
        if run.model_path is not None:
            atomic_write(folder / MODEL, run.model_path.read_bytes())
        record = {"store": public_address(address), "parent": parent, "user": _user(), "run": _plain_run(run)}
        atomic_write(folder / RECORD, json.dumps(record, default=_plain, indent=1).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def meant_store(folder: Path) -> str:
    """The address that a waiting run was meant for, without a password; empty if its record cannot be read."""
    try:
        return str(json.loads((folder / RECORD).read_text("utf-8"))["store"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def read_folder(folder: Path) -> tuple[TrackedRun, dict[str, Any]]:
    """The run as it was written, and what else the record says: its `store`, `parent` and `user`."""
    record = json.loads((folder / RECORD).read_text("utf-8"))
    plain = record.pop("run")
    plain["data"] = [TrackedData(**data) for data in plain["data"]]
    model = folder / MODEL
    return replace(TrackedRun(**plain), model_path=model if model.exists() else None), record


def waiting_folders(folder: Path) -> list[Path]:
    """The complete folders of runs, oldest first: this one, those in a `.run` folder, or those of a folder's models."""
    if (folder / RECORD).exists():
        return [folder]
    records = folder.glob(f"*/{RECORD}" if folder.name.endswith(".run") else f"*.run/*/{RECORD}")
    return [path.parent for _, path in sorted((_written_ns(path), path) for path in records)]


@contextlib.contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Keep other processes out that lock the same file or folder; the system frees the lock of a process that dies.

    Args:
        path: what to lock; nothing is written to it.
        seconds: how long to wait for it.

    Raises:
        InputError: another process still holds it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    deadline = time.monotonic() + seconds
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise InputError(f"another process is using {path}; try again when it is done") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # another process has just sent it
        return 0


def _plain_run(run: TrackedRun) -> dict[str, Any]:
    """The run without its files, in lists and dictionaries; a mapping of any kind is welcome, so no `asdict`."""
    plain = {item.name: getattr(run, item.name) for item in fields(run) if item.name not in ("files", "model_path")}
    plain |= {name: dict(plain[name]) for name in ("params", "metrics", "tags")}
    plain |= {"history": [dict(row) for row in run.history], "data": [asdict(data) for data in run.data]}
    return plain | {"input_example": list(run.input_example)}


def _plain(value: Any) -> Any:
    """What JSON has no word for: a NumPy number, or anything else by its text."""
    return value.item() if hasattr(value, "item") else str(value)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without a user name
        return "unknown"
