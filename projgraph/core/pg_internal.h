/* What the core's files share: hashing constants, loads, the text reader and the feature walk. */

#ifndef PG_INTERNAL_H
#define PG_INTERNAL_H

#include <string.h>

#include "projgraph.h"

/* The host build compiles the hot loops once more for wider vectors and picks at load time (ifunc, so glibc on x86-64
 * only); every other build compiles them once, for its own target. */
#if defined(PG_HOST_CLONES) && defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define PG_HOT __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PG_HOT
#endif

/* Only ever a shortcut: 0 is right on every machine, and a test builds it so. */
#ifndef PG_LITTLE_ENDIAN
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PG_LITTLE_ENDIAN 1
#else
#define PG_LITTLE_ENDIAN 0
#endif
#endif

/* Before a loop: what it stores is not what it loads. Bytes alias everything, and gcc forgets restrict on local
 * pointers. Clang checks for itself, and would warn wherever it does not vectorise. */
#if defined(__GNUC__) && !defined(__clang__)
#define PG_INDEPENDENT _Pragma("GCC ivdep")
#else
#define PG_INDEPENDENT
#endif

#define PG_MULTIPLIER 0x9E3779B97F4A7C15u
#define PG_NGRAM_MULTIPLIER 0xA0761D6478BD642Fu
#define PG_FAMILY_MULTIPLIER 0xE7037ED1A0B428DBu
#define PG_TOKEN_START 0x8AEBC0EB3F9A1D27u

/* The weight of the code point j places before a character n-gram's last: splitmix64 from 0x1234567, made odd. */
#define PG_NGRAM_PLACES                                                                                                \
    {                                                                                                                  \
        0x3A34CE6380FC0BC5u, 0xC05A677850DC981Bu, 0x9E32CDF7948370BDu, 0xA7765F796F00BBEFu,                            \
        0xBBBB23FE6921FE53u, 0x5BF0C31CACF1E17Fu, 0x3E1900A6529BE043u, 0x2A16CD9ED424EA1Fu,                            \
    }

static inline uint64_t pg_mix(uint64_t h) {
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    return h;
}

/* The hash of an n-gram of words, one word longer. */
static inline uint64_t pg_fold(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * PG_MULTIPLIER;
    return hash ^ hash >> 32;
}

static inline uint32_t pg_u16(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t pg_u32(const uint8_t *at) {
#if PG_LITTLE_ENDIAN
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
#else
    return pg_u16(at) | pg_u16(at + 2) << 16;
#endif
}

static inline uint64_t pg_u64(const uint8_t *at) {
    return (uint64_t)pg_u32(at) | (uint64_t)pg_u32(at + 4) << 32;
}

/* int32_t is two's complement, so its bytes are those of the unsigned value. */
static inline int32_t pg_i32(const uint8_t *at) {
    uint32_t bits = pg_u32(at);
    int32_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 16-bit field i of hashes: the four of the first one, low one first, and so on. */
static inline uint16_t pg_field(const uint64_t *hashes, size_t i) {
#if PG_LITTLE_ENDIAN
    uint16_t field;
    memcpy(&field, (const uint8_t *)hashes + 2 * i, sizeof field);
    return field;
#else
    return (uint16_t)(hashes[i / 4] >> 16 * (i % 4));
#endif
}

/* -DPG_SMALL builds the core for devices with little memory: the same integers from a fraction of the scratch, in up to
 * twice the time. A text is read once for every family and for every PG_SUMS of its bits, and nothing is laid out for
 * vectors of a processor. */
#ifdef PG_SMALL
enum {
    PG_LANES = 4,
    PG_CHUNK = 16,
    PG_FIELDS = 16,
    PG_BIT_BLOCK = 64,
    PG_PLANE_WORDS = 2,
    PG_FAMILIES = 1,
    PG_MULTIPLES = 8,
    PG_SCRATCH_ALIGN = 8 /* of a 64-bit integer */
};
#else
enum {
    PG_LANES = 32,                     /* positions or tokens hashed at a time */
    PG_CHUNK = 128,                    /* code points and tokens read at a time, a multiple of PG_LANES */
    PG_FIELDS = 64,                    /* positions computed at a time: 16 features x 4 fields */
    PG_BIT_BLOCK = 512,                /* bits quantised at a time */
    PG_PLANE_WORDS = PG_MAX_BITS / 64, /* words of a plane whose rows are added at a time: all there can be */
    PG_FAMILIES = PG_MAX_FAMILIES,     /* whose features are found in one reading of a text */
    PG_MULTIPLES = 32,                 /* inputs taken at a time that are no bits, a multiple of 4 */
    PG_SCRATCH_ALIGN = 64              /* a cache line */
};
#endif

/* -DPG_PLAIN_WEIGHTS leaves out all weights but those of int8 and int4, and refuses the others' models: for a device
 * that carries none of them. */
#ifdef PG_PLAIN_WEIGHTS
enum { PG_PACKED_WEIGHTS = 0 };
#else
enum { PG_PACKED_WEIGHTS = 1 };
#endif

/* -DPG_COMPACT leaves out the code that adds many rows at a time: the same integers, one row after the other. The
 * WebAssembly module is built so, which is downloaded. */
#ifdef PG_COMPACT
enum { PG_ROWS_TOGETHER = 0 };
#else
enum { PG_ROWS_TOGETHER = 1 };
#endif

enum {
    PG_HISTORY = PG_MAX_CHARACTER_NGRAM, /* code points kept from before the chunk */
    PG_HASHES = PG_LANES * PG_MAX_CHARACTER_NGRAM,
    PG_SUMS = 512 /* bits of a family whose sums are held at a time by a small build */
};

/* ---- pg_model.c: bytes to sections to a model ---- */

typedef struct {
    const uint8_t *at; /* NULL: absent */
    uint32_t length;
} pg_section;

/* The header of a file with that magic number, whole and with a good checksum; *sections is at most the most. */
pg_status pg_read_header(const uint8_t *bytes, size_t length, uint32_t magic, uint32_t most, uint32_t *sections);

/* The section of a row of the table: aligned, inside the file, and behind *end with nothing but zeros between; *end is
 * then its own end. */
pg_status pg_read_row(const uint8_t *bytes, size_t length, const uint8_t *row, size_t *end, pg_section *found);

/* Whether there is nothing but zeros. */
int pg_all_zero(const uint8_t *bytes, size_t length);

/* A model, zeroed before, from PG_SECTION_KINDS sections by their kind. */
pg_status pg_read_sections(pg_model *model, const pg_section *sections);

/* ---- pg_text.c: UTF-8 to runs and tokens ---- */

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t token;  /* hash of the word so far */
    uint8_t in_word; /* a word is open */
    uint8_t reach;   /* code points of the open run and its pad, at most PG_HISTORY; 0 between runs */
    uint8_t finished;
} pg_reader;

typedef struct {
    uint32_t points[PG_HISTORY + PG_CHUNK]; /* padded runs, one after the other, lower-cased */
    uint64_t tokens[PG_CHUNK];
    uint8_t reach[PG_CHUNK];   /* longest n-gram that ends at this point without leaving its run */
    uint8_t is_word[PG_CHUNK]; /* or a symbol */
    uint32_t point_count;
    uint32_t token_count;
} pg_chunk;

void pg_reader_start(pg_reader *reader, pg_chunk *chunk, const char *text, size_t length);

/* Fill the chunk with what follows; 0 when there is nothing more. */
int pg_reader_next(pg_reader *reader, pg_chunk *chunk);

/* ---- pg_features.c: runs and tokens to counted feature hashes ---- */

typedef struct {
    uint64_t salt;                         /* seed and kind */
    uint64_t words[PG_MAX_WORD_NGRAM - 1]; /* hashes of the words before, newest first */
    uint32_t word_count;                   /* of those, how many there are */
    uint32_t left;                         /* features that may still count */
} pg_family_state;

typedef struct {
    pg_reader reader;
    pg_chunk chunk;
    uint64_t grams[PG_MAX_CHARACTER_NGRAM][PG_LANES];
    uint64_t hashes[PG_HASHES]; /* the counted features of the last step */
    pg_family_state states[PG_FAMILIES];
    uint64_t *seen; /* the repeat filters: used bits of every family walked, then stamps of every family walked */
    uint32_t first; /* family walked */
    uint32_t count; /* of families walked */
    uint32_t family;
    uint32_t offset; /* within the chunk */
} pg_walk;

uint32_t pg_seen_bytes(const pg_projection *projection);

/* The walk over PG_FAMILIES families at most, from the first one on: the others are the next walks. */
void pg_walk_start(pg_walk *walk, const pg_projection *projection, uint32_t first, uint64_t *seen, const char *text,
                   size_t length);

/* The next counted features, in walk->hashes, all of one family; 0 at the end of the text. */
size_t pg_walk_next(pg_walk *walk, const pg_projection *projection, uint32_t *family);

/* ---- pg_vector.c: columns and values to bits ---- */

/* A row of either kind: length bytes of text, or count values of the columns, or of all columns if that is NULL. */
typedef struct {
    const char *text;
    size_t length;
    const uint32_t *columns;
    const int16_t *values;
    size_t count;
} pg_row;

uint32_t pg_vector_scratch(const pg_projection *projection);
pg_status pg_vector_check(const pg_projection *projection, const pg_row *row);
void pg_vector_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                      uint64_t *negative);

/* ---- pg_project.c: counted features to bits ---- */

/* Bits rounded up to whole blocks: what a plane in scratch holds. */
static inline uint32_t pg_padded_bits(uint32_t bits) {
    return (bits + PG_BIT_BLOCK - 1) / PG_BIT_BLOCK * PG_BIT_BLOCK;
}

/* Bytes of scratch are counted in 32 bits, which hold those of every model: a machine of smaller sizes cannot have so
 * many where they do not fit. */
static inline size_t pg_as_size(uint32_t bytes) {
    size_t size = (size_t)bytes;
    return size == bytes ? size : SIZE_MAX;
}

/* Aligned scratch of pg_project_planes in bytes. */
uint32_t pg_planes_scratch(const pg_projection *projection);

/* Scratch of the functions of a projection alone, of any alignment, in bytes. */
uint32_t pg_project_scratch(const pg_projection *projection);

/* PG_OK if the projection takes rows of that input kind, and this one is well-formed. */
pg_status pg_row_check(const pg_projection *projection, const pg_row *row, unsigned input);

/* Both planes of a checked row as padded words, bit i in word i / 64. */
void pg_project_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                       uint64_t *negative);

static inline uint8_t *pg_align(void *scratch) {
    uintptr_t slack = (PG_SCRATCH_ALIGN - (uintptr_t)scratch % PG_SCRATCH_ALIGN) % PG_SCRATCH_ALIGN;
    return (uint8_t *)scratch + slack;
}

static inline uint32_t pg_rounded(uint32_t bytes) {
    return (bytes + PG_SCRATCH_ALIGN - 1) / PG_SCRATCH_ALIGN * PG_SCRATCH_ALIGN;
}

static inline void *pg_take(uint8_t **scratch, uint32_t bytes) {
    uint8_t *taken = *scratch;
    *scratch += pg_rounded(bytes);
    return taken;
}

/* ---- pg_rows.c: sums of weight rows ---- */

enum { PG_ROW_SLACK = 64 }; /* row offsets written past the last */

/* The lowest set bit; 63 if there is none. */
static inline uint32_t pg_lowest_bit(uint64_t word) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(word | (uint64_t)1 << 63);
#else
    uint32_t bit = 0;
    while (bit < 63 && !(word >> bit & 1))
        bit++;
    return bit;
#endif
}

static inline uint32_t pg_bit_count(uint64_t word) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_popcountll(word);
#else
    uint32_t count = 0;
    for (; word != 0; word &= word - 1)
        count++;
    return count;
#endif
}

/* Bytes of one bit an output. */
static inline uint32_t pg_bit_bytes(const pg_layer *layer) {
    return (layer->outputs + 7) / 8;
}

/* Bytes of a row of weights; of a sparse layer, of the bits that say which of them are there. */
uint32_t pg_row_bytes(const pg_layer *layer);

/* The sums of one layer. A row is read as units that each hold two weights: 16 bits of two bytes, or 8 bits of two
 * nibbles, biased to be unsigned. Adding whole units and, apart, their upper halves needs no widening and gives both
 * sums: the lower one is all - (upper << half a unit). Rows that are packed tighter (pg_packed.c) have their sums in
 * the order of the outputs. */
typedef struct {
    uint16_t *narrow; /* of as many rows as fit 16 bits: lower halves, then upper halves */
    int32_t *wide;    /* of all rows, likewise */
    size_t row;       /* bytes of a row */
    size_t units;     /* of a row, in whole vectors */
} pg_sums;

/* Aligned scratch of a layer's sums in bytes; pg_start_sums takes it, and leaves wide at zero. */
uint32_t pg_sums_scratch(const pg_layer *layer);
pg_sums pg_start_sums(const pg_layer *layer, uint8_t **scratch);

/* Byte offsets of the rows of the set bits, ascending, with room for PG_ROW_SLACK more; returns how many. */
size_t pg_row_offsets(const uint64_t *plane, size_t words, uint32_t row, uint32_t *offsets);

/* wide += factor * the sum of the rows at these offsets from weights, which point into the layer's. */
void pg_add_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count, int32_t factor,
                 const pg_sums *sums);

/* wide += the rows from the first on, each times a value of at most 127 in size. */
void pg_add_values(const pg_layer *layer, uint32_t first, const int16_t *values, uint32_t count, const pg_sums *sums);

/* sum * multiplier + bias, in the order of the outputs. */
void pg_finish(const pg_layer *layer, const pg_sums *sums, int32_t *scores);

/* ---- pg_packed.c: the same of single bits, codebooks and sparse rows ---- */

void pg_add_packed_rows(const pg_layer *layer, const uint8_t *weights, const uint32_t *rows, size_t count,
                        int32_t factor, const pg_sums *sums);
void pg_add_packed_values(const pg_layer *layer, uint32_t first, const int16_t *values, uint32_t count,
                          const pg_sums *sums);

/* ---- pg_words.c: words to code sums and filters ---- */

/* Aligned scratch of pg_word_inputs in bytes. */
uint32_t pg_words_scratch(const pg_model *model);

/* The code sums of a text, and what the filters say of it. */
void pg_word_inputs(const pg_model *model, const pg_row *row, uint8_t *scratch, int16_t *code_sums, int16_t *filters);

/* ---- pg_head.c: bits and words to scores ---- */

/* A layer's sums rectified, shifted and cut at 127. */
void pg_rectify(const int32_t *sums, uint32_t count, unsigned shift, int16_t *values);

/* The first of the largest scores; PG_NO_LABEL if it is below the model's threshold. */
uint32_t pg_choose(const pg_model *model, const int32_t *scores);

/* Aligned scratch of pg_head_scores in bytes. */
uint32_t pg_head_scratch(const pg_model *model);

/* One score a class, in scratch or in scores if that is not NULL; returns the label. What the layers before the output
 * say stays at the start of the scratch; known: it stands there, of a model before that had the same ones. */
uint32_t pg_head_scores(const pg_model *model, int known, const pg_row *row, const uint64_t *positive,
                        const uint64_t *negative, uint8_t *scratch, int32_t *scores);

#endif
