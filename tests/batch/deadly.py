"""Work for processes that die: importable, since a worker starts by importing it."""

from __future__ import annotations

import os
import signal


def work(task: int) -> str:
    if task < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{task} by one thread: {os.environ['OMP_NUM_THREADS']}"


def died(task: int) -> str:
    return f"{task} died"
