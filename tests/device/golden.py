"""The golden set: seeded models, rows, and the scores that the plain Python reference finds; it runs no C.

One binary file carries models and rows to every target, so that a target needs a loader of a page and no reader of its
own. All numbers are little-endian, 32 bits wide unless it is said, and every block starts at a multiple of 4:

    rows   | kind (0 text, 1 all columns, 2 some columns), count, then count bytes of text; or count columns of 32 bits
    ...    | (kind 2 alone) and count values of 16 bits
    models | bytes, the .pgb file, how many rows it predicts, their numbers
    ...    |

with the number of rows before the first row, and that of models before the first model. What a target prints for it is
`expected`, line by line, but for lines that begin with `#`, which tell what it measured.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_CLASSES, Quantiser
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes

from ..core import reference
from ..core.reference_head import model_of, random_layer
from ..core.reference_words import fingerprints
from .texts import SENTENCES, long_texts, short_texts

TEXT, DENSE, SPARSE = range(3)
REFUSED = -1
SHORT = 1_500
"""Bytes of a text that a device of 16 KB is asked."""
LONG = ("linear of 8 bits", "linear of 4 bits", "words, convolution", "wide hidden, words")
"""Models that are asked the long texts too, which take the reference a second each."""


@dataclass(frozen=True)
class Row:
    """A text; or the integers of a vector, at these columns or at all of them."""

    name: str
    text: bytes = b""
    values: tuple[int, ...] | None = None
    columns: tuple[int, ...] | None = None

    @property
    def length(self) -> int:
        """Its bytes in the file, without its kind and count."""
        if self.values is None:
            return len(self.text)
        return (2 if self.columns is None else 6) * len(self.values)

    def to_bytes(self) -> bytes:
        """As the module's first lines describe it."""
        if self.values is None:
            return _padded(struct.pack("<II", TEXT, len(self.text)) + self.text)
        count = len(self.values)
        kind = DENSE if self.columns is None else SPARSE
        columns = struct.pack(f"<{count}I", *self.columns) if self.columns is not None else b""
        return _padded(struct.pack("<II", kind, count) + columns + struct.pack(f"<{count}h", *self.values))


@dataclass(frozen=True)
class Case:
    """A model file and the rows it is asked, or the status that a reader must give for its bytes."""

    name: str
    data: bytes
    rows: tuple[int, ...]
    status: str = "PG_OK"


@dataclass(frozen=True)
class Golden:
    """Models and rows of one kind of target; `expected` is computed once."""

    rows: tuple[Row, ...]
    cases: tuple[Case, ...]

    def to_bytes(self) -> bytes:
        """The file as this module's first lines describe it."""
        rows = b"".join(row.to_bytes() for row in self.rows)
        models = b"".join(
            struct.pack("<I", len(case.data))
            + _padded(case.data)
            + struct.pack(f"<{len(case.rows) + 1}I", len(case.rows), *case.rows)
            for case in self.cases
        )
        return struct.pack("<I", len(self.rows)) + rows + struct.pack("<I", len(self.cases)) + models

    @cached_property
    def expected(self) -> list[str]:
        """The lines that every target must print: `open M STATUS`, then `M ROW LABEL SCORE...`; label -1 for none."""
        lines = []
        for number, case in enumerate(self.cases):
            lines.append(f"open {number} {case.status}")
            if case.status == "PG_OK":
                lines += (f"{number} {line}" for line in self._lines(case))
        return lines

    def _lines(self, case: Case) -> Iterator[str]:
        model = model_of(case.data)
        threshold = threshold_of(case.data)
        for index in case.rows:
            row = self.rows[index]
            columns = getattr(model.projection, "columns", 0)
            scores = model.scores(row.text if row.values is None else dense(row, columns))
            label = reference.label(scores)
            if threshold and scores[label] < threshold:
                label = REFUSED
            yield f"{index} {label} {' '.join(map(str, scores))}"

    def only(self, longest: int, largest: int, every: int = 1, classes: int = MAX_CLASSES) -> Golden:
        """The models of at most so many bytes and classes, and of the rows that are no longer every first, second... of
        each."""
        cases = [case for case in self.cases if len(case.data) <= largest]
        cases = [case for case in cases if not case.rows or classes_of(case.data) <= classes]
        short = {index for index, row in enumerate(self.rows) if row.length <= longest}
        asked = [tuple(index for index in case.rows if index in short)[::every] for case in cases]
        kept = sorted({index for rows in asked for index in rows})
        place = {index: at for at, index in enumerate(kept)}
        return Golden(
            tuple(self.rows[index] for index in kept),
            tuple(
                dataclasses.replace(case, rows=tuple(place[index] for index in rows))
                for case, rows in zip(cases, asked, strict=True)
            ),
        )

    def place(self, line: str) -> str:
        """What an expected line is about, for a message."""
        words = line.split()
        if words[0] == "open":
            return f"opening model {self.cases[int(words[1])].name!r}"
        return f"model {self.cases[int(words[0])].name!r}, row {self.rows[int(words[1])].name!r}"


def dense(row: Row, columns: int) -> list[int]:
    """The values of all columns of a vector."""
    assert row.values is not None
    full = [0] * columns
    where = range(columns) if row.columns is None else row.columns
    for column, value in zip(where, row.values, strict=True):
        full[column] = value
    return full


def threshold_of(data: bytes) -> int:
    """The threshold of the largest score, in the last four bytes of the head section."""
    return int(struct.unpack_from("<i", data, _head_of(data) + 12)[0])


def classes_of(data: bytes) -> int:
    """The number of classes, as the head says it."""
    return int(struct.unpack_from("<H", data, _head_of(data) + 4)[0])


def _head_of(data: bytes) -> int:
    entries = (struct.unpack_from("<II", data, 32 + 16 * index) for index in range(data[16]))
    return next(offset for kind, offset in entries if kind == 2)


def golden() -> Golden:
    """The whole set, the same bytes on every machine."""
    rows = [Row(name, text) for name, text in (*short_texts(), *long_texts())]
    texts = tuple(range(len(rows)))
    short = tuple(index for index in texts if len(rows[index].text) <= SHORT)
    rows += vectors()
    narrow = tuple(index for index in range(len(texts), len(rows)) if rows[index].name.startswith("33"))
    wide = tuple(index for index in range(len(texts), len(rows)) if rows[index].name.startswith("300"))
    cases = [Case(name, data, texts if name in LONG else short) for name, data in text_models()]
    cases += [Case(name, data, narrow if " 33 " in name else wide) for name, data in vector_models()]
    return Golden(tuple(rows), (*cases, *damaged(cases[0].data)))


def measured(seen_slots_log2: int = 10) -> Golden:
    """The model that sizes are stated for, of 2,048 bits, 77 classes and 8-bit weights, and texts of twelve words.

    All else is as training has it, unless the repeat filter has fewer slots.
    """
    rows = tuple(Row(f"sentence {index}", text) for index, text in enumerate(SENTENCES))
    spec = ProjectionSpec.for_text(bits=2048, additions=2, seen_slots_log2=seen_slots_log2)
    data = text_model(spec, 40, classes=77)
    return Golden(rows, (Case("2,048 bits, 77 classes", data, tuple(range(len(rows)))),))


def text_models() -> Iterator[tuple[str, bytes]]:
    """Every kind of head over projections of texts; all but the last two fit a device of 16 KB."""
    small = ProjectionSpec.for_text(bits=128, seen_slots_log2=5)
    odd = ProjectionSpec.for_text(bits=101, additions=3, word_share=0.3, word_ngrams=(1, 4), character_ngrams=(1, 8))
    signs = ProjectionSpec.for_text(bits=120, additions=13, quantiser=Quantiser.SIGN, seen_slots_log2=0)
    characters = ProjectionSpec.for_text(bits=96, additions=16, word_share=0.0, seen_slots_log2=3)
    yield "linear of 8 bits", text_model(small, 1)
    yield "linear of 4 bits", text_model(odd_slots(odd), 2, classes=33, width=4)
    yield "signs, hidden of 8 bits", text_model(signs, 3, units=9)
    yield "hidden of 4 bits", text_model(characters, 4, classes=3, width=4, units=7, hidden_width=4)
    yield "one class", text_model(small, 5, classes=1)
    yield "a threshold", text_model(small, 6, threshold=20_000)
    yield "a threshold below zero", text_model(signs, 7, classes=2, threshold=-20_000)
    yield "words", text_model(small, 8, dimensions=24)
    yield "words, hidden of 4 bits", text_model(signs, 9, width=4, units=6, hidden_width=4, dimensions=8)
    yield "words, convolution", text_model(small, 10, dimensions=16, filters=5, window=3)
    yield "words, hidden, convolution of one", text_model(small, 11, units=5, dimensions=8, filters=33, window=1)
    yield (
        "words, convolution of five, threshold",
        text_model(small, 12, width=4, dimensions=32, filters=4, window=5, threshold=30_000),
    )
    yield "ternary, hidden binary, words", text_model(small, 15, width=2, units=9, hidden_width=1, dimensions=16)
    yield "binary, hidden ternary, words", text_model(signs, 16, width=1, units=17, hidden_width=2, dimensions=8)
    yield "binary of 33", text_model(odd_slots(odd), 17, classes=33, width=1)
    yield "shared, hidden sparse, words", text_model(small, 18, width=20, units=9, hidden_width=36, dimensions=16)
    yield "sparse ternary of 40", text_model(small, 19, classes=40, width=34)
    yield "sparse of 8 bits, hidden shared and sparse", text_model(signs, 20, width=40, units=7, hidden_width=52)
    wide = ProjectionSpec.for_text(bits=1040, additions=13, word_ngrams=(1, 3), character_ngrams=(2, 6))
    yield "wide linear of 8 bits", text_model(wide, 13, classes=77)
    yield "wide hidden, words", text_model(wide, 14, classes=77, width=4, units=40, hidden_width=4, dimensions=64)


def odd_slots(spec: ProjectionSpec) -> ProjectionSpec:
    """The same with another repeat filter."""
    return ProjectionSpec(spec.functions, spec.function_bits, spec.families, 2**64 - 1, spec.quantiser, 6)


def text_model(
    spec: ProjectionSpec,
    seed: int,
    classes: int = 5,
    width: int = 8,
    units: int = 0,
    hidden_width: int = 8,
    dimensions: int = 0,
    filters: int = 0,
    window: int = 3,
    threshold: int = 0,
) -> bytes:
    """A file of random integers; its words are those of the sentences and of some texts, and one of no text."""
    rng = np.random.default_rng(seed)
    first = spec.n_bits + dimensions
    output = random_layer(rng, (units or first) + filters, classes, width)
    hidden = random_layer(rng, first, units, hidden_width) if units else None
    convolution, words = None, None
    if filters:
        convolution = QuantisedConvolution(random_layer(rng, window * dimensions, filters, 8), window, 9)
    if dimensions:
        known = [*SENTENCES, "我的卡 🙂 บัตร ❤ card w7 w4095 w4096 ab".encode(), b"w" * 127]
        found = np.unique([4, *(word for text in known for word in fingerprints(text, spec.seed))]).astype(np.uint32)
        codes = (rng.integers(0, 2, (len(found), dimensions)) * 2 - 1).astype(np.int8)
        words = WordTable(found, rng.integers(0, 4, len(found)).astype(np.uint8), codes)
    model = QuantisedModel(
        projection=spec.to_bytes(),
        output=output,
        hidden=hidden,
        hidden_shift=9 if units else 0,
        scale=1.0,
        classes=tuple(f"class {index}" for index in range(classes)),
        words=words,
        norm_shift=3 if words else 0,
        convolution=convolution,
        threshold=threshold,
    )
    return model_bytes(model, {})


def vector_models() -> Iterator[tuple[str, bytes]]:
    """Both quantisers, with and without thresholds, over 33 and over 300 columns."""
    thresholds = np.random.default_rng(0).integers(-60_000, 60_000, 101).astype(np.int32)
    signs = VectorSpec(1, 101, 33, 7, thresholds=thresholds)
    ternary = VectorSpec(1, 101, 33, 101, thresholds=thresholds, quantiser=Quantiser.TERNARY)
    yield "signs of 33 columns", vector_model(signs, 20)
    yield "ternary of 33 columns, hidden", vector_model(ternary, 21, units=6)
    yield "signs of 300 columns, no thresholds", vector_model(VectorSpec(2, 64, 300, 3), 22, width=4)
    lowest = np.where(np.arange(64) % 2, -(2**31), 0).astype(np.int32)
    edge = VectorSpec(1, 64, 300, 1, thresholds=lowest, quantiser=Quantiser.TERNARY)
    yield "ternary of 300 columns", vector_model(edge, 23)


def vector_model(spec: VectorSpec, seed: int, width: int = 8, units: int = 0) -> bytes:
    """A file of random integers over a projection of vectors."""
    rng = np.random.default_rng(seed)
    output = random_layer(rng, units or spec.n_bits, 5, width)
    hidden = random_layer(rng, spec.n_bits, units, 4) if units else None
    classes = tuple(f"class {index}" for index in range(5))
    return model_bytes(QuantisedModel(spec.to_bytes(), output, hidden, 7 if units else 0, 1.0, classes), {})


def vectors() -> Iterator[Row]:
    """Rows of 33 and of 300 integers: random, extreme, zero, and by their columns."""
    rng = np.random.default_rng(30)
    for columns in (33, 300):
        for index in range(4):
            values = rng.integers(-32768, 32767, columns, endpoint=True).tolist()
            yield Row(f"{columns} values, {index}", values=tuple(values))
            some = np.flatnonzero(rng.random(columns) < 0.2).tolist()
            yield Row(f"{columns} values, some, {index}", b"", tuple(values[c] for c in some), tuple(some))
        yield Row(f"{columns} lowest", values=(-32768,) * columns)
        yield Row(f"{columns} highest", values=(32767,) * columns)
        yield Row(f"{columns} zeros", values=(0,) * columns)
        yield Row(f"{columns} none", values=(), columns=())
        yield Row(f"{columns} last", values=(-1,), columns=(columns - 1,))


def damaged(data: bytes) -> Iterator[Case]:
    """Bytes that no reader may take."""
    yield Case("no bytes", b"", (), "PG_TRUNCATED")
    yield Case("cut", data[:-1], (), "PG_TRUNCATED")
    yield Case("one bit off", data[:-1] + bytes([data[-1] ^ 1]), (), "PG_BAD_CHECKSUM")
    yield Case("another major version", data[:4] + b"\2\0" + data[6:], (), "PG_BAD_VERSION")
    yield Case("its bytes the other way around", data[::-1], (), "PG_BAD_MAGIC")


def _padded(block: bytes) -> bytes:
    return block + bytes(-len(block) % 4)
