"""One converter a public set: origin files become `text,label` CSV files; where they come from it does not know."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from projgraph.errors import InputError
from projgraph.read.checksum import archive_files

Converter = Callable[[Path, Path], None]
"""Reads the origin files in the first folder and writes the converted ones into the second."""

ATIS_FILES = {
    "train.csv": "atis-2.train.w-intent.iob",
    "dev.csv": "atis-2.dev.w-intent.iob",
    "test.csv": "atis.test.w-intent.iob",
    "trainfull.csv": "atis.train.w-intent.iob",
}


def copy_files(origin: Path, output: Path) -> None:
    """The origin files are used as they are."""
    for path in _files(origin):
        shutil.copyfile(path, output / path.name)


def clinc150(origin: Path, output: Path) -> None:
    """One JSON object of splits, each a list of [text, intent]."""
    path = origin / "data_full.json"
    try:
        splits = json.loads(path.read_bytes())
        for split, rows in splits.items():
            _write(output / f"{split}.csv", ((text, intent) for text, intent in rows))
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: expected a JSON object of lists of [text, intent] ({error})") from error


def banking77(origin: Path, output: Path) -> None:
    """CSV files whose label column is called category."""
    for name in ("train.csv", "test.csv"):
        with (origin / name).open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if header != ["text", "category"]:
                raise InputError(f"{origin / name}: the columns are {header}; expected text and category")
            _write(output / name, rows)


def atis(origin: Path, output: Path) -> None:
    """Lines `BOS words EOS<tab>O slot ... atis_intent`; joint intents stay joint, as in flight#airfare."""
    for name, source in ATIS_FILES.items():
        _write(output / name, _atis_rows(origin / source))


def _atis_rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        words, tab, tags = line.partition("\t")
        if not (tab and words.startswith("BOS ") and words.endswith(" EOS") and "atis_" in tags):
            raise InputError(
                f"{path}, line {number}: expected 'BOS words EOS', a tab, and slots that end in the intent"
            )
        yield words[len("BOS ") : -len(" EOS")], tags.split()[-1].replace("atis_", "")


def swda(origin: Path, output: Path) -> None:
    """An archive of one file a conversation, lines `speaker|utterance|act`; conversations in order of name."""
    (archive,) = _files(origin)
    for split in ("train", "val", "test"):
        files = sorted(archive_files(archive, f"swda_data/{split}"))
        _write(output / f"{split}.csv", (row for name, content in files for row in _swda_rows(name.name, content)))


def _swda_rows(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.decode().split("\n"), 1):
        if not line.strip():
            continue
        parts = line.rstrip("\r").split("|")
        if len(parts) != 3:
            raise InputError(f"{name}, line {number}: {len(parts)} parts; expected speaker|utterance|act")
        yield parts[1], parts[2]


def cifar_images(origin: Path, output: Path) -> None:
    """An archive of JPEG files, unpacked as `train/CLASS/NNNN.jpg` and `test/CLASS/NNNN.jpg`."""
    (archive,) = _files(origin)
    for split in ("train", "test"):
        for name, content in archive_files(archive, split):
            path = output / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


CONVERTERS: dict[str, Converter] = {
    "copy": copy_files,
    "clinc150": clinc150,
    "banking77": banking77,
    "atis": atis,
    "swda": swda,
    "cifar-images": cifar_images,
}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".part")


def _write(path: Path, rows: Iterable[Iterable[str]]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(("text", "label"))
    writer.writerows(rows)
    path.write_bytes(buffer.getvalue().encode())
