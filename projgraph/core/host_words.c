/* Words to code sums by AVX-512: a table's entries are found by their upper bits, and a code is added as a mask. */

#include "host.h"

#if PG_HOST_X86

#include <immintrin.h>

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
    for (; first < end; first++)
        if ((pg_u32(model->words + sizeof first * first) ^ fingerprint) < 4) return first;
    return model->word_count;
}

/* Code bits count as 0 and 1: ones of 32 bits each, and of all words the weights and their squares. */
typedef struct {
    __m512i ones[PG_MAX_DIMENSIONS / 32];
    uint32_t weights;
    uint32_t squares;
} totals;

PG_HOST_TARGET static inline void add_code(totals *all, const uint8_t *code, uint32_t bytes, uint32_t weight) {
    uint64_t bits[2] = {0, 0};
    __m512i each = _mm512_set1_epi16((short)weight);
    memcpy(bits, code, bytes);
    all->weights += weight;
    all->squares += weight * weight;
    for (uint32_t i = 0; i < PG_MAX_DIMENSIONS / 32; i++)
        all->ones[i] = _mm512_mask_add_epi16(all->ones[i], (__mmask32)(bits[i / 2] >> i % 2 * 32), all->ones[i], each);
}

/* The whole part of the square root of less than 2^46: exact in doubles, which have 53 bits. */
PG_HOST_TARGET static uint32_t root(uint64_t square) {
    __m128d value = _mm_cvtsi64_sd(_mm_setzero_pd(), (long long)square);
    return (uint32_t)_mm_cvttsd_si64(_mm_sqrt_sd(value, value));
}

/* As normalise of pg_words.c, eight sums at a time. */
PG_HOST_TARGET static void normalise(const pg_model *model, const totals *all, int8_t *sums) {
    uint64_t unit = (uint64_t)1 << 2 * (16 + model->norm_shift);
    __m512i factor = _mm512_set1_epi64(all->squares > 0 ? (long long)root(unit / all->squares) : 0);
    __m512i weights = _mm512_set1_epi64((long long)all->weights), half = _mm512_set1_epi64(1 << 15);
    for (uint32_t i = 0; i < model->dimensions; i += 8) {
        __m128i ones = _mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)all->ones + 2 * i));
        __m512i sum = _mm512_sub_epi64(_mm512_slli_epi64(_mm512_cvtepu16_epi64(ones), 1), weights);
        __m512i value = _mm512_srai_epi64(_mm512_add_epi64(_mm512_mul_epi32(sum, factor), half), 16);
        value = _mm512_max_epi64(_mm512_min_epi64(value, _mm512_set1_epi64(127)), _mm512_set1_epi64(-127));
        _mm_storel_epi64((__m128i *)(void *)(sums + i), _mm512_cvtepi64_epi8(value));
    }
}

PG_HOST_TARGET void pg_host_code_sums(const pg_model *model, const pg_host_index *index, const uint64_t *tokens,
                                      size_t count, int8_t *sums) {
    const uint8_t *codes = model->words + sizeof(uint32_t) * (size_t)model->word_count;
    uint32_t bytes = model->dimensions / 8;
    totals all;
    memset(&all, 0, sizeof all);
    for (size_t i = 0; i < count; i++) {
        uint32_t fingerprint = (uint32_t)(pg_mix(tokens[i] ^ model->projection.seed) >> 32) & ~(uint32_t)3;
        uint32_t place = find(model, index, fingerprint);
        if (place == model->word_count) continue;
        uint32_t weight = 1u << (pg_u32(model->words + sizeof place * place) & 3);
        add_code(&all, codes + (size_t)place * bytes, bytes, weight);
    }
    normalise(model, &all, sums);
}

#endif
