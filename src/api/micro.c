/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Micro-batches: a large batch is run a few samples at a time where its values would leave the
 * cache between one step and the next: blocks one after the other, all threads at each, or side by
 * side, a thread at each. Samples have the same bits either way.
 */
#include "api/api.h"

#include <string.h>

/* Bytes that a run reads and writes. */
typedef struct traffic {
    double values, weights;
} traffic;

static void add(traffic *t, const ubp_plan *p, const int32_t *slots, int n, double most)
{
    for (int i = 0; i < n; i++) {
        if (slots[i] < 0)
            continue;
        const ubp_slot *s = &p->slots[slots[i]];
        const double bytes = (double)ubp_tensor_bytes(&s->t);
        if (p->slots[s->root].place == UBP_PLACE_CONST)
            t->weights += bytes < most ? bytes : most;
        else
            t->values += bytes;
    }
}

/* Of a table only the rows that come out are read. */
static traffic traffic_of(const ubp_plan *p)
{
    traffic t = {0};
    for (size_t i = 0; i < p->n_steps; i++) {
        const ubp_plan_step *s = &p->steps[i];
        const bool table = s->node && s->node->op && strcmp(s->node->op->name, "Gather") == 0;
        const double most =
            table ? (double)ubp_tensor_bytes(&p->slots[s->out[0]].t) : (double)SIZE_MAX;
        add(&t, p, s->in, s->n_in, most);
        add(&t, p, s->out, s->n_out, most);
    }
    return t;
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

/* The text of strings lives in one arena for the whole run. */
static bool has_strings(const ubp_plan *p)
{
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].t.dtype == UB_STRING)
            return true;
    return false;
}

/* Whether all threads are busy to the end, or nearly so, with blocks of n samples. */
static bool shares_out(int64_t samples, int64_t n, int64_t team)
{
    enum { PATIENCE = 8 };
    const int64_t blocks = samples / n;
    return samples % n == 0 && (blocks % team == 0 || blocks >= PATIENCE * team);
}

ubp_micro ubp_micro_batch(const ubp_plan *p, const int32_t *values, int n_values, int64_t samples,
                          int threads)
{
    /* The memory of a run that may leave the cache, and that a block should have; wanted values,
     * which are copied, in shares of the run's memory; what reading the weights again may cost in
     * shares of the values' traffic, for all threads together and for each. Measured:
     * docs/decisions/micro-batches.md. */
    const size_t large = (size_t)8 << 20, block = (size_t)2 << 20, copied = 4;
    const double share = 0.4, own_share = 0.8;
    const int64_t team = threads > 0 ? threads : 1;
    if (samples < 2 * team || p->arena_bytes < large || p->own_bytes > p->arena_bytes / copied ||
        p->n_wanted != n_values || !divides(p, values, n_values))
        return (ubp_micro){0};
    const traffic t = traffic_of(p);
    const double memory = (double)p->arena_bytes / (double)samples;
    const bool side = team > 1 && !has_strings(p);
    for (int64_t n = 1; side && n <= samples / team; n++)
        if (t.weights <= own_share * t.values / (double)samples * (double)n &&
            memory * (double)n >= (double)block / (double)team && shares_out(samples, n, team))
            return (ubp_micro){.samples = n, .side = true};
    int64_t least = 0;
    for (int64_t n = team; n <= samples / 2 && (!least || n <= 2 * least); n += team) {
        const bool fits = t.weights <= share * t.values / (double)samples * (double)n &&
                          memory * (double)n >= (double)block;
        if (fits && samples % n == 0) /* a smaller last block would take a plan of its own */
            return (ubp_micro){.samples = n};
        if (fits && !least)
            least = n;
    }
    return (ubp_micro){.samples = least};
}
