"""The core built by another road, without the byte-order shortcut or for other vectors, finds the same integers."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import projgraph.core
from projgraph.native import NativeModel
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.rows import FORMATS
from projgraph.pack.vector import VectorSpec

from .reference_head import WordShape, random_file, texts_of, word_file

CORE = Path(projgraph.core.__file__).parent
COMMON = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffp-contract=off", "-fPIC", "-shared"]
SPEC = ProjectionSpec.for_text(bits=1100, additions=10, word_ngrams=(1, 3), character_ngrams=(2, 6))
TEXTS = [b"", b"where is my card", "don't 日本語 ÉÀ สวัสดี 🙂!".encode() * 9, b"a b c " * 90, bytes(range(256)) * 3]
VECTORS = VectorSpec(1, 1100, 33, 20, 4.0, np.arange(-550, 550, dtype=np.int32))
Scores = Callable[[bytes, bytes], tuple[int, list[int]]]


def supported(feature: str) -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and f" {feature} " in info.read_text()


def scores_with(library: ctypes.CDLL) -> Scores:
    library.pg_scratch_size.restype = ctypes.c_size_t
    library.pg_scratch_size.argtypes = [ctypes.c_void_p]
    library.pg_open.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.pg_predict.argtypes = [
        *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t),
        *(ctypes.c_void_p, ctypes.c_void_p),
    ]

    library.pg_predict_vector.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *library.pg_predict.argtypes[1:]]

    def scores(data: bytes, row: bytes) -> tuple[int, list[int]]:
        model = ctypes.create_string_buffer(4096)  # more than a pg_model
        library.pg_status_name.restype = ctypes.c_char_p
        assert library.pg_status_name(library.pg_open(model, data, len(data))) == b"PG_OK"
        size = library.pg_scratch_size(model)
        found = (ctypes.c_int32 * len(NativeModel(data).classes))()
        label = ctypes.c_uint32()
        scratch = ctypes.create_string_buffer(size)
        rest = scratch, size, found, ctypes.byref(label)
        if NativeModel(data).columns:
            assert library.pg_predict_vector(model, None, row, len(row) // 2, *rest) == 0
        else:
            assert library.pg_predict(model, row, len(row), *rest) == 0
        return label.value, list(found)

    return scores


def assert_same(scores: Scores, data: bytes) -> None:
    expected = NativeModel(data).scores(texts_of(TEXTS), threads=1)
    found = [scores(data, text) for text in TEXTS]
    np.testing.assert_array_equal([values for _, values in found], expected)
    assert [label for label, _ in found] == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize(
    "flags",
    [
        ["-O0"],
        ["-O2", "-DPG_LITTLE_ENDIAN=0"],
        ["-O3", "-DPG_LITTLE_ENDIAN=0", "-fno-tree-vectorize"],
        pytest.param(["-O3", "-march=x86-64-v3"], marks=pytest.mark.skipif(not supported("avx2"), reason="no AVX2")),
        ["-O3", "-DPG_HOST_CLONES"],
        ["-Os", "-DPG_SMALL"],
        ["-Os", "-DPG_COMPACT"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_another_build_finds_the_same_integers(tmp_path: Path, compiler: str, flags: list[str]) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on this machine")
    library = tmp_path / "core.so"
    sources = sorted(map(str, CORE.glob("pg_*.c")))
    done = subprocess.run([compiler, *COMMON, *flags, *sources, "-o", str(library)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    scores = scores_with(ctypes.CDLL(str(library)))
    for seed, (classes, width, units) in enumerate([(77, 8, 0), (77, 4, 0), (33, 8, 20), (5, 4, 33)]):
        data = random_file(SPEC, seed, classes, width, units, hidden_width=12 - width)
        shape = WordShape(dimensions=(8, 64, 72, 128)[seed], filters=(0, 33, 128, 5)[seed], window=2 + seed)
        words = word_file(SPEC, TEXTS, shape, seed, classes, width, units, hidden_width=12 - width)
        assert_same(scores, data)
        assert_same(scores, words)
        data = random_file(VECTORS, seed, classes, width, units, hidden_width=12 - width)
        rows = np.random.default_rng(seed).integers(-32768, 32767, (5, 33), dtype=np.int16, endpoint=True)
        expected = NativeModel(data).scores(rows / np.float32(4), threads=1)
        np.testing.assert_array_equal([scores(data, row.tobytes())[1] for row in rows], expected)
    for seed, kind in enumerate(sorted(FORMATS)):
        assert_same(scores, random_file(SPEC, seed, 77, kind))
        assert_same(scores, word_file(SPEC, TEXTS, WordShape(72), seed, 33, kind, 129, hidden_width=kind))


def test_a_core_of_plain_weights_refuses_packed_ones(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    library = tmp_path / "core.so"
    sources = sorted(map(str, CORE.glob("pg_*.c")))
    flags = ["-Os", "-DPG_PLAIN_WEIGHTS"]
    done = subprocess.run(["gcc", *COMMON, *flags, *sources, "-o", str(library)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    scores = scores_with(ctypes.CDLL(str(library)))
    for kind in sorted(FORMATS):
        data = random_file(SPEC, 1, 33, 8, 17, hidden_width=kind)
        if kind in (8, 4):
            assert_same(scores, data)
        else:
            with pytest.raises(AssertionError, match="PG_LEFT_OUT"):
                scores(data, b"a card")


def test_the_core_is_freestanding_but_for_memory_functions(tmp_path: Path) -> None:
    """No heap, no files, no floating point: what the objects ask of a library is memcpy, memmove and memset."""
    compiler, symbols = shutil.which("gcc"), shutil.which("nm")
    if compiler is None or symbols is None:
        pytest.skip("no gcc or nm on this machine")
    library = tmp_path / "core.o"
    sources = sorted(map(str, CORE.glob("pg_*.c")))
    for index, source in enumerate(sources):
        subprocess.run([compiler, "-std=c99", "-O2", "-c", source, "-o", str(tmp_path / f"{index}.o")], check=True)
    parts = [str(tmp_path / f"{index}.o") for index in range(len(sources))]
    subprocess.run([compiler, "-r", "-nostdlib", *parts, "-o", str(library)], check=True)
    listing = subprocess.run([symbols, str(library)], capture_output=True, text=True, check=True).stdout
    rows = [line.split()[-2:] for line in listing.splitlines()]
    assert {name for kind, name in rows if kind == "U"} <= {
        *("memcpy", "memmove", "memset", "__popcountdi2", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail")
    }
    writable = [name for kind, name in rows if kind in "BbDdCc"]
    assert [name for name in writable if not name.startswith(("texts", "names"))] == []
