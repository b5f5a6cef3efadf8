/* The Python binding of the kernels on the limited API: it checks what comes from Python, and decides nothing. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels.h"

/* ---- arguments ---- */

#define VIEWS 12

/* The buffers of a call, released together. */
typedef struct {
    Py_buffer views[VIEWS];
    int held;
} buffers;

static void release(buffers *b) {
    while (b->held)
        PyBuffer_Release(&b->views[--b->held]);
}

/* The contiguous buffer of object with exactly count x size bytes; NULL with an error set otherwise. */
static void *take(buffers *b, PyObject *object, const char *name, int writable, Py_ssize_t count, Py_ssize_t size) {
    Py_buffer *view = &b->views[b->held];
    if (PyObject_GetBuffer(object, view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0) return NULL;
    b->held++;
    if (count >= 0 && size >= 0 && (size == 0 || count <= PY_SSIZE_T_MAX / size) && view->len == count * size)
        return view->buf;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, expected %zd x %zd", name, view->len, count, size);
    return NULL;
}

static int check_path(int path) {
    if (path >= 0 && path < PK_PATHS && pk_runs((pk_path)path)) return 1;
    PyErr_Format(PyExc_ValueError, "path %d does not run on this processor", path);
    return 0;
}

static int check_blocks(Py_ssize_t first, Py_ssize_t last, Py_ssize_t blocks) {
    if (first >= 0 && first <= last && last <= blocks) return 1;
    PyErr_Format(PyExc_IndexError, "blocks %zd to %zd of %zd", first, last, blocks);
    return 0;
}

/* ---- hamming.c ---- */

static Py_ssize_t blocks_of(Py_ssize_t rows) {
    return rows / PK_LANES + (rows % PK_LANES != 0);
}

static int check_names(const int32_t *names, Py_ssize_t rows) {
    for (Py_ssize_t row = 0; row < rows; row++)
        if (names[row] < 0 || names[row] >= rows) {
            PyErr_Format(PyExc_IndexError, "name %d of row %zd is not one of %zd rows", (int)names[row], row, rows);
            return 0;
        }
    return 1;
}

static PyObject *hamming_blocks(PyObject *module, PyObject *arguments) {
    PyObject *packed_object, *names_object, *blocks_object, *result = NULL;
    Py_ssize_t rows, bytes;
    buffers b = {.held = 0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OnnOO", &packed_object, &rows, &bytes, &names_object, &blocks_object))
        return NULL;
    if (rows < 0 || bytes < 1 || bytes > INT32_MAX / 8)
        return PyErr_Format(PyExc_ValueError, "%zd rows of %zd bytes", rows, bytes);
    const uint8_t *packed = take(&b, packed_object, "packed", 0, rows, bytes);
    const int32_t *names = packed ? take(&b, names_object, "names", 0, rows, sizeof *names) : NULL;
    uint32_t *blocks = NULL;
    if (names) blocks = take(&b, blocks_object, "blocks", 1, blocks_of(rows), (bytes + 3) / 4 * PK_LANES * 4);
    if (blocks && check_names(names, rows)) {
        Py_BEGIN_ALLOW_THREADS
        pk_hamming_blocks(packed, (size_t)bytes, names, (size_t)rows, blocks);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    release(&b);
    return result;
}

/* Blocks and names of a side, and its lists if best_object is given; 0 with an error set if a length is wrong. */
static int take_side(buffers *b, pk_side *side, PyObject *blocks_object, PyObject *names_object, PyObject *best_object,
                     PyObject *limits_object, Py_ssize_t rows, Py_ssize_t words, Py_ssize_t count) {
    const Py_ssize_t item = (Py_ssize_t)sizeof(uint32_t);
    side->rows = (size_t)rows;
    side->best = NULL, side->limits = NULL;
    if (!(side->blocks = take(b, blocks_object, "blocks", 0, blocks_of(rows), words * PK_LANES * item))) return 0;
    if (!(side->names = take(b, names_object, "names", 0, rows, item))) return 0;
    if (!best_object) return 1;
    if (!(side->best = take(b, best_object, "best", 1, rows, count * (Py_ssize_t)sizeof(uint64_t)))) return 0;
    return (side->limits = take(b, limits_object, "limits", 1, blocks_of(rows), PK_LANES * item)) != NULL;
}

static int check_sizes(Py_ssize_t rows, Py_ssize_t words, Py_ssize_t count) {
    if (rows >= 0 && words >= 1 && words <= INT32_MAX / 32 && count >= 1 && count <= INT32_MAX) return 1;
    PyErr_Format(PyExc_ValueError, "%zd rows of %zd words, %zd neighbours", rows, words, count);
    return 0;
}

static PyObject *hamming_pairs(PyObject *module, PyObject *arguments) {
    PyObject *blocks, *names, *best, *limits, *result = NULL;
    Py_ssize_t rows, words, count, first, last, other_first, other_last;
    int path;
    pk_side side;
    buffers b = {.held = 0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOnnnnnnni", &blocks, &names, &best, &limits, &rows, &words, &count, &first,
                          &last, &other_first, &other_last, &path))
        return NULL;
    if (!check_sizes(rows, words, count) || !check_path(path)) return NULL;
    if (!check_blocks(first, last, blocks_of(rows)) || !check_blocks(other_first, other_last, blocks_of(rows)))
        return NULL;
    if (first != other_first ? first < other_last && other_first < last : last != other_last)
        return PyErr_Format(PyExc_ValueError, "blocks %zd to %zd and %zd to %zd overlap", first, last, other_first,
                            other_last);
    if (take_side(&b, &side, blocks, names, best, limits, rows, words, count)) {
        Py_BEGIN_ALLOW_THREADS
        pk_hamming_pairs(&side, (size_t)words, (size_t)count, (size_t)first, (size_t)last, (size_t)other_first,
                         (size_t)other_last, (pk_path)path);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    release(&b);
    return result;
}

static PyObject *hamming_search(PyObject *module, PyObject *arguments) {
    PyObject *blocks, *names, *best, *limits, *row_blocks, *row_names, *result = NULL;
    Py_ssize_t n_queries, n_rows, words, count, first, last;
    int path;
    pk_side queries, rows;
    buffers b = {.held = 0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOnOOnnnnni", &blocks, &names, &best, &limits, &n_queries, &row_blocks,
                          &row_names, &n_rows, &words, &count, &first, &last, &path))
        return NULL;
    if (!check_sizes(n_queries, words, count) || !check_sizes(n_rows, words, count) || !check_path(path)) return NULL;
    if (!check_blocks(first, last, blocks_of(n_rows))) return NULL;
    if (take_side(&b, &queries, blocks, names, best, limits, n_queries, words, count) &&
        take_side(&b, &rows, row_blocks, row_names, NULL, NULL, n_rows, words, count)) {
        Py_BEGIN_ALLOW_THREADS
        pk_hamming_search(&queries, &rows, (size_t)words, (size_t)count, (size_t)first, (size_t)last, (pk_path)path);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    release(&b);
    return result;
}

/* ---- propagate.c ---- */

/* Edges of rows [start, stop); 0 with an error set if a length is wrong. That the ends are nodes, and starts of other
 * rows ascend, the caller has checked once for all steps. */
static int take_edges(buffers *b, pk_edges *edges, PyObject *starts, PyObject *ends, PyObject *weights, Py_ssize_t rows,
                      Py_ssize_t count, Py_ssize_t start, Py_ssize_t stop) {
    const Py_ssize_t item = (Py_ssize_t)sizeof(float);
    if (rows < 0 || count < 0 || start < 0 || start > stop || stop > rows) {
        PyErr_Format(PyExc_IndexError, "rows %zd to %zd of %zd with %zd edges", start, stop, rows, count);
        return 0;
    }
    edges->rows = (size_t)rows;
    if (!(edges->starts = take(b, starts, "starts", 0, rows + 1, (Py_ssize_t)sizeof(int64_t)))) return 0;
    if (!(edges->ends = take(b, ends, "ends", 0, count, item))) return 0;
    if (!(edges->weights = take(b, weights, "weights", 0, count, item))) return 0;
    if (edges->starts[start] >= 0 && edges->starts[stop] <= count && edges->starts[rows] == count) return 1;
    PyErr_Format(PyExc_ValueError, "the starts of rows %zd to %zd leave the %zd edges", start, stop, count);
    return 0;
}

static PyObject *propagate(PyObject *module, PyObject *arguments) {
    PyObject *starts, *ends, *weights, *beliefs_object, *share_object, *anchor_object, *out_object, *result = NULL;
    Py_ssize_t rows, count, columns, start, stop;
    const Py_ssize_t item = (Py_ssize_t)sizeof(float);
    pk_edges edges;
    buffers b = {.held = 0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOnnOOOnnnO", &starts, &ends, &weights, &rows, &count, &beliefs_object,
                          &share_object, &anchor_object, &columns, &start, &stop, &out_object))
        return NULL;
    if (columns < 0 || columns > INT32_MAX) return PyErr_Format(PyExc_ValueError, "%zd columns", columns);
    if (take_edges(&b, &edges, starts, ends, weights, rows, count, start, stop)) {
        const float *beliefs = take(&b, beliefs_object, "beliefs", 0, rows, columns * item);
        const float *share = beliefs ? take(&b, share_object, "share", 0, rows, item) : NULL;
        const float *anchor = share ? take(&b, anchor_object, "anchor", 0, rows, columns * item) : NULL;
        float *out = anchor ? take(&b, out_object, "out", 1, rows, columns * item) : NULL;
        if (out) {
            Py_BEGIN_ALLOW_THREADS
            pk_propagate(&edges, beliefs, share, anchor, (size_t)columns, (size_t)start, (size_t)stop, out);
            Py_END_ALLOW_THREADS
            result = Py_NewRef(Py_None);
        }
    }
    release(&b);
    return result;
}

static int take_lists(buffers *b, pk_lists *lists, PyObject *labels, PyObject *probabilities, PyObject *rest,
                      Py_ssize_t rows, Py_ssize_t top, Py_ssize_t classes, int writable) {
    const Py_ssize_t item = (Py_ssize_t)sizeof(float);
    lists->top = (size_t)top, lists->classes = (size_t)classes;
    if (!(lists->labels = take(b, labels, "labels", writable, rows, top * item))) return 0;
    if (!(lists->probabilities = take(b, probabilities, "probabilities", writable, rows, top * item))) return 0;
    return (lists->rest = take(b, rest, "rest", writable, rows, item)) != NULL;
}

static PyObject *expand(PyObject *module, PyObject *arguments) {
    PyObject *starts, *ends, *weights, *before[3], *seeds, *next[3], *scratch, *result = NULL;
    Py_ssize_t rows, count, top, classes, start, stop;
    const Py_ssize_t item = (Py_ssize_t)sizeof(float);
    pk_edges edges;
    pk_lists old, new;
    pk_pulls pulls;
    buffers b = {.held = 0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOnnOOOnnOfffnnOOOO", &starts, &ends, &weights, &rows, &count, &before[0],
                          &before[1], &before[2], &top, &classes, &seeds, &pulls.seed, &pulls.edge, &pulls.uniform,
                          &start, &stop, &next[0], &next[1], &next[2], &scratch))
        return NULL;
    if (top < 1 || top > INT32_MAX || classes < 1 || classes > INT32_MAX)
        return PyErr_Format(PyExc_ValueError, "the top %zd of %zd classes", top, classes);
    if (take_edges(&b, &edges, starts, ends, weights, rows, count, start, stop) &&
        take_lists(&b, &old, before[0], before[1], before[2], rows, top, classes, 0) &&
        take_lists(&b, &new, next[0], next[1], next[2], rows, top, classes, 1) &&
        (pulls.seeds = take(&b, seeds, "seeds", 0, rows, item))) {
        float *sums = take(&b, scratch, "scratch", 1, classes, 2 * item), change = 0.0f;
        if (sums) {
            Py_BEGIN_ALLOW_THREADS
            change = pk_expand(&edges, &old, &pulls, (size_t)start, (size_t)stop, &new, sums,
                               (int32_t *)(void *)(sums + classes));
            Py_END_ALLOW_THREADS
            result = PyFloat_FromDouble((double)change);
        }
    }
    release(&b);
    return result;
}

/* ---- the module ---- */

static PyObject *runs(PyObject *module, PyObject *argument) {
    (void)module;
    long path = PyLong_AsLong(argument);
    if (path == -1 && PyErr_Occurred()) return NULL;
    return PyBool_FromLong(path >= 0 && path < PK_PATHS && pk_runs((pk_path)path));
}

static PyMethodDef methods[] = {
    {"runs", runs, METH_O, "runs(path) -> bool: whether this processor runs the path."},
    {"hamming_blocks", hamming_blocks, METH_VARARGS,
     "hamming_blocks(packed, rows, bytes, names, blocks): rows in that order, transposed in blocks."},
    {"hamming_pairs", hamming_pairs, METH_VARARGS,
     "hamming_pairs(blocks, names, best, limits, rows, words, count, first, last, other_first, other_last, path)."},
    {"hamming_search", hamming_search, METH_VARARGS,
     "hamming_search(blocks, names, best, limits, queries, row_blocks, row_names, rows, words, count, first, last, "
     "path)."},
    {"propagate", propagate, METH_VARARGS,
     "propagate(starts, ends, weights, rows, count, beliefs, share, anchor, columns, start, stop, out)."},
    {"expand", expand, METH_VARARGS,
     "expand(starts, ends, weights, rows, count, labels, probabilities, rest, top, classes, seeds, seed, edge, "
     "uniform, "
     "start, stop, labels, probabilities, rest, scratch) -> float: the largest change."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef kernels_module = {
    PyModuleDef_HEAD_INIT, "projgraph._kernels", "Host-only kernels of training.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void);

PyMODINIT_FUNC PyInit__kernels(void) {
    return PyModuleDef_Init(&kernels_module);
}
