/* One step of label propagation over rows of a CSR matrix: dense beliefs, or the few most probable labels of a node. */

#include "kernels.h"

#include <string.h>

/* Compiled once more for wider vectors, picked at load time (ifunc, so glibc on x86-64 only). A column's sum runs over
 * the edges in stored order whatever the vectors, so every clone gives the same bytes. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define PK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PK_CLONES
#endif

/* Part of every clone, and compiled anew for a constant width. */
#if defined(__GNUC__)
#define PK_INLINE static inline __attribute__((always_inline))
#define PK_PREFETCH(address) __builtin_prefetch(address)
#else
#define PK_INLINE static inline
#define PK_PREFETCH(address) ((void)(address))
#endif

/* Columns whose sums are held in registers: four AVX-512 vectors, or four cache lines. */
#define PANEL 64
#define LINE 16

/* Edges ahead whose rows are fetched: at 64 classes about a microsecond's worth. */
#define AHEAD 12

/* ---- dense ---- */

PK_INLINE void sum_neighbours(const pk_edges *edges, size_t row, const float *beliefs, size_t columns, size_t width,
                              float *sums) {
    const int64_t end = edges->starts[row + 1], last = edges->starts[edges->rows] - 1;
    float held[PANEL];
    memset(held, 0, sizeof held);
    for (int64_t edge = edges->starts[row]; edge < end; edge++) {
        const int64_t ahead = edge + AHEAD < last ? edge + AHEAD : last;
        const float *next = beliefs + (size_t)edges->ends[ahead] * columns;
        const float *other = beliefs + (size_t)edges->ends[edge] * columns;
        const float weight = edges->weights[edge];
        for (size_t column = 0; column < width; column += LINE)
            PK_PREFETCH(next + column);
        for (size_t column = 0; column < width; column++)
            held[column] += weight * other[column];
    }
    memcpy(sums, held, sizeof held);
}

PK_CLONES void pk_propagate(const pk_edges *edges, const float *beliefs, const float *share, const float *anchor,
                            size_t columns, size_t start, size_t stop, float *out) {
    float sums[PANEL];
    for (size_t row = start; row < stop; row++) {
        const float heard = share[row], kept = 1.0f - heard;
        for (size_t first = 0; first < columns; first += PANEL) {
            const size_t width = columns - first < PANEL ? columns - first : PANEL;
            const float *own = anchor + row * columns + first;
            float *result = out + row * columns + first;
            if (width == PANEL)
                sum_neighbours(edges, row, beliefs + first, columns, PANEL, sums);
            else
                sum_neighbours(edges, row, beliefs + first, columns, width, sums);
            for (size_t column = 0; column < width; column++)
                result[column] = heard * sums[column] + kept * own[column];
        }
    }
}

/* ---- the most probable labels (Ravi & Diao 2016) ---- */

/* Marks a label that no neighbour named; sums themselves are never negative. */
#define UNTOUCHED (-1.0f)

static size_t length_of(const pk_lists *lists, size_t row) {
    const int32_t *labels = lists->labels + row * lists->top;
    size_t length = 0;
    while (length < lists->top && labels[length] >= 0 && (size_t)labels[length] < lists->classes)
        length++;
    return length;
}

static size_t touch(float *sums, int32_t *touched, size_t count, int32_t label, float amount) {
    if (sums[label] == UNTOUCHED) {
        sums[label] = 0.0f;
        touched[count++] = label;
    }
    sums[label] += amount;
    return count;
}

/* Adds up what neighbours say of a label beyond what they say of every label, which is returned through base; what
 * pulls in all, through pull. Returns the number of touched labels. */
static size_t merge(const pk_edges *edges, const pk_lists *before, const pk_pulls *pulls, size_t row, float *sums,
                    int32_t *touched, double *base, double *pull) {
    const int64_t end = edges->starts[row + 1], last = edges->starts[edges->rows] - 1;
    size_t count = 0;
    *base = (double)pulls->uniform / (double)before->classes;
    *pull = (double)pulls->uniform;
    if (pulls->seeds[row] >= 0 && (size_t)pulls->seeds[row] < before->classes) {
        count = touch(sums, touched, count, pulls->seeds[row], pulls->seed);
        *pull += (double)pulls->seed;
    }
    for (int64_t edge = edges->starts[row]; edge < end; edge++) {
        const size_t other = (size_t)edges->ends[edge], at = other * before->top;
        const size_t next = (size_t)edges->ends[edge + AHEAD < last ? edge + AHEAD : last];
        const float weight = pulls->edge * edges->weights[edge], rest = before->rest[other];
        const int32_t *labels = before->labels + at;
        PK_PREFETCH(before->labels + next * before->top);
        PK_PREFETCH(before->probabilities + next * before->top);
        PK_PREFETCH(before->rest + next);
        for (size_t place = 0; place < before->top; place++) {
            if (labels[place] < 0 || (size_t)labels[place] >= before->classes) break;
            const float excess = before->probabilities[at + place] - rest;
            if (excess > 0.0f) count = touch(sums, touched, count, labels[place], weight * excess);
        }
        *base += (double)weight * (double)rest;
        *pull += (double)weight;
    }
    return count;
}

/* Enters a label into the ordered list of length labels and returns the new length. */
static size_t enter(int32_t *labels, float *values, size_t length, size_t top, int32_t label, float value) {
    if (length == top) {
        if (value < values[top - 1] || (value == values[top - 1] && label > labels[top - 1])) return length;
        length--;
    }
    size_t place = length;
    for (; place && (values[place - 1] < value || (values[place - 1] == value && labels[place - 1] > label)); place--) {
        values[place] = values[place - 1];
        labels[place] = labels[place - 1];
    }
    values[place] = value;
    labels[place] = label;
    return length + 1;
}

static float distance(float one, float other) {
    return one > other ? one - other : other - one;
}

/* The largest difference of a probability between two lists of a row; sums is untouched everywhere, before and after.
 */
static float largest_change(const pk_lists *before, const pk_lists *next, size_t row, size_t length, float *sums) {
    const size_t at = row * next->top, old_length = length_of(before, row);
    const int left_out = old_length < before->classes && length < next->classes;
    float change = left_out ? distance(before->rest[row], next->rest[row]) : 0.0f;
    for (size_t place = 0; place < old_length; place++)
        sums[before->labels[at + place]] = before->probabilities[at + place];
    for (size_t place = 0; place < length; place++) {
        float *was = sums + next->labels[at + place];
        const float moved = distance(*was == UNTOUCHED ? before->rest[row] : *was, next->probabilities[at + place]);
        if (moved > change) change = moved;
        *was = UNTOUCHED;
    }
    /* What still stands there has left the list. */
    for (size_t place = 0; place < old_length; place++) {
        float *was = sums + before->labels[at + place];
        if (*was != UNTOUCHED && distance(*was, next->rest[row]) > change) change = distance(*was, next->rest[row]);
        *was = UNTOUCHED;
    }
    return change;
}

/* The list of a row from its sums, which are untouched again afterwards. Returns the list's length. */
static size_t keep(const pk_lists *next, size_t row, float *sums, const int32_t *touched, size_t count, double base,
                   double pull) {
    const size_t at = row * next->top;
    int32_t *labels = next->labels + at;
    float *probabilities = next->probabilities + at;
    size_t length = 0;
    double left = 1.0;
    for (size_t each = 0; each < count; each++) {
        length = enter(labels, probabilities, length, next->top, touched[each], sums[touched[each]]);
        sums[touched[each]] = UNTOUCHED;
    }
    for (size_t place = 0; place < length; place++) {
        probabilities[place] = (float)(((double)probabilities[place] + base) / pull);
        left -= (double)probabilities[place];
    }
    for (size_t place = length; place < next->top; place++) {
        labels[place] = -1;
        probabilities[place] = 0.0f;
    }
    next->rest[row] = left > 0.0 && length < next->classes ? (float)(left / (double)(next->classes - length)) : 0.0f;
    return length;
}

float pk_expand(const pk_edges *edges, const pk_lists *before, const pk_pulls *pulls, size_t start, size_t stop,
                const pk_lists *next, float *sums, int32_t *touched) {
    float change = 0.0f;
    for (size_t label = 0; label < next->classes; label++)
        sums[label] = UNTOUCHED;
    for (size_t row = start; row < stop; row++) {
        double base, pull;
        const size_t count = merge(edges, before, pulls, row, sums, touched, &base, &pull);
        const size_t length = keep(next, row, sums, touched, count, base, pull);
        const float moved = largest_change(before, next, row, length, sums);
        if (moved > change) change = moved;
    }
    return change;
}
