/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for the batch rules of operators that move elements. A rule says where the samples go; the
 * last step of each compares that with how the output's dims grow with the batch.
 */
#include <string.h>

#include "ops/move.h"

void ubp_samples_words(ubp_batch *b, int k, int i)
{
    if (i >= b->call->n_in || !b->call->in[i])
        return;
    b->out[k].sized |= b->in[i].sized;
    b->out[k].positional |= b->in[i].positional;
}

void ubp_samples_tuples(ubp_batch *b, int k)
{
    const ub_tensor *in = b->call->in[0], *out = b->call->out[k];
    bool same =
        in->rank > 0 && out && out->rank > 0 && in->dims[in->rank - 1] == out->dims[out->rank - 1];
    b->out[k].row_numbers = same && b->in[0].row_numbers;
}

void ubp_samples_axis(ubp_batch *b, int k, int i, int axis)
{
    const ubp_samples *from = &b->in[i];
    b->out[k].kind = UBP_SAMPLES_AXIS;
    b->out[k].axis = axis;
    b->out[k].outer = from->outer;
    b->out[k].inner = from->inner;
}

void ubp_samples_keep(ubp_batch *b, int k, int i)
{
    if (ubp_has_samples(b, i))
        ubp_samples_axis(b, k, i, b->in[i].axis);
    ubp_samples_words(b, k, i);
    ubp_samples_fit(b, k);
}

void ubp_samples_couple_all(ubp_batch *b, const char *why)
{
    for (int k = 0; k < b->call->n_out; k++)
        ubp_samples_couple(b, k, why);
}

bool ubp_samples_plain(ubp_batch *b, int first, int last, const char *why)
{
    for (int i = first; i <= last && i < b->call->n_in; i++)
        if (ubp_has_samples(b, i)) {
            ubp_samples_couple_all(b, why);
            return false;
        }
    return true;
}

/* Integers that are the same for one sample more do not count samples after all: dim 1 of a shape
 * whose dim 0 does. */
static bool counts_nothing(const ub_tensor *now, const ub_tensor *next)
{
    return now->data && next->data && ubp_same_dims(now, next) && ub_tensor_is_contiguous(now) &&
           ub_tensor_is_contiguous(next) &&
           memcmp(now->data, next->data, ubp_tensor_bytes(now)) == 0;
}

void ubp_samples_fit(ubp_batch *b, int k)
{
    const ub_tensor *now = b->call->out[k];
    ubp_samples *map = &b->out[k];
    if (!now)
        return;
    bool fits = map->kind == UBP_SAMPLES_NONE ||
                (map->axis < now->rank && map->outer * b->n * map->inner == now->dims[map->axis]);
    if (b->grown) {
        const ub_tensor *next = &b->grown[k];
        fits = fits && next->rank == now->rank;
        for (int i = 0; fits && i < now->rank; i++) {
            bool samples = map->kind == UBP_SAMPLES_AXIS && map->axis == i;
            int64_t want = samples ? map->outer * (b->n + 1) * map->inner : now->dims[i];
            fits = next->dims[i] == want;
        }
    }
    if (fits && map->sized && b->grown && counts_nothing(now, &b->grown[k]))
        map->sized = false;
    if (fits)
        return;
    map->kind = UBP_SAMPLES_NONE;
    ubp_samples_couple(b, k, "its size hangs on the number of samples");
}

/* The index names for each place of the batch its own row: known from how it was made, and where
 * its values are known they are looked at too. */
bool ubp_samples_own_rows(const ubp_batch *b, int in, int64_t entries, int64_t size)
{
    const ub_tensor *t = b->call->in[in];
    const ubp_samples *map = &b->in[in];
    if (!map->positional || map->kind != UBP_SAMPLES_AXIS)
        return false;
    if (!t->data || ub_tensor_count(t) == 0)
        return entries == 1;
    int64_t at[UB_MAX_RANK] = {0};
    for (int64_t i = ub_tensor_count(t); i > 0; i--) {
        int64_t offset = 0;
        for (int a = 0; a < t->rank; a++)
            offset += at[a] * t->strides[a];
        int64_t row = ubp_read_i64((char *)t->data + offset, t->dtype);
        row = row < 0 ? row + size : row;
        if (row < 0 || row / entries % b->n != at[map->axis] / map->inner % b->n)
            return false;
        for (int a = t->rank; a-- > 0;) {
            if (++at[a] < t->dims[a])
                break;
            at[a] = 0;
        }
    }
    return true;
}
