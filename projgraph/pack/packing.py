"""How the rounded weights of one layer are stored beside their number of bits; it rounds to shared values alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from projgraph.pack.layer import QuantisedLayer, shared
from projgraph.pack.rows import pack_weights


@dataclass(frozen=True)
class Packing:
    """How the weights of the layer over the bits are stored beside their number of bits.

    Attributes:
        shared: 4 bits are places among 16 values of the whole layer.
        sparse: weights of 0 are left out, where that takes fewer bytes.
    """

    shared: bool = False
    sparse: bool = False

    def rounded_to(self, weight_bits: int) -> int:
        """The bits that weights are rounded to before they are packed."""
        return 8 if self.shared else weight_bits

    def pack(self, layer: QuantisedLayer) -> QuantisedLayer:
        """The layer as it is stored."""
        layer = shared(layer, self.sparse) if self.shared else layer
        if not self.sparse:
            return layer
        thin = replace(layer, sparse=True)
        return min(layer, thin, key=lambda either: len(pack_weights(either)))

    def problems(self, weight_bits: int) -> Iterator[str]:
        """Why weights of so many bits cannot be stored so."""
        if self.shared and weight_bits != 4:
            yield f"shared weights of {weight_bits} bits were asked for; expected 4"
        if self.sparse and weight_bits == 1:
            yield "sparse weights of 1 bit were asked for; expected 8, 4 or 2, of which one can be 0"
