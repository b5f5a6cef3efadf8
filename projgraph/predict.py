"""`projgraph predict`: texts in, labels out, with nothing imported that the answer does not need."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO, NoReturn

from projgraph.errors import InputError, ProjgraphError, one_line

_VOTES = 10
"""Features that an explanation names, those with the largest votes."""
_NEAREST = 3
_TABULAR = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".ft", ".fasttext")
# As `projgraph.read.source` has them, which brings more than a prediction needs.
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line, as every error of the command."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"projgraph: predict: {message}; see {self.prog} --help\n")


def run(arguments: Sequence[str]) -> int:
    """Predict as the arguments say; returns the exit status."""
    options = _parser().parse_intermixed_args(arguments)  # the file may follow --head NAME
    try:
        if options.explain or options.nearest:
            if options.head is not None:
                raise InputError("--head cannot be used with --explain and --nearest; give the head's own model")
            _explain(options.model, options.file, options.text_column, options.oos_label, options.nearest)
        else:
            _predict(options)
    except ProjgraphError as error:
        sys.stderr.write(one_line(error))
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("projgraph: interrupted\n")
        return 130
    except OSError as error:  # what reading can raise has become an InputError
        return give_up_output(error)
    return 0


def give_up_output(error: OSError) -> int:
    """Standard output took no more: the exit status, after one line of error unless its reader just went away."""
    # What is still buffered goes nowhere, or the interpreter would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # as `| head` does
        return 0
    sys.stderr.write(f"projgraph: standard output cannot be written: {error.strerror}; make room or choose another\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="projgraph predict", description="Print the label of every line of FILE, or of standard input."
    )
    parser.add_argument("model", metavar="MODEL.pgb")
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE|-", help="one text a line, or a table by extension"
    )
    parser.add_argument("--proba", action="store_true", help="print the label, a tab and its probability")
    parser.add_argument(
        "--explain", action="store_true", help="print a JSON object a line: the label and the features that voted"
    )
    parser.add_argument(
        "--nearest", metavar="FILE", help="as --explain, and the nearest of these texts, such as the training's"
    )
    parser.add_argument(
        "--oos-label", default="", metavar="NAME", help="printed where the model gives no label; nothing if left out"
    )
    parser.add_argument("--head", metavar="NAME", help="of a bundle: which of its models")
    parser.add_argument("--text-column", metavar="NAME", help="of a table; guessed if left out")
    return parser


def _predict(options: argparse.Namespace) -> None:
    from projgraph.runtime import load

    file = options.file

    # Bytes, since labels are UTF-8 as the texts are, whatever the locale says.
    out = sys.stdout.buffer
    with load(options.model, options.head) as model:
        # No label is -1, the last of the list.
        labels, native = (
            [*(name.encode() for name in model.classes), options.oos_label.encode("utf-8", "surrogateescape")],
            model.native,
        )
        for text in _texts(file, options.text_column):
            if options.proba:
                index, probability = model.decide(text)
                out.write(labels[index] + b"\t%.6f\n" % probability)
            else:
                out.write(labels[native.predict_one(text)] + b"\n")
            if file == "-":
                out.flush()
    out.flush()


def _explain(path: str, file: str, text_column: str | None, oos_label: str, nearest: str | None) -> None:
    """A JSON object a line; what it needs is imported here, since a plain prediction needs none of it."""
    import json

    from projgraph.explain import explain
    from projgraph.nearest import NearestTexts
    from projgraph.pack.read import read_model

    model, _ = read_model(path)
    neighbours = None
    if nearest is not None:
        from projgraph.read import read_dataset

        neighbours = NearestTexts(model.projection, read_dataset(nearest, text_column=text_column))
    out = sys.stdout.buffer
    for text in _texts(file, text_column):
        found = explain(model, text)
        row: dict[str, object] = {"text": text, "label": found.label if found.answered else oos_label}
        row |= {"best": found.label, "rival": found.rival, "margin": round(found.margin, 6)}
        row["votes"] = [[vote.kind, vote.feature, round(vote.vote, 6)] for vote in found.votes[:_VOTES]]
        if neighbours is not None:
            row["nearest"] = [list(each) for each in neighbours.find(text, _NEAREST)]
        out.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        if file == "-":
            out.flush()
    out.flush()


def _texts(file: str, text_column: str | None) -> Iterator[str]:
    """The texts of a file: rows of a table, or else lines, their line ends taken off."""
    if file != "-" and file.lower().endswith(_TABULAR):
        from projgraph.read import read_texts

        yield from read_texts(file, text_column=text_column)
        return
    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            yield from _lines(sys.stdin.buffer, name)
        else:
            with open(file, "rb") as stream:  # noqa: PTH123 (pathlib takes milliseconds to import)
                yield from _lines(stream, name)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read: {error.strerror}; expected a file of one text a line, or - for standard input"
        ) from error


def _lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Lines of UTF-8, ill-formed bytes replaced as the core replaces them.

    Raises:
        InputError: they begin as no text in UTF-8 does, but as what gzip or UTF-16 make.
    """
    first = stream.readline()
    if first.startswith(_GZIP):
        raise InputError(f"{name}: is compressed by gzip; unpack it, or give a file whose name ends in .gz")
    if first.startswith(_UTF16):
        raise InputError(f"{name}: starts with a UTF-16 byte order mark; save it as UTF-8")
    for line in chain((first,) if first else (), stream):
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
