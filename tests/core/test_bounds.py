"""The page of bounds says what follows from the format's limits, and none of them is above what its type holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from projgraph.pack import format as table

PAGE = Path(__file__).parents[2] / "docs" / "bounds.md"
LIMITS = {name: value for name, value in vars(table).items() if name.startswith("MAX_")}
ROWS = re.findall(
    r"^\| ([^|]+) \| `([^`]+)` \| ([\d,]+) \| 2\^(\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.mark.parametrize(("what", "formula", "value", "bits"), ROWS, ids=[row[0] for row in ROWS])
def test_a_sum_stays_below_what_its_type_holds(what: str, formula: str, value: str, bits: str) -> None:
    found = eval(formula, {"__builtins__": {}}, LIMITS)
    assert f"{found:,}" == value, what
    assert found < 2 ** int(bits), what


def test_every_line_of_the_page_is_read_and_every_limit_of_a_sum_stands_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROWS) == text.count("\n| ") - text.count("\n| number |")
    named = {name for name in LIMITS if re.search(rf"\b{name}\b", text)}
    # Lengths of n-grams, additions, columns and shifts bound no sum: they choose places within what is bounded above.
    assert set(LIMITS) - named == {"MAX_ADDITIONS", "MAX_CHARACTER_NGRAM", "MAX_COLUMNS", "MAX_SHIFT", "MAX_WORD_NGRAM"}
