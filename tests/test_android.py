"""The Android sample: its library answers in a JVM as Python does, and compiles for aarch64 without a warning."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from projgraph.native import NativeModel
from projgraph.pack.export import export_model
from projgraph.pack.write import model_bytes
from projgraph.records import Texts

from .pack.conftest import random_model
from .pack.test_export import SENTENCES, a_model

SAMPLE = Path(__file__).parents[1] / "examples" / "android"
NATIVES = ["open0", "close0", "classes0", "label0", "predict0", "scores0"]


def needed(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} missing on this machine")


def run(*command: str | Path, text: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=text, capture_output=True, env=os.environ | environment)


def headers() -> Path:
    """The folder of jni.h."""
    needed("javac")
    return Path(shutil.which("javac") or "").resolve().parents[1] / "include"


@pytest.fixture(scope="module")
def core(tmp_path_factory, small_model) -> Path:
    folder = tmp_path_factory.mktemp("core")
    export_model(small_model, "c", folder)
    return folder


def built(core: Path, out: Path, compiler: str) -> Path:
    needed(compiler)
    ran = run("bash", SAMPLE / "build.sh", core, out, CC=compiler, JNI=str(headers()), ANDROID_NDK_HOME="")
    assert (ran.returncode, ran.stderr) == (0, b"")
    return out / "libprojgraph.so"


@pytest.fixture(scope="module")
def java(core, tmp_path_factory) -> list[str]:
    """The command that predicts in a JVM; a model's path comes behind it."""
    folder = built(core, tmp_path_factory.mktemp("host"), "gcc").parent
    ran = run(
        "javac", "-Xlint:all", "-Werror", "-d", folder, SAMPLE / "projgraph" / "Model.java", SAMPLE / "Predict.java"
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return ["java", "-Xshare:auto", f"-Djava.library.path={folder}", "-cp", str(folder), "Predict"]


def test_in_a_jvm_labels_and_scores_are_those_of_python(java, tmp_path):
    data = model_bytes(a_model(random_model, 12, 8, 0), {})
    (tmp_path / "model.pgb").write_bytes(data)
    lines = [line for line in [*SENTENCES, "", "x" * 5000, "日本 " * 900, "snow"] if "\r" not in line]
    ran = run(*java, tmp_path / "model.pgb", text="\n".join(lines).encode())
    assert (ran.returncode, ran.stderr) == (0, b"")
    found = [line.split("\t") for line in ran.stdout.decode().splitlines()]
    model = NativeModel(data)
    scores = model.scores(Texts.from_strings(lines))
    assert [label for label, _ in found] == [model.classes[index] for index in scores.argmax(axis=1).tolist()]
    np.testing.assert_array_equal([list(map(int, row.split(","))) for _, row in found], scores)
    assert len({label for label, _ in found}) >= 4


def test_a_file_that_is_no_model_is_an_exception(java, tmp_path):
    (tmp_path / "model.pgb").write_bytes(b"PGB\0 and so on")
    ran = run(*java, tmp_path / "model.pgb")
    assert ran.returncode == 1
    assert b"IllegalArgumentException: the bytes end before the file's own length" in ran.stderr


def test_the_library_compiles_for_aarch64(core, tmp_path):
    needed("readelf")
    library = built(core, tmp_path / "arm64-v8a", "aarch64-linux-gnu-gcc")
    facts = run("readelf", "-hlW", library).stdout.decode()
    assert "AArch64" in facts
    loads = [line.split()[-1] for line in facts.splitlines() if line.strip().startswith("LOAD")]
    assert set(loads) == {"0x4000"}  # as pages of 16 KB ask for
    symbols = run("readelf", "--dyn-syms", "-W", library).stdout.decode().splitlines()
    exported = [line.split()[-1] for line in symbols if " FUNC " in line and " UND " not in line and "GLOBAL" in line]
    assert sorted(exported) == sorted(f"Java_projgraph_Model_{name}" for name in NATIVES)
    assert library.stat().st_size < 64 * 1024


def test_clang_compiles_it_for_android(core, tmp_path):
    needed("clang", "aarch64-linux-gnu-gcc", "readelf")
    sysroot = run("aarch64-linux-gnu-gcc", "-print-sysroot").stdout.decode().strip() or "/"
    system = Path(sysroot) / "usr" / "aarch64-linux-gnu" / "include"
    places = [f"-isystem{system}", f"-I{headers()}", f"-I{headers() / 'linux'}", f"-I{core}"]
    flags = ["--target=aarch64-linux-android21", "-std=c99", "-O2", "-fPIC", "-Wall", "-Wextra", "-Werror", "-c"]
    for source in (SAMPLE / "projgraph_jni.c", core / "projgraph.c"):
        compiled = tmp_path / f"{source.stem}.o"
        ran = run("clang", *flags, *places, source, "-o", compiled)
        assert (ran.returncode, ran.stderr) == (0, b"")
        assert b"AArch64" in run("readelf", "-h", compiled).stdout


def test_without_a_compiler_the_script_says_what_to_give(core, tmp_path):
    ran = run("bash", SAMPLE / "build.sh", core, tmp_path / "out", ANDROID_NDK_HOME="", CC="")
    assert ran.returncode != 0
    assert b"give ANDROID_NDK_HOME, or CC and JNI, the folder of jni.h" in ran.stderr
    assert not (tmp_path / "out").exists()
