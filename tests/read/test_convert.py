import json
from pathlib import Path

import pytest

from projgraph.errors import InputError
from projgraph.read.convert import atis, banking77, cifar_images, clinc150, copy_files, swda

from .test_checksum import write_archive


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    origin, output = tmp_path / "origin", tmp_path / "output"
    origin.mkdir()
    output.mkdir()
    return origin, output


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_copy(folders: tuple[Path, Path]) -> None:
    origin, output = folders
    (origin / "a.gz").write_bytes(b"\x1f\x8b")
    (origin / "b.part").write_bytes(b"half")
    copy_files(origin, output)
    assert outputs(output) == {"a.gz": b"\x1f\x8b"}


def test_clinc150(folders: tuple[Path, Path]) -> None:
    origin, output = folders
    splits = {"val": [["say hi, please", "greeting"]], "oos_test": [["é", "oos"]]}
    (origin / "data_full.json").write_text(json.dumps(splits))
    clinc150(origin, output)
    assert outputs(output) == {
        "val.csv": b'text,label\r\n"say hi, please",greeting\r\n',
        "oos_test.csv": "text,label\r\né,oos\r\n".encode(),
    }


@pytest.mark.parametrize("content", ["", "[]", '{"val": [["a"]]}', '{"val": 3}'])
def test_clinc150_of_another_shape(folders: tuple[Path, Path], content: str) -> None:
    origin, output = folders
    (origin / "data_full.json").write_text(content)
    with pytest.raises(InputError, match=r"data_full\.json: expected a JSON object of lists of \[text, intent\]"):
        clinc150(origin, output)


def test_banking77(folders: tuple[Path, Path]) -> None:
    origin, output = folders
    (origin / "train.csv").write_bytes(b'text,category\r\n"a\nb",x\r\n')
    (origin / "test.csv").write_bytes(b"text,category\r\nc,y\r\n")
    banking77(origin, output)
    assert outputs(output) == {"train.csv": b'text,label\r\n"a\nb",x\r\n', "test.csv": b"text,label\r\nc,y\r\n"}
    (origin / "test.csv").write_bytes(b"a,b\r\nc,y\r\n")
    with pytest.raises(InputError, match=r"test\.csv: the columns are \['a', 'b'\]; expected text and category"):
        banking77(origin, output)


def test_atis(folders: tuple[Path, Path]) -> None:
    origin, output = folders
    lines = "BOS i want to fly EOS\tO O O O O atis_flight\nBOS fares EOS\t O atis_flight#atis_airfare\n\n"
    for name in ("atis-2.train", "atis-2.dev", "atis.test", "atis.train"):
        (origin / f"{name}.w-intent.iob").write_text(lines)
    atis(origin, output)
    expected = b"text,label\r\ni want to fly,flight\r\nfares,flight#airfare\r\n"
    assert outputs(output) == dict.fromkeys(("train.csv", "dev.csv", "test.csv", "trainfull.csv"), expected)
    (origin / "atis-2.dev.w-intent.iob").write_text(lines + "hello\n")
    with pytest.raises(InputError, match=r"atis-2\.dev\.w-intent\.iob, line 4: expected 'BOS words EOS', a tab"):
        atis(origin, output)


def test_swda(folders: tuple[Path, Path]) -> None:
    origin, output = folders
    files = {
        "swda_data/train/2008.txt": b"A|Third.|sd\n",
        "swda_data/train/2005.txt": b'A|Okay.|fo_o_fw_"_by_bc\r\nB|Uh, second.|qo',
        "swda_data/val/1.txt": b"A|Val.|b\n",
        "swda_data/test/1.txt": b"\nA|Test.|%\n",
        "swda_data/train_set.txt": b"not looked at",
    }
    write_archive(origin / "a.tar.gz", files)
    swda(origin, output)
    assert outputs(output) == {
        "train.csv": b'text,label\r\nOkay.,"fo_o_fw_""_by_bc"\r\n"Uh, second.",qo\r\nThird.,sd\r\n',
        "val.csv": b"text,label\r\nVal.,b\r\n",
        "test.csv": b"text,label\r\nTest.,%\r\n",
    }
    write_archive(origin / "a.tar.gz", {"swda_data/train/7.txt": b"A|b|c\nA|b\n"})
    with pytest.raises(InputError, match=r"7\.txt, line 2: 2 parts; expected speaker\|utterance\|act"):
        swda(origin, output)


def test_cifar_images(folders: tuple[Path, Path]) -> None:
    origin, output = folders
    files = {"train/cat/0000.jpg": b"1", "train/dog/0000.jpg": b"2", "test/cat/0000.jpg": b"3", "README.md": b"4"}
    write_archive(origin / "a.tar.gz", files)
    cifar_images(origin, output)
    del files["README.md"]
    assert outputs(output) == files
