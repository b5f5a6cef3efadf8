"""Goes on from a fitted student with weights that are rounded or pruned; it knows rows and targets, no file.

One fit serves every form of weights: a tuning draws its random numbers from a seed of its own, so that it ends alike
whether the fit has just ended or was kept.
"""

from __future__ import annotations

import numpy as np

from projgraph.projection.fit import Fit, Fits, FitT, Student, StudentTask, undisturbed
from projgraph.projection.head import layers_of
from projgraph.projection.straight_through import Tuning


def tune_student(student: Student, task: StudentTask, tuning: Tuning) -> Student:
    """Train on with weights that are rounded or pruned.

    Args:
        student: as `fit_student` fitted it to the task, a moment ago or long since.
        task: rows, targets and settings.
        tuning: how weights are rounded.
    """
    with undisturbed():
        first = None if student.first_fit is None else Fit(task, student.first_fit)
        return tune_twice(Fits(first, Fit(task, student.layers)), student, tuning)


def tune_twice(fits: Fits[FitT], student: Student, tuning: Tuning) -> Student:
    """Train both fits on with weights that are rounded or pruned.

    Args:
        fits: at their ends; they are changed.
        student: that they made.
        tuning: how weights are rounded.

    Returns:
        The student with its layers and its logits of held-out rows after the tuning; its history is of the fit.
    """
    n_rows, held_out, logits, unseen = fits.second.n_rows, student.held_out, student.held_out_logits, None
    with undisturbed():
        if fits.first is not None:
            fits.first.tune(np.setdiff1d(np.arange(n_rows), held_out), tuning)
            logits, unseen = fits.first.logits(held_out), layers_of(fits.first.head)
        fits.second.tune(np.arange(n_rows), tuning)
    last = layers_of(fits.second.head)
    return Student(last.hidden, last.output, student.history, held_out, logits, last.convolution, unseen)
