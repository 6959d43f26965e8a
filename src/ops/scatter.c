/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ScatterElements, ScatterND: a copy of the data with some elements or slices set from updates, or
 * joined with them. Updates are applied in row-major order,
 * so that of two for the same place the later one stays. Follows ONNX opset 18.
 */
#include <string.h>

#include "ops/move.h"

typedef enum reduction { REDUCE_NONE, REDUCE_ADD, REDUCE_MUL, REDUCE_MAX, REDUCE_MIN } reduction;

typedef struct scatter_attr {
    int64_t axis;
    reduction reduction;
} scatter_attr;

static ub_status scatter_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    scatter_attr *a = attr;
    const char *name;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", 0, &a->axis, err));
    UBP_TRY(ubp_attr_string(node, "reduction", "none", &name, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            a->reduction = (reduction)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "node '%s': reduction '%s', expected none, add, mul, max or min", node->name,
                    name);
}

/* ---- Joining an update with what is there ------------------------------------------------------
 */

/* NaN wins in max and min, as in NumPy. */
#define JOIN(type)                                                                                 \
    static type join_##type(reduction how, type a, type b)                                         \
    {                                                                                              \
        switch (how) {                                                                             \
        case REDUCE_ADD:                                                                           \
            return a + b;                                                                          \
        case REDUCE_MUL:                                                                           \
            return a * b;                                                                          \
        case REDUCE_MAX:                                                                           \
            return a > b || a != a ? a : b;                                                        \
        case REDUCE_MIN:                                                                           \
            return a < b || a != a ? a : b;                                                        \
        case REDUCE_NONE:                                                                          \
            break;                                                                                 \
        }                                                                                          \
        return b;                                                                                  \
    }

JOIN(float)
JOIN(double)
JOIN(uint64_t)

static int64_t join_signed(reduction how, int64_t a, int64_t b)
{
    if (how == REDUCE_MAX)
        return a > b ? a : b;
    if (how == REDUCE_MIN)
        return a < b ? a : b;
    return (int64_t)join_uint64_t(how, (uint64_t)a, (uint64_t)b);
}

static void join_element(reduction how, ub_dtype dtype, void *dst, const void *src)
{
    if (dtype == UB_F32) {
        *(float *)dst = join_float(how, *(float *)dst, *(const float *)src);
    } else if (dtype == UB_F64) {
        *(double *)dst = join_double(how, *(double *)dst, *(const double *)src);
    } else if (ubp_is_float(dtype)) {
        float a = (float)ubp_read_f64(dst, dtype), b = (float)ubp_read_f64(src, dtype);
        ubp_write_f64(dst, dtype, (double)join_float(how, a, b));
    } else if (dtype == UB_U64) {
        *(uint64_t *)dst = join_uint64_t(how, *(uint64_t *)dst, *(const uint64_t *)src);
    } else {
        int64_t a = ubp_read_i64(dst, dtype), b = ubp_read_i64(src, dtype);
        ubp_write_i64(dst, dtype, join_signed(how, a, b));
    }
}

static void join_run(reduction how, ub_dtype dtype, char *dst, const char *src, int64_t n)
{
    size_t size = ub_dtype_size(dtype);
    if (how == REDUCE_NONE) {
        ubp_copy_element(dst, src, (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        join_element(how, dtype, dst + (size_t)i * size, src + (size_t)i * size);
}

/* ---- ScatterElements ---------------------------------------------------------------------------
 */

static ub_status scatter_elements_infer(const ubp_call *c)
{
    const scatter_attr *attr = c->attr;
    const ub_tensor *data = c->in[0], *index = c->in[1];
    int axis = 0;
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_axis(c, attr->axis, data->rank, &axis));
    UBP_TRY(ubp_want_index(c, 1));
    UBP_TRY(ubp_want_same_dtype(c, 0, 2));
    UBP_TRY(ubp_want_rank(c, 1, data->rank, data->rank));
    char text[UBP_SHAPE_TEXT], other[UBP_SHAPE_TEXT];
    if (!ubp_same_dims(index, c->in[2]))
        return ubp_op_fail(c, UB_ERR_SHAPE, "indices are %s, updates %s, expected the same",
                           ubp_shape_text(text, index->rank, index->dims),
                           ubp_shape_text(other, c->in[2]->rank, c->in[2]->dims));
    for (int i = 0; i < data->rank; i++)
        if (i != axis && index->dims[i] > data->dims[i])
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d has %lld indices for %lld entries of data",
                               i, (long long)index->dims[i], (long long)data->dims[i]);
    return ubp_set_like(c, 0, 0);
}

typedef struct elements_job {
    const ub_tensor *updates, *out;
    const int64_t *index; /* [lines][T][after] */
    int axis;
    reduction how;
} elements_job;

/* One line per index of the axes before `axis` (outer) and after it (inner): lines never meet. */
static void scatter_lines(void *arg, int64_t begin, int64_t end)
{
    const elements_job *j = arg;
    const ub_tensor *u = j->updates, *out = j->out;
    size_t size = ub_dtype_size(out->dtype);
    int64_t len = u->dims[j->axis], after = ubp_span(u->dims, j->axis + 1, u->rank);
    for (int64_t line = begin; line < end; line++) {
        int64_t first = line / after * len * after + line % after, rest = line;
        char *dst = out->data;
        for (int a = u->rank; a-- > 0;) {
            if (a == j->axis)
                continue;
            dst += rest % u->dims[a] * out->strides[a];
            rest /= u->dims[a];
        }
        for (int64_t t = 0; t < len; t++) {
            int64_t at = first + t * after;
            char *to = dst + j->index[at] * out->strides[j->axis];
            const char *from = (const char *)u->data + (size_t)at * size;
            if (j->how == REDUCE_NONE)
                ubp_copy_element(to, from, size);
            else
                join_element(j->how, out->dtype, to, from);
        }
    }
}

static ub_status scatter_elements_ref(const ubp_call *c)
{
    const scatter_attr *attr = c->attr;
    const ub_tensor *data = c->in[0], *updates = c->in[2];
    int64_t n = ub_tensor_count(updates), *index;
    elements_job job = {.updates = updates, .out = c->out[0], .how = attr->reduction};
    UBP_TRY(ubp_want_axis(c, attr->axis, data->rank, &job.axis));
    UBP_TRY(ubp_index_data(c, 1, &index));
    UBP_TRY(ubp_want_in_bounds(c, index, n, data->dims[job.axis], job.axis));
    job.index = index;
    ubp_run_move(c->run, c->out[0], data);
    if (n == 0)
        return UB_OK;
    int64_t len = updates->dims[job.axis];
    ubp_run_parallel(c->run, n / len, (1 << 14) / len + 1, scatter_lines, &job);
    return UB_OK;
}

/* Whether the inputs [first, 2] have the samples where input `with` has them. */
static bool same_places(ubp_batch *b, int with, int first)
{
    for (int i = first; i <= 2; i++) {
        if (ubp_has_samples(b, i)
                ? b->in[i].axis != b->in[with].axis || !ubp_same_folding(&b->in[i], &b->in[with])
                : !ubp_samples_single(b))
            return false;
    }
    return true;
}

static void scatter_elements_batch(ubp_batch *b)
{
    const scatter_attr *attr = b->call->attr;
    int axis = 0, from = -1;
    if (ubp_want_axis(b->call, attr->axis, b->call->in[0]->rank, &axis) != UB_OK)
        return;
    for (int i = 2; i >= 0; i--)
        if (ubp_has_samples(b, i))
            from = i;
    if (from < 0) {
        b->out[0].sized = b->in[0].sized || b->in[1].sized || b->in[2].sized;
        ubp_samples_fit(b, 0);
        return;
    }
    ubp_samples_axis(b, 0, from, b->in[from].axis);
    if (!same_places(b, from, 0))
        ubp_samples_couple(b, 0, "samples lie on different axes of data, indices and updates");
    else if (b->in[from].axis == axis && !ubp_samples_own_rows(b, 1, 1, b->call->in[0]->dims[axis]))
        ubp_samples_couple(b, 0, "ScatterElements writes to samples by number");
    else if (b->in[from].axis != axis && b->in[1].positional)
        ubp_samples_couple(b, 0, "ScatterElements writes by the place in the batch");
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_scatter_elements = {
    .name = "ScatterElements",
    .domain = "",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(scatter_attr),
    .attrs = scatter_attrs,
    .infer = scatter_elements_infer,
    .batch = scatter_elements_batch,
    .ref = scatter_elements_ref,
};

/* ---- ScatterND ---------------------------------------------------------------------------------
 */

static ub_status scatter_nd_infer(const ubp_call *c)
{
    const ub_tensor *data = c->in[0], *index = c->in[1], *updates = c->in[2];
    int64_t dims[2 * UB_MAX_RANK];
    int rank = 0;
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_rank(c, 1, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_index(c, 1));
    UBP_TRY(ubp_want_same_dtype(c, 0, 2));
    int64_t tuple = index->dims[index->rank - 1];
    if (tuple > data->rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "tuples of %lld indices for data of %d axes",
                           (long long)tuple, data->rank);
    for (int i = 0; i < index->rank - 1; i++)
        dims[rank++] = index->dims[i];
    for (int i = (int)tuple; i < data->rank; i++)
        dims[rank++] = data->dims[i];
    bool fits = updates->rank == rank;
    for (int i = 0; fits && i < rank; i++)
        fits = updates->dims[i] == dims[i];
    char text[UBP_SHAPE_TEXT], want[UBP_SHAPE_TEXT];
    if (!fits)
        return ubp_op_fail(c, UB_ERR_SHAPE, "updates are %s, expected %s",
                           ubp_shape_text(text, updates->rank, updates->dims),
                           rank > UB_MAX_RANK ? "fewer axes" : ubp_shape_text(want, rank, dims));
    return ubp_set_like(c, 0, 0);
}

static ub_status scatter_nd_ref(const ubp_call *c)
{
    const scatter_attr *attr = c->attr;
    const ub_tensor *data = c->in[0], *shape = c->in[1], *out = c->out[0];
    int tuple = (int)shape->dims[shape->rank - 1];
    int64_t places = ubp_span(shape->dims, 0, shape->rank - 1), *index;
    UBP_TRY(ubp_index_data(c, 1, &index));
    if (tuple > 0)
        UBP_TRY(ubp_tuples_to_rows(c, index, places, data->dims, 0, tuple));
    ubp_run_move(c->run, out, data);
    int64_t run = ubp_span(data->dims, tuple, data->rank);
    size_t bytes = (size_t)run * ub_dtype_size(data->dtype);
    if (bytes == 0 || ub_tensor_count(out) == 0)
        return UB_OK;
    const char *src = c->in[2]->data; /* [places][run] */
    char *dst = out->data;            /* [rows][run] */
    for (int64_t i = 0; i < places; i++) {
        int64_t row = tuple > 0 ? index[i] : 0;
        join_run(attr->reduction, out->dtype, dst + (size_t)row * bytes, src + (size_t)i * bytes,
                 run);
    }
    return UB_OK;
}

/* Data has the samples on `axis` of the slices: updates must have them there too. */
static void scatter_nd_slices(ubp_batch *b, int places, int tuple)
{
    const ubp_samples *data = &b->in[0], *updates = &b->in[2];
    ubp_samples_axis(b, 0, 0, data->axis);
    if (ubp_has_samples(b, 1))
        ubp_samples_couple(b, 0, "ScatterND writes into all samples where one says");
    else if (ubp_has_samples(b, 2) &&
             (updates->axis != places + data->axis - tuple || !ubp_same_folding(updates, data)))
        ubp_samples_couple(b, 0, "samples lie on different axes of data and updates");
    else if (!ubp_has_samples(b, 2) && !ubp_samples_single(b))
        ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
}

/* Data has the samples on an axis that tuples pick from: each sample must write to its own row. */
static void scatter_nd_rows(ubp_batch *b, int places, int tuple)
{
    const ubp_samples *data = &b->in[0], *index = &b->in[1], *updates = &b->in[2];
    ubp_samples_axis(b, 0, 0, data->axis);
    bool own = ubp_has_samples(b, 1) && index->axis < places && data->outer == 1 &&
               data->inner == 1 &&
               (tuple == 1 ? ubp_samples_own_rows(b, 1, 1, b->call->in[0]->dims[data->axis])
                           : index->row_numbers && data->axis == 0);
    if (!own)
        ubp_samples_couple(b, 0, "ScatterND writes to samples by number");
    else if (ubp_has_samples(b, 2)
                 ? updates->axis != index->axis || !ubp_same_folding(updates, index)
                 : !ubp_samples_single(b))
        ubp_samples_couple(b, 0, "samples lie on different axes of indices and updates");
}

static void scatter_nd_batch(ubp_batch *b)
{
    const ub_tensor *shape = b->call->in[1];
    int places = shape->rank - 1, tuple = (int)shape->dims[places];
    if (b->in[1].sized && !ubp_has_samples(b, 1))
        ubp_samples_couple(b, 0, "ScatterND writes where the number of samples says");
    if (!ubp_has_samples(b, 0)) {
        b->out[0].sized = b->in[0].sized || b->in[2].sized;
        if (ubp_has_samples(b, 1) || ubp_has_samples(b, 2))
            ubp_samples_couple(b, 0, "ScatterND writes all samples into one tensor");
    } else if (b->in[0].axis < tuple) {
        scatter_nd_rows(b, places, tuple);
    } else {
        scatter_nd_slices(b, places, tuple);
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_scatter_nd = {
    .name = "ScatterND",
    .domain = "",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(scatter_attr),
    .attrs = scatter_attrs,
    .infer = scatter_nd_infer,
    .batch = scatter_nd_batch,
    .ref = scatter_nd_ref,
};
