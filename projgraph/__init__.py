"""projgraph: a graph teaches, bits learn; importing it loads nothing heavier than this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from projgraph.estimator import ProjectionClassifier
    from projgraph.runtime import Bundle, Model, load, load_bundle

__version__ = "0.1.0"
__all__ = ["Bundle", "Model", "ProjectionClassifier", "__version__", "load", "load_bundle"]

_HOMES = {"ProjectionClassifier": "projgraph.estimator"} | dict.fromkeys(
    ("Bundle", "Model", "load", "load_bundle"), "projgraph.runtime"
)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that the light runtime stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'projgraph' has no attribute {name!r}; it offers {', '.join(__all__)}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
