"""One frozen settings model per stage and one for a whole train; they know ranges and defaults, no stage's code.

A default that was tuned says in its description where it was measured; `benchmarks/LOG.md` has the figures.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from projgraph.errors import ConfigError

_UNITS = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2}
MAX_BUDGET = 1 << 28


class _Stage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GraphConfig(_Stage):
    """The trainer graph."""

    neighbours: int = Field(15, ge=1, le=256, description="edges each row asks for, itself not counted")
    temperature: float = Field(0.1, gt=0, le=10, description="of the edge weight exp((cos - 1) / temperature)")


class TrainerConfig(_Stage):
    """Prior + propagation + self-training."""

    rounds: int = Field(3, ge=0, le=20, description="rounds of self-training")
    smoothing: float = Field(0.9, ge=0, lt=1, description="share of the neighbours in every propagation step")
    steps: int = Field(20, ge=1, le=1000, description="propagation steps of a round")
    balance: float = Field(0.5, ge=0, le=1, description="how far class masses are pulled to the estimated class prior")
    prior_strength: float = Field(0.3, gt=0, le=100, description="pull of the estimated class prior to equal classes")


class ProjectionConfig(_Stage):
    """How a text becomes bits."""

    bits: int | None = Field(None, ge=16, le=16384, description="T x d; none lets the budget choose")
    functions: int = Field(64, ge=1, le=16384, description="T, the paper's projection functions")
    word_share: float = Field(0.5, ge=0, le=1, description="share of the bits that word features own")
    word_ngrams: tuple[int, int] = Field((1, 2), description="shortest and longest word n-gram")
    character_ngrams: tuple[int, int] = Field((3, 5), description="shortest and longest character n-gram")
    additions: int = Field(8, ge=1, le=16, description="signed additions of one feature")
    quantiser: Literal["ternary", "sign"] = Field("ternary", description="how a sum becomes a bit")


class LossConfig(_Stage):
    """Weights of the graph loss; a weight of zero switches the term off."""

    distil: float = Field(1.0, ge=0, description="distillation from the trainer's distributions")
    gold: float = Field(0.1, ge=0, description="cross-entropy on the labelled rows")
    edges: float = Field(0.0, ge=0, description="consistency along trainer edges")
    hamming: float = Field(0.0, ge=0, description="consistency along Hamming edges")


class StudentConfig(_Stage):
    """The projection model's head and its fit."""

    units: int = Field(0, ge=0, le=256, description="hidden units; 0 is a linear head")
    epochs: int = Field(12, ge=1, le=10_000, description="passes over the rows")
    min_steps: int = Field(600, ge=1, description="a small set is passed over more often, up to so many steps")
    batch: int = Field(256, ge=1, description="rows a step")
    rate: float = Field(3e-3, gt=0, description="peak learning rate of the one-cycle schedule")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    dropout: float = Field(0.2, ge=0, lt=1, description="on hidden units")
    sharpen: float = Field(4.0, ge=1, le=16, description="power of the trainer's distributions as targets")
    held_out: float = Field(0.1, ge=0, le=0.5, description="share of the rows that counts epochs and calibrates")
    held_out_rows: int = Field(2000, ge=0, description="at most so many rows are held out")
    patience: int = Field(3, ge=1, description="epochs without a better held-out loss before the first fit stops")
    loss: LossConfig = LossConfig()

    def epochs_for(self, rows: int) -> int:
        """Passes over so many rows."""
        return max(self.epochs, self.min_steps // max(-(-rows // self.batch), 1))


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``64KB``, ``65536`` or ``1MB`` (1 KB is 1,024 bytes).

    Raises:
        ConfigError: for anything else, or a size outside 1 byte to 256 MB.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    size = int(float(found[1]) * unit) if found and unit else 0
    if not 1 <= size <= MAX_BUDGET:
        raise ConfigError(f"'{text}' is not a size; expected bytes such as 65536, 64KB or 1MB, at most 256MB")
    return size
