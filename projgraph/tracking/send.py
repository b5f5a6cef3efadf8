"""Sends runs to an MLflow store, or lets them wait for it.

A run is first written to a folder beside its model, `MODEL.pgb.run/RUN_ID/`, then sent to the store and only then
removed. So a server that is dead, slow or refuses loses nothing and fails nothing: the folder waits, and the next run
to the same store, or ``sync``, sends it. Sending is safe to repeat: the run carries its own id as a tag and every
value its own time, so what has arrived before is found and not doubled.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import socket
import sqlite3
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from projgraph.errors import InputError, ProjgraphError
from projgraph.runs import (
    ATTEMPTED,
    FILES,
    MODEL,
    RECORD,
    TrackedRun,
    Tracking,
    locked,
    meant_store,
    public_address,
    read_folder,
    store_address,
    waiting_folders,
    write_folder,
)
from projgraph.tracking.flavour import save_model

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

RUN_ID_TAG = "projgraph.run_id"
"""The tag that carries a run's own id; MLflow gives the run another."""

_SECONDS = 20.0
"""No further step of sending begins after this long; what is left waits for the next run."""
_PATIENCE = {
    # A dead server must cost seconds of a training, not the minutes that MLflow is ready to wait by default.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def track(run: TrackedRun, store: str | None = None) -> Tracking:
    """Record a run in an MLflow store; whatever the store does, this neither raises nor takes much above 20 seconds.

    Args:
        run: what to record.
        store: the store's address; by default ``MLFLOW_TRACKING_URI``, or else `mlflow.db` in the current folder.
            A run of the caller that is active (`mlflow.start_run`, or ``MLFLOW_RUN_ID`` under `mlflow run`) and known
            to the store becomes the parent of this one; nothing is written into it.
    """
    deadline = time.monotonic() + _SECONDS
    address = store_address(store)
    try:
        folder = write_folder(run, address, _active_run())
    except Exception as error:  # a full disk is no reason to fail a training that has its model
        return Tracking(
            run.run_id, public_address(address), False, f"the run could not be written down: {_root(error)}"
        )
    result = _send(folder, address, deadline)
    if result.tracked:
        for other in waiting_folders(folder.parents[1]):
            if meant_store(other) == result.store and time.monotonic() < deadline:
                _send(other, address, deadline)
    return result


def sync(folder: str | os.PathLike[str], store: str | None = None) -> list[Tracking]:
    """Send the runs that wait in a folder, oldest first.

    Args:
        folder: the folder with the models, a `MODEL.pgb.run` folder, or the folder of one run.
        store: where to; by default each run goes to the store it was meant for.

    Raises:
        InputError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is no folder; expected the one with the models, or a MODEL.pgb.run folder")
    results = []
    for waiting in waiting_folders(Path(folder)):
        meant = meant_store(waiting)
        default = store_address(None)
        # The folder keeps no password; the environment may know the same server with one.
        address = store_address(store) if store else default if public_address(default) == meant else meant
        results.append(_send(waiting, address, time.monotonic() + _SECONDS))
    return results


def _active_run() -> str | None:
    """The caller's own run, if one is active; mlflow is asked only if the caller has imported it."""
    mlflow = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None
    return active.info.run_id if active is not None else os.environ.get("MLFLOW_RUN_ID")


def _send(folder: Path, address: str, deadline: float) -> Tracking:
    """Send one folder and remove it; any failure leaves it and is told in one line."""
    try:
        with locked(folder / RECORD, 0), _considerate():
            run, record = read_folder(folder)
            client = _open_store(address, deadline)
            run_id = _send_run(client, folder, run, record, address, deadline)
            (folder / RECORD).unlink()  # first, so that a folder half removed is not taken for a run that waits
            shutil.rmtree(folder, ignore_errors=True)
    except Exception as error:  # the store is foreign code on a foreign machine: nothing it does may fail a training
        reason = _root(error).replace(address, public_address(address))
        line = f"{public_address(address)} did not take the run ({reason}); it waits in {folder}"
        return Tracking(folder.name, public_address(address), False, line, folder)
    with contextlib.suppress(OSError):  # other runs wait there
        folder.parent.rmdir()
    return Tracking(run_id, public_address(address), True)


def _open_store(address: str, deadline: float) -> MlflowClient:
    """A client of the store; a SQLite store is made by one process at a time, or two spoil each other's tables."""
    from mlflow.tracking import MlflowClient

    _check_reachable(address)
    if not address.startswith("sqlite:///"):
        return MlflowClient(address)
    with locked(Path(address.removeprefix("sqlite:///")).parent, deadline - time.monotonic()):
        return MlflowClient(address)


def _send_run(
    client: MlflowClient, folder: Path, run: TrackedRun, record: Mapping[str, Any], address: str, deadline: float
) -> str:
    from mlflow.entities import RunStatus

    again = (folder / ATTEMPTED).exists()
    (folder / ATTEMPTED).touch()
    sent = _find_or_create(client, run, record, address, again)
    run_id = sent.info.run_id
    _in_time(deadline)
    model_id = _send_model(client, folder, run, sent) if run.model_path is not None else None
    _in_time(deadline)
    _send_values(client, run, run_id, model_id)
    _send_data(client, run, run_id)
    _in_time(deadline)
    if any((folder / FILES).iterdir()):
        client.log_artifacts(run_id, str(folder / FILES))
    client.set_terminated(run_id, RunStatus.to_string(RunStatus.FINISHED), end_time=run.ended_ms)
    return str(run_id)


def _find_or_create(client: MlflowClient, run: TrackedRun, record: Mapping[str, Any], address: str, again: bool) -> Run:
    """The run in the store: a new one, unless an earlier attempt got as far as creating it."""
    from mlflow.exceptions import MlflowException

    parent = record["parent"]
    experiment = None
    if parent:
        with contextlib.suppress(MlflowException):  # a run of another store
            experiment = client.get_run(parent).info.experiment_id
    tags = {_name(key): str(value)[:8000] for key, value in run.tags.items()} | {
        RUN_ID_TAG: run.run_id,
        "mlflow.runName": run.name,
        "mlflow.user": record["user"],
        "mlflow.source.name": "projgraph",
        "mlflow.source.type": "LOCAL",
    }
    if experiment is not None:
        tags["mlflow.parentRunId"] = parent
    else:
        experiment = _experiment(client, run.experiment, address)
    if again:
        found = client.search_runs([experiment], f"tags.`{RUN_ID_TAG}` = '{run.run_id}'", max_results=1)
        if found:
            return found[0]
    return client.create_run(experiment, start_time=run.started_ms, tags=tags, run_name=run.name)


def _experiment(client: MlflowClient, name: str, address: str) -> str:
    """The id of the experiment, created if need be; a SQLite store has its artifacts beside it."""
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    beside = None
    if address.startswith("sqlite:///"):
        place = re.sub(r"[^\w-]", "_", name)
        beside = (Path(address.removeprefix("sqlite:///")).parent / "mlartifacts" / place).as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=beside))
    except MlflowException:
        found = client.get_experiment_by_name(name)  # another training may have been faster
        if found is None:
            raise
        return str(found.experiment_id)


def _send_model(client: MlflowClient, folder: Path, run: TrackedRun, sent: Run) -> str | None:
    """Store the model as an MLflow model of the run; None where the server knows models only as files of a run."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    local = folder / "model"
    shutil.rmtree(local, ignore_errors=True)
    run_id = sent.info.run_id
    try:
        made_before = sent.outputs.model_outputs if sent.outputs else []
        if made_before:
            logged = client.get_logged_model(made_before[0].model_id)
        else:
            logged = client.create_logged_model(
                sent.info.experiment_id, name="model", source_run_id=run_id, model_type="classifier"
            )
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except MlflowException as error:
        if error.error_code not in ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"):
            raise
        save_model(folder / MODEL, local, mlflow_model=Model(run_id=run_id), input_example=run.input_example)
        client.log_artifacts(run_id, str(local), "model")
        return None
    mlflow_model = Model(
        artifact_path=logged.artifact_location, run_id=run_id, model_id=logged.model_id, model_uuid=logged.model_id
    )
    save_model(folder / MODEL, local, mlflow_model=mlflow_model, input_example=run.input_example)
    client.log_model_artifacts(logged.model_id, str(local))
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def _send_values(client: MlflowClient, run: TrackedRun, run_id: str, model_id: str | None) -> None:
    """Parameters and metrics in as few calls as MLflow allows: 100 parameters and 1,000 values in one."""
    from mlflow.entities import Metric, Param

    params = [Param(_name(key), str(value)[:6000]) for key, value in run.params.items()]
    metrics = []
    step = 0
    for place, row in enumerate(run.history):
        step = int(row.get("epoch", place))
        when = int(run.started_ms + 1000 * row["seconds"]) if "seconds" in row else run.ended_ms
        metrics += [Metric(_name(key), float(row[key]), when, step) for key in row if key not in ("epoch", "seconds")]
    # One step later, so that a final figure is also the latest value of its name.
    step += bool(run.history)
    for key, value in run.metrics.items():
        metrics.append(Metric(_name(key), float(value), run.ended_ms, step, model_id=model_id, run_id=run_id))
    for call in range(max(-(-len(params) // 100), -(-len(metrics) // 900))):
        client.log_batch(
            run_id, metrics=metrics[900 * call : 900 * (call + 1)], params=params[100 * call : 100 * (call + 1)]
        )


def _send_data(client: MlflowClient, run: TrackedRun, run_id: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(data.name, data.digest[:36], "local", data.source, profile=json.dumps({"num_rows": data.rows})),
            [InputTag("mlflow.data.context", data.context)],
        )
        for data in run.data
    ]
    if inputs:
        client.log_inputs(run_id, datasets=inputs)


@contextlib.contextmanager
def _considerate() -> Iterator[None]:
    """MLflow without long waits, chatter, warnings of its own and telemetry; settings of the user stay as they are."""
    before = {name: os.environ.get(name) for name in _PATIENCE}
    os.environ.update({name: value for name, value in _PATIENCE.items() if before[name] is None})
    levels: dict[str, int] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow  # noqa: F401  # it sets its loggers up when imported, so before they are silenced

            for name in ("mlflow", "alembic", "urllib3"):
                levels[name] = logging.getLogger(name).level
                logging.getLogger(name).setLevel(logging.CRITICAL)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _check_reachable(address: str) -> None:
    """Fail at once where MLflow would try to open a database ten times over 100 seconds."""
    if address.startswith("sqlite:///"):
        path = Path(address.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
            connection.execute("PRAGMA schema_version")
        return
    parts = urlsplit(address)
    port = _DATABASE_PORTS.get(parts.scheme.split("+")[0])
    if port and parts.hostname:
        socket.create_connection((parts.hostname, parts.port or port), timeout=5).close()


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"it is too slow: not done after {_SECONDS:.0f} s")


def _root(error: BaseException) -> str:
    """The first line of the error at the bottom of a chain of errors, or of the first that is the project's own."""
    while not isinstance(error, ProjgraphError):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error = cause
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}".removesuffix(": ")


def _name(text: str) -> str:
    """A name that MLflow accepts for a parameter, a metric or a tag."""
    return re.sub(r"[^\w.\-/ :]", "_", text)[:250]
