/* Sums of rows, one code for vectors of every width. Who includes it says how many bytes a vector has, PG_VECTOR, what
 * a function must be marked with to use them, PG_TARGET, and how sums get to the scores: add_line. */

#ifndef PG_HOST_ROWS_H
#define PG_HOST_ROWS_H

#include "host.h"

enum {
    FEW = 16,         /* rows whose unsigned half bytes sum within a byte */
    FEW_QUARTERS = 7, /* rows whose fields of 0 to 2 sum within half a byte: 7 x 2 < 16 */
    GROUPS = 18       /* of so many rows, whose sums fit a byte: 18 x 14 < 256 */
};

typedef uint8_t bytes_vector __attribute__((vector_size(PG_VECTOR), may_alias));
typedef uint16_t sums_vector __attribute__((vector_size(PG_VECTOR)));

/* Sums in 16 bits of a vector of rows: of each field, the lowest first, those at even and at odd bytes. */
typedef struct {
    sums_vector of[4][2];
} line_sums;

/* scores += the first of these sums, as many as a vector has bytes, or fewer. */
PG_TARGET static inline void add_line(sums_vector even, sums_vector odd, size_t count, int32_t *scores);

PG_TARGET static inline bytes_vector load_row(const uint8_t *row) {
    return *(const bytes_vector *)(const void *)row;
}

/* Every byte shifted, and what crossed its ends cut off. */
#define RIGHT(bytes, shift, mask) ((bytes_vector)((sums_vector)(bytes) >> (shift)) & (mask))
#define LEFT(bytes, shift, mask) ((bytes_vector)((sums_vector)(bytes) << (shift)) & (mask))

/* A macro, for compilers without these vectors would pass one to a function by another convention. */
#define ADD_BYTES(bytes, sums) ((sums)[0] += (sums_vector)(bytes) & 255, (sums)[1] += (sums_vector)(bytes) >> 8)

PG_TARGET static inline void sum_quarters(const uint8_t *rows, size_t stride, const uint16_t *at, size_t count,
                                          line_sums *sums) {
    while (count > 0) {
        bytes_vector first = {0}, second = {0}, third = {0}, fourth = {0};
        for (size_t groups = 0; groups < GROUPS && count > 0; groups++) {
            size_t some = count < FEW_QUARTERS ? count : FEW_QUARTERS;
            bytes_vector all = {0}, upper = {0};
            for (size_t i = 0; i < some; i++) {
                bytes_vector row = load_row(rows + at[i] * stride);
                all += row;
                upper += RIGHT(row, 2, 0x33);
            }
            /* The sums of every second field times 4, modulo 2^8, leave those of the others. */
            bytes_vector lower = all - LEFT(upper, 2, 0xFC);
            first += lower & 15;
            second += upper & 15;
            third += RIGHT(lower, 4, 15);
            fourth += RIGHT(upper, 4, 15);
            at += some;
            count -= some;
        }
        ADD_BYTES(first, sums->of[0]);
        ADD_BYTES(second, sums->of[1]);
        ADD_BYTES(third, sums->of[2]);
        ADD_BYTES(fourth, sums->of[3]);
    }
}

PG_TARGET static inline void sum_halves(const uint8_t *rows, size_t stride, const uint16_t *at, size_t count,
                                        line_sums *sums) {
    sums_vector low[2] = {sums->of[0][0], sums->of[0][1]}, high[2] = {sums->of[1][0], sums->of[1][1]};
    while (count > 0) {
        size_t some = count < FEW ? count : FEW;
        bytes_vector all = {0}, upper = {0};
        for (size_t i = 0; i < some; i++) {
            bytes_vector row = load_row(rows + at[i] * stride);
            all += row;
            upper += RIGHT(row, 4, 15);
        }
        /* The upper sums times 16, modulo 2^8, leave the lower ones. */
        bytes_vector lower = all - LEFT(upper, 4, 0xF0);
        ADD_BYTES(lower, low);
        ADD_BYTES(upper, high);
        at += some;
        count -= some;
    }
    sums->of[0][0] = low[0];
    sums->of[0][1] = low[1];
    sums->of[1][0] = high[0];
    sums->of[1][1] = high[1];
}

PG_TARGET static inline void sum_whole(const uint8_t *rows, size_t stride, const uint16_t *at, size_t count,
                                       line_sums *sums) {
    sums_vector both[2] = {sums->of[0][0], sums->of[0][1]};
    for (size_t i = 0; i < count; i++) {
        bytes_vector row = load_row(rows + at[i] * stride);
        ADD_BYTES(row, both);
    }
    sums->of[0][0] = both[0];
    sums->of[0][1] = both[1];
}

/* Of fields of so many bits, a constant where it is called. */
PG_TARGET static inline void add_rows_of(const pg_host_layer *laid, uint32_t width, const uint16_t *const at[2],
                                         const size_t counts[2], int32_t *scores) {
    sums_vector bias = (sums_vector){0} + (uint16_t)(pg_host_bias(width) * ((int)counts[0] - (int)counts[1]));
    for (size_t first = 0; first < laid->row; first += PG_VECTOR) {
        line_sums sums;
        for (uint32_t field = 0; field < 8 / width; field++)
            sums.of[field][0] = sums.of[field][1] = bias;
        for (int side = 1; side >= 0; side--) { /* the rows below zero, then less these those above */
            if (width == 2)
                sum_quarters(laid->rows + first, laid->stride, at[side], counts[side], &sums);
            else if (width == 4)
                sum_halves(laid->rows + first, laid->stride, at[side], counts[side], &sums);
            else
                sum_whole(laid->rows + first, laid->stride, at[side], counts[side], &sums);
            for (uint32_t field = 0; side == 1 && field < 8 / width; field++) {
                sums.of[field][0] = -sums.of[field][0];
                sums.of[field][1] = -sums.of[field][1];
            }
        }
        for (uint32_t field = 0; field < 8 / width; field++) {
            size_t some = pg_host_outputs_of(laid, field, first);
            if (some > 0) add_line(sums.of[field][0], sums.of[field][1], some, scores + field * laid->row + first);
        }
    }
}

PG_TARGET static void add_rows(const pg_host_layer *laid, const uint16_t *const at[2], const size_t counts[2],
                               int32_t *scores) {
    if (laid->width == 2)
        add_rows_of(laid, 2, at, counts, scores);
    else if (laid->width == 4)
        add_rows_of(laid, 4, at, counts, scores);
    else
        add_rows_of(laid, 8, at, counts, scores);
}

#endif
