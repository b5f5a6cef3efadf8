/* Bits and words to integer scores and the label: the layers one after the other. */

#include <string.h>

#include "pg_internal.h"

/* Inputs that are numbers, not bits: code sums, hidden units, filters, in this order. */
static uint32_t values_bytes(const pg_model *model) {
    return pg_rounded((model->dimensions + model->hidden.outputs + model->convolution.outputs) * sizeof(int16_t));
}

/* Offsets of the rows of so many words of a plane as are taken at a time. */
static uint32_t rows_bytes(const pg_model *model) {
    uint32_t words = pg_padded_bits(model->projection.bits) / 64;
    return pg_rounded((64 * (words < PG_PLANE_WORDS ? words : PG_PLANE_WORDS) + PG_ROW_SLACK) * sizeof(uint32_t));
}

static uint32_t layers_scratch(const pg_model *model) {
    uint32_t size = rows_bytes(model) + pg_sums_scratch(&model->output) + pg_rounded(model->classes * sizeof(int32_t));
    if (model->hidden.outputs == 0) return size;
    return size + pg_sums_scratch(&model->hidden) + pg_rounded(model->hidden.outputs * sizeof(int32_t));
}

/* Words are done with when the layers begin: both use the same scratch, one after the other. */
uint32_t pg_head_scratch(const pg_model *model) {
    uint32_t words = pg_words_scratch(model), layers = layers_scratch(model);
    return values_bytes(model) + (words > layers ? words : layers);
}

/* A layer's sums rectified, shifted and cut at 127. */
PG_HOT void pg_rectify(const int32_t *sums, uint32_t count, unsigned shift, int16_t *values) {
    PG_INDEPENDENT
    for (uint32_t i = 0; i < count; i++) {
        int32_t value = (sums[i] > 0 ? sums[i] : 0) >> shift;
        values[i] = (int16_t)(value < 127 ? value : 127);
    }
}

PG_HOT uint32_t pg_choose(const pg_model *model, const int32_t *scores) {
    uint32_t count = model->classes;
    int32_t largest = scores[0];
    for (uint32_t c = 1; c < count; c++)
        largest = scores[c] > largest ? scores[c] : largest;
    uint32_t first = count;
    for (uint32_t c = 0; c < count; c++) {
        uint32_t index = scores[c] == largest ? c : count;
        first = index < first ? index : first;
    }
    return model->threshold != 0 && largest < model->threshold ? PG_NO_LABEL : first;
}

/* The layer over the bits, and over the code sums behind them. */
static void add_bits(const pg_model *model, const pg_layer *layer, const uint64_t *const planes[2],
                     const int16_t *code_sums, uint8_t *scratch, const pg_sums *sums) {
    size_t words = pg_padded_bits(model->projection.bits) / 64;
    uint32_t *rows = (uint32_t *)(void *)scratch, row = (uint32_t)sums->row;
    for (size_t first = 0; first < words; first += PG_PLANE_WORDS) {
        size_t some = words - first < PG_PLANE_WORDS ? words - first : PG_PLANE_WORDS;
        const uint8_t *weights = layer->weights + 64 * first * row; /* of the bits, which come first */
        pg_add_rows(layer, weights, rows, pg_row_offsets(planes[0] + first, some, row, rows), 1, sums);
        pg_add_rows(layer, weights, rows, pg_row_offsets(planes[1] + first, some, row, rows), -1, sums);
    }
    pg_add_values(layer, model->projection.bits, code_sums, model->dimensions, sums);
}

uint32_t pg_head_scores(const pg_model *model, int known, const pg_row *row, const uint64_t *positive,
                        const uint64_t *negative, uint8_t *scratch, int32_t *scores) {
    const uint64_t *const planes[2] = {positive, negative};
    uint32_t units = model->hidden.outputs, filters = model->convolution.outputs;
    int16_t *code_sums = pg_take(&scratch, values_bytes(model));
    int16_t *values = code_sums + model->dimensions; /* hidden units, then filters */
    if (model->words && !known) pg_word_inputs(model, row, scratch, code_sums, values + units);
    uint8_t *rows = pg_take(&scratch, rows_bytes(model));
    pg_sums output = pg_start_sums(&model->output, &scratch);
    int32_t *own = pg_take(&scratch, model->classes * sizeof *own);
    if (!scores) scores = own;
    if (units > 0 && !known) {
        pg_sums hidden = pg_start_sums(&model->hidden, &scratch);
        int32_t *sums = pg_take(&scratch, units * sizeof *sums);
        add_bits(model, &model->hidden, planes, code_sums, rows, &hidden);
        pg_finish(&model->hidden, &hidden, sums);
        pg_rectify(sums, units, model->hidden_shift, values);
    } else if (units == 0) {
        add_bits(model, &model->output, planes, code_sums, rows, &output);
    }
    pg_add_values(&model->output, model->output.inputs - units - filters, values, units + filters, &output);
    pg_finish(&model->output, &output, scores);
    return pg_choose(model, scores);
}

static uint32_t scratch_bytes(const pg_model *model) {
    uint32_t bits = pg_planes_scratch(&model->projection), head = pg_head_scratch(model);
    return PG_SCRATCH_ALIGN + 2 * pg_rounded(pg_padded_bits(model->projection.bits) / 8) + (bits > head ? bits : head);
}

size_t pg_scratch_size(const pg_model *model) {
    return model ? pg_as_size(scratch_bytes(model)) : 0;
}

static pg_status predict(const pg_model *model, const pg_row *row, unsigned input, void *scratch, size_t scratch_size,
                         int32_t *scores, uint32_t *label) {
    if (!model || !scratch || !label) return PG_BAD_ARGUMENT;
    if (scratch_size < scratch_bytes(model)) return PG_SCRATCH_TOO_SMALL;
    pg_status status = pg_row_check(&model->projection, row, input);
    if (status != PG_OK) return status;
    uint8_t *aligned = pg_align(scratch);
    size_t plane = pg_rounded(pg_padded_bits(model->projection.bits) / 8);
    uint64_t *positive = (uint64_t *)(void *)aligned, *negative = (uint64_t *)(void *)(aligned + plane);
    /* The bits are all that the head needs, so both stages use the same scratch, one after the other. */
    pg_project_planes(&model->projection, row, aligned + 2 * plane, positive, negative);
    *label = pg_head_scores(model, 0, row, positive, negative, aligned + 2 * plane, scores);
    return PG_OK;
}

static int same_layer(const pg_layer *a, const pg_layer *b) {
    return a->weights == b->weights && a->codebook == b->codebook && a->starts == b->starts && a->bias == b->bias &&
           a->multipliers == b->multipliers && a->inputs == b->inputs && a->outputs == b->outputs &&
           a->weight_bits == b->weight_bits;
}

/* Whether all that stands before the output layer, if there is anything, lies in the same place for both. */
static int same_trunk(const pg_model *a, const pg_model *b) {
    return a->words == b->words && a->word_count == b->word_count && a->dimensions == b->dimensions &&
           a->norm_shift == b->norm_shift && a->width == b->width && a->convolution_shift == b->convolution_shift &&
           a->hidden_shift == b->hidden_shift && same_layer(&a->hidden, &b->hidden) &&
           same_layer(&a->convolution, &b->convolution);
}

size_t pg_heads_scratch_size(const pg_model *heads, size_t count) {
    size_t most = 0;
    for (size_t i = 0; heads && i < count; i++) {
        size_t size = pg_scratch_size(&heads[i]);
        most = size > most ? size : most;
    }
    return most;
}

pg_status pg_predict_heads(const pg_model *heads, size_t count, const char *text, size_t length, void *scratch,
                           size_t scratch_size, int32_t *scores, uint32_t *labels) {
    if (!heads || count == 0 || !scratch || !labels) return PG_BAD_ARGUMENT;
    const pg_projection *projection = &heads[0].projection;
    for (size_t i = 1; i < count; i++)
        if (heads[i].projection.section != projection->section) return PG_OTHER_PROJECTION;
    if (scratch_size < pg_heads_scratch_size(heads, count)) return PG_SCRATCH_TOO_SMALL;
    pg_row row = {text, length, NULL, NULL, 0};
    pg_status status = pg_row_check(projection, &row, PG_INPUT_TEXT);
    if (status != PG_OK) return status;
    uint8_t *aligned = pg_align(scratch);
    size_t plane = pg_rounded(pg_padded_bits(projection->bits) / 8);
    uint64_t *positive = (uint64_t *)(void *)aligned, *negative = (uint64_t *)(void *)(aligned + plane);
    pg_project_planes(projection, &row, aligned + 2 * plane, positive, negative);
    for (size_t i = 0; i < count; i++) {
        int known = i > 0 && same_trunk(&heads[i], &heads[i - 1]);
        labels[i] = pg_head_scores(&heads[i], known, &row, positive, negative, aligned + 2 * plane, scores);
        if (scores) scores += heads[i].classes;
    }
    return PG_OK;
}

pg_status pg_predict(const pg_model *model, const char *text, size_t length, void *scratch, size_t scratch_size,
                     int32_t *scores, uint32_t *label) {
    pg_row row = {text, length, NULL, NULL, 0};
    return predict(model, &row, PG_INPUT_TEXT, scratch, scratch_size, scores, label);
}

pg_status pg_predict_vector(const pg_model *model, const uint32_t *columns, const int16_t *values, size_t count,
                            void *scratch, size_t scratch_size, int32_t *scores, uint32_t *label) {
    pg_row row = {NULL, 0, columns, values, count};
    return predict(model, &row, PG_INPUT_VECTOR, scratch, scratch_size, scores, label);
}
