"""The settings of the features stage."""

from projgraph.config import FeaturesConfig

__all__ = ["FeaturesConfig"]
