"""Training runs in MLflow, and the model as a flavour of it; the only folder that imports mlflow, and only when used.

MLflow finds ``_load_pyfunc`` here: the name of this package is written in every logged model.
"""

from projgraph.runs import TrackedData, TrackedRun, Tracking, store_address
from projgraph.tracking.flavour import _load_pyfunc, load_model, log_model, save_model
from projgraph.tracking.send import sync, track

__all__ = [
    "TrackedData",
    "TrackedRun",
    "Tracking",
    "_load_pyfunc",
    "load_model",
    "log_model",
    "save_model",
    "store_address",
    "sync",
    "track",
]
