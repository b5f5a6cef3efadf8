/* Bits to integer scores and the label: sums the weight rows of the bits that are set. */

#include <string.h>

#include "pg_internal.h"

enum {
    LANES = 32,      /* sums are kept for a multiple of so many outputs; PG_ROW_PADDING lets a row be read so far */
    GROUP = 8,       /* rows read in one pass over the sums */
    INT8_ROWS = 248, /* rows whose sum fits int16: 248 x 128 < 2^15 */
    INT4_ROWS = 2184 /* rows whose sum of biased nibbles fits int16: 2184 x 15 < 2^15 */
};

/* Sums of one layer: 16-bit while rows are added, 32-bit between. An int4 row has its low and its high nibbles one
 * after the other, each for `lanes` outputs. */
typedef struct {
    int16_t *narrow;
    int32_t *wide;
    size_t row;   /* bytes of a row */
    size_t lanes; /* row, rounded up to whole vectors */
} layer_sums;

static size_t row_bytes(const pg_layer *layer) {
    return layer->weight_bits == 8 ? layer->outputs : (layer->outputs + 1) / 2;
}

static size_t sum_lanes(const pg_layer *layer) {
    size_t lanes = (row_bytes(layer) + LANES - 1) / LANES * LANES;
    return layer->weight_bits == 8 ? lanes : 2 * lanes;
}

static uint8_t *take(uint8_t **scratch, size_t bytes) {
    uint8_t *taken = *scratch;
    *scratch += pg_rounded(bytes);
    return taken;
}

static layer_sums start_sums(const pg_layer *layer, uint8_t **scratch) {
    layer_sums sums;
    size_t lanes = sum_lanes(layer);
    sums.narrow = (int16_t *)(void *)take(scratch, lanes * sizeof *sums.narrow);
    sums.wide = (int32_t *)(void *)take(scratch, lanes * sizeof *sums.wide);
    sums.row = row_bytes(layer);
    sums.lanes = layer->weight_bits == 8 ? lanes : lanes / 2;
    memset(sums.wide, 0, lanes * sizeof *sums.wide);
    return sums;
}

static size_t layer_scratch(const pg_layer *layer) {
    return pg_rounded(sum_lanes(layer) * sizeof(int16_t)) + pg_rounded(sum_lanes(layer) * sizeof(int32_t));
}

/* What a stored byte stands for, without relying on an implementation-defined conversion. */
static inline int signed_byte(uint8_t byte) {
    return (int)(byte ^ 0x80u) - 0x80;
}

/* Indices of the set bits, ascending. */
PG_HOT static size_t set_bits(const uint16_t *words, size_t count, uint16_t *rows) {
    size_t found = 0;
    for (size_t word = 0; word < count; word++)
        for (uint32_t bits = words[word]; bits != 0; bits &= bits - 1)
            rows[found++] = (uint16_t)(word * 16 + (size_t)__builtin_ctz(bits));
    return found;
}

/* narrow[c] = the sum of up to INT8_ROWS rows. */
PG_HOT static void sum_int8(const uint8_t *weights, const uint16_t *rows, size_t count, const layer_sums *sums) {
    int16_t *out = sums->narrow;
    size_t lanes = sums->lanes, row = sums->row, i = 0;
    memset(out, 0, lanes * sizeof *out);
    for (; i + GROUP <= count; i += GROUP) {
        const int8_t *a = (const int8_t *)weights + rows[i] * row;
        const int8_t *b = (const int8_t *)weights + rows[i + 1] * row;
        const int8_t *c = (const int8_t *)weights + rows[i + 2] * row;
        const int8_t *d = (const int8_t *)weights + rows[i + 3] * row;
        const int8_t *e = (const int8_t *)weights + rows[i + 4] * row;
        const int8_t *f = (const int8_t *)weights + rows[i + 5] * row;
        const int8_t *g = (const int8_t *)weights + rows[i + 6] * row;
        const int8_t *h = (const int8_t *)weights + rows[i + 7] * row;
        PG_INDEPENDENT
        for (size_t k = 0; k < lanes; k++)
            out[k] = (int16_t)(out[k] + ((a[k] + b[k]) + (c[k] + d[k])) + ((e[k] + f[k]) + (g[k] + h[k])));
    }
    for (; i < count; i++) {
        const int8_t *a = (const int8_t *)weights + rows[i] * row;
        PG_INDEPENDENT
        for (size_t k = 0; k < lanes; k++)
            out[k] = (int16_t)(out[k] + a[k]);
    }
}

/* The same for nibbles biased by 8, so that a group of rows sums in unsigned bytes. */
PG_HOT static void sum_int4(const uint8_t *weights, const uint16_t *rows, size_t count, const layer_sums *sums) {
    size_t lanes = sums->lanes, row = sums->row, i = 0;
    int16_t *low = sums->narrow, *high = sums->narrow + lanes;
    memset(low, 0, 2 * lanes * sizeof *low);
    for (; i + GROUP <= count; i += GROUP) {
        const uint8_t *a = weights + rows[i] * row, *b = weights + rows[i + 1] * row;
        const uint8_t *c = weights + rows[i + 2] * row, *d = weights + rows[i + 3] * row;
        const uint8_t *e = weights + rows[i + 4] * row, *f = weights + rows[i + 5] * row;
        const uint8_t *g = weights + rows[i + 6] * row, *h = weights + rows[i + 7] * row;
        PG_INDEPENDENT
        for (size_t k = 0; k < lanes; k++) {
            uint8_t a8 = a[k] ^ 0x88, b8 = b[k] ^ 0x88, c8 = c[k] ^ 0x88, d8 = d[k] ^ 0x88;
            uint8_t e8 = e[k] ^ 0x88, f8 = f[k] ^ 0x88, g8 = g[k] ^ 0x88, h8 = h[k] ^ 0x88;
            uint8_t both = (uint8_t)(a8 + b8 + c8 + d8 + e8 + f8 + g8 + h8);
            uint8_t top = (uint8_t)((a8 >> 4) + (b8 >> 4) + (c8 >> 4) + (d8 >> 4) + (e8 >> 4) + (f8 >> 4) +
                                    (g8 >> 4) + (h8 >> 4));
            low[k] = (int16_t)(low[k] + (uint8_t)(both - (top << 4)));
            high[k] = (int16_t)(high[k] + top);
        }
    }
    for (; i < count; i++) {
        const uint8_t *a = weights + rows[i] * row;
        PG_INDEPENDENT
        for (size_t k = 0; k < lanes; k++) {
            low[k] = (int16_t)(low[k] + ((a[k] ^ 0x88) & 15));
            high[k] = (int16_t)(high[k] + ((a[k] ^ 0x88) >> 4));
        }
    }
    int16_t bias = (int16_t)(8 * count);
    PG_INDEPENDENT
    for (size_t k = 0; k < 2 * lanes; k++)
        low[k] = (int16_t)(low[k] - bias);
}

PG_HOT static void widen(const int16_t *narrow, int32_t *wide, size_t lanes, int sign) {
    if (sign > 0)
        PG_INDEPENDENT
        for (size_t k = 0; k < lanes; k++)
            wide[k] += narrow[k];
    else
        PG_INDEPENDENT
        for (size_t k = 0; k < lanes; k++)
            wide[k] -= narrow[k];
}

static void add_rows(const pg_layer *layer, const uint16_t *rows, size_t count, int sign, const layer_sums *sums) {
    size_t most = layer->weight_bits == 8 ? INT8_ROWS : INT4_ROWS;
    for (size_t first = 0; first < count; first += most) {
        size_t some = count - first < most ? count - first : most;
        if (layer->weight_bits == 8)
            sum_int8(layer->weights, rows + first, some, sums);
        else
            sum_int4(layer->weights, rows + first, some, sums);
        widen(sums->narrow, sums->wide, sum_lanes(layer), sign);
    }
}

static void finish(const pg_layer *layer, const layer_sums *sums, int32_t *scores) {
    size_t half = layer->weight_bits == 8 ? layer->outputs : sums->row;
    for (uint32_t c = 0; c < layer->outputs; c++) {
        int32_t sum = c < half ? sums->wide[c] : sums->wide[sums->lanes + c - half];
        scores[c] = sum * layer->multipliers[c] + pg_i32(layer->bias + sizeof *scores * c);
    }
}

size_t pg_head_scratch(const pg_model *model) {
    size_t size = pg_rounded((pg_padded_bits(model->projection.bits) + GROUP) * sizeof(uint16_t)) +
                  layer_scratch(&model->output) + pg_rounded(model->classes * sizeof(int32_t));
    if (model->hidden.outputs == 0) return size;
    return size + layer_scratch(&model->hidden) + pg_rounded(model->hidden.outputs * sizeof(int32_t));
}

static void add_weighted_row(const pg_layer *layer, uint32_t row, int32_t value, const layer_sums *sums) {
    const uint8_t *weights = layer->weights + row * sums->row;
    if (layer->weight_bits == 8)
        PG_INDEPENDENT
        for (size_t k = 0; k < sums->lanes; k++)
            sums->wide[k] += value * signed_byte(weights[k]);
    else
        PG_INDEPENDENT
        for (size_t k = 0; k < sums->lanes; k++) {
            sums->wide[k] += value * ((int)((weights[k] & 15u) ^ 8u) - 8);
            sums->wide[sums->lanes + k] += value * ((int)(weights[k] >> 4 ^ 8u) - 8);
        }
}

static uint32_t argmax(const int32_t *scores, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t c = 1; c < count; c++)
        if (scores[c] > scores[best]) best = c;
    return best;
}

uint32_t pg_head_scores(const pg_model *model, const uint16_t *positive, const uint16_t *negative, uint8_t *scratch,
                        int32_t *scores) {
    size_t padded = pg_padded_bits(model->projection.bits);
    uint16_t *rows = (uint16_t *)(void *)take(&scratch, (padded + GROUP) * sizeof *rows);
    layer_sums output = start_sums(&model->output, &scratch);
    int32_t *own = (int32_t *)(void *)take(&scratch, model->classes * sizeof *own);
    if (!scores) scores = own;
    const pg_layer *first = &model->output;
    layer_sums first_sums = output;
    if (model->hidden.outputs > 0) {
        first = &model->hidden;
        first_sums = start_sums(first, &scratch);
    }
    add_rows(first, rows, set_bits(positive, padded / 16, rows), 1, &first_sums);
    add_rows(first, rows, set_bits(negative, padded / 16, rows), -1, &first_sums);
    if (model->hidden.outputs > 0) {
        int32_t *values = (int32_t *)(void *)take(&scratch, model->hidden.outputs * sizeof *values);
        finish(first, &first_sums, values);
        for (uint32_t j = 0; j < model->hidden.outputs; j++) {
            int32_t value = values[j] > 0 ? values[j] >> model->hidden_shift : 0;
            if (value > 0) add_weighted_row(&model->output, j, value < 127 ? value : 127, &output);
        }
    }
    finish(&model->output, &output, scores);
    return argmax(scores, model->classes);
}

size_t pg_scratch_size(const pg_model *model) {
    size_t bits = pg_planes_scratch(&model->projection), head = pg_head_scratch(model);
    return PG_SCRATCH_ALIGN + 2 * pg_rounded(pg_padded_bits(model->projection.bits) / 8) + (bits > head ? bits : head);
}

pg_status pg_predict(const pg_model *model, const char *text, size_t length, void *scratch, size_t scratch_size,
                     int32_t *scores, uint32_t *label) {
    if (!model || (!text && length) || !scratch || !label) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_scratch_size(model)) return PG_SCRATCH_TOO_SMALL;
    uint8_t *aligned = pg_align(scratch);
    size_t plane = pg_rounded(pg_padded_bits(model->projection.bits) / 8);
    uint16_t *positive = (uint16_t *)(void *)aligned, *negative = (uint16_t *)(void *)(aligned + plane);
    /* The bits are all that the head needs, so both stages use the same scratch, one after the other. */
    pg_project_planes(&model->projection, text, length, aligned + 2 * plane, positive, negative);
    *label = pg_head_scores(model, positive, negative, aligned + 2 * plane, scores);
    return PG_OK;
}
