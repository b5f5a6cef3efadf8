"""The light runtime of projgraph under a name of its own; importing it loads nothing heavier than the core."""

from __future__ import annotations

from projgraph.errors import InputError, ModelFileError, ProjgraphError
from projgraph.runtime import Model, load

__version__ = "@version@"
__all__ = ["InputError", "Model", "ModelFileError", "ProjgraphError", "__version__", "load"]
