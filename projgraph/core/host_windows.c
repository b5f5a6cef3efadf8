/* A convolution over the words of a text. Of every eight signs of a code all sums of weights are there beforehand, a
 * row for each of the 256 bytes that they can be, so that a code of 64 signs is eight rows. */

#include "host.h"

#if PG_HOST_X86

enum { BYTES = 256, LANES = PG_HOST_LINE / 2 /* of 16 bits in a cache line */ };

/* Numbers whose sums stay in registers, which compilers do not see of an array. */
typedef int16_t line __attribute__((vector_size(PG_HOST_LINE), may_alias));

static uint32_t stride_of(const pg_model *model) {
    return (model->convolution.outputs + LANES - 1) / LANES * LANES;
}

static size_t rows_bytes(const pg_model *model) {
    return (size_t)model->dimensions / 8 * BYTES * model->width * stride_of(model) * sizeof(int16_t);
}

/* Behind what stays, the room that the core needs to read the weights. */
size_t pg_host_windows_bytes(const pg_model *model) {
    if (model->convolution.outputs == 0) return 0;
    return rows_bytes(model) + 8 * stride_of(model) * sizeof(int32_t) + pg_host_room(&model->convolution);
}

/* Of one byte at one place of a window: -1 for all signs, then with each bit set the row without it and twice its
 * weights, at most 8 x 128 in size. */
PG_HOT static void sum_bytes(const int32_t *weights, uint32_t stride, size_t row, int16_t *rows) {
    for (uint32_t k = 0; k < stride; k++) {
        int32_t sum = 0;
        for (uint32_t bit = 0; bit < 8; bit++)
            sum -= weights[bit * stride + k];
        rows[k] = (int16_t)sum;
    }
    for (uint32_t value = 1; value < BYTES; value++) {
        const int16_t *without = rows + (value & (value - 1)) * row;
        const int32_t *of_bit = weights + (uint32_t)__builtin_ctz(value) * stride;
        int16_t *with = rows + value * row;
        for (uint32_t k = 0; k < stride; k++)
            with[k] = (int16_t)(without[k] + 2 * of_bit[k]);
    }
}

void pg_host_lay_out_windows(const pg_model *model, uint8_t *memory, pg_host_windows *windows) {
    uint32_t stride = stride_of(model);
    size_t row = (size_t)model->width * stride;
    int16_t *rows = (int16_t *)(void *)memory;
    int32_t *weights = (int32_t *)(void *)(memory + rows_bytes(model));
    uint8_t *room = (uint8_t *)(weights + 8 * stride);
    windows->rows = rows;
    windows->stride = stride;
    memset(weights, 0, 8 * stride * sizeof *weights);
    for (uint32_t byte = 0; byte < model->dimensions / 8; byte++)
        for (uint32_t place = 0; place < model->width; place++) {
            uint32_t first = place * model->dimensions + 8 * byte;
            for (uint32_t bit = 0; bit < 8; bit++)
                pg_host_read_row(&model->convolution, first + bit, room, weights + bit * stride);
            sum_bytes(weights, stride, row, rows + byte * BYTES * row + place * stride);
        }
}

/* The sums of a code at every place of a window: at most 128 x 128 in size. */
PG_HOT static void sum_code(const int16_t *rows, size_t row, const uint8_t *code, uint32_t bytes, int16_t *sums) {
    for (size_t first = 0; first < row; first += LANES) {
        line sum = {0};
        for (uint32_t byte = 0; byte < bytes; byte++)
            sum += *(const line *)(const void *)(rows + ((size_t)byte * BYTES + code[byte]) * row + first);
        memcpy(sums + first, &sum, sizeof sum);
    }
}

PG_HOT static void add_weighted(const int16_t *sums, uint32_t count, int32_t weight, int32_t *window) {
    PG_INDEPENDENT
    for (uint32_t k = 0; k < count; k++)
        window[k] += weight * sums[k];
}

/* A window is complete: its sums are those of the next one to begin. */
PG_HOT static void complete(int32_t *window, uint32_t count, int32_t *largest) {
    PG_INDEPENDENT
    for (uint32_t k = 0; k < count; k++) {
        largest[k] = window[k] > largest[k] ? window[k] : largest[k];
        window[k] = 0;
    }
}

PG_HOT static void finish(const pg_layer *layer, int32_t *largest) {
    for (uint32_t k = 0; k < layer->outputs; k++)
        largest[k] = largest[k] * layer->multipliers[k] + pg_i32(layer->bias + sizeof *largest * k);
}

void pg_host_filters(const pg_model *model, const pg_host_windows *windows, const uint32_t *places, size_t count,
                     pg_host_window_sums *state, int8_t *filters) {
    uint32_t width = model->width, stride = windows->stride, bytes = model->dimensions / 8, next = 0;
    const uint8_t *codes = model->words + sizeof(uint32_t) * (size_t)model->word_count;
    memset(state->windows, 0, sizeof state->windows);
    for (uint32_t k = 0; k < stride; k++)
        state->largest[k] = count > 0 ? INT32_MIN : 0;
    /* Behind the last word windows that it is in are still open. */
    for (size_t i = 0; count > 0 && i < count + width - 1; i++) {
        if (i < count && places[i] < model->word_count) {
            int32_t weight = (int32_t)1 << (pg_u32(model->words + sizeof(uint32_t) * places[i]) & 3);
            sum_code(windows->rows, (size_t)width * stride, codes + (size_t)places[i] * bytes, bytes, state->sums);
            for (uint32_t place = 0; place < width; place++)
                add_weighted(state->sums + place * stride, stride, weight,
                             state->windows[(next + width - place) % width]);
        }
        next = (next + 1) % width;
        complete(state->windows[next], stride, state->largest);
    }
    if (count > 0) finish(&model->convolution, state->largest);
    pg_host_rectify(state->largest, model->convolution.outputs, model->convolution_shift, filters);
}

#endif
