"""The settings of a whole training, one stage beside the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from projgraph.config.graph import FeaturesConfig, GraphConfig, TuningConfig
from projgraph.config.sizes import MAX_BUDGET, MAX_TIME, parse_bytes, parse_time
from projgraph.config.stage import Stage
from projgraph.config.student import PackConfig, ProjectionConfig, StudentConfig, TrustConfig
from projgraph.config.trainers import TrainerConfig

_CODE_DIMENSIONS = 64


class TrainConfig(Stage):
    """Everything that decides a trained model beside its data."""

    seed: int = Field(0, ge=0, lt=1 << 32, description="of every random draw")
    budget: int = Field(256 * 1024, ge=1, le=MAX_BUDGET, description="bytes of the model file at most")
    time_budget: int | None = Field(
        None,
        ge=1,
        le=MAX_TIME,
        description='predicted nanoseconds of a text of 12 words at most; budget = "256KB,5us" sets both',
    )
    encoder: str | None = Field(None, description="a sentence-transformers model, by name or folder, at training time")
    features: FeaturesConfig = FeaturesConfig()
    tuning: TuningConfig = TuningConfig()
    graph: GraphConfig = GraphConfig()
    trainer: TrainerConfig = TrainerConfig()
    projection: ProjectionConfig = ProjectionConfig()
    student: StudentConfig = StudentConfig()
    trust: TrustConfig = TrustConfig()
    pack: PackConfig = PackConfig()

    @model_validator(mode="before")
    @classmethod
    def _split_budget(cls, values: Any) -> Any:
        """What stands behind a comma is the budget of time, and goes before one that stands alone."""
        budget = values.get("budget") if isinstance(values, Mapping) else None
        if not isinstance(budget, str) or "," not in budget:
            return values
        size, _, time = budget.partition(",")
        return {**values, "budget": size, "time_budget": time}

    @field_validator("budget", mode="before")
    @classmethod
    def _parse_budget(cls, value: Any) -> Any:
        """A recipe and ``--set`` may write 64KB as the option does."""
        return parse_bytes(value) if isinstance(value, str) else value

    @field_validator("time_budget", mode="before")
    @classmethod
    def _parse_time(cls, value: Any) -> Any:
        return parse_time(value) if isinstance(value, str) else value

    @property
    def code_dimensions(self) -> int:
        """Signs of a word's code; 0 for no words."""
        chosen = self.projection.words.dimensions
        return _CODE_DIMENSIONS if chosen is None else chosen

    def flattened(self) -> dict[str, Any]:
        """Every setting by its dotted name, in the order above."""
        return dict(_flatten(self.model_dump(mode="json"), ""))


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
