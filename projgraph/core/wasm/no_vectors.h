/* In the place of pg_vector.c where a module takes texts alone: it opens no model of vectors, so that nothing of it is
 * ever called. Macros, which no change of the functions' arguments concerns. */

#define pg_vector_scratch(...) ((size_t)0)
#define pg_vector_check(...) PG_WANTS_TEXT
#define pg_vector_planes(...) ((void)0)
