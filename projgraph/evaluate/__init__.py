"""What a model is worth, measured; training is unknown here."""

from projgraph.evaluate.bit_use import BitUse, bit_use
from projgraph.evaluate.evaluation import Evaluation, evaluate
from projgraph.evaluate.report import ReportInput, write_report

__all__ = ["BitUse", "Evaluation", "ReportInput", "bit_use", "evaluate", "write_report"]
