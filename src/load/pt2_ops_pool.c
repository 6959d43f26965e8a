/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's pooling as our operators. Adaptive pools whose bins are not all equal are cut into the
 * bins along one axis after the other.
 */
#include <string.h>

#include "load/pt2.h"

enum { MOST = 3, MOST_BINS = 1024 };

typedef struct window {
    int n; /* spatial axes */
    int64_t kernel[MOST], stride[MOST], padding[2 * MOST], dilation[MOST];
    bool ceil_mode;
} window;

/* "max_pool2d_with_indices" -> 2. */
static int spatial_axes(const ubp_at *a)
{
    const char *digit = strpbrk(a->base, "123");
    return digit ? *digit - '0' : 1;
}

static int read_list(ubp_at *a, const char *name, int n, const int64_t *def, int64_t *out)
{
    int64_t v[UBP_PT2_MAX_LIST];
    const int have = ubp_at_ints(a, name, v, UBP_PT2_MAX_LIST);
    if (have > 1 && have != n)
        ubp_at_refuse(a, "%d numbers in '%s' for %d axes", have, name, n);
    for (int i = 0; i < n; i++)
        out[i] = have < 1 ? def[i] : have == 1 ? v[0] : i < have ? v[i] : def[i];
    return have;
}

static void read_window(ubp_at *a, window *w)
{
    static const int64_t zeros[MOST] = {0}, ones[MOST] = {1, 1, 1};
    w->n = spatial_axes(a);
    read_list(a, "kernel_size", w->n, ones, w->kernel);
    read_list(a, "stride", w->n, w->kernel, w->stride);
    read_list(a, "padding", w->n, zeros, w->padding);
    read_list(a, "dilation", w->n, ones, w->dilation);
    for (int i = 0; i < w->n; i++)
        w->padding[w->n + i] = w->padding[i];
    w->ceil_mode = ubp_at_bool(a, "ceil_mode", false);
}

/* An image without a batch axis gets one of size 1, *single. */
static int32_t batched(ubp_at *a, int n, ubp_pt2_meta *m, bool *single)
{
    const int64_t front = 0;
    int32_t x = ubp_at_tensor(a, "self");
    *single = false;
    if (!ubp_at_meta(a, "self", m))
        return x;
    if (m->rank != n + 1 && m->rank != n + 2) {
        ubp_at_refuse(a, "an input of %d axes", m->rank);
        return x;
    }
    *single = m->rank == n + 1;
    if (!*single)
        return x;
    for (int i = m->rank; i > 0; i--)
        m->dims[i] = m->dims[i - 1];
    m->dims[0] = 1;
    m->rank++;
    return ubp_emit_unsqueeze(a->e, x, &front, 1);
}

static void give(ubp_at *a, int k, int32_t y, bool single)
{
    const int64_t front = 0;
    ubp_at_give(a, k, single ? ubp_emit_squeeze(a->e, y, &front, 1) : y);
}

/* ---- Max and average --------------------------------------------------------------------------
 */

/* PyTorch numbers the elements of a plane, ONNX those of the whole tensor. */
static void max_pool(ubp_at *a, const window *w, int32_t x, bool single)
{
    int32_t out[2];
    const ubp_attr attrs[] = {ubp_emit_list(a->e, "kernel_shape", w->kernel, w->n),
                              ubp_emit_list(a->e, "strides", w->stride, w->n),
                              ubp_emit_list(a->e, "pads", w->padding, 2 * w->n),
                              ubp_emit_list(a->e, "dilations", w->dilation, w->n),
                              ubp_emit_int("ceil_mode", w->ceil_mode),
                              ubp_emit_int("plane_indices", 1)};
    const bool index = a->n_out > 1 && a->names[1] && !strstr(a->names[1], "_unused_");
    ubp_emit_many(a->e, "MaxPool", 1, &x, UBP_COUNT(attrs), attrs, index ? 2 : 1, out);
    give(a, 0, out[0], single);
    if (index)
        give(a, 1, out[1], single);
}

static void make_max_pool(ubp_at *a)
{
    ubp_pt2_meta m;
    window w = {.n = 0};
    bool single = false;
    read_window(a, &w);
    const int32_t x = batched(a, w.n, &m, &single);
    if (!a->refused)
        max_pool(a, &w, x, single);
}

static void make_avg_pool(ubp_at *a)
{
    ubp_pt2_meta m;
    window w = {.n = 0};
    bool single = false;
    int64_t area = 1;
    read_window(a, &w);
    const int32_t x = batched(a, w.n, &m, &single);
    const bool counted = ubp_at_bool(a, "count_include_pad", true);
    const bool divides = ubp_at_given(a, "divisor_override");
    const int64_t divisor = ubp_at_int(a, "divisor_override", 1);
    if (divides && w.ceil_mode)
        ubp_at_refuse(a, "divisor_override with ceil_mode");
    if (a->refused)
        return;
    const ubp_attr attrs[] = {ubp_emit_list(a->e, "kernel_shape", w.kernel, w.n),
                              ubp_emit_list(a->e, "strides", w.stride, w.n),
                              ubp_emit_list(a->e, "pads", w.padding, 2 * w.n),
                              ubp_emit_int("count_include_pad", counted || divides),
                              ubp_emit_int("ceil_mode", w.ceil_mode)};
    int32_t y = ubp_emit_node(a->e, "AveragePool", 1, &x, UBP_COUNT(attrs), attrs);
    for (int i = 0; i < w.n; i++)
        if (!ubp_mul_i64(area, w.kernel[i], &area))
            area = 0;
    if (divides)
        y = ubp_emit_2(a->e, "Mul", y,
                       ubp_emit_number(a->e, m.dtype, (double)area / (double)divisor));
    give(a, 0, y, single);
}

/* ---- Adaptive ---------------------------------------------------------------------------------
 */

/* Bin i of `out` over `in` entries: from floor(i * in / out) to ceil((i + 1) * in / out). */
static int32_t cut_axis(ubp_at *a, const char *reduce, int32_t x, int axis, int64_t in, int64_t out)
{
    int32_t bins[MOST_BINS];
    const int64_t at = axis;
    if (in < 1 || in > INT32_MAX || out < 1 || out > MOST_BINS) {
        ubp_at_refuse(a, "%lld bins over %lld entries", (long long)out, (long long)in);
        return x;
    }
    for (int64_t i = 0; i < out; i++) {
        const int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
        const int32_t part = ubp_emit_slice(a->e, x, axis, begin, end, 1);
        bins[i] = ubp_emit_reduce(a->e, reduce, part, &at, 1, true);
    }
    return ubp_emit_concat(a->e, bins, (int)out, axis);
}

/* Bins that are all of one size are an ordinary pool. */
static bool even_window(const ubp_pt2_meta *m, const int64_t *out, int n, window *w)
{
    *w = (window){.n = n};
    for (int i = 0; i < n; i++) {
        const int64_t in = m->dims[i + 2];
        if (in < 1 || out[i] < 1 || in % out[i] != 0)
            return false;
        w->kernel[i] = w->stride[i] = in / out[i];
        w->dilation[i] = 1;
    }
    return true;
}

/* One bin for everything. */
static int32_t whole(ubp_at *a, const char *reduce, int32_t x, int n)
{
    const int64_t axes[MOST] = {2, 3, 4};
    return ubp_emit_reduce(a->e, reduce, x, axes, n, true);
}

static int32_t average(ubp_at *a, const window *w, int32_t x)
{
    const ubp_attr attrs[] = {ubp_emit_list(a->e, "kernel_shape", w->kernel, w->n),
                              ubp_emit_list(a->e, "strides", w->stride, w->n)};
    return ubp_emit_node(a->e, "AveragePool", 1, &x, 2, attrs);
}

static void make_adaptive(ubp_at *a)
{
    static const int64_t ones[MOST] = {1, 1, 1};
    ubp_pt2_meta m;
    window w;
    bool single = false, one = true;
    int64_t out[MOST];
    const bool max = strcmp(ubp_at_word(a), "max") == 0;
    const char *reduce = max ? "ReduceMax" : "ReduceMean";
    const int n = spatial_axes(a);
    int32_t x = batched(a, n, &m, &single);
    read_list(a, "output_size", n, ones, out);
    for (int i = 0; i < n; i++)
        one &= out[i] == 1;
    if (a->refused)
        return;
    if (even_window(&m, out, n, &w) && max) {
        max_pool(a, &w, x, single);
        return;
    }
    if (one) {
        give(a, 0, whole(a, reduce, x, n), single);
        return;
    }
    if (even_window(&m, out, n, &w)) {
        give(a, 0, average(a, &w, x), single);
        return;
    }
    for (int i = 0; i < n; i++)
        if (m.dims[i + 2] != out[i])
            x = cut_axis(a, reduce, x, i + 2, m.dims[i + 2], out[i]);
    give(a, 0, ubp_emit_1(a->e, "Identity", x), single);
}

const ubp_pt2_op ubp_pt2_ops_pool[] = {
    {"max_pool1d", make_max_pool, ""},
    {"max_pool2d", make_max_pool, ""},
    {"max_pool3d", make_max_pool, ""},
    {"max_pool1d_with_indices", make_max_pool, ""},
    {"max_pool2d_with_indices", make_max_pool, ""},
    {"max_pool3d_with_indices", make_max_pool, ""},
    {"avg_pool1d", make_avg_pool, ""},
    {"avg_pool2d", make_avg_pool, ""},
    {"avg_pool3d", make_avg_pool, ""},
    {"adaptive_avg_pool1d", make_adaptive, "avg"},
    {"adaptive_avg_pool2d", make_adaptive, "avg"},
    {"adaptive_avg_pool3d", make_adaptive, "avg"},
    {"_adaptive_avg_pool2d", make_adaptive, "avg"},
    {"_adaptive_avg_pool3d", make_adaptive, "avg"},
    {"adaptive_max_pool1d", make_adaptive, "max"},
    {"adaptive_max_pool2d", make_adaptive, "max"},
    {"adaptive_max_pool3d", make_adaptive, "max"},
    {0},
};
