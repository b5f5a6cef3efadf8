/* A text to the rows of its bits and to its words: the core's reader, then its features and their additions. */

#include "host.h"

#if PG_HOST_X86

/* Of every token, and of every word with the words before it, which stand before it in words. */
static size_t word_hashes(const pg_chunk *chunk, const pg_family *family, uint64_t salt, const uint64_t *words,
                          uint32_t before, uint64_t *hashes) {
    size_t count = 0;
    const uint64_t *word = words + PG_MAX_WORD_NGRAM - 1;
    for (uint32_t t = 0; t < chunk->token_count; t++) {
        if (family->n_min == 1) hashes[count++] = pg_mix(pg_fold(PG_NGRAM_MULTIPLIER, chunk->tokens[t]) ^ salt);
        if (!chunk->is_word[t]) continue;
        for (uint32_t n = family->n_min > 2 ? family->n_min : 2; n <= family->n_max && n - 1 <= before; n++) {
            uint64_t gram = n * PG_NGRAM_MULTIPLIER;
            for (uint32_t back = n; back > 0; back--)
                gram = pg_fold(gram, word[1 - (ptrdiff_t)back]);
            hashes[count++] = pg_mix(gram ^ salt);
        }
        word++;
        before += before < PG_MAX_WORD_NGRAM - 1;
    }
    return count;
}

/* The repeat filter of pg_features.c. A slot holds the text as well, so that none is ever cleared. */
static size_t keep_new(uint64_t *hashes, size_t count, uint64_t epoch, uint64_t *stamps, uint64_t mask) {
    size_t kept = 0;
    epoch |= 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hashes[i], stamp = epoch | hash >> 32, before = stamps[hash & mask];
        stamps[hash & mask] = stamp;
        hashes[kept] = hash;
        kept += before != stamp;
    }
    return kept;
}

static void add_family(const pg_host_kernels *kernels, const pg_projection *projection, uint32_t f,
                       pg_host_text *state) {
    const pg_family *family = &projection->families[f];
    uint64_t salt = projection->seed + family->kind * PG_FAMILY_MULTIPLIER, *hashes = state->hashes;
    size_t count;
    if (family->kind == PG_FAMILY_WORD)
        count = word_hashes(&state->chunk, family, salt, state->words, state->word_count, hashes);
    else
        count = kernels->ngrams(&state->chunk, family->n_min, family->n_max, salt, hashes);
    if (projection->seen_slots_log2 > 0)
        count =
            keep_new(hashes, count, state->epoch, state->stamps[f], ((uint64_t)1 << projection->seen_slots_log2) - 1);
    if (count > state->left[f]) count = state->left[f];
    state->left[f] -= (uint32_t)count;
    kernels->add_features(family, hashes, count, state->counts);
}

/* The chunk's words behind the last ones before it; how many there are of them. */
static uint32_t gather_words(pg_host_text *state) {
    uint32_t count = 0;
    uint64_t *words = state->words + PG_MAX_WORD_NGRAM - 1;
    for (uint32_t t = 0; t < state->chunk.token_count; t++) {
        words[count] = state->chunk.tokens[t];
        count += state->chunk.is_word[t];
    }
    return count;
}

static void keep_tokens(const pg_chunk *chunk, pg_host_found *found) {
    size_t left = PG_MAX_WORDS - found->token_count, count = chunk->token_count < left ? chunk->token_count : left;
    memcpy(found->tokens + found->token_count, chunk->tokens, count * sizeof *found->tokens);
    found->token_count += count;
}

void pg_host_find(const pg_host_kernels *kernels, const pg_projection *projection, const char *text, size_t length,
                  pg_host_text *state, pg_host_found *found) {
    state->epoch += (uint64_t)1 << 32;
    if (state->epoch == 0) { /* after 2^32 texts */
        memset(state->stamps, 0, sizeof state->stamps);
        state->epoch = (uint64_t)1 << 32;
    }
    for (uint32_t f = 0; f < projection->family_count; f++)
        state->left[f] = PG_MAX_FEATURES;
    state->word_count = 0;
    found->token_count = 0;
    pg_reader_start(&state->reader, &state->chunk, text, length);
    while (pg_reader_next(&state->reader, &state->chunk)) {
        uint32_t words = gather_words(state);
        for (uint32_t f = 0; f < projection->family_count; f++)
            add_family(kernels, projection, f, state);
        keep_tokens(&state->chunk, found);
        memmove(state->words, state->words + words, (PG_MAX_WORD_NGRAM - 1) * sizeof *state->words);
        state->word_count += words;
        if (state->word_count > PG_MAX_WORD_NGRAM - 1) state->word_count = PG_MAX_WORD_NGRAM - 1;
    }
    kernels->list_rows(projection, state->counts, found);
}

#endif
