"""Drawing and exporting a stored graph by command: what is written, the same bytes again, and wrong input."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data
from typer.testing import CliRunner

from projgraph.cli import app
from projgraph.graph.given import given_graph
from projgraph.graph.store import read_graph, write_graph
from projgraph.projection.graph import projection_graph
from projgraph.projection.store import write_projection_graph
from projgraph.read.edges import read_edges
from projgraph.records import Bits

# 0 is joined to 1, 2 and 3; 1 to 4.
GRAPH = given_graph(([0, 0, 0, 1], [1, 2, 3, 4], [0.5, 0.9, 0.7, 0.2]), n_nodes=5)
HAMMING = given_graph(([0, 2], [1, 4], [0.8, 0.6]), n_nodes=5)
ROWS = "text,label\nlamp on,on\nlamp off,off\nlight on,\nlamp on,on\nbye,off\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_graph("g.npz", GRAPH)
    write_graph("bits.npz", HAMMING)
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(app, ["graph", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def figures(*arguments):
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def words(path):
    return {"".join(part.itertext()).strip() for part in ElementTree.parse(path).iter() if part.tag.endswith("}text")}


def test_nodes_are_numbers_where_no_texts_are_given(folder):
    told = figures("draw", "g.npz", "--node", 0, "--out", "p.svg")
    assert told == {
        "drawing": "p.svg",
        "node": 0,
        "nodes": 4,
        "projection_nodes": 0,
        "bytes": (folder / "p.svg").stat().st_size,
    }
    assert words("p.svg") == {"0", "1", "2", "3"}
    assert figures("draw", "g.npz", "--node", 0, "--hops", 2, "--out", "p.svg")["nodes"] == 5
    assert figures("draw", "g.npz", "--node", 0, "--hops", 2, "--max-nodes", 2, "--out", "p.svg")["nodes"] == 2


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_labels_texts_and_hamming_edges(folder, ending):
    given = ["draw", "g.npz", "--node", 0, "--labels", "rows.csv", "--projection", "bits.npz", "--out"]
    assert figures(*given, f"p.{ending}")["projection_nodes"] == 4
    figures(*given, f"again.{ending}")
    assert (folder / f"p.{ending}").read_bytes() == (folder / f"again.{ending}").read_bytes()
    if ending == "svg":
        layers = {"projection nodes, Hamming edges", "trainer nodes, trainer edges"}
        assert words("p.svg") == {"lamp on", "lamp off", "light on", "on", "off"} | layers


def test_texts_without_labels(folder):
    (folder / "texts.txt").write_text("a\nb\nc\nd\ne\n")
    figures("draw", "g.npz", "--node", 4, "--texts", "texts.txt", "--out", "p.svg")
    assert words("p.svg") == {"e", "b"}


def test_rows_that_share_a_projection_node_share_a_square(folder):
    planes = np.array([[1], [2], [4], [1], [8]], dtype=np.uint8)
    stored = projection_graph(GRAPH, Bits(planes, ~planes, 8), 2)
    write_projection_graph(stored, "projection.npz")
    told = figures("draw", "g.npz", "--node", 0, "--projection", "projection.npz", "--out", "p.svg")
    assert (told["nodes"], told["projection_nodes"]) == (4, 3)


def test_projection_nodes_of_a_model(folder, small_model):
    told = figures(
        "draw", "g.npz", "--node", 0, "--labels", "rows.csv", "--projection", small_model, "--out", "p.svg"
    )  # fmt: skip
    assert (told["nodes"], told["projection_nodes"]) == (4, 3)  # rows 0 and 3 are one text


def test_graphml_and_parquet(folder):
    told = figures("export", "g.npz", "--labels", "rows.csv", "--out", "g.graphml")
    assert (told["nodes"], told["edges"]) == (5, 4)
    theirs = nx.read_graphml("g.graphml", node_type=int)
    assert [theirs.nodes[node].get("label") for node in range(5)] == ["on", "off", None, "on", "off"]
    figures("export", "g.npz", "--out", "g.parquet")
    assert np.array_equal(given_graph(read_edges("g.parquet")).weights, GRAPH.weights)


def test_tensors_of_pyg(folder):
    figures("export", "g.npz", "--labels", "rows.csv", "--out", "g.pt")
    data = Data.from_dict(torch.load("g.pt"))
    back = given_graph(data.edge_index.numpy(), weights=data.edge_weight.numpy(), n_nodes=data.num_nodes)
    assert all(np.array_equal(getattr(back, name), getattr(read_graph("g.npz"), name)) for name in vars(GRAPH))
    assert data.y.tolist() == [1, 0, -1, 1, 0]
    assert data.classes == ["off", "on"]
    figures("export", "g.npz", "--labels", "rows.csv", "--out", "again.pt")
    assert (folder / "again.pt").read_bytes() == (folder / "g.pt").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["draw", "g.npz", "--node", 5, "--out", "p.png"], "there is no node 5; expected 0 to 4"),
        (["draw", "g.npz", "--node", "-1", "--out", "p.png"], "there is no node -1"),
        (["draw", "g.npz", "--node", 0, "--out", "p.pdf"], "p.pdf ends in '.pdf'; expected one of .png, .svg"),
        (["draw", "g.npz", "--node", 0, "--hops", 3, "--out", "p.png"], "hops=3, .*expected 1 or 2"),
        (["draw", "no.npz", "--node", 0, "--out", "p.png"], "no.npz: there is no such file"),
        (["draw", "g.npz", "--node", 0, "--labels", "no.csv", "--out", "p.png"], "no.csv: there is no such file"),
        (
            ["draw", "g.npz", "--node", 0, "--labels", "two.csv", "--out", "p.png"],
            "two.csv: has 2 rows, g.npz has 5 nodes",
        ),
        (
            ["draw", "g.npz", "--node", 0, "--projection", "small.npz", "--out", "p.png"],
            "small.npz: has 2 rows, g.npz has 5",
        ),
        (["draw", "g.npz", "--node", 0, "--projection", "no.npz", "--out", "p.png"], "no.npz: there is no such file"),
        (["draw", "g.npz", "--node", 0, "--projection", "no.pgb", "--out", "p.png"], "cannot read 'no.pgb': No such"),
        (["draw", "g.npz", "--node", 0, "--projection", "rows.csv", "--out", "p.png"], "rows.csv: .*magic"),
        (["draw", "g.npz", "--node", 0, "--out", "missing/p.png"], "the folder .*missing does not exist"),
        (["export", "g.npz", "--out", "g.txt"], "ends in '.txt'; expected one of .graphml, .parquet, .pt"),
        (["export", "g.npz", "--labels", "two.csv", "--out", "g.pt"], "two.csv: has 2 rows, g.npz has 5 nodes"),
        (["export", "no.npz", "--out", "g.pt"], "no.npz: there is no such file"),
    ],
)
def test_wrong_input_is_one_line_and_status_two(folder, arguments, message):
    write_graph("small.npz", given_graph(([0], [1])))
    (folder / "two.csv").write_text("text,label\na,x\nb,y\n")
    before = sorted(folder.iterdir())
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert re.search(message, err), err
    assert sorted(folder.iterdir()) == before


def test_a_model_without_texts(folder, small_model):
    code, _, err = run("draw", "g.npz", "--node", 0, "--projection", small_model, "--out", "p.png")
    assert code == 2
    assert "needs texts to project; give --labels or --texts" in err
