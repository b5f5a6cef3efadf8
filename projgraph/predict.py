"""`projgraph predict`: texts in, labels out, with nothing imported that the answer does not need."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from projgraph.errors import InputError, ProjgraphError

_TABULAR = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".gz", ".ft", ".fasttext")


def run(arguments: Sequence[str]) -> int:
    """Predict as the arguments say; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _predict(options.model, options.file, options.proba, options.text_column)
    except ProjgraphError as error:
        sys.stderr.write(f"projgraph: {' '.join(str(error).split())}\n")
        return 2
    except BrokenPipeError:
        # The reader went away (`| head`); the interpreter would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="projgraph predict", description="Print the label of every line of FILE, or of standard input."
    )
    parser.add_argument("model", metavar="MODEL.pgb")
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE|-", help="one text a line, or a table by extension"
    )
    parser.add_argument("--proba", action="store_true", help="print label, probability and text columns, tab separated")
    parser.add_argument("--text-column", metavar="NAME", help="of a table; guessed if left out")
    return parser


def _predict(path: str, file: str, proba: bool, text_column: str | None) -> None:
    from projgraph.runtime import load

    with load(path) as model:
        classes, native = model.classes, model.native
        for text in _texts(file, text_column):
            if proba:
                row = model.predict_proba(text)[0]
                best = int(row.argmax())
                sys.stdout.write(f"{classes[best]}\t{row[best]:.6f}\n")
            else:
                sys.stdout.write(classes[native.predict_one(text)] + "\n")
            if file == "-":
                sys.stdout.flush()
    sys.stdout.flush()


def _texts(file: str, text_column: str | None) -> Iterator[str]:
    """The texts of a file: rows of a table, or else lines, their line ends taken off."""
    if file == "-":
        yield from _lines(sys.stdin.buffer)
    elif file.lower().endswith(_TABULAR):
        from projgraph.read import read_texts

        yield from read_texts(file, text_column=text_column)
    else:
        try:
            with open(file, "rb") as stream:  # noqa: PTH123 (pathlib takes milliseconds to import)
                yield from _lines(stream)
        except OSError as error:
            raise InputError(
                f"{file}: cannot be read: {error.strerror}; expected a file of one text a line, or - for standard input"
            ) from error


def _lines(stream: BinaryIO) -> Iterator[str]:
    for line in stream:
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
