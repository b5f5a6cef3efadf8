"""How the settings make bits of rows: the one projection that a model, its training and a Hamming graph share."""

from __future__ import annotations

from projgraph.config import ProjectionConfig, TrainConfig
from projgraph.pack.format import Quantiser
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.vector import VectorSpec
from projgraph.records import Texts, Vectors


def row_projection(rows: Texts | Vectors, bits: int, config: TrainConfig) -> bytes:
    """The projection section of a model of so many bits.

    Raises:
        ConfigError: the settings do not go with that many bits.
    """
    if isinstance(rows, Texts):
        return text_projection(bits, config.projection, config.seed).to_bytes()
    given = config.projection.vectors
    quantiser = None if given.quantiser == "auto" else Quantiser[given.quantiser.upper()]
    additions = None if given.additions is None else min(given.additions, bits)
    return VectorSpec.for_rows(rows, bits, additions, config.seed, quantiser, given.thresholds).to_bytes()


def text_projection(bits: int, chosen: ProjectionConfig, seed: int) -> ProjectionSpec:
    """The projection of texts to so many bits.

    Raises:
        ConfigError: the settings do not go with that many bits.
    """
    return ProjectionSpec.for_text(
        bits=bits,
        word_share=chosen.word_share,
        additions=chosen.additions,
        seed=seed,
        quantiser=Quantiser[chosen.quantiser.upper()],
        word_ngrams=chosen.word_ngrams,
        character_ngrams=chosen.character_ngrams,
        seen_slots_log2=chosen.seen_slots_log2,
        functions=chosen.functions,
    )
