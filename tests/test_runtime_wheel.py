"""The wheel of the runtime alone: installed offline, without numpy or beside projgraph, it answers the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from projgraph import __version__
from projgraph.runtime import load

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 300_000
TEXTS = ["wake me at six", "is it going to rain", "lock the front door", "play some jazz", "", "日本 \ud800"]


def run(*command: str | Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(command, capture_output=True, text=True, env=clean | environment, cwd=ROOT.anchor)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, ROOT / "runtime" / "stage.py", folder / "source")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir"]
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, folder / "source")
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the wheel and nothing else, not even pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", *options, wheel)
    return folder


def test_the_wheel_is_small_and_fits_every_python_from_3_11_on(wheel):
    assert wheel.name.startswith(f"projgraph_runtime-{__version__}-cp311-abi3-")
    assert wheel.stat().st_size < LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = opened.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"projgraph_runtime"}
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == ["Requires-Dist: numpy>=2"]


def test_alone_it_predicts_as_projgraph_does_and_without_numpy(environment, small_model):
    code = """if True:
        import json, sys
        import projgraph_runtime
        with projgraph_runtime.load(sys.argv[1]) as model:
            found = [model.predict(json.loads(sys.argv[2])), model.classes, projgraph_runtime.__version__]
        try:
            projgraph_runtime.load("missing.pgb")
        except projgraph_runtime.ModelFileError as error:
            found.append(str(error))
        names = {name.split(".")[0] for name in sys.modules}
        print(json.dumps([*found, sorted(names & {"numpy", "projgraph"})]))
    """
    python = environment / "bin" / "python"
    labels, classes, version, error, heavy = json.loads(run(python, "-c", code, small_model, json.dumps(TEXTS)))
    model = load(small_model)
    assert labels == model.predict(TEXTS)
    assert (tuple(classes), version, heavy) == (model.classes, __version__, [])
    assert error.startswith("there is no file missing.pgb")


def test_beside_projgraph_both_give_the_same_scores(environment, small_model):
    code = """if True:
        import sys
        import numpy as np
        import projgraph, projgraph_runtime
        one, two = projgraph.load(sys.argv[1]), projgraph_runtime.load(sys.argv[1])
        texts = [f"wake me at {hour} in room {room}" for hour in range(30) for room in range(10)]
        assert np.array_equal(one.predict_proba(texts), two.predict_proba(texts))
        assert one.predict(texts) == two.predict(texts)
        assert type(one) is not type(two) and type(two).__module__ == "projgraph_runtime.runtime"
        print(len(texts))
    """
    (packages,) = environment.glob("lib/python*/site-packages")
    path = os.pathsep.join([str(ROOT), str(packages)])
    assert run(sys.executable, "-c", code, small_model, PYTHONPATH=path) == "300\n"
