"""Bundles: heads with their models' integers, what they share written once, hostile files refused by both readers."""

from __future__ import annotations

import dataclasses
import io
import resource
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

import projgraph
from projgraph.errors import ConfigError, InputError, ModelFileError, OutputError
from projgraph.native import NativeBundle, NativeModel
from projgraph.pack.bundle import bundle_bytes, bundle_heads, read_bundle, shared_kinds, unbundle, write_bundle
from projgraph.pack.export import export_model
from projgraph.pack.format import PACKED_MINOR, WEIGHT_NAMES, BundleSection, Section
from projgraph.pack.inspect_bundle import describe_bundle, is_bundle, render_bundle
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import read_model
from projgraph.pack.write import HEADER_STRUCT, SECTION_STRUCT, model_bytes
from projgraph.records import Texts
from projgraph.runtime import load, load_bundle

from ..core.reference_head import random_file
from .test_attacks import entry_of, with_section

MakeModel = Callable[..., QuantisedModel]
TEXTS = Texts.from_strings(["", "card", "the lamp on", "ünï ☃ 🙂", "lamp lamp lamp " * 40, "\x00", "ab cd ef gh"])

STATUS = Path("/proc/self/statm")


def resident_bytes() -> int:
    return int(STATUS.read_text().split()[1]) * resource.getpagesize()


def seal(data: bytes | bytearray) -> bytes:
    return bytes(data[:12]) + struct.pack("<I", zlib.crc32(data[16:])) + bytes(data[16:])


def patch(data: bytes, offset: int, code: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + code, changed, offset, value)
    return seal(changed)


def refusal(data: bytes) -> str | None:
    """Why the Python reader refuses the bytes; None where it takes them. Any other error fails the test."""
    try:
        read_bundle(data)
    except ModelFileError as error:
        return str(error)
    return None


def core_takes(data: bytes) -> bool:
    try:
        NativeBundle(data)
    except ModelFileError:
        return False
    return True


@pytest.fixture(scope="module")
def models(make_model: MakeModel) -> dict[str, QuantisedModel]:
    """Linear, narrow, and hidden heads; two of them with the same words and hidden layer, two with the same labels."""
    first = make_model(seed=1)
    projection = first.projection
    trunk = make_model(seed=2, units=6, words=9, filters=3)
    other = make_model(seed=3, units=6, words=9, filters=3, classes=7)
    twin = dataclasses.replace(
        other,
        hidden=trunk.hidden,
        hidden_shift=trunk.hidden_shift,
        words=trunk.words,
        norm_shift=trunk.norm_shift,
        convolution=trunk.convolution,
        threshold=0,
    )
    all_models = {
        "plain": first,
        "small": make_model(seed=4, weight_bits=4, classes=3),
        "trunk": trunk,
        "twin": twin,
        "words": make_model(seed=5, words=4),
        "labels": dataclasses.replace(make_model(seed=6), classes=first.classes),
        "again": dataclasses.replace(trunk, threshold=5),
    }
    return {name: dataclasses.replace(model, projection=projection) for name, model in all_models.items()}


@pytest.fixture(scope="module")
def files(models: Mapping[str, QuantisedModel]) -> dict[str, bytes]:
    return {name: model_bytes(model, {"name": name}) for name, model in models.items()}


@pytest.fixture(scope="module")
def bundle(files: Mapping[str, bytes]) -> bytes:
    return bundle_bytes(files)


def test_every_head_scores_as_its_model(files: Mapping[str, bytes], bundle: bytes) -> None:
    together, found = NativeBundle(bundle), NativeBundle(bundle).scores(TEXTS)
    assert list(found) == list(files) == list(together.heads)
    for name, file in files.items():
        alone = NativeModel(file)
        np.testing.assert_array_equal(found[name], alone.scores(TEXTS))
        np.testing.assert_array_equal(together.heads[name].scores(TEXTS), alone.scores(TEXTS))
        assert together.heads[name].classes == alone.classes
        assert together.heads[name].provenance == {"name": name}
        assert [together.predict_one(text)[name] for text in TEXTS] == [alone.predict_one(text) for text in TEXTS]


@pytest.mark.skipif(not STATUS.exists(), reason="no /proc to read the memory from")
def test_weights_of_a_head_are_laid_out_when_it_is_asked() -> None:
    """A hidden layer that 64 heads share would be copied 64 times, 32 MB of 0.5."""
    file = random_file(ProjectionSpec.for_text(bits=4096), 1, 3, 8, 256, 4)
    data = bundle_bytes({str(head): file for head in range(64)})
    before = resident_bytes()
    heads = NativeBundle(data).heads
    assert resident_bytes() - before < 8e6
    alone = NativeModel(file)
    np.testing.assert_array_equal(heads["63"].scores(TEXTS), alone.scores(TEXTS))
    assert heads["63"].vectors == heads["7"].vectors == alone.vectors


def test_what_heads_have_in_common_is_computed_once_with_the_same_scores(files: Mapping[str, bytes]) -> None:
    """In every order of neighbours: with a trunk in common, with another one, without any."""
    for order in (["trunk", "twin", "again"], ["twin", "plain", "trunk", "words", "again", "small"]):
        found = NativeBundle(bundle_bytes({name: files[name] for name in order})).scores(TEXTS)
        for name in order:
            np.testing.assert_array_equal(found[name], NativeModel(files[name]).scores(TEXTS), err_msg=name)


def twisted_heads() -> dict[str, bytes]:
    """Two heads whose hidden weights are the same bytes in the same place: places in a codebook for one of them, sparse
    values for the other. What the first one takes for codebook and rows has the second one's counts and values."""
    rng = np.random.default_rng(0)
    starts = struct.pack("<4I", 0, 32, 64, 96)
    rows = bytes(rng.choice([3, 5, 6], 64).tolist())  # two of three outputs
    values = rng.integers(0, 256, 64).astype(np.uint8)
    values[1::2] &= 15  # the half byte behind the third output of a codebook's row
    content = starts + rows + values.tobytes() + bytes(32)
    file = random_file(ProjectionSpec.for_text(bits=64), 1, 5, 8, 3, 20, shift=3)
    first = with_section(file, Section.HIDDEN_WEIGHTS, content)
    head = entry_of(first, Section.HEAD)[1].offset
    return {"shared": first, "sparse": patch(first, head + 2, "B", 36)}


def test_the_same_bytes_in_another_format_are_another_hidden_layer() -> None:
    files = twisted_heads()
    bundle = bundle_bytes(files)
    assert shared_kinds(bundle)["hidden_weights"] == shared_kinds(bundle)["hidden_bias"] == 1
    apart = {name: NativeModel(file).scores(TEXTS) for name, file in files.items()}
    assert not np.array_equal(apart["shared"], apart["sparse"])
    for order in (["shared", "sparse"], ["sparse", "shared"]):
        found = NativeBundle(bundle_bytes({name: files[name] for name in order})).scores(TEXTS)
        for name in order:
            np.testing.assert_array_equal(found[name], apart[name])


def test_packed_heads_come_back_and_ask_for_the_minor_version_that_has_them(files: Mapping[str, bytes]) -> None:
    spec = ProjectionSpec.for_text(bits=64)
    packed = {
        name: random_file(spec, kind, 9, kind, units=7 * (kind % 3), hidden_width=kind)
        for kind, name in WEIGHT_NAMES.items()
    }
    bundle = bundle_bytes(packed)
    assert unbundle(bundle) == packed
    assert bundle[6] == PACKED_MINOR > bundle_bytes(files)[6]
    found = NativeBundle(bundle).scores(TEXTS)
    for name, file in packed.items():
        np.testing.assert_array_equal(found[name], NativeModel(file).scores(TEXTS), err_msg=name)
    account = describe_bundle(bundle)
    assert [head["weights"] for head in account["heads"]] == list(packed)


def test_the_models_come_back_byte_for_byte(files: Mapping[str, bytes], bundle: bytes) -> None:
    assert unbundle(bundle) == files
    assert bundle_bytes(files) == bundle


def test_sections_in_common_stand_there_once(bundle: bytes) -> None:
    shared = shared_kinds(bundle)
    assert shared["projection"] == 1
    assert shared["words"] == 2, "of four heads with words"
    assert shared["hidden_weights"] == 1, "of three heads with a hidden layer"
    assert shared["provenance"] == 7
    assert shared["labels"] == 3, "of five, of three and of seven classes"
    heads = {head.name: head for head in bundle_heads(bundle)}
    assert heads["trunk"].sections[Section.WORDS] == heads["twin"].sections[Section.WORDS]
    assert heads["plain"].sections[Section.LABELS] == heads["labels"].sections[Section.LABELS]


def test_hundred_copies_cost_little_more_than_one(files: Mapping[str, bytes]) -> None:
    data = bundle_bytes({f"copy{index}": files["trunk"] for index in range(100)})
    assert len(data) < len(files["trunk"]) + 100 * (2 * 16 + 4 + 6) + 200, "slots, an offset and a name each"
    assert shared_kinds(data) == dict.fromkeys(shared_kinds(data), 1)


def test_models_of_other_projections_are_refused(make_model: MakeModel, files: Mapping[str, bytes]) -> None:
    other = model_bytes(make_model(seed=9), {})
    with pytest.raises(ConfigError, match=r"^other and plain have different projections; expected models of the same"):
        bundle_bytes({"plain": files["plain"], "other": other})
    with pytest.raises(ConfigError, match="there are 0 models; expected 1 to 4096"):
        bundle_bytes({})
    with pytest.raises(ModelFileError, match="cut: length is"):
        bundle_bytes({"cut": files["plain"][:-1]})


def rows_of(data: bytes) -> list[tuple[int, int, int]]:
    """Offset in the table, kind and offset of every section."""
    count = HEADER_STRUCT.unpack_from(data)[5]
    found = []
    for row in range(count):
        place = HEADER_STRUCT.size + row * SECTION_STRUCT.size
        kind, offset, _, _ = SECTION_STRUCT.unpack_from(data, place)
        found.append((place, kind, offset))
    return found


def attacks(data: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Hostile files made from a bundle of seven heads: name, bytes, message."""
    rows = rows_of(data)
    place, _, heads = next(row for row in rows if row[1] == BundleSection.HEADS)
    length = struct.unpack_from("<I", data, place + 8)[0]
    slots_at = heads + 8 + 4 * 8
    yield "a model", patch(data, 0, "I", 0x00424750), "magic is"
    yield "major", patch(data, 4, "H", 2), "major version is 2; expected 1"
    yield "sections", patch(data, 16, "I", 0xFFFFFFFF), "sections is 4294967295; expected at most"
    yield "no directory", patch(data, place, "I", 0x9000), "sections of kind HEADS is 0; expected one"
    yield "two directories", patch(data, rows[1][0], "I", BundleSection.HEADS), "sections of kind HEADS is 2"
    yield "unknown kind", patch(data, rows[1][0], "I", 0x7002), "kind is 28674"
    yield "kind zero", patch(data, rows[1][0], "I", 0), "kind is 0"
    yield "row reserved", patch(data, rows[2][0] + 12, "I", 1), "reserved is 1; expected 0"
    yield "offset", patch(data, rows[3][0] + 4, "I", 8), "is 8; expected a multiple of 16"
    yield "end", patch(data, rows[-1][0] + 8, "I", 0xFFFFFFF0), "expected at most the file's length"
    for value in (0, 4097, 0xFFFFFFFF):
        yield f"count {value}", patch(data, heads, "I", value), f"heads.count is {value}; expected 1 to 4096"
    yield "count 6", patch(data, heads, "I", 6), "heads.offsets is"
    yield "count 8", patch(data, heads, "I", 8), "heads.offsets is 0 to"
    for value in (0, 1, 65, 0xFFFFFFFF):
        yield f"slots {value}", patch(data, heads + 4, "I", value), f"heads.slots is {value}; expected 2 to 64"
    yield "slots 64", patch(data, heads + 4, "I", 64), "length of HEADS is"
    yield "first offset", patch(data, heads + 8, "I", 1), "heads.offsets is 1 to"
    yield "descending", patch(data, heads + 16, "I", 0xFFFFFFFF), "heads.offsets is"
    yield "last offset", patch(data, heads + 8 + 28, "I", 0xFFFFFFFF), "heads.offsets is"
    for slot in (0, 1, 2):
        yield f"row past the table {slot}", patch(data, slots_at + 2 * slot, "H", 0xFFFF), f"slots[{slot}] is 65535"
        yield f"the directory's row {slot}", patch(data, slots_at + 2 * slot, "H", 1), f"slots[{slot}] is 1; expected"
    yield "another kind", patch(data, slots_at + 4, "H", 4), "heads[0].slots[2] is 4; expected 0, or a section of kind"
    yield "no projection", patch(data, slots_at + 2, "H", 0), "heads[0].slots[1] is 0; expected a projection"
    yield "no weights", patch(data, slots_at + 6, "H", 0), "head plain: section WEIGHTS is missing"
    yield "cut", seal(patch(data[:-16], 8, "I", len(data) - 16)), " is "
    yield "directory cut", patch(data, place + 8, "I", length - 1), "is "
    yield "directory of 7 bytes", patch(data, place + 8, "I", 7), "padding before PROJECTION is 0x"


def test_hostile_bundles_are_named_and_refused_by_both_readers(bundle: bytes) -> None:
    assert refusal(bundle) is None
    assert core_takes(bundle)
    found = list(attacks(bundle))
    assert {name: refusal(data) for name, data, message in found if message not in str(refusal(data))} == {}
    assert [name for name, data, _ in found if core_takes(data)] == []


def test_heads_of_two_projections_are_refused_by_both_readers(files: Mapping[str, bytes]) -> None:
    """Written by hand: the writer makes none."""
    data = bytearray(bundle_bytes({"plain": files["plain"], "labels": files["labels"]}))
    rows = rows_of(bytes(data))
    _, _, heads = next(row for row in rows if row[1] == BundleSection.HEADS)
    second = heads + 8 + 4 * 3 + 2 * 15 + 2
    # The second head takes a section of its own for a projection: its weights under that kind.
    own = struct.unpack_from("<H", data, second + 4)[0]
    struct.pack_into("<I", data, rows[own - 1][0], Section.PROJECTION)
    struct.pack_into("<H", data, second, own)
    struct.pack_into("<H", data, second + 4, 0)
    hostile = seal(data)
    assert "heads is heads of several projections; expected one projection" in str(refusal(hostile))
    assert not core_takes(hostile)


def test_every_truncation_is_refused(files: Mapping[str, bytes]) -> None:
    data = bundle_bytes({"plain": files["plain"]})
    for end in range(0, len(data), 3):
        assert refusal(data[:end]) is not None
        assert not core_takes(data[:end])
        if end >= 32:  # and where header and checksum hide the cut
            hidden = patch(data[:end], 8, "I", end)
            assert refusal(hidden) is not None
            assert not core_takes(hidden)


def test_both_readers_agree_on_every_flipped_byte_of_table_and_directory(files: Mapping[str, bytes]) -> None:
    data = bundle_bytes({"a": files["small"], "b": files["twin"]})
    _, _, heads = next(row for row in rows_of(data) if row[1] == BundleSection.HEADS)
    places = [*range(32 + 16 * len(rows_of(data))), *range(heads, heads + 8 + 12 + 60)]
    differ = []
    for position in places:
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= mask
            sealed = seal(changed)
            if (refusal(sealed) is None) != core_takes(sealed):
                differ.append((position, mask, refusal(sealed)))
    assert differ == []


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 0xFFFFFFFF)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 10**6),
)
def test_random_damage_never_crashes(bundle: bytes, edits: list[tuple[int, int]], cut: int | None) -> None:
    changed = bytearray(bundle)
    for position, value in edits:
        struct.pack_into("<I", changed, position % (len(changed) - 4), value)
    if cut is not None:
        del changed[32 + cut % (len(changed) - 32) :]
        struct.pack_into("<I", changed, 8, len(changed))
    data = seal(changed)
    message = refusal(data)
    if not any(word in str(message) for word in ("provenance", "UTF-8", "a name twice")):
        assert core_takes(data) == (message is None), message


def test_names_must_differ_and_be_utf8(files: Mapping[str, bytes]) -> None:
    data = bundle_bytes({"a": files["plain"], "b": files["small"]})
    for name, message in ((b"aa", "a name twice"), (b"a\xff", "UTF-8")):
        hostile = seal(data.replace(b"ab" + bytes(0), name, 1))
        assert message in str(refusal(hostile))
        with pytest.raises(ModelFileError, match="write the bundle again"):
            NativeBundle(hostile)


def test_a_model_is_no_bundle_and_a_bundle_no_model(files: Mapping[str, bytes], bundle: bytes) -> None:
    assert "magic is b'PGB\\x00'; expected b'PGH\\x00': this is no bundle" in str(refusal(files["plain"]))
    with pytest.raises(ModelFileError, match="PG_BAD_MAGIC"):
        NativeModel(bundle)
    with pytest.raises(ModelFileError, match="PG_NO_SUCH_HEAD"):
        NativeModel(bundle, 7)
    with pytest.raises(ModelFileError, match="this is a bundle of several heads, not one model"):
        read_model(bundle)


@pytest.fixture
def folder(tmp_path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (tmp_path / f"{name}.pgb").write_bytes(data)
    return tmp_path


def test_files_become_heads_by_their_names(folder: Path, files: Mapping[str, bytes]) -> None:
    out = folder / "all.pgb"
    figures = write_bundle([folder / f"{name}.pgb" for name in files], out)
    assert figures.bytes == out.stat().st_size < figures.bytes_apart == sum(map(len, files.values()))
    assert figures.heads == 7
    opened = load_bundle(out)
    assert opened.predict("the lamp on") == {
        name: load(folder / f"{name}.pgb").predict("the lamp on")[0] for name in files
    }
    assert load(out, "twin").predict(list(TEXTS)) == load(folder / "twin.pgb").predict(list(TEXTS))
    assert repr(opened).endswith("all.pgb', 7 heads)")
    assert projgraph.load_bundle is load_bundle


def test_files_that_cannot_be_bundled_are_refused(folder: Path) -> None:
    plain = folder / "plain.pgb"
    with pytest.raises(ConfigError, match="two models are called plain; expected files of different names"):
        write_bundle([plain, plain], folder / "all.pgb")
    with pytest.raises(OutputError, match="it is a file that is read"):
        write_bundle([plain], plain)
    write_bundle([plain], folder / "one.pgb")
    with pytest.raises(InputError, match=r"one\.pgb is a bundle and no head was named; expected one of plain"):
        load(folder / "one.pgb")
    with pytest.raises(InputError, match=r"there is no head 'x'; expected one of plain"):
        load(folder / "one.pgb", "x")
    with pytest.raises(InputError, match="is one model, without a head 'x': leave the head out"):
        load(plain, "x")
    with pytest.raises(ModelFileError, match="PG_BAD_MAGIC"):
        load_bundle(plain)


C_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "projgraph.h"

/* Prints the scores of every head for every line of standard input, by a call for all heads; then statuses. */
int main(int count, char **arguments) {
    FILE *file = fopen(arguments[1], "rb");
    static unsigned char bytes[1 << 20];
    size_t length = fread(bytes, 1, sizeof bytes, file);
    unsigned char *exact = malloc(length);
    memcpy(exact, bytes, length);
    pg_bundle bundle;
    pg_status status = pg_open_bundle(&bundle, exact, length);
    (void)count;
    if (status != PG_OK) return printf("%s\n", pg_status_name(status)), 0;
    pg_model *heads = malloc(bundle.count * sizeof *heads), other = {0};
    uint32_t *labels = malloc(bundle.count * sizeof *labels);
    size_t classes = 0;
    for (uint32_t i = 0; i < bundle.count; i++) {
        if ((status = pg_bundle_head(&bundle, i, &heads[i])) != PG_OK) return printf("%s\n", pg_status_name(status)), 0;
        classes += heads[i].classes;
    }
    size_t size = pg_heads_scratch_size(heads, bundle.count);
    void *scratch = malloc(size);
    int32_t *scores = malloc(classes * sizeof *scores);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        size_t end = strlen(line) - 1;
        char *text = malloc(end + 1);
        memcpy(text, line, end);
        status = pg_predict_heads(heads, bundle.count, text, end, scratch, size, scores, labels);
        for (size_t i = 0; status == PG_OK && i < classes; i++) printf("%ld ", (long)scores[i]);
        printf("\n");
        free(text);
    }
    const char *name;
    size_t name_length;
    printf("%s\n", pg_status_name(pg_bundle_head(&bundle, bundle.count, &other)));
    printf("%s\n", pg_status_name(pg_bundle_name(&bundle, bundle.count, &name, &name_length)));
    printf("%s\n", pg_status_name(pg_predict_heads(heads, 0, "", 0, scratch, size, NULL, labels)));
    printf("%s\n", pg_status_name(pg_predict_heads(heads, 1, "", 0, scratch, 3, NULL, labels)));
    memcpy(&other, &heads[0], sizeof other);
    unsigned char *copy = malloc(length);
    memcpy(copy, exact, length);
    pg_open_bundle(&bundle, copy, length);
    pg_model mixed[2];
    mixed[0] = other;
    pg_bundle_head(&bundle, 0, &mixed[1]);
    printf("%s\n", pg_status_name(pg_predict_heads(mixed, 2, "", 0, scratch, size, NULL, labels)));
    free(copy); free(exact); free(heads); free(labels); free(scratch); free(scores);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_exported_core_under_sanitizers(folder: Path, files: Mapping[str, bytes], bundle: bytes) -> None:
    export_model(folder / "plain.pgb", "c", folder / "c")
    (folder / "c" / "main.c").write_text(C_PROGRAM)
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [
        "gcc",
        "-std=c99",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        *sanitizers,
        "main.c",
        "projgraph.c",
        "-o",
        "run",
    ]
    subprocess.run(command, cwd=folder / "c", check=True)

    def run(data: bytes) -> list[str]:
        (folder / "bundle").write_bytes(data)
        texts = "".join(f"{text}\n" for text in TEXTS if "\x00" not in text)
        command, no_leaks = [folder / "c" / "run", folder / "bundle"], {"ASAN_OPTIONS": "detect_leaks=0"}
        ran = subprocess.run(command, input=texts, capture_output=True, text=True, check=True, env=no_leaks)
        return ran.stdout.splitlines()

    lines = run(bundle)
    texts = Texts.from_strings(text for text in TEXTS if "\x00" not in text)
    alone = np.hstack([NativeModel(file).scores(texts) for file in files.values()])
    assert [list(map(int, line.split())) for line in lines[: len(texts)]] == alone.tolist()
    expected = ["PG_NO_SUCH_HEAD"] * 2 + ["PG_BAD_ARGUMENT", "PG_SCRATCH_TOO_SMALL", "PG_OTHER_PROJECTION"]
    assert lines[len(texts) :] == expected
    assert all(len(run(data)) == 1 for _, data, _ in attacks(bundle)), "a status, and nothing read out of bounds"


def test_inspection_counts_every_section(folder: Path, models: Mapping[str, QuantisedModel]) -> None:
    out = folder / "all.pgb"
    write_bundle([folder / f"{name}.pgb" for name in models], out)
    assert is_bundle(out)
    assert not is_bundle(folder / "plain.pgb")
    account = describe_bundle(out)
    assert (account["bytes"], account["bits"]) == (out.stat().st_size, 64)
    rows = {row["name"]: row for row in account["heads"]}
    assert list(rows) == list(models)
    assert (rows["twin"]["classes"], rows["twin"]["units"], rows["small"]["weight_bits"]) == (7, 6, 4)
    assert rows["twin"]["provenance"] == {"name": "twin"}
    for head in bundle_heads(out.read_bytes()):
        row, lengths = rows[head.name], [entry.length for entry in head.sections.values()]
        assert sum(lengths) == row["own"] + row["shared"]
    assert rows["trunk"]["shared"] > rows["words"]["shared"] > 0
    console = Console(file=io.StringIO(), width=120)
    console.print(*render_bundle(account))
    shown = console.file.getvalue()
    assert "7 heads, 64 bits" in shown
    assert all(name in shown for name in models)
    (folder / "cut.pgb").write_bytes(out.read_bytes()[:100])
    with pytest.raises(ModelFileError, match=r"cut\.pgb: length is"):
        describe_bundle(folder / "cut.pgb")
