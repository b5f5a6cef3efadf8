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
    SEVEN = 7,         /* rows added up before they are counted: a number of three bits */
    PLANES = 8,        /* bits of a count */
    MOST = 36 * SEVEN, /* rows that such a count has room for: 252 < 2^8 */
    OCTETS = 32,       /* bytes of a row whose counts are turned at a time */
    VALUES = 64,       /* inputs taken at a time that are no bits */
    SIGN = 7           /* the highest bit of such an input, which is at most 127 in size */
};

/* Three numbers of one bit each, in every lane, as one of two bits. */
static inline void add_three(lanes a, lanes b, lanes c, lanes *sum, lanes *carry) {
    lanes either = a ^ b;
    *carry = (a & b) | (either & c);
    *sum = either ^ c;
}

/* Lanes of a row, of which some at its end may lie past it, and of a plane. */
static size_t lanes_of(const pg_sums *sums) {
    return (sums->row + sizeof(lanes) - 1) / sizeof(lanes);
}

static inline lanes load_lanes(const uint8_t *row, size_t k) {
    lanes value;
    memcpy(&value, row + k * sizeof value, sizeof value);
    return value;
}

/* planes += how many of up to MOST rows have each bit; none is a row of zeros. A count is held upright, its bit i in
 * plane i, so that one operation adds to all of them (Harley and Seal's carry-save adders), and hosts to a vector of
 * them. */
PG_HOT static void count_rows(const uint8_t *weights, const uint32_t *rows, size_t count, const lanes *none,
                              lanes *planes, size_t width) {
    for (size_t first = 0; first < count; first += SEVEN) {
        const uint8_t *row[SEVEN];
        for (size_t i = 0; i < SEVEN; i++)
            row[i] = first + i < count ? weights + rows[first + i] : (const uint8_t *)none;
        PG_INDEPENDENT
        for (size_t k = 0; k < width; k++) {
            lanes number[PLANES] = {0}, carries[3], carry = 0;
            number[0] = load_lanes(row[0], k);
            for (size_t i = 0; i < 3; i++)
                add_three(number[0], load_lanes(row[2 * i + 1], k), load_lanes(row[2 * i + 2], k), &number[0],
                          &carries[i]);
            add_three(carries[0], carries[1], carries[2], &number[1], &number[2]);
            for (size_t i = 0; i < PLANES; i++)
                add_three(planes[i * width + k], number[i], carry, &planes[i * width + k], &carry);
        }
    }
}

/* A byte of four planes as rows of eight bits, turned half way into the bytes of the columns (Warren, Hacker's Delight,
 * 7-3). */
static inline uint32_t half_turned(const uint8_t *planes, size_t plane) {
    uint32_t rows = 0;
    for (size_t i = 0; i < 4; i++)
        rows |= (uint32_t)planes[i * plane] << 8 * i;
    uint32_t swap = (rows ^ rows >> 7) & 0x00AA00AAu;
    rows ^= swap ^ swap << 7;
    swap = (rows ^ rows >> 14) & 0x0000CCCCu;
    return rows ^ swap ^ swap << 14;
}

static inline void put_u32(uint32_t value, uint8_t *at) {
#if PG_LITTLE_ENDIAN
    memcpy(at, &value, sizeof value);
#else
    for (size_t i = 0; i < sizeof value; i++)
        at[i] = (uint8_t)(value >> 8 * i);
#endif
}

/* Eight numbers for every byte of a row, out of the planes that hold their bits. */
static inline void turn_planes(const uint8_t *planes, size_t plane, size_t count, uint8_t *numbers) {
    PG_INDEPENDENT
    for (size_t octet = 0; octet < count; octet++) {
        uint32_t lower = half_turned(planes + octet, plane), upper = half_turned(planes + octet + 4 * plane, plane);
        uint32_t swap = (lower ^ upper << 4) & 0xF0F0F0F0u;
        put_u32(lower ^ swap, numbers + 8 * octet);
        put_u32(upper ^ swap >> 4, numbers + 8 * octet + 4);
    }
}

/* wide += factor * the counts of these planes, of so many rows in all: of binary rows the set bits less the clear
 * ones, of ternary rows the first half less the second. */
PG_HOT static void widen_planes(const pg_layer *layer, const lanes *planes, size_t total, int32_t factor,
                                const pg_sums *sums) {
    size_t half = pg_bit_bytes(layer), plane = lanes_of(sums) * sizeof *planes;
    int32_t each = (3 - layer->weight_bits) * factor, clear = (2 - layer->weight_bits) * factor * (int32_t)total;
    const uint8_t *from = (const uint8_t *)planes;
    for (unsigned part = 0; part < layer->weight_bits; part++, from += half, each = -each)
        for (size_t first = 0; first < half; first += OCTETS) {
            size_t some = half - first < OCTETS ? half - first : OCTETS;
            uint8_t numbers[8 * OCTETS];
            int32_t *wide = sums->wide + 8 * first;
            turn_planes(from + first, plane, some, numbers);
            PG_INDEPENDENT
            for (size_t i = 0; i < 8 * some; i++)
                wide[i] += each * numbers[i] - clear;
        }
}

/* wide += factor * the sum of the rows of bits. Planes, and a row of zeros behind them, stand in the place of the
 * narrow sums, of which there are 16 bits for each of a row's. */
static void add_bit_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count,
                         int32_t factor, const pg_sums *sums) {
    size_t width = lanes_of(sums);
    lanes *planes = (lanes *)(void *)sums->narrow, *none = planes + PLANES * width;
    for (size_t first = 0; first < count; first += MOST) {
        size_t some = count - first < MOST ? count - first : MOST;
        memset(planes, 0, (PLANES + 1) * width * sizeof *planes);
        count_rows(weights, rows + first, some, none, planes, width);
        widen_planes(layer, planes, some, factor, sums);
    }
}

/* wide += rows of bits, one after the other, each times its value. A value of at most 127 in size is a number of eight
 * bits, of which the highest one stands for -128: the rows of all values that have a bit set are added up together. */
static void add_bit_values(const pg_layer *layer, const uint8_t *weights, const int16_t *values, size_t count,
                           const pg_sums *sums) {
    uint32_t rows[VALUES];
    for (size_t first = 0; first < count; first += VALUES)
        for (unsigned bit = 0; bit <= SIGN; bit++) {
            size_t end = count - first < VALUES ? count : first + VALUES, found = 0;
            for (size_t i = first; i < end; i++) {
                rows[found] = (uint32_t)(i * sums->row);
                found += (uint16_t)values[i] >> bit & 1;
            }
            add_bit_rows(layer, weights, rows, found, bit == SIGN ? -(1 << SIGN) : 1 << bit, sums);
        }
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

/* wide += factor * the row at this byte. */
static void add_packed_row(const pg_layer *layer, uint32_t at, int32_t factor, sparse_cursor *cursor,
                           const pg_sums *sums) {
    if (layer->starts)
        add_sparse_row(layer, at, factor, cursor, sums);
    else if (PG_ROWS_TOGETHER || layer->codebook)
        add_shared_row(layer, layer->weights + at, factor, sums);
    else
        add_bit_row(layer, layer->weights + at, factor, sums);
}

/* Rows that are added up together, not one after the other. */
static int counted(const pg_layer *layer) {
    return PG_ROWS_TOGETHER && !layer->starts && !layer->codebook;
}

void pg_add_packed_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count,
                        int32_t factor, const pg_sums *sums) {
    sparse_cursor cursor = {UINT32_MAX, 0};
    uint32_t first = (uint32_t)(weights - layer->weights);
    if (counted(layer)) {
        add_bit_rows(layer, weights, rows, count, factor, sums);
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_packed_row(layer, first + rows[i], factor, &cursor, sums);
}

void pg_add_packed_values(const pg_layer *layer, uint32_t first, const int16_t *values, uint32_t count,
                          const pg_sums *sums) {
    sparse_cursor cursor = {UINT32_MAX, 0};
    if (counted(layer)) {
        add_bit_values(layer, layer->weights + first * sums->row, values, count, sums);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        if (values[i] != 0) add_packed_row(layer, (first + i) * (uint32_t)sums->row, values[i], &cursor, sums);
}
