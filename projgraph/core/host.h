/* Predictions on a host: a model's weights laid out anew when it is loaded, and the core's integers from the wide
 * vectors of the processor. No device needs any of it. */

#ifndef PG_HOST_H
#define PG_HOST_H

#include "pg_internal.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define PG_HOST_X86 1
#define PG_HOST_TARGET                                                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,bmi,bmi2,popcnt")))
#else
#define PG_HOST_X86 0
#endif

/* ---- host.c: what the binding calls ---- */

typedef struct pg_host pg_host;
typedef struct pg_host_scratch pg_host_scratch;

/* The model for this processor; NULL if the plain core is to answer: another processor, another kind of model, or no
 * memory. The model must outlive it. */
pg_host *pg_host_open(const pg_model *model);
void pg_host_close(pg_host *host);

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
    PG_HOST_OUTPUTS = PG_MAX_CLASSES + 128 /* of a layer, in whole blocks */
};

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

void pg_host_find(const pg_projection *projection, const char *text, size_t length, pg_host_text *state,
                  pg_host_found *found);

/* ---- host_words.c: words to code sums ---- */

/* Where the entries of a table begin whose fingerprints have the same upper bits. */
typedef struct {
    const uint32_t *starts;
    unsigned shift;
} pg_host_index;

size_t pg_host_index_bytes(const pg_model *model);
void pg_host_index_words(const pg_model *model, uint32_t *starts, pg_host_index *index);

void pg_host_code_sums(const pg_model *model, const pg_host_index *index, const uint64_t *tokens, size_t count,
                       int8_t *sums);

/* ---- host_layer.c: rows and values to a layer's scores ---- */

/* A layer laid out for vectors: rows of the bits, biased to be unsigned, each in whole cache lines; then the rows of
 * the other inputs as bytes, four inputs of an output side by side. */
typedef struct {
    const pg_layer *layer;
    const uint8_t *rows;
    size_t stride;
    const uint8_t *values;
    const int32_t *bias;
    const int32_t *multipliers;
    uint32_t bits;   /* inputs that are bits */
    uint32_t groups; /* of four inputs that are values */
    uint32_t blocks; /* of 16 outputs */
} pg_host_layer;

size_t pg_host_layer_bytes(const pg_layer *layer, uint32_t bits);
void pg_host_lay_out(const pg_layer *layer, uint32_t bits, uint8_t *memory, pg_host_layer *laid);

/* One score an output; values are 4 x groups, those behind the last input zero. */
void pg_host_layer_scores(const pg_host_layer *laid, const pg_host_found *found, const int8_t *values, int32_t *scores);

#endif
#endif
