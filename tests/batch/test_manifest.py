"""Manifests: what they ask for, and everything that is wrong with one at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from projgraph.batch.manifest import family, read_manifest
from projgraph.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.pgb", "b.run.npz", "c.csv", "c-test.csv", "more.txt", "d.pgb", "d.run.npz"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def manifest(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text, "utf-8")
    return path


def test_budgets_and_weights_multiply(folder: Path) -> None:
    entries = read_manifest(
        manifest(
            folder,
            """
            [defaults]
            targets = ["c", "pgb"]
            [[models]]
            source = "b.run.npz"
            budgets = ["8KB", "1 MB"]
            weights = [4, 8]
            set = ["student.epochs=3"]
            [[models]]
            source = "a.pgb"
            name = "plain"
            targets = ["wasm"]
            [[models]]
            source = "c.csv"
            budgets = ["16KB"]
            unlabelled = ["more.txt"]
            labels_per_class = 5
            test = "c-test.csv"
            set = ["seed=3"]
            """,
        )
    )
    names = ["b-8KB-4bit", "b-8KB-8bit", "b-1MB-4bit", "b-1MB-8bit", "plain", "c-16KB"]
    assert [entry.name for entry in entries] == names
    assert [(entry.budget, entry.weights) for entry in entries[:4]] == [
        (8192, 4),
        (8192, 8),
        (1 << 20, 4),
        (1 << 20, 8),
    ]
    assert {entry.model for entry in entries[:4]} == {"b"}
    assert entries[0].targets == ("pgb", "c"), "in the order of all targets"
    assert entries[0].settings == ("student.epochs=3",)
    assert (entries[4].source.kind, entries[4].targets) == ("model", ("wasm",))
    config = entries[5].source.config
    assert (config.seed, config.budget) == (3, 16384)
    assert entries[5].source.unlabelled == (folder / "more.txt",)
    assert entries[5].test == folder / "c-test.csv"


def test_weights_have_names_or_bits(folder: Path) -> None:
    text = '[[models]]\nsource = "b.run.npz"\nbudgets = ["8KB"]\nweights = ["ternary", "shared", 1, "int8"]\n'
    entries = read_manifest(manifest(folder, text))
    assert [entry.name for entry in entries] == ["b-8KB-ternary", "b-8KB-shared", "b-8KB-1bit", "b-8KB-int8"]
    assert [entry.weights for entry in entries] == ["ternary", "shared", 1, "int8"]
    rows = read_manifest(manifest(folder, text.replace("b.run.npz", "c.csv")))
    packed = [(entry.source.config.pack.weight_bits, entry.source.config.pack.shared) for entry in rows]
    assert packed == [(2, False), (4, True), (1, False), (8, False)]
    wrong = text.replace('"shared"', '"float16"').replace('["8KB"]', '["8KB"]\nset = ["pack.pruning=0.5"]')
    with pytest.raises(ConfigError) as caught:
        read_manifest(manifest(folder, wrong))
    assert "weights are 'float16'; expected one of int8, int4, shared, ternary, binary" in str(caught.value)
    assert "pruned weights are 0, and one of 1 bit is not" in str(caught.value)


def test_a_model_that_is_changed_is_the_run_beside_it(folder: Path) -> None:
    entries = read_manifest(manifest(folder, '[[models]]\nsource = "d.pgb"\nbudgets = ["8KB"]\n'))
    assert (entries[0].source.kind, entries[0].source.path.name, entries[0].name) == ("run", "d.run.npz", "d-8KB")
    assert read_manifest(manifest(folder, '[[models]]\nsource = "d.pgb"\n'))[0].source.kind == "model"


def test_everything_wrong_is_told_at_once(folder: Path) -> None:
    path = manifest(
        folder,
        """
        [other]
        [[models]]
        source = "missing.run.npz"
        targets = ["c", "rust"]
        budgets = ["8 parsecs"]
        [[models]]
        name = "second"
        sources = "a.pgb"
        [[models]]
        source = "a.pgb"
        budgets = ["8KB"]
        recipe = "r.toml"
        [[models]]
        source = "b.run.npz"
        set = ["trainer.rounds=3"]
        weights = [7]
        [[models]]
        source = "c.csv"
        name = "../escape"
        [[models]]
        source = "photo.jpg"
        [[models]]
        labels_per_class = 0
        [[models]]
        source = "b.run.npz"
        weights = [7]
        [[models]]
        source = "d.run.npz"
        [[models]]
        source = "c.csv"
        name = "D"
        """,
    )
    with pytest.raises(ConfigError) as caught:
        read_manifest(path)
    message = str(caught.value)
    for part in (
        "other is unknown; expected [defaults] and [[models]]",
        "model 1: there is no file",
        "missing.run.npz",
        "target 'rust'; expected pgb, c, wasm, onnx",
        "budgets: '8 parsecs' is not a size",
        "model 2 (second): sources is unknown; expected one of source, name, targets",
        "model 3: there is no file",
        "recipe: a model is trained already",
        "budgets, weights, set and search need what the model was fitted to; give a run as the source",
        "model 4: set trainer.rounds=3: a run is taught already; expected student., projection., pack.",
        "model 5 (../escape): name '../escape' is not the name of a folder",
        "model 6: source photo.jpg is of no known kind; expected .pgb, .run.npz or .csv",
        "model 7: labels_per_class is 0: input should be greater than or equal to 1",
        "model 8: settings: pack.weight_bits is 7",
        "d is the name of several entries; give each model a name of its own",
    ):
        assert part in message, part
    assert message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"there is no \[\[models\]\]; expected one for each model"),
        ("models = 3", r"expected a table \[defaults\] and tables \[\[models\]\]"),
        ("models = [3]", r"model 1 is 3; expected a table \[\[models\]\]"),
        ("[[models]\n", "is not TOML"),
        ("[[models]]\n", "model 1: source is missing"),
        ("a = " + "[" * 100_000, "is not TOML: maximum recursion depth"),
        ("[[models]]\nlabels_per_class = " + "9" * 5000, "is not TOML: Exceeds the limit"),
    ],
)
def test_what_is_no_manifest_is_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_manifest(manifest(folder, text))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(folder / "none.toml")


def test_a_family_is_a_manifest_of_one_run(folder: Path) -> None:
    entries = family(folder / "d.pgb", "8KB, 16KB", ("pgb", "c"), folder / "c-test.csv", search=True)
    assert [entry.name for entry in entries] == ["d-8KB", "d-16KB"]
    assert {(entry.model, entry.search, entry.test) for entry in entries} == {("d", True, folder / "c-test.csv")}
    with pytest.raises(
        ConfigError, match=r"a\.pgb: .*give a run as the source: `projgraph train --keep-run` leaves one beside"
    ):
        family(folder / "a.pgb", "8KB", ("pgb",))
    named = family(folder / "d.pgb", None, ("pgb",), weights="ternary, binary")
    assert [(entry.name, entry.budget, entry.weights) for entry in named] == [
        ("d-ternary", None, "ternary"),
        ("d-binary", None, "binary"),
    ]
    with pytest.raises(ConfigError, match=r"weights are 'gold'; expected one of int8, .*; --weights int4 stands twice"):
        family(folder / "b.run.npz", "8KB", ("pgb",), weights="int4,gold,int4")
    with pytest.raises(ConfigError, match=r"budgets: 'small' is not a size.*; --family 8KB stands twice"):
        family(folder / "b.run.npz", "8KB,small,8KB", ("pgb",))


@pytest.mark.parametrize("name", ["report.html", "Report.HTML", "report.parquet"])
def test_no_model_takes_the_place_of_the_report(folder: Path, name: str) -> None:
    """The report is written last: a folder in its place would end a batch of hours without one."""
    with pytest.raises(ConfigError, match=f"name '{name}' is that of a file beside it; give the model another"):
        read_manifest(manifest(folder, f'[[models]]\nsource = "a.pgb"\nname = "{name}"'))
    (folder / f"{name}.pgb").write_bytes(b"")
    with pytest.raises(ConfigError, match="is that of a file beside it"):
        read_manifest(manifest(folder, f'[[models]]\nsource = "{name}.pgb"'))


@pytest.mark.parametrize("key", ["source", "test"])
@pytest.mark.parametrize("file", ["a" * 5000 + ".pgb", "a\\u0000.pgb", "a/" * 3000 + "a.pgb"])
def test_a_path_that_no_file_can_have_is_no_file(folder: Path, key: str, file: str) -> None:
    given = {"source": "a.pgb", "name": "a"} | {key: file}
    lines = "\n".join(f'{name} = "{value}"' for name, value in given.items())
    with pytest.raises(ConfigError, match=r"model 1 \(a\): there is no file"):
        read_manifest(manifest(folder, f"[[models]]\n{lines}"))
    with pytest.raises(ConfigError, match=r"model 1 \(a\): there is no file"):
        read_manifest(manifest(folder, f'[[models]]\n{lines}\nset = ["pack.pruning=0.5"]'))
