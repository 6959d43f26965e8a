/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GatherND: slices of the data, each picked by a tuple of indices. Follows ONNX opset 13.
 *
 * data    [batch_dims][D_0 .. D_(t-1)][slice]
 * indices [batch_dims][places][t]
 * output  [batch_dims][places][slice]
 */
#include "ops/move.h"

typedef struct gather_nd_attr {
    int64_t batch_dims;
} gather_nd_attr;

static ub_status gather_nd_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(node, "batch_dims", 0, &((gather_nd_attr *)attr)->batch_dims, err);
}

/* *shared: how many leading axes data and indices share; *tuple: indices per tuple. */
static ub_status gather_nd_axes(const ubp_call *c, int *shared, int *tuple)
{
    const ub_tensor *data = c->in[0], *index = c->in[1];
    int64_t batch = ((const gather_nd_attr *)c->attr)->batch_dims;
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_rank(c, 1, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_index(c, 1));
    if (batch < 0 || batch >= data->rank || batch >= index->rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "batch_dims is %lld for inputs of %d and %d axes",
                           (long long)batch, data->rank, index->rank);
    int64_t last = index->dims[index->rank - 1];
    if (last < 1 || last > data->rank - batch)
        return ubp_op_fail(c, UB_ERR_SHAPE, "tuples of %lld indices for data of %d axes",
                           (long long)last, data->rank);
    for (int i = 0; i < batch; i++)
        if (data->dims[i] != index->dims[i])
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is %lld in data, %lld in indices", i,
                               (long long)data->dims[i], (long long)index->dims[i]);
    *shared = (int)batch;
    *tuple = (int)last;
    return UB_OK;
}

static ub_status gather_nd_infer(const ubp_call *c)
{
    const ub_tensor *data = c->in[0], *index = c->in[1];
    int64_t dims[2 * UB_MAX_RANK];
    int shared = 0, tuple = 0, rank = 0;
    UBP_TRY(gather_nd_axes(c, &shared, &tuple));
    for (int i = 0; i < index->rank - 1; i++)
        dims[rank++] = index->dims[i];
    for (int i = shared + tuple; i < data->rank; i++)
        dims[rank++] = data->dims[i];
    return ubp_set_out(c, 0, data->dtype, rank, dims);
}

typedef struct gather_nd_job {
    const char *src;      /* [batches][rows][run] */
    char *dst;            /* [batches][places][run] */
    const int64_t *index; /* [batches][places]: row */
    int64_t places, rows;
    size_t run; /* bytes */
} gather_nd_job;

static void gather_nd_part(void *arg, int64_t begin, int64_t end)
{
    const gather_nd_job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / j->places * j->rows + j->index[i];
        ubp_copy_element(j->dst + (size_t)i * j->run, j->src + (size_t)row * j->run, j->run);
    }
}

/* Each tuple becomes the number of the row it picks, in place. */
ub_status ubp_tuples_to_rows(const ubp_call *c, int64_t *index, int64_t n, const int64_t *dims,
                             int shared, int tuple)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t row = 0;
        for (int t = 0; t < tuple; t++) {
            int64_t *at = &index[i * tuple + t], dim = dims[shared + t];
            UBP_TRY(ubp_want_in_bounds(c, at, 1, dim, shared + t));
            row = row * dim + *at;
        }
        index[i] = row;
    }
    return UB_OK;
}

static ub_status gather_nd_ref(const ubp_call *c)
{
    const ub_tensor *data = c->in[0], *shape = c->in[1];
    int shared = 0, tuple = 0;
    int64_t *index;
    UBP_TRY(gather_nd_axes(c, &shared, &tuple));
    UBP_TRY(ubp_index_data(c, 1, &index));
    int64_t n = ub_tensor_count(shape) / tuple;
    UBP_TRY(ubp_tuples_to_rows(c, index, n, data->dims, shared, tuple));
    if (ub_tensor_count(c->out[0]) == 0)
        return UB_OK;
    size_t run =
        (size_t)ubp_span(data->dims, shared + tuple, data->rank) * ub_dtype_size(data->dtype);
    gather_nd_job job = {data->data,
                         c->out[0]->data,
                         index,
                         ubp_span(shape->dims, shared, shape->rank - 1),
                         ubp_span(data->dims, shared, shared + tuple),
                         run};
    ubp_run_parallel(c->run, n, (int64_t)((1 << 18) / run + 1), gather_nd_part, &job);
    return UB_OK;
}

/* The batch lies on an axis that tuples pick from: well if each sample picks its own row. */
static bool picks_own_rows(const ubp_batch *b, int shared, int tuple)
{
    const ubp_samples *data = &b->in[0], *index = &b->in[1];
    if (!ubp_has_samples(b, 1) || index->axis >= b->call->in[1]->rank - 1 || data->outer != 1 ||
        data->inner != 1)
        return false;
    if (tuple == 1)
        return ubp_samples_own_rows(b, 1, 1, b->call->in[0]->dims[data->axis]);
    return index->row_numbers && data->axis == shared;
}

static void gather_nd_batch(ubp_batch *b)
{
    const ubp_samples *data = &b->in[0], *index = &b->in[1];
    int places = b->call->in[1]->rank - 1, shared, tuple;
    if (gather_nd_axes(b->call, &shared, &tuple) != UB_OK)
        return;
    bool data_has = ubp_has_samples(b, 0), index_has = ubp_has_samples(b, 1);
    ubp_samples_words(b, 0, 0);
    if (index->sized && !index_has)
        ubp_samples_couple(b, 0, "GatherND picks by the number of samples");
    bool picked = data_has && data->axis >= shared && data->axis < shared + tuple;
    if ((index->positional || index->row_numbers) && !picked)
        ubp_samples_couple(b, 0, "GatherND picks by the place in the batch");
    if (data_has && data->axis < shared) {
        ubp_samples_axis(b, 0, 0, data->axis);
        if (!index_has && !ubp_samples_single(b))
            ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
        else if (index_has && (index->axis != data->axis || !ubp_same_folding(index, data)))
            ubp_samples_couple(b, 0, "samples lie on different axes of data and indices");
    } else if (picked) {
        b->out[0].positional = false;
        if (!picks_own_rows(b, shared, tuple))
            ubp_samples_couple(b, 0, "GatherND picks samples by number");
        if (index_has && index->axis < places)
            ubp_samples_axis(b, 0, 1, index->axis);
    } else if (data_has) {
        ubp_samples_axis(b, 0, 0, places + data->axis - shared - tuple);
        if (index_has)
            ubp_samples_couple(b, 0,
                               "GatherND pairs every sample's data with every sample's indices");
    } else if (index_has) {
        if (index->axis == places) {
            ubp_samples_couple(b, 0, "GatherND makes index tuples of several samples");
            return;
        }
        ubp_samples_axis(b, 0, 1, index->axis);
        if (index->axis < shared && !ubp_samples_single(b))
            ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_gather_nd = {
    .name = "GatherND",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(gather_nd_attr),
    .attrs = gather_nd_attrs,
    .infer = gather_nd_infer,
    .batch = gather_nd_batch,
    .ref = gather_nd_ref,
};
