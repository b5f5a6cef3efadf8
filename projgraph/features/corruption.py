"""Texts as people mistype them, cut them short or as a recogniser hears them, by seed; labels are unknown here.

``typing``: round(rate * n) of a text's n characters, the rounding drawn, are hit by one error each: a letter becomes
its neighbour on the keyboard, is typed beside that neighbour, is left out or changes places with the next one; a space
is left out or changes places. ``truncation``: that many characters are missing at the end. ``speech``: lower case and
no punctuation, and words that make up that many characters are misheard: a homophone, else a spelling by ear, else
nothing. A character is a grapheme in its simple form (a code point with its marks and joined ones), so that no mark
loses its letter. Rate 0 changes nothing. Each text has a generator of its own, drawn from the seed and its row.
Kinds of error after Belinkov & Bisk 2018 and Pruthi, Dhingra & Lipton 2019.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

import numpy as np

from projgraph.errors import ConfigError

_KEYS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_JOINERS = "\u200d\ufe0e\ufe0f"
_HOMOPHONES = (
    "to too two", "there their they're", "your you're", "its it's", "for four", "by buy bye", "hear here", "no know",
    "new knew", "right write", "which witch", "where wear", "would wood", "one won", "our hour", "be bee", "see sea",
    "week weak", "mail male", "sale sail", "whether weather", "i eye", "meet meat", "great grate", "ate eight",
    "flour flower", "fair fare", "plane plain", "cell sell", "cent sent", "check cheque", "then than", "affect effect",
    "principal principle", "past passed", "through threw", "wait weight", "way weigh", "whole hole", "been bin",
    "allowed aloud", "bear bare", "board bored", "brake break", "dear deer", "feel fill", "him hymn", "in inn",
    "made maid", "night knight", "pair pear", "peace piece", "road rode", "root route", "so sew", "some sum",
    "son sun", "stairs stares", "steal steel", "tail tale", "time thyme", "waist waste", "what watt", "not knot",
)  # fmt: skip
_BY_EAR = tuple(
    (re.compile(pattern), heard)
    for pattern, heard in (
        ("ph", "f"), ("tion", "shun"), ("ck", "k"), ("ght", "t"), ("^kn", "n"), ("wh", "w"), ("ce", "se"), ("qu", "kw"),
        ("x", "ks"), ("ea", "ee"), ("ou", "ow"), (r"(.)\1", r"\1"), ("c(?=[aou])", "k"), ("(?<=.)e$", ""),
        ("th", "d"), ("ing$", "in"), ("er$", "a"), ("(?<=.)h", ""),
    )
)  # fmt: skip


def _neighbours() -> dict[str, str]:
    """The keys around each key; a row stands half a key to the right of the one above."""
    around: dict[str, str] = {}
    for line, row in enumerate(_KEYS):
        for column, key in enumerate(row):
            places = [(line, column - 1), (line, column + 1), (line - 1, column), (line - 1, column + 1)]
            places += [(line + 1, column), (line + 1, column - 1)]
            found = [_KEYS[y][x] for y, x in places if 0 <= y < len(_KEYS) and 0 <= x < len(_KEYS[y])]
            around[key] = "".join(near for near in found if near.isalpha() == key.isalpha())
    return around


_NEIGHBOURS = _neighbours()
_SAME_SOUND = {
    word: [other for other in group.split() if other != word] for group in _HOMOPHONES for word in group.split()
}


def corrupt(texts: Iterable[str], rate: float, seed: int, kind: str = "typing") -> list[str]:
    """Corrupted copies of texts.

    Args:
        texts: n texts; lone surrogates stay as they are.
        rate: share of a text's characters that is hit, 0 to 1.
        seed: same seed, same copies; a text's copy does not depend on the other texts.
        kind: one of ``KINDS``.

    Returns:
        n texts; one may be empty where the rate is high.

    Raises:
        ConfigError: rate, seed or kind is out of range.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"the rate of corruption is {rate}; expected a share of characters, 0 to 1")
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; expected 0 or more")
    if kind not in _KINDS:
        raise ConfigError(f"the kind of corruption is {kind!r}; expected one of {', '.join(KINDS)}")
    if rate == 0:
        return list(texts)
    change = _KINDS[kind]
    return [change(text, rate, np.random.default_rng((seed, row))) for row, text in enumerate(texts)]


def _characters(text: str) -> list[str]:
    """A text cut between characters: marks, joiners and what is joined stay with what stands before them."""
    if text.isascii():
        return list(text)
    parts: list[str] = []
    for point in text:
        joined = point in _JOINERS or unicodedata.category(point)[0] == "M"
        if parts and (joined or parts[-1].endswith("\u200d")):
            parts[-1] += point
        else:
            parts.append(point)
    return parts


def _count(n: int, rate: float, generator: np.random.Generator) -> int:
    """rate * n, rounded up with the probability of its fraction, so that the mean is exact for short texts too."""
    return min(n, int(rate * n + generator.random()))


def _mistype(text: str, rate: float, generator: np.random.Generator) -> str:
    parts = _characters(text)
    hits = np.sort(generator.choice(len(parts), _count(len(parts), rate, generator), replace=False))
    letters = [part for part in parts if part.isalpha()]
    # From the end to the start, so that positions ahead still mean what they meant.
    for place in hits[::-1].tolist():
        part = parts[place]
        error = int(generator.integers(2, 4) if part.isspace() else generator.integers(4))
        if error == 3 and place + 1 < len(parts):
            parts[place], parts[place + 1] = parts[place + 1], part
        elif error >= 2:
            parts[place] = ""
        else:
            near = _slip(part, letters, generator)
            parts[place] = part + near if error else near
    return "".join(parts)


def _slip(part: str, letters: list[str], generator: np.random.Generator) -> str:
    """The key that a finger hit instead; of a script that the keyboard has not, another letter of the text."""
    near: str | list[str] = _NEIGHBOURS.get(part.lower(), "") or letters or [part]
    found = near[int(generator.integers(len(near)))]
    return found.upper() if part.isupper() else found


def _truncate(text: str, rate: float, generator: np.random.Generator) -> str:
    parts = _characters(text)
    return "".join(parts[: len(parts) - _count(len(parts), rate, generator)])


def _mishear(text: str, rate: float, generator: np.random.Generator) -> str:
    words = "".join(" " if _is_unheard(point) else point for point in text.lower()).split()
    left = _count(sum(len(word) for word in words), rate, generator)
    for place in generator.permutation(len(words)).tolist():
        # A word is hit with the probability that keeps the mean share of characters.
        if left <= 0 or generator.random() * len(words[place]) > left:
            break
        left -= len(words[place])
        words[place] = _misheard(words[place], generator)
    return " ".join(word for word in words if word)


def _is_unheard(point: str) -> bool:
    """Punctuation and symbols; an apostrophe is part of its word."""
    return unicodedata.category(point)[0] in "PS" and point != "'"


def _misheard(word: str, generator: np.random.Generator) -> str:
    same = _SAME_SOUND.get(word)
    if same:
        return same[int(generator.integers(len(same)))]
    heard = [changed for pattern, sound in _BY_EAR if (changed := pattern.sub(sound, word, count=1)) != word]
    return heard[int(generator.integers(len(heard)))] if heard else ""


_KINDS: dict[str, Callable[[str, float, np.random.Generator], str]] = {
    "typing": _mistype,
    "truncation": _truncate,
    "speech": _mishear,
}
KINDS = tuple(_KINDS)
"""What `corrupt` can do."""
