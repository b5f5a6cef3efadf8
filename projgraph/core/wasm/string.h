/* What the core takes from string.h, for a target without a C library; the compiler turns them into instructions. */

#ifndef PG_WASM_STRING_H
#define PG_WASM_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);

#endif
