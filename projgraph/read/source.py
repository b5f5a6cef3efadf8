"""A file as numbered lines of text: it undoes gzip, decodes UTF-8 and names places; it knows no format."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from projgraph.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Source:
    """A file that a format reads; gzip is recognised by its first bytes, whatever the name says."""

    path: Path

    def fail(self, message: str, line: int | None = None, column: str | None = None, unit: str = "line") -> NoReturn:
        """Raise an `InputError` that names the file and, where they are known, the line (or row) and the column."""
        place = str(self.path)
        if line is not None:
            place += f", {unit} {line}"
        if column is not None:
            place += f", column {column!r}"
        raise InputError(f"{place}: {message}")

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The uncompressed bytes.

        Raises:
            InputError: there is no such file, it is a directory, it is empty, it cannot be read, or its gzip is broken.
        """
        if self.path.is_dir():
            self.fail("is a directory; expected a file: name one file in it")
        try:
            with self.path.open("rb") as raw:
                head = raw.peek(2)[:2]
                if not head:
                    self.fail("is empty; expected at least one row")
                if head == GZIP_MAGIC:
                    with gzip.open(raw) as unpacked:
                        yield cast(BinaryIO, unpacked)
                else:
                    yield raw
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            self.fail(f"is not a whole gzip file ({error}); download or compress it again")
        except FileNotFoundError:
            self.fail("there is no such file; check the path")
        except OSError as error:
            self.fail(f"cannot be read ({error.strerror or error})")

    def lines(self) -> Iterator[str]:
        """Each line with its line end, split at line feeds only, without a byte order mark.

        Raises:
            InputError: a byte is not UTF-8; the message names line and byte.
        """
        with self.open() as stream:
            for number, raw in enumerate(stream, 1):
                if number == 1:
                    raw = self._without_mark(raw)
                try:
                    yield raw.decode()
                except UnicodeDecodeError as error:
                    self.fail(
                        f"byte {error.start + 1} of the line, 0x{raw[error.start]:02x}, is not UTF-8; "
                        "save the file as UTF-8",
                        number,
                    )

    def _without_mark(self, first: bytes) -> bytes:
        if first.startswith(UTF16_BOMS):
            self.fail("starts with a UTF-16 byte order mark; save the file as UTF-8", 1)
        return first.removeprefix(UTF8_BOM)
