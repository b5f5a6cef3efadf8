"""The projection section of vectors (how a row of numbers becomes bits), checked and turned to bytes and back.

A column j with a value that is not zero adds to one bit of each of ``additions`` parts that share the bits evenly. All
arithmetic is on unsigned 64-bit integers, ``mix`` and ``MULT`` as for the features of a text:

    value = round(x * scale), half to even, clipped to int16
    w = mix(((j + 1) * MULT) ^ (seed + 3 * 0xE7037ED1A0B428DB))
    for i in 0..additions-1: field = 16 bits (i % 4) of w, low first; start = floor(i * bits / additions);
        size = floor((i + 1) * bits / additions) - start;
        sum[start + ((field * size) >> 16)] += -value if field is odd else value
        after each 4 fields w = mix(w + MULT)
    bit = sign(sum - threshold)                   (ternary; the sign quantiser has -1 where that is zero)

Chosen on training rows held out, the hidden head of 128 units (`benchmarks/LOG.md`). MNIST, 2,048 bits, 4, 8, 16, 32,
64, 256 additions: thresholds at the mean 97.6, 97.9, 98.0, 97.8, 97.6, 97.8 %, zero 96.4, 97.4, 97.7, 97.7, 97.6, 97.7,
ternary at zero 97.2, 97.6, 97.7, 97.7, 97.7, 97.6: 6 columns a bit are enough. Rows of few columns want spread
thresholds, where the mean gives the same bits again and again: iris 96.7 against 88.3 %, two moons 97.5 against 84.0,
20 columns of `make_classification` 88.1 against 87.0, MNIST's first 12,000 rows 95.6 both.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from projgraph import native
from projgraph.errors import ConfigError, ModelFileError
from projgraph.pack.format import MAX_BITS, MAX_COLUMNS, VECTOR, InputKind, Quantiser, struct_code
from projgraph.pack.projection import (
    DEFAULT_FUNCTIONS,
    PROJECTION_STRUCT,
    UNUSABLE,
    ProjectionSpec,
    choices,
    is_integer,
    member,
)
from projgraph.records import FloatArray, Vectors

VECTOR_STRUCT = struct.Struct(struct_code(VECTOR))
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
LARGEST_SCALE = float(np.finfo(np.float32).max)
COLUMNS_PER_BIT = 6
"""Columns that add to a bit, where their additions are not given."""
Thresholds = Literal["auto", "zero", "mean", "spread"]
_FEWEST_ADDITIONS = 2
_GOLDEN = (math.sqrt(5) - 1) / 2
_LARGEST_WHOLE = 32767
_LARGEST_SCALED = 13
_ROWS = 4096
_INPUT_AT = PROJECTION_STRUCT.size - 1


@dataclass(frozen=True)
class VectorSpec:
    """How a row of ``columns`` numbers becomes ``functions * function_bits`` bits.

    Attributes:
        functions: T, the paper's projection functions.
        function_bits: d, the bits of each.
        columns: numbers in a row.
        additions: signed additions of one column, at most as many as bits.
        scale: ``value = round(x * scale)``, a float32 value above zero.
        thresholds: (n_bits,) int32 that each sum is compared with; None is zero everywhere.
        seed: of every hash, 0 to 2**64 - 1.
        quantiser: how a sum becomes a bit.

    Raises:
        ConfigError: listing every wrong setting at once.
    """

    functions: int
    function_bits: int
    columns: int
    additions: int
    scale: float = 1.0
    thresholds: NDArray[np.int32] | None = None
    seed: int = 0
    quantiser: Quantiser = Quantiser.SIGN

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(UNUSABLE + "; ".join(problems))

    @property
    def n_bits(self) -> int:
        """T x d."""
        return self.functions * self.function_bits

    def _problems(self) -> Iterator[str]:
        ranges = {
            "seed": (0, (1 << 64) - 1),
            "functions": (1, MAX_BITS),
            "function_bits": (1, MAX_BITS),
            "columns": (1, MAX_COLUMNS),
        }
        for name, (low, high) in ranges.items():
            if not is_integer(getattr(self, name), low, high):
                yield f"{name} is {getattr(self, name)}; expected an integer from {low} to {high}"
                if name.startswith("function"):
                    return
        if self.n_bits > MAX_BITS:
            yield f"functions x function_bits is {self.n_bits} bits; expected at most {MAX_BITS}"
        if not is_integer(self.additions, 1, self.n_bits):
            yield f"additions is {self.additions}; expected an integer from 1 to the number of bits, {self.n_bits}"
        if self.quantiser not in set(Quantiser):
            yield f"quantiser is {self.quantiser}; expected {choices(Quantiser)}"
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE or float(np.float32(self.scale)) != self.scale:
            yield f"scale is {self.scale}; expected a positive normal float32 number"
        if self.thresholds is not None and (
            self.thresholds.dtype != np.int32 or self.thresholds.shape != (self.n_bits,)
        ):
            found = f"{self.thresholds.dtype.name} of shape {self.thresholds.shape}"
            yield f"thresholds are {found}; expected int32 of shape ({self.n_bits},)"

    @classmethod
    def for_rows(
        cls,
        vectors: Vectors,
        bits: int,
        additions: int | None = None,
        seed: int = 0,
        quantiser: Quantiser | None = None,
        thresholds: Thresholds = "auto",
        functions: int | None = None,
    ) -> VectorSpec:
        """The projection that suits training rows: its scale and its thresholds are measured on them.

        Whole numbers stay as they are; others are scaled by a power of two that leaves room for values four times as
        large as any here.

        Args:
            vectors: the training rows.
            bits: T x d.
            additions: of a column; None aims at ``COLUMNS_PER_BIT``.
            seed: of every hash, and of the rows that spread thresholds look at.
            quantiser: None is sign for dense rows and ternary for sparse ones.
            thresholds: what sums are compared with: "zero"; "mean", of the sums; "spread", quantiles of them from 0.1
                to 0.9, another for each bit; "auto" is spread for dense rows and zero for sparse ones.
            functions: a divisor of ``bits``.

        Raises:
            ConfigError: listing every wrong setting at once.
        """
        divisor = math.gcd(bits, DEFAULT_FUNCTIONS) if functions is None else functions
        if not is_integer(divisor, 1, bits) or bits % divisor:
            raise ConfigError(f"{UNUSABLE}functions is {functions}; expected a divisor of bits, {bits}")
        if additions is None:
            wanted = max(round(COLUMNS_PER_BIT * bits / vectors.n_columns), _FEWEST_ADDITIONS)
            additions = max(min(wanted, bits // 2), 1)
        if quantiser is None:
            quantiser = Quantiser.TERNARY if vectors.is_sparse else Quantiser.SIGN
        scale = scale_for(vectors.values)
        spec = cls(divisor, bits // divisor, vectors.n_columns, additions, scale, None, seed, quantiser)
        if not has_thresholds(vectors, thresholds):
            return spec
        measured = _mean_sums if thresholds == "mean" else _spread_sums
        return replace(spec, thresholds=measured(spec, vectors))

    def to_bytes(self) -> bytes:
        """The bytes of the file's projection section."""
        head = PROJECTION_STRUCT.pack(
            self.seed, self.functions, self.function_bits, self.quantiser, 0, 0, InputKind.VECTOR
        )
        fields = VECTOR_STRUCT.pack(self.columns, self.scale, self.additions, self.thresholds is not None, 0, 0)
        return head + fields + (b"" if self.thresholds is None else self.thresholds.astype("<i4").tobytes())

    @classmethod
    def from_bytes(cls, section: bytes) -> VectorSpec:
        """The projection that a section describes.

        Raises:
            ModelFileError: the section is cut, too long, or holds a value that a reader must refuse.
        """
        first = PROJECTION_STRUCT.size + VECTOR_STRUCT.size
        if len(section) < first:
            raise ModelFileError(f"the projection section has {len(section)} bytes; expected at least {first}")
        seed, functions, function_bits, quantiser, families, slots, _ = PROJECTION_STRUCT.unpack_from(section)
        columns, scale, additions, flag, *reserved = VECTOR_STRUCT.unpack_from(section, PROJECTION_STRUCT.size)
        if families or slots or any(reserved):
            raise ModelFileError(
                "families, seen_slots_log2 or a reserved field of a projection of vectors is not zero; expected zero"
            )
        if flag > 1:
            raise ModelFileError(f"thresholds is {flag}; expected 0 or 1")
        expected = first + 4 * functions * function_bits * flag
        if len(section) != expected:
            raise ModelFileError(f"the projection section has {len(section)} bytes; expected {expected}")
        thresholds = np.frombuffer(section, dtype="<i4", offset=first).astype(np.int32) if flag else None
        try:
            return cls(
                functions, function_bits, columns, additions, scale, thresholds, seed, member(Quantiser, quantiser)
            )
        except ConfigError as error:
            raise ModelFileError(f"projection section: {error}") from error


def has_thresholds(vectors: Vectors, thresholds: Thresholds) -> bool:
    """Whether a projection of these rows carries thresholds that are not all zero."""
    return not vectors.is_sparse if thresholds == "auto" else thresholds != "zero"


def scale_for(values: FloatArray) -> float:
    """1 where all values are whole numbers of 16 bits; else the power of two that puts the largest at 2^12 to 2^13."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest <= _LARGEST_WHOLE and np.array_equal(values, np.rint(values)):
        return 1.0
    power = _LARGEST_SCALED - math.frexp(largest)[1]
    return 2.0 ** min(max(power, -126), 127)


def _mean_sums(spec: VectorSpec, vectors: Vectors) -> NDArray[np.int32]:
    """(n_bits,) the rounded mean of the sums, a block of rows at a time."""
    total = np.zeros(spec.n_bits, dtype=np.int64)
    for start in range(0, len(vectors), _ROWS):
        some = vectors.select(np.arange(start, min(start + _ROWS, len(vectors))))
        total += native.vector_sums(spec.to_bytes(), some).sum(axis=0, dtype=np.int64)
    return np.rint(total / len(vectors)).astype(np.int32)


def _spread_sums(spec: VectorSpec, vectors: Vectors) -> NDArray[np.int32]:
    """(n_bits,) a quantile of each bit's sums over a sample of rows, from 0.1 to 0.9 in the order of the golden ratio.

    Bits that add the same columns are told apart by it: of few columns there are only so many signed sums.
    """
    rows = np.arange(len(vectors))
    if len(rows) > _ROWS:
        rows = np.sort(np.random.default_rng(spec.seed).choice(rows, _ROWS, replace=False))
    sums = np.sort(native.vector_sums(spec.to_bytes(), vectors.select(rows)), axis=0)
    bits = np.arange(spec.n_bits)
    quantiles = 0.1 + 0.8 * (bits * _GOLDEN % 1.0)
    below = (quantiles * (len(rows) - 1)).astype(np.int64)
    return np.asarray(sums[below, bits], dtype=np.int32)


def input_kind(section: bytes) -> int:
    """What rows a projection section takes, an ``InputKind`` value or one that this version does not know."""
    return section[_INPUT_AT] if len(section) > _INPUT_AT else int(InputKind.TEXT)


def read_projection(section: bytes) -> ProjectionSpec | VectorSpec:
    """The projection of texts or of vectors that a section describes.

    Raises:
        ModelFileError: the section is cut, too long, or holds a value that a reader must refuse.
    """
    kind = input_kind(section)
    if kind not in set(InputKind):
        raise ModelFileError(
            f"the projection's input is {kind}; expected {choices(InputKind)}: read it with a newer projgraph"
        )
    return (VectorSpec if kind == InputKind.VECTOR else ProjectionSpec).from_bytes(section)
