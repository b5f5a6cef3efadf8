"""One file over HTTPS to a path, resumed and tried again where the line breaks; it knows nothing of what is in it."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from projgraph.errors import InputError

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and the bytes there will be, where the server says."""

CHUNK_BYTES = 1 << 16
ANSWERS_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long a download is tried: ``attempts`` in a row that bring no byte, waits that double from ``first_wait``."""

    attempts: int = 5
    first_wait: float = 1.0
    timeout: float = 30.0


class _BrokenLineError(Exception):
    """The transfer stopped for a reason that may pass."""


def download(url: str, target: Path, *, progress: Progress | None = None, patience: Patience | None = None) -> None:
    """Fetch a URL into a file, which appears only when it is whole.

    What came before the line broke stays in ``target`` + ".part", and this call or a later one asks the server for the
    rest only (HTTP Range). Nothing is checked but the length: the caller compares a checksum.

    Raises:
        InputError: the URL is not HTTPS (or HTTP to this machine), the server refuses, or patience is at its end.
    """
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise InputError(f"{url}: expected an https:// address")
    patience = patience or Patience()
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, part, before, progress or _silent, patience.timeout)
            break
        except _BrokenLineError as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= patience.attempts:
                raise InputError(
                    f"{url}: not fetched after {failures} tries ({error}); check the network and run it again: "
                    "what has arrived is kept"
                ) from error
            time.sleep(patience.first_wait * 2 ** (failures - 1))
    part.replace(target)


def _transfer(url: str, part: Path, have: int, progress: Progress, timeout: float) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "projgraph"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            resumed = answer.status == 206 and _range_start(answer) == have
            if answer.status == 206 and not resumed:
                part.unlink()
                raise _BrokenLineError("the server sent another range than the one asked for")
            length = answer.headers.get("Content-Length")
            total = int(length) + (have if resumed else 0) if length and length.isdigit() else None
            with part.open("ab" if resumed else "wb") as file:
                _copy(answer, file, total, lambda here: progress(part.name.removesuffix(".part"), here, total))
                file.flush()
                os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        _explain(url, error, part)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise InputError(f"{url}: the server's certificate is not trusted ({error.reason})") from error
        raise _BrokenLineError(str(error.reason)) from error
    except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
        raise _BrokenLineError(str(error) or type(error).__name__) from error


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, total: int | None, report: Callable[[int], None]) -> None:
    here = file.tell()
    report(here)
    while chunk := answer.read(CHUNK_BYTES):
        file.write(chunk)
        here += len(chunk)
        report(here)
    if total is not None and here != total:
        raise _BrokenLineError(f"the connection ended after {here:,} of {total:,} bytes")


def _explain(url: str, error: urllib.error.HTTPError, part: Path) -> None:
    answer = f"the server answers {error.code} {error.reason}"
    error.close()
    if error.code == 416:  # The part is longer than the file, so it is of something else.
        part.unlink(missing_ok=True)
        raise _BrokenLineError(answer) from error
    if error.code in ANSWERS_WORTH_ANOTHER_TRY:
        raise _BrokenLineError(answer) from error
    raise InputError(f"{url}: {answer}; the file may have moved: fetch it by hand and name its folder") from error


def _range_start(answer: http.client.HTTPResponse) -> int:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _silent(name: str, here: int, total: int | None) -> None:
    pass
