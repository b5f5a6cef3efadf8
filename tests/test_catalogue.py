import gzip
import hashlib
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from projgraph.catalogue import CATALOGUE, FetchedSet, fetch, find_set, list_sets, verify
from projgraph.errors import InputError, OutputError
from projgraph.read import read_dataset
from projgraph.read.checksum import git_tree_in_archive, git_tree_of_folder
from projgraph.read.convert import CONVERTERS
from projgraph.read.download import Patience

from .read.loopback import Loopback
from .read.test_checksum import write_archive

QUICK = Patience(attempts=2, first_wait=0.0, timeout=5.0)
ORIGIN = b"text,category\r\nwhere is my card,card\r\n"
OUTPUT = b"text,label\r\nwhere is my card,card\r\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_catalogue(folder: Path, base: str = "https://example.org", expected: bytes = OUTPUT) -> Path:
    """A catalogue of one set, "bank", with the converter of BANKING77."""
    lines = ["[bank]", 'title = "Bank"', 'homepage = "https://example.org"', 'licence = "MIT"']
    lines += ['converter = "banking77"']
    for name in ("train.csv", "test.csv"):
        lines += ["[[bank.origin]]", f'name = "{name}"', f'url = "{base}/{name}"', f'sha256 = "{sha256(ORIGIN)}"']
        lines += ["[[bank.output]]", f'name = "{name}"', f'sha256 = "{sha256(expected)}"']
    path = folder / "catalogue.toml"
    path.write_text("\n".join(lines))
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


INSTALLED = {"train.csv": OUTPUT, "test.csv": OUTPUT}


def test_download_convert_and_verify(tmp_path: Path, loopback: Loopback) -> None:
    loopback.files = {"/train.csv": ORIGIN, "/test.csv": ORIGIN}
    catalogue, to = write_catalogue(tmp_path, loopback.url("")), tmp_path / "bank"
    seen: list[tuple[str, int, int | None]] = []
    got = fetch("bank", to, progress=lambda *state: seen.append(state), patience=QUICK, catalogue=catalogue)
    assert got == FetchedSet("bank", to, (to / "train.csv", to / "test.csv"), "download")
    assert files_in(to) == INSTALLED
    assert seen[-1] == ("test.csv", len(ORIGIN), len(ORIGIN))
    assert [state.problem for state in verify("bank", to, catalogue)] == [None, None]
    assert fetch("bank", to, catalogue=catalogue).source == "present"
    assert len(loopback.ranges) == 2


def test_an_interrupted_fetch_goes_on(tmp_path: Path, loopback: Loopback) -> None:
    loopback.files = {"/train.csv": ORIGIN, "/test.csv": ORIGIN}
    loopback.script = ["whole", "cut 10", "500"]
    catalogue, to = write_catalogue(tmp_path, loopback.url("")), tmp_path / "bank"
    with pytest.raises(InputError, match=r"/test\.csv: not fetched after 2 tries .*what has arrived is kept"):
        fetch("bank", to, patience=QUICK, catalogue=catalogue)
    assert files_in(to) == {".fetch/origin/train.csv": ORIGIN, ".fetch/origin/test.csv.part": ORIGIN[:10]}
    loopback.ranges.clear()
    assert fetch("bank", to, patience=QUICK, catalogue=catalogue).source == "download"
    assert loopback.ranges == ["bytes=10-"]
    assert files_in(to) == INSTALLED


def test_500_then_success(tmp_path: Path, loopback: Loopback) -> None:
    loopback.files = {"/train.csv": ORIGIN, "/test.csv": ORIGIN}
    loopback.script = ["500", "whole", "cut 5"]
    fetch("bank", tmp_path / "bank", patience=QUICK, catalogue=write_catalogue(tmp_path, loopback.url("")))
    assert files_in(tmp_path / "bank") == INSTALLED


def test_a_wrong_origin_keeps_nothing(tmp_path: Path, loopback: Loopback) -> None:
    loopback.files = {"/train.csv": ORIGIN, "/test.csv": b"tampered"}
    catalogue, to = write_catalogue(tmp_path, loopback.url("")), tmp_path / "bank"
    expected = f"/test.csv: test.csv: sha256 is {sha256(b'tampered')}; expected {sha256(ORIGIN)}; nothing was kept"
    with pytest.raises(InputError, match=re.escape(expected)):
        fetch("bank", to, patience=QUICK, catalogue=catalogue)
    assert not to.exists()


def test_a_wrong_conversion_keeps_nothing(tmp_path: Path, loopback: Loopback) -> None:
    loopback.files = {"/train.csv": ORIGIN, "/test.csv": ORIGIN}
    catalogue, to = write_catalogue(tmp_path, loopback.url(""), b"other"), tmp_path / "bank"
    to.mkdir()
    (to / "train.csv").write_bytes(b"what stood here before")
    expected = f"bank: train.csv: sha256 is {sha256(OUTPUT)}; expected {sha256(b'other')}; test.csv: "
    with pytest.raises(InputError, match=re.escape(expected) + ".*; nothing was kept"):
        fetch("bank", to, patience=QUICK, catalogue=catalogue)
    assert files_in(to) == {"train.csv": b"what stood here before"}


def test_a_file_that_is_gone(tmp_path: Path, loopback: Loopback) -> None:
    with pytest.raises(InputError, match=r"/train\.csv: the server answers 404 Not Found"):
        fetch("bank", tmp_path / "bank", patience=QUICK, catalogue=write_catalogue(tmp_path, loopback.url("")))
    assert not (tmp_path / "bank").exists()


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"train.csv": ORIGIN, "test.csv": ORIGIN}, "origin files"),
        ({"train.csv": OUTPUT, "test.csv": OUTPUT, "more.csv": b""}, "converted files"),
        ({"train.csv.gz": gzip.compress(OUTPUT, 1), "test.csv": OUTPUT}, "converted files"),
    ],
)
def test_from_a_local_folder(tmp_path: Path, given: dict[str, bytes], source: str) -> None:
    folder, to = tmp_path / "given", tmp_path / "sets" / "bank"
    folder.mkdir()
    for name, content in given.items():
        (folder / name).write_bytes(content)
    assert fetch("bank", to, folder, catalogue=write_catalogue(tmp_path)).source == source
    assert files_in(to) == INSTALLED
    assert files_in(folder) == given


def test_a_local_folder_without_the_files(tmp_path: Path) -> None:
    folder, to, catalogue = tmp_path / "given", tmp_path / "bank", write_catalogue(tmp_path)
    with pytest.raises(InputError, match=r"given: is not a folder; expected one with the files of bank"):
        fetch("bank", to, folder, catalogue=catalogue)
    folder.mkdir()
    (folder / "train.csv").write_bytes(b"x")
    expected = (
        f"given: lacks files of bank: train.csv: sha256 is {sha256(b'x')}; expected {sha256(ORIGIN)}; "
        f"test.csv: missing; and it holds no converted ones: train.csv: sha256 is {sha256(b'x')}; "
        f"expected {sha256(OUTPUT)}; test.csv: missing; nothing was kept"
    )
    with pytest.raises(InputError, match=re.escape(expected)):
        fetch("bank", to, folder, catalogue=catalogue)
    assert not to.exists()


def test_verify_names_what_is_wrong(tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path)
    (tmp_path / "train.csv").write_bytes(OUTPUT + b"x")
    states = verify("bank", tmp_path, catalogue)
    assert [state.name for state in states] == ["train.csv", "test.csv"]
    digest = sha256(OUTPUT + b"x")
    assert states[0].problem == f"{tmp_path / 'train.csv'}: sha256 is {digest}; expected {sha256(OUTPUT)}"
    assert states[1].problem == f"{tmp_path / 'test.csv'}: missing"
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress(OUTPUT)[:-1])
    assert "test.csv.gz: is not a whole gzip file" in str(verify("bank", tmp_path, catalogue)[1].problem)
    (tmp_path / "test.csv").mkdir()
    assert verify("bank", tmp_path, catalogue)[1].problem == f"{tmp_path / 'test.csv'}: expected a file"


def test_a_set_of_folders_from_an_archive(tmp_path: Path) -> None:
    images = {"train/cat/0000.jpg": b"1", "train/dog/0000.jpg": b"2", "test/cat/0000.jpg": b"3"}
    given, to = tmp_path / "given", tmp_path / "images"
    given.mkdir()
    write_archive(given / "images.tar.gz", {**images, "README.md": b"4"}, top="any-name")
    trees = {split: git_tree_in_archive(given / "images.tar.gz", split) for split in ("train", "test")}
    inner = ", ".join(f'{split} = "{digest}"' for split, digest in trees.items())
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(
        '[images]\ntitle = "t"\nhomepage = "h"\nlicence = "l"\nconverter = "cifar-images"\n'
        f'[[images.origin]]\nname = "images.tar.gz"\ngit_trees = {{ {inner} }}\n'
        + "".join(f'[[images.output]]\nname = "{split}"\ngit_tree = "{digest}"\n' for split, digest in trees.items())
    )
    assert fetch("images", to, given, catalogue=catalogue).source == "origin files"
    assert files_in(to) == images
    assert fetch("images", tmp_path / "again", to, catalogue=catalogue).source == "converted files"
    assert files_in(tmp_path / "again") == images
    (to / "train" / "cat" / "0001.jpg").write_bytes(b"5")
    changed, unchanged = verify("images", to, catalogue)
    assert (
        changed.problem == f"{to / 'train'}: git_tree is {git_tree_of_folder(to / 'train')}; expected {trees['train']}"
    )
    assert unchanged.problem is None
    write_archive(given / "images.tar.gz", {**images, "train/cat/0000.jpg": b"x"})
    with pytest.raises(
        InputError, match=f"lacks files of images: images.tar.gz: git_tree of train is .*{trees['train']}"
    ):
        fetch("images", tmp_path / "third", given, catalogue=catalogue)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file.*: .*; bank was not fetched"):
        fetch("bank", tmp_path / "file", tmp_path, catalogue=write_catalogue(tmp_path))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown set 'imdb'; expected one of clinc150, banking77, atis, swda, mnist"):
        find_set("imdb")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not toml", "TOMLDecodeError"),
        ("[a]\n", "KeyError: 'origin'"),
        (
            '[a]\nconverter = "copy"\n[[a.origin]]\nname = "x"\n',
            "x has no checksum; expected one of sha256, sha256_unp",
        ),
        (
            '[a]\nconverter = "magic"\norigin = []\noutput = []\n',
            "a has the unknown converter 'magic'; known: copy, clinc150",
        ),
    ],
)
def test_a_broken_catalogue(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(content)
    with pytest.raises(InputError, match=r"c\.toml: not a catalogue of sets \(.*" + message):
        list_sets(tmp_path / "c.toml")
    with pytest.raises(InputError, match=r"gone\.toml: not a catalogue of sets \(FileNotFoundError"):
        list_sets(tmp_path / "gone.toml")


def test_every_entry_is_pinned_and_checked() -> None:
    lengths = {"sha256": 64, "sha256_unpacked": 64, "git_blob": 40, "git_tree": 40}
    for entry in list_sets():
        assert entry.converter in CONVERTERS
        assert entry.title
        assert entry.licence
        assert entry.homepage.startswith("https://")
        for file in entry.origins:
            assert file.url is not None
            assert re.match(r"https://(raw\.githubusercontent|codeload\.github)\.com/.*\b[0-9a-f]{40}\b", file.url)
        for file in (*entry.origins, *entry.outputs):
            assert "/" not in file.name
            for check in file.checks:
                assert re.fullmatch(rf"[0-9a-f]{{{lengths[check.kind]}}}", check.expected)


def test_the_sets_that_the_project_is_measured_with() -> None:
    names = [entry.name for entry in list_sets()]
    assert names == [
        "clinc150",
        "banking77",
        "atis",
        "swda",
        "mnist",
        "fashion-mnist",
        "cora",
        "citeseer",
        "cifar-10",
    ]


def test_the_folder_for_people_shows_the_same_file() -> None:
    shown = Path(__file__).parents[1] / "data" / "catalogue.toml"
    assert shown.resolve() == CATALOGUE.resolve()
    assert tomllib.loads(shown.read_text(encoding="utf-8")).keys() == {entry.name for entry in list_sets()}


@pytest.mark.parametrize("name", ["clinc150", "banking77", "atis", "swda", "mnist", "cora", "citeseer"])
def test_public_sets_on_this_machine(public_sets: Path, name: str) -> None:
    folder = public_sets / {"cora": "planetoid", "citeseer": "planetoid"}.get(name, name)
    assert [state.problem for state in verify(name, folder) if state.problem] == []


def test_banking77_is_converted_byte_for_byte(tmp_path: Path, public_sets: Path) -> None:
    # The published files differ from the converted ones in the name of a column, so they can be made from them.
    origin = tmp_path / "origin"
    origin.mkdir()
    for name in ("train.csv", "test.csv"):
        content = (public_sets / "banking77" / name).read_bytes()
        (origin / name).write_bytes(content.replace(b"text,label", b"text,category", 1))
    assert fetch("banking77", tmp_path / "banking77", origin).source == "origin files"
    dataset = read_dataset(tmp_path / "banking77" / "train.csv")
    assert (len(dataset), len(dataset.classes)) == (10_003, 77)


def test_clinc150_is_converted_byte_for_byte(tmp_path: Path, public_sets: Path) -> None:
    # The published file is Python 2's indented JSON of the same rows, in this order of splits.
    splits = {}
    for split in ("oos_val", "val", "train", "oos_test", "test", "oos_train"):
        dataset = read_dataset(public_sets / "clinc150" / f"{split}.csv")
        splits[split] = [
            [text, dataset.classes[label]] for text, label in zip(dataset.texts, dataset.labels, strict=True)
        ]
    origin = tmp_path / "origin"
    origin.mkdir()
    content = json.dumps(splits, indent=4, separators=(", ", ": "))
    (origin / "data_full.json").write_bytes(content.encode())
    assert fetch("clinc150", tmp_path / "clinc150", origin).source == "origin files"
    shutil.rmtree(origin)
    assert verify("clinc150", tmp_path / "clinc150")[0].problem is None
