"""A student is shared only with an entry that has it: not with one made anew since, nor by a damaged file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from projgraph.batch.entry import Done, Entry, SourceFile
from projgraph.batch.export_job import run_batch
from projgraph.batch.manifest import family
from projgraph.batch.store import RECORDS, Store
from projgraph.config import TrainConfig, change_config
from projgraph.errors import InputError
from projgraph.lesson import KeptRun, write_run
from projgraph.projection.fit import Listener, Student, StudentTask, fit_student
from projgraph.projection.kept import fit_key

from .conftest import quiet

pytestmark = pytest.mark.usefixtures("one_thread", "in_process")

LINEAR = ("projection.bits=256", "student.units=0", "projection.words.dimensions=0")
HIDDEN = ("projection.bits=256", "student.units=16", "projection.words.dimensions=0")


def entry(run_file: Path, name: str, settings: tuple[str, ...]) -> Entry:
    (found,) = family(run_file, "40KB", ("pgb",))
    return replace(found, name=name, settings=settings)


def made(out: Path, *entries: Entry) -> list[Done]:
    result = run_batch(entries, out, 1, quiet)
    assert result.failures == ()
    return [outcome.done for outcome in result.outcomes]


def test_an_entry_that_was_made_anew_from_other_settings_is_not_shared(run_file: Path, tmp_path: Path) -> None:
    (linear,) = made(tmp_path / "own", entry(run_file, "own", LINEAR))
    made(tmp_path / "out", entry(run_file, "first", LINEAR))
    made(tmp_path / "out", entry(run_file, "first", HIDDEN))
    (later,) = made(tmp_path / "out", entry(run_file, "later", LINEAR))
    assert (later.units, later.model.sha256) == (0, linear.model.sha256)


def test_a_student_is_looked_for_in_the_folder_of_the_batch_alone(run_file: Path, tmp_path: Path) -> None:
    own = made(tmp_path / "out", entry(run_file, "own", LINEAR))
    made(tmp_path / "other", entry(run_file, "own", HIDDEN))
    (student,) = (tmp_path / "out" / RECORDS).glob("*.student")
    record = (tmp_path / "other" / RECORDS / "own.json").read_text()
    hidden = json.loads(record)["student"]
    shutil.copy(tmp_path / "other" / "own" / "own.pgb", tmp_path / "own.pgb")
    (tmp_path / "own.json").write_text(record.replace(hidden, student.stem))
    for name in (str(tmp_path / "own"), "../../own", "..", "", "own\0", "a" * 5000):
        student.write_text(json.dumps(name))
        assert Store(tmp_path / "out").alike(student.stem) is None
    (later,) = made(tmp_path / "out", entry(run_file, "later", LINEAR))
    assert later.model.sha256 == own[0].model.sha256


@pytest.mark.parametrize("content", [b"", b"\xff", b"null", b"[]", b'{"a": 1}', b"[" * 100_000, b'"\\ud800"'])
def test_a_damaged_note_of_a_student_is_none(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    store.prepare()
    (tmp_path / RECORDS / f"{'0' * 32}.student").write_bytes(content)
    assert store.alike("0" * 32) is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("held_out_accuracy",), "high"),
        (("model", "path"), "own\0.pgb"),
        (("model", "path"), 3),
        (("model", "size"), "3"),
        (("targets",), {"pgb": [{"path": "\0", "size": 0, "sha256": ""}]}),
        (("tried",), [{"size": None, "held_out_accuracy": None, "shape": 3}]),
        (("seconds",), []),
    ],
)
def test_a_record_that_was_damaged_is_made_anew(
    run_file: Path, tmp_path: Path, place: tuple[str, ...], value: object
) -> None:
    (own,) = made(tmp_path, entry(run_file, "own", LINEAR))
    path = tmp_path / RECORDS / "own.json"
    record = json.loads(path.read_text())
    part = record if len(place) == 1 else record[place[0]]
    part[place[-1]] = value
    path.write_text(json.dumps(record))
    (again,) = made(tmp_path, entry(run_file, "own", LINEAR))
    assert replace(again, seconds=own.seconds) == own


def test_a_model_that_is_written_while_it_is_shared_is_not_taken_for_the_old_one(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may write the entry anew between the check of its bytes and their use: they are read once."""
    (own,) = made(tmp_path / "out", entry(run_file, "first", LINEAR))
    made(tmp_path / "other", entry(run_file, "first", HIDDEN))
    alike = Store.alike

    def meanwhile(self: Store, student: str):
        found = alike(self, student)
        shutil.copy(tmp_path / "other" / "first" / "first.pgb", tmp_path / "out" / "first" / "first.pgb")
        return found

    monkeypatch.setattr(Store, "alike", meanwhile)
    (later,) = made(tmp_path / "out", entry(run_file, "later", LINEAR))
    assert (later.units, later.model.sha256) == (0, own.model.sha256)


def test_the_same_bytes_read_as_another_format_are_other_rows(tmp_path: Path) -> None:
    """A comma is a column of a .csv and a part of a text in a .tsv, so a file that is renamed is made anew."""
    keys = set()
    for name in ("rows.csv", "rows.tsv", "rows.CSV", "more.csv"):
        (tmp_path / name).write_text("text\tlabel\na,b\tc\n")
        source = SourceFile("data", tmp_path / name, TrainConfig())
        keys.add((Store(tmp_path).lesson(source), Store(tmp_path).key(Entry("a", "a", source, ("pgb",)))))
    assert len(keys) == 2


def test_an_encoder_that_took_the_place_of_another_teaches_anew(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    encoder = tmp_path / "encoder"

    def keys(name: Path | str = encoder) -> tuple[object, ...]:
        source = SourceFile("data", tmp_path / "rows.csv", TrainConfig(encoder=str(name)))
        store = Store(tmp_path)  # which hashes a file once
        config = source.config or TrainConfig()
        wanted = Entry("a", "a", source, ("pgb",))
        return store.lesson(source), store.key(wanted), store.student_key(source, config, [256])

    found = [keys()]
    (encoder / "1_Pooling").mkdir(parents=True)
    for path, content in (("weights", "1"), ("weights", "2"), ("1_Pooling/config.json", "{}"), ("more", "")):
        (encoder / path).write_text(content)
        found.append(keys())
        assert found[-1] == keys()
    (encoder / "more").rename(encoder / "other")
    found.append(keys())
    for each in zip(*found, strict=True):
        assert len(set(each)) == len(found) == 6
    assert keys("all-MiniLM-L6-v2") != keys("all-MiniLM-L12-v2")


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:500], lambda data: data[:-1], lambda data: b"x"]
)
def test_what_rows_taught_is_taught_again_where_it_was_damaged(
    intents: Path, small_config: TrainConfig, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Nobody but a batch made that file, so nobody else can be told to make it again."""
    source = SourceFile("data", intents / "train.csv", small_config)
    wanted = Entry("rows", "rows", source, ("pgb",), small_config.budget)
    (own,) = made(tmp_path, wanted)
    lesson = Store(tmp_path).lesson(source)
    data = lesson.read_bytes()
    lesson.write_bytes(damage(data))
    shutil.rmtree(tmp_path / "rows")
    for note in (tmp_path / RECORDS).glob("*.student"):
        note.unlink()
    (again,) = made(tmp_path, wanted)
    assert again.model == own.model
    assert lesson.read_bytes() == data


SHAPE = ("projection.bits=256", "student.units=16", "projection.words.dimensions=0", "student.min_steps=40")
WEIGHTS = ("int8", "int4", "shared", "ternary", "binary")


def of_weights(run_file: Path, weights: str, *settings: str, budget: str = "40KB") -> Entry:
    (found,) = family(run_file, budget, ("pgb",), weights=weights)
    return replace(found, settings=(*SHAPE, "pack.tuning_epochs=5", *settings))


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[StudentTask]:
    """The tasks of which a float fit was made."""
    tasks: list[StudentTask] = []

    def fit(task: StudentTask, listener: Listener | None = None) -> Student:
        tasks.append(task)
        return fit_student(task, listener)

    monkeypatch.setattr("projgraph.projection.kept.fit_student", fit)
    return tasks


def models(done: list[Done]) -> list[str]:
    return [each.model.sha256 for each in done]


def test_weights_of_one_shape_share_a_fit_and_have_the_bytes_of_their_own(
    run_file: Path, tmp_path: Path, fitted: list[StudentTask]
) -> None:
    entries = [of_weights(run_file, weights) for weights in WEIGHTS]
    entries.append(replace(of_weights(run_file, "int4", "pack.pruning=0.6"), name="pruned"))
    together = made(tmp_path / "out", *entries)
    assert len(fitted) == 1
    assert len(list((tmp_path / "out" / RECORDS).glob("*.fit.npz"))) == 1
    # Each from a fit of its own, in another order too: an accuracy and all bytes are the same.
    alone = [made(tmp_path / each.name, each)[0] for each in entries]
    assert len(fitted) == 1 + len(entries)
    assert [replace(each, seconds=0) for each in together] == [replace(each, seconds=0) for each in alone]
    assert len(set(models(together))) == len(entries)
    backwards = made(tmp_path / "backwards", *reversed(entries))
    assert models(backwards) == models(together)[::-1]


def test_a_search_shares_fits_with_other_entries(run_file: Path, tmp_path: Path, fitted: list[StudentTask]) -> None:
    settings = ("projection.words.dimensions=0", "student.min_steps=10", "pack.tuning_epochs=1")
    searched = [
        replace(of_weights(run_file, weights, budget="6KB"), settings=settings, search=True)
        for weights in ("ternary", "binary")
    ]
    tried = [each.tried for each in made(tmp_path / "out", *searched)]
    shapes = [{point.shape.split(" units")[0] for point in points} for points in tried]
    assert len(fitted) == len(set.union(*shapes))
    alone = made(tmp_path / "alone", searched[1])
    assert (alone[0].tried, alone[0].model.sha256) == (tried[1], made(tmp_path / "out", searched[1])[0].model.sha256)


SETTINGS = [
    "projection.bits=320", "projection.word_share=0.4", "projection.additions=3", "projection.word_ngrams=[1, 1]",
    "projection.character_ngrams=[3, 4]", "projection.seen_slots_log2=9", "projection.quantiser=sign",
    "student.units=24", "student.epochs=20", "student.min_steps=60", "student.batch=32", "student.rate=0.003",
    "student.weight_decay=0.1", "student.dropout=0.2", "student.sharpen=3", "student.held_out=0.2",
    "student.held_out_rows=7", "student.loss.gold=0.3", "student.loss.distil=0.5", "student.corruption.typing=0.2",
    "student.corruption.speech=0.2", "projection.words.dimensions=8",
]  # fmt: skip


def test_another_setting_is_another_fit(run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    def no_fit(folder: Path, task: StudentTask, listener: Listener | None = None) -> Student:
        keys.append(fit_key(task))
        raise InputError("it is told apart, and not fitted")

    monkeypatch.setattr("projgraph.pipeline.fit_or_read", no_fit)
    entries = [of_weights(run_file, weights) for weights in WEIGHTS]
    entries += [replace(of_weights(run_file, "int8", setting), name=setting) for setting in SETTINGS]
    # Words need room: where a plan has none of them left, the setting changes nothing.
    entries[-1] = replace(entries[-1], budget=1 << 17)
    result = run_batch(entries, tmp_path, 1, quiet)
    assert len(result.failures) == len(entries) == len(keys)
    assert len(set(keys[: len(WEIGHTS)])) == 1
    assert len(set(keys)) == 1 + len(SETTINGS)


@pytest.mark.parametrize("setting", ["projection.functions=32", "trust.abstain=0.2"])
def test_a_setting_that_changes_no_bit_of_these_texts_leaves_the_fit(
    run_file: Path, tmp_path: Path, fitted: list[StudentTask], setting: str
) -> None:
    other = of_weights(run_file, "ternary", setting)
    found = made(tmp_path / "out", of_weights(run_file, "ternary"), replace(other, name="other"))
    assert len(fitted) == 1
    assert len(set(models(found))) == 2
    assert models(found)[1:] == models(made(tmp_path / "alone", other))


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: data[:300] + data[301:]])
def test_a_fit_that_was_damaged_is_made_again(
    run_file: Path, tmp_path: Path, fitted: list[StudentTask], damage: Callable[[bytes], bytes]
) -> None:
    first, second = of_weights(run_file, "int8"), of_weights(run_file, "ternary")
    made(tmp_path / "out", first)
    (kept,) = (tmp_path / "out" / RECORDS).glob("*.fit.npz")
    data = kept.read_bytes()
    kept.write_bytes(damage(data))
    (later,) = made(tmp_path / "out", second)
    assert len(fitted) == 2
    assert kept.read_bytes() == data
    assert models([later]) == models(made(tmp_path / "alone", second))


def test_a_joint_fit_is_not_shared(kept: KeptRun, tmp_path: Path, fitted: list[StudentTask]) -> None:
    """The trainer moves in its tuning too, and a fit that is kept holds the student alone."""
    features = np.random.default_rng(0).normal(size=(len(kept.dataset), 8)).astype(np.float32)
    joint = change_config(kept.config, ["student.joint=true"])
    path = tmp_path / "joint.run.npz"
    write_run(path, KeptRun(kept.dataset, replace(kept.taught, features=features), joint))
    entries = [of_weights(path, weights) for weights in ("int8", "binary")]
    found = made(tmp_path / "out", *entries)
    assert (fitted, list((tmp_path / "out" / RECORDS).glob("*.fit.npz"))) == ([], [])
    assert models(found) == [made(tmp_path / each.name, each)[0].model.sha256 for each in entries]
