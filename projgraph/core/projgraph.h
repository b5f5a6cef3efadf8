/* The device core: a text or a vector in, a label out; no heap, no files, no writable globals, no floating point in the
 * decision.
 *
 * The caller owns every byte: the model file's bytes (in place: mmap, or a const array in flash), the
 * pg_model that describes them, and one block of scratch a thread. Nothing is kept between calls, so one
 * pg_model may serve many threads. All functions return a pg_status; outputs are defined only on PG_OK.
 *
 * Compiled with -DPG_SMALL the core needs a third of the scratch or less, and up to twice the time, for the same
 * scores: a model of 2,048 bits and 77 classes runs in 8 KB of RAM, in 4 KB if its repeat filter has 128 slots.
 * With -DPG_PLAIN_WEIGHTS it takes weights of int8 and int4 alone, in 2 KB less of code. With -DPG_COMPACT rows of
 * weights are added one at a time, for the same scores: 1 to 2 KB less of code, and up to twice the time. */

#ifndef PROJGRAPH_H
#define PROJGRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "pg_format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The one list of statuses. */
#define PG_STATUSES(X)                                                                                                 \
    X(PG_OK, "ok")                                                                                                     \
    X(PG_BAD_ARGUMENT, "a required pointer is NULL")                                                                   \
    X(PG_SCRATCH_TOO_SMALL, "the scratch is smaller than the size asked for")                                          \
    X(PG_TRUNCATED, "the bytes end before the file's own length")                                                      \
    X(PG_BAD_MAGIC, "the bytes are not a .pgb model")                                                                  \
    X(PG_BAD_VERSION, "the model has another major version")                                                           \
    X(PG_BAD_LENGTH, "the length in the header is not the number of bytes")                                            \
    X(PG_BAD_CHECKSUM, "the checksum does not match: the file is damaged")                                             \
    X(PG_BAD_RESERVED, "a reserved field or a padding byte is not zero")                                               \
    X(PG_BAD_SECTION_COUNT, "the section table is empty, too long or outside the file")                                \
    X(PG_BAD_SECTION_KIND, "a section of unknown kind that may not be skipped")                                        \
    X(PG_BAD_SECTION_ORDER, "sections repeat, overlap or are out of order")                                            \
    X(PG_BAD_SECTION_ALIGNMENT, "a section does not start at a multiple of 16")                                        \
    X(PG_BAD_SECTION_BOUNDS, "a section reaches past the end of the file")                                             \
    X(PG_MISSING_SECTION, "a required section is missing")                                                             \
    X(PG_UNEXPECTED_SECTION, "a section of a part that the model does not have")                                       \
    X(PG_BAD_PROJECTION, "the projection section's fields or size are out of range")                                   \
    X(PG_BAD_FAMILY, "a feature family's fields are out of range")                                                     \
    X(PG_FAMILY_OVERLAP, "two feature families share bits")                                                            \
    X(PG_UNKNOWN_INPUT, "the projection takes a kind of row that this version does not know")                          \
    X(PG_BAD_COLUMNS, "the fields of a projection of vectors are out of range")                                        \
    X(PG_BAD_HEAD, "the head section's fields or size are out of range")                                               \
    X(PG_LEFT_OUT, "the core was compiled with PG_PLAIN_WEIGHTS, which leaves out such weights")                       \
    X(PG_BAD_WORDS, "the fields or the size of the section of words are out of range")                                 \
    X(PG_WORD_ORDER, "the words' fingerprints do not ascend")                                                          \
    X(PG_BAD_CONVOLUTION, "the convolution's fields or size are out of range")                                         \
    X(PG_TOO_MANY_INPUTS, "a layer has more inputs than its sums have room for")                                       \
    X(PG_BAD_WEIGHTS, "the weights do not match the head and the projection, or contradict themselves")                \
    X(PG_BAD_ROW_PADDING, "the bytes after the last weight row, or a row's unused bits, are not zero")                 \
    X(PG_BAD_BIAS, "a bias section has the wrong size or a bias out of range")                                         \
    X(PG_BAD_MULTIPLIER, "a multiplier section has the wrong size or a multiplier of zero")                            \
    X(PG_BAD_LABELS, "the labels' count, offsets or size are wrong")                                                   \
    X(PG_BAD_HEADS, "the bundle's list of heads is missing, has the wrong size or names a wrong section")              \
    X(PG_NO_SUCH_HEAD, "the head index is not below the number of heads")                                              \
    X(PG_OTHER_PROJECTION, "the heads are not of one bundle: their projections lie in different places")               \
    X(PG_NO_SUCH_LABEL, "the label index is not below the number of classes")                                          \
    X(PG_WANTS_TEXT, "the model takes texts, not vectors")                                                             \
    X(PG_WANTS_VECTOR, "the model takes vectors, not texts")                                                           \
    X(PG_BAD_VECTOR, "a dense vector has another length, or a sparse one's columns do not ascend within the model's")  \
    X(PG_VECTOR_TOO_LONG, "a vector has more than 65,535 values: leave its zeros out")

#define PG_STATUS_NAME(name, text) name,
typedef enum { PG_STATUSES(PG_STATUS_NAME) PG_STATUS_COUNT } pg_status;
#undef PG_STATUS_NAME

/* A feature family: which n-grams, and the block of bits that is theirs alone. */
typedef struct {
    uint32_t first_bit;
    uint32_t bit_count;
    uint8_t kind;
    uint8_t n_min;
    uint8_t n_max;
    uint8_t additions;
} pg_family;

typedef struct {
    const uint8_t *section; /* where it was read from; the heads of a bundle have the same */
    uint64_t seed;
    uint32_t bits;
    uint8_t quantiser;
    uint8_t input; /* PG_INPUT_TEXT: the families count; PG_INPUT_VECTOR: what stands below them */
    uint8_t family_count;
    uint8_t seen_slots_log2;
    pg_family families[PG_MAX_FAMILIES];
    uint32_t columns;
    uint32_t additions;
    float scale;               /* value = round(x * scale); never used here */
    const uint8_t *thresholds; /* in place: an int32 a bit, or NULL */
} pg_projection;

/* One dense layer in place: pointers into the model's bytes. */
typedef struct {
    const uint8_t *weights;
    const uint8_t *bias;
    const uint8_t *multipliers;
    uint32_t inputs;
    uint32_t outputs;
    uint8_t weight_bits;     /* 8, 4, 2 (ternary) or 1 (-1 and +1) */
    const uint8_t *codebook; /* the int8 weights that half bytes stand for, or NULL */
    const uint8_t *starts;   /* of a sparse layer the values before each block of rows, or NULL: */
    const uint8_t *values;   /* weights are bits then, and the values of those that are set stand here */
} pg_layer;

typedef struct pg_model {
    pg_projection projection;
    pg_layer output;
    pg_layer hidden;      /* outputs == 0 without a hidden layer */
    pg_layer convolution; /* over the codes of a window's words; outputs == 0 without */
    const uint8_t *words; /* in place: an entry a word, then the codes; NULL without */
    uint32_t word_count;
    uint32_t dimensions; /* of a code; 0 without words */
    uint8_t norm_shift;
    uint8_t width; /* words of a window */
    uint8_t convolution_shift;
    const uint8_t *labels;
    const uint8_t *provenance; /* UTF-8 JSON, or NULL */
    uint32_t labels_length;
    uint32_t provenance_length;
    uint32_t classes;
    float scale;       /* logit = score * scale; never used here */
    int32_t threshold; /* a largest score below it gives PG_NO_LABEL; 0 for none */
    uint8_t hidden_shift;
} pg_model;

/* A counted feature: the family that saw it and its hash. */
typedef struct {
    uint64_t hash;
    uint32_t family;
} pg_feature;

/* Validate a whole model file once, checksum included. The bytes must outlive the model and not change. */
pg_status pg_open(pg_model *model, const void *bytes, size_t length);

/* The same for a projection section alone, for training. The bytes must outlive the projection too. */
pg_status pg_open_projection(pg_projection *projection, const void *section, size_t length);

/* Bytes of scratch, of any alignment, that the functions of a model, and those of a projection alone, need. */
size_t pg_scratch_size(const pg_model *model);
size_t pg_project_scratch_size(const pg_projection *projection);

/* What pg_predict gives in the place of a label where the model has a threshold and no score reaches it. */
#define PG_NO_LABEL UINT32_MAX

/* The label of a UTF-8 text, or PG_NO_LABEL; scores, if not NULL, receives one integer score a class. */
pg_status pg_predict(const pg_model *model, const char *text, size_t length, void *scratch, size_t scratch_size,
                     int32_t *scores, uint32_t *label);

/* The same of a vector: its columns, ascending, and their values, both aligned as their types; or columns NULL and a
 * value for every column of the model. A value of zero is as good as none. */
pg_status pg_predict_vector(const pg_model *model, const uint32_t *columns, const int16_t *values, size_t count,
                            void *scratch, size_t scratch_size, int32_t *scores, uint32_t *label);

/* The bits of a text as two planes of (bits + 7) / 8 bytes: above zero, and below zero. */
pg_status pg_project(const pg_projection *projection, const char *text, size_t length, void *scratch,
                     size_t scratch_size, uint8_t *positive, uint8_t *negative);

pg_status pg_project_vector(const pg_projection *projection, const uint32_t *columns, const int16_t *values,
                            size_t count, void *scratch, size_t scratch_size, uint8_t *positive, uint8_t *negative);

/* The sums of a vector, one a bit, before they are compared with the thresholds; training measures those by them. */
pg_status pg_vector_sums(const pg_projection *projection, const uint32_t *columns, const int16_t *values, size_t count,
                         void *scratch, size_t scratch_size, int32_t *sums);

/* The counted features of a text, in text order within a family. Writes at most capacity of them; *count is
 * how many there are. */
pg_status pg_features(const pg_projection *projection, const char *text, size_t length, void *scratch,
                      size_t scratch_size, pg_feature *features, size_t capacity, size_t *count);

/* The fingerprints of a text's words, PG_MAX_WORDS at most, in text order; multiples of 4, as the table of a model
 * holds them beside their classes. Writes at most capacity of them; *count is how many there are. */
pg_status pg_word_fingerprints(const pg_projection *projection, const char *text, size_t length, void *scratch,
                               size_t scratch_size, uint32_t *fingerprints, size_t capacity, size_t *count);

/* A bundle: many heads over one projection in one file. Nothing of a head is checked before it is opened. */
typedef struct {
    const uint8_t *bytes;
    const uint8_t *heads; /* the directory */
    uint32_t heads_length;
    uint32_t count;
    uint32_t slots;
} pg_bundle;

/* Validate a bundle's header, checksum, tables and directory once. The bytes must outlive the bundle and its heads. */
pg_status pg_open_bundle(pg_bundle *bundle, const void *bytes, size_t length);

/* Validate a head and give it as a model, of which every function takes it. */
pg_status pg_bundle_head(const pg_bundle *bundle, uint32_t index, pg_model *model);

/* A head's name, in place, not terminated. */
pg_status pg_bundle_name(const pg_bundle *bundle, uint32_t index, const char **name, size_t *length);

/* The labels of a text by count heads of one bundle. Its bits are computed once, and so is what neighbouring heads have
 * in common: the same table of words, hidden layer and convolution. Scores, if not NULL, receives those of one head
 * after the other; labels one of each head. The scratch is that of the head which needs most. */
size_t pg_heads_scratch_size(const pg_model *heads, size_t count);
pg_status pg_predict_heads(const pg_model *heads, size_t count, const char *text, size_t length, void *scratch,
                           size_t scratch_size, int32_t *scores, uint32_t *labels);

/* A class name, in place, not terminated. */
pg_status pg_label(const pg_model *model, uint32_t index, const char **text, size_t *length);

/* What a status means, in one line of English. */
const char *pg_status_text(pg_status status);

/* Its name, "PG_OK". */
const char *pg_status_name(pg_status status);

#ifdef __cplusplus
}
#endif

#endif
