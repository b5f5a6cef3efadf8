"""The only door to the C core: texts to bits and scores; it knows no file and no training.

Importing this module imports neither numpy nor anything heavier; the calls that return arrays import numpy themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from projgraph import _core
from projgraph.errors import ConfigError, ModelFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from projgraph.records import Bits, Texts

    Buffer: TypeAlias = bytes | bytearray | memoryview | NDArray[np.uint8]

ROWS_PER_TASK = 512
"""Fewer rows than this are not worth a thread: about a millisecond of work."""


def project(projection: bytes, texts: Texts, threads: int = 0) -> Bits:
    """The bits of n texts, by the code that the device runs.

    Args:
        projection: bytes of a projection section.
        texts: n texts; ill-formed UTF-8 reads as U+FFFD.
        threads: 0 for all processors.

    Returns:
        Packed planes, (n, ceil(n_bits / 8)) each.

    Raises:
        ModelFileError: the section's fields are out of range; the message carries the core's status.
    """
    import numpy as np

    from projgraph.records import Bits

    try:
        n_bits = _core.projection_bits(projection)
    except _core.StatusError as error:
        raise _refused("the projection", error) from error
    data, offsets = _buffers(texts)
    positive = np.empty((len(texts), (n_bits + 7) // 8), dtype=np.uint8)
    negative = np.empty_like(positive)

    def rows(start: int, end: int) -> None:
        _core.project_rows(projection, data, offsets, start, end, positive, negative)

    _over_rows(rows, len(texts), threads)
    return Bits(positive, negative, n_bits)


def features(projection: bytes, text: str) -> list[tuple[int, int]]:
    """The counted features of one text as (family index, 64-bit hash), family by family, in text order.

    Raises:
        ModelFileError: the section's fields are out of range; the message carries the core's status.
    """
    try:
        found = _core.features(projection, text.encode("utf-8", "surrogatepass"))
    except _core.StatusError as error:
        raise _refused("the projection", error) from error
    return sorted(found, key=lambda feature: feature[0])


class NativeModel:
    """A model in the core's hands, over the bytes of a `.pgb` file.

    Args:
        buffer: the bytes; used in place if read-only, copied if not, since the core checks them only once.

    Raises:
        ModelFileError: the bytes are not a model that this version runs; the message carries the core's status.

    Attributes:
        classes: the c class names.
        n_bits: T x d.
        scale: logit = integer score * scale.
        scratch_bytes: the memory that one prediction needs besides the model.
    """

    def __init__(self, buffer: Buffer) -> None:
        try:
            self._model = _core.Model(buffer)
        except _core.StatusError as error:
            raise _refused("the model", error) from error
        try:
            self.classes = tuple(self._model.label(index).decode() for index in range(self._model.classes))
        except UnicodeDecodeError as error:
            raise ModelFileError(f"a label is not UTF-8 ({error}): write the model again") from error
        self.n_bits: int = self._model.n_bits
        self.scale: float = self._model.scale
        self.scratch_bytes: int = self._model.scratch_bytes

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What the file says of its making; empty if it says nothing.

        Raises:
            ModelFileError: the section is not a JSON object.
        """
        text = self._model.provenance
        try:
            facts = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"the provenance section is not JSON ({error}): write the model again") from error
        if not isinstance(facts, dict):
            raise ModelFileError(f"the provenance section holds {type(facts).__name__}, expected a JSON object")
        return facts

    def predict_one(self, text: str) -> int:
        """The class index of one text; the lowest index wins a tie."""
        return self._model.predict(text)

    def scores(self, texts: Texts, threads: int = 0) -> NDArray[np.int32]:
        """(n, c) integer scores; ``score * scale`` is the logit. ``threads`` is 0 for all processors."""
        import numpy as np

        data, offsets = _buffers(texts)
        out = np.empty((len(texts), len(self.classes)), dtype=np.int32)
        _over_rows(lambda start, end: self._model.scores(data, offsets, start, end, out), len(texts), threads)
        return out

    def labels(self, texts: Texts, threads: int = 0) -> NDArray[np.int64]:
        """(n,) class indices. ``threads`` is 0 for all processors."""
        import numpy as np

        data, offsets = _buffers(texts)
        out = np.empty(len(texts), dtype=np.int64)
        _over_rows(lambda start, end: self._model.labels(data, offsets, start, end, out), len(texts), threads)
        return out

    def time_calls(self, texts: Texts, repeats: int) -> NDArray[np.float64]:
        """(n, repeats) nanoseconds of single predictions, called from C; the clock itself costs some 20 of them."""
        import numpy as np

        if repeats < 1:
            raise ConfigError(f"repeats is {repeats}, expected at least 1")
        out = np.empty((repeats, len(texts)), dtype=np.float64)
        self._model.time_calls(*_buffers(texts), repeats, out)
        return out.T

    def close(self) -> None:
        """Let go of the bytes; a later call raises ValueError."""
        self._model.close()


def _refused(what: str, error: _core.StatusError) -> ModelFileError:
    status, text = error.args
    return ModelFileError(f"{what} cannot be used: {text} ({status}); write it again with this version of projgraph")


def _buffers(texts: Texts) -> tuple[bytes, NDArray[np.uint64]]:
    """The texts as the core takes them: no copy for what `Texts` makes."""
    import numpy as np

    return texts.data, np.ascontiguousarray(texts.offsets, dtype=np.uint64)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _over_rows(work: Callable[[int, int], None], n_rows: int, threads: int) -> None:
    """Call ``work(start, end)`` over all rows, in several threads where that pays; the core releases the GIL."""
    if threads < 0:
        raise ConfigError(f"threads is {threads}, expected 0 for all processors, or a number of threads")
    threads = min(threads or _processors(), -(-n_rows // ROWS_PER_TASK))
    if threads <= 1:
        work(0, n_rows)
        return
    from concurrent.futures import ThreadPoolExecutor

    step = max(ROWS_PER_TASK, -(-n_rows // (8 * threads)))
    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(lambda start: work(start, min(start + step, n_rows)), range(0, n_rows, step)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
