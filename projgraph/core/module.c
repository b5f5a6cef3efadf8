/* The Python binding of the core on the limited API: it checks what comes from Python, and decides nothing. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>
#include <time.h>

#include "projgraph.h"

typedef struct {
    PyObject *status_error;
} core_state;

static PyObject *raise_status(PyObject *module, pg_status status) {
    core_state *state = PyModule_GetState(module);
    PyObject *arguments = Py_BuildValue("(ss)", pg_status_name(status), pg_status_text(status));
    if (arguments) PyErr_SetObject(state->status_error, arguments);
    Py_XDECREF(arguments);
    return NULL;
}

/* ---- rows of texts in one buffer ---- */

typedef struct {
    Py_buffer data;
    Py_buffer offsets;
    Py_ssize_t start;
    Py_ssize_t end;
} rows;

static void release_rows(rows *r) {
    PyBuffer_Release(&r->data);
    PyBuffer_Release(&r->offsets);
}

/* The row range against the offsets buffer; the offsets themselves are checked as they are read. */
static int check_rows(const rows *r) {
    if (r->offsets.len % (Py_ssize_t)sizeof(uint64_t) != 0 || r->offsets.len == 0) {
        PyErr_Format(PyExc_ValueError, "offsets has %zd bytes, expected 8 for every text and 8 more", r->offsets.len);
        return 0;
    }
    Py_ssize_t count = r->offsets.len / (Py_ssize_t)sizeof(uint64_t) - 1;
    if (r->start < 0 || r->start > r->end || r->end > count) {
        PyErr_Format(PyExc_IndexError, "rows %zd to %zd of %zd texts", r->start, r->end, count);
        return 0;
    }
    return 1;
}

/* One row; 0 if its offsets are wrong. Each offset is read once, so that another thread that writes the buffer
 * meanwhile cannot slip a value past the check. */
static int row_text(const rows *r, Py_ssize_t row, const char **text, size_t *length) {
    uint64_t pair[2];
    memcpy(pair, (const char *)r->offsets.buf + row * (Py_ssize_t)sizeof(uint64_t), sizeof pair);
    if (pair[0] > pair[1] || pair[1] > (uint64_t)r->data.len) return 0;
    *text = (const char *)r->data.buf + pair[0];
    *length = (size_t)(pair[1] - pair[0]);
    return 1;
}

static PyObject *bad_row(const rows *r, Py_ssize_t row) {
    return PyErr_Format(PyExc_ValueError, "the offsets of text %zd descend or leave the %zd bytes of data", row,
                        r->data.len);
}

static int check_length(const Py_buffer *view, const char *name, Py_ssize_t count, Py_ssize_t item) {
    if (count <= PY_SSIZE_T_MAX / item && view->len == count * item) return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, expected %zd rows of %zd", name, view->len, count, item);
    return 0;
}

static Py_ssize_t row_count(const rows *r) {
    return r->offsets.len / (Py_ssize_t)sizeof(uint64_t) - 1;
}

/* ---- the projection alone ---- */

static int open_projection(PyObject *module, pg_projection *projection, const Py_buffer *view) {
    pg_status status = pg_open_projection(projection, view->buf, (size_t)view->len);
    if (status != PG_OK) raise_status(module, status);
    return status == PG_OK;
}

static PyObject *project_range(const pg_projection *projection, const rows *r, uint8_t *positive, uint8_t *negative) {
    size_t size = pg_project_scratch_size(projection), plane = (projection->bits + 7) / 8;
    void *scratch = PyMem_Malloc(size);
    if (!scratch) return PyErr_NoMemory();
    Py_ssize_t row;
    const char *text;
    size_t length;
    Py_BEGIN_ALLOW_THREADS
    for (row = r->start; row < r->end && row_text(r, row, &text, &length); row++)
        pg_project(projection, text, length, scratch, size, positive + (size_t)row * plane,
                   negative + (size_t)row * plane);
    Py_END_ALLOW_THREADS
    PyMem_Free(scratch);
    if (row < r->end) return bad_row(r, row);
    Py_RETURN_NONE;
}

static PyObject *core_project_rows(PyObject *self, PyObject *arguments) {
    Py_buffer section, positive, negative;
    rows r;
    if (!PyArg_ParseTuple(arguments, "y*y*y*nnw*w*:project_rows", &section, &r.data, &r.offsets, &r.start, &r.end,
                          &positive, &negative))
        return NULL;
    PyObject *result = NULL;
    pg_projection projection;
    if (open_projection(self, &projection, &section) && check_rows(&r)) {
        Py_ssize_t plane = (Py_ssize_t)(projection.bits + 7) / 8;
        if (check_length(&positive, "positive", row_count(&r), plane) &&
            check_length(&negative, "negative", row_count(&r), plane))
            result = project_range(&projection, &r, positive.buf, negative.buf);
    }
    PyBuffer_Release(&section);
    PyBuffer_Release(&positive);
    PyBuffer_Release(&negative);
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
            pg_features(&projection, text.buf, (size_t)text.len, scratch, size, features, capacity, &count);
            result = feature_list(features, count);
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

static PyObject *core_projection_bits(PyObject *self, PyObject *arguments) {
    Py_buffer section;
    pg_projection projection;
    if (!PyArg_ParseTuple(arguments, "y*:projection_bits", &section)) return NULL;
    int good = open_projection(self, &projection, &section);
    PyBuffer_Release(&section);
    return good ? PyLong_FromUnsignedLong(projection.bits) : NULL;
}

/* ---- a model ---- */

typedef struct {
    PyObject_HEAD
    Py_buffer view; /* obj is NULL once closed */
    pg_model model;
    void *scratch; /* of predict, which keeps the GIL */
    size_t scratch_size;
    Py_ssize_t users; /* calls that run without the GIL */
} ModelObject;

static int is_open(const ModelObject *model) {
    if (model->view.obj) return 1;
    PyErr_SetString(PyExc_ValueError, "the model is closed");
    return 0;
}

/* The view of a buffer that nobody can change behind the checks: a writable one is copied. */
static int fixed_view(PyObject *source, Py_buffer *view) {
    if (PyObject_GetBuffer(source, view, PyBUF_SIMPLE) < 0) return -1;
    if (view->readonly) return 0;
    PyObject *copy = PyBytes_FromStringAndSize(view->buf, view->len);
    PyBuffer_Release(view);
    int failed = !copy || PyObject_GetBuffer(copy, view, PyBUF_SIMPLE) < 0;
    Py_XDECREF(copy);
    return failed ? -1 : 0;
}

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *source;
    if (keywords && PyDict_Size(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "Model takes one buffer and no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O:Model", &source)) return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    ModelObject *model = (ModelObject *)allocate(type, 0);
    if (!model) return NULL;
    if (fixed_view(source, &model->view) < 0) {
        model->view.obj = NULL;
        Py_DECREF(model);
        return NULL;
    }
    pg_status status = pg_open(&model->model, model->view.buf, (size_t)model->view.len);
    if (status != PG_OK) {
        Py_DECREF(model);
        return raise_status(PyType_GetModule(type), status);
    }
    model->scratch_size = pg_scratch_size(&model->model);
    model->scratch = PyMem_Malloc(model->scratch_size);
    if (!model->scratch) {
        Py_DECREF(model);
        return PyErr_NoMemory();
    }
    return (PyObject *)model;
}

static void model_dealloc(PyObject *self) {
    ModelObject *model = (ModelObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (model->view.obj) PyBuffer_Release(&model->view);
    PyMem_Free(model->scratch);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *model_close(PyObject *self, PyObject *unused) {
    (void)unused;
    ModelObject *model = (ModelObject *)self;
    if (model->users > 0) {
        PyErr_SetString(PyExc_BufferError, "the model is in use by another thread: close it after the call returns");
        return NULL;
    }
    if (model->view.obj) PyBuffer_Release(&model->view);
    Py_RETURN_NONE;
}

static PyObject *model_predict(PyObject *self, PyObject *text) {
    ModelObject *model = (ModelObject *)self;
    if (!is_open(model)) return NULL;
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "expected a str");
        return NULL;
    }
    PyObject *encoded = NULL;
    Py_ssize_t length;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
    if (!bytes) { /* a lone surrogate */
        char *copy;
        PyErr_Clear();
        encoded = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
        if (!encoded || PyBytes_AsStringAndSize(encoded, &copy, &length) < 0) {
            Py_XDECREF(encoded);
            return NULL;
        }
        bytes = copy;
    }
    uint32_t label = 0;
    pg_predict(&model->model, bytes, (size_t)length, model->scratch, model->scratch_size, NULL, &label);
    Py_XDECREF(encoded);
    return PyLong_FromUnsignedLong(label);
}

/* Labels of a range of rows, and scores if that is not NULL. */
static PyObject *predict_range(ModelObject *model, const rows *r, int32_t *scores, int64_t *labels) {
    void *scratch = PyMem_Malloc(model->scratch_size);
    if (!scratch) return PyErr_NoMemory();
    Py_ssize_t row;
    const char *text;
    size_t length, classes = model->model.classes;
    model->users++;
    Py_BEGIN_ALLOW_THREADS
    for (row = r->start; row < r->end && row_text(r, row, &text, &length); row++) {
        uint32_t label = 0;
        pg_predict(&model->model, text, length, scratch, model->scratch_size,
                   scores ? scores + (size_t)row * classes : NULL, &label);
        if (labels) labels[row] = label;
    }
    Py_END_ALLOW_THREADS
    model->users--;
    PyMem_Free(scratch);
    if (row < r->end) return bad_row(r, row);
    Py_RETURN_NONE;
}

static PyObject *model_scores(PyObject *self, PyObject *arguments) {
    ModelObject *model = (ModelObject *)self;
    Py_buffer out;
    rows r;
    if (!is_open(model)) return NULL;
    if (!PyArg_ParseTuple(arguments, "y*y*nnw*:scores", &r.data, &r.offsets, &r.start, &r.end, &out)) return NULL;
    PyObject *result = NULL;
    Py_ssize_t row = (Py_ssize_t)(model->model.classes * sizeof(int32_t));
    if (is_open(model) && check_rows(&r) && check_length(&out, "out", row_count(&r), row))
        result = predict_range(model, &r, out.buf, NULL);
    PyBuffer_Release(&out);
    release_rows(&r);
    return result;
}

static PyObject *model_labels(PyObject *self, PyObject *arguments) {
    ModelObject *model = (ModelObject *)self;
    Py_buffer out;
    rows r;
    if (!is_open(model)) return NULL;
    if (!PyArg_ParseTuple(arguments, "y*y*nnw*:labels", &r.data, &r.offsets, &r.start, &r.end, &out)) return NULL;
    PyObject *result = NULL;
    if (is_open(model) && check_rows(&r) && check_length(&out, "out", row_count(&r), sizeof(int64_t)))
        result = predict_range(model, &r, NULL, out.buf);
    PyBuffer_Release(&out);
    release_rows(&r);
    return result;
}

static double nanoseconds(void) {
#if defined(_WIN32)
    struct timespec now;
    timespec_get(&now, TIME_UTC);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static PyObject *time_rows(ModelObject *model, const rows *r, Py_ssize_t repeats, double *out) {
    Py_ssize_t count = row_count(r), row = 0;
    void *scratch = PyMem_Malloc(model->scratch_size);
    if (!scratch) return PyErr_NoMemory();
    const char *text;
    size_t length;
    uint32_t label;
    model->users++;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t repeat = 0; repeat < repeats; repeat++)
        for (row = 0; row < count && row_text(r, row, &text, &length); row++) {
            double start = nanoseconds();
            pg_predict(&model->model, text, length, scratch, model->scratch_size, NULL, &label);
            out[repeat * count + row] = nanoseconds() - start;
        }
    Py_END_ALLOW_THREADS
    model->users--;
    PyMem_Free(scratch);
    if (row < count) return bad_row(r, row);
    Py_RETURN_NONE;
}

static PyObject *model_time_calls(PyObject *self, PyObject *arguments) {
    ModelObject *model = (ModelObject *)self;
    Py_buffer out;
    Py_ssize_t repeats;
    rows r;
    if (!is_open(model)) return NULL;
    if (!PyArg_ParseTuple(arguments, "y*y*nw*:time_calls", &r.data, &r.offsets, &repeats, &out)) return NULL;
    PyObject *result = NULL;
    r.start = r.end = 0;
    if (is_open(model) && check_rows(&r)) {
        Py_ssize_t count = row_count(&r);
        if (repeats < 1 || (count > 0 && repeats > PY_SSIZE_T_MAX / count))
            PyErr_Format(PyExc_ValueError, "repeats is %zd, expected at least 1", repeats);
        else if (check_length(&out, "out", repeats * count, sizeof(double)))
            result = time_rows(model, &r, repeats, out.buf);
    }
    PyBuffer_Release(&out);
    release_rows(&r);
    return result;
}

static PyObject *model_label(PyObject *self, PyObject *argument) {
    ModelObject *model = (ModelObject *)self;
    if (!is_open(model)) return NULL;
    long index = PyLong_AsLong(argument);
    if (index == -1 && PyErr_Occurred()) return NULL;
    if (index < 0 || index >= (long)model->model.classes)
        return PyErr_Format(PyExc_IndexError, "label %ld of %u classes", index, (unsigned)model->model.classes);
    const char *text;
    size_t length;
    pg_label(&model->model, (uint32_t)index, &text, &length);
    return PyBytes_FromStringAndSize(text, (Py_ssize_t)length);
}

static PyObject *get_provenance(PyObject *self, void *unused) {
    (void)unused;
    ModelObject *model = (ModelObject *)self;
    if (!is_open(model)) return NULL;
    return PyBytes_FromStringAndSize((const char *)model->model.provenance, (Py_ssize_t)model->model.provenance_length);
}

static PyObject *get_classes(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(((ModelObject *)self)->model.classes);
}

static PyObject *get_bits(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(((ModelObject *)self)->model.projection.bits);
}

static PyObject *get_scale(PyObject *self, void *unused) {
    (void)unused;
    return PyFloat_FromDouble((double)((ModelObject *)self)->model.scale);
}

static PyObject *get_scratch_bytes(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((ModelObject *)self)->scratch_size);
}

static PyMethodDef model_methods[] = {
    {"close", model_close, METH_NOARGS, "Let go of the model's bytes."},
    {"predict", model_predict, METH_O, "predict(text: str) -> int: the label's index."},
    {"scores", model_scores, METH_VARARGS, "scores(data, offsets, start, end, out): int32 scores of rows."},
    {"labels", model_labels, METH_VARARGS, "labels(data, offsets, start, end, out): int64 labels of rows."},
    {"time_calls", model_time_calls, METH_VARARGS, "time_calls(data, offsets, repeats, out): float64 nanoseconds."},
    {"label", model_label, METH_O, "label(index) -> bytes: a class name in UTF-8."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_attributes[] = {
    {"classes", get_classes, NULL, "number of classes", NULL},
    {"n_bits", get_bits, NULL, "bits of the projection", NULL},
    {"scale", get_scale, NULL, "logit = score * scale", NULL},
    {"scratch_bytes", get_scratch_bytes, NULL, "scratch that one call needs", NULL},
    {"provenance", get_provenance, NULL, "UTF-8 JSON, empty if the file has none", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_doc, "A validated model over a buffer."},
    {Py_tp_new, model_new},
    {Py_tp_dealloc, model_dealloc},
    {Py_tp_methods, model_methods},
    {Py_tp_getset, model_attributes},
    {0, NULL},
};

static PyType_Spec model_spec = {"projgraph._core.Model", sizeof(ModelObject), 0, Py_TPFLAGS_DEFAULT, model_slots};

static PyMethodDef core_methods[] = {
    {"project_rows", core_project_rows, METH_VARARGS,
     "project_rows(projection, data, offsets, start, end, positive, negative): bit planes of rows."},
    {"features", core_features, METH_VARARGS, "features(projection, text) -> list of (family, hash)."},
    {"projection_bits", core_projection_bits, METH_VARARGS, "projection_bits(projection) -> int."},
    {NULL, NULL, 0, NULL},
};

static int core_exec(PyObject *module) {
    core_state *state = PyModule_GetState(module);
    state->status_error = PyErr_NewException("projgraph._core.StatusError", PyExc_ValueError, NULL);
    if (!state->status_error) return -1;
    if (PyModule_AddObjectRef(module, "StatusError", state->status_error) < 0) return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &model_spec, NULL);
    int failed = !type || PyModule_AddObjectRef(module, "Model", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
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
