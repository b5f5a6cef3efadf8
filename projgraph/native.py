"""The only door to the C core: texts or vectors to bits and scores; it knows no file and no training.

Importing this module imports neither numpy nor anything heavier; the calls that return arrays import numpy themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from projgraph import _core
from projgraph.errors import ConfigError, InputError, ModelFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from projgraph.records import Bits, Texts, Vectors

    _Block: TypeAlias = tuple[NDArray[np.int16], NDArray[np.uint32] | None, NDArray[np.uint64]]
    _Call: TypeAlias = Callable[..., None]
    Buffer: TypeAlias = bytes | bytearray | memoryview | NDArray[np.uint8]

NO_LABEL = ""
"""What stands in the place of a label where no score reaches the model's threshold."""

MAX_VALUES = 65535
"""As in the file format, which this module does not import."""

ROWS_PER_TASK = 512
"""Fewer rows than this are not worth a thread: about a millisecond of work."""


def project(projection: bytes, texts: Texts | Vectors, threads: int = 0) -> Bits:
    """The bits of n texts, by the code that the device runs; those of vectors as ``project_vectors`` gives them.

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

    from projgraph.records import Bits, Texts

    if not isinstance(texts, Texts):
        return project_vectors(projection, texts, threads)
    n_bits, columns, _ = _facts(projection)
    check_input(columns, None)
    data, offsets = _buffers(texts)
    positive = np.empty((len(texts), (n_bits + 7) // 8), dtype=np.uint8)
    negative = np.empty_like(positive)

    def rows(start: int, end: int) -> None:
        _core.project_rows(projection, data, offsets, start, end, positive, negative)

    _over_rows(rows, len(texts), threads)
    return Bits(positive, negative, n_bits)


def project_vectors(projection: bytes, vectors: Vectors | Any, threads: int = 0) -> Bits:
    """The bits of n vectors, by the code that the device runs.

    Args:
        projection: bytes of a projection section of vectors.
        vectors: n rows as `Vectors`, or a numpy or scipy matrix.
        threads: 0 for all processors.

    Returns:
        Packed planes, (n, ceil(n_bits / 8)) each.

    Raises:
        ModelFileError: the section's fields are out of range; the message carries the core's status.
        InputError: the rows have another number of columns, or one has more than 65,535 values.
    """
    import numpy as np

    from projgraph.records import Bits

    n_bits, columns, scale = _facts(projection)
    given = _vectors(vectors, columns)
    positive = np.empty((len(given), (n_bits + 7) // 8), dtype=np.uint8)
    negative = np.empty_like(positive)

    def rows(block: _Block, start: int, end: int) -> None:
        _core.project_vectors(projection, *block, 0, end - start, positive[start:end], negative[start:end])

    _over_blocks(rows, given, scale, threads)
    return Bits(positive, negative, n_bits)


def vector_sums(projection: bytes, vectors: Vectors | Any, threads: int = 0) -> NDArray[np.int32]:
    """(n, n_bits) the sums of n vectors before they are compared with thresholds; training measures those by them.

    Raises:
        ModelFileError, InputError: as ``project_vectors``.
    """
    import numpy as np

    n_bits, columns, scale = _facts(projection)
    given = _vectors(vectors, columns)
    sums = np.empty((len(given), n_bits), dtype=np.int32)

    def rows(block: _Block, start: int, end: int) -> None:
        _core.vector_sums(projection, *block, 0, end - start, sums[start:end])

    _over_blocks(rows, given, scale, threads)
    return sums


def features(projection: bytes, text: str) -> list[tuple[int, int]]:
    """The counted features of one text as (family index, 64-bit hash), family by family, in text order.

    Raises:
        ModelFileError: the section's fields are out of range; the message carries the core's status.
    """
    check_input(_facts(projection)[1], None)
    found = _core.features(projection, text.encode("utf-8", "surrogatepass"))
    return sorted(found, key=lambda feature: feature[0])


def word_fingerprints(
    projection: bytes, texts: Texts, threads: int = 0
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The words of n texts as the core looks them up in a model's table: the first 4,096 of each, in text order.

    Returns:
        (N,) fingerprints, multiples of 4, and (n + 1,) the place where those of each text start.

    Raises:
        ModelFileError: the section's fields are out of range; the message carries the core's status.
        InputError: the projection takes vectors.
    """
    import numpy as np

    check_input(_facts(projection)[1], None)
    data, offsets = _buffers(texts)
    places = np.zeros(len(texts) + 1, dtype=np.int64)

    def count(start: int, end: int) -> None:
        _core.word_fingerprints(projection, data, offsets, start, end, places, np.empty(0, dtype=np.uint32))

    def fill(start: int, end: int) -> None:
        _core.word_fingerprints(projection, data, offsets, start, end, places, fingerprints)

    _over_rows(count, len(texts), threads)
    places = np.cumsum(places)
    fingerprints = np.empty(int(places[-1]), dtype=np.uint32)
    if len(fingerprints):
        _over_rows(fill, len(texts), threads)
    return fingerprints, places


class NativeModel:
    """A model in the core's hands, over the bytes of a `.pgb` file.

    Args:
        buffer: the bytes; used in place if read-only, copied if not, since the core checks them only once.
        head: the index of a head where they are of a bundle; -1 where they are of one model.
        vectors: bits of the processor's vectors that are to answer, 512 or 256; 0 for the portable core, which answers
            where there are none too; None for the most. All give the same integers.

    Raises:
        ModelFileError: the bytes are not a model that this version runs; the message carries the core's status.
        ConfigError: there are no vectors of so many bits.

    Attributes:
        classes: the c class names.
        n_bits: T x d.
        columns: numbers in a vector that the model takes; 0 where it takes texts.
        value_scale: of those numbers, integer value = round(x * value_scale); 0 where it takes texts.
        scale: logit = integer score * scale.
        threshold: a largest score below it gives no label; 0 for none.
        scratch_bytes: the memory that one prediction needs besides the model, in the portable core.
        answer: the name of the class of one text, in a list, empty for no label; straight from the core, so that
            nothing comes between.
    """

    answer: Callable[[str], list[str]]

    def __init__(self, buffer: Buffer, head: int = -1, vectors: int | None = None) -> None:
        if vectors not in (None, 0, 256, 512):
            raise ConfigError(f"vectors is {vectors}, expected 0, 256 or 512 bits, or None for the most there are")
        try:
            self._model = _core.Model(buffer, head, -1 if vectors is None else vectors)
        except _core.StatusError as error:
            raise _refused("the model", error) from error
        try:
            self.classes = tuple(self._model.label(index).decode() for index in range(self._model.classes))
        except UnicodeDecodeError as error:
            raise ModelFileError(f"a label is not UTF-8 ({error}): write the model again") from error
        self._model.set_names((*self.classes, NO_LABEL))
        self.answer = self._model.answer
        self.n_bits: int = self._model.n_bits
        self.columns: int = self._model.columns
        self.value_scale: float = self._model.value_scale
        self.scale: float = self._model.scale
        self.threshold: int = self._model.threshold
        self.scratch_bytes: int = self._model.scratch_bytes

    @cached_property
    def vectors(self) -> int:
        """Bits of the vectors that answer; 0 for the portable core."""
        return self._model.vectors

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
        """The class index of one text; the lowest index wins a tie, and -1 is no label.

        Raises:
            InputError: the model takes vectors.
        """
        if self.columns:
            check_input(self.columns, None)
        return self._model.predict(text)

    def answers(self, texts: tuple[str, ...], threads: int = 0) -> list[str]:
        """The class names of n texts, `NO_LABEL` for none.

        Args:
            texts: n strings.
            threads: 0 for all processors.

        Raises:
            InputError: the model takes vectors.
            TypeError: a text is no string.
        """
        check_input(self.columns, None)
        parts: dict[int, list[str]] = {}

        def some(start: int, end: int) -> None:
            parts[start] = self._model.answers(texts, start, end)

        _over_rows(some, len(texts), threads)
        return [name for start in sorted(parts) for name in parts[start]] if len(parts) > 1 else parts[0]

    def scores(self, rows: Texts | Vectors | Any, threads: int = 0) -> NDArray[np.int32]:
        """(n, c) integer scores of texts or vectors; ``score * scale`` is the logit.

        Args:
            rows: n texts, or n vectors as `Vectors` or as a numpy or scipy matrix, whichever the model takes.
            threads: 0 for all processors.

        Raises:
            InputError: the model takes the other kind, or vectors of another length.
        """
        import numpy as np

        given = _rows(rows, self.columns)
        out = np.empty((len(given), len(self.classes)), dtype=np.int32)
        self._over(given, threads, out, self._model.scores, self._model.vector_scores)
        return out

    def labels(self, rows: Texts | Vectors | Any, threads: int = 0) -> NDArray[np.int64]:
        """(n,) class indices of texts or vectors, given as to ``scores``; -1 where no score reaches the threshold."""
        import numpy as np

        given = _rows(rows, self.columns)
        out = np.empty(len(given), dtype=np.int64)
        self._over(given, threads, out, self._model.labels, self._model.vector_labels)
        return out

    def _over(self, rows: Texts | Vectors, threads: int, out: NDArray[Any], of_texts: _Call, of_vectors: _Call) -> None:
        from projgraph.records import Texts

        if isinstance(rows, Texts):
            data, offsets = _buffers(rows)
            _over_rows(lambda start, end: of_texts(data, offsets, start, end, out), len(rows), threads)
            return

        def some(block: _Block, start: int, end: int) -> None:
            of_vectors(*block, 0, end - start, out[start:end])

        _over_blocks(some, rows, self.value_scale, threads)

    def time_calls(self, rows: Texts | Vectors | Any, repeats: int) -> NDArray[np.float64]:
        """(n, repeats) nanoseconds of single predictions, called from C; the clock itself costs some 20 of them."""
        import numpy as np

        from projgraph.records import Texts

        if repeats < 1:
            raise ConfigError(f"repeats is {repeats}, expected at least 1")
        given = _rows(rows, self.columns)
        out = np.empty((repeats, len(given)), dtype=np.float64)
        if isinstance(given, Texts):
            self._model.time_calls(*_buffers(given), repeats, out)
        else:
            block = _integers(given, self.value_scale, 0, len(given))
            self._model.vector_time_calls(*block, repeats, out)
        return out.T

    def close(self) -> None:
        """Let go of the bytes; a later call raises ValueError."""
        self._model.close()


def bundle_names(buffer: Buffer) -> list[str]:
    """The names of the heads of a bundle, in their order; the heads are not looked into.

    Raises:
        ModelFileError: the bytes are not a bundle that this version runs; the message carries the core's status.
    """
    try:
        names = [name.decode() for name in _core.bundle_names(buffer)]
    except _core.StatusError as error:
        raise _refused("the bundle", error) from error
    except UnicodeDecodeError as error:
        raise ModelFileError(f"the name of a head is not UTF-8 ({error}): write the bundle again") from error
    if len(set(names)) != len(names):
        raise ModelFileError("two heads of the bundle have one name: write the bundle again")
    return names


class NativeBundle:
    """All heads of a bundle in the core's hands: a text is projected once for all of them.

    Args:
        buffer: the bytes; used in place if read-only, copied if not.

    Raises:
        ModelFileError: the bytes are not a bundle, or a head is not a model, that this version runs.

    Attributes:
        heads: each head as a model by its name, in the order of the file.
        scratch_bytes: the memory that a prediction of all heads needs besides the bundle.
    """

    def __init__(self, buffer: Buffer) -> None:
        names = bundle_names(buffer)
        try:
            self._bundle = _core.Bundle(buffer)
        except _core.StatusError as error:
            raise _refused("the bundle", error) from error
        self.heads = {name: NativeModel(buffer, index) for index, name in enumerate(names)}
        self.scratch_bytes: int = self._bundle.scratch_bytes

    def predict_one(self, text: str) -> dict[str, int]:
        """The class index of one text by every head, by their names; -1 is no label."""
        return dict(zip(self.heads, self._bundle.predict(text), strict=True))

    def scores(self, texts: Texts, threads: int = 0) -> dict[str, NDArray[np.int32]]:
        """(n, c) integer scores of n texts by every head, by their names."""
        import numpy as np

        data, offsets = _buffers(texts)
        out = np.empty((len(texts), self._bundle.classes), dtype=np.int32)
        _over_rows(lambda start, end: self._bundle.scores(data, offsets, start, end, out), len(texts), threads)
        ends = np.cumsum([len(head.classes) for head in self.heads.values()])
        return dict(zip(self.heads, np.split(out, ends[:-1], axis=1), strict=True))

    def time_calls(self, texts: Texts) -> NDArray[np.float64]:
        """(n,) nanoseconds of predictions by all heads together, called from C."""
        import numpy as np

        out = np.empty(len(texts), dtype=np.float64)
        self._bundle.time_calls(*_buffers(texts), 0, len(texts), out)
        return out


def _refused(what: str, error: _core.StatusError) -> ModelFileError:
    status, text = error.args
    remedy = "check that it is a .pgb file and whole, or write it again with this version of projgraph"
    return ModelFileError(f"{what} cannot be used: {text} ({status}); {remedy}")


def _facts(projection: bytes) -> tuple[int, int, float]:
    """Bits, columns (0 where rows are texts) and the scale of values."""
    try:
        return _core.projection_facts(projection)
    except _core.StatusError as error:
        raise _refused("the projection", error) from error


def check_input(columns: int, given: int | None) -> None:
    """That rows of ``given`` columns, None for texts, are what takes ``columns`` of them, 0 for texts.

    Raises:
        InputError: they are not; the message names both.
    """
    if columns == (given or 0):
        return
    takes = f"vectors of {columns} columns" if columns else "texts"
    advice = ": give a matrix to projgraph.load(path).predict; the command line reads texts" if given is None else ""
    found = "texts" if given is None else f"vectors of {given} columns"
    raise InputError(f"given {found}; the model takes {takes}{advice}")


def _rows(rows: Texts | Vectors | Any, columns: int) -> Texts | Vectors:
    """Rows of the kind and length that takes ``columns`` of them, 0 for texts."""
    from projgraph.records import Texts

    if not isinstance(rows, Texts):
        return _vectors(rows, columns)
    check_input(columns, None)
    return rows


def _vectors(rows: Vectors | Any, columns: int) -> Vectors:
    from projgraph.records import Vectors

    given = rows if isinstance(rows, Vectors) else Vectors.from_matrix(rows)
    check_input(columns, given.n_columns)
    return given


def _integers(vectors: Vectors, scale: float, start: int, end: int) -> _Block:
    """Some rows as the core takes them: 16-bit values, their columns unless dense, and where rows start.

    The product is of doubles, so that it is the same wherever it is computed.
    """
    import numpy as np

    if vectors.indptr is None or vectors.columns is None:
        values, columns = vectors.values[start:end], None
        offsets = np.arange(end - start + 1, dtype=np.uint64) * np.uint64(vectors.n_columns)
    else:
        first, last = int(vectors.indptr[start]), int(vectors.indptr[end])
        values, columns = vectors.values[first:last], vectors.columns[first:last].astype(np.uint32)
        offsets = (vectors.indptr[start : end + 1] - first).astype(np.uint64)
    if columns is None and vectors.n_columns > MAX_VALUES:
        raise InputError(
            f"dense vectors of {vectors.n_columns} columns; expected at most {MAX_VALUES}: give them as a sparse matrix"
        )
    rounded = np.rint(values.astype(np.float64) * scale)
    return np.clip(rounded, -32768, 32767).astype(np.int16), columns, offsets


def _over_blocks(work: Callable[[_Block, int, int], None], vectors: Vectors, scale: float, threads: int) -> None:
    """Call ``work(block, start, end)`` over all rows, a block of them in integers at a time."""

    def rows(start: int, end: int) -> None:
        for first in range(start, end, ROWS_PER_TASK):
            last = min(first + ROWS_PER_TASK, end)
            try:
                work(_integers(vectors, scale, first, last), first, last)
            except _core.StatusError as error:
                status, text = error.args
                raise InputError(f"a vector of rows {first} to {last - 1} cannot be used: {text} ({status})") from error

    _over_rows(rows, len(vectors), threads)


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
