"""Edge files: every format, what a node is called, and errors that name file and line."""

from __future__ import annotations

import contextlib
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from projgraph.errors import InputError
from projgraph.read import edge_blocks
from projgraph.read.edges import _of_blocks, _of_text, read_edges
from projgraph.read.source import Source


def write(tmp_path, text, name="edges.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(edges):
    return list(zip(edges.sources.tolist(), edges.targets.tolist(), edges.weights.tolist(), strict=True))


EXPECTED = [(0, 1, 0.5), (1, 3, 2.0)]


@pytest.mark.parametrize(
    "text",
    [
        "0 1 0.5\n1 3 2\n",
        "# a comment\n\n0\t1\t0.5\n1\t3\t2",
        "source,target,weight\r\n0, 1, 5e-1\r\n1,3,2\r\n",
        "  0   1  0.5  \n1 3 2.0\n# the end",
        "\ufeff0,1,0.5\n01,3,+2\n",
    ],
)
def test_text(tmp_path, text):
    edges = read_edges(write(tmp_path, text))
    assert rows(edges) == EXPECTED
    assert (edges.n_nodes, edges.names) == (4, None)
    assert (edges.sources.dtype, edges.targets.dtype, edges.weights.dtype) == (np.int64, np.int64, np.float32)
    packed = write(tmp_path, gzip.compress(text.encode()), "edges.tsv.gz")
    assert rows(read_edges(packed)) == EXPECTED


def test_names_in_order_of_appearance(tmp_path):
    edges = read_edges(write(tmp_path, "old paper\tnew paper\t0.5\nnew paper\t7\t1\n", "nsl.tsv"))
    assert edges.names == ("old paper", "new paper", "7")
    assert rows(edges) == [(0, 1, 0.5), (1, 2, 1.0)]
    assert edges.n_nodes == 3


def test_without_weights(tmp_path):
    assert rows(read_edges(write(tmp_path, "a b\nb c\n"))) == [(0, 1, 1.0), (1, 2, 1.0)]


def test_ids_and_n_nodes(tmp_path):
    path = write(tmp_path, "5 9\n")
    assert read_edges(path).n_nodes == 10
    assert read_edges(path, n_nodes=20).n_nodes == 20
    named = read_edges(path, ids="name")
    assert (named.names, rows(named)) == (("5", "9"), [(0, 1, 1.0)])
    with pytest.raises(
        InputError, match=r"edges.txt, line 1: node 9 is out of range for 7 rows; expected row num.* 0 to 6"
    ):
        read_edges(path, n_nodes=7)
    with pytest.raises(InputError, match="ids='number'; expected 'auto', 'index' or 'name'"):
        read_edges(path, ids="number")


def test_no_edges(tmp_path):
    edges = read_edges(write(tmp_path, "# nothing\n"))
    assert (rows(edges), edges.n_nodes) == ([], 0)
    assert read_edges(write(tmp_path, "# nothing\n"), n_nodes=3).n_nodes == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1\n0\n", "line 2: 1 fields; expected source and target"),
        ("# x\n0 1 2 3\n", "line 2: 4 fields; expected source, target and perhaps a weight"),
        ("0 1 2\n\n0 1\n", "line 3: 2 fields; expected source, target and weight"),
        ("0,1,x\n", "line 1: the weight 'x' is not a number"),
        ("0,1,\n", "line 1: the weight '' is not a number"),
        ("0,1,nan\n", "line 1: the weight nan is not a finite number from zero to 7.9e+28; mend it or drop the edge"),
        ("0,1,inf\n", "line 1: the weight inf is not a finite"),
        ("0,1,1e39\n", "line 1: the weight 1e39 is not a finite"),
        ("0,1,1e29\n", "line 1: the weight 1e29 is not a finite number from zero to 7.9e+28"),
        ("0 1 1\n1 2 -0.1\n", "line 2: the weight -0.1 is not a finite number from zero"),
        ("a,b\n,b\n", "line 2: a node without a name"),
        (
            "0 1\n1 1000000000000\n",
            "line 2: node 1000000000000 is out of range for 1,000,000 rows; number the rows without such gaps",
        ),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_edges(path)
    assert str(caught.value).startswith(f"{path}, {message}")


def test_index_asked_for(tmp_path):
    with pytest.raises(
        InputError, match=r"line 2: node '-1' is not a row number; expected 0 and up, or read with ids='n"
    ):
        read_edges(write(tmp_path, "0 1\n-1 0\n"), ids="index")


def test_not_utf8_and_no_file(tmp_path):
    with pytest.raises(InputError, match=r"edges.txt, line 2: byte 1 of the line, 0xff, is not UTF-8"):
        read_edges(write(tmp_path, b"0 1\n\xff 1\n"))
    with pytest.raises(InputError, match="there is no such file"):
        read_edges(tmp_path / "none.tsv")


def test_npz(tmp_path):
    matrix = sparse.csr_array(([0.5, 2.0], ([0, 1], [1, 3])), shape=(4, 4))
    sparse.save_npz(tmp_path / "g.npz", matrix)
    assert rows(read_edges(tmp_path / "g.npz")) == EXPECTED
    with pytest.raises(InputError, match=r"g.npz: is a graph of 4 nodes; expected 5"):
        read_edges(tmp_path / "g.npz", n_nodes=5)
    sparse.save_npz(tmp_path / "g.npz", -matrix)
    with pytest.raises(InputError, match=r"g.npz: the weight -0.5 of 0 -> 1 is not a finite number from zero"):
        read_edges(tmp_path / "g.npz")


def parquet(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "edges.parquet")
    return tmp_path / "edges.parquet"


def test_parquet(tmp_path):
    path = parquet(tmp_path, target=[1, 3], weight=[0.5, 2.0], source=[0, 1], other=["x", "y"])
    assert rows(read_edges(path)) == EXPECTED
    assert rows(read_edges(write(tmp_path, gzip.compress(path.read_bytes()), "edges.parquet.gz"))) == EXPECTED
    named = read_edges(parquet(tmp_path, source=["a", "b"], target=["b", "c"]))
    assert (named.names, rows(named)) == (("a", "b", "c"), [(0, 1, 1.0), (1, 2, 1.0)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"source": [1]}, r"edges.parquet: has 0 columns 'target' \(of source\); expected one"),
        ({"source": [0, None], "target": [1, 2]}, "edges.parquet, row 2: node None; expected a name or a row number"),
        ({"source": [0.5], "target": [1]}, "row 1: node 0.5; expected"),
        ({"source": [0], "target": [1], "weight": [float("nan")]}, "row 1: the weight nan is not a finite number"),
        (
            {"source": pa.array([2**30], pa.date32()), "target": [1]},
            r"column 'source': is of type date32\[day\] .*; write the column as strings or numbers",
        ),
        ({"source": [0], "target": [1], "weight": ["1"]}, "row 1: the weight '1' is not a finite number"),
        ({"source": [0], "target": [-1], "weight": [-1.0]}, "row 1: the weight -1.0"),
    ],
)
def test_wrong_parquet(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        read_edges(parquet(tmp_path, **columns))
    with pytest.raises(InputError, match="is not a whole Parquet file"):
        read_edges(write(tmp_path, "source,target\n", "text.parquet"))


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=60), st.text("01a,.\t #\n-e", max_size=60).map(str.encode)))
def test_any_bytes_are_edges_or_an_input_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "edges.txt"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        edges = read_edges(path)
        assert len(edges.sources) == len(edges.targets) == len(edges.weights)
        assert max(edges.sources.max(initial=-1), edges.targets.max(initial=-1)) < edges.n_nodes or not len(
            edges.sources
        )


def outcome(read, path, ids, n_nodes):
    """What a reader makes of a file, as something that compares."""
    try:
        edges = read(Source(path), ids, n_nodes)
    except InputError as error:
        return str(error)
    return None if edges is None else (rows(edges), edges.n_nodes, edges.names)


_FIELD = st.one_of(
    st.integers(0, 12).map(str),
    st.sampled_from(
        [
            "a",
            "b c",
            "#d",
            "",
            " 1",
            "2 ",
            "-1",
            "007",
            "0x1F",
            "1" * 19,
            "0" * 18 + "3",
            "1_0",
            "\u00a05",
            "\u0663",
            "1\x1c",
        ]
    ),
    st.text(max_size=3),
)
_WEIGHT = st.one_of(
    st.floats(0, 2, width=32).map(repr), st.sampled_from(["1", "+2", "5e-1", "nan", "inf", "-1", "1e39", "1_0", ""])
)
_LINE = st.one_of(
    st.tuples(st.integers(0, 12).map(str), st.integers(0, 12).map(str)),
    st.tuples(st.integers(0, 12).map(str), st.integers(0, 12).map(str), st.floats(0, 2, width=32).map(repr)),
    st.tuples(_FIELD, _FIELD),
    st.tuples(_FIELD, _FIELD, _WEIGHT),
)


@settings(max_examples=400, deadline=None)
@given(
    lines=st.lists(_LINE, max_size=6),
    delimiter=st.sampled_from(["\t", ",", " ", "  ", ", "]),
    end=st.sampled_from(["\n", "\r\n", "\n\n", " \n", "\r"]),
    head=st.sampled_from(["", "# a\n", "source,target\n", "source\ttarget\tweight\n", "\ufeff", "\n \n"]),
    ids=st.sampled_from(["auto", "index", "name"]),
    n_nodes=st.sampled_from([None, 5, 13]),
    block=st.sampled_from([1, 7, 1 << 24]),
)
def test_blocks_read_what_the_loop_reads_or_nothing(tmp_path_factory, lines, delimiter, end, head, ids, n_nodes, block):
    text = head + "".join(delimiter.join(line) + end for line in lines)
    path = write(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"), "drawn.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_blocks, "_BLOCK", block)
        quick = outcome(_of_blocks, path, ids, n_nodes)
    slow = outcome(_of_text, path, ids, n_nodes)
    assert quick in (None, slow)
    assert outcome(lambda source, *how: read_edges(source.path, *how), path, ids, n_nodes) == slow


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("# a\nsource\ttarget\tweight\n0\t1\t0.5\n1\t3\t2\n", None),
        ("0,1,0.5\r\n1,3,2\r\n", None),
        ("0 1  0.5\n 1 3 2", None),
        ("a\tb c\t0.5\nb c\tü\t2\n", ("a", "b c", "ü")),
    ],
)
def test_ordinary_text_goes_through_the_blocks(tmp_path, text, names):
    edges = _of_blocks(Source(write(tmp_path, text)), "auto", None)
    assert edges.names == names
    assert rows(edges) == (EXPECTED if names is None else [(0, 1, 0.5), (1, 2, 2.0)])
