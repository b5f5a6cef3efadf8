import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from projgraph.errors import InputError
from projgraph.read.checksum import (
    archive_files,
    git_blob,
    git_tree_in_archive,
    git_tree_of_folder,
    sha256_of,
    sha256_unpacked,
)

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of "abc", from FIPS 180-2."""
FILES = {"a/b.txt": b"one\n", "a/c/d.txt": b"two\n", "a.txt": b"three\n", "a/c.txt": b"", "z": b"four"}


def write_archive(path: Path, files: dict[str, bytes], top: str = "repo-1") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == ABC
    for level in (1, 9):
        path.write_bytes(gzip.compress(b"abc", level))
        assert sha256_unpacked(path) == ABC
    path.write_bytes(gzip.compress(b"abc")[:-4])
    with pytest.raises(InputError, match="a: is not a whole gzip file"):
        sha256_unpacked(path)
    path.write_bytes(b"abc")
    with pytest.raises(InputError, match=r"a: is not a whole gzip file \(Not a gzipped file"):
        sha256_unpacked(path)


def test_git_blob_of_known_contents(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert git_blob(path) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    path.write_bytes(b"test content\n")
    assert git_blob(path) == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"


def test_git_tree_is_what_git_says(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "repo", FILES)
    git = ["git", "-C", str(folder), "-c", "core.autocrlf=false"]
    try:
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    subprocess.run([*git, "add", "-A"], check=True, capture_output=True)
    expected = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
    plain = write_folder(tmp_path / "plain", FILES)
    assert git_tree_of_folder(plain) == expected
    assert git_tree_in_archive(write_archive(tmp_path / "a.tar.gz", FILES), ".") == expected
    inner = subprocess.run([*git, "rev-parse", f"{expected}:a"], check=True, capture_output=True, text=True).stdout
    assert git_tree_of_folder(plain / "a") == inner.strip()
    assert git_tree_in_archive(tmp_path / "a.tar.gz", "a") == inner.strip()


def test_git_tree_without_git(tmp_path: Path) -> None:
    assert git_tree_of_folder(tmp_path) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_archive_files(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar.gz", FILES)
    assert {str(name): content for name, content in archive_files(path, "a")} == {
        "b.txt": b"one\n",
        "c/d.txt": b"two\n",
        "c.txt": b"",
    }


def test_archives_that_cannot_be_used(tmp_path: Path) -> None:
    unsafe = write_archive(tmp_path / "unsafe.tar.gz", {"a/../../x": b"1"})
    with pytest.raises(InputError, match=r"unsafe\.tar\.gz: the archive holds the unsafe name 'repo-1/a/\.\./\.\./x'"):
        list(archive_files(unsafe, "a"))
    whole = write_archive(tmp_path / "a.tar.gz", {"a/x": bytes(range(256)) * 40}).read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2], gzip.compress(b"no tar")):
        (tmp_path / "broken.tar.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.tar\.gz: is not a whole tar\.gz archive"):
            list(archive_files(tmp_path / "broken.tar.gz", "a"))
