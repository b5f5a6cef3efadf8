"""Tasks on several processes, each on one thread; a process that dies takes one task with it, not the others.

A worker ends with the process that started it, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PREFETCHED = 1
"""Tasks that a pool of processes may have begun beside one for each process."""


def run_all(
    tasks: Iterable[TaskT], work: Callable[[TaskT], ResultT], died: Callable[[TaskT], ResultT], jobs: int
) -> Iterator[tuple[TaskT, ResultT]]:
    """Every task with its result, in the order in which they are finished.

    Args:
        tasks: what to do; they and their results can be pickled.
        work: does one in a process of its own, and raises nothing.
        died: the result of a task whose process was killed, or ended by itself.
        jobs: processes at a time.
    """
    left = deque(tasks)
    while left:
        finished: set[int] = set()
        with _pool(jobs) as pool:
            futures: dict[Future[ResultT], int] = {pool.submit(work, task): place for place, task in enumerate(left)}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    finished.add(futures[future])
                    yield left[futures[future]], result
            except BrokenProcessPool:
                pass
            except BaseException:  # interrupted, or the caller wants no more
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        left = deque(task for place, task in enumerate(left) if place not in finished)
        # A process has died. Which task it had is not told: those that may have begun are tried one by one.
        for _ in range(min(jobs + _PREFETCHED, len(left))):
            task = left.popleft()
            yield task, _alone(task, work, died)


def _alone(task: TaskT, work: Callable[[TaskT], ResultT], died: Callable[[TaskT], ResultT]) -> ResultT:
    with _pool(1) as pool:
        try:
            return pool.submit(work, task).result()
        except BrokenProcessPool:
            return died(task)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # spawn: a fork of a process that has threads may hang, and a worker starts alike on every system.
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start)


def _start() -> None:
    """One thread a process, before anything heavy is imported; and no life without the parent's."""
    for name in _THREADS:
        os.environ[name] = "1"
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
