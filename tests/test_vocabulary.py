"""The words of a model: texts held out are seen as new ones would be, by codes that they had no part in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from projgraph.bits import row_projection
from projgraph.config import load_config
from projgraph.records import Texts
from projgraph.vocabulary import Vocabulary, build_vocabulary

N_TEXTS, N_WORDS = 60, 80


@pytest.fixture(scope="module")
def texts() -> Texts:
    """Long texts of words at random."""
    random = np.random.default_rng(0)
    names = ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(N_WORDS)]
    return Texts.from_strings([" ".join(random.choice(names, 30)) for _ in range(N_TEXTS)])


def vocabulary(texts: Texts, held_out: np.ndarray | None) -> Vocabulary:
    projection = row_projection(texts, 64, load_config())
    targets = np.random.default_rng(1).standard_normal((N_TEXTS, 12)).astype(np.float32)
    found = build_vocabulary(projection, texts, targets, most=200, dimensions=32, seed=0, held_out=held_out)
    assert found is not None
    return found


def test_texts_held_out_have_sums_of_codes_that_they_had_no_part_in(texts):
    held_out = np.arange(0, N_TEXTS, 3)
    found, plain = vocabulary(texts, held_out), vocabulary(texts, None)
    assert found.rows.unseen is not None
    unseen = replace(found.table, codes=found.rows.unseen)
    np.testing.assert_array_equal(found.table.codes, plain.table.codes)
    assert 0.05 < (unseen.codes != found.table.codes).mean() < 0.5
    others = np.setdiff1d(np.arange(N_TEXTS), held_out)
    np.testing.assert_array_equal(found.rows.sums[others], plain.rows.sums[others])
    expected = unseen.raw_sums(found.rows.rows, found.rows.offsets)
    np.testing.assert_array_equal(found.rows.sums[held_out], expected[held_out])
    assert (found.rows.sums[held_out] != plain.rows.sums[held_out]).any(axis=1).all()
    np.testing.assert_array_equal(found.rows.held_out, held_out)


def test_where_no_text_is_held_out_all_are_seen_alike(texts):
    for none in (None, np.zeros(0, dtype=np.int64)):
        found = vocabulary(texts, none)
        assert (found.rows.unseen, found.rows.held_out) == (None, None)
        np.testing.assert_array_equal(found.rows.sums, found.table.raw_sums(found.rows.rows, found.rows.offsets))
