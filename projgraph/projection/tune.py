"""Goes on from a fitted student with weights that are rounded or pruned; it knows rows and targets, no file.

One fit serves every form of weights: a tuning draws its random numbers from a seed of its own, so that it ends alike
whether the fit has just ended or was kept.
"""

from __future__ import annotations

import threading

import numpy as np
import torch

from projgraph.projection.at_once import at_once, undisturbed
from projgraph.projection.fit import Fit, Fits, FitT, Student, StudentTask
from projgraph.projection.head import HeadLayers, layers_of
from projgraph.projection.straight_through import Tuning
from projgraph.records import FloatArray


def tune_student(student: Student, task: StudentTask, tuning: Tuning) -> Student:
    """Train on with weights that are rounded or pruned.

    Args:
        student: as `fit_student` fitted it to the task, a moment ago or long since.
        task: rows, targets and settings.
        tuning: how weights are rounded.
    """
    with undisturbed():
        first = None if student.first_fit is None else Fit(task, student.first_fit)
        second = Fit(task, student.layers)
    return tune_twice(Fits(first, second), student, tuning)


def tune_twice(fits: Fits[FitT], student: Student, tuning: Tuning) -> Student:
    """Train both fits on with weights that are rounded or pruned.

    Args:
        fits: at their ends; they are changed.
        student: that they made.
        tuning: how weights are rounded.

    Returns:
        The student with its layers and its logits of held-out rows after the tuning; its history is of the fit.
    """
    all_rows, held_out = np.arange(fits.second.n_rows), student.held_out

    def tune_first() -> tuple[FloatArray, HeadLayers | None]:
        if fits.first is None:
            return student.held_out_logits, None
        fits.first.tune(np.setdiff1d(all_rows, held_out), tuning)
        return fits.first.logits(held_out), layers_of(fits.first.head)

    def tune_second(unwanted: threading.Event) -> HeadLayers:
        fits.second.tune(all_rows, tuning, unwanted)
        return layers_of(fits.second.head)

    threads = torch.get_num_threads()
    with undisturbed():
        (logits, unseen), last = at_once(tune_first, tune_second, threads)
    return Student(last.hidden, last.output, student.history, held_out, logits, last.convolution, unseen)
