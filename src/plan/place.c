/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: offsets in one arena for all slots that live inside a run. Walks the steps in order; each
 * slot takes the tightest free gap when it is first written and gives it back after its last use.
 */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

typedef struct gap {
    size_t at, size;
} gap;

typedef struct placer {
    gap *gaps; /* free ranges below `top`, sorted by at, never touching */
    size_t n, cap, top;
    ub_error *err;
} placer;

static size_t take(placer *a, size_t size)
{
    size_t best = a->n;
    for (size_t i = 0; i < a->n; i++)
        if (a->gaps[i].size >= size && (best == a->n || a->gaps[i].size < a->gaps[best].size))
            best = i;
    if (best < a->n) {
        size_t at = a->gaps[best].at;
        a->gaps[best].at += size;
        a->gaps[best].size -= size;
        if (a->gaps[best].size == 0)
            memmove(&a->gaps[best], &a->gaps[best + 1], (--a->n - best) * sizeof *a->gaps);
        return at;
    }
    /* Nothing fits: grow the top, using a gap that touches it. */
    size_t at = a->top;
    if (a->n && a->gaps[a->n - 1].at + a->gaps[a->n - 1].size == a->top)
        at = a->gaps[--a->n].at;
    a->top = at + size;
    return at;
}

static ub_status give(placer *a, size_t at, size_t size)
{
    UBP_TRY(ubp_grow((void **)&a->gaps, &a->cap, a->n + 1, sizeof *a->gaps, a->err));
    size_t i = 0;
    while (i < a->n && a->gaps[i].at < at)
        i++;
    memmove(&a->gaps[i + 1], &a->gaps[i], (a->n - i) * sizeof *a->gaps);
    a->gaps[i] = (gap){at, size};
    a->n++;
    if (i + 1 < a->n && at + size == a->gaps[i + 1].at) {
        a->gaps[i].size += a->gaps[i + 1].size;
        memmove(&a->gaps[i + 1], &a->gaps[i + 2], (--a->n - i - 1) * sizeof *a->gaps);
    }
    if (i > 0 && a->gaps[i - 1].at + a->gaps[i - 1].size == at) {
        a->gaps[i - 1].size += a->gaps[i].size;
        memmove(&a->gaps[i], &a->gaps[i + 1], (--a->n - i) * sizeof *a->gaps);
    }
    return UB_OK;
}

static void touch(ubp_plan *p, int32_t slot, int step)
{
    if (slot < 0)
        return;
    ubp_slot *root = &p->slots[p->slots[slot].root];
    if (root->first < 0)
        root->first = step;
    root->last = step;
}

/* Bytes a slot's memory takes, rounded up so that neighbours stay aligned. */
static ub_status measure(ubp_slot *s, ub_error *err)
{
    int64_t low, high;
    if (!ubp_tensor_extent(&s->t, &low, &high) || low != 0 || high > INT64_MAX - ALIGNMENT)
        return ubp_fail(err, UB_ERR_INTERNAL, "a slot has no plain layout");
    s->bytes = ((size_t)high + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (s->bytes == 0)
        s->bytes = ALIGNMENT;
    return UB_OK;
}

ub_status ubp_plan_place(ubp_plan *p, ub_error *err)
{
    placer a = {.err = err};
    for (size_t i = 0; i < p->n_steps; i++) {
        const ubp_plan_step *s = &p->steps[i];
        for (int k = 0; k < s->n_in; k++)
            touch(p, s->in[k], (int)i);
        for (int k = 0; k < s->n_out; k++)
            touch(p, s->out[k], (int)i);
    }
    /* Slots by the step that ends them: a list per step, linked through `next`. */
    size_t n = p->n_slots + 1, steps = p->n_steps + 1;
    int32_t *next = ubp_arena_array(&p->arena, n, sizeof *next);
    int32_t *ends = ubp_arena_array(&p->arena, steps, sizeof *ends);
    int32_t *begins = ubp_arena_array(&p->arena, steps, sizeof *begins);
    int32_t *next_begin = ubp_arena_array(&p->arena, n, sizeof *next_begin);
    if (!next || !ends || !begins || !next_begin)
        return ubp_fail_memory(err, n * sizeof *next);
    memset(ends, -1, steps * sizeof *ends);
    memset(begins, -1, steps * sizeof *begins);
    for (size_t i = 0; i < p->n_slots; i++) {
        ubp_slot *s = &p->slots[i];
        if (s->place != UBP_PLACE_ARENA && s->place != UBP_PLACE_OWN)
            continue;
        UBP_TRY(measure(s, err));
        if (s->place == UBP_PLACE_OWN && !ubp_add_size(p->own_bytes, s->bytes, &p->own_bytes))
            return ubp_fail_memory(err, SIZE_MAX);
        if (s->place != UBP_PLACE_ARENA || s->first < 0)
            continue;
        next[i] = ends[s->last];
        ends[s->last] = (int32_t)i;
        next_begin[i] = begins[s->first];
        begins[s->first] = (int32_t)i;
    }
    ub_status st = UB_OK;
    for (size_t i = 0; i < p->n_steps && st == UB_OK; i++) {
        for (int32_t s = begins[i]; s >= 0 && st == UB_OK; s = next_begin[s]) {
            if (a.top > SIZE_MAX / 2 || p->slots[s].bytes > SIZE_MAX / 2)
                st = ubp_fail_memory(err, SIZE_MAX);
            else
                p->slots[s].offset = (int64_t)take(&a, p->slots[s].bytes);
        }
        for (int32_t s = ends[i]; s >= 0 && st == UB_OK; s = next[s])
            st = give(&a, (size_t)p->slots[s].offset, p->slots[s].bytes);
    }
    p->arena_bytes = a.top;
    ubp_free(a.gaps);
    return st;
}
