/* The Python type of a bundle: the labels of a text by all heads at once, without the GIL where there are many texts.
 */

#include "module.h"

typedef struct {
    PyObject_HEAD
    Py_buffer view;
    pg_bundle bundle;
    pg_model *heads;
    void *scratch; /* of predict, which keeps the GIL */
    uint32_t *labels;
    size_t scratch_size;
} BundleObject;

static PyObject *module_of(PyObject *bundle) {
    return PyType_GetModule(Py_TYPE(bundle));
}

/* Every head opened, and room for a prediction. */
static pg_status open_heads(BundleObject *self) {
    pg_status status = pg_open_bundle(&self->bundle, self->view.buf, (size_t)self->view.len);
    if (status != PG_OK) return status;
    uint32_t count = self->bundle.count;
    self->heads = PyMem_Malloc(count * sizeof *self->heads);
    self->labels = PyMem_Malloc(count * sizeof *self->labels);
    for (uint32_t i = 0; self->heads && i < count; i++)
        if ((status = pg_bundle_head(&self->bundle, i, &self->heads[i])) != PG_OK) return status;
    self->scratch_size = pg_heads_scratch_size(self->heads, count);
    self->scratch = PyMem_Malloc(self->scratch_size);
    return PG_OK;
}

static PyObject *bundle_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *source;
    if (keywords && PyDict_Size(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "Bundle takes one buffer and no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O:Bundle", &source)) return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    BundleObject *self = (BundleObject *)allocate(type, 0); /* zeroed */
    if (!self) return NULL;
    if (fixed_view(source, &self->view) < 0) {
        self->view.obj = NULL;
        Py_DECREF(self);
        return NULL;
    }
    pg_status status = open_heads(self);
    if (status == PG_OK && self->heads && self->labels && self->scratch) return (PyObject *)self;
    Py_DECREF(self);
    return status == PG_OK ? PyErr_NoMemory() : raise_status(PyType_GetModule(type), status);
}

static void bundle_dealloc(PyObject *object) {
    BundleObject *self = (BundleObject *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->view.obj) PyBuffer_Release(&self->view);
    PyMem_Free(self->heads);
    PyMem_Free(self->labels);
    PyMem_Free(self->scratch);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyObject *bundle_predict(PyObject *object, PyObject *text) {
    BundleObject *self = (BundleObject *)object;
    PyObject *encoded, *list;
    Py_ssize_t length;
    const char *bytes = utf8_of(text, &length, &encoded);
    if (!bytes) return NULL;
    uint32_t count = self->bundle.count;
    pg_status status = pg_predict_heads(self->heads, count, bytes, (size_t)length, self->scratch, self->scratch_size,
                                        NULL, self->labels);
    Py_XDECREF(encoded);
    if (status != PG_OK) return raise_status(module_of(object), status);
    list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list && i < count; i++) {
        PyObject *label = PyLong_FromLongLong(signed_label(self->labels[i]));
        if (!label)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)i, label);
    }
    return list;
}

static size_t total_classes(const BundleObject *self) {
    size_t classes = 0;
    for (uint32_t i = 0; i < self->bundle.count; i++)
        classes += self->heads[i].classes;
    return classes;
}

/* Scores of rows, those of one head after the other; times, if not NULL, receives the nanoseconds of each row. */
static PyObject *over_rows(BundleObject *self, const rows *r, int32_t *scores, double *times) {
    Py_ssize_t row;
    pg_status status = PG_OK;
    row_view at;
    size_t classes = total_classes(self);
    void *scratch = PyMem_Malloc(self->scratch_size);
    uint32_t *labels = PyMem_Malloc(self->bundle.count * sizeof *labels);
    if (!scratch || !labels) {
        PyMem_Free(scratch);
        PyMem_Free(labels);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    for (row = r->start; row < r->end && row_at(r, row, &at); row++) {
        double start = times ? nanoseconds() : 0.0;
        status = pg_predict_heads(self->heads, self->bundle.count, at.data, at.length, scratch, self->scratch_size,
                                  scores ? scores + (size_t)row * classes : NULL, labels);
        if (times) times[row] = nanoseconds() - start;
        if (status != PG_OK) break;
    }
    Py_END_ALLOW_THREADS
    PyMem_Free(scratch);
    PyMem_Free(labels);
    return rows_result(module_of((PyObject *)self), r, row, r->end, status);
}

static PyObject *rows_of(PyObject *object, PyObject *arguments, int timed) {
    BundleObject *self = (BundleObject *)object;
    Py_buffer out;
    rows r;
    if (!parse_rows(arguments, 0, &r, &out)) return NULL;
    PyObject *result = NULL;
    size_t item = timed ? sizeof(double) : total_classes(self) * sizeof(int32_t);
    if (check_rows(&r) && check_length(&out, "out", row_count(&r), (Py_ssize_t)item))
        result = over_rows(self, &r, timed ? NULL : out.buf, timed ? out.buf : NULL);
    PyBuffer_Release(&out);
    release_rows(&r);
    return result;
}

static PyObject *bundle_scores(PyObject *object, PyObject *arguments) {
    return rows_of(object, arguments, 0);
}

static PyObject *bundle_time_calls(PyObject *object, PyObject *arguments) {
    return rows_of(object, arguments, 1);
}

static PyObject *get_classes(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(total_classes((BundleObject *)object));
}

static PyObject *get_scratch_bytes(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((BundleObject *)object)->scratch_size);
}

static PyMethodDef bundle_methods[] = {
    {"predict", bundle_predict, METH_O, "predict(text: str) -> list of int: the label's index, or -1, of every head."},
    {"scores", bundle_scores, METH_VARARGS,
     "scores(data, offsets, start, end, out): int32 scores of rows, one head after the other."},
    {"time_calls", bundle_time_calls, METH_VARARGS, "time_calls(data, offsets, start, end, out): float64 nanoseconds."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef bundle_attributes[] = {
    {"classes", get_classes, NULL, "classes of all heads together", NULL},
    {"scratch_bytes", get_scratch_bytes, NULL, "scratch that one call needs", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot bundle_slots[] = {
    {Py_tp_doc, "All heads of a bundle over a buffer, validated."},
    {Py_tp_new, bundle_new},
    {Py_tp_dealloc, bundle_dealloc},
    {Py_tp_methods, bundle_methods},
    {Py_tp_getset, bundle_attributes},
    {0, NULL},
};

PyType_Spec bundle_spec = {"projgraph._core.Bundle", sizeof(BundleObject), 0, Py_TPFLAGS_DEFAULT, bundle_slots};

static PyObject *names_of(const pg_bundle *bundle) {
    PyObject *list = PyList_New((Py_ssize_t)bundle->count);
    for (uint32_t i = 0; list && i < bundle->count; i++) {
        const char *text = NULL;
        size_t length = 0;
        pg_bundle_name(bundle, i, &text, &length);
        PyObject *name = PyBytes_FromStringAndSize(text, (Py_ssize_t)length);
        if (!name)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)i, name);
    }
    return list;
}

PyObject *bundle_names(PyObject *module, PyObject *buffer) {
    Py_buffer view;
    pg_bundle bundle;
    if (fixed_view(buffer, &view) < 0) return NULL;
    pg_status status = pg_open_bundle(&bundle, view.buf, (size_t)view.len);
    PyObject *result = status == PG_OK ? names_of(&bundle) : raise_status(module, status);
    PyBuffer_Release(&view);
    return result;
}
