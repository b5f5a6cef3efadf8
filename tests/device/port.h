/* What the golden program needs of a machine: a way out for its lines, memory, and where it can be had, measurements.
 */

#ifndef PORT_H
#define PORT_H

#include <stddef.h>
#include <stdint.h>

/* The golden file; the build embeds it. */
extern const unsigned char golden[];

void port_write(const char *line, size_t length);

/* The next lines, and where the lines end. */
void port_finish(int status);

/* A block of exactly so many bytes; NULL if there are not so many. At most one of a machine without a heap: the next
 * call takes its place. */
void *port_scratch(size_t size);
void port_release(void *scratch);

/* The same bytes, so that reading past their end would be noticed, where the machine can notice; or those given. */
const void *port_exactly(const void *bytes, size_t length);
void port_let_go(const void *bytes);

/* Bytes of stack below the caller that were used since the mark; 0 where it is not measured. */
void port_mark_stack(void);
uint32_t port_stack_used(void);

/* Instructions since the mark, by the emulator's clock; 0 where it is not measured. */
void port_mark_clock(void);
uint32_t port_instructions(void);

#endif
