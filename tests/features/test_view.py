"""The joint view: its shape, its parts, and corpora too small for most of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from projgraph.config import FeaturesConfig
from projgraph.features.lsa import lsa
from projgraph.features.view import describe, describe_named, leading_components, unit_rows
from projgraph.records import Texts
from tests.features.corpus import tokens_of, topic_texts

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = FeaturesConfig(dimensions=24, lsa_dimensions=16, word_dimensions=12, contrastive_dimensions=8)


def test_four_views_are_joined() -> None:
    texts, topics = topic_texts(300)
    view = describe(Texts.from_strings(texts), SMALL, seed=0)
    assert list(view.seconds) == ["tokens", "lsa", "sif window 4", "sif window 50", "contrastive bag", "join"]
    assert view.vectors.shape == (300, 24)
    assert view.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(view.vectors, axis=1), 1, atol=1e-5)
    cosines = view.vectors @ view.vectors.T
    same = topics[:, None] == topics
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


def test_same_seed_same_bytes_and_repeated_texts_are_equal() -> None:
    texts = Texts.from_strings(topic_texts(60)[0] * 2)
    first, second = (describe(texts, SMALL, seed=7).vectors for _ in range(2))
    assert first.tobytes() == second.tobytes()
    np.testing.assert_allclose(first[:60], first[60:], atol=1e-4)


def test_a_view_of_weight_zero_is_left_out() -> None:
    texts = Texts.from_strings(topic_texts(80)[0])
    lsa_alone = describe(texts, SMALL.model_copy(update={"windows": (), "sif_weight": 0.0}), seed=0)
    assert list(lsa_alone.seconds) == ["tokens", "lsa", "join"]
    without_bag = describe(texts, SMALL.model_copy(update={"contrastive_weight": 0.0}), seed=0)
    assert list(without_bag.seconds) == ["tokens", "lsa", "sif window 4", "sif window 50", "join"]
    bag_alone = describe(texts, SMALL.model_copy(update={"sif_weight": 0.0}), seed=0)
    assert list(bag_alone.seconds) == ["tokens", "lsa", "contrastive bag", "join"]


def test_names_are_described_with_the_texts() -> None:
    texts, _ = topic_texts(60)
    rows = Texts.from_strings(texts)
    view, names = describe_named(rows, ("topic_one", "topicTwo"), SMALL, 0)
    together = describe(Texts.from_strings([*texts, "topic one", "topic Two"]), SMALL, 0)
    assert names is not None
    np.testing.assert_array_equal(view.vectors, together.vectors[:60])
    np.testing.assert_array_equal(names.vectors, together.vectors[60:])
    alone = describe(rows, SMALL, 0)
    unread = SMALL.model_copy(update={"label_names": False})
    for classes, config in (((), SMALL), (("topic_one", "topicTwo"), unread)):
        view, names = describe_named(rows, classes, config, 0)
        assert names is None
        np.testing.assert_array_equal(view.vectors, alone.vectors)


def test_names_make_no_few_texts_many() -> None:
    texts, _ = topic_texts(49)
    view, _ = describe_named(Texts.from_strings(texts), ("a", "b", "c"), SMALL, 0)
    assert list(view.seconds) == ["tokens", "lsa", "join"]
    view, _ = describe_named(Texts.from_strings([*texts, "one more"]), ("a", "b", "c"), SMALL, 0)
    assert "contrastive bag" in view.seconds


def test_few_texts_are_described_by_tf_idf_alone() -> None:
    texts, _ = topic_texts(49)
    view = describe(Texts.from_strings(texts), SMALL, seed=0)
    assert list(view.seconds) == ["tokens", "lsa", "join"]
    np.testing.assert_allclose(view.vectors, lsa(tokens_of(*texts), 16, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "known"),
    [
        ([], []),
        ([""], [0]),
        (["hi"], [1]),
        ([""] * 60, [0] * 60),
        (["same"] * 60, [1] * 60),
        (["😀"] * 30 + ["🎉 😀"] * 30, [1] * 60),
        ([f"w{row}" for row in range(60)], [1] * 60),
        (["a b", ""] * 30, [1, 0] * 30),
    ],
)
def test_strange_corpora(texts: list[str], known: list[int]) -> None:
    view = describe(Texts.from_strings(texts), FeaturesConfig(), seed=0)
    assert len(view.vectors) == len(texts)
    assert view.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(view.vectors, axis=1), known, atol=1e-4)


def test_leading_components_weigh_directions_by_a_power_of_their_singular_values() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32) * np.arange(1, 7)
    left, scale, _ = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    for power in (1.0, 1.5):
        expected = left[:, :3] * scale[:3] ** power
        found = leading_components(rows.astype(np.float32), 3, power)
        ratio = np.linalg.norm(expected) / np.linalg.norm(found)
        np.testing.assert_allclose(found @ found.T * ratio**2, expected @ expected.T, rtol=1e-3, atol=1e-2)


def test_unit_rows_leave_zero_rows() -> None:
    assert unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32)).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 0],
    ]


def test_importing_the_view_does_not_import_the_encoder() -> None:
    code = "import sys, projgraph.features.view; sys.exit('sentence_transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
