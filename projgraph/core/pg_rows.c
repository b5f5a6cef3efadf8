/* Sums of weight rows, the arithmetic of every layer: rows of set bits, rows times values, and what a sum is worth. */

#include <string.h>

#include "pg_internal.h"

enum {
    LANES = PG_ROW_PADDING, /* bytes of a vector; rows are read in whole ones, past their end */
    GROUP = 8,              /* rows read in one pass over the sums */
    INT8_ROWS = 256,        /* rows whose unsigned bytes sum within 16 bits: 256 x 255 < 2^16 */
    INT4_ROWS = 4096        /* and nibbles: 4,096 x 15 < 2^16 */
};

uint32_t pg_row_bytes(const pg_layer *layer) {
    if (PG_PACKED_WEIGHTS && (layer->starts || layer->weight_bits == 1)) return pg_bit_bytes(layer);
    if (PG_PACKED_WEIGHTS && layer->weight_bits == 2) return 2 * pg_bit_bytes(layer);
    return layer->weight_bits == 8 ? layer->outputs : (layer->outputs + 1) / 2;
}

/* Whether rows are read in the units of `pg_sums`; others are packed tighter, and their sums are in order. */
static int in_units(const pg_layer *layer) {
    return !PG_PACKED_WEIGHTS || (layer->weight_bits >= 4 && !layer->starts && !layer->codebook);
}

/* Two sums a unit: of packed rows one for each half byte of a codebook, or for each bit of the words they are read in.
 */
static uint32_t row_units(const pg_layer *layer) {
    uint32_t step = in_units(layer) ? LANES : sizeof(uint64_t);
    uint32_t bytes = (pg_row_bytes(layer) + step - 1) / step * step;
    if (!in_units(layer)) return layer->codebook && !layer->starts ? bytes : 4 * bytes;
    return layer->weight_bits == 8 ? bytes / 2 : bytes;
}

pg_sums pg_start_sums(const pg_layer *layer, uint8_t **scratch) {
    pg_sums sums;
    sums.units = row_units(layer);
    sums.row = pg_row_bytes(layer);
    sums.narrow = pg_take(scratch, 2 * sums.units * sizeof *sums.narrow);
    sums.wide = pg_take(scratch, 2 * sums.units * sizeof *sums.wide);
    memset(sums.wide, 0, 2 * sums.units * sizeof *sums.wide);
    return sums;
}

uint32_t pg_sums_scratch(const pg_layer *layer) {
    uint32_t units = row_units(layer);
    return pg_rounded(2 * units * sizeof(uint16_t)) + pg_rounded(2 * units * sizeof(int32_t));
}

/* The places of the lowest bits of a word; the word without them. */
static inline uint64_t take_bits(uint64_t bits, uint32_t start, uint32_t count, uint32_t *places) {
    for (uint32_t i = 0; i < count; i++) {
        places[i] = start + pg_lowest_bit(bits);
        bits &= bits - 1;
    }
    return bits;
}

/* Byte offsets of the rows of the set bits, ascending. Places are written in rounds, whether or not there are so many:
 * how many bits a word has is not predictable, and a mispredicted branch costs more than the writes. Of 64 bits about 5
 * are set among 1,024 that 23 word features share, and about 15 where 99 character features do (BANKING77, 12 words):
 * rounds of 8 and 12 end there. */
PG_HOT size_t pg_row_offsets(const uint64_t *plane, size_t words, uint32_t row, uint32_t *offsets) {
    size_t found = 0;
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = plane[word];
        uint32_t count = pg_bit_count(bits), start = (uint32_t)word * 64;
        uint32_t *out = offsets + found;
        bits = take_bits(bits, start, 8, out);
        if (count > 8) bits = take_bits(bits, start, 12, out + 8);
        for (uint32_t written = 20; written < count; written += 4)
            bits = take_bits(bits, start, 4, out + written);
        found += count;
    }
    for (size_t i = 0; i < found; i++)
        offsets[i] *= row;
    return found;
}

/* Two int8 weights. Which of them is the upper half is the machine's byte order; in_order asks for it. */
static inline uint16_t byte_pair(const uint8_t *row, size_t unit) {
    uint16_t pair;
    memcpy(&pair, row + 2 * unit, sizeof pair);
    return pair ^ 0x8080;
}

static inline uint8_t nibble_pair(const uint8_t *row, size_t unit) {
    return row[unit] ^ 0x88;
}

/* Add GROUP rows to a block of units. The callers give the size as a constant, so that the loop is straight code. */
static inline void group_int8(const uint8_t *weights, const uint32_t *at, uint16_t *lower, uint16_t *upper,
                              size_t units) {
    const uint8_t *a = weights + at[0], *b = weights + at[1], *c = weights + at[2], *d = weights + at[3];
    const uint8_t *e = weights + at[4], *f = weights + at[5], *g = weights + at[6], *h = weights + at[7];
    PG_INDEPENDENT
    for (size_t k = 0; k < units; k++) {
        uint16_t ak = byte_pair(a, k), bk = byte_pair(b, k), ck = byte_pair(c, k), dk = byte_pair(d, k);
        uint16_t ek = byte_pair(e, k), fk = byte_pair(f, k), gk = byte_pair(g, k), hk = byte_pair(h, k);
        lower[k] = (uint16_t)(lower[k] + (ak + bk + ck + dk + ek + fk + gk + hk));
        upper[k] = (uint16_t)(upper[k] + ((ak >> 8) + (bk >> 8) + (ck >> 8) + (dk >> 8) + (ek >> 8) + (fk >> 8) +
                                          (gk >> 8) + (hk >> 8)));
    }
}

/* The sums of GROUP nibbles fit a byte: 8 x 15 < 2^8. */
static inline void group_int4(const uint8_t *weights, const uint32_t *at, uint16_t *lower, uint16_t *upper,
                              size_t units) {
    const uint8_t *a = weights + at[0], *b = weights + at[1], *c = weights + at[2], *d = weights + at[3];
    const uint8_t *e = weights + at[4], *f = weights + at[5], *g = weights + at[6], *h = weights + at[7];
    PG_INDEPENDENT
    for (size_t k = 0; k < units; k++) {
        uint8_t ak = nibble_pair(a, k), bk = nibble_pair(b, k), ck = nibble_pair(c, k), dk = nibble_pair(d, k);
        uint8_t ek = nibble_pair(e, k), fk = nibble_pair(f, k), gk = nibble_pair(g, k), hk = nibble_pair(h, k);
        uint8_t all = (uint8_t)(ak + bk + ck + dk + ek + fk + gk + hk);
        uint8_t top =
            (uint8_t)((ak >> 4) + (bk >> 4) + (ck >> 4) + (dk >> 4) + (ek >> 4) + (fk >> 4) + (gk >> 4) + (hk >> 4));
        lower[k] = (uint16_t)(lower[k] + (uint8_t)(all - (top << 4)));
        upper[k] = (uint16_t)(upper[k] + top);
    }
}

/* Sums of up to INT8_ROWS rows, biased by 128 each. */
PG_HOT static void sum_int8(const uint8_t *weights, const uint32_t *at, size_t count, const pg_sums *sums) {
    size_t units = sums->units;
    uint16_t *lower = sums->narrow, *upper = lower + units;
    size_t whole = units / LANES * LANES;
    for (; PG_ROWS_TOGETHER && count >= GROUP; count -= GROUP, at += GROUP) {
        for (size_t k = 0; k < whole; k += LANES)
            group_int8(weights + 2 * k, at, lower + k, upper + k, LANES);
        if (whole < units) group_int8(weights + 2 * whole, at, lower + whole, upper + whole, LANES / 2);
    }
    for (; count > 0; count--, at++) {
        PG_INDEPENDENT
        for (size_t k = 0; k < units; k++) {
            uint16_t pair = byte_pair(weights + *at, k);
            lower[k] = (uint16_t)(lower[k] + pair);
            upper[k] = (uint16_t)(upper[k] + (pair >> 8));
        }
    }
    for (size_t k = 0; k < units; k++)
        lower[k] = (uint16_t)(lower[k] - (upper[k] << 8));
}

/* Sums of up to INT4_ROWS rows, biased by 8 each. */
PG_HOT static void sum_int4(const uint8_t *weights, const uint32_t *at, size_t count, const pg_sums *sums) {
    size_t units = sums->units;
    uint16_t *lower = sums->narrow, *upper = lower + units;
    size_t whole = units / (2 * LANES) * (2 * LANES);
    for (; PG_ROWS_TOGETHER && count >= GROUP; count -= GROUP, at += GROUP) {
        for (size_t k = 0; k < whole; k += 2 * LANES)
            group_int4(weights + k, at, lower + k, upper + k, 2 * LANES);
        if (whole < units) group_int4(weights + whole, at, lower + whole, upper + whole, LANES);
    }
    for (; count > 0; count--, at++) {
        PG_INDEPENDENT
        for (size_t k = 0; k < units; k++) {
            uint8_t pair = nibble_pair(weights + *at, k);
            lower[k] = (uint16_t)(lower[k] + (pair & 15));
            upper[k] = (uint16_t)(upper[k] + (pair >> 4));
        }
    }
}

/* wide += factor * (narrow - bias) */
PG_HOT static void widen(const pg_sums *sums, int32_t bias, int32_t factor) {
    PG_INDEPENDENT
    for (size_t k = 0; k < 2 * sums->units; k++)
        sums->wide[k] += factor * ((int32_t)sums->narrow[k] - bias);
}

void pg_add_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count, int32_t factor,
                 const pg_sums *sums) {
    if (!in_units(layer)) {
        pg_add_packed_rows(layer, weights, rows, count, factor, sums);
        return;
    }
    size_t most = layer->weight_bits == 8 ? INT8_ROWS : INT4_ROWS;
    for (size_t first = 0; first < count; first += most) {
        size_t some = count - first < most ? count - first : most;
        memset(sums->narrow, 0, 2 * sums->units * sizeof *sums->narrow);
        if (layer->weight_bits == 8)
            sum_int8(weights, rows + first, some, sums);
        else
            sum_int4(weights, rows + first, some, sums);
        widen(sums, (int32_t)some << (layer->weight_bits - 1), factor);
    }
}

static int upper_byte_first(void) {
    static const uint16_t one = 1;
    return *(const uint8_t *)&one == 0;
}

/* The sums in the order of the outputs. */
PG_HOT static void in_order(const pg_layer *layer, const pg_sums *sums, int32_t *scores) {
    const int32_t *lower = sums->wide, *upper = sums->wide + sums->units;
    if (!in_units(layer)) {
        memcpy(scores, lower, layer->outputs * sizeof *scores);
        return;
    }
    uint32_t outputs = layer->outputs, half = layer->weight_bits == 8 ? outputs / 2 : (uint32_t)sums->row;
    if (layer->weight_bits == 4) {
        memcpy(scores, lower, half * sizeof *scores);
        memcpy(scores + half, upper, (outputs - half) * sizeof *scores);
        return;
    }
    const int32_t *first = upper_byte_first() ? upper : lower, *second = upper_byte_first() ? lower : upper;
    PG_INDEPENDENT
    for (uint32_t k = 0; k < half; k++) {
        scores[2 * k] = first[k];
        scores[2 * k + 1] = second[k];
    }
    if (outputs % 2) scores[outputs - 1] = first[half];
}

/* score = sum * multiplier + bias. The reader takes no layer of bytes whose bits and 127 times its other inputs are
 * more than PG_MAX_INPUT_SUM, so a sum is at most that times 128 in size; of smaller weights any is below that, and
 * that of a window of words is 5 x 128 dimensions x a weight of 8 x 128. Times 255 and with a bias of less than 2^30
 * all stay below 2^31. */
PG_HOT void pg_finish(const pg_layer *layer, const pg_sums *sums, int32_t *scores) {
    in_order(layer, sums, scores);
    PG_INDEPENDENT
    for (uint32_t c = 0; c < layer->outputs; c++)
        scores[c] = scores[c] * layer->multipliers[c] + pg_i32(layer->bias + sizeof *scores * c);
}

/* An input that is not zero: its row of the layer and its value, at most 127 in size. */
typedef struct {
    const uint8_t *row;
    int16_t value;
} multiple;

/* wide += four rows of bytes, each times its value. A product is at most 127 x 128 in size, so the sum of two fits 16
 * bits, and a vector holds twice as many of them as of 32 bits. */
PG_HOT static void multiples_int8(const multiple *four, const pg_sums *sums) {
    int32_t *lower = sums->wide, *upper = sums->wide + sums->units;
    const uint8_t *first = four[0].row, *second = four[1].row, *third = four[2].row, *fourth = four[3].row;
    int16_t a = four[0].value, b = four[1].value, c = four[2].value, d = four[3].value;
    PG_INDEPENDENT
    for (size_t k = 0; k < sums->units; k++) {
        uint16_t w = byte_pair(first, k), x = byte_pair(second, k), y = byte_pair(third, k), z = byte_pair(fourth, k);
        lower[k] += (int16_t)(a * (int16_t)((w & 0xFF) - 0x80) + b * (int16_t)((x & 0xFF) - 0x80)) +
                    (int32_t)(int16_t)(c * (int16_t)((y & 0xFF) - 0x80) + d * (int16_t)((z & 0xFF) - 0x80));
        upper[k] += (int16_t)(a * (int16_t)((w >> 8) - 0x80) + b * (int16_t)((x >> 8) - 0x80)) +
                    (int32_t)(int16_t)(c * (int16_t)((y >> 8) - 0x80) + d * (int16_t)((z >> 8) - 0x80));
    }
}

/* narrow += four rows of nibbles, biased by 8 each, times their values; modulo 2^16. */
PG_HOT static void multiples_int4(const multiple *four, const pg_sums *sums) {
    uint16_t *lower = sums->narrow, *upper = sums->narrow + sums->units;
    const uint8_t *first = four[0].row, *second = four[1].row, *third = four[2].row, *fourth = four[3].row;
    int16_t a = four[0].value, b = four[1].value, c = four[2].value, d = four[3].value;
    PG_INDEPENDENT
    for (size_t k = 0; k < sums->units; k++) {
        uint8_t w = nibble_pair(first, k), x = nibble_pair(second, k);
        uint8_t y = nibble_pair(third, k), z = nibble_pair(fourth, k);
        lower[k] = (uint16_t)(lower[k] + a * (w & 15) + b * (x & 15) + c * (y & 15) + d * (z & 15));
        upper[k] = (uint16_t)(upper[k] + a * (w >> 4) + b * (x >> 4) + c * (y >> 4) + d * (z >> 4));
    }
}

/* wide += (narrow - bias) modulo 2^16, a number of 16 bits with its sign. */
PG_HOT static void widen_signed(const pg_sums *sums, uint32_t bias) {
    PG_INDEPENDENT
    for (size_t k = 0; k < 2 * sums->units; k++)
        sums->wide[k] += (int32_t)(uint16_t)(sums->narrow[k] - bias + 0x8000u) - 0x8000;
}

/* wide += the rows of up to PG_MULTIPLES inputs, each times its value. Of nibbles as many products fit 16 bits: 32 x
 * 127 x 8 < 2^15. */
static void add_multiples(const pg_layer *layer, multiple *inputs, size_t count, const pg_sums *sums) {
    uint32_t bias = 0;
    for (; count % 4 != 0; count++) {
        inputs[count].row = layer->weights;
        inputs[count].value = 0;
    }
    if (layer->weight_bits == 8) {
        for (size_t i = 0; i < count; i += 4)
            multiples_int8(inputs + i, sums);
        return;
    }
    memset(sums->narrow, 0, 2 * sums->units * sizeof *sums->narrow);
    for (size_t i = 0; i < count; i += 4)
        multiples_int4(inputs + i, sums);
    for (size_t i = 0; i < count; i++)
        bias += 8 * (uint32_t)inputs[i].value;
    widen_signed(sums, bias);
}

void pg_add_values(const pg_layer *layer, uint32_t first, const int16_t *values, uint32_t count, const pg_sums *sums) {
    if (!in_units(layer)) {
        pg_add_packed_values(layer, first, values, count, sums);
        return;
    }
    const uint8_t *row = layer->weights + first * sums->row;
    multiple inputs[PG_MULTIPLES];
    size_t found = 0;
    for (uint32_t j = 0; j < count; j++, row += sums->row) {
        inputs[found].row = row; /* written whether it counts or not: a branch would be mispredicted */
        inputs[found].value = values[j];
        found += values[j] != 0;
        if (found == PG_MULTIPLES) {
            add_multiples(layer, inputs, found, sums);
            found = 0;
        }
    }
    if (found > 0) add_multiples(layer, inputs, found, sums);
}
