/* The host's kernels by AVX-512: features, signed additions, bits, codes and layers. */

#include "host.h"

#if PG_HOST_X86

#include <immintrin.h>

#define PG_HOST_512                                                                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,bmi,bmi2,popcnt")))

#define PG_VECTOR 64
#define PG_TARGET PG_HOST_512
#include "host_rows.h"

enum { LINE = PG_HOST_LINE, BLOCK = PG_HOST_BLOCK, TOGETHER = PG_HOST_TOGETHER };

static const uint64_t PLACES[PG_MAX_CHARACTER_NGRAM] = PG_NGRAM_PLACES;

PG_HOST_512 static inline __m512i mix(__m512i h) {
    h = _mm512_xor_si512(h, _mm512_srli_epi64(h, 32));
    h = _mm512_mullo_epi64(h, _mm512_set1_epi64((long long)0xD6E8FEB86659FD93u));
    return _mm512_xor_si512(h, _mm512_srli_epi64(h, 32));
}

/* The n-grams that end at eight points, into grams[n]. */
PG_HOST_512 static inline void eight_points(const uint32_t *points, uint32_t n_min, uint32_t n_max, uint64_t salt,
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
PG_HOST_512 static size_t three_lengths(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
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

PG_HOST_512 static size_t all_lengths(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
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

PG_HOST_512 static size_t ngrams(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                 uint64_t *hashes) {
    if (n_min == 3 && n_max == 5) return three_lengths(chunk, 3, 5, salt, hashes); /* constants: straight code */
    return all_lengths(chunk, n_min, n_max, salt, hashes);
}

/* Places and signs of 32 fields: of 16 features if at most two fields of each count, or of 8. */
PG_HOST_512 static inline void touch(const uint64_t *hashes, int two, __m512i starts, __m512i part, __m512i ones,
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
PG_HOST_512 static void add_features(const pg_family *family, uint64_t *hashes, size_t count, int16_t *counts) {
    uint16_t places[32] __attribute__((aligned(64)));
    int16_t signs[32] __attribute__((aligned(64)));
    uint32_t part = family->bit_count / family->additions;
    for (uint32_t done = 0; done < family->additions; done += 4) {
        int two = family->additions - done <= 2;
        size_t step = two ? 16 : 8, each = two ? 2 : 4;
        pg_host_fields at = pg_host_fields_of(family, done, part);
        __m512i starts = _mm512_set1_epi64((long long)at.starts), ones = _mm512_set1_epi64((long long)at.ones);
        size_t first = 0;
        for (; first + step <= count; first += step) {
            touch(hashes + first, two, starts, _mm512_set1_epi16((short)part), ones, places, signs);
            pg_host_touch(places, signs, 32, counts);
        }
        if (first < count) { /* what lies behind the last feature adds nothing: its number would be mispredicted */
            __mmask32 there = (__mmask32)(((uint64_t)1 << each * (count - first)) - 1);
            touch(hashes + first, two, starts, _mm512_set1_epi16((short)part), _mm512_maskz_mov_epi16(there, ones),
                  places, signs);
            pg_host_touch(places, signs, 32, counts);
        }
        for (size_t i = 0; i < count && done + 4 < family->additions; i++)
            hashes[i] = pg_mix(hashes[i] + PG_MULTIPLIER);
    }
}

/* Bits above and below zero as the numbers of their rows, and all counts back at zero. */
PG_HOST_512 static void list_rows(const pg_projection *projection, int16_t *counts, pg_host_found *found) {
    uint16_t *above = found->rows[0], *below = found->rows[1];
    __m512i zero = _mm512_setzero_si512(), next = _mm512_set1_epi16(32);
    __m512i bits = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
                                    10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
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

/* Code bits count as 0 and 1: ones of 16 bits each, and of all words the weights and their squares. */
typedef struct {
    __m512i ones[PG_MAX_DIMENSIONS / 32];
    uint32_t weights;
    uint32_t squares;
} totals;

/* Sums of parts of 32 code bits: a constant where it is called, so that they stay in registers. */
PG_HOST_512 static inline void add_codes(const pg_model *model, const uint32_t *places, size_t count, uint32_t parts,
                                         totals *all) {
    uint32_t bytes = model->dimensions / 8, weights = 0, squares = 0;
    const uint8_t *codes = model->words + sizeof(uint32_t) * (size_t)model->word_count;
    __mmask16 there = (__mmask16)((1u << bytes) - 1);
    __m512i ones[PG_MAX_DIMENSIONS / 32];
    for (uint32_t i = 0; i < parts; i++)
        ones[i] = _mm512_setzero_si512();
    for (size_t word = 0; word < count; word++) {
        uint32_t weight = 1u << (pg_u32(model->words + sizeof weight * places[word]) & 3);
        __m128i code = _mm_maskz_loadu_epi8(there, codes + (size_t)places[word] * bytes);
        uint64_t bits[2] = {(uint64_t)_mm_cvtsi128_si64(code), (uint64_t)_mm_extract_epi64(code, 1)};
        __m512i each = _mm512_set1_epi16((short)weight);
        weights += weight;
        squares += weight * weight;
        for (uint32_t i = 0; i < parts; i++)
            ones[i] = _mm512_mask_add_epi16(ones[i], (__mmask32)(bits[i / 2] >> i % 2 * 32), ones[i], each);
    }
    for (uint32_t i = 0; i < parts; i++)
        all->ones[i] = ones[i];
    all->weights = weights;
    all->squares = squares;
}

/* As normalise of pg_words.c, eight sums at a time. */
PG_HOST_512 static void normalise(const pg_model *model, const totals *all, int8_t *sums) {
    uint64_t unit = (uint64_t)1 << 2 * (16 + model->norm_shift);
    __m512i factor = _mm512_set1_epi64(all->squares > 0 ? (long long)pg_host_root(unit / all->squares) : 0);
    __m512i weights = _mm512_set1_epi64((long long)all->weights), half = _mm512_set1_epi64(1 << 15);
    for (uint32_t i = 0; i < model->dimensions; i += 8) {
        __m128i ones = _mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)all->ones + 2 * i));
        __m512i sum = _mm512_sub_epi64(_mm512_slli_epi64(_mm512_cvtepu16_epi64(ones), 1), weights);
        __m512i value = _mm512_srai_epi64(_mm512_add_epi64(_mm512_mul_epi32(sum, factor), half), 16);
        value = _mm512_max_epi64(_mm512_min_epi64(value, _mm512_set1_epi64(127)), _mm512_set1_epi64(-127));
        _mm_storel_epi64((__m128i *)(void *)(sums + i), _mm512_cvtepi64_epi8(value));
    }
}

PG_HOST_512 static void sum_codes(const pg_model *model, const uint32_t *places, size_t count, int8_t *sums) {
    totals all;
    if (model->dimensions <= 64)
        add_codes(model, places, count, 2, &all);
    else
        add_codes(model, places, count, PG_MAX_DIMENSIONS / 32, &all);
    normalise(model, &all, sums);
}

/* scores += the first 16 of so many 16-bit sums, or fewer. */
PG_HOST_512 static inline void add_block(__m256i sums, size_t count, int32_t *scores) {
    __mmask16 some = (__mmask16)(count < BLOCK ? (1u << count) - 1 : 0xFFFFu);
    __m512i before = _mm512_maskz_loadu_epi32(some, scores);
    _mm512_mask_storeu_epi32(scores, some, _mm512_add_epi32(before, _mm512_cvtepi16_epi32(sums)));
}

PG_HOST_512 static inline void add_line(sums_vector evens, sums_vector odds, size_t count, int32_t *scores) {
    __m512i even = (__m512i)evens, odd = (__m512i)odds;
    const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                           37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    __m512i low = _mm512_permutex2var_epi16(even, first, odd), high = _mm512_permutex2var_epi16(even, second, odd);
    add_block(_mm512_castsi512_si256(low), count, scores);
    if (count > BLOCK) add_block(_mm512_extracti64x4_epi64(low, 1), count - BLOCK, scores + BLOCK);
    if (count > 2 * BLOCK) add_block(_mm512_castsi512_si256(high), count - 2 * BLOCK, scores + 2 * BLOCK);
    if (count > 3 * BLOCK) add_block(_mm512_extracti64x4_epi64(high, 1), count - 3 * BLOCK, scores + 3 * BLOCK);
}

/* Blocks of outputs, so many that compilers keep their sums in registers. */
PG_HOST_512 static inline void add_values(const uint8_t *weights, const int8_t *values, uint32_t groups,
                                          uint32_t blocks, __m512i start, int32_t *scores) {
    __m512i sums[TOGETHER];
    for (uint32_t b = 0; b < blocks; b++)
        sums[b] = _mm512_add_epi32(start, _mm512_loadu_si512(scores + b * BLOCK));
    for (uint32_t g = 0; g < groups; g++, weights += (size_t)blocks * LINE) {
        int32_t four;
        memcpy(&four, values + 4 * g, sizeof four);
        __m512i each = _mm512_set1_epi32(four);
        for (uint32_t b = 0; b < blocks; b++)
            sums[b] = _mm512_dpbusd_epi32(sums[b], _mm512_loadu_si512(weights + (size_t)b * LINE), each);
    }
    for (uint32_t b = 0; b < blocks; b++)
        _mm512_storeu_si512(scores + b * BLOCK, sums[b]);
}

PG_HOST_512 static void add_values_of_all(const pg_host_layer *laid, const int8_t *values, int32_t *scores) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < 4 * laid->groups; i++)
        sum += values[i];
    __m512i start = _mm512_set1_epi32(-128 * sum);
    for (uint32_t first = 0; first < laid->blocks; first += TOGETHER) {
        uint32_t some = laid->blocks - first < TOGETHER ? laid->blocks - first : TOGETHER;
        const uint8_t *weights = laid->values + (size_t)first * laid->groups * LINE;
        int32_t *out = scores + first * BLOCK;
        switch (some) {
        case 8:
            add_values(weights, values, laid->groups, 8, start, out);
            break;
        case 7:
            add_values(weights, values, laid->groups, 7, start, out);
            break;
        case 6:
            add_values(weights, values, laid->groups, 6, start, out);
            break;
        case 5:
            add_values(weights, values, laid->groups, 5, start, out);
            break;
        case 4:
            add_values(weights, values, laid->groups, 4, start, out);
            break;
        case 3:
            add_values(weights, values, laid->groups, 3, start, out);
            break;
        case 2:
            add_values(weights, values, laid->groups, 2, start, out);
            break;
        default:
            add_values(weights, values, laid->groups, 1, start, out);
        }
    }
}

int pg_host_runs_512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512vnni") && pg_host_runs_256();
}

const pg_host_kernels pg_host_512 = {512, 128, ngrams, add_features, list_rows, sum_codes, add_rows, add_values_of_all};

#endif
