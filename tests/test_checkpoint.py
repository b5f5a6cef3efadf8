"""Checkpoints: a part is made once, another key forgets it, and a damaged part is made again."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.checkpoint import Checkpoints, digest
from projgraph.errors import ConfigError, InputError, OutputError


@pytest.fixture
def out(tmp_path):
    return tmp_path / "graph.npz"


def counting(value):
    calls = []

    def make():
        calls.append(1)
        return {"values": np.arange(value)}

    return make, calls


def test_a_finished_part_is_made_once_and_read_after_a_restart(out):
    make, calls = counting(5)
    first = Checkpoints(out, {"seed": 1}).part("view", make)
    again = Checkpoints(out, {"seed": 1}).part("view", make)
    assert len(calls) == 1
    assert np.array_equal(first["values"], again["values"])


def test_another_key_forgets_the_parts(out):
    make, calls = counting(5)
    Checkpoints(out, {"seed": 1}).part("view", make)
    Checkpoints(out, {"seed": 2}).part("view", make)
    assert len(calls) == 2


@pytest.mark.parametrize("damage", [b"", b"PK", b"not a zip", b"PK\x03\x04" + bytes(60)])
def test_a_damaged_part_is_made_again(out, damage):
    make, calls = counting(3)
    kept = Checkpoints(out, {})
    kept.part("view", make)
    (kept.folder / "view.npz").write_bytes(damage)
    assert np.array_equal(Checkpoints(out, {}).part("view", make)["values"], [0, 1, 2])
    assert len(calls) == 2


def test_a_cut_part_is_made_again(out):
    make, calls = counting(3000)
    kept = Checkpoints(out, {})
    kept.part("view", make)
    whole = (kept.folder / "view.npz").read_bytes()
    (kept.folder / "view.npz").write_bytes(whole[:-200])
    assert len(kept.part("view", make)["values"]) == 3000
    assert len(calls) == 2


def test_objects_are_never_unpickled(out):
    kept = Checkpoints(out, {})
    np.savez(kept.folder / "view.npz", values=np.array([{}], dtype=object))
    assert kept.load("view") is None


def test_a_state_is_kept_when_it_is_due(out):
    patient, eager = Checkpoints(out, {}, seconds=1000), Checkpoints(out, {}, seconds=0)
    patient.keep("state", lambda: {"step": np.array(1)})
    assert eager.load("state") is None
    eager.keep("state", lambda: {"step": np.array(2)})
    assert patient.load("state")["step"] == 2


def test_cleared_leaves_nothing(out, tmp_path):
    kept = Checkpoints(out, {})
    kept.save("view", {"values": np.zeros(1)})
    kept.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(OutputError, match=r"cannot make .*partial: No such file.*choose another --out"):
        Checkpoints(tmp_path / "missing" / "graph.npz", {})


def test_a_folder_of_somebody_is_left_alone(out):
    precious = out.with_name("graph.npz.partial") / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("all of it")
    with pytest.raises(OutputError, match=r"graph.npz.partial is not of an earlier run.*choose another --out"):
        Checkpoints(out, {"seed": 1})
    assert precious.read_text() == "all of it"


@pytest.mark.parametrize(
    ("error", "made", "left"),
    [
        (InputError, True, False),
        (ConfigError, True, False),
        (OutputError, True, True),
        (OutputError, False, False),
        (KeyboardInterrupt, True, True),
    ],
)
def test_an_error_leaves_what_another_run_can_use(out, error, made, left):
    kept = Checkpoints(out, {})
    if made:
        kept.part("view", counting(3)[0])
    with pytest.raises(error), kept:
        raise error
    assert kept.folder.exists() == left


def test_work_that_is_done_leaves_nothing(out):
    with Checkpoints(out, {}) as kept:
        kept.part("view", counting(3)[0])
    assert not kept.folder.exists()


def test_digest_tells_where_a_buffer_ends():
    assert digest(b"ab", b"c") != digest(b"a", b"bc")
    assert digest(np.arange(3)) == digest(np.arange(3)) != digest(np.arange(3, dtype=np.int32))
