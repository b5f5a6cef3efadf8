/* What the golden program needs of a machine: a way out for its lines, memory, and where it can be had, measurements.
 */

#ifndef PORT_H
#define PORT_H

#include <stddef.h>
#include <stdint.h>

/* The golden file, embedded by the build: 32 bits little-endian at an offset, and a block of it, which is a copy of
 * exactly so many bytes where a machine can notice a read past their end. */
uint32_t port_u32(uint32_t at);
const void *port_block(uint32_t at, uint32_t length);
void port_let_go(const void *block);

void port_write(const char *line, size_t length);

/* The end of the program. */
void port_finish(int status);

/* A block of exactly so many bytes; NULL if there are not so many. At most one of a machine without a heap: the next
 * call takes its place. */
void *port_scratch(size_t size);
void port_release(void *scratch);

/* Bytes of stack below the caller that were used since the mark; 0 where it is not measured. */
void port_mark_stack(void);
uint32_t port_stack_used(void);

/* Instructions since the mark, by the emulator's clock; 0 where it is not measured. */
void port_mark_clock(void);
uint32_t port_instructions(void);

#endif
