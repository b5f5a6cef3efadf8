"""The light runtime: a model file in, labels and probabilities out; it knows no training and imports numpy late."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from projgraph.errors import InputError, ModelFileError
from projgraph.native import NO_LABEL, NativeBundle, NativeModel, bundle_names, check_input
from projgraph.pack.format import BUNDLE_MAGIC, MAX_LENGTH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from projgraph.records import Texts, Vectors


def load(path: str | os.PathLike[str], head: str | None = None) -> Model:
    """Open a `.pgb` model file, or one head of a bundle.

    Args:
        path: the file.
        head: the name of a head, where the file is a bundle.

    Raises:
        ModelFileError: there is no such file, it cannot be read, or it is no model; the message says what to do.
        InputError: there is no head of that name, or the file is a bundle and none was named.
    """
    data = _read(path)
    try:
        if not data.startswith(BUNDLE_MAGIC):
            if head is not None:
                raise InputError(f"{path} is one model, without a head {head!r}: leave the head out")
            return Model(NativeModel(data), str(path))
        names = bundle_names(data)
        if head not in names:
            given = "no head was named" if head is None else f"there is no head {head!r}"
            raise InputError(f"{path} is a bundle and {given}; expected one of {_listed(names)}")
        return Model(NativeModel(data, names.index(head)), f"{path}, head {head}")
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open all heads of a bundle, which `projgraph bundle` writes.

    Raises:
        ModelFileError: there is no such file, it cannot be read, or it is no bundle; the message says what to do.
    """
    data = _read(path)
    try:
        return Bundle(NativeBundle(data), str(path))
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


class Bundle:
    """Many classifiers over one projection, ready to run.

    Attributes:
        native: the heads in the core's hands: integer scores, timing.
        heads: each head as a classifier of its own, by its name.
        source: where it came from, for messages.
    """

    def __init__(self, native: NativeBundle, source: str = "bundle bytes") -> None:
        self.native = native
        self.heads = {name: Model(head, f"{source}, head {name}") for name, head in native.heads.items()}
        self.source = source

    def predict(self, text: str) -> dict[str, str]:
        """The label of one text by every head, by their names; its bits are computed once.

        A head gives the empty string where no score reaches its threshold.
        """
        _check_strings((text,))
        found = self.native.predict_one(text)
        return {name: head.classes[found[name]] if found[name] >= 0 else NO_LABEL for name, head in self.heads.items()}

    def __repr__(self) -> str:
        return f"Bundle({self.source!r}, {len(self.heads)} heads)"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


_LISTED = 10
"""Names of heads that a message has room for."""


class Model:
    """A trained classifier, ready to run.

    Works as a context manager, and from many threads at a time.

    Attributes:
        native: the model in the core's hands: integer scores, timing, provenance.
        source: where it came from, for messages.
    """

    def __init__(self, native: NativeModel, source: str = "model bytes") -> None:
        self.native = native
        self.source = source
        self._answer = None if native.columns else native.answer

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the c classes, in the order of ``predict_proba``'s columns."""
        return self.native.classes

    @property
    def provenance(self) -> dict[str, Any]:
        """What the file says of its making."""
        return self.native.provenance

    def predict(self, texts: str | Sequence[str] | Any) -> list[str]:
        """The label of each of n rows.

        Args:
            texts: n texts, a single string being one text; or, where the model takes vectors, an (n, columns) matrix.

        Returns:
            n class names; the empty string where no score reaches the model's threshold.

        Raises:
            InputError: an element is not a string, or the rows are not what the model takes.
        """
        if self._answer is None:
            return [self._name(index) for index in self.native.labels(self._vectors(texts)).tolist()]
        if isinstance(texts, str):
            return self._answer(texts)
        rows = _in_order(texts)
        try:
            return self.native.answers(rows)
        except TypeError:
            _check_strings(rows)  # says which of them is no string
            raise

    def _name(self, index: int) -> str:
        return self.classes[index] if index >= 0 else NO_LABEL

    def predict_proba(self, texts: str | Sequence[str] | Any) -> NDArray[np.float64]:
        """The probability of each class for each of n rows.

        Args:
            texts: as for ``predict``.

        Returns:
            (n, c), rows sum to one, and the largest of a row is the label that ``predict`` gives, if it gives one.

        Raises:
            InputError: as ``predict``.
        """
        from projgraph.records import Texts

        if self.native.columns:
            return self.probabilities(self._vectors(texts))
        rows = _in_order(texts)
        _check_strings(rows)
        return self.probabilities(Texts.from_strings(rows))

    def probabilities(self, rows: Texts | Vectors) -> NDArray[np.float64]:
        """As ``predict_proba``, of rows that are packed already."""
        return self._probabilities(self.native.scores(rows))

    def decide(self, text: str) -> tuple[int, float]:
        """The class index of a text, -1 where no score reaches the model's threshold, and the largest probability.

        Raises:
            InputError: the model takes vectors.
        """
        from projgraph.records import Texts

        scores = self.native.scores(Texts.from_strings([text]), threads=1)
        best = int(scores[0].argmax())
        known = not self.native.threshold or scores[0, best] >= self.native.threshold
        return (best if known else -1), float(self._probabilities(scores)[0, best])

    def _probabilities(self, scores: NDArray[np.int32]) -> NDArray[np.float64]:
        import numpy as np

        logits = scores * np.float64(self.native.scale)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        # A scale so small that scores differ and probabilities do not: the label keeps the last bit's advantage.
        labels = scores.argmax(axis=1)
        for row in np.flatnonzero(probabilities.argmax(axis=1) != labels):
            probabilities[row, labels[row]] = np.nextafter(probabilities[row].max(), np.inf)
        return np.asarray(probabilities)

    def _vectors(self, rows: Any) -> Vectors:
        from projgraph.records import Vectors

        if isinstance(rows, str) or (isinstance(rows, list | tuple) and any(isinstance(row, str) for row in rows)):
            check_input(self.native.columns, None)
        return rows if isinstance(rows, Vectors) else Vectors.from_matrix(rows)

    def close(self) -> None:
        """Let go of the model's bytes; a later prediction raises ValueError."""
        self.native.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Model({self.source!r}, {len(self.classes)} classes, {self.native.n_bits} bits)"


def _read(path: str | os.PathLike[str]) -> bytes:
    """The file's bytes. Read, not mapped: the core checks them once, so nobody may change them afterwards."""
    try:
        facts = Path(path).stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ModelFileError(f"{path} is not an ordinary file: give the path of a .pgb model")
        if facts.st_size > MAX_LENGTH:
            raise ModelFileError(f"{path} has {facts.st_size} bytes, a model at most {MAX_LENGTH}: give a .pgb model")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"there is no file {path}: train one with `projgraph train`, or check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        if isinstance(error, ModelFileError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"cannot read {str(path)!r}: {reason}; give the path of a readable .pgb model") from error


def _in_order(texts: str | Iterable[str]) -> tuple[str, ...]:
    """The texts, a single string being one; bytes and tables are none, though Python would go through them."""
    if isinstance(texts, str):
        return (texts,)
    try:
        if isinstance(texts, bytes | bytearray | memoryview) or getattr(texts, "ndim", 1) != 1:
            raise TypeError
        rows = iter(texts)
    except TypeError:
        raise InputError(f"given {type(texts).__name__}, expected a str or one column of them, as a list") from None
    return tuple(rows)


def _check_strings(rows: tuple[str, ...]) -> None:
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise InputError(f"text {row} is {type(text).__name__}, expected str: convert missing values to ''")
