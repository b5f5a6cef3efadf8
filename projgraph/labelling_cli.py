"""The commands about labels, `suggest` and `graph suspects`: options in, figures out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from projgraph.console import (
    AsJson,
    Encoder,
    LabelColumn,
    Seed,
    Settings,
    TextColumn,
    Trainer,
    progress_lines,
    reported,
    show,
)


def suspects(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="texts and labels, one node a row; .gz as well")],
    out: Annotated[Path, typer.Option(help="the CSV file to write, most surprising label first")],
    labels_per_class: Annotated[int | None, typer.Option(help="keep so many labels a class, hide the others")] = None,
    seed: Seed = None,
    trainer: Trainer = None,
    encoder: Encoder = None,
    settings: Settings = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Find labels that the graph contradicts: what the trainer says of a row whose label it is not shown."""
    with reported():
        from projgraph import labelling_job
        from projgraph.config import load_config

        config = load_config(None, settings or (), {"seed": seed, "encoder": encoder, "trainer.name": trainer})
        job = labelling_job.SuspectsJob(source, out, labels_per_class, text_column, label_column)
        with progress_lines() as (say, _):
            figures = labelling_job.suspects(job, config, say)
        show(figures, as_json, f"doubted labels of {source}")


def suggest(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="texts, some labelled; .gz as well")],
    count: Annotated[int, typer.Option(help="rows to label")],
    out: Annotated[Path, typer.Option(help="the CSV file to write, best row first")],
    model: Annotated[Path | None, typer.Option(help="a model whose doubts count instead of the trainer's")] = None,
    seed: Seed = None,
    trainer: Trainer = None,
    encoder: Encoder = None,
    settings: Settings = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Choose which unlabelled rows to label next: where the graph is unsure and no label is near."""
    with reported():
        from projgraph import labelling_job
        from projgraph.config import load_config

        config = load_config(None, settings or (), {"seed": seed, "encoder": encoder, "trainer.name": trainer})
        job = labelling_job.SuggestJob(source, out, count, model, text_column, label_column)
        with progress_lines() as (say, _):
            figures = labelling_job.suggest(job, config, say)
        show(figures, as_json, f"rows to label in {source}")
