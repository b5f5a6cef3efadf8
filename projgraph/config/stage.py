"""What every settings model has in common: frozen, no unknown names, no infinity."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Stage(BaseModel):
    """Settings of a stage, or of a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
