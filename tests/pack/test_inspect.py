from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from projgraph.errors import InputError, ModelFileError
from projgraph.pack.format import HEADER, PROJECTION, WEIGHT_NAMES
from projgraph.pack.inspect import Account, describe, render
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.write import model_bytes, write_model

from ..core.reference_head import random_file

MakeModel = Callable[..., QuantisedModel]


def printed(account: Account, width: int = 200) -> str:
    console = Console(width=width, file=StringIO())
    with console.capture() as capture:
        console.print(*render(account), sep="\n")
    return capture.get()


@pytest.mark.parametrize("of_words", [{}, {"words": 9}, {"words": 9, "filters": 5}])
def test_every_byte_is_accounted_for(make_model: MakeModel, of_words: dict[str, int]) -> None:
    data = model_bytes(make_model(units=3, **of_words), {"run": 7})
    account = describe(data)
    position = sum(field["bytes"] for field in account["header"])
    for section in account["sections"]:
        assert section["entry"][0]["offset"] == position
        position += sum(field["bytes"] for field in section["entry"])
    position += account["table_padding"]
    for section in account["sections"]:
        assert section["offset"] == position
        if section["fields"]:
            assert [section["fields"][0]["offset"], sum(field["bytes"] for field in section["fields"])] == [
                position,
                section["length"],
            ]
        position += section["length"] + section["padding"]
    assert position == account["bytes"] == len(data)
    assert [field["field"] for field in account["header"]] == [field.name for field in HEADER]


def test_values_are_decoded_and_named(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model(seed=1, weight_bits=4)
    write_model(tmp_path / "model.pgb", model, {"run": 7})
    account = describe(tmp_path / "model.pgb")
    assert json.loads(json.dumps(account, allow_nan=False)) == account
    assert account["path"] == str(tmp_path / "model.pgb")
    assert (account["bits"], account["classes"], account["provenance"]) == (64, list(model.classes), {"run": 7})
    sections = {section["name"]: section for section in account["sections"]}
    projection = {field["field"]: field for field in sections["PROJECTION"]["fields"]}
    assert list(projection)[: len(PROJECTION)] == [field.name for field in PROJECTION]
    assert projection["quantiser"]["meaning"] == "a Quantiser value: TERNARY"
    assert projection["families[1].kind"]["meaning"] == "a FamilyKind value: CHARACTER"
    assert projection["families[1].first_bit"]["value"] == 32
    head = {field["field"]: field["value"] for field in sections["HEAD"]["fields"]}
    assert (head["classes"], head["weight_bits"], head["scale"]) == (5, 4, model.scale)
    layer = account["layers"]["output"]
    assert (layer["inputs"], layer["outputs"], layer["smallest"], layer["largest"]) == (64, 5, -8, 7)
    assert layer["zero_share"] == (model.output.weights == 0).mean()
    assert layer["end_share"] == pytest.approx(((model.output.weights == -8) | (model.output.weights == 7)).mean())
    assert 3.9 < layer["entropy"] <= 4.0
    assert layer["bias"] == [model.output.bias.min(), model.output.bias.max()]


def test_weights_are_named() -> None:
    spec = ProjectionSpec.for_text(bits=64)
    for kind, name in WEIGHT_NAMES.items():
        account = describe(random_file(spec, 1, 5, 8, 9, kind))
        sections = {section["name"]: section for section in account["sections"]}
        head = {field["field"]: field for field in sections["HEAD"]["fields"]}
        assert head["hidden_weight_bits"]["meaning"].endswith(f": {name}")
        assert head["weight_bits"]["meaning"].endswith(": int8")
        layer = account["layers"]["hidden"]
        assert (layer["weights"], layer["weight_bits"]) == (name, kind & 15)
        assert (layer["codebook"] is None) == ("shared" not in name)
        text = printed(account, 120)
        assert name in text
        if layer["codebook"]:
            assert " ".join(map(str, layer["codebook"][:3])) in text


def test_words_and_filters_are_described(make_model: MakeModel) -> None:
    model = make_model(words=9, filters=5, width=3)
    account = describe(model_bytes(model, {}))
    assert json.loads(json.dumps(account, allow_nan=False)) == account
    sections = {section["name"]: section for section in account["sections"]}
    words = {field["field"]: field["value"] for field in sections["WORDS"]["fields"]}
    assert model.words is not None
    assert (words["count"], words["dimensions"], words["norm_shift"]) == (9, 16, model.norm_shift)
    weights = 1 << model.words.classes
    shown = ", ".join(f"{(weights == weight).sum()} of weight {weight}" for weight in (1, 2, 4, 8) if weight in weights)
    assert words["words.entries"] == shown
    assert words["words.codes"] == (model.words.codes == 1).mean()
    filters = {field["field"]: field["value"] for field in sections["CONVOLUTION"]["fields"]}
    assert (filters["filters"], filters["width"]) == (5, 3)
    assert account["layers"]["convolution"]["inputs"] == 3 * 16
    assert account["layers"]["output"]["inputs"] == 64 + 16 + 5
    text = printed(account)
    assert "CONVOLUTION_MULTIPLIERS" in text
    assert "words.entries" in text


def test_the_weights_fit_a_terminal_of_eighty_columns(make_model: MakeModel) -> None:
    account = describe(model_bytes(make_model(units=3, words=9, filters=5), {}))
    weights = printed(account, 80).partition("weights")[2].partition("labels:")[0]
    assert "…" not in weights
    for name in ("convolution", "hidden", "output", *account["layers"]["hidden"]):
        assert name in weights


def test_a_constant_layer_has_no_entropy(make_model: MakeModel) -> None:
    model = make_model()
    model.output.weights[:] = 0
    layer = describe(model_bytes(model, {}))["layers"]["output"]
    assert (layer["entropy"], layer["zero_share"], layer["end_share"]) == (0.0, 1.0, 0.0)


def test_the_terminal_shows_the_fields_and_no_control_characters(make_model: MakeModel) -> None:
    model = replace(make_model(classes=15), classes=("[red]\x1b[31mevil", *(f"class {index}" for index in range(14))))
    text = printed(describe(model_bytes(model, {"run\x07": ["\x1b]0;title", 1]})))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "labels: [red]\\x1b[31mevil, class 0" in text
    assert "and 3 more" in text
    assert "families[0].n_max" in text
    assert "PROVENANCE" in text
    assert "64 bits, 15 classes" in text


def test_files_that_are_no_model_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.pgb").write_text("hello " * 10)
    with pytest.raises(ModelFileError, match=r"text\.pgb: magic is b'hell'; expected b'PGB"):
        describe(tmp_path / "text.pgb")
    with pytest.raises(InputError, match=r"missing\.pgb': No such file or directory"):
        describe(tmp_path / "missing.pgb")
