/* Runs and tokens to the counted feature hashes of each family; knows no bits. */

#include <string.h>

#include "pg_internal.h"

static const uint64_t K[PG_MAX_CHARACTER_NGRAM] = PG_NGRAM_PLACES;

/* 64-bit words of a family's used bits. */
static uint32_t used_words(const pg_projection *projection) {
    return (((uint32_t)1 << projection->seen_slots_log2) + 63) / 64;
}

uint32_t pg_seen_bytes(const pg_projection *projection) {
    if (projection->seen_slots_log2 == 0) return 0;
    uint32_t slots = (uint32_t)1 << projection->seen_slots_log2;
    uint32_t families = projection->family_count < PG_FAMILIES ? projection->family_count : PG_FAMILIES;
    return families * (used_words(projection) * sizeof(uint64_t) + slots * sizeof(uint32_t));
}

void pg_walk_start(pg_walk *walk, const pg_projection *projection, uint32_t first, uint64_t *seen, const char *text,
                   size_t length) {
    pg_reader_start(&walk->reader, &walk->chunk, text, length);
    memset(walk->states, 0, sizeof walk->states);
    walk->first = first;
    walk->count = projection->family_count - first < PG_FAMILIES ? projection->family_count - first : PG_FAMILIES;
    for (uint32_t f = 0; f < walk->count; f++) {
        walk->states[f].salt = projection->seed + projection->families[first + f].kind * PG_FAMILY_MULTIPLIER;
        walk->states[f].left = PG_MAX_FEATURES;
    }
    walk->seen = seen;
    if (projection->seen_slots_log2 > 0) memset(seen, 0, walk->count * used_words(projection) * sizeof *seen);
    walk->family = walk->count; /* so that the first step reads a chunk */
    walk->offset = 0;
}

/* The n-gram of a token and the n - 1 words before it, given newest first. */
static uint64_t word_ngram(uint64_t token, const uint64_t *words, uint32_t n) {
    uint64_t g = n * PG_NGRAM_MULTIPLIER;
    for (uint32_t back = n - 1; back > 0; back--)
        g = pg_fold(g, words[back - 1]);
    return pg_fold(g, token);
}

/* The features of up to PG_LANES tokens, at most PG_MAX_WORD_NGRAM of each; how many there are. */
static size_t word_features(const pg_chunk *chunk, uint32_t first, const pg_family *family, pg_family_state *state,
                            uint64_t *hashes) {
    size_t count = 0;
    uint32_t end = first + PG_LANES < chunk->token_count ? first + PG_LANES : chunk->token_count;
    for (uint32_t t = first; t < end; t++) {
        uint64_t token = chunk->tokens[t];
        if (family->n_min == 1) hashes[count++] = pg_mix(word_ngram(token, NULL, 1) ^ state->salt);
        if (!chunk->is_word[t]) continue;
        for (uint32_t n = family->n_min > 2 ? family->n_min : 2; n <= family->n_max && n - 1 <= state->word_count; n++)
            hashes[count++] = pg_mix(word_ngram(token, state->words, n) ^ state->salt);
        memmove(state->words + 1, state->words, sizeof state->words - sizeof *state->words);
        state->words[0] = token;
        state->word_count += state->word_count < PG_MAX_WORD_NGRAM - 1;
    }
    return count;
}

/* All n-grams that end at PG_LANES points, whether or not they stay inside their run: the sums are independent of each
 * other, so this loop is vectors throughout. */
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

/* The n-grams that lie inside their runs, in text order, out of those that end at `end` points. All lengths are written
 * and the good ones kept: how many there are is looked up, since a branch on it would be mispredicted. */
static inline size_t keep_inside(const uint64_t *grams, const uint8_t *reach, uint32_t end, uint32_t n_min,
                                 uint32_t lengths, uint64_t *hashes) {
    uint8_t inside[PG_MAX_CHARACTER_NGRAM + 1] = {0};
    for (uint32_t longest = n_min; longest <= PG_MAX_CHARACTER_NGRAM; longest++)
        inside[longest] = (uint8_t)(longest - n_min < lengths ? longest - n_min + 1 : lengths);
    size_t count = 0;
    for (uint32_t t = 0; t < end; t++) {
        for (uint32_t i = 0; i < lengths; i++)
            hashes[count + i] = grams[i * PG_LANES + t];
        count += inside[reach[t]];
    }
    return count;
}

/* The features that end at up to PG_LANES points, at most PG_MAX_CHARACTER_NGRAM at each; how many there are. */
static size_t character_features(pg_walk *walk, const pg_family *family, uint64_t salt, uint64_t *hashes) {
    const uint8_t *reach = walk->chunk.reach + walk->offset;
    uint32_t left = walk->chunk.point_count - walk->offset, end = left < PG_LANES ? left : PG_LANES;
    uint32_t n_min = family->n_min, lengths = family->n_max - n_min + 1u;
    const uint64_t *grams = walk->grams[n_min - 1];
    character_ngrams(walk->chunk.points + PG_HISTORY + walk->offset, family, salt, walk->grams);
    if (lengths == 3) return keep_inside(grams, reach, end, n_min, 3, hashes); /* a constant: straight code */
    return keep_inside(grams, reach, end, n_min, lengths, hashes);
}

/* The repeat filter: keep the hashes whose stamp is not in their slot. A slot holds something only if its bit is set:
 * clearing the bits costs a 32nd of clearing the slots. */
static size_t keep_new(uint64_t *hashes, size_t count, uint64_t *used, uint32_t *stamps, uint32_t mask) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hashes[i];
        uint32_t slot = (uint32_t)hash & mask, stamp = (uint32_t)(hash >> 32) | 1u;
        uint64_t word = used[slot / 64], bit = (uint64_t)1 << slot % 64;
        uint32_t before = stamps[slot];
        used[slot / 64] = word | bit;
        stamps[slot] = stamp;
        hashes[kept] = hash;
        kept += (before != stamp) | ((word & bit) == 0);
    }
    return kept;
}

/* The end of a family's input in the chunk. */
static uint32_t input_end(const pg_walk *walk, const pg_family *family) {
    return family->kind == PG_FAMILY_WORD ? walk->chunk.token_count : walk->chunk.point_count;
}

/* As many features of the family as hashes has room for, from the chunk's offset on; those that count remain. */
static size_t step(pg_walk *walk, const pg_projection *projection, const pg_family *family) {
    pg_family_state *state = &walk->states[walk->family];
    uint32_t end = input_end(walk, family);
    size_t most = (size_t)PG_LANES * (family->n_max - family->n_min + 1u), count = 0;
    for (; walk->offset < end && count + most <= PG_HASHES; walk->offset += PG_LANES)
        count += family->kind == PG_FAMILY_WORD
                     ? word_features(&walk->chunk, walk->offset, family, state, walk->hashes + count)
                     : character_features(walk, family, state->salt, walk->hashes + count);
    if (projection->seen_slots_log2 > 0) {
        uint32_t words = used_words(projection), slots = (uint32_t)1 << projection->seen_slots_log2;
        uint32_t *stamps = (uint32_t *)(void *)(walk->seen + walk->count * words);
        count =
            keep_new(walk->hashes, count, walk->seen + walk->family * words, stamps + walk->family * slots, slots - 1);
    }
    if (count > state->left) count = state->left;
    state->left -= (uint32_t)count;
    return count;
}

static int all_full(const pg_walk *walk) {
    for (uint32_t f = 0; f < walk->count; f++)
        if (walk->states[f].left > 0) return 0;
    return 1;
}

size_t pg_walk_next(pg_walk *walk, const pg_projection *projection, uint32_t *family) {
    for (;;) {
        if (walk->family == walk->count) {
            if (all_full(walk) || !pg_reader_next(&walk->reader, &walk->chunk)) return 0;
            walk->family = 0;
            walk->offset = 0;
        }
        const pg_family *current = &projection->families[walk->first + walk->family];
        if (walk->offset >= input_end(walk, current) || walk->states[walk->family].left == 0) {
            walk->family++;
            walk->offset = 0;
            continue;
        }
        *family = walk->first + walk->family;
        size_t count = step(walk, projection, current);
        if (count > 0) return count;
    }
}
