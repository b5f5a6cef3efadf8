/* Arbitrary bytes as a row: a text, or a vector, for small models of every kind that build into this program.
 *
 * The first byte chooses the model and, by its highest bit, whether all other functions of a row are called too. */

#include "exact.h"
#include "models.h"
#include "projgraph.h"
#include "widths.h"

enum { MODELS = sizeof models / sizeof *models, CHOICES = 32, FEW = 5 };

/* A model with scratch and scores of exactly its size. */
typedef struct {
    pg_model model;
    widths hosts;
    void *scratch;
    size_t size;
    int32_t *scores;
} entry;

static entry entries[MODELS];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    for (size_t i = 0; i < MODELS; i++) {
        entry *one = &entries[i];
        require(pg_open(&one->model, exact_copy(models[i].bytes, models[i].length), models[i].length) == PG_OK);
        one->hosts = open_widths(&one->model);
        one->size = pg_scratch_size(&one->model);
        one->scratch = exact(one->size);
        one->scores = exact_aligned(one->model.classes, sizeof *one->scores);
    }
    return 0;
}

static void check_label(const entry *one, uint32_t label) {
    int32_t largest = one->scores[0], threshold = one->model.threshold;
    for (uint32_t c = 1; c < one->model.classes; c++)
        largest = one->scores[c] > largest ? one->scores[c] : largest;
    if (label == PG_NO_LABEL)
        require(threshold != 0 && largest < threshold);
    else
        require(label < one->model.classes && one->scores[label] == largest);
}

/* The bits, the features and the words of a text. */
static void look_closer(const pg_projection *projection, const char *text, size_t length) {
    size_t size = pg_project_scratch_size(projection), plane = (projection->bits + 7) / 8, count = 0;
    void *scratch = exact(size);
    uint8_t *above = exact(plane), *below = exact(plane);
    pg_feature *features = exact_aligned(FEW, sizeof *features);
    uint32_t *words = exact_aligned(FEW, sizeof *words);
    require(pg_project(projection, text, length, scratch, size, above, below) == PG_OK);
    for (size_t i = 0; i < plane; i++)
        require((above[i] & below[i]) == 0);
    require(pg_features(projection, text, length, scratch, size, features, FEW, &count) == PG_OK);
    for (size_t i = 0; i < count && i < FEW; i++)
        require(features[i].family < projection->family_count);
    require(pg_word_fingerprints(projection, text, length, scratch, size, words, FEW, &count) == PG_OK);
    for (size_t i = 0; i < count && i < FEW; i++)
        require(words[i] % 4 == 0);
    free(words), free(features);
    let_go(below), let_go(above), let_go(scratch);
}

static void run_text(const entry *one, const uint8_t *data, size_t size, int closer) {
    char *text = exact_copy(data, size);
    uint32_t label;
    require(pg_predict(&one->model, text, size, one->scratch, one->size, one->scores, &label) == PG_OK);
    check_label(one, label);
    require_same(&one->model, &one->hosts, text, size, one->scores, label);
    if (closer) look_closer(&one->model.projection, text, size);
    let_go(text);
}

/* The sums and the bits of a vector, which is refused with the same status. */
static void look_closer_at_vector(const pg_projection *projection, const uint32_t *columns, const int16_t *values,
                                  size_t count, pg_status expected) {
    size_t size = pg_project_scratch_size(projection), plane = (projection->bits + 7) / 8;
    void *scratch = exact(size);
    int32_t *sums = exact_aligned(projection->bits, sizeof *sums);
    uint8_t *above = exact(plane), *below = exact(plane);
    require(pg_vector_sums(projection, columns, values, count, scratch, size, sums) == expected);
    require(pg_project_vector(projection, columns, values, count, scratch, size, above, below) == expected);
    for (uint32_t bit = 0; expected == PG_OK && !projection->thresholds && bit < projection->bits; bit++)
        require((above[bit / 8] >> bit % 8 & 1) == (sums[bit] > 0));
    let_go(below), let_go(above), free(sums), let_go(scratch);
}

/* Three bytes a value where columns stand beside them: steps from one column to the next, of which zero is a wrong one;
 * two bytes where they do not. */
static void run_vector(const entry *one, const uint8_t *data, size_t size, int sparse, int closer) {
    const pg_projection *projection = &one->model.projection;
    size_t step = sparse ? 3 : 2, count = size / step;
    uint32_t *columns = sparse ? exact_aligned(count, sizeof *columns) : NULL, column = 0, label;
    int16_t *values = exact_aligned(count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        memcpy(&values[i], data + step * i, sizeof *values);
        if (sparse) columns[i] = column += data[step * i + 2];
    }
    pg_status status =
        pg_predict_vector(&one->model, columns, values, count, one->scratch, one->size, one->scores, &label);
    if (status == PG_OK) check_label(one, label);
    if (closer) look_closer_at_vector(projection, columns, values, count, status);
    free(values), free(columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const entry *one = &entries[data[0] % CHOICES % MODELS];
    int closer = data[0] >> 7, sparse = data[0] >> 6 & 1;
    if (one->model.projection.input == PG_INPUT_TEXT)
        run_text(one, data + 1, size - 1, closer);
    else
        run_vector(one, data + 1, size - 1, sparse, closer);
    return 0;
}
