"""Which instructions the kernels use, and how many threads: the choice every kernel shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TypeVar

from projgraph import _kernels
from projgraph.errors import ConfigError

Item = TypeVar("Item")


class Path(IntEnum):
    """The instructions of a kernel, slowest first; all give the same integers."""

    PORTABLE = 0
    AVX2 = 1
    AVX512 = 2


def paths() -> tuple[Path, ...]:
    """The paths that this processor runs, slowest first."""
    return tuple(path for path in Path if _kernels.runs(path))


def chosen_threads(threads: int) -> int:
    """The number of threads, 0 being all processors that this process may use.

    Raises:
        ConfigError: for a negative number.
    """
    if threads < 0:
        raise ConfigError(f"threads is {threads}, expected 0 for all processors, or a number of threads")
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads or processors


def in_threads(work: Callable[[Item], None], items: Iterable[Item], threads: int) -> None:
    """Call ``work`` on every item, in so many threads; the kernels release the GIL."""
    if threads == 1:
        for item in items:
            work(item)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(work, items):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
