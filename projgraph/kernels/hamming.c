/* Exact nearest neighbours by Hamming distance: 16 x 16 pairs at a time, rows transposed so that a lane is a row.
 *
 * A list keeps the `count` smallest keys distance << 32 | name, and keys are totally ordered: whatever the order of
 * pairs, the lists end the same. Entering a pair twice changes nothing. Time: about 1.5 cycles for every 512 bits of a
 * pair with AVX-512 (exclusive or, population count and sum share two ports). */

#include <string.h>

#include "kernels.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define PK_X86 1
#include <immintrin.h>
#else
#define PK_X86 0
#endif

/* Words whose counts fit a byte: 31 x 8 < 256. */
#define PK_BYTE_WORDS 31

typedef struct {
    int32_t distances[PK_LANES][PK_LANES]; /* of query and row; only where near is set */
    uint16_t near[PK_LANES];               /* bit r of near[q]: the pair may enter the list of one of the two */
    int undecided;                         /* queries for which a lower bound was worked out in vain */
} pk_hits;

/* Fill hits for a block of queries and a block of rows; 0 if no pair is near. */
typedef int (*pk_compare)(const uint32_t *queries, const uint32_t *rows, size_t words, const int32_t *query_limits,
                          const int32_t *row_limits, pk_hits *hits);

/* ---- C99 ---- */

static uint32_t byte_counts(uint32_t x) {
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return (x + (x >> 4)) & 0x0F0F0F0Fu;
}

static void distances_portable(const uint32_t *queries, const uint32_t *rows, size_t words, int32_t *distances) {
    for (int r = 0; r < PK_LANES; r++)
        distances[r] = 0;
    for (size_t start = 0; start < words; start += PK_BYTE_WORDS) {
        size_t end = words - start < PK_BYTE_WORDS ? words : start + PK_BYTE_WORDS;
        uint32_t counts[PK_LANES] = {0};
        for (size_t w = start; w < end; w++)
            for (int r = 0; r < PK_LANES; r++)
                counts[r] += byte_counts(rows[w * PK_LANES + (size_t)r] ^ queries[w * PK_LANES]);
        for (int r = 0; r < PK_LANES; r++) {
            uint32_t pairs = (counts[r] & 0x00FF00FFu) + (counts[r] >> 8 & 0x00FF00FFu);
            distances[r] += (int32_t)((pairs & 0xFFFFu) + (pairs >> 16));
        }
    }
}

static int compare_portable(const uint32_t *queries, const uint32_t *rows, size_t words, const int32_t *query_limits,
                            const int32_t *row_limits, pk_hits *hits) {
    int any = 0;
    for (int q = 0; q < PK_LANES; q++) {
        unsigned near = 0;
        distances_portable(queries + q, rows, words, hits->distances[q]);
        for (int r = 0; r < PK_LANES; r++) {
            int32_t distance = hits->distances[q][r];
            near |= (unsigned)(distance <= query_limits[q] || distance <= row_limits[r]) << r;
        }
        hits->near[q] = (uint16_t)near;
        any |= near != 0;
    }
    return any;
}

#if PK_X86

/* ---- AVX2: counts of half bytes from a table ---- */

__attribute__((target("avx2"))) static inline __m256i byte_counts_avx2(__m256i x) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)), _mm256_shuffle_epi8(table, high));
}

/* Distances of one query to eight rows, in 32-bit lanes. */
__attribute__((target("avx2"))) static inline __m256i distances_avx2(const uint32_t *queries, const uint32_t *rows,
                                                                     size_t words) {
    __m256i sums = _mm256_setzero_si256();
    for (size_t start = 0; start < words; start += PK_BYTE_WORDS) {
        size_t end = words - start < PK_BYTE_WORDS ? words : start + PK_BYTE_WORDS;
        __m256i counts = _mm256_setzero_si256();
        for (size_t w = start; w < end; w++) {
            __m256i row = _mm256_loadu_si256((const __m256i *)(const void *)(rows + w * PK_LANES));
            __m256i query = _mm256_set1_epi32((int)queries[w * PK_LANES]);
            counts = _mm256_add_epi8(counts, byte_counts_avx2(_mm256_xor_si256(row, query)));
        }
        __m256i pairs = _mm256_maddubs_epi16(counts, _mm256_set1_epi8(1));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    return sums;
}

__attribute__((target("avx2"))) static int compare_avx2(const uint32_t *queries, const uint32_t *rows, size_t words,
                                                        const int32_t *query_limits, const int32_t *row_limits,
                                                        pk_hits *hits) {
    int any = 0;
    for (int q = 0; q < PK_LANES; q++) {
        unsigned near = 0;
        for (int half = 0; half < PK_LANES; half += 8) {
            __m256i sums = distances_avx2(queries + q, rows + half, words);
            __m256i limits = _mm256_loadu_si256((const __m256i *)(const void *)(row_limits + half));
            limits = _mm256_max_epi32(limits, _mm256_set1_epi32(query_limits[q]));
            __m256i far = _mm256_cmpgt_epi32(sums, limits);
            near |= (~(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(far)) & 0xFFu) << half;
            _mm256_storeu_si256((__m256i *)(void *)(hits->distances[q] + half), sums);
        }
        hits->near[q] = (uint16_t)near;
        any |= near != 0;
    }
    return any;
}

/* ---- AVX-512 with population counts ---- */

#define PK_GROUP 8 /* queries whose sums stay in registers while a word of the rows is loaded once */

#define PK_AVX512_TARGET __attribute__((target("avx512f,avx512vpopcntdq")))

/* One word of a group of queries, each against all rows. */
PK_AVX512_TARGET static inline void add_word_avx512(const uint32_t *queries, const uint32_t *rows, size_t w,
                                                    __m512i *sums) {
    const __m512i row = _mm512_loadu_si512(rows + w * PK_LANES);
    const uint32_t *word = queries + w * PK_LANES;
    for (int q = 0; q < PK_GROUP; q++) {
        __m512i differing = _mm512_xor_si512(row, _mm512_set1_epi32((int)word[q]));
        sums[q] = _mm512_add_epi32(sums[q], _mm512_popcnt_epi32(differing));
    }
}

__attribute__((target("avx512f,avx512vpopcntdq"))) static int compare_avx512(const uint32_t *queries,
                                                                             const uint32_t *rows, size_t words,
                                                                             const int32_t *query_limits,
                                                                             const int32_t *row_limits, pk_hits *hits) {
    const __m512i limits = _mm512_loadu_si512(row_limits);
    int any = 0;
    for (int group = 0; group < PK_LANES; group += PK_GROUP) {
        __m512i sums[PK_GROUP];
        for (int q = 0; q < PK_GROUP; q++)
            sums[q] = _mm512_setzero_si512();
        for (size_t w = 0; w < words; w++)
            add_word_avx512(queries + group, rows, w, sums);
        for (int q = 0; q < PK_GROUP; q++) {
            __m512i limit = _mm512_max_epi32(limits, _mm512_set1_epi32(query_limits[group + q]));
            __mmask16 near = _mm512_cmple_epi32_mask(sums[q], limit);
            hits->near[group + q] = near;
            if (near) _mm512_storeu_si512(hits->distances[group + q], sums[q]), any = 1;
        }
    }
    return any;
}

/* What the unions of the last function leave out: bits that differ in word w and in word w + half. */
PK_AVX512_TARGET static inline __m512i intersections_avx512(const uint32_t *queries, const uint32_t *rows,
                                                            size_t half) {
    __m512i sum = _mm512_setzero_si512();
    for (size_t w = 0; w < half; w++, queries += PK_LANES, rows += PK_LANES) {
        const __m512i high = _mm512_loadu_si512(rows + half * PK_LANES);
        const __m512i high_word = _mm512_set1_epi32((int)queries[half * PK_LANES]);
        __m512i differing = _mm512_xor_si512(_mm512_loadu_si512(rows), _mm512_set1_epi32((int)queries[0]));
        differing = _mm512_ternarylogic_epi32(differing, high, high_word, 0x60); /* a & (b ^ c) */
        sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(differing));
    }
    return sum;
}

/* The same hits with a third less work where most pairs are far: at least the union of the bits that differ in word w
 * and of those in word w + half differ, and a union takes one population count for two words. */
PK_AVX512_TARGET static int compare_bounded_avx512(const uint32_t *queries, const uint32_t *rows, size_t words,
                                                   const int32_t *query_limits, const int32_t *row_limits,
                                                   pk_hits *hits) {
    const __m512i limits = _mm512_loadu_si512(row_limits);
    const size_t half = words / 2;
    int any = 0;
    hits->undecided = 0;
    for (int group = 0; group < PK_LANES; group += PK_GROUP) {
        __m512i sums[PK_GROUP];
        for (int q = 0; q < PK_GROUP; q++)
            sums[q] = _mm512_setzero_si512();
        for (size_t w = 0; w < half; w++) {
            const __m512i low = _mm512_loadu_si512(rows + w * PK_LANES);
            const __m512i high = _mm512_loadu_si512(rows + (w + half) * PK_LANES);
            const uint32_t *word = queries + w * PK_LANES + group, *high_word = word + half * PK_LANES;
            for (int q = 0; q < PK_GROUP; q++) {
                __m512i differing = _mm512_xor_si512(low, _mm512_set1_epi32((int)word[q]));
                differing = _mm512_ternarylogic_epi32(differing, high, _mm512_set1_epi32((int)high_word[q]),
                                                      0xF6); /* a | (b ^ c) */
                sums[q] = _mm512_add_epi32(sums[q], _mm512_popcnt_epi32(differing));
            }
        }
        if (words % 2) add_word_avx512(queries + group, rows, words - 1, sums);
        for (int q = 0; q < PK_GROUP; q++) {
            const __m512i limit = _mm512_max_epi32(limits, _mm512_set1_epi32(query_limits[group + q]));
            __mmask16 near = _mm512_cmple_epi32_mask(sums[q], limit);
            if (near) {
                sums[q] = _mm512_add_epi32(sums[q], intersections_avx512(queries + group + q, rows, half));
                near = _mm512_cmple_epi32_mask(sums[q], limit);
                hits->undecided++;
            }
            hits->near[group + q] = near;
            if (near) _mm512_storeu_si512(hits->distances[group + q], sums[q]), any = 1;
        }
    }
    return any;
}

#endif

int pk_runs(pk_path path) {
#if PK_X86
    if (path == PK_AVX2) return __builtin_cpu_supports("avx2") != 0;
    if (path == PK_AVX512) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq");
#endif
    return path == PK_PORTABLE;
}

/* ---- the comparison that pays ---- */

#define PK_TRIAL 32  /* block pairs by the bounded comparison, and while it pays, again */
#define PK_PLAIN 512 /* block pairs by the plain one after a trial that did not */

typedef struct {
    pk_compare plain;
    pk_compare bounded; /* NULL if the path has none */
    int turns;          /* block pairs left, of a trial if positive, of plain comparisons if negative */
    int undecided;
} pk_comparison;

static pk_comparison comparison(pk_path path) {
    pk_comparison chosen = {compare_portable, NULL, PK_TRIAL, 0};
#if PK_X86
    if (path == PK_AVX2) chosen.plain = compare_avx2;
    if (path == PK_AVX512) chosen.plain = compare_avx512, chosen.bounded = compare_bounded_avx512;
#endif
    (void)path;
    return chosen;
}

/* Lists are not full at first, and bits may be too even for the bound: it pays while it decides three of four. */
static int compare(pk_comparison *chosen, const uint32_t *queries, const uint32_t *rows, size_t words,
                   const int32_t *query_limits, const int32_t *row_limits, pk_hits *hits) {
    if (!chosen->bounded) return chosen->plain(queries, rows, words, query_limits, row_limits, hits);
    if (chosen->turns < 0) {
        if (++chosen->turns == 0) chosen->turns = PK_TRIAL;
        return chosen->plain(queries, rows, words, query_limits, row_limits, hits);
    }
    int any = chosen->bounded(queries, rows, words, query_limits, row_limits, hits);
    chosen->undecided += hits->undecided;
    if (--chosen->turns == 0) {
        chosen->turns = chosen->undecided * 4 > PK_TRIAL * PK_LANES ? -PK_PLAIN : PK_TRIAL;
        chosen->undecided = 0;
    }
    return any;
}

/* ---- lists ---- */

static void enter(const pk_side *side, size_t row, size_t count, uint64_t key) {
    uint64_t *best = side->best + row * count;
    if (key >= best[count - 1]) return;
    size_t place = count - 1;
    while (place > 0 && best[place - 1] > key)
        place--;
    if (place > 0 && best[place - 1] == key) return;
    memmove(best + place + 1, best + place, (count - 1 - place) * sizeof *best);
    best[place] = key;
    side->limits[row] = (int32_t)(best[count - 1] >> 32);
}

/* A block of queries against a block of rows; the rows' lists are left alone unless both is set. */
static void enter_block(const pk_side *queries, size_t query_block, const pk_side *rows, size_t row_block, size_t count,
                        const pk_hits *hits, int both) {
    for (size_t q = 0; q < PK_LANES; q++) {
        size_t query = query_block * PK_LANES + q;
        if (query >= queries->rows) return;
        unsigned near = hits->near[q];
        for (size_t r = 0; near; near >>= 1, r++) {
            size_t row = row_block * PK_LANES + r;
            if (!(near & 1) || row >= rows->rows || queries->names[query] == rows->names[row]) continue;
            uint64_t distance = (uint64_t)hits->distances[q][r] << 32;
            enter(queries, query, count, distance | (uint32_t)rows->names[row]);
            if (both) enter(rows, row, count, distance | (uint32_t)queries->names[query]);
        }
    }
}

static const int32_t ask_nothing[PK_LANES] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

void pk_hamming_pairs(const pk_side *side, size_t words, size_t count, size_t first, size_t last, size_t other_first,
                      size_t other_last, pk_path path) {
    pk_comparison chosen = comparison(path);
    const size_t size = words * PK_LANES;
    pk_hits hits;
    for (size_t a = first; a < last; a++)
        for (size_t b = first == other_first ? a : other_first; b < other_last; b++) {
            const int32_t *row_limits = a == b ? ask_nothing : side->limits + b * PK_LANES;
            if (compare(&chosen, side->blocks + a * size, side->blocks + b * size, words, side->limits + a * PK_LANES,
                        row_limits, &hits))
                enter_block(side, a, side, b, count, &hits, a != b);
        }
}

void pk_hamming_search(const pk_side *queries, const pk_side *rows, size_t words, size_t count, size_t first,
                       size_t last, pk_path path) {
    pk_comparison chosen = comparison(path);
    const size_t size = words * PK_LANES, blocks = (queries->rows + PK_LANES - 1) / PK_LANES;
    pk_hits hits;
    for (size_t b = first; b < last; b++)
        for (size_t a = 0; a < blocks; a++)
            if (compare(&chosen, queries->blocks + a * size, rows->blocks + b * size, words,
                        queries->limits + a * PK_LANES, ask_nothing, &hits))
                enter_block(queries, a, rows, b, count, &hits, 0);
}

void pk_hamming_blocks(const uint8_t *packed, size_t bytes, const int32_t *names, size_t rows, uint32_t *blocks) {
    const size_t words = (bytes + 3) / 4, size = words * PK_LANES, count = (rows + PK_LANES - 1) / PK_LANES;
    if (count) memset(blocks + (count - 1) * size, 0, size * sizeof *blocks);
    for (size_t row = 0; row < rows; row++) {
        const uint8_t *source = packed + (size_t)names[row] * bytes;
        uint32_t *lane = blocks + row / PK_LANES * size + row % PK_LANES;
        for (size_t w = 0; w < words; w++) {
            uint32_t word = 0;
            memcpy(&word, source + 4 * w, bytes - 4 * w < 4 ? bytes - 4 * w : 4);
            lane[w * PK_LANES] = word;
        }
    }
}
