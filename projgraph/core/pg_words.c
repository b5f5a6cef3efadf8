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

pg_status pg_word_fingerprints(const pg_projection *projection, const char *text, size_t length, void *scratch,
                               size_t scratch_size, uint32_t *fingerprints, size_t capacity, size_t *count) {
    if (!projection || (!text && length) || !scratch || (!fingerprints && capacity) || !count) return PG_BAD_ARGUMENT;
    if (scratch_size < pg_project_scratch_size(projection)) return PG_SCRATCH_TOO_SMALL;
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
