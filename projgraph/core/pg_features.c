/* Runs and tokens to the counted feature hashes of each family; knows no bits. */

#include <string.h>

#include "pg_internal.h"

/* K[j] weighs the code point j places before an n-gram's last: splitmix64 from 0x1234567, made odd. */
static const uint64_t K[PG_MAX_CHARACTER_NGRAM] = {
    0x3A34CE6380FC0BC5u, 0xC05A677850DC981Bu, 0x9E32CDF7948370BDu, 0xA7765F796F00BBEFu,
    0xBBBB23FE6921FE53u, 0x5BF0C31CACF1E17Fu, 0x3E1900A6529BE043u, 0x2A16CD9ED424EA1Fu,
};

size_t pg_seen_bytes(const pg_projection *projection) {
    if (projection->seen_slots_log2 == 0) return 0;
    return ((size_t)projection->family_count << projection->seen_slots_log2) * sizeof(uint32_t);
}

void pg_walk_start(pg_walk *walk, const pg_projection *projection, uint32_t *seen, const char *text, size_t length) {
    pg_reader_start(&walk->reader, &walk->chunk, text, length);
    memset(walk->states, 0, sizeof walk->states);
    for (uint32_t f = 0; f < projection->family_count; f++) {
        walk->states[f].salt = projection->seed + projection->families[f].kind * PG_FAMILY_MULTIPLIER;
        walk->states[f].left = PG_MAX_FEATURES;
    }
    walk->seen = seen;
    memset(seen, 0, pg_seen_bytes(projection));
    walk->family = projection->family_count; /* so that the first step reads a chunk */
    walk->offset = 0;
}

/* The n-gram of a token and the n - 1 words before it, given newest first. */
static uint64_t word_ngram(uint64_t token, const uint64_t *words, uint32_t n) {
    uint64_t g = n * PG_NGRAM_MULTIPLIER;
    for (uint32_t back = n - 1; back > 0; back--) {
        g = (g ^ words[back - 1]) * PG_MULTIPLIER;
        g ^= g >> 32;
    }
    g = (g ^ token) * PG_MULTIPLIER;
    return g ^ g >> 32;
}

/* Features of up to PG_LANES tokens: at most PG_MAX_WORD_NGRAM each, so PG_HASHES is room enough. */
static size_t word_features(pg_walk *walk, const pg_family *family, pg_family_state *state) {
    size_t count = 0;
    uint32_t end =
        walk->offset + PG_LANES < walk->chunk.token_count ? walk->offset + PG_LANES : walk->chunk.token_count;
    for (uint32_t t = walk->offset; t < end; t++) {
        uint64_t token = walk->chunk.tokens[t];
        if (family->n_min == 1) walk->hashes[count++] = pg_mix(word_ngram(token, NULL, 1) ^ state->salt);
        if (!walk->chunk.is_word[t]) continue;
        for (uint32_t n = family->n_min > 2 ? family->n_min : 2; n <= family->n_max && n - 1 <= state->word_count; n++)
            walk->hashes[count++] = pg_mix(word_ngram(token, state->words, n) ^ state->salt);
        memmove(state->words + 1, state->words, sizeof state->words - sizeof *state->words);
        state->words[0] = token;
        state->word_count += state->word_count < PG_MAX_WORD_NGRAM - 1;
    }
    return count;
}

/* All n-grams that end at PG_LANES points, whether or not they stay inside their run: the sums are independent of
 * each other, so this loop is vectors throughout. */
PG_HOT static void character_ngrams(const uint32_t *points, const pg_family *family, uint64_t salt,
                                    uint64_t grams[][PG_LANES]) {
    uint64_t sums[PG_LANES] = {0};
    for (uint32_t n = 1; n <= family->n_max; n++) {
        const uint32_t *older = points - (n - 1);
        for (uint32_t t = 0; t < PG_LANES; t++)
            sums[t] += ((uint64_t)older[t] + 1) * K[n - 1];
        if (n < family->n_min) continue;
        uint64_t start = n * PG_NGRAM_MULTIPLIER;
        for (uint32_t t = 0; t < PG_LANES; t++)
            grams[n - 1][t] = pg_mix((sums[t] + start) ^ salt);
    }
}

static size_t character_features(pg_walk *walk, const pg_family *family, pg_family_state *state) {
    const uint8_t *reach = walk->chunk.reach + walk->offset;
    uint32_t left = walk->chunk.point_count - walk->offset, end = left < PG_LANES ? left : PG_LANES;
    uint32_t n_min = family->n_min, lengths = family->n_max - n_min + 1u;
    size_t count = 0;
    character_ngrams(walk->chunk.points + PG_HISTORY + walk->offset, family, state->salt, walk->grams);
    /* All lengths are written and those that lie inside the run are kept, without a branch to mispredict. count
     * is at most the number of pairs before this one, so the writes stay inside hashes. */
    for (uint32_t t = 0; t < end; t++) {
        for (uint32_t i = 0; i < lengths; i++)
            walk->hashes[count + i] = walk->grams[n_min - 1 + i][t];
        uint32_t inside = reach[t] < n_min ? 0 : reach[t] - n_min + 1u;
        count += inside < lengths ? inside : lengths;
    }
    return count;
}

/* The repeat filter: keep the hashes whose stamp is not in their slot. */
static size_t keep_new(uint64_t *hashes, size_t count, uint32_t *seen, uint32_t mask) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hashes[i];
        uint32_t stamp = (uint32_t)(hash >> 32) | 1u;
        uint32_t *slot = seen + ((uint32_t)hash & mask);
        uint32_t before = *slot;
        *slot = stamp;
        hashes[kept] = hash;
        kept += before != stamp;
    }
    return kept;
}

static size_t step(pg_walk *walk, const pg_projection *projection) {
    const pg_family *family = &projection->families[walk->family];
    pg_family_state *state = &walk->states[walk->family];
    size_t count =
        family->kind == PG_FAMILY_WORD ? word_features(walk, family, state) : character_features(walk, family, state);
    if (projection->seen_slots_log2 > 0) {
        uint32_t slots = (uint32_t)1 << projection->seen_slots_log2;
        count = keep_new(walk->hashes, count, walk->seen + (size_t)walk->family * slots, slots - 1);
    }
    if (count > state->left) count = state->left;
    state->left -= (uint32_t)count;
    return count;
}

static int all_full(const pg_walk *walk, const pg_projection *projection) {
    for (uint32_t f = 0; f < projection->family_count; f++)
        if (walk->states[f].left > 0) return 0;
    return 1;
}

size_t pg_walk_next(pg_walk *walk, const pg_projection *projection, uint32_t *family) {
    for (;;) {
        if (walk->family == projection->family_count) {
            if (all_full(walk, projection) || !pg_reader_next(&walk->reader, &walk->chunk)) return 0;
            walk->family = 0;
            walk->offset = 0;
        }
        uint32_t kind = projection->families[walk->family].kind;
        uint32_t end = kind == PG_FAMILY_WORD ? walk->chunk.token_count : walk->chunk.point_count;
        if (walk->offset >= end || walk->states[walk->family].left == 0) {
            walk->family++;
            walk->offset = 0;
            continue;
        }
        size_t count = step(walk, projection);
        walk->offset += PG_LANES;
        *family = walk->family;
        if (count > 0) return count;
    }
}
