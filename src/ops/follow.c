/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the maps of several inputs into the one of an output; see follow.h.
 */
#include "ops/follow.h"

ubp_follow ubp_follow_begin(ubp_batch *b, int k)
{
    return (ubp_follow){.b = b, .k = k, .axis = -1};
}

bool ubp_follow_has(const ubp_follow *f, int i)
{
    return ubp_has_in(f->b->call, i) && f->b->in[i].kind == UBP_SAMPLES_AXIS;
}

void ubp_follow_to(ubp_follow *f, int axis, int64_t outer, int64_t inner)
{
    if (!f->found) {
        f->found = true;
        f->axis = axis;
        f->outer = outer;
        f->inner = inner;
    } else if (f->axis != axis || f->outer != outer || f->inner != inner) {
        ubp_samples_couple(f->b, f->k, "samples lie on different axes of the operands");
    }
}

void ubp_follow_input(ubp_follow *f, int i, int axis)
{
    ubp_follow_to(f, axis, f->b->in[i].outer, f->b->in[i].inner);
}

void ubp_follow_end(ubp_follow *f)
{
    ubp_samples *s = &f->b->out[f->k];
    int64_t size;
    if (!f->found || !ubp_has_out(f->b->call, f->k))
        return;
    const ub_tensor *out = f->b->call->out[f->k];
    if (f->axis < 0 || f->axis >= out->rank)
        return;
    /* The only sample was broadcast along this axis: all of it is that sample's. */
    if (f->b->n == 1 && f->outer == 1 && f->inner == 1)
        f->inner = out->dims[f->axis];
    if (!ubp_mul_i64(f->outer, f->b->n, &size) || !ubp_mul_i64(size, f->inner, &size) ||
        size != out->dims[f->axis]) {
        ubp_samples_couple(f->b, f->k, "the axis of the samples changes its size");
        return;
    }
    s->kind = UBP_SAMPLES_AXIS;
    s->axis = f->axis;
    s->outer = f->outer;
    s->inner = f->inner;
}

void ubp_follow_data(ubp_batch *b, int k, int i)
{
    if (ubp_has_in(b->call, i) && (b->in[i].sized || b->in[i].positional))
        ubp_samples_couple(b, k, "uses the number of samples as data");
}

void ubp_follow_shared(ubp_batch *b, int k, int i)
{
    ubp_follow_data(b, k, i);
    if (ubp_has_in(b->call, i) && b->in[i].kind == UBP_SAMPLES_AXIS)
        ubp_samples_couple(b, k, "a parameter is different for each sample");
}
