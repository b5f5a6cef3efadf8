/* In the place of pg_vector.c where a module takes texts alone: models of vectors are refused. */

#include "pg_internal.h"

size_t pg_vector_scratch(const pg_projection *projection) {
    (void)projection;
    return 0;
}

pg_status pg_vector_check(const pg_projection *projection, const pg_row *row) {
    (void)projection;
    (void)row;
    return PG_WANTS_TEXT;
}

void pg_vector_planes(const pg_projection *projection, const pg_row *row, uint8_t *scratch, uint64_t *positive,
                      uint64_t *negative) {
    (void)projection;
    (void)row;
    (void)scratch;
    (void)positive;
    (void)negative;
}
