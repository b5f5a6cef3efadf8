/* Bits to integer scores and the label: sums the weight rows of the bits that are set. */

#include <string.h>

#include "pg_internal.h"

enum {
    LANES = PG_ROW_PADDING, /* bytes of a vector; rows are read in whole ones, past their end */
    GROUP = 8,              /* rows read in one pass over the sums */
    INT8_ROWS = 256,        /* rows whose unsigned bytes sum within 16 bits: 256 x 255 < 2^16 */
    INT4_ROWS = 4096,       /* and nibbles: 4,096 x 15 < 2^16 */
    SLACK = 64              /* row offsets written past the last */
};

/* The sums of one layer. A row is read as units that each hold two weights: 16 bits of two bytes, or 8 bits of two
 * nibbles, biased to be unsigned. Adding whole units and, apart, their upper halves needs no widening and gives both
 * sums: the lower one is all - (upper << half a unit). */
typedef struct {
    uint16_t *narrow; /* of INT8_ROWS or INT4_ROWS rows: lower halves, then upper halves */
    int32_t *wide;    /* of all rows, likewise */
    size_t row;       /* bytes of a row */
    size_t units;     /* of a row, in whole vectors */
} layer_sums;

static size_t row_bytes(const pg_layer *layer) {
    return layer->weight_bits == 8 ? layer->outputs : (layer->outputs + 1) / 2;
}

static size_t row_units(const pg_layer *layer) {
    size_t bytes = (row_bytes(layer) + LANES - 1) / LANES * LANES;
    return layer->weight_bits == 8 ? bytes / 2 : bytes;
}

static void *take(uint8_t **scratch, size_t bytes) {
    uint8_t *taken = *scratch;
    *scratch += pg_rounded(bytes);
    return taken;
}

static layer_sums start_sums(const pg_layer *layer, uint8_t **scratch) {
    layer_sums sums;
    sums.units = row_units(layer);
    sums.row = row_bytes(layer);
    sums.narrow = take(scratch, 2 * sums.units * sizeof *sums.narrow);
    sums.wide = take(scratch, 2 * sums.units * sizeof *sums.wide);
    memset(sums.wide, 0, 2 * sums.units * sizeof *sums.wide);
    return sums;
}

static size_t layer_scratch(const pg_layer *layer) {
    size_t units = row_units(layer);
    return pg_rounded(2 * units * sizeof(uint16_t)) + pg_rounded(2 * units * sizeof(int32_t));
}

/* The lowest set bit; 63 if there is none. */
static inline uint32_t lowest_bit(uint64_t word) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(word | (uint64_t)1 << 63);
#else
    uint32_t bit = 0;
    while (bit < 63 && !(word >> bit & 1))
        bit++;
    return bit;
#endif
}

static inline uint32_t bit_count(uint64_t word) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_popcountll(word);
#else
    uint32_t count = 0;
    for (; word != 0; word &= word - 1)
        count++;
    return count;
#endif
}

/* The places of the lowest bits of a word; the word without them. */
static inline uint64_t take_bits(uint64_t bits, uint32_t start, uint32_t count, uint32_t *places) {
    for (uint32_t i = 0; i < count; i++) {
        places[i] = start + lowest_bit(bits);
        bits &= bits - 1;
    }
    return bits;
}

/* Byte offsets of the rows of the set bits, ascending. Places are written in rounds, whether or not there are so many:
 * how many bits a word has is not predictable, and a mispredicted branch costs more than the writes. Of 64 bits about 5
 * are set among 1,024 that 23 word features share, and about 15 where 99 character features do (BANKING77, 12 words):
 * rounds of 8 and 12 end there. */
PG_HOT static size_t row_offsets(const uint64_t *plane, size_t words, uint32_t row, uint32_t *offsets) {
    size_t found = 0;
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = plane[word];
        uint32_t count = bit_count(bits), start = (uint32_t)word * 64;
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
PG_HOT static void sum_int8(const uint8_t *weights, const uint32_t *at, size_t count, const layer_sums *sums) {
    size_t units = sums->units;
    uint16_t *lower = sums->narrow, *upper = lower + units;
    size_t whole = units / LANES * LANES;
    for (; count >= GROUP; count -= GROUP, at += GROUP) {
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
PG_HOT static void sum_int4(const uint8_t *weights, const uint32_t *at, size_t count, const layer_sums *sums) {
    size_t units = sums->units;
    uint16_t *lower = sums->narrow, *upper = lower + units;
    size_t whole = units / (2 * LANES) * (2 * LANES);
    for (; count >= GROUP; count -= GROUP, at += GROUP) {
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

/* wide += sign * (narrow - bias) */
PG_HOT static void widen(const layer_sums *sums, int32_t bias, int32_t sign) {
    PG_INDEPENDENT
    for (size_t k = 0; k < 2 * sums->units; k++)
        sums->wide[k] += sign * ((int32_t)sums->narrow[k] - bias);
}

/* wide += sign * the sum of the rows */
static void add_rows(const pg_layer *layer, const uint32_t *rows, size_t count, int32_t sign, const layer_sums *sums) {
    size_t most = layer->weight_bits == 8 ? INT8_ROWS : INT4_ROWS;
    for (size_t first = 0; first < count; first += most) {
        size_t some = count - first < most ? count - first : most;
        memset(sums->narrow, 0, 2 * sums->units * sizeof *sums->narrow);
        if (layer->weight_bits == 8)
            sum_int8(layer->weights, rows + first, some, sums);
        else
            sum_int4(layer->weights, rows + first, some, sums);
        widen(sums, (int32_t)some << (layer->weight_bits - 1), sign);
    }
}

static int upper_byte_first(void) {
    static const uint16_t one = 1;
    return *(const uint8_t *)&one == 0;
}

/* The sums in the order of the outputs. */
PG_HOT static void in_order(const pg_layer *layer, const layer_sums *sums, int32_t *scores) {
    const int32_t *lower = sums->wide, *upper = sums->wide + sums->units;
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

/* score = sum * multiplier + bias. A sum over PG_MAX_BITS bits is at most 16,384 * 128, one over PG_MAX_UNITS units 256
 * * 127 * 128; times 255 and with a bias of less than 2^30 both stay below 2^31. */
PG_HOT static void finish(const pg_layer *layer, const layer_sums *sums, int32_t *scores) {
    in_order(layer, sums, scores);
    PG_INDEPENDENT
    for (uint32_t c = 0; c < layer->outputs; c++)
        scores[c] = scores[c] * layer->multipliers[c] + pg_i32(layer->bias + sizeof *scores * c);
}

/* A hidden unit that is not zero: its row of the output layer and its value, at most 127. */
typedef struct {
    const uint8_t *row;
    int16_t value;
} activation;

/* wide += the rows of two units, each times its value. A product is at most 127 x 128 in size, so the sum of two fits
 * 16 bits, and a vector holds twice as many of them as of 32 bits. */
PG_HOT static void add_multiples(unsigned weight_bits, activation one, activation other, const layer_sums *sums) {
    int32_t *lower = sums->wide, *upper = sums->wide + sums->units;
    const uint8_t *first = one.row, *second = other.row;
    int16_t a = one.value, b = other.value;
    if (weight_bits == 8) {
        PG_INDEPENDENT
        for (size_t k = 0; k < sums->units; k++) {
            uint16_t x = byte_pair(first, k), y = byte_pair(second, k);
            lower[k] += (int16_t)(a * (int16_t)((x & 0xFF) - 0x80) + b * (int16_t)((y & 0xFF) - 0x80));
            upper[k] += (int16_t)(a * (int16_t)((x >> 8) - 0x80) + b * (int16_t)((y >> 8) - 0x80));
        }
    } else {
        PG_INDEPENDENT
        for (size_t k = 0; k < sums->units; k++) {
            uint16_t x = nibble_pair(first, k), y = nibble_pair(second, k);
            lower[k] += (int16_t)(a * (int16_t)((x & 15) - 8) + b * (int16_t)((y & 15) - 8));
            upper[k] += (int16_t)(a * (int16_t)((x >> 4) - 8) + b * (int16_t)((y >> 4) - 8));
        }
    }
}

/* The output layer over the hidden sums: rectified, shifted, cut at 127, and multiplied with the weights. */
static void add_hidden(const pg_model *model, const int32_t *values, const layer_sums *output) {
    activation waiting = {model->output.weights, 0};
    for (uint32_t j = 0; j < model->hidden.outputs; j++) {
        int32_t value = values[j] > 0 ? values[j] >> model->hidden_shift : 0;
        if (value == 0) continue;
        activation unit = {model->output.weights + j * output->row, (int16_t)(value < 127 ? value : 127)};
        if (waiting.value != 0) {
            add_multiples(model->output.weight_bits, waiting, unit, output);
            waiting.value = 0;
        } else {
            waiting = unit;
        }
    }
    if (waiting.value != 0) {
        activation none = {waiting.row, 0};
        add_multiples(model->output.weight_bits, waiting, none, output);
    }
}

size_t pg_head_scratch(const pg_model *model) {
    size_t size = pg_rounded((pg_padded_bits(model->projection.bits) + SLACK) * sizeof(uint32_t)) +
                  layer_scratch(&model->output) + pg_rounded(model->classes * sizeof(int32_t));
    if (model->hidden.outputs == 0) return size;
    return size + layer_scratch(&model->hidden) + pg_rounded(model->hidden.outputs * sizeof(int32_t));
}

/* The first of the largest scores. */
PG_HOT static uint32_t argmax(const int32_t *scores, uint32_t count) {
    int32_t largest = scores[0];
    for (uint32_t c = 1; c < count; c++)
        largest = scores[c] > largest ? scores[c] : largest;
    uint32_t first = count;
    for (uint32_t c = 0; c < count; c++) {
        uint32_t index = scores[c] == largest ? c : count;
        first = index < first ? index : first;
    }
    return first;
}

uint32_t pg_head_scores(const pg_model *model, const uint64_t *positive, const uint64_t *negative, uint8_t *scratch,
                        int32_t *scores) {
    size_t padded = pg_padded_bits(model->projection.bits);
    uint32_t *rows = take(&scratch, (padded + SLACK) * sizeof *rows);
    layer_sums output = start_sums(&model->output, &scratch);
    int32_t *own = take(&scratch, model->classes * sizeof *own);
    if (!scores) scores = own;
    const pg_layer *first = &model->output;
    layer_sums first_sums = output;
    if (model->hidden.outputs > 0) {
        first = &model->hidden;
        first_sums = start_sums(first, &scratch);
    }
    uint32_t row = (uint32_t)first_sums.row;
    add_rows(first, rows, row_offsets(positive, padded / 64, row, rows), 1, &first_sums);
    add_rows(first, rows, row_offsets(negative, padded / 64, row, rows), -1, &first_sums);
    if (model->hidden.outputs > 0) {
        int32_t *values = take(&scratch, model->hidden.outputs * sizeof *values);
        finish(first, &first_sums, values);
        add_hidden(model, values, &output);
    }
    finish(&model->output, &output, scores);
    return argmax(scores, model->classes);
}

size_t pg_scratch_size(const pg_model *model) {
    if (!model) return 0;
    size_t bits = pg_planes_scratch(&model->projection), head = pg_head_scratch(model);
    return PG_SCRATCH_ALIGN + 2 * pg_rounded(pg_padded_bits(model->projection.bits) / 8) + (bits > head ? bits : head);
}

static pg_status predict(const pg_model *model, const pg_row *row, unsigned input, void *scratch, size_t scratch_size,
                         int32_t *scores, uint32_t *label) {
    if (!model || !scratch || !label) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_scratch_size(model)) return PG_SCRATCH_TOO_SMALL;
    pg_status status = pg_row_check(&model->projection, row, input);
    if (status != PG_OK) return status;
    uint8_t *aligned = pg_align(scratch);
    size_t plane = pg_rounded(pg_padded_bits(model->projection.bits) / 8);
    uint64_t *positive = (uint64_t *)(void *)aligned, *negative = (uint64_t *)(void *)(aligned + plane);
    /* The bits are all that the head needs, so both stages use the same scratch, one after the other. */
    pg_project_planes(&model->projection, row, aligned + 2 * plane, positive, negative);
    *label = pg_head_scores(model, positive, negative, aligned + 2 * plane, scores);
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
