/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's interpolations as our Resize and GridSample.
 */
#include <string.h>

#include "load/pt2.h"

enum { MOST = 3 };

/* "_upsample_bicubic2d_aa" -> 2. */
static int spatial_axes(const ubp_at *a)
{
    const char *digit = strpbrk(a->base, "123");
    return digit ? *digit - '0' : 1;
}

/* Sizes or scales as an input of Resize. */
typedef struct target {
    int32_t scales, sizes;
} target;

/* .vec overloads have scale_factors, the others scales_h, scales_w (scales for one axis), which
 * count for where a pixel lies even when sizes are given. */
static target read_target(ubp_at *a, int n)
{
    static const char *const names[] = {"scales_d", "scales_h", "scales_w"};
    target t = {UBP_NO_VALUE, UBP_NO_VALUE};
    ubp_pt2_size sizes[MOST];
    double v[MOST];
    float scales[MOST];
    int have = ubp_at_floats(a, "scale_factors", v, MOST);
    for (int i = 0; i < n && have < 0; i++) {
        const char *name = n == 1 ? "scales" : names[MOST - n + i];
        if (!ubp_at_given(a, name))
            break;
        v[i] = ubp_at_float(a, name, 1);
        have = i + 1 == n ? n : have;
    }
    const int n_sizes = ubp_at_sizes(a, "output_size", sizes, MOST);
    if (have == n) {
        for (int i = 0; i < n; i++)
            scales[i] = (float)v[i];
        t.scales = ubp_emit_floats(a->e, scales, n);
    } else if (n_sizes == n) {
        t.sizes = ubp_at_shape(a, sizes, n);
    } else {
        ubp_at_refuse(a, "neither sizes nor scales for %d axes", n);
    }
    return t;
}

/* With aligned corners PyTorch counts between whole pixels: the sizes say where, not the scales. */
static void to_sizes(ubp_at *a, int n, target *t)
{
    ubp_pt2_meta m;
    if (!ubp_at_out_meta(a, 0, &m) || m.rank != n + 2)
        return;
    for (int i = 0; i < n; i++)
        if (m.dims[2 + i] < 0) {
            ubp_at_refuse(a, "align_corners and sizes that are not fixed");
            return;
        }
    *t = (target){UBP_NO_VALUE, ubp_emit_ints(a->e, m.dims + 2, n)};
}

static void make_upsample(ubp_at *a)
{
    ubp_pt2_meta m;
    const char *word = ubp_at_word(a);
    const int n = spatial_axes(a);
    const int64_t axes[MOST] = {2, 3, 4};
    const char *input = ubp_at_given(a, "self") ? "self" : "input";
    const int32_t x = ubp_at_tensor(a, input);
    target t = read_target(a, n);
    const bool align = ubp_at_bool(a, "align_corners", false);
    if (align && t.scales != UBP_NO_VALUE)
        to_sizes(a, n, &t);
    if (!ubp_at_meta(a, input, &m) || m.rank != n + 2) {
        ubp_at_refuse(a, "an image of %d axes", m.rank);
        return;
    }
    const bool nearest = strcmp(word, "nearest") == 0, exact = strcmp(word, "exact") == 0;
    const bool aa = strstr(a->base, "_aa") != NULL, cubic = strcmp(word, "cubic") == 0;
    if (aa && align)
        ubp_at_refuse(a, "antialias with align_corners");
    const char *where = nearest ? "asymmetric" : align ? "align_corners" : "half_pixel";
    const ubp_attr attrs[] = {
        ubp_emit_string("mode", nearest || exact ? "nearest" : word),
        ubp_emit_string("coordinate_transformation_mode", where),
        ubp_emit_list(a->e, "axes", axes, n),
        ubp_emit_int("antialias", aa),
        ubp_emit_int("exclude_outside", aa),
        ubp_emit_float("cubic_coeff_a", aa && cubic ? -0.5 : -0.75),
        ubp_emit_string("nearest_mode", exact ? "round_prefer_ceil" : "floor")};
    const int32_t in[] = {x, UBP_NO_VALUE, t.scales, t.sizes};
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Resize", 4, in, UBP_COUNT(attrs), attrs));
}

static void make_grid_sampler(ubp_at *a)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const borders[] = {"zeros", "border", "reflection"};
    const int32_t in[] = {ubp_at_tensor(a, "input"), ubp_at_tensor(a, "grid")};
    const int64_t mode = ubp_at_int(a, "interpolation_mode", 0);
    const int64_t border = ubp_at_int(a, "padding_mode", 0);
    if (mode < 0 || mode > 2 || border < 0 || border > 2) {
        ubp_at_refuse(a, "mode %lld", (long long)mode);
        return;
    }
    if (mode == 2 && border == 1) { /* ONNX moves the place to the border, PyTorch each pixel */
        ubp_at_refuse(a, "bicubic and padding_mode='border'");
        return;
    }
    const ubp_attr attrs[] = {
        ubp_emit_string("mode", modes[mode]), ubp_emit_string("padding_mode", borders[border]),
        ubp_emit_int("align_corners", ubp_at_bool(a, "align_corners", false))};
    ubp_at_give(a, 0, ubp_emit_node(a->e, "GridSample", 2, in, 3, attrs));
}

/* The middle of pixel i of n, from -1 to 1. */
static float place(int64_t i, int64_t n, bool align)
{
    if (align)
        return n > 1 ? (float)(2 * i) / (float)(n - 1) - 1.0F : 0.0F;
    return (float)(2 * i + 1) / (float)n - 1.0F;
}

/* F.affine_grid of images: each place times theta. */
static void make_affine_grid(ubp_at *a)
{
    enum { MOST_PIXELS = 1 << 20 };
    ubp_emit *e = a->e;
    ubp_pt2_size size[UB_MAX_RANK];
    const int32_t theta = ubp_at_tensor(a, "theta");
    const int n = ubp_at_sizes(a, "size", size, UB_MAX_RANK);
    const bool align = ubp_at_bool(a, "align_corners", false);
    if (n != 4 || size[2].value != UBP_NO_VALUE || size[3].value != UBP_NO_VALUE) {
        ubp_at_refuse(a, "%d sizes, or sizes that are not fixed", n);
        return;
    }
    const int64_t h = size[2].known, w = size[3].known;
    if (h < 1 || w < 1 || h > MOST_PIXELS || w > MOST_PIXELS / h) {
        ubp_at_refuse(a, "%lld x %lld pixels", (long long)h, (long long)w);
        return;
    }
    float *v = ubp_at_array(a, (size_t)(h * w) * 3, sizeof(*v));
    for (int64_t i = 0; v && i < h * w; i++) {
        v[3 * i] = place(i % w, w, align);
        v[3 * i + 1] = place(i / w, h, align);
        v[3 * i + 2] = 1;
    }
    const int64_t base[] = {h * w, 3}, dims[] = {-1, h, w, 2};
    const int32_t flat = v ? ubp_emit_floats(e, v, h * w * 3) : UBP_NO_VALUE;
    const int32_t places = ubp_emit_reshape(e, flat, 2, base);
    const int32_t moved = ubp_emit_2(e, "MatMul", places, ubp_emit_swap(e, theta, 3, 1, 2));
    ubp_at_give(a, 0, ubp_emit_reshape(e, moved, 4, dims));
}

const ubp_pt2_op ubp_pt2_ops_resize[] = {
    {"upsample_nearest1d", make_upsample, "nearest"},
    {"upsample_nearest2d", make_upsample, "nearest"},
    {"upsample_nearest3d", make_upsample, "nearest"},
    {"_upsample_nearest_exact1d", make_upsample, "exact"},
    {"_upsample_nearest_exact2d", make_upsample, "exact"},
    {"_upsample_nearest_exact3d", make_upsample, "exact"},
    {"upsample_linear1d", make_upsample, "linear"},
    {"upsample_bilinear2d", make_upsample, "linear"},
    {"upsample_trilinear3d", make_upsample, "linear"},
    {"upsample_bicubic2d", make_upsample, "cubic"},
    {"_upsample_bilinear2d_aa", make_upsample, "linear"},
    {"_upsample_bicubic2d_aa", make_upsample, "cubic"},
    {"grid_sampler", make_grid_sampler, ""},
    {"grid_sampler_2d", make_grid_sampler, ""},
    {"grid_sampler_3d", make_grid_sampler, ""},
    {"affine_grid_generator", make_affine_grid, ""},
    {0},
};
