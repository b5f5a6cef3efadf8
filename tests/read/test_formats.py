import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projgraph.errors import InputError
from projgraph.read import read_dataset, read_texts
from projgraph.records import UNLABELLED, Dataset


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(dataset: Dataset) -> list[tuple[str, str | None]]:
    return [
        (text, None if label == UNLABELLED else dataset.classes[label])
        for text, label in zip(dataset.texts, dataset.labels, strict=True)
    ]


EXPECTED = [("book a flight, please", "travel"), ("wie geht’s 👋", None), ("pay\nmy bill", "bank")]


def contents() -> dict[str, bytes]:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("text", "label"), *[(text, label or "") for text, label in EXPECTED]])
    tabbed = io.StringIO()
    csv.writer(tabbed, csv.excel_tab).writerows([("text", "label"), *[(t, label or "") for t, label in EXPECTED]])
    table = io.BytesIO()
    pq.write_table(pa.table({"text": [t for t, _ in EXPECTED], "label": [label for _, label in EXPECTED]}), table)
    return {
        "a.csv": buffer.getvalue().encode(),
        "a.tsv": tabbed.getvalue().encode(),
        "a.jsonl": "".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in EXPECTED).encode(),
        "a.ndjson": "".join(json.dumps({"label": label, "text": t}) + "\r\n" for t, label in EXPECTED).encode(),
        "a.parquet": table.getvalue(),
    }


@pytest.mark.parametrize("name", contents())
@pytest.mark.parametrize("compressed", [False, True])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, compressed: bool) -> None:
    content = contents()[name]
    path = write(tmp_path, name + ".gz", gzip.compress(content)) if compressed else write(tmp_path, name, content)
    dataset = read_dataset(path)
    assert rows(dataset) == EXPECTED
    assert dataset.classes == ("bank", "travel")
    assert (dataset.counts.rows, dataset.counts.labelled, dataset.counts.empty) == (3, 2, 0)
    assert list(read_texts(path)) == [text for text, _ in EXPECTED]


@pytest.mark.parametrize("name", ["a.ft", "a.fasttext", "a.txt", "a.txt.gz"])
def test_fasttext(tmp_path: Path, name: str) -> None:
    content = b"__label__travel book a flight\n__label__bank\tpay it\r\nno label here\n__label__-1 nor here"
    path = write(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)
    dataset = read_dataset(path)
    assert rows(dataset) == [
        ("book a flight", "travel"),
        ("pay it", "bank"),
        ("no label here", None),
        ("nor here", None),
    ]
    assert list(read_texts(path)) == ["book a flight", "pay it", "no label here", "nor here"]


def test_fasttext_with_several_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "a.ft", "__label__a x\n__label__a __label__b y\n")
    with pytest.raises(InputError, match=r"a\.ft, line 2: the text has several labels; expected one label a text"):
        read_dataset(path)


def test_plain_text_keeps_every_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "one\r\n\n  \nfour, with\ta tab\nfive")
    assert list(read_texts(path)) == ["one", "", "  ", "four, with\ta tab", "five"]


def test_plain_text_has_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "one\ntwo\n")
    with pytest.raises(InputError, match=r"a\.txt: plain text has no labels; expected lines such as '__label__NAME"):
        read_dataset(path)


def test_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    assert rows(read_dataset(write(tmp_path, "a.csv", b"\xef\xbb\xbftext,label\r\nhi,x\r\n"))) == [("hi", "x")]
    assert rows(read_dataset(write(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"text":"hi","label":"x"}'))) == [("hi", "x")]


def test_gzip_is_recognised_by_its_bytes(tmp_path: Path) -> None:
    assert rows(read_dataset(write(tmp_path, "a.csv", gzip.compress(b"text,label\nhi,x\n")))) == [("hi", "x")]
    assert rows(read_dataset(write(tmp_path, "b.csv.gz", b"text,label\nhi,x\n"))) == [("hi", "x")]


def test_quoted_fields(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"a ""b"", c\r\nd","two, words"\n\n"x",y\n')
    assert rows(read_dataset(path)) == [('a "b", c\r\nd', "two, words"), ("x", "y")]


def test_tsv_with_ordinary_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"hello" she said\tx\n')
    with pytest.raises(InputError, match=r"line 2: the quotes are broken .* with format 'tsv-unquoted'"):
        read_dataset(path)
    assert rows(read_dataset(path, format="tsv-unquoted")) == [('"hello" she said', "x")]


def test_format_overrules_the_extension(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "text,label\nhi,x\n")
    assert rows(read_dataset(path, format="csv")) == [("hi", "x")]
    lines = write(tmp_path, "b.txt", "__label__x hi\n")
    assert list(read_texts(lines, format="text")) == ["__label__x hi"]
    with pytest.raises(InputError, match="unknown format 'xml'; expected one of csv, tsv, tsv-unquoted, jsonl"):
        read_dataset(path, format="xml")
    with pytest.raises(InputError, match=r"extension '\.json' says no format; expected one of \.csv, \.tsv"):
        read_dataset(write(tmp_path, "a.json", "[]"))


@pytest.mark.parametrize("read", [read_dataset, read_texts])
def test_a_path_without_a_known_extension_that_is_no_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match="nothing: there is no such file; check the path"):
        read(tmp_path / "nothing")
    with pytest.raises(InputError, match=f"{tmp_path.name}: is a directory; expected a file"):
        read(tmp_path)


@pytest.mark.parametrize("written", ["", "NaN", "nan", "null", "None", "-1", "  ", "-1.0"])
def test_spellings_of_no_label(tmp_path: Path, written: str) -> None:
    dataset = read_dataset(write(tmp_path, "a.csv", f"text,label\nhi,{written}\n"))
    assert dataset.labels.tolist() == [UNLABELLED]
    assert dataset.classes == ()
    assert dataset.counts.labelled == 0


@pytest.mark.parametrize(
    ("written", "name"),
    [("3", "3"), ("3.0", "3"), ("-0.0", "0"), ("3.5", "3.5"), ("007", "007"), (" x ", "x"), ("none", "none")],
)
def test_label_names_in_csv(tmp_path: Path, written: str, name: str) -> None:
    assert read_dataset(write(tmp_path, "a.csv", f"text,label\nhi,{written}\n")).classes == (name,)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("3", "3"),
        ("3.0", "3"),
        ("2.5", "2.5"),
        ("true", "true"),
        ('" x "', "x"),
        ('"3.0"', "3.0"),
        ("null", None),
        ("-1", None),
        ("-1.0", None),
        ("NaN", None),
        ('""', None),
        ('"NaN"', None),
    ],
)
def test_label_names_in_jsonl(tmp_path: Path, written: str, name: str | None) -> None:
    path = write(tmp_path, "a.jsonl", f'{{"text": "hi", "label": {written}}}\n')
    assert rows(read_dataset(path)) == [("hi", name)]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pa.array([3, None, -1], pa.int32()), ["3", None, None]),
        (pa.array([3.0, float("nan"), 0.5]), ["3", None, "0.5"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array(["b", "a", None]).dictionary_encode(), ["b", "a", None]),
        (pa.array([" b", "", "NaN"], pa.large_string()), ["b", None, None]),
        (pa.nulls(3), [None, None, None]),
    ],
)
def test_label_types_in_parquet(tmp_path: Path, values: pa.Array, names: list[str | None]) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": [1, 2, 3], "text": ["p", "q", "r"], "label": values}), path)
    assert rows(read_dataset(path)) == list(zip("pqr", names, strict=True))


def test_classes_are_sorted_strings(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, "a.csv", "text,label\na,10\nb,9\nc,é\nd,Z\ne,a\nf,10\n"))
    assert dataset.classes == ("10", "9", "Z", "a", "é")
    assert dataset.labels.tolist() == [0, 1, 4, 2, 3, 0]


def test_empty_and_repeated_texts_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\nhi,x\n"",x\n" \t",y\nhi,y\nhi,x\nho,\n')
    dataset = read_dataset(path)
    assert rows(dataset) == [("hi", "x"), ("hi", "y"), ("hi", "x"), ("ho", None)]
    counts = dataset.counts
    assert (counts.rows, counts.labelled, counts.empty, counts.duplicates) == (4, 3, 2, 2)
    kept = read_dataset(path, keep_empty=True)
    assert rows(kept)[1:3] == [("", "x"), (" \t", "y")]
    assert (kept.counts.rows, kept.counts.labelled, kept.counts.empty) == (6, 5, 2)
    assert list(read_texts(path)) == ["hi", "", " \t", "hi", "hi", "ho"]


def test_an_empty_text_alone_names_no_class(tmp_path: Path) -> None:
    assert read_dataset(write(tmp_path, "a.csv", 'text,label\n"",x\nhi,y\n')).classes == ("y",)


def test_null_text_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": null, "label": "x"}\n{"text": "hi", "label": "x"}\n')
    assert read_dataset(path).counts.empty == 1
    pq.write_table(pa.table({"text": [None, "hi"], "label": ["x", "x"]}), tmp_path / "a.parquet")
    assert read_dataset(tmp_path / "a.parquet").counts.empty == 1


def test_parquet_streams_over_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"text {number}" for number in range(20_000)]
    pq.write_table(pa.table({"text": texts, "label": [number % 3 for number in range(20_000)]}), path, row_group_size=7)
    dataset = read_dataset(path)
    assert list(dataset.texts) == texts
    assert dataset.labels[:4].tolist() == [0, 1, 2, 0]
