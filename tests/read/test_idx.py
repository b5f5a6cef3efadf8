"""IDX files: every type and rank there and back, and what is wrong with one is said by name."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projgraph.errors import InputError
from projgraph.read.idx import read_idx, read_idx_images
from projgraph.records import Vectors

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
BRIEF = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def idx(array: np.ndarray, code: int) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(">" + TYPES[code]).tobytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (1, 1, 1, 1, 1, 1, 1, 2), (0, 4)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_there_and_back(tmp_path: Path, code: int, shape: tuple[int, ...], pack) -> None:
    array = (np.arange(np.prod(shape)).reshape(shape) - 2 * (code != 8)).astype(TYPES[code])
    found = read_idx(written(tmp_path / "a-idx", pack(idx(array, code))))
    assert found.dtype == np.dtype(TYPES[code])
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


GOOD = idx(np.arange(12, dtype=np.uint8).reshape(3, 4), 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a-idx: is empty; expected at least one row"),
        (b"\0\0", "a-idx: starts with the bytes 00 00; expected those of an IDX file: 00 00, a type of 08, 09, 0b, 0c"),
        (b"\0\1" + GOOD[2:], "a-idx: starts with the bytes 00 01 08 02; expected those of an IDX file"),
        (b"\0\0\x0a" + GOOD[3:], "a-idx: starts with the bytes 00 00 0a 02; expected"),
        (b"\0\0\x08\0" + GOOD[4:], "a-idx: starts with the bytes 00 00 08 00; expected .* a rank of 01 to 08"),
        (b"\0\0\x08\x09" + GOOD[4:], "a-idx: starts with the bytes 00 00 08 09; expected .* a rank of 01 to 08"),
        (b"text,label\n", "a-idx: starts with the bytes 74 65 78 74; expected those of an IDX file"),
        (GOOD[:7], "a-idx: ends in its header, after 7 bytes; expected 12 and the values"),
        (GOOD[:-1], "a-idx: ends after 11 bytes of values; expected 12 for 3 x 4 of 1 bytes: download it again"),
        (GOOD + b"\0", "a-idx: goes on after its 12 bytes of values; expected nothing behind 3 x 4 of 1 bytes"),
        (
            b"\0\0\x0e\x03" + b"\xff" * 12,
            "a-idx: says that it holds 4294967295 x 4294967295 x 4294967295 value",
        ),
        (
            b"\0\0\x08\x01\xff\xff\xff\xff",
            "a-idx: ends after 0 bytes of values; expected 4294967295 for ",
        ),
        (gzip.compress(GOOD, mtime=0)[:-9], "a-idx: is not a whole gzip file"),
        (gzip.compress(GOOD[:-3], mtime=0), "a-idx: ends after 9 bytes of values"),
    ],
)
def test_what_a_file_has_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_idx(written(tmp_path / "a-idx", content))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing: there is no such file; check the path"):
        read_idx(tmp_path / "missing")
    with pytest.raises(InputError, match="is a directory; expected a file"):
        read_idx(tmp_path)


@BRIEF
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda tail: GOOD[:4] + tail)))
def test_any_bytes_give_an_array_or_an_input_error(tmp_path: Path, content: bytes) -> None:
    for packed in (content, gzip.compress(content)):
        path = written(tmp_path / "a-idx", packed)
        try:
            found = read_idx(path)
        except InputError as error:
            message = str(error)
        else:
            message = str(path)
            code = next(code for code, name in TYPES.items() if np.dtype(name) == found.dtype)
            assert idx(found, code) == content
        assert message.startswith(str(path))


@BRIEF
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_changed_byte(tmp_path: Path, at: int, byte: int) -> None:
    changed = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    try:
        read_idx(written(tmp_path / "a-idx", changed))
    except InputError:
        assert at < 12
    else:
        assert at >= 12 or changed == GOOD or at == 2


def test_images_become_rows(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 2, 3)).astype(np.uint8)
    images = written(tmp_path / "images", gzip.compress(idx(pixels, 8)))
    labels = written(tmp_path / "labels", idx(np.array([7, 3, 7, 10]), 8))
    dataset = read_idx_images(images, labels)
    assert isinstance(dataset.rows, Vectors)
    np.testing.assert_array_equal(dataset.rows.values, pixels.reshape(4, 6))
    assert (dataset.classes, dataset.labels.tolist()) == (("3", "7", "10"), [1, 0, 1, 2])
    assert (dataset.counts.rows, dataset.counts.labelled) == (4, 4)
    for array, message in (
        (np.array([7, 3, 7]), "labels: has 3 labels; expected one for each of 4 images"),
        (np.zeros((4, 1)), r"labels: holds uint8 of shape \(4, 1\); expected a whole number for each image"),
    ):
        with pytest.raises(InputError, match=message):
            read_idx_images(images, written(tmp_path / "labels", idx(array, 8)))
    with pytest.raises(InputError, match=r"labels: holds float32 of shape \(4,\)"):
        read_idx_images(images, written(tmp_path / "labels", idx(np.zeros(4), 13)))
    with pytest.raises(InputError, match=r"labels: has the shape \(4,\); expected images: \(rows, height, width\)"):
        read_idx_images(written(tmp_path / "labels", idx(np.zeros(4), 8)), images)


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside this checkout")
def test_mnist() -> None:
    dataset = read_idx_images(MNIST / "t10k-images-idx3-ubyte.gz", MNIST / "t10k-labels-idx1-ubyte.gz")
    assert isinstance(dataset.rows, Vectors)
    assert dataset.rows.values.shape == (10_000, 784)
    assert dataset.classes == tuple("0123456789")
    assert np.bincount(dataset.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # As `zcat t10k-images-idx3-ubyte.gz | tail -c +17 | sha256sum` says.
    digest = hashlib.sha256(dataset.rows.values.astype(np.uint8).tobytes()).hexdigest()
    assert digest.startswith("6d87418db22cc8025d05968bec9bd5c3")
