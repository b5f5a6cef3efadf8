"""The catalogue of public sets: what they are, where each comes from, how it is checked; it trains on none of them."""

from __future__ import annotations

import contextlib
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from projgraph.atomic import atomic_write
from projgraph.errors import InputError, OutputError
from projgraph.read.checksum import (
    git_blob,
    git_tree_in_archive,
    git_tree_of_folder,
    sha256_of,
    sha256_unpacked,
    unpacked,
)
from projgraph.read.convert import CONVERTERS
from projgraph.read.download import Patience, Progress, download

CATALOGUE = Path(__file__).with_name("catalogue.toml")
WORK_FOLDER = ".fetch"
"""Inside the target folder: downloads on their way, and converted files before they are checked."""

_DIGESTS: Mapping[str, Callable[[Path], str]] = {
    "sha256": sha256_of,
    "sha256_unpacked": sha256_unpacked,
    "git_blob": git_blob,
    "git_tree": git_tree_of_folder,
}


@dataclass(frozen=True)
class Check:
    """One digest of a file: ``kind`` is a key of the catalogue (git trees inside archives name their folder)."""

    kind: str
    expected: str
    inner: str = ""

    def of(self, path: Path) -> str:
        """The digest that the file has."""
        digest = partial(git_tree_in_archive, inner=self.inner) if self.inner else _DIGESTS[self.kind]
        return digest(path)


@dataclass(frozen=True)
class CatalogueFile:
    """A file of a set (or, for an output, a folder): its name, its checks, and for an origin its pinned address."""

    name: str
    checks: tuple[Check, ...]
    url: str | None = None

    def problem(self, path: Path) -> str | None:
        """None where the file is the catalogued one, else what is wrong with it."""
        if not path.exists():
            return f"{path}: missing"
        if path.is_dir() != any(check.kind == "git_tree" and not check.inner for check in self.checks):
            return f"{path}: expected a {'file' if path.is_dir() else 'folder'}"
        for check in self.checks:
            try:
                got = check.of(path)
            except InputError as error:
                return str(error)
            if got != check.expected:
                inner = f" of {check.inner}" if check.inner else ""
                return f"{path}: {check.kind}{inner} is {got}; expected {check.expected}"
        return None


@dataclass(frozen=True)
class CatalogueSet:
    """One public set.

    Attributes:
        name: what the command calls it.
        title: what it is, in words.
        homepage: where it is described.
        licence: under which it may be used.
        note: what a user should know, such as what could not be verified.
        converter: a key of `projgraph.read.convert.CONVERTERS`.
        origins: the published files.
        outputs: the converted files.
    """

    name: str
    title: str
    homepage: str
    licence: str
    note: str
    converter: str
    origins: tuple[CatalogueFile, ...]
    outputs: tuple[CatalogueFile, ...]


@dataclass(frozen=True)
class FetchedSet:
    """Where a set now lies; ``source`` is "present", "download", "origin files" or "converted files"."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    source: str


@dataclass(frozen=True)
class Verified:
    """The state of one file of a set: ``problem`` is None where it is the catalogued one."""

    name: str
    path: Path
    problem: str | None


def list_sets(catalogue: Path = CATALOGUE) -> tuple[CatalogueSet, ...]:
    """The sets of the catalogue, in its order.

    Raises:
        InputError: the catalogue cannot be read.
    """
    try:
        tables = tomllib.loads(catalogue.read_text(encoding="utf-8"))
        return tuple(_read_set(name, table) for name, table in tables.items())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{catalogue}: not a catalogue of sets ({type(error).__name__}: {error})") from error


def find_set(name: str, catalogue: Path = CATALOGUE) -> CatalogueSet:
    """The set of that name.

    Raises:
        InputError: there is none; the message lists the names.
    """
    sets = {entry.name: entry for entry in list_sets(catalogue)}
    if name not in sets:
        raise InputError(f"unknown set {name!r}; expected one of {', '.join(sets)}")
    return sets[name]


def verify(name: str, folder: str | Path, catalogue: Path = CATALOGUE) -> tuple[Verified, ...]:
    """Compare the files of a folder with the catalogue; a CSV file may also lie there as .csv.gz.

    Raises:
        InputError: there is no such set.
    """
    states = []
    for file in find_set(name, catalogue).outputs:
        path, problem = _find_output(file, Path(folder))
        states.append(Verified(file.name, path, problem))
    return tuple(states)


def fetch(
    name: str,
    to: str | Path,
    from_dir: str | Path | None = None,
    *,
    progress: Progress | None = None,
    patience: Patience | None = None,
    catalogue: Path = CATALOGUE,
) -> FetchedSet:
    """Put the converted files of a set into a folder, checked before they appear there.

    A folder that holds them already is left as it is. Otherwise the origin files are downloaded, checked and
    converted; a download that stops is resumed by the next call. A checksum that differs keeps nothing.

    Args:
        name: of the set.
        to: the set's own folder; it is made.
        from_dir: a local folder to take instead of the network: it holds the origin files, under the catalogue's
            names, or files that are converted already.
        progress: told how far a download is.
        patience: with a bad connection.
        catalogue: the catalogue to use.

    Raises:
        InputError: no such set, no such file, a checksum that differs, or no connection.
        OutputError: the folder cannot be written.
    """
    entry, folder = find_set(name, catalogue), Path(to)
    try:
        if all(file.problem(folder / file.name) is None for file in entry.outputs):
            return _fetched(entry, folder, "present")
        work = folder / WORK_FOLDER
        is_new, keep = not folder.exists(), from_dir is None
        (work / "origin").mkdir(parents=True, exist_ok=True)
        _fresh(work / "output")
        try:
            if from_dir is not None:
                source = _take(entry, Path(from_dir), work)
            else:
                source = _download(entry, work / "origin", progress, patience)
            if source != "converted files":
                CONVERTERS[entry.converter](work / "origin", work / "output")
            _install(entry, work, folder)
            keep = False
        finally:
            _tidy(work, keep, is_new)
        return _fetched(entry, folder, source)
    except OSError as error:
        place = error.filename or folder
        raise OutputError(f"{place}: {error.strerror or error}; {entry.name} was not fetched") from error


def _download(entry: CatalogueSet, origin: Path, progress: Progress | None, patience: Patience | None) -> str:
    for file in entry.origins:
        target = origin / file.name
        if target.exists() and file.problem(target) is None:
            continue
        download(str(file.url), target, progress=progress, patience=patience)
        problem = file.problem(target)
        if problem:
            _fresh(origin)
            raise InputError(f"{file.url}: {_without_folder(problem, origin)}; nothing was kept: fetch it again")
    return "download"


def _take(entry: CatalogueSet, given: Path, work: Path) -> str:
    """Copy converted files, or else origin files, from a local folder."""
    if not given.is_dir():
        raise InputError(f"{given}: is not a folder; expected one with the files of {entry.name}")
    found = [(file, *_find_output(file, given)) for file in entry.outputs]
    converted = [problem for _, _, problem in found if problem]
    if not converted:
        for file, path, _ in found:
            _copy(path, work / "output" / file.name)
        return "converted files"
    original = [problem for file in entry.origins if (problem := file.problem(given / file.name))]
    if original:
        lacks = f"lacks files of {entry.name}: {'; '.join(original)}"
        if entry.converter != "copy":
            lacks += f"; and it holds no converted ones: {'; '.join(converted)}"
        raise InputError(f"{given}: {lacks}; nothing was kept".replace(f"{given}/", ""))
    for file in entry.origins:
        _copy(given / file.name, work / "origin" / file.name)
    return "origin files"


def _install(entry: CatalogueSet, work: Path, folder: Path) -> None:
    """Move the converted files to their place if all of them are right; else keep nothing."""
    output = work / "output"
    problems = [problem for file in entry.outputs if (problem := file.problem(output / file.name))]
    if problems:
        _fresh(work / "origin")
        wrong = "; ".join(_without_folder(problem, output) for problem in problems)
        raise InputError(f"{entry.name}: {wrong}; nothing was kept")
    for file in entry.outputs:
        made, place = output / file.name, folder / file.name
        if made.is_dir():
            # Thousands of files are not synced one by one: `verify` finds what a power cut may have torn.
            shutil.rmtree(place, ignore_errors=True)
            made.replace(place)
        else:
            atomic_write(place, made.read_bytes())


def _find_output(file: CatalogueFile, folder: Path) -> tuple[Path, str | None]:
    """Where an output lies in a folder, plain or with .gz, and what is wrong with it."""
    plain, packed = folder / file.name, folder / (file.name + ".gz")
    checks = tuple(Check("sha256_unpacked", check.expected) for check in file.checks if check.kind == "sha256")
    if plain.exists() or not packed.exists() or not checks:
        return plain, file.problem(plain)
    return packed, CatalogueFile(packed.name, checks).problem(packed)


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target)
    elif path.name == target.name + ".gz":
        with target.open("wb") as file:
            file.writelines(unpacked(path))
    else:
        shutil.copyfile(path, target)


def _tidy(work: Path, keep: bool, is_new: bool) -> None:
    """Remove the work folder, but for downloads that a later call goes on with, and a new folder that stayed empty."""
    shutil.rmtree(work / "output", ignore_errors=True)
    if not (keep and any((work / "origin").iterdir())):
        shutil.rmtree(work)
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                work.parent.rmdir()


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _fetched(entry: CatalogueSet, folder: Path, source: str) -> FetchedSet:
    return FetchedSet(entry.name, folder, tuple(folder / file.name for file in entry.outputs), source)


def _without_folder(problem: str, folder: Path) -> str:
    return problem.replace(f"{folder}/", "")


def _read_set(name: str, table: dict[str, Any]) -> CatalogueSet:
    origins = tuple(_read_file(file) for file in table["origin"])
    copied = table["converter"] == "copy"
    outputs = origins if copied else tuple(_read_file(file) for file in table["output"])
    if table["converter"] not in CONVERTERS:
        raise ValueError(f"{name} has the unknown converter {table['converter']!r}; known: {', '.join(CONVERTERS)}")
    return CatalogueSet(
        name=name,
        title=table["title"],
        homepage=table["homepage"],
        licence=table["licence"],
        note=table.get("note", ""),
        converter=table["converter"],
        origins=origins,
        outputs=outputs,
    )


def _read_file(table: dict[str, Any]) -> CatalogueFile:
    checks = [Check(kind, table[kind]) for kind in _DIGESTS if kind in table]
    checks += [Check("git_tree", digest, inner) for inner, digest in table.get("git_trees", {}).items()]
    if not checks:
        raise ValueError(f"{table['name']} has no checksum; expected one of {', '.join(_DIGESTS)}, git_trees")
    return CatalogueFile(table["name"], tuple(checks), table.get("url"))
