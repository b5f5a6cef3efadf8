"""`suggest` and `graph suspects` from files to files: what is found, what is written, and wrong input."""

from __future__ import annotations

import csv
import json

import pytest
from typer.testing import CliRunner

from projgraph.cli import app
from projgraph.features.view import describe_named

pytestmark = pytest.mark.usefixtures("one_thread")

TOPICS = {
    "alarm": ("wake me at seven", "set an alarm for noon", "alarm at six please", "wake me up early"),
    "music": ("play some jazz", "play my favourite song", "music please some rock", "play a song by queen"),
    "light": ("turn on the lamp", "switch the light off", "dim the light a bit", "lamp off please"),
}
SMALL = ["--set", "features.lsa_dimensions=16", "--set", "features.dimensions=16", "--set", "graph.neighbours=6"]


def rows_of(labelled: int, wrong: dict[int, str] | None = None) -> list[tuple[str, str]]:
    """Rows of a topic in turn; the first so many have a label, some of them a wrong one."""
    rows = []
    for number in range(8):
        for topic, texts in TOPICS.items():
            rows += [(f"{text} {number}", topic) for text in texts]
    return [(text, (wrong or {}).get(at, topic) if at < labelled else "") for at, (text, topic) in enumerate(rows)]


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), *SMALL, "--json"])
    return result.exit_code, result.stdout, result.stderr


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_wrong_labels_come_first(tmp_path):
    wrong = {5: "light", 26: "alarm", 40: "music"}  # rows of music, alarm... counted from 0
    rows = rows_of(60)
    truth = {at: rows[at][1] for at in wrong}
    wrong = {at: next(name for name in TOPICS if name != truth[at]) for at in wrong}
    source, out = write(tmp_path / "rows.csv", rows_of(60, wrong)), tmp_path / "suspects.csv"
    code, stdout, err = run("graph", "suspects", source, "--out", out)
    assert code == 0, err
    figures = json.loads(stdout)
    assert (figures["n_labelled"], figures["n_judged"]) == (60, 60)
    found = table(out)
    assert len(found) == figures["n_suspects"] >= 3
    assert {int(row["row"]) - 1 for row in found[:3]} == set(wrong)
    for row in found[:3]:
        at = int(row["row"]) - 1
        assert (row["text"], row["label"], row["suggested"]) == (rows[at][0], wrong[at], truth[at])
    surprises = [float(row["surprise"]) for row in found]
    assert surprises == sorted(surprises, reverse=True)
    assert [float(row["probability"]) + float(row["surprise"]) for row in found] == pytest.approx([1] * len(found))


def test_suspects_of_a_seed_are_the_same_bytes(tmp_path):
    source = write(tmp_path / "rows.csv", rows_of(24, {3: "music"}))
    outs = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for out in outs:
        assert run("graph", "suspects", source, "--out", out, "--seed", 3)[0] == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [("a", "x"), ("b", "y"), ("c", "")],
            [],
            "no class has two labels; expected one to doubt and another to compare",
        ),
        ([("a", "x"), ("b", "x")], [], "its labels name 1 classes; expected two or more: label rows of another one"),
        (
            [("a", "x"), ("b", "y"), ("c", "x")],
            ["--labels-per-class", 1],
            "labels per class is 1; expected 2 or more: a label is compared with another of its class",
        ),
        (
            [("a", "x"), ("b", "y"), ("c", "y")],
            ["--trainer", "oracle"],
            "trainer.name is 'oracle': no trainer has that name; expected one of",
        ),
        ([("a", "x")], [], "has 1 rows; a graph needs two or more"),
    ],
)
def test_suspects_of_wrong_input(tmp_path, rows, options, message):
    out = tmp_path / "out.csv"
    code, stdout, err = run("graph", "suspects", write(tmp_path / "rows.csv", rows), "--out", out, *options)
    assert (code, stdout) == (2, "")
    assert message in err
    assert not out.exists()


def test_suggestions_are_unlabelled_spread_and_ranked(tmp_path):
    # Alarm and music have labels, light has none: it is what a label would tell most about.
    labels = [(text, topic if topic != "light" and at < 24 else "") for at, (text, topic) in enumerate(rows_of(99))]
    source, out = write(tmp_path / "rows.csv", labels), tmp_path / "next.csv"
    code, stdout, err = run("suggest", source, "--count", 4, "--out", out)
    assert code == 0, err
    assert json.loads(stdout)["n_suggested"] == 4
    found = table(out)
    assert [row["rank"] for row in found] == ["1", "2", "3", "4"]
    for row in found:
        assert labels[int(row["row"]) - 1] == (row["text"], "")
        assert row["guess"] in ("alarm", "music")
    assert any(word in found[0]["text"] for word in ("lamp", "light"))
    gains = [float(row["gain"]) for row in found]
    assert gains == sorted(gains, reverse=True)


def test_names_of_labels_are_examples_where_the_trainer_is_asked(tmp_path, monkeypatch, tasks, small_model):
    asked = []

    def described(texts, classes, *rest):
        asked.append(classes)
        return describe_named(texts, classes, *rest)

    monkeypatch.setattr("projgraph.features.view.describe_named", described)
    source, out = write(tmp_path / "rows.csv", rows_of(24)), tmp_path / "out.csv"
    assert run("suggest", source, "--count", 1, "--out", out)[0] == 0
    assert asked == [("alarm", "light", "music")]
    assert run("graph", "suspects", source, "--out", out)[0] == 0
    assert asked == [("alarm", "light", "music")] * 2
    assert len(tasks) > 2
    assert all(task.examples.labels.tolist() == [0, 1, 2] for task in tasks)
    for options in (["--set", "features.label_names=false"], ["--trainer", "poisson"]):
        tasks.clear()
        assert run("graph", "suspects", source, "--out", out, *options)[0] == 0
        assert {task.examples for task in tasks} == {None}
    asked.clear()
    assert run("suggest", source, "--count", 1, "--out", out, "--model", small_model)[0] == 0
    assert asked == [()]


def test_without_labels_rows_are_covered_evenly(tmp_path):
    source, out = write(tmp_path / "rows.csv", rows_of(0)), tmp_path / "next.csv"
    code, stdout, err = run("suggest", source, "--count", 12, "--out", out)
    assert code == 0, err
    assert json.loads(stdout)["by"] == "nothing"
    topics = {text: topic for topic, texts in TOPICS.items() for text in texts}
    chosen = [topics[row["text"].rsplit(" ", 1)[0]] for row in table(out)]
    assert set(chosen) == set(TOPICS)
    assert [row["guess"] for row in table(out)] == [""] * 12


def test_a_model_may_say_what_is_unsure(tmp_path, small_model):
    source, out = write(tmp_path / "rows.csv", rows_of(0)), tmp_path / "next.csv"
    code, stdout, err = run("suggest", source, "--count", 3, "--out", out, "--model", small_model)
    assert code == 0, err
    assert json.loads(stdout)["by"] == str(small_model)
    assert {row["guess"] for row in table(out)} <= {"alarm_set", "door_lock", "light_on", "music_play", "weather_ask"}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([("a", "x"), ("b", "y")], ["--count", 1], "all 2 rows have a label; expected some without to"),
        (
            [("a", "x"), ("b", "y"), ("b ", ""), ("", "")],
            ["--count", 1],
            "its 2 rows without a label are empty or repeat labelled ones; expected other texts to choose from",
        ),
        ([("a", "x"), ("b", "")], ["--count", 0], "count is 0; expected 1 or more rows to label"),
        ([("a", "x"), ("b", "")], ["--count", 1, "--model", "missing.pgb"], "cannot read 'missing.pgb'"),
    ],
)
def test_suggestions_of_wrong_input(tmp_path, rows, options, message):
    out = tmp_path / "out.csv"
    code, stdout, err = run("suggest", write(tmp_path / "rows.csv", rows), "--out", out, *options)
    assert (code, stdout) == (2, "")
    assert message in err
    assert not out.exists()


def test_the_file_that_is_read_is_not_written(tmp_path):
    source = write(tmp_path / "rows.csv", rows_of(12))
    before = source.read_bytes()
    code, _, err = run("suggest", source, "--count", 1, "--out", source)
    assert code == 2
    assert "it is a file that is read; expected another path for the output" in err
    assert source.read_bytes() == before
    model = tmp_path / "model.pgb"
    model.write_bytes(b"a model")
    code, _, err = run("suggest", source, "--count", 1, "--model", model, "--out", model)
    assert (code, f"cannot write {model}: it is a file that is read" in err) == (2, True)
    assert model.read_bytes() == b"a model"


def test_no_text_is_suggested_twice_and_none_that_has_a_label(tmp_path):
    unlabelled = [text for text, _ in rows_of(0)]
    rows = [*rows_of(30), *((text, "") for text in (*unlabelled, *unlabelled, "", " "))]
    source, out = write(tmp_path / "rows.csv", rows), tmp_path / "next.csv"
    assert run("suggest", source, "--count", 500, "--out", out)[0] == 0
    found = [row["text"] for row in table(out)]
    assert len(found) == len(unlabelled) - 30
    assert set(found) == set(unlabelled[30:])


def test_suggest_takes_plain_text(tmp_path):
    """Before anything is labelled there are only texts: the rows that cover them best are chosen."""
    texts = ["play a song", "play some music", "lock the door", "lock the front door", "is it raining", "will it rain"]
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(texts) + "\n", encoding="utf-8")
    out = tmp_path / "next.csv"
    code, _, err = run("suggest", source, "--count", "3", "--out", out)
    assert code == 0, err
    with out.open(encoding="utf-8", newline="") as stream:
        chosen = [row["text"] for row in csv.DictReader(stream)]
    assert len(chosen) == len(set(chosen)) == 3
    assert set(chosen) <= set(texts)
