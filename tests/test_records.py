"""The records: packed texts, bit planes, graphs and soft labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projgraph.records import Bits, Dataset, Graph, SoftLabels, Texts

STRINGS = ["", "lights on", "größer 日本 😀", "a\nb", "\ud800 alone", ""]


def same(texts: Texts, strings: list[str]) -> bool:
    return list(texts) == strings and len(texts) == len(strings) and int(texts.offsets[-1]) == len(texts.data)


def test_texts_by_value():
    texts = Texts.from_strings(["ab", "", "ß"])
    assert texts.data == b"ab\xc3\x9f"
    assert texts.offsets.tolist() == [0, 2, 2, 4]
    assert texts.offsets.dtype == np.uint64
    assert Texts.from_strings(["\ud800"]).data == b"\xed\xa0\x80", "a lone surrogate keeps its three bytes"


@given(st.lists(st.text(st.characters(categories=None))))
def test_texts_there_and_back(strings):
    assert same(Texts.from_strings(strings), strings)


def test_indexing_is_that_of_a_list():
    texts = Texts.from_strings(STRINGS)
    for index in range(-len(STRINGS), len(STRINGS)):
        assert texts[index] == STRINGS[index]
    for part in (slice(None), slice(1, 4), slice(-2, None), slice(None, None, -1), slice(5, 1, -2), slice(9, 20)):
        assert texts[part] == STRINGS[part]
    assert "lights on" in texts
    assert texts.index("a\nb") == 3


@pytest.mark.parametrize("index", [6, -7, 100])
def test_index_out_of_range(index):
    with pytest.raises(IndexError, match=f"row {index} of 6 texts"):
        Texts.from_strings(STRINGS)[index]


def test_select_and_concatenate():
    texts = Texts.from_strings(STRINGS)
    rows = np.array([4, 1, 1, 0])
    assert same(texts.select(rows), [STRINGS[row] for row in rows])
    assert same(texts.select(np.zeros(0, dtype=np.int64)), [])
    both = texts.concatenate(Texts.from_strings(["x", "y"]))
    assert same(both, [*STRINGS, "x", "y"])
    assert both.offsets.dtype == np.uint64
    assert same(texts.concatenate(Texts.from_strings([])), STRINGS)


@pytest.mark.parametrize("n_bits", [1, 8, 13])
def test_bits_are_minus_one_zero_and_one(n_bits):
    values = np.random.default_rng(n_bits).integers(-1, 2, size=(5, n_bits)).astype(np.int8)
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    bits = Bits(planes[0], planes[1], n_bits)
    assert len(bits) == 5
    assert np.array_equal(bits.values(), values)
    assert bits.values().dtype == np.int8
    assert bits.values(np.float32).dtype == np.float32
    assert np.array_equal(bits.select(np.array([3, 3, 0])).values(np.float32), values[[3, 3, 0]])


def test_first_bit_is_the_lowest_of_the_first_byte():
    bits = Bits(np.array([[1, 2]], dtype=np.uint8), np.array([[128, 1]], dtype=np.uint8), 10)
    assert bits.values().tolist() == [[1, 0, 0, 0, 0, 0, 0, -1, -1, 1]]


def test_graph_counts():
    graph = Graph(np.array([0, 2, 3, 4, 4]), np.array([1, 2, 0, 0], dtype=np.int32), np.ones(4, dtype=np.float32))
    assert (graph.n_nodes, graph.n_edges) == (4, 2)


def test_soft_labels_break_a_tie_by_the_lowest_index():
    soft = SoftLabels(np.array([[0.2, 0.4, 0.4], [0.5, 0.25, 0.25]], dtype=np.float32), np.array([True, False]))
    assert soft.labels.tolist() == [1, 0]
    assert soft.labels.dtype == np.int64
    assert soft.confidence.tolist() == pytest.approx([0.4, 0.5])


def test_records_are_frozen():
    dataset = Dataset(Texts.from_strings(["a"]), np.array([0]), ("x",))
    assert len(dataset) == 1
    assert dataset.counts.rows == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.classes = ()
