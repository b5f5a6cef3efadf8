/* Sums of weight rows that are packed tighter than half bytes: single bits, values of a codebook, and sparse rows. */

#include <string.h>

#include "pg_internal.h"

/* Bits counted side by side: as many as a register of the machine has. */
#if UINTPTR_MAX > 0xFFFFFFFFu
typedef uint64_t lanes;
#else
typedef uint32_t lanes;
#endif

enum {
    SEVEN = 7,        /* rows added up before they are counted: a number of three bits */
    PLANES = 8,       /* bits of a count */
    MOST = 36 * SEVEN /* rows that such a count has room for: 252 < 2^8 */
};

static inline lanes load_lanes(const uint8_t *at) {
    return sizeof(lanes) == sizeof(uint64_t) ? (lanes)pg_u64(at) : (lanes)pg_u32(at);
}

/* Three numbers of one bit each, in every lane, as one of two bits. */
static inline void add_three(lanes a, lanes b, lanes c, lanes *sum, lanes *carry) {
    lanes either = a ^ b;
    *carry = (a & b) | (either & c);
    *sum = either ^ c;
}

/* Eight bytes as rows of eight bits, turned into the bytes of the columns (Warren, Hacker's Delight, 7-3). */
static inline uint64_t turned(uint64_t rows) {
    uint64_t swap = (rows ^ rows >> 7) & 0x00AA00AA00AA00AAu;
    rows ^= swap ^ swap << 7;
    swap = (rows ^ rows >> 14) & 0x0000CCCC0000CCCCu;
    rows ^= swap ^ swap << 14;
    swap = (rows ^ rows >> 28) & 0x00000000F0F0F0F0u;
    return rows ^ swap ^ swap << 28;
}

/* counts += how many of up to MOST rows have each bit of the lanes at these weights. A count is held upright, its bit i
 * in plane i, so that one operation adds to all of them (Harley and Seal's carry-save adders). */
PG_HOT static void count_lanes(const uint8_t *weights, const uint32_t *rows, size_t count, uint16_t *counts) {
    lanes planes[PLANES] = {0};
    for (size_t first = 0; first < count; first += SEVEN) {
        lanes row[SEVEN], one, two, four, a, b, carry, carries[3];
        for (size_t i = 0; i < SEVEN; i++)
            row[i] = first + i < count ? load_lanes(weights + rows[first + i]) : 0;
        add_three(row[0], row[1], row[2], &a, &carries[0]);
        add_three(row[3], row[4], row[5], &b, &carries[1]);
        add_three(a, b, row[6], &one, &carries[2]);
        add_three(carries[0], carries[1], carries[2], &two, &four);
        carry = planes[0] & one;
        planes[0] ^= one;
        add_three(planes[1], two, carry, &planes[1], &carry);
        add_three(planes[2], four, carry, &planes[2], &carry);
        for (size_t i = 3; i < PLANES; i++) {
            lanes before = planes[i];
            planes[i] ^= carry;
            carry &= before;
        }
    }
    for (uint32_t octet = 0; octet < sizeof(lanes); octet++) {
        uint64_t numbers = 0;
        for (uint32_t i = 0; i < PLANES; i++)
            numbers |= (uint64_t)(planes[i] >> 8 * octet & 0xFF) << 8 * i;
        numbers = turned(numbers);
        for (uint32_t i = 0; i < 8; i++)
            counts[8 * octet + i] = (uint16_t)(counts[8 * octet + i] + (numbers >> 8 * i & 0xFF));
    }
}

/* wide += factor * the rows of bits: +1 and -1 for set and clear ones, or the two halves of ternary ones. */
PG_HOT static void widen_counts(const pg_layer *layer, size_t count, int32_t factor, const pg_sums *sums) {
    const uint16_t *plus = sums->narrow, *minus = plus + 8 * pg_bit_bytes(layer);
    if (layer->weight_bits == 1) {
        PG_INDEPENDENT
        for (uint32_t c = 0; c < layer->outputs; c++)
            sums->wide[c] += factor * (2 * (int32_t)plus[c] - (int32_t)count);
    } else {
        PG_INDEPENDENT
        for (uint32_t c = 0; c < layer->outputs; c++)
            sums->wide[c] += factor * ((int32_t)plus[c] - (int32_t)minus[c]);
    }
}

/* A row has at most PG_MAX_BITS of them, so that counts fit 16 bits. */
static void add_bit_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count,
                         int32_t factor, const pg_sums *sums) {
    memset(sums->narrow, 0, 2 * sums->units * sizeof *sums->narrow);
    for (size_t at = 0; at < sums->row; at += sizeof(lanes))
        for (size_t first = 0; first < count; first += MOST) {
            size_t some = count - first < MOST ? count - first : MOST;
            count_lanes(weights + at, rows + first, some, sums->narrow + 8 * at);
        }
    widen_counts(layer, count, factor, sums);
}

/* wide += factor * one row of bits. */
PG_HOT static void add_bit_row(const pg_layer *layer, const uint8_t *row, int32_t factor, const pg_sums *sums) {
    uint32_t half = pg_bit_bytes(layer);
    for (uint32_t byte = 0; byte < half; byte++) {
        uint32_t plus = row[byte], minus = layer->weight_bits == 1 ? ~plus : row[half + byte];
        int32_t *wide = sums->wide + 8 * byte;
        for (uint32_t bit = 0; bit < 8; bit++)
            wide[bit] += factor * ((int32_t)(plus >> bit & 1) - (int32_t)(minus >> bit & 1));
    }
}

/* wide += factor * one row of places in the codebook: the first half of the outputs in the lower half bytes. */
PG_HOT static void add_shared_row(const pg_layer *layer, const uint8_t *row, int32_t factor, const pg_sums *sums) {
    uint32_t half = (uint32_t)sums->row;
    int32_t *lower = sums->wide, *upper = lower + half, values[16];
    for (uint32_t i = 0; i < 16; i++)
        values[i] = factor * (int8_t)layer->codebook[i];
    for (uint32_t byte = 0; byte < half; byte++) {
        lower[byte] += values[row[byte] & 15];
        upper[byte] += values[row[byte] >> 4]; /* of the half byte behind an odd last one too: nobody reads it */
    }
}

static void add_dense_row(const pg_layer *layer, const uint8_t *row, int32_t factor, const pg_sums *sums) {
    if (layer->codebook)
        add_shared_row(layer, row, factor, sums);
    else
        add_bit_row(layer, row, factor, sums);
}

static uint32_t bits_between(const uint8_t *at, uint32_t bytes) {
    uint32_t count = 0, i = 0;
    for (; i + 8 <= bytes; i += 8)
        count += pg_bit_count(pg_u64(at + i));
    for (; i < bytes; i++)
        count += pg_bit_count(at[i]);
    return count;
}

/* A sparse layer's value at a place among all that it has. */
static inline int32_t sparse_value(const pg_layer *layer, uint32_t place) {
    if (layer->weight_bits == 8) return (int8_t)layer->values[place];
    if (layer->weight_bits == 2) return 1 - 2 * (layer->values[place / 8] >> place % 8 & 1);
    uint32_t nibble = layer->values[place / 2] >> 4 * (place % 2) & 15;
    return layer->codebook ? (int8_t)layer->codebook[nibble] : (int32_t)(nibble ^ 8) - 8;
}

/* A place among the rows of a sparse layer, which are found one after the other. */
typedef struct {
    uint32_t at;    /* byte of the row that is next */
    uint32_t place; /* of its first value */
} sparse_cursor;

/* wide += factor * the sparse row at this byte; values are counted from where the cursor is, or from the row's block.
 * Up to 7 bytes past the row are read, all in the section: it ends with padding. */
PG_HOT static void add_sparse_row(const pg_layer *layer, uint32_t at, int32_t factor, sparse_cursor *cursor,
                                  const pg_sums *sums) {
    uint32_t bytes = (uint32_t)sums->row, block = PG_SPARSE_BLOCK * bytes, first = at / block * block;
    if (cursor->at < first || cursor->at > at) {
        cursor->at = first;
        cursor->place = pg_u32(layer->starts + sizeof(uint32_t) * (at / block));
    }
    uint32_t place = cursor->place + bits_between(layer->weights + cursor->at, at - cursor->at);
    for (uint32_t byte = 0; byte < bytes; byte += 8) {
        int32_t *wide = sums->wide + 8 * byte;
        uint64_t bits = pg_u64(layer->weights + at + byte);
        if (bytes - byte < 8) bits &= ((uint64_t)1 << 8 * (bytes - byte)) - 1;
        for (; bits != 0; bits &= bits - 1)
            wide[pg_lowest_bit(bits)] += factor * sparse_value(layer, place++);
    }
    cursor->at = at + bytes;
    cursor->place = place;
}

void pg_add_packed_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count,
                        int32_t factor, const pg_sums *sums) {
    sparse_cursor cursor = {UINT32_MAX, 0};
    if (layer->starts) {
        uint32_t first = (uint32_t)(weights - layer->weights);
        for (size_t i = 0; i < count; i++)
            add_sparse_row(layer, first + rows[i], factor, &cursor, sums);
    } else if (PG_ROWS_TOGETHER && !layer->codebook) {
        add_bit_rows(layer, weights, rows, count, factor, sums);
    } else {
        for (size_t i = 0; i < count; i++)
            add_dense_row(layer, weights + rows[i], factor, sums);
    }
}

void pg_add_packed_values(const pg_layer *layer, uint32_t first, const int16_t *values, uint32_t count,
                          const pg_sums *sums) {
    sparse_cursor cursor = {UINT32_MAX, 0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (first + i) * (uint32_t)sums->row;
        if (values[i] == 0) continue;
        if (layer->starts)
            add_sparse_row(layer, at, values[i], &cursor, sums);
        else
            add_dense_row(layer, layer->weights + at, values[i], sums);
    }
}
