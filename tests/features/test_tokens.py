"""Words of a text by the device's classes of code points."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.features.tokens import SPELT_WORD, Tokens, token_of, tokenize
from projgraph.records import Texts


def words(text: str) -> list[str]:
    tokens = tokenize(Texts.from_strings([text]))
    return [tokens.vocabulary[index] for index in tokens.ids]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \t\n ", []),
        ("Hello, WORLD", ["hello", ",", "world"]),
        ("what's what\u2019s whats", ["whats", "whats", "whats"]),
        ("snake_case re-open", ["snake", "_", "case", "re", "-", "open"]),
        ("Straße ΩMEGA 7½", ["straße", "ωmega", "7½"]),
        ("İstanbul", ["istanbul"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zerowidth"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("我想查余额", ["我", "想", "查", "余", "额"]),
        ("iPhone手机3个", ["iphone", "手", "机", "3", "个"]),
        ("สวัสดี", list("สวัสดี")),
        ("カタひら ﾊﾝｶｸ", list("カタひらﾊﾝｶｸ")),
        ("안녕 하세요", ["안녕", "하세요"]),
        ("😀😀\ufe0f $5", ["😀", "😀", "$", "5"]),
        ("wait...?", ["wait", ".", ".", ".", "?"]),
        ("\ufffd\ue000x", ["\ufffd", "\ue000", "x"]),
        ("\ud800x\x00y", ["x", "y"]),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "text", ["Don't WAIT", "what\u2019s up", "l\u02bceau Straße ΩMEGA", "İstanbul", "안녕 하세요", "re-open it"]
)
def test_the_token_of_a_word_as_it_is_spelt(text: str) -> None:
    assert [token_of(spelt) for spelt in SPELT_WORD.findall(text)] == [word for word in words(text) if word != "-"]


def test_offsets_rows_and_counts() -> None:
    tokens = tokenize(Texts.from_strings(["b a b", "", "a"]))
    assert tokens.vocabulary == ("a", "b")
    assert tokens.ids.tolist() == [1, 0, 1, 0]
    assert tokens.offsets.tolist() == [0, 3, 3, 4]
    assert tokens.rows.tolist() == [0, 0, 0, 2]
    assert tokens.counts().toarray().tolist() == [[1, 2], [0, 0], [1, 0]]
    assert tokens.offsets.tolist() == [0, 3, 3, 4], "counting must not disturb the tokens"


def test_vocabulary_does_not_depend_on_the_order_of_the_texts() -> None:
    texts = ["zebra apple", "mango", "apple kiwi"]
    forward, backward = (tokenize(Texts.from_strings(order)) for order in (texts, texts[::-1]))
    assert forward.vocabulary == backward.vocabulary == ("apple", "kiwi", "mango", "zebra")


def test_no_texts() -> None:
    tokens = tokenize(Texts.from_strings([]))
    assert isinstance(tokens, Tokens)
    assert len(tokens) == 0
    assert tokens.vocabulary == ()
    assert tokens.ids.dtype == np.int32
