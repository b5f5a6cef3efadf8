/* Python's strings to the names of their classes, without a buffer, an array or an object between them. */

#include "module.h"

/* So few texts are answered with the GIL: letting go of it takes as long as some of them. */
enum { FEW = 8 };

/* A text and its answer. */
typedef struct {
    const char *bytes;
    size_t length;
    uint32_t label;
} question;

PyObject *model_set_names(PyObject *self, PyObject *names) {
    ModelObject *model = (ModelObject *)self;
    Py_ssize_t expected = (Py_ssize_t)model->model.classes + 1;
    if (!PyTuple_Check(names)) return PyErr_Format(PyExc_TypeError, "expected a tuple of names");
    if (PyTuple_Size(names) != expected)
        return PyErr_Format(PyExc_ValueError, "%zd names, expected %zd", PyTuple_Size(names), expected);
    PyObject *before = model->names;
    model->names = Py_NewRef(names);
    Py_XDECREF(before); /* last: what it lets go of may ask the model */
    Py_RETURN_NONE;
}

static int is_ready(const ModelObject *model) {
    if (!is_open(model)) return 0;
    if (!model->names) PyErr_SetString(PyExc_ValueError, "the model has no names: set_names comes first");
    return model->names != NULL;
}

static PyObject *name_of(const ModelObject *model, uint32_t label) {
    return Py_XNewRef(PyTuple_GetItem(model->names, (Py_ssize_t)(label == PG_NO_LABEL ? model->model.classes : label)));
}

PyObject *model_answer(PyObject *self, PyObject *text) {
    ModelObject *model = (ModelObject *)self;
    PyObject *encoded, *list = NULL;
    Py_ssize_t length;
    room scratch;
    uint32_t label = 0;
    const char *bytes = utf8_of(text, &length, &encoded);
    if (!bytes) return NULL;
    if (is_ready(model) && open_room(model, &scratch)) {
        pg_status status = predict_text(model, bytes, (size_t)length, &scratch, NULL, &label);
        close_room(model, &scratch);
        if (status != PG_OK)
            raise_status(module_of_model(self), status);
        else if ((list = PyList_New(1)) != NULL)
            PyList_SetItem(list, 0, name_of(model, label));
    }
    Py_XDECREF(encoded);
    return list;
}

/* The bytes of texts, which the tuple keeps alive; what had to be encoded is kept in a list. */
static int read_texts(PyObject *texts, Py_ssize_t start, Py_ssize_t count, question *questions, PyObject *kept) {
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *encoded;
        Py_ssize_t length;
        questions[i].bytes = utf8_of(PyTuple_GetItem(texts, start + i), &length, &encoded);
        if (!questions[i].bytes) return 0;
        questions[i].length = (size_t)length;
        if (!encoded) continue;
        int failed = PyList_Append(kept, encoded) < 0;
        Py_DECREF(encoded);
        if (failed) return 0;
    }
    return 1;
}

static pg_status answer_all(const ModelObject *model, question *questions, Py_ssize_t count, const room *scratch) {
    pg_status status = PG_OK;
    for (Py_ssize_t i = 0; i < count && status == PG_OK; i++)
        status = predict_text(model, questions[i].bytes, questions[i].length, scratch, NULL, &questions[i].label);
    return status;
}

static PyObject *answered(ModelObject *model, question *questions, Py_ssize_t count) {
    pg_status status;
    room scratch;
    if (!is_ready(model) || !open_room(model, &scratch)) return NULL; /* reading texts may have run a finalizer */
    if (count <= FEW) {
        status = answer_all(model, questions, count, &scratch);
    } else {
        model->users++;
        Py_BEGIN_ALLOW_THREADS
        status = answer_all(model, questions, count, &scratch);
        Py_END_ALLOW_THREADS
        model->users--;
    }
    close_room(model, &scratch);
    if (status != PG_OK) return raise_status(module_of_model((PyObject *)model), status);
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++)
        PyList_SetItem(list, i, name_of(model, questions[i].label));
    return list;
}

PyObject *model_answers(PyObject *self, PyObject *arguments) {
    ModelObject *model = (ModelObject *)self;
    PyObject *texts, *list = NULL;
    Py_ssize_t start, end;
    if (!PyArg_ParseTuple(arguments, "O!nn:answers", &PyTuple_Type, &texts, &start, &end)) return NULL;
    if (start < 0 || start > end || end > PyTuple_Size(texts))
        return PyErr_Format(PyExc_IndexError, "rows %zd to %zd of %zd texts", start, end, PyTuple_Size(texts));
    question *questions = PyMem_Malloc((size_t)(end - start) * sizeof *questions);
    PyObject *kept = PyList_New(0);
    if (!questions)
        PyErr_NoMemory();
    else if (kept && read_texts(texts, start, end - start, questions, kept))
        list = answered(model, questions, end - start);
    Py_XDECREF(kept);
    PyMem_Free(questions);
    return list;
}
