from pathlib import Path

import pytest

from projgraph.errors import InputError
from projgraph.read import read_dataset, read_texts
from projgraph.read.columns import LABEL_NAMES, TEXT_NAMES, ColumnRequest, choose_columns
from projgraph.read.source import Source

SOURCE = Source(Path("some.csv"))


def positions(names: list[str], text: str | None = None, label: str | None = None) -> tuple[int, int]:
    columns = choose_columns(names, ColumnRequest(text, label), SOURCE, 1)
    return columns.text_position, columns.label_position


@pytest.mark.parametrize("text", TEXT_NAMES)
@pytest.mark.parametrize("label", LABEL_NAMES)
def test_known_names_are_guessed(text: str, label: str) -> None:
    assert positions(["id", label.upper(), f" {text.title()}"]) == (2, 1)


def test_the_first_guess_wins() -> None:
    assert positions(["label_text", "title", "label", "text"]) == (3, 2)


def test_names_asked_for_win_over_guesses() -> None:
    assert positions(["text", "label", "gold", "german"], "german", "gold") == (3, 2)
    assert positions(["a", "b"], "B", "A") == (1, 0)


def test_of_two_columns_the_other_one_is_the_other() -> None:
    assert positions(["what", "why"], text="why") == (1, 0)
    assert positions(["what", "why"], label="why") == (0, 1)


@pytest.mark.parametrize(
    ("names", "text", "label", "message"),
    [
        (["a", "label"], None, None, "no column looks like the text; .* it gives 'a', 'label'; name the text column"),
        (["text", "a"], None, None, r"no column looks like the label; .*known names: label, intent"),
        (["text", "label"], "body", None, "there is no column 'body'; the columns are 'text', 'label'"),
        (["text", "label"], None, "text", "text and label are both read from column 'text'"),
        (["text", "text", "label"], None, None, "2 columns are called 'text'; expected one"),
        (["Text", "TEXT", "label"], "text", None, "2 columns are called 'text'; expected one"),
    ],
)
def test_columns_that_cannot_be_chosen(names: list[str], text: str | None, label: str | None, message: str) -> None:
    with pytest.raises(InputError, match=r"^some\.csv, line 1: " + message):
        positions(names, text, label)


def test_a_file_without_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\nI am still waiting on my card?,card_arrival\nWhat can I do?,card_arrival\n")
    with pytest.raises(InputError, match=r"a\.csv, line 2: no column looks like the text; the first line must name"):
        read_dataset(path)


def test_many_names_are_cut() -> None:
    with pytest.raises(InputError, match=r"'c11', 'and 8 more'|'c11', and 8 more"):
        positions([f"c{number}" for number in range(20)])


def test_texts_need_no_label_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,utterance\n1,hi\n2,ho\n")
    assert list(read_texts(path)) == ["hi", "ho"]
    assert list(read_texts(path, text_column="id")) == ["1", "2"]
    with pytest.raises(InputError, match="no column looks like the label"):
        read_dataset(path)
