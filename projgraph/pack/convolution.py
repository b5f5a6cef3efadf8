"""Filters over windows of neighbouring words' codes, in the integers of the model file and in float."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.pack.format import MAX_FILTERS, MAX_SHIFT, MAX_WIDTH
from projgraph.pack.layer import Doubles, QuantisedLayer, rectified, round_rectified
from projgraph.pack.words import Sequences, WordTable
from projgraph.records import Layer

_TEXTS_AT_ONCE = 64
"""So many texts of 4,096 words and 128 filters take some 600 MB in doubles; usual ones a thousandth of that."""


@dataclass(frozen=True)
class Convolution:
    """Filters over windows of neighbouring words' codes, rectified, of which the largest value in a text counts.

    Attributes:
        layer: (width * D, filters) weights, row j * D + i for dimension i of a window's j-th word, and (filters,) bias.
        width: words of a window.
    """

    layer: Layer
    width: int

    def activations(self, words: WordTable, sequences: Sequences) -> Doubles:
        """(n, filters) activations of n texts before any rounding."""
        maxima, has_words = _largest_sums(words, sequences, self.layer.weights.astype(np.float64), self.width)
        activations: Doubles = np.maximum(maxima + self.layer.bias, 0.0) * has_words[:, None]
        return activations


@dataclass(frozen=True)
class QuantisedConvolution:
    """Filters over windows of ``width`` words in integers.

    A window is every run of ``width`` places that overlaps the text by a word or more; a word of the table stands there
    with ``weight * code``, every other place with zeros. A filter's activation is its largest sum, rectified, shifted
    and cut at 127; 0 for a text without words.

    Attributes:
        layer: (width * D, filters), of 8-bit weights; row j * D + i weighs dimension i of a window's j-th word.
        width: words of a window.
        shift: right shift of the largest sum.
    """

    layer: QuantisedLayer
    width: int
    shift: int

    @property
    def filters(self) -> int:
        """Filters, the outputs of the layer."""
        return int(self.layer.weights.shape[1])

    def activations(self, words: WordTable, sequences: Sequences) -> NDArray[np.int8]:
        """(n, filters) activations of n texts."""
        maxima, has_words = _largest_sums(words, sequences, self.layer.weights.astype(np.float64), self.width)
        sums = maxima.astype(np.int32) * self.layer.multipliers.astype(np.int32) + self.layer.bias
        return np.where(has_words[:, None], rectified(sums, self.shift), 0).astype(np.int8)

    def problems(self, dimensions: int) -> Iterator[str]:
        """Every reason why the convolution cannot be stored."""
        yield from shape_problems(self.layer.weights.shape, self.width, dimensions)
        if self.layer.weight_bits != 8:
            yield f"convolution has {self.layer.weight_bits}-bit weights; expected 8"
        yield from self.layer.problems("convolution")
        if not 0 <= self.shift <= MAX_SHIFT:
            yield f"convolution.shift is {self.shift}; expected 0 to {MAX_SHIFT}"


def shape_problems(shape: tuple[int, ...], width: int, dimensions: int) -> Iterator[str]:
    """Every reason why weights of that shape are none over windows of ``width`` codes of ``dimensions`` numbers."""
    if not 1 <= width <= MAX_WIDTH:
        yield f"convolution.width is {width}; expected 1 to {MAX_WIDTH} words"
    elif len(shape) != 2 or shape[0] != width * dimensions or not 1 <= shape[1] <= MAX_FILTERS:
        expected = f"({width * dimensions}, 1 to {MAX_FILTERS})"
        yield f"convolution.weights has shape {shape}; expected {expected}"


def round_convolution(convolution: Convolution, unit: float) -> tuple[QuantisedConvolution, float]:
    """The filters in integers, and what one step of their activations is worth, about ``unit``."""
    weights, bias = convolution.layer.weights.astype(np.float64), convolution.layer.bias.astype(np.float64)
    layer, shift, unit = round_rectified(weights, bias, 8, unit)
    return QuantisedConvolution(layer, convolution.width, shift), unit


def _largest_sums(
    words: WordTable, sequences: Sequences, weights: Doubles, width: int
) -> tuple[Doubles, NDArray[np.bool_]]:
    """(n, filters) the largest of each text's window sums without bias, and (n,) whether it has words at all."""
    rows, offsets = sequences
    lengths = np.diff(offsets)
    maxima = np.zeros((len(lengths), weights.shape[1]))
    for first in range(0, len(lengths), _TEXTS_AT_ONCE):
        last = first + _TEXTS_AT_ONCE
        some = first + np.flatnonzero(lengths[first:last])
        if len(some):
            codes = _weighted_codes(words, rows[offsets[first] : offsets[min(last, len(lengths))]])
            maxima[some] = _of_texts(codes, lengths[some], weights, width)
    return maxima, lengths > 0


def _weighted_codes(words: WordTable, rows: NDArray[np.int64]) -> Doubles:
    """(N, D) what stands in a window for each word."""
    weights = np.where(rows >= 0, words.weights[rows], 0).astype(np.float64)
    return words.codes[rows].astype(np.float64) * weights[:, None]


def _of_texts(codes: Doubles, lengths: NDArray[np.int64], weights: Doubles, width: int) -> NDArray[Any]:
    """(n, filters) the largest window sums of texts of one word or more, whose windows stand one after the other.

    The windows of a text of m words begin at -(width - 1) to m - 1; word p is the j-th of the one that begins at p - j.
    """
    ends = np.cumsum(lengths + width - 1)
    starts = ends - (lengths + width - 1)
    text = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(codes)) + text * (width - 1) + width - 1
    sums = np.zeros((int(ends[-1]), weights.shape[1]))
    dimensions = codes.shape[1]
    for j in range(width):
        sums[places - j] += codes @ weights[j * dimensions : (j + 1) * dimensions]
    return np.maximum.reduceat(sums, starts, axis=0)
