/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CumSum, CumProd: running sums and products along one axis, each line from its first entry to its
 * last (or the other way), one term after the other. Follows ONNX opsets 14 and 26.
 */
#include "ops/move.h"

typedef struct cumulate_attr {
    int64_t exclusive, reverse;
} cumulate_attr;

static ub_status cumulate_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    cumulate_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "exclusive", 0, &a->exclusive, err));
    return ubp_attr_int(node, "reverse", 0, &a->reverse, err);
}

static ub_status cumulate_infer(const ubp_call *c)
{
    ub_dtype d = c->in[0]->dtype;
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_index(c, 1));
    if (ub_tensor_count(c->in[1]) != 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "axis has %lld elements, expected one",
                           (long long)ub_tensor_count(c->in[1]));
    if (!ubp_is_float(d) && d != UB_I32 && d != UB_I64 && d != UB_U32 && d != UB_U64)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "input 0 is %s, expected floats or 32- or 64-bit integers",
                           ub_dtype_name(d));
    return ubp_set_like(c, 0, 0);
}

static ub_status cumulate_axis(const ubp_call *c, int *axis)
{
    int64_t a;
    int n;
    UBP_TRY(ubp_in_ints(c, 1, &a, &n, 1));
    return ubp_want_axis(c, a, c->in[0]->rank, axis);
}

typedef struct cumulate_job {
    const char *src; /* [before][T][after] */
    char *dst;       /* [before][T][after] */
    int64_t len, after;
    bool exclusive, reverse, product;
} cumulate_job;

/* One line per index: T entries, `after` elements apart. Unsigned arithmetic wraps as NumPy's. */
#define CUMULATE(name, type)                                                                       \
    static void name(void *arg, int64_t begin, int64_t end)                                        \
    {                                                                                              \
        const cumulate_job *j = arg;                                                               \
        for (int64_t line = begin; line < end; line++) {                                           \
            int64_t first = line / j->after * j->len * j->after + line % j->after;                 \
            int64_t step = j->reverse ? -j->after : j->after;                                      \
            int64_t at = j->reverse ? first + (j->len - 1) * j->after : first;                     \
            type sum = j->product ? 1 : 0;                                                         \
            for (int64_t t = 0; t < j->len; t++, at += t < j->len ? step : 0) {                    \
                type before = sum, x = ((const type *)j->src)[at];                                 \
                sum = j->product ? sum * x : sum + x;                                              \
                ((type *)j->dst)[at] = j->exclusive ? before : sum;                                \
            }                                                                                      \
        }                                                                                          \
    }

CUMULATE(cumulate_f32, float)
CUMULATE(cumulate_f64, double)
CUMULATE(cumulate_u32, uint32_t)
CUMULATE(cumulate_u64, uint64_t)

static ub_status cumulate(const ubp_call *c, bool product)
{
    const cumulate_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int axis = 0;
    UBP_TRY(cumulate_axis(c, &axis));
    if (ub_tensor_count(in) == 0)
        return UB_OK;
    cumulate_job job = {.src = in->data,
                        .dst = c->out[0]->data,
                        .len = in->dims[axis],
                        .after = ubp_span(in->dims, axis + 1, in->rank),
                        .exclusive = attr->exclusive != 0,
                        .reverse = attr->reverse != 0,
                        .product = product};
    int64_t lines = ub_tensor_count(in) / job.len, grain = 32768 / job.len + 1;
    void (*fn)(void *, int64_t, int64_t) = in->dtype == UB_F32             ? cumulate_f32
                                           : in->dtype == UB_F64           ? cumulate_f64
                                           : ub_dtype_size(in->dtype) == 4 ? cumulate_u32
                                                                           : cumulate_u64;
    ubp_run_parallel(c->run, lines, grain, fn, &job);
    return UB_OK;
}

static ub_status cum_sum_ref(const ubp_call *c)
{
    return cumulate(c, false);
}

static ub_status cum_prod_ref(const ubp_call *c)
{
    return cumulate(c, true);
}

static void cumulate_batch(ubp_batch *b)
{
    int axis = 0;
    if (!ubp_samples_plain(b, 1, 1, "an axis made from the samples"))
        return;
    ubp_samples_keep(b, 0, 0);
    b->out[0].positional = false;
    if (!ubp_has_samples(b, 0))
        return;
    if (cumulate_axis(b->call, &axis) != UB_OK)
        ubp_samples_couple(b, 0, "an axis that is not known beforehand");
    else
        ubp_samples_mixes_axis(b, 0, 0, axis, "a running sum over the samples");
}

const ubp_op ubp_op_cum_sum = {
    .name = "CumSum",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(cumulate_attr),
    .attrs = cumulate_attrs,
    .infer = cumulate_infer,
    .batch = cumulate_batch,
    .ref = cum_sum_ref,
};

const ubp_op ubp_op_cum_prod = {
    .name = "CumProd",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(cumulate_attr),
    .attrs = cumulate_attrs,
    .infer = cumulate_infer,
    .batch = cumulate_batch,
    .ref = cum_prod_ref,
};
