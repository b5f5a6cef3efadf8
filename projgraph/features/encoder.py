"""Describes texts by a pretrained sentence encoder, at training time only; the device never sees it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track

from projgraph.errors import InputError, MissingExtraError
from projgraph.records import FloatArray, IndexArray, Texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 64
TEXTS_AT_ONCE = 1024
"""Texts between two steps of the progress bar; a batch never spans two of these."""
LOG_EVERY = 10
"""Of those steps, one in so many is logged where there is no terminal."""

_WORD_STARTS = ("\u2581", "\u0120")
"""Marks of SentencePiece and byte-level BPE."""
_MARKED = 100
"""Pieces with a mark from which on the mark is taken to mean something."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Encoder:
    """A sentence-transformers model.

    Attributes:
        model: as the library loads it.
    """

    model: SentenceTransformer

    def encode(self, texts: Texts) -> FloatArray:
        """Embed n texts as (n, d) rows of unit norm, or zero where a text is empty.

        Texts are taken by length, the longest first, so that a batch holds little padding and lack of memory shows at
        once.
        """
        strings = readable(texts)
        filled = np.array([row for row, string in enumerate(strings) if string.strip()], dtype=np.int64)
        lengths = np.array([len(strings[row]) for row in filled], dtype=np.int64)
        order = filled[np.argsort(-lengths, kind="stable")]
        width = self.model.get_embedding_dimension()
        embedded = np.zeros((len(strings), width or 1), dtype=np.float32)
        for rows in _steps(order):
            embedded[rows] = self.model.encode(
                [strings[row] for row in rows],
                batch_size=BATCH,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
        return embedded

    def words(self) -> tuple[str, ...]:
        """The whole words of the encoder's vocabulary, in its order, which is by frequency in the usual models.

        A piece that continues a word (``##ing``) is none; where a mark says that a word starts (``\u2581the``), a
        piece without it is none either.
        """
        vocabulary: dict[str, int] = self.model.tokenizer.get_vocab()
        pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
        starts = next((mark for mark in _WORD_STARTS if sum(piece.startswith(mark) for piece in pieces) > _MARKED), "")
        words = (piece[len(starts) :] for piece in pieces if piece.startswith(starts))
        return tuple(dict.fromkeys(word.lower() for word in words if word.isalpha()))


def readable(texts: Texts) -> list[str]:
    """The texts as strings that a tokenizer takes: a lone surrogate becomes a question mark."""
    return [text.encode("utf-8", "replace").decode() for text in texts]


@lru_cache(maxsize=1)
def load_encoder(name_or_folder: str) -> Encoder:
    """Load a sentence-transformers model; the last one loaded is kept.

    Args:
        name_or_folder: a folder with such a model, or the name of one on the Hugging Face hub, which comes from the
            local cache or, unless ``HF_HUB_OFFLINE=1`` is set, from the hub.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        InputError: there is no such folder or model, or it cannot be loaded.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError(
            f"the encoder {name_or_folder!r} needs sentence-transformers, which is not installed: "
            "pip install projgraph[encoder]"
        ) from error
    if not name_or_folder or (_is_path(name_or_folder) and not Path(name_or_folder).is_dir()):
        raise InputError(_not_loaded(name_or_folder, "there is no such folder"))
    try:
        return Encoder(SentenceTransformer(name_or_folder))
    except MemoryError:
        raise
    except Exception as error:  # a damaged folder ends in any error of four libraries
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise InputError(_not_loaded(name_or_folder, reason)) from error


def _is_path(name_or_folder: str) -> bool:
    """Whether the hub cannot have a model of that name, which is OWNER/NAME or NAME of letters, digits, ``-_.``."""
    parts = name_or_folder.split("/")
    return len(parts) > 2 or any(not part.strip() or part.startswith(".") or "\\" in part for part in parts)


def _not_loaded(name_or_folder: str, reason: str) -> str:
    return (
        f"cannot load the encoder {name_or_folder!r}: {reason}; expected the folder of a sentence-transformers model "
        "or the name of one on the Hugging Face hub, such as 'sentence-transformers/all-MiniLM-L6-v2'; without a "
        "connection give a folder, or a name that was downloaded before"
    )


def _steps(order: IndexArray) -> Iterator[IndexArray]:
    """The rows in steps, shown as a bar on a terminal and as log lines elsewhere."""
    steps = [order[start : start + TEXTS_AT_ONCE] for start in range(0, len(order), TEXTS_AT_ONCE)]
    if sys.stderr.isatty():
        yield from track(steps, description="Encoding texts", console=Console(stderr=True), transient=True)
        return
    for number, rows in enumerate(steps, start=1):
        yield rows
        if number % LOG_EVERY == 0 or number == len(steps):
            _log.info("encoded %d of %d texts", min(number * TEXTS_AT_ONCE, len(order)), len(order))
