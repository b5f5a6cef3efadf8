/* In the place of pg_text.c, pg_features.c and pg_words.c where a module takes vectors alone: a model of vectors has
 * neither texts nor words, so that nothing of them is ever called. Macros, which no change of the functions' arguments
 * concerns. */

#define pg_seen_bytes(...) ((size_t)0)
#define pg_walk_start(...) ((void)0)
#define pg_walk_next(...) ((size_t)0)
#define pg_words_scratch(...) ((size_t)0)
#define pg_word_inputs(...) ((void)0)
