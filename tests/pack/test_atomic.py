from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from projgraph.atomic import atomic_create, atomic_write
from projgraph.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_writers_end_up_in_the_file_alone(tmp_path: Path) -> None:
    assert atomic_write(tmp_path / "one", b"abc") == 3
    assert atomic_write(str(tmp_path / "two"), lambda file: file.write(b"12345")) == 5
    assert atomic_write(tmp_path / "one", b"x" * 100_000) == 100_000
    assert (tmp_path / "one").read_bytes() == b"x" * 100_000
    assert (tmp_path / "two").read_bytes() == b"12345"
    assert names(tmp_path) == ["one", "two"]


def test_mode_follows_the_umask_and_then_the_old_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "file", b"")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
        (tmp_path / "file").chmod(0o604)
        atomic_write(tmp_path / "file", b"2")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o604
    finally:
        os.umask(old)


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    atomic_write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("folder", "it is a folder; expected the path of a file"),
        ("missing/file", "missing does not exist; create it or choose another place"),
        ("file/below", "Not a directory"),
        ("pipe", "it is a device or a pipe; expected the path of an ordinary file"),
        ("zero\0byte", "null byte; expected the path of a file"),
        ("n" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_places_that_are_no_file_are_refused(tmp_path: Path, place: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        atomic_write(tmp_path / place, b"new")
    assert "cannot write" in str(caught.value)
    assert message in str(caught.value)
    assert names(tmp_path) == before
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            atomic_write(tmp_path / "file", b"new")
    finally:
        tmp_path.chmod(0o700)


def no_space(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["os.fsync", "os.open", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(place, no_space)
    with pytest.raises(OutputError, match=r"file: No space left on device; nothing was changed there"):
        atomic_write(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_real_device_that_is_full_is_reported(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    def write(file: BinaryIO) -> None:
        descriptor = os.open("/dev/full", os.O_WRONLY)
        os.dup2(descriptor, file.fileno())
        os.close(descriptor)
        file.write(b"x" * 100_000)

    with pytest.raises(OutputError, match="No space left on device"):
        atomic_write(tmp_path / "file", write)
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_writer_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(error):
        atomic_write(tmp_path / "file", write)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_synced_is_no_error_unless_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, codes = os.fsync, [errno.EINVAL, errno.EIO]

    def folder_fails(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(codes[0], os.strerror(codes[0]))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", folder_fails)
    assert atomic_write(tmp_path / "file", b"one") == 3
    codes.pop(0)
    with pytest.raises(OutputError, match="was written, but its folder cannot be synced: Input/output error"):
        atomic_write(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two"


def test_a_new_file_is_made_once_with_its_mode_and_no_other_is_replaced(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        atomic_create(tmp_path / "secret", b"abc", 0o600)
        atomic_create(tmp_path / "open", b"abc")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o666
    with pytest.raises(OutputError, match="secret: there is such a file already, and it is not replaced"):
        atomic_create(tmp_path / "secret", b"def", 0o600)
    assert (tmp_path / "secret").read_bytes() == b"abc"
    assert names(tmp_path) == ["open", "secret"]


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    (tmp_path / "file").write_bytes(b"first")
    with pytest.raises(OutputError, match="there is such a file already"):
        atomic_create(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_where_files_have_one_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    atomic_create(tmp_path / "file", b"abc")
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert names(tmp_path) == ["file"]


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=r"cannot write .*file: No space left on device; nothing was changed there"):
        atomic_create(tmp_path / "file", b"abc")
    assert names(tmp_path) == []
