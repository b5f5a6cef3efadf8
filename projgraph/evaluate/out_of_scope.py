"""Whether confidence tells texts of the known classes from texts of none of them; it knows no model.

Source: Hendrycks, Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", ICLR 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def out_of_scope_auroc(confidence: NDArray[np.floating[Any]], known: NDArray[np.bool_]) -> float | None:
    """Probability that a row of a known class is more confident than a row of none; ties count half.

    The area under the ROC curve by the rank-sum identity: (R - k (k + 1) / 2) / (k u), R the sum of the ranks of the k
    known rows among all k + u rows.

    Args:
        confidence: (n,) probability of the predicted class.
        known: (n,) whether the true label is one of the model's classes.

    Returns:
        0 to 1, where 0.5 is chance; None where all rows are known or all unknown.
    """
    k = int(known.sum())
    u = len(known) - k
    if not k or not u:
        return None
    ranks = rankdata(confidence)
    return float((ranks[known].sum() - k * (k + 1) / 2) / (k * u))
