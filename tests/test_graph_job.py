"""The graph commands from files to files: figures, what is written, going on after a kill, and wrong input."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from projgraph import graph_job, native
from projgraph.bits import row_projection
from projgraph.checkpoint import Checkpoints
from projgraph.cli import app
from projgraph.config import TRAINER_NAMES, load_config
from projgraph.graph.csr import to_csr
from projgraph.graph.hamming import hamming_search
from projgraph.graph.store import read_graph
from projgraph.read import read_texts
from projgraph.trainers.registry import EDGES_ALONE, LEARN_EXAMPLES, TRAINERS

pytestmark = pytest.mark.usefixtures("one_thread")

TOPICS = {
    "alarm": ("wake me at seven", "set an alarm for noon", "alarm at six please", "wake me up early"),
    "music": ("play some jazz", "play my favourite song", "music please some rock", "play a song by queen"),
    "light": ("turn on the lamp", "switch the light off", "dim the light a bit", "lamp off please"),
}


@pytest.fixture
def rows(tmp_path):
    lines = ["text,label"]
    for number in range(8):
        for topic, texts in TOPICS.items():
            lines += [f"{text} {number},{topic}" for text in texts]
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def run(*arguments):
    result = CliRunner().invoke(app, ["graph", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def figures(*arguments):
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("kind", ["knn", "hamming"])
def test_build_tells_what_it_wrote_in_a_file_that_scipy_reads(rows, tmp_path, kind):
    out = tmp_path / "graph.npz"
    built = figures("build", rows, "--kind", kind, "--k", 4, "--out", out)
    matrix = sparse.load_npz(out)
    assert built["nodes"] == matrix.shape[0] == 96
    assert built["edges"] == matrix.nnz // 2
    assert built["recall"] == 1.0
    assert built["seconds"] > 0
    assert built["peak_mb"] > 10
    assert (matrix != matrix.T).nnz == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.npz", "rows.csv.gz"]


def test_bits_of_a_hamming_graph(rows, tmp_path):
    weights = []
    for bits in (64, 512):
        figures("build", rows, "--kind", "hamming", "--bits", bits, "--out", tmp_path / "graph.npz")
        weights.append(read_graph(tmp_path / "graph.npz").weights)
    # A distance is a whole number of 1 / (2 T d).
    assert np.allclose(weights[0] * 128, np.round(weights[0] * 128), atol=1e-4)
    assert not np.allclose(weights[1] * 128, np.round(weights[1] * 128), atol=1e-4)


def test_a_hamming_graph_has_the_bits_of_a_model_with_the_same_settings(rows, tmp_path):
    texts, out = read_texts(rows), tmp_path / "graph.npz"
    chosen = ["projection.quantiser=sign", "projection.functions=60", "projection.additions=1"]
    figures("build", rows, "--kind", "hamming", "--bits", 120, "--k", 5, "--out", out, *(f"--set={s}" for s in chosen))
    config = load_config(None, chosen)
    expected = hamming_search(native.project(row_projection(texts, 120, config), texts), 5).graph
    assert to_csr(read_graph(out)).toarray() == pytest.approx(to_csr(expected).toarray())
    ternary = native.project(row_projection(texts, 120, load_config(None, chosen[1:])), texts)
    assert (to_csr(hamming_search(ternary, 5).graph) != to_csr(expected)).nnz > 0
    code, _, err = run("build", rows, "--kind", "hamming", "--bits", 100, "--out", out)
    assert (code, "functions is 64; expected a divisor of bits, 100, such as 4" in err) == (2, True), err


def test_same_file_and_seed_give_the_same_bytes(rows, tmp_path):
    for name in ("one.npz", "two.npz"):
        figures("build", rows, "--kind", "hamming", "--out", tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_given_edges(tmp_path):
    (tmp_path / "edges.tsv").write_text("0\t1\t0.5\n1\t2\t2\n")
    built = figures("build", tmp_path / "edges.tsv", "--kind", "edges", "--out", tmp_path / "graph.npz")
    assert (built["nodes"], built["edges"], built["method"]) == (3, 2, "given")
    assert to_csr(read_graph(tmp_path / "graph.npz")).toarray().tolist() == [[0, 0.5, 0], [0.5, 0, 2], [0, 2, 0]]


def test_info_with_and_without_labels(rows, tmp_path):
    out = tmp_path / "graph.npz"
    figures("build", rows, "--k", 4, "--out", out)
    plain, known = figures("info", out), figures("info", out, "--labels", rows)
    assert plain["nodes"] == 96
    assert plain["agreement"] is None
    assert known["agreement"] > 0.8
    assert known["unreached"] == 0


def test_names_of_labels_are_examples_of_a_propagation(rows, tmp_path, tasks):
    job = graph_job.PropagateJob(rows, tmp_path / "labels.parquet", labels_per_class=12)
    for changes in ({}, {"features.label_names": False}, {"trainer.name": "poisson"}):
        graph_job.propagate(job, load_config(None, (), changes), lambda _: None)
    assert tasks[0].examples.labels.tolist() == list(range(len(TOPICS)))
    assert tasks[1].examples is tasks[2].examples is None


def test_a_killed_propagation_with_other_names_begins_again(rows, tmp_path, monkeypatch):
    job = graph_job.PropagateJob(rows, tmp_path / "labels.parquet", labels_per_class=4)

    def keep_and_die(self, name, state):
        self.save(name, state())
        raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(Checkpoints, "keep", keep_and_die)
        with pytest.raises(KilledError):
            graph_job.propagate(job, load_config(None, (), {}), lambda _: None)
    with np.load(tmp_path / "labels.parquet.partial" / "view.npz") as kept:
        assert kept["names"].shape == (len(TOPICS), kept["vectors"].shape[1])
    text = gzip.decompress(rows.read_bytes()).decode()
    rows.write_bytes(gzip.compress(text.replace(",alarm", ",a1").encode()))
    graph_job.propagate(job, load_config(None, (), {}), lambda _: None)
    went_on = job.out.read_bytes()
    graph_job.propagate(replace(job, out=tmp_path / "fresh.parquet"), load_config(None, (), {}), lambda _: None)
    assert (tmp_path / "fresh.parquet").read_bytes() == went_on


@pytest.mark.parametrize("name", sorted(set(TRAINERS) - {"gat", "gcnii"}))
def test_every_trainer_labels_the_rows(rows, tmp_path, name):
    out = tmp_path / "labels.parquet"
    told = figures(
        "propagate", rows, "--labels-per-class", 4, "--trainer", name, "--seed", 0, "--out", out, "--set",
        "graph.neighbours=10",
    )  # fmt: skip
    assert (told["n_labelled"], told["n_hidden"], told["nodes"]) == (12, 84, 96)
    assert told["trainer_accuracy"] > 0.4
    table = pq.read_table(out).to_pydict()
    truth = [topic for _ in range(8) for topic, texts in TOPICS.items() for _ in texts]
    hidden = [not given for given in table["given"]]
    right = [label == true for label, true, hid in zip(table["label"], truth, hidden, strict=True) if hid]
    assert np.mean(right) == pytest.approx(told["trainer_accuracy"])
    assert sum(table["given"]) == 12


def test_a_row_that_no_label_reaches_gets_none(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\na,x\nb,\nc,y\nd,\ne,\n")
    (tmp_path / "edges.tsv").write_text("0\t1\n2\t3\n4\t4\n")
    figures("build", tmp_path / "edges.tsv", "--kind", "edges", "--out", tmp_path / "graph.npz")
    told = figures(
        "propagate", tmp_path / "rows.csv", "--graph", tmp_path / "graph.npz", "--trainer", "label_spreading",
        "--out", tmp_path / "labels.parquet", "--proba",
    )  # fmt: skip
    table = pq.read_table(tmp_path / "labels.parquet").to_pydict()
    assert table["label"] == ["x", "x", "y", "y", None]
    assert table["reached"] == [True, True, True, True, False]
    assert table["probabilities"][4] == pytest.approx([0.5, 0.5])
    assert told["n_unreached"] == 1
    assert told["trainer_accuracy"] is None


class KilledError(Exception):
    pass


@pytest.mark.parametrize("name", ["label_spreading", "modified_adsorption", "correct_and_smooth", "prior_smoothing"])
def test_a_killed_propagation_goes_on_to_the_same_bytes(rows, tmp_path, monkeypatch, name):
    job = graph_job.PropagateJob(rows, tmp_path / "labels.parquet", labels_per_class=4)
    config = load_config(None, (), {"trainer.name": name})
    graph_job.propagate(job, config, lambda _: None, proba=True)
    whole = job.out.read_bytes()
    job.out.unlink()
    saves = []

    def keep_and_die(self, name, state):
        self.save(name, state())
        saves.append(name)
        if len(saves) == 3:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "keep", keep_and_die)
        with pytest.raises(KilledError):
            graph_job.propagate(job, config, lambda _: None, proba=True)
    assert not job.out.exists()
    assert (tmp_path / "labels.parquet.partial" / "view.npz").exists()
    with monkeypatch.context() as patch:
        patch.setattr(
            "projgraph.features.view.describe", lambda *_: pytest.fail("the view was kept, and is made again")
        )
        graph_job.propagate(job, config, lambda _: None, proba=True)
    assert job.out.read_bytes() == whole
    assert not (tmp_path / "labels.parquet.partial").exists()


EAGER = """
import functools
from projgraph import graph_job, native
from projgraph.bits import row_projection
from projgraph.checkpoint import Checkpoints
from projgraph.__main__ import main

graph_job.Checkpoints = functools.partial(Checkpoints, seconds=0)
main()
"""
"""The command, but a state is kept after every step and not only every 20 seconds."""


def killed(arguments, out, name):
    """Run a command and kill -9 it as soon as it kept a state; once more where it was done before the signal came."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    state = out.parent / f"{out.name}.partial" / f"{name}.npz"
    for _ in range(5):
        command = [sys.executable, "-c", EAGER, "graph", *map(str, arguments), "--out", str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as child:
            while not state.exists() and child.poll() is None:
                time.sleep(0.001)
            child.send_signal(signal.SIGKILL)
            said = child.communicate()[0].decode()
        if child.returncode == -signal.SIGKILL and not out.exists():
            assert state.exists(), said
            return
        assert child.returncode in (0, -signal.SIGKILL), said
        out.unlink()
    pytest.fail("the command was always done before it could be killed")


BUILD = ("build", "--kind", "hamming", "--bits", 256, "--k", 5)
QUICK = ("features.windows=[]", "features.contrastive_weight=0", "trainer.classic.smoothing=0.99")
PROPAGATE = ("propagate", "--labels-per-class", 5, "--trainer", "label_spreading")


@pytest.mark.parametrize(
    ("count", "state", "arguments"),
    [
        (40_000, "hamming_neighbours", BUILD),
        (2_000, "label_spreading", (*PROPAGATE, *(part for setting in QUICK for part in ("--set", setting)))),
    ],
)
def test_after_kill_9_the_same_bytes(tmp_path, monkeypatch, count, state, arguments):
    draw = random.Random(0)
    words = [f"w{number}" for number in range(400)]
    rows = [f"{' '.join(draw.choices(words[row % 3 * 100 :][:200], k=6))},c{row % 3}" for row in range(count)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    arguments = [arguments[0], tmp_path / "rows.csv", *arguments[1:]]
    whole, out = tmp_path / "whole", tmp_path / "out"
    killed(arguments, out, state)
    loaded = []

    def load(self, name):
        found = original(self, name)
        loaded.append((name, found is not None))
        return found

    original = Checkpoints.load
    with threadpool_limits(1):
        figures(*arguments, "--out", whole)
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "load", load)
            figures(*arguments, "--out", out)
    assert (state, True) in loaded
    assert all(found for _, found in loaded)
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["build", "rows.csv.gz", "--kind", "tree", "--out", "g.npz"],
            "'tree' is no kind of graph; expected one of knn",
        ),
        (["build", "rows.csv.gz", "--out", "missing/g.npz"], "the folder .*missing does not exist"),
        (["build", "nothing.csv", "--out", "g.npz"], "nothing.csv"),
        (["build", "one.csv", "--out", "g.npz"], "one.csv: has 1 rows; a graph needs two or more"),
        (["build", "rows.csv.gz", "--k", "0", "--out", "g.npz"], "graph.neighbours"),
        (
            ["propagate", "rows.csv.gz", "--trainer", "magic", "--out", "l.parquet"],
            "trainer.name is 'magic': no trainer has that name; expected one",
        ),
        (["propagate", "one.csv", "--out", "l.parquet"], "a graph needs two"),
        (["propagate", "bare.csv", "--out", "l.parquet"], "none of its 2 rows has a label"),
        (["info", "rows.csv.gz"], "rows.csv.gz"),
    ],
)
def test_wrong_input_is_one_line_and_status_two(rows, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.csv").write_text("text,label\na,x\n")
    (tmp_path / "bare.csv").write_text("text,label\na,\nb,\n")
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert pytest.importorskip("re").search(message, err), err


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "rows.parquet", "--out", "rows.parquet"],
        ["build", "edges.tsv", "--kind", "edges", "--out", "link.npz"],
        ["propagate", "rows.parquet", "--out", "rows.parquet"],
        ["propagate", "rows.parquet", "--graph", "graph.npz", "--out", "graph.npz"],
        ["export", "graph.npz", "--labels", "rows.parquet", "--out", "rows.parquet"],
        ["draw", "graph.npz", "--texts", "texts.svg", "--node", "0", "--out", "texts.svg"],
    ],
)
def test_a_file_that_is_read_is_never_replaced(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"text": ["a b", "b c"], "label": ["x", "y"]}), "rows.parquet")
    (tmp_path / "edges.tsv").write_text("0\t1\n")
    (tmp_path / "texts.svg").write_text("a\nb\n")
    (tmp_path / "link.npz").symlink_to("edges.tsv")
    figures("build", "edges.tsv", "--kind", "edges", "--out", "graph.npz")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "it is a file that is read; expected another path for the output" in err.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wrong_settings_leave_no_folder(rows, tmp_path):
    out = tmp_path / "g.npz"
    code, _, err = run("build", rows, "--kind", "hamming", "--set", "projection.word_ngrams=[3, 1]", "--out", out)
    assert code == 2, err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv.gz"]


def test_a_matrix_means_the_same_as_edges_and_as_a_graph(tmp_path):
    twice = (np.array([1.0, 4.0, 2.0]), np.array([1, 1, 0]), np.array([0, 2, 3]))
    sparse.save_npz(tmp_path / "matrix.npz", sparse.csr_array(twice, shape=(2, 2)))
    figures("build", tmp_path / "matrix.npz", "--kind", "edges", "--out", tmp_path / "graph.npz")
    for name in ("matrix.npz", "graph.npz"):
        assert figures("info", tmp_path / name)["weight_max"] == 5
    assert read_graph(tmp_path / "graph.npz").weights.tolist() == [5, 5]


def test_too_little_memory_is_one_line_and_status_two(tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    (tmp_path / "edges.tsv").write_text("0\t1\n")
    monkeypatch.setattr(graph_job, "given_graph", full)
    code, out, err = run("build", tmp_path / "edges.tsv", "--kind", "edges", "--out", tmp_path / "g.npz")
    assert (code, out) == (2, "")
    assert err.startswith("projgraph: the memory does not suffice")
    assert not (tmp_path / "g.npz").exists()


def test_a_graph_over_other_rows(rows, tmp_path):
    (tmp_path / "edges.tsv").write_text("0\t1\n")
    figures("build", tmp_path / "edges.tsv", "--kind", "edges", "--out", tmp_path / "graph.npz")
    code, _, err = run("propagate", rows, "--graph", tmp_path / "graph.npz", "--out", tmp_path / "labels.parquet")
    assert code == 2
    assert "graph.npz: has 2 nodes" in err
    assert "has 96 rows; expected a node a row" in err


def test_edges_alone_are_trainers_and_the_settings_know_them_all():
    assert set(TRAINERS) >= EDGES_ALONE
    assert set(TRAINERS) >= LEARN_EXAMPLES
    assert tuple(TRAINERS) == TRAINER_NAMES
