"""A batch end to end: the same bytes however often it is killed and with however many processes, and a true report."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import projgraph.search
from projgraph.batch.entry import done_from_json
from projgraph.batch.export_job import BatchResult, run_batch
from projgraph.batch.manifest import family, read_manifest
from projgraph.errors import InputError
from projgraph.lesson import KeptRun
from projgraph.read.checksum import sha256_of
from projgraph.runs import locked
from projgraph.runtime import load

from .conftest import in_this_process, quiet

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(run_file: Path, small_model: Path, intents: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of all kinds, a damaged one, and a manifest of nine entries."""
    folder = tmp_path_factory.mktemp("batch")
    shutil.copy(run_file, folder / "intents.run.npz")
    shutil.copy(small_model, folder / "plain.pgb")
    shutil.copy(intents / "test.csv", folder / "test.csv")
    shutil.copy(intents / "train.csv", folder / "rows.csv")
    (folder / "damaged.pgb").write_bytes(small_model.read_bytes()[:-1])
    (folder / "cut.run.npz").write_bytes(run_file.read_bytes()[:500])
    (folder / "manifest.toml").write_text(
        """
        [defaults]
        test = "test.csv"
        targets = ["pgb"]
        [[models]]
        source = "plain.pgb"
        targets = ["pgb", "c"]
        [[models]]
        source = "intents.run.npz"
        budgets = ["1KB", "3KB", "6KB"]
        weights = [4, 8]
        [[models]]
        source = "damaged.pgb"
        [[models]]
        source = "cut.run.npz"
        budgets = ["4KB"]
        """
    )
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> tuple[BatchResult, list[str]]:
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projgraph.batch.export_job.run_all", in_this_process)
        return run_batch(read_manifest(folder / "manifest.toml"), folder / "out", 1, lines.append), lines


def files_of(out: Path) -> dict[str, str]:
    """Checksums of everything but the records and the report, which tell seconds."""
    return {
        path.relative_to(out).as_posix(): sha256_of(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".projgraph" not in path.parts and path.parent != out
    }


def accuracy(model: Path, test: Path) -> float:
    with test.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = load(model).predict([row["text"] for row in rows])
    return sum(label == row["label"] for label, row in zip(found, rows, strict=True)) / len(rows)


def test_every_entry_ends_and_those_that_fail_say_why(done: tuple[BatchResult, list[str]], folder: Path) -> None:
    result, lines = done
    figures = result.to_json()
    assert {name: figures[name] for name in ("entries", "made", "unchanged", "failed")} == {
        "entries": 9,
        "made": 5,
        "unchanged": 0,
        "failed": 4,
    }
    assert [failure.split(":")[0] for failure in result.failures] == [
        "intents-1KB-4bit",
        "intents-1KB-8bit",
        "damaged",
        "cut-4KB",
    ]
    told = dict(failure.split(": ", 1) for failure in result.failures)
    assert "a budget of 1024 bytes has room for fewer than 256 bits beside 5 classes" in told["intents-1KB-8bit"]
    assert "the smallest that is worth it is" in told["intents-1KB-8bit"]
    assert "expected the" in told["damaged"]
    assert "is no run, or is damaged" in told["cut-4KB"]
    assert len(lines) == 9
    assert any(line.startswith("9/9 ") for line in lines)


def test_models_fit_and_figures_are_those_of_the_files(done: tuple[BatchResult, list[str]], folder: Path) -> None:
    result, _ = done
    for outcome in result.outcomes:
        if outcome.done is None:
            continue
        model = folder / "out" / outcome.entry.name / f"{outcome.entry.name}.pgb"
        assert model.stat().st_size == outcome.done.model.size <= (outcome.entry.budget or 1 << 20)
        assert outcome.done.test_accuracy == pytest.approx(accuracy(model, folder / "test.csv"))
        if outcome.entry.source.kind == "run":
            assert 0.2 < outcome.done.held_out_accuracy <= 1
        else:
            assert outcome.done.held_out_accuracy is None
    assert (folder / "out" / "plain" / "plain.pgb").read_bytes() == (folder / "plain.pgb").read_bytes()
    assert (folder / "out" / "plain" / "c" / "projgraph.c").is_file()


def test_the_table_has_a_row_for_each_target(done: tuple[BatchResult, list[str]], folder: Path) -> None:
    result, _ = done
    rows = pq.read_table(result.table).to_pylist()
    assert rows == result.to_json()["rows"]
    assert len(rows) == 10
    assert [row["status"] for row in rows].count("failed") == 4
    formats = {(row["weights"], row["weight_format"]) for row in rows if row["model"] == "intents"}
    assert formats == {("4", None), ("8", None), ("4", "int4"), ("8", "int8")}
    c = next(row for row in rows if (row["name"], row["target"]) == ("plain", "c"))
    assert c["target_bytes"] == sum(file["bytes"] for file in c["files"])
    for file in c["files"]:
        path = folder / "out" / "plain" / file["path"]
        assert (path.stat().st_size, sha256_of(path)) == (file["bytes"], file["sha256"])


def test_the_page_asks_nothing_of_a_network_and_draws_the_front(done: tuple[BatchResult, list[str]]) -> None:
    page = done[0].report.read_text("utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert '<svg role="img" aria-label="Accuracy against bytes"' in page
    assert page.count("<h2>") == 4, "the model of several sizes, entries, checksums, failures"
    for part in ("intents-6KB-8bit", "damaged", "the smallest that is worth it is", "SHA-256"):
        assert part in page


@pytest.mark.usefixtures("in_process")
def test_nothing_is_done_twice_and_what_is_gone_is_made_again(
    done: tuple[BatchResult, list[str]], folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(folder / "out", out)
    before = files_of(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.pgb")}
    entries = [entry for entry in read_manifest(folder / "manifest.toml") if entry.model in ("intents", "plain")]
    kept = [entry for entry in entries if entry.budget != 1024]
    result = run_batch(kept, out, 1, quiet)
    assert result.to_json()["unchanged"] == 5
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.pgb")} == times
    (out / "plain" / "c" / "model.c").unlink()
    (out / "intents-3KB-4bit" / "intents-3KB-4bit.pgb").write_bytes(b"something else")
    again = run_batch(kept, out, 1, quiet)
    assert [outcome.entry.name for outcome in again.outcomes if not outcome.unchanged] == ["plain", "intents-3KB-4bit"]
    assert files_of(out) == before


@pytest.mark.usefixtures("in_process")
def test_another_setting_another_input_or_another_version_is_made_anew(
    done: tuple[BatchResult, list[str]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, source = tmp_path / "out", tmp_path / "plain.pgb"
    shutil.copytree(folder / "out", out)
    shutil.copy(folder / "plain.pgb", source)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text('[[models]]\nsource = "plain.pgb"\n')
    assert not run_batch(read_manifest(manifest), out, 1, quiet).outcomes[0].unchanged, "without the test file"
    assert run_batch(read_manifest(manifest), out, 1, quiet).outcomes[0].unchanged
    shutil.copy(folder / "out" / "intents-3KB-4bit" / "intents-3KB-4bit.pgb", source)
    assert not run_batch(read_manifest(manifest), out, 1, quiet).outcomes[0].unchanged
    assert (out / "plain" / "plain.pgb").read_bytes() == source.read_bytes()
    monkeypatch.setattr("projgraph.batch.store.__version__", "9.9")
    assert not run_batch(read_manifest(manifest), out, 1, quiet).outcomes[0].unchanged


def start(manifest: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "projgraph", "export", manifest, "--out", out, "--jobs", "1", "--json"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def children(process: int) -> list[int]:
    """The processes that a process has started and that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == process:
                found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="the system has no /proc")
def test_a_killed_batch_goes_on_to_the_same_bytes(
    done: tuple[BatchResult, list[str]], folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(folder / "manifest.toml", out)
    deadline = time.monotonic() + 300
    while len(list(out.glob(".projgraph/*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    records = sorted(out.glob(".projgraph/*.json"), key=lambda path: path.stat().st_mtime_ns)
    # The newest may lack a target: a record grows with each of them.
    first = {path: path.stat().st_mtime_ns for path in records[:-1]}
    assert workers
    assert 0 < len(first) < 5, "killed in the middle"
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers), "a worker ends with the process that started it"
    process = start(folder / "manifest.toml", out)
    printed = json.loads(process.communicate()[0])
    assert process.returncode == 1, "entries have failed"
    assert printed["unchanged"] >= len(first)
    assert {path: path.stat().st_mtime_ns for path in first} == first, "what was finished was not made again"
    assert files_of(out) == files_of(folder / "out")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may still be listed until its parent asks for it."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("in_process")
def test_a_family_says_what_each_size_is_worth(run_file: Path, folder: Path, tmp_path: Path) -> None:
    entries = family(run_file, "3KB,4KB", ("pgb",), folder / "test.csv", search=True)
    result = run_batch(entries, tmp_path / "family", 1, quiet)
    small, large = (outcome.done for outcome in result.outcomes)
    assert small.model.size <= 3072 < large.model.size <= 4096
    assert len(large.tried) > 1
    best = max(point.held_out_accuracy for point in large.tried)
    assert large.held_out_accuracy == best
    assert "tried" in result.report.read_text("utf-8")
    assert f"{small.held_out_accuracy:.1%}"[:-1] in result.report.read_text("utf-8")
    # The number of processes does not decide a byte, nor do the other sizes.
    alone = run_batch(family(run_file, "4KB", ("pgb",), search=True), tmp_path / "alone", 2, quiet)
    assert alone.outcomes[0].done.model.sha256 == large.model.sha256


@pytest.mark.usefixtures("in_process")
def test_a_file_of_rows_is_taught_once_for_all_sizes(folder: Path, kept: KeptRun, tmp_path: Path) -> None:
    settings = [
        f'"{name}={json.dumps(value)}"'
        for name, value in kept.config.flattened().items()
        if value is not None and name.split(".")[0] in ("features", "graph", "trainer", "student")
    ]
    manifest = tmp_path / "manifest.toml"
    quoted = ", ".join("'" + each[1:-1] + "'" for each in settings)
    manifest.write_text(f'[[models]]\nsource = "{folder / "rows.csv"}"\nbudgets = ["3KB", "4KB"]\nset = [{quoted}]\n')
    lines: list[str] = []
    result = run_batch(read_manifest(manifest), tmp_path / "out", 2, lines.append)
    assert result.failures == ()
    assert [line for line in lines if line.startswith("taught by")] == [f"taught by {folder / 'rows.csv'}"]
    assert len(list((tmp_path / "out" / ".projgraph").glob("*.run.npz"))) == 1
    of_run = run_batch(family(folder / "intents.run.npz", "3KB", ("pgb",)), tmp_path / "run", 1, quiet)
    sizes = [outcome.done.model.size for outcome in result.outcomes]
    assert sizes[0] == of_run.outcomes[0].done.model.size, "the same rows and settings"
    (folder / "empty.csv").write_text("text,label\n")
    manifest.write_text(f'[[models]]\nsource = "{folder / "empty.csv"}"\nbudgets = ["3KB", "4KB"]\n')
    failed = run_batch(read_manifest(manifest), tmp_path / "out", 1, quiet)
    told = f"{folder / 'empty.csv'}: has no rows; expected at least one row of text after the header"
    assert failed.failures == (f"empty-3KB: {told}", f"empty-4KB: {told}")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("dimensions", [0, 8])
def test_budgets_that_choose_the_same_student_fit_it_once(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dimensions: int
) -> None:
    """Also where a plan has room for more words than the texts have; the bytes are those of a fit of its own."""
    fits = []
    best = projgraph.search.best_student
    monkeypatch.setattr(
        "projgraph.search.best_student", lambda *given, **options: fits.append(1) or best(*given, **options)
    )
    settings = ("projection.bits=256", "student.units=16", f"projection.words.dimensions={dimensions}")
    shared, alone = (
        [replace(entry, settings=settings) for entry in family(run_file, sizes, ("pgb",))]
        for sizes in ("40KB,60KB", "60KB")
    )
    both = run_batch(shared, tmp_path / "both", 1, quiet)
    assert both.failures == ()
    assert len(fits) == 1
    assert [outcome.done.model.size for outcome in both.outcomes] == [both.outcomes[0].done.model.size] * 2
    own = run_batch(alone, tmp_path / "own", 1, quiet).outcomes[0].done
    assert len(fits) == 2
    assert replace(both.outcomes[1].done, seconds=own.seconds) == own
    # A model that is gone or changed is no model to share.
    (tmp_path / "both" / "intents-40KB" / "intents-40KB.pgb").write_bytes(b"")
    (tmp_path / "both" / "intents-60KB" / "intents-60KB.pgb").unlink()
    assert run_batch(shared, tmp_path / "both", 1, quiet).outcomes[1].done.model == own.model
    assert len(fits) == 3


@pytest.mark.usefixtures("in_process")
def test_sources_take_turns(run_file: Path, tmp_path: Path) -> None:
    """What two entries of one source could share is finished before the second begins; the report keeps the order."""
    for name in "ab":
        shutil.copy(run_file, tmp_path / f"{name}.run.npz")
    entries = [entry for name in "ab" for entry in family(tmp_path / f"{name}.run.npz", "3KB,4KB", ("pgb",))]
    lines: list[str] = []
    result = run_batch(entries, tmp_path / "out", 1, lines.append)
    assert [line.split()[1] for line in lines] == ["a-3KB:", "b-3KB:", "a-4KB:", "b-4KB:"]
    assert [outcome.entry.name for outcome in result.outcomes] == ["a-3KB", "a-4KB", "b-3KB", "b-4KB"]


@pytest.mark.usefixtures("in_process")
def test_one_batch_at_a_time_writes_into_a_folder(folder: Path, tmp_path: Path) -> None:
    manifest = folder / "one.toml"
    manifest.write_text('[[models]]\nsource = "plain.pgb"\n')
    run_batch(read_manifest(manifest), tmp_path, 1, quiet)
    with locked(tmp_path / ".projgraph", 0.0), pytest.raises(InputError, match="another process is using"):
        run_batch(read_manifest(manifest), tmp_path, 1, quiet)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"key": 3, "model": {}, "tried": [], "targets": {}}'])
def test_damaged_records_are_none(data: bytes) -> None:
    assert done_from_json(data) is None


def test_records_come_back(done: tuple[BatchResult, list[str]]) -> None:
    for outcome in done[0].outcomes:
        if outcome.done is not None:
            assert done_from_json(outcome.done.to_json()) == outcome.done


@pytest.mark.usefixtures("in_process")
def test_a_size_with_too_few_bits_is_refused_by_the_smallest_that_is_worth_it(run_file: Path, tmp_path: Path) -> None:
    result = run_batch(family(run_file, "2KB", ("pgb",)), tmp_path / "small", 1, quiet)
    (failure,) = result.failures
    assert "a budget of 2048 bytes has room for fewer than 256 bits beside 5 classes; the smallest that is" in failure
    needed = int(failure.split("worth it is ")[1].split(" bytes")[0])
    enough = family(run_file, f"{needed}B", ("pgb",))
    done = run_batch(enough, tmp_path / "enough", 1, quiet).outcomes[0].done
    assert done.bits == 256
    assert done.model.size <= needed
    assert run_batch(family(run_file, f"{needed - 1}B", ("pgb",)), tmp_path / "less", 1, quiet).failures
