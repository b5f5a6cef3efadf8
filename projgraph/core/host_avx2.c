/* The host's kernels by AVX2: features, signed additions, bits, codes and layers. */

#include "host.h"

#if PG_HOST_X86

#include <immintrin.h>

#define PG_HOST_256 __attribute__((target("avx2,bmi,bmi2,popcnt")))

#define PG_VECTOR 32
#define PG_TARGET PG_HOST_256
#include "host_rows.h"

enum {
    LINE = PG_HOST_LINE,
    BLOCK = PG_HOST_BLOCK,
    TOGETHER = PG_HOST_TOGETHER,
    HALF = TOGETHER / 2, /* blocks whose sums stay in 16 registers, beside what is added to them */
    MANY_PAIRS = 16,     /* sums of two products with weights of -8 to 7 that fit 16 bits: 16 x 2 x 127 x 8 < 2^15 */
    MOST_VALUES = PG_MAX_UNITS + PG_MAX_DIMENSIONS
};

static const uint64_t PLACES[PG_MAX_CHARACTER_NGRAM] = PG_NGRAM_PLACES;

PG_HOST_256 static inline __m256i load(const void *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}

PG_HOST_256 static inline void store(void *at, __m256i value) {
    _mm256_storeu_si256((__m256i *)at, value);
}

/* Products of 64 bits from those of 32. */
PG_HOST_256 static inline __m256i times(__m256i a, uint64_t factor) {
    __m256i low = _mm256_set1_epi64x((long long)(factor & 0xFFFFFFFFu));
    __m256i high = _mm256_set1_epi64x((long long)(factor >> 32));
    __m256i middle = _mm256_add_epi64(_mm256_mul_epu32(a, high), _mm256_mul_epu32(_mm256_srli_epi64(a, 32), low));
    return _mm256_add_epi64(_mm256_mul_epu32(a, low), _mm256_slli_epi64(middle, 32));
}

PG_HOST_256 static inline __m256i mix(__m256i h) {
    h = _mm256_xor_si256(h, _mm256_srli_epi64(h, 32));
    h = times(h, 0xD6E8FEB86659FD93u);
    return _mm256_xor_si256(h, _mm256_srli_epi64(h, 32));
}

/* The n-grams that end at four points, into grams[0] for the shortest. */
PG_HOST_256 static inline void four_points(const uint32_t *points, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                           uint64_t grams[][4]) {
    __m256i sums = _mm256_setzero_si256();
    for (uint32_t n = 1; n <= n_max; n++) {
        __m128i older = _mm_loadu_si128((const __m128i *)(const void *)(points - (n - 1)));
        __m256i point = _mm256_add_epi64(_mm256_cvtepu32_epi64(older), _mm256_set1_epi64x(1));
        __m256i low = _mm256_mul_epu32(point, _mm256_set1_epi64x((long long)(PLACES[n - 1] & 0xFFFFFFFFu)));
        __m256i high = _mm256_mul_epu32(point, _mm256_set1_epi64x((long long)(PLACES[n - 1] >> 32)));
        sums = _mm256_add_epi64(sums, _mm256_add_epi64(low, _mm256_slli_epi64(high, 32)));
        if (n < n_min) continue;
        __m256i start = _mm256_set1_epi64x((long long)(n * PG_NGRAM_MULTIPLIER));
        __m256i salted = _mm256_xor_si256(_mm256_add_epi64(sums, start), _mm256_set1_epi64x((long long)salt));
        store(grams[n - n_min], mix(salted));
    }
}

/* As keep_inside of pg_features.c: all lengths are written and the good ones kept. */
PG_HOST_256 static inline size_t all_lengths(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                             uint64_t *hashes) {
    uint8_t inside[PG_MAX_CHARACTER_NGRAM + 1] = {0};
    uint64_t grams[PG_MAX_CHARACTER_NGRAM][4];
    for (uint32_t reach = n_min; reach <= PG_MAX_CHARACTER_NGRAM; reach++)
        inside[reach] = (uint8_t)(reach < n_max ? reach - n_min + 1 : n_max - n_min + 1);
    size_t count = 0;
    for (uint32_t t = 0; t < chunk->point_count; t += 4) {
        uint32_t left = chunk->point_count - t, end = left < 4 ? left : 4;
        four_points(chunk->points + PG_HISTORY + t, n_min, n_max, salt, grams);
        for (uint32_t p = 0; p < end; p++) {
            for (uint32_t i = 0; i <= n_max - n_min; i++)
                hashes[count + i] = grams[i][p];
            count += inside[chunk->reach[t + p]];
        }
    }
    return count;
}

PG_HOST_256 static size_t ngrams(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt,
                                 uint64_t *hashes) {
    if (n_min == 3 && n_max == 5) return all_lengths(chunk, 3, 5, salt, hashes); /* constants: straight code */
    return all_lengths(chunk, n_min, n_max, salt, hashes);
}

/* Places and signs of 16 fields: of eight features if at most two fields of each count, or of four. */
PG_HOST_256 static inline void touch(const uint64_t *hashes, int two, __m256i starts, __m256i part, __m256i ones,
                                     uint16_t *places, int16_t *signs) {
    __m256i fields = load(hashes);
    if (two) {
        __m256 first = _mm256_castsi256_ps(fields), second = _mm256_castsi256_ps(load(hashes + 4));
        __m256i low = _mm256_castps_si256(_mm256_shuffle_ps(first, second, 0x88));
        fields = _mm256_permute4x64_epi64(low, 0xD8);
    }
    __m256i odd = _mm256_and_si256(fields, ones);
    store(places, _mm256_add_epi16(_mm256_mulhi_epu16(fields, part), starts));
    store(signs, _mm256_sub_epi16(ones, _mm256_add_epi16(odd, odd)));
}

PG_HOST_256 static void add_features(const pg_family *family, uint64_t *hashes, size_t count, int16_t *counts) {
    uint16_t places[16];
    int16_t signs[16];
    uint32_t sub = family->bit_count / family->additions;
    __m256i part = _mm256_set1_epi16((short)sub);
    for (uint32_t done = 0; done < family->additions; done += 4) {
        uint32_t fields = family->additions - done < 4 ? family->additions - done : 4;
        int two = fields <= 2;
        size_t step = two ? 8 : 4;
        pg_host_fields at = pg_host_fields_of(family, done, sub);
        __m256i starts = _mm256_set1_epi64x((long long)at.starts), ones = _mm256_set1_epi64x((long long)at.ones);
        for (size_t first = 0; first < count; first += step) {
            size_t some = count - first < step ? count - first : step;
            touch(hashes + first, two, starts, part, ones, places, signs);
            if (some == step)
                pg_host_touch(places, signs, 16, counts);
            else
                pg_host_touch(places, signs, some * (two ? 2 : 4), counts);
        }
        for (size_t i = 0; i < count && done + 4 < family->additions; i++)
            hashes[i] = pg_mix(hashes[i] + PG_MULTIPLIER);
    }
}

/* 32 counts as bytes with the same signs, in order. */
PG_HOST_256 static inline __m256i take_counts(int16_t *counts) {
    __m256i packed = _mm256_packs_epi16(load(counts), load(counts + 16));
    store(counts, _mm256_setzero_si256());
    store(counts + 16, _mm256_setzero_si256());
    return _mm256_permute4x64_epi64(packed, 0xD8);
}

/* The numbers of the set bits, written eight at a time, whether or not there are so many. */
PG_HOST_256 static inline size_t list_bits(uint64_t bits, uint32_t first, uint16_t *rows) {
    size_t count = (size_t)__builtin_popcountll(bits);
    for (size_t written = 0; written == 0 || written < count; written += 8)
        for (size_t i = 0; i < 8; i++, bits &= bits - 1)
            rows[written + i] = (uint16_t)(first + (uint32_t)_tzcnt_u64(bits));
    return count;
}

PG_HOST_256 static void list_rows(const pg_projection *projection, int16_t *counts, pg_host_found *found) {
    size_t above = 0, below = 0;
    for (uint32_t first = 0; first < projection->bits; first += 64) {
        uint32_t left = projection->bits - first;
        __m256i low = take_counts(counts + first), high = take_counts(counts + first + 32);
        __m256i zero = _mm256_setzero_si256();
        uint64_t more = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(low, zero)) |
                        (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(high, zero)) << 32;
        uint64_t less = (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
        if (projection->quantiser == PG_QUANTISER_SIGN)
            less = ~more & (left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0);
        above += list_bits(more, first, found->rows[0] + above);
        below += list_bits(less, first, found->rows[1] + below);
    }
    found->counts[0] = above;
    found->counts[1] = below;
}

/* Code bits count as 0 and 1: ones of 16 bits each, and of all words the weights and their squares. */
typedef struct {
    __m256i ones[PG_MAX_DIMENSIONS / 16];
    uint32_t weights;
    uint32_t squares;
} totals;

PG_HOST_256 static inline void add_code(totals *all, const uint8_t *at, uint32_t bytes, uint32_t weight) {
    const __m256i bit = _mm256_set_epi16(-32768, 16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1);
    const __m256i each = _mm256_set1_epi16((short)weight);
    uint8_t code[PG_MAX_DIMENSIONS / 8] = {0};
    memcpy(code, at, bytes);
    all->weights += weight;
    all->squares += weight * weight;
    for (uint32_t part = 0; 2 * part < bytes; part++) {
        __m256i bits = _mm256_and_si256(_mm256_set1_epi16((short)pg_u16(code + 2 * part)), bit);
        __m256i set = _mm256_and_si256(_mm256_cmpeq_epi16(bits, bit), each);
        all->ones[part] = _mm256_add_epi16(all->ones[part], set);
    }
}

/* As normalise of pg_words.c, eight sums at a time: what is shifted is positive and below 2^38, then below 2^22. */
PG_HOST_256 static void normalise(const pg_model *model, const totals *all, int8_t *sums) {
    uint64_t unit = (uint64_t)1 << 2 * (16 + model->norm_shift);
    __m256i factor = _mm256_set1_epi64x(all->squares > 0 ? (long long)pg_host_root(unit / all->squares) : 0);
    __m256i weights = _mm256_set1_epi32((int)all->weights);
    __m256i shifted = _mm256_set1_epi64x(((long long)1 << 37) + (1 << 15));
    for (uint32_t i = 0; i < model->dimensions; i += 8) {
        __m128i ones = _mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)all->ones + 2 * i));
        __m256i sum = _mm256_sub_epi32(_mm256_slli_epi32(_mm256_cvtepu16_epi32(ones), 1), weights);
        __m256i even = _mm256_add_epi64(_mm256_mul_epi32(sum, factor), shifted);
        __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(sum, 32), factor), shifted);
        __m256i value = _mm256_blend_epi32(_mm256_srli_epi64(even, 16), _mm256_slli_epi64(odd, 16), 0xAA);
        value = _mm256_sub_epi32(value, _mm256_set1_epi32(1 << 21));
        __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
        narrow = _mm_max_epi8(_mm_packs_epi16(narrow, narrow), _mm_set1_epi8(-127));
        _mm_storel_epi64((__m128i *)(void *)(sums + i), narrow);
    }
}

PG_HOST_256 static void sum_codes(const pg_model *model, const uint32_t *places, size_t count, int8_t *sums) {
    const uint8_t *codes = model->words + sizeof(uint32_t) * (size_t)model->word_count;
    uint32_t bytes = model->dimensions / 8;
    totals all;
    memset(&all, 0, sizeof all);
    for (size_t i = 0; i < count; i++) {
        uint32_t weight = 1u << (pg_u32(model->words + sizeof weight * places[i]) & 3);
        add_code(&all, codes + (size_t)places[i] * bytes, bytes, weight);
    }
    normalise(model, &all, sums);
}

PG_HOST_256 static inline void add_eight(__m128i eight, int32_t *scores) {
    store(scores, _mm256_add_epi32(load(scores), _mm256_cvtepi16_epi32(eight)));
}

PG_HOST_256 static inline void add_line(sums_vector evens, sums_vector odds, size_t count, int32_t *scores) {
    __m256i even = (__m256i)evens, odd = (__m256i)odds;
    __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    int32_t few[LINE / 2] = {0}, *to = count < LINE / 2 ? few : scores;
    add_eight(_mm256_castsi256_si128(low), to);
    add_eight(_mm256_castsi256_si128(high), to + 8);
    add_eight(_mm256_extracti128_si256(low, 1), to + 16);
    add_eight(_mm256_extracti128_si256(high, 1), to + 24);
    for (size_t k = 0; k < count && to == few; k++)
        scores[k] += few[k];
}

/* The weights of a layer from a block of outputs on, and the values: those above zero and those below, as unsigned
 * bytes. */
typedef struct {
    const uint8_t *weights;
    size_t stride; /* to those of the next four inputs */
    uint32_t groups;
    int small; /* weights of four bits or fewer */
    int signs; /* whether any value is below zero */
    uint8_t values[2][MOST_VALUES];
} multiples;

/* Four values times the weights of eight outputs, as sums of two products: at most 2 x 127 x 128 in size. */
PG_HOST_256 static inline __m256i pairs_of(__m256i weights, __m256i above, __m256i below, int signs) {
    __m256i pairs = _mm256_maddubs_epi16(above, weights);
    return signs ? _mm256_sub_epi16(pairs, _mm256_maddubs_epi16(below, weights)) : pairs;
}

/* Where weights are small, as many such sums as fit 16 bits are added up before they are widened. */
PG_HOST_256 static inline void add_some(const multiples *all, uint32_t blocks, int small, int signs, int32_t *scores) {
    const __m256i one = _mm256_set1_epi16(1);
    const uint8_t *weights = all->weights;
    __m256i sums[2 * HALF];
    for (uint32_t b = 0; b < 2 * blocks; b++)
        sums[b] = small ? _mm256_setzero_si256() : load(scores + 8 * b);
    for (uint32_t g = 0; g < all->groups; g++, weights += all->stride) {
        int32_t four[2];
        memcpy(&four[0], all->values[0] + 4 * g, sizeof four[0]);
        memcpy(&four[1], all->values[1] + 4 * g, sizeof four[1]);
        __m256i above = _mm256_set1_epi32(four[0]), below = _mm256_set1_epi32(four[1]);
        for (uint32_t b = 0; b < 2 * blocks; b++) {
            __m256i pairs = pairs_of(load(weights + 32 * b), above, below, signs);
            sums[b] =
                small ? _mm256_add_epi16(sums[b], pairs) : _mm256_add_epi32(sums[b], _mm256_madd_epi16(pairs, one));
        }
        if (!small || (g % MANY_PAIRS != MANY_PAIRS - 1 && g + 1 < all->groups)) continue;
        for (uint32_t b = 0; b < 2 * blocks; b++) {
            store(scores + 8 * b, _mm256_add_epi32(load(scores + 8 * b), _mm256_madd_epi16(sums[b], one)));
            sums[b] = _mm256_setzero_si256();
        }
    }
    for (uint32_t b = 0; b < 2 * blocks && !small; b++)
        store(scores + 8 * b, sums[b]);
}

/* So many blocks, a constant where it is called, so that their sums stay in registers. */
PG_HOST_256 static inline void add_blocks(const multiples *all, uint32_t blocks, int32_t *scores) {
    if (all->small && all->signs)
        add_some(all, blocks, 1, 1, scores);
    else if (all->small)
        add_some(all, blocks, 1, 0, scores);
    else if (all->signs)
        add_some(all, blocks, 0, 1, scores);
    else
        add_some(all, blocks, 0, 0, scores);
}

PG_HOST_256 static void add_values(const pg_host_layer *laid, const int8_t *values, int32_t *scores) {
    multiples all;
    int8_t any = 0;
    all.groups = laid->groups;
    all.small = laid->width < 8;
    for (uint32_t i = 0; i < 4 * laid->groups; i++) {
        int8_t value = values[i];
        all.values[0][i] = (uint8_t)(value > 0 ? value : 0);
        all.values[1][i] = (uint8_t)(value < 0 ? -value : 0);
        any |= value;
    }
    all.signs = any < 0;
    for (uint32_t first = 0; first < laid->blocks; first += HALF) {
        uint32_t whole = first / TOGETHER * TOGETHER;
        uint32_t some = laid->blocks - whole < TOGETHER ? laid->blocks - whole : TOGETHER;
        uint32_t blocks = laid->blocks - first < HALF ? laid->blocks - first : HALF;
        int32_t *out = scores + (size_t)first * BLOCK;
        all.weights = laid->values + ((size_t)whole * laid->groups + (first - whole)) * LINE;
        all.stride = (size_t)some * LINE;
        switch (blocks) {
        case 4:
            add_blocks(&all, 4, out);
            break;
        case 3:
            add_blocks(&all, 3, out);
            break;
        case 2:
            add_blocks(&all, 2, out);
            break;
        default:
            add_blocks(&all, 1, out);
        }
    }
}

int pg_host_runs_256(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

const pg_host_kernels pg_host_256 = {256, 0, ngrams, add_features, list_rows, sum_codes, add_rows, add_values};

#endif
