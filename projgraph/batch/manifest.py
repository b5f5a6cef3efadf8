"""A manifest in TOML to the exports it asks for, every wrong line told at once; it reads no row and no model.

    [defaults]                       # of every model below
    targets = ["pgb", "c"]

    [[models]]
    source = "lights.run.npz"        # what train --keep-run leaves; or a .pgb model, or a file of rows to train on
    budgets = ["8KB", "32KB"]
    weights = ["int8", "ternary"]    # or values of the setting pack.weight_bits; int8, int4, shared, ternary, binary
    test = "lights-test.csv"

Paths are relative to the manifest. A model with two budgets and two kinds of weights makes four entries.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from projgraph.batch.entry import REPORT, TABLE, Entry, SourceFile, SourceKind
from projgraph.config import TrainConfig, change_config, load_config, parse_bytes, read_toml, weight_settings
from projgraph.config.stage import Stage
from projgraph.errors import ConfigError
from projgraph.lesson import RUN_SUFFIX
from projgraph.pack.export import TARGETS, Target
from projgraph.read import EXTENSIONS

NAME = re.compile(r"[\w][\w.+-]{0,99}")
STUDENT_SETTINGS = ("student.", "projection.", "pack.", "trust.abstain")
"""What may be changed of a run: its trainer has done its work."""


class ModelLine(Stage):
    """Settings of one model, or under ``defaults`` of all."""

    source: str | None = Field(None, description="a .pgb model, a kept run .run.npz, or a file of rows")
    name: str | None = Field(None, description="of its folder; the source's stem if left out")
    targets: tuple[str, ...] = Field(("pgb",), description="what to write it for")
    budgets: tuple[str, ...] = Field((), description="sizes of the model file")
    weights: tuple[int | str, ...] = Field((), description="their names, or values of pack.weight_bits")
    test: str | None = Field(None, description="labelled rows to measure on")
    search: bool = Field(False, description="try several shapes of each size")
    recipe: str | None = Field(None, description="of a training")
    set: tuple[str, ...] = Field((), description="stage.key=value")
    unlabelled: tuple[str, ...] = Field((), description="files of further texts")
    labels_per_class: int | None = Field(None, ge=1, description="hide the other labels")
    text_column: str | None = None
    label_column: str | None = None


def read_manifest(path: Path) -> tuple[Entry, ...]:
    """The exports that a manifest asks for, in its order.

    Raises:
        ConfigError: listing everything that is wrong with it at once.
    """
    tables = read_toml(path, "a manifest in TOML")
    problems: list[str] = []
    entries = list(_entries(tables, path.parent, problems))
    repeated = [name for name, count in Counter(entry.name.casefold() for entry in entries).items() if count > 1]
    problems += [f"{name} is the name of several entries; give each model a name of its own" for name in repeated]
    if problems:
        raise ConfigError(f"{path}: " + "; ".join(problems))
    return tuple(entries)


def _entries(tables: Mapping[str, Any], folder: Path, problems: list[str]) -> Iterator[Entry]:
    defaults, models = tables.get("defaults", {}), tables.get("models", [])
    problems += [f"{name} is unknown; expected [defaults] and [[models]]" for name in tables.keys() - _TABLES]
    if not isinstance(defaults, dict) or not isinstance(models, list):
        problems.append("expected a table [defaults] and tables [[models]]")
        return
    if not models:
        problems.append("there is no [[models]]; expected one for each model")
    for place, table in enumerate(models, 1):
        if not isinstance(table, dict):
            problems.append(f"model {place} is {table!r}; expected a table [[models]]")
            continue
        where = f"model {place}" + (f" ({table['name']})" if isinstance(table.get("name"), str) else "")
        try:
            line = ModelLine.model_validate({**defaults, **table})
        except ValidationError as error:
            problems += [f"{where}: {problem}" for problem in _problems(error)]
            continue
        wrong: list[str] = []
        found = list(_of_line(line, folder, wrong))
        problems += [f"{where}: {problem}" for problem in wrong]
        yield from found if not wrong else ()


_TABLES = {"defaults", "models"}


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"{name} is unknown; expected one of {', '.join(ModelLine.model_fields)}"
        else:
            yield f"{name} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _of_line(line: ModelLine, folder: Path, problems: list[str]) -> Iterator[Entry]:
    if line.source is None:
        problems.append("source is missing; expected a .pgb model, a kept run .run.npz, or a file of rows")
        return
    path = folder / line.source
    kind = source_kind(path, bool(line.budgets or line.weights or line.set or line.search))
    if kind is None:
        problems.append(f"source {line.source} is of no known kind; expected .pgb, {RUN_SUFFIX} or {_KNOWN}")
        return
    if kind == "run" and path.suffix == ".pgb":
        path = run_beside(path)
    named = [path, *(folder / each for each in (*line.unlabelled, line.test, line.recipe) if each is not None)]
    problems += [f"there is no file {each}" for each in named if not _is_file(each)]
    name = line.name or stem(path)
    if not NAME.fullmatch(name):
        problems.append(f"name {name!r} is not the name of a folder; expected letters, digits, dots, - and _")
    if name.casefold() in (REPORT, TABLE):
        problems.append(f"name {name!r} is that of a file beside it; give the model another")
    targets = tuple(target for target in TARGETS if target in line.targets)
    problems += [f"target {each!r}; expected {', '.join(TARGETS)}" for each in line.targets if each not in TARGETS]
    problems += _unfit(line, kind)
    budgets = [(text, _size(text, problems)) for text in line.budgets] or [("", None)]
    test = None if line.test is None else folder / line.test
    if problems:
        return
    for (text, budget), weights in product(budgets, line.weights or [None]):
        try:
            source, settings = _source(line, kind, path, folder, budget, weights)
        except ConfigError as error:
            problems.append(str(error))
            continue
        label = "".join(f"-{part}" for part in (text.replace(" ", ""), _bits_label(weights)) if part)
        yield Entry(name + label, name, source, targets, budget, weights, settings, test, line.search)


def source_kind(path: Path, changed: bool) -> SourceKind | None:
    """What a source is by its name; a model that is to be changed is the run beside it, where there is one."""
    if path.name.endswith(RUN_SUFFIX):
        return "run"
    if path.suffix == ".pgb":
        return "run" if changed and _is_file(run_beside(path)) else "model"
    return "data" if any(path.name.lower().removesuffix(".gz").endswith(each) for each in EXTENSIONS) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the system
        return False


def run_beside(model: Path) -> Path:
    """Where `projgraph train --keep-run` leaves the run of a model."""
    return model.with_name(model.stem + RUN_SUFFIX)


def stem(path: Path) -> str:
    """The name of a source without what its kind adds to it."""
    name = path.name.removesuffix(".gz")
    return name.removesuffix(RUN_SUFFIX) if name.endswith(RUN_SUFFIX) else Path(name).stem


_KNOWN = ", ".join(sorted(EXTENSIONS))


def _unfit(line: ModelLine, kind: SourceKind) -> Iterator[str]:
    """Settings that a source of this kind cannot have."""
    training = {
        "recipe": line.recipe,
        "unlabelled": line.unlabelled,
        "labels_per_class": line.labels_per_class,
    }
    if kind != "data":
        given = [name for name, value in training.items() if value]
        if given:
            yield f"{', '.join(given)}: a {kind} is trained already; expected them with a file of rows alone"
    if kind == "model" and (line.budgets or line.weights or line.set or line.search):
        yield (
            "budgets, weights, set and search need what the model was fitted to; give a run as the source: "
            "`projgraph train --keep-run` leaves one beside the model"
        )
    if kind == "run":
        for setting in line.set:
            if not setting.startswith(STUDENT_SETTINGS):
                yield f"set {setting}: a run is taught already; expected {', '.join(STUDENT_SETTINGS)}"


def _source(
    line: ModelLine, kind: SourceKind, path: Path, folder: Path, budget: int | None, weights: int | str | None
) -> tuple[SourceFile, tuple[str, ...]]:
    """The source with its settings, or those that a run's are changed by; both are checked."""
    given = {"budget": budget, **weight_settings(weights)}
    config: TrainConfig | None = None
    if kind == "data":
        config = load_config(None if line.recipe is None else folder / line.recipe, line.set, given)
    elif kind == "run":
        change_config(TrainConfig(), line.set, given)
    unlabelled = tuple(folder / each for each in line.unlabelled)
    source = SourceFile(kind, path, config, unlabelled, line.labels_per_class, line.text_column, line.label_column)
    return source, line.set if kind == "run" else ()


def _size(text: str, problems: list[str]) -> int | None:
    try:
        return parse_bytes(text)
    except ConfigError as error:
        problems.append(f"budgets: {error}")
        return None


def _bits_label(weights: int | str | None) -> str:
    return f"{weights}bit" if isinstance(weights, int) else weights or ""


def family(
    source: Path,
    sizes: str | None,
    targets: tuple[Target, ...],
    test: Path | None = None,
    *,
    search: bool = False,
    weights: str | None = None,
) -> tuple[Entry, ...]:
    """The exports of one run in several sizes and weights, as a manifest of one model would ask for them.

    Args:
        source: a kept run, or a model that has one beside it.
        sizes: such as ``8KB,16KB``; None is the run's own budget.
        targets: what to write each for.
        test: labelled rows to measure on.
        search: try several shapes of each size.
        weights: such as ``int8,ternary``; None is the run's own.

    Raises:
        ConfigError: listing everything that is wrong at once.
    """
    texts, kinds = _parts(sizes), _parts(weights)
    line = ModelLine(source=str(source), targets=targets, budgets=texts, weights=kinds, search=search)
    if test is not None:
        line = line.model_copy(update={"test": str(test.absolute())})
    problems: list[str] = []
    entries = tuple(_of_line(line.model_copy(update={"source": str(source.absolute())}), Path(), problems))
    for option, parts in (("--family", texts), ("--weights", kinds)):
        problems += [f"{option} {part} stands twice" for part, count in Counter(parts).items() if count > 1]
    if problems:
        raise ConfigError(f"{source}: " + "; ".join(problems))
    return entries


def _parts(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(part.strip() for part in text.split(","))
