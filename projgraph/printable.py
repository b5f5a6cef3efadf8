"""Text for a terminal, which the control characters of a path or a file must not reach."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with an escape, such as ``\\x1b``, in the place of each character that is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
