/* Host-only kernels of training: exact integers or float32 over arrays that the caller owns; no allocation, no Python.
 */

#ifndef PROJGRAPH_KERNELS_H
#define PROJGRAPH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The instructions that a kernel may use; every path gives the same integers. */
typedef enum { PK_PORTABLE, PK_AVX2, PK_AVX512, PK_PATHS } pk_path;

/* 1 if this processor runs the path. */
int pk_runs(pk_path path);

/* ---- hamming.c: nearest neighbours by Hamming distance ---- */

/* Rows of one block; a block holds word 0 of all of its rows, then word 1, and so on. */
#define PK_LANES 16

/* The key of a place in a row's list that no neighbour has taken yet. */
#define PK_NO_KEY ((uint64_t)INT64_MAX)

/* Rows in blocks, with what is known of their neighbours. */
typedef struct {
    const uint32_t *blocks; /* ceil(rows / PK_LANES) blocks of words x PK_LANES, the last one padded with zeros */
    const int32_t *names;   /* rows: what a row is called in the lists of others; no row neighbours its own name */
    uint64_t *best;         /* rows x count keys, distance << 32 | name, ascending; NULL for rows that ask nothing */
    int32_t *limits;        /* ceil(rows / PK_LANES) x PK_LANES: distance of the last key of best, -1 for padding */
    size_t rows;
} pk_side;

/* Lay out rows names[0], names[1], ... of packed bits, bytes each. */
void pk_hamming_blocks(const uint8_t *packed, size_t bytes, const int32_t *names, size_t rows, uint32_t *blocks);

/* Enter every pair of a row in blocks [first, last) and a row in blocks [other_first, other_last) of the same side into
 * both lists; of two ranges that are one, each pair once. The ranges are either equal or apart. */
void pk_hamming_pairs(const pk_side *side, size_t words, size_t count, size_t first, size_t last, size_t other_first,
                      size_t other_last, pk_path path);

/* Enter the rows in blocks [first, last) into the lists of all queries. */
void pk_hamming_search(const pk_side *queries, const pk_side *rows, size_t words, size_t count, size_t first,
                       size_t last, pk_path path);

/* ---- propagate.c: one step of label propagation ---- */

/* The edges of a graph in CSR form. */
typedef struct {
    const int64_t *starts; /* rows + 1, ascending from 0 */
    const int32_t *ends;   /* the other node of each edge, one of rows */
    const float *weights;
    size_t rows;
} pk_edges;

/* out = share x (edges x beliefs) + (1 - share) x anchor for rows [start, stop); all rows x columns, share one a row.
 */
void pk_propagate(const pk_edges *edges, const float *beliefs, const float *share, const float *anchor, size_t columns,
                  size_t start, size_t stop, float *out);

/* The most probable labels of every node. */
typedef struct {
    int32_t *labels; /* rows x top, most probable first, the smaller label of equals first, -1 where there is none */
    float *probabilities; /* rows x top */
    float *rest;          /* rows: the probability of each label that the list leaves out */
    size_t top;
    size_t classes;
} pk_lists;

/* What pulls at a node's distribution, and how strongly. */
typedef struct {
    const int32_t *seeds; /* rows: the label given to a node, or -1 */
    float seed;
    float edge;    /* times the weight of each edge */
    float uniform; /* towards equal probabilities */
} pk_pulls;

/* Lists next of rows [start, stop) from the lists before of their neighbours. sums and touched hold classes each.
 * Returns the largest change of a probability. */
float pk_expand(const pk_edges *edges, const pk_lists *before, const pk_pulls *pulls, size_t start, size_t stop,
                const pk_lists *next, float *sums, int32_t *touched);

#endif
