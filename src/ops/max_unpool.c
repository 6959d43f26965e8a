/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxUnpool: each element goes back to where MaxPool says it came from, all else is zero. The
 * indices count through the whole tensor that pooling started from; a larger output has it in its
 * first corner. ONNX opset 22.
 */
#include "ops/attrs.h"
#include "ops/move.h"

#include <string.h>

enum { IN_X, IN_INDICES, IN_SHAPE };

typedef struct unpool_attr {
    int n;
    const int64_t *kernel, *strides, *pads; /* [n], [n] or NULL, [2n] or NULL */
} unpool_attr;

static ub_status unpool_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    unpool_attr *a = attr;
    int strides, pads;
    (void)arena;
    UBP_TRY(ubp_attr_ints(n, "kernel_shape", &a->kernel, &a->n, err));
    UBP_TRY(ubp_attr_ints(n, "strides", &a->strides, &strides, err));
    UBP_TRY(ubp_attr_ints(n, "pads", &a->pads, &pads, err));
    bool good = a->n >= 1 && a->n <= UBP_MAX_SPATIAL && (strides < 0 || strides == a->n) &&
                (pads < 0 || pads == 2 * a->n);
    for (int i = 0; good && i < a->n; i++)
        good = a->kernel[i] >= 1 && a->kernel[i] <= INT32_MAX &&
               (!a->strides || (a->strides[i] >= 1 && a->strides[i] <= INT32_MAX)) &&
               (!a->pads || (a->pads[i] >= 0 && a->pads[a->n + i] >= 0 && a->pads[i] <= INT32_MAX &&
                             a->pads[a->n + i] <= INT32_MAX));
    if (good)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (MaxUnpool): kernel_shape, strides and pads do not fit", n->name);
}

/* The dims of the tensor that was pooled. */
static ub_status pooled_dims(const ubp_call *c, int64_t *dims)
{
    const unpool_attr *a = c->attr;
    const ub_tensor *x = c->in[IN_X];
    UBP_TRY(ubp_want_rank(c, IN_X, a->n + 2, a->n + 2));
    memcpy(dims, x->dims, 2 * sizeof *dims);
    for (int i = 0; i < a->n; i++) {
        int64_t size = 0;
        const int64_t pads = a->pads ? a->pads[i] + a->pads[a->n + i] : 0;
        if (!ubp_mul_i64(x->dims[2 + i] - 1, a->strides ? a->strides[i] : 1, &size) ||
            !ubp_add_i64(size, a->kernel[i] - pads, &size) || size < 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d of %lld elements cannot have been pooled",
                               2 + i, (long long)x->dims[2 + i]);
        dims[2 + i] = size;
    }
    return UB_OK;
}

static ub_status unpool_infer(const ubp_call *c)
{
    int64_t dims[UB_MAX_RANK], wanted[UB_MAX_RANK];
    int n = 0;
    const ub_tensor *x = c->in[IN_X];
    UBP_TRY(ubp_want_index(c, IN_INDICES));
    UBP_TRY(pooled_dims(c, dims));
    if (!ubp_same_dims(x, c->in[IN_INDICES]))
        return ubp_op_fail(c, UB_ERR_SHAPE, "the indices do not have the shape of input 0");
    if (!ubp_has_in(c, IN_SHAPE))
        return ubp_set_out(c, 0, x->dtype, x->rank, dims);
    UBP_TRY(ubp_in_ints(c, IN_SHAPE, wanted, &n, UB_MAX_RANK));
    for (int i = 0; i < x->rank; i++)
        if (n != x->rank || wanted[i] < dims[i])
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "output_shape has %d numbers or less than %lld on axis %d", n,
                               (long long)dims[i], i);
    return ubp_set_out(c, 0, x->dtype, x->rank, wanted);
}

static void unpool_batch(ubp_batch *b)
{
    if (ubp_has_samples(b, IN_X) || ubp_has_samples(b, IN_INDICES) || ubp_has_samples(b, IN_SHAPE))
        ubp_samples_couple(b, 0, "MaxUnpool's indices count through the whole batch");
    if (b->grown)
        ubp_samples_grown(b, 0);
}

static ub_status unpool_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[IN_X], *y = c->out[0];
    const size_t size = ub_dtype_size(x->dtype);
    int64_t dims[UB_MAX_RANK], *index, most = 1;
    UBP_TRY(pooled_dims(c, dims));
    for (int i = 0; i < x->rank; i++)
        if (!ubp_mul_i64(most, dims[i], &most))
            return ubp_op_fail(c, UB_ERR_SHAPE, "the pooled tensor is too large");
    UBP_TRY(ubp_index_data(c, IN_INDICES, &index));
    memset(y->data, 0, ubp_tensor_bytes(y));
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        int64_t rest = index[i], at = 0, step = 1;
        if (rest < 0 || rest >= most)
            return ubp_op_fail(c, UB_ERR_SHAPE, "index %lld, expected 0 to %lld", (long long)rest,
                               (long long)most - 1);
        for (int a = x->rank; a-- > 0; rest /= dims[a], step *= y->dims[a])
            at += rest % dims[a] * step;
        ubp_copy_element((char *)y->data + (size_t)at * size,
                         (const char *)x->data + (size_t)i * size, size);
    }
    return UB_OK;
}

const ubp_op ubp_op_MaxUnpool = {
    .name = "MaxUnpool",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(unpool_attr),
    .attrs = unpool_attrs,
    .infer = unpool_infer,
    .batch = unpool_batch,
    .ref = unpool_ref,
};
