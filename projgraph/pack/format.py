"""The one table of the `.pgb` model file: every magic number, field, section and limit; it reads and writes nothing.

The C header `projgraph/core/pg_format.h` is generated from this table (`python -m projgraph.pack.header`), and a test
fails when they differ. All integers are little-endian; offsets count from the first byte of the file.

    header (32 bytes) | section table (16 bytes each) | sections, each aligned to 16 bytes, zero padding between

The checksum is the CRC-32 of zlib over every byte from ``CHECKED_FROM`` to the end.

A bundle has the same layout under another magic number. Its table holds the distinct sections of many models, a kind as
often as it takes, and one section ``BundleSection.HEADS`` that says which of them make each head. All heads have the
same projection; whatever else has the same bytes in several heads stands there once too.

Minor versions: 1.0 holds projections of texts, 1.1 adds projections of vectors (``InputKind.VECTOR``), 1.2 adds word
codes and a convolution over them (``Section.WORDS``, ``Section.CONVOLUTION`` and what belongs to it), 1.3 a threshold
in the head, 1.4 weights of fewer than 4 bits, shared and sparse ones. A file carries the lowest minor version that
describes it, so a model of texts has the bytes it always had; what a reader does not know it refuses by the field,
whatever the minor version says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"PGB\x00"
BUNDLE_MAGIC = b"PGH\x00"
"""Of a file of many heads over one projection."""
MAJOR = 1
MINOR = 4
"""The highest that this version writes."""
VECTOR_MINOR = 1
"""The first that has projections of vectors."""
WORDS_MINOR = 2
"""The first that has word codes."""
THRESHOLD_MINOR = 3
"""The first that has a threshold below which no label is given."""
PACKED_MINOR = 4
"""The first that has weights of fewer than 4 bits, shared and sparse ones."""
ALIGNMENT = 16
CHECKED_FROM = 16
ROW_PADDING = 32
"""Zero bytes after the last weight row, so that a kernel may read whole vectors past a row's end."""


@dataclass(frozen=True)
class Field:
    """One field of a fixed structure: its name, its `struct` code and what it means."""

    name: str
    code: str
    meaning: str


HEADER = (
    Field("magic", "4s", "PGB and a zero byte"),
    Field("major", "H", "readers refuse another major version"),
    Field("minor", "H", "readers accept any minor version"),
    Field("length", "I", "bytes of the whole file"),
    Field("checksum", "I", "CRC-32 of bytes 16 to the end"),
    Field("sections", "I", "entries in the section table"),
    Field("reserved_0", "I", "zero"),
    Field("reserved_1", "I", "zero"),
    Field("reserved_2", "I", "zero"),
)

SECTION = (
    Field("kind", "I", "a Section value"),
    Field("offset", "I", "a multiple of 16"),
    Field("length", "I", "bytes, without padding"),
    Field("reserved", "I", "zero"),
)

PROJECTION = (
    Field("seed", "Q", "of every hash"),
    Field("functions", "H", "T, the paper's projection functions"),
    Field("function_bits", "H", "d, the bits of each"),
    Field("quantiser", "B", "a Quantiser value"),
    Field("families", "B", "feature families that follow; 0 for vectors"),
    Field("seen_slots_log2", "B", "log2 of the repeat filter's slots; 0 counts every occurrence, and for vectors"),
    Field("input", "B", "an InputKind value"),
)

VECTOR = (
    Field("columns", "I", "columns of a row"),
    Field("scale", "f", "integer value = round(x * scale), half to even, clipped to 16 bits"),
    Field("additions", "H", "signed additions of one column"),
    Field("thresholds", "B", "1: an int32 a bit follows, which its sum is compared with; 0: zero for every bit"),
    Field("reserved_0", "B", "zero"),
    Field("reserved_1", "I", "zero"),
)
"""Behind the projection's fields where the input is a vector."""

FAMILY = (
    Field("kind", "B", "a FamilyKind value"),
    Field("n_min", "B", "shortest n-gram"),
    Field("n_max", "B", "longest n-gram"),
    Field("additions", "B", "signed additions of one feature"),
    Field("first_bit", "I", "start of the family's own block of bits"),
    Field("bit_count", "I", "size of that block, a multiple of additions"),
    Field("reserved", "I", "zero"),
)

HEAD = (
    Field("kind", "B", "a HeadKind value"),
    Field("weight_bits", "B", "of the output layer, and how they are stored"),
    Field("hidden_weight_bits", "B", "of the hidden layer, likewise; 0 without one"),
    Field("hidden_shift", "B", "right shift of a hidden sum"),
    Field("classes", "H", "outputs"),
    Field("units", "H", "hidden units, 0 without a hidden layer"),
    Field("scale", "f", "logit = integer score * scale"),
    Field("threshold", "i", "a largest score below it gives no label; 0 for none"),
)

WEIGHTS_BITS = 0x0F
WEIGHTS_SHARED = 0x10
WEIGHTS_SPARSE = 0x20
CODEBOOK_SIZE = 16
SPARSE_BLOCK = 16
"""Rows of a sparse layer whose values are counted from a number of their own.

A layer's weights stand in the file as `weight_bits` of the head says, its low four bits and these flags:

    8        a row an input, a signed byte an output
    4        half a byte an output: byte k of a row holds outputs k (low) and k + ceil(outputs / 2) (high), signed
    2        ternary: the bits of the outputs that are +1, then of those that are -1, ceil(outputs / 8) bytes each
    1        binary: the bits of the outputs that are +1; a bit that is not set is -1
    shared   of 4 bits alone: CODEBOOK_SIZE signed bytes come first, and half a byte is a place among them
    sparse   not of 1 bit: behind the codebook, if any, a uint32 for every SPARSE_BLOCK rows, the number of values
             before it; then the rows, a bit an output that is set where there is a value; then the values of all rows
             one after the other, low bits first, of 8 bits, of 4, or of 1 for ternary ones: set for -1

Bit i of bytes is bit i % 8 of byte i // 8; what is unused in a row's last byte is zero. ROW_PADDING zero bytes end the
section."""

WEIGHT_NAMES = {
    8: "int8",
    4: "int4",
    4 | WEIGHTS_SHARED: "shared",
    2: "ternary",
    1: "binary",
    8 | WEIGHTS_SPARSE: "sparse int8",
    4 | WEIGHTS_SPARSE: "sparse int4",
    4 | WEIGHTS_SHARED | WEIGHTS_SPARSE: "sparse shared",
    2 | WEIGHTS_SPARSE: "sparse ternary",
}
"""What people call the weights of each byte that a head may have for them; readers refuse any other."""

WORDS = (
    Field("count", "I", "words of the table"),
    Field("dimensions", "H", "D, the numbers of -1 and +1 in a word's code, a multiple of 8"),
    Field("norm_shift", "B", "a code sum is worth 2**norm_shift times the sum over the root of its squared weights"),
    Field("reserved", "B", "zero"),
)
"""In front of `count` uint32 entries (fingerprint, and the class of its weight in the low two bits), ascending, and as
many codes of D / 8 bytes, bit i of byte i // 8 set for +1."""

CONVOLUTION = (
    Field("filters", "H", "filters"),
    Field("width", "B", "words of a window"),
    Field("shift", "B", "right shift of a filter's largest sum"),
    Field("reserved", "I", "zero"),
)


HEADS = (
    Field("count", "I", "heads of the bundle"),
    Field("slots", "I", "sections of a head that the directory has room for, one for each kind"),
)
"""In front of count + 1 uint32 offsets of the heads' names, count x slots uint16 numbers, and the names in UTF-8. Slot
k of a head is 0 where it has no section of kind k, else 1 and the row of the section table that is its section; slot 0
is its provenance."""


class BundleSection(IntEnum):
    """The kind of section that bundles have beside those of their heads, which may repeat."""

    HEADS = 0x7001


class Section(IntEnum):
    """Kinds of section; a reader skips one that it does not know from 0x8000 on, and refuses the file below."""

    PROJECTION = 1
    HEAD = 2
    WEIGHTS = 3
    BIAS = 4
    MULTIPLIERS = 5
    HIDDEN_WEIGHTS = 6
    HIDDEN_BIAS = 7
    HIDDEN_MULTIPLIERS = 8
    LABELS = 9
    WORDS = 10
    CONVOLUTION = 11
    CONVOLUTION_WEIGHTS = 12
    CONVOLUTION_BIAS = 13
    CONVOLUTION_MULTIPLIERS = 14
    PROVENANCE = 0x8001


class Quantiser(IntEnum):
    """How a projection's sum becomes a bit."""

    SIGN = 0
    TERNARY = 1


class InputKind(IntEnum):
    """What a row is that becomes bits."""

    TEXT = 0
    VECTOR = 1


class FamilyKind(IntEnum):
    """Which n-grams a feature family takes from a text."""

    WORD = 1
    CHARACTER = 2


class HeadKind(IntEnum):
    """The layers behind the bits."""

    LINEAR = 1
    HIDDEN = 2


MAX_LENGTH = 1 << 28
MAX_SECTIONS = 64
MAX_HEADS = 4096
MAX_BUNDLE_SECTIONS = 65535
MAX_BITS = 16384
MAX_FAMILIES = 4
MAX_WORD_NGRAM = 4
MAX_CHARACTER_NGRAM = 8
MAX_ADDITIONS = 16
MAX_FEATURES = 32767
"""Features of one family that a text can have; the rest of a longer text is not looked at."""
MAX_SEEN_SLOTS_LOG2 = 16
MAX_COLUMNS = 1 << 24
MAX_VALUES = 65535
"""Values other than zero that a vector can have: so many times 2**15 fit a 32-bit sum."""
MAX_CLASSES = 4096
MAX_UNITS = 256
MAX_SHIFT = 30
MAX_BIAS = (1 << 30) - 1
MAX_WORDS = 4096
"""Tokens of a text that word codes look at; the rest of a longer text counts for the bits alone."""
MAX_VOCABULARY = 1 << 20
MIN_DIMENSIONS = 8
MAX_DIMENSIONS = 128
MAX_NORM_SHIFT = 6
MAX_FILTERS = 128
MAX_WIDTH = 5
MAX_INPUT_SUM = 32896
"""Of a layer whose weights are bytes: its bits and 127 times its other inputs, so that sums stay below 2**31 (x 128 x
255 + MAX_BIAS)."""


def struct_code(fields: tuple[Field, ...]) -> str:
    """The `struct` format of a fixed structure."""
    return "<" + "".join(field.code for field in fields)
