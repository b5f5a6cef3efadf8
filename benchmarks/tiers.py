"""Microseconds of a text of 12 words, measured against what `projgraph.cost` predicts, over models of many shapes.

    python benchmarks/tiers.py [--texts FILE] [--passes 10] [--fit]

The models are random: their weights come from a seed, their dimensions from a grid around those that budgets choose,
and they know every word of the texts. A shape's time in one pass is the median over the texts of exactly 12 words of
the median over calls, one text a call, in C; the least of the passes counts, so that what the machine does meanwhile
does not. ``--fit`` prints the prices that fit these times best, as `projgraph.cost` holds them. The last table is of
the three tiers of a model, as 256 KB hold them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from projgraph.bits import text_projection
from projgraph.config import TrainConfig
from projgraph.cost import WORDS, predicted_nanoseconds, steps
from projgraph.native import NativeModel, word_fingerprints
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_INPUT_SUM
from projgraph.pack.layer import WEIGHT_RANGES, QuantisedLayer
from projgraph.pack.quantised import QuantisedModel, Shape
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes
from projgraph.plan import plan_model, plan_shape, weight_bits_of
from projgraph.read import read_texts
from projgraph.records import Texts

SAMPLE = Path(__file__).parents[1] / "data" / "home_intents" / "train.csv"
CALLS = 31
DIMENSIONS = 64
TIERS = ("bits", "bits, sums", "bits, sums, convolution")


@dataclass(frozen=True)
class Case:
    """A model to time: its shape, the weight bits over its bits, its words and how its bits are made."""

    shape: Shape
    weight_bits: int
    words: int
    config: TrainConfig
    settings: str = ""

    @property
    def counted(self) -> dict[str, int]:
        return steps(self.shape, self.weight_bits, self.config.projection, self.words)

    @property
    def predicted(self) -> int:
        return predicted_nanoseconds(self.shape, self.weight_bits, self.config.projection, self.words)

    @property
    def name(self) -> str:
        shape = self.shape
        units = f"{shape.units or 'no'} units of {self.weight_bits} bits"
        words = f", {self.words} words, {shape.filters} filters" if self.words else ""
        return f"{shape.classes} classes, {shape.n_bits} bits{self.settings}, {units}{words}"


def cases() -> Iterator[Case]:
    """Shapes around those that budgets choose, then other settings of the projection."""
    plain = TrainConfig()
    linear = [(bits, 0, weight_bits) for bits, weight_bits in product((256, 1024, 2048, 4096), (8, 4))]
    hidden = [(bits, units, 4) for bits, units in ((2048, 64), (2048, 96), (2048, 128), (3072, 128))]
    packed = [(2048, units, weight_bits) for units, weight_bits in product((0, 128, 256), (2, 1))]
    heads = [*linear, *hidden, *packed, (2048, 64, 8), (2048, 128, 8)]
    tables = [(0, 0), (2000, 0), (2000, 64), (8000, 0), (8000, 128)]
    for classes, (bits, units, weight_bits), (words, filters) in product((2, 20, 77, 150), heads, tables):
        shape = Shape(bits, classes, units or None, DIMENSIONS if words else 0, filters)
        output_bits, _ = weight_bits_of(weight_bits, hidden=units > 0)
        if shape.largest_sum(output_bits) <= MAX_INPUT_SUM and (not words or bits == 2048):
            yield Case(shape, weight_bits, words, plain)
    ngrams = [((1, 1), (3, 3)), ((1, 2), (3, 5)), ((1, 2), (2, 6))]
    for additions, (words, characters), quantiser, units in product((1, 2, 8), ngrams, ("ternary", "sign"), (0, 128)):
        given = {"additions": additions, "quantiser": quantiser, "word_ngrams": words, "character_ngrams": characters}
        config = TrainConfig.model_validate({"projection": given})
        settings = f" ({additions} additions, {quantiser}, n-grams {words} and {characters})"
        yield Case(Shape(2048, 20, units or None, 0, 0), 4 if units else 8, 0, config, settings)


def random_layer(rng: np.random.Generator, inputs: int, outputs: int, weight_bits: int) -> QuantisedLayer:
    low, high = WEIGHT_RANGES[weight_bits]
    steps = 2 if weight_bits == 1 else 1  # binary weights are -1 and +1, never 0
    weights = (low + steps * rng.integers(0, (high - low) // steps + 1, (inputs, outputs))).astype(np.int8)
    return QuantisedLayer(weights, np.ones(outputs, np.uint8), np.zeros(outputs, np.int32), weight_bits)


def mostly_active(layer: QuantisedLayer, rows: int) -> QuantisedLayer:
    """The layer with a bias that lets two thirds of the units be above zero, as in trained models."""
    bias = np.full_like(layer.bias, 0.43 * np.sqrt(rows) * layer.weights.std())
    return replace(layer, bias=bias)


def random_words(rng: np.random.Generator, projection: bytes, texts: Texts, count: int, dimensions: int) -> WordTable:
    """A table that knows the words of the texts and as many others as make up its size."""
    known = np.unique(word_fingerprints(projection, texts)[0])
    others = 4 * rng.choice(1 << 30, count, replace=False).astype(np.uint32)
    found = np.sort(np.concatenate([known, np.setdiff1d(others, known)[: count - len(known)]]))
    codes = 2 * rng.integers(0, 2, (len(found), dimensions)).astype(np.int8) - 1
    return WordTable(found, rng.integers(0, 4, len(found)).astype(np.uint8), codes)


def random_model(case: Case, texts: Texts) -> bytes:
    """A model file of the case's dimensions."""
    rng, shape = np.random.default_rng(0), case.shape
    width = case.config.projection.words.width
    projection = text_projection(shape.n_bits, case.config.projection, 0).to_bytes()
    hidden = random_layer(rng, *shape.hidden, case.weight_bits)
    filters = random_layer(rng, width * shape.dimensions, shape.filters, 8) if shape.filters else None
    model = QuantisedModel(
        projection=projection,
        output=random_layer(rng, *shape.output, weight_bits_of(case.weight_bits, hidden=bool(shape.units))[0]),
        hidden=mostly_active(hidden, case.counted["row"]) if shape.units else None,
        hidden_shift=4 if shape.units else 0,
        scale=1.0,
        classes=tuple(f"{index:03}" for index in range(shape.classes)),
        words=random_words(rng, projection, texts, case.words, shape.dimensions) if case.words else None,
        norm_shift=4 if case.words else 0,
        convolution=None if filters is None else QuantisedConvolution(filters, width, 7),
    )
    return model_bytes(model, {})


def measure(chosen: list[Case], texts: Texts, passes: int, vectors: int | None = 0) -> list[float]:
    """Nanoseconds of each case; passes go over all of them, so that a busy minute does not spoil one alone.

    Of the portable core, which prices are of, unless vectors of this processor are asked for.
    """
    models = [NativeModel(random_model(case, texts), vectors=vectors) for case in chosen]
    medians = [
        [float(np.median(np.median(model.time_calls(texts, CALLS), axis=1))) for model in models] for _ in range(passes)
    ]
    return np.min(medians, axis=0).tolist()


def tier_cases(classes: int = 77) -> Iterator[tuple[str, Case]]:
    """What 256 KB hold: with words and filters, with words alone and with neither."""
    names = tuple(f"{index:014}" for index in range(classes))
    for tier, words in zip(TIERS, ({"dimensions": 0}, {"filters": 0}, {"filters": 128}), strict=True):
        config = TrainConfig.model_validate({"projection": {"words": words}})
        plan = plan_model(names, config)
        yield tier, Case(plan_shape(plan, classes, config), plan.weight_bits, plan.words, config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default=SAMPLE, help="the sample data if left out")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--fit", action="store_true", help="print prices too")
    options = parser.parse_args()
    texts = Texts.from_strings(text for text in read_texts(options.texts) if len(text.split()) == WORDS)
    chosen = list(cases())
    times = measure(chosen, texts, options.passes)
    ratios = [time / case.predicted for case, time in zip(chosen, times, strict=True)]
    print(f"{len(texts)} texts of {WORDS} words\n\n| shape | measured µs | predicted µs | ratio |\n|---|---|---|---|")
    for case, time, ratio in zip(chosen, times, ratios, strict=True):
        print(f"| {case.name} | {time / 1e3:.2f} | {case.predicted / 1e3:.2f} | {ratio:.2f} |")
    least, low, middle, high, most = np.percentile(ratios, [0, 5, 50, 95, 100])
    print(f"\nratio: median {middle:.2f}, 90 % from {low:.2f} to {high:.2f}, all from {least:.2f} to {most:.2f}")
    if options.fit:
        counted = np.array([list(case.counted.values()) for case in chosen], dtype=float)
        prices = nnls(counted / np.array(times)[:, None], np.ones(len(times)))[0]
        named = zip(chosen[0].counted, prices, strict=True)
        print("\n" + "\n".join(f'"{kind}": {1000 * price:.0f},' for kind, price in named))
    tiers = list(tier_cases())
    print("\n| tier, 77 classes, 256 KB | shape | measured µs | with this processor's vectors µs | predicted µs |")
    print("|---|---|---|---|---|")
    held = [case for _, case in tiers]
    both = zip(measure(held, texts, options.passes), measure(held, texts, options.passes, vectors=None), strict=True)
    for (tier, case), (time, fast) in zip(tiers, both, strict=True):
        print(f"| {tier} | {case.name} | {time / 1e3:.2f} | {fast / 1e3:.2f} | {case.predicted / 1e3:.2f} |")


if __name__ == "__main__":
    main()
