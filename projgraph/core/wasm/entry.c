/* What the WebAssembly module exports: one model an instance, numbers and places in its memory, no import.
 *
 * JavaScript owns the memory from __heap_base on and puts the model, the input, the scratch and the outputs there. */

#include "projgraph.h"

/* From here on: what the core's files before need of what is left out would be warned of. */
#pragma clang diagnostic error "-Wall"
#pragma clang diagnostic error "-Wextra"

#define EXPORT(name) __attribute__((export_name(name)))

/* A result below zero: -1 where no score reaches the threshold, or -2 - status. */
#define FAILED(status) (-2 - (int32_t)(status))

/* The only variables of the module; an instance is never shared by threads. */
static pg_model model;

/* A module that takes texts refuses a model of vectors, and the other way round. */
EXPORT("open") uint32_t pg_wasm_open(const uint8_t *bytes, uint32_t length) {
    pg_status status = pg_open(&model, bytes, length);
    if (status != PG_OK) return status;
    if (PG_WASM_VECTORS) return model.projection.input == PG_INPUT_VECTOR ? PG_OK : PG_WANTS_TEXT;
    return model.projection.input == PG_INPUT_TEXT ? PG_OK : PG_WANTS_VECTOR;
}

EXPORT("scratch") uint32_t pg_wasm_scratch(void) {
    size_t predict = pg_scratch_size(&model), project = pg_project_scratch_size(&model.projection);
    return (uint32_t)(predict > project ? predict : project);
}

/* Classes, bits, columns, threshold, and where the provenance is and how long. */
EXPORT("facts") void pg_wasm_facts(uint32_t *facts) {
    facts[0] = model.classes;
    facts[1] = model.projection.bits;
    facts[2] = model.projection.input == PG_INPUT_VECTOR ? model.projection.columns : 0;
    facts[3] = (uint32_t)model.threshold;
    facts[4] = (uint32_t)(uintptr_t)model.provenance;
    facts[5] = model.provenance_length;
}

EXPORT("scale") float pg_wasm_scale(void) {
    return model.scale;
}

EXPORT("valueScale") float pg_wasm_value_scale(void) {
    return model.projection.scale;
}

/* Where the name of a class is; its length comes first. */
EXPORT("label") void pg_wasm_label(uint32_t index, uint32_t *found) {
    const char *text = NULL;
    size_t length = 0;
    (void)pg_label(&model, index, &text, &length);
    found[0] = (uint32_t)length;
    found[1] = (uint32_t)(uintptr_t)text;
}

#if PG_WASM_VECTORS
EXPORT("predict")
int32_t pg_wasm_predict(const uint32_t *columns, const int16_t *values, uint32_t count, void *scratch, uint32_t size,
                        int32_t *scores) {
    uint32_t label;
    pg_status status = pg_predict_vector(&model, columns, values, count, scratch, size, scores, &label);
    return status == PG_OK ? (int32_t)label : FAILED(status);
}

EXPORT("project")
int32_t pg_wasm_project(const uint32_t *columns, const int16_t *values, uint32_t count, void *scratch, uint32_t size,
                        uint8_t *positive, uint8_t *negative) {
    pg_status status = pg_project_vector(&model.projection, columns, values, count, scratch, size, positive, negative);
    return status == PG_OK ? 0 : FAILED(status);
}
#else
EXPORT("predict")
int32_t pg_wasm_predict(const char *text, uint32_t length, void *scratch, uint32_t size, int32_t *scores) {
    uint32_t label;
    pg_status status = pg_predict(&model, text, length, scratch, size, scores, &label);
    return status == PG_OK ? (int32_t)label : FAILED(status);
}

EXPORT("project")
int32_t pg_wasm_project(const char *text, uint32_t length, void *scratch, uint32_t size, uint8_t *positive,
                        uint8_t *negative) {
    pg_status status = pg_project(&model.projection, text, length, scratch, size, positive, negative);
    return status == PG_OK ? 0 : FAILED(status);
}
#endif
