"""The command line: options in, figures out; what a stage does it knows by name only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from projgraph import __version__, export_cli, graph_cli, labelling_cli, sign_cli
from projgraph.console import (
    AsJson,
    Encoder,
    LabelColumn,
    Seed,
    Settings,
    TextColumn,
    print_json,
    progress_lines,
    reported,
    say_line,
    show,
    show_parts,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="The catalogue of public data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(graph_cli.app, name="graph")
graph_cli.app.command()(labelling_cli.suspects)
app.command()(labelling_cli.suggest)
app.command()(export_cli.export)
app.command()(export_cli.bundle)
app.command()(sign_cli.sign)
app.command()(sign_cli.verify)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"projgraph {__version__}\n")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """From a few labels and a pile of unlabelled text to a 256 KB classifier."""
    del version  # its callback has answered


@app.command()
def train(
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="CSV, TSV, JSONL, Parquet or fastText, .gz as well")],
    out: Annotated[Path, typer.Option(help="the model file to write")],
    test: Annotated[Path | None, typer.Option(help="labelled file to measure on")] = None,
    unlabelled: Annotated[list[Path] | None, typer.Option(help="file of further texts; may be repeated")] = None,
    labels_per_class: Annotated[int | None, typer.Option(help="keep so many labels a class, hide the others")] = None,
    seed: Seed = None,
    encoder: Encoder = None,
    pipeline: Annotated[Path | None, typer.Option(help="recipe with settings, TOML")] = None,
    settings: Settings = None,
    budget: Annotated[
        str | None, typer.Option(help="bytes of the model file at most, and a text's time: 64KB, or 256KB,5us")
    ] = None,
    abstain: Annotated[
        float | None, typer.Option(help="share of rows given up so that texts of no class get no label; default 0")
    ] = None,
    keep_run: Annotated[
        bool, typer.Option(help="leave OUT.run.npz too, with the texts, for projgraph export --family")
    ] = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    tracking: Annotated[bool, typer.Option(help="record the run in MLflow")] = True,
    store: Annotated[str | None, typer.Option(help="MLflow store; default MLFLOW_TRACKING_URI or ./mlflow.db")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a device model on a few labels and many texts."""
    with reported():
        from projgraph.config import load_config

        given = {"seed": seed, "encoder": encoder, "budget": budget, "trust.abstain": abstain}
        config = load_config(pipeline, settings or (), given)
        from projgraph.job import TrainJob, run_training

        job = TrainJob(
            train=train,
            out=out,
            test=test,
            unlabelled=tuple(unlabelled or ()),
            labels_per_class=labels_per_class,
            text_column=text_column,
            label_column=label_column,
            track=tracking,
            store=store,
            keep_run=keep_run,
        )
        with progress_lines() as (say, listen):
            result = run_training(job, config, say, listen)
        for note in result.notes:
            say_line(f"note: {note}")
        show(result.to_json() if as_json else result.figures, as_json, f"trained {out}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL.pgb")],
    test: Annotated[Path, typer.Argument(metavar="TEST", help="labelled file")],
    head: Annotated[str | None, typer.Option(metavar="NAME", help="of a bundle: which of its models")] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on a labelled file: accuracy, calibration, size, latency."""
    with reported():
        from projgraph.read import read_dataset
        from projgraph.runtime import load

        opened = load(model, head)
        rows = read_dataset(test, text_column=text_column, label_column=label_column, keep_empty=True)
        from projgraph import evaluate as evaluating  # brings scipy: after the files have been read
        from projgraph.evaluate.calibration import TEMPERATURES

        size = model.stat().st_size  # of a bundle, with all of its heads
        known, (low, high) = opened.provenance.get("temperature"), TEMPERATURES
        result = evaluating.evaluate(
            opened.native,
            rows.texts,
            rows.labels,
            rows.classes,
            model_bytes=size,
            temperature=float(known) if isinstance(known, int | float) and low <= known <= high else None,
        )
        show(result.to_json() if as_json else result.figures, as_json, f"{opened.source} on {test}")


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def predict(context: typer.Context) -> None:
    """Print the label of every line: predict MODEL.pgb [FILE|-] [--proba] [--head NAME]."""
    from projgraph.predict import run

    raise typer.Exit(run(context.args))


@app.command()
def inspect(model: Annotated[Path, typer.Argument(metavar="MODEL.pgb")], as_json: AsJson = False) -> None:
    """Show what is in a model file, byte by byte, or in a bundle, head by head."""
    with reported():
        from projgraph.pack.inspect import describe, render
        from projgraph.pack.inspect_bundle import describe_bundle, is_bundle, render_bundle

        bundled = is_bundle(model)
        account = describe_bundle(model) if bundled else describe(model)
        if as_json:
            print_json(account)
        else:
            show_parts(render_bundle(account) if bundled else render(account))


@app.command()
def demo(
    model: Annotated[Path, typer.Argument(metavar="MODEL.pgb")],
    out: Annotated[Path, typer.Option(help="folder to write index.html into")],
    nearest: Annotated[Path | None, typer.Option(help="file of texts to show the nearest of, such as TRAIN")] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Write a page that runs a model in a browser, without server or network."""
    with reported():
        from projgraph.demo.page import write_demo

        page = write_demo(model, out, nearest, text_column, label_column)
        show({"page": str(page), "bytes": page.stat().st_size}, as_json, f"demo of {model}")


@data_app.command("list")
def list_data(as_json: AsJson = False) -> None:
    """List the public data sets that the catalogue knows."""
    with reported():
        from projgraph.catalogue import list_sets

        sets = list_sets()
        if as_json:
            print_json({"sets": [{"name": each.name, "licence": each.licence, "title": each.title} for each in sets]})
            return
        table = Table("set", "what it is", "licence")
        for each in sets:
            table.add_row(each.name, each.title, each.licence)
        Console().print(table)


@data_app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="a set of the list")],
    to: Annotated[Path | None, typer.Option(help="folder of the set; default ./NAME")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="a local copy instead of the network")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch, check and convert a data set."""
    with reported():
        from projgraph.catalogue import fetch

        fetched = fetch(name, to or Path(name), source)
        figures = {"set": name, "folder": str(fetched.folder), "files": [str(each) for each in fetched.files]}
        show(figures, as_json, f"fetched {name}")


@data_app.command("verify")
def verify_data(
    name: Annotated[str, typer.Argument(help="a set of the list")],
    folder: Annotated[Path, typer.Argument(help="where its files are")],
    as_json: AsJson = False,
) -> None:
    """Check the files of a data set against the catalogue; exit status 2 when one differs."""
    with reported():
        from projgraph.catalogue import verify

        rows = verify(name, folder)
        show({row.name: row.problem or "good" for row in rows}, as_json, f"{name} in {folder}")
        if any(row.problem for row in rows):
            raise typer.Exit(2)
