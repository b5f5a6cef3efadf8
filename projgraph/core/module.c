/* The Python binding of the core on the limited API: it checks what comes from Python, and decides nothing. */

#include "module.h"

typedef struct {
    PyObject *status_error;
} core_state;

PyObject *raise_status(PyObject *module, pg_status status) {
    core_state *state = PyModule_GetState(module);
    PyObject *arguments = Py_BuildValue("(ss)", pg_status_name(status), pg_status_text(status));
    if (arguments) PyErr_SetObject(state->status_error, arguments);
    Py_XDECREF(arguments);
    return NULL;
}

static int open_projection(PyObject *module, pg_projection *projection, const Py_buffer *view) {
    pg_status status = pg_open_projection(projection, view->buf, (size_t)view->len);
    if (status != PG_OK) raise_status(module, status);
    return status == PG_OK;
}

/* Two planes for every row, or the sums of vectors where positive is NULL. */
typedef struct {
    uint8_t *positive;
    uint8_t *negative;
    int32_t *sums;
} planes;

static PyObject *project_range(PyObject *module, const pg_projection *projection, const rows *r, const planes *out) {
    size_t size = pg_project_scratch_size(projection), plane = (projection->bits + 7) / 8;
    void *scratch = PyMem_Malloc(size);
    if (!scratch) return PyErr_NoMemory();
    Py_ssize_t row;
    pg_status status = PG_OK;
    row_view at;
    Py_BEGIN_ALLOW_THREADS
    for (row = r->start; row < r->end && row_at(r, row, &at); row++) {
        size_t place = (size_t)row * plane;
        if (out->sums)
            status = pg_vector_sums(projection, at.columns, at.data, at.length, scratch, size,
                                    out->sums + (size_t)row * projection->bits);
        else if (r->vectors)
            status = pg_project_vector(projection, at.columns, at.data, at.length, scratch, size, out->positive + place,
                                       out->negative + place);
        else
            status =
                pg_project(projection, at.data, at.length, scratch, size, out->positive + place, out->negative + place);
        if (status != PG_OK) break;
    }
    Py_END_ALLOW_THREADS
    PyMem_Free(scratch);
    return rows_result(module, r, row, r->end, status);
}

/* (section, the rows' own arguments, ...): the section is taken off, since the rows are parsed apart. */
static PyObject *project_rows(PyObject *self, PyObject *arguments, int vectors) {
    Py_buffer section, positive, negative;
    rows r = {0};
    r.vectors = vectors;
    if (vectors ? !PyArg_ParseTuple(arguments, "y*y*z*y*nnw*w*:project_vectors", &section, &r.data, &r.columns,
                                    &r.offsets, &r.start, &r.end, &positive, &negative)
                : !PyArg_ParseTuple(arguments, "y*y*y*nnw*w*:project_rows", &section, &r.data, &r.offsets, &r.start,
                                    &r.end, &positive, &negative))
        return NULL;
    PyObject *result = NULL;
    pg_projection projection;
    if (open_projection(self, &projection, &section) && check_rows(&r)) {
        Py_ssize_t plane = (Py_ssize_t)(projection.bits + 7) / 8;
        planes out = {positive.buf, negative.buf, NULL};
        if (check_length(&positive, "positive", row_count(&r), plane) &&
            check_length(&negative, "negative", row_count(&r), plane))
            result = project_range(self, &projection, &r, &out);
    }
    PyBuffer_Release(&section);
    PyBuffer_Release(&positive);
    PyBuffer_Release(&negative);
    release_rows(&r);
    return result;
}

static PyObject *core_project_rows(PyObject *self, PyObject *arguments) {
    return project_rows(self, arguments, 0);
}

static PyObject *core_project_vectors(PyObject *self, PyObject *arguments) {
    return project_rows(self, arguments, 1);
}

static PyObject *core_vector_sums(PyObject *self, PyObject *arguments) {
    Py_buffer section, sums;
    rows r = {0};
    r.vectors = 1;
    if (!PyArg_ParseTuple(arguments, "y*y*z*y*nnw*:vector_sums", &section, &r.data, &r.columns, &r.offsets, &r.start,
                          &r.end, &sums))
        return NULL;
    PyObject *result = NULL;
    pg_projection projection;
    if (open_projection(self, &projection, &section) && check_rows(&r)) {
        planes out = {NULL, NULL, sums.buf};
        if (check_length(&sums, "sums", row_count(&r), (Py_ssize_t)(projection.bits * sizeof(int32_t))))
            result = project_range(self, &projection, &r, &out);
    }
    PyBuffer_Release(&section);
    PyBuffer_Release(&sums);
    release_rows(&r);
    return result;
}

static PyObject *feature_list(const pg_feature *features, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list && i < count; i++) {
        PyObject *pair = Py_BuildValue("(IK)", (unsigned)features[i].family, (unsigned long long)features[i].hash);
        if (!pair)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)i, pair);
    }
    return list;
}

static PyObject *core_features(PyObject *self, PyObject *arguments) {
    Py_buffer section, text;
    if (!PyArg_ParseTuple(arguments, "y*y*:features", &section, &text)) return NULL;
    PyObject *result = NULL;
    pg_projection projection;
    if (open_projection(self, &projection, &section)) {
        size_t size = pg_project_scratch_size(&projection), count = 0;
        size_t capacity = (size_t)PG_MAX_FAMILIES * PG_MAX_FEATURES; /* no text has more */
        void *scratch = PyMem_Malloc(size);
        pg_feature *features = PyMem_Malloc(capacity * sizeof *features);
        if (scratch && features) {
            pg_status status =
                pg_features(&projection, text.buf, (size_t)text.len, scratch, size, features, capacity, &count);
            result = status == PG_OK ? feature_list(features, count) : raise_status(self, status);
        } else {
            PyErr_NoMemory();
        }
        PyMem_Free(scratch);
        PyMem_Free(features);
    }
    PyBuffer_Release(&section);
    PyBuffer_Release(&text);
    return result;
}

/* The words of a range of rows: their number in places[row + 1] if there are no fingerprints yet, otherwise written
 * from places[row] to places[row + 1]. */
static PyObject *words_range(PyObject *module, const pg_projection *projection, const rows *r, int64_t *places,
                             uint32_t *fingerprints, Py_ssize_t room) {
    size_t size = pg_project_scratch_size(projection), count = 0;
    void *scratch = PyMem_Malloc(size);
    if (!scratch) return PyErr_NoMemory();
    Py_ssize_t row;
    pg_status status = PG_OK;
    row_view at;
    Py_BEGIN_ALLOW_THREADS
    for (row = r->start; row < r->end && row_at(r, row, &at); row++) {
        int64_t start = places[row], end = places[row + 1];
        int usable = fingerprints && start >= 0 && start <= end && end <= room;
        status = pg_word_fingerprints(projection, at.data, at.length, scratch, size,
                                      usable ? fingerprints + start : NULL, usable ? (size_t)(end - start) : 0, &count);
        if (status != PG_OK) break;
        if (!fingerprints) places[row + 1] = (int64_t)count;
    }
    Py_END_ALLOW_THREADS
    PyMem_Free(scratch);
    return rows_result(module, r, row, r->end, status);
}

static PyObject *core_word_fingerprints(PyObject *self, PyObject *arguments) {
    Py_buffer section, places, out;
    rows r = {0};
    if (!PyArg_ParseTuple(arguments, "y*y*y*nnw*w*:word_fingerprints", &section, &r.data, &r.offsets, &r.start, &r.end,
                          &places, &out))
        return NULL;
    PyObject *result = NULL;
    pg_projection projection;
    if (open_projection(self, &projection, &section) && check_rows(&r) &&
        check_length(&places, "places", row_count(&r) + 1, sizeof(int64_t)))
        result = words_range(self, &projection, &r, places.buf, out.len > 0 ? out.buf : NULL,
                             out.len / (Py_ssize_t)sizeof(uint32_t));
    PyBuffer_Release(&section);
    PyBuffer_Release(&places);
    PyBuffer_Release(&out);
    release_rows(&r);
    return result;
}

static PyObject *core_projection_facts(PyObject *self, PyObject *arguments) {
    Py_buffer section;
    pg_projection projection;
    if (!PyArg_ParseTuple(arguments, "y*:projection_facts", &section)) return NULL;
    int good = open_projection(self, &projection, &section);
    PyBuffer_Release(&section);
    if (!good) return NULL;
    return Py_BuildValue("(IId)", (unsigned)projection.bits, (unsigned)projection.columns, (double)projection.scale);
}

static PyMethodDef core_methods[] = {
    {"project_rows", core_project_rows, METH_VARARGS,
     "project_rows(projection, data, offsets, start, end, positive, negative): bit planes of rows."},
    {"project_vectors", core_project_vectors, METH_VARARGS,
     "project_vectors(projection, values, columns, offsets, start, end, positive, negative): bit planes of rows."},
    {"vector_sums", core_vector_sums, METH_VARARGS,
     "vector_sums(projection, values, columns, offsets, start, end, sums): int32 sums of rows, before the thresholds."},
    {"features", core_features, METH_VARARGS, "features(projection, text) -> list of (family, hash)."},
    {"word_fingerprints", core_word_fingerprints, METH_VARARGS,
     "word_fingerprints(projection, data, offsets, start, end, places, out): words of rows, or their numbers if out is "
     "empty."},
    {"projection_facts", core_projection_facts, METH_VARARGS,
     "projection_facts(projection) -> (bits, columns or 0 for texts, scale of values)."},
    {"bundle_names", bundle_names, METH_O, "bundle_names(buffer) -> list of bytes: names of heads in UTF-8."},
    {NULL, NULL, 0, NULL},
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int failed = !type || PyModule_AddObjectRef(module, name, type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static int core_exec(PyObject *module) {
    core_state *state = PyModule_GetState(module);
    state->status_error = PyErr_NewException("projgraph._core.StatusError", PyExc_ValueError, NULL);
    if (!state->status_error) return -1;
    if (PyModule_AddObjectRef(module, "StatusError", state->status_error) < 0) return -1;
    return add_type(module, "Model", &model_spec) < 0 ? -1 : add_type(module, "Bundle", &bundle_spec);
}

static int core_traverse(PyObject *module, visitproc visit, void *arg) {
    core_state *state = PyModule_GetState(module);
    Py_VISIT(state->status_error);
    return 0;
}

static int core_clear(PyObject *module) {
    core_state *state = PyModule_GetState(module);
    Py_CLEAR(state->status_error);
    return 0;
}

static PyModuleDef_Slot core_slots[] = {{Py_mod_exec, core_exec}, {0, NULL}};

static struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT, "projgraph._core", "The C99 device core.",
    sizeof(core_state),    core_methods,      core_slots,
    core_traverse,         core_clear,        NULL,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&core_module);
}
