import contextlib
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from projgraph.errors import InputError
from projgraph.read import FORMATS, read_dataset, read_texts
from projgraph.read.labels import NO_LABEL
from projgraph.records import UNLABELLED

FILES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
kept_text = any_text.filter(lambda text: text != "" and not text.isspace())
any_name = any_text.map(str.strip).filter(
    lambda name: name not in NO_LABEL and not (name.endswith("0") and "." in name) and not {"\n", "\r"} & set(name)
)
any_rows = st.lists(st.tuples(kept_text, st.one_of(st.none(), any_name)), min_size=1, max_size=8)
Rows = list[tuple[str, str | None]]


def as_csv(rows: Rows, **options: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, **options).writerows([("text", "label"), *[(text, name or "") for text, name in rows]])
    return buffer.getvalue().encode()


def as_jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps({"text": t, "label": n}, ensure_ascii=False) + "\n" for t, n in rows).encode()


def as_parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    names = pa.array([name for _, name in rows], pa.string())
    pq.write_table(pa.table({"text": [text for text, _ in rows], "label": names}), buffer)
    return buffer.getvalue()


def as_fasttext(rows: Rows) -> bytes:
    return "".join(f"__label__{name} {text}\n" if name else f"{text}\n" for text, name in rows).encode()


def read_back(path: Path, content: bytes, compressed: bool) -> Rows:
    path.write_bytes(gzip.compress(content, 1) if compressed else content)
    dataset = read_dataset(path)
    labels = [None if label == UNLABELLED else dataset.classes[label] for label in dataset.labels]
    assert list(dataset.classes) == sorted(set(labels) - {None})  # type: ignore[type-var]
    assert list(read_texts(path)) == list(dataset.texts)
    return list(zip(dataset.texts, labels, strict=True))


@FILES
@given(rows=any_rows, compressed=st.booleans())
def test_round_trip(tmp_path: Path, rows: Rows, compressed: bool) -> None:
    assert read_back(tmp_path / "a.csv", as_csv(rows), compressed) == rows
    assert read_back(tmp_path / "b.csv", as_csv(rows, lineterminator="\n", quoting=csv.QUOTE_ALL), compressed) == rows
    assert read_back(tmp_path / "a.tsv", as_csv(rows, delimiter="\t"), compressed) == rows
    assert read_back(tmp_path / "a.jsonl", as_jsonl(rows), compressed) == rows
    assert read_back(tmp_path / "a.parquet", as_parquet(rows), compressed) == rows


@FILES
@given(rows=any_rows, compressed=st.booleans())
def test_round_trip_of_a_line_format(tmp_path: Path, rows: Rows, compressed: bool) -> None:
    # A line format cannot hold a line end, nor a label with white space; a line that starts as a label is one.
    fits = [
        (text, name)
        for text, name in rows
        if "\n" not in text
        and not text.endswith("\r")
        and not text.lstrip().startswith(("__label__", "\ufeff"))
        and (name is None or not set(name) & set(" \t\n"))
    ]
    if fits:
        assert read_back(tmp_path / "a.ft", as_fasttext(fits), compressed) == fits
    texts = [text for text, _ in fits]
    if texts:
        (tmp_path / "a.txt").write_bytes("\n".join(texts).encode())
        assert list(read_texts(tmp_path / "a.txt")) == texts


def dataset_or_input_error(path: Path, format_name: str) -> None:
    with contextlib.suppress(InputError):
        dataset = read_dataset(path, format=format_name)
        assert len(dataset) == len(dataset.labels) == dataset.counts.rows > 0
        assert dataset.labels.min() >= UNLABELLED
        assert dataset.labels.max() < len(dataset.classes)
    with contextlib.suppress(InputError):
        texts = read_texts(path, format=format_name)
        assert len(list(texts)) > 0


@pytest.mark.parametrize("format_name", FORMATS)
@FILES
@given(content=st.one_of(st.binary(max_size=200), any_text.map(str.encode)), head=st.booleans(), packed=st.booleans())
@example(content=b"\x1f\x8b", head=False, packed=False)
@example(content=b"\xff\xfe", head=False, packed=True)
def test_any_bytes(tmp_path: Path, format_name: str, content: bytes, head: bool, packed: bool) -> None:
    header = {"csv": b"text,label\n", "tsv": b"text\tlabel\n", "tsv-unquoted": b"text\tlabel\n", "parquet": b"PAR1"}
    content = header.get(format_name, b'{"text": "", "label": null}\n') + content if head else content
    path = tmp_path / "any"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    dataset_or_input_error(path, format_name)


@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet", "fasttext"])
@FILES
@given(data=st.data())
def test_damaged_files(tmp_path: Path, format_name: str, data: st.DataObject) -> None:
    rows: Rows = [("book a flight", "travel"), ('pay, "the" bill', None), ("é\u2028👋", "3")]
    whole = {"csv": as_csv, "jsonl": as_jsonl, "parquet": as_parquet, "fasttext": as_fasttext}[format_name](rows)
    content = bytearray(whole)
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path = tmp_path / "damaged"
    path.write_bytes(content[:cut])
    dataset_or_input_error(path, format_name)
