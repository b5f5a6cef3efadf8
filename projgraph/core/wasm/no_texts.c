/* In the place of pg_text.c, pg_features.c and pg_words.c where a module takes vectors alone: a model of vectors has
 * neither, and none of these is called for it. */

#include "pg_internal.h"

size_t pg_seen_bytes(const pg_projection *projection) {
    (void)projection;
    return 0;
}

void pg_walk_start(pg_walk *walk, const pg_projection *projection, uint64_t *seen, const char *text, size_t length) {
    (void)walk;
    (void)projection;
    (void)seen;
    (void)text;
    (void)length;
}

size_t pg_walk_next(pg_walk *walk, const pg_projection *projection, uint32_t *family) {
    (void)walk;
    (void)projection;
    *family = 0;
    return 0;
}

size_t pg_words_scratch(const pg_model *model) {
    (void)model;
    return 0;
}

void pg_word_inputs(const pg_model *model, const pg_row *row, uint8_t *scratch, int16_t *code_sums, int16_t *filters) {
    (void)model;
    (void)row;
    (void)scratch;
    (void)code_sums;
    (void)filters;
}
