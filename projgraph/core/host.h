/* Predictions on a host: a model's weights laid out anew when it is loaded, and the core's integers from the wide
 * vectors of the processor. No device needs any of it. */

#ifndef PG_HOST_H
#define PG_HOST_H

#include "pg_internal.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define PG_HOST_X86 1
#else
#define PG_HOST_X86 0
#endif

/* ---- host.c: what the binding calls ---- */

typedef struct pg_host pg_host;
typedef struct pg_host_scratch pg_host_scratch;

/* The model for vectors of so many bits, 512 or 256, or of the most that this processor has if that is negative. NULL
 * if the plain core is to answer: another processor, another kind of model, 0, or no memory. The model must outlive it.
 */
pg_host *pg_host_open(const pg_model *model, int vectors);
void pg_host_close(pg_host *host);

/* Bits of a vector; 0 of NULL. */
unsigned pg_host_vectors(const pg_host *host);

/* Memory of one prediction at a time; NULL if there is none. */
pg_host_scratch *pg_host_scratch_open(void);
void pg_host_scratch_close(pg_host_scratch *scratch);

/* The label of a text, as pg_predict gives it; scores, if not NULL, receives one integer score a class. */
uint32_t pg_host_predict(const pg_host *host, const char *text, size_t length, pg_host_scratch *scratch,
                         int32_t *scores);

#if PG_HOST_X86

enum {
    PG_HOST_SLOTS_LOG2 = 12, /* of the largest repeat filter; a model of more is the plain core's */
    PG_HOST_HASHES = PG_CHUNK * PG_MAX_CHARACTER_NGRAM + 32,
    PG_HOST_OUTPUTS = PG_MAX_CLASSES + 128, /* of a layer, in whole blocks */
    PG_HOST_LINE = 64,                      /* bytes of a cache line */
    PG_HOST_BLOCK = 16,                     /* outputs whose sums fill it */
    PG_HOST_TOGETHER = 8                    /* blocks whose sums stay in registers */
};

typedef struct pg_host_kernels pg_host_kernels;

/* ---- host_text.c: a text to the rows of its bits, and to its words ---- */

/* Rows of the bits above and below zero, ascending, and the words that count. */
typedef struct {
    uint16_t rows[2][PG_MAX_BITS + 64];
    size_t counts[2];
    uint64_t tokens[PG_MAX_WORDS + PG_CHUNK];
    size_t token_count;
} pg_host_found;

typedef struct {
    pg_reader reader;
    pg_chunk chunk;
    uint64_t words[PG_MAX_WORD_NGRAM - 1 + PG_CHUNK]; /* of the chunk, behind the last ones before it */
    uint32_t word_count;                              /* before the chunk, at most PG_MAX_WORD_NGRAM - 1 */
    uint64_t hashes[PG_HOST_HASHES];
    uint64_t epoch;                                                    /* of the text, in the upper half */
    uint64_t stamps[PG_MAX_FAMILIES][(size_t)1 << PG_HOST_SLOTS_LOG2]; /* repeat filters: epoch and stamp */
    int16_t counts[PG_MAX_BITS + 64];                                  /* zero between texts */
    uint32_t left[PG_MAX_FAMILIES];                                    /* features that may still count */
} pg_host_text;

void pg_host_find(const pg_host_kernels *kernels, const pg_projection *projection, const char *text, size_t length,
                  pg_host_text *state, pg_host_found *found);

/* ---- host_words.c: words to places in a table ---- */

/* Where the entries of a table begin whose fingerprints have the same upper bits. */
typedef struct {
    const uint32_t *starts;
    unsigned shift;
} pg_host_index;

size_t pg_host_index_bytes(const pg_model *model);
void pg_host_index_words(const pg_model *model, uint32_t *starts, pg_host_index *index);

/* The place of every word, the table's end of one that it does not know. */
void pg_host_places(const pg_model *model, const pg_host_index *index, const uint64_t *tokens, size_t count,
                    uint32_t *places);

/* The whole part of the square root of less than 2^46. */
uint32_t pg_host_root(uint64_t square);

/* ---- host_layer.c: rows and values to a layer's scores ---- */

/* A layer laid out for vectors, however its file packs it: rows of the bits in fields of two, four or eight bits, as
 * many as the weights need, biased to be unsigned, each in whole cache lines; then the rows of the other inputs as
 * bytes, four inputs of an output side by side. */
typedef struct {
    const uint8_t *rows;
    size_t row;     /* bytes of one: the lowest fields are those of the first outputs */
    size_t stride;  /* from one to the next */
    uint32_t width; /* bits of a field */
    uint32_t outputs;
    const uint8_t *values;
    const int32_t *bias;
    const int32_t *multipliers;
    uint32_t bits;   /* inputs that are bits */
    uint32_t groups; /* of four inputs that are values */
    uint32_t blocks; /* of 16 outputs */
} pg_host_layer;

/* What is added to a weight so that its field is not below zero. */
static inline int pg_host_bias(uint32_t width) {
    return width == 2 ? 1 : 1 << (width - 1);
}

/* How many outputs a field has from this byte of a row on, 0 behind its last. */
static inline size_t pg_host_outputs_of(const pg_host_layer *laid, uint32_t field, size_t first) {
    size_t before = field * laid->row + first, end = (field + 1) * laid->row;
    if (end > laid->outputs) end = laid->outputs;
    return end > before ? end - before : 0;
}

/* The weights of an input, whatever the layer's format, and the room of bytes that it takes to read them. */
size_t pg_host_room(const pg_layer *layer);
void pg_host_read_row(const pg_layer *layer, uint32_t input, uint8_t *room, int32_t *weights);

size_t pg_host_layer_bytes(const pg_layer *layer, uint32_t bits);
void pg_host_lay_out(const pg_host_kernels *kernels, const pg_layer *layer, uint32_t bits, uint8_t *memory,
                     pg_host_layer *laid);

/* One score an output; values are 4 x groups, those behind the last input zero. */
void pg_host_layer_scores(const pg_host_kernels *kernels, const pg_host_layer *laid, const pg_host_found *found,
                          const int8_t *values, int32_t *scores);

/* As pg_rectify, to signed bytes. */
void pg_host_rectify(const int32_t *scores, uint32_t count, unsigned shift, int8_t *values);

/* ---- host_windows.c: words in their order to the filters of a convolution ---- */

/* Rows of 16 bits: of every byte that eight signs of a code can be, at every place of a window, one sum a filter. */
typedef struct {
    const int16_t *rows;
    uint32_t stride; /* of the filters of a place, in whole cache lines */
} pg_host_windows;

typedef struct {
    int32_t windows[PG_MAX_WIDTH][PG_MAX_FILTERS]; /* that are open */
    int32_t largest[PG_MAX_FILTERS];               /* of the complete ones */
    int16_t sums[PG_MAX_WIDTH * PG_MAX_FILTERS];   /* of one code */
} pg_host_window_sums;

size_t pg_host_windows_bytes(const pg_model *model);
void pg_host_lay_out_windows(const pg_model *model, uint8_t *memory, pg_host_windows *windows);

/* One value of 0 to 127 a filter, of the places of every word. */
void pg_host_filters(const pg_model *model, const pg_host_windows *windows, const uint32_t *places, size_t count,
                     pg_host_window_sums *state, int8_t *filters);

/* ---- host_avx512.c, host_avx2.c: what depends on the vectors ---- */

struct pg_host_kernels {
    unsigned vectors; /* bits of one */
    uint8_t bias;     /* of the weights that add_values takes */

    /* The hashes of a chunk's n-grams in text order; how many there are. */
    size_t (*ngrams)(const pg_chunk *chunk, uint32_t n_min, uint32_t n_max, uint64_t salt, uint64_t *hashes);

    /* The additions of pg_project.c, with their sign: at most PG_MAX_FEATURES = 2^15 - 1 in size, since a feature
     * touches a bit once at most. Reads 16 hashes past the last, and changes them. */
    void (*add_features)(const pg_family *family, uint64_t *hashes, size_t count, int16_t *counts);

    /* Bits above and below zero as the numbers of their rows, and all counts back at zero. */
    void (*list_rows)(const pg_projection *projection, int16_t *counts, pg_host_found *found);

    /* The normalised sums of pg_words.c, of the codes at these places. */
    void (*sum_codes)(const pg_model *model, const uint32_t *places, size_t count, int8_t *sums);

    /* scores += the rows above zero, less the rows below; as many as fit 16 bits. */
    void (*add_rows)(const pg_host_layer *laid, const uint16_t *const at[2], const size_t counts[2], int32_t *scores);

    /* scores += the rows of the other inputs times their values, of at most 127 in size. */
    void (*add_values)(const pg_host_layer *laid, const int8_t *values, int32_t *scores);
};

/* Where up to four fields of a feature touch a family's counts, and which of them do: 16 bits each. Two fields are
 * repeated, so that two features' fields stand in 64 bits. */
typedef struct {
    uint64_t starts;
    uint64_t ones; /* a field that does not count adds nothing */
} pg_host_fields;

static inline pg_host_fields pg_host_fields_of(const pg_family *family, uint32_t done, uint32_t part) {
    uint32_t fields = family->additions - done < 4 ? family->additions - done : 4;
    pg_host_fields all = {0, 0};
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t field = fields <= 2 ? i % 2 : i;
        all.starts |= (uint64_t)(family->first_bit + (field < fields ? (done + field) * part : 0)) << 16 * i;
        all.ones |= (uint64_t)(field < fields) << 16 * i;
    }
    return all;
}

/* An even number of touches. */
static inline void pg_host_touch(const uint16_t *places, const int16_t *signs, size_t count, int16_t *counts) {
    for (size_t i = 0; i < count; i += 2) {
        counts[places[i]] = (int16_t)(counts[places[i]] + signs[i]);
        counts[places[i + 1]] = (int16_t)(counts[places[i + 1]] + signs[i + 1]);
    }
}

extern const pg_host_kernels pg_host_512, pg_host_256;
int pg_host_runs_512(void);
int pg_host_runs_256(void);

#endif
#endif
