"""Writing a file whole or not at all; it knows nothing of what is written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from projgraph.errors import OutputError

Writer = Callable[[BinaryIO], object]

_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}
_CANNOT_LINK = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def atomic_write(path: str | os.PathLike[str], content: bytes | Writer) -> int:
    """Put bytes at a path by way of a temporary file in the same folder, fsync and rename; returns their number.

    A reader sees the old file or the new one, even if the machine stops in between. A symbolic link stays and its
    target is replaced. The mode of an old file is kept.

    Args:
        path: the file to write; its folder must exist.
        content: the bytes, or a function that writes them to the open binary file it is given.

    Raises:
        OutputError: the path is not a place for a file, or the system refused to write; what stood there before is
            untouched and no temporary file is left. Other errors of a writer function pass through, likewise.
    """
    given = Path(path)
    target = check_target(given)
    temporary = _temporary_beside(target)
    try:
        size = _write_synced(temporary, content, _mode_of(target))
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {given}: {_reason(error)}; nothing was changed there") from error
        raise
    _sync_folder(target.parent, given)
    return size


def atomic_create(path: str | os.PathLike[str], content: bytes, mode: int = 0o666) -> None:
    """Put bytes at a path where nothing is yet, whole or not at all, by a temporary file that gets a second name there.

    Args:
        path: the file to make; its folder must exist.
        content: the bytes.
        mode: permissions, less those of the umask, from the first moment on: nobody else can open a secret in between.

    Raises:
        OutputError: something is there already, also if it came there meanwhile; or the system refused to write.
    """
    given = Path(path)
    target = check_target(given)
    temporary = _temporary_beside(target)
    try:
        if target.exists():
            raise FileExistsError
        _write_synced(temporary, content, None, mode)
        _link(temporary, target)
    except FileExistsError as error:
        raise OutputError(
            f"cannot write {given}: there is such a file already, and it is not replaced; choose another path"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {given}: {_reason(error)}; nothing was changed there") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync_folder(target.parent, given)


def check_target(given: Path, reads: Iterable[Path | None] = ()) -> Path:
    """The ordinary file, or the free place in an existing folder, that a path leads to.

    Args:
        given: the path to write.
        reads: files that the work reads, which its output must not replace; None stands for none.

    Raises:
        OutputError: the path is neither, or is one of those files; long work asks before it starts.
    """
    try:
        target = Path(os.path.realpath(given))
        kind = target.stat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise OutputError(
                f"cannot write {given}: the folder {given.parent} does not exist; create it or choose another place"
            ) from None
        return target
    except (OSError, ValueError) as error:  # a loop of links, too long a name, a zero byte in it
        raise OutputError(f"cannot write {str(given)!r}: {_reason(error)}; expected the path of a file") from error
    if stat.S_ISDIR(kind):
        raise OutputError(f"cannot write {given}: it is a folder; expected the path of a file")
    if not stat.S_ISREG(kind):
        raise OutputError(f"cannot write {given}: it is a device or a pipe; expected the path of an ordinary file")
    for read in filter(None, reads):
        if read.exists() and read.samefile(target):
            raise OutputError(f"cannot write {given}: it is a file that is read; expected another path for the output")
    return target


def _link(temporary: Path, target: Path) -> None:
    """A second name for a file, if nothing has it; where a file system knows no such names, the only one."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        temporary.rename(target)


def _temporary_beside(target: Path) -> Path:
    return target.with_name(f".projgraph-{secrets.token_hex(8)}.tmp")


def _mode_of(target: Path) -> int | None:
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return None


def _write_synced(temporary: Path, content: bytes | Writer, mode: int | None, first_mode: int = 0o666) -> int:
    """Bytes written to a new file; os.open applies the caller's umask, which a tempfile would not."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), first_mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            with contextlib.suppress(OSError):  # a file system without modes
                temporary.chmod(mode)
        if callable(content):
            content(file)
        else:
            file.write(content)
        file.flush()
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size


def _sync_folder(folder: Path, given: Path) -> None:
    """Make the rename itself durable, where the system can sync a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise OutputError(f"{given} was written, but its folder cannot be synced: {_reason(error)}") from error


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
