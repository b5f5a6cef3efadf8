/* Words to their places in a model's table, found by the upper bits of a fingerprint. */

#include "host.h"

#if PG_HOST_X86

#include <emmintrin.h>

enum { MOST_BITS = 13 }; /* of an index: 32 KB */

/* Two buckets an entry, so that most hold one or none. */
static unsigned index_bits(const pg_model *model) {
    unsigned bits = 1;
    while (bits < MOST_BITS && (uint32_t)1 << bits < 2 * model->word_count)
        bits++;
    return bits;
}

size_t pg_host_index_bytes(const pg_model *model) {
    return (((size_t)1 << index_bits(model)) + 1) * sizeof(uint32_t);
}

void pg_host_index_words(const pg_model *model, uint32_t *starts, pg_host_index *index) {
    unsigned bits = index_bits(model);
    uint32_t entry = 0;
    index->starts = starts;
    index->shift = 32 - bits;
    for (uint32_t bucket = 0; bucket < (uint32_t)1 << bits; bucket++) {
        starts[bucket] = entry;
        while (entry < model->word_count && pg_u32(model->words + sizeof entry * entry) >> index->shift == bucket)
            entry++;
    }
    starts[(size_t)1 << bits] = entry;
}

/* The place of a fingerprint's entry, which differs from it by no more than the two lowest bits; or the table's end. */
static inline uint32_t find(const pg_model *model, const pg_host_index *index, uint32_t fingerprint) {
    uint32_t first = index->starts[fingerprint >> index->shift], end = index->starts[(fingerprint >> index->shift) + 1];
    while (end - first > 4) { /* many words in few buckets */
        uint32_t middle = first + (end - first) / 2;
        if (pg_u32(model->words + sizeof first * middle) > (fingerprint | 3))
            end = middle;
        else
            first = middle;
    }
    uint32_t last = model->word_count - 1, found = model->word_count;
    for (uint32_t i = 0; i < 4; i++) { /* all of them: how many a bucket holds would be mispredicted */
        uint32_t place = first + i < last ? first + i : last;
        found = (pg_u32(model->words + sizeof place * place) ^ fingerprint) < 4 ? place : found;
    }
    return found;
}

void pg_host_places(const pg_model *model, const pg_host_index *index, const uint64_t *tokens, size_t count,
                    uint32_t *places) {
    for (size_t i = 0; i < count; i++)
        places[i] = find(model, index, (uint32_t)(pg_mix(tokens[i] ^ model->projection.seed) >> 32) & ~(uint32_t)3);
}

/* Doubles have 53 bits, so the root of less than 2^46 is cut to the right whole number. */
uint32_t pg_host_root(uint64_t square) {
    __m128d value = _mm_set_sd((double)square);
    return (uint32_t)_mm_cvtsd_f64(_mm_sqrt_sd(value, value));
}

#endif
