"""A corpus of four topics whose words do not overlap, and small ways to make one."""

from __future__ import annotations

import numpy as np

from projgraph.features.tokens import Tokens, tokenize
from projgraph.records import Texts

TOPICS = (
    "card lost stolen wallet replace freeze block plastic",
    "flight boston denver morning airline seat luggage gate",
    "pizza pasta dinner recipe oven cheese tomato basil",
    "rain sunny forecast weather cloudy wind storm degrees",
)


def tokens_of(*strings: str) -> Tokens:
    return tokenize(Texts.from_strings(strings))


def topic_texts(rows: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of five words of one topic and one common word, and their topics."""
    generator = np.random.default_rng(seed)
    topics = generator.integers(0, len(TOPICS), rows)
    return [" ".join([*generator.choice(TOPICS[topic].split(), 5), "please"]) for topic in topics], topics
