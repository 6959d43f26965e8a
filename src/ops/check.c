/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for shape rules: checks of inputs, descriptions of outputs. Every message names the node
 * and the input, says what was found and what was expected.
 */
#include "ops/ops.h"

#include <stdio.h>

ub_status ubp_op_fail(const ubp_call *c, ub_status code, const char *fmt, ...)
{
    char text[sizeof(((ub_error *)0)->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *type = c->op ? c->op->name : "?";
    if (c->node && c->node->name && c->node->name[0])
        return ubp_fail(c->err, code, "node '%s' (%s): %s", c->node->name, type, text);
    return ubp_fail(c->err, code, "%s node without a name: %s", type, text);
}

/* The input, or NULL with a message when it was left out. */
static const ub_tensor *given(const ubp_call *c, int in, ub_status *status)
{
    if (ubp_has_in(c, in))
        return c->in[in];
    *status = ubp_op_fail(c, UB_ERR_FILE, "input %d is missing", in);
    return NULL;
}

ub_status ubp_want_rank(const ubp_call *c, int in, int min_rank, int max_rank)
{
    ub_status status = UB_OK;
    const ub_tensor *t = given(c, in, &status);
    if (!t || (t->rank >= min_rank && t->rank <= max_rank))
        return status;
    char shape[UBP_SHAPE_TEXT];
    ubp_shape_text(shape, t->rank, t->dims);
    if (min_rank == max_rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has shape %s, expected %d dimension%s", in,
                           shape, min_rank, min_rank == 1 ? "" : "s");
    if (max_rank >= UB_MAX_RANK)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "input %d has shape %s, expected at least %d dimensions", in, shape,
                           min_rank);
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has shape %s, expected %d to %d dimensions", in,
                       shape, min_rank, max_rank);
}

ub_status ubp_want_float(const ubp_call *c, int in)
{
    ub_status status = UB_OK;
    const ub_tensor *t = given(c, in, &status);
    if (!t || ubp_is_float(t->dtype))
        return status;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s, expected a floating-point type", in,
                       ub_dtype_name(t->dtype));
}

ub_status ubp_want_same_dtype(const ubp_call *c, int in_a, int in_b)
{
    ub_status status = UB_OK;
    const ub_tensor *a = given(c, in_a, &status);
    const ub_tensor *b = a ? given(c, in_b, &status) : NULL;
    if (!b || a->dtype == b->dtype)
        return status;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s but input %d is %s, expected the same",
                       in_a, ub_dtype_name(a->dtype), in_b, ub_dtype_name(b->dtype));
}

ub_status ubp_set_out(const ubp_call *c, int k, ub_dtype dtype, int rank, const int64_t *dims)
{
    if (!ubp_has_out(c, k))
        return UB_OK;
    return ubp_tensor_describe(c->out[k], dtype, rank, dims, c->err);
}

ub_status ubp_set_like(const ubp_call *c, int k, int i)
{
    ub_status status = UB_OK;
    const ub_tensor *t = given(c, i, &status);
    if (!t)
        return status;
    return ubp_set_out(c, k, t->dtype, t->rank, t->dims);
}

ub_status ubp_in_ints(const ubp_call *c, int in, int64_t *out, int *count, int max)
{
    ub_status status = UB_OK;
    const ub_tensor *t = given(c, in, &status);
    if (!t)
        return status;
    if (t->dtype != UB_I64 && t->dtype != UB_I32)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s, expected int64 or int32", in,
                           ub_dtype_name(t->dtype));
    UBP_TRY(ubp_want_rank(c, in, 0, 1));
    int64_t n = t->rank == 0 ? 1 : t->dims[0];
    if (n > max)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld elements, expected at most %d", in,
                           (long long)n, max);
    if (!t->data && n > 0)
        return UBP_NEEDS_DATA;
    for (int64_t i = 0; i < n; i++)
        out[i] = ubp_read_i64((const char *)t->data + (t->rank ? i * t->strides[0] : 0), t->dtype);
    *count = (int)n;
    return UB_OK;
}
