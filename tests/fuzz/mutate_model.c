/* How libFuzzer changes a model file: bytes anywhere, or the content of one section under a table that follows it; then
 * the length and the checksum are made to fit, since a reader that refuses those looks at nothing else. */

#include <stdint.h>
#include <string.h>

#include "projgraph.h"

enum { LARGEST = 1 << 16, GROWTH = 64 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static uint32_t load(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void store(uint8_t *at, uint32_t value) {
    for (int byte = 0; byte < 4; byte++)
        at[byte] = (uint8_t)(value >> 8 * byte);
}

/* CRC-32 of zlib, bit by bit: another way than the core's. */
static uint32_t checksum(const uint8_t *bytes, size_t length) {
    static uint32_t table[256];
    for (uint32_t byte = 0; table[1] == 0 && byte < 256; byte++) {
        uint32_t crc = 255 - byte; /* so that entry 1 is written last */
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        table[255 - byte] = crc;
    }
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
    return ~crc;
}

static void seal(uint8_t *data, size_t size) {
    if (size < PG_HEADER_SIZE) return;
    store(data + PG_HEADER_AT_LENGTH, (uint32_t)size);
    store(data + PG_HEADER_AT_CHECKSUM, checksum(data + PG_CHECKED_FROM, size - PG_CHECKED_FROM));
}

static size_t aligned(size_t offset) {
    return (offset + PG_ALIGNMENT - 1) / PG_ALIGNMENT * PG_ALIGNMENT;
}

/* Move what lies behind a section that ended at `from` to `to`, and the table's offsets with it. */
static void move_rest(uint8_t *data, size_t size, uint32_t rows, size_t from, size_t to) {
    memmove(data + to, data + from, size - from);
    for (uint32_t row = 0; row < rows; row++) {
        uint8_t *at = data + PG_HEADER_SIZE + PG_SECTION_SIZE * row + PG_SECTION_AT_OFFSET;
        if (load(at) >= from) store(at, (uint32_t)(load(at) - from + to));
    }
}

/* One section mutated, at another length or at its own; the new size, or 0 where there is no such section. */
static size_t mutate_section(uint8_t *data, size_t size, size_t max_size, uint32_t pick, int resized) {
    static uint8_t content[LARGEST + GROWTH];
    if (size < PG_HEADER_SIZE) return 0;
    uint32_t rows = load(data + PG_HEADER_AT_SECTIONS);
    if (rows == 0 || rows > (size - PG_HEADER_SIZE) / PG_SECTION_SIZE) return 0;
    uint8_t *row = data + PG_HEADER_SIZE + PG_SECTION_SIZE * (size_t)(pick % rows);
    size_t offset = load(row + PG_SECTION_AT_OFFSET), length = load(row + PG_SECTION_AT_LENGTH);
    if (offset < PG_HEADER_SIZE + PG_SECTION_SIZE * (size_t)rows || offset > size) return 0;
    if (length > size - offset || length > LARGEST || (length == 0 && !resized)) return 0;
    memcpy(content, data + offset, length);
    size_t found = LLVMFuzzerMutate(content, length, resized ? length + GROWTH : length);
    if (!resized) found = length; /* where it cut something, the old end stays */
    size_t end = aligned(offset + length), new_end = aligned(offset + found);
    if (end > size) end = size, new_end = offset + found; /* the last section, which nothing pads */
    if (new_end + (size - end) > max_size) return 0;
    move_rest(data, size, rows, end, new_end);
    memset(data + offset, 0, new_end - offset);
    memcpy(data + offset, content, found);
    store(row + PG_SECTION_AT_LENGTH, (uint32_t)found);
    return new_end + (size - end);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    uint32_t choice = seed % 16, pick = seed / 16 % PG_MAX_SECTIONS;
    size_t found = choice < 10 ? mutate_section(data, size, max_size, pick, choice < 4) : 0;
    if (found == 0) found = LLVMFuzzerMutate(data, size, max_size);
    if (choice < 15) seal(data, found); /* at times not: the reader must find what does not fit */
    return found;
}
