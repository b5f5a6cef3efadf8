/* What the files of the Python binding share: statuses as exceptions, rows of texts or vectors, output buffers. */

#ifndef PROJGRAPH_MODULE_H
#define PROJGRAPH_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "host.h"
#include "projgraph.h"

/* ---- module.c ---- */

PyObject *raise_status(PyObject *module, pg_status status);

/* ---- module_rows.c ---- */

/* Rows one after the other in shared buffers: UTF-8 bytes of texts, or 16-bit values of vectors with the columns that
 * they belong to, unless all columns have one. Row i is the items from offset i to offset i + 1. */
typedef struct {
    Py_buffer data;
    Py_buffer columns; /* buf is NULL for texts and for dense vectors */
    Py_buffer offsets;
    Py_ssize_t start;
    Py_ssize_t end;
    int vectors;
} rows;

/* One row, as the core takes it: length bytes of text, or length values. */
typedef struct {
    const void *data;
    const uint32_t *columns;
    size_t length;
} row_view;

/* The rows that a call is about, (data, offsets, start, end, out) for texts, and for vectors (values, columns or None,
 * offsets, start, end, out). On 1 both rows and out are to be released. */
int parse_rows(PyObject *arguments, int vectors, rows *r, Py_buffer *out);
int check_rows(const rows *r);
void release_rows(rows *r);
Py_ssize_t row_count(const rows *r);

/* One row; 0 if its offsets are wrong. Needs no GIL. */
int row_at(const rows *r, Py_ssize_t row, row_view *view);

/* Why a loop over rows ended before the last: NULL with an exception set, or None if it did not. */
PyObject *rows_result(PyObject *module, const rows *r, Py_ssize_t row, Py_ssize_t end, pg_status status);

int check_length(const Py_buffer *view, const char *name, Py_ssize_t count, Py_ssize_t item);

/* ---- module_model.c ---- */

extern PyType_Spec model_spec;

/* Memory of one prediction at a time: the host's vectors' if they answer, or else the core's. */
typedef struct {
    pg_host_scratch *host;
    void *core;
} room;

typedef struct {
    PyObject_HEAD
    Py_buffer view; /* obj is NULL once closed */
    pg_model model;
    pg_host *host; /* NULL if the plain core answers, or until it is laid out */
    int vectors;   /* bits of those that are to answer, -1 for the most */
    int laid_out;
    PyObject *names; /* a tuple: of the classes, then what stands for no label */
    room spare;      /* of a call that has ended */
    size_t scratch_size;
    Py_ssize_t users; /* calls that run without the GIL */
} ModelObject;

PyObject *module_of_model(PyObject *model);

/* Whether the model is not closed, or an exception. */
int is_open(const ModelObject *model);

/* The room that the last call left, or a new one; 0 with an exception. Taken and given back with the GIL, used without.
 */
int open_room(ModelObject *model, room *scratch);
void close_room(ModelObject *model, room *scratch);

pg_status predict_text(const ModelObject *model, const char *text, size_t length, const room *scratch, int32_t *scores,
                       uint32_t *label);

/* The view of a buffer that nobody can change behind the checks: a writable one is copied. */
int fixed_view(PyObject *source, Py_buffer *view);

/* The UTF-8 bytes of a str, or NULL with an exception; *encoded, if not NULL, is to be let go of after them. */
const char *utf8_of(PyObject *text, Py_ssize_t *length, PyObject **encoded);

/* As Python has it: -1 for no label. */
int64_t signed_label(uint32_t label);

double nanoseconds(void);

/* ---- module_texts.c: Python's strings in, the names of classes out ---- */

PyObject *model_set_names(PyObject *self, PyObject *names);
PyObject *model_answer(PyObject *self, PyObject *text);
PyObject *model_answers(PyObject *self, PyObject *arguments);

/* ---- module_bundle.c ---- */

extern PyType_Spec bundle_spec;

/* The names of a bundle's heads as a list of bytes, without a look into the heads. */
PyObject *bundle_names(PyObject *module, PyObject *buffer);

#endif
