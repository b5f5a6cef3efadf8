import http.server
import json
import math
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import projgraph
from projgraph import tracking
from projgraph.errors import InputError
from projgraph.pyfunc import PyfuncModel
from projgraph.runs import public_address, store_address, waiting_folders
from projgraph.tracking import TrackedData, TrackedRun, send, sync, track

CLASSES = ("long", "short")


class LengthModel:
    """Stands for the runtime model: a file's first byte is the length up to which a text is short."""

    classes = CLASSES

    def __init__(self, path):
        self.limit = Path(path).read_bytes()[0]

    def predict(self, texts):
        return [CLASSES[int(len(text) <= self.limit)] for text in texts]

    def predict_proba(self, texts):
        short = np.array([0.75 if len(text) <= self.limit else 0.25 for text in texts]).reshape(-1, 1)
        return np.hstack([1 - short, short])


@pytest.fixture
def runtime(monkeypatch):
    module = types.ModuleType("projgraph.runtime")
    module.load = LengthModel
    monkeypatch.setitem(sys.modules, "projgraph.runtime", module)
    monkeypatch.setattr(projgraph, "runtime", module, raising=False)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _mlflow_without_its_own_warnings():
    """Its modules warn when they are first imported, which pytest makes errors of."""
    with send._considerate():
        import mlflow.pyfunc  # noqa: F401


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A real SQLite store; making it takes seconds, so all tests share it and look for their own runs."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def client(store):
    from mlflow.tracking import MlflowClient

    with send._considerate():
        return MlflowClient(store)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "model.pgb").write_bytes(b"\x05rest")
    (tmp_path / "a.html").write_text("<p>report", "utf-8")
    return TrackedRun(
        name="first",
        model_path=tmp_path / "model.pgb",
        params={"seed": 7, "trainer.name": "propagation", "long": "x" * 7000, "odd (name)": None}
        | {f"p{index}": index for index in range(150)},
        metrics={"accuracy": 0.875, "loss": 0.25, "nothing": math.nan},
        history=[{"epoch": 1, "loss": 2.0, "seconds": 1.5}, {"epoch": 2, "loss": 0.5, "gold": np.float32(0.25)}],
        tags={"data": "cards"},
        data=[TrackedData("cards", "0123456789abcdef" * 4, "cards.csv", "training", 100)],
        files={"report.html": tmp_path / "a.html", "plots/one.txt": tmp_path / "a.html"},
        input_example=["tiny", "rather long"],
        started_ms=1_700_000_000_000,
        ended_ms=1_700_000_010_000,
    )


def test_everything_reads_back_equal(run, store, client):
    result = track(run, store)
    assert result == tracking.Tracking(result.run_id, store, True)
    stored = client.get_run(result.run_id)
    assert stored.info.status == "FINISHED"
    assert (stored.info.start_time, stored.info.end_time) == (run.started_ms, run.ended_ms)
    assert stored.info.run_name == "first"
    assert stored.data.metrics["accuracy"] == 0.875
    assert stored.data.metrics["loss"] == 0.25  # the final figure, not the last epoch's
    assert math.isnan(stored.data.metrics["nothing"])
    assert stored.data.params["seed"] == "7"
    assert stored.data.params["long"] == "x" * 6000
    assert stored.data.params["odd _name_"] == "None"
    assert len(stored.data.params) == 154
    assert stored.data.tags["projgraph.run_id"] == run.run_id
    assert stored.data.tags["data"] == "cards"
    assert client.get_experiment(stored.info.experiment_id).name == "projgraph"
    history = [(item.step, item.value, item.timestamp) for item in client.get_metric_history(result.run_id, "loss")]
    assert history == [(1, 2.0, run.started_ms + 1500), (2, 0.5, run.ended_ms), (3, 0.25, run.ended_ms)]
    assert [item.value for item in client.get_metric_history(result.run_id, "gold")] == [0.25]
    data = stored.inputs.dataset_inputs[0]
    assert (data.dataset.name, data.dataset.digest) == ("cards", ("0123456789abcdef" * 4)[:36])
    assert data.tags[0].value == "training"
    assert sorted(item.path for item in client.list_artifacts(result.run_id)) == ["plots", "report.html"]
    assert Path(client.download_artifacts(result.run_id, "plots/one.txt")).read_text() == "<p>report"


def test_nothing_is_left_beside_the_model(run, store, tmp_path):
    assert track(run, store).tracked
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "model.pgb"]


def test_final_figures_belong_to_the_model_as_well(run, store, client):
    stored = client.get_run(track(run, store).run_id)
    logged = client.get_logged_model(stored.outputs.model_outputs[0].model_id)
    assert logged.status == "READY"
    assert logged.source_run_id == stored.info.run_id
    assert {metric.key: metric.value for metric in logged.metrics}["accuracy"] == 0.875


def test_a_run_needs_no_model_and_no_files(store, client, tmp_path):
    result = track(TrackedRun("bare", metrics={"edges": 3}), store)
    assert result.tracked
    assert client.get_run(result.run_id).data.metrics == {"edges": 3.0}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("runtime")
def test_the_tracked_model_predicts_like_the_runtime(run, store, monkeypatch):
    import mlflow
    import pandas as pd

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = f"runs:/{track(run).run_id}/model"
    texts = ["tiny", "rather long", ""]
    expected = LengthModel(run.model_path).predict(texts)
    model = mlflow.pyfunc.load_model(uri)
    for data in (texts, np.array(texts), pd.Series(texts), pd.DataFrame({"any name": texts})):
        assert model.predict(data).tolist() == expected == ["short", "long", "short"]
    table = model.predict(texts, params={"method": "predict_proba"})
    assert table.columns.tolist() == ["long", "short"]
    assert table.to_numpy().tolist() == [[0.25, 0.75], [0.75, 0.25], [0.25, 0.75]]
    assert table.idxmax(axis=1).tolist() == expected
    assert tracking.load_model(uri).predict(texts) == expected
    assert model.get_raw_model().limit == 5


@pytest.mark.usefixtures("runtime")
def test_saved_folder_holds_the_file_itself_and_can_be_served(tmp_path):
    import mlflow
    import pandas as pd
    from mlflow.models import Model

    folder = tmp_path / "saved"
    tracking.save_model(b"\x03", folder, input_example=["ab", "abcd"])
    assert (folder / "model.pgb").read_bytes() == b"\x03"
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".cloudpickle")]
    assert (folder / "requirements.txt").read_text() == f"projgraph=={projgraph.__version__}\n"
    model = Model.load(str(folder))
    assert model.flavors["projgraph"] == {"data": "model.pgb", "projgraph_version": projgraph.__version__}
    assert model.flavors["python_function"]["loader_module"] == "projgraph.tracking"
    assert [str(kind) for kind in model.signature.inputs.input_types()] == ["DataType.string"]
    assert model.load_input_example(str(folder))["text"].tolist() == ["ab", "abcd"]
    served = json.loads(model.get_serving_input(str(folder)))["dataframe_split"]
    assert mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame(**served)).tolist() == ["short", "long"]
    with pytest.raises(InputError, match="saved is not empty; expected a folder to make"):
        tracking.save_model(b"\x03", folder)


@pytest.mark.usefixtures("runtime")
def test_log_model_goes_to_the_active_run(store, client, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    (tmp_path / "m.pgb").write_bytes(b"\x02")
    with mlflow.start_run() as active:
        info = tracking.log_model(tmp_path / "m.pgb", input_example=["abc"])
    assert info.run_id == active.info.run_id
    assert mlflow.pyfunc.load_model(info.model_uri).predict(["ab", "abc"]).tolist() == ["short", "long"]


def test_pyfunc_refuses_what_is_no_column_of_texts(tmp_path):
    (tmp_path / "m").write_bytes(b"\x02")
    model = PyfuncModel(LengthModel(tmp_path / "m"))
    assert model.predict(["a", None, math.nan]).tolist() == ["short"] * 3
    assert model.predict("abc").tolist() == ["long"]
    assert model.predict([]).tolist() == []
    with pytest.raises(InputError, match="row 1 is 3, a int; expected a text"):
        model.predict(["a", 3])
    with pytest.raises(InputError, match=r"data of shape \(1, 2\); expected one column of texts"):
        model.predict([["a", "b"]])
    with pytest.raises(InputError, match="the parameter method is 'guess'; expected one of predict, predict_proba"):
        model.predict(["a"], {"method": "guess"})


def test_a_dead_server_loses_no_run(run, store, client, tmp_path):
    began = time.monotonic()
    result = track(run, "http://user:secret@127.0.0.1:9")
    assert time.monotonic() - began < 8
    folder = tmp_path / "model.pgb.run" / run.run_id
    assert result == tracking.Tracking(run.run_id, "http://127.0.0.1:9", False, result.reason, folder)
    assert result.reason == (
        f"http://127.0.0.1:9 did not take the run (ConnectionRefusedError: [Errno 111] Connection refused); "
        f"it waits in {folder}"
    )
    assert b"secret" not in (folder / "run.json").read_bytes()
    run.model_path.write_bytes(b"\x00 another training")

    (sent,) = sync(tmp_path, store)
    assert sent.tracked
    stored = client.get_run(sent.run_id)
    assert stored.data.tags["projgraph.run_id"] == run.run_id
    assert stored.data.metrics["accuracy"] == 0.875
    assert (stored.info.start_time, stored.info.end_time) == (run.started_ms, run.ended_ms)
    model_id = stored.outputs.model_outputs[0].model_id
    with send._considerate():
        assert Path(client.download_artifacts(sent.run_id, "report.html")).read_text() == "<p>report"
    location = client.get_logged_model(model_id).artifact_location.removeprefix("file://")
    assert Path(location, "model.pgb").read_bytes() == b"\x05rest"
    assert not (tmp_path / "model.pgb.run").exists()
    assert sync(tmp_path, store) == []


def test_waiting_runs_are_sent_with_the_next_one(run, store, client, monkeypatch, tmp_path):
    from dataclasses import replace

    def refuse(*arguments):
        raise OSError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(send, "_check_reachable", refuse)
        early = track(run, store)
        elsewhere = track(replace(run, run_id="elsewhere"), "http://127.0.0.1:9")
    assert not early.tracked
    assert "(OSError: database is locked)" in early.reason
    later = track(replace(run, name="second", run_id="later"), store)
    assert later.tracked
    experiment = client.get_run(later.run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.`projgraph.run_id` = '{run.run_id}'")
    assert [item.info.run_name for item in found] == ["first"]
    assert waiting_folders(tmp_path) == [elsewhere.pending]


def test_a_run_half_sent_is_continued_and_not_doubled(run, store, client, monkeypatch, tmp_path):
    from mlflow.tracking import MlflowClient

    def fail(*arguments, **named):
        raise ConnectionResetError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_artifacts", fail)
        assert "ConnectionResetError: gone" in track(run, store).reason
    (sent,) = sync(tmp_path, store)
    assert sent.tracked
    stored = client.get_run(sent.run_id)
    experiment = stored.info.experiment_id
    assert len(client.search_runs([experiment], f"tags.`projgraph.run_id` = '{run.run_id}'")) == 1
    assert [item.value for item in client.get_metric_history(sent.run_id, "loss")] == [2.0, 0.5, 0.25]
    assert len(stored.outputs.model_outputs) == 1
    assert len(stored.inputs.dataset_inputs) == 1
    assert [item.path for item in client.list_artifacts(sent.run_id, "plots")] == ["plots/one.txt"]


def test_an_experiment_that_another_training_has_just_made_is_used(run, store, client, monkeypatch):
    from mlflow.tracking import MlflowClient

    known = client.create_experiment("contested")
    answers = [None]  # it was not there when asked first
    look = MlflowClient.get_experiment_by_name
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda self, name: answers.pop() if answers else look(self, name)
    )
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "contested")
    assert client.get_run(track(run, store).run_id).info.experiment_id == known


def test_artifacts_of_an_oddly_named_experiment_stay_beside_the_store(run, store, client):
    from dataclasses import replace

    result = track(replace(run, experiment="../a/ü b"), store)
    experiment = client.get_experiment(client.get_run(result.run_id).info.experiment_id)
    assert experiment.name == "../a/ü b"
    beside = Path(store.removeprefix("sqlite:///")).parent / "mlartifacts"
    assert experiment.artifact_location == (beside / "___a_ü_b").as_uri()
    assert (beside / "___a_ü_b" / result.run_id / "artifacts" / "report.html").read_text() == "<p>report"


def test_a_server_that_never_answers_costs_seconds(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # the user's own patience is respected
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        result = track(run, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 4
    assert not result.tracked
    assert "timed out" in result.reason
    assert result.pending.is_dir()


def test_a_server_that_refuses_keeps_the_run_waiting(run):
    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.send_header("Retry-After", "3600")
            self.end_headers()

        def do_POST(self):
            self.do_GET()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        result = track(run, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert time.monotonic() - began < 4
    assert "503" in result.reason
    assert result.pending.is_dir()


def test_no_step_begins_when_time_is_up(run, store, monkeypatch):
    monkeypatch.setattr(send, "_SECONDS", 0.0)
    result = track(run, store)
    assert "it is too slow: not done after 0 s" in result.reason
    assert (result.pending / "run.json").exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sqlite:///{folder}/broken.db", "file is not a database"),
        ("postgresql://me:secret@127.0.0.1:9/runs", "Connection refused"),
        ("nonsense://[", ""),
    ],
)
def test_a_store_that_cannot_be_opened_costs_no_minutes(run, tmp_path, address, reason):
    (tmp_path / "broken.db").write_bytes(b"not a database at all" * 100)
    began = time.monotonic()
    result = track(run, address.format(folder=tmp_path))
    assert time.monotonic() - began < 4
    assert not result.tracked
    assert reason in result.reason
    assert "secret" not in str(result)


def test_a_run_that_cannot_be_written_down_fails_nothing(run, store, tmp_path):
    from dataclasses import replace

    result = track(replace(run, files={"gone.txt": tmp_path / "gone.txt"}), store)
    assert (result.tracked, result.pending) == (False, None)
    assert result.reason.startswith("the run could not be written down: FileNotFoundError")
    assert waiting_folders(tmp_path) == []


def test_an_active_run_becomes_the_parent_and_stays_untouched(run, store, client, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    mlflow.set_experiment("mine")
    with mlflow.start_run() as active:
        result = track(run)
        assert mlflow.active_run().info.run_id == active.info.run_id
    child, parent = client.get_run(result.run_id), client.get_run(active.info.run_id)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.info.experiment_id == parent.info.experiment_id
    assert parent.data.params == {}
    assert parent.data.metrics == {}
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.info.run_id)  # as under `mlflow run`
    from dataclasses import replace

    other = client.get_run(track(replace(run, run_id="under a project")).run_id)
    assert other.data.tags["mlflow.parentRunId"] == parent.info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    orphan = client.get_run(track(replace(run, run_id="of another store")).run_id)
    assert "mlflow.parentRunId" not in orphan.data.tags
    mlflow.set_experiment("Default")


def test_where_the_store_is(monkeypatch, tmp_path):
    assert store_address(None) == f"sqlite:///{tmp_path}/mlflow.db"
    assert store_address("sqlite:////abs/m.db") == "sqlite:////abs/m.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert store_address(None) == "http://server:5000"
    assert store_address("sqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"
    assert public_address("http://me:pass@word@server:5000/a@b") == "http://server:5000/a@b"


def test_a_folder_in_use_or_missing_is_told(run, store, tmp_path):
    import fcntl

    waiting = track(run, "http://127.0.0.1:9").pending
    with (waiting / "run.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (result,) = sync(waiting, store)
    assert f"another process is using {waiting / 'run.json'}; try again when it is done" in result.reason
    with pytest.raises(InputError, match="nowhere is no folder; expected the one with the models"):
        sync(tmp_path / "nowhere")


def test_a_broken_record_stops_no_other(run, store, tmp_path):
    waiting = track(run, "http://127.0.0.1:9").pending
    broken = waiting.with_name("broken")
    broken.mkdir()
    (broken / "run.json").write_text("{", "utf-8")
    results = sync(tmp_path / "model.pgb.run", store)
    assert sorted(result.tracked for result in results) == [False, True]
    assert [path.name for path in (tmp_path / "model.pgb.run").iterdir()] == ["broken"]


def test_tracking_is_silent_and_imports_mlflow_only_when_used(store, tmp_path):
    script = f"""
        import sys, warnings
        warnings.simplefilter("error")
        from projgraph import tracking
        assert "mlflow" not in sys.modules and "pandas" not in sys.modules
        assert tracking.track(tracking.TrackedRun("fresh", metrics={{"a": 1.0}}), "sqlite:///{tmp_path}/new/m.db").tracked
        assert not tracking.track(tracking.TrackedRun("dead"), "http://127.0.0.1:9").tracked
        import os
        assert not [name for name in os.environ if name.startswith("MLFLOW_")], os.environ
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment["PYTHONPATH"] = str(Path(projgraph.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "new" / "m.db").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["m.db"]


def test_loggers_and_settings_are_put_back():
    import logging

    before = {name: logging.getLogger(name).level for name in ("mlflow", "alembic", "urllib3")}
    environment = dict(os.environ)
    with send._considerate():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
        warnings.warn("of mlflow", stacklevel=1)
    assert {name: logging.getLogger(name).level for name in before} == before
    assert dict(os.environ) == environment


def test_the_record_can_be_read_by_a_person(run):
    record = json.loads((track(run, "http://127.0.0.1:9").pending / "run.json").read_text())
    assert record["run"]["metrics"]["accuracy"] == 0.875
    assert record["run"]["history"][1]["gold"] == 0.25
    assert record["store"] == "http://127.0.0.1:9"


@pytest.fixture
def packed(tmp_path):
    """A real model file."""
    from projgraph.pack.model import ProjectionModel
    from projgraph.pack.projection import Family, FamilyKind, ProjectionSpec
    from projgraph.pack.quantise import quantise
    from projgraph.pack.write import write_model
    from projgraph.records import Layer

    spec = ProjectionSpec(1, 64, (Family(FamilyKind.CHARACTER, 1, 3, 2, 0, 64),), seed=1)
    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    layer = Layer(weights, np.array([0.1, 0.0, -0.1], dtype=np.float32))
    path = tmp_path / "real.pgb"
    write_model(path, quantise(ProjectionModel(spec.to_bytes(), layer, None, 1.0, ("ant", "bee", "größe"))), {})
    return path


def test_a_real_model_predicts_in_mlflow_what_the_runtime_says(packed, store, client, monkeypatch):
    import mlflow

    from projgraph import runtime

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    texts = [f"text {index} {'xyz'[index % 3] * index}" for index in range(300)] + ["", "\U0001f600", "é"]
    light = runtime.load(packed)
    expected = light.predict(texts)
    assert set(expected) == {"ant", "bee", "größe"}
    result = track(TrackedRun("real", packed, input_example=texts[:2]))
    model = mlflow.pyfunc.load_model(f"runs:/{result.run_id}/model")
    assert model.predict(texts).tolist() == expected
    table = model.predict(texts, params={"method": "predict_proba"})
    assert table.columns.tolist() == ["ant", "bee", "größe"]
    assert np.array_equal(table.to_numpy(), light.predict_proba(texts))
    assert table.idxmax(axis=1).tolist() == expected
    assert tracking.load_model(f"runs:/{result.run_id}/model").predict(texts) == expected


def test_the_project_folder_hides_no_package_and_declares_what_its_commands_use():
    import re

    import yaml

    folder = Path(projgraph.__file__).parents[1] / "mlflow"
    assert sorted(path.name for path in folder.iterdir()) == ["MLproject", "README.md", "python_env.yaml"]
    project = yaml.safe_load((folder / "MLproject").read_text("utf-8"))
    assert (folder / project["python_env"]).exists()
    for entry in project["entry_points"].values():
        assert set(re.findall(r"{(\w+)}", entry["command"])) == set(entry["parameters"])
        assert entry["command"].startswith("projgraph ")
