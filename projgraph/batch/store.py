"""What is done already, and whether it still is what is asked for; it makes no model.

OUT/NAME/NAME.pgb             the model of an entry
OUT/NAME/c, wasm, onnx        its targets
OUT/.projgraph/NAME.json      the record, written when the entry is finished
OUT/.projgraph/HASH.run.npz   what a file of rows taught, for all sizes made from it
OUT/.projgraph/HASH.fit.npz   a fit, for all forms of weights that it can have
OUT/.projgraph/HASH.student   the name of a finished entry with that student, which others may share
OUT/report.html, .parquet     all entries
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from projgraph import __version__
from projgraph.atomic import atomic_write
from projgraph.batch.entry import Done, Entry, SourceFile, Written, done_from_json
from projgraph.config import PackConfig, TrainConfig
from projgraph.errors import InputError
from projgraph.lesson import RUN_SUFFIX
from projgraph.pack.export import make_folder
from projgraph.read.checksum import sha256_of

RECORDS = ".projgraph"
_KEY_CHARACTERS = 32


@dataclass(frozen=True)
class Store:
    """The folder of a batch; hashes of its input are computed once.

    Attributes:
        out: the folder.
    """

    out: Path
    _digests: dict[Path, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: the system refuses.
        """
        make_folder(self.out / RECORDS)

    @property
    def fits(self) -> Path:
        """The folder where fits are kept, as `projgraph.projection.kept` does; each may be deleted at any time."""
        return self.out / RECORDS

    def folder(self, entry: Entry) -> Path:
        """Where the files of an entry stand."""
        return self.out / entry.name

    def model(self, entry: Entry) -> Path:
        """Where its model stands."""
        return self._model(entry.name)

    def lesson(self, source: SourceFile) -> Path:
        """Where what a file of rows taught is kept: the same for all budgets and widths of weights."""
        taught = None
        if source.config is not None:
            taught = _unbudgeted(source.config.model_copy(update={"pack": PackConfig()}))
        return self.out / RECORDS / f"{self._hash([taught, *self._facts(source)])}{RUN_SUFFIX}"

    def key(self, entry: Entry) -> str:
        """A hash of all that a model and its figures follow from: content of input and encoder, settings, version.

        Raises:
            InputError: a file cannot be read.
        """
        config = None if entry.source.config is None else entry.source.config.flattened()
        test = None if entry.test is None else self._digest(entry.test)
        wanted = [entry.budget, entry.weights, entry.settings, entry.search, test]
        return self._hash([config, wanted, *self._facts(entry.source)])

    def done(self, entry: Entry, key: str) -> Done | None:
        """The record of a finished entry, with the targets whose files are still there; None where it is to be made."""
        try:
            found = done_from_json(self._record(entry.name).read_bytes())
        except OSError:
            return None
        if found is None or found.key != key or not self._intact(entry, (found.model,)):
            return None
        intact = {target: files for target, files in found.targets.items() if self._intact(entry, files)}
        return replace(found, targets=intact)

    def save(self, entry: Entry, done: Done) -> None:
        """Record an entry as finished, by an atomic write.

        Raises:
            OutputError: the system refuses.
        """
        atomic_write(self._record(entry.name), done.to_json())

    def student_key(self, source: SourceFile, config: TrainConfig, dimensions: Sequence[int]) -> str:
        """A hash of everything that a student follows from; its budget only chose the dimensions.

        Raises:
            InputError: a file cannot be read.
        """
        return self._hash([_unbudgeted(config), list(dimensions), *self._facts(source)])

    def remember(self, student: str, entry: Entry) -> None:
        """Keep that a finished entry has the student of this key.

        Raises:
            OutputError: the system refuses.
        """
        atomic_write(self._student(student), json.dumps(entry.name).encode())

    def alike(self, student: str) -> tuple[bytes, Done] | None:
        """The model file and record of a finished entry with the student of this key; None where it is to be fitted.

        The entry may have been made anew since, even while this looks: its record says which student it has now, and
        the bytes that are compared with the record are those that are returned.
        """
        try:
            name = str(json.loads(self._student(student).read_bytes()))
            if Path(name).name != name:  # no entry of this folder
                return None
            found = done_from_json(self._record(name).read_bytes())
            model = self._model(name).read_bytes()
        except (OSError, ValueError, RecursionError):
            return None
        if found is None or (found.student, found.model.sha256) != (student, hashlib.sha256(model).hexdigest()):
            return None
        return model, found

    def written(self, entry: Entry, files: Sequence[Path]) -> tuple[Written, ...]:
        """Facts of files below an entry's folder."""
        folder = self.folder(entry)
        return tuple(
            Written(path.relative_to(folder).as_posix(), path.stat().st_size, sha256_of(path)) for path in files
        )

    def _model(self, name: str) -> Path:
        return self.out / name / f"{name}.pgb"

    def _record(self, name: str) -> Path:
        return self.out / RECORDS / f"{name}.json"

    def _student(self, student: str) -> Path:
        return self.out / RECORDS / f"{student}.student"

    def _intact(self, entry: Entry, files: Sequence[Written]) -> bool:
        folder = self.folder(entry)
        try:
            return all(sha256_of(folder / file.path) == file.sha256 for file in files)
        except (OSError, ValueError):  # ValueError: a zero byte in the path of a damaged record
            return False

    def _facts(self, source: SourceFile) -> list[Any]:
        files = [self._digest(path) for path in (source.path, *source.unlabelled)]
        rows = [source.labels_per_class, source.text_column, source.label_column]
        return [source.kind, files, self._encoder_files(source.config), *rows]

    def _encoder_files(self, config: TrainConfig | None) -> list[tuple[str, str]]:
        """The files of an encoder that is a folder: another may be put in its place under the same name."""
        folder = Path(config.encoder) if config is not None and config.encoder else None
        if folder is None or not folder.is_dir():
            return []
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [(path.relative_to(folder).as_posix(), self._digest(path)) for path in files]

    def _digest(self, path: Path) -> str:
        """Of the content and of the extension that says how it is read."""
        if path not in self._digests:
            try:
                self._digests[path] = sha256_of(path) + Path(path.name.lower().removesuffix(".gz")).suffix
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        return self._digests[path]

    def _hash(self, facts: list[Any]) -> str:
        text = json.dumps([__version__, *facts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_CHARACTERS]


def _unbudgeted(config: TrainConfig) -> dict[str, Any]:
    """All settings, the budgets as they are by default."""
    return config.model_copy(update={"budget": TrainConfig().budget, "time_budget": None}).flattened()
