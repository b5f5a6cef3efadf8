/* The golden program on a system: standard output, and blocks of exactly the size asked for, one byte off any
 * alignment, so that a sanitizer sees the first byte read or written outside of them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

extern const unsigned char golden[];

void port_write(const char *line, size_t length) {
    if (fwrite(line, 1, length, stdout) != length) exit(2);
}

void port_finish(int status) {
    exit(fflush(stdout) == EOF ? 2 : status);
}

void *port_scratch(size_t size) {
    unsigned char *block = malloc(size + 1);
    if (!block) return NULL;
#ifndef PORT_UNTOUCHED /* so that valgrind sees what is read before it is written */
    memset(block, 0xA5, size + 1);
#endif
    return block + 1;
}

void port_release(void *scratch) {
    free((unsigned char *)scratch - 1);
}

uint32_t port_u32(uint32_t at) {
    const unsigned char *bytes = golden + at;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

const void *port_block(uint32_t at, uint32_t length) {
    void *block = port_scratch(length);
    return block ? memcpy(block, golden + at, length) : NULL;
}

void port_let_go(const void *block) {
    port_release((void *)(uintptr_t)block);
}

void port_mark_stack(void) {}

uint32_t port_stack_used(void) {
    return 0;
}

void port_mark_clock(void) {}

uint32_t port_instructions(void) {
    return 0;
}
