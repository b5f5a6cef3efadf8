/* Layers laid out for vectors, and their scores. */

#include "host.h"

#if PG_HOST_X86

enum {
    LINE = PG_HOST_LINE,
    BLOCK = PG_HOST_BLOCK,
    TOGETHER = PG_HOST_TOGETHER,
    MANY = 1024,     /* rows of either sign whose sum fits 16 bits: 2 x 1,024 x 8 < 2^15 */
    MANY_BYTES = 128 /* and of bytes: 128 x 127 + 128 x 128 < 2^15 */
};

/* Weights of a codebook are bytes, those of one bit are -1 and +1 as those of two can be. */
static uint32_t width_of(const pg_layer *layer) {
    if (layer->codebook) return 8;
    return layer->weight_bits == 1 ? 2 : layer->weight_bits;
}

static size_t row_of(const pg_layer *layer) {
    uint32_t fields = 8 / width_of(layer);
    return (layer->outputs + fields - 1) / fields;
}

static size_t stride_of(const pg_layer *layer) {
    return (row_of(layer) + LINE - 1) / LINE * LINE;
}

static uint32_t blocks_of(const pg_layer *layer) {
    return (layer->outputs + BLOCK - 1) / BLOCK;
}

static size_t values_bytes(const pg_layer *layer, uint32_t bits) {
    return (size_t)((layer->inputs - bits + 3) / 4) * blocks_of(layer) * LINE;
}

static size_t numbers_bytes(const pg_layer *layer) {
    return (size_t)blocks_of(layer) * LINE;
}

/* Behind what stays, a row's weights and the room to read them. */
size_t pg_host_layer_bytes(const pg_layer *layer, uint32_t bits) {
    return bits * stride_of(layer) + values_bytes(layer, bits) + 3 * numbers_bytes(layer) + pg_host_room(layer);
}

size_t pg_host_room(const pg_layer *layer) {
    return 2 * numbers_bytes(layer) + pg_sums_scratch(layer);
}

/* By the core itself: the scores of this row alone, of a layer without multipliers and bias. */
void pg_host_read_row(const pg_layer *layer, uint32_t input, uint8_t *room, int32_t *weights) {
    size_t some = numbers_bytes(layer);
    pg_layer plain = *layer;
    plain.bias = memset(room, 0, some);
    plain.multipliers = memset(room + some, 1, some);
    room += 2 * some;
    pg_sums sums = pg_start_sums(&plain, &room);
    uint32_t at = input * (uint32_t)sums.row;
    pg_add_rows(&plain, plain.weights, &at, 1, 1, &sums);
    pg_finish(&plain, &sums, weights);
}

/* Into zeros. */
PG_HOT static void lay_out_row(const pg_host_layer *laid, const int32_t *weights, uint8_t *row) {
    int bias = pg_host_bias(laid->width);
    for (uint32_t shift = 0; shift < 8; shift += laid->width) {
        size_t some = pg_host_outputs_of(laid, shift / laid->width, 0);
        for (size_t i = 0; i < some; i++)
            row[i] = (uint8_t)(row[i] | (weights[i] + bias) << shift);
        weights += some;
    }
}

/* Four inputs of an output side by side, their weights biased as the kernels want them; outputs in blocks of as many
 * vectors as are summed together. */
static void lay_out_values(const pg_host_layer *laid, uint32_t input, const int32_t *weights, uint8_t bias,
                           uint8_t *values) {
    for (uint32_t output = 0; output < laid->outputs; output++) {
        uint32_t block = output / BLOCK, first = block / TOGETHER * TOGETHER;
        uint32_t some = laid->blocks - first < TOGETHER ? laid->blocks - first : TOGETHER;
        size_t vector = (size_t)first * laid->groups + (size_t)(input / 4) * some + (block - first);
        values[vector * LINE + output % BLOCK * 4 + input % 4] = (uint8_t)(weights[output] + bias);
    }
}

void pg_host_lay_out(const pg_host_kernels *kernels, const pg_layer *layer, uint32_t bits, uint8_t *memory,
                     pg_host_layer *laid) {
    laid->rows = memory;
    laid->row = row_of(layer);
    laid->stride = stride_of(layer);
    laid->width = width_of(layer);
    laid->outputs = layer->outputs;
    laid->bits = bits;
    laid->groups = (layer->inputs - bits + 3) / 4;
    laid->blocks = blocks_of(layer);
    uint8_t *values = memory + bits * laid->stride, *numbers = values + values_bytes(layer, bits);
    size_t some = numbers_bytes(layer);
    int32_t *bias = (int32_t *)(void *)numbers, *multipliers = bias + some / sizeof *bias;
    int32_t *weights = multipliers + some / sizeof *bias;
    laid->values = values;
    laid->bias = bias;
    laid->multipliers = multipliers;
    memset(values, kernels->bias, values_bytes(layer, bits));
    for (uint32_t input = 0; input < layer->inputs; input++) {
        pg_host_read_row(layer, input, numbers + 3 * some, weights);
        if (input < bits)
            lay_out_row(laid, weights, memory + input * laid->stride);
        else
            lay_out_values(laid, input - bits, weights, kernels->bias, values);
    }
    for (uint32_t output = 0; output < layer->outputs; output++) {
        bias[output] = pg_i32(layer->bias + sizeof *bias * output);
        multipliers[output] = layer->multipliers[output];
    }
}

PG_HOT static void finish(const int32_t *multipliers, const int32_t *bias, uint32_t count, int32_t *scores) {
    PG_INDEPENDENT
    for (uint32_t k = 0; k < count; k++)
        scores[k] = scores[k] * multipliers[k] + bias[k];
}

void pg_host_layer_scores(const pg_host_kernels *kernels, const pg_host_layer *laid, const pg_host_found *found,
                          const int8_t *values, int32_t *scores) {
    size_t most = laid->width < 8 ? MANY : MANY_BYTES;
    memset(scores, 0, (size_t)laid->blocks * LINE);
    for (size_t first = 0; laid->bits > 0 && (first < found->counts[0] || first < found->counts[1]); first += most) {
        const uint16_t *at[2];
        size_t counts[2];
        for (int side = 0; side < 2; side++) {
            size_t left = found->counts[side] > first ? found->counts[side] - first : 0;
            at[side] = found->rows[side] + first;
            counts[side] = left < most ? left : most;
        }
        kernels->add_rows(laid, at, counts, scores);
    }
    if (laid->groups > 0) kernels->add_values(laid, values, scores);
    finish(laid->multipliers, laid->bias, laid->blocks * BLOCK, scores);
}

PG_HOT void pg_host_rectify(const int32_t *scores, uint32_t count, unsigned shift, int8_t *values) {
    for (uint32_t i = 0; i < count; i++) {
        int32_t value = (scores[i] > 0 ? scores[i] : 0) >> shift;
        values[i] = (int8_t)(value < 127 ? value : 127);
    }
}

#endif
