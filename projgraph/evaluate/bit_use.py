"""How the projection's bits are used: how often each is non-zero and how often positive; labels are unknown here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from projgraph.records import Bits

_ROWS_AT_A_TIME = 8192


@dataclass(frozen=True)
class BitUse:
    """Use of each bit over the rows it was counted on.

    Attributes:
        non_zero: (n_bits,) share of rows in which the bit is -1 or +1.
        positive: (n_bits,) share of rows in which it is +1.
        rows: rows counted.
    """

    non_zero: NDArray[np.float64]
    positive: NDArray[np.float64]
    rows: int


def bit_use(bits: Bits) -> BitUse:
    """Count every bit over the n rows of ``bits``; shares are 0 without rows."""
    n = len(bits)
    counts = np.zeros((2, bits.n_bits), dtype=np.int64)
    for start in range(0, n, _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        used = bits.positive[rows] | bits.negative[rows]
        for place, plane in enumerate((used, bits.positive[rows])):
            counts[place] += np.unpackbits(plane, axis=1, count=bits.n_bits, bitorder="little").sum(
                axis=0, dtype=np.int64
            )
    shares = counts / max(n, 1)
    return BitUse(shares[0], shares[1], n)
