"""Generated headers are what their generators say, and every code point is read as `unicodedata` describes it."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from numpy.typing import NDArray

from projgraph.core import unicode_table
from projgraph.core.unicode_table import UNICODE_VERSION, CharClass, char_class, lower
from projgraph.native import features
from projgraph.pack import header
from projgraph.pack.format import FamilyKind
from projgraph.pack.projection import Family, ProjectionSpec

from .reference import MULT, K

UNICODE_14 = pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE_VERSION,
    reason=f"this Python carries Unicode {unicodedata.unidata_version}, the tables are of {UNICODE_VERSION}",
)
SPEC = ProjectionSpec(
    functions=1,
    function_bits=2,
    families=(Family(FamilyKind.WORD, 1, 1, 1, 0, 1), Family(FamilyKind.CHARACTER, 3, 3, 1, 1, 1)),
    seed=11,
    seen_slots_log2=0,
)
BATCH = 10_000
"""Code points in a text: at most three features of a family each, so fewer than are counted."""
Hashes = NDArray[np.uint64]


def test_the_format_header_is_what_the_table_generates() -> None:
    assert header.HEADER.read_text(encoding="utf-8") == header.render()


@UNICODE_14
def test_the_unicode_header_is_what_its_generator_says(
    classes: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unicode_table, "char_class", classes.tolist().__getitem__)  # the same values, computed once
    assert unicode_table.HEADER.read_text(encoding="utf-8") == unicode_table.render()


@pytest.fixture(scope="module")
def classes() -> NDArray[np.uint8]:
    return np.fromiter((char_class(point) for point in range(0x110000)), dtype=np.uint8, count=0x110000)


@UNICODE_14
def test_classes_follow_the_general_category(classes: NDArray[np.uint8]) -> None:
    categories = np.array([unicodedata.category(chr(point)) for point in range(0x110000)])
    initial = categories.astype("U1")
    selectors = [0xFE00 + i for i in range(16)] + [0xE0100 + i for i in range(240)] + [0x180B, 0x180C, 0x180D, 0x180F]
    ignored = categories == "Cf"
    ignored[[0x27, 0x2019, 0x2BC, *selectors]] = True
    expected = {
        CharClass.IGNORED: ignored,
        CharClass.WORD: np.isin(initial, ["L", "M", "N"]) & ~ignored,  # and UNSPACED, told apart below
        CharClass.SYMBOL: (np.isin(initial, ["P", "S"]) | (categories == "Co")) & ~ignored,
        CharClass.SPACE: (initial == "Z") | np.isin(categories, ["Cc", "Cn", "Cs"]),
    }
    merged = np.where(classes == CharClass.UNSPACED, CharClass.WORD, classes)
    for kind, points in expected.items():
        np.testing.assert_array_equal(np.flatnonzero(merged == kind), np.flatnonzero(points), err_msg=kind.name)
    assert char_class(0xFFFD) == CharClass.SYMBOL


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("漢㐀豈𠀀々ひカｶㄅ", CharClass.UNSPACED),
        ("กัลະກខ្កမြꦏᥐᦀꪀᨠ", CharClass.UNSPACED),
        ("aéßжωאعहত한𝒳٣½²7\u0301", CharClass.WORD),
        ("๑໑០၁", CharClass.WORD),
        ("!-_.€🙂、\ue000\ufffd", CharClass.SYMBOL),
        ("'’ʼ\u00ad\u200b\u200d\ufeff\ufe0f\U000e0100", CharClass.IGNORED),
        (" \t\n\0\u00a0\u2028\u3000\u0378\U0001ffff", CharClass.SPACE),
    ],
)
def test_classes_of_known_characters(text: str, kind: CharClass) -> None:
    assert {character: char_class(ord(character)) for character in text} == dict.fromkeys(text, kind)


def test_lower_case_is_the_first_code_point_of_pythons() -> None:
    assert [lower(ord(character)) for character in "AZaÉİẞΣ7"] == [ord(character) for character in "azaéißσ7"]


def extend(hashes: Hashes, points: Hashes) -> Hashes:
    hashes = (hashes ^ points) * np.uint64(MULT)
    return hashes ^ hashes >> np.uint64(29)


def mixed(hashes: Hashes) -> Hashes:
    hashes = (hashes ^ hashes >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    return hashes ^ hashes >> np.uint64(32)


def unigrams(*points: Hashes) -> Hashes:
    """The word family's hashes of tokens of these code points."""
    token = np.full(len(points[0]), 0x8AEBC0EB3F9A1D27, dtype=np.uint64)
    for point in points:
        token = extend(token, point)
    g = (np.uint64(0xA0761D6478BD642F) ^ token) * np.uint64(MULT)
    return mixed(g ^ g >> np.uint64(32) ^ np.uint64((11 + 0xE7037ED1A0B428DB) % 2**64))


def trigrams(*points: Hashes) -> Hashes:
    """The character family's."""
    total = np.full(len(points[0]), 3 * 0xA0761D6478BD642F % 2**64, dtype=np.uint64)
    for back, point in enumerate(reversed(points)):
        total += (point + np.uint64(1)) * np.uint64(K[back])
    return mixed(total ^ np.uint64((11 + 2 * 0xE7037ED1A0B428DB) % 2**64))


def chosen(columns: list[tuple[NDArray[np.bool_], Hashes]]) -> Hashes:
    """Each row's hashes where its condition holds, row by row."""
    conditions, hashes = zip(*columns, strict=True)
    return np.stack(hashes, axis=1)[np.stack(conditions, axis=1)]


def expected_features(points: NDArray[np.int64], kinds: NDArray[np.uint8]) -> tuple[Hashes, Hashes]:
    """Words and trigrams of the code points, each between x and y, written as one stretch for each."""
    low = np.array([lower(int(point)) for point in points], dtype=np.uint64)
    x, y, pad = (np.full(len(points), ord(character), dtype=np.uint64) for character in "xy ")
    joins, is_word, is_symbol = kinds == CharClass.IGNORED, kinds == CharClass.WORD, kinds == CharClass.SYMBOL
    inside = is_word | (kinds == CharClass.UNSPACED)
    apart = ~joins & ~is_word
    words = chosen(
        [
            (joins, unigrams(x, y)),
            (is_word, unigrams(x, low, y)),
            (apart, unigrams(x)),
            (is_symbol | (kinds == CharClass.UNSPACED), unigrams(low)),
            (apart, unigrams(y)),
        ]
    )
    broken = ~joins & ~inside
    grams = chosen(
        [
            (joins, trigrams(pad, x, y)),
            (joins, trigrams(x, y, pad)),
            (inside, trigrams(pad, x, low)),
            (inside, trigrams(x, low, y)),
            (inside, trigrams(low, y, pad)),
            (broken, trigrams(pad, x, pad)),
            (broken, trigrams(pad, y, pad)),
        ]
    )
    return words, grams


@UNICODE_14
def test_the_core_reads_every_code_point_as_the_table_says(classes: NDArray[np.uint8]) -> None:
    """All but surrogates, which UTF-8 does not have: a different class or lower case would give other features."""
    points = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x110000)])
    for start in range(0, len(points), BATCH):
        some = points[start : start + BATCH]
        found = features(SPEC.to_bytes(), "".join(f"x{chr(point)}y " for point in some))
        words, grams = expected_features(some, classes[some])
        assert [family for family, _ in found] == [0] * len(words) + [1] * len(grams), hex(some[0])
        hashes = np.fromiter((value for _, value in found), dtype=np.uint64, count=len(found))
        np.testing.assert_array_equal(hashes, np.concatenate([words, grams]), err_msg=hex(some[0]))
