/* Written by projgraph export, and written anew by the next one: copy it before you change it.
 * Texts in, one a line; labels out, one a line. No heap: a line and the core's scratch are static. */

#include <stdio.h>

#include "model.h"
#include "projgraph.h"

/* Only the first so many bytes of a line are its text; the rest of a longer line is read and left out. A code point
 * cut in two there counts as U+FFFD. A small device can lower this number. */
#define LINE_BYTES 1048576UL

static unsigned char line[LINE_BYTES + 1]; /* one more for a carriage return before the line feed */
static unsigned char scratch[PROJGRAPH_MODEL_SCRATCH];

/* The next line without its LF or CR LF, maybe empty; 0 at the end of the input. The last line needs no line feed. */
static int read_line(size_t *length) {
    size_t kept = 0;
    int byte;
    while ((byte = getchar()) != EOF && byte != '\n')
        if (kept < sizeof line) line[kept++] = (unsigned char)byte;
    int found = byte != EOF || kept > 0;
    if (byte == '\n' && kept > 0 && line[kept - 1] == '\r') kept--;
    *length = kept < LINE_BYTES ? kept : LINE_BYTES;
    return found;
}

static int failed(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

int main(void) {
    pg_model model;
    size_t length;
    pg_status status = pg_open(&model, projgraph_model, PROJGRAPH_MODEL_LENGTH);
    if (status != PG_OK) return failed("the model cannot be used", pg_status_text(status));
    while (read_line(&length)) {
        const char *name;
        uint32_t label;
        status = pg_predict(&model, (const char *)line, length, scratch, sizeof scratch, NULL, &label);
        if (status == PG_OK && label == PG_NO_LABEL)
            name = "", length = 0;
        else if (status == PG_OK)
            status = pg_label(&model, label, &name, &length);
        if (status != PG_OK) return failed("no prediction", pg_status_text(status));
        if (fwrite(name, 1, length, stdout) != length || putchar('\n') == EOF) break;
    }
    if (ferror(stdin)) return failed("standard input", "cannot be read");
    if (ferror(stdout) || fflush(stdout) == EOF) return failed("standard output", "cannot be written");
    return 0;
}
