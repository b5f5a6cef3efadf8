"""What the fuzzers start from: tiny models and bundles of every kind, rows, and dictionaries; it runs no fuzzer.

    python -m tests.fuzz.seeds

writes them all to `seeds/`; a test fails when they are not what this module says.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from projgraph.atomic import atomic_write
from projgraph.pack import format as table
from projgraph.pack.bundle import bundle_bytes
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes

from ..core.reference_head import random_layer
from ..core.reference_words import fingerprints
from ..device.texts import short_texts

SEEDS = Path(__file__).parent / "seeds"
LONGEST_TEXT = 160
WORDS = (b"where", b"is", b"my", b"card", b"a", b"b", "日".encode())
"""What the models with words know, of the texts in `fuzz_model.c`."""
TINY = ProjectionSpec.for_text(bits=32, additions=2, seen_slots_log2=3)
SIGNS = ProjectionSpec.for_text(bits=24, additions=3, quantiser=Quantiser.SIGN, seen_slots_log2=0)
FEW_SIGNS = ProjectionSpec.for_text(bits=12, additions=2, quantiser=Quantiser.SIGN, seen_slots_log2=0)
"""So few that rows may be wide: rows are added in blocks of 32 or 64 outputs, eight at a time."""
FAMILIES = ProjectionSpec(
    functions=4,
    function_bits=10,
    families=(
        Family(FamilyKind.WORD, 1, 4, 5, 0, 10),
        Family(FamilyKind.CHARACTER, 1, 8, 16, 24, 16),
        Family(FamilyKind.CHARACTER, 3, 5, 1, 10, 7),
        Family(FamilyKind.WORD, 2, 2, 4, 17, 4),
    ),
    seed=2**64 - 1,
    seen_slots_log2=2,
)


def text_model(
    spec: ProjectionSpec,
    seed: int,
    *,
    weight_bits: int = 8,
    units: int = 0,
    hidden_bits: int = 8,
    dimensions: int = 0,
    filters: int = 0,
    window: int = 2,
    threshold: int = 0,
    trunk: int | None = None,
) -> bytes:
    """A file of random integers with three classes; models of one `trunk` share all that stands before the output."""
    own, shared = np.random.default_rng(seed), np.random.default_rng(seed if trunk is None else trunk)
    first = spec.n_bits + dimensions
    hidden = random_layer(shared, first, units, hidden_bits) if units else None
    convolution, words = None, None
    if filters:
        convolution = QuantisedConvolution(random_layer(shared, window * dimensions, filters, 8), window, 9)
    if dimensions:
        found = np.unique([4, *(word for text in WORDS for word in fingerprints(text, spec.seed))]).astype(np.uint32)
        codes = (shared.integers(0, 2, (len(found), dimensions)) * 2 - 1).astype(np.int8)
        words = WordTable(found, shared.integers(0, 4, len(found)).astype(np.uint8), codes)
    model = QuantisedModel(
        projection=spec.to_bytes(),
        output=random_layer(own, (units or first) + filters, 3, weight_bits),
        hidden=hidden,
        hidden_shift=7 if units else 0,
        scale=1.0,
        classes=("on", "off", "größer"),
        words=words,
        norm_shift=3 if words else 0,
        convolution=convolution,
        threshold=threshold,
    )
    return model_bytes(model, {"seed": seed} if seed % 2 else {})


def vector_model(spec: VectorSpec, seed: int, weight_bits: int = 8, units: int = 0, threshold: int = 0) -> bytes:
    """The same over a projection of vectors."""
    rng = np.random.default_rng(seed)
    output = random_layer(rng, units or spec.n_bits, 3, weight_bits)
    hidden = random_layer(rng, spec.n_bits, units, 4) if units else None
    classes = ("0", "1", "2")
    model = QuantisedModel(spec.to_bytes(), output, hidden, 7 if units else 0, 1.0, classes, threshold=threshold)
    return model_bytes(model, {})


def models() -> dict[str, bytes]:
    """Files of every kind of section, by name."""
    thresholds = np.array([-(2**31), 2**31 - 1, 0, *range(-5, 5)], dtype=np.int32)
    return {
        "linear8": text_model(TINY, 1),
        "linear4_signs": text_model(SIGNS, 2, weight_bits=4),
        "families_threshold": text_model(FAMILIES, 3, threshold=9_000),
        "hidden8": text_model(TINY, 4, units=5),
        "hidden4": text_model(FAMILIES, 5, weight_bits=4, units=3, hidden_bits=4),
        "words": text_model(TINY, 6, dimensions=8, threshold=-9_000),
        "words_hidden4": text_model(SIGNS, 7, units=4, hidden_bits=4, dimensions=24),
        "words_convolution": text_model(TINY, 8, weight_bits=4, dimensions=8, filters=3, threshold=20_000),
        "words_hidden_convolution": text_model(TINY, 9, units=4, dimensions=16, filters=5, window=5),
        "wide8": text_model(FEW_SIGNS, 15, units=70),
        "wide4": text_model(FEW_SIGNS, 16, units=70, hidden_bits=4),
        "vector_thresholds": vector_model(VectorSpec(1, 13, 7, 3, thresholds=thresholds), 10),
        "vector_ternary": vector_model(
            VectorSpec(3, 11, 300, 5, quantiser=Quantiser.TERNARY), 11, 4, units=3, threshold=50
        ),
    }


def packed_models() -> dict[str, bytes]:
    """The same with weights that are packed tighter than half bytes, in the output and in the hidden layer."""
    kinds = sorted(set(table.WEIGHT_NAMES) - {8, 4})
    found = {}
    for seed, kind in enumerate(kinds, start=30):
        name = table.WEIGHT_NAMES[kind].replace(" ", "_")
        found[name] = text_model(TINY, seed, weight_bits=kind)
        found[f"hidden_{name}"] = text_model(SIGNS, seed, units=9, hidden_bits=kind, weight_bits=kind, dimensions=8)
    return found


def bundles() -> dict[str, bytes]:
    """Bundles of heads that share nothing but the projection, and of heads that share all but the output."""
    apart = {
        "linear": text_model(TINY, 1),
        "words": text_model(TINY, 6, dimensions=8),
        "": text_model(TINY, 4, units=5),
    }
    shape = {"units": 4, "dimensions": 16, "filters": 5, "trunk": 20}
    together = {"a": text_model(TINY, 12, **shape), "b": text_model(TINY, 14, **shape, threshold=9_000)}
    return {"bundle": bundle_bytes(apart), "bundle_shared": bundle_bytes(together)}


def row_models() -> dict[str, bytes]:
    """The models that rows are predicted by."""
    return {**models(), **{name: data for name, data in packed_models().items() if name.startswith("hidden_")}}


def rows() -> dict[str, bytes]:
    """Rows for the models: a byte that chooses one, then the row."""
    texts = [(name, text) for name, text in short_texts() if len(text) <= LONGEST_TEXT]
    texts.append(("known words", b" ".join(WORDS)))
    kinds = [not name.startswith("vector") for name in row_models()]
    of_text = [number for number, text in enumerate(kinds) if text]
    found = {}
    for index, (name, text) in enumerate(texts):
        choice = of_text[index % len(of_text)] | (0x80 if index % 3 == 0 else 0)
        found[name.replace(" ", "_").replace(".", "")] = bytes([choice]) + text
    dense = struct.pack("<7h", -32768, 32767, 0, 1, -1, 256, -256)
    sparse = b"".join(struct.pack("<hB", value, step) for value, step in ((1, 0), (-32768, 2), (0, 1), (32767, 3)))
    for number in (number for number, text in enumerate(kinds) if not text):
        for flags in (0, 0x40, 0x80, 0xC0):
            found[f"vector_{number}_{flags:02x}"] = bytes([number | flags]) + (sparse if flags & 0x40 else dense)
    return found


def model_dictionary() -> str:
    """The format's numbers, as its fields hold them."""
    numbers = {
        name: value for name, value in vars(table).items() if isinstance(value, int) and name.isupper() and value >= 0
    }
    words = {"magic": table.MAGIC, "bundle_magic": table.BUNDLE_MAGIC}
    for name, value in sorted(numbers.items()):
        words[name.lower()] = struct.pack("<I", value)
        words[f"{name.lower()}_above"] = struct.pack("<I", value + 1)
    for kind in (*table.Section, *table.BundleSection):
        words[f"section_{kind.name.lower()}"] = struct.pack("<I", kind)
    words |= {"lowest": struct.pack("<i", -(2**31)), "largest": b"\xff" * 4, "one": struct.pack("<f", 1.0)}
    return _dictionary(words)


def row_dictionary() -> str:
    """Code points and ends of sequences that the core treats apart."""
    pieces = [
        "ß",
        "İ",
        "Σ",
        "日",
        "한",
        "บ",
        "🙂",
        "\u0301",
        "\u200d",
        "\ufe0f",
        "'",
        "\u2019",
        "\u00a0",
        "\ufffd",
        "\x00",
    ]
    words = {f"point_{ord(piece):04x}": piece.encode() for piece in pieces}
    words |= {f"word_{number}": word for number, word in enumerate(WORDS)}
    words |= {
        "cut": b"\xf0\x9f\x99",
        "lead": b"\xe2",
        "rest": b"\x80",
        "surrogate": b"\xed\xa0\x80",
        "far": b"\xf4\x90",
    }
    words |= {"lowest": b"\x00\x80", "largest": b"\xff\x7f"}
    return _dictionary(words)


def _dictionary(words: dict[str, bytes]) -> str:
    """In libFuzzer's form, without repeats."""
    unique = {content: name for name, content in reversed(words.items())}
    escaped = {name: "".join(f"\\x{byte:02x}" for byte in content) for content, name in unique.items()}
    lines = [f'{name}="{content}"' for name, content in escaped.items()]
    return "".join(f"{line}\n" for line in sorted(lines))


def models_header() -> str:
    """The models for `fuzz_row.c`, in their order."""
    lines = ["static const unsigned char bytes[] = {"]
    all_of_them = list(row_models().values())
    data = b"".join(all_of_them)
    lines += [",".join(map(str, data[at : at + 32])) + "," for at in range(0, len(data), 32)]
    lines += ["};", "static const struct { const unsigned char *bytes; unsigned length; } models[] = {"]
    start = 0
    for each in all_of_them:
        lines.append(f"    {{bytes + {start}, {len(each)}}},")
        start += len(each)
    return "\n".join([*lines, "};", ""])


def files() -> Iterator[tuple[str, bytes]]:
    """Everything in `seeds/`: path and content."""
    for name, data in {**models(), **packed_models(), **bundles()}.items():
        yield f"model/{name}.pgb", data
    for name, data in rows().items():
        yield f"row/{name}", data
    yield "model.dict", model_dictionary().encode()
    yield "row.dict", row_dictionary().encode()


def main() -> None:
    """Write `seeds/` anew."""
    shutil.rmtree(SEEDS, ignore_errors=True)
    for name, data in files():
        path = SEEDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, data)


if __name__ == "__main__":
    main()
