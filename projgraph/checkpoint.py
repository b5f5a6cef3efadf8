"""Finished parts of a long work, kept beside its output so that a killed run goes on; it knows arrays alone."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from projgraph.atomic import atomic_write
from projgraph.errors import ConfigError, InputError, OutputError

Arrays = Mapping[str, NDArray[Any]]

_KEY = "key.json"


class Checkpoints:
    """A folder ``OUT.partial`` with one file for each finished part.

    A part is made once: the next run with the same key reads it, and since every part follows from the key alone, a
    run that was killed and started again gives the bytes of one that was not. Another key clears the folder.
    In a ``with`` statement the folder goes when the work is done, and when its input is wrong: every run would end so.

    Args:
        out: the output that the work will write.
        key: everything that the parts follow from: settings, and a digest of the input.
        seconds: between two states of a part that `keep` writes.

    Raises:
        OutputError: the folder cannot be made, or there is one that holds something else.
    """

    def __init__(self, out: Path, key: Mapping[str, Any], seconds: float = 20.0) -> None:
        self._seconds, self._kept = seconds, time.monotonic()
        self.folder = out.with_name(out.name + ".partial")
        wanted = json.dumps(key, sort_keys=True).encode()
        try:
            stored = (self.folder / _KEY).read_bytes()
        except OSError:
            stored = None
        if stored != wanted:
            if stored is None:
                self._check_free()
            self.clear()
            try:
                self.folder.mkdir()
            except OSError as error:
                raise OutputError(f"cannot make {self.folder}: {error.strerror}; choose another --out") from error
            atomic_write(self.folder / _KEY, wanted)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, InputError | ConfigError) or not any(self.folder.glob("*.npz")):
            self.clear()

    def part(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of a part: read where an earlier run finished it, made and kept otherwise."""
        found = self.load(name)
        if found is None:
            found = make()
            self.save(name, found)
        return found

    def load(self, name: str) -> Arrays | None:
        """The arrays of a finished part, None where there is none or it is damaged."""
        try:
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return {each: stored[each] for each in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep a part, in place of what was kept under its name."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        atomic_write(self._path(name), buffer.getvalue())

    def keep(self, name: str, state: Callable[[], Arrays]) -> None:
        """Keep the state of a part that is not finished, unless one was kept a short while ago."""
        if time.monotonic() - self._kept >= self._seconds:
            self.save(name, state())
            self._kept = time.monotonic()

    def clear(self) -> None:
        """Forget everything: the work is done, or is another."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_free(self) -> None:
        """A folder without a key is not of a run before; what stands in it is somebody's."""
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise OutputError(
                f"{self.folder} is not of an earlier run, which would keep there what is done; "
                "move it away or choose another --out"
            )

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


def digest(*buffers: bytes | NDArray[Any]) -> str:
    """A hash of the bytes of several buffers, their lengths included."""
    sha = hashlib.sha256()
    for buffer in buffers:
        data = buffer if isinstance(buffer, bytes) else np.ascontiguousarray(buffer).tobytes()
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()
