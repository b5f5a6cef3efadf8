import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projgraph.errors import InputError
from projgraph.pack.format import MAX_CLASSES
from projgraph.read import read_dataset, read_texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: is empty; expected at least one row"),
        ("a.csv", b"\n\n", "a.csv: has no rows; expected a first line that names the columns"),
        ("a.csv", b"text,label\n", "a.csv: has no rows; expected at least one row of text after the header"),
        ("a.csv", b'text,label\n"",x\n" ",y\n', "a.csv: has no text: all 2 rows are empty"),
        ("a.csv", b"text,label\nhi,x\nhi,x,y\n", r"a.csv, line 3: 3 columns; the first line has 2 \('text', 'label'\)"),
        ("a.csv", b'text,label\n"two\nlines",x\nalone\n', "a.csv, line 4: 1 columns; the first line has 2"),
        ("a.csv", b'text,label\nhi,x\n"hi,x\nho,y\n', r"a.csv, line 3: the quotes are broken \(unexpected end of data"),
        ("a.csv", b'text,label\n"hi"x,x\n', "a.csv, line 2: the quotes are broken"),
        ("a.csv", b"text,label\rhi,x\r", "a.csv, line 1: a carriage return stands inside an unquoted field"),
        ("a.csv", b"text,label\nhi,x\nh\xffi,x\n", "a.csv, line 3: byte 2 of the line, 0xff, is not UTF-8; save"),
        ("a.csv", b"text,label\nhi\xed\xa0\x80,x\n", "a.csv, line 2: byte 3 of the line, 0xed, is not UTF-8"),
        ("a.csv", "text,label\nhi,x\n".encode("utf-16"), "a.csv, line 1: starts with a UTF-16 byte order mark"),
        ("a.csv", b"text,label\nhi,x\nh\0,x\n", "a.csv, line 3: the text has a NUL character"),
        ("a.csv", b"text,label\nhi,x\0\n", r"a.csv, line 2: the label 'x\\x00' has a NUL character"),
        ("a.csv", b'text,label\nhi,"x\ny"\n', r"a.csv, line 2: the label 'x\\ny' has a line break; expected one line"),
        (
            "a.jsonl",
            b'{"text":"a","label":"x\\r"}\n{"text":"a","label":"x\\ry"}\n',
            r"line 2: the label 'x\\ry' has a line",
        ),
        ("a.csv.gz", gzip.compress(b"text,label\nhi,x\n", mtime=0)[:-9], "a.csv.gz: is not a whole gzip file"),
        ("a.csv.gz", b"\x1f\x8bnot gzip at all", "a.csv.gz: is not a whole gzip file"),
        ("a.jsonl", b'{"text": "hi", "label": "x"}\n{"text": \n', "a.jsonl, line 2: broken JSON at character"),
        ("a.jsonl", b"[1, 2]\n", "a.jsonl, line 1: a JSON list; expected one object a line"),
        (
            "a.jsonl",
            b'{"text":"a","label":1}\n{"text":"b"}\n',
            "a.jsonl, line 2: there is no key 'label'; the keys are",
        ),
        ("a.jsonl", b'{"text":5,"label":1}\n', "a.jsonl, line 1, column 'text': the text is of type int; expected a"),
        ("a.jsonl", b'{"text":"a","label":[1]}\n', "a.jsonl, line 1, column 'label': the label is of type list"),
        ("a.jsonl", b'{"text":"a","label":Infinity}\n', "column 'label': the label is an infinite number"),
        ("a.jsonl", b'{"text":"a\\u0000","label":1}\n', "a.jsonl, line 1: the text has a NUL character"),
        ("a.jsonl", b'{"text":"a","label":"\\ud800"}\n', r"line 1: the label '\\ud800' is not valid Unicode"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "a.jsonl, line 1: JSON that cannot be read"),
        ("a.jsonl", b'{"text":"a","label":' + b"9" * 5000 + b"}\n", "a.jsonl, line 1: JSON that cannot be read"),
        ("a.parquet", b"PAR1 and no more", "a.parquet: is not a whole Parquet file"),
        ("a.ft", b"__label__x \n", "a.ft: has no text: all 1 rows are empty"),
        ("a.ft", b"__label__x a\xc3\n", "a.ft, line 1: byte 13 of the line, 0xc3, is not UTF-8"),
    ],
)
def test_what_a_file_has_wrong(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_dataset(path)


@pytest.mark.parametrize("read", [read_dataset, read_texts])
def test_files_that_are_not_there(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match=r"missing\.csv: there is no such file; check the path"):
        read(tmp_path / "missing.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv: is a directory; expected a file"):
        read(tmp_path / "folder.csv")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match=r"empty\.txt: is empty"):
        read(tmp_path / "empty.txt")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": [1, 2], "label": ["x", "y"]}, "column 'text': the text is of type int64; expected strings"),
        ({"text": ["a", "b"], "label": [[1], [2]]}, r"column 'label': the label is of type list<.*>; expected strings"),
        ({"text": ["a", "b"], "label": [1.0, float("inf")]}, "row 2, column 'label': the label is an infinite number"),
        ({"text": ["a", "\0"], "label": ["x", "y"]}, "row 2: the text has a NUL character"),
        ({"words": ["a"], "label": ["x"]}, "no column looks like the text"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "has no rows"),
    ],
)
def test_parquet_columns(tmp_path: Path, table: dict[str, object], message: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(table), path)
    with pytest.raises(InputError, match=message):
        read_dataset(path)


def test_parquet_with_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    broken = pa.array([b"ok", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": broken, "label": ["x", "y"]}), path)
    with pytest.raises(InputError, match=r"a\.parquet, row 2, column 'text': byte 1 of the value, 0xff, is not UTF-8"):
        read_dataset(path)


def test_an_identifier_taken_for_the_label(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,id\n" + "".join(f"hello {number},{number}\n" for number in range(MAX_CLASSES + 1)))
    with pytest.raises(InputError, match=r"line 4098: there are more than 4,096 different labels \(here '4096'\)"):
        read_dataset(path, label_column="id")


def test_a_field_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import csv

    monkeypatch.setattr("projgraph.read.delimited.MAX_FIELD", 100)
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"' + "long " * 50 + '",x\n')
    before = csv.field_size_limit()
    with pytest.raises(InputError, match=r"line 2: a field has more than 100 characters; is a double quote not"):
        read_dataset(path)
    assert csv.field_size_limit() == before
