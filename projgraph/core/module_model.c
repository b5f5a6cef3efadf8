/* The Python type of a model: predictions of one row or of many, without the GIL. */

#include "module.h"

#include <time.h>

PyObject *module_of_model(PyObject *model) {
    return PyType_GetModule(Py_TYPE(model));
}

int is_open(const ModelObject *model) {
    if (model->view.obj) return 1;
    PyErr_SetString(PyExc_ValueError, "the model is closed");
    return 0;
}

int fixed_view(PyObject *source, Py_buffer *view) {
    if (PyObject_GetBuffer(source, view, PyBUF_SIMPLE) < 0) return -1;
    if (view->readonly) return 0;
    PyObject *copy = PyBytes_FromStringAndSize(view->buf, view->len);
    PyBuffer_Release(view);
    int failed = !copy || PyObject_GetBuffer(copy, view, PyBUF_SIMPLE) < 0;
    Py_XDECREF(copy);
    return failed ? -1 : 0;
}

/* The whole file's model, or that of a head of a bundle. */
static pg_status open_model(ModelObject *model, Py_ssize_t head) {
    pg_bundle bundle;
    size_t length = (size_t)model->view.len;
    if (head < 0) return pg_open(&model->model, model->view.buf, length);
    pg_status status = pg_open_bundle(&bundle, model->view.buf, length);
    uint32_t index = (uint64_t)head < UINT32_MAX ? (uint32_t)head : UINT32_MAX;
    return status == PG_OK ? pg_bundle_head(&bundle, index, &model->model) : status;
}

static const room NO_ROOM = {NULL, NULL};

/* The weights for the processor's vectors, once, however often it is called; with the GIL. */
static void lay_out(ModelObject *model) {
    if (model->laid_out) return;
    model->laid_out = 1;
    model->host = pg_host_open(&model->model, model->vectors);
}

int open_room(ModelObject *model, room *scratch) {
    lay_out(model);
    *scratch = model->spare;
    model->spare = NO_ROOM;
    if (!scratch->host && !scratch->core) {
        scratch->host = model->host ? pg_host_scratch_open() : NULL;
        scratch->core = model->host ? NULL : PyMem_Malloc(model->scratch_size);
    }
    if (scratch->host || scratch->core) return 1;
    PyErr_NoMemory();
    return 0;
}

void close_room(ModelObject *model, room *scratch) {
    room spare = model->spare;
    model->spare = *scratch;
    pg_host_scratch_close(spare.host);
    PyMem_Free(spare.core);
}

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *source;
    Py_ssize_t head = -1;
    int vectors = -1;
    if (keywords && PyDict_Size(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError,
                        "Model takes a buffer, perhaps the index of a head and the bits of a vector, and no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O|ni:Model", &source, &head, &vectors)) return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    ModelObject *model = (ModelObject *)allocate(type, 0);
    if (!model) return NULL;
    if (fixed_view(source, &model->view) < 0) {
        model->view.obj = NULL;
        Py_DECREF(model);
        return NULL;
    }
    pg_status status = open_model(model, head);
    if (status != PG_OK) {
        Py_DECREF(model);
        return raise_status(PyType_GetModule(type), status);
    }
    model->scratch_size = pg_scratch_size(&model->model);
    model->vectors = vectors;
    if (head < 0) lay_out(model); /* of a head when it is asked: thousands may share weights that are copied for each */
    return (PyObject *)model;
}

static void model_dealloc(PyObject *self) {
    ModelObject *model = (ModelObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (model->view.obj) PyBuffer_Release(&model->view);
    pg_host_scratch_close(model->spare.host);
    PyMem_Free(model->spare.core);
    pg_host_close(model->host);
    Py_XDECREF(model->names);
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

int64_t signed_label(uint32_t label) {
    return label == PG_NO_LABEL ? -1 : (int64_t)label;
}

const char *utf8_of(PyObject *text, Py_ssize_t *length, PyObject **encoded) {
    *encoded = NULL;
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "expected a str");
        return NULL;
    }
    const char *bytes = PyUnicode_AsUTF8AndSize(text, length);
    if (bytes) return bytes;
    char *copy; /* a lone surrogate */
    PyErr_Clear();
    *encoded = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    if (!*encoded || PyBytes_AsStringAndSize(*encoded, &copy, length) < 0) {
        Py_CLEAR(*encoded);
        return NULL;
    }
    return copy;
}

pg_status predict_text(const ModelObject *model, const char *text, size_t length, const room *scratch, int32_t *scores,
                       uint32_t *label) {
    if (!model->host) return pg_predict(&model->model, text, length, scratch->core, model->scratch_size, scores, label);
    *label = pg_host_predict(model->host, text, length, scratch->host, scores);
    return PG_OK;
}

static PyObject *model_predict(PyObject *self, PyObject *text) {
    ModelObject *model = (ModelObject *)self;
    PyObject *encoded;
    Py_ssize_t length;
    const char *bytes = utf8_of(text, &length, &encoded);
    if (!bytes) return NULL;
    uint32_t label = 0;
    room scratch;
    pg_status status = PG_OK;
    int ready = is_open(model) && open_room(model, &scratch); /* reading the text may have run a finalizer */
    if (ready) {
        status = predict_text(model, bytes, (size_t)length, &scratch, NULL, &label);
        close_room(model, &scratch);
    }
    Py_XDECREF(encoded);
    if (!ready) return NULL;
    return status == PG_OK ? PyLong_FromLongLong(signed_label(label)) : raise_status(module_of_model(self), status);
}

static pg_status predict_row(const ModelObject *model, const rows *r, const row_view *at, const room *scratch,
                             int32_t *scores, uint32_t *label) {
    if (r->vectors && model->host) return PG_WANTS_TEXT;
    if (r->vectors)
        return pg_predict_vector(&model->model, at->columns, at->data, at->length, scratch->core, model->scratch_size,
                                 scores, label);
    return predict_text(model, at->data, at->length, scratch, scores, label);
}

/* Labels of a range of rows if labels is not NULL, and scores if that is not NULL. */
static PyObject *predict_range(ModelObject *model, const rows *r, int32_t *scores, int64_t *labels) {
    room scratch;
    if (!open_room(model, &scratch)) return NULL;
    Py_ssize_t row;
    pg_status status = PG_OK;
    row_view at;
    size_t classes = model->model.classes;
    model->users++;
    Py_BEGIN_ALLOW_THREADS
    for (row = r->start; row < r->end && row_at(r, row, &at); row++) {
        uint32_t label = 0;
        status = predict_row(model, r, &at, &scratch, scores ? scores + (size_t)row * classes : NULL, &label);
        if (status != PG_OK) break;
        if (labels) labels[row] = signed_label(label);
    }
    Py_END_ALLOW_THREADS
    model->users--;
    close_room(model, &scratch);
    return rows_result(module_of_model((PyObject *)model), r, row, r->end, status);
}

static PyObject *predict_rows(PyObject *self, PyObject *arguments, int vectors, int want_labels) {
    ModelObject *model = (ModelObject *)self;
    Py_buffer out;
    rows r;
    if (!is_open(model) || !parse_rows(arguments, vectors, &r, &out)) return NULL;
    PyObject *result = NULL;
    size_t row = want_labels ? sizeof(int64_t) : model->model.classes * sizeof(int32_t);
    if (is_open(model) && check_rows(&r) && check_length(&out, "out", row_count(&r), (Py_ssize_t)row))
        result = predict_range(model, &r, want_labels ? NULL : out.buf, want_labels ? out.buf : NULL);
    PyBuffer_Release(&out);
    release_rows(&r);
    return result;
}

static PyObject *model_scores(PyObject *self, PyObject *arguments) {
    return predict_rows(self, arguments, 0, 0);
}

static PyObject *model_labels(PyObject *self, PyObject *arguments) {
    return predict_rows(self, arguments, 0, 1);
}

static PyObject *model_vector_scores(PyObject *self, PyObject *arguments) {
    return predict_rows(self, arguments, 1, 0);
}

static PyObject *model_vector_labels(PyObject *self, PyObject *arguments) {
    return predict_rows(self, arguments, 1, 1);
}

double nanoseconds(void) {
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
    Py_ssize_t count = row_count(r), row = count;
    room scratch;
    if (!open_room(model, &scratch)) return NULL;
    pg_status status = PG_OK;
    row_view at;
    uint32_t label;
    model->users++;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t repeat = 0; repeat < repeats && row == count; repeat++)
        for (row = 0; row < count && row_at(r, row, &at); row++) {
            double start = nanoseconds();
            status = predict_row(model, r, &at, &scratch, NULL, &label);
            out[repeat * count + row] = nanoseconds() - start;
            if (status != PG_OK) break;
        }
    Py_END_ALLOW_THREADS
    model->users--;
    close_room(model, &scratch);
    return rows_result(module_of_model((PyObject *)model), r, row, count, status);
}

/* As predict_rows, but with the number of repeats in the place of start and end. */
static PyObject *time_calls(PyObject *self, PyObject *arguments, int vectors) {
    ModelObject *model = (ModelObject *)self;
    Py_buffer out;
    Py_ssize_t repeats;
    rows r = {0};
    r.vectors = vectors;
    if (!is_open(model)) return NULL;
    if (vectors ? !PyArg_ParseTuple(arguments, "y*z*y*nw*", &r.data, &r.columns, &r.offsets, &repeats, &out)
                : !PyArg_ParseTuple(arguments, "y*y*nw*", &r.data, &r.offsets, &repeats, &out))
        return NULL;
    PyObject *result = NULL;
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

static PyObject *model_time_calls(PyObject *self, PyObject *arguments) {
    return time_calls(self, arguments, 0);
}

static PyObject *model_vector_time_calls(PyObject *self, PyObject *arguments) {
    return time_calls(self, arguments, 1);
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

static PyObject *get_vectors(PyObject *self, void *unused) {
    (void)unused;
    ModelObject *model = (ModelObject *)self;
    if (!model->laid_out && !is_open(model)) return NULL;
    lay_out(model);
    return PyLong_FromUnsignedLong(pg_host_vectors(model->host));
}

static PyObject *get_bits(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(((ModelObject *)self)->model.projection.bits);
}

static PyObject *get_scale(PyObject *self, void *unused) {
    (void)unused;
    return PyFloat_FromDouble((double)((ModelObject *)self)->model.scale);
}

static PyObject *get_threshold(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(((ModelObject *)self)->model.threshold);
}

static PyObject *get_columns(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(((ModelObject *)self)->model.projection.columns);
}

static PyObject *get_value_scale(PyObject *self, void *unused) {
    (void)unused;
    return PyFloat_FromDouble((double)((ModelObject *)self)->model.projection.scale);
}

static PyObject *get_scratch_bytes(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((ModelObject *)self)->scratch_size);
}

static PyMethodDef model_methods[] = {
    {"close", model_close, METH_NOARGS, "Let go of the model's bytes."},
    {"predict", model_predict, METH_O, "predict(text: str) -> int: the label's index, or -1."},
    {"set_names", model_set_names, METH_O, "set_names(names: tuple): what answer gives, by class, the last for none."},
    {"answer", model_answer, METH_O, "answer(text: str) -> list of one name."},
    {"answers", model_answers, METH_VARARGS, "answers(texts: tuple, start, end) -> list of names."},
    {"scores", model_scores, METH_VARARGS, "scores(data, offsets, start, end, out): int32 scores of rows."},
    {"labels", model_labels, METH_VARARGS, "labels(data, offsets, start, end, out): int64 labels of rows."},
    {"time_calls", model_time_calls, METH_VARARGS, "time_calls(data, offsets, repeats, out): float64 nanoseconds."},
    {"vector_scores", model_vector_scores, METH_VARARGS,
     "vector_scores(values, columns, offsets, start, end, out): int32 scores of rows."},
    {"vector_labels", model_vector_labels, METH_VARARGS,
     "vector_labels(values, columns, offsets, start, end, out): int64 labels of rows."},
    {"vector_time_calls", model_vector_time_calls, METH_VARARGS,
     "vector_time_calls(values, columns, offsets, repeats, out): float64 nanoseconds."},
    {"label", model_label, METH_O, "label(index) -> bytes: a class name in UTF-8."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_attributes[] = {
    {"classes", get_classes, NULL, "number of classes", NULL},
    {"vectors", get_vectors, NULL, "bits of the processor's vectors that answer; 0 for the plain core", NULL},
    {"n_bits", get_bits, NULL, "bits of the projection", NULL},
    {"scale", get_scale, NULL, "logit = score * scale", NULL},
    {"columns", get_columns, NULL, "columns of a vector; 0 for a model of texts", NULL},
    {"threshold", get_threshold, NULL, "a largest score below it gives no label; 0 for none", NULL},
    {"value_scale", get_value_scale, NULL, "value = round(x * value_scale); 0 for a model of texts", NULL},
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

PyType_Spec model_spec = {"projgraph._core.Model", sizeof(ModelObject), 0, Py_TPFLAGS_DEFAULT, model_slots};
