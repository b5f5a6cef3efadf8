/* The golden program on a bare Cortex-M under an emulator: vectors, semihosting, a painted stack, SysTick as the clock.
 *
 * Memory, from the linker script: the program and the golden file in flash; data, bss, then the scratch, and the stack
 * down from the end of RAM. With `-icount shift=0` an instruction takes one nanosecond of the emulator's time, so that
 * SysTick counts instructions, some tens of them a tick: how many is measured first, on a loop of known length. */

#include <string.h>

#include "port.h"

enum { SYS_OPEN = 1, SYS_WRITE = 5, SYS_EXIT = 0x18 };
enum { PAINT = 0xC5, LOOPS = 250000 };

extern const unsigned char golden[];
extern unsigned char port_data_start[], port_data_end[], port_data_load[], port_bss_start[], port_bss_end[];
extern unsigned char port_free_start[], port_stack_bottom[], port_stack_top[];
int main(void);

static volatile uint32_t *const SYST_CSR = (volatile uint32_t *)0xE000E010u;
static volatile uint32_t *const SYST_RVR = (volatile uint32_t *)0xE000E014u;
static volatile uint32_t *const SYST_CVR = (volatile uint32_t *)0xE000E018u;
static const uint32_t FULL = 0x00FFFFFFu;

static uintptr_t semihost(uintptr_t operation, uintptr_t argument) {
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void port_write(const char *line, size_t length) {
    static uintptr_t handle;
    if (handle == 0) {
        static const char console[] = ":tt";
        const uintptr_t opening[3] = {(uintptr_t)console, 4, 3}; /* for writing; the name's length */
        handle = semihost(SYS_OPEN, (uintptr_t)opening);
    }
    const uintptr_t writing[3] = {handle, (uintptr_t)line, length};
    semihost(SYS_WRITE, (uintptr_t)writing);
}

void port_finish(int status) {
    for (;;)
        semihost(SYS_EXIT, status == 0 ? 0x20026u : 0x20023u); /* an orderly exit, and an error at run time */
}

static void fault(void) {
    static const char message[] = "a fault of the processor\n";
    port_write(message, sizeof message - 1);
    port_finish(1);
}

void port_reset(void) {
    memcpy(port_data_start, port_data_load, (size_t)(port_data_end - port_data_start));
    memset(port_bss_start, 0, (size_t)(port_bss_end - port_bss_start));
    main();
    port_finish(0);
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)(uintptr_t)port_stack_top,
    port_reset,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
    fault,
};

void *port_scratch(size_t size) {
    return size <= (size_t)(port_stack_bottom - port_free_start) ? port_free_start : NULL;
}

void port_release(void *scratch) {
    (void)scratch;
}

uint32_t port_u32(uint32_t at) {
    const unsigned char *bytes = golden + at;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

const void *port_block(uint32_t at, uint32_t length) {
    (void)length;
    return golden + at;
}

void port_let_go(const void *block) {
    (void)block;
}

/* A function's own frame lies between what it paints and its caller, and is small. */
static unsigned char *marked;

__attribute__((noinline)) void port_mark_stack(void) {
    unsigned char *here = __builtin_frame_address(0);
    marked = here;
    for (volatile unsigned char *at = port_stack_bottom; at < here - 64; at++)
        *at = PAINT;
}

__attribute__((noinline)) uint32_t port_stack_used(void) {
    const unsigned char *at = port_stack_bottom;
    while (at < marked && *at == PAINT)
        at++;
    if (at == port_stack_bottom) fault(); /* the whole stack: more than there is */
    return (uint32_t)(marked - at);
}

static uint32_t ticks(void) {
    return FULL - *SYST_CVR;
}

/* 4 instructions a round, with nothing for a compiler to change. */
__attribute__((noinline)) static void loop_of_four(uint32_t rounds) {
    __asm__ volatile(".syntax unified\n1: nop\n nop\n subs %0, %0, #1\n bne 1b\n" : "+l"(rounds) : : "cc");
}

void port_mark_clock(void) {
    *SYST_CSR = 4; /* the processor's clock, no interrupt; first, since a board may have no other clock */
    *SYST_RVR = FULL;
    *SYST_CVR = 0;
    *SYST_CSR = 5;
}

uint32_t port_instructions(void) {
    static uint32_t loop;
    uint32_t found = ticks();
    if (loop == 0) {
        port_mark_clock();
        loop_of_four(LOOPS);
        loop = ticks();
    }
    if (loop == 0) return 0;
    return (uint32_t)((uint64_t)found * (4u * LOOPS) / loop);
}
