"""What a model is worth, measured; training is unknown here."""

from projgraph.evaluate.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
