/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts and plans a session keeps. An entry's key is everything they hang on: which values,
 * which given values with what dtype and dims, how many samples. The least recently used entry
 * makes room.
 */
#include "api/api.h"

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

static ub_status make_key(int64_t **out, size_t *len, const ubp_ask *ask, int kind, ub_error *err)
{
    size_t n = 4 + (size_t)ask->n_wanted + (size_t)ask->n_given * (4 + 2 * UB_MAX_RANK);
    int64_t *key = ubp_calloc(n, sizeof *key);
    if (!key)
        return ubp_fail_memory(err, n * sizeof *key);
    size_t k = 0;
    key[k++] = kind;
    key[k++] = ask->n;
    key[k++] = ask->fixed_batch;
    key[k++] = ask->n_wanted;
    for (int i = 0; i < ask->n_wanted; i++)
        key[k++] = ask->wanted[i];
    for (int i = 0; i < ask->n_given; i++) {
        const ub_tensor *t = ask->given[i].tensor;
        key[k++] = ask->given[i].value;
        key[k++] = ask->given[i].batch_axis;
        key[k++] = t->dtype;
        key[k++] = t->rank;
        for (int a = 0; a < t->rank; a++) {
            key[k++] = t->dims[a];
            key[k++] = t->dims[a] > 1 ? t->strides[a] : 0;
        }
    }
    *out = key;
    *len = k;
    return UB_OK;
}

/* The entry of that key, or an emptied one to fill. Takes key over. */
static ubp_cached *find(ubp_cache *c, int64_t *key, size_t len)
{
    ubp_cached *oldest = &c->entries[0];
    for (int i = 0; i < UBP_CACHE_SIZE; i++) {
        ubp_cached *e = &c->entries[i];
        if (e->key && e->key_len == len && memcmp(e->key, key, len * sizeof *key) == 0) {
            ubp_free(key);
            e->used = ++c->clock;
            return e;
        }
        if (e->used < oldest->used)
            oldest = e;
    }
    entry_release(oldest);
    oldest->key = key;
    oldest->key_len = len;
    oldest->used = ++c->clock;
    return oldest;
}

ub_status ubp_cache_facts(ubp_cache *c, ubp_facts **out, const ubp_ask *ask, ub_error *err)
{
    int64_t *key;
    size_t len;
    UBP_TRY(make_key(&key, &len, ask, 0, err));
    ubp_cached *e = find(c, key, len);
    if (!e->facts) {
        ub_status st = ubp_facts_new(&e->facts, ask, err);
        if (st != UB_OK) {
            entry_release(e);
            return st;
        }
    }
    *out = e->facts;
    return UB_OK;
}

ub_status ubp_cache_plan(ubp_cache *c, ubp_plan **out, const ubp_ask *ask,
                         struct ubp_onednn *onednn, ub_error *err)
{
    int64_t *key;
    size_t len;
    *out = NULL;
    UBP_TRY(make_key(&key, &len, ask, 1, err));
    ubp_cached *e = find(c, key, len);
    if (e->plan || e->facts) {
        *out = e->plan;
        return UB_OK;
    }
    ubp_facts *facts;
    ub_status st = ubp_facts_new(&facts, ask, err);
    if (st == UB_OK && facts->needs_data >= 0)
        e->facts = facts; /* remembers that there is no plan */
    else if (st == UB_OK)
        st = ubp_plan_new(&e->plan, facts, ask, onednn, err);
    if (st != UB_OK) {
        entry_release(e);
        return st;
    }
    *out = e->plan;
    return UB_OK;
}
