"""The story of a node's description: views of its text, joined into one vector that the graph compares by cosine."""

from __future__ import annotations

import time
from dataclasses import dataclass

from projgraph.features.config import FeaturesConfig
from projgraph.features.lsa import lsa
from projgraph.features.tokens import tokenize
from projgraph.records import FloatArray, Texts


@dataclass(frozen=True)
class View:
    """How n nodes are described to the graph.

    Attributes:
        vectors: (n, d) rows of unit norm, or zero where nothing is known of a text.
        seconds: what each part of the description took, in the order of the work.
    """

    vectors: FloatArray
    seconds: dict[str, float]


def describe(texts: Texts, config: FeaturesConfig, seed: int, encoder: str | None = None) -> View:
    """Describe every text."""
    started = time.perf_counter()
    tokens = tokenize(texts)
    vectors = lsa(tokens, config.lsa_dimensions, seed)
    return View(vectors, {"lsa": time.perf_counter() - started})
