/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for batch rules: given where the samples of the inputs lie, where do those of the outputs
 * lie, and does one sample's value depend on another sample? A wrong "no" here is a wrong answer to
 * the user, so every doubt ends in `coupled`.
 *
 * A map (axis, outer, inner) says that index j of the axis belongs to sample (j / inner) mod N, and
 * that the axis has outer * N * inner entries.
 */
#include "ops/ops.h"

#include <limits.h>
#include <string.h>

static const ub_tensor *input(const ubp_batch *b, int i)
{
    return i >= 0 && i < b->call->n_in ? b->call->in[i] : NULL;
}

static const ub_tensor *output(const ubp_batch *b, int k)
{
    return k >= 0 && k < b->call->n_out ? b->call->out[k] : NULL;
}

static bool has_axis(const ubp_batch *b, int i)
{
    return input(b, i) && b->in[i].kind == UBP_SAMPLES_AXIS;
}

void ubp_samples_couple(ubp_batch *b, int k, const char *why)
{
    ubp_samples *s = &b->out[k];
    if (s->coupled)
        return;
    s->coupled = true;
    s->why = why;
    s->culprit = UBP_NO_NODE;
}

static void inherit_from(ubp_batch *b, int k, int i)
{
    if (!input(b, i) || !b->in[i].coupled || b->out[k].coupled)
        return;
    b->out[k].coupled = true;
    b->out[k].why = b->in[i].why;
    b->out[k].culprit = b->in[i].culprit;
}

void ubp_samples_inherit(ubp_batch *b)
{
    for (int k = 0; k < b->call->n_out; k++)
        for (int i = 0; i < b->call->n_in; i++)
            inherit_from(b, k, i);
}

/* Puts the samples of output k on an axis, after checking that the axis can hold them. */
static void place(ubp_batch *b, int k, int axis, int64_t outer, int64_t inner)
{
    ubp_samples *s = &b->out[k];
    const ub_tensor *t = output(b, k);
    int64_t size;
    if (!t)
        return;
    if (axis < 0 || axis >= t->rank || !ubp_mul_i64(outer, b->n, &size) ||
        !ubp_mul_i64(size, inner, &size) || t->dims[axis] != size) {
        s->kind = UBP_SAMPLES_NONE;
        ubp_samples_couple(b, k, "the axis of the samples changes its size");
        return;
    }
    s->kind = UBP_SAMPLES_AXIS;
    s->axis = axis;
    s->outer = outer;
    s->inner = inner;
}

void ubp_samples_like(ubp_batch *b, int k, int i, int shift)
{
    if (!input(b, i))
        return;
    const ubp_samples *in = &b->in[i];
    inherit_from(b, k, i);
    b->out[k].sized |= in->sized;
    b->out[k].positional |= in->positional;
    if (in->kind == UBP_SAMPLES_AXIS)
        place(b, k, in->axis + shift, in->outer, in->inner);
}

/* ---- Broadcasting ------------------------------------------------------------------------------
 */

/* A map with its axis counted from the right, as broadcasting aligns shapes. */
typedef struct aligned {
    bool found;
    bool stretched; /* from an axis of size 1: all of the output's axis is the one sample's */
    int right;
    int64_t outer, inner;
} aligned;

/* Joins the map of input i into `all`; false when the two place samples differently. */
static bool join(const ubp_batch *b, int k, int i, aligned *all)
{
    const ub_tensor *in = input(b, i), *out = output(b, k);
    const ubp_samples *s = &b->in[i];
    aligned a = {true, false, in->rank - 1 - s->axis, s->outer, s->inner};
    int axis = out->rank - 1 - a.right;
    if (axis < 0)
        return false;
    /* Only one sample can lie on an axis of size 1. */
    if (in->dims[s->axis] == 1 && out->dims[axis] != 1) {
        a.stretched = true;
        a.outer = 1;
        a.inner = out->dims[axis];
    }
    if (!all->found || (all->stretched && all->right == a.right)) {
        *all = a;
        return true;
    }
    if (a.stretched && all->right == a.right)
        return true;
    return all->right == a.right && all->outer == a.outer && all->inner == a.inner;
}

/* Whether an input without samples has entries of its own along the samples' axis. */
static bool has_rows(const ubp_batch *b, int i, int right)
{
    const ub_tensor *t = input(b, i);
    return t && b->in[i].kind == UBP_SAMPLES_NONE && t->rank > right &&
           t->dims[t->rank - 1 - right] != 1;
}

void ubp_samples_broadcast(ubp_batch *b, int k, int first, int last)
{
    const ub_tensor *out = output(b, k);
    ubp_samples *s = &b->out[k];
    aligned all = {false, false, 0, 1, 1};
    bool agree = true, counts = false, data = false;
    if (!out)
        return;
    for (int i = first; i <= last; i++) {
        if (!input(b, i))
            continue;
        inherit_from(b, k, i);
        s->sized |= b->in[i].sized;
        s->positional |= b->in[i].positional;
        if (b->in[i].sized || b->in[i].positional)
            counts = true;
        else if (has_axis(b, i))
            data = true;
        if (has_axis(b, i))
            agree = agree && join(b, k, i, &all);
    }
    if (all.found)
        place(b, k, out->rank - 1 - all.right, all.outer, all.inner);
    if (!agree)
        ubp_samples_couple(b, k, "samples lie on different axes of the operands");
    if (data && counts) {
        ubp_samples_couple(b, k, "uses the number of samples as data");
        s->sized = s->positional = false;
    }
    /* With one sample the rows can only be that sample's own. */
    for (int i = first; i <= last && all.found && b->n != 1; i++)
        if (has_rows(b, i, all.right))
            ubp_samples_couple(b, k, "an operand has fixed entries for each sample");
}

/* ---- Reshaping ---------------------------------------------------------------------------------
 */

/* Product of dims[from .. rank-1]; the whole tensor's size was checked when it was described. */
static int64_t product_from(const ub_tensor *t, int from)
{
    int64_t p = 1;
    for (int i = from; i < t->rank; i++)
        p *= t->dims[i];
    return p;
}

/* Samples change every `run` elements of the flat order. Whether axis of t can carry them, and with
 * which folds. Flat index f = q*P + r, P = elements after an index q of the axis (and those
 * before): f / run = q / (run / P) when P divides run, so the sample is a function of the axis
 * alone iff run/P * n divides the axis' size. */
static bool carries(const ub_tensor *t, int axis, int64_t run, int64_t n, int64_t *outer,
                    int64_t *inner)
{
    int64_t after = product_from(t, axis + 1), period;
    if (after <= 0 || run <= 0 || n <= 0 || after > run || run % after != 0)
        return false;
    *inner = run / after;
    if (!ubp_mul_i64(*inner, n, &period) || t->dims[axis] == 0 || t->dims[axis] % period != 0)
        return false;
    *outer = t->dims[axis] / period;
    return true;
}

/* The only axis whose size the batch changes; -1: none, -2: several. */
static int growing_axis(const ub_tensor *t, const ub_tensor *grown)
{
    int axis = -1;
    if (t->rank != grown->rank)
        return -2;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] == grown->dims[i])
            continue;
        if (axis != -1)
            return -2;
        axis = i;
    }
    return axis;
}

/* With one sample several axes may do. Best is the axis that grows with the batch. When that is not
 * known: one of size 1 with a whole sample behind it, then one that is as the input's was, then the
 * leftmost. */
static int reshape_axis(const ubp_batch *b, int k, const ub_tensor *in, const ubp_samples *s,
                        int64_t run)
{
    const ub_tensor *out = output(b, k);
    int64_t outer, inner;
    if (b->grown) {
        int axis = growing_axis(out, &b->grown[k]);
        if (axis >= 0 && carries(out, axis, run, b->n, &outer, &inner))
            return axis;
        if (axis == -2)
            return -1;
    }
    int64_t after = product_from(in, s->axis + 1);
    int best = -1, best_score = -1;
    for (int axis = 0; axis < out->rank; axis++) {
        if (!carries(out, axis, run, b->n, &outer, &inner))
            continue;
        bool unit = out->dims[axis] == 1 && inner == 1;
        bool alike = out->dims[axis] == in->dims[s->axis] && product_from(out, axis + 1) == after;
        int score = (unit ? 4 : 0) + (alike ? 2 : 0) + (axis == s->axis ? 1 : 0);
        if (score <= best_score)
            continue;
        best = axis;
        best_score = score;
    }
    return best;
}

/* A tensor without elements has nothing to mix; its axis is followed where that is plain. */
static void reshape_empty(ubp_batch *b, int k, const ubp_samples *s)
{
    const ub_tensor *out = output(b, k);
    int64_t size = input(b, 0)->dims[s->axis];
    int axis = -1;
    if (b->grown)
        axis = growing_axis(out, &b->grown[k]);
    for (int i = 0; axis < 0 && i < out->rank; i++)
        if (out->dims[i] == size && (i >= s->axis || size != 0))
            axis = i;
    if (axis >= 0 && out->dims[axis] == size)
        place(b, k, axis, s->outer, s->inner);
}

void ubp_samples_reshape(ubp_batch *b, int k)
{
    const ub_tensor *in = input(b, 0), *out = output(b, k);
    const ubp_samples *s = &b->in[0];
    int64_t run, outer = 1, inner = 1;
    if (!in || !out)
        return;
    inherit_from(b, k, 0);
    b->out[k].sized |= s->sized;
    b->out[k].positional |= s->positional;
    if (s->kind != UBP_SAMPLES_AXIS)
        return;
    if (ub_tensor_count(in) == 0) {
        reshape_empty(b, k, s);
        return;
    }
    run = s->inner * product_from(in, s->axis + 1);
    int axis = reshape_axis(b, k, in, s, run);
    if (axis >= 0 && carries(out, axis, run, b->n, &outer, &inner))
        place(b, k, axis, outer, inner);
    else
        ubp_samples_couple(b, k, "reshape merges samples beyond recovery");
}

/* ---- The other words ---------------------------------------------------------------------------
 */

void ubp_samples_grown(ubp_batch *b, int k)
{
    const ub_tensor *out = output(b, k);
    bool counts = false;
    if (!out)
        return;
    for (int i = 0; i < b->call->n_in; i++) {
        inherit_from(b, k, i);
        counts |= input(b, i) && (b->in[i].sized || b->in[i].positional || has_axis(b, i));
    }
    if (!b->grown) {
        /* With one sample, whatever there is is its own. */
        if (counts && b->n != 1)
            ubp_samples_couple(b, k, "its shape may depend on the number of samples");
        return;
    }
    const ub_tensor *grown = &b->grown[k];
    int axis = growing_axis(out, grown);
    if (axis == -1)
        return;
    int64_t each = axis >= 0 ? grown->dims[axis] - out->dims[axis] : 0;
    if (each > 0 && out->dims[axis] / each == b->n && out->dims[axis] % each == 0)
        place(b, k, axis, 1, each);
    else
        ubp_samples_couple(b, k, "its shape depends on the number of samples");
}

bool ubp_samples_mixes_axis(ubp_batch *b, int k, int i, int axis, const char *why)
{
    if (!has_axis(b, i) || b->in[i].axis != axis)
        return false;
    ubp_samples_couple(b, k, why);
    return true;
}

void ubp_batch_elementwise(ubp_batch *b)
{
    for (int k = 0; k < b->call->n_out; k++)
        ubp_samples_broadcast(b, k, 0, b->call->n_in - 1);
}

void ubp_batch_like_first(ubp_batch *b)
{
    for (int k = 0; k < b->call->n_out; k++) {
        ubp_samples_like(b, k, 0, 0);
        for (int i = 1; i < b->call->n_in; i++) {
            const ub_tensor *t = input(b, i);
            if (!t)
                continue;
            if (has_axis(b, i))
                ubp_samples_couple(b, k, "a parameter is different for each sample");
            else if (ubp_is_float(t->dtype) && b->in[i].sized)
                ubp_samples_couple(b, k, "uses the number of samples as data");
        }
    }
}

void ubp_batch_shape_only(ubp_batch *b)
{
    for (int k = 0; k < b->call->n_out; k++) {
        inherit_from(b, k, 0);
        b->out[k].sized = input(b, 0) && (has_axis(b, 0) || b->in[0].coupled || b->in[0].sized);
    }
}
