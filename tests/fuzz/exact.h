/* Blocks of exactly their own size on the heap, so that a sanitizer sees the first byte read or written outside. */

#ifndef EXACT_H
#define EXACT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One byte off any alignment: for what the core takes at any address. */
static inline void *exact(size_t size) {
    uint8_t *block = malloc(size + 1);
    if (!block) abort();
    return block + 1;
}

static inline void *exact_copy(const void *bytes, size_t size) {
    void *block = exact(size);
    if (size > 0) memcpy(block, bytes, size);
    return block;
}

static inline void let_go(void *block) {
    free((uint8_t *)block - 1);
}

/* For what the core wants aligned as its type. */
static inline void *exact_aligned(size_t count, size_t size) {
    void *block = malloc(count * size);
    if (!block && count > 0) abort();
    return block;
}

/* What must hold of every input; libFuzzer reports an abort as a crash. */
static inline void require(int holds) {
    if (!holds) abort();
}

#endif
