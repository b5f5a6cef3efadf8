"""What the commands share: options, one line for an error, progress on standard error, results as table or JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from projgraph.errors import ProjgraphError, one_line
from projgraph.printable import printable

_errors = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="print exactly one JSON object on standard output")]
TextColumn = Annotated[str | None, typer.Option(help="name of the text column; guessed if left out")]
LabelColumn = Annotated[str | None, typer.Option(help="name of the label column; guessed if left out")]
Seed = Annotated[int | None, typer.Option(help="of every random draw")]
Encoder = Annotated[str | None, typer.Option(help="sentence-transformers model, by name or folder")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="stage.key=value; may be repeated")]
Trainer = Annotated[str | None, typer.Option(help="which trainer; a wrong name lists them")]


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Wrong input, or too much of it for the memory, is one line on standard error and exit status 2."""
    try:
        yield
    except ProjgraphError as error:
        sys.stderr.write(one_line(error))
        raise typer.Exit(2) from error
    except MemoryError as error:
        sys.stderr.write(
            "projgraph: the memory does not suffice for these rows or edges; nothing was half written: "
            "give fewer of them, or run where there is more\n"
        )
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        sys.stderr.write("projgraph: interrupted; nothing was half written\n")
        raise typer.Exit(130) from error


@contextlib.contextmanager
def progress_lines() -> Iterator[tuple[Callable[[str], None], Callable[[dict[str, float]], None]]]:
    """A live line on a terminal, log lines elsewhere, always on standard error."""
    if not _errors.is_terminal:
        yield say_line, lambda _: None
        return
    with _errors.status("starting") as status:

        def say(line: str) -> None:
            say_line(line)
            status.update(Text(printable(line)))

        def listen(figures: dict[str, float]) -> None:
            status.update(f"student: epoch {figures['epoch']:.0f}, loss {figures['loss']:.4f}")

        yield say, listen


def say_line(line: str) -> None:
    """Write a line to standard error; where that takes no more the work goes on untold."""
    with contextlib.suppress(OSError):
        if _errors.is_terminal:  # beside the live line
            _errors.print(Text(printable(line)), soft_wrap=True)
        else:
            sys.stderr.write(printable(line) + "\n")


def show_parts(parts: Iterable[RenderableType]) -> None:
    """Write tables, and lines that are broken nowhere, to standard output: a path in them stays one."""
    console = Console()
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


def show(figures: Mapping[str, Any], as_json: bool, title: str) -> None:
    """Write figures to standard output, as one JSON object or as a table."""
    if as_json:
        print_json(figures)
        return
    table = Table(title=Text(printable(title)), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # what has no blank to break at, a key for instance, is shown whole all the same
    for name, value in figures.items():
        table.add_row(Text(printable(name)), Text(printable(_cell(value))))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {of}" for name, of in value.items())
    return "–" if value is None else str(value)


def print_json(value: Mapping[str, Any]) -> None:
    """Write exactly one JSON object to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
