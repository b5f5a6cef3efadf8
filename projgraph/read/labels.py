"""A label as a file writes it becomes a class name or no label; it knows no format."""

from __future__ import annotations

import math
import re

NO_LABEL = frozenset({"", "NaN", "nan", "null", "None", "-1"})
"""Spellings of no label, after stripping. Other spellings, such as "none" or "NA", are class names."""

EXACT_INTEGERS = 2.0**53
_INTEGRAL = re.compile(r"(-?[0-9]+)\.0+")


def written_label(written: str) -> str | None:
    """The class name of a label in a format without types, or None for no label.

    A column of whole numbers with gaps is often written as 3.0 where 3 was meant, so 3.0 is class "3".
    """
    name = written.strip()
    if name.endswith("0") and (number := _INTEGRAL.fullmatch(name)):
        name = number[1] if number[1] != "-0" else "0"
    return None if name in NO_LABEL else name


def typed_label(value: object) -> str | None:
    """The class name of a label in a format with types (string, number, truth value, null), or None for no label.

    Raises:
        TypeError: the value is of another type or not finite; the message says what it is.
    """
    if value is None:
        return None
    if isinstance(value, str):
        name = value.strip()
    elif isinstance(value, bool):
        name = "true" if value else "false"
    elif isinstance(value, int):
        name = str(value)
    elif isinstance(value, float):
        name = _float_name(value)
    else:
        raise TypeError(f"the label is of type {type(value).__name__}; expected a string, a number or null")
    return None if name in NO_LABEL else name


def _float_name(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        raise TypeError("the label is an infinite number; expected a string, a number or null")
    return str(int(value)) if value.is_integer() and abs(value) < EXACT_INTEGERS else repr(value)
