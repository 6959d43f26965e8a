/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM and GRU in both conventions. ONNX runs over (T, N, features), with gates in the order i, o,
 * f, c (LSTM) and z, r, h (GRU); Keras has i, f, c, o and z, r, h, PyTorch i, f, g, o and r, z, n.
 */
#include "load/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_GATES = 4, MAX_LAYERS = 64 };

typedef struct cell {
    const char *op;
    int gates;
    int order[MAX_GATES]; /* which of the framework's gates ONNX's k-th is */
} cell;

static const cell keras_lstm = {"LSTM", 4, {0, 3, 1, 2}}, keras_gru = {"GRU", 3, {0, 1, 2, 0}};
static const cell torch_lstm = {"LSTM", 4, {0, 3, 1, 2}}, torch_gru = {"GRU", 3, {1, 0, 2, 0}};

/* Blocks of v along axis 0, one per gate, in ONNX's order. */
static int32_t reorder(ubp_nn_call *c, const cell *k, int32_t v)
{
    int32_t parts[MAX_GATES], sorted[MAX_GATES];
    const ubp_attr attrs[] = {ubp_emit_int("axis", 0), ubp_emit_int("num_outputs", k->gates)};
    ubp_emit_many(c->e, "Split", 1, &v, 2, attrs, k->gates, parts);
    for (int i = 0; i < k->gates; i++)
        sorted[i] = parts[k->order[i]];
    return ubp_emit_concat(c->e, sorted, k->gates, 0);
}

/* One direction's weights as ONNX wants them: (gates*H, in), (gates*H, H), (2*gates*H). */
typedef struct direction {
    int32_t w, r, b;
} direction;

/* Stacks directions along a new first axis. */
static int32_t stack(ubp_nn_call *c, const int32_t *v, int n)
{
    const int64_t zero = 0;
    int32_t rows[2];
    for (int i = 0; i < n; i++)
        rows[i] = v[i] == UBP_NO_VALUE ? UBP_NO_VALUE : ubp_emit_unsqueeze(c->e, v[i], &zero, 1);
    return n == 1 || rows[0] == UBP_NO_VALUE ? rows[0] : ubp_emit_concat(c->e, rows, n, 0);
}

/* x: (T, N, in). out: Y (T, dirs, N, H), Y_h and of LSTM Y_c (dirs, N, H). */
static void run_cell(ubp_nn_call *c, const cell *k, int32_t x, const direction *d, int n_dirs,
                     const char *way, int64_t hidden, int32_t *out)
{
    const int32_t w[] = {d[0].w, d[n_dirs - 1].w}, r[] = {d[0].r, d[n_dirs - 1].r};
    const int32_t b[] = {d[0].b, d[n_dirs - 1].b};
    const int32_t in[] = {x, stack(c, w, n_dirs), stack(c, r, n_dirs), stack(c, b, n_dirs)};
    ubp_attr attrs[3] = {ubp_emit_int("hidden_size", hidden), ubp_emit_string("direction", way)};
    int n = 2;
    const bool gru = k->gates == 3;
    if (gru) /* the reset gate comes behind the product: reset_after, and always in PyTorch */
        attrs[n++] = ubp_emit_int("linear_before_reset", 1);
    ubp_emit_many(c->e, k->op, 4, in, n, attrs, gru ? 2 : 3, out);
}

static bool check_input(ubp_nn_call *c, const char *expected, int64_t *features)
{
    if (c->rank != 3) {
        ubp_nn_expect(c, expected);
        return false;
    }
    return ubp_nn_known(c, 2, features);
}

/* ---- Keras: (N, T, in) ------------------------------------------------------------------------
 */

/* The inner cell's variables are "lstm/lstm_cell/kernel". */
static int32_t cell_weight(ubp_nn_call *c, const cell *k, const char *name, int rank,
                           const int64_t *dims, ubp_nn_init init)
{
    char full[64];
    snprintf(full, sizeof(full), "%s_cell/%s", k->gates == 4 ? "lstm" : "gru", name);
    return ubp_nn_weight_new(c, full, rank, dims, init);
}

/* LSTM has one bias, of the input's side; its forget gate begins with ones. GRU has both sides. */
static int32_t keras_bias(ubp_nn_call *c, const cell *k, int64_t units)
{
    const int64_t n = k->gates * units, both[] = {2, n}, flat = 2 * n;
    if (k->gates == 3)
        return ubp_emit_reshape(c->e, cell_weight(c, k, "bias", 2, both, ubp_nn_fill(0)), 1, &flat);
    const ubp_nn_init init = {UBP_NN_FILL, 0, 1, units, 2 * units};
    const int32_t zero = ubp_emit_full(c->e, ubp_emit_number(c->e, UB_F32, 0), 1, &n);
    const int32_t sides[] = {reorder(c, k, cell_weight(c, k, "bias", 1, &n, init)), zero};
    return ubp_emit_concat(c->e, sides, 2, 0);
}

static void keras_outputs(ubp_nn_call *c, const ub_keras_units *a, const int32_t *out, bool lstm)
{
    const int64_t one = 1, zero = 0, perm[] = {1, 0, 2};
    const int64_t sequence[] = {c->dims[0], c->dims[1], a->units}, state[] = {c->dims[0], a->units};
    const int32_t h = ubp_emit_squeeze(c->e, out[1], &zero, 1);
    if (a->return_sequences) {
        int32_t y = ubp_emit_transpose(c->e, ubp_emit_squeeze(c->e, out[0], &one, 1), 3, perm);
        if (a->go_backwards) /* Keras leaves it in the order it was computed in */
            y = ubp_emit_slice(c->e, y, 1, -1, INT64_MIN + 1, -1);
        ubp_nn_give(c, y, 3, sequence);
    } else {
        ubp_nn_give(c, h, 2, state);
    }
    if (!a->return_state)
        return;
    /* A value of its own, also where it is the first output. */
    ubp_nn_give(c, a->return_sequences ? h : ubp_emit_1(c->e, "Identity", h), 2, state);
    if (lstm)
        ubp_nn_give(c, ubp_emit_squeeze(c->e, out[2], &zero, 1), 2, state);
}

void ubp_nn_build_keras_recurrent(ubp_nn_call *c)
{
    const ub_keras_units *a = c->args;
    const cell *k = strcmp(c->kind->op, "LSTM") == 0 ? &keras_lstm : &keras_gru;
    const int64_t perm[] = {1, 0, 2};
    int64_t features;
    if (!check_input(c, "(batch, steps, features)", &features) ||
        !ubp_nn_want(c, "units", a->units))
        return;
    if (a->activation) {
        ubp_nn_fail(c, UB_ERR_UNSUPPORTED, "activation '%.40s'; only the usual ones are supported",
                    a->activation);
        return;
    }
    const int64_t w_dims[] = {features, k->gates * a->units};
    const int64_t r_dims[] = {a->units, k->gates * a->units};
    const ubp_nn_init orthogonal = {.start = UBP_NN_ORTHOGONAL};
    direction d;
    d.w = cell_weight(c, k, "kernel", 2, w_dims, ubp_nn_glorot(2, w_dims));
    d.r = cell_weight(c, k, "recurrent_kernel", 2, r_dims, orthogonal);
    d.b = a->no_bias ? UBP_NO_VALUE : keras_bias(c, k, a->units);
    d.w = reorder(c, k, ubp_emit_swap(c->e, d.w, 2, 0, 1));
    d.r = reorder(c, k, ubp_emit_swap(c->e, d.r, 2, 0, 1));
    int32_t out[3];
    run_cell(c, k, ubp_emit_transpose(c->e, c->x, 3, perm), &d, 1,
             a->go_backwards ? "reverse" : "forward", a->units, out);
    keras_outputs(c, a, out, k->gates == 4);
}

/* ---- PyTorch ----------------------------------------------------------------------------------
 */

typedef struct torch_run {
    const cell *cell;
    int64_t hidden;
    int n_dirs;
    bool no_bias;
} torch_run;

/* The weights of one layer and direction: "weight_ih_l0_reverse" and so on. */
static direction torch_direction(ubp_nn_call *c, const torch_run *t, int64_t features, int layer,
                                 bool reverse)
{
    const ubp_nn_init init = ubp_nn_uniform(1 / sqrt((double)t->hidden));
    const int64_t rows = t->cell->gates * t->hidden;
    const int64_t dims[4][2] = {{rows, features}, {rows, t->hidden}, {rows, 0}, {rows, 0}};
    static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    int32_t v[4] = {UBP_NO_VALUE, UBP_NO_VALUE, UBP_NO_VALUE, UBP_NO_VALUE};
    for (int i = 0; i < (t->no_bias ? 2 : 4); i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s_l%d%s", names[i], layer, reverse ? "_reverse" : "");
        v[i] = reorder(c, t->cell, ubp_nn_weight_new(c, name, i < 2 ? 2 : 1, dims[i], init));
    }
    return (direction){v[0], v[1], t->no_bias ? UBP_NO_VALUE : ubp_emit_concat(c->e, v + 2, 2, 0)};
}

/* (T, dirs, N, H) to (T, N, dirs * H) */
static int32_t join_directions(ubp_nn_call *c, const torch_run *t, int32_t y)
{
    const int64_t perm[] = {0, 2, 1, 3}, dims[] = {0, 0, t->n_dirs * t->hidden};
    return ubp_nn_reshape(c, ubp_emit_transpose(c->e, y, 4, perm), 3, dims);
}

/* Final states of all layers: (layers * dirs, N, H). */
static void give_state(ubp_nn_call *c, const torch_run *t, const int32_t *states, int layers,
                       int64_t batch)
{
    const int64_t dims[] = {layers * t->n_dirs, batch, t->hidden};
    ubp_nn_give(c, layers == 1 ? states[0] : ubp_emit_concat(c->e, states, layers, 0), 3, dims);
}

static bool check_torch(ubp_nn_call *c, const ub_torch_features *a)
{
    int64_t features;
    if (!check_input(c, a->batch_first ? "(batch, steps, features)" : "(steps, batch, features)",
                     &features) ||
        !ubp_nn_want(c, "input_size", a->in_features) ||
        !ubp_nn_want(c, "hidden_size", a->out_features))
        return false;
    if (features != a->in_features || a->num_layers < 0 || a->num_layers > MAX_LAYERS) {
        char text[UBP_SHAPE_TEXT];
        ubp_nn_fail(c, UB_ERR_SHAPE,
                    "its input is %s with %lld features, expected %lld, in 1 to %d layers",
                    ubp_nn_shape_text(text, c->rank, c->dims), (long long)features,
                    (long long)a->in_features, MAX_LAYERS);
        return false;
    }
    return true;
}

void ubp_nn_build_torch_recurrent(ubp_nn_call *c)
{
    const ub_torch_features *a = c->args;
    const bool lstm = strcmp(c->kind->op, "LSTM") == 0;
    const torch_run t = {lstm ? &torch_lstm : &torch_gru, a->out_features, a->bidirectional ? 2 : 1,
                         a->no_bias};
    const int layers = a->num_layers == 0 ? 1 : (int)a->num_layers;
    const int64_t perm[] = {1, 0, 2};
    int32_t h[MAX_LAYERS], cell_state[MAX_LAYERS];
    if (!check_torch(c, a))
        return;
    int32_t x = a->batch_first ? ubp_emit_transpose(c->e, c->x, 3, perm) : c->x;
    for (int i = 0; i < layers; i++) {
        const int64_t features = i == 0 ? a->in_features : t.n_dirs * t.hidden;
        direction d[2];
        int32_t out[3];
        d[0] = torch_direction(c, &t, features, i, false);
        d[1] = t.n_dirs == 2 ? torch_direction(c, &t, features, i, true) : d[0];
        run_cell(c, t.cell, x, d, t.n_dirs, t.n_dirs == 2 ? "bidirectional" : "forward", t.hidden,
                 out);
        x = join_directions(c, &t, out[0]);
        h[i] = out[1];
        cell_state[i] = lstm ? out[2] : UBP_NO_VALUE;
    }
    const int64_t dims[] = {c->dims[0], c->dims[1], t.n_dirs * t.hidden};
    const int64_t batch = c->dims[a->batch_first ? 0 : 1];
    ubp_nn_give(c, a->batch_first ? ubp_emit_transpose(c->e, x, 3, perm) : x, 3, dims);
    give_state(c, &t, h, layers, batch);
    if (lstm)
        give_state(c, &t, cell_state, layers, batch);
}
