/* Predicts every golden row by every golden model and prints what it found, a line a prediction; golden.py describes
 * the file and the lines. No standard I/O, no heap, no assumption on int beyond C99's: the port does the rest. */

#include "port.h"
#include "projgraph.h"

#ifndef GOLDEN_CLASSES
#define GOLDEN_CLASSES 77
#endif
#ifndef GOLDEN_VALUES
#define GOLDEN_VALUES 300
#endif

enum { TEXT, DENSE, SPARSE, LINE = 128 };

/* A row, by the offset of what follows its kind and count. */
typedef struct {
    uint32_t kind;
    uint32_t count;
    uint32_t at;
} golden_row;

static int32_t scores[GOLDEN_CLASSES];
static uint32_t columns[GOLDEN_VALUES];
static int16_t values[GOLDEN_VALUES];
static char line[LINE];
static size_t line_length;

static void put_text(const char *text) {
    for (; *text != '\0'; text++) {
        line[line_length++] = *text;
        if (line_length == LINE || *text == '\n') {
            port_write(line, line_length);
            line_length = 0;
        }
    }
}

static void put_number(int32_t number) {
    char digits[12], *at = digits + sizeof digits - 1;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    *at = '\0';
    do {
        *--at = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0);
    if (number < 0) *--at = '-';
    put_text(at);
}

static void put_field(int32_t number) {
    put_text(" ");
    put_number(number);
}

/* Two bytes as a number from -32,768 on, by arithmetic that every C99 compiler does alike. */
static int16_t i16(const unsigned char *at) {
    return (int16_t)((int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8) - (at[1] & 0x80 ? 65536L : 0L));
}

static uint32_t u32(const unsigned char *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t bytes_of(const golden_row *row) {
    return row->kind == TEXT ? row->count : (row->kind == DENSE ? 2 : 6) * row->count;
}

static uint32_t padded(uint32_t bytes) {
    return (bytes + 3) / 4 * 4;
}

static golden_row row_at(uint32_t at) {
    golden_row row;
    row.kind = port_u32(at);
    row.count = port_u32(at + 4);
    row.at = at + 8;
    return row;
}

static golden_row find_row(uint32_t index) {
    golden_row row = row_at(4);
    for (; index > 0; index--)
        row = row_at(row.at + padded(bytes_of(&row)));
    return row;
}

/* A vector's bytes to columns and values. */
static void unpack(const golden_row *row, const unsigned char *bytes) {
    const unsigned char *at = bytes + (row->kind == SPARSE ? 4 * (size_t)row->count : 0);
    for (size_t i = 0; i < row->count; i++) {
        if (row->kind == SPARSE) columns[i] = u32(bytes + 4 * i);
        values[i] = i16(at + 2 * i);
    }
}

static pg_status predict(const pg_model *model, const golden_row *row, const void *bytes, void *scratch, size_t size,
                         int32_t *found, uint32_t *label) {
    if (row->kind == TEXT) return pg_predict(model, bytes, row->count, scratch, size, found, label);
    const uint32_t *where = row->kind == SPARSE ? columns : NULL;
    return pg_predict_vector(model, where, values, row->count, scratch, size, found, label);
}

static void answer(const pg_model *model, uint32_t number, uint32_t index, void *scratch, size_t size) {
    golden_row row = find_row(index);
    uint32_t label = 0, alone = 0;
    const void *bytes = port_block(row.at, bytes_of(&row));
    if (!bytes || (row.kind != TEXT && row.count > GOLDEN_VALUES)) {
        put_text("a row is too long\n");
        return;
    }
    if (row.kind != TEXT) unpack(&row, bytes);
    pg_status status = predict(model, &row, bytes, scratch, size, scores, &label);
    pg_status again = predict(model, &row, bytes, scratch, size, NULL, &alone);
    port_let_go(bytes);
    put_number((int32_t)number);
    put_field((int32_t)index);
    if (status != PG_OK || again != PG_OK || label != alone) {
        put_text(" not twice the same: ");
        put_text(pg_status_name(status));
        put_text(", ");
        put_text(pg_status_name(again));
    } else {
        put_field(label == PG_NO_LABEL ? -1 : (int32_t)label);
        for (uint32_t c = 0; c < model->classes; c++)
            put_field(scores[c]);
    }
    put_text("\n");
}

/* Once more over all texts of a model, with nothing but the core at work: its instructions, scratch and stack. */
static void measure(const pg_model *model, uint32_t number, uint32_t rows, uint32_t count, void *scratch, size_t size) {
    uint32_t instructions = 0, label;
    port_mark_stack();
    for (uint32_t i = 0; i < count; i++) {
        golden_row row = find_row(port_u32(rows + 4 * i));
        if (row.kind != TEXT) return;
        const void *bytes = port_block(row.at, row.count);
        port_mark_clock();
        predict(model, &row, bytes, scratch, size, NULL, &label);
        instructions += port_instructions();
        port_let_go(bytes);
    }
    put_text("# model ");
    put_number((int32_t)number);
    put_text(" scratch");
    put_field((int32_t)size);
    put_text(" stack");
    put_field((int32_t)port_stack_used());
    put_text(" state");
    put_field((int32_t)sizeof *model);
    put_text(" instructions");
    put_field((int32_t)(count > 0 ? instructions / count : 0));
    put_text("\n");
}

static void run(uint32_t number, const void *file, uint32_t length, uint32_t rows, uint32_t count) {
    pg_model model;
    pg_status status = pg_open(&model, file, length);
    put_text("open ");
    put_number((int32_t)number);
    put_text(" ");
    put_text(pg_status_name(status));
    put_text("\n");
    if (status != PG_OK) return;
    size_t size = pg_scratch_size(&model);
    void *scratch = port_scratch(size);
    if (!scratch || model.classes > GOLDEN_CLASSES) {
        put_text(scratch ? "too many classes\n" : "not enough memory\n");
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        answer(&model, number, port_u32(rows + 4 * i), scratch, size);
    measure(&model, number, rows, count, scratch, size);
    port_release(scratch);
}

int main(void) {
    uint32_t at = 4;
    for (uint32_t rows = port_u32(0); rows > 0; rows--) {
        golden_row row = row_at(at);
        at = row.at + padded(bytes_of(&row));
    }
    uint32_t models = port_u32(at);
    at += 4;
    for (uint32_t number = 0; number < models; number++) {
        uint32_t length = port_u32(at), rows = at + 4 + padded(length), count = port_u32(rows);
        const void *file = port_block(at + 4, length);
        if (!file) put_text("a model is too large\n");
        if (file) run(number, file, length, rows + 4, count);
        if (file) port_let_go(file);
        at = rows + 4 + 4 * count;
    }
    put_text("# end\n");
    port_finish(0);
    return 0;
}
