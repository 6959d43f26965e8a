/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Concat: tensors side by side along one axis. Follows ONNX opset 13.
 */
#include "ops/move.h"

typedef struct concat_attr {
    int64_t axis;
} concat_attr;

static ub_status concat_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    if (!ubp_node_attr(node, "axis"))
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (Concat) has no attribute axis", node->name);
    return ubp_attr_int(node, "axis", 0, &((concat_attr *)attr)->axis, err);
}

static ub_status concat_infer(const ubp_call *c)
{
    const concat_attr *attr = c->attr;
    const ub_tensor *first = c->in[0];
    char text[UBP_SHAPE_TEXT], other[UBP_SHAPE_TEXT];
    int axis = 0;
    UBP_TRY(ubp_want_axis(c, attr->axis, first->rank, &axis));
    ub_tensor sum = *first;
    for (int i = 1; i < c->n_in; i++) {
        UBP_TRY(ubp_want_same_dtype(c, 0, i));
        const ub_tensor *t = c->in[i];
        bool fits = t->rank == first->rank;
        for (int a = 0; fits && a < first->rank; a++)
            fits = a == axis || t->dims[a] == first->dims[a];
        if (!fits)
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "inputs 0 and %d, %s and %s, differ besides axis %d", i,
                               ubp_shape_text(text, first->rank, first->dims),
                               ubp_shape_text(other, t->rank, t->dims), axis);
        if (!ubp_add_i64(sum.dims[axis], t->dims[axis], &sum.dims[axis]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "the output's axis %d is too long", axis);
    }
    return ubp_set_out(c, 0, first->dtype, sum.rank, sum.dims);
}

static ub_status concat_ref(const ubp_call *c)
{
    const concat_attr *attr = c->attr;
    const ub_tensor *out = c->out[0];
    int64_t at = 0;
    int axis = 0;
    UBP_TRY(ubp_want_axis(c, attr->axis, out->rank, &axis));
    for (int i = 0; i < c->n_in; i++) {
        int64_t count = c->in[i]->dims[axis];
        ub_tensor dst = ubp_part(out, axis, at, 1, count);
        ubp_run_move(c->run, &dst, c->in[i]);
        at += count;
    }
    return UB_OK;
}

/* Along the batch: the samples of each input one after the other. */
static void concat_along(ubp_batch *b, int first, int axis)
{
    ubp_samples *out = &b->out[0];
    int64_t outer = 0;
    ubp_samples_axis(b, 0, first, axis);
    for (int i = 0; i < b->call->n_in; i++) {
        const ubp_samples *map = &b->in[i];
        if (b->call->in[i]->dims[axis] == 0)
            continue;
        const char *why = NULL;
        if (!ubp_has_samples(b, i))
            why = "Concat puts rows that belong to no sample next to samples";
        else if (map->axis != axis || map->inner != out->inner)
            why = "Concat joins samples that are folded in different ways";
        if (why) {
            out->kind = UBP_SAMPLES_NONE;
            ubp_samples_couple(b, 0, why);
            return;
        }
        outer += map->outer;
    }
    out->outer = outer;
}

/* Along another axis: every input must have the samples where the first has them. */
static void concat_across(ubp_batch *b, int first)
{
    const ubp_samples *map = &b->in[first];
    ubp_samples_axis(b, 0, first, map->axis);
    for (int i = 0; i < b->call->n_in; i++) {
        const ubp_samples *other = &b->in[i];
        if (ub_tensor_count(b->call->in[i]) == 0)
            continue;
        if (!ubp_has_samples(b, i)) {
            if (!ubp_samples_single(b))
                ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
        } else if (other->axis != map->axis || !ubp_same_folding(other, map)) {
            b->out[0].kind = UBP_SAMPLES_NONE;
            ubp_samples_couple(b, 0, "Concat joins samples that lie on different axes");
            return;
        }
    }
}

/* Columns of indices side by side, row numbers first: what GatherND reads to pick from each sample
 * its own row. */
static bool concat_row_numbers(const ubp_batch *b, int axis)
{
    const ub_tensor *first = b->call->in[0];
    return axis == first->rank - 1 && first->dims[axis] == 1 && ubp_samples_own_rows(b, 0, 1, b->n);
}

static void concat_batch(ubp_batch *b)
{
    const ubp_call *c = b->call;
    const concat_attr *attr = c->attr;
    int axis = 0, first = -1;
    bool positional = true;
    if (ubp_want_axis(c, attr->axis, c->in[0]->rank, &axis) != UB_OK)
        return;
    for (int i = 0; i < c->n_in; i++) {
        b->out[0].sized |= b->in[i].sized;
        positional = positional && b->in[i].positional;
        if (first < 0 && ubp_has_samples(b, i) && ub_tensor_count(c->in[i]) > 0)
            first = i;
    }
    for (int i = 0; first < 0 && i < c->n_in; i++)
        if (ubp_has_samples(b, i))
            first = i;
    if (first >= 0 && b->in[first].axis == axis)
        concat_along(b, first, axis);
    else if (first >= 0)
        concat_across(b, first);
    b->out[0].positional = positional;
    b->out[0].row_numbers = concat_row_numbers(b, axis);
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_concat = {
    .name = "Concat",
    .domain = "",
    .min_in = 1,
    .max_in = 127,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(concat_attr),
    .attrs = concat_attrs,
    .infer = concat_infer,
    .batch = concat_batch,
    .ref = concat_ref,
};
