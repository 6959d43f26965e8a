/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather, GatherElements: entries of one axis, picked by an index. A Gather with one known index is
 * a view. Indices are checked before anything is copied. Follows ONNX opset 13.
 */
#include <string.h>

#include "ops/move.h"

typedef struct gather_attr {
    int64_t axis;
} gather_attr;

static ub_status gather_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(node, "axis", 0, &((gather_attr *)attr)->axis, err);
}

static ub_status gather_axis(const ubp_call *c, int *axis)
{
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_index(c, 1));
    return ubp_want_axis(c, ((const gather_attr *)c->attr)->axis, c->in[0]->rank, axis);
}

/* ---- Gather ------------------------------------------------------------------------------------
 */

static ub_status gather_infer(const ubp_call *c)
{
    const ub_tensor *data = c->in[0], *index = c->in[1];
    int64_t dims[2 * UB_MAX_RANK];
    int axis = 0, rank = 0;
    UBP_TRY(gather_axis(c, &axis));
    for (int i = 0; i < axis; i++)
        dims[rank++] = data->dims[i];
    for (int i = 0; i < index->rank; i++)
        dims[rank++] = index->dims[i];
    for (int i = axis + 1; i < data->rank; i++)
        dims[rank++] = data->dims[i];
    return ubp_set_out(c, 0, data->dtype, rank, dims);
}

static bool gather_view(const ubp_call *c, int k, int64_t *offset)
{
    const ub_tensor *data = c->in[0], *index = c->in[1];
    ub_tensor *out = c->out[k];
    int axis = 0, rank = 0;
    if (gather_axis(c, &axis) != UB_OK || !index->data || ub_tensor_count(index) != 1)
        return false;
    int64_t at = ubp_read_i64(index->data, index->dtype), dim = data->dims[axis];
    if (at < -dim || at >= dim)
        return false;
    for (int i = 0; i < axis; i++)
        out->strides[rank++] = data->strides[i];
    for (int i = 0; i < index->rank; i++)
        out->strides[rank++] = 0;
    for (int i = axis + 1; i < data->rank; i++)
        out->strides[rank++] = data->strides[i];
    *offset = (at < 0 ? at + dim : at) * data->strides[axis];
    return true;
}

typedef struct gather_job {
    const char *src;      /* [before][dim][run] */
    char *dst;            /* [before][n][run] */
    const int64_t *index; /* [n] */
    int64_t n, dim;
    size_t run; /* bytes */
} gather_job;

static void gather_rows(void *arg, int64_t begin, int64_t end)
{
    const gather_job *j = arg;
    int64_t before = begin / j->n, i = begin % j->n;
    char *dst = j->dst + (size_t)begin * j->run;
    for (int64_t row = begin; row < end; row++, dst += j->run) {
        const char *src = j->src + (size_t)(before * j->dim + j->index[i]) * j->run;
        ubp_copy_element(dst, src, j->run);
        if (++i == j->n) {
            i = 0;
            before++;
        }
    }
}

/* Any strides: for each index the slab of data behind it. */
static void gather_slabs(const ubp_call *c, int axis, const int64_t *index)
{
    const ub_tensor *data = c->in[0], *shape = c->in[1], *out = c->out[0];
    int64_t at[UB_MAX_RANK] = {0}, n = ub_tensor_count(shape);
    for (int64_t i = 0; i < n; i++) {
        ub_tensor src = *data, dst = *out;
        src.rank = dst.rank = 0;
        src.data = (char *)data->data + index[i] * data->strides[axis];
        for (int a = 0; a < shape->rank; a++)
            dst.data = (char *)dst.data + at[a] * out->strides[axis + a];
        for (int a = 0; a < data->rank; a++) {
            if (a == axis)
                continue;
            int r = src.rank++;
            dst.rank++;
            src.dims[r] = dst.dims[r] = data->dims[a];
            src.strides[r] = data->strides[a];
            dst.strides[r] = out->strides[a < axis ? a : a + shape->rank - 1];
        }
        ubp_run_move(c->run, &dst, &src);
        for (int a = shape->rank; a-- > 0;) {
            if (++at[a] < shape->dims[a])
                break;
            at[a] = 0;
        }
    }
}

static ub_status gather_ref(const ubp_call *c)
{
    const ub_tensor *data = c->in[0], *out = c->out[0];
    int64_t n = ub_tensor_count(c->in[1]), *index;
    int axis = 0;
    UBP_TRY(gather_axis(c, &axis));
    UBP_TRY(ubp_index_data(c, 1, &index));
    UBP_TRY(ubp_want_in_bounds(c, index, n, data->dims[axis], axis));
    if (ub_tensor_count(out) == 0)
        return UB_OK;
    if (!ub_tensor_is_contiguous(data) || !ub_tensor_is_contiguous(out)) {
        gather_slabs(c, axis, index);
        return UB_OK;
    }
    size_t run = (size_t)ubp_span(data->dims, axis + 1, data->rank) * ub_dtype_size(data->dtype);
    gather_job job = {data->data, out->data, index, n, data->dims[axis], run};
    int64_t rows = ubp_span(data->dims, 0, axis) * n;
    ubp_run_parallel(c->run, rows, (int64_t)((1 << 18) / run + 1), gather_rows, &job);
    return UB_OK;
}

static void gather_batch(ubp_batch *b)
{
    const ub_tensor *index = b->call->in[1];
    const ubp_samples *data = &b->in[0];
    ubp_samples *out = &b->out[0];
    int axis = 0;
    if (gather_axis(b->call, &axis) != UB_OK)
        return;
    bool data_has = ubp_has_samples(b, 0), index_has = ubp_has_samples(b, 1);
    ubp_samples_words(b, 0, 0);
    if (b->in[1].sized && !index_has)
        ubp_samples_couple(b, 0, "Gather picks by the number of samples");
    if (b->in[1].positional && !data_has)
        ubp_samples_couple(b, 0, "Gather picks by the place in the batch");
    if (data_has && data->axis == axis) {
        out->positional = false;
        if (!ubp_samples_own_rows(b, 1, data->inner, b->call->in[0]->dims[axis]) ||
            data->outer != 1)
            ubp_samples_couple(b, 0, "Gather picks samples by number");
        /* Whatever it picks, an index gives something to the sample that it is of. */
        if (!index_has)
            return;
        ubp_samples_axis(b, 0, 1, axis + b->in[1].axis);
    } else if (data_has && index_has) {
        ubp_samples_couple(b, 0, "Gather pairs every sample's data with every sample's index");
        return;
    } else if (data_has) {
        ubp_samples_axis(b, 0, 0, data->axis < axis ? data->axis : data->axis + index->rank - 1);
    } else if (index_has) {
        ubp_samples_axis(b, 0, 1, axis + b->in[1].axis);
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_gather = {
    .name = "Gather",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_BYTES,
    .attr_size = sizeof(gather_attr),
    .attrs = gather_attrs,
    .infer = gather_infer,
    .batch = gather_batch,
    .view = gather_view,
    .ref = gather_ref,
};

/* ---- GatherElements ----------------------------------------------------------------------------
 */

static ub_status gather_elements_infer(const ubp_call *c)
{
    const ub_tensor *data = c->in[0], *index = c->in[1];
    int axis = 0;
    UBP_TRY(gather_axis(c, &axis));
    UBP_TRY(ubp_want_rank(c, 1, data->rank, data->rank));
    for (int i = 0; i < data->rank; i++)
        if (i != axis && index->dims[i] > data->dims[i])
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d has %lld indices for %lld entries of data",
                               i, (long long)index->dims[i], (long long)data->dims[i]);
    return ubp_set_out(c, 0, data->dtype, index->rank, index->dims);
}

typedef struct elements_job {
    const ub_tensor *data, *out;
    const int64_t *index; /* out's dims, row-major */
    int axis;
} elements_job;

static void gather_elements_part(void *arg, int64_t begin, int64_t end)
{
    const elements_job *j = arg;
    const ub_tensor *data = j->data, *out = j->out;
    size_t size = ub_dtype_size(data->dtype);
    int64_t at[UB_MAX_RANK] = {0}, rest = begin;
    for (int a = out->rank; a-- > 0;) {
        at[a] = rest % out->dims[a];
        rest /= out->dims[a];
    }
    for (int64_t i = begin; i < end; i++) {
        const char *src = (const char *)data->data + j->index[i] * data->strides[j->axis];
        char *dst = out->data;
        for (int a = 0; a < out->rank; a++) {
            dst += at[a] * out->strides[a];
            if (a != j->axis)
                src += at[a] * data->strides[a];
        }
        ubp_copy_element(dst, src, size);
        for (int a = out->rank; a-- > 0;) {
            if (++at[a] < out->dims[a])
                break;
            at[a] = 0;
        }
    }
}

static ub_status gather_elements_ref(const ubp_call *c)
{
    int64_t n = ub_tensor_count(c->in[1]), *index;
    elements_job job = {c->in[0], c->out[0], NULL, 0};
    UBP_TRY(gather_axis(c, &job.axis));
    UBP_TRY(ubp_index_data(c, 1, &index));
    UBP_TRY(ubp_want_in_bounds(c, index, n, c->in[0]->dims[job.axis], job.axis));
    job.index = index;
    ubp_run_parallel(c->run, n, 1 << 14, gather_elements_part, &job);
    return UB_OK;
}

static void gather_elements_batch(ubp_batch *b)
{
    const ubp_samples *data = &b->in[0], *index = &b->in[1];
    bool data_has = ubp_has_samples(b, 0), index_has = ubp_has_samples(b, 1);
    int axis = 0;
    if (gather_axis(b->call, &axis) != UB_OK)
        return;
    ubp_samples_words(b, 0, 0);
    if (index->positional && !(data_has && data->axis == axis))
        ubp_samples_couple(b, 0, "GatherElements picks by the place in the batch");
    if (data_has && data->axis == axis) {
        if (!ubp_samples_own_rows(b, 1, 1, b->call->in[0]->dims[axis]) || index->axis != axis ||
            data->outer != 1 || data->inner != 1)
            ubp_samples_couple(b, 0, "GatherElements picks samples by number");
        if (!index_has)
            return;
        ubp_samples_axis(b, 0, 1, index->axis);
    } else if (data_has && index_has) {
        ubp_samples_axis(b, 0, 1, index->axis);
        if (data->axis != index->axis || !ubp_same_folding(data, index))
            ubp_samples_couple(b, 0, "samples lie on different axes of data and indices");
    } else if (data_has || index_has) {
        int from = data_has ? 0 : 1;
        ubp_samples_axis(b, 0, from, b->in[from].axis);
        if (b->in[from].axis != axis && !ubp_samples_single(b))
            ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_gather_elements = {
    .name = "GatherElements",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(gather_attr),
    .attrs = gather_attrs,
    .infer = gather_elements_infer,
    .batch = gather_elements_batch,
    .ref = gather_elements_ref,
};
