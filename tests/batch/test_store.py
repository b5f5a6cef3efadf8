"""A student is shared only with an entry that has it: not with one made anew since, nor by a damaged file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from projgraph.batch.entry import Done, Entry, SourceFile
from projgraph.batch.export_job import run_batch
from projgraph.batch.manifest import family
from projgraph.batch.store import RECORDS, Store
from projgraph.config import TrainConfig

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
