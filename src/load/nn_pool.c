/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling in both conventions. Keras never counts padding; PyTorch's average does, unless told.
 */
#include "load/nn.h"

#include <string.h>

enum { MAX_SPATIAL = 3 };

/* A pooling window along all spatial axes. */
typedef struct pool {
    int64_t kernel[MAX_SPATIAL], strides[MAX_SPATIAL], dilations[MAX_SPATIAL];
    int64_t pads[2 * MAX_SPATIAL], sizes[MAX_SPATIAL];
    bool same, ceil;
} pool;

static bool check_rank(ubp_nn_call *c, const char *expected)
{
    if (c->rank == c->kind->n + 2)
        return true;
    ubp_nn_expect(c, expected);
    return false;
}

/* Windows of that extent in a padded axis; with ceil the last one may hang over its end, but must
 * begin inside. */
static int64_t count_windows(const pool *p, int64_t size, int64_t begin, int64_t end, int64_t k,
                             int64_t s)
{
    if (p->same)
        return (size + s - 1) / s;
    const int64_t rest = size + begin + end - k;
    if (!p->ceil || rest < 0)
        return rest < 0 ? 0 : rest / s + 1;
    const int64_t n = (rest + s - 1) / s + 1;
    return (n - 1) * s >= size + begin ? n - 1 : n;
}

static bool find_sizes(ubp_nn_call *c, pool *p, int spatial)
{
    const int n = c->kind->n;
    for (int i = 0; i < n; i++) {
        const int64_t k = (p->kernel[i] - 1) * p->dilations[i] + 1, size = c->dims[spatial + i];
        p->sizes[i] =
            size < 0 ? -1 : count_windows(p, size, p->pads[i], p->pads[n + i], k, p->strides[i]);
        if (p->sizes[i] == 0) {
            char text[UBP_SHAPE_TEXT];
            ubp_nn_fail(c, UB_ERR_SHAPE,
                        "its input is %s: %lld along axis %d, smaller than the window's %lld",
                        ubp_nn_shape_text(text, c->rank, c->dims), (long long)size, spatial + i,
                        (long long)k);
            return false;
        }
    }
    return true;
}

static int32_t make_pool(ubp_nn_call *c, const pool *p, int32_t x, int n_more, const ubp_attr *more)
{
    const int n = c->kind->n;
    ubp_attr attrs[8];
    int m = 0;
    attrs[m++] = ubp_emit_list(c->e, "kernel_shape", p->kernel, n);
    attrs[m++] = ubp_emit_list(c->e, "strides", p->strides, n);
    attrs[m++] = p->same ? ubp_emit_string("auto_pad", "SAME_UPPER")
                         : ubp_emit_list(c->e, "pads", p->pads, 2 * n);
    attrs[m++] = ubp_emit_int("ceil_mode", p->ceil);
    for (int i = 0; i < n_more; i++)
        attrs[m++] = more[i];
    return ubp_nn_node(c, c->kind->op, x, m, attrs);
}

/* ---- Keras ------------------------------------------------------------------------------------
 */

void ubp_nn_build_keras_pool(ubp_nn_call *c)
{
    const ub_keras_pool *a = c->args;
    const int n = c->kind->n;
    pool p = {.dilations = {1, 1, 1}};
    int64_t dims[MAX_SPATIAL + 2] = {c->dims[0]};
    if (!check_rank(c, "(batch, steps..., channels)") ||
        !ubp_nn_axes(c, "pool_size", a->pool_size, n, 2, 1, p.kernel))
        return;
    memcpy(p.strides, p.kernel, sizeof(p.strides));
    if (a->strides[0] != 0 && !ubp_nn_axes(c, "strides", a->strides, n, 1, 1, p.strides))
        return;
    p.same = a->padding && strcmp(a->padding, "same") == 0;
    if (a->padding && !p.same && strcmp(a->padding, "valid") != 0)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "padding is '%.40s', 'valid' or 'same' was expected",
                    a->padding);
    if (ubp_nn_failed(c) || !find_sizes(c, &p, 1))
        return;
    memcpy(dims + 1, p.sizes, (size_t)n * sizeof(int64_t));
    dims[n + 1] = c->dims[n + 1];
    const int32_t y = make_pool(c, &p, ubp_nn_to_first(c, c->x, c->rank), 0, NULL);
    ubp_nn_give(c, ubp_nn_to_last(c, y, c->rank), c->rank, dims);
}

void ubp_nn_build_keras_global(ubp_nn_call *c)
{
    const ub_keras_pool *a = c->args;
    const int n = c->kind->n;
    int64_t axes[MAX_SPATIAL], dims[MAX_SPATIAL + 2] = {c->dims[0], 1, 1, 1, 1};
    if (!check_rank(c, "(batch, steps..., channels)"))
        return;
    for (int i = 0; i < n; i++)
        axes[i] = 1 + i;
    dims[a->keepdims ? n + 1 : 1] = c->dims[n + 1];
    ubp_nn_give(c, ubp_emit_reduce(c->e, c->kind->op, c->x, axes, n, a->keepdims),
                a->keepdims ? c->rank : 2, dims);
}

/* ---- PyTorch ----------------------------------------------------------------------------------
 */

static void give_first(ubp_nn_call *c, const int64_t *sizes, int32_t y)
{
    int64_t dims[MAX_SPATIAL + 2] = {c->dims[0], c->dims[1]};
    memcpy(dims + 2, sizes, (size_t)c->kind->n * sizeof(int64_t));
    ubp_nn_give(c, y, c->rank, dims);
}

void ubp_nn_build_torch_pool(ubp_nn_call *c)
{
    const ub_torch_pool *a = c->args;
    const int n = c->kind->n;
    const bool average = strcmp(c->kind->op, "AveragePool") == 0;
    pool p = {.ceil = a->ceil_mode};
    if (!check_rank(c, "(batch, channels, length...)") ||
        !ubp_nn_axes(c, "kernel_size", a->kernel_size, n, 0, 1, p.kernel) ||
        !ubp_nn_axes(c, "dilation", a->dilation, n, 1, 1, p.dilations) ||
        !ubp_nn_axes(c, "padding", a->padding, n, 0, 0, p.pads))
        return;
    memcpy(p.strides, p.kernel, sizeof(p.strides));
    if (a->stride[0] != 0 && !ubp_nn_axes(c, "stride", a->stride, n, 1, 1, p.strides))
        return;
    for (int i = 0; i < n; i++) {
        p.pads[n + i] = p.pads[i];
        if (p.pads[i] > p.kernel[i] / 2 || (average && p.dilations[i] != 1))
            ubp_nn_fail(c, UB_ERR_ARGUMENT,
                        "padding is at most half of kernel_size, and average"
                        " pooling has no dilation");
    }
    if (ubp_nn_failed(c) || !find_sizes(c, &p, 2))
        return;
    const ubp_attr more = average ? ubp_emit_int("count_include_pad", !a->exclude_pad)
                                  : ubp_emit_list(c->e, "dilations", p.dilations, n);
    give_first(c, p.sizes, make_pool(c, &p, c->x, 1, &more));
}

/* Output sizes that divide the input's are plain pooling; 1 is the whole axis. */
void ubp_nn_build_torch_adaptive(ubp_nn_call *c)
{
    const ub_torch_pool *a = c->args;
    const int n = c->kind->n;
    pool p = {.dilations = {1, 1, 1}};
    bool global = true;
    if (!check_rank(c, "(batch, channels, length...)") ||
        !ubp_nn_axes(c, "output_size", a->kernel_size, n, 0, 1, p.sizes))
        return;
    for (int i = 0; i < n; i++)
        global &= p.sizes[i] == 1;
    if (global) {
        const char *op =
            strcmp(c->kind->op, "MaxPool") == 0 ? "GlobalMaxPool" : "GlobalAveragePool";
        give_first(c, p.sizes, ubp_emit_1(c->e, op, c->x));
        return;
    }
    for (int i = 0; i < n; i++) {
        int64_t size;
        if (!ubp_nn_known(c, 2 + i, &size))
            return;
        if (size < p.sizes[i] || size % p.sizes[i] != 0) {
            ubp_nn_fail(c, UB_ERR_UNSUPPORTED,
                        "%lld of axis %d cannot be divided into %lld equal windows; output sizes"
                        " that divide the input's are supported",
                        (long long)size, 2 + i, (long long)p.sizes[i]);
            return;
        }
        p.kernel[i] = p.strides[i] = size / p.sizes[i];
    }
    give_first(c, p.sizes, make_pool(c, &p, c->x, 0, NULL));
}
