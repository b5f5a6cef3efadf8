"""Generates pg_unicode.h, the core's class and lower case of every code point; it knows nothing of features.

    python -m projgraph.core.unicode_table

The facts come from `unicodedata` of Python 3.11 (Unicode 14.0.0) and, for the scripts written without spaces, from the
names of their characters, because `unicodedata` does not carry scripts. Classes below ``TABLE_END`` are run-length
coded in blocks of ``BLOCK`` code points, found through a two-stage index; lower case is a two-stage index of deltas.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path

from projgraph.atomic import atomic_write
from projgraph.errors import OutputError

UNICODE_VERSION = "14.0.0"
HEADER = Path(__file__).with_name("pg_unicode.h")

TABLE_END = 0x20000
"""Code points from here on are few long ranges, listed as such."""
BLOCK = 128
BLOCKS_PER_PAGE = 4
LONGEST_RUN = 31
LOWER_BLOCK = 8
LOWER_PER_PAGE = 32


class CharClass(IntEnum):
    """What a code point means to the reader of a text."""

    SPACE = 0
    WORD = 1
    UNSPACED = 2
    SYMBOL = 3
    IGNORED = 4


UNSPACED_NAMES = (
    "AHOM ",
    "BALINESE ",
    "BOPOMOFO ",
    "CJK COMPATIBILITY IDEOGRAPH",
    "CJK UNIFIED IDEOGRAPH",
    "COMBINING KATAKANA",
    "HALFWIDTH KATAKANA",
    "HENTAIGANA ",
    "HIRAGANA ",
    "IDEOGRAPHIC ",
    "JAVANESE ",
    "KATAKANA",
    "KHITAN ",
    "KHMER ",
    "LAO ",
    "MYANMAR ",
    "NEW TAI LUE ",
    "NUSHU ",
    "TAI LE ",
    "TAI THAM ",
    "TAI VIET ",
    "TANGUT ",
    "THAI ",
    "VERTICAL IDEOGRAPHIC ",
    "YI SYLLABLE ",
)
"""How the names of the letters and marks of scripts written without spaces begin."""

APOSTROPHES = (0x27, 0x2019, 0x2BC)
VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x180E), range(0x180F, 0x1810))


def char_class(point: int) -> CharClass:
    """The class of one code point."""
    character = chr(point)
    category = unicodedata.category(character)
    if point in APOSTROPHES or category == "Cf" or any(point in selectors for selectors in VARIATION_SELECTORS):
        return CharClass.IGNORED
    if category[0] in "LM":
        unspaced = unicodedata.name(character, "").startswith(UNSPACED_NAMES)
        return CharClass.UNSPACED if unspaced else CharClass.WORD
    if category[0] == "N":
        return CharClass.WORD
    return CharClass.SYMBOL if category[0] in "PS" or category == "Co" else CharClass.SPACE


def lower(point: int) -> int:
    """The first code point of the lower-cased character."""
    return ord(chr(point).lower()[0])


def _runs(classes: Sequence[int], longest: int) -> Iterator[tuple[int, int]]:
    """(class, length) of the maximal runs, longer ones cut."""
    start = 0
    for end in range(1, len(classes) + 1):
        if end == len(classes) or classes[end] != classes[start] or end - start == longest:
            yield classes[start], end - start
            start = end


def _encoded_block(classes: Sequence[int]) -> bytes:
    """One byte a run: class in the low three bits, length above; length 0 reaches to the end of the block."""
    runs = list(_runs(classes, LONGEST_RUN))
    while len(runs) > 1 and runs[-1][0] == runs[-2][0]:
        runs.pop()
    runs[-1] = (runs[-1][0], 0)
    return bytes(kind | length << 3 for kind, length in runs)


def _pages(entries: Sequence[int], size: int) -> tuple[list[int], list[int]]:
    """A two-stage index: page number of each group of entries, then the distinct pages one after the other."""
    pages: dict[tuple[int, ...], int] = {}
    top = [pages.setdefault(tuple(entries[start : start + size]), len(pages)) for start in range(0, len(entries), size)]
    return top, [entry for page in pages for entry in page]


def _class_tables() -> tuple[list[int], list[int], list[int]]:
    """Page numbers, pages of offsets, and the run bytes they point into."""
    classes = [int(char_class(point)) for point in range(TABLE_END)]
    runs = bytearray()
    found: dict[bytes, int] = {}
    offsets = []
    for start in range(0, TABLE_END, BLOCK):
        block = _encoded_block(classes[start : start + BLOCK])
        if block not in found:
            found[block] = len(runs)
            runs += block
        offsets.append(found[block])
    top, pages = _pages(offsets, BLOCKS_PER_PAGE)
    return top, pages, list(runs)


def _lower_tables() -> tuple[list[int], list[int], list[int], list[int]]:
    """Page numbers, pages of leaf numbers, leaves of delta numbers, and the deltas."""
    deltas = [lower(point) - point for point in range(TABLE_END)]
    distinct = sorted(set(deltas), key=lambda delta: (abs(delta), delta))
    number = {delta: index for index, delta in enumerate(distinct)}
    leaves, flat = _pages([number[delta] for delta in deltas], LOWER_BLOCK)
    top, pages = _pages(leaves, LOWER_PER_PAGE)
    return top, pages, flat, distinct


def _far_ranges() -> list[tuple[int, int]]:
    """(first code point, class) of each range from TABLE_END on."""
    ranges: list[tuple[int, int]] = []
    for point in range(TABLE_END, 0x110000):
        kind = int(char_class(point))
        if not ranges or ranges[-1][1] != kind:
            ranges.append((point, kind))
    return ranges


def _array(name: str, code: str, values: Sequence[int]) -> str:
    """One C array, as many values on a line as fit."""
    lines = [f"static const {code} {name}[{len(values)}] = {{"]
    line = "   "
    for value in values:
        text = f" {value},"
        if len(line) + len(text) > 100:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([*lines, line, "};"])


WIDTHS = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "int32_t": 4}


def _is_ascii_word(byte: int) -> bool:
    return byte < 128 and char_class(byte) == CharClass.WORD


def render() -> str:
    """The text of pg_unicode.h; pg_word_byte is the lower case of a byte that is a whole word character, else 0."""
    class_top, class_pages, class_runs = _class_tables()
    lower_top, lower_pages, lower_leaves, lower_deltas = _lower_tables()
    far = _far_ranges()
    arrays = [
        ("pg_ascii_class", "uint8_t", [int(char_class(point)) for point in range(128)]),
        ("pg_word_byte", "uint8_t", [lower(byte) if _is_ascii_word(byte) else 0 for byte in range(256)]),
        ("pg_class_top", "uint8_t", class_top),
        ("pg_class_pages", "uint16_t", class_pages),
        ("pg_class_runs", "uint8_t", class_runs),
        ("pg_far_first", "uint32_t", [first for first, _ in far]),
        ("pg_far_class", "uint8_t", [kind for _, kind in far]),
        ("pg_lower_top", "uint8_t", lower_top),
        ("pg_lower_pages", "uint8_t", lower_pages),
        ("pg_lower_leaves", "uint8_t", lower_leaves),
        ("pg_lower_deltas", "int32_t", lower_deltas),
    ]
    size = sum(WIDTHS[code] * len(values) for _, code, values in arrays)
    constants = {f"PG_CLASS_{kind.name}": int(kind) for kind in CharClass} | {
        "PG_TABLE_END": TABLE_END,
        "PG_CLASS_BLOCK": BLOCK,
        "PG_CLASS_PER_PAGE": BLOCKS_PER_PAGE,
        "PG_LOWER_BLOCK": LOWER_BLOCK,
        "PG_LOWER_PER_PAGE": LOWER_PER_PAGE,
        "PG_FAR_RANGES": len(far),
    }
    parts = [
        "/* Class and lower case of every code point; generated, do not edit:\n"
        " *     python -m projgraph.core.unicode_table\n"
        f" * Unicode {UNICODE_VERSION}; {size} bytes of tables. */",
        "#ifndef PG_UNICODE_H\n#define PG_UNICODE_H\n\n#include <stdint.h>",
        "\n".join(f"#define {name} {value}u" for name, value in constants.items()),
        "/* clang-format off */",
        *(_array(name, code, values) for name, code, values in arrays),
        "/* clang-format on */\n\n#endif",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write pg_unicode.h beside this file."""
    if unicodedata.unidata_version != UNICODE_VERSION:
        raise OutputError(
            f"this Python carries Unicode {unicodedata.unidata_version}, the format fixes {UNICODE_VERSION}: "
            "generate pg_unicode.h with Python 3.11"
        )
    atomic_write(HEADER, render().encode())


if __name__ == "__main__":
    main()
