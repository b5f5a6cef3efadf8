from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projgraph.errors import ConfigError, ModelFileError
from projgraph.pack.format import FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec

WORDS = Family(FamilyKind.WORD, 1, 2, 8, 0, 1024)
CHARACTERS = Family(FamilyKind.CHARACTER, 3, 5, 8, 1024, 1024)


def test_default_layout_gives_words_and_characters_half_of_the_bits_each() -> None:
    spec = ProjectionSpec.for_text(seed=7)
    assert spec == ProjectionSpec(64, 32, (WORDS, CHARACTERS), seed=7, quantiser=Quantiser.TERNARY, seen_slots_log2=10)
    assert spec.n_bits == 2048


def test_bytes_are_the_ones_of_the_format_table() -> None:
    expected = struct.pack("<QHHBBBB", 7, 64, 32, 1, 2, 10, 0)
    expected += struct.pack("<BBBBIII", 1, 1, 2, 8, 0, 1024, 0) + struct.pack("<BBBBIII", 2, 3, 5, 8, 1024, 1024, 0)
    assert ProjectionSpec.for_text(seed=7).to_bytes() == expected


@given(
    bits=st.integers(32, 16384),
    word_share=st.floats(0, 1),
    additions=st.integers(1, 16),
    seed=st.integers(0, 2**64 - 1),
    quantiser=st.sampled_from(Quantiser),
    slots=st.integers(0, 16),
)
def test_layouts_fill_disjoint_blocks_and_survive_their_bytes(
    bits: int, word_share: float, additions: int, seed: int, quantiser: Quantiser, slots: int
) -> None:
    spec = ProjectionSpec.for_text(bits, word_share, additions, seed, quantiser, seen_slots_log2=slots)
    assert spec.n_bits == bits
    assert ProjectionSpec.from_bytes(spec.to_bytes()) == spec
    covered = sum(family.bit_count for family in spec.families)
    assert bits - additions < covered <= bits
    assert all(family.bit_count % additions == 0 for family in spec.families)
    share = sum(family.bit_count for family in spec.families if family.kind == FamilyKind.WORD) / bits
    assert abs(share - word_share) <= 2 * additions / bits  # rounding, bits left over, one part kept for each family
    assert len(spec.families) == 2 or word_share in (0.0, 1.0)


@pytest.mark.parametrize(("share", "kind"), [(0, FamilyKind.CHARACTER), (1.0, FamilyKind.WORD)])
def test_a_share_of_all_or_nothing_leaves_one_family(share: float, kind: FamilyKind) -> None:
    (family,) = ProjectionSpec.for_text(bits=100, word_share=share, functions=10).families
    assert (family.kind, family.first_bit, family.bit_count) == (kind, 0, 96)


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ({"bits": 0}, ["bits is 0; expected an integer from 1 to 16384"]),
        ({"bits": 15}, ["bits is 15; expected at least 16 for 8 additions"]),
        (
            {"bits": 1 << 20, "word_share": 3.0, "additions": 17},
            [
                "bits is 1048576; expected an integer from 1 to 16384",
                "word_share is 3.0; expected 0 to 1",
                "additions is 17; expected an integer from 1 to 16",
            ],
        ),
        ({"word_share": float("nan")}, ["word_share is nan; expected 0 to 1"]),
        (
            {"functions": 7, "seed": -1, "seen_slots_log2": 17, "word_ngrams": (3, 1), "character_ngrams": (0, 9)},
            [
                "functions is 7; expected a divisor of bits, 2048",
                "seed is -1; expected an integer from 0 to 18446744073709551615",
                "seen_slots_log2 is 17; expected an integer from 0 to 16",
                "families[0] takes n-grams from 3 to 1; expected 1 <= n_min <= n_max <= 4",
                "families[1] takes n-grams from 0 to 9; expected 1 <= n_min <= n_max <= 8",
            ],
        ),
        ({"quantiser": 5}, ["quantiser is 5; expected 0 (sign) or 1 (ternary)"]),
    ],
)
def test_for_text_reports_every_wrong_setting_at_once(settings: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        ProjectionSpec.for_text(**settings)
    assert str(caught.value).startswith("the projection cannot be used: ")
    assert [message for message in messages if message not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Family(3, 1, 2, 8, 0, 1024), "families[0].kind is 3; expected 1 (word) or 2 (character)"),  # type: ignore[arg-type]
        (Family(FamilyKind.WORD, 1, 5, 8, 0, 1024), "families[0] takes n-grams from 1 to 5"),
        (Family(FamilyKind.WORD, 1, 2, 0, 0, 1024), "families[0].additions is 0; expected 1 to 16"),
        (
            Family(FamilyKind.WORD, 1, 2, 8, 0, 1023),
            "families[0].bit_count is 1023; expected a multiple of additions, 8",
        ),
        (Family(FamilyKind.WORD, 1, 2, 8, 0, 0), "families[0] has the bits from 0 to 0; expected a block"),
        (Family(FamilyKind.WORD, 1, 2, 8, 2040, 16), "families[0] has the bits from 2040 to 2056"),
        (Family(FamilyKind.WORD, 1, 2, 8, 8, 1024), "families[0] and families[1] share bits"),
    ],
)
def test_families_are_checked(family: Family, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ProjectionSpec(64, 32, (family, CHARACTERS))
    assert message in str(caught.value)


def test_sizes_are_checked() -> None:
    with pytest.raises(ConfigError, match="functions x function_bits is 16512 bits; expected at most 16384"):
        ProjectionSpec(129, 128, (WORDS,))
    with pytest.raises(ConfigError, match="there are 0 families; expected 1 to 4"):
        ProjectionSpec(64, 32, ())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (b"", "has 0 bytes; expected at least 16"),
        (ProjectionSpec.for_text().to_bytes()[:-1], "has 47 bytes; expected 48 for 2 families"),
        (ProjectionSpec.for_text().to_bytes() + b"\0", "has 49 bytes; expected 48 for 2 families"),
        (struct.pack("<QHHBBBB", 0, 64, 32, 1, 0, 10, 0), "there are 0 families"),
        (struct.pack("<QHHBBBB", 0, 0, 32, 1, 0, 10, 0), "functions is 0; expected an integer from 1 to 16384"),
        (struct.pack("<QHHBBBB", 0, 64, 32, 9, 0, 10, 0), "quantiser is 9"),
        (struct.pack("<QHHBBBB", 0, 64, 32, 1, 0, 10, 1), "the projection's input is 1; expected 0 (text)"),
    ],
)
def test_wrong_sections_are_refused(section: bytes, message: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        ProjectionSpec.from_bytes(section)
    assert message in str(caught.value)
