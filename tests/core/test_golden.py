"""Fixed texts give the features, bits and scores in golden.json, so that the definition of a format major never drifts.

The file was computed from the plain Python reference: the models of bits first, those of words when minor version 2
came, those of vectors and of a threshold by the last writer before minor version 4, which brought the rest. If a test
here fails, models in the field would decide differently: never write what stands there anew, but raise the format's
major version and add a second file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projgraph.native import NativeModel, features, project
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.read import read_model
from projgraph.pack.rows import FORMATS
from projgraph.pack.write import model_bytes
from projgraph.records import Vectors

from . import reference
from .reference_head import model_of, natives_of, texts_of

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
TEXTS = [bytes.fromhex(text) for text in GOLDEN["texts"]]
MODELS: list[dict[str, Any]] = GOLDEN["models"]
VECTORS: list[dict[str, Any]] = GOLDEN["vectors"]

each_model = pytest.mark.parametrize("golden", MODELS, ids=[model["name"] for model in MODELS])


def data_of(golden: dict[str, Any]) -> bytes:
    return bytes.fromhex(golden["file"])


def features_of(golden: dict[str, Any], row: int) -> list[tuple[int, int]]:
    return [
        (family, int(value, 16)) for family, hashes in enumerate(golden["features"][row]) for value in hashes.split()
    ]


def test_the_file_covers_both_quantisers_heads_and_widths() -> None:
    assert len(TEXTS) == 9
    kinds = [read_model(data_of(golden))[0] for golden in MODELS]
    assert {ProjectionSpec.from_bytes(model.projection).quantiser for model in kinds} == {0, 1}
    assert {(model.output.weight_bits, model.units > 0) for model in kinds[:4]} == {(8, False), (4, True)}
    assert [(model.dimensions, model.filters) for model in kinds[:4]] == [(0, 0), (0, 0), (16, 0), (24, 5)]
    assert {layer.format for model in kinds for layer in (model.output, model.hidden) if layer} == FORMATS
    assert [data_of(golden)[6] for golden in (*MODELS, *VECTORS)] == [0, 0, 2, 2, 3, 4, 4, 4, 4, 4, 1, 1]


@each_model
def test_the_core_finds_the_golden_features(golden: dict[str, Any]) -> None:
    projection = read_model(data_of(golden))[0].projection
    for row, text in enumerate(TEXTS):
        try:
            string = text.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            continue  # `features` takes strings; the bits below cover these bytes
        assert features(projection, string) == features_of(golden, row), string


@each_model
def test_the_core_finds_the_golden_bits(golden: dict[str, Any]) -> None:
    bits = project(read_model(data_of(golden))[0].projection, texts_of(TEXTS))
    assert [row.tobytes().hex() for row in bits.positive] == golden["positive"]
    assert [row.tobytes().hex() for row in bits.negative] == golden["negative"]


@each_model
def test_the_core_finds_the_golden_scores(golden: dict[str, Any]) -> None:
    for native in natives_of(data_of(golden)):
        assert native.scores(texts_of(TEXTS)).tolist() == golden["scores"]
    scores, threshold = np.array(golden["scores"]), read_model(data_of(golden))[0].threshold
    none = (scores.max(axis=1) < threshold) if threshold else np.zeros(len(scores), dtype=bool)
    assert none.any() == (threshold != 0)
    assert native.labels(texts_of(TEXTS)).tolist() == np.where(none, -1, scores.argmax(axis=1)).tolist()


@each_model
def test_the_reference_finds_the_golden_numbers(golden: dict[str, Any]) -> None:
    model = model_of(data_of(golden))
    for row, text in enumerate(TEXTS):
        assert reference.features(model.projection, text) == features_of(golden, row)
        assert model.scores(text) == golden["scores"][row]


@pytest.mark.parametrize("golden", VECTORS, ids=[model["name"] for model in VECTORS])
def test_rows_of_numbers_have_the_golden_scores(golden: dict[str, Any]) -> None:
    rows, reference_model = golden["rows"], model_of(data_of(golden))
    assert [reference_model.scores(row) for row in rows] == golden["scores"]
    native = NativeModel(data_of(golden))
    assert native.scores(Vectors.from_matrix(np.array(rows, dtype=np.float32))).tolist() == golden["scores"]


@pytest.mark.parametrize("golden", [*MODELS, *VECTORS], ids=[model["name"] for model in (*MODELS, *VECTORS)])
def test_the_writer_gives_the_golden_bytes(golden: dict[str, Any]) -> None:
    data = data_of(golden)
    assert model_bytes(*read_model(data)) == data
