"""Settings from a recipe, from ``stage.key=value`` and from the caller; every wrong one is told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from projgraph.config.train import TrainConfig
from projgraph.errors import ConfigError


def load_config(
    recipe: str | Path | None = None, settings: Iterable[str] = (), given: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Settings from a recipe, then ``stage.key=value`` strings, then given values; later ones win.

    Args:
        recipe: a TOML file whose tables are stages.
        settings: such as ``student.epochs=20``; a value is TOML, or a plain word for a string.
        given: values by dotted name; those that are None are left out.

    Raises:
        ConfigError: listing every unknown or wrong setting at once.
    """
    return _validated(read_toml(Path(recipe), "a TOML recipe") if recipe is not None else {}, settings, given)


def change_config(
    config: TrainConfig, settings: Iterable[str] = (), given: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Settings like these but for ``stage.key=value`` strings, then given values, as for ``load_config``.

    Raises:
        ConfigError: listing every unknown or wrong setting at once.
    """
    return _validated(config.model_dump(mode="json"), settings, given)


def _validated(values: dict[str, Any], settings: Iterable[str], given: Mapping[str, Any] | None) -> TrainConfig:
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {setting}: expected stage.key=value, such as student.epochs=20")
        _place(values, name.strip(), _toml_value(text.strip()))
    for name, value in (given or {}).items():
        if value is not None:
            _place(values, name, value)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("settings: " + "; ".join(_problems(error))) from error


def read_toml(path: Path, expected: str) -> dict[str, Any]:
    """The tables of a file, ``expected`` being what it should hold.

    Raises:
        ConfigError: there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; expected {expected}") from error
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits, too
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _place(values: dict[str, Any], dotted: str, value: Any) -> None:
    *stages, key = dotted.split(".")
    for stage in stages:
        inner = values.setdefault(stage, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{dotted}: {stage} is a setting, not a stage with settings of its own")
        values = inner
    values[key] = value


def _problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            stage: Any = TrainConfig
            for part in problem["loc"][:-1]:
                stage = stage.model_fields[part].annotation
            yield f"{name} is unknown; expected one of {', '.join(stage.model_fields)}"
        elif problem["type"] == "value_error":
            yield f"{name}: {problem['ctx']['error']}"
        else:
            yield f"{name} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
