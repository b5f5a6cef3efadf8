"""Words near others, and texts in which they change places."""

from __future__ import annotations

import numpy as np

from projgraph.features.substitution import near_words, substitute

WORDS = ("pay", "paid", "dog", "cat", "")
# Two pairs at a right angle, and an empty name that no text has.
VECTORS = np.array([[1, 0.1, 0], [1, -0.1, 0], [-1, 0, 0.9], [-1, 0, 1.1], [0, 0, -2]], dtype=np.float32)


def test_near_words_are_those_of_the_largest_cosine_and_no_word_is_near_itself() -> None:
    assert near_words(WORDS, VECTORS) == {"pay": ("paid",), "paid": ("pay",), "dog": ("cat",), "cat": ("dog",)}


def test_blocks_change_nothing() -> None:
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in range(1500)]
    vectors = generator.standard_normal((1500, 4)).astype(np.float32)
    near = near_words(words, vectors)
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = unit[1200] @ unit.T
    cosines[1200] = -1
    assert near["w1200"] == tuple(f"w{other}" for other in np.argsort(-cosines, kind="stable")[:12])


def test_every_known_word_gives_way_at_rate_one_and_none_at_zero() -> None:
    near = {"pay": ("paid",), "dont": ("never",)}
    assert substitute(["Pay, pay; repay! don't 3", ""], near, 1.0, 0) == ["paid, paid; repay! never 3", ""]
    assert substitute(["Pay, pay"], near, 0.0, 0) == ["Pay, pay"]


def test_the_share_of_words_that_give_way() -> None:
    changed = substitute(["pay " * 1000] * 4, {"pay": ("paid", "pays")}, 0.3, 1)
    assert all(250 < text.count("paid") + text.count("pays") < 350 for text in changed)
    assert 0.8 < changed[0].count("paid") / changed[0].count("pays") < 1.25


def test_a_copy_depends_on_its_row_and_the_seed_alone() -> None:
    near = {"pay": ("a", "b", "c", "d")}
    both = substitute(["pay pay pay pay", "pay pay pay"], near, 0.5, 3)
    assert both == substitute(["pay pay pay pay", "pay pay pay"], near, 0.5, 3)
    assert both[1] == substitute(["other", "pay pay pay"], near, 0.5, 3)[1]
    assert both != substitute(["pay pay pay pay", "pay pay pay"], near, 0.5, 4)
