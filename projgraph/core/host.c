/* Which models the host's vectors answer, and one prediction from end to end. */

#include <stdlib.h>

#include "host.h"

#if PG_HOST_X86

enum { ALIGN = 64 };

struct pg_host {
    const pg_model *model;
    const pg_host_kernels *kernels;
    void *memory;
    pg_host_layer hidden; /* groups and bits are zero without */
    pg_host_layer output;
    pg_host_index index;
    pg_host_windows windows;
};

struct pg_host_scratch {
    pg_host_text text;
    pg_host_found found;
    uint32_t places[PG_MAX_WORDS + 1];
    pg_host_window_sums windows;
    int8_t filters[PG_MAX_FILTERS];
    int8_t values[PG_MAX_UNITS + PG_MAX_FILTERS + 4];
    int32_t scores[PG_HOST_OUTPUTS];
    void *memory;
};

static const pg_host_kernels *kernels_of(int vectors) {
    if (vectors < 0) vectors = pg_host_runs_512() ? 512 : 256;
    if (vectors == 512 && pg_host_runs_512()) return &pg_host_512;
    return vectors == 256 && pg_host_runs_256() ? &pg_host_256 : NULL;
}

static int takes(const pg_model *model) {
    return model->projection.input == PG_INPUT_TEXT && model->projection.seen_slots_log2 <= PG_HOST_SLOTS_LOG2;
}

static void *aligned(size_t bytes, void **memory) {
    *memory = calloc(1, bytes + ALIGN);
    return *memory ? (uint8_t *)*memory + (ALIGN - (uintptr_t)*memory % ALIGN) : NULL;
}

pg_host *pg_host_open(const pg_model *model, int vectors) {
    const pg_host_kernels *kernels = kernels_of(vectors);
    if (!kernels || !takes(model)) return NULL;
    uint32_t bits = model->projection.bits, hidden = model->hidden.outputs > 0;
    size_t first = hidden ? pg_host_layer_bytes(&model->hidden, bits) : 0;
    size_t second = pg_host_layer_bytes(&model->output, hidden ? 0 : bits);
    size_t windows = pg_host_windows_bytes(model), index = model->words ? pg_host_index_bytes(model) : 0;
    pg_host *host = calloc(1, sizeof *host);
    void *memory;
    uint8_t *at = host ? aligned(first + second + windows + index, &memory) : NULL;
    if (!at) {
        free(host);
        return NULL;
    }
    host->memory = memory;
    host->model = model;
    host->kernels = kernels;
    if (hidden) pg_host_lay_out(kernels, &model->hidden, bits, at, &host->hidden);
    pg_host_lay_out(kernels, &model->output, hidden ? 0 : bits, at + first, &host->output);
    at += first + second;
    if (windows > 0) pg_host_lay_out_windows(model, at, &host->windows);
    if (model->words) pg_host_index_words(model, (uint32_t *)(void *)(at + windows), &host->index);
    return host;
}

void pg_host_close(pg_host *host) {
    if (host) free(host->memory);
    free(host);
}

unsigned pg_host_vectors(const pg_host *host) {
    return host ? host->kernels->vectors : 0;
}

pg_host_scratch *pg_host_scratch_open(void) {
    void *memory;
    pg_host_scratch *scratch = aligned(sizeof *scratch, &memory);
    if (scratch) scratch->memory = memory;
    return scratch;
}

void pg_host_scratch_close(pg_host_scratch *scratch) {
    if (scratch) free(scratch->memory);
}

/* The filters, and the sums of codes into the values. */
static void read_words(const pg_host *host, pg_host_scratch *scratch) {
    const pg_model *model = host->model;
    const pg_host_found *found = &scratch->found;
    uint32_t *places = scratch->places;
    pg_host_places(model, &host->index, found->tokens, found->token_count, places);
    if (model->convolution.outputs > 0)
        pg_host_filters(model, &host->windows, places, found->token_count, &scratch->windows, scratch->filters);
    size_t known = 0;
    for (size_t i = 0; i < found->token_count; i++) {
        places[known] = places[i];
        known += places[i] < model->word_count;
    }
    host->kernels->sum_codes(model, places, known, scratch->values);
}

uint32_t pg_host_predict(const pg_host *host, const char *text, size_t length, pg_host_scratch *scratch,
                         int32_t *scores) {
    const pg_model *model = host->model;
    const pg_host_kernels *kernels = host->kernels;
    uint32_t units = model->hidden.outputs, filters = model->convolution.outputs;
    int8_t *values = scratch->values, *behind = values + (units > 0 ? units : model->dimensions);
    pg_host_find(kernels, &model->projection, text, length, &scratch->text, &scratch->found);
    if (model->words) read_words(host, scratch);
    if (units > 0) {
        pg_host_layer_scores(kernels, &host->hidden, &scratch->found, values, scratch->scores);
        pg_host_rectify(scratch->scores, units, model->hidden_shift, values);
    }
    memcpy(behind, scratch->filters, filters);
    memset(behind + filters, 0, 4);
    pg_host_layer_scores(kernels, &host->output, &scratch->found, values, scratch->scores);
    if (scores) memcpy(scores, scratch->scores, model->classes * sizeof *scores);
    return pg_choose(model, scratch->scores);
}

#else

pg_host *pg_host_open(const pg_model *model, int vectors) {
    (void)model, (void)vectors;
    return NULL;
}

void pg_host_close(pg_host *host) {
    (void)host;
}

unsigned pg_host_vectors(const pg_host *host) {
    (void)host;
    return 0;
}

pg_host_scratch *pg_host_scratch_open(void) {
    return NULL;
}

void pg_host_scratch_close(pg_host_scratch *scratch) {
    (void)scratch;
}

uint32_t pg_host_predict(const pg_host *host, const char *text, size_t length, pg_host_scratch *scratch,
                         int32_t *scores) {
    (void)host, (void)text, (void)length, (void)scratch, (void)scores;
    return PG_NO_LABEL;
}

#endif
