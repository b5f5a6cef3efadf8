"""What stands in a path reaches the terminal as it is spelt: no markup of a table's, no control character."""

from __future__ import annotations

import errno
import io
import sys

import pytest
import typer
from rich.console import Console

from projgraph import console
from projgraph.errors import InputError, one_line
from projgraph.pack.inspect_bundle import render_bundle
from projgraph.printable import printable

PATHS = ["a[red]b.pgb", "d[/red].pgb", "[bold]x[", "[link=file:///]l", ":smile: .pgb"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b, ä 日本 |[red]", "a b, ä 日本 |[red]"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x9b1m\u202e\u2028", "\\x9b1m\\u202e\\u2028"),
        ("\udcff", "\\udcff"),
        ("", ""),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "full")])
def test_a_line_that_cannot_be_told_ends_no_work(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    monkeypatch.setattr(sys, "stderr", Gone())
    console.say_line("told to nobody")


@pytest.mark.parametrize("path", PATHS)
def test_a_table_of_figures_shows_a_path_as_it_is(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.show({"page": path, path: 1.5}, False, path)
    shown = capsys.readouterr().out
    assert shown.count(path) == 3
    assert "1.5000" in shown


@pytest.mark.parametrize("part", ["title", "value", "name"])
def test_a_table_of_figures_has_no_control_characters(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"title": "t", "value": "a wide value", "name": "n"} | {part: "a\x1b[31m\nb"}
    console.show({given["name"]: given["value"]}, False, given["title"])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "a\\x1b[31m\\nb" in shown


def test_a_bundle_is_shown_with_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    head = {"name": "h[red]", "weights": "int4", "classes": 2, "units": 0, "own": 1, "shared": 2}
    console.show_parts(render_bundle({"path": "b\x1b[31m\nx" * 40, "bytes": 9, "bits": 64, "heads": [head]}))
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "b\\x1b[31m\\nx" * 40 + ": 9 bytes, 1 heads, 64 bits"
    assert any("h[red]" in line for line in rest)


def test_an_error_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    error = InputError("x\x1b[31m\x9b\r\n.csv: there is  no such file [red]")
    assert one_line(error) == "projgraph: x\\x1b[31m\\x9b .csv: there is no such file [red]\n"
    with pytest.raises(typer.Exit), console.reported():
        raise error
    assert capsys.readouterr().err == one_line(error)


@pytest.mark.parametrize("line", ["taught by d[/red].csv", "taught by [bold]x"])
def test_progress_on_a_terminal_takes_no_markup(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_errors", Console(stderr=True, highlight=False, force_terminal=True, width=80))
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    with console.progress_lines() as (say, _):
        say(line)


def test_progress_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_line("taught by a\x1b[31m\nb[/red].csv")
    assert capsys.readouterr().err == "taught by a\\x1b[31m\\nb[/red].csv\n"


def test_a_table_of_figures_shows_a_long_key_whole(capsys: pytest.CaptureFixture[str]) -> None:
    key = "41f25813" * 12
    console.show({"public_key": key}, False, "new key")
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "".join(c for c in shown.replace("public_key", "").replace("new key", "") if c.isalnum()) == key


def test_a_table_of_figures_reads_without_python(capsys: pytest.CaptureFixture[str]) -> None:
    console.show({"files": {"model.c": 7, "main.c": 2}, "test_accuracy": None}, False, "t")
    shown = capsys.readouterr().out
    assert "model.c 7, main.c 2" in shown
    assert "–" in shown
    assert not {"{", "None"} & set(shown.split())
