"""What a model file holds, in integers, and their scores in numpy; it knows no byte order and rounds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_CLASSES, MAX_INPUT_SUM, MAX_NORM_SHIFT, MAX_SHIFT, MAX_UNITS, InputKind
from projgraph.pack.layer import MAX_ACTIVATION, QuantisedLayer, rectified
from projgraph.pack.vector import LARGEST_SCALE, SMALLEST_SCALE, input_kind, read_projection
from projgraph.pack.words import Sequences, WordTable

MAX_THRESHOLD = 2**31 - 1
"""Of a score, as large as 32 bits hold."""


@dataclass(frozen=True)
class SeenOfWords:
    """What the layers see of the words of n texts.

    Attributes:
        sums: (n, D) of their codes, scaled.
        activations: (n, filters) of the convolution; None without one.
    """

    sums: NDArray[np.int8]
    activations: NDArray[np.int8] | None

    def repeated(self, times: int) -> SeenOfWords:
        """The same of one text, so many times."""
        activations = None if self.activations is None else np.repeat(self.activations, times, axis=0)
        return SeenOfWords(np.repeat(self.sums, times, axis=0), activations)


@dataclass(frozen=True)
class Shape:
    """Inputs and outputs of a model's layers.

    Attributes:
        n_bits: bits of the projection.
        classes: outputs.
        units: hidden units; None for a linear head.
        dimensions: D, the numbers of a word's code; 0 without words.
        filters: of the convolution; 0 without one.
    """

    n_bits: int
    classes: int
    units: int | None
    dimensions: int
    filters: int

    @property
    def first(self) -> int:
        """Inputs of the layer over the bits."""
        return self.n_bits + self.dimensions

    @property
    def hidden(self) -> tuple[int, int]:
        """(inputs, units) of the hidden layer."""
        return self.first, self.units or 0

    @property
    def output(self) -> tuple[int, int]:
        """(inputs, classes) of the output layer."""
        return (self.first if self.units is None else self.units) + self.filters, self.classes

    def largest_sum(self, output_bits: int) -> int:
        """The largest sum of a layer's inputs, of which ``MAX_INPUT_SUM`` is the limit.

        A bit is at most 1 in size, every other input ``MAX_ACTIVATION``. An output layer whose weights are no bytes is
        not counted: they are at most 8 in size, and so the sums of any inputs fit.

        Args:
            output_bits: of the values of the output layer's weights, 8 of those of a codebook.
        """
        first = self.n_bits + MAX_ACTIVATION * self.dimensions
        last = MAX_ACTIVATION * self.filters + (first if self.units is None else MAX_ACTIVATION * self.units)
        return max(first, last) if output_bits == 8 else first

    def problems(self, output_bits: int) -> Iterator[str]:
        """What would let a layer's sums leave 32 bits, and layers too large or empty; as for ``largest_sum``."""
        if not 1 <= self.classes <= MAX_CLASSES:
            yield f"there are {self.classes} classes; expected 1 to {MAX_CLASSES}"
        if self.units is not None and not 1 <= self.units <= MAX_UNITS:
            yield f"there are {self.units} hidden units; expected 1 to {MAX_UNITS}"
        if self.largest_sum(output_bits) > MAX_INPUT_SUM:
            yield (
                f"{self.n_bits} bits, {self.dimensions} dimensions of words, {self.units or 0} hidden units and "
                f"{self.filters} filters are too many inputs for a layer's sums; expected fewer units or filters, "
                "or weights of the output layer of 4 bits"
            )


@dataclass(frozen=True)
class QuantisedModel:
    """What a model file holds, and what its integers say.

    Attributes:
        projection: bytes of the projection section.
        output: (units, or else n_bits + D; then the filters) x classes.
        hidden: (n_bits + D) x units, or None for a linear head.
        hidden_shift: right shift of a hidden sum; 0 without a hidden layer.
        scale: ``logit = score * scale``, a float32 value; the temperature is in it.
        classes: label names.
        words: the codes of words, D numbers each, or None.
        norm_shift: of the code sums; 0 without words.
        convolution: filters over those codes, or None.
        threshold: a largest score below it gives no label; 0 for none.

    Raises:
        ConfigError: listing everything that a model file cannot hold.
    """

    projection: bytes
    output: QuantisedLayer
    hidden: QuantisedLayer | None
    hidden_shift: int
    scale: float
    classes: tuple[str, ...]
    words: WordTable | None = None
    norm_shift: int = 0
    convolution: QuantisedConvolution | None = None
    threshold: int = 0

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError("the model cannot be packed: " + "; ".join(problems))

    @property
    def n_bits(self) -> int:
        """Bits of the projection."""
        return read_projection(self.projection).n_bits

    @property
    def dimensions(self) -> int:
        """D, the numbers of a word's code; 0 without words."""
        return self.words.dimensions if self.words else 0

    @property
    def filters(self) -> int:
        """Filters of the convolution, 0 without one."""
        return self.convolution.filters if self.convolution else 0

    @property
    def units(self) -> int:
        """Hidden units, 0 for a linear head."""
        return int(self.hidden.weights.shape[1]) if self.hidden else 0

    @property
    def over_bits(self) -> QuantisedLayer:
        """The layer over the bits, which has nearly all weights."""
        return self.hidden or self.output

    def scores(self, values: NDArray[np.int8], sequences: Sequences | None = None) -> NDArray[np.int32]:
        """(n, classes) int32 scores of n texts, the same integers as the core's.

        Args:
            values: (n, n_bits) bits of -1, 0 and +1.
            sequences: rows of the table of words, -1 of an unknown one, and (n + 1,) where those of each text start;
                for a model with words.
        """
        return self.scores_beside(values, self.seen_of_words(sequences))

    def seen_of_words(self, sequences: Sequences | None) -> SeenOfWords | None:
        """What the layers see of the words of n texts, whatever their bits are; None for a model without words."""
        if self.words is None:
            return None
        if sequences is None:
            raise ConfigError("the model has word codes; expected the sequences of the texts' words too")
        activations = None if self.convolution is None else self.convolution.activations(self.words, sequences)
        return SeenOfWords(self.words.sums(*sequences, self.norm_shift), activations)

    def scores_beside(self, values: NDArray[np.int8], seen: SeenOfWords | None) -> NDArray[np.int32]:
        """(n, classes) int32 scores of (n, n_bits) bits beside what the layers see of the words."""
        inputs = values if seen is None else np.concatenate([values, seen.sums], axis=1)
        if self.hidden is not None:
            inputs = rectified(self.hidden.sums(inputs), self.hidden_shift)
        if seen is not None and seen.activations is not None:
            inputs = np.concatenate([inputs, seen.activations], axis=1)
        return self.output.sums(inputs)

    def labels(self, values: NDArray[np.int8], sequences: Sequences | None = None) -> NDArray[np.int64]:
        """(n,) class indices of n texts, given as to ``scores``; -1 where no score reaches the threshold."""
        scores = self.scores(values, sequences)
        found: NDArray[np.int64] = scores.argmax(axis=1).astype(np.int64)
        if self.threshold:
            found[scores.max(axis=1) < self.threshold] = -1
        return found

    def _problems(self) -> Iterator[str]:
        units = self.units if self.hidden else None
        shape = Shape(self.n_bits, len(self.classes), units, self.dimensions, self.filters)
        yield from shape.problems(self.output.value_bits)
        yield from name_problems(self.classes)
        yield from word_problems(self.projection, self.words, self.norm_shift, self.convolution is not None)
        for name, layer, expected in (("hidden", self.hidden, shape.hidden), ("output", self.output, shape.output)):
            if layer is not None:
                if layer.weights.shape != expected:
                    yield f"{name}.weights has shape {layer.weights.shape}; expected {expected}"
                yield from layer.problems(name)
        if self.convolution is not None:
            yield from self.convolution.problems(self.dimensions)
        if not 0 <= self.hidden_shift <= (MAX_SHIFT if self.hidden else 0):
            yield f"hidden_shift is {self.hidden_shift}; expected 0, or up to {MAX_SHIFT} with a hidden layer"
        if not -MAX_THRESHOLD - 1 <= self.threshold <= MAX_THRESHOLD:
            yield f"threshold is {self.threshold}; expected a 32-bit integer"
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE or self.scale != float(np.float32(self.scale)):
            yield f"scale is {self.scale!r}; expected a positive normal float32 value"


def word_problems(projection: bytes, words: WordTable | None, norm_shift: int, convolution: bool) -> Iterator[str]:
    """Words where none can be, what needs them without them, and a shift of their sums out of range."""
    if words is not None and input_kind(projection) != InputKind.TEXT:
        yield "there are words in a model of vectors; expected a projection of texts"
    if convolution and words is None:
        yield "there is a convolution without words; expected their codes"
    if not 0 <= norm_shift <= (MAX_NORM_SHIFT if words is not None else 0):
        yield f"norm_shift is {norm_shift}; expected 0, or up to {MAX_NORM_SHIFT} with words"


def name_problems(classes: tuple[str, ...]) -> Iterator[str]:
    """Names of classes that no file can hold."""
    for name in classes:
        try:
            name.encode()
        except UnicodeEncodeError:
            yield f"the class {name!r} has no UTF-8 form; expected names without lone surrogates"
