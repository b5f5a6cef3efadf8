"""How long the core takes for a text of 12 words, counted from a model's dimensions; nothing is measured or run.

The same settings must give the same bytes on every machine, so a budget of time is kept by prediction: the core's steps
are counted, and each kind has a price in whole picoseconds. The prices were fitted, as `benchmarks/tiers.py --fit` does
to models of many shapes on the reference machine, one x86-64 core of 3 to 3.5 GHz with AVX-512 (Xeon, 2026); of the
models of that benchmark nine in ten take 0.95 to 1.06 of what is predicted. Other machines take longer or shorter.

A text is 12 words of 4 letters, all of them in the model's table, if it has one. With a family's features n_f, its
additions a and its block of B_f bits, the rows of the layer over the bits that a text adds are

    r = sum of min(B_f, 4 a n_f B_f / (4 B_f + 3 a n_f))

which is near B (1 - exp(-m) I_0(m)), m = a n / B: the bits whose sum of signs is not zero. Under the quantiser of signs
every bit is one. A row of int8 or int4 weights is added in vectors of 32 bytes, shared weights byte by byte, and
sparse ones weight by weight. Rows of binary and ternary weights are counted, in parts of 64 bytes: that of a bit once,
that of a value once for each of its eight bits that is set, of which half are. Counts are then turned into sums, 32
bytes of a row at a time: of up to 252 rows on either side of zero, and of each of the eight bits of up to 64 values.
Those two prices are of nine passes over 24 such models, beside four of 128 units of int4 weights that tell how much
slower the machine was just then; it takes 0.86 to 1.22 of what is predicted.
"""

from __future__ import annotations

from projgraph.config import PackConfig, ProjectionConfig
from projgraph.pack.quantised import Shape

_DENSE = PackConfig()
WORDS = 12
LETTERS = 4
"""Of a word: 12 words are 59 characters; in English utterances of 12 words 57 (BANKING77, CLINC150)."""
_VECTOR = 32
_BLOCK = 512
_COUNTED_VECTOR = 64
_COUNTED = 252
_VALUES = 64
_VALUE_BITS = 8

PICOSECONDS = {
    "text": 218_000,
    "feature": 4_590,
    "touch": 1_220,
    "block": 78_000,
    "row": 458,
    "row_vector": 527,
    "layer_vector": 54_800,
    "value": 434,
    "byte_multiple": 1_050,
    "nibble_multiple": 1_990,
    "code": 811,
    "probe": 1_770,
    "filter_row": 1_340,
    "filter_vector": 387,
    "counted_row": 2_590,
    "turned": 57_400,
    "place": 1_270,
    "sparse_row": 20_000,
    "mask": 750,
    "sparse": 830,
}
"""The price of one step of each kind of `steps`."""


def predicted_nanoseconds(
    shape: Shape, weight_bits: int, projection: ProjectionConfig, known_words: int = 0, pack: PackConfig = _DENSE
) -> int:
    """Nanoseconds of one prediction in C, rounded up.

    Args:
        shape: inputs and outputs of the layers.
        weight_bits: of the layer over the bits; a layer behind hidden units has 8, or 4 where that one has fewer.
        projection: how texts become bits.
        known_words: in the model's table, 0 without one.
        pack: whether weights are pruned or shared.
    """
    counted = steps(shape, weight_bits, projection, known_words, pack)
    return -(-sum(PICOSECONDS[kind] * count for kind, count in counted.items()) // 1000)


def steps(
    shape: Shape, weight_bits: int, projection: ProjectionConfig, known_words: int = 0, pack: PackConfig = _DENSE
) -> dict[str, int]:
    """How often the core takes each kind of step for one text; arguments as of ``predicted_nanoseconds``."""
    features, rows = _features_and_rows(shape.n_bits, projection)
    hidden = shape.units or 0
    sums = shape.dimensions if known_words else 0
    # Zeros are passed over. A hidden unit is above zero for some two thirds of the texts (0.60 to 0.71 of them in four
    # models of BANKING77), a filter nearly always.
    behind = 2 * hidden // 3 + shape.filters
    windows = projection.words.width
    filter_rows = (WORDS * windows * shape.dimensions // 2 + windows * shape.dimensions) if shape.filters else 0
    counted = dict.fromkeys(PICOSECONDS, 0) | {
        "text": 1,
        "feature": features,
        "touch": features * -(-projection.additions // 4),
        "block": -(-shape.n_bits // _BLOCK),
        "row": rows,
        "value": sums + hidden + shape.filters,
        "code": WORDS * sums,
        "probe": WORDS * known_words.bit_length(),
        "filter_row": filter_rows,
        "filter_vector": filter_rows * _vectors(shape.filters, 8),
    }
    layers = [_layer_steps(shape.units or shape.classes, weight_bits, rows, sums + (0 if hidden else behind), pack)]
    if hidden:
        layers.append(_layer_steps(shape.classes, 8 if weight_bits >= 4 else 4, 0, behind, _DENSE))
    for layer in layers:
        for kind, count in layer.items():
            counted[kind] += count
    return counted


def _layer_steps(outputs: int, weight_bits: int, rows: int, values: int, pack: PackConfig) -> dict[str, int]:
    """The steps of one layer that adds so many rows of bits, and so many of values that are not zero."""
    octets, pruned = -(-outputs // 8), pack.pruning > 0
    if pruned and weight_bits > 1:
        kept = outputs - int(pack.pruning * outputs)
        return {"sparse_row": rows + values, "mask": (rows + values) * octets, "sparse": (rows + values) * kept}
    if pack.shared:
        return {"place": (rows + values) * -(-outputs // 2)}
    if weight_bits < 4:
        counted = rows + values * _VALUE_BITS // 2
        turns = 2 * -(-rows // (2 * _COUNTED)) + _VALUE_BITS * -(-values // _VALUES)
        return {
            "counted_row": counted * -(-octets * weight_bits // _COUNTED_VECTOR),
            "turned": turns * weight_bits * -(-octets // _VECTOR),
        }
    vectors = _vectors(outputs, weight_bits)
    # Of the layer over the bits, 4 bits make two layers of sums; one behind hidden units has no rows of bits.
    shares = 8 // weight_bits if rows else 1
    multiple = "byte_multiple" if weight_bits == 8 else "nibble_multiple"
    return {"row_vector": rows * vectors, "layer_vector": vectors * shares, multiple: values * vectors}


def _features_and_rows(bits: int, projection: ProjectionConfig) -> tuple[int, int]:
    """Features hashed, and rows added."""
    word_bits = round(bits * projection.word_share)
    shortest, longest = projection.word_ngrams
    words = sum(max(WORDS - n + 1, 0) for n in range(shortest, longest + 1))
    shortest, longest = projection.character_ngrams
    # A run is a word with a blank on either side; one n-gram in 12 repeats and counts once.
    characters = (WORDS - 1) * sum(max(LETTERS + 2 - n + 1, 0) for n in range(shortest, longest + 1))
    families = [(words, word_bits), (characters, bits - word_bits)]
    rows = sum(_rows(projection.additions * count, block) for count, block in families)
    features = sum(count for count, block in families if block)
    return features, bits if projection.quantiser == "sign" else rows


def _rows(additions: int, block: int) -> int:
    return min(block, 4 * additions * block // (4 * block + 3 * additions)) if block and additions else 0


def _vectors(outputs: int, weight_bits: int) -> int:
    """Of a row of weights."""
    return -(-outputs * weight_bits // (8 * _VECTOR))
