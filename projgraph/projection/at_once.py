"""Runs two fits at once where torch may use two threads, each on one; what they compute does not depend on it.

The steps of a fit are small: a second thread within a step gains a fifth, and where other work has its core the wait
takes tenfold. Two fits have nothing to wait for: both take less than two thirds of the time of one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

HereT = TypeVar("HereT")
BesideT = TypeVar("BesideT")


@contextmanager
def undisturbed() -> Iterator[None]:
    """One thread of torch's for each of ours, and the state of its generator given back afterwards.

    A new layer draws a start from torch's global generator, though `build_head` gives it another.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def at_once(
    here: Callable[[], HereT], beside: Callable[[threading.Event], BesideT], threads: int
) -> tuple[HereT, BesideT]:
    """Both results.

    Args:
        here: runs in the caller's thread, such as what tells listeners.
        beside: runs in a thread of its own where there are two threads, else after the other. It is given an event
            that is set where the other failed or the wait was interrupted, and its result is not wanted any more.
        threads: that torch may use.
    """
    unwanted = threading.Event()
    if threads < 2:
        return here(), beside(unwanted)
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        future = pool.submit(beside, unwanted)
        try:
            return here(), future.result()
        except BaseException:  # an interrupt while the other is waited for, too
            unwanted.set()
            raise
