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

typedef struct {
    const unsigned char *bytes;
    uint32_t kind;
    uint32_t count;
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

static uint32_t u32(const unsigned char *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Two bytes as a number from -32,768 on, by arithmetic that every C99 compiler does alike. */
static int16_t i16(const unsigned char *at) {
    return (int16_t)((int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8) - (at[1] & 0x80 ? 65536L : 0L));
}

static const unsigned char *behind(const unsigned char *at, uint32_t bytes) {
    return at + (bytes + 3) / 4 * 4;
}

static golden_row row_at(const unsigned char *at) {
    golden_row row;
    row.kind = u32(at);
    row.count = u32(at + 4);
    row.bytes = at + 8;
    return row;
}

static const unsigned char *after(const golden_row *row) {
    return behind(row->bytes, row->kind == TEXT ? row->count : row->kind == DENSE ? 2 * row->count : 6 * row->count);
}

static golden_row find_row(uint32_t index) {
    golden_row row = row_at(golden + 4);
    for (; index > 0; index--)
        row = row_at(after(&row));
    return row;
}

static pg_status predict(const pg_model *model, const golden_row *row, void *scratch, size_t size, int32_t *found,
                         uint32_t *label) {
    if (row->kind == TEXT) return pg_predict(model, (const char *)row->bytes, row->count, scratch, size, found, label);
    const unsigned char *at = row->bytes + (row->kind == SPARSE ? 4 * (size_t)row->count : 0);
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->kind == SPARSE) columns[i] = u32(row->bytes + 4 * (size_t)i);
        values[i] = i16(at + 2 * (size_t)i);
    }
    return pg_predict_vector(model, row->kind == SPARSE ? columns : NULL, values, row->count, scratch, size, found,
                             label);
}

static void answer(const pg_model *model, uint32_t number, uint32_t index, void *scratch, size_t size) {
    golden_row row = find_row(index), exact = row;
    uint32_t label = 0, alone = 0;
    exact.bytes = port_exactly(row.bytes, row.kind == TEXT ? row.count : 0);
    if (row.kind != TEXT) exact.bytes = row.bytes;
    pg_status status = predict(model, &exact, scratch, size, scores, &label);
    pg_status again = predict(model, &exact, scratch, size, NULL, &alone);
    if (row.kind == TEXT) port_let_go(exact.bytes);
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

/* Once more over all rows of a model, with nothing but the core at work: its instructions, scratch and stack. */
static void measure(const pg_model *model, uint32_t number, const unsigned char *rows, uint32_t count, void *scratch,
                    size_t size) {
    uint32_t instructions = 0, label;
    port_mark_stack();
    for (uint32_t i = 0; i < count; i++) {
        golden_row row = find_row(u32(rows + 4 * (size_t)i));
        if (row.kind != TEXT) return;
        port_mark_clock();
        predict(model, &row, scratch, size, NULL, &label);
        instructions += port_instructions();
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

static void run(uint32_t number, const unsigned char *file, uint32_t length, const unsigned char *rows,
                uint32_t count) {
    pg_model model;
    const void *exact = port_exactly(file, length);
    pg_status status = pg_open(&model, exact, length);
    put_text("open ");
    put_number((int32_t)number);
    put_text(" ");
    put_text(pg_status_name(status));
    put_text("\n");
    if (status == PG_OK) {
        size_t size = pg_scratch_size(&model);
        void *scratch = port_scratch(size);
        if (model.classes > GOLDEN_CLASSES || !scratch) {
            put_text(scratch ? "too many classes\n" : "not enough memory\n");
        } else {
            for (uint32_t i = 0; i < count; i++)
                answer(&model, number, u32(rows + 4 * (size_t)i), scratch, size);
            measure(&model, number, rows, count, scratch, size);
        }
        if (scratch) port_release(scratch);
    }
    port_let_go(exact);
}

int main(void) {
    const unsigned char *at = golden + 4;
    for (uint32_t rows = u32(golden); rows > 0; rows--) {
        golden_row row = row_at(at);
        at = after(&row);
    }
    uint32_t models = u32(at);
    at += 4;
    for (uint32_t number = 0; number < models; number++) {
        uint32_t length = u32(at);
        const unsigned char *file = at + 4, *rows = behind(file, length);
        uint32_t count = u32(rows);
        run(number, file, length, rows + 4, count);
        at = rows + 4 + 4 * (size_t)count;
    }
    put_text("# end\n");
    port_finish(0);
    return 0;
}
