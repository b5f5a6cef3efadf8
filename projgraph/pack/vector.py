"""The projection section of vectors (how a row of numbers becomes bits), checked and turned to bytes and back.

A column j with a value that is not zero adds to one bit of each of ``additions`` parts that share the bits evenly. All
arithmetic is on unsigned 64-bit integers, ``mix`` and ``MULT`` as for the features of a text:

    value = round(x * scale), half to even, clipped to int16
    w = mix(((j + 1) * MULT) ^ (seed + 3 * 0xE7037ED1A0B428DB))
    for i in 0..additions-1: field = 16 bits (i % 4) of w, low first; start = floor(i * bits / additions);
        size = floor((i + 1) * bits / additions) - start;
        sum[start + ((field * size) >> 16)] += -value if field is odd else value
        after each 4 fields w = mix(w + MULT)
    bit = sign(sum - centre)                       (ternary; the sign quantiser has -1 where that is zero)

Measured on MNIST (50,000 training rows, 10,000 of them kept for validation; 2,048 bits, 128 hidden units; see
`benchmarks/LOG.md`): 4, 8, 16, 32, 64, 256 additions by sign around the mean 97.6, 97.9, 98.0, 97.8, 97.6, 97.8 %,
uncentred 96.4, 97.4, 97.7, 97.7, 97.6, 97.7, ternary 97.2, 97.6, 97.7, 97.7, 97.7, 97.6: hence 16 and the mean.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
        centre: (n_bits,) int32 that each sum is compared with; None is zero everywhere.
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
    centre: NDArray[np.int32] | None = None
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
        if self.centre is not None and (self.centre.dtype != np.int32 or self.centre.shape != (self.n_bits,)):
            found = f"{self.centre.dtype.name} of shape {self.centre.shape}"
            yield f"centre is {found}; expected int32 of shape ({self.n_bits},)"

    @classmethod
    def for_rows(
        cls,
        vectors: Vectors,
        bits: int,
        additions: int = 16,
        seed: int = 0,
        quantiser: Quantiser | None = None,
        centred: bool | None = None,
        functions: int | None = None,
    ) -> VectorSpec:
        """The projection that suits training rows: its scale and its centre are measured on them.

        Whole numbers stay as they are; others are scaled by a power of two that leaves room for values four times as
        large as any here. The centre is the mean of the sums. ``quantiser`` and ``centred`` are by default sign with a
        centre for dense rows and ternary without one for sparse rows; ``functions`` must divide ``bits``.

        Raises:
            ConfigError: listing every wrong setting at once.
        """
        divisor = math.gcd(bits, DEFAULT_FUNCTIONS) if functions is None else functions
        if not is_integer(divisor, 1, bits) or bits % divisor:
            raise ConfigError(f"{UNUSABLE}functions is {functions}; expected a divisor of bits, {bits}")
        spec = cls(
            divisor,
            bits // divisor,
            vectors.n_columns,
            additions,
            scale_for(vectors.values),
            None,
            seed,
            (Quantiser.TERNARY if vectors.is_sparse else Quantiser.SIGN) if quantiser is None else quantiser,
        )
        if not is_centred(vectors, centred):
            return spec
        return replace(spec, centre=_mean_sums(spec.to_bytes(), vectors, bits))

    def to_bytes(self) -> bytes:
        """The bytes of the file's projection section."""
        head = PROJECTION_STRUCT.pack(
            self.seed, self.functions, self.function_bits, self.quantiser, 0, 0, InputKind.VECTOR
        )
        fields = VECTOR_STRUCT.pack(self.columns, self.scale, self.additions, self.centre is not None, 0, 0)
        return head + fields + (b"" if self.centre is None else self.centre.astype("<i4").tobytes())

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
        columns, scale, additions, centred, *reserved = VECTOR_STRUCT.unpack_from(section, PROJECTION_STRUCT.size)
        if families or slots or any(reserved):
            raise ModelFileError(
                "families, seen_slots_log2 or a reserved field of a projection of vectors is not zero; expected zero"
            )
        if centred > 1:
            raise ModelFileError(f"centred is {centred}; expected 0 or 1")
        expected = first + 4 * functions * function_bits * centred
        if len(section) != expected:
            raise ModelFileError(f"the projection section has {len(section)} bytes; expected {expected}")
        centre = np.frombuffer(section, dtype="<i4", offset=first).astype(np.int32) if centred else None
        try:
            return cls(functions, function_bits, columns, additions, scale, centre, seed, member(Quantiser, quantiser))
        except ConfigError as error:
            raise ModelFileError(f"projection section: {error}") from error


def is_centred(vectors: Vectors, centred: bool | None) -> bool:
    """Whether the sums of rows are compared with their mean: as asked for, or else where the rows are dense."""
    return not vectors.is_sparse if centred is None else centred


def scale_for(values: FloatArray) -> float:
    """1 where all values are whole numbers of 16 bits; else the power of two that puts the largest at 2^12 to 2^13."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest <= _LARGEST_WHOLE and np.array_equal(values, np.rint(values)):
        return 1.0
    power = _LARGEST_SCALED - math.frexp(largest)[1]
    return 2.0 ** min(max(power, -126), 127)


def _mean_sums(section: bytes, vectors: Vectors, bits: int) -> NDArray[np.int32]:
    """(bits,) the rounded mean of the sums, a block of rows at a time."""
    total = np.zeros(bits, dtype=np.int64)
    for start in range(0, len(vectors), _ROWS):
        some = vectors.select(np.arange(start, min(start + _ROWS, len(vectors))))
        total += native.vector_sums(section, some).sum(axis=0, dtype=np.int64)
    return np.rint(total / len(vectors)).astype(np.int32)


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
