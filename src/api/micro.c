/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Micro-batches: a large batch is run a few samples at a time where its values would leave the
 * cache between one step and the next. Samples have the same bits either way.
 */
#include "api/api.h"

/* Bytes that a run reads and writes. */
typedef struct traffic {
    double values, weights;
} traffic;

static void add(traffic *t, const ubp_plan *p, const int32_t *slots, int n)
{
    for (int i = 0; i < n; i++) {
        if (slots[i] < 0)
            continue;
        const ubp_slot *s = &p->slots[slots[i]];
        const double bytes = (double)ubp_tensor_bytes(&s->t);
        *(p->slots[s->root].place == UBP_PLACE_CONST ? &t->weights : &t->values) += bytes;
    }
}

/* Blocks can be put together: every value has its samples apart. */
static bool divides(const ubp_plan *p, const int32_t *values, int n)
{
    for (int i = 0; i < n; i++) {
        const ubp_samples *s = &p->facts->values[values[i]].samples;
        if (s->kind != UBP_SAMPLES_AXIS || s->coupled || s->sized || s->positional ||
            s->row_numbers)
            return false;
    }
    return true;
}

int64_t ubp_micro_batch(const ubp_plan *p, const int32_t *values, int n_values, int64_t samples,
                        int threads)
{
    /* The memory of a run that may leave the cache, and that a block should have; wanted values,
     * which are copied, in shares of the run's memory; what reading the weights again may cost in
     * shares of the values' traffic. Measured: docs/decisions/micro-batches.md. */
    const size_t large = (size_t)8 << 20, block = (size_t)2 << 20, copied = 4;
    const double share = 0.4;
    const int64_t team = threads > 0 ? threads : 1;
    if (samples < 2 * team || p->arena_bytes < large || p->own_bytes > p->arena_bytes / copied ||
        p->n_wanted != n_values || !divides(p, values, n_values))
        return 0;
    traffic t = {0};
    for (size_t i = 0; i < p->n_steps; i++) {
        add(&t, p, p->steps[i].in, p->steps[i].n_in);
        add(&t, p, p->steps[i].out, p->steps[i].n_out);
    }
    int64_t least = 0;
    for (int64_t n = team; n <= samples / 2 && (!least || n <= 2 * least); n += team) {
        const bool fits = t.weights <= share * t.values / (double)samples * (double)n &&
                          (double)p->arena_bytes / (double)samples * (double)n >= (double)block;
        if (fits && samples % n == 0)
            return n; /* a smaller last block would take a plan of its own */
        if (fits && !least)
            least = n;
    }
    return least;
}
