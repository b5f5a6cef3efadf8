"""Which nodes are drawn, that all of them are, and the same bytes each time."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

import numpy as np
import pytest

from projgraph.errors import ConfigError, InputError, OutputError
from projgraph.graph.draw import draw_neighbourhood, neighbourhood
from projgraph.graph.given import given_graph

# 0 is joined to 1, 2 and 3; 1 to 4 and 5; 6 stands alone.
GRAPH = given_graph(([0, 0, 0, 1, 1], [1, 2, 3, 4, 5], [0.5, 0.9, 0.7, 0.2, 0.4]), n_nodes=7)
HAMMING = given_graph(([0, 2], [1, 4], [0.8, 0.6]), n_nodes=7)
TEXTS = [
    "turn on the light <&>",
    "b",
    "c $x^2",
    "d\x00\x1b",
    "",
    "a text that is much too long to be drawn as it is",
    "g",
]
LABELS = ["on", "off", None, "on", None, "off", "on"]


def test_neighbourhood():
    assert neighbourhood(GRAPH, 0).tolist() == [0, 2, 3, 1]
    assert neighbourhood(GRAPH, 0, hops=2).tolist() == [0, 2, 3, 1, 5, 4]
    assert neighbourhood(GRAPH, 0, hops=2, max_nodes=3).tolist() == [0, 2, 3]
    assert neighbourhood(GRAPH, 6, hops=2).tolist() == [6]
    assert neighbourhood(GRAPH, 0, max_nodes=1).tolist() == [0]


def test_svg(tmp_path):
    path = tmp_path / "g.svg"
    size = draw_neighbourhood(path, GRAPH, 0, hops=2, hamming=HAMMING, labels=LABELS, texts=TEXTS)
    assert size == path.stat().st_size
    words = {"".join(part.itertext()).strip() for part in ElementTree.parse(path).iter() if part.tag.endswith("}text")}
    assert words == {
        *("turn on the light <&>", "b", "c $x^2", "d", "(empty)", "a text that is much too lon…"),
        *("on", "off", "projection nodes, Hamming edges", "trainer nodes, trainer edges"),
    }
    again = tmp_path / "again.svg"
    draw_neighbourhood(again, GRAPH, 0, hops=2, hamming=HAMMING, labels=LABELS, texts=TEXTS)
    assert again.read_bytes() == path.read_bytes()


def test_a_script_that_the_font_lacks(tmp_path):
    for name in ("g.svg", "g.png"):
        draw_neighbourhood(tmp_path / name, GRAPH, 6, texts=["日本語 \U0001f600"] * 7, labels=["中"] * 7)
    assert "日本語" in (tmp_path / "g.svg").read_text("utf-8")


def test_png(tmp_path):
    path = tmp_path / "g.PNG"
    draw_neighbourhood(path, GRAPH, 6)
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (1050, 975)
    draw_neighbourhood(path, GRAPH, 6)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "node", "settings", "error", "message"),
    [
        ("g.pdf", 0, {}, ConfigError, r"g.pdf ends in '.pdf'; expected one of .png, .svg"),
        ("g.png", 7, {}, InputError, "there is no node 7; expected 0 to 6"),
        ("g.png", -1, {}, InputError, "there is no node -1"),
        ("g.png", 0, {"hops": 3}, ConfigError, "hops=3, max_nodes=40; expected 1 or 2, and one or more"),
        ("g.png", 0, {"max_nodes": 0}, ConfigError, "max_nodes=0"),
        ("g.png", 0, {"labels": ["a"]}, InputError, "1 labels for 7 nodes; expected as many"),
        ("g.png", 0, {"texts": ["a"]}, InputError, "1 texts for 7 nodes"),
        ("g.png", 0, {"hamming": given_graph(np.zeros((3, 3)))}, InputError, "3 projection nodes for 7 nodes"),
        ("none/g.png", 0, {}, OutputError, r"the folder .* does not exist"),
    ],
)
def test_errors(tmp_path, name, node, settings, error, message):
    with pytest.raises(error, match=message):
        draw_neighbourhood(tmp_path / name, GRAPH, node, **settings)
    assert not list(tmp_path.iterdir())
