/* The reader of bundles: many heads over one projection, each a choice of the file's sections; copies nothing. */

#include <string.h>

#include "pg_internal.h"

enum { OFFSET = sizeof(uint32_t), SLOT = sizeof(uint16_t) };

static const uint8_t *name_offsets(const pg_bundle *bundle) {
    return bundle->heads + PG_HEADS_SIZE;
}

static const uint8_t *slots_of(const pg_bundle *bundle, uint32_t head) {
    return name_offsets(bundle) + OFFSET * ((size_t)bundle->count + 1) + SLOT * (size_t)bundle->slots * head;
}

/* The table: ascending, disjoint, aligned, inside the file, nothing but zeros between, and one section of heads. */
static pg_status read_rows(pg_bundle *bundle, size_t length, uint32_t count) {
    const uint8_t *bytes = bundle->bytes;
    size_t end = PG_HEADER_SIZE + count * (size_t)PG_SECTION_SIZE;
    for (uint32_t row = 0; row < count; row++) {
        const uint8_t *at = bytes + PG_HEADER_SIZE + row * (size_t)PG_SECTION_SIZE;
        uint32_t kind = pg_u32(at + PG_SECTION_AT_KIND);
        pg_section found;
        if (pg_u32(at + PG_SECTION_AT_RESERVED) != 0) return PG_BAD_RESERVED;
        if (kind == 0 || (kind >= PG_SECTION_KINDS && kind < PG_SECTION_OPTIONAL && kind != PG_BUNDLE_HEADS))
            return PG_BAD_SECTION_KIND;
        pg_status status = pg_read_row(bytes, length, at, &end, &found);
        if (status != PG_OK) return status;
        if (kind != PG_BUNDLE_HEADS) continue;
        if (bundle->heads) return PG_BAD_SECTION_ORDER;
        bundle->heads = found.at;
        bundle->heads_length = found.length;
    }
    if (!bundle->heads) return PG_BAD_HEADS;
    return pg_all_zero(bytes + end, length - end) ? PG_OK : PG_BAD_RESERVED;
}

/* Slots name rows of their own kind, and every head has the projection of the first. */
static pg_status read_slots(const pg_bundle *bundle, uint32_t rows) {
    uint32_t projection = pg_u16(slots_of(bundle, 0) + SLOT * PG_SECTION_PROJECTION);
    for (uint32_t head = 0; head < bundle->count; head++) {
        const uint8_t *slots = slots_of(bundle, head);
        for (uint32_t slot = 0; slot < bundle->slots; slot++) {
            uint32_t number = pg_u16(slots + SLOT * slot), kind = slot == 0 ? PG_SECTION_PROVENANCE : slot;
            if (number > rows) return PG_BAD_HEADS;
            if (number == 0) continue;
            const uint8_t *row = bundle->bytes + PG_HEADER_SIZE + (number - 1) * (size_t)PG_SECTION_SIZE;
            if (slot >= PG_SECTION_KINDS || pg_u32(row + PG_SECTION_AT_KIND) != kind) return PG_BAD_HEADS;
        }
        if (pg_u16(slots + SLOT * PG_SECTION_PROJECTION) != projection) return PG_BAD_HEADS;
    }
    return projection == 0 ? PG_BAD_HEADS : PG_OK;
}

static pg_status read_heads(pg_bundle *bundle, uint32_t rows) {
    if (bundle->heads_length < PG_HEADS_SIZE) return PG_BAD_HEADS;
    bundle->count = pg_u32(bundle->heads + PG_HEADS_AT_COUNT);
    bundle->slots = pg_u32(bundle->heads + PG_HEADS_AT_SLOTS);
    if (bundle->count == 0 || bundle->count > PG_MAX_HEADS) return PG_BAD_HEADS;
    if (bundle->slots <= PG_SECTION_PROJECTION || bundle->slots > PG_MAX_SECTIONS) return PG_BAD_HEADS;
    /* At most 4,096 heads of 64 slots of 2 bytes: fits 32 bits. */
    uint32_t names = PG_HEADS_SIZE + OFFSET * (bundle->count + 1) + SLOT * bundle->slots * bundle->count;
    if (bundle->heads_length < names) return PG_BAD_HEADS;
    uint32_t before = 0;
    for (uint32_t i = 0; i <= bundle->count; i++) {
        uint32_t offset = pg_u32(name_offsets(bundle) + OFFSET * i);
        if (offset < before || (i == 0 && offset != 0)) return PG_BAD_HEADS;
        before = offset;
    }
    return before != bundle->heads_length - names ? PG_BAD_HEADS : read_slots(bundle, rows);
}

pg_status pg_open_bundle(pg_bundle *bundle, const void *bytes, size_t length) {
    if (!bundle || !bytes) return PG_BAD_ARGUMENT;
    uint32_t count;
    memset(bundle, 0, sizeof *bundle);
    bundle->bytes = bytes;
    pg_status status = pg_read_header(bytes, length, PG_BUNDLE_MAGIC, PG_MAX_BUNDLE_SECTIONS, &count);
    if (status != PG_OK) return status;
    if ((status = read_rows(bundle, length, count)) != PG_OK) return status;
    return read_heads(bundle, count);
}

pg_status pg_bundle_head(const pg_bundle *bundle, uint32_t index, pg_model *model) {
    if (!bundle || !model) return PG_BAD_ARGUMENT;
    if (index >= bundle->count) return PG_NO_SUCH_HEAD;
    pg_section sections[PG_SECTION_KINDS] = {{NULL, 0}};
    const uint8_t *slots = slots_of(bundle, index);
    memset(model, 0, sizeof *model);
    for (uint32_t slot = 0; slot < bundle->slots && slot < PG_SECTION_KINDS; slot++) {
        uint32_t number = pg_u16(slots + SLOT * slot);
        if (number == 0) continue;
        const uint8_t *row = bundle->bytes + PG_HEADER_SIZE + (number - 1) * (size_t)PG_SECTION_SIZE;
        sections[slot].at = bundle->bytes + pg_u32(row + PG_SECTION_AT_OFFSET);
        sections[slot].length = pg_u32(row + PG_SECTION_AT_LENGTH);
    }
    model->provenance = sections[0].at;
    model->provenance_length = sections[0].length;
    return pg_read_sections(model, sections);
}

pg_status pg_bundle_name(const pg_bundle *bundle, uint32_t index, const char **name, size_t *length) {
    if (!bundle || !name || !length) return PG_BAD_ARGUMENT;
    if (index >= bundle->count) return PG_NO_SUCH_HEAD;
    const uint8_t *offsets = name_offsets(bundle);
    uint32_t start = pg_u32(offsets + OFFSET * (size_t)index);
    *length = pg_u32(offsets + OFFSET * ((size_t)index + 1)) - start;
    *name = (const char *)slots_of(bundle, bundle->count) + start;
    return PG_OK;
}
