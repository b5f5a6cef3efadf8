"""A kept run: what is written comes back, the same bytes each time, and a student of it is the training's own."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from projgraph import pipeline
from projgraph.config import TrainConfig, change_config, load_config
from projgraph.errors import BudgetError, InputError
from projgraph.job import TrainJob, run_training
from projgraph.lesson import KeptRun, read_run, write_run
from projgraph.pack.read import read_model
from projgraph.pack.write import model_bytes
from projgraph.provenance import describe_training
from projgraph.records import Dataset, Vectors

pytestmark = pytest.mark.usefixtures("one_thread")


def quiet(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def config(small_settings) -> TrainConfig:
    sizes = {"projection.bits": None, "student.units": None, "projection.words.dimensions": None, "budget": "4KB"}
    return load_config(None, (), small_settings | sizes)


@pytest.fixture(scope="module")
def trained(intents: Path, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training with unlabelled rows whose run is kept."""
    out = tmp_path_factory.mktemp("kept") / "model.pgb"
    job = TrainJob(
        intents / "train.csv",
        out,
        unlabelled=(intents / "unlabelled.txt",),
        labels_per_class=5,
        track=False,
        keep_run=True,
    )
    run_training(job, config, quiet)
    return out


def test_a_student_of_the_run_is_the_model_of_the_training(trained: Path) -> None:
    run = read_run(trained.with_name("model.run.npz"))
    again = pipeline.learn(run.dataset, run.taught, run.config, quiet)
    provenance = describe_training(run.dataset, run.config, again.temperature)
    assert model_bytes(again.model, provenance) == trained.read_bytes()


def test_the_words_of_a_run_know_the_beliefs_too(intents: Path, config: TrainConfig, tmp_path: Path) -> None:
    """The graph is not kept, and rows without a label are no less taught for that."""
    roomy = change_config(config, ["projection.words.most=400", "projection.words.min_steps=30"], {"budget": "128KB"})
    out = tmp_path / "model.pgb"
    job = TrainJob(intents / "train.csv", out, labels_per_class=5, track=False, keep_run=True)
    run_training(job, roomy, quiet)
    run = read_run(tmp_path / "model.run.npz")
    again = pipeline.learn(run.dataset, run.taught, run.config, quiet)
    assert (again.plan.words, run.taught.graph, run.dataset.all_labelled) == (400, None, False)
    assert model_bytes(again.model, describe_training(run.dataset, run.config, again.temperature)) == out.read_bytes()


def test_a_smaller_student_fits_its_budget_and_is_judged_on_rows_that_it_did_not_see(trained: Path) -> None:
    run = read_run(trained.with_name("model.run.npz"))
    smaller = change_config(run.config, (), {"budget": "3KB"})
    found = pipeline.learn(run.dataset, run.taught, smaller, quiet, judge=True)
    assert found.plan.bits < read_model(trained)[0].n_bits
    assert len(model_bytes(found.model, {})) <= 3 * 1024
    assert found.held_out_accuracy is not None
    rows = found.student.held_out
    assert 0 < len(rows) < len(run.dataset)
    assert found.held_out_accuracy * len(rows) == pytest.approx(round(found.held_out_accuracy * len(rows)))
    # Of the float head that did not see them, up to what rounding changes.
    expected = found.student.held_out_logits.argmax(axis=1) == run.taught.labels.labels[rows]
    assert abs(found.held_out_accuracy - expected.mean()) <= 3 / len(rows)


def test_a_student_of_few_bits_is_judged_by_weights_that_were_tuned_without_the_rows(trained: Path) -> None:
    run = read_run(trained.with_name("model.run.npz"))
    binary = change_config(run.config, (), {"pack.weight_bits": 1, "student.min_steps": 60})
    found = pipeline.learn(run.dataset, run.taught, binary, quiet, judge=True)
    assert found.model.over_bits.format_name == "binary"
    assert found.held_out_accuracy is not None
    rows = found.student.held_out
    expected = found.student.held_out_logits.argmax(axis=1) == run.taught.labels.labels[rows]
    assert abs(found.held_out_accuracy - expected.mean()) <= 3 / len(rows)


def test_the_same_run_is_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    first = trained.with_name("model.run.npz")
    write_run(tmp_path / "again.run.npz", read_run(first))
    assert (tmp_path / "again.run.npz").read_bytes() == first.read_bytes()


def test_what_only_some_losses_need_is_kept_for_them_alone(trained: Path, tmp_path: Path) -> None:
    run = read_run(trained.with_name("model.run.npz"))
    assert run.taught.graph is None
    assert run.taught.features.shape == (len(run.dataset), 32), "for the words of larger models"
    wordless = change_config(run.config, ["projection.words.dimensions=0"])
    write_run(tmp_path / "wordless.run.npz", KeptRun(run.dataset, run.taught, wordless))
    assert read_run(tmp_path / "wordless.run.npz").taught.features is None
    smooth = change_config(wordless, ["student.loss.edges=0.1"])
    lesson = pipeline.teach_all(run.dataset, smooth, quiet)
    write_run(tmp_path / "edges.run.npz", KeptRun(run.dataset, lesson, smooth))
    found = read_run(tmp_path / "edges.run.npz").taught
    np.testing.assert_array_equal(found.graph.indices, lesson.graph.indices)
    np.testing.assert_array_equal(found.labels.probabilities, lesson.labels.probabilities)
    assert found.temperature == lesson.temperature


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("labels", np.zeros(3, dtype=np.int64), "other labels or distributions"),
        ("labels", None, "damaged: 'labels'"),
        ("offsets", np.array([0, 5, 3], dtype=np.uint64), "its offsets are not those of its texts"),
        ("about", np.frombuffer(b'{"format": 9}', dtype=np.uint8), "its format is 9, expected 1"),
        ("about", np.frombuffer(b"[]", dtype=np.uint8), "is no run of this version"),
        ("about", np.frombuffer(b"{", dtype=np.uint8), "is no run of this version"),
        ("reached", np.ones(2, dtype=np.bool_), "its distributions are no numbers"),
    ],
)
def test_damaged_runs_are_refused(trained: Path, tmp_path: Path, name: str, array: object, message: str) -> None:
    with np.load(trained.with_name("model.run.npz")) as stored:
        arrays = {each: stored[each] for each in stored.files} | {name: array}
    path = tmp_path / "hostile.run.npz"
    np.savez(path, **{each: value for each, value in arrays.items() if value is not None})
    with pytest.raises(InputError, match=message) as caught:
        read_run(path)
    assert str(path) in str(caught.value)
    assert "`projgraph train --keep-run` leaves beside its model" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text,label\n", None])
def test_other_files_are_no_run(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.run.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="expected what `projgraph train --keep-run` leaves"):
        read_run(path)


def test_pickles_are_not_loaded(trained: Path, tmp_path: Path) -> None:
    with np.load(trained.with_name("model.run.npz")) as stored:
        arrays = {each: stored[each] for each in stored.files}
    np.savez(tmp_path / "pickle.run.npz", allow_pickle=True, **arrays | {"texts": np.array([{}], dtype=object)})
    with pytest.raises(InputError, match="allow_pickle=False"):
        read_run(tmp_path / "pickle.run.npz")


def test_rows_of_numbers_are_refused(trained: Path, tmp_path: Path) -> None:
    run = read_run(trained.with_name("model.run.npz"))
    vectors = Dataset(Vectors(np.ones((2, 3), dtype=np.float32), 3), np.array([0, 1]), ("a", "b"))
    with pytest.raises(InputError, match="the 2 rows are vectors of 3 columns; expected texts"):
        write_run(tmp_path / "v.run.npz", KeptRun(vectors, run.taught, run.config))


def test_a_budget_below_the_smallest_model_names_it(trained: Path) -> None:
    run = read_run(trained.with_name("model.run.npz"))
    with pytest.raises(
        BudgetError, match=r"a budget of 1024 bytes is too small .*; the smallest that works is \d+ bytes"
    ):
        pipeline.learn(run.dataset, run.taught, change_config(run.config, (), {"budget": 1024}), quiet)


def test_the_file_says_what_it_holds(trained: Path) -> None:
    with np.load(trained.with_name("model.run.npz")) as stored:
        about = json.loads(stored["about"].tobytes())
    assert about["classes"] == ["alarm_set", "door_lock", "light_on", "music_play", "weather_ask"]
    assert about["counts"]["labelled"] > 0
    assert about["config"]["budget"] == 4096


@pytest.mark.parametrize("place", [6, 8, "data"])
def test_a_changed_byte_of_the_archive_is_refused(trained: Path, tmp_path: Path, place: int | str) -> None:
    """Flags and method of compression of its first part, and what zlib makes of a changed middle."""
    path = tmp_path / "changed.run.npz"
    data = bytearray(trained.with_name("model.run.npz").read_bytes())
    central = data.index(b"PK\x01\x02")
    if place == "data":
        data[60 : central - 60] = bytes(255 - byte for byte in data[60 : central - 60])
    else:
        data[central + place + 2] = 0xFF  # the same field of the directory, which counts
    path.write_bytes(data)
    with pytest.raises(InputError, match="is no run, or is damaged"):
        read_run(path)


@pytest.mark.parametrize("error", [zlib.error("Error -3"), NotImplementedError("bit 5"), RuntimeError("encrypted")])
def test_what_the_archive_raises_is_wrong_input(
    trained: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("projgraph.lesson.np.load", refuse)
    with pytest.raises(InputError, match="is no run, or is damaged"):
        read_run(trained)
