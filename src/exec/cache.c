/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts and plans a session keeps. An entry's key is everything they hang on: which graph (the
 * model's, or a body in it), which values, which given values with what dtype, dims and samples,
 * how many samples. The least recently used entry makes room, unless it is in use: a body runs in
 * the middle of the run of the graph around it.
 */
#include "exec/exec.h"

#include <string.h>

static void entry_release(ubp_cached *e)
{
    ubp_facts_free(e->facts);
    ubp_plan_free(e->plan);
    ubp_free(e->key);
    *e = (ubp_cached){0};
}

void ubp_cache_release(ubp_cache *c)
{
    for (int i = 0; i < UBP_CACHE_SIZE; i++)
        entry_release(&c->entries[i]);
}

enum { GIVEN_KEY = 12 + 2 * UB_MAX_RANK };

static size_t add_samples(int64_t *key, size_t k, const ubp_samples *s)
{
    key[k++] = s->kind;
    key[k++] = s->axis;
    key[k++] = s->outer;
    key[k++] = s->inner;
    key[k++] = s->coupled | s->sized << 1 | s->positional << 2 | s->row_numbers << 3;
    key[k++] = s->culprit;
    key[k++] = (int64_t)(intptr_t)s->why;
    return k;
}

static size_t add_given(int64_t *key, size_t k, const ubp_given *given)
{
    const ub_tensor *t = given->tensor;
    key[k++] = given->value;
    key[k++] = given->batch_axis;
    if (given->samples)
        k = add_samples(key, k, given->samples);
    if (!t)
        return k;
    key[k++] = t->dtype;
    key[k++] = t->rank;
    for (int a = 0; a < t->rank; a++) {
        key[k++] = t->dims[a];
        key[k++] = t->dims[a] > 1 ? t->strides[a] : 0;
    }
    return k;
}

static ub_status make_key(int64_t **out, size_t *len, const ubp_ask *ask, int kind, ub_error *err)
{
    size_t n = 9 + (size_t)ask->n_wanted + (size_t)ask->n_given * GIVEN_KEY;
    int64_t *key = ubp_calloc(n, sizeof *key);
    if (!key)
        return ubp_fail_memory(err, n * sizeof *key);
    size_t k = 0;
    key[k++] = kind;
    key[k++] = (int64_t)(intptr_t)ask->graph;
    key[k++] = ask->n;
    key[k++] = ask->fixed_batch;
    key[k++] = (int64_t)ask->keep_bytes;
    key[k++] = ask->in_body ? ask->holder : -1;
    key[k++] = ask->n_wanted;
    for (int i = 0; i < ask->n_wanted; i++)
        key[k++] = ask->wanted[i];
    for (int i = 0; i < ask->n_given; i++)
        k = add_given(key, k, &ask->given[i]);
    *out = key;
    *len = k;
    return UB_OK;
}

/* The entry of that key, or an emptied one to fill. Takes key over. */
static ubp_cached *find(ubp_cache *c, int64_t *key, size_t len)
{
    ubp_cached *oldest = NULL;
    for (int i = 0; i < UBP_CACHE_SIZE; i++) {
        ubp_cached *e = &c->entries[i];
        if (e->key && e->key_len == len && memcmp(e->key, key, len * sizeof *key) == 0) {
            ubp_free(key);
            e->used = ++c->clock;
            return e;
        }
        if (e->in_use == 0 && (!oldest || e->used < oldest->used))
            oldest = e;
    }
    if (!oldest) {
        ubp_free(key);
        return NULL;
    }
    entry_release(oldest);
    oldest->key = key;
    oldest->key_len = len;
    oldest->used = ++c->clock;
    return oldest;
}

/* Bodies nest less deep than there are entries. */
static ub_status find_entry(ubp_cache *c, ubp_cached **out, const ubp_ask *ask, int kind,
                            ub_error *err)
{
    int64_t *key = NULL;
    size_t len = 0;
    UBP_TRY(make_key(&key, &len, ask, kind, err));
    *out = find(c, key, len);
    return *out ? UB_OK : ubp_fail(err, UB_ERR_INTERNAL, "all kept plans are in use");
}

ub_status ubp_cache_facts(ubp_cache *c, ubp_cached **out, const ubp_ask *ask, ub_error *err)
{
    UBP_TRY(find_entry(c, out, ask, ask->partial ? 2 : 0, err));
    ubp_cached *e = *out;
    if (e->facts)
        return UB_OK;
    const ub_status st = ubp_facts_new(&e->facts, ask, err);
    if (st != UB_OK)
        entry_release(e);
    return st;
}

ub_status ubp_cache_plan(ubp_cache *c, ubp_cached **out, const ubp_ask *ask,
                         struct ubp_onednn *onednn, bool micro, ubp_facts *facts, ub_error *err)
{
    UBP_TRY(find_entry(c, out, ask, 1, err));
    ubp_cached *e = *out;
    if (e->plan || e->facts || (micro && e->micro.samples))
        return UB_OK;
    c->made++;
    ub_status st = UB_OK;
    if (facts)
        ubp_facts_share(facts);
    else
        st = ubp_facts_new(&facts, ask, err);
    if (st == UB_OK && facts->needs_data >= 0)
        e->facts = facts; /* remembers that there is no plan */
    else if (st == UB_OK)
        st = ubp_plan_new(&e->plan, facts, ask, onednn, err);
    if (st != UB_OK)
        entry_release(e);
    return st;
}

void ubp_cache_forget(ubp_cached *e, ubp_micro micro)
{
    ubp_plan_free(e->plan);
    e->plan = NULL;
    e->micro = micro;
}
