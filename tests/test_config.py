"""Settings: defaults, recipes, precedence, sizes, and every error at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from projgraph.config import MAX_BUDGET, MAX_TIME, StudentConfig, TrainConfig, load_config, parse_bytes, parse_time
from projgraph.errors import ConfigError


def problems(*settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(None, settings)
    return str(caught.value)


def stages(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [field.annotation for field in model.model_fields.values()]
    found = [each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)]
    return [model, *(deeper for each in found for deeper in stages(each))]


def test_nothing_given_is_the_defaults():
    assert load_config() == TrainConfig()


def test_every_setting_is_described_and_every_default_is_within_its_own_range():
    for stage in stages(TrainConfig):
        assert stage.model_config["frozen"] is True
        for name, field in stage.model_fields.items():
            is_stage = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            assert is_stage or field.description, f"{stage.__name__}.{name}"
        assert stage.model_validate(stage().model_dump()) == stage()


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().seed = 3


def test_flattened_names_can_be_given_back():
    config = load_config(None, ["student.loss.hamming=0.5", "encoder=some/model", "projection.word_ngrams=[1, 3]"])
    flat = config.flattened()
    assert flat["student.loss.hamming"] == 0.5
    assert flat["projection.word_ngrams"] == [1, 3]
    assert not any(isinstance(value, dict) for value in flat.values())
    assert load_config(None, (), flat) == config


def test_values_of_every_kind():
    config = load_config(
        None,
        [
            "student.epochs=7",
            "student.rate = 1e-2",
            "projection.quantiser=sign",
            "projection.character_ngrams=[2, 4]",
            'encoder="a name with = in it"',
            "features.windows=[]",
        ],
    )
    assert config.student.epochs == 7
    assert config.student.rate == 0.01
    assert config.projection.quantiser == "sign"
    assert config.projection.character_ngrams == (2, 4)
    assert config.encoder == "a name with = in it"
    assert config.features.windows == ()


RECIPE = """
seed = 5
budget = 1000

[student]
epochs = 20

[student.loss]
gold = 0.25
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, "utf-8")
    return path


def test_later_sources_win(recipe):
    plain = load_config(recipe)
    assert (plain.seed, plain.budget, plain.student.epochs, plain.student.loss.gold) == (5, 1000, 20, 0.25)
    config = load_config(
        recipe,
        ["student.epochs=30", "student.epochs=40", "budget=2000"],
        {"seed": None, "budget": 3000, "student.loss.edges": 0.5},
    )
    assert (config.seed, config.budget, config.student.epochs) == (5, 3000, 40)
    assert (config.student.loss.gold, config.student.loss.edges) == (0.25, 0.5)


def test_every_error_is_told_at_once(recipe):
    recipe.write_text("seed = -1\nnonsense = 2\n[student]\nepochs = 0\nmade_up = 1\n[graph]\ntemperature = 'warm'\n")
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, ["projection.quantiser=octal", "trainer.name=magic"], {"budget": 0})
    message = str(caught.value)
    assert message.startswith("settings: ")
    assert message.count("; ") >= 7
    assert "trainer.name is 'magic'" in message
    assert "seed is -1: input should be greater than or equal to 0" in message
    assert "budget is 0: input should be greater than or equal to 1" in message
    assert "student.epochs is 0: input should be greater than or equal to 1" in message
    assert "graph.temperature is 'warm': input should be a valid number" in message
    assert "projection.quantiser is 'octal': input should be 'ternary' or 'sign'" in message
    assert f"student.made_up is unknown; expected one of {', '.join(StudentConfig.model_fields)}" in message
    assert f"nonsense is unknown; expected one of {', '.join(TrainConfig.model_fields)}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("student.epochs", "--set student.epochs: expected stage.key=value, such as student.epochs=20"),
        ("=3", "--set =3: expected stage.key=value"),
        ("seed.x=3", "seed is {'x': 3}: input should be a valid integer"),
        ("student=3", "student is 3: input should be a valid dictionary"),
        ("student..epochs=3", "student. is unknown"),
        ("student.rate=nan", "student.rate is nan: input should be a finite number"),
        ("seed=4294967296", "seed is 4294967296: input should be less than 4294967296"),
        ("student.epochs=2.5", "student.epochs is 2.5: input should be a valid integer"),
        ("projection.word_ngrams=[1]", "projection.word_ngrams"),
        ("features.windows=[4, -1]", "features.windows.1 is -1: input should be greater than or equal to 1"),
        ("pack.weight_bits=5", "pack.weight_bits is 5: input should be 1, 2, 4 or 8"),
        ("pack.pruning=1", "pack.pruning is 1: input should be less than or equal to 0.99"),
        (
            "pack={pruning = 0.5, weight_bits = 1}",
            "pruned weights are 0, and one of 1 bit is not; expected pack.weight",
        ),
        (
            "pack={shared = true, weight_bits = 2}",
            "shared weights have 4 bits; expected pack.weight_bits of 4, or none",
        ),
        ("budget=big", "budget: 'big' is not a size; expected bytes such as 65536, 64KB or 1MB"),
        ("trainer.name=magic", "trainer.name is 'magic': no trainer has that name; expected one of expander, prior_"),
    ],
)
def test_wrong_settings(setting, message):
    assert message in problems(setting)


def test_a_setting_is_not_a_stage():
    assert problems("seed=3", "seed.x=4") == "seed.x: seed is a setting, not a stage with settings of its own"


def test_the_choices_of_an_inner_stage_are_its_own():
    message = problems("student.loss.golden=1")
    assert "student.loss.golden is unknown; expected one of trainer, distil, gold, edges, hamming" in message


@pytest.mark.parametrize("name", ["student.rate", "student.weight_decay", "student.loss.distil", "student.loss.edges"])
def test_infinity_is_refused(name):
    assert f"{name} is inf" in problems(f"{name}=inf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = ", "is not TOML: Invalid value"),
        (b"seed = 1\nseed = 2", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"a = " + b"[" * 100_000, "is not TOML: maximum recursion depth"),
        (b"seed = " + b"9" * 5000, "is not TOML: Exceeds the limit"),
        (None, "cannot be read: No such file or directory; expected a TOML recipe"),
    ],
)
def test_recipes_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory; expected a TOML recipe"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("65536", 65536),
        ("65536B", 65536),
        ("64KB", 65536),
        ("64kb", 65536),
        ("64 KiB", 65536),
        (" 64KB ", 65536),
        ("0.5MB", 524288),
        ("1.5KB", 1536),
        ("1MB", 1 << 20),
        ("1MiB", 1 << 20),
        ("256MB", MAX_BUDGET),
        ("268435456", MAX_BUDGET),
    ],
)
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "KB",
        "0",
        "0.1",
        "-1",
        "-64KB",
        "64GB",
        "1e3",
        "64,000",
        "64 K B",
        "257MB",
        "268435457",
        "lots",
        "0x10",
        "9" * 40 + "MB",
    ],
)
def test_what_is_no_size(text):
    with pytest.raises(ConfigError) as caught:
        parse_bytes(text)
    assert str(caught.value) == (
        f"'{text}' is not a size; expected bytes such as 65536, 64KB or 1MB, at most {MAX_BUDGET >> 20}MB"
    )


def test_a_size_beyond_all_numbers():
    with pytest.raises(ConfigError, match="is not a size"):
        parse_bytes("9" * 400)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5us", 5000),
        ("5µs", 5000),
        ("5μs", 5000),
        (" 2.35 US ", 2350),
        ("500ns", 500),
        ("0.1ms", 100_000),
        ("1.9ns", 1),
        ("1000ms", MAX_TIME),
    ],
)
def test_times(text, expected):
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "5", "us", "0us", "0.9ns", "5s", "5 min", "-5us", "5us us", "1e3us", "1001ms", "5KB", "5_us", "9" * 400],
)
def test_what_is_no_time(text):
    with pytest.raises(ConfigError) as caught:
        parse_time(text)
    assert str(caught.value) == (
        f"'{text}' is not a time; expected one such as 5us, 500ns or 0.1ms, at most {MAX_TIME // 10**6}ms"
    )


def test_a_budget_of_bytes_and_of_time():
    for budget in ("64KB,5us", "65536, 5000ns", " 64 KB , 0.005 ms "):
        config = load_config(given={"budget": budget})
        assert (config.budget, config.time_budget) == (65536, 5000)
        assert load_config(given=config.flattened()) == config
    assert load_config(None, ["budget=64KB,5us"]).time_budget == 5000
    assert load_config(None, ['time_budget="3us"']).time_budget == load_config(None, ["time_budget=3000"]).time_budget
    assert TrainConfig().time_budget is None


def test_a_recipe_gives_both_budgets_and_a_later_budget_takes_their_place(recipe):
    recipe.write_text('budget = "64KB,5us"\n')
    assert (load_config(recipe).budget, load_config(recipe).time_budget) == (65536, 5000)
    assert load_config(recipe, given={"budget": "32KB"}).time_budget is None
    recipe.write_text("budget = 65536\ntime_budget = 5000\n")
    assert load_config(recipe, given={"budget": "32KB"}).time_budget == 5000
    assert load_config(recipe, given={"budget": "32KB,7us"}).time_budget == 7000


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("64KB,5", "settings: time_budget: '5' is not a time; expected one such as 5us, 500ns or 0.1ms"),
        ("64KB,", "settings: time_budget: '' is not a time; expected one such as 5us"),
        (",5us", "settings: budget: '' is not a size; expected bytes such as 65536, 64KB or 1MB"),
        (
            "5us,64KB",
            "settings: budget: '5us' is not a size; expected bytes such as 65536, 64KB or 1MB, at most 256MB; t",
        ),
        ("64KB,5us,3", "settings: time_budget: '5us,3' is not a time"),
    ],
)
def test_wrong_budgets(budget, message):
    with pytest.raises(ConfigError) as caught:
        load_config(given={"budget": budget})
    assert str(caught.value).startswith(message)


def test_filters_learn_at_twice_the_rate_unless_one_is_given():
    assert StudentConfig().peak_rate(filters=0) == 0.002
    assert StudentConfig().peak_rate(filters=128) == 0.004
    assert StudentConfig(rate=0.01).peak_rate(filters=0) == StudentConfig(rate=0.01).peak_rate(filters=128) == 0.01
