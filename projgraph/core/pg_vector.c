/* Columns and values to bits: the sparse random projection of the texts' features, from hashes of column numbers. */

#include <string.h>

#include "pg_internal.h"

/* What one step of the walk over a row holds. */
typedef struct {
    uint64_t hashes[PG_HASHES];
    uint32_t columns[PG_HASHES];
    int16_t values[PG_HASHES];
    int16_t repeated[4 * PG_HASHES]; /* each value for its four fields */
    uint16_t starts[PG_FIELDS];      /* of the part of the bits that a field adds to */
    uint16_t sizes[PG_FIELDS];
    uint16_t places[PG_FIELDS];
    int32_t terms[PG_FIELDS];
} vector_walk;

static uint32_t sums_bytes(const pg_projection *projection) {
    return pg_rounded(pg_padded_bits(projection->bits) * sizeof(int32_t));
}

uint32_t pg_vector_scratch(const pg_projection *projection) {
    return pg_rounded(sizeof(vector_walk)) + sums_bytes(projection);
}

pg_status pg_vector_check(const pg_projection *projection, const pg_row *row) {
    if (!row->values && row->count > 0) return PG_BAD_ARGUMENT;
    if (row->count > PG_MAX_VALUES) return PG_VECTOR_TOO_LONG;
    if (!row->columns) return row->count == projection->columns ? PG_OK : PG_BAD_VECTOR;
    uint32_t next = 0; /* the lowest column that may follow: at most the number of columns, so it cannot wrap */
    for (size_t i = 0; i < row->count; i++) {
        uint32_t column = row->columns[i];
        if (column < next || column >= projection->columns) return PG_BAD_VECTOR;
        next = column + 1;
    }
    return PG_OK;
}

/* Up to PG_HASHES values other than zero, from *at on: their number. */
PG_HOT static size_t collect(const pg_row *row, size_t *at, uint64_t salt, vector_walk *walk) {
    size_t end = row->count - *at < PG_HASHES ? row->count : *at + PG_HASHES, found = 0;
    for (size_t i = *at; i < end; i++) { /* written whether it counts or not: a branch would be mispredicted */
        walk->columns[found] = row->columns ? row->columns[i] : (uint32_t)i;
        walk->values[found] = row->values[i];
        found += row->values[i] != 0;
    }
    *at = end;
    for (size_t i = 0; i < found; i++)
        walk->hashes[i] = pg_mix(((uint64_t)walk->columns[i] + 1) * PG_MULTIPLIER ^ salt);
    for (size_t i = 0; i < 4 * found; i++)
        walk->repeated[i] = walk->values[i / 4];
    return found;
}

/* The places of the parts that fields done to done + 3 of every column add to; the parts share all bits evenly. */
static uint32_t parts(const pg_projection *projection, uint32_t done, vector_walk *walk) {
    uint32_t fields = projection->additions - done < 4 ? projection->additions - done : 4;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t part = done + (i < fields ? i : 0); /* at most 2^14 x 2^14: fits 32 bits */
        uint32_t start = part * projection->bits / projection->additions;
        walk->starts[i] = (uint16_t)start;
        walk->sizes[i] = (uint16_t)((part + 1) * projection->bits / projection->additions - start);
    }
    for (uint32_t i = 4; i < PG_FIELDS; i++)
        walk->starts[i] = walk->starts[i % 4], walk->sizes[i] = walk->sizes[i % 4];
    return fields;
}

/* Where PG_FIELDS / 4 columns touch the sums with four fields each, and what they add there. */
static inline void touch_columns(const uint64_t *hashes, const int16_t *values, vector_walk *walk) {
    PG_INDEPENDENT
    for (size_t i = 0; i < PG_FIELDS; i++) {
        uint16_t field = pg_field(hashes, i);
        walk->places[i] = (uint16_t)(walk->starts[i] + (uint16_t)((uint32_t)field * walk->sizes[i] >> 16));
        walk->terms[i] = field & 1 ? -(int32_t)values[i] : (int32_t)values[i];
    }
}

/* A column touches a bit at most once, since each addition has its own part of the bits: a sum is at most 65,535 x
 * 2^15 < 2^31 in size. */
PG_HOT static void add_columns(const pg_projection *projection, size_t count, vector_walk *walk, int32_t *sums) {
    for (uint32_t done = 0; done < projection->additions; done += 4) {
        uint32_t fields = parts(projection, done, walk);
        for (size_t first = 0; first < count; first += PG_FIELDS / 4) {
            size_t block = count - first < PG_FIELDS / 4 ? count - first : PG_FIELDS / 4;
            touch_columns(walk->hashes + first, walk->repeated + 4 * first, walk);
            const uint16_t *places = walk->places;
            const int32_t *terms = walk->terms;
            if (fields == 4) {
                for (size_t i = 0; i < 4 * block; i += 4) {
                    sums[places[i]] += terms[i];
                    sums[places[i + 1]] += terms[i + 1];
                    sums[places[i + 2]] += terms[i + 2];
                    sums[places[i + 3]] += terms[i + 3];
                }
            } else {
                for (size_t i = 0; i < 4 * block; i++)
                    if (i % 4 < fields) sums[places[i]] += terms[i];
            }
        }
        if (done + 4 < projection->additions)
            for (size_t i = 0; i < count; i++)
                walk->hashes[i] = pg_mix(walk->hashes[i] + PG_MULTIPLIER);
    }
}

static int32_t *add_row(const pg_projection *projection, const pg_row *row, uint8_t *scratch) {
    vector_walk *walk = (vector_walk *)(void *)scratch;
    int32_t *sums = (int32_t *)(void *)(scratch + pg_rounded(sizeof *walk));
    uint64_t salt = projection->seed + 3 * PG_FAMILY_MULTIPLIER;
    memset(walk, 0, sizeof *walk); /* a block's last columns may be missing: they are computed, and not added */
    memset(sums, 0, sums_bytes(projection));
    for (size_t at = 0; at < row->count;)
        add_columns(projection, collect(row, &at, salt, walk), walk, sums);
    return sums;
}

/* 64 flags of 0 or 1, eight to a byte: bit 8i times 2^(56 - 7i) is bit 56 + i. */
static inline uint64_t pack(const uint8_t *flags) {
    uint64_t word = 0;
    for (uint32_t byte = 0; byte < 8; byte++)
        word |= (pg_u64(flags + 8 * byte) * 0x0102040810204080u >> 56) << 8 * byte;
    return word;
}

/* Which sums of a block lie above and below their thresholds. */
PG_HOT static void compare(const int32_t *sums, const uint8_t *thresholds, uint32_t count, uint8_t *above,
                           uint8_t *below) {
    PG_INDEPENDENT
    for (uint32_t i = 0; i < count; i++) {
        int32_t threshold = thresholds ? pg_i32(thresholds + sizeof threshold * i) : 0;
        above[i] = sums[i] > threshold;
        below[i] = sums[i] < threshold;
    }
}

void pg_vector_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                      uint64_t *negative) {
    const int32_t *sums = add_row(projection, row, scratch);
    for (uint32_t first = 0; first < projection->bits; first += PG_BIT_BLOCK) {
        uint8_t above[PG_BIT_BLOCK] = {0}, below[PG_BIT_BLOCK] = {0};
        uint32_t count = projection->bits - first < PG_BIT_BLOCK ? projection->bits - first : PG_BIT_BLOCK;
        const uint8_t *thresholds = projection->thresholds ? projection->thresholds + sizeof *sums * first : NULL;
        compare(sums + first, thresholds, count, above, below);
        for (uint32_t word = 0; word < PG_BIT_BLOCK / 64; word++) {
            positive[first / 64 + word] = pack(above + 64 * word);
            negative[first / 64 + word] = pack(below + 64 * word);
        }
    }
}

pg_status pg_vector_sums(const pg_projection *projection, const uint32_t *columns, const int16_t *values, size_t count,
                         void *scratch, size_t scratch_size, int32_t *sums) {
    pg_row row = {NULL, 0, columns, values, count};
    if (!projection || !scratch || !sums) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_project_scratch(projection)) return PG_SCRATCH_TOO_SMALL;
    pg_status status = pg_row_check(projection, &row, PG_INPUT_VECTOR);
    if (status != PG_OK) return status;
    memcpy(sums, add_row(projection, &row, pg_align(scratch)), projection->bits * sizeof *sums);
    return PG_OK;
}
