"""The Planetoid reader on small sets of its own making, on hostile pickles, and on the public sets where they lie."""

from __future__ import annotations

import os
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import InputError
from projgraph.read.planetoid import read_planetoid

PUBLIC = Path(__file__).parents[3] / "shared" / "data" / "planetoid"


def write(folder: Path, **changed: object) -> Path:
    """Two known rows, test rows 4 and 2, so that node 3 is described by nothing, as in Citeseer."""
    parts: dict[str, object] = {
        "x": sparse.csr_matrix(np.array([[1.0, 1.0, 0.0]], dtype=np.float32)),
        "y": np.array([[1, 0]], dtype=np.int32),
        "allx": sparse.csr_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 3.0, 1.0]], dtype=np.float32)),
        "ally": np.array([[1, 0], [0, 1]], dtype=np.int32),
        "tx": sparse.csr_matrix(np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]], dtype=np.float32)),
        "ty": np.array([[0, 1], [1, 0]], dtype=np.int32),
        "graph": defaultdict(list, {0: [1, 1, 0], 1: [4], 3: [2], 4: []}),
        "test.index": b"4\n2\n",
    }
    for part, value in {**parts, **changed}.items():
        data = value if isinstance(value, bytes) else pickle.dumps(value, protocol=2)
        (folder / f"ind.tiny.{part}").write_bytes(data)
    return folder


def test_small_set_in_full(tmp_path: Path) -> None:
    read = read_planetoid(write(tmp_path), "tiny")
    expected = [[0.5, 0.5, 0], [0, 0.75, 0.25], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(read.features, np.array(expected, dtype=np.float32))
    assert read.labels.tolist() == [0, 1, 0, -1, 1]
    assert (read.train.tolist(), read.validation.tolist(), read.test.tolist()) == ([0], [1], [2, 4])
    assert read.n_classes == 2
    assert read.graph.indptr.tolist() == [0, 1, 3, 4, 5, 6]
    assert read.graph.indices.tolist() == [1, 0, 4, 3, 2, 1]
    assert read.graph.weights.tolist() == [1.0] * 6
    assert read.labels_of(read.test).tolist() == [-1, -1, 0, -1, 1]


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch planetoid_was_here",)


@pytest.mark.parametrize("part", ["allx", "ally", "graph"])
@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (pickle.dumps(Runs()), "asks for posix.system"),
        (b"cbuiltins\neval\n(S'1/0'\ntR.", "asks for builtins.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", "asks for numpy.load"),
        (b"", "is not a pickle"),
        (b"\x80\x02", "is not a pickle"),
        (pickle.dumps([1, 2]), "expected"),
    ],
)
def test_hostile_pickle_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, hostile: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_planetoid(write(tmp_path, **{part: hostile}), "tiny")
    assert f"ind.tiny.{part}" in str(caught.value)
    assert not (tmp_path / "planetoid_was_here").exists()


def array_pickle(shape: str, kind: str, data: str) -> bytes:
    """An int array as a pickle of protocol 0 that claims whatever it is told."""
    return (
        f"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        f"(I1\n{shape}cnumpy\ndtype\n(S'{kind}'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'{data}'\ntb."
    ).encode()


def test_hand_written_array_is_read(tmp_path: Path) -> None:
    one_hot = array_pickle("(I2\nI2\nt", "i4", r"\x01\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0".replace(r"\0", r"\x00"))
    assert read_planetoid(write(tmp_path, ally=one_hot), "tiny").labels[:2].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("shape", "kind"), [("(I999999999999\nI2\nt", "i4"), ("(I-1\nI2\nt", "i4"), ("(I1\nI1\nt", "O8"), ("I3\n", "i4")]
)
def test_array_that_lies_about_itself_is_refused(tmp_path: Path, shape: str, kind: str) -> None:
    with pytest.raises(InputError, match="an array cannot be read"):
        read_planetoid(write(tmp_path, ally=array_pickle(shape, kind, "abcd")), "tiny")


def broken_csr() -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(np.eye(2, 3, dtype=np.float32))
    matrix.indices[0] = 1000
    return matrix


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("test.index", b"4\nx\n", "expected one row number a line"),
        ("test.index", b"4\n4\n", "each once"),
        ("test.index", b"99999999999\n2\n", "expected row numbers from 0"),
        ("test.index", b"5\n3\n", "test.index starts at 3, after 2 rows of allx"),
        ("graph", {0: [99]}, "a node is out of range; expected 0 to 4"),
        ("graph", {-1: [0]}, "a node is out of range; expected 0 to 4"),
        ("graph", {0: ["1"]}, "a neighbour is not an integer"),
        ("graph", {0: 1}, "expected a dictionary"),
        ("ally", np.array([[1, 1], [0, 1]], dtype=np.int32), "more than one class"),
        ("ally", np.array([[1, 7], [0, 1]], dtype=np.int32), "zeros and ones"),
        ("ally", np.array([[1, 0]], dtype=np.int32), "allx has 2 rows, ally 1"),
        ("allx", broken_csr(), "is no CSR matrix"),
        ("allx", sparse.csr_matrix(np.array([[np.nan] * 3] * 2, dtype=np.float32)), "negative or not finite"),
        ("tx", sparse.csr_matrix(np.ones((2, 4), dtype=np.float32)), "allx has 3 columns, tx 4"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, part: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_planetoid(write(tmp_path, **{part: value}), "tiny")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ind\.tiny\.allx: cannot be read: No such file"):
        read_planetoid(tmp_path, "tiny")


@pytest.mark.skipif(not PUBLIC.exists(), reason="the public set is not beside the repository")
@pytest.mark.parametrize(
    ("name", "nodes", "edges", "words", "classes", "alone"),
    [("cora", 2708, 5278, 1433, 7, 0), ("citeseer", 3327, 4552, 3703, 6, 48)],
)
def test_public_sets(name: str, nodes: int, edges: int, words: int, classes: int, alone: int) -> None:
    read = read_planetoid(PUBLIC, name)
    assert (read.graph.n_nodes, read.graph.n_edges, read.features.shape[1]) == (nodes, edges, words)
    assert (np.diff(read.graph.indptr) == 0).sum() == alone
    assert (len(read.train), len(read.validation), len(read.test)) == (20 * classes, 500, 1000)
    assert np.bincount(read.labels[read.train]).tolist() == [20] * classes
    assert (read.labels == -1).sum() == (15 if name == "citeseer" else 0)
