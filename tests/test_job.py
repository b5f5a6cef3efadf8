"""One training from files to files: figures, report, provenance, what is refused before the work and after it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from projgraph import job as jobs
from projgraph import pipeline, runtime
from projgraph import teach as teach_module
from projgraph.config import TrainConfig, load_config
from projgraph.errors import ConfigError, InputError, OutputError
from projgraph.job import TrainJob, TrainResult, run_training
from projgraph.read import few_labels, read_dataset
from projgraph.records import SoftLabels

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def config(small_settings) -> TrainConfig:
    return load_config(None, (), small_settings)


def quiet(line: str) -> None:
    del line


def write(path: Path, *rows: str) -> Path:
    path.write_text("text,label\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    return path


FEW = (
    "the lamp on,light",
    "lamp on now,light",
    "bright lamp,light",
    "open the door,door",
    "door open,door",
    "lock door,door",
)


def few(folder: Path, *more: str) -> Path:
    return write(folder / "few.csv", *FEW, *more)


@pytest.fixture(scope="module")
def done(intents, config, tmp_path_factory) -> tuple[TrainResult, TrainJob, list[str]]:
    """Five labels an intent, the other rows hidden, further texts beside, measured on the test file."""
    out = tmp_path_factory.mktemp("job") / "intents.v1.pgb"
    job = TrainJob(
        intents / "train.csv",
        out,
        test=intents / "test.csv",
        unlabelled=(intents / "unlabelled.txt",),
        labels_per_class=5,
        track=False,
    )
    lines: list[str] = []
    return run_training(job, config, lines.append), job, lines


def test_figures(done, intents):
    result, job, _ = done
    figures = result.figures
    rows = read_dataset(intents / "train.csv")
    assert figures["n_rows"] == len(rows) + 150
    assert figures["n_labelled"] == 25
    assert figures["n_unlabelled"] == len(rows) + 150 - 25
    assert figures["n_classes"] == 5
    assert figures["n_empty"] == figures["n_duplicates"] == figures["n_unreached"] == 0
    assert (figures["bits"], figures["hidden_units"]) == (512, 0)
    assert figures["model"] == str(job.out)
    assert figures["model_bytes"] == job.out.stat().st_size
    assert 0.4 < figures["trainer_accuracy"] <= 1, "far above one in five"
    assert 0.4 < figures["test_accuracy"] <= 1
    assert figures["seconds"] >= sum(figures["stage_seconds"].values()) > 0
    assert result.tracking is None
    assert result.notes == ()


def test_json_has_what_the_command_promises(done):
    result, _, _ = done
    body = json.loads(json.dumps(result.to_json(), allow_nan=False))
    promised = "test_accuracy trainer_accuracy model_bytes model n_labelled n_unlabelled n_classes seconds run_id"
    assert set(promised.split()) <= set(body)
    assert body["evaluation"]["accuracy"] == body["test_accuracy"]
    assert body["evaluation"]["n_test"] > 50


def test_test_accuracy_is_that_of_the_written_file(done, intents):
    result, job, _ = done
    rows = read_dataset(intents / "test.csv")
    with runtime.load(job.out) as model:
        predicted = model.predict(list(rows.texts))
    truth = [rows.classes[label] for label in rows.labels]
    right = np.mean([one == other for one, other in zip(predicted, truth, strict=True)])
    assert result.figures["test_accuracy"] == pytest.approx(right)


@pytest.mark.parametrize(("right", "expected"), [("labelled", 0.0), ("hidden", 1.0)])
def test_trainer_accuracy_is_on_hidden_labels_alone(intents, config, tmp_path, monkeypatch, right, expected):
    """A trainer that is right on the labelled rows and wrong on all others has an accuracy of zero, and vice versa."""
    rows, hidden = few_labels(read_dataset(intents / "train.csv"), 5, config.seed)
    labelled = rows.labels >= 0
    truth = np.where(labelled, rows.labels, hidden)
    said = np.where(labelled == (right == "labelled"), truth, (truth + 1) % 5)

    def teach(task, config, seed, progress=None):
        return SoftLabels(np.eye(5, dtype=np.float32)[said], np.ones(len(said), dtype=np.bool_))

    monkeypatch.setattr(teach_module, "trainer", lambda name: teach)
    job = TrainJob(intents / "train.csv", tmp_path / "m.pgb", labels_per_class=5, track=False)
    assert run_training(job, config, quiet).figures["trainer_accuracy"] == expected


def test_files_beside_the_model(done):
    result, job, _ = done
    assert sorted(path.name for path in job.out.parent.iterdir()) == ["intents.v1.pgb", "intents.v1.report.html"]
    assert result.report == job.out.with_name("intents.v1.report.html")
    report = result.report.read_text("utf-8")
    assert "intents.v1.pgb" in report
    assert f"{result.figures['test_accuracy']:.1%}".removesuffix("%") in report
    assert "student.epochs" in report


def test_provenance_tells_data_settings_and_seed_but_neither_run_nor_time(done, config):
    result, job, _ = done
    with runtime.load(job.out) as model:
        provenance = model.provenance
    assert provenance == {
        "config": provenance["config"],
        "data": result.figures["data_hash"],
        "labelled": 25,
        "rows": result.figures["n_rows"],
        "seed": config.seed,
        "temperature": provenance["temperature"],
    }
    assert 0.01 < provenance["temperature"] < 100
    assert len(provenance["config"]) == len(provenance["data"]) == 16


def test_stages_are_told(done):
    _, job, lines = done
    assert lines[0].startswith(f"read {job.train}: ")
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "features", "graph", "labels", *["trainer"] * 4, "bits", "student", "integers", f"wrote {job.out}",
        f"evaluating on {len(read_dataset(job.test))} rows",
    ]  # fmt: skip


def test_the_data_hash_sees_every_text_and_label(tmp_path, config):
    def hashed(name: str, *rows: str) -> str:
        job = TrainJob(write(tmp_path / f"{name}.csv", *rows), tmp_path / f"{name}.pgb", track=False)
        return run_training(job, config, quiet).figures["data_hash"]

    plain = hashed("plain", *FEW)
    assert hashed("same", *FEW) == plain
    assert hashed("text", "a lamp on,light", *FEW[1:]) != plain
    assert hashed("label", "the lamp on,door", *FEW[1:]) != plain
    assert hashed("order", *FEW[1:], FEW[0]) != plain


def test_without_unlabelled_rows_the_labels_alone_are_learnt(tmp_path, config):
    job = TrainJob(few(tmp_path), tmp_path / "m.pgb", track=False)
    result = run_training(job, config, quiet)
    assert result.notes == (
        "there are no unlabelled rows: nothing for the graph to teach, the student learns the labels alone",
    )
    assert result.figures["trainer_accuracy"] is None
    assert result.figures["test_accuracy"] is None
    assert result.to_json()["evaluation"] is None
    with runtime.load(job.out) as model:
        assert model.predict(["bright lamp", "door open"]) == ["light", "door"]


@pytest.mark.parametrize("pending", [None, Path("few.pgb.run/7")])
def test_a_run_that_was_not_tracked_is_a_note_that_gives_the_reason_once(tmp_path, config, monkeypatch, pending):
    from projgraph import tracking

    answer = tracking.Tracking("7", "http://127.0.0.1:9", False, "it did not take the run", pending)
    monkeypatch.setattr(tracking, "track", lambda run, store: answer)
    result = run_training(TrainJob(few(tmp_path), tmp_path / "few.pgb"), config, quiet)
    assert result.notes[1:] == ("not tracked: it did not take the run",)


def test_a_class_with_too_few_labels_is_a_note(tmp_path, config):
    train = few(tmp_path, "sing a song,music", "the end,")
    result = run_training(TrainJob(train, tmp_path / "m.pgb", labels_per_class=2, track=False), config, quiet)
    assert result.notes == ("1 of 3 classes have fewer than 2 labels: music (1)",)
    assert result.figures["n_labelled"] == 5
    assert result.figures["n_unlabelled"] == 3


def test_unlabelled_files_of_any_format(tmp_path, config):
    (tmp_path / "more.txt").write_text("lamp off\n\ndoor shut\n", "utf-8")
    (tmp_path / "more.csv").write_text("text,label\nlamp please,nonsense\n", "utf-8")
    more = (tmp_path / "more.txt", tmp_path / "more.csv")
    result = run_training(TrainJob(few(tmp_path), tmp_path / "m.pgb", unlabelled=more, track=False), config, quiet)
    assert (result.figures["n_labelled"], result.figures["n_unlabelled"]) == (6, 3)
    assert result.figures["n_classes"] == 2, "labels of unlabelled files are not looked at"
    assert result.figures["n_empty"] == 1


def test_rows_that_repeat_or_are_empty_are_counted(tmp_path, config):
    train = few(tmp_path, "bright lamp,light", '" ",', "lamp,")
    figures = run_training(TrainJob(train, tmp_path / "m.pgb", track=False), config, quiet).figures
    assert (figures["n_rows"], figures["n_duplicates"], figures["n_empty"]) == (8, 1, 1)


def test_every_row_of_the_test_file_counts_empty_ones_too(tmp_path, config):
    test = write(tmp_path / "test.csv", "bright lamp,light", ",door", ",light", "lamp,")
    result = run_training(TrainJob(few(tmp_path), tmp_path / "m.pgb", test=test, track=False), config, quiet)
    evaluation = result.to_json()["evaluation"]
    assert (evaluation["n_test"], evaluation["n_unlabelled"]) == (3, 1)
    assert result.figures["test_accuracy"] == pytest.approx(2 / 3), "an empty text is of one of the two classes"


# ------------------------------------------------------------------------------------------------- before the work


@pytest.fixture
def no_work(monkeypatch):
    """A training that begins fails the test."""

    def work(*arguments: object, **named: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(pipeline, "train_and_keep", work)


@pytest.mark.usefixtures("no_work")
def test_outputs_that_cannot_be_are_told_before_the_work(tmp_path, config):
    train = few(tmp_path)
    other = tmp_path / "texts.txt"
    other.write_text("lamp\n")
    for out, message in (
        (tmp_path, "it is a folder; expected the path of a file"),
        (tmp_path / "no" / "m.pgb", f"the folder {tmp_path / 'no'} does not exist; create it or choose another place"),
        (Path("/dev/null"), "it is a device or a pipe; expected the path of an ordinary file"),
        (train, "it is a file that is read; expected another path for the output"),
        (other, "it is a file that is read; expected another path for the output"),
    ):
        with pytest.raises(OutputError) as caught:
            run_training(TrainJob(train, out, unlabelled=(other,), track=False), config, quiet)
        assert str(caught.value) == f"cannot write {out}: {message}"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("name", ["m.report.html", "m.report.json", "m.run.npz"])
def test_what_stands_beside_the_model_is_asked_for_before_the_work(tmp_path, config, name):
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name}: it is a folder; expected the path of a file"):
        run_training(TrainJob(few(tmp_path), tmp_path / "m.pgb", keep_run=True), config, quiet)


@pytest.mark.usefixtures("no_work")
def test_a_relative_output_needs_no_folder_of_its_own(tmp_path, config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="the work has begun"):
        run_training(TrainJob(few(tmp_path), Path("m.pgb"), track=False), config, quiet)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("labels_per_class", "error", "message"),
    [
        (4, InputError, "no class has 4 labelled rows, the largest has 3; ask for fewer --labels-per-class"),
        (0, ConfigError, "labels per class is 0; expected 1 or more"),
        (-3, ConfigError, "labels per class is -3; expected 1 or more"),
    ],
)
def test_labels_per_class_that_cannot_be(tmp_path, config, labels_per_class, error, message):
    job = TrainJob(few(tmp_path), tmp_path / "m.pgb", labels_per_class=labels_per_class, track=False)
    with pytest.raises(error, match=message):
        run_training(job, config, quiet)


@pytest.mark.usefixtures("no_work")
def test_a_test_file_without_labels_is_told_before_the_work(tmp_path, config):
    test = write(tmp_path / "test.csv", "a lamp,", "a door,")
    with pytest.raises(InputError) as caught:
        run_training(TrainJob(few(tmp_path), tmp_path / "m.pgb", test=test, track=False), config, quiet)
    assert str(caught.value) == f"{test}: none of its 2 rows has a label; expected labels to measure against"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,x", "b,x", "c,"], "all 2 labelled rows have the class 'x'; expected two classes or more"),
        (["a,", "b,", "c,"], "none of the 3 rows has a label; label at least one row of each class"),
    ],
)
@pytest.mark.parametrize("labels_per_class", [None, 1])
def test_labels_that_cannot_be_learnt_from(tmp_path, config, rows, message, labels_per_class):
    train = write(tmp_path / "train.csv", *rows)
    job = TrainJob(train, tmp_path / "m.pgb", labels_per_class=labels_per_class, track=False)
    with pytest.raises(InputError, match=message.replace("all 2", r"all [12]")):
        run_training(job, config, quiet)
    assert list(tmp_path.iterdir()) == [train]


def test_labels_of_the_test_file_that_no_model_knows_count_as_wrong(tmp_path, config):
    test = write(tmp_path / "test.csv", "bright lamp,light", "sing a song,music")
    result = run_training(TrainJob(few(tmp_path), tmp_path / "m.pgb", test=test, track=False), config, quiet)
    assert result.figures["test_accuracy"] == 0.5
    assert result.to_json()["evaluation"]["n_unknown"] == 1
    told = "1 of 2 test rows have a label that training does not, such as 'music'; each counts as wrong"
    assert result.notes[-1] == told


# --------------------------------------------------------------------------------------------------- a full disk


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def full_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No file can be synced any more from the moment on when one for ``name`` is written."""
    kept = os.fsync
    full = False

    def fsync(descriptor: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        kept(descriptor)

    def check(path: Path, *arguments: object) -> object:
        nonlocal full
        full = full or Path(path).name.endswith(name)
        return written(path, *arguments)

    from projgraph import atomic
    from projgraph.evaluate import report
    from projgraph.pack import write as pack_write

    written = atomic.atomic_write
    monkeypatch.setattr(atomic.os, "fsync", fsync)
    for module in (report, pack_write, jobs):
        monkeypatch.setattr(module, "atomic_write", check)


def test_a_full_disk_leaves_an_old_model_and_nothing_else(tmp_path, config, monkeypatch):
    job = TrainJob(few(tmp_path), tmp_path / "m.pgb", track=False)
    job.out.write_bytes(b"an old model")
    before = listing(tmp_path)
    full_disk(monkeypatch, ".pgb")
    with pytest.raises(OutputError) as caught:
        run_training(job, config, quiet)
    assert str(caught.value) == f"cannot write {job.out}: No space left on device; nothing was changed there"
    assert listing(tmp_path) == before


def test_a_disk_that_is_full_after_the_model_leaves_the_whole_model(tmp_path, config, monkeypatch):
    job = TrainJob(few(tmp_path), tmp_path / "m.pgb", track=False)
    full_disk(monkeypatch, ".html")
    with pytest.raises(OutputError, match=r"cannot write .*m\.report\.html: No space left on device"):
        run_training(job, config, quiet)
    assert sorted(listing(tmp_path)) == ["few.csv", "m.pgb"]
    with runtime.load(job.out) as model:
        assert model.classes == ("door", "light")


def test_a_training_replaces_an_old_model(tmp_path, config):
    job = TrainJob(few(tmp_path), tmp_path / "m.pgb", track=False)
    job.out.write_bytes(b"an old model")
    run_training(job, config, quiet)
    with runtime.load(job.out) as model:
        assert model.classes == ("door", "light")
