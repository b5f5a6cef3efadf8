"""The trained student in float, as it stands before quantising; it knows neither integers nor bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.pack.convolution import Convolution
from projgraph.pack.words import Sequences, WordTable
from projgraph.records import FloatArray, Layer


@dataclass(frozen=True)
class ProjectionModel:
    """The trained student before it is packed.

    Attributes:
        projection: bytes of the file's projection section: what the core needs to turn a text into bits.
        output: the last layer, onto the classes; its inputs are the hidden units, or else the bits and the code sums,
            and behind them the filters.
        hidden: a ReLU layer between bits, code sums and output, or None for a linear head.
        temperature: divides the logits; fitted on held-out training rows.
        classes: label names.
        words: the codes of words, whose D sums stand behind the bits as inputs, each as s / sqrt(q), see
            `projgraph.pack.words`; None for bits alone.
        convolution: filters over those codes, or None.
    """

    projection: bytes
    output: Layer
    hidden: Layer | None
    temperature: float
    classes: tuple[str, ...]
    words: WordTable | None = None
    convolution: Convolution | None = None

    def logits(self, bits: NDArray[Any], sequences: Sequences | None = None) -> FloatArray:
        """(n, classes) logits of n rows, before the temperature divides them.

        Args:
            bits: (n, n_bits) of -1, 0 and +1.
            sequences: of the same rows' words, as for `QuantisedModel.scores`; for a model with words.
        """
        inputs: FloatArray = bits.astype(np.float32)
        if self.words is not None and sequences is not None:
            inputs = np.hstack([inputs, self.words.raw_sums(*sequences)])
        if self.hidden is not None:
            inputs = np.maximum(inputs @ self.hidden.weights + self.hidden.bias, 0.0)
        if self.convolution is not None and self.words is not None and sequences is not None:
            activations = self.convolution.activations(self.words, sequences)
            inputs = np.hstack([inputs, activations.astype(np.float32)])
        return inputs @ self.output.weights + self.output.bias
