/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ArgMax and ArgMin: the index of the highest or lowest element along an axis, the first of equal
 * ones, or the last with select_last_index. NaN counts as beyond all numbers, as in NumPy. ONNX
 * opset 13.
 */
#include "ops/ops.h"

typedef struct arg_attr {
    int64_t axis, keepdims, last;
} arg_attr;

static ub_status arg_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    arg_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", 0, &a->axis, err));
    UBP_TRY(ubp_attr_int(node, "keepdims", 1, &a->keepdims, err));
    return ubp_attr_int(node, "select_last_index", 0, &a->last, err);
}

static ub_status arg_infer(const ubp_call *call)
{
    const arg_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t axis = a->axis, dims[UB_MAX_RANK];
    int rank = 0;
    if (!ubp_is_float(x->dtype) && !ubp_is_integer(x->dtype))
        return ubp_op_fail(call, UB_ERR_SHAPE, "input 0 is %s, expected numbers",
                           ub_dtype_name(x->dtype));
    if (!ubp_normalize_axis(&axis, x->rank))
        return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                           (long long)a->axis, x->rank);
    if (x->dims[axis] == 0)
        return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld has no elements", (long long)axis);
    for (int i = 0; i < x->rank; i++) {
        if (i != axis)
            dims[rank++] = x->dims[i];
        else if (a->keepdims)
            dims[rank++] = 1;
    }
    return ubp_set_out(call, 0, UB_I64, rank, dims);
}

static void arg_batch(ubp_batch *b)
{
    const arg_attr *a = b->call->attr;
    const ubp_samples *s = &b->in[0];
    int64_t axis = a->axis;
    if (!ubp_normalize_axis(&axis, b->call->in[0]->rank))
        return;
    if (ubp_samples_mixes_axis(b, 0, 0, (int)axis, "index of an extreme over the batch axis"))
        return;
    bool after = s->kind == UBP_SAMPLES_AXIS && s->axis > axis;
    ubp_samples_like(b, 0, 0, after && !a->keepdims ? -1 : 0);
}

typedef struct lines {
    const void *src;
    int64_t *dst;
    int64_t n, inner; /* elements of a line, and how far apart they are */
    bool last, lowest;
} lines;

#define LINE(T, NAME)                                                                              \
    static int64_t NAME(const lines *j, int64_t first)                                             \
    {                                                                                              \
        const T *x = (const T *)j->src + first;                                                    \
        int64_t best = 0;                                                                          \
        for (int64_t i = 1; i < j->n; i++) {                                                       \
            T v = x[i * j->inner], b = x[best * j->inner];                                         \
            bool better = j->lowest ? v < b : v > b;                                               \
            if (better || (v != v && b == b) || (j->last && (v == b || (v != v && b != b))))       \
                best = i;                                                                          \
        }                                                                                          \
        return best;                                                                               \
    }
LINE(float, f32_line)
LINE(double, f64_line)
LINE(int8_t, i8_line)
LINE(int16_t, i16_line)
LINE(int32_t, i32_line)
LINE(int64_t, i64_line)
LINE(uint8_t, u8_line)
LINE(uint16_t, u16_line)
LINE(uint32_t, u32_line)
LINE(uint64_t, u64_line)
#undef LINE

typedef struct job {
    lines lines;
    int64_t (*line)(const lines *j, int64_t first);
} job;

static void run_lines(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    const lines *l = &j->lines;
    for (int64_t i = begin; i < end; i++)
        l->dst[i] = j->line(l, i / l->inner * l->inner * l->n + i % l->inner);
}

static int64_t (*line_of(ub_dtype dtype))(const lines *, int64_t)
{
    switch (dtype) {
    case UB_F64:
        return f64_line;
    case UB_I8:
        return i8_line;
    case UB_I16:
        return i16_line;
    case UB_I32:
        return i32_line;
    case UB_I64:
        return i64_line;
    case UB_U8:
        return u8_line;
    case UB_U16:
        return u16_line;
    case UB_U32:
        return u32_line;
    case UB_U64:
        return u64_line;
    default:
        return f32_line;
    }
}

static ub_status run(const ubp_call *call, bool lowest)
{
    const arg_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t axis = a->axis, count = ub_tensor_count(call->out[0]);
    if (count == 0 || !ubp_normalize_axis(&axis, x->rank))
        return UB_OK;
    job j = {.lines = {x->data, call->out[0]->data, x->dims[axis], 1, a->last != 0, lowest},
             .line = line_of(x->dtype)};
    for (int i = (int)axis + 1; i < x->rank; i++)
        j.lines.inner *= x->dims[i];
    ubp_run_parallel(call->run, count, 8192 / j.lines.n + 1, run_lines, &j);
    return UB_OK;
}

static ub_status arg_max_ref(const ubp_call *call)
{
    return run(call, false);
}

static ub_status arg_min_ref(const ubp_call *call)
{
    return run(call, true);
}

#define ARG(NAME, REF)                                                                             \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(arg_attr),                                                             \
        .attrs = arg_attrs,                                                                        \
        .infer = arg_infer,                                                                        \
        .batch = arg_batch,                                                                        \
        .ref = REF,                                                                                \
    }
ARG(ArgMax, arg_max_ref);
ARG(ArgMin, arg_min_ref);
