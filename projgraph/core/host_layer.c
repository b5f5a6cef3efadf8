/* Layers by AVX-512: rows of bits added as bytes, and values times bytes four inputs at a time. */

#include "host.h"

#if PG_HOST_X86

#include <immintrin.h>

enum {
    LINE = 64,          /* bytes of a vector and of a cache line */
    BLOCK = 16,         /* outputs of a vector of sums */
    TOGETHER = 8,       /* vectors of sums that stay in registers */
    FEW = 16,           /* rows whose unsigned half bytes sum within a byte */
    MANY_HALVES = 1024, /* rows of either sign whose sum fits 16 bits: 2 x 1,024 x 8 < 2^15 */
    MANY_BYTES = 128    /* and of bytes: 128 x 127 + 128 x 128 < 2^15 */
};

static size_t stride_of(const pg_layer *layer) {
    return (pg_row_bytes(layer) + LINE - 1) / LINE * LINE;
}

static uint32_t blocks_of(const pg_layer *layer) {
    return (layer->outputs + BLOCK - 1) / BLOCK;
}

static size_t values_bytes(const pg_layer *layer, uint32_t bits) {
    return (size_t)((layer->inputs - bits + 3) / 4) * blocks_of(layer) * LINE;
}

size_t pg_host_layer_bytes(const pg_layer *layer, uint32_t bits) {
    return bits * stride_of(layer) + values_bytes(layer, bits) + 2 * (size_t)blocks_of(layer) * LINE;
}

static int weight_of(const pg_layer *layer, uint32_t input, uint32_t output) {
    const uint8_t *row = layer->weights + (size_t)input * pg_row_bytes(layer);
    if (layer->weight_bits == 8) return (int)(row[output] ^ 0x80) - 0x80;
    uint32_t half = pg_row_bytes(layer);
    uint32_t nibble = output < half ? row[output] & 15u : (uint32_t)row[output - half] >> 4;
    return (int)(nibble ^ 8) - 8;
}

/* Four inputs of an output side by side, their weights biased by 128; outputs in blocks of as many vectors as are
 * summed together. */
static void lay_out_values(const pg_host_layer *laid, uint8_t *values) {
    const pg_layer *layer = laid->layer;
    memset(values, 0x80, values_bytes(layer, laid->bits));
    for (uint32_t input = laid->bits; input < layer->inputs; input++)
        for (uint32_t output = 0; output < layer->outputs; output++) {
            uint32_t group = (input - laid->bits) / 4, block = output / BLOCK, first = block / TOGETHER * TOGETHER;
            uint32_t some = laid->blocks - first < TOGETHER ? laid->blocks - first : TOGETHER;
            size_t vector = (size_t)first * laid->groups + (size_t)group * some + (block - first);
            values[vector * LINE + output % BLOCK * 4 + (input - laid->bits) % 4] =
                (uint8_t)(weight_of(layer, input, output) + 128);
        }
}

void pg_host_lay_out(const pg_layer *layer, uint32_t bits, uint8_t *memory, pg_host_layer *laid) {
    size_t row = pg_row_bytes(layer);
    laid->layer = layer;
    laid->bits = bits;
    laid->stride = stride_of(layer);
    laid->blocks = blocks_of(layer);
    laid->groups = (layer->inputs - bits + 3) / 4;
    laid->rows = memory;
    for (uint32_t input = 0; input < bits; input++, memory += laid->stride) {
        memset(memory, 0, laid->stride);
        for (size_t byte = 0; byte < row; byte++)
            memory[byte] = layer->weights[input * row + byte] ^ (layer->weight_bits == 8 ? 0x80 : 0x88);
    }
    laid->values = memory;
    lay_out_values(laid, memory);
    int32_t *bias = (int32_t *)(void *)(memory + values_bytes(layer, bits)), *multipliers = bias + BLOCK * laid->blocks;
    laid->bias = bias;
    laid->multipliers = multipliers;
    memset(bias, 0, 2 * (size_t)laid->blocks * LINE);
    for (uint32_t output = 0; output < layer->outputs; output++) {
        bias[output] = pg_i32(layer->bias + sizeof *bias * output);
        multipliers[output] = layer->multipliers[output];
    }
}

/* Sums of a cache line of rows in 16 bits: of the lower half bytes at even and odd bytes, then of the upper ones. Of
 * whole bytes the first two alone. */
typedef struct {
    __m512i of[4];
} line_sums;

PG_HOST_TARGET static inline line_sums sum_halves(const uint8_t *rows, size_t stride, const uint16_t *at,
                                                  size_t count) {
    const __m512i nibble = _mm512_set1_epi8(15), byte = _mm512_set1_epi16(255);
    line_sums sums;
    memset(&sums, 0, sizeof sums);
    while (count > 0) {
        size_t some = count < FEW ? count : FEW;
        __m512i all = _mm512_setzero_si512(), upper = _mm512_setzero_si512();
        for (size_t i = 0; i < some; i++) {
            __m512i row = _mm512_load_si512(rows + at[i] * stride);
            all = _mm512_add_epi8(all, row);
            upper = _mm512_add_epi8(upper, _mm512_and_si512(_mm512_srli_epi16(row, 4), nibble));
        }
        /* The upper sums times 16, modulo 2^8, leave the lower ones. */
        __m512i shifted = _mm512_and_si512(_mm512_slli_epi16(upper, 4), _mm512_set1_epi8((char)0xF0));
        __m512i lower = _mm512_sub_epi8(all, shifted);
        sums.of[0] = _mm512_add_epi16(sums.of[0], _mm512_and_si512(lower, byte));
        sums.of[1] = _mm512_add_epi16(sums.of[1], _mm512_srli_epi16(lower, 8));
        sums.of[2] = _mm512_add_epi16(sums.of[2], _mm512_and_si512(upper, byte));
        sums.of[3] = _mm512_add_epi16(sums.of[3], _mm512_srli_epi16(upper, 8));
        at += some;
        count -= some;
    }
    return sums;
}

PG_HOST_TARGET static inline line_sums sum_bytes(const uint8_t *rows, size_t stride, const uint16_t *at, size_t count) {
    const __m512i byte = _mm512_set1_epi16(255);
    line_sums sums;
    memset(&sums, 0, sizeof sums);
    for (size_t i = 0; i < count; i++) {
        __m512i row = _mm512_load_si512(rows + at[i] * stride);
        sums.of[0] = _mm512_add_epi16(sums.of[0], _mm512_and_si512(row, byte));
        sums.of[1] = _mm512_add_epi16(sums.of[1], _mm512_srli_epi16(row, 8));
    }
    return sums;
}

/* scores += 64 sums of 16 bits, of even and odd bytes. */
PG_HOST_TARGET static inline void add_line(__m512i even, __m512i odd, int32_t *scores) {
    const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                           37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    for (int half = 0; half < 2; half++, scores += 32) {
        __m512i some = _mm512_permutex2var_epi16(even, half ? second : first, odd);
        __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(some));
        __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(some, 1));
        _mm512_storeu_si512(scores, _mm512_add_epi32(_mm512_loadu_si512(scores), low));
        _mm512_storeu_si512(scores + 16, _mm512_add_epi32(_mm512_loadu_si512(scores + 16), high));
    }
}

/* scores += rows above zero, less rows below. Lines of 64 outputs: what stands behind the last one is overwritten by
 * the upper half bytes' sums, or not read. */
PG_HOST_TARGET static void add_rows(const pg_host_layer *laid, const uint16_t *const at[2], const size_t counts[2],
                                    int32_t *scores) {
    int halves = laid->layer->weight_bits == 4;
    size_t row = pg_row_bytes(laid->layer);
    int bias = (halves ? 8 : 128) * ((int)counts[0] - (int)counts[1]);
    for (size_t first = 0; first < row; first += LINE) {
        line_sums above, below;
        if (halves) {
            above = sum_halves(laid->rows + first, laid->stride, at[0], counts[0]);
            below = sum_halves(laid->rows + first, laid->stride, at[1], counts[1]);
        } else {
            above = sum_bytes(laid->rows + first, laid->stride, at[0], counts[0]);
            below = sum_bytes(laid->rows + first, laid->stride, at[1], counts[1]);
        }
        for (int i = 0; i < 4; i++)
            above.of[i] = _mm512_sub_epi16(_mm512_sub_epi16(above.of[i], below.of[i]), _mm512_set1_epi16((short)bias));
        int32_t some[2 * LINE];
        memset(some, 0, sizeof some);
        add_line(above.of[0], above.of[1], some);
        if (halves) add_line(above.of[2], above.of[3], some + LINE);
        size_t left = row - first < LINE ? row - first : LINE;
        for (size_t k = 0; k < left; k++)
            scores[first + k] += some[k];
        for (size_t k = 0; halves && k < left && row + first + k < laid->layer->outputs; k++)
            scores[row + first + k] += some[LINE + k];
    }
}

/* Blocks of outputs, so many that compilers keep their sums in registers. */
PG_HOST_TARGET static inline void add_values(const uint8_t *weights, const int8_t *values, uint32_t groups,
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

PG_HOST_TARGET static void add_all_values(const pg_host_layer *laid, const int8_t *values, int32_t *scores) {
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

PG_HOST_TARGET void pg_host_layer_scores(const pg_host_layer *laid, const pg_host_found *found, const int8_t *values,
                                         int32_t *scores) {
    size_t most = laid->layer->weight_bits == 4 ? MANY_HALVES : MANY_BYTES;
    memset(scores, 0, (size_t)laid->blocks * LINE);
    for (size_t first = 0; laid->bits > 0 && (first < found->counts[0] || first < found->counts[1]); first += most) {
        const uint16_t *at[2];
        size_t counts[2];
        for (int side = 0; side < 2; side++) {
            size_t left = found->counts[side] > first ? found->counts[side] - first : 0;
            at[side] = found->rows[side] + first;
            counts[side] = left < most ? left : most;
        }
        add_rows(laid, at, counts, scores);
    }
    if (laid->groups > 0) add_all_values(laid, values, scores);
    for (uint32_t k = 0; k < laid->blocks * BLOCK; k += BLOCK) {
        __m512i sum = _mm512_loadu_si512(scores + k), factor = _mm512_loadu_si512(laid->multipliers + k);
        sum = _mm512_add_epi32(_mm512_mullo_epi32(sum, factor), _mm512_loadu_si512(laid->bias + k));
        _mm512_storeu_si512(scores + k, sum);
    }
}

#endif
