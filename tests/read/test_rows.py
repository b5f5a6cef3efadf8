import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from projgraph.read import merge, read_dataset
from projgraph.read.rows import count_repeats, sort_classes
from projgraph.records import UNLABELLED, Dataset, ReadCounts, Texts

TEXT_BYTES = 100


def test_sort_classes() -> None:
    labels, classes = sort_classes(np.array([0, 2, UNLABELLED, 1, 0]), ("b", "a", "c"))
    assert classes == ("a", "b", "c")
    assert labels.tolist() == [1, 2, UNLABELLED, 0, 1]
    assert labels.dtype == np.int64


def test_count_repeats() -> None:
    assert count_repeats(np.array([5, -1, 5, 7, 5, -1], dtype=np.int64)) == 3
    assert count_repeats(np.array([], dtype=np.int64)) == 0


def test_merge_appends_unlabelled_rows() -> None:
    train = Dataset(
        Texts.from_strings(["a", "b"]), np.array([1, UNLABELLED]), ("x", "y"), ReadCounts(2, 1, empty=3, duplicates=0)
    )
    merged = merge(train, [Texts.from_strings(["b", " ", "c"]), Texts.from_strings([]), Texts.from_strings(["c"])])
    assert list(merged.texts) == ["a", "b", "b", "c", "c"]
    assert merged.labels.tolist() == [1, UNLABELLED, UNLABELLED, UNLABELLED, UNLABELLED]
    assert merged.classes == ("x", "y")
    assert merged.counts == ReadCounts(rows=5, labelled=1, empty=4, duplicates=2)
    assert train.texts.data == b"ab"


def test_merge_of_nothing_changes_nothing() -> None:
    train = Dataset(Texts.from_strings(["a", "a"]), np.array([0, 0]), ("x",), ReadCounts(2, 2, 0, 1))
    merged = merge(train, [])
    assert (merged.texts.data, merged.labels.tolist(), merged.counts) == (b"aa", [0, 0], train.counts)


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        dataset = read_dataset(path)
        assert len(dataset.texts.data) == len(dataset) * TEXT_BYTES
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("extension", [".csv", ".jsonl"])
def test_memory_is_a_small_multiple_of_the_text(tmp_path: Path, extension: str) -> None:
    sizes = (20_000, 100_000)
    peaks = []
    for size in sizes:
        path = tmp_path / f"{size}{extension}"
        with path.open("w") as file:
            if extension == ".csv":
                file.write("text,label\n")
            for row in range(size):
                text = f"{row:0{TEXT_BYTES}d}"
                file.write(
                    f"{text},c{row % 9}\n" if extension == ".csv" else f'{{"text":"{text}","label":{row % 9}}}\n'
                )
        peaks.append(peak_bytes(path))
    per_row = (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])
    # The packed text, three numbers of 8 bytes, and the room that growing buffers and a sort take for a moment. The
    # same row as Python strings in a list takes more than 220 bytes.
    assert TEXT_BYTES < per_row < 1.25 * TEXT_BYTES + 64
