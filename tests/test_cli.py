"""The commands end to end: what they print and where, how they exit, and that wrong input is one line."""

from __future__ import annotations

import errno
import gzip
import importlib.metadata
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

import projgraph
from projgraph import pipeline, runtime
from projgraph.__main__ import main
from projgraph.pack.read import read_model
from projgraph.pack.write import write_model

pytestmark = pytest.mark.usefixtures("one_thread")


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("train", path, ...)``: the command in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["projgraph", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return Outcome(stopped.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def small(small_settings) -> list[str]:
    """Options for a training of about a second that tracks nothing."""
    options = [f"--set={name}={json.dumps(value)}" for name, value in small_settings.items()]
    return [*options, "--no-tracking"]


def assert_one_line(outcome: Outcome, *parts: str) -> None:
    """Exit status 2, nothing on standard output, and one line after what was told of the progress."""
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert [line.startswith("projgraph: ") for line in lines] == [False] * (len(lines) - 1) + [True], outcome.err
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in lines[-1]


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in ("text,label", *rows)), "utf-8")
    return path


FEW = ("the lamp on,light", "lamp on now,light", "open the door,door", "door open,door", "lamp,", "door,")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    return write(tmp_path / "few.csv", *FEW)


# ----------------------------------------------------------------------------------------------------- in new processes


@pytest.fixture(scope="module")
def twice(intents: Path, small: list[str], tmp_path_factory: pytest.TempPathFactory):
    """The same training in two processes at a time: tracked with figures as JSON, and untracked with a table."""
    folders = [tmp_path_factory.mktemp(name) for name in ("tracked", "untracked")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    options = [option for option in small if not option.startswith(("--no-tracking", "--set=student.units"))]
    # Hidden units, since dropout and a random start are what a seed must reach.
    options += ["--set=student.units=16", "--test", str(intents / "test.csv"), "--labels-per-class=5", "--seed=3"]
    options += ["--unlabelled", str(intents / "unlabelled.txt")]
    ends = (["--store", f"sqlite:///{folders[0]}/mlflow.db", "--json"], ["--no-tracking"])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "projgraph", "train", str(intents / "train.csv"), "--out=m.pgb", *options, *end],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for folder, end in zip(folders, ends, strict=True)
    ]
    texts = [process.communicate(timeout=120) for process in processes]
    return [
        (folder, Outcome(process.returncode, out, err))
        for folder, process, (out, err) in zip(folders, processes, texts, strict=True)
    ]


PROMISED = "test_accuracy trainer_accuracy model_bytes model n_labelled n_unlabelled n_classes seconds run_id"


def test_train_prints_exactly_one_json_object(twice):
    (folder, tracked), _ = twice
    assert tracked.status == 0, tracked.err
    assert tracked.out.count("\n") == 1
    figures = json.loads(tracked.out)
    assert set(PROMISED.split()) <= set(figures)
    assert figures["model"] == "m.pgb"
    assert figures["model_bytes"] == (folder / "m.pgb").stat().st_size
    assert (figures["n_labelled"], figures["n_classes"], figures["hidden_units"]) == (25, 5, 16)
    assert figures["test_accuracy"] > 0.25, "a fifth is chance; so small a student has 31 to 53 % over seeds"
    assert figures["trainer_accuracy"] > 0.6
    assert "read " in tracked.err
    assert "epoch" not in tracked.err, "a line for each epoch is for terminals"


def test_train_shows_a_table(twice):
    _, (_, untracked) = twice
    assert untracked.status == 0, untracked.err
    assert "trained m.pgb" in untracked.out
    assert "test_accuracy" in untracked.out
    with pytest.raises(json.JSONDecodeError):
        json.loads(untracked.out)


def test_same_seed_same_bytes_in_another_process(twice):
    (one, _), (other, _) = twice
    assert (one / "m.pgb").read_bytes() == (other / "m.pgb").read_bytes()


def test_files_that_a_training_leaves(twice):
    (tracked, _), (untracked, _) = twice
    assert sorted(path.name for path in untracked.iterdir()) == ["m.pgb", "m.report.html"]
    assert {"m.pgb", "m.report.html", "mlflow.db"} <= {path.name for path in tracked.iterdir()}
    assert not [path for path in tracked.rglob("*") if path.suffix == ".tmp" or path.name.endswith(".run")]
    assert "<h1" in (untracked / "m.report.html").read_text("utf-8")


def test_the_run_can_be_read_from_the_store(twice):
    (folder, tracked), _ = twice
    figures = json.loads(tracked.out)

    with closing(sqlite3.connect(folder / "mlflow.db")) as store:

        def read(query: str) -> dict[str, str]:
            return dict(store.execute(query, {"run": figures["run_id"]}))

        name, status = store.execute("SELECT name, status FROM runs WHERE run_uuid = ?", [figures["run_id"]]).fetchone()
        params = read("SELECT key, value FROM params WHERE run_uuid = :run")
        latest = read("SELECT key, value FROM latest_metrics WHERE run_uuid = :run")
        epochs = read("SELECT step, value FROM metrics WHERE run_uuid = :run AND key = 'loss'")
        judged = read("SELECT step, value FROM metrics WHERE run_uuid = :run AND key = 'held_out_loss'")
    assert (name, status) == ("m", "FINISHED")
    assert params["student.units"] == "16"
    assert params["seed"] == "3"
    assert params["labels_per_class"] == "5"
    assert latest["test_accuracy"] == pytest.approx(figures["test_accuracy"])
    assert latest["model_bytes"] == figures["model_bytes"]
    assert len(epochs) > 1
    assert max(judged) == max(epochs), "held-out rows are judged at the end, if not in every epoch"
    assert set(judged) <= set(epochs)
    assert {"report.html", "MLmodel", "model.pgb"} <= {path.name for path in (folder / "mlartifacts").rglob("*")}


# ------------------------------------------------------------------------------------------------------- good commands


def test_evaluate_agrees_with_the_runtime(run, small_model, intents):
    outcome = run("evaluate", small_model, intents / "test.csv", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    figures = json.loads(outcome.out)
    rows = [line.rpartition(",") for line in (intents / "test.csv").read_text("utf-8").splitlines()[1:]]
    with runtime.load(small_model) as model:
        right = [model.predict(text.strip('"').replace('""', '"'))[0] == label for text, _, label in rows]
    assert figures["accuracy"] == pytest.approx(sum(right) / len(right))
    assert figures["n_test"] == len(rows)
    assert figures["model_bytes"] == small_model.stat().st_size
    table = run("evaluate", small_model, intents / "test.csv")
    assert (table.status, table.err) == (0, "")
    assert f"{figures['accuracy']:.4f}" in table.out


def test_inspect(run, small_model):
    outcome = run("inspect", small_model, "--json")
    assert outcome.status == 0
    assert json.loads(outcome.out)
    assert run("inspect", small_model).out.startswith(f"{small_model}"[:40])


def test_data_list(run):
    outcome = run("data", "list", "--json")
    sets = json.loads(outcome.out)["sets"]
    assert outcome.status == 0
    assert all(set(each) == {"name", "licence", "title"} for each in sets)
    assert sets[0]["name"] in run("data", "list").out


def test_options_reach_the_training(run, small, few, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("seed = 8\n[projection]\nbits = 128\n")
    out = tmp_path / "m.pgb"
    options = [option for option in small if "projection.bits" not in option]
    outcome = run("train", few, "--out", out, "--pipeline", recipe, "--budget", "4KB", "--json", *options)
    figures = json.loads(outcome.out)
    assert (figures["bits"], figures["n_labelled"], figures["n_unlabelled"]) == (128, 4, 2)
    assert figures["model_bytes"] <= 4096
    with runtime.load(out) as model:
        assert model.provenance["seed"] == 8


def test_columns_by_name(run, small, tmp_path):
    train = tmp_path / "named.csv"
    train.write_text("id,said,meant\n" + "".join(f"{row},{text}\n" for row, text in enumerate(FEW)), "utf-8")
    columns = ["--text-column", "said", "--label-column", "meant"]
    outcome = run("train", train, "--out", tmp_path / "m.pgb", "--json", *columns, *small)
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["n_labelled"] == 4


def test_notes_are_told_on_one_line_each(run, small, tmp_path):
    train = write(tmp_path / "few.csv", *FEW, "a song that is sung,music with quite a long name")
    outcome = run("train", train, "--out", tmp_path / "m.pgb", "--labels-per-class", "2", *small)
    assert outcome.status == 0, outcome.err
    assert outcome.err.splitlines()[-1] == (
        "note: 1 of 3 classes have fewer than 2 labels: music with quite a long name (1)"
    )


def test_no_unlabelled_rows_is_a_note(run, small, tmp_path):
    outcome = run("train", write(tmp_path / "few.csv", *FEW[:4]), "--out", tmp_path / "m.pgb", "--json", *small)
    assert outcome.status == 0, outcome.err
    assert outcome.err.splitlines()[-1].startswith("note: there are no unlabelled rows")
    assert json.loads(outcome.out)["n_unlabelled"] == 0


def test_help(run):
    for arguments in (["--help"], ["-h"], ["train", "--help"], ["predict", "--help"], ["data", "-h"]):
        outcome = run(*arguments)
        assert (outcome.status, outcome.err) == (0, "")
        assert "usage" in outcome.out.lower()
    assert run().status == 2
    assert "Usage" in "".join(run()[1:])


def test_version(run):
    assert run("--version") == (0, f"projgraph {projgraph.__version__}\n", "")
    assert re.fullmatch(r"\d+\.\d+\.\d+", projgraph.__version__)
    assert projgraph.__version__ == importlib.metadata.version("projgraph")
    assert "--version" in run("--help").out


# -------------------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--text-column", "sentence"], ["few.csv", "sentence", "text"]),
        (["--label-column", "intent"], ["few.csv", "intent", "label"]),
        (["--labels-per-class", "3"], ["few.csv: no class has 3 labelled rows, the largest has 2"]),
        (["--labels-per-class", "0"], ["labels per class is 0; expected 1 or more"]),
        (["--set", "student.epoch=3"], ["student.epoch is unknown; expected one of ", "epochs"]),
        (["--set", "epochs"], ["--set epochs: expected stage.key=value"]),
        (["--set", "student.epochs=0", "--set", "x=1"], ["student.epochs is 0", "x is unknown"]),
        (["--seed", "-1"], ["seed is -1"]),
        (["--budget", "lots"], ["'lots' is not a size; expected bytes such as 65536, 64KB or 1MB"]),
        (["--budget", "0"], ["'0' is not a size"]),
        (["--budget", "1KB"], ["a budget of 1024 bytes is too small for 2 classes"]),
        (["--budget", "64KB,5"], ["time_budget: '5' is not a time; expected one such as 5us, 500ns or 0.1ms"]),
        (["--budget", "64KB,100ns"], ["a budget of 100 ns a text is too small for 2 classes", "give --budget 65536,"]),
        (["--pipeline", "no.toml"], ["no.toml: cannot be read: No such file or directory"]),
        (["--test", "no.csv"], ["no.csv: there is no such file; check the path"]),
        (["--unlabelled", "no.txt"], ["no.txt: there is no such file; check the path"]),
        (["--unlabelled", "few.parquet"], ["few.parquet: there is no such file"]),
        (["--encoder", "no/such/folder"], ["no/such/folder"]),
    ],
)
def test_wrong_options(run, few, small, tmp_path, monkeypatch, options, parts):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert_one_line(run("train", few, "--out", "m.pgb", *small, *options), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file; check the path"),
        (b"", "is empty; expected at least one row"),
        (b"text,label\n", "has no rows"),
        (b"text,label\na,x\n\xff\xfe,y\n", "line 3: byte 1 of the line, 0xff, is not UTF-8; save the file as UTF-8"),
        (gzip.compress(b"text,label\n" * 99, mtime=0)[:40], "is not a whole gzip file"),
        (b"text,label\na,x\nb,x\n", "all 2 labelled rows have the class 'x'; expected two classes or more"),
        (b"text,label\na,\nb,\n", "none of the 2 rows has a label"),
    ],
)
def test_training_files_that_cannot_be_used(run, small, tmp_path, content, message):
    train = tmp_path / "train.csv"
    if content is not None:
        train.write_bytes(content)
    assert_one_line(run("train", train, "--out", tmp_path / "m.pgb", *small), message)
    assert list(tmp_path.iterdir()) == ([] if content is None else [train])


def test_a_folder_is_no_training_file(run, small, tmp_path):
    folder = tmp_path / "rows.csv"
    folder.mkdir()
    assert_one_line(run("train", folder, "--out", tmp_path / "m.pgb", *small), "is a directory; expected a file")


def test_outputs_that_cannot_be(run, few, small, tmp_path):
    nowhere = tmp_path / "no" / "m.pgb"
    for out, message in (
        (tmp_path, "it is a folder; expected the path of a file"),
        (nowhere, f"the folder {nowhere.parent} does not exist; create it or choose another place"),
        (few, "it is a file that is read; expected another path for the output"),
    ):
        assert_one_line(run("train", few, "--out", out, *small), f"cannot write {out}: {message}")
    assert few.read_text("utf-8").splitlines()[1:] == list(FEW)


def test_a_test_file_without_labels(run, few, small, small_model, tmp_path):
    test = write(tmp_path / "test.csv", "a lamp,", "a door,")
    outcome = run("train", few, "--out", tmp_path / "m.pgb", "--test", test, *small)
    assert_one_line(outcome, f"{test}: none of its 2 rows has a label; expected labels to measure against")
    assert outcome.err.count("\n") == 1
    assert_one_line(run("evaluate", small_model, test), "none of the 2 test rows has a label")


def test_the_budget_that_an_error_names_works(run, few, small, tmp_path):
    free = [option for option in small if "projection.bits" not in option and "student.units" not in option]
    refused = run("train", few, "--out", tmp_path / "m.pgb", "--budget", "100B", *free)
    assert_one_line(refused, "a budget of 100 bytes is too small for 2 classes")
    named = re.search(r"give --budget (\d+KB) or more", refused.err)
    assert named is not None
    outcome = run("train", few, "--out", tmp_path / "m.pgb", "--budget", named[1], "--json", *free)
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["model_bytes"] <= 1024 * int(named[1].removesuffix("KB"))


def test_the_time_that_an_error_names_works(run, few, small, tmp_path):
    free = [option for option in small if "projection.bits" not in option and "student.units" not in option]
    refused = run("train", few, "--out", tmp_path / "m.pgb", "--budget", "64KB,0.1us", *free)
    assert_one_line(refused, "a budget of 100 ns a text is too small for 2 classes")
    named = re.search(r"give --budget (65536,(\d+)ns) or more", refused.err)
    assert named is not None, refused.err
    outcome = run("train", few, "--out", tmp_path / "m.pgb", "--budget", named[1], "--json", *free)
    assert outcome.status == 0, outcome.err
    figures = json.loads(outcome.out)
    assert figures["predicted_us"] == int(named[2]) / 1000
    assert figures["model_bytes"] <= 65536


def test_words_that_do_not_fit_are_told_before_the_work(run, few, small, tmp_path):
    arguments = ["train", few, "--out", tmp_path / "m.pgb", *small, "--set", "projection.words.dimensions=64"]
    outcome = run(*arguments, "--budget", "16KB")
    assert outcome.status == 0, outcome.err
    lines = outcome.err.splitlines()
    told = next(at for at, line in enumerate(lines) if line.startswith("note: words of 64 signs"))
    assert "the budget is 16384 bytes: give --budget " in lines[told]
    assert told < next(at for at, line in enumerate(lines) if line.startswith("bits: "))
    enough = re.search(r"--budget (\d+KB) or more", lines[told])
    assert enough is not None
    assert "note: words" not in run(*arguments, "--budget", enough[1]).err


@pytest.mark.parametrize("command", ["evaluate", "inspect"])
def test_models_that_cannot_be_used(run, small_model, intents, tmp_path, command):
    rest = [intents / "test.csv"] if command == "evaluate" else []
    missing, cut = tmp_path / "missing.pgb", tmp_path / "cut.pgb"
    cut.write_bytes(small_model.read_bytes()[:-100])
    assert_one_line(run(command, missing, *rest), str(missing))
    assert_one_line(run(command, cut, *rest), str(cut))
    assert_one_line(run(command, tmp_path, *rest), str(tmp_path))


def test_a_model_of_vectors_is_given_texts(run, vector_model, intents, tmp_path):
    message = "given texts; the model takes vectors of 3 columns: give a matrix to projgraph.load(path).predict"
    assert_one_line(run("evaluate", vector_model, intents / "test.csv"), message)
    assert_one_line(run("evaluate", vector_model, intents / "test.csv", "--json"), message)
    outcome = run("inspect", vector_model, "--json")
    assert (outcome.status, '"vector.columns"' in outcome.out) == (0, True)
    assert run("export", vector_model, "--out", tmp_path / "c").status == 0
    assert "column:number" in (tmp_path / "c" / "README.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Missing argument 'TRAIN'"),
        (["train", "a.csv"], "Missing option '--out'"),
        (["train", "a.csv", "--out", "m.pgb", "--seed", "x"], "Invalid value for '--seed'"),
        (["train", "a.csv", "--out", "m.pgb", "--epochs", "3"], "No such option"),
        (["teach"], "No such command 'teach'"),
        (["data", "drop"], "No such command 'drop'"),
    ],
)
def test_wrong_usage(run, arguments, message):
    outcome = run(*arguments)
    assert_one_line(outcome, message, "see projgraph --help")
    assert outcome.err.count("\n") == 1


WATCHED = """
import json, sys
from projgraph.__main__ import main
from projgraph.pack.read import read_model
from projgraph.pack.write import write_model
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["projgraph", *arguments]
    try:
        main()
    except SystemExit as stopped:
        heavy = {"torch", "sklearn", "faiss", "mlflow", "matplotlib"} & set(sys.modules)
        print(stopped.code, *sorted(heavy), flush=True)
"""


def test_wrong_input_is_refused_before_anything_heavy_is_imported(few, tmp_path):
    """torch alone takes seconds; one process tries them all, the cheapest to refuse first."""
    out, nothing = ["--out", str(tmp_path / "out")], str(tmp_path / "no.csv")
    plain = tmp_path / "plain.csv"
    plain.write_text("text,label\nlamp,\ndoor,\n")
    commands = [
        ["train", str(few), "--set", "student.epoch=3", *out],
        ["train", str(few), "--budget", "64KB,5", *out],
        ["train", nothing, *out],
        ["train", str(few), "--test", nothing, *out],
        ["train", str(few), "--unlabelled", nothing, *out],
        ["train", str(few), "--labels-per-class", "9", *out],
        ["train", str(few), "--out", str(few)],
        ["train", str(few), "--budget", "10", *out],
        ["train", str(few), "--set", "projection.bits=100", "--set", "projection.functions=64", *out],
        ["train", str(plain), *out],
        ["graph", "build", nothing, *out],
        ["graph", "build", nothing, "--set", "student.epoch=3", *out],
        ["graph", "propagate", nothing, *out],
        ["graph", "suspects", nothing, *out],
        ["suggest", nothing, "--count", "3", *out],
    ]
    command = [sys.executable, "-c", WATCHED, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.stdout.splitlines() == ["2"] * len(commands), done.stderr
    assert done.stderr.count("projgraph: ") == len(commands)
    for message in ("a budget of 10 bytes is too small", "functions is 64; expected a divisor", "rows has a label"):
        assert message in done.stderr


def test_interrupted(run, few, small, tmp_path, monkeypatch):
    def interrupt(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "train_and_keep", interrupt)
    outcome = run("train", few, "--out", tmp_path / "m.pgb", *small)
    assert outcome.status == 130
    assert outcome.err.splitlines()[-1] == "projgraph: interrupted; nothing was half written"
    assert list(tmp_path.iterdir()) == [few]


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk(run, few, small, tmp_path, monkeypatch, call):
    """No write to the model's folder goes through; an old model stays as it was."""
    out = tmp_path / "m.pgb"
    out.write_bytes(b"an old model")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    from projgraph import atomic

    if call == "fsync":
        monkeypatch.setattr(atomic.os, "fsync", full)
    else:
        opened = os.fdopen

        monkeypatch.setattr(atomic.os, "fdopen", lambda descriptor, mode: _Full(opened(descriptor, mode)))
    outcome = run("train", few, "--out", out, *small)
    assert_one_line(outcome, f"cannot write {out}: No space left on device; nothing was changed there")
    assert out.read_bytes() == b"an old model"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.csv", "m.pgb"]


class _Full:
    """A file on a disk without room: the first bytes fit, the next do not."""

    def __init__(self, file) -> None:
        self._file = file

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        self._file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_behind_standard_output(small_model):
    command = [sys.executable, "-m", "projgraph", "inspect", str(small_model), "--json"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith(b"projgraph: standard output cannot be written: No space left on device")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away_is_no_error(small_model):
    for arguments in (f"inspect {small_model}", f"inspect {small_model} --json", "--help"):
        shell = f"set -o pipefail; {sys.executable} -m projgraph {arguments} | true"
        done = subprocess.run(["bash", "-c", shell], capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("temperature", [10**400, 1e308, 0, -1.0])
def test_a_temperature_that_cannot_be_is_not_believed(run: Run, small_model, intents, tmp_path, temperature):
    model, _ = read_model(small_model)
    write_model(tmp_path / "m.pgb", model, {"temperature": temperature})
    told = run("evaluate", tmp_path / "m.pgb", intents / "test.csv", "--json")
    assert told.status == 0
    assert json.loads(told.out)["ece_uncalibrated"] is None


def test_export_of_a_family_and_a_bundle(run: Run, small: list[str], intents: Path, tmp_path: Path) -> None:
    """A run is kept, gives two sizes, and two of its models go into a bundle that predicts as they do."""
    wide = [option for option in small if "projection.bits" not in option]
    model = tmp_path / "all.pgb"
    options = ["--budget", "4KB", "--keep-run", "--json", *wide]
    assert run("train", intents / "train.csv", "--out", model, *options).status == 0
    family = run(
        "export", model, "--family", "3KB,4KB", "--test", intents / "test.csv", "--jobs", 1, "--out", tmp_path / "f"
    )
    assert family.status == 0
    assert "all: accuracy against bytes" in family.out
    assert "2/2 all-" in family.err
    sizes = [tmp_path / "f" / f"all-{size}" / f"all-{size}.pgb" for size in ("3KB", "4KB")]
    assert sizes[0].stat().st_size <= 3072 < sizes[1].stat().st_size <= 4096
    assert sizes[1].read_bytes() == model.read_bytes(), "the training's own budget"
    again = json.loads(
        run(
            "export", model, "--family", "3KB,4KB", "--test", intents / "test.csv", "--out", tmp_path / "f", "--json"
        ).out
    )
    assert (again["unchanged"], again["made"]) == (2, 0)
    options = ["--weights", "int8,ternary", "--target", "pgb,c", "--jobs", 1, "--out", tmp_path / "w", "--json"]
    with pytest.MonkeyPatch.context() as patch:  # processes take seconds to import torch, and were started above
        patch.setattr(
            "projgraph.batch.export_job.run_all", lambda tasks, work, died, jobs: [(task, work(task)) for task in tasks]
        )
        packed = json.loads(run("export", model, *options).out)
    assert (packed["made"], packed["failed"]) == (2, 0)
    for name in ("int8", "ternary"):
        exported = tmp_path / "w" / f"all-{name}"
        assert (exported / "c" / "main.c").is_file()
        inspected = json.loads(run("inspect", exported / f"all-{name}.pgb", "--json").out)
        assert inspected["layers"].get("hidden", inspected["layers"]["output"])["weights"] == name
    assert "ternary weights" in (tmp_path / "w" / "report.html").read_text()
    (tmp_path / "b.pgb").write_bytes(model.read_bytes())
    bundled = json.loads(run("bundle", model, tmp_path / "b.pgb", "--out", tmp_path / "both.pgb", "--json").out)
    assert bundled["heads"] == 2
    assert bundled["bytes"] < 0.6 * bundled["bytes_apart"], "the same model twice"
    texts = tmp_path / "texts.txt"
    texts.write_text("lock the door\nlights on\n")
    assert run("predict", tmp_path / "both.pgb", texts, "--head", "b").out == run("predict", model, texts).out
    unnamed = run("predict", tmp_path / "both.pgb", texts)
    assert_one_line(unnamed, "is a bundle and no head was named; expected one of all, b")
    assert_one_line(run("predict", tmp_path / "both.pgb", texts, "--head", "c"), "there is no head 'c'")
    after = run("predict", tmp_path / "both.pgb", "--head", "b", texts)
    assert (after.status, after.out) == (0, run("predict", model, texts).out), "the file may follow the options"
    assert_one_line(run("export", tmp_path / "both.pgb", "--out", tmp_path / "c"), "give a model it was made of")
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("text,label\nlock the door,door_lock\nlights on,light_on\n")
    apart = json.loads(run("evaluate", model, labelled, "--json").out)
    together = json.loads(run("evaluate", tmp_path / "both.pgb", labelled, "--head", "b", "--json").out)
    assert (together["accuracy"], together["model_bytes"]) == (apart["accuracy"], bundled["bytes"])
    assert "both.pgb" in run("inspect", tmp_path / "both.pgb").out
    assert json.loads(run("inspect", tmp_path / "both.pgb", "--json").out)["heads"][1]["own"] == 0


def test_wrong_exports_are_one_line(run: Run, small_model: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.toml"
    manifest.write_text('[[models]]\nsource = "none.pgb"\ntargets = ["rust"]\n')
    out = tmp_path / "out"
    assert_one_line(
        run("export", manifest, "--out", out), "there is no file", "none.pgb", "target 'rust'; expected pgb, c"
    )
    assert_one_line(
        run("export", manifest, "--target", "c", "--search", "--out", out), "--search, --target cannot be used with"
    )
    assert_one_line(
        run("export", small_model, "--test", manifest, "--out", out), "--test cannot be used", "give --family"
    )
    assert_one_line(
        run("export", small_model, "--family", "8KB", "--out", out), "`projgraph train --keep-run` leaves one"
    )
    assert_one_line(
        run("export", small_model, "--weights", "binary", "--out", out), "`projgraph train --keep-run` leaves one"
    )
    assert_one_line(
        run("export", tmp_path / "a.run.npz", "--out", out), "a.run.npz is a kept run, not a model: give --family or"
    )
    assert_one_line(run("export", manifest, "--weights", "int8", "--out", out), "--weights cannot be used with")
    assert_one_line(
        run("bundle", small_model, tmp_path / "a.run.npz", "--out", out), "expected models alone, or runs alone"
    )
    assert_one_line(run("bundle", small_model, "--set", "student.units=3", "--out", out), "models are trained alr")
    assert not out.exists()


def test_a_manifest_with_a_failing_entry_ends_with_status_1(run: Run, small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.pgb").write_bytes(small_model.read_bytes()[:-1])
    (tmp_path / "good.pgb").write_bytes(small_model.read_bytes())
    manifest = tmp_path / "manifest.toml"
    manifest.write_text('[[models]]\nsource = "damaged.pgb"\n[[models]]\nsource = "good.pgb"\n')
    ended = run("export", manifest, "--out", tmp_path / "out", "--jobs", 1)
    assert ended.status == 1
    assert ended.err.splitlines()[-1].startswith("failed: damaged: length is")
    assert (tmp_path / "out" / "good" / "good.pgb").read_bytes() == small_model.read_bytes()
