/* Words of a text to their codes in the model's table: fingerprints, their sum, and a convolution over them. */

#include <string.h>

#include "pg_internal.h"

/* The state of reading a text's words, in scratch. */
typedef struct {
    pg_reader reader;
    pg_chunk chunk;
    uint32_t left; /* words that may still count */
} word_walk;

static void words_start(word_walk *walk, const char *text, size_t length) {
    walk->left = PG_MAX_WORDS;
    pg_reader_start(&walk->reader, &walk->chunk, text, length);
}

/* The next words' fingerprints, PG_CHUNK at most; 0 at the end. */
PG_HOT static size_t words_next(word_walk *walk, uint64_t seed, uint32_t *fingerprints) {
    while (walk->left > 0 && pg_reader_next(&walk->reader, &walk->chunk)) {
        uint32_t count = walk->chunk.token_count < walk->left ? walk->chunk.token_count : walk->left;
        for (uint32_t i = 0; i < count; i++)
            fingerprints[i] = (uint32_t)(pg_mix(walk->chunk.tokens[i] ^ seed) >> 32) & ~(uint32_t)3;
        walk->left -= count;
        if (count > 0) return count;
    }
    return 0;
}

/* The table's places of some fingerprints: of each the last entry that is not above it, or the first. All of them take
 * each step together, so that no step waits for the one before; and no branch depends on a fingerprint, since its
 * outcomes could not be predicted. Not PG_HOT: with gathered loads 12 words take 0.9 us longer among 7,334 (Xeon). */
static void find(const uint8_t *entries, uint32_t count, const uint32_t *fingerprints, size_t found, uint32_t *places) {
    memset(places, 0, found * sizeof *places);
    for (uint32_t size = count; size > 1; size -= size / 2)
        for (size_t i = 0; i < found; i++) {
            uint32_t middle = places[i] + size / 2;
            places[i] = pg_u32(entries + sizeof middle * middle) <= (fingerprints[i] | 3) ? middle : places[i];
        }
}

/* What is known of the text so far. Code bits count as 0 and 1 here, so a sum is (2 * ones - weights). */
typedef struct {
    uint32_t ones[PG_MAX_DIMENSIONS];
    uint32_t weights;
    uint32_t squares;
} code_totals;

PG_HOT static void add_code(code_totals *totals, const uint8_t *code, uint32_t bytes, uint32_t weight) {
    totals->weights += weight;
    totals->squares += weight * weight;
    for (uint32_t byte = 0; byte < bytes; byte++) {
        uint32_t *ones = totals->ones + 8 * byte, bits = code[byte];
        for (uint32_t bit = 0; bit < 8; bit++)
            ones[bit] += (bits >> bit & 1) * weight;
    }
}

/* The whole part of a square root below 2^23. */
static uint32_t root(uint64_t square) {
    uint64_t found = 0;
    for (uint64_t bit = (uint64_t)1 << 22; bit > 0; bit >>= 1)
        found += (found + bit) * (found + bit) <= square ? bit : 0;
    return (uint32_t)found;
}

/* m = floor((s * r + 2^15) / 2^16), cut at 127. A sum of 4,096 words is at most 2^15 in size and r at most 2^22, so
 * 2^37 added makes the number to be shifted positive. */
PG_HOT static void normalise(const pg_model *model, const code_totals *totals, int16_t *sums) {
    uint64_t unit = (uint64_t)1 << 2 * (16 + model->norm_shift);
    int32_t factor = totals->squares > 0 ? (int32_t)root(unit / totals->squares) : 0;
    int64_t shifted = ((int64_t)1 << 37) + ((int32_t)1 << 15);
    for (uint32_t i = 0; i < model->dimensions; i++) {
        int32_t sum = (int32_t)(2 * totals->ones[i]) - (int32_t)totals->weights;
        int64_t value = (int64_t)((uint64_t)((int64_t)sum * factor + shifted) >> 16) - ((int64_t)1 << 21);
        sums[i] = (int16_t)(value < -127 ? -127 : value > 127 ? 127 : value);
    }
}

/* Windows that are still open, one for each place that the next word can have in one: a word's code times the rows of
 * its place is added to the window's sums. */
typedef struct {
    pg_sums windows[PG_MAX_WIDTH];
    pg_sums totals[PG_MAX_WIDTH]; /* of all rows of a place */
    int32_t *largest;             /* of the windows that are complete, in the order of sums */
    uint32_t *rows;
    uint32_t next; /* the window that the next word begins */
    uint8_t has_totals;
    uint8_t has_words;
} convolution;

enum { CODE_PARTS = PG_MAX_DIMENSIONS / 64 }; /* of 64 bits, that hold any code */

/* Sums of every window and every place, the largest ones, and row offsets. */
static uint32_t convolution_scratch(const pg_model *model) {
    if (model->convolution.outputs == 0) return 0;
    return (2 * model->width + 1) * pg_sums_scratch(&model->convolution) +
           pg_rounded((PG_MAX_DIMENSIONS + PG_ROW_SLACK) * sizeof(uint32_t));
}

static void convolution_start(const pg_model *model, convolution *state, uint8_t *scratch) {
    memset(state, 0, sizeof *state);
    for (uint32_t place = 0; place < model->width; place++) {
        state->windows[place] = pg_start_sums(&model->convolution, &scratch);
        state->totals[place] = pg_start_sums(&model->convolution, &scratch);
    }
    pg_sums largest = pg_start_sums(&model->convolution, &scratch);
    state->largest = largest.wide;
    for (size_t k = 0; k < 2 * largest.units; k++)
        state->largest[k] = INT32_MIN;
    state->rows = (uint32_t *)(void *)scratch;
}

static const uint8_t *rows_of_place(const pg_model *model, uint32_t place) {
    return model->convolution.weights + (size_t)place * model->dimensions * model->convolution.outputs;
}

/* The sums of all rows, of every place: once a text, and only for a text with a word that the table knows. */
static void sum_places(const pg_model *model, convolution *state) {
    for (uint32_t i = 0; i < model->dimensions; i++)
        state->rows[i] = i * model->convolution.outputs;
    for (uint32_t place = 0; place < model->width; place++)
        pg_add_rows(&model->convolution, rows_of_place(model, place), state->rows, model->dimensions, 1,
                    &state->totals[place]);
    state->has_totals = 1;
}

PG_HOT static void subtract(const pg_sums *sums, const pg_sums *totals, int32_t factor) {
    PG_INDEPENDENT
    for (size_t k = 0; k < 2 * sums->units; k++)
        sums->wide[k] -= factor * totals->wide[k];
}

/* A code of -1 and +1 times its rows: twice the rows of the ones, less all of them. */
static void convolution_add(const pg_model *model, convolution *state, const uint8_t *code, int32_t weight) {
    uint64_t bits[CODE_PARTS] = {0};
    for (uint32_t byte = 0; byte < model->dimensions / 8; byte++)
        bits[byte / 8] |= (uint64_t)code[byte] << 8 * (byte % 8);
    if (!state->has_totals) sum_places(model, state);
    size_t count = pg_row_offsets(bits, CODE_PARTS, model->convolution.outputs, state->rows);
    for (uint32_t place = 0; place < model->width; place++) {
        const pg_sums *window = &state->windows[(state->next + model->width - place) % model->width];
        pg_add_rows(&model->convolution, rows_of_place(model, place), state->rows, count, 2 * weight, window);
        subtract(window, &state->totals[place], weight);
    }
}

/* The oldest window is complete; its sums are those of the next one to begin. */
PG_HOT static void convolution_advance(const pg_model *model, convolution *state) {
    state->next = (state->next + 1) % model->width;
    const pg_sums *window = &state->windows[state->next];
    int32_t *largest = state->largest, *sums = window->wide;
    PG_INDEPENDENT
    for (size_t k = 0; k < 2 * window->units; k++) {
        largest[k] = sums[k] > largest[k] ? sums[k] : largest[k];
        sums[k] = 0;
    }
}

static void convolution_finish(const pg_model *model, convolution *state, int16_t *filters) {
    uint32_t outputs = model->convolution.outputs;
    if (!state->has_words) {
        memset(filters, 0, outputs * sizeof *filters);
        return;
    }
    for (uint32_t place = 1; place < model->width; place++)
        convolution_advance(model, state);
    pg_sums largest = state->windows[0];
    largest.wide = state->largest;
    int32_t *sums = state->windows[0].wide; /* zeros by now; pg_finish reads the largest alone */
    pg_finish(&model->convolution, &largest, sums);
    pg_rectify(sums, outputs, model->convolution_shift, filters);
}

uint32_t pg_words_scratch(const pg_model *model) {
    return model->words ? pg_rounded(sizeof(word_walk)) + convolution_scratch(model) : 0;
}

void pg_word_inputs(const pg_model *model, const pg_row *row, uint8_t *scratch, int16_t *code_sums, int16_t *filters) {
    word_walk *walk = pg_take(&scratch, sizeof *walk);
    uint32_t fingerprints[PG_CHUNK], places[PG_CHUNK], bytes = model->dimensions / 8;
    const uint8_t *codes = model->words + sizeof(uint32_t) * (size_t)model->word_count;
    code_totals totals = {{0}, 0, 0};
    convolution state;
    int filtered = model->convolution.outputs > 0;
    if (filtered) convolution_start(model, &state, scratch);
    words_start(walk, row->text, row->length);
    for (size_t count; (count = words_next(walk, model->projection.seed, fingerprints)) > 0;) {
        find(model->words, model->word_count, fingerprints, count, places);
        for (size_t i = 0; i < count; i++) {
            uint32_t entry = pg_u32(model->words + sizeof entry * places[i]);
            const uint8_t *code = codes + (size_t)places[i] * bytes;
            if ((entry ^ fingerprints[i]) < 4) { /* equal but for the class of weight, the two lowest bits */
                uint32_t weight = 1u << (entry & 3);
                add_code(&totals, code, bytes, weight);
                if (filtered) convolution_add(model, &state, code, (int32_t)weight);
            }
            if (filtered) {
                state.has_words = 1;
                convolution_advance(model, &state);
            }
        }
    }
    normalise(model, &totals, code_sums);
    if (filtered) convolution_finish(model, &state, filters);
}

pg_status pg_word_fingerprints(const pg_projection *projection, const char *text, size_t length, void *scratch,
                               size_t scratch_size, uint32_t *fingerprints, size_t capacity, size_t *count) {
    if (!projection || (!text && length) || !scratch || (!fingerprints && capacity) || !count) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_project_scratch(projection)) return PG_SCRATCH_TOO_SMALL;
    if (projection->input != PG_INPUT_TEXT) return PG_WANTS_VECTOR;
    word_walk *walk = (word_walk *)(void *)pg_align(scratch); /* smaller than a pg_walk */
    uint32_t some[PG_CHUNK];
    words_start(walk, text, length);
    *count = 0;
    for (size_t found; (found = words_next(walk, projection->seed, some)) > 0;)
        for (size_t i = 0; i < found; i++, ++*count)
            if (*count < capacity) fingerprints[*count] = some[i];
    return PG_OK;
}
