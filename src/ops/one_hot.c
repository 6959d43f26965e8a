/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OneHot, EyeLike, Trilu: tensors that are mostly one value, by position. Follows ONNX opsets 28,
 * 22 and 14.
 */
#include <string.h>

#include "ops/move.h"

/* ---- OneHot ------------------------------------------------------------------------------------
 */

typedef struct one_hot_attr {
    int64_t axis;
} one_hot_attr;

static ub_status one_hot_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(node, "axis", -1, &((one_hot_attr *)attr)->axis, err);
}

static ub_status one_hot_infer(const ubp_call *c)
{
    const ub_tensor *index = c->in[0], *depth = c->in[1], *values = c->in[2];
    int64_t dims[UB_MAX_RANK + 1];
    int axis = 0;
    UBP_TRY(ubp_want_axis(c, ((const one_hot_attr *)c->attr)->axis, index->rank + 1, &axis));
    for (int i = 0; i < 2; i++)
        if (!ubp_is_float(c->in[i]->dtype) && !ubp_is_integer(c->in[i]->dtype))
            return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s, expected numbers", i,
                               ub_dtype_name(c->in[i]->dtype));
    if (ub_tensor_count(depth) != 1 || ub_tensor_count(values) != 2)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld depths and %lld values, expected one and two",
                           (long long)ub_tensor_count(depth), (long long)ub_tensor_count(values));
    if (!depth->data)
        return UBP_NEEDS_DATA;
    double number = ubp_read_f64(depth->data, depth->dtype);
    if (!(number >= 0 && number < 0x1p62))
        return ubp_op_fail(c, UB_ERR_SHAPE, "a depth of %g", number);
    for (int i = 0; i <= index->rank; i++)
        dims[i] = i == axis ? (int64_t)number : index->dims[i < axis ? i : i - 1];
    return ubp_set_out(c, 0, values->dtype, index->rank + 1, dims);
}

/* Entry i of the indices, or -1 when it names no place. */
static int64_t one_hot_place(const ub_tensor *index, int64_t i, int64_t depth)
{
    const char *p = (const char *)index->data + (size_t)i * ub_dtype_size(index->dtype);
    int64_t at;
    if (ubp_is_float(index->dtype)) {
        double v = ubp_read_f64(p, index->dtype);
        if (!(v >= -(double)depth && v < (double)depth) || v != (double)(int64_t)v)
            return -1;
        at = (int64_t)v;
    } else {
        at = ubp_read_i64(p, index->dtype);
        if (index->dtype == UB_U64 && at < 0)
            return -1;
    }
    if (at < -depth || at >= depth)
        return -1;
    return at < 0 ? at + depth : at;
}

static ub_status one_hot_ref(const ubp_call *c)
{
    const ub_tensor *index = c->in[0], *values = c->in[2], *out = c->out[0];
    int axis = 0;
    UBP_TRY(ubp_want_axis(c, ((const one_hot_attr *)c->attr)->axis, out->rank, &axis));
    if (ub_tensor_count(out) == 0)
        return UB_OK;
    size_t size = ub_dtype_size(out->dtype);
    ub_tensor off = ubp_repeated(out->dtype, out->rank, out->dims, values->data);
    const char *on = (const char *)values->data + size;
    ubp_run_move(c->run, out, &off);
    int64_t depth = out->dims[axis], after = ubp_span(out->dims, axis + 1, out->rank);
    for (int64_t i = 0; i < ub_tensor_count(index); i++) {
        int64_t at = one_hot_place(index, i, depth);
        if (at >= 0)
            ubp_copy_element((char *)out->data +
                                 (size_t)((i / after * depth + at) * after + i % after) * size,
                             on, size);
    }
    return UB_OK;
}

static void one_hot_batch(ubp_batch *b)
{
    const ub_tensor *index = b->call->in[0];
    int axis = 0;
    if (!ubp_samples_plain(b, 1, 2, "a depth or values made from the samples") ||
        ubp_want_axis(b->call, ((const one_hot_attr *)b->call->attr)->axis, index->rank + 1,
                      &axis) != UB_OK)
        return;
    if (b->in[0].sized || b->in[0].positional || b->in[2].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    if (ubp_has_samples(b, 0))
        ubp_samples_axis(b, 0, 0, b->in[0].axis + (b->in[0].axis >= axis));
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_one_hot = {
    .name = "OneHot",
    .domain = "",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(one_hot_attr),
    .attrs = one_hot_attrs,
    .infer = one_hot_infer,
    .batch = one_hot_batch,
    .ref = one_hot_ref,
};

/* ---- EyeLike -----------------------------------------------------------------------------------
 */

typedef struct eye_attr {
    int64_t dtype, k; /* dtype: UB_UNDEFINED for the input's */
} eye_attr;

static ub_status eye_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    eye_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "dtype", UB_UNDEFINED, &a->dtype, err));
    UBP_TRY(ubp_attr_int(node, "k", 0, &a->k, err));
    if (a->dtype < 0 || a->dtype > INT16_MAX ||
        (a->dtype != UB_UNDEFINED && ub_dtype_size((ub_dtype)a->dtype) == 0))
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (EyeLike): dtype %lld", node->name,
                        (long long)a->dtype);
    return UB_OK;
}

static ub_status eye_infer(const ubp_call *c)
{
    const eye_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    UBP_TRY(ubp_want_rank(c, 0, 2, 2));
    return ubp_set_out(c, 0, attr->dtype == UB_UNDEFINED ? in->dtype : (ub_dtype)attr->dtype, 2,
                       in->dims);
}

static ub_status eye_ref(const ubp_call *c)
{
    const eye_attr *attr = c->attr;
    const ub_tensor *out = c->out[0];
    size_t size = ub_dtype_size(out->dtype);
    int64_t rows = out->dims[0], columns = out->dims[1];
    if (ub_tensor_count(out) == 0)
        return UB_OK;
    memset(out->data, 0, ubp_tensor_bytes(out));
    for (int64_t i = 0; i < rows; i++) {
        int64_t j;
        if (ubp_add_i64(i, attr->k, &j) && j >= 0 && j < columns)
            ubp_write_i64((char *)out->data + (size_t)(i * columns + j) * size, out->dtype, 1);
    }
    return UB_OK;
}

static void eye_batch(ubp_batch *b)
{
    if (ubp_has_samples(b, 0))
        ubp_samples_couple(b, 0, "EyeLike numbers the samples");
    else
        ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_eye_like = {
    .name = "EyeLike",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_SHAPE_ONLY,
    .attr_size = sizeof(eye_attr),
    .attrs = eye_attrs,
    .infer = eye_infer,
    .batch = eye_batch,
    .ref = eye_ref,
};

/* ---- Trilu -------------------------------------------------------------------------------------
 */

typedef struct trilu_attr {
    int64_t upper;
} trilu_attr;

static ub_status trilu_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(node, "upper", 1, &((trilu_attr *)attr)->upper, err);
}

static ub_status trilu_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_rank(c, 0, 2, UB_MAX_RANK));
    if (ubp_has_in(c, 1)) {
        UBP_TRY(ubp_want_index(c, 1));
        if (ub_tensor_count(c->in[1]) != 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "k has %lld elements, expected one",
                               (long long)ub_tensor_count(c->in[1]));
    }
    return ubp_set_like(c, 0, 0);
}

typedef struct trilu_job {
    const char *src; /* [matrices][rows][columns] */
    char *dst;
    size_t size;
    int64_t rows, columns, k;
    bool upper;
} trilu_job;

static void trilu_rows(void *arg, int64_t begin, int64_t end)
{
    const trilu_job *j = arg;
    for (int64_t row = begin; row < end; row++) {
        int64_t cut; /* upper keeps from here on, lower up to here */
        if (!ubp_add_i64(row % j->rows, j->k, &cut))
            cut = j->columns;
        if (!j->upper && cut < INT64_MAX)
            cut++;
        cut = cut < 0 ? 0 : cut > j->columns ? j->columns : cut;
        size_t start = (size_t)(row * j->columns) * j->size, low = (size_t)cut * j->size;
        size_t all = (size_t)j->columns * j->size;
        if (j->upper) {
            memset(j->dst + start, 0, low);
            memcpy(j->dst + start + low, j->src + start + low, all - low);
        } else {
            memcpy(j->dst + start, j->src + start, low);
            memset(j->dst + start + low, 0, all - low);
        }
    }
}

static ub_status trilu_ref(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    if (ub_tensor_count(in) == 0)
        return UB_OK;
    trilu_job job = {.src = in->data,
                     .dst = c->out[0]->data,
                     .size = ub_dtype_size(in->dtype),
                     .rows = in->dims[in->rank - 2],
                     .columns = in->dims[in->rank - 1],
                     .upper = ((const trilu_attr *)c->attr)->upper != 0};
    if (ubp_has_in(c, 1))
        job.k = ubp_read_i64(c->in[1]->data, c->in[1]->dtype);
    ubp_run_parallel(c->run, ub_tensor_count(in) / job.columns, 65536 / job.columns + 1, trilu_rows,
                     &job);
    return UB_OK;
}

static void trilu_batch(ubp_batch *b)
{
    int rank = b->call->in[0]->rank;
    if (!ubp_samples_plain(b, 1, 1, "a diagonal made from the samples"))
        return;
    if (b->call->n_in > 1 && b->in[1].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    if (!ubp_samples_mixes_axis(b, 0, 0, rank - 1, "a triangle over the samples"))
        ubp_samples_mixes_axis(b, 0, 0, rank - 2, "a triangle over the samples");
    ubp_samples_keep(b, 0, 0);
    b->out[0].positional = false;
}

const ubp_op ubp_op_trilu = {
    .name = "Trilu",
    .domain = "",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(trilu_attr),
    .attrs = trilu_attrs,
    .infer = trilu_infer,
    .batch = trilu_batch,
    .ref = trilu_ref,
};
