"""The `projgraph graph` commands: options in, figures out; how a graph is built they know by name only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

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

app = typer.Typer(help="The graph on its own: build one, look at it, let it label its nodes.", no_args_is_help=True)

GraphFile = Annotated[Path, typer.Argument(metavar="G.npz", help="as `graph build` writes it")]


@app.command()
def build(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="texts, one node a row, or edges; .gz as well")],
    out: Annotated[Path, typer.Option(help="the .npz file to write")],
    kind: Annotated[str, typer.Option(help="knn: by views of the text; hamming: by its bits; edges: as given")] = "knn",
    k: Annotated[int | None, typer.Option("--k", help="neighbours each node asks for")] = None,
    bits: Annotated[int | None, typer.Option(help="bits of a projection node, for the kind hamming")] = None,
    seed: Seed = None,
    encoder: Encoder = None,
    settings: Settings = None,
    text_column: TextColumn = None,
    as_json: AsJson = False,
) -> None:
    """Join the rows of a file into a graph; started again after a kill, it goes on (knn: from the views it has)."""
    with reported():
        from projgraph import graph_job
        from projgraph.config import load_config

        given = {"seed": seed, "encoder": encoder, "graph.neighbours": k, "projection.bits": bits}
        config = load_config(None, settings or (), given)
        job = graph_job.BuildJob(source, out, cast("graph_job.Kind", kind), text_column)
        with progress_lines() as (say, _):
            figures = graph_job.build(job, config, say)
        show(figures, as_json, f"built {out}")


@app.command()
def propagate(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="texts and labels, one node a row; .gz as well")],
    out: Annotated[Path, typer.Option(help="the Parquet file to write: label, confidence, reached, given")],
    graph: Annotated[Path | None, typer.Option(help="a graph over the same rows; left out, one is built")] = None,
    labels_per_class: Annotated[int | None, typer.Option(help="keep so many labels a class, hide the others")] = None,
    seed: Seed = None,
    trainer: Trainer = None,
    proba: Annotated[bool, typer.Option("--proba", help="write the whole distribution of each node too")] = False,
    encoder: Encoder = None,
    settings: Settings = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Give every row a label from few labels and a graph; prints how many hidden labels it found."""
    with reported():
        from projgraph import graph_job
        from projgraph.config import load_config

        config = load_config(None, settings or (), {"seed": seed, "encoder": encoder, "trainer.name": trainer})
        job = graph_job.PropagateJob(source, out, graph, labels_per_class, text_column, label_column)
        with progress_lines() as (say, _):
            figures = graph_job.propagate(job, config, say, proba)
        show(figures, as_json, f"labelled {source}")


@app.command()
def info(
    graph: GraphFile,
    labels: Annotated[Path | None, typer.Option(help="labelled file over the same rows: how labels lie in it")] = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Degrees, components, isolated nodes; with labels, agreement along edges and rows that no label reaches."""
    with reported():
        from projgraph import graph_job

        show(graph_job.info(graph, labels, label_column), as_json, str(graph))


@app.command()
def draw(
    graph: GraphFile,
    node: Annotated[int, typer.Option(help="the centre: a row of the file that the graph was built of, from 0")],
    out: Annotated[Path, typer.Option(help="the picture to write, .png or .svg")],
    hops: Annotated[int, typer.Option(help="1 for its neighbours, 2 for theirs too")] = 1,
    max_nodes: Annotated[int, typer.Option(help="nodes at most; the heaviest edges win")] = 40,
    labels: Annotated[Path | None, typer.Option(help="labelled file over the same rows: colours and texts")] = None,
    texts: Annotated[Path | None, typer.Option(help="texts over the same rows, where no row has a label")] = None,
    projection: Annotated[
        Path | None, typer.Option(help="projection nodes: a graph of the kind hamming, or a MODEL.pgb beside texts")
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Draw the neighbourhood of a node, its projection nodes beside it."""
    with reported():
        from projgraph import graph_view

        rows = graph_view.RowFiles(labels, texts, text_column, label_column)
        job = graph_view.DrawJob(graph, node, out, hops, max_nodes, projection)
        show(graph_view.draw(job, rows), as_json, f"drew {out}")


@app.command()
def export(
    graph: GraphFile,
    out: Annotated[Path, typer.Option(help=".graphml for Gephi and igraph, .parquet for edges, .pt for PyG")],
    labels: Annotated[Path | None, typer.Option(help="labelled file over the same rows: a label for each node")] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Write a graph for other programs: GraphML, Parquet, or the tensors of PyTorch Geometric's Data."""
    with reported():
        from projgraph import graph_view

        rows = graph_view.RowFiles(labels, None, text_column, label_column)
        show(graph_view.export(graph, out, rows), as_json, f"wrote {out}")
