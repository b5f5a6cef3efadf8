"""Digests that say whether a file is the one that was published; it knows nothing of where a file comes from."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from projgraph.errors import InputError

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_unpacked(path: Path) -> str:
    """SHA-256 of what a gzip file holds, which survives another compression of it.

    Raises:
        InputError: it is not a whole gzip file.
    """
    digest = hashlib.sha256()
    for chunk in unpacked(path):
        digest.update(chunk)
    return digest.hexdigest()


def unpacked(path: Path) -> Iterator[bytes]:
    """What a gzip file holds, in chunks.

    Raises:
        InputError: it is not a whole gzip file.
    """
    try:
        with gzip.open(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: is not a whole gzip file ({error}); fetch it again") from error


def git_blob(path: Path) -> str:
    """The name that git gives a file of these bytes: SHA-1 over a header and the bytes."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def git_tree_of_folder(folder: Path) -> str:
    """The name that git gives a folder: all its file names and bytes, as long as no file is executable."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return _tree({path.relative_to(folder).parts: git_blob(path) for path in files})


def git_tree_in_archive(path: Path, inner: str) -> str:
    """The name that git gives a folder inside a tar archive (see `archive_files`).

    Raises:
        InputError: the archive is broken.
    """
    blobs = {}
    for name, content in archive_files(path, inner):
        digest = hashlib.sha1(f"blob {len(content)}\0".encode(), usedforsecurity=False)
        digest.update(content)
        blobs[name.parts] = digest.hexdigest()
    return _tree(blobs)


def archive_files(path: Path, inner: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Names (below a folder) and bytes of the ordinary files that a folder of a tar.gz archive holds.

    The archive is as code hosts make it: one top folder, whose name does not matter, around the repository's files.

    Raises:
        InputError: the archive is broken, or a name in it leads out of the folder.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if not member.isfile() or not name.is_relative_to(inner):
                    continue
                if ".." in name.parts:
                    raise InputError(f"{path}: the archive holds the unsafe name {member.name!r}; do not use it")
                content = cast(BinaryIO, archive.extractfile(member)).read()
                yield name.relative_to(inner), content
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: is not a whole tar.gz archive ({error}); fetch it again") from error


def _tree(blobs: Mapping[tuple[str, ...], str]) -> str:
    files: dict[str, str] = {}
    folders: dict[str, dict[tuple[str, ...], str]] = {}
    for (first, *rest), blob in blobs.items():
        if rest:
            folders.setdefault(first, {})[tuple(rest)] = blob
        else:
            files[first] = blob
    # Git sorts a folder as if its name ended in a slash.
    entries = [(name.encode(), b"100644", blob) for name, blob in files.items()]
    entries += [(name.encode() + b"/", b"40000", _tree(inside)) for name, inside in folders.items()]
    body = b"".join(
        mode + b" " + name.removesuffix(b"/") + b"\0" + bytes.fromhex(blob) for name, mode, blob in sorted(entries)
    )
    return hashlib.sha1(f"tree {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest()
