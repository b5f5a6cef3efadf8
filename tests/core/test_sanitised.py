"""The core alone, compiled strictly and run under the address and undefined-behaviour sanitizers on damaged models."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import projgraph.core
from projgraph import _core
from projgraph.errors import ModelFileError
from projgraph.native import NativeModel
from projgraph.pack.format import Quantiser, Section
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.read import parse_model
from projgraph.pack.rows import FORMATS
from projgraph.pack.vector import VectorSpec

from ..pack.test_attacks import build, contents
from .reference_head import WordShape, random_file, texts_of, word_file

CORE = Path(projgraph.core.__file__).parent
STRICT = ["-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
DRIVER = r"""
/* Reads "u32 length, model, u32 count, (u32 length, row) x count" until the end of input. A row is a text, or for a
 * model of vectors a byte that is odd where columns follow, the columns of 32 bits, and the values of 16 bits. Each
 * block has exactly its own size on the heap, one byte off any alignment unless it is of integers, so that a sanitizer
 * sees the first byte read or written outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"

static int read_u32(uint32_t *value) {
    uint8_t b[4];
    if (fread(b, 1, 4, stdin) != 4) return 0;
    *value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return 1;
}

static void *off_by_one(size_t size) {
    char *block = malloc(size + 1);
    if (!block) exit(3);
    memset(block, 0xA5, size + 1);
    return block + 1;
}

static void let_go(void *block) { free((char *)block - 1); }

static char *read_block(uint32_t *length) {
    if (!read_u32(length)) return NULL;
    char *block = off_by_one(*length);
    if (fread(block, 1, *length, stdin) != *length) exit(4);
    return block;
}

static void project(const pg_projection *projection, const char *text, size_t length) {
    size_t size = pg_project_scratch_size(projection), plane = (projection->bits + 7) / 8, count = 0, capacity = 5;
    void *scratch = off_by_one(size);
    uint8_t *positive = off_by_one(plane), *negative = off_by_one(plane);
    pg_feature *features = malloc(capacity * sizeof *features);
    if (pg_project(projection, text, length, scratch, size, positive, negative) != PG_OK) exit(5);
    uint32_t *words = malloc(capacity * sizeof *words);
    if (pg_word_fingerprints(projection, text, length, scratch, size, words, capacity, &count) != PG_OK) exit(15);
    if (count > PG_MAX_WORDS || (count > 0 && words[0] % 4 != 0)) exit(16);
    free(words);
    if (pg_features(projection, text, length, scratch, size, features, capacity, &count) != PG_OK) exit(6);
    for (size_t i = 0; i < count && i < capacity; i++)
        if (features[i].family >= projection->family_count) exit(7);
    free(features);
    let_go(positive), let_go(negative), let_go(scratch);
}

static void predict(const pg_model *model, const char *text, size_t length) {
    size_t size = pg_scratch_size(model), label_length;
    void *scratch = off_by_one(size);
    int32_t *scores = malloc(model->classes * sizeof *scores);
    uint32_t label = 0, alone = 0;
    const char *name;
    if (pg_predict(model, text, length, scratch, size, scores, &label) != PG_OK) exit(8);
    if (pg_predict(model, text, length, scratch, size, NULL, &alone) != PG_OK || alone != label) exit(9);
    if (pg_predict(model, text, length, scratch, size - 1, scores, &label) != PG_SCRATCH_TOO_SMALL) exit(10);
    if (label == PG_NO_LABEL) {
        if (model->threshold == 0) exit(20);
    } else {
        if (pg_label(model, label, &name, &label_length) != PG_OK) exit(11);
        for (size_t i = 0; i < label_length; i++)
            label += (unsigned char)name[i] & 0; /* so that every byte of it is read */
    }
    for (int vectors = 0; vectors <= 512; vectors += 256) {
        pg_host *host = pg_host_open(model, vectors);
        pg_host_scratch *room = host ? pg_host_scratch_open() : NULL;
        int32_t *same = malloc(model->classes * sizeof *same);
        for (int time = 0; host && time < 2; time++) { /* twice: a call leaves nothing to the next */
            if (pg_host_predict(host, text, length, room, time ? same : NULL) != label) exit(21);
            if (time && memcmp(scores, same, model->classes * sizeof *same) != 0) exit(22);
        }
        free(same), pg_host_scratch_close(room), pg_host_close(host);
    }
    printf("label %lu", (unsigned long)label);
    for (uint32_t c = 0; c < model->classes; c++)
        printf(" %ld", (long)scores[c]);
    printf("\n");
    free(scores), let_go(scratch);
}

/* A copy of the count items of the size at the bytes, aligned and no byte larger. */
static void *copied(const char *bytes, size_t count, size_t size) {
    void *block = malloc(count * size);
    if (count > 0) memcpy(block, bytes, count * size);
    return block;
}

static void predict_vector(const pg_model *model, const char *row, size_t length) {
    const pg_projection *projection = &model->projection;
    size_t with_columns = length > 0 && row[0] & 1 ? sizeof(uint32_t) : 0, plane = (projection->bits + 7) / 8;
    size_t count = length > 0 ? (length - 1) / (with_columns + sizeof(int16_t)) : 0;
    uint32_t *columns = with_columns ? copied(row + 1, count, sizeof *columns) : NULL, label = 0, alone = 0;
    int16_t *values = copied(row + 1 + with_columns * count, count, sizeof *values);
    size_t size = pg_scratch_size(model), smaller = pg_project_scratch_size(projection);
    void *scratch = off_by_one(size), *small = off_by_one(smaller);
    int32_t *scores = malloc(model->classes * sizeof *scores), *sums = malloc(projection->bits * sizeof *sums);
    uint8_t *above = off_by_one(plane), *below = off_by_one(plane);
    pg_status status = pg_predict_vector(model, columns, values, count, scratch, size, scores, &label);
    if (pg_predict_vector(model, columns, values, count, scratch, size, NULL, &alone) != status) exit(15);
    if (pg_vector_sums(projection, columns, values, count, small, smaller, sums) != status) exit(16);
    if (pg_project_vector(projection, columns, values, count, small, smaller, above, below) != status) exit(17);
    if (pg_predict(model, row, length, scratch, size, scores, &alone) != PG_WANTS_VECTOR) exit(18);
    if (status != PG_OK) {
        printf("label -1\n");
    } else {
        printf("label %u", (unsigned)label);
        for (uint32_t c = 0; c < model->classes; c++)
            printf(" %ld", (long)scores[c]);
        printf("\n");
        for (uint32_t bit = 0; bit < projection->bits; bit++)
            if (!projection->thresholds && (above[bit / 8] >> bit % 8 & 1) != (sums[bit] > 0)) exit(19);
    }
    free(columns), free(values), free(scores), free(sums);
    let_go(scratch), let_go(small), let_go(above), let_go(below);
}

int main(void) {
    uint32_t length, count, size;
    for (char *bytes; (bytes = read_block(&length)) != NULL; let_go(bytes)) {
        pg_model model;
        pg_status status = pg_open(&model, bytes, length);
        printf("open %s\n", pg_status_name(status));
        if (!read_u32(&count)) exit(12);
        for (uint32_t i = 0; i < count; i++) {
            char *text = read_block(&size);
            if (!text) exit(13);
            if (status == PG_OK && model.projection.input == PG_INPUT_VECTOR) {
                predict_vector(&model, text, size);
            } else if (status == PG_OK) {
                project(&model.projection, text, size);
                predict(&model, text, size);
            }
            let_go(text);
        }
        const char *name;
        size_t unused;
        if (status == PG_OK && pg_label(&model, model.classes, &name, &unused) != PG_NO_SUCH_LABEL) exit(14);
    }
    return 0;
}
"""


def run(command: Sequence[str | Path], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """LeakSanitizer needs ptrace, which containers forbid: the driver's own leaks are not the core's anyway."""
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return subprocess.run(command, input=data, capture_output=True, env=environment, check=False, timeout=120)


@pytest.fixture(scope="module", params=["-UPG_SMALL", "-DPG_SMALL"])
def driver(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("sanitised")
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on this machine")
    (folder / "probe.c").write_text("int main(void) { return 0; }\n")
    probe = run([compiler, *SANITIZERS, folder / "probe.c", "-o", folder / "probe"])
    if probe.returncode != 0 or run([folder / "probe"]).returncode != 0:
        pytest.skip("this gcc has no working sanitizer runtime")
    (folder / "driver.c").write_text(DRIVER)
    sources = [*sorted(CORE.glob("pg_*.c")), *sorted(CORE.glob("host*.c")), folder / "driver.c"]
    built = run([compiler, *STRICT, *SANITIZERS, request.param, f"-I{CORE}", *sources, "-o", folder / "driver"])
    assert built.returncode == 0, built.stderr.decode()
    return folder / "driver"


Case = tuple[bytes, list[bytes]]


def outcomes(driver: Path, cases: list[Case]) -> list[tuple[str, list[list[int]]]]:
    """Of each case the status, and (label, scores...) of each text; a sanitizer's report fails the test."""
    blocks = []
    for model, texts in cases:
        blocks += [struct.pack("<I", len(model)), model, struct.pack("<I", len(texts))]
        blocks += [struct.pack("<I", len(text)) + text for text in texts]
    finished = run([driver], b"".join(blocks))
    report = finished.stderr.decode("utf-8", "replace")
    assert finished.returncode == 0, f"exit {finished.returncode}\n{report[:4000]}"
    assert report == ""
    found: list[tuple[str, list[list[int]]]] = []
    for line in finished.stdout.decode().splitlines():
        word, first, *rest = line.split()
        if word == "open":
            found.append((first, []))
        else:
            found[-1][1].append([int(first), *map(int, rest)])
    assert len(found) == len(cases)
    return found


def sealed(data: bytes | bytearray) -> bytes:
    """The bytes with a checksum that fits them."""
    return bytes(data[:12]) + struct.pack("<I", zlib.crc32(data[16:])) + bytes(data[16:])


def whole_models() -> list[bytes]:
    specs = [
        ProjectionSpec.for_text(bits=64, seen_slots_log2=4),
        ProjectionSpec.for_text(bits=101, additions=3, word_share=0.3, word_ngrams=(1, 4), character_ngrams=(1, 8)),
        ProjectionSpec.for_text(bits=1040, additions=13, word_share=0.0, seen_slots_log2=0),
    ]
    heads = [(8, 0, 8), (4, 0, 8), (8, 5, 4), (4, 16, 8)]
    plain = [
        random_file(spec, seed, classes, width, units, hidden_width)
        for spec in specs
        for seed, (width, units, hidden_width) in enumerate(heads)
        for classes in (1, 33)
    ]
    known = [b"where is my card", b"a b Z9", "日本語 don't".encode()]
    shapes = [WordShape(8), WordShape(64, 3, 1), WordShape(72, 33, 3, 6), WordShape(128, 2, 5, 0)]
    packed = [
        word_file(specs[seed % 3], known, WordShape(8, seed % 2), seed, 1 + 8 * (seed % 3), kind, units, kind)
        for seed, kind in enumerate(sorted(FORMATS))
        for units in (0, 33)
    ]
    words = [word_file(specs[seed % 3], known, shape, seed, 7, *heads[seed]) for seed, shape in enumerate(shapes)]
    return [*plain, *packed, *words]


def section_of(data: bytes | bytearray, kind: int) -> int | None:
    """Where a section begins, None if there is none."""
    rows = (struct.unpack_from("<II", data, 32 + 16 * row) for row in range(data[16]))
    return next((offset for found, offset in rows if found == kind), None)


def whole_vector_models() -> list[bytes]:
    rng = np.random.default_rng(5)
    specs = [
        VectorSpec(1, 64, 7, 3, thresholds=rng.integers(-9, 9, 64).astype(np.int32)),
        VectorSpec(1, 101, 300, 101, quantiser=Quantiser.TERNARY),
        VectorSpec(1, 1040, 1, 1, thresholds=np.full(1040, -(2**31), dtype=np.int32)),
    ]
    heads = [(8, 0, 8), (4, 5, 4)]
    return [random_file(spec, 3, 5, *head) for spec in specs for head in heads]


def damaged(rng: np.random.Generator, count: int, models: list[bytes]) -> Iterator[bytes]:
    """Models with some bytes of their fields changed or their end cut, under a checksum that fits."""
    for index in range(count):
        data = bytearray(models[index % len(models)])
        table_end = 32 + 16 * data[16]
        # Mostly the header, the table, the projection and the head, which decide what is read; at times any byte.
        end = len(data) if index % 4 == 0 else table_end + 80
        first = 16
        if index % 4 == 1 and (words := section_of(data, 10)) is not None:
            first, end = words, words + 60
        if index % 4 == 2 and (weights := section_of(data, 6) or section_of(data, 3)) is not None:
            first, end = weights, weights + 90  # a codebook and the numbers of a sparse layer's values, if any
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(first, min(end, len(data))))
            data[at] = int(rng.choice([0, 1, 2, 16, 127, 128, 255, data[at] ^ 1, data[at] + 1 & 255]))
        if index % 7 == 0:
            del data[int(rng.integers(0, len(data))) :]
            if len(data) >= 12:
                struct.pack_into("<I", data, 8, len(data))
        yield sealed(data) if len(data) >= 16 else bytes(data)


def random_texts(rng: np.random.Generator, count: int) -> list[bytes]:
    """Random bytes, random code points, ASCII, and cut sequences, of lengths around the core's chunk."""
    texts = [b"", b"\xf0\x9f\x99", b"where is my card", "日本語 don't 🙂".encode(), b"a" * 300, b"a " * 150]
    while len(texts) < count:
        length = int(rng.choice([1, 5, 31, 32, 33, 124, 127, 128, 129, 260]))
        texts += [
            rng.integers(0, 256, length).astype(np.uint8).tobytes(),
            bytes(rng.choice(np.frombuffer(b"ab 'Z9-", dtype=np.uint8), length)),
            "".join(map(chr, rng.integers(0, 0x110000, length))).encode("utf-8", "surrogatepass")[: length * 3],
        ]
    return texts[:count]


def status_here(data: bytes) -> str:
    """What the extension's core says; labels that are not UTF-8 are refused by Python alone."""
    try:
        NativeModel(data)
    except ModelFileError as error:
        if "(PG_" in str(error):
            return str(error).partition("(PG_")[2].partition(")")[0]
    return "OK"


def test_whole_models_score_as_in_the_extension(driver: Path) -> None:
    texts = random_texts(np.random.default_rng(0), 30)
    models = whole_models()
    for data, (status, found) in zip(models, outcomes(driver, [(data, texts) for data in models]), strict=True):
        native = NativeModel(data)
        assert status == "PG_OK"
        scores = native.scores(texts_of(texts), threads=1)
        np.testing.assert_array_equal(found, np.column_stack([scores.argmax(axis=1), scores]))


def weights_last(data: bytes, kind: Section) -> bytes:
    """The same model with a section of weights at the end of its file, behind which a sanitizer sees every byte."""
    sections = sorted(((entry.kind, content) for entry, content in contents(data)), key=lambda each: each[0] == kind)
    return build(sections)


def models_with_weights_last() -> Iterator[tuple[int, bytes]]:
    """Every format of weights with rows around the sizes that are read at a time; and the section at the end."""
    for kind in sorted(FORMATS):
        for outputs in (1, 8, 9, 31, 33, 63, 65, 130):
            yield Section.WEIGHTS, random_file(ENDS, outputs, outputs, kind)
            yield Section.HIDDEN_WEIGHTS, random_file(ENDS, outputs, 3, 8, outputs, kind)
        yield Section.WEIGHTS, word_file(ENDS, [b"where is my card"], WordShape(8), kind, 33, kind)
        yield Section.HIDDEN_WEIGHTS, word_file(ENDS, [b"where is my card"], WordShape(8), kind, 3, 8, 33, kind)


ENDS = ProjectionSpec.for_text(bits=40, seen_slots_log2=0)
"""Of a small model whose last rows many texts have."""


def test_rows_are_not_read_past_the_section_of_their_weights(driver: Path) -> None:
    """The kernels read whole words past the end of a row; the zeros that end the section must be enough of them."""
    texts = random_texts(np.random.default_rng(3), 12)
    models = [weights_last(data, Section(kind)) for kind, data in models_with_weights_last()]
    assert all(contents(data)[-1][0].end == len(data) for data in models)
    for data, (status, found) in zip(models, outcomes(driver, [(data, texts) for data in models]), strict=True):
        scores = NativeModel(data).scores(texts_of(texts), threads=1)
        assert status == "PG_OK"
        np.testing.assert_array_equal([row[1:] for row in found], scores)


def test_a_section_of_weights_under_any_head_is_refused_or_stays_inside(driver: Path) -> None:
    """Every format, and other numbers of classes and units, for sections that were written for something else."""
    texts, models = [b"where is my card", b"a b Z9"], []
    for kind in sorted(FORMATS):
        for place, data in (
            (Section.WEIGHTS, random_file(ENDS, kind, 33, kind)),
            (Section.HIDDEN_WEIGHTS, random_file(ENDS, kind, 3, 8, 33, kind)),
        ):
            last = weights_last(data, place)
            head = section_of(last, Section.HEAD)
            assert head is not None
            at = head + (1 if place == Section.WEIGHTS else 2)
            models += [sealed(last[:at] + bytes([byte]) + last[at + 1 :]) for byte in range(256)]
            at = head + (4 if place == Section.WEIGHTS else 6)
            counts = [0, 1, 7, 8, 16, 31, 32, 34, 64, 65, 66, 130, 256, 4096, 65535]
            models += [sealed(last[:at] + struct.pack("<H", count) + last[at + 2 :]) for count in counts]
    found = outcomes(driver, [(data, texts) for data in models])
    assert [status for status, _ in found] == [f"PG_{status_here(data)}" for data in models]
    taken = [data for data, (status, _) in zip(models, found, strict=True) if status == "PG_OK"]
    assert len(FORMATS) * 2 <= len(taken) < len(models) / 20


def test_damaged_models_are_refused_or_run_cleanly(driver: Path) -> None:
    rng = np.random.default_rng(1)
    texts = random_texts(rng, 60)
    models = list(damaged(rng, 900, whole_models()))
    cases = [(data, [texts[int(at)] for at in rng.integers(0, len(texts), 4)]) for data in models]
    found = outcomes(driver, cases)
    assert [status for status, _ in found] == [f"PG_{status_here(data)}" for data in models]
    for (data, some), (status, rows) in zip(cases, found, strict=True):
        assert len(rows) == (len(some) if status == "PG_OK" else 0)
        if status == "PG_OK":
            try:
                native = NativeModel(data)
            except ModelFileError:
                continue
            assert [row[1:] for row in rows] == native.scores(texts_of(some), threads=1).tolist()
    statuses = {status for status, _ in found}
    assert "PG_OK" in statuses
    assert len(statuses) > 10


def rows_of(rng: np.random.Generator, columns: int) -> list[bytes]:
    """Rows as the driver reads them: dense, sparse, the extremes, and what is to be refused."""
    dense = rng.integers(-32768, 32768, columns).astype("<i2")
    some = np.flatnonzero(rng.random(columns) < 0.3).astype("<u4")
    blocks = [
        b"\0" + dense.tobytes(),
        b"\0" + np.full(columns, -32768, dtype="<i2").tobytes(),
        b"\1" + some.tobytes() + dense[some].tobytes(),
        b"\1",  # zeros
        b"",  # no value, where there are columns
        b"\0" + dense.tobytes()[2:],
        b"\1" + some[::-1].tobytes() + dense[some].tobytes(),
        b"\1" + struct.pack("<IIhh", 0, columns, 1, 1),
        b"\1" + struct.pack("<Ih", 2**32 - 1, 1),
        b"\1" + struct.pack("<IIhh", 0, 0, 1, 1),
    ]
    return [blocks[int(at)] for at in rng.integers(0, len(blocks), 3)] + blocks[:3]


def vector_scores_here(data: bytes, row: bytes) -> list[int]:
    """(label, scores...) by the extension's core, or -1 for a row that it refuses."""
    width = 6 if row[:1] == b"\1" else 2
    count = max(len(row) - 1, 0) // width
    columns = np.frombuffer(row[1 : 1 + 4 * count], dtype="<u4") if width == 6 else None
    values = np.frombuffer(row[1 + (width - 2) * count :][: 2 * count], dtype="<i2")
    model = _core.Model(data)
    scores = np.empty(len(NativeModel(data).classes), dtype=np.int32)
    try:
        model.vector_scores(values, columns, np.array([0, count], dtype=np.uint64), 0, 1, scores)
    except _core.StatusError:
        return [-1]
    return [int(scores.argmax()), *scores.tolist()]


def test_models_of_vectors_score_as_in_the_extension(driver: Path) -> None:
    rng = np.random.default_rng(2)
    cases = [(data, rows_of(rng, NativeModel(data).columns)) for data in whole_vector_models() for _ in range(8)]
    found = outcomes(driver, cases)
    assert {status for status, _ in found} == {"PG_OK"}
    for (data, rows), (_, labels) in zip(cases, found, strict=True):
        assert labels == [vector_scores_here(data, row) for row in rows]
    refused = [label == [-1] for _, labels in found for label in labels]
    assert 0 < sum(refused) < len(refused) / 2
    [(_, [long, longer])] = outcomes(
        driver, [(random_file(VectorSpec(1, 8, 70_000, 1)), [b"\1" + bytes(6 * 65_536), b"\0" + bytes(2 * 65_536)])]
    )
    assert long == longer == [-1]


def test_damaged_models_of_vectors_are_refused_or_run_cleanly(driver: Path) -> None:
    rng = np.random.default_rng(3)
    models = list(damaged(rng, 500, whole_vector_models()))
    cases = []
    for data in models:
        columns = NativeModel(data).columns if status_here(data) == "OK" else 7
        cases.append((data, rows_of(rng, min(columns, 400))))
    found = outcomes(driver, cases)
    assert [status for status, _ in found] == [f"PG_{status_here(data)}" for data in models]
    statuses = {status for status, _ in found}
    assert {"PG_OK", "PG_BAD_COLUMNS", "PG_BAD_PROJECTION", "PG_BAD_RESERVED"} <= statuses
    for (data, rows), (status, labels) in zip(cases, found, strict=True):
        if status == "PG_OK" and status_here(data) == "OK" and NativeModel(data).columns:
            assert labels == [vector_scores_here(data, row) for row in rows]
        refusal = python_status(data)
        assert (status == "PG_OK") == (refusal is None), (status, refusal)


def python_status(data: bytes) -> str | None:
    """Why Python's reader refuses a model, None where it takes it."""
    try:
        parse_model(data)
    except ModelFileError as error:
        return str(error)
    return None


def test_long_texts_stay_inside_their_blocks(driver: Path) -> None:
    data = random_file(ProjectionSpec.for_text(bits=512, seen_slots_log2=0))
    texts = [b"a" * 100_000, b"card " * 20_000, "日".encode() * 33_000, bytes(range(256)) * 300]
    [(status, found)] = outcomes(driver, [(data, texts)])
    assert status == "PG_OK"
    assert [row[1:] for row in found] == NativeModel(data).scores(texts_of(texts), threads=1).tolist()
