/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's activation functions, softmax and dropout as our operators.
 */
#include <string.h>

#include "load/pt2.h"

/* The input, under either of its names in ATen's schemas. */
static const char *input_name(ubp_at *a)
{
    return ubp_at_given(a, "self") ? "self" : "input";
}

static ub_dtype self_dtype(ubp_at *a)
{
    ubp_pt2_meta m;
    return ubp_at_meta(a, input_name(a), &m) ? m.dtype : UB_F32;
}

static int32_t scalar(ubp_at *a, double v)
{
    return ubp_emit_number(a->e, self_dtype(a), v);
}

/* ---- Plain ------------------------------------------------------------------------------------
 */

static void make_plain(ubp_at *a)
{
    ubp_at_give(a, 0, ubp_emit_1(a->e, ubp_at_word(a), ubp_at_tensor(a, "self")));
}

static void make_hardsigmoid(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self");
    const ubp_attr attrs[] = {ubp_emit_float("alpha", (double)(1.0F / 6.0F)),
                              ubp_emit_float("beta", 0.5)};
    ubp_at_give(a, 0, ubp_emit_node(a->e, "HardSigmoid", 1, &x, 2, attrs));
}

static void make_hardtanh(ubp_at *a)
{
    const bool six = strcmp(ubp_at_word(a), "6") == 0;
    const double low = six ? 0 : ubp_at_float(a, "min_val", -1);
    const double high = six ? 6 : ubp_at_float(a, "max_val", 1);
    const int32_t x = ubp_at_tensor(a, "self");
    ubp_at_give(a, 0, ubp_emit_3(a->e, "Clip", x, scalar(a, low), scalar(a, high)));
}

static void make_leaky(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self");
    double slope = ubp_at_float(a, "negative_slope", 0.01);
    if (strcmp(ubp_at_word(a), "rrelu") == 0) {
        slope = (ubp_at_float(a, "lower", 0.125) + ubp_at_float(a, "upper", 1.0 / 3)) / 2;
        ubp_at_ignore(a, "noise");
        if (ubp_at_bool(a, "training", false))
            ubp_at_refuse(a, "training=True");
    }
    const ubp_attr alpha = ubp_emit_float("alpha", slope);
    ubp_at_give(a, 0, ubp_emit_node(a->e, "LeakyRelu", 1, &x, 1, &alpha));
}

/* One slope for each channel (axis 1), or one for all. */
static void make_prelu(ubp_at *a)
{
    ubp_pt2_meta x, w;
    const int32_t in = ubp_at_tensor(a, "self");
    int32_t slope = ubp_at_tensor(a, "weight");
    if (!ubp_at_meta(a, "self", &x) || !ubp_at_meta(a, "weight", &w))
        return;
    if (w.rank == 1 && w.dims[0] != 1 && x.rank > 2) {
        int64_t dims[UB_MAX_RANK];
        for (int i = 0; i < x.rank - 1; i++)
            dims[i] = i == 0 ? w.dims[0] : 1;
        slope = ubp_emit_reshape(a->e, slope, x.rank - 1, dims);
    }
    ubp_at_give(a, 0, ubp_emit_2(a->e, "PRelu", in, slope));
}

static void make_elu(ubp_at *a)
{
    ubp_emit *e = a->e;
    const int32_t x = ubp_at_tensor(a, "self");
    const double alpha = ubp_at_float(a, "alpha", 1), scale = ubp_at_float(a, "scale", 1);
    const double inner = ubp_at_float(a, "input_scale", 1);
    const ubp_attr attr = ubp_emit_float("alpha", alpha), one = ubp_emit_float("alpha", 1);
    if (scale == 1 && inner == 1) {
        ubp_at_give(a, 0, ubp_emit_node(e, ubp_at_word(a), 1, &x, 1, &attr));
        return;
    }
    const int32_t zero = scalar(a, 0);
    const int32_t low = ubp_emit_2(e, "Mul", ubp_emit_2(e, "Min", x, zero), scalar(a, inner));
    const int32_t below = ubp_emit_node(e, "Elu", 1, &low, 1, &one);
    const int32_t part = ubp_emit_2(e, "Mul", below, scalar(a, alpha * scale));
    const int32_t above = ubp_emit_2(e, "Mul", x, scalar(a, scale));
    ubp_at_give(a, 0, ubp_emit_3(e, "Where", ubp_emit_2(e, "Greater", x, zero), above, part));
}

static void make_gelu(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self");
    const char *how = ubp_at_string(a, "approximate", "none");
    const ubp_attr attr =
        ubp_emit_string("approximate", strcmp(how, "tanh") == 0 ? "tanh" : "none");
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Gelu", 1, &x, 1, &attr));
}

static void make_softplus(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self");
    const double beta = ubp_at_float(a, "beta", 1);
    /* Above the threshold it is x itself, which it nearly is there anyhow. */
    const double threshold = ubp_at_float(a, "threshold", 20);
    int32_t y = x;
    if (beta != 1)
        y = ubp_emit_2(a->e, "Mul", y, scalar(a, beta));
    const int32_t above = ubp_emit_2(a->e, "Greater", y, scalar(a, threshold));
    y = ubp_emit_1(a->e, "Softplus", y);
    if (beta != 1)
        y = ubp_emit_2(a->e, "Div", y, scalar(a, beta));
    ubp_at_give(a, 0, threshold < 15 ? ubp_emit_3(a->e, "Where", above, x, y) : y);
}

static void make_shrink(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self");
    const double lambd = ubp_at_float(a, "lambd", 0.5);
    const bool soft = strcmp(ubp_at_word(a), "soft") == 0;
    const ubp_attr attrs[] = {ubp_emit_float("lambd", lambd),
                              ubp_emit_float("bias", soft ? lambd : 0)};
    const int32_t y = ubp_emit_node(a->e, "Shrink", 1, &x, 2, attrs);
    ubp_at_give(a, 0, ubp_emit_3(a->e, "Where", ubp_emit_1(a->e, "IsNaN", x), x, y));
}

static void make_logsigmoid(ubp_at *a)
{
    ubp_emit *e = a->e;
    const int32_t x = ubp_at_tensor(a, "self");
    ubp_at_give(a, 0, ubp_emit_1(e, "Neg", ubp_emit_1(e, "Softplus", ubp_emit_1(e, "Neg", x))));
}

static void make_threshold(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self");
    const int32_t at = scalar(a, ubp_at_float(a, "threshold", 0));
    const int32_t value = scalar(a, ubp_at_float(a, "value", 0));
    ubp_at_give(a, 0, ubp_emit_3(a->e, "Where", ubp_emit_2(a->e, "Greater", x, at), x, value));
}

static void make_glu(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return;
    const int axis = ubp_at_axis(a, "dim", -1, m.rank);
    const int64_t half = m.rank > 0 ? m.dims[axis] / 2 : 0;
    if (m.rank == 0 || m.dims[axis] < 0) {
        ubp_at_refuse(a, "an axis whose size is not fixed");
        return;
    }
    const int32_t value = ubp_emit_slice(a->e, x, axis, 0, half, 1);
    const int32_t gate = ubp_emit_slice(a->e, x, axis, half, INT64_MAX, 1);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Mul", value, ubp_emit_1(a->e, "Sigmoid", gate)));
}

/* ---- Softmax ----------------------------------------------------------------------------------
 */

static void make_softmax(ubp_at *a)
{
    ubp_pt2_meta m, out;
    int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m) || !ubp_at_out_meta(a, 0, &out))
        return;
    ubp_at_dtype(a, "dtype", m.dtype);
    ubp_at_ignore(a, "half_to_float");
    const ubp_attr axis = ubp_emit_int("axis", ubp_at_axis(a, "dim", -1, m.rank));
    if (out.dtype != m.dtype)
        x = ubp_emit_cast(a->e, x, out.dtype);
    if (m.rank == 0) {
        const int64_t front = 0;
        x = ubp_emit_unsqueeze(a->e, x, &front, 1);
    }
    int32_t y = ubp_emit_node(a->e, ubp_at_word(a), 1, &x, 1, &axis);
    if (strcmp(a->base, "_safe_softmax") == 0) { /* a row of -inf gives zeros */
        const int64_t at = axis.i;
        const int32_t most = ubp_emit_reduce(a->e, "ReduceMax", x, &at, 1, true);
        const int32_t none = ubp_emit_number(a->e, out.dtype, -(double)__builtin_inff());
        y = ubp_emit_3(a->e, "Where", ubp_emit_2(a->e, "Equal", most, none), scalar(a, 0), y);
    }
    if (m.rank == 0) {
        const int64_t front = 0;
        y = ubp_emit_squeeze(a->e, y, &front, 1);
    }
    ubp_at_give(a, 0, y);
}

/* ---- Dropout ----------------------------------------------------------------------------------
 */

static void make_dropout(ubp_at *a)
{
    const char *name = input_name(a);
    const double p = ubp_at_float(a, "p", 0.5);
    const char *flag = ubp_at_given(a, "training") ? "training" : "train";
    const bool train = ubp_at_bool(a, flag, false);
    if (train && p > 0 && a->e->status == UB_OK)
        a->e->status =
            ubp_fail(a->p->err, UB_ERR_UNSUPPORTED,
                     "node '%s' is a dropout that is switched on: the program was exported in"
                     " train mode; call model.eval() before torch.export.export()",
                     a->e->name);
    ubp_at_give(a, 0, ubp_at_tensor(a, name));
    if (strcmp(a->base, "native_dropout") != 0) /* that one gives a copy */
        ubp_at_view(a, 0, (ubp_pt2_view){.kind = UBP_PT2_SAME});
}

const ubp_pt2_op ubp_pt2_ops_act[] = {
    {"relu", make_plain, "Relu"},
    {"silu", make_plain, "Swish"},
    {"mish", make_plain, "Mish"},
    {"selu", make_plain, "Selu"},
    {"hardswish", make_plain, "HardSwish"},
    {"hardsigmoid", make_hardsigmoid, ""},
    {"hardtanh", make_hardtanh, ""},
    {"relu6", make_hardtanh, "6"},
    {"leaky_relu", make_leaky, ""},
    {"rrelu", make_leaky, "rrelu"},
    {"rrelu_with_noise", make_leaky, "rrelu"},
    {"rrelu_with_noise_functional", make_leaky, "rrelu"},
    {"prelu", make_prelu, ""},
    {"_prelu_kernel", make_prelu, ""},
    {"elu", make_elu, "Elu"},
    {"celu", make_elu, "Celu"},
    {"gelu", make_gelu, ""},
    {"softplus", make_softplus, ""},
    {"hardshrink", make_shrink, "hard"},
    {"softshrink", make_shrink, "soft"},
    {"log_sigmoid", make_logsigmoid, ""},
    {"log_sigmoid_forward", make_logsigmoid, ""},
    {"threshold", make_threshold, ""},
    {"glu", make_glu, ""},
    {"softmax", make_softmax, "Softmax"},
    {"_softmax", make_softmax, "Softmax"},
    {"_safe_softmax", make_softmax, "Softmax"},
    {"log_softmax", make_softmax, "LogSoftmax"},
    {"_log_softmax", make_softmax, "LogSoftmax"},
    {"dropout", make_dropout, ""},
    {"feature_dropout", make_dropout, ""},
    {"alpha_dropout", make_dropout, ""},
    {"feature_alpha_dropout", make_dropout, ""},
    {"native_dropout", make_dropout, ""},
    {0},
};
