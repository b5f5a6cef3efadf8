"""The settings of the features that the graph sees, and of the graph."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from projgraph.config.stage import Stage


class FeaturesConfig(Stage):
    """How a text is described to the graph; a view of weight 0 is left out."""

    dimensions: int = Field(384, ge=1, le=4096, description="dimensions of the joint view, an encoder's beside them")
    lsa_dimensions: int = Field(300, ge=1, le=2048, description="dimensions of the TF-IDF view, whose weight is 1")
    word_dimensions: int = Field(300, ge=1, le=2048, description="dimensions of a PPMI word vector")
    windows: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (4, 50), description="words on either side that are context, one view for each"
    )
    sif_weight: float = Field(0.6, ge=0, le=10, description="weight of each view by averaged word vectors")
    contrastive_weight: float = Field(0.6, ge=0, le=10, description="weight of the contrastive bag of words")
    contrastive_dimensions: int = Field(256, ge=1, le=2048, description="dimensions of the contrastive bag of words")
    contrastive_epochs: int = Field(6, ge=1, le=1000, description="its passes over the texts")
    contrastive_steps: int = Field(600, ge=1, description="its batches of 512 texts at most")
    min_texts: int = Field(50, ge=2, description="texts below which TF-IDF stands alone: too few to learn words from")
    label_names: bool = Field(True, description="names of labels are examples of their class where they tell")
    encoder_view_weight: float = Field(0.5, ge=0, le=10, description="weight of the joint view beside an encoder's")


class TuningConfig(Stage):
    """How a sentence encoder is tuned to the trainer's beliefs before a second graph is taught."""

    epochs: int | None = Field(
        None,
        ge=0,
        le=100,
        description="passes over the texts; 0 tunes nothing, none is 2, or 0 where two cores would take 15 minutes",
    )
    rate: float = Field(5e-5, gt=0, lt=1, description="peak learning rate of AdamW")
    batch: int = Field(32, ge=1, description="texts a step")


class GraphConfig(Stage):
    """The trainer graph."""

    neighbours: int = Field(15, ge=1, le=256, description="edges each row asks for, itself not counted")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="how rows are compared")
    weight: Literal["auto", "exponential", "cosine", "gaussian", "binary"] = Field(
        "auto",
        description="of an edge; gaussian scales each row by its seventh neighbour; auto is exponential by cosine",
    )
    temperature: float = Field(0.1, gt=0, le=10, description="of the exponential weight exp((cos - 1) / temperature)")
    mutual: bool = Field(False, description="keep an edge only where both ends ask for it")
    method: Literal["auto", "flat", "hnsw", "ivf"] = Field(
        "auto", description="of the search; auto is exact to 60,000 rows, or where recall is nearly 1, then hnsw"
    )
    recall: float = Field(0.95, gt=0, le=1, description="share of the true neighbours that a near search aims for")
