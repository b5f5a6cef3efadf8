"""The settings of the features stage, with the recipe's values as defaults; it describes nothing itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FeaturesConfig(BaseModel):
    """How a text is described to the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lsa_dimensions: int = Field(300, ge=1, le=2048, description="dimensions of the TF-IDF view after its truncated SVD")
    dimensions: int = Field(384, ge=1, le=4096, description="dimensions of the combined view")
