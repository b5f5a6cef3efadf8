"""A contrastive bag of words: two random halves of a text shall be nearer to each other than to any other text.

The objective is InfoNCE (van den Oord et al. 2018) with word dropout as the only augmentation, after SimCSE (Gao et al.
2021); the model is a bag of embeddings and one linear layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from projgraph.features.tokens import Tokens
from projgraph.records import FloatArray, IndexArray

WORD_DROPOUT = 0.4
TEMPERATURE = 0.05
LEARNING_RATE = 3e-3
BATCH = 512
MAX_WORDS = 128
"""Words of a text that are looked at."""


def contrastive_bag(
    tokens: Tokens,
    vectors: FloatArray,
    dimensions: int = 256,
    epochs: int = 6,
    max_steps: int = 600,
    seed: int = 0,
) -> FloatArray:
    """Train embeddings, started from word vectors, and a linear layer to tell texts apart by parts of their words.

    Args:
        tokens: n texts.
        vectors: (vocabulary, d) word vectors to start from; words with a zero vector are left out.
        dimensions: of the linear layer.
        epochs: passes over the texts.
        max_steps: batches at most, so that a large corpus takes no longer than a middling one.
        seed: of the linear layer, the order of the texts and the dropped words.

    Returns:
        (n, dimensions) rows of unit norm, or zero where a text has no word with a vector.
    """
    generator = torch.Generator().manual_seed(seed)
    bags = _Bags.of(tokens, vectors)
    embeddings = torch.from_numpy(vectors[bags.words]).requires_grad_()
    linear = torch.empty(vectors.shape[1], dimensions).normal_(0, 1 / math.sqrt(dimensions), generator=generator)
    linear.requires_grad_()
    described = np.zeros((len(tokens), dimensions), dtype=np.float32)
    with _one_thread():
        _train(bags, embeddings, linear, _batches(bags, epochs, max_steps, generator), generator)
    with _one_thread(), torch.no_grad():
        for start in range(0, len(bags), BATCH):
            rows = torch.arange(start, min(start + BATCH, len(bags)))
            words, offsets = bags.gather(rows)
            described[bags.rows[rows.numpy()]] = _embed(words, offsets, None, embeddings, linear).numpy()
    return described


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread: the steps are too small to share (on two busy cores a second one makes them six times as
    slow), and the result does not depend on the machine's cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Bags:
    """The texts that have a word with a vector, and those words, renumbered."""

    ids: Tensor
    offsets: Tensor
    words: IndexArray
    rows: IndexArray

    @classmethod
    def of(cls, tokens: Tokens, vectors: FloatArray) -> _Bags:
        known: NDArray[np.bool_] = np.any(vectors != 0, axis=1)
        chosen = known[tokens.ids]
        rows = tokens.rows[chosen]
        number = np.cumsum(known) - 1
        filled, lengths = np.unique(rows, return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        ids = torch.from_numpy(number[tokens.ids[chosen]])
        return cls(ids, torch.from_numpy(offsets), np.flatnonzero(known), filled)

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The words of some texts, one text after the other, and where each text starts."""
        starts = self.offsets[rows]
        lengths = (self.offsets[rows + 1] - starts).clamp(max=MAX_WORDS)
        begins = lengths.cumsum(0) - lengths
        positions = torch.arange(int(lengths.sum())) + (starts - begins).repeat_interleave(lengths)
        return self.ids[positions], begins


def _batches(bags: _Bags, epochs: int, max_steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Random batches of texts, none of them a single text, which has nothing to be told apart from."""
    steps = 0
    for _ in range(epochs):
        order = torch.randperm(len(bags), generator=generator)
        for start in range(0, len(bags) - 1, BATCH):
            if steps == max_steps:
                return
            steps += 1
            yield order[start : start + BATCH]


def _train(
    bags: _Bags, embeddings: Tensor, linear: Tensor, batches: Iterable[Tensor], generator: torch.Generator
) -> None:
    """Minimise the symmetric InfoNCE loss; the embeddings' gradient is sparse, so a large vocabulary costs nothing."""
    optimisers = (
        torch.optim.SparseAdam([embeddings], lr=LEARNING_RATE),
        torch.optim.Adam([linear], lr=LEARNING_RATE),
    )
    for rows in batches:
        words, offsets = bags.gather(rows)
        keeps = ((torch.rand(len(words), generator=generator) >= WORD_DROPOUT).float() for _ in range(2))
        left, right = (_embed(words, offsets, keep, embeddings, linear) for keep in keeps)
        similarity = left @ right.T / TEMPERATURE
        own = torch.arange(len(rows))
        loss = functional.cross_entropy(similarity, own) + functional.cross_entropy(similarity.T, own)
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()  # type: ignore[no-untyped-call]


def _embed(words: Tensor, offsets: Tensor, keep: Tensor | None, embeddings: Tensor, linear: Tensor) -> Tensor:
    bag = functional.embedding_bag(words, embeddings, offsets, mode="sum", per_sample_weights=keep, sparse=True)
    return functional.normalize(bag @ linear)
