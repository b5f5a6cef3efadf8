/* The golden program on an AVR, where int and pointers have 16 bits, under simavr: lines go out by the serial port, the
 * golden file lies in flash beyond what a pointer reaches, and models, rows and scratch are on avr-libc's heap. */

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <stdlib.h>

#include "port.h"

__asm__(".section .text.golden, \"ax\", @progbits\n"
        ".global golden\n"
        "golden: .incbin \"" PORT_GOLDEN "\"\n"
        ".balign 2\n"
        ".text\n");

extern const unsigned char golden[];

void port_write(const char *line, size_t length) {
    UCSR0A = _BV(U2X0);
    UBRR0 = 0; /* as fast as can be */
    UCSR0B = _BV(TXEN0);
    for (; length > 0; length--) {
        while (!(UCSR0A & _BV(UDRE0))) {
        }
        UDR0 = (uint8_t)*line++;
    }
}

/* The emulator ends where nothing could wake the processor. */
void port_finish(int status) {
    (void)status;
    cli();
    for (;;)
        sleep_mode();
}

uint32_t port_u32(uint32_t at) {
    return pgm_read_dword_far(pgm_get_far_address(golden) + at);
}

/* The heap keeps away from the stack, which grows towards it: a block that would leave it less is refused. */
void *port_scratch(size_t size) {
    __malloc_margin = 1536;
    return malloc(size > 0 ? size : 1);
}

void port_release(void *scratch) {
    free(scratch);
}

const void *port_block(uint32_t at, uint32_t length) {
    if (length > SIZE_MAX / 2) return NULL;
    unsigned char *block = port_scratch((size_t)length);
    for (size_t i = 0; block && i < length; i++)
        block[i] = pgm_read_byte_far(pgm_get_far_address(golden) + at + i);
    return block;
}

void port_let_go(const void *block) {
    free((void *)(uintptr_t)block);
}

void port_mark_stack(void) {}

uint32_t port_stack_used(void) {
    return 0;
}

void port_mark_clock(void) {}

uint32_t port_instructions(void) {
    return 0;
}
