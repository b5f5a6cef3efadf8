"""Words beside the bits: the convolution by hand, order and unknown words, and a student that needs them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from projgraph.config import StudentConfig
from projgraph.pack.convolution import Convolution as PackedConvolution
from projgraph.pack.model import ProjectionModel
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.words import WordTable
from projgraph.projection.fit import StudentTask, fit_student, held_out_rows, sharpen
from projgraph.projection.head import build_head, layers_of
from projgraph.projection.words import MOST_WORDS, WordConvolution, WordRows
from projgraph.records import UNLABELLED, Bits

pytestmark = pytest.mark.usefixtures("one_thread")

DIMENSIONS = 8


def word_rows(texts: list[list[int]], codes: np.ndarray) -> WordRows:
    """Texts as rows of the codes, -1 for an unknown word."""
    rows = np.array([word for text in texts for word in text], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    known = [[word for word in text if word >= 0] for text in texts]
    sums = np.stack(
        [codes[words].sum(axis=0) / max(len(words), 1) ** 0.5 if words else np.zeros(codes.shape[1]) for words in known]
    )
    return WordRows(codes, rows, offsets, sums.astype(np.float32))


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(6, DIMENSIONS))


def by_hand(convolution: WordConvolution, codes: np.ndarray, text: list[int]) -> np.ndarray:
    weight, bias = convolution.weight.detach().numpy(), convolution.bias.detach().numpy()
    width, _, filters = weight.shape
    best = np.zeros(filters)
    for start in range(-(width - 1), len(text)):
        total = bias.astype(np.float64).copy()
        for place in range(width):
            position = start + place
            if 0 <= position < len(text) and text[position] >= 0:
                total += codes[text[position]] @ weight[place]
        best = np.maximum(best, total)
    return best if text else np.zeros(filters)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_convolution_by_hand(codes, width):
    convolution = WordConvolution(codes, 4, width, torch.Generator().manual_seed(0))
    torch.nn.init.normal_(convolution.bias)
    texts = [[0, 1, 2, 3, 4, 5], [5], [], [-1, -1], [2, -1, 2], [3, 3, 3, 3]]
    found = convolution(word_rows(texts, codes).batch(np.arange(len(texts)))).detach().numpy()
    expected = np.stack([by_hand(convolution, codes, text) for text in texts])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_text_has_the_same_filters_in_any_company(codes):
    convolution = WordConvolution(codes, 4, 3, torch.Generator().manual_seed(0))
    rows = word_rows([[0, 1], [2], [3, 4, 5, 0, 1, 2, 3]], codes)
    together = convolution(rows.batch(np.array([2, 0, 1])))
    alone = torch.cat([convolution(rows.batch(np.array([text]))) for text in (2, 0, 1)])
    torch.testing.assert_close(together, alone)


def test_a_long_text_is_cut(codes):
    rows = word_rows([[1] * (MOST_WORDS + 9), [2]], codes)
    batch = rows.batch(np.array([0, 1]))
    assert batch.lengths.tolist() == [MOST_WORDS, 1]
    assert batch.rows.tolist() == [1] * MOST_WORDS + [2]


def test_no_text_has_a_word(codes):
    convolution = WordConvolution(codes, 4, 3, torch.Generator().manual_seed(0))
    rows = word_rows([[], []], codes)
    assert convolution(rows.batch(np.arange(2))).tolist() == [[0.0] * 4] * 2


@pytest.mark.parametrize(("units", "filters"), [(0, 0), (16, 0), (0, 8), (16, 8)])
def test_a_student_learns_what_only_words_tell(codes, units, filters):
    """Two classes of empty bits, told apart by one word; by its order alone where there are filters."""
    generator = np.random.default_rng(0)
    labels = np.arange(80) % 2
    pair = np.array([[0, 1], [1, 0]]) if filters else np.array([[0, 2], [1, 2]])
    texts = [[*pair[label].tolist(), int(generator.integers(3, 6))] for label in labels]
    words = word_rows(texts, codes)
    bits = Bits(np.zeros((80, 1), np.uint8), np.zeros((80, 1), np.uint8), 8)
    targets = sharpen(np.eye(2, dtype=np.float32)[labels], np.full(80, UNLABELLED), 1.0)
    config = StudentConfig(epochs=60, min_steps=1, batch=20, rate=0.02, dropout=0.0, held_out=0.0)
    student = fit_student(StudentTask(bits, targets, config, units=units, words=words, filters=filters))
    assert (student.convolution is None) == (filters == 0)
    inputs = 8 + DIMENSIONS
    assert student.output.weights.shape[0] == (units or inputs) + filters
    if units:
        assert student.hidden is not None
        assert student.hidden.weights.shape == (inputs, units)
    if student.convolution is not None:
        assert student.convolution.weights.shape == (3 * DIMENSIONS, filters)
    assert student.history[-1]["loss"] < 0.1


def test_same_seed_same_student(codes):
    words = word_rows([[0, 1, 2], [3, 4]] * 10, codes)
    bits = Bits(np.zeros((20, 1), np.uint8), np.zeros((20, 1), np.uint8), 8)
    targets = sharpen(np.eye(2, dtype=np.float32)[np.arange(20) % 2], np.full(20, UNLABELLED), 1.0)
    one, two = (
        fit_student(StudentTask(bits, targets, StudentConfig(epochs=2), units=8, seed=5, words=words, filters=4))
        for _ in range(2)
    )
    assert one.convolution is not None
    assert two.convolution is not None
    assert one.convolution.weights.tobytes() == two.convolution.weights.tobytes()
    assert one.output.weights.tobytes() == two.output.weights.tobytes()


@pytest.mark.parametrize("units", [0, 16])
def test_the_packed_float_model_is_the_head(codes, units):
    """What training sees and what is rounded to integers are two implementations of the same inputs."""
    generator = np.random.default_rng(1)
    table = WordTable(np.arange(4, 28, 4, dtype=np.uint32), np.zeros(6, dtype=np.uint8), codes)
    rows = generator.integers(-1, 6, 40)
    offsets = np.array([0, 0, 3, 4, 11, 40])
    words = WordRows(codes, rows, offsets, table.raw_sums(rows, offsets))
    values = generator.integers(-1, 2, (5, 16)).astype(np.int8)
    convolution = WordConvolution(codes, 4, 3, torch.Generator().manual_seed(0))
    head = build_head(16 + DIMENSIONS, 3, units, 0.0, seed=0, dense=DIMENSIONS, convolution=convolution)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    inputs = torch.from_numpy(np.hstack([values.astype(np.float32), words.sums]))
    expected = head(inputs, words.batch(np.arange(5))).detach().numpy()
    layers = layers_of(head)
    hidden, output, filters = layers.hidden, layers.output, layers.convolution
    assert filters is not None
    spec = ProjectionSpec.for_text(bits=16, functions=1).to_bytes()
    model = ProjectionModel(spec, output, hidden, 1.0, ("a", "b", "c"), table, PackedConvolution(filters, 3))
    np.testing.assert_allclose(model.logits(values, (rows, offsets)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("units", "filters"), [(0, 0), (8, 0), (0, 4), (8, 4)])
def test_held_out_texts_are_seen_by_codes_that_they_had_no_part_in(codes, units, filters):
    """Sums and filters alike: the logits that calibrate are those of the first fit's head over these codes alone."""
    generator = np.random.default_rng(4)
    offsets = np.arange(0, 121, 3)
    rows = generator.integers(-1, 6, 120)
    table = WordTable(np.arange(4, 28, 4, dtype=np.uint32), np.zeros(6, dtype=np.uint8), codes)
    unseen = replace(table, codes=generator.choice(np.array([-1, 1], dtype=np.int8), size=codes.shape))
    bits = Bits(generator.integers(0, 255, (40, 2), dtype=np.uint8), np.zeros((40, 2), np.uint8), 16)
    targets = sharpen(np.eye(2, dtype=np.float32)[np.arange(40) % 2], np.full(40, UNLABELLED), 1.0)
    config = StudentConfig(epochs=5, min_steps=1, batch=8, rate=0.05, dropout=0.0, held_out=0.25)
    held_out = held_out_rows(40, config, 0)
    plain = WordRows(codes, rows, offsets, table.raw_sums(rows, offsets))
    words = plain.holding_out(held_out, unseen.codes, unseen.raw_sums(*plain.sequences(held_out)))
    copies = words.concatenate(plain)  # whose texts are not held out
    task = StudentTask(bits.concatenate(bits), targets, config, units, words=copies, filters=filters, width=2)
    first = (student := fit_student(task)).first_fit
    assert first is not None
    convolution = None if first.convolution is None else PackedConvolution(first.convolution, 2)
    spec = ProjectionSpec.for_text(bits=16, functions=1).to_bytes()
    found = {
        name: ProjectionModel(spec, first.output, first.hidden, 1.0, ("a", "b"), each, convolution).logits(
            bits.select(held_out).values(), words.sequences(held_out)
        )
        for name, each in (("unseen", unseen), ("seen", table))
    }
    np.testing.assert_allclose(found["unseen"], student.held_out_logits, rtol=1e-4, atol=1e-4)
    assert np.abs(found["seen"] - student.held_out_logits).max() > 0.01
    np.testing.assert_array_equal(plain.sums, table.raw_sums(rows, offsets))


def test_a_batch_has_rows_of_both_codes(codes):
    rows = word_rows([[0, -1], [5], [1, 2]], codes)
    mixed = rows.holding_out(np.array([0, 2]), -codes, -rows.sums[[0, 2]])
    assert mixed.batch(np.array([2, 1, 0])).rows.tolist() == [7, 8, 5, 6, -1]
    np.testing.assert_array_equal(mixed.all_codes, np.concatenate([codes, -codes]))
    np.testing.assert_array_equal(mixed.sums, rows.sums * np.array([-1, 1, -1])[:, None])
    assert mixed.sequences(np.arange(3))[0].tolist() == [0, -1, 5, 1, 2], "of the model's table"
    assert mixed.concatenate(rows).batch(np.array([3, 0])).rows.tolist() == [0, -1, 6, -1]
