/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's convolutions and normalisations as our operators.
 */
#include <string.h>

#include "load/pt2.h"

/* ---- Convolutions -----------------------------------------------------------------------------
 */

enum { MOST = 3 }; /* spatial axes */

typedef struct conv {
    int n; /* spatial axes */
    int64_t stride[MOST], dilation[MOST], padding[2 * MOST], output[MOST];
    int64_t groups;
    bool transposed;
} conv;

/* A list of one number for each axis, or one number for all. */
static void read_list(ubp_at *a, const char *name, int n, int64_t def, int64_t *out)
{
    int64_t v[UBP_PT2_MAX_LIST];
    const int have = ubp_at_ints(a, name, v, UBP_PT2_MAX_LIST);
    if (have > 1 && have != n)
        ubp_at_refuse(a, "%d numbers in '%s' for %d axes", have, name, n);
    for (int i = 0; i < n; i++)
        out[i] = have < 1 ? def : have == 1 ? v[0] : i < have ? v[i] : def;
}

static void read_padding(ubp_at *a, conv *c, const ubp_pt2_meta *w)
{
    if (strcmp(a->overload, "padding") != 0) {
        read_list(a, "padding", c->n, 0, c->padding);
        for (int i = 0; i < c->n; i++)
            c->padding[c->n + i] = c->padding[i];
        return;
    }
    const char *how = ubp_at_string(a, "padding", "valid");
    for (int i = 0; i < c->n; i++) {
        const int64_t k = w->dims[i + 2];
        const bool same = strcmp(how, "same") == 0;
        if (k < 1 || k > 1 << 24 || c->dilation[i] > 1 << 24)
            ubp_at_refuse(a, "a kernel whose size is not fixed");
        const int64_t all = same && !a->refused ? c->dilation[i] * (k - 1) : 0;
        c->padding[i] = all / 2;
        c->padding[c->n + i] = all - all / 2;
    }
}

static void read_conv(ubp_at *a, conv *c, const ubp_pt2_meta *w)
{
    c->n = w->rank - 2;
    read_list(a, "stride", c->n, 1, c->stride);
    read_list(a, "dilation", c->n, 1, c->dilation);
    read_padding(a, c, w);
    c->transposed = ubp_at_bool(a, "transposed", strcmp(ubp_at_word(a), "transposed") == 0);
    read_list(a, "output_padding", c->n, 0, c->output);
    c->groups = ubp_at_int(a, "groups", 1);
    ubp_at_ignore(a, "benchmark"); /* which kernels cuDNN takes */
    ubp_at_ignore(a, "deterministic");
    ubp_at_ignore(a, "allow_tf32");
    if (a->refused)
        c->n = 0;
}

static void make_conv(ubp_at *a)
{
    ubp_pt2_meta x, w;
    conv c = {.n = 0};
    const int64_t front = 0;
    int32_t in[] = {ubp_at_tensor(a, "input"), ubp_at_tensor(a, "weight"),
                    ubp_at_optional(a, "bias")};
    if (!ubp_at_meta(a, "input", &x) || !ubp_at_meta(a, "weight", &w))
        return;
    if (w.rank < 3 || w.rank > 2 + MOST || x.rank < w.rank - 1 || x.rank > w.rank) {
        ubp_at_refuse(a, "a weight of %d axes and an input of %d", w.rank, x.rank);
        return;
    }
    read_conv(a, &c, &w);
    const bool single = x.rank == w.rank - 1; /* one sample without a batch axis */
    if (single)
        in[0] = ubp_emit_unsqueeze(a->e, in[0], &front, 1);
    const ubp_attr attrs[] = {ubp_emit_list(a->e, "strides", c.stride, c.n),
                              ubp_emit_list(a->e, "dilations", c.dilation, c.n),
                              ubp_emit_list(a->e, "pads", c.padding, 2 * c.n),
                              ubp_emit_int("group", c.groups),
                              ubp_emit_list(a->e, "output_padding", c.output, c.n)};
    int32_t y = ubp_emit_node(a->e, c.transposed ? "ConvTranspose" : "Conv", 3, in,
                              c.transposed ? 5 : 4, attrs);
    if (single)
        y = ubp_emit_squeeze(a->e, y, &front, 1);
    ubp_at_give(a, 0, y);
}

/* ---- Normalisations ---------------------------------------------------------------------------
 */

/* A vector of n equal numbers, where a norm has no weight. */
static int32_t vector(ubp_at *a, int64_t n, ub_dtype d, double v)
{
    if (n < 0) {
        ubp_at_refuse(a, "a number of channels that is not fixed");
        n = 1;
    }
    return ubp_emit_full(a->e, ubp_emit_number(a->e, d, v), 1, &n);
}

static int32_t weight_or(ubp_at *a, const char *name, int64_t n, ub_dtype d, double v)
{
    const int32_t w = ubp_at_optional(a, name);
    return w != UBP_NO_VALUE ? w : vector(a, n, d, v);
}

/* The same where only the statistics tell how many channels there are. */
static int32_t weight_like(ubp_at *a, const char *name, int32_t like, ub_dtype d, double v)
{
    const int32_t w = ubp_at_optional(a, name);
    if (w != UBP_NO_VALUE)
        return w;
    return ubp_emit_2(a->e, "Expand", ubp_emit_number(a->e, d, v), ubp_emit_shape(a->e, like));
}

/* Whatever is in a channel is centred and scaled by its own statistics. */
static int32_t own_statistics(ubp_at *a, int32_t x, const ubp_pt2_meta *m, double eps)
{
    ubp_emit *e = a->e;
    int64_t axes[UB_MAX_RANK];
    int n = 0;
    for (int i = 0; i < m->rank; i++)
        if (i != 1)
            axes[n++] = i;
    const int32_t centred =
        ubp_emit_2(e, "Sub", x, ubp_emit_reduce(e, "ReduceMean", x, axes, n, true));
    const int32_t var =
        ubp_emit_reduce(e, "ReduceMean", ubp_emit_2(e, "Mul", centred, centred), axes, n, true);
    const int32_t sum = ubp_emit_2(e, "Add", var, ubp_emit_number(e, m->dtype, eps));
    return ubp_emit_2(e, "Div", centred, ubp_emit_1(e, "Sqrt", sum));
}

/* A norm without statistics in the file: on one long sample, as a decomposed instance_norm looks,
 * or on a weight, as networks that standardise their weights call it. */
static void make_no_stats(ubp_at *a, const ubp_pt2_meta *m, int32_t x)
{
    int64_t dims[UB_MAX_RANK];
    int32_t y = own_statistics(a, x, m, ubp_at_float(a, "eps", 1e-5));
    const int32_t w = ubp_at_optional(a, "weight"), b = ubp_at_optional(a, "bias");
    for (int i = 0; i < m->rank - 1; i++)
        dims[i] = i == 0 ? -1 : 1;
    if (w != UBP_NO_VALUE)
        y = ubp_emit_2(a->e, "Mul", y, ubp_emit_reshape(a->e, w, m->rank - 1, dims));
    if (b != UBP_NO_VALUE)
        y = ubp_emit_2(a->e, "Add", y, ubp_emit_reshape(a->e, b, m->rank - 1, dims));
    ubp_at_give(a, 0, y);
}

static void refuse_training(ubp_at *a)
{
    if (a->e->status != UB_OK)
        return;
    a->e->status = ubp_fail(
        a->p->err, UB_ERR_UNSUPPORTED,
        "node '%s' (%s) takes its statistics from the batch, so that samples depend on each"
        " other: the program was exported in train mode; call model.eval() before"
        " torch.export.export()",
        a->e->name, a->base);
}

/* Whether a value is made of weights and constants only, in a few nodes. */
static bool is_of_weights(const ubp_graph *g, int32_t value)
{
    enum { LOOKED_AT = 64 };
    int32_t todo[LOOKED_AT];
    int n = 0;
    todo[n++] = value;
    for (int i = 0; i < n; i++) { /* what is met twice is looked at twice: the bound is the same */
        const ubp_value *v = &g->values[todo[i]];
        if (v->constant)
            continue;
        if (v->is_input || v->producer == UBP_NO_NODE)
            return false;
        const ubp_node *node = &g->nodes[v->producer];
        for (int k = 0; k < node->n_in; k++) {
            if (node->in[k] == UBP_NO_VALUE)
                continue;
            if (n == LOOKED_AT)
                return false;
            todo[n++] = node->in[k];
        }
    }
    return true;
}

static void make_batch_norm(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "input");
    const char *flag = ubp_at_given(a, "use_input_stats") ? "use_input_stats" : "training";
    const bool training = ubp_at_bool(a, flag, false);
    if (!ubp_at_meta(a, "input", &m))
        return;
    const bool one = strcmp(a->overload, "no_stats") == 0 && m.rank > 2 && m.dims[0] == 1;
    if (training && m.rank > 1 && a->e->status == UB_OK && (one || is_of_weights(a->p->g, x))) {
        ubp_at_ignore(a, "running_mean");
        ubp_at_ignore(a, "running_var");
        make_no_stats(a, &m, x);
        return;
    }
    if (training || strcmp(ubp_at_word(a), "functional") == 0) {
        refuse_training(a);
        return;
    }
    const int32_t mean = ubp_at_tensor(a, "running_mean");
    const int32_t in[] = {x, weight_like(a, "weight", mean, m.dtype, 1),
                          weight_like(a, "bias", mean, m.dtype, 0), mean,
                          ubp_at_tensor(a, "running_var")};
    const ubp_attr eps = ubp_emit_float("epsilon", ubp_at_float(a, "eps", 1e-5));
    ubp_at_give(a, 0, ubp_emit_node(a->e, "BatchNormalization", 5, in, 1, &eps));
}

static void make_instance_norm(ubp_at *a)
{
    ubp_pt2_meta m;
    if (!ubp_at_bool(a, "use_input_stats", true)) {
        make_batch_norm(a);
        return;
    }
    ubp_at_ignore(a, "running_mean");
    ubp_at_ignore(a, "running_var");
    int32_t x = ubp_at_tensor(a, "input");
    if (!ubp_at_meta(a, "input", &m))
        return;
    const int64_t c = m.rank > 1 ? m.dims[1] : 1;
    const int32_t in[] = {x, weight_or(a, "weight", c, m.dtype, 1),
                          weight_or(a, "bias", c, m.dtype, 0)};
    const ubp_attr eps = ubp_emit_float("epsilon", ubp_at_float(a, "eps", 1e-5));
    ubp_at_give(a, 0, ubp_emit_node(a->e, "InstanceNormalization", 3, in, 1, &eps));
}

static void make_group_norm(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "input");
    const bool native = strcmp(a->base, "native_group_norm") == 0;
    const int64_t groups = ubp_at_int(a, native ? "group" : "num_groups", 1);
    if (native) {
        ubp_at_ignore(a, "N");
        ubp_at_ignore(a, "C");
        ubp_at_ignore(a, "HxW");
    }
    if (!ubp_at_meta(a, "input", &m))
        return;
    const int64_t c = m.rank > 1 ? m.dims[1] : 1;
    const int32_t in[] = {x, weight_or(a, "weight", c, m.dtype, 1),
                          weight_or(a, "bias", c, m.dtype, 0)};
    const ubp_attr attrs[] = {ubp_emit_int("num_groups", groups),
                              ubp_emit_float("epsilon", ubp_at_float(a, "eps", 1e-5))};
    ubp_at_give(a, 0, ubp_emit_node(a->e, "GroupNormalization", 3, in, 2, attrs));
}

/* LayerNormalization and RMSNormalization over the last axes. */
static void make_layer_norm(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t dims[UB_MAX_RANK];
    const bool rms = strcmp(ubp_at_word(a), "RMSNormalization") == 0;
    const int32_t x = ubp_at_tensor(a, "input");
    const int n = ubp_at_ints(a, "normalized_shape", dims, UB_MAX_RANK);
    if (!ubp_at_meta(a, "input", &m) || n < 1) {
        ubp_at_refuse(a, "no normalized_shape");
        return;
    }
    int32_t w = ubp_at_optional(a, "weight");
    if (w == UBP_NO_VALUE)
        w = ubp_emit_full(a->e, ubp_emit_number(a->e, m.dtype, 1), n, dims);
    const double least = m.dtype == UB_F64    ? 2.220446049250313e-16
                         : m.dtype == UB_F16  ? 0.0009765625
                         : m.dtype == UB_BF16 ? 0.0078125
                                              : 1.1920928955078125e-07;
    const double eps = ubp_at_float(a, "eps", rms ? least : 1e-5);
    const int32_t in[] = {x, w, rms ? UBP_NO_VALUE : ubp_at_optional(a, "bias")};
    const ubp_attr attrs[] = {ubp_emit_int("axis", -n), ubp_emit_float("epsilon", eps)};
    /* With the mean and one over the deviation, where these are asked for. */
    const int n_out = !rms && a->n_out == 3 && a->names[2] ? 3 : 1;
    int32_t out[3];
    ubp_emit_many(a->e, ubp_at_word(a), 3, in, 2, attrs, n_out, out);
    for (int k = 0; k < n_out; k++)
        ubp_at_give(a, k, out[k]);
}

const ubp_pt2_op ubp_pt2_ops_nn[] = {
    {"conv1d", make_conv, ""},
    {"conv2d", make_conv, ""},
    {"conv3d", make_conv, ""},
    {"convolution", make_conv, ""},
    {"_convolution", make_conv, ""},
    {"conv_transpose1d", make_conv, "transposed"},
    {"conv_transpose2d", make_conv, "transposed"},
    {"conv_transpose3d", make_conv, "transposed"},
    {"batch_norm", make_batch_norm, ""},
    {"_native_batch_norm_legit_no_training", make_batch_norm, ""},
    {"_native_batch_norm_legit", make_batch_norm, ""},
    {"native_batch_norm", make_batch_norm, ""},
    {"_batch_norm_no_update", make_batch_norm, ""},
    {"_native_batch_norm_legit_functional", make_batch_norm, "functional"},
    {"_batch_norm_with_update", make_batch_norm, "functional"},
    {"_batch_norm_with_update_functional", make_batch_norm, "functional"},
    {"instance_norm", make_instance_norm, ""},
    {"group_norm", make_group_norm, ""},
    {"native_group_norm", make_group_norm, ""},
    {"layer_norm", make_layer_norm, "LayerNormalization"},
    {"native_layer_norm", make_layer_norm, "LayerNormalization"},
    {"rms_norm", make_layer_norm, "RMSNormalization"},
    {"_fused_rms_norm", make_layer_norm, "RMSNormalization"},
    {0},
};
