"""Where sums are largest and texts longest or emptiest, the core still finds the reference's integers."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.native import features, project
from projgraph.pack.format import MAX_BIAS, MAX_BITS, MAX_FEATURES, FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec

from . import reference
from .reference_head import constant_layer, file_of, model_of, natives_of, projection_of, random_file, texts_of

SIGNED = ProjectionSpec.for_text(bits=MAX_BITS, quantiser=Quantiser.SIGN)
SMALL = ProjectionSpec.for_text(bits=256)
NO_FILTER = ProjectionSpec.for_text(bits=256, seen_slots_log2=0)


def scores_of(data: bytes, *texts: bytes) -> list[list[int]]:
    """The reference's scores, after the core has found the same in every way it has."""
    model = model_of(data)
    expected = [model.scores(text) for text in texts]
    for native in natives_of(data):
        assert native.scores(texts_of(texts), threads=1).tolist() == expected
    return expected


@pytest.mark.parametrize(
    ("width", "weight", "bias", "expected"),
    [
        (8, -128, MAX_BIAS, MAX_BITS * 128 * 255 + MAX_BIAS),
        (8, 127, -MAX_BIAS, -MAX_BITS * 127 * 255 - MAX_BIAS),
        (4, -8, MAX_BIAS, MAX_BITS * 8 * 255 + MAX_BIAS),
        (4, 7, -MAX_BIAS, -MAX_BITS * 7 * 255 - MAX_BIAS),
        (2, -1, MAX_BIAS, MAX_BITS * 255 + MAX_BIAS),
        (2, 1, -MAX_BIAS, -MAX_BITS * 255 - MAX_BIAS),
        (1, -1, MAX_BIAS, MAX_BITS * 255 + MAX_BIAS),
        (1, 1, -MAX_BIAS, -MAX_BITS * 255 - MAX_BIAS),
    ],
)
def test_all_bits_below_zero_under_the_largest_weights(width: int, weight: int, bias: int, expected: int) -> None:
    layer = constant_layer(MAX_BITS, 3, weight, bias, width)
    assert scores_of(file_of(SIGNED, layer), b"") == [[expected] * 3]
    assert abs(expected) < 2**31


LOWEST = {8: -128, 4: -8, 2: -1, 1: -1}


@pytest.mark.parametrize("width", LOWEST)
def test_all_bits_above_zero_under_the_largest_weights(width: int) -> None:
    """One feature of as many additions as bits, each of them positive: found by trying seeds."""
    family = Family(FamilyKind.WORD, 1, 1, 4, 0, 4)
    weight = LOWEST[width]
    specs = (ProjectionSpec(1, 4, (family,), seed) for seed in range(1000))
    spec = next(spec for spec in specs if project(spec.to_bytes(), texts_of([b"a"])).values().tolist() == [[1] * 4])
    assert scores_of(file_of(spec, constant_layer(4, 3, weight, 0, width)), b"a") == [[4 * weight * 255] * 3]


@pytest.mark.parametrize(("hidden_width", "width"), [(8, 8), (4, 4), (2, 2), (1, 1)])
def test_hidden_units_at_their_ceiling(hidden_width: int, width: int) -> None:
    weight = LOWEST[width]
    hidden = constant_layer(MAX_BITS, 256, LOWEST[hidden_width], MAX_BIAS, hidden_width)
    data = file_of(SIGNED, constant_layer(256, 3, weight, -MAX_BIAS, width), hidden, shift=0)
    for native in natives_of(data):
        assert native.scores(texts_of([b""])).tolist() == [[256 * 127 * weight * 255 - MAX_BIAS] * 3]


def test_hidden_units_below_zero_stay_silent() -> None:
    hidden = constant_layer(MAX_BITS, 16, 127, -MAX_BIAS)
    assert scores_of(file_of(SIGNED, constant_layer(16, 3, -128, 17), hidden), b"") == [[17] * 3]


@pytest.mark.parametrize(("shift", "value"), [(0, 127), (23, 127), (24, 95), (29, 2), (30, 1)])
def test_the_shift_of_hidden_units_floors(shift: int, value: int) -> None:
    """(16,384 x 128 x 255 + 2^30 - 1) >> shift, at most 127."""
    assert value == min(127, (MAX_BITS * 128 * 255 + MAX_BIAS) >> shift)
    hidden = constant_layer(MAX_BITS, 9, -128, MAX_BIAS)
    data = file_of(SIGNED, constant_layer(9, 2, 1, 0), hidden, shift)
    assert scores_of(data, b"") == [[9 * value * 255] * 2]


@pytest.mark.parametrize("units", [0, 16])
def test_the_most_bits_with_random_weights(units: int) -> None:
    scores_of(random_file(SIGNED, classes=3, units=units), b"", b"where is my card")


def test_a_text_of_forty_thousand_features_is_cut() -> None:
    text = " ".join(f"w{index}" for index in range(40_000)).encode()
    found = features(NO_FILTER.to_bytes(), text.decode())
    assert found == reference.features(projection_of(NO_FILTER.to_bytes()), text)
    assert [sum(family == index for family, _ in found) for index in (0, 1)] == [MAX_FEATURES, MAX_FEATURES]
    scores_of(random_file(SMALL), text)


@pytest.mark.parametrize("seen_slots_log2", [0, 10])
def test_one_word_forty_thousand_times(seen_slots_log2: int) -> None:
    """Every sum is as large as it can be without the filter: 32,767 in size."""
    spec = ProjectionSpec.for_text(bits=64, word_share=1.0, word_ngrams=(1, 1), seen_slots_log2=seen_slots_log2)
    text = b"card " * 40_000
    counted = reference.features(projection_of(spec.to_bytes()), text)
    assert features(spec.to_bytes(), text.decode()) == counted
    assert len(counted) == (MAX_FEATURES if seen_slots_log2 == 0 else 1)
    sums = reference.sums(projection_of(spec.to_bytes()), text)
    assert max(map(abs, sums)) == len(counted)
    assert project(spec.to_bytes(), texts_of([text])).values().tolist() == [np.sign(sums).tolist()]


@pytest.mark.parametrize("piece", ["a", "日", "🙂", "!", "'", "\ud800"])
def test_a_hundred_kilobytes_without_spaces(piece: str) -> None:
    encoded = piece.encode("utf-8", "surrogatepass")
    text = encoded * (100_000 // len(encoded))
    scores_of(random_file(SMALL), text)


def test_fifty_kilobytes_of_random_bytes() -> None:
    scores_of(random_file(SMALL), np.random.default_rng(0).integers(0, 256, 50_000).astype(np.uint8).tobytes())


@pytest.mark.parametrize("quantiser", list(Quantiser))
@pytest.mark.parametrize(
    "text", ["", " ", " \t\n\0", "'", "’ʼ\u00ad\u200d\ufe0f\U000e0100", "'" * 1000, "\u0378 \u2028"]
)
def test_texts_without_a_feature(text: str, quantiser: Quantiser) -> None:
    spec = ProjectionSpec.for_text(bits=100, additions=4, quantiser=quantiser)
    assert features(spec.to_bytes(), text) == []
    bits = project(spec.to_bytes(), texts_of([text.encode()]))
    assert set(bits.values().ravel().tolist()) == ({0} if quantiser == Quantiser.TERNARY else {-1})
    data = random_file(spec)
    model = model_of(data)
    found = scores_of(data, text.encode())
    if quantiser == Quantiser.TERNARY:
        assert found == [model.output.bias]


def test_bits_behind_the_last_one_are_zero_in_both_planes() -> None:
    """Rows are compared bytewise, so what pads the last byte must not differ."""
    for quantiser in Quantiser:
        spec = ProjectionSpec.for_text(bits=101, additions=4, quantiser=quantiser)
        bits = project(spec.to_bytes(), texts_of([b"", b"where is my card"]))
        assert not (bits.positive[:, -1] >> 5).any()
        assert not (bits.negative[:, -1] >> 5).any()
