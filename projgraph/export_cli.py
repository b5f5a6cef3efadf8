"""`projgraph export`: one model, a family of sizes, or all that a manifest asks for; options in, files out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from projgraph.console import AsJson, Settings, progress_lines, reported, say_line, show

if TYPE_CHECKING:
    from projgraph.batch.entry import Entry
    from projgraph.batch.export_job import BatchResult
    from projgraph.pack.export import Target
    from projgraph.records import Progress


def export(
    source: Annotated[Path, typer.Argument(metavar="MODEL.pgb|RUN|MANIFEST.toml")],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    target: Annotated[
        str | None,
        typer.Option(
            help="c (the default): core, model and a main.c in C99; wasm: a package for JavaScript; onnx; pgb: the "
            "checked file, the default with --family and --weights; several with commas"
        ),
    ] = None,
    family: Annotated[
        str | None, typer.Option(metavar="SIZES", help="8KB,16KB,...: a model of each size from one training's run")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="int8, int4, shared, ternary, binary, several with commas: a model with each from one training's run",
        ),
    ] = None,
    search: Annotated[bool, typer.Option(help="with --family: try several shapes of each size")] = False,
    test: Annotated[Path | None, typer.Option(help="with --family or --weights: labelled file to measure on")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes at a time; all processors if left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model, a family of sizes, or hundreds of models, as files that a device build takes."""
    with reported():
        fitted = family is not None or weights is not None
        manifest = source.suffix == ".toml"
        _check_options(
            source,
            {"--search": search, "--test": test is not None, "--jobs": jobs is not None},
            {"--target": target is not None, "--family": family is not None, "--weights": weights is not None},
        )
        if not (manifest or fitted):
            _export_model(source, target or "c", out, as_json)
            return
        from projgraph.batch.export_job import run_batch
        from projgraph.batch.manifest import read_manifest

        entries = read_manifest(source) if manifest else _family(source, family, weights, target, test, search)
        with progress_lines() as (say, _):
            result = run_batch(entries, out, jobs, say)
        _show(result, as_json, f"exported {source}", fitted)
        if result.failures:
            raise typer.Exit(1)


def bundle(
    sources: Annotated[list[Path], typer.Argument(metavar="MODEL.pgb...|RUN...")],
    out: Annotated[Path, typer.Option(help="the bundle to write")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Put models of one projection into one file; of runs, fit models that share a hidden layer too."""
    with reported():
        from projgraph.errors import ConfigError
        from projgraph.lesson import RUN_SUFFIX

        runs = [source for source in sources if source.name.endswith(RUN_SUFFIX)]
        if runs and len(runs) < len(sources):
            raise ConfigError(f"{len(runs)} of {len(sources)} sources are runs; expected models alone, or runs alone")
        if not runs and settings:
            raise ConfigError("--set: models are trained already; give the runs that --keep-run leaves beside them")
        with progress_lines() as (say, _):
            figures = _bundle_runs(sources, out, settings or [], say) if runs else _bundle_models(sources, out)
        show(figures, as_json, f"bundle {out}")


def _bundle_models(models: list[Path], out: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from projgraph.pack.bundle import write_bundle

    return asdict(write_bundle(models, out))


def _bundle_runs(paths: list[Path], out: Path, settings: list[str], say: Progress) -> dict[str, Any]:
    from projgraph.batch.bundle_job import bundle_runs

    return bundle_runs(paths, out, settings, say)


def _check_options(source: Path, of_many: dict[str, bool], of_one: dict[str, bool]) -> None:
    """Options that this kind of export does not look at are refused, all at once.

    Args:
        source: what is exported.
        of_many: whether each option was given that looks at several models; a manifest takes the number of processes.
        of_one: whether each option was given that a manifest says itself.
    """
    from projgraph.errors import ConfigError

    manifest = source.suffix == ".toml"
    fitted = of_one["--family"] or of_one["--weights"]
    wrong = [name for name, given in of_many.items() if given and not fitted and not (manifest and name == "--jobs")]
    wrong += [name for name, given in of_one.items() if given and manifest]
    if wrong:
        own = "a manifest says it itself, by targets, budgets, weights, search and test"
        raise ConfigError(
            f"{', '.join(wrong)} cannot be used with {source}: {own if manifest else 'give --family or --weights too'}"
        )


def _export_model(model: Path, targets: str, out: Path, as_json: bool) -> None:
    from projgraph.errors import ConfigError
    from projgraph.lesson import RUN_SUFFIX
    from projgraph.pack.export import export_model

    if model.name.endswith(RUN_SUFFIX):
        raise ConfigError(f"{model} is a kept run, not a model: give --family or --weights to fit models to it")
    chosen = _targets(targets)
    files = [each for target in chosen for each in export_model(model, target, out)]
    sizes = {each.name: each.stat().st_size for each in files}
    show({"target": targets, "folder": str(out), "files": sizes}, as_json, f"exported {model}")


def _family(
    source: Path, sizes: str | None, weights: str | None, target: str | None, test: Path | None, search: bool
) -> tuple[Entry, ...]:
    from projgraph.batch.manifest import family

    return family(source, sizes, _targets(target or "pgb"), test, search=search, weights=weights)


def _targets(text: str) -> tuple[Target, ...]:
    """The targets that a list with commas names."""
    from typing import cast

    return tuple(cast("Target", part.strip()) for part in text.split(","))


def _show(result: BatchResult, as_json: bool, title: str, front: bool) -> None:
    """The figures on standard output; without JSON also the front, and what failed on standard error."""
    figures: dict[str, Any] = result.to_json()
    if as_json:
        show(figures, as_json, title)
    else:
        from rich.console import Console

        from projgraph.batch.report import front_table

        if front:
            for table in front_table(result.outcomes):
                Console().print(table)
        show({name: value for name, value in figures.items() if not isinstance(value, list)}, as_json, title)
    for failure in result.failures:
        say_line(f"failed: {failure}")
