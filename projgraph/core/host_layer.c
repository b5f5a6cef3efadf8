/* Layers laid out for vectors, and their scores. */

#include "host.h"

#if PG_HOST_X86

enum {
    LINE = PG_HOST_LINE,
    BLOCK = PG_HOST_BLOCK,
    TOGETHER = PG_HOST_TOGETHER,
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

/* Four inputs of an output side by side, their weights biased as the kernels want them; outputs in blocks of as many
 * vectors as are summed together. */
static void lay_out_values(const pg_host_layer *laid, uint8_t bias, uint8_t *values) {
    const pg_layer *layer = laid->layer;
    memset(values, bias, values_bytes(layer, laid->bits));
    for (uint32_t input = laid->bits; input < layer->inputs; input++)
        for (uint32_t output = 0; output < layer->outputs; output++) {
            uint32_t group = (input - laid->bits) / 4, block = output / BLOCK, first = block / TOGETHER * TOGETHER;
            uint32_t some = laid->blocks - first < TOGETHER ? laid->blocks - first : TOGETHER;
            size_t vector = (size_t)first * laid->groups + (size_t)group * some + (block - first);
            values[vector * LINE + output % BLOCK * 4 + (input - laid->bits) % 4] =
                (uint8_t)(weight_of(layer, input, output) + bias);
        }
}

void pg_host_lay_out(const pg_host_kernels *kernels, const pg_layer *layer, uint32_t bits, uint8_t *memory,
                     pg_host_layer *laid) {
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
    lay_out_values(laid, kernels->bias, memory);
    int32_t *bias = (int32_t *)(void *)(memory + values_bytes(layer, bits)), *multipliers = bias + BLOCK * laid->blocks;
    laid->bias = bias;
    laid->multipliers = multipliers;
    memset(bias, 0, 2 * (size_t)laid->blocks * LINE);
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
        kernels->add_rows(laid, at, counts, scores);
    }
    if (laid->groups > 0) kernels->add_values(laid, values, scores);
    finish(laid->multipliers, laid->bias, laid->blocks * BLOCK, scores);
}

#endif
