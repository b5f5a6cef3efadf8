"""Corrupted copies: how much is hit, what may never happen, and that a seed says it all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.errors import ConfigError
from projgraph.features.corruption import KINDS, corrupt

TEXTS = ["Where is my new card, it hasn't arrived for two weeks?", "transfer $40 to my savings account", "no", ""]


def distance(one: str, other: str) -> int:
    """Edits with neighbouring transpositions (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


@pytest.mark.parametrize("kind", KINDS)
def test_rate_zero_changes_nothing(kind: str) -> None:
    assert corrupt(TEXTS, 0, 0, kind) == TEXTS


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_depends_on_seed_and_row_alone(kind: str) -> None:
    whole = corrupt(TEXTS, 0.2, 3, kind)
    assert whole == corrupt(TEXTS, 0.2, 3, kind)
    assert whole[:2] == corrupt([*TEXTS[:2], "other", "texts"], 0.2, 3, kind)[:2]
    assert whole[0] != TEXTS[0]


def test_seeds_differ() -> None:
    copies = {corrupt(TEXTS[:1], 0.2, seed)[0] for seed in range(20)}
    assert len(copies) == 20


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_typing_errors_are_as_many_as_the_rate_says(rate: float) -> None:
    text = "abcdefghijklmnopqrstuvwxyz 123456 ABCDEFGH"
    edits = np.array([distance(text, copy) for copy in corrupt([text] * 300, rate, 0)])
    # One error is one edit; where two meet they may be one edit together, or three.
    assert edits.max() <= np.ceil(rate * len(text)) + 2
    assert rate * len(text) * 0.9 < edits.mean() <= rate * len(text) * 1.03


def test_a_slip_is_a_key_beside_the_right_one_in_the_same_case() -> None:
    slips = {copy for copy in corrupt(["s"] * 200 + ["S"] * 200, 1.0, 0) if len(copy) == 1}
    assert slips == set("awedzx") | set("AWEDZX")


def test_a_script_without_a_key_is_mistyped_with_its_own_letters() -> None:
    text = "где моя карта"
    copies = corrupt([text] * 100, 0.3, 0)
    assert {letter for copy in copies for letter in copy} <= set(text)
    assert copies[0] != text


def test_truncation_cuts_the_end() -> None:
    copies = corrupt(["0123456789"] * 50, 0.3, 0, "truncation")
    assert set(copies) == {"0123456"}
    lengths = [len(copy) for copy in corrupt(["0123456789"] * 400, 0.25, 0, "truncation")]
    assert set(lengths) == {7, 8}
    assert np.mean(lengths) == pytest.approx(7.5, abs=0.1)


def test_speech_has_no_capitals_and_no_punctuation() -> None:
    copies = corrupt(["My card, it's NOT here!", "Stop: now."] * 50, 0.2, 0, "speech")
    assert all(copy == copy.lower() and not set(copy) & set(",!:.") for copy in copies)


def test_speech_knows_words_that_sound_alike() -> None:
    assert set(corrupt(["their"] * 50, 1.0, 0, "speech")) == {"there", "they're"}
    # The share of characters that misheard words have is the rate in the mean.
    copies = corrupt(["two two two two two two two two two two"] * 300, 0.2, 0, "speech")
    assert np.mean([sum(word != "two" for word in copy.split()) for copy in copies]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("kind", KINDS)
@given(st.text(max_size=40), st.floats(0, 1), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_any_text_stays_a_text(kind: str, text: str, rate: float, seed: int) -> None:
    (copy,) = corrupt([text], rate, seed, kind)
    copy.encode()
    assert "\0" not in copy or "\0" in text
    if kind != "speech":
        assert len(copy) <= 2 * len(text) * (1 + max(map(len, text), default=0))


def test_marks_keep_their_letter() -> None:
    family, marked = "\U0001f469\u200d\U0001f469\u200d\U0001f467", "e\u0301"
    for copy in corrupt([family + marked + "n"] * 60, 0.6, 0):
        assert not copy.replace(family, "").replace(marked, "").replace("n", "").strip("bhjm\u0301")
        assert not copy.startswith("\u0301")


def test_lone_surrogates_pass() -> None:
    assert corrupt(["\ud800"] * 4, 0.0, 0) == ["\ud800"] * 4
    assert set("".join(corrupt(["\ud800 ab"] * 20, 0.5, 0))) >= {"\ud800"}


@pytest.mark.parametrize(
    ("rate", "seed", "kind", "message"),
    [
        (1.5, 0, "typing", "the rate of corruption is 1.5; expected a share of characters, 0 to 1"),
        (float("nan"), 0, "typing", "the rate of corruption is nan; expected a share of characters, 0 to 1"),
        (0.1, -1, "typing", "the seed is -1; expected 0 or more"),
        (0.1, 0, "ocr", "the kind of corruption is 'ocr'; expected one of typing, truncation, speech"),
    ],
)
def test_bad_settings_are_told(rate: float, seed: int, kind: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        corrupt(TEXTS, rate, seed, kind)
    assert str(error.value) == message
