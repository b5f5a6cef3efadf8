"""Graph files: there and back, peers, the same bytes, and hostile files."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from projgraph.errors import InputError, OutputError
from projgraph.graph.csr import to_csr
from projgraph.graph.given import given_graph
from projgraph.graph.store import read_graph, write_graph

GRAPH = given_graph(([0, 1, 3], [1, 2, 0], [2.0, 0.5, 0.25]), n_nodes=5)


@pytest.fixture
def stored(tmp_path):
    write_graph(tmp_path / "g.npz", GRAPH)
    return tmp_path / "g.npz"


def npz(path, **arrays):
    good = {
        "format": np.array(b"csr"),
        "shape": np.array([2, 2]),
        "indptr": np.array([0, 1, 2]),
        "indices": np.array([1, 0]),
        "data": np.array([1.0, 1.0]),
    }
    np.savez(path, **{name: value for name, value in (good | arrays).items() if value is not None})
    return path


def test_there_and_back(stored):
    back = read_graph(stored, directed="error")
    for name in ("indptr", "indices", "weights"):
        assert getattr(back, name).dtype == getattr(GRAPH, name).dtype
        assert np.array_equal(getattr(back, name), getattr(GRAPH, name))


@pytest.mark.parametrize("n_nodes", [0, 3])
def test_without_edges(tmp_path, n_nodes):
    write_graph(tmp_path / "g.npz", given_graph(([], []), n_nodes=n_nodes))
    assert read_graph(tmp_path / "g.npz").indptr.tolist() == [0] * (n_nodes + 1)


def test_scipy_reads_what_we_write_and_we_what_scipy_writes(stored, tmp_path):
    theirs = sparse.load_npz(stored)
    assert isinstance(theirs, sparse.csr_array)
    assert np.array_equal(theirs.toarray(), to_csr(GRAPH).toarray())
    for matrix in (theirs, sparse.csr_matrix(theirs, dtype=np.float64)):
        sparse.save_npz(tmp_path / "theirs.npz", matrix)
        assert np.array_equal(to_csr(read_graph(tmp_path / "theirs.npz")).toarray(), theirs.toarray())


def test_same_graph_same_bytes(stored, tmp_path):
    size = write_graph(tmp_path / "again.npz", read_graph(stored))
    assert (tmp_path / "again.npz").read_bytes() == stored.read_bytes()
    assert size == stored.stat().st_size
    with zipfile.ZipFile(stored) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": None}, "has no array 'data'; expected a file of scipy.sparse.save_npz"),
        ({"format": np.array(b"csc")}, "holds a matrix of format b'csc'; expected"),
        ({"format": np.array([b"csr"])}, "format None"),
        ({"data": np.array([1, None])}, "array 'data' holds Python objects, which are never loaded"),
        ({"data": np.array(["a", "b"])}, "array 'data' is <U1 of shape"),
        ({"data": np.array([1.0])}, r"array 'data' is float64 of shape \(1,\); expected a real number for each of 2"),
        ({"data": np.array([1.0, np.nan])}, "weight nan at 1"),
        ({"data": np.array([1.0, -2.0])}, "weight -2.0 at 1"),
        ({"shape": np.array([2, 3])}, r"matrix of shape \(2, 3\)"),
        ({"shape": np.array([2**40, 2**40])}, "below 2.31"),
        ({"shape": np.array([2.0, 2.0])}, "array 'shape' is float64"),
        ({"indices": np.array([1, 2])}, "column 2 of entry 1 is out of range; expected 0 to 1"),
        ({"indices": np.array([-1, 0])}, "column -1 of entry 0 is out of range"),
        ({"indptr": np.array([0, 2, 1])}, "array 'indptr' does not ascend from 0 to 2 over 2 rows"),
        ({"indptr": np.array([0, 2])}, "array 'indptr' does not ascend"),
        ({"indptr": np.array([0, 3, 2])}, "array 'indptr' does not ascend"),
    ],
)
def test_wrong_arrays(tmp_path, arrays, message):
    path = npz(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_graph(path)
    assert str(caught.value).startswith(str(path))


def test_a_header_that_promises_more_than_the_file_holds(tmp_path):
    path = tmp_path / "bomb.npz"
    npz(path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"data.npy": header.getvalue()}).items():
            archive.writestr(name, content)
    with pytest.raises(
        InputError, match=r"array 'data' says shape \(1125899906842624,\) of float64, which its 128 byt"
    ):
        read_graph(path)


def test_arrays_that_are_small_in_every_matrix_are_not_read_when_they_are_not(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "g.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("format.npy", "w") as one,
    ):
        np.lib.format.write_array(one, np.zeros((), dtype="S100000000"))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"array 'format' is \|S100000000 of shape \(\); expected a file of scipy"):
        read_graph(tmp_path / "g.npz")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_half_precision_is_read(tmp_path):
    matrix = sparse.csr_array([[0, 0.5], [0.5, 0]])
    arrays = {"shape": matrix.shape, "indptr": matrix.indptr, "indices": matrix.indices}
    np.savez(tmp_path / "g.npz", format=b"csr", data=matrix.data.astype(np.float16), **arrays)
    assert read_graph(tmp_path / "g.npz").weights.tolist() == [0.5, 0.5]


def test_no_file_no_zip_no_folder(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_graph(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("source,target\n")
    with pytest.raises(InputError, match=r"is not a whole .npz file"):
        read_graph(tmp_path / "text.npz")
    with pytest.raises(OutputError, match=r"the folder .* does not exist"):
        write_graph(tmp_path / "none" / "g.npz", GRAPH)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_damage_is_an_input_error_or_a_graph(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    write_graph(folder / "g.npz", GRAPH)
    content = bytearray((folder / "g.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content))) :]
    (folder / "g.npz").write_bytes(content)
    with contextlib.suppress(InputError):
        graph = read_graph(folder / "g.npz")
        assert np.isfinite(graph.weights).all()
        assert (graph.weights > 0).all()
