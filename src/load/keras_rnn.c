/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurrent layers. Keras' gates are i f c o (LSTM) and z r h (GRU), ONNX's i o f c and z r h; the
 * kernels are turned to ONNX's order by nodes over the file's variables.
 *
 * Masks: a step that does not count leaves the state as it is, and its output is that of the step
 * before (or zero). So the steps that count are moved to the front, the sequence is run at its
 * shorter length, and the outputs are fetched back to where they belong.
 */
#include "load/keras.h"

#include <stdio.h>
#include <string.h>

enum { MAX_GATES = 4 };

typedef struct rnn {
    const char *op; /* "LSTM" */
    int gates, n_states;
    const json_t *cell; /* what has units, activations, use_bias */
    bool sequences, state, backwards, zero_masked;
} rnn;

/* A layer's call at work. */
typedef struct steps {
    kt x;            /* (N, T, I) */
    kt mask;         /* (N, T), or none */
    kt count, place; /* (N,), (N, T): of masked ones */
} steps;

static const kt none = {.value = UBP_NO_VALUE};

/* ---- Weights --------------------------------------------------------------------------------- */

/* Parts of the last axis in ONNX's order. */
static kt reorder(ubp_keras_call *c, kt t, const rnn *r, int64_t units)
{
    static const int order[MAX_GATES] = {0, 3, 1, 2};
    kt parts[MAX_GATES];
    if (r->gates != MAX_GATES)
        return t;
    for (int i = 0; i < MAX_GATES; i++)
        parts[i] = ubp_k_slice(c, t, t.rank - 1, order[i] * units, (order[i] + 1) * units, 1);
    return ubp_k_concat(c, MAX_GATES, parts, t.rank - 1);
}

/* (in, gates * units) to (1, gates * units, in) */
static kt matrix(ubp_keras_call *c, kt t, const rnn *r, int64_t units)
{
    return ubp_k_unsqueeze(c, ubp_k_swap_last(c, reorder(c, t, r, units)), 0);
}

/* Both biases: (1, 2 * gates * units). A second row is that of the recurrent product. */
static kt biases(ubp_keras_call *c, kt bias, const rnn *r, int64_t units)
{
    const int64_t dims[2] = {1, -1};
    if (bias.rank == 2)
        return ubp_k_reshape(c, bias, 2, dims);
    const kt parts[2] = {reorder(c, bias, r, units),
                         ubp_k_filled(c, bias.dtype, r->gates * units, 0)};
    return ubp_k_unsqueeze(c, ubp_k_concat(c, 2, parts, 0), 0);
}

/* ---- Activations ----------------------------------------------------------------------------- */

typedef struct functions {
    const char *names[3];
    double alpha[3], beta[3];
    int n, n_alpha, n_beta;
} functions;

static void add_function(ubp_keras_call *c, functions *f, const json_t *activation, bool keras2)
{
    const char *name = json_is_null(activation) ? "linear" : json_string_value(activation);
    const struct {
        const char *keras, *onnx;
        bool alpha, beta;
        double a, b;
    } known[] = {
        {"tanh", "Tanh", false, false, 0, 0},
        {"sigmoid", "Sigmoid", false, false, 0, 0},
        {"relu", "Relu", false, false, 0, 0},
        {"linear", "Affine", true, true, 1, 0},
        {"hard_sigmoid", "HardSigmoid", true, true, keras2 ? 0.2 : 1.0 / 6, 0.5},
        {"elu", "Elu", true, false, 1, 0},
        {"leaky_relu", "LeakyRelu", true, false, 0.2, 0},
        {"softplus", "Softplus", false, false, 0, 0},
        {"softsign", "Softsign", false, false, 0, 0},
    };
    for (int i = 0; i < UBP_COUNT(known) && name; i++) {
        if (strcmp(known[i].keras, name) != 0)
            continue;
        f->names[f->n++] = known[i].onnx;
        if (known[i].alpha)
            f->alpha[f->n_alpha++] = known[i].a;
        if (known[i].beta)
            f->beta[f->n_beta++] = known[i].b;
        return;
    }
    ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "the activation '%.60s' is not known in recurrent layers",
                   name ? name : "(custom)");
}

static void find_functions(ubp_keras_call *c, functions *f, const rnn *r)
{
    const json_t *outer = json_object_get(r->cell, "activation");
    const json_t *gates = json_object_get(r->cell, "recurrent_activation");
    *f = (functions){.n = 0};
    if (r->gates > 1)
        add_function(c, f, gates, c->k->keras2);
    add_function(c, f, outer, c->k->keras2);
    if (r->gates == 4)
        add_function(c, f, outer, c->k->keras2);
}

/* ---- Masks ----------------------------------------------------------------------------------- */

static kt running_sum(ubp_keras_call *c, kt t)
{
    const kt in[2] = {t, ubp_k_number(c, UB_I64, 1)};
    return ubp_k_node(c, "CumSum", t.rank, t.dtype, 2, in, 0, NULL);
}

/* Element index[n][t] of the second axis, for each sample. */
static kt fetch(ubp_keras_call *c, kt t, kt index)
{
    const kt in[2] = {t, ubp_k_unsqueeze(c, index, -1)};
    return ubp_k_node(c, "GatherND", t.rank, t.dtype, 2, in, 1,
                      (ubp_attr[]){ubp_k_int("batch_dims", 1)});
}

/* Moves the steps that count to the front. */
static void compact(ubp_keras_call *c, steps *s)
{
    const int64_t axis = 1;
    const kt counts = ubp_k_cast(c, s->mask, UB_I64);
    const kt others = ubp_k_with(c, "Add", ubp_k_one(c, "Neg", counts), 1);
    const kt before = ubp_k_with(c, "Sub", running_sum(c, counts), 1);
    const kt behind = ubp_k_with(c, "Sub", running_sum(c, others), 1);
    const kt total = ubp_k_reduce(c, "ReduceSum", counts, 1, &axis, true);
    const kt to = ubp_k_where(c, s->mask, before, ubp_k_two(c, "Add", behind, total));
    const kt zeros = ubp_k_with(c, "Mul", counts, 0);
    const kt numbers = ubp_k_with(c, "Sub", running_sum(c, ubp_k_with(c, "Add", zeros, 1)), 1);
    const kt in[3] = {zeros, to, numbers};
    const kt from =
        ubp_k_node(c, "ScatterElements", 2, UB_I64, 3, in, 1, (ubp_attr[]){ubp_k_int("axis", 1)});
    s->x = fetch(c, s->x, from);
    s->count = ubp_k_cast(c, ubp_k_squeeze(c, total, 1), UB_I32);
    s->place = before;
}

/* The outputs back at their steps. */
static kt spread(ubp_keras_call *c, const steps *s, const rnn *r, kt y)
{
    const kt zero = ubp_k_number(c, UB_I64, 0);
    const kt at = ubp_k_two(c, "Max", s->place, zero);
    const kt valid = r->zero_masked ? s->mask : ubp_k_compare(c, "GreaterOrEqual", s->place, zero);
    return ubp_k_where(c, ubp_k_unsqueeze(c, valid, -1), fetch(c, y, at),
                       ubp_k_number(c, y.dtype, 0));
}

/* ---- One direction --------------------------------------------------------------------------- */

/* out: the sequence or its last step, then the states. */
static int run(ubp_keras_call *c, const rnn *r, steps s, const kt *states, int n_states, kt *out)
{
    const bool masked = s.mask.value != UBP_NO_VALUE;
    const kt kernel = ubp_keras_weight(c, "cell", NULL, 0, "kernel");
    const kt recurrent = ubp_keras_weight(c, "cell", NULL, 1, "recurrent_kernel");
    const kt bias = ubp_keras_flag(r->cell, "use_bias", true)
                        ? ubp_keras_weight(c, "cell", NULL, 2, "bias")
                        : none;
    const int64_t units = ubp_keras_dim(c, recurrent, 0);
    functions f;
    find_functions(c, &f, r);
    if (ubp_keras_failed(c))
        return 0;
    if (r->backwards) {
        s.x = ubp_k_flip(c, s.x, 1);
        s.mask = masked ? ubp_k_flip(c, s.mask, 1) : none;
    }
    if (masked)
        compact(c, &s);
    kt in[7] = {s.x,
                matrix(c, kernel, r, units),
                matrix(c, recurrent, r, units),
                bias.value == UBP_NO_VALUE ? none : biases(c, bias, r, units),
                masked ? s.count : none,
                none,
                none};
    for (int i = 0; i < n_states && i < 2; i++)
        in[5 + i] = ubp_k_unsqueeze(c, ubp_k_cast(c, states[i], c->compute), 1);
    ubp_attr attrs[6] = {
        ubp_k_int("hidden_size", units),
        ubp_k_int("layout", 1),
        {.name = "activations", .kind = UBP_ATTR_STRINGS, .n = (size_t)f.n, .strings = f.names},
        {.name = "activation_alpha",
         .kind = UBP_ATTR_FLOATS,
         .n = (size_t)f.n_alpha,
         .floats = f.alpha},
        {.name = "activation_beta",
         .kind = UBP_ATTR_FLOATS,
         .n = (size_t)f.n_beta,
         .floats = f.beta},
        ubp_k_int("linear_before_reset",
                  bias.rank == 2 || ubp_keras_flag(r->cell, "reset_after", false))};
    kt y[3] = {{.rank = 4, .dtype = s.x.dtype},
               {.rank = 3, .dtype = s.x.dtype},
               {.rank = 3, .dtype = s.x.dtype}};
    ubp_k_node_outputs(c, r->op, r->n_states == 2 ? 7 : 6, in, r->gates == 3 ? 6 : 5, attrs,
                       1 + r->n_states, y);
    const kt index = ubp_k_number(c, UB_I64, -1);
    kt sequence = r->sequences || masked ? ubp_k_squeeze(c, y[0], 2) : none;
    if (masked)
        sequence = spread(c, &s, r, sequence);
    out[0] = r->sequences ? sequence
             : masked     ? ubp_k_gather(c, sequence, index, 1)
                          : ubp_k_squeeze(c, y[1], 1);
    for (int i = 0; i < r->n_states && r->state; i++)
        out[1 + i] = ubp_k_squeeze(c, y[1 + i], 1);
    return r->state ? 1 + r->n_states : 1;
}

/* ---- Configurations -------------------------------------------------------------------------- */

/* What a layer's class and config say. */
static bool read_rnn(ubp_keras_call *c, rnn *r, const char *type, const json_t *config)
{
    *r = (rnn){.cell = config};
    if (strcmp(type, "RNN") == 0) {
        const json_t *cell = ubp_keras_get(config, "cell");
        type = ubp_keras_text(cell, "class_name", "?");
        r->cell = ubp_keras_get(cell, "config");
    }
    if (strncmp(type, "LSTM", 4) == 0 || strcmp(type, "CuDNNLSTM") == 0)
        *r = (rnn){.op = "LSTM", .gates = 4, .n_states = 2, .cell = r->cell};
    else if (strncmp(type, "GRU", 3) == 0)
        *r = (rnn){.op = "GRU", .gates = 3, .n_states = 1, .cell = r->cell};
    else if (strncmp(type, "SimpleRNN", 9) == 0)
        *r = (rnn){.op = "RNN", .gates = 1, .n_states = 1, .cell = r->cell};
    else
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "cells of class %.60s are not supported", type);
    r->sequences = ubp_keras_flag(config, "return_sequences", false);
    r->state = ubp_keras_flag(config, "return_state", false);
    r->backwards = ubp_keras_flag(config, "go_backwards", false);
    r->zero_masked = ubp_keras_flag(config, "zero_output_for_mask", false);
    if (ubp_keras_flag(config, "stateful", false))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "it is stateful: its results depend on earlier batches; save the model with"
                       " stateful=False");
    if (ubp_keras_flag(config, "time_major", false))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "time_major is not supported");
    return !ubp_keras_failed(c);
}

/* Given by name, or (Keras 2) behind the sequence. */
static int initial_states(ubp_keras_call *c, kt *out, int most)
{
    const json_t *given = ubp_keras_arg(c, 1, "initial_state");
    if (c->n_x > 1) {
        for (int i = 1; i < c->n_x && i <= most; i++)
            out[i - 1] = c->x[i];
        return c->n_x - 1 < most ? c->n_x - 1 : most;
    }
    return given ? ubp_keras_tensors(c, given, out, most) : 0;
}

static bool start(ubp_keras_call *c, steps *s)
{
    *s = (steps){.x = ubp_k_input(c), .mask = none};
    if (c->n_x > 0)
        s->mask = ubp_k_mask_of(c, "mask", c->x[0]);
    if (s->x.rank != 3)
        ubp_keras_fail(c, UB_ERR_SHAPE, "its input has %d axes, expected 3", s->x.rank);
    return !ubp_keras_failed(c);
}

UBP_KERAS_BUILDER(recurrent)
{
    rnn r;
    steps s;
    kt states[2];
    if (!start(c, &s) || !read_rnn(c, &r, c->layer->type, c->config))
        return;
    const int n = initial_states(c, states, 2);
    if (n != 0 && n != r.n_states) {
        ubp_keras_fail(c, UB_ERR_FILE, "it is given %d states, expected %d", n, r.n_states);
        return;
    }
    c->n_out = run(c, &r, s, states, n, c->out);
    if (r.sequences)
        c->out[0].mask = c->x[0].mask;
}

/* ---- Both directions ------------------------------------------------------------------------- */

/* One of the two layers: by its own config, or the forward one's turned around. */
static int run_side(ubp_keras_call *c, bool backward, steps s, const kt *states, int n_states,
                    kt *out, rnn *r)
{
    ubp_keras_layer inner, *outer = c->layer;
    const json_t *forward = ubp_keras_get(c->config, "layer");
    const json_t *own = backward ? ubp_keras_get(c->config, "backward_layer") : NULL;
    const char *side = backward ? "backward" : "forward";
    if (c->k->status == UB_OK)
        c->k->status = ubp_keras_inner_layer(c->k, &inner, outer, own ? own : forward,
                                             backward ? "backward_layer" : "forward_layer", true);
    if (ubp_keras_failed(c))
        return 0;
    if (!own) { /* Keras puts the side before the name where it is not there */
        const char *name = inner.name;
        name += strncmp(name, "forward_", 8) == 0 ? 8 : 0;
        inner.parts = ubp_arena_printf(&c->k->g->arena, "%s%s%s_%s", outer->parts,
                                       *outer->parts ? "/" : "", side, name);
        inner.path = ubp_arena_printf(&c->k->g->arena, "%s/%s_%s", outer->path, side, name);
        if (!inner.parts || !inner.path) {
            ubp_keras_fail(c, UB_ERR_MEMORY, "out of memory");
            return 0;
        }
    }
    int n = 0;
    c->layer = &inner;
    if (read_rnn(c, r, inner.type, inner.config)) {
        r->zero_masked = r->sequences;
        if (backward && !own)
            r->backwards = !r->backwards;
        n = run(c, r, s, states, n_states, out);
    }
    c->layer = outer;
    return n;
}

UBP_KERAS_BUILDER(bidirectional)
{
    rnn r = {.op = NULL};
    steps s;
    kt forward[3], backward[3], states[4];
    const json_t *mode = json_object_get(c->config, "merge_mode");
    const char *merge = json_string_value(mode);
    if (!start(c, &s))
        return;
    const int n_states = initial_states(c, states, 4);
    const int n = run_side(c, false, s, states, n_states / 2, forward, &r);
    run_side(c, true, s, states + n_states / 2, n_states / 2, backward, &r);
    if (ubp_keras_failed(c))
        return;
    if (r.sequences)
        backward[0] = ubp_k_flip(c, backward[0], 1);
    const kt both[2] = {forward[0], backward[0]};
    int at = 1;
    if (!merge)
        c->out[at++] = backward[0];
    c->out[0] = !merge                         ? forward[0]
                : strcmp(merge, "concat") == 0 ? ubp_k_concat(c, 2, both, both[0].rank - 1)
                : strcmp(merge, "mul") == 0    ? ubp_k_two(c, "Mul", both[0], both[1])
                                               : ubp_k_two(c, "Add", both[0], both[1]);
    if (merge && strcmp(merge, "ave") == 0)
        c->out[0] = ubp_k_with(c, "Div", c->out[0], 2);
    for (int i = 1; i < n; i++)
        c->out[at++] = forward[i];
    for (int i = 1; i < n; i++)
        c->out[at++] = backward[i];
    c->n_out = at;
    for (int i = 0; i < (merge ? 1 : 2) && r.sequences; i++)
        c->out[i].mask = c->x[0].mask;
}
