"""What a student sees of the words of a row: the sum of their codes, and the codes in order; it knows no strings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from projgraph.records import FloatArray, IndexArray

MOST_WORDS = 256
"""Words of a text that a convolution is trained on; the device reads longer texts to their end."""


@dataclass(frozen=True)
class WordRows:
    """The words of n texts.

    Attributes:
        codes: (V, D) int8 of -1 and +1.
        rows: (N,) rows of ``codes``, one text after the other, -1 of a word without a code.
        offsets: (n + 1,) where the words of each text start.
        sums: (n, D) weighted sums of the codes of each text.
        unseen: (V, D) other codes of the same words, by which some texts are seen; None where there are no such texts.
        held_out: those texts, ascending; None where there are none.
    """

    codes: NDArray[np.int8]
    rows: IndexArray
    offsets: IndexArray
    sums: FloatArray
    unseen: NDArray[np.int8] | None = None
    held_out: IndexArray | None = None

    @property
    def dimensions(self) -> int:
        """D, the numbers of a code."""
        return int(self.codes.shape[1])

    @property
    def all_codes(self) -> NDArray[np.int8]:
        """(V, D), or with ``unseen`` behind them (2 V, D): what a `WordBatch` has rows of."""
        return self.codes if self.unseen is None else np.concatenate([self.codes, self.unseen])

    def holding_out(self, texts: IndexArray, unseen: NDArray[np.int8], sums: FloatArray) -> WordRows:
        """These texts, some of them seen by other codes: in their sums, and by a convolution.

        Args:
            texts: (h,) those, ascending.
            unseen: (V, D) codes of the same words.
            sums: (h, D) their weighted sums of these codes.
        """
        changed = self.sums.copy()
        changed[texts] = sums
        return replace(self, sums=changed, unseen=unseen, held_out=texts)

    def sequences(self, texts: IndexArray) -> tuple[IndexArray, IndexArray]:
        """The rows of the codes of some texts, ascending, all of their words, and (len(texts) + 1,) their offsets."""
        lengths = np.diff(self.offsets)[texts]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        text_of = np.repeat(np.arange(len(texts)), lengths)
        return self.rows[self.offsets[texts][text_of] + np.arange(offsets[-1]) - offsets[text_of]], offsets

    def concatenate(self, more: WordRows) -> WordRows:
        """These texts and more of them, of the same codes."""
        return replace(
            self,
            rows=np.concatenate([self.rows, more.rows]),
            offsets=np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]]),
            sums=np.concatenate([self.sums, more.sums]),
        )

    def batch(self, texts: IndexArray) -> WordBatch:
        """The words of some texts, at most ``MOST_WORDS`` of each."""
        starts = self.offsets[texts]
        lengths = np.minimum(self.offsets[texts + 1] - starts, MOST_WORDS)
        firsts = np.cumsum(lengths) - lengths
        text_of = np.repeat(np.arange(len(texts)), lengths)
        positions = np.arange(int(lengths.sum())) - firsts[text_of]
        rows = self.rows[starts[text_of] + positions]
        if self.held_out is not None:
            apart = np.isin(texts, self.held_out)[text_of] & (rows >= 0)
            rows = np.where(apart, rows + len(self.codes), rows)
        arrays = (torch.from_numpy(array) for array in (rows, text_of, positions, lengths))
        return WordBatch(*arrays)


@dataclass(frozen=True)
class WordBatch:
    """The words of b texts for one step of training.

    Attributes:
        rows: (N,) rows of ``WordRows.all_codes``, one text after the other, -1 of a word without a code.
        text_of: (N,) the text of each word, from 0.
        positions: (N,) the place of each word in its text.
        lengths: (b,) words of each text.
    """

    rows: torch.Tensor
    text_of: torch.Tensor
    positions: torch.Tensor
    lengths: torch.Tensor


class WordConvolution(torch.nn.Module):
    """ReLU filters over every window of ``width`` neighbouring words, the largest activation of a text kept (Kim 2014).

    A window overlaps the text by a word at least; outside it, and where a word has no code, codes are zero.
    """

    def __init__(self, codes: NDArray[np.int8], filters: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        dimensions = codes.shape[1]
        none = np.zeros((1, dimensions), dtype=np.float32)
        self._codes = torch.from_numpy(np.concatenate([none, codes.astype(np.float32)]))
        self.width = width
        start = torch.randn((width, dimensions, filters), generator=generator) * (2.0 / (width * dimensions)) ** 0.5
        self.weight = torch.nn.Parameter(start)
        self.bias = torch.nn.Parameter(torch.zeros(filters))

    def forward(self, words: WordBatch) -> torch.Tensor:
        """(b, filters) of b texts; zeros for a text without a word."""
        windows = words.lengths + (self.width - 1) * (words.lengths > 0)
        firsts = torch.cumsum(windows, 0) - windows
        codes = self._codes[words.rows + 1]
        sums = self.bias.repeat(int(windows.sum()), 1)
        for place in range(self.width):
            # The word at position t is the j-th of the window that begins at t - j; the first begins at -(width - 1).
            window = firsts[words.text_of] + words.positions - place + self.width - 1
            sums = sums.index_add(0, window, codes @ self.weight[place])
        largest: torch.Tensor = torch.segment_reduce(sums.relu(), "max", lengths=windows, initial=0.0)
        return largest
