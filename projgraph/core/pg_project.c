/* Counted features to bits: a very sparse random projection with signs, computed from the hashes alone.
 *
 * Also here: what projections of texts and of vectors share. */

#include <string.h>

#include "pg_internal.h"

#ifndef PG_SMALL

/* Where the sum of a bit lies. Within each PG_BIT_BLOCK, sums are stored transposed, 32 columns of 16 bits, so that one
 * vector holds bit k of 32 neighbouring plane words. */
static inline uint16_t place(uint16_t bit) {
    return (uint16_t)((bit & 0xFE00u) | (uint16_t)((bit & 15u) << 5) | (bit >> 4 & 31u));
}

typedef struct {
    uint16_t starts[PG_FIELDS]; /* of the part of the block that a field adds to */
    uint16_t sizes[PG_FIELDS];  /* and its bits: all alike, an array so that compilers see 16 x 16 bits multiplied */
    uint16_t places[PG_FIELDS];
} pg_touches;

/* Where PG_FIELDS / 4 features touch the counts with four fields each. */
static inline void touch(const uint64_t *hashes, uint16_t minus, pg_touches *touches) {
    PG_INDEPENDENT
    for (size_t i = 0; i < PG_FIELDS; i++) {
        uint16_t field = pg_field(hashes, i);
        uint16_t bit = (uint16_t)(touches->starts[i] + (uint16_t)((uint32_t)field * touches->sizes[i] >> 16));
        touches->places[i] = (uint16_t)(place(bit) + (field & 1 ? minus : 0));
    }
}

/* Add count features, in blocks whose last one may be part of what lies behind them: PG_HASHES is a multiple of a
 * block. A feature touches a bit at most once, since each addition has its own part of the family's block, and a family
 * has at most PG_MAX_FEATURES = 2^15 - 1 features: the sums fit 16 bits. */
PG_HOT static void add_features(const pg_family *family, uint64_t *hashes, size_t count, pg_touches *touches,
                                uint16_t *counts, uint16_t minus) {
    uint16_t sub = (uint16_t)(family->bit_count / family->additions);
    for (uint32_t done = 0; done < family->additions; done += 4) {
        uint32_t fields = family->additions - done < 4 ? family->additions - done : 4;
        for (uint32_t i = 0; i < PG_FIELDS; i++)
            touches->starts[i] = (uint16_t)(family->first_bit + (done + i % 4) * sub), touches->sizes[i] = sub;
        for (size_t first = 0; first < count; first += PG_FIELDS / 4) {
            size_t block = count - first < PG_FIELDS / 4 ? count - first : PG_FIELDS / 4;
            touch(hashes + first, minus, touches);
            const uint16_t *places = touches->places;
            if (fields == 4) {
                for (size_t i = 0; i < 4 * block; i += 4) {
                    counts[places[i]]++;
                    counts[places[i + 1]]++;
                    counts[places[i + 2]]++;
                    counts[places[i + 3]]++;
                }
            } else {
                for (size_t i = 0; i < 4 * block; i++)
                    if (i % 4 < fields) counts[places[i]]++;
            }
        }
        if (done + 4 < family->additions)
            for (size_t i = 0; i < count; i++)
                hashes[i] = pg_mix(hashes[i] + PG_MULTIPLIER);
    }
}

/* A block of a plane from its 16-bit pieces. */
static inline void join(const uint16_t *pieces, uint64_t *words) {
#if PG_LITTLE_ENDIAN
    memcpy(words, pieces, PG_BIT_BLOCK / 8);
#else
    for (uint32_t i = 0; i < PG_BIT_BLOCK / 64; i++)
        words[i] = (uint64_t)pieces[4 * i] | (uint64_t)pieces[4 * i + 1] << 16 | (uint64_t)pieces[4 * i + 2] << 32 |
                   (uint64_t)pieces[4 * i + 3] << 48;
#endif
}

/* Bit k of 32 neighbouring 16-bit pieces of a plane is one vector of counts. */
PG_HOT static void quantise(const uint16_t *counts, size_t padded, uint64_t *positive, uint64_t *negative) {
    for (size_t block = 0; block < padded; block += PG_BIT_BLOCK) {
        uint16_t above[PG_BIT_BLOCK / 16] = {0}, below[PG_BIT_BLOCK / 16] = {0};
        for (uint32_t k = 0; k < 16; k += 4) {
            const uint16_t *a = counts + block + k * 32, *b = a + 32, *c = b + 32, *d = c + 32;
            const uint16_t *e = a + padded, *f = b + padded, *g = c + padded, *h = d + padded;
            uint16_t bit = (uint16_t)(1u << k);
            for (uint32_t w = 0; w < 32; w++) {
                above[w] |= (uint16_t)((a[w] > e[w] ? bit : 0) | (b[w] > f[w] ? bit << 1 : 0) |
                                       (c[w] > g[w] ? bit << 2 : 0) | (d[w] > h[w] ? bit << 3 : 0));
                below[w] |= (uint16_t)((a[w] < e[w] ? bit : 0) | (b[w] < f[w] ? bit << 1 : 0) |
                                       (c[w] < g[w] ? bit << 2 : 0) | (d[w] < h[w] ? bit << 3 : 0));
            }
        }
        join(above, positive + block / 64);
        join(below, negative + block / 64);
    }
}

#endif

/* The sign quantiser knows no zero: what is not above is below, up to the last bit. */
static void complement(const uint64_t *positive, uint64_t *negative, uint32_t bits) {
    for (uint32_t word = 0; word < bits / 64; word++)
        negative[word] = ~positive[word];
    if (bits % 64) negative[bits / 64] = ~positive[bits / 64] & (((uint64_t)1 << bits % 64) - 1);
}

#ifdef PG_SMALL

/* A family's bits whose sums are held at a time. */
static uint32_t sums_at_once(const pg_family *family) {
    return family->bit_count < PG_SUMS ? family->bit_count : PG_SUMS;
}

uint32_t pg_planes_scratch(const pg_projection *projection) {
    if (projection->input == PG_INPUT_VECTOR) return pg_vector_scratch(projection);
    uint32_t most = 0;
    for (uint32_t f = 0; f < projection->family_count; f++)
        if (sums_at_once(&projection->families[f]) > most) most = sums_at_once(&projection->families[f]);
    return pg_rounded(sizeof(pg_walk)) + pg_rounded(pg_seen_bytes(projection)) + pg_rounded(most * sizeof(int16_t));
}

/* Add one feature to the sums of the family's bits from first on. A feature touches a bit at most once, since each
 * addition has its own part of the block, and a family has at most PG_MAX_FEATURES = 2^15 - 1 features: the sums fit.
 */
static void add_feature(const pg_family *family, uint64_t hash, uint32_t first, uint32_t count, int16_t *sums) {
    uint32_t part = family->bit_count / family->additions;
    for (uint32_t j = 0, start = 0; j < family->additions && start < first + count; j++, start += part) {
        uint32_t field = (uint32_t)(hash >> 16 * (j % 4)) & 0xFFFFu;
        uint32_t bit = start + (field * part >> 16) - first; /* wraps below the first, to beyond the last */
        if (bit < count) sums[bit] = (int16_t)(sums[bit] + (field & 1 ? -1 : 1));
        if (j % 4 == 3) hash = pg_mix(hash + PG_MULTIPLIER);
    }
}

static void set_bits(const int16_t *sums, uint32_t first, uint32_t count, uint64_t *positive, uint64_t *negative) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bit = (uint64_t)1 << (first + i) % 64;
        if (sums[i] > 0) positive[(first + i) / 64] |= bit;
        if (sums[i] < 0) negative[(first + i) / 64] |= bit;
    }
}

static void text_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                        uint64_t *negative) {
    pg_walk *walk = pg_take(&scratch, sizeof *walk);
    uint64_t *seen = pg_take(&scratch, pg_seen_bytes(projection));
    int16_t *sums = (int16_t *)(void *)scratch;
    memset(positive, 0, pg_padded_bits(projection->bits) / 8);
    memset(negative, 0, pg_padded_bits(projection->bits) / 8);
    for (uint32_t f = 0; f < projection->family_count; f++) {
        const pg_family *family = &projection->families[f];
        uint32_t most = sums_at_once(family), found;
        for (uint32_t first = 0; first < family->bit_count; first += most) {
            uint32_t count = family->bit_count - first < most ? family->bit_count - first : most;
            memset(sums, 0, count * sizeof *sums);
            pg_walk_start(walk, projection, f, seen, row->text, row->length);
            for (size_t hashes; (hashes = pg_walk_next(walk, projection, &found)) > 0;)
                for (size_t i = 0; i < hashes; i++)
                    add_feature(family, walk->hashes[i], first, count, sums);
            set_bits(sums, family->first_bit + first, count, positive, negative);
        }
    }
}

#else

uint32_t pg_planes_scratch(const pg_projection *projection) {
    if (projection->input == PG_INPUT_VECTOR) return pg_vector_scratch(projection);
    return pg_rounded(sizeof(pg_walk)) + pg_rounded(sizeof(pg_touches)) + pg_rounded(pg_seen_bytes(projection)) +
           2 * pg_padded_bits(projection->bits) * sizeof(uint16_t);
}

static void text_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                        uint64_t *negative) {
    size_t padded = pg_padded_bits(projection->bits);
    pg_walk *walk = (pg_walk *)(void *)scratch;
    scratch += pg_rounded(sizeof *walk);
    pg_touches *touches = (pg_touches *)(void *)scratch;
    scratch += pg_rounded(sizeof *touches);
    uint64_t *seen = (uint64_t *)(void *)scratch;
    scratch += pg_rounded(pg_seen_bytes(projection));
    uint16_t *counts = (uint16_t *)(void *)scratch;

    memset(counts, 0, 2 * padded * sizeof *counts);
    pg_walk_start(walk, projection, 0, seen, row->text, row->length);
    uint32_t family;
    for (size_t count; (count = pg_walk_next(walk, projection, &family)) > 0;)
        add_features(&projection->families[family], walk->hashes, count, touches, counts, (uint16_t)padded);
    quantise(counts, padded, positive, negative);
}

#endif

pg_status pg_row_check(const pg_projection *projection, const pg_row *row, unsigned input) {
    if (projection->input != input) return projection->input == PG_INPUT_TEXT ? PG_WANTS_TEXT : PG_WANTS_VECTOR;
    if (input == PG_INPUT_VECTOR) return pg_vector_check(projection, row);
    return row->text || row->length == 0 ? PG_OK : PG_BAD_ARGUMENT;
}

void pg_project_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                       uint64_t *negative) {
    if (projection->input == PG_INPUT_VECTOR)
        pg_vector_planes(projection, row, scratch, positive, negative);
    else
        text_planes(projection, row, scratch, positive, negative);
    if (projection->quantiser == PG_QUANTISER_SIGN) complement(positive, negative, projection->bits);
}

uint32_t pg_project_scratch(const pg_projection *projection) {
    return PG_SCRATCH_ALIGN + pg_planes_scratch(projection) + 2 * pg_rounded(pg_padded_bits(projection->bits) / 8);
}

size_t pg_project_scratch_size(const pg_projection *projection) {
    return projection ? pg_as_size(pg_project_scratch(projection)) : 0;
}

static void store_plane(const uint64_t *words, uint32_t bits, uint8_t *plane) {
    for (uint32_t byte = 0; byte < (bits + 7) / 8; byte++)
        plane[byte] = (uint8_t)(words[byte / 8] >> 8 * (byte % 8));
}

static pg_status project(const pg_projection *projection, const pg_row *row, unsigned input, void *scratch,
                         size_t scratch_size, uint8_t *positive, uint8_t *negative) {
    if (!projection || !scratch || !positive || !negative) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_project_scratch(projection)) return PG_SCRATCH_TOO_SMALL;
    pg_status status = pg_row_check(projection, row, input);
    if (status != PG_OK) return status;
    uint8_t *aligned = pg_align(scratch);
    size_t plane = pg_rounded(pg_padded_bits(projection->bits) / 8);
    uint64_t *above = (uint64_t *)(void *)aligned, *below = (uint64_t *)(void *)(aligned + plane);
    pg_project_planes(projection, row, aligned + 2 * plane, above, below);
    store_plane(above, projection->bits, positive);
    store_plane(below, projection->bits, negative);
    return PG_OK;
}

pg_status pg_project(const pg_projection *projection, const char *text, size_t length, void *scratch,
                     size_t scratch_size, uint8_t *positive, uint8_t *negative) {
    pg_row row = {text, length, NULL, NULL, 0};
    return project(projection, &row, PG_INPUT_TEXT, scratch, scratch_size, positive, negative);
}

pg_status pg_project_vector(const pg_projection *projection, const uint32_t *columns, const int16_t *values,
                            size_t count, void *scratch, size_t scratch_size, uint8_t *positive, uint8_t *negative) {
    pg_row row = {NULL, 0, columns, values, count};
    return project(projection, &row, PG_INPUT_VECTOR, scratch, scratch_size, positive, negative);
}

pg_status pg_features(const pg_projection *projection, const char *text, size_t length, void *scratch,
                      size_t scratch_size, pg_feature *features, size_t capacity, size_t *count) {
    if (!projection || (!text && length) || !scratch || (!features && capacity) || !count) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_project_scratch(projection)) return PG_SCRATCH_TOO_SMALL;
    if (projection->input != PG_INPUT_TEXT) return PG_WANTS_VECTOR;
    pg_walk *walk = (pg_walk *)(void *)pg_align(scratch);
    uint64_t *seen = (uint64_t *)(void *)((uint8_t *)walk + pg_rounded(sizeof *walk));
    uint32_t family;
    *count = 0;
    for (uint32_t first = 0; first < projection->family_count; first += PG_FAMILIES) {
        pg_walk_start(walk, projection, first, seen, text, length);
        for (size_t found; (found = pg_walk_next(walk, projection, &family)) > 0;)
            for (size_t i = 0; i < found; i++, ++*count)
                if (*count < capacity) {
                    features[*count].hash = walk->hashes[i];
                    features[*count].family = family;
                }
    }
    return PG_OK;
}
