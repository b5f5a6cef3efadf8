"""The settings of the student: how rows become bits, how a head learns from them, and how its weights are stored."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from projgraph.config.stage import Stage
from projgraph.errors import ConfigError


class VectorsConfig(Stage):
    """How a row of numbers becomes bits, where rows are no texts."""

    additions: int | None = Field(
        None, ge=1, le=16384, description="signed additions of one column; none aims at 6 columns a bit"
    )
    quantiser: Literal["auto", "ternary", "sign"] = Field(
        "auto", description="how a sum becomes a bit; auto is sign for dense rows, ternary for sparse ones"
    )
    thresholds: Literal["auto", "zero", "mean", "spread"] = Field(
        "auto",
        description="what sums are compared with; auto is spread quantiles for dense rows, zero for sparse ones",
    )


class WordsConfig(Stage):
    """The words that a model of texts carries codes of, where the budget has room for them."""

    dimensions: Literal[0, 8, 16, 32, 64, 128] | None = Field(
        None, description="signs of a code; 0 is no words; none is 64 where the budgets have room"
    )
    most: int = Field(8000, ge=1, le=1 << 20, description="words at most, the most frequent ones")
    filters: int | None = Field(
        None,
        ge=0,
        le=128,
        description="of the convolution over words; none is 0 without an encoder, and what fits with one",
    )
    width: int = Field(3, ge=1, le=5, description="neighbouring words that a filter sees")
    min_steps: int = Field(1500, ge=1, description="steps of the student beside words, at least: sums learn slowly")


class ProjectionConfig(Stage):
    """How a text becomes bits."""

    bits: int | None = Field(None, ge=16, le=16384, description="T x d; none lets the budget choose")
    functions: int = Field(64, ge=1, le=16384, description="T, the paper's projection functions")
    word_share: float = Field(0.5, ge=0, le=1, description="share of the bits that word features own")
    word_ngrams: tuple[int, int] = Field((1, 2), description="shortest and longest word n-gram")
    character_ngrams: tuple[int, int] = Field((3, 5), description="shortest and longest character n-gram")
    additions: int = Field(2, ge=1, le=16, description="signed additions of one feature")
    seen_slots_log2: int = Field(
        10, ge=0, le=16, description="log2 of the repeat filter's slots, 4 bytes of RAM each; 0 for no filter"
    )
    quantiser: Literal["ternary", "sign"] = Field("ternary", description="how a sum becomes a bit")
    vectors: VectorsConfig = VectorsConfig()
    words: WordsConfig = WordsConfig()


class LossConfig(Stage):
    """Weights of the graph loss; a weight of zero switches the term off."""

    trainer: float = Field(1.0, ge=0, description="the joint trainer's own loss, under student.joint alone")
    distil: float = Field(1.0, ge=0, description="distillation from the trainer's distributions")
    gold: float = Field(0.1, ge=0, description="cross-entropy on the labelled rows")
    edges: float = Field(0.0, ge=0, description="consistency along trainer edges")
    hamming: float = Field(0.0, ge=0, description="consistency along Hamming edges")


class CorruptionConfig(Stage):
    """Corrupted copies of the texts that the student sees beside them, one of each kind whose rate is above zero.

    By default they are there where rows are without a label, or where an encoder knows what is near: with a label for
    every row and no encoder some sets lost by them.
    """

    typing: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the characters that are mistyped; none is 0.1 with unlabelled rows, else 0.05 with an "
        "encoder",
    )
    truncation: float | None = Field(
        None, ge=0, le=1, description="share cut off at the end; none is 0.3 with unlabelled rows, else 0"
    )
    substitution: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the words exchanged for near ones of the encoder's; none is 0.3",
    )
    speech: float = Field(0.0, ge=0, le=1, description="share of the characters whose words are misheard")

    def rates(self, unlabelled: bool, encoder: bool) -> dict[str, float]:
        """The kinds of copies to make and their rates, above zero.

        Args:
            unlabelled: whether a row has no label.
            encoder: whether an encoder tells which words are near.
        """
        usual = _BESIDE_UNLABELLED if unlabelled else _BESIDE_LABELS if encoder else {}
        given = {kind: usual.get(kind, 0.0) if rate is None else rate for kind, rate in self.model_dump().items()}
        return {kind: rate for kind, rate in given.items() if rate > 0}


_BESIDE_UNLABELLED = {"typing": 0.1, "truncation": 0.3, "substitution": 0.3}
_BESIDE_LABELS = {"typing": 0.05, "substitution": 0.3}


_RATE = 2e-3
_RATE_BESIDE_FILTERS = 4e-3
"""With an encoder better by 0.02 to 0.5 points on six splits of training rows, 0.2 in the mean; without filters it
gains nothing (`benchmarks/LOG.md`)."""


class StudentConfig(Stage):
    """The projection model's head and its fit."""

    units: int | None = Field(
        None, ge=0, le=256, description="hidden units; 0 is a linear head, none lets the budget choose"
    )
    epochs: int = Field(15, ge=1, le=10_000, description="passes over the rows")
    min_steps: int = Field(600, ge=1, description="a small set is passed over more often, up to so many steps")
    batch: int = Field(256, ge=1, description="rows a step")
    rate: float | None = Field(
        None,
        gt=0,
        description="peak learning rate of the one-cycle schedule; none is 0.002, or 0.004 beside a convolution",
    )
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="on hidden units; less in proportion where there are fewer than 128"
    )
    sharpen: float = Field(2.0, ge=1, le=16, description="power of the trainer's distributions as targets")
    held_out: float = Field(0.1, ge=0, le=0.5, description="share of the rows that calibrates and judges")
    held_out_rows: int = Field(2000, ge=0, description="at most so many rows are held out")
    loss: LossConfig = LossConfig()
    corruption: CorruptionConfig = CorruptionConfig()
    joint: bool = Field(False, description="train a neural trainer and the student together, in every step both")
    joint_units: int = Field(0, ge=0, le=4096, description="hidden units of that trainer; 0 is a linear one")
    anchor: float = Field(1.0, ge=0, description="in that trainer's loss, the pull to the propagated distributions")
    feedback: float = Field(
        1.0, ge=0, le=1, description="share of the distillation's gradient that reaches that trainer too"
    )

    def peak_rate(self, filters: int) -> float:
        """The learning rate at its peak, beside so many filters of a convolution."""
        if self.rate is not None:
            return self.rate
        return _RATE_BESIDE_FILTERS if filters else _RATE

    def epochs_for(self, rows: int) -> int:
        """Passes over so many rows."""
        return max(self.epochs, self.min_steps // max(-(-rows // self.batch), 1))


class TrustConfig(Stage):
    """How sure a model says it is, and when it gives no label."""

    draws: int = Field(
        2, ge=0, le=100, description="times that labels are drawn anew from the trainer's answers to calibrate it"
    )
    left_out: int = Field(
        100, ge=0, description="and labels left out at least to ask it about, where five times as many are given"
    )
    abstain: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of rows like the training's that get no label, so that foreign ones get none",
    )
    foreign: bool = Field(False, description="learn from rows without a label that are unlike every labelled one, too")


WEIGHTS: dict[str, tuple[int, bool]] = {
    "int8": (8, False),
    "int4": (4, False),
    "shared": (4, True),
    "ternary": (2, False),
    "binary": (1, False),
}
"""The names of weights, and the values of pack.weight_bits and pack.shared that they stand for."""


def weight_settings(weights: int | str | None) -> dict[str, Any]:
    """The settings of weights by their name, or by a value of ``pack.weight_bits``; none of None.

    Raises:
        ConfigError: no weights have that name.
    """
    if weights is None or isinstance(weights, int):
        return {"pack.weight_bits": weights}
    if weights not in WEIGHTS:
        raise ConfigError(f"weights are {weights!r}; expected one of {', '.join(WEIGHTS)}")
    weight_bits, shared = WEIGHTS[weights]
    return {"pack.weight_bits": weight_bits, "pack.shared": shared}


class PackConfig(Stage):
    """How weights are stored."""

    weight_bits: Literal[1, 2, 4, 8] | None = Field(
        None, description="bits of a weight over the bits, 2 ternary, 1 binary; none lets the budget choose"
    )
    pruning: float = Field(0.0, ge=0, le=0.99, description="share of those weights that is removed, the smallest ones")
    shared: bool = Field(False, description="16 values for all of those weights, 4 bits each (k-means)")
    tuning_epochs: int = Field(
        20, ge=0, le=10_000, description="passes over the rows with weights of 2 bits or 1, or pruned ones; 0 for none"
    )

    @model_validator(mode="after")
    def _storable(self) -> PackConfig:
        if self.pruning and self.weight_bits == 1:
            raise PydanticCustomError(
                "pruning", "pruned weights are 0, and one of 1 bit is not; expected pack.weight_bits of 8, 4 or 2"
            )
        if self.shared and self.weight_bits not in (None, 4):
            raise PydanticCustomError("shared", "shared weights have 4 bits; expected pack.weight_bits of 4, or none")
        return self
