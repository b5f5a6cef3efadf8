/* Written by projgraph export, and written anew by the next one: copy it before you change it.
 * Rows of numbers in, one a line; labels out, one a line. A row is a number for every column, or "column:number" pairs
 * of ascending columns, the first of which is 0; an empty line is a row of zeros. Commas, semicolons, spaces and tabs
 * stand between numbers. No heap: a row and the core's scratch are static. */

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "projgraph.h"

#define TOKEN_BYTES 64

static uint32_t columns[PROJGRAPH_MODEL_VALUES];
static int16_t values[PROJGRAPH_MODEL_VALUES];
static size_t count;
static int pairs; /* whether the row's numbers stand behind their columns */
static unsigned char scratch[PROJGRAPH_MODEL_SCRATCH];

/* round(x * scale) as the trainer rounds it: of doubles, half to even, within 16 bits. */
static int16_t integer(float x, float scale) {
    double product = (double)x * (double)scale;
    if (product >= 32767) return 32767;
    if (product <= -32768) return -32768;
    long whole = (long)product; /* towards zero */
    double rest = product - (double)whole;
    if (rest > 0.5 || (rest == 0.5 && whole % 2 != 0)) whole++;
    if (rest < -0.5 || (rest == -0.5 && whole % 2 != 0)) whole--;
    return (int16_t)whole;
}

/* One number, or one pair, onto the row; 0 where the token is none, or one too many. */
static int add(char *token, float scale) {
    char *end, *colon = strchr(token, ':');
    unsigned long column = (unsigned long)count;
    if (count == 0) pairs = colon != NULL;
    if (count == PROJGRAPH_MODEL_VALUES || pairs != (colon != NULL)) return 0;
    if (colon) {
        *colon = '\0';
        column = strtoul(token, &end, 10);
        if (strspn(token, "0123456789") != strlen(token) || end == token || column > 0xFFFFFFFFUL) return 0;
        token = colon + 1;
    }
    double number = strtod(token, &end);
    if (end == token || *end || !(number >= -FLT_MAX && number <= FLT_MAX)) return 0;
    columns[count] = (uint32_t)column;
    values[count++] = integer((float)number, scale);
    return 1;
}

/* The next line as a row: 1 where there is one, 0 at the end of the input, -1 where it holds no numbers. */
static int read_row(float scale) {
    char token[TOKEN_BYTES];
    size_t length = 0;
    int byte, first = 1;
    count = 0;
    pairs = 1;
    do {
        byte = getchar();
        if (byte == EOF && first) return 0;
        first = 0;
        if (byte != EOF && !strchr(", ;\t\r\n", byte)) {
            if (length == TOKEN_BYTES - 1) return -1;
            token[length++] = (char)byte;
            continue;
        }
        token[length] = '\0';
        if (length > 0 && !add(token, scale)) return -1;
        length = 0;
    } while (byte != EOF && byte != '\n');
    return 1;
}

static int failed(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

int main(void) {
    pg_model model;
    unsigned long row = 0;
    int found;
    pg_status status = pg_open(&model, projgraph_model, PROJGRAPH_MODEL_LENGTH);
    if (status != PG_OK) return failed("the model cannot be used", pg_status_text(status));
    while ((found = read_row(model.projection.scale)) > 0) {
        const char *name;
        uint32_t label;
        size_t length;
        row++;
        status =
            pg_predict_vector(&model, pairs ? columns : NULL, values, count, scratch, sizeof scratch, NULL, &label);
        if (status == PG_OK) status = pg_label(&model, label, &name, &length);
        if (status != PG_OK) {
            fprintf(stderr, "row %lu of %lu numbers, the model has %lu columns: %s\n", row, (unsigned long)count,
                    (unsigned long)model.projection.columns, pg_status_text(status));
            return 1;
        }
        if (fwrite(name, 1, length, stdout) != length || putchar('\n') == EOF) break;
    }
    if (ferror(stdin)) return failed("standard input", "cannot be read");
    if (ferror(stdout) || fflush(stdout) == EOF) return failed("standard output", "cannot be written");
    if (found < 0) {
        fprintf(stderr, "row %lu: expected at most %lu finite numbers, or column:number pairs\n", row + 1,
                (unsigned long)PROJGRAPH_MODEL_VALUES);
        return 1;
    }
    return 0;
}
