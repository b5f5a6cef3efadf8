/* A text to the rows of its bits by AVX-512: the core's reader, then its features and signed additions in vectors. */

#include "host.h"

#if PG_HOST_X86

#include <immintrin.h>

static const uint64_t PLACES[PG_MAX_CHARACTER_NGRAM] = PG_NGRAM_PLACES;

PG_HOST_TARGET static inline __m512i mix(__m512i h) {
    h = _mm512_xor_si512(h, _mm512_srli_epi64(h, 32));
    h = _mm512_mullo_epi64(h, _mm512_set1_epi64((long long)0xD6E8FEB86659FD93u));
    return _mm512_xor_si512(h, _mm512_srli_epi64(h, 32));
}

/* The n-grams that end at eight points, into grams[n]. */
PG_HOST_TARGET static inline void eight_points(const uint32_t *points, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                               __m512i *grams) {
    __m512i sums = _mm512_setzero_si512();
    for (uint32_t n = 1; n <= n_max; n++) {
        __m256i older = _mm256_loadu_si256((const __m256i *)(const void *)(points - (n - 1)));
        __m512i place = _mm512_set1_epi64((long long)PLACES[n - 1]);
        __m512i point = _mm512_add_epi64(_mm512_cvtepu32_epi64(older), _mm512_set1_epi64(1));
        sums = _mm512_add_epi64(sums, _mm512_mullo_epi64(point, place));
        if (n < n_min) continue;
        __m512i start = _mm512_set1_epi64((long long)(n * PG_NGRAM_MULTIPLIER));
        grams[n - n_min] = mix(_mm512_xor_si512(_mm512_add_epi64(sums, start), _mm512_set1_epi64((long long)salt)));
    }
}

/* Three lengths, as most models have them: those that lie inside their runs, interleaved in text order, without a
 * branch. */
PG_HOST_TARGET static size_t three_lengths(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                           uint64_t *hashes) {
    const __m512i pairs[3] = {_mm512_setr_epi64(0, 8, 0, 1, 9, 0, 2, 10), _mm512_setr_epi64(0, 3, 11, 0, 4, 12, 0, 5),
                              _mm512_setr_epi64(13, 0, 6, 14, 0, 7, 15, 0)};
    const __m512i thirds[3] = {_mm512_setr_epi64(0, 1, 8, 3, 4, 9, 6, 7), _mm512_setr_epi64(10, 1, 2, 11, 4, 5, 12, 7),
                               _mm512_setr_epi64(0, 13, 2, 3, 14, 5, 6, 15)};
    size_t count = 0;
    for (uint32_t t = 0; t < chunk->point_count; t += 8) {
        __m512i grams[3];
        eight_points(chunk->points + PG_HISTORY + t, n_min, n_max, salt, grams);
        uint32_t left = chunk->point_count - t;
        __mmask16 there = (__mmask16)(left < 8 ? (1u << left) - 1 : 0xFF);
        __m128i reach = _mm_loadl_epi64((const __m128i *)(const void *)(chunk->reach + t));
        uint32_t inside = 0;
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t good = _mm_mask_cmpge_epu8_mask(there, reach, _mm_set1_epi8((char)(n_min + i)));
            inside |= _pdep_u32(good, 0x249249u << i);
        }
        for (uint32_t i = 0; i < 3; i++) {
            __mmask8 kept = (__mmask8)(inside >> 8 * i);
            __m512i mixed = _mm512_permutex2var_epi64(grams[0], pairs[i], grams[1]);
            mixed = _mm512_permutex2var_epi64(mixed, thirds[i], grams[2]);
            _mm512_storeu_si512(hashes + count, _mm512_maskz_compress_epi64(kept, mixed));
            count += (size_t)__builtin_popcount(kept);
        }
    }
    return count;
}

PG_HOST_TARGET static size_t all_lengths(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                         uint64_t *hashes) {
    size_t count = 0;
    for (uint32_t t = 0; t < chunk->point_count; t += 8) {
        __m512i grams[PG_MAX_CHARACTER_NGRAM];
        uint64_t each[PG_MAX_CHARACTER_NGRAM][8];
        eight_points(chunk->points + PG_HISTORY + t, n_min, n_max, salt, grams);
        for (uint32_t i = 0; i <= n_max - n_min; i++)
            _mm512_storeu_si512(each[i], grams[i]);
        uint32_t left = chunk->point_count - t, end = left < 8 ? left : 8;
        for (uint32_t p = 0; p < end; p++)
            for (uint32_t n = n_min; n <= n_max && n <= chunk->reach[t + p]; n++)
                hashes[count++] = each[n - n_min][p];
    }
    return count;
}

/* Of every token, and of every word with the words before it, which stand before it in words. */
static size_t word_hashes(const pg_chunk *chunk, const pg_family *family, uint64_t salt, const uint64_t *words,
                          uint32_t before, uint64_t *hashes) {
    size_t count = 0;
    const uint64_t *word = words + PG_MAX_WORD_NGRAM - 1;
    for (uint32_t t = 0; t < chunk->token_count; t++) {
        if (family->n_min == 1) hashes[count++] = pg_mix(pg_fold(PG_NGRAM_MULTIPLIER, chunk->tokens[t]) ^ salt);
        if (!chunk->is_word[t]) continue;
        for (uint32_t n = family->n_min > 2 ? family->n_min : 2; n <= family->n_max && n - 1 <= before; n++) {
            uint64_t gram = n * PG_NGRAM_MULTIPLIER;
            for (uint32_t back = n; back > 0; back--)
                gram = pg_fold(gram, word[1 - (ptrdiff_t)back]);
            hashes[count++] = pg_mix(gram ^ salt);
        }
        word++;
        before += before < PG_MAX_WORD_NGRAM - 1;
    }
    return count;
}

/* The repeat filter of pg_features.c. A slot holds the text as well, so that none is ever cleared. */
static size_t keep_new(uint64_t *hashes, size_t count, uint64_t epoch, uint64_t *stamps, uint32_t mask) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hashes[i], stamp = epoch | hash >> 32 | 1;
        uint64_t *slot = stamps + (hash & mask), before = *slot;
        *slot = stamp;
        hashes[kept] = hash;
        kept += before != stamp;
    }
    return kept;
}

static inline void add_touches(const uint16_t *places, const int16_t *signs, size_t count, int16_t *counts) {
    for (size_t i = 0; i < count; i++)
        counts[places[i]] = (int16_t)(counts[places[i]] + signs[i]);
}

/* Places and signs of 32 fields: of 16 features if at most two fields of each count, or of 8. */
PG_HOST_TARGET static inline void touch(const uint64_t *hashes, int two, __m512i starts, __m512i part, __m512i ones,
                                        uint16_t *places, int16_t *signs) {
    __m512i fields = _mm512_loadu_si512(hashes);
    if (two) {
        __m256i first = _mm512_cvtepi64_epi32(fields), second = _mm512_cvtepi64_epi32(_mm512_loadu_si512(hashes + 8));
        fields = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    }
    __m512i odd = _mm512_and_si512(fields, ones);
    _mm512_store_si512(places, _mm512_add_epi16(_mm512_mulhi_epu16(fields, part), starts));
    _mm512_store_si512(signs, _mm512_sub_epi16(ones, _mm512_add_epi16(odd, odd)));
}

/* The additions of pg_project.c, with a sign: at most PG_MAX_FEATURES = 2^15 - 1 in size, a feature once at most. */
PG_HOST_TARGET static void add_features(const pg_family *family, uint64_t *hashes, size_t count, int16_t *counts) {
    uint16_t places[32] __attribute__((aligned(64)));
    int16_t signs[32] __attribute__((aligned(64)));
    uint32_t part = family->bit_count / family->additions;
    for (uint32_t done = 0; done < family->additions; done += 4) {
        uint32_t fields = family->additions - done < 4 ? family->additions - done : 4, start[4], one[4];
        int two = fields <= 2;
        size_t step = two ? 16 : 8, each = two ? 2 : 4;
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t field = two ? i % 2 : i;
            start[i] = field < fields ? family->first_bit + (done + field) * part : family->first_bit;
            one[i] = field < fields; /* a field that does not count adds nothing */
        }
        __m512i starts = _mm512_set1_epi64(
            (long long)((uint64_t)(start[2] | start[3] << 16) << 32 | start[0] | (uint64_t)start[1] << 16));
        __m512i ones =
            _mm512_set1_epi64((long long)((uint64_t)(one[2] | one[3] << 16) << 32 | one[0] | (uint64_t)one[1] << 16));
        size_t first = 0;
        for (; first + step <= count; first += step) {
            touch(hashes + first, two, starts, _mm512_set1_epi16((short)part), ones, places, signs);
            add_touches(places, signs, 32, counts);
        }
        if (first < count) {
            touch(hashes + first, two, starts, _mm512_set1_epi16((short)part), ones, places, signs);
            add_touches(places, signs, each * (count - first), counts);
        }
        for (size_t i = 0; i < count && done + 4 < family->additions; i++)
            hashes[i] = pg_mix(hashes[i] + PG_MULTIPLIER);
    }
}

PG_HOST_TARGET static void add_family(const pg_projection *projection, uint32_t f, pg_host_text *state) {
    const pg_family *family = &projection->families[f];
    uint64_t salt = projection->seed + family->kind * PG_FAMILY_MULTIPLIER, *hashes = state->hashes;
    uint32_t n_min = family->n_min, n_max = family->n_max;
    size_t count;
    if (family->kind == PG_FAMILY_WORD)
        count = word_hashes(&state->chunk, family, salt, state->words, state->word_count, hashes);
    else if (n_min == 3 && n_max == 5)
        count = three_lengths(&state->chunk, 3, 5, salt, hashes);
    else
        count = all_lengths(&state->chunk, n_min, n_max, salt, hashes);
    if (projection->seen_slots_log2 > 0)
        count =
            keep_new(hashes, count, state->epoch, state->stamps[f], ((uint32_t)1 << projection->seen_slots_log2) - 1);
    if (count > state->left[f]) count = state->left[f];
    state->left[f] -= (uint32_t)count;
    add_features(family, hashes, count, state->counts);
}

/* Bits above and below zero as the numbers of their rows, and all counts back at zero. */
PG_HOST_TARGET static void list_rows(const pg_projection *projection, int16_t *counts, pg_host_found *found) {
    uint16_t *above = found->rows[0], *below = found->rows[1];
    __m512i zero = _mm512_setzero_si512(), bits = _mm512_setzero_si512(), next = _mm512_set1_epi16(32);
    for (uint32_t i = 0; i < 32; i++)
        bits = _mm512_mask_set1_epi16(bits, 1u << i, (short)i);
    for (uint32_t first = 0; first < projection->bits; first += 32) {
        __m512i sums = _mm512_loadu_si512(counts + first);
        uint32_t left = projection->bits - first;
        __mmask32 more = _mm512_cmpgt_epi16_mask(sums, zero), less = _mm512_movepi16_mask(sums);
        if (projection->quantiser == PG_QUANTISER_SIGN) less = ~more & (left < 32 ? (1u << left) - 1 : 0xFFFFFFFFu);
        _mm512_storeu_si512(counts + first, zero);
        _mm512_storeu_si512(above, _mm512_maskz_compress_epi16(more, bits));
        _mm512_storeu_si512(below, _mm512_maskz_compress_epi16(less, bits));
        above += __builtin_popcount(more);
        below += __builtin_popcount(less);
        bits = _mm512_add_epi16(bits, next);
    }
    found->counts[0] = (size_t)(above - found->rows[0]);
    found->counts[1] = (size_t)(below - found->rows[1]);
}

/* The chunk's words behind the last ones before it; how many there are of them. */
static uint32_t gather_words(pg_host_text *state) {
    uint32_t count = 0;
    uint64_t *words = state->words + PG_MAX_WORD_NGRAM - 1;
    for (uint32_t t = 0; t < state->chunk.token_count; t++) {
        words[count] = state->chunk.tokens[t];
        count += state->chunk.is_word[t];
    }
    return count;
}

static void keep_tokens(const pg_chunk *chunk, pg_host_found *found) {
    size_t left = PG_MAX_WORDS - found->token_count, count = chunk->token_count < left ? chunk->token_count : left;
    memcpy(found->tokens + found->token_count, chunk->tokens, count * sizeof *found->tokens);
    found->token_count += count;
}

void pg_host_find(const pg_projection *projection, const char *text, size_t length, pg_host_text *state,
                  pg_host_found *found) {
    state->epoch += (uint64_t)1 << 32;
    if (state->epoch == 0) { /* after 2^32 texts */
        memset(state->stamps, 0, sizeof state->stamps);
        state->epoch = (uint64_t)1 << 32;
    }
    for (uint32_t f = 0; f < projection->family_count; f++)
        state->left[f] = PG_MAX_FEATURES;
    state->word_count = 0;
    found->token_count = 0;
    pg_reader_start(&state->reader, &state->chunk, text, length);
    while (pg_reader_next(&state->reader, &state->chunk)) {
        uint32_t words = gather_words(state);
        for (uint32_t f = 0; f < projection->family_count; f++)
            add_family(projection, f, state);
        keep_tokens(&state->chunk, found);
        memmove(state->words, state->words + words, (PG_MAX_WORD_NGRAM - 1) * sizeof *state->words);
        state->word_count += words;
        if (state->word_count > PG_MAX_WORD_NGRAM - 1) state->word_count = PG_MAX_WORD_NGRAM - 1;
    }
    list_rows(projection, state->counts, found);
}

#endif
