/* Rows of texts or vectors in Python's buffers, checked before the core reads them; it calls nothing of the core. */

#include "module.h"

#include <string.h>

static Py_ssize_t item_size(const rows *r) {
    return r->vectors ? (Py_ssize_t)sizeof(int16_t) : 1;
}

void release_rows(rows *r) {
    PyBuffer_Release(&r->data);
    if (r->columns.obj) PyBuffer_Release(&r->columns);
    PyBuffer_Release(&r->offsets);
}

Py_ssize_t row_count(const rows *r) {
    return r->offsets.len / (Py_ssize_t)sizeof(uint64_t) - 1;
}

int parse_rows(PyObject *arguments, int vectors, rows *r, Py_buffer *out) {
    memset(r, 0, sizeof *r);
    r->vectors = vectors;
    if (vectors)
        return PyArg_ParseTuple(arguments, "y*z*y*nnw*", &r->data, &r->columns, &r->offsets, &r->start, &r->end, out);
    return PyArg_ParseTuple(arguments, "y*y*nnw*", &r->data, &r->offsets, &r->start, &r->end, out);
}

static int check_aligned(const Py_buffer *view, const char *name, size_t item) {
    if ((uintptr_t)view->buf % item == 0 && (size_t)view->len % item == 0) return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes that do not begin and end with an item of %zu", name, view->len,
                 item);
    return 0;
}

static int check_items(const rows *r) {
    if (!r->vectors) return 1;
    if (!check_aligned(&r->data, "values", sizeof(int16_t))) return 0;
    if (!r->columns.buf) return 1;
    if (!check_aligned(&r->columns, "columns", sizeof(uint32_t))) return 0;
    return check_length(&r->columns, "columns", r->data.len / (Py_ssize_t)sizeof(int16_t), sizeof(uint32_t));
}

/* The row range against the offsets buffer; the offsets themselves are checked as they are read. */
int check_rows(const rows *r) {
    const char *what = r->vectors ? "vector" : "text";
    if (r->offsets.len % (Py_ssize_t)sizeof(uint64_t) != 0 || r->offsets.len == 0) {
        PyErr_Format(PyExc_ValueError, "offsets has %zd bytes, expected 8 for every %s and 8 more", r->offsets.len,
                     what);
        return 0;
    }
    if (r->start < 0 || r->start > r->end || r->end > row_count(r)) {
        PyErr_Format(PyExc_IndexError, "rows %zd to %zd of %zd %ss", r->start, r->end, row_count(r), what);
        return 0;
    }
    return check_items(r);
}

/* Each offset is read once, so that another thread that writes the buffer meanwhile cannot slip a value past the
 * check. */
int row_at(const rows *r, Py_ssize_t row, row_view *view) {
    uint64_t pair[2];
    memcpy(pair, (const char *)r->offsets.buf + row * (Py_ssize_t)sizeof(uint64_t), sizeof pair);
    if (pair[0] > pair[1] || pair[1] > (uint64_t)(r->data.len / item_size(r))) return 0;
    view->data = (const char *)r->data.buf + pair[0] * (uint64_t)item_size(r);
    view->columns = r->columns.buf ? (const uint32_t *)r->columns.buf + pair[0] : NULL;
    view->length = (size_t)(pair[1] - pair[0]);
    return 1;
}

PyObject *rows_result(PyObject *module, const rows *r, Py_ssize_t row, Py_ssize_t end, pg_status status) {
    if (status != PG_OK) return raise_status(module, status);
    if (row < end)
        return PyErr_Format(PyExc_ValueError, "the offsets of %s %zd descend or leave the %zd %s of data",
                            r->vectors ? "vector" : "text", row, r->data.len / item_size(r),
                            r->vectors ? "values" : "bytes");
    Py_RETURN_NONE;
}

int check_length(const Py_buffer *view, const char *name, Py_ssize_t count, Py_ssize_t item) {
    if (count <= PY_SSIZE_T_MAX / item && view->len == count * item) return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, expected %zd rows of %zd", name, view->len, count, item);
    return 0;
}
