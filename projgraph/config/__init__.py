"""One frozen settings model per stage and one for a whole train; they know ranges and defaults, no stage's code.

A default that was tuned says in its description where it was measured; `benchmarks/LOG.md` has the figures.
"""

from projgraph.config.graph import FeaturesConfig, GraphConfig, TuningConfig
from projgraph.config.load import change_config, load_config, read_toml
from projgraph.config.sizes import MAX_BUDGET, MAX_TIME, parse_bytes, parse_time
from projgraph.config.student import (
    CorruptionConfig,
    LossConfig,
    PackConfig,
    ProjectionConfig,
    StudentConfig,
    TrustConfig,
    VectorsConfig,
    WordsConfig,
    weight_settings,
)
from projgraph.config.train import TrainConfig
from projgraph.config.trainers import (
    TRAINER_NAMES,
    AppnpConfig,
    ClassicConfig,
    FeatureSmoothingConfig,
    GatConfig,
    GcniiConfig,
    MachineConfig,
    NetworkConfig,
    NeuralConfig,
    SignConfig,
    TrainerConfig,
)

__all__ = [
    "MAX_BUDGET",
    "MAX_TIME",
    "TRAINER_NAMES",
    "AppnpConfig",
    "ClassicConfig",
    "CorruptionConfig",
    "FeatureSmoothingConfig",
    "FeaturesConfig",
    "GatConfig",
    "GcniiConfig",
    "GraphConfig",
    "LossConfig",
    "MachineConfig",
    "NetworkConfig",
    "NeuralConfig",
    "PackConfig",
    "ProjectionConfig",
    "SignConfig",
    "StudentConfig",
    "TrainConfig",
    "TrainerConfig",
    "TrustConfig",
    "TuningConfig",
    "VectorsConfig",
    "WordsConfig",
    "change_config",
    "load_config",
    "parse_bytes",
    "parse_time",
    "read_toml",
    "weight_settings",
]
