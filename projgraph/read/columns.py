"""Which column holds the text and which the label: by name, by a good guess, or by elimination; it reads no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from projgraph.read.source import Source

TEXT_NAMES = (
    "text",
    "utterance",
    "sentence",
    "query",
    "content",
    "question",
    "message",
    "review",
    "comment",
    "document",
    "body",
    "prompt",
    "input",
    "title",
)
LABEL_NAMES = (
    "label",
    "intent",
    "category",
    "class",
    "target",
    "labels",
    "label_text",
    "label_name",
    "intent_name",
    "tag",
    "topic",
    "sentiment",
    "dialogue_act",
    "act",
    "output",
    "y",
)
SHOWN_NAMES = 12
SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class ColumnRequest:
    """What the caller asked for: column names, or None for a guess; ``labelled`` is False where no label is read."""

    text: str | None = None
    label: str | None = None
    labelled: bool = True


@dataclass(frozen=True)
class Columns:
    """The columns chosen: their names and their positions; a label name of None means that no label is read."""

    text: str
    label: str | None
    text_position: int
    label_position: int


def choose_columns(names: Sequence[str], request: ColumnRequest, source: Source, line: int | None = None) -> Columns:
    """Choose the text column and, if wanted, the label column.

    A name asked for must be there (letter case may differ where that is not ambiguous). Without one, the first name of
    ``TEXT_NAMES`` and of ``LABEL_NAMES`` that is a column wins. Where the caller named one of the two and exactly two
    columns exist, the other column is the other one. Nothing else is guessed: a file without a header is refused,
    since taking its first row for names would lose a row, and taking a header for a row would invent a class.

    Raises:
        InputError: a column is missing, ambiguous, or the same for text and label.
    """
    text = _find(names, request.text, TEXT_NAMES, source, line)
    label = _find(names, request.label, LABEL_NAMES, source, line) if request.labelled else None
    if text is None and request.label is not None and label is not None and len(names) == 2:
        text = 1 - label
    if label is None and request.labelled and request.text is not None and text is not None and len(names) == 2:
        label = 1 - text
    if text is None:
        source.fail(_missing("text", names, TEXT_NAMES), line)
    if label is None and request.labelled:
        source.fail(_missing("label", names, LABEL_NAMES), line)
    if label == text:
        source.fail(f"text and label are both read from column {names[text]!r}; expected two different columns", line)
    return Columns(names[text], None if label is None else names[label], text, -1 if label is None else label)


def show_names(names: Sequence[str]) -> str:
    """The column names for a message, long ones and long lists cut."""
    shown = [repr(name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "...") for name in names]
    if len(shown) > SHOWN_NAMES:
        shown = [*shown[:SHOWN_NAMES], f"and {len(names) - SHOWN_NAMES} more"]
    return ", ".join(shown)


def _find(
    names: Sequence[str], wanted: str | None, guesses: Sequence[str], source: Source, line: int | None
) -> int | None:
    if wanted is not None:
        position = _position(names, wanted, source, line)
        if position is None:
            source.fail(f"there is no column {wanted!r}; the columns are {show_names(names)}", line)
        return position
    for guess in guesses:
        position = _position(names, guess, source, line)
        if position is not None:
            return position
    return None


def _position(names: Sequence[str], wanted: str, source: Source, line: int | None) -> int | None:
    exact = [position for position, name in enumerate(names) if name == wanted]
    folded = wanted.strip().casefold()
    found = exact or [position for position, name in enumerate(names) if name.strip().casefold() == folded]
    if len(found) > 1:
        source.fail(f"{len(found)} columns are called {wanted!r}; expected one: rename the others", line)
    return found[0] if found else None


def _missing(role: str, names: Sequence[str], guesses: Sequence[str]) -> str:
    return (
        f"no column looks like the {role}; the first line must name the columns, such as text,label, and here it gives "
        f"{show_names(names)}; name the {role} column (known names: {', '.join(guesses)}) or add that line"
    )
