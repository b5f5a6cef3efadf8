/* The host's vectors of every width beside the portable core: the same scores and label of a text, or a crash. */

#ifndef WIDTHS_H
#define WIDTHS_H

#include "exact.h"
#include "host.h"

enum { WIDTHS = 2 };

/* A model for vectors of every width; NULL where the processor or the host's code takes it not. */
typedef struct {
    pg_host *hosts[WIDTHS];
} widths;

static inline widths open_widths(const pg_model *model) {
    static const int vectors[WIDTHS] = {256, 512};
    widths all;
    for (int i = 0; i < WIDTHS; i++) {
        all.hosts[i] = pg_host_open(model, vectors[i]);
        require(!all.hosts[i] || pg_host_vectors(all.hosts[i]) == (unsigned)vectors[i]);
    }
    return all;
}

static inline void close_widths(const widths *all) {
    for (int i = 0; i < WIDTHS; i++)
        pg_host_close(all->hosts[i]);
}

/* One scratch serves every model and text: whatever a call leaves behind in it must not matter. */
static inline pg_host_scratch *only_scratch(void) {
    static pg_host_scratch *scratch;
    if (!scratch) scratch = pg_host_scratch_open();
    return scratch;
}

static inline void require_same(const pg_model *model, const widths *all, const char *text, size_t length,
                                const int32_t *scores, uint32_t label) {
    for (int i = 0; i < WIDTHS; i++) {
        if (!all->hosts[i]) continue;
        int32_t *own = exact_aligned(model->classes, sizeof *own);
        require(pg_host_predict(all->hosts[i], text, length, only_scratch(), own) == label);
        require(memcmp(own, scores, model->classes * sizeof *own) == 0);
        free(own);
    }
}

#endif
