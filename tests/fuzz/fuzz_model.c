/* Arbitrary bytes as a model file and as a bundle: whatever the reader takes must run cleanly on any row. */

#include "exact.h"
#include "projgraph.h"
#include "widths.h"

enum { HEADS = 3, COLUMNS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words that the seeds know, a symbol, a script without spaces, ill-formed bytes; words up to the end of a chunk and
 * beyond; and none. */
static const char MIXED[] = "Where is my card, don't \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x99\x82\xF0\x9F\x99 \xC3\x84 z9";
static const char LONG[] = "card a b card a b card a b card a b card a b card a b card a b card a b card a b card a b "
                           "card a b card a b card a b card a b card a b where";
static const char *const TEXTS[] = {"", MIXED, LONG};

volatile uint8_t byte_read;

/* Every byte that a pointer and a length name is there. */
static void read_all(const void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        byte_read = ((const uint8_t *)bytes)[i];
}

static void check_label(const pg_model *model, const int32_t *scores, uint32_t label) {
    if (label == PG_NO_LABEL) {
        require(model->threshold != 0);
        for (uint32_t c = 0; c < model->classes; c++)
            require(scores[c] < model->threshold);
        return;
    }
    require(label < model->classes);
    for (uint32_t c = 0; c < model->classes; c++)
        require(c < label ? scores[c] < scores[label] : scores[c] <= scores[label]);
    require(model->threshold == 0 || scores[label] >= model->threshold);
}

static void check_labels(const pg_model *model) {
    const char *name;
    size_t length;
    for (uint32_t c = 0; c < model->classes; c++) {
        require(pg_label(model, c, &name, &length) == PG_OK);
        read_all(name, length);
    }
    require(pg_label(model, model->classes, &name, &length) == PG_NO_SUCH_LABEL);
    if (model->provenance) read_all(model->provenance, model->provenance_length);
}

static void predict_texts(const pg_model *model, size_t texts, void *scratch, size_t size, int32_t *scores) {
    uint32_t label;
    widths hosts = open_widths(model);
    for (size_t i = 0; i < texts; i++) {
        size_t length = strlen(TEXTS[i]);
        char *text = exact_copy(TEXTS[i], length);
        require(pg_predict(model, text, length, scratch, size, scores, &label) == PG_OK);
        check_label(model, scores, label);
        require_same(model, &hosts, text, length, scores, label);
        let_go(text);
    }
    close_widths(&hosts);
    require(pg_predict(model, "", 0, scratch, size - 1, scores, &label) == PG_SCRATCH_TOO_SMALL);
}

/* All columns where they are few, and three of them, at both ends and within. */
static void predict_vectors(const pg_model *model, void *scratch, size_t size, int32_t *scores) {
    uint32_t last = model->projection.columns - 1, label, sparse[3] = {0, last / 2, last};
    int16_t values[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        values[i] = (int16_t)(i % 3 == 0 ? INT16_MIN : i % 3 == 1 ? INT16_MAX : i);
    if (last < COLUMNS) {
        require(pg_predict_vector(model, NULL, values, last + 1, scratch, size, scores, &label) == PG_OK);
        check_label(model, scores, label);
    }
    pg_status status = pg_predict_vector(model, sparse, values, 3, scratch, size, scores, &label);
    require(status == (last >= 2 ? PG_OK : PG_BAD_VECTOR));
    if (status == PG_OK) check_label(model, scores, label);
    require(pg_predict(model, "", 0, scratch, size, scores, &label) == PG_WANTS_VECTOR);
}

static void run_model(const pg_model *model, size_t texts) {
    size_t size = pg_scratch_size(model);
    void *scratch = exact(size);
    int32_t *scores = exact_aligned(model->classes, sizeof *scores);
    if (model->projection.input == PG_INPUT_TEXT)
        predict_texts(model, texts, scratch, size, scores);
    else
        predict_vectors(model, scratch, size, scores);
    check_labels(model);
    free(scores);
    let_go(scratch);
}

/* Some heads of a bundle, each alone and all of them at once. */
static void run_bundle(const pg_bundle *bundle, size_t texts) {
    pg_model heads[HEADS];
    uint32_t labels[HEADS];
    size_t opened = 0, classes = 0, length;
    const char *name;
    for (uint32_t index = 0; index < bundle->count && opened < HEADS; index++) {
        require(pg_bundle_name(bundle, index, &name, &length) == PG_OK);
        read_all(name, length);
        if (pg_bundle_head(bundle, index, &heads[opened]) != PG_OK) continue;
        classes += heads[opened].classes;
        run_model(&heads[opened++], texts);
    }
    require(pg_bundle_name(bundle, bundle->count, &name, &length) == PG_NO_SUCH_HEAD);
    if (opened == 0) return;
    size_t size = pg_heads_scratch_size(heads, opened);
    void *scratch = exact(size);
    int32_t *scores = exact_aligned(classes, sizeof *scores);
    pg_status expected = heads[0].projection.input == PG_INPUT_TEXT ? PG_OK : PG_WANTS_VECTOR;
    require(pg_predict_heads(heads, opened, MIXED, strlen(MIXED), scratch, size, scores, labels) == expected);
    for (size_t head = 0, first = 0; expected == PG_OK && head < opened; first += heads[head++].classes)
        check_label(&heads[head], scores + first, labels[head]);
    free(scores);
    let_go(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    void *bytes = exact_copy(data, size);
    /* The long text takes as long as all else: one file in eight, by its checksum, is asked it. */
    size_t texts = size > PG_HEADER_AT_CHECKSUM && data[PG_HEADER_AT_CHECKSUM] % 8 > 0 ? 2 : 3;
    pg_model model;
    pg_bundle bundle;
    if (pg_open(&model, bytes, size) == PG_OK)
        run_model(&model, texts);
    else if (pg_open_bundle(&bundle, bytes, size) == PG_OK)
        run_bundle(&bundle, texts);
    let_go(bytes);
    return 0;
}
