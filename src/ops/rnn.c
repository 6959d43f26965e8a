/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM, GRU, RNN: attributes, shapes, samples. X is (T, N, I), or (N, T, I) with layout 1; Y is
 * (T, D, N, H) or (N, T, D, H), the states are (D, N, H) or (N, D, H). What they compute is in
 * rnn_run.c. ONNX: LSTM-22, GRU-22, RNN-22.
 */
#include "ops/rnn.h"

#include "ops/follow.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* ---- Activations ----------------------------------------------------------------------------- */

enum {
    RELU,
    TANH,
    SIGMOID,
    AFFINE,
    LEAKY_RELU,
    THRESHOLDED_RELU,
    SCALED_TANH,
    HARD_SIGMOID,
    ELU,
    SOFTSIGN,
    SOFTPLUS
};

static const struct {
    const char *name;
    bool alpha, beta; /* takes them */
    double alpha_default, beta_default;
} functions[] = {
    [RELU] = {"Relu", false, false, 0, 0},
    [TANH] = {"Tanh", false, false, 0, 0},
    [SIGMOID] = {"Sigmoid", false, false, 0, 0},
    [AFFINE] = {"Affine", true, true, 1, 0},
    [LEAKY_RELU] = {"LeakyRelu", true, false, 0.01, 0},
    [THRESHOLDED_RELU] = {"ThresholdedRelu", true, false, 1, 0},
    [SCALED_TANH] = {"ScaledTanh", true, true, 1, 1},
    [HARD_SIGMOID] = {"HardSigmoid", true, true, 0.2, 0.5},
    [ELU] = {"Elu", true, false, 1, 0},
    [SOFTSIGN] = {"Softsign", false, false, 0, 0},
    [SOFTPLUS] = {"Softplus", false, false, 0, 0},
};

bool ubp_rnn_is_sigmoid(const ubp_rnn_function *f)
{
    return f->kind == SIGMOID;
}

bool ubp_rnn_is_tanh(const ubp_rnn_function *f)
{
    return f->kind == TANH;
}

double ubp_rnn_apply(const ubp_rnn_function *f, double x)
{
    switch (f->kind) {
    case RELU:
        return x > 0 ? x : 0;
    case TANH:
        return tanh(x);
    case SIGMOID:
        return 1 / (1 + exp(-x));
    case AFFINE:
        return f->alpha * x + f->beta;
    case LEAKY_RELU:
        return x >= 0 ? x : f->alpha * x;
    case THRESHOLDED_RELU:
        return x > f->alpha ? x : 0;
    case SCALED_TANH:
        return f->alpha * tanh(f->beta * x);
    case HARD_SIGMOID:
        return fmin(fmax(f->alpha * x + f->beta, 0), 1);
    case ELU:
        return x >= 0 ? x : f->alpha * expm1(x);
    case SOFTSIGN:
        return x / (1 + fabs(x));
    default: /* SOFTPLUS */
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static int find_function(const char *name)
{
    for (int i = 0; i < UBP_COUNT(functions); i++)
        if (strcasecmp(name, functions[i].name) == 0)
            return i;
    return -1;
}

/* Names in order f, g, h of the first direction, then of the second; the values of alpha and beta
 * are used up in that order by the functions that take them. */
static ub_status read_functions(const ubp_node *node, ubp_rnn_attr *a, ub_error *err)
{
    static const int defaults[3][3] = {{TANH}, {SIGMOID, TANH}, {SIGMOID, TANH, TANH}};
    const ubp_attr *names = ubp_node_attr(node, "activations");
    const double *alpha, *beta;
    int n_alpha, n_beta, at_alpha = 0, at_beta = 0;
    const int each = a->kind == UBP_LSTM ? 3 : a->kind == UBP_GRU ? 2 : 1;
    const int want = each * (a->direction == UBP_BOTH ? 2 : 1);
    UBP_TRY(ubp_attr_floats(node, "activation_alpha", &alpha, &n_alpha, err));
    UBP_TRY(ubp_attr_floats(node, "activation_beta", &beta, &n_beta, err));
    if (names && (names->kind != UBP_ATTR_STRINGS || names->n != (size_t)want))
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): attribute 'activations' must be %d names", node->name,
                        node->op_type, want);
    for (int i = 0; i < want; i++) {
        ubp_rnn_function *f = &a->f[i / each][i % each];
        f->kind = names ? find_function(names->strings[i]) : defaults[a->kind][i % each];
        if (f->kind < 0)
            return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (%s): activation '%s' is not known",
                            node->name, node->op_type, names->strings[i]);
        f->alpha = functions[f->kind].alpha_default;
        f->beta = functions[f->kind].beta_default;
        if (functions[f->kind].alpha && at_alpha < n_alpha)
            f->alpha = alpha[at_alpha++];
        if (functions[f->kind].beta && at_beta < n_beta)
            f->beta = beta[at_beta++];
    }
    return UB_OK;
}

static ub_status read_attrs(const ubp_node *node, ubp_rnn_attr *a, ub_error *err)
{
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    const char *direction;
    int64_t layout, forget, linear;
    int d = 0;
    UBP_TRY(ubp_attr_string(node, "direction", "forward", &direction, err));
    UBP_TRY(ubp_attr_int(node, "hidden_size", 0, &a->hidden_size, err));
    UBP_TRY(ubp_attr_int(node, "layout", 0, &layout, err));
    UBP_TRY(ubp_attr_int(node, "input_forget", 0, &forget, err));
    UBP_TRY(ubp_attr_int(node, "linear_before_reset", 0, &linear, err));
    UBP_TRY(ubp_attr_float(node, "clip", INFINITY, &a->clip, err));
    while (d < 3 && strcmp(direction, directions[d]) != 0)
        d++;
    if (d == 3)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): direction '%s', expected forward, reverse or "
                        "bidirectional",
                        node->name, node->op_type, direction);
    a->direction = (ubp_rnn_direction)d;
    a->batch_first = layout != 0;
    a->input_forget = forget != 0;
    a->linear_before_reset = linear != 0;
    if (!(a->clip > 0)) /* 0 means none, as in ONNX Runtime */
        a->clip = INFINITY;
    return read_functions(node, a, err);
}

#define ATTRS(KIND, NAME)                                                                          \
    static ub_status NAME(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)       \
    {                                                                                              \
        (void)arena;                                                                               \
        ((ubp_rnn_attr *)attr)->kind = KIND;                                                       \
        return read_attrs(node, attr, err);                                                        \
    }
ATTRS(UBP_RNN, rnn_attrs)
ATTRS(UBP_GRU, gru_attrs)
ATTRS(UBP_LSTM, lstm_attrs)

/* ---- Shape ----------------------------------------------------------------------------------- */

/* Input i, when given, has these dims; floats have X's dtype. */
static ub_status want_dims(const ubp_call *call, int i, int rank, const int64_t *dims)
{
    if (!ubp_has_in(call, i))
        return UB_OK;
    const ub_tensor *t = call->in[i];
    if (t->rank != rank || memcmp(t->dims, dims, (size_t)rank * sizeof *dims) != 0) {
        char have[UBP_SHAPE_TEXT], want[UBP_SHAPE_TEXT];
        return ubp_op_fail(call, UB_ERR_SHAPE, "input %d has shape %s, expected %s", i,
                           ubp_shape_text(have, t->rank, t->dims),
                           ubp_shape_text(want, rank, dims));
    }
    return i == UBP_RNN_LENGTHS ? UB_OK : ubp_want_same_dtype(call, UBP_RNN_X, i);
}

static ub_status rnn_infer(const ubp_call *call)
{
    const ubp_rnn_attr *a = call->attr;
    UBP_TRY(ubp_want_float(call, UBP_RNN_X));
    UBP_TRY(ubp_want_rank(call, UBP_RNN_X, 3, 3));
    UBP_TRY(ubp_want_rank(call, UBP_RNN_R, 3, 3));
    const ub_tensor *x = call->in[UBP_RNN_X];
    const int64_t t = x->dims[a->batch_first], n = x->dims[!a->batch_first];
    const int64_t d = a->direction == UBP_BOTH ? 2 : 1, h = call->in[UBP_RNN_R]->dims[2];
    if (h > INT32_MAX || (a->hidden_size != 0 && a->hidden_size != h))
        return ubp_op_fail(call, UB_ERR_SHAPE, "hidden_size is %lld, the weights have %lld",
                           (long long)a->hidden_size, (long long)h);
    const int64_t gates = ubp_rnn_gates(a->kind) * h;
    const int64_t w[3] = {d, gates, x->dims[2]}, r[3] = {d, gates, h}, b[2] = {d, 2 * gates};
    const int64_t p[2] = {d, 3 * h}, first[3] = {n, d, h}, second[3] = {d, n, h};
    const int64_t *state = a->batch_first ? first : second;
    UBP_TRY(want_dims(call, UBP_RNN_W, 3, w));
    UBP_TRY(want_dims(call, UBP_RNN_R, 3, r));
    UBP_TRY(want_dims(call, UBP_RNN_B, 2, b));
    UBP_TRY(want_dims(call, UBP_RNN_LENGTHS, 1, &n));
    UBP_TRY(want_dims(call, UBP_RNN_H0, 3, state));
    UBP_TRY(want_dims(call, UBP_RNN_C0, 3, state));
    UBP_TRY(want_dims(call, UBP_RNN_P, 2, p));
    if (ubp_has_in(call, UBP_RNN_LENGTHS) && call->in[UBP_RNN_LENGTHS]->dtype != UB_I32)
        return ubp_op_fail(call, UB_ERR_SHAPE, "sequence_lens is %s, expected int32",
                           ub_dtype_name(call->in[UBP_RNN_LENGTHS]->dtype));
    const int64_t y[4] = {t, d, n, h}, y_first[4] = {n, t, d, h};
    UBP_TRY(ubp_set_out(call, 0, x->dtype, 4, a->batch_first ? y_first : y));
    UBP_TRY(ubp_set_out(call, 1, x->dtype, 3, state));
    return ubp_set_out(call, 2, x->dtype, 3, state);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* Output k, whose batch axis is `axis`. */
static void follow_rows(ubp_batch *b, int k, int axis)
{
    const ubp_rnn_attr *a = b->call->attr;
    const struct {
        int in, axis;
    } rows[] = {{UBP_RNN_X, a->batch_first ? 0 : 1},
                {UBP_RNN_LENGTHS, 0},
                {UBP_RNN_H0, a->batch_first ? 0 : 1},
                {UBP_RNN_C0, a->batch_first ? 0 : 1}};
    ubp_follow f = ubp_follow_begin(b, k);
    for (int i = 0; i < UBP_COUNT(rows); i++) {
        if (!ubp_follow_has(&f, rows[i].in))
            continue;
        if (b->in[rows[i].in].axis == rows[i].axis)
            ubp_follow_input(&f, rows[i].in, axis);
        else
            ubp_samples_couple(b, k, "recurrence over the batch axis");
    }
    for (int i = 0; i < UBP_COUNT(rows) && f.found && b->n != 1; i++)
        if (ubp_has_in(b->call, rows[i].in) && !ubp_follow_has(&f, rows[i].in) &&
            b->call->in[rows[i].in]->dims[rows[i].axis] != 1)
            ubp_samples_couple(b, k, "an operand has fixed entries for each sample");
    ubp_follow_data(b, k, UBP_RNN_X);
    /* Lengths may well come from a shape: the number of steps. */
    ubp_follow_shared(b, k, UBP_RNN_W);
    ubp_follow_shared(b, k, UBP_RNN_R);
    ubp_follow_shared(b, k, UBP_RNN_B);
    ubp_follow_shared(b, k, UBP_RNN_P);
    ubp_follow_end(&f);
}

static void rnn_batch(ubp_batch *b)
{
    const ubp_rnn_attr *a = b->call->attr;
    for (int k = 0; k < b->call->n_out; k++)
        if (ubp_has_out(b->call, k))
            follow_rows(b, k, a->batch_first ? 0 : k == 0 ? 2 : 1);
}

static int64_t rnn_macs(const ubp_call *call)
{
    const ub_tensor *x = call->in[UBP_RNN_X];
    return x->dims[0] * x->dims[1] *
           (ub_tensor_count(call->in[UBP_RNN_W]) + ub_tensor_count(call->in[UBP_RNN_R]));
}

#define RECURRENT(NAME, INPUTS, OUTPUTS, ATTRS_OF)                                                 \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 3,                                                                               \
        .max_in = INPUTS,                                                                          \
        .min_out = 0,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(ubp_rnn_attr),                                                         \
        .attrs = ATTRS_OF,                                                                         \
        .infer = rnn_infer,                                                                        \
        .batch = rnn_batch,                                                                        \
        .ref = ubp_rnn_ref,                                                                        \
        .macs = rnn_macs,                                                                          \
    }
RECURRENT(RNN, 6, 2, rnn_attrs);
RECURRENT(GRU, 6, 2, gru_attrs);
RECURRENT(LSTM, 8, 3, lstm_attrs);
