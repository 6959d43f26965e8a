/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's operators that only move elements, second part: those that give tensors of their own.
 */
#include <string.h>

#include "load/pt2.h"

static bool read_self(ubp_at *a, int32_t *x, ubp_pt2_meta *m)
{
    *x = ubp_at_tensor(a, ubp_at_given(a, "self") ? "self" : "input");
    return ubp_at_meta(a, ubp_at_given(a, "self") ? "self" : "input", m);
}

/* ---- Joining ----------------------------------------------------------------------------------
 */

/* cat and stack; operands of several dtypes meet in that of the result. */
static void make_cat(ubp_at *a)
{
    ubp_pt2_meta out, *m = NULL;
    int32_t *in = NULL;
    const bool stack = strcmp(ubp_at_word(a), "stack") == 0;
    const int n = ubp_at_tensors(a, "tensors", &in, &m);
    int kept = 0;
    if (!ubp_at_out_meta(a, 0, &out) || n == 0)
        return;
    const int64_t axis = ubp_at_axis(a, "dim", 0, out.rank);
    for (int i = 0; i < n; i++) {
        /* An empty list of numbers may stand among tensors of any rank. */
        if (!stack && m[i].rank == 1 && m[i].dims[0] == 0 && out.rank > 1)
            continue;
        int32_t x = in[i];
        if (m[i].dtype != out.dtype)
            x = ubp_emit_cast(a->e, x, out.dtype);
        in[kept++] = stack ? ubp_emit_unsqueeze(a->e, x, &axis, 1) : x;
    }
    ubp_at_give(a, 0, ubp_emit_concat(a->e, in, kept, (int)axis));
}

/* ---- Repeating --------------------------------------------------------------------------------
 */

/* Each axis so often; new axes stand in front. */
static void make_repeat(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_pt2_size times[UBP_PT2_MAX_LIST];
    int64_t dims[UB_MAX_RANK];
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    int n =
        ubp_at_sizes(a, ubp_at_given(a, "repeats") ? "repeats" : "dims", times, UBP_PT2_MAX_LIST);
    if (strcmp(a->base, "tile") == 0 && n >= 0 && n < m.rank) { /* the last axes */
        memmove(times + m.rank - n, times, (size_t)n * sizeof(*times));
        for (int i = 0; i < m.rank - n; i++)
            times[i] = (ubp_pt2_size){1, UBP_NO_VALUE};
        n = m.rank;
    }
    const int front = n - m.rank;
    if (front < 0 || n > UB_MAX_RANK) {
        ubp_at_refuse(a, "%d repeats of %d axes", n, m.rank);
        return;
    }
    bool broadcast = true; /* repeating an axis of one entry is no copy */
    for (int i = 0; i < n; i++) {
        const bool once = times[i].value == UBP_NO_VALUE && times[i].known == 1;
        dims[i] = i < front ? 1 : m.dims[i - front];
        broadcast &= once || dims[i] == 1;
    }
    if (broadcast) {
        ubp_at_give(a, 0, ubp_emit_2(a->e, "Expand", x, ubp_at_shape(a, times, n)));
        return;
    }
    int64_t axes[UB_MAX_RANK];
    for (int i = 0; i < front; i++)
        axes[i] = i;
    if (front > 0)
        x = ubp_emit_unsqueeze(a->e, x, axes, front);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Tile", x, ubp_at_shape(a, times, n)));
}

static void make_repeat_interleave(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    if (ubp_at_is_tensor(a, "repeats")) {
        ubp_at_refuse(a, "repeats that are a tensor");
        return;
    }
    const int64_t times = ubp_at_int(a, "repeats", 1), flat = -1;
    ubp_at_ignore(a, "output_size");
    if (!ubp_at_given(a, "dim")) {
        x = ubp_emit_reshape(a->e, x, 1, &flat);
        m.rank = 1;
        m.dims[0] = -1;
    }
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const int64_t behind = axis + 1;
    int64_t shape[UB_MAX_RANK + 1], dims[UB_MAX_RANK];
    int free_axes = 0;
    for (int i = 0; i < m.rank + 1; i++)
        shape[i] = i == behind ? times : 1;
    for (int i = 0; i < m.rank; i++) {
        dims[i] = i == axis && m.dims[i] >= 0 ? m.dims[i] * times : m.dims[i];
        free_axes += dims[i] < 0;
    }
    if (free_axes > 1 || m.rank + 1 > UB_MAX_RANK || times < 1 || times > 1 << 20) {
        ubp_at_refuse(a, "%lld repeats of sizes that are not fixed", (long long)times);
        return;
    }
    x = ubp_emit_unsqueeze(a->e, x, &behind, 1);
    x = ubp_emit_2(a->e, "Expand", x, ubp_emit_ints(a->e, shape, m.rank + 1));
    ubp_at_give(a, 0, ubp_emit_reshape(a->e, x, m.rank, dims));
}

/* ---- Turning and rolling ----------------------------------------------------------------------
 */

static int32_t reversed(ubp_at *a, int32_t x, int axis)
{
    return ubp_emit_slice(a->e, x, axis, -1, INT64_MIN, -1);
}

static void make_flip(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t axes[UB_MAX_RANK];
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    int n = ubp_at_ints(a, "dims", axes, UB_MAX_RANK);
    if (strcmp(a->base, "fliplr") == 0 || strcmp(a->base, "flipud") == 0) {
        axes[0] = strcmp(a->base, "fliplr") == 0;
        n = 1;
    }
    for (int i = 0; i < n; i++)
        if (ubp_normalize_axis(&axes[i], m.rank))
            x = reversed(a, x, (int)axes[i]);
    ubp_at_give(a, 0, x);
}

static int32_t rolled(ubp_at *a, int32_t x, int axis, int64_t shift, int64_t size)
{
    if (size > 0)
        shift %= size;
    if (shift == 0)
        return x;
    const int32_t parts[] = {ubp_emit_slice(a->e, x, axis, -shift, INT64_MAX, 1),
                             ubp_emit_slice(a->e, x, axis, 0, -shift, 1)};
    return ubp_emit_concat(a->e, parts, 2, axis);
}

static void make_roll(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t shifts[UB_MAX_RANK], axes[UB_MAX_RANK];
    const int64_t flat = -1;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int n = ubp_at_ints(a, "shifts", shifts, UB_MAX_RANK);
    const int n_axes = ubp_at_ints(a, "dims", axes, UB_MAX_RANK);
    if (n_axes < 1) {
        const int32_t y = ubp_emit_reshape(a->e, x, 1, &flat);
        x = ubp_emit_2(a->e, "Reshape", rolled(a, y, 0, n > 0 ? shifts[0] : 0, -1),
                       ubp_emit_shape(a->e, x));
    }
    for (int i = 0; i < n_axes && i < n; i++)
        if (ubp_normalize_axis(&axes[i], m.rank))
            x = rolled(a, x, (int)axes[i], shifts[i], m.dims[axes[i]]);
    ubp_at_give(a, 0, x);
}

/* ---- Padding ----------------------------------------------------------------------------------
 */

/* PyTorch lists (begin, end) from the last axis on. Negative ones cut. */
static void give_padded(ubp_at *a, int32_t x, const ubp_pt2_meta *m, const char *mode, double value)
{
    static const char *const modes[][2] = {{"constant", "constant"},
                                           {"reflect", "reflect"},
                                           {"replicate", "edge"},
                                           {"circular", "wrap"}};
    const char *onnx = NULL;
    int64_t pad[UBP_PT2_MAX_LIST], pads[2 * UB_MAX_RANK] = {0};
    const char *name = ubp_at_given(a, "pad") ? "pad" : "padding";
    const int n = ubp_at_ints(a, name, pad, UBP_PT2_MAX_LIST);
    for (int i = 0; i < UBP_COUNT(modes); i++)
        if (strcmp(mode, modes[i][0]) == 0)
            onnx = modes[i][1];
    if (!onnx || n % 2 != 0 || n / 2 > m->rank) {
        ubp_at_refuse(a, "mode '%.20s' or %d pads", mode, n);
        return;
    }
    bool any = false;
    for (int i = 0; i < n / 2; i++) {
        const int axis = m->rank - 1 - i;
        const int64_t begin = pad[2 * i], end = pad[2 * i + 1];
        if (begin < 0 || end < 0)
            x = ubp_emit_slice(a->e, x, axis, begin < 0 ? -begin : 0, end < 0 ? end : INT64_MAX, 1);
        pads[axis] = begin > 0 ? begin : 0;
        pads[m->rank + axis] = end > 0 ? end : 0;
        any |= begin > 0 || end > 0;
    }
    if (!any) {
        ubp_at_give(a, 0, ubp_emit_1(a->e, "Identity", x));
        return;
    }
    const bool constant = strcmp(onnx, "constant") == 0;
    const int32_t in[] = {x, ubp_emit_ints(a->e, pads, 2 * m->rank),
                          constant ? ubp_emit_number(a->e, m->dtype, value) : UBP_NO_VALUE};
    const ubp_attr attr = ubp_emit_string("mode", onnx);
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Pad", 3, in, 1, &attr));
}

static void make_pad(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const char *mode = ubp_at_word(a);
    if (!*mode)
        mode = ubp_at_string(a, "mode", "constant");
    give_padded(a, x, &m, mode, ubp_at_float(a, "value", 0));
}

/* ---- Pixels -----------------------------------------------------------------------------------
 */

/* Turns dims[0..n), a product of the input's, by perm, and gives it those of `to`. */
static void give_regrouped(ubp_at *a, int32_t x, int n, const int64_t *dims, const int64_t *perm,
                           int n_to, const int64_t *to)
{
    x = ubp_emit_reshape(a->e, x, n, dims);
    x = ubp_emit_transpose(a->e, x, n, perm);
    ubp_at_give(a, 0, ubp_emit_reshape(a->e, x, n_to, to));
}

static bool fixed_image(ubp_at *a, const ubp_pt2_meta *m)
{
    bool fixed = m->rank == 4;
    for (int i = 1; i < 4 && fixed; i++)
        fixed = m->dims[i] >= 0;
    if (!fixed)
        ubp_at_refuse(a, "an image of %d axes or of no fixed size", m->rank);
    return fixed;
}

static void make_pixel_shuffle(ubp_at *a)
{
    static const int64_t perm[] = {0, 1, 4, 2, 5, 3};
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int64_t r = ubp_at_int(a, "upscale_factor", 1);
    if (r < 1 || r > 1 << 10 || !fixed_image(a, &m) || m.dims[1] % (r * r) != 0)
        return;
    const int64_t c = m.dims[1] / (r * r), h = m.dims[2], w = m.dims[3];
    const int64_t dims[] = {-1, c, r, r, h, w}, to[] = {-1, c, h * r, w * r};
    give_regrouped(a, x, 6, dims, perm, 4, to);
}

static void make_pixel_unshuffle(ubp_at *a)
{
    static const int64_t perm[] = {0, 1, 3, 5, 2, 4};
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int64_t r = ubp_at_int(a, "downscale_factor", 1);
    if (r < 1 || r > 1 << 10 || !fixed_image(a, &m))
        return;
    const int64_t c = m.dims[1], h = m.dims[2] / r, w = m.dims[3] / r;
    const int64_t dims[] = {-1, c, h, r, w, r}, to[] = {-1, c * r * r, h, w};
    give_regrouped(a, x, 6, dims, perm, 4, to);
}

static void make_channel_shuffle(ubp_at *a)
{
    static const int64_t perm[] = {0, 2, 1, 3, 4};
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int64_t g = ubp_at_int(a, "groups", 1);
    if (!fixed_image(a, &m) || g < 1 || m.dims[1] % g != 0)
        return;
    const int64_t dims[] = {-1, g, m.dims[1] / g, m.dims[2], m.dims[3]};
    const int64_t to[] = {-1, m.dims[1], m.dims[2], m.dims[3]};
    give_regrouped(a, x, 5, dims, perm, 4, to);
}

/* ---- Windows ----------------------------------------------------------------------------------
 */

/* Tensor.unfold: windows of an axis; what is in a window is the last axis. */
static void make_unfold(ubp_at *a)
{
    enum { MOST = 1 << 16 };
    ubp_pt2_meta m;
    int64_t perm[UB_MAX_RANK];
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int axis = ubp_at_axis(a, "dimension", 0, m.rank);
    const int64_t size = ubp_at_int(a, "size", 1), step = ubp_at_int(a, "step", 1);
    const int64_t have = m.rank > 0 ? m.dims[axis] : -1;
    if (have < size || size < 1 || step < 1 || have > MOST || m.rank + 1 > UB_MAX_RANK) {
        ubp_at_refuse(a, "an axis of %lld entries", (long long)have);
        return;
    }
    const int64_t windows = (have - size) / step + 1;
    if (windows * size > MOST) {
        ubp_at_refuse(a, "%lld windows", (long long)windows);
        return;
    }
    int64_t *index = ubp_at_array(a, (size_t)(windows * size), sizeof(*index));
    for (int64_t i = 0; index && i < windows * size; i++)
        index[i] = i / size * step + i % size;
    const int64_t shape[] = {windows, size};
    const int32_t flat = index ? ubp_emit_ints(a->e, index, (int)(windows * size)) : UBP_NO_VALUE;
    const int32_t in[] = {x, ubp_emit_reshape(a->e, flat, 2, shape)};
    const ubp_attr attr = ubp_emit_int("axis", axis);
    x = ubp_emit_node(a->e, "Gather", 2, in, 1, &attr);
    for (int i = 0; i < m.rank; i++)
        perm[i] = i <= axis ? i : i + 1;
    perm[m.rank] = axis + 1;
    ubp_at_give(a, 0, ubp_emit_transpose(a->e, x, m.rank + 1, perm));
    ubp_at_view(a, 0, (ubp_pt2_view){.kind = UBP_PT2_OTHER});
}

typedef struct grid {
    int64_t kernel[2], dilation[2], padding[2], stride[2];
} grid;

static void read_grid(ubp_at *a, grid *g)
{
    const struct {
        const char *name;
        int64_t *to, def;
    } lists[] = {{"kernel_size", g->kernel, 1},
                 {"dilation", g->dilation, 1},
                 {"padding", g->padding, 0},
                 {"stride", g->stride, 1}};
    for (int k = 0; k < UBP_COUNT(lists); k++) {
        int64_t v[2] = {lists[k].def, lists[k].def};
        const int n = ubp_at_ints(a, lists[k].name, v, 2);
        lists[k].to[0] = v[0];
        lists[k].to[1] = n == 1 ? v[0] : v[1];
        for (int i = 0; i < 2; i++)
            if (lists[k].to[i] < lists[k].def || lists[k].to[i] > 1 << 16)
                ubp_at_refuse(a, "'%s' %lld", lists[k].name, (long long)lists[k].to[i]);
    }
}

/* nn.Unfold: one strided slice for each place in the kernel. */
static void make_im2col(ubp_at *a)
{
    enum { MOST = 1024 };
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    grid g;
    int32_t x, taps[MOST];
    const int64_t behind = 2;
    if (!read_self(a, &x, &m))
        return;
    read_grid(a, &g);
    if (a->refused || !fixed_image(a, &m) || g.kernel[0] * g.kernel[1] > MOST) {
        ubp_at_refuse(a, "a kernel that is too large");
        return;
    }
    const int64_t pads[] = {0, 0, g.padding[0], g.padding[1], 0, 0, g.padding[0], g.padding[1]};
    if (g.padding[0] || g.padding[1])
        x = ubp_emit_2(e, "Pad", x, ubp_emit_ints(e, pads, 8));
    int64_t out[2];
    for (int i = 0; i < 2; i++)
        out[i] = (m.dims[2 + i] + 2 * g.padding[i] - g.dilation[i] * (g.kernel[i] - 1) - 1) /
                     g.stride[i] +
                 1;
    int n = 0;
    for (int64_t i = 0; i < g.kernel[0]; i++)
        for (int64_t j = 0; j < g.kernel[1]; j++) {
            const int64_t at[] = {i * g.dilation[0], j * g.dilation[1]};
            int32_t part = x;
            for (int k = 0; k < 2; k++)
                part = ubp_emit_slice(e, part, 2 + k, at[k], at[k] + (out[k] - 1) * g.stride[k] + 1,
                                      g.stride[k]);
            taps[n++] = ubp_emit_unsqueeze(e, part, &behind, 1);
        }
    const int64_t dims[] = {-1, m.dims[1] * n, out[0] * out[1]};
    ubp_at_give(a, 0, ubp_emit_reshape(e, ubp_emit_concat(e, taps, n, 2), 3, dims));
}

static void make_col2im(ubp_at *a)
{
    ubp_pt2_meta m;
    grid g;
    int32_t x;
    int64_t size[2];
    if (!read_self(a, &x, &m))
        return;
    read_grid(a, &g);
    const int n = ubp_at_ints(a, "output_size", size, 2);
    if (n != 2 || m.rank != 3) {
        ubp_at_refuse(a, "an output_size of %d numbers", n);
        return;
    }
    const int64_t pads[] = {g.padding[0], g.padding[1], g.padding[0], g.padding[1]};
    const int32_t in[] = {x, ubp_emit_ints(a->e, size, 2), ubp_emit_ints(a->e, g.kernel, 2)};
    const ubp_attr attrs[] = {ubp_emit_list(a->e, "dilations", g.dilation, 2),
                              ubp_emit_list(a->e, "strides", g.stride, 2),
                              ubp_emit_list(a->e, "pads", pads, 4)};
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Col2Im", 3, in, 3, attrs));
}

/* ---- Triangles, diagonals ---------------------------------------------------------------------
 */

static void make_trilu(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int32_t in[] = {x, ubp_emit_integer(a->e, UB_I64, ubp_at_int(a, "diagonal", 0))};
    const ubp_attr upper = ubp_emit_int("upper", strcmp(ubp_at_word(a), "upper") == 0);
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Trilu", 2, in, 1, &upper));
}

/* The diagonal of two axes, as the last axis: their entries are laid in one row and picked. */
static void make_diagonal(ubp_at *a)
{
    enum { MOST = 1 << 16 };
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int64_t perm[UB_MAX_RANK], dims[UB_MAX_RANK];
    int32_t x;
    int n = 0, free_axes = 0;
    if (!read_self(a, &x, &m))
        return;
    const int p = ubp_at_axis(a, "dim1", 0, m.rank), q = ubp_at_axis(a, "dim2", 1, m.rank);
    const int64_t offset = ubp_at_int(a, "offset", 0);
    if (m.rank < 2 || p == q || m.dims[p] < 0 || m.dims[q] < 0 || m.dims[p] > MOST ||
        m.dims[q] > MOST || offset > MOST || offset < -MOST) {
        ubp_at_refuse(a, "axes whose sizes are not fixed");
        return;
    }
    for (int i = 0; i < m.rank; i++)
        if (i != p && i != q) {
            dims[n] = m.dims[i];
            free_axes += m.dims[i] < 0;
            perm[n++] = i;
        }
    perm[n] = p;
    perm[n + 1] = q;
    dims[n] = m.dims[p] * m.dims[q];
    int64_t *index = ubp_at_array(a, MOST, sizeof(*index));
    int count = 0;
    for (int64_t i = 0; index && i < m.dims[p] && count < MOST; i++)
        if (i + offset >= 0 && i + offset < m.dims[q])
            index[count++] = i * m.dims[q] + i + offset;
    if (free_axes > 1 || !index) {
        ubp_at_refuse(a, "several axes whose sizes are not fixed");
        return;
    }
    x = ubp_emit_reshape(e, ubp_emit_transpose(e, x, m.rank, perm), n + 1, dims);
    const int32_t in[] = {x, ubp_emit_ints(e, index, count)};
    const ubp_attr axis = ubp_emit_int("axis", n);
    ubp_at_give(a, 0, ubp_emit_node(e, "Gather", 2, in, 1, &axis));
    ubp_at_view(a, 0, (ubp_pt2_view){.kind = UBP_PT2_OTHER});
}

/* meshgrid: each vector along its own axis. */
static void make_meshgrid(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta *m = NULL;
    int32_t *in = NULL, sizes[UB_MAX_RANK];
    const int n = ubp_at_tensors(a, "tensors", &in, &m);
    const bool swap = strcmp(ubp_at_string(a, "indexing", "ij"), "xy") == 0 && n > 1;
    if (n > UB_MAX_RANK || n < 1) {
        ubp_at_refuse(a, "%d tensors", n);
        return;
    }
    for (int i = 0; i < n; i++) {
        const int at = swap && i < 2 ? 1 - i : i;
        sizes[at] = ubp_emit_size(e, in[i], 0);
    }
    const int32_t shape = n == 1 ? sizes[0] : ubp_emit_concat(e, sizes, n, 0);
    for (int i = 0; i < n; i++) {
        int64_t dims[UB_MAX_RANK];
        const int at = swap && i < 2 ? 1 - i : i;
        for (int k = 0; k < n; k++)
            dims[k] = k == at ? -1 : 1;
        ubp_at_give(a, i, ubp_emit_2(e, "Expand", ubp_emit_reshape(e, in[i], n, dims), shape));
    }
}

const ubp_pt2_op ubp_pt2_ops_join[] = {
    {"cat", make_cat, "cat"},
    {"concat", make_cat, "cat"},
    {"concatenate", make_cat, "cat"},
    {"stack", make_cat, "stack"},
    {"repeat", make_repeat, ""},
    {"tile", make_repeat, ""},
    {"repeat_interleave", make_repeat_interleave, ""},
    {"flip", make_flip, ""},
    {"fliplr", make_flip, ""},
    {"flipud", make_flip, ""},
    {"roll", make_roll, ""},
    {"pad", make_pad, ""},
    {"constant_pad_nd", make_pad, "constant"},
    {"reflection_pad1d", make_pad, "reflect"},
    {"reflection_pad2d", make_pad, "reflect"},
    {"reflection_pad3d", make_pad, "reflect"},
    {"replication_pad1d", make_pad, "replicate"},
    {"replication_pad2d", make_pad, "replicate"},
    {"replication_pad3d", make_pad, "replicate"},
    {"pixel_shuffle", make_pixel_shuffle, ""},
    {"pixel_unshuffle", make_pixel_unshuffle, ""},
    {"channel_shuffle", make_channel_shuffle, ""},
    {"native_channel_shuffle", make_channel_shuffle, ""},
    {"unfold", make_unfold, ""},
    {"im2col", make_im2col, ""},
    {"col2im", make_col2im, ""},
    {"tril", make_trilu, "lower"},
    {"triu", make_trilu, "upper"},
    {"diagonal", make_diagonal, ""},
    {"diagonal_copy", make_diagonal, ""},
    {"meshgrid", make_meshgrid, ""},
    {0},
};
