/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's recurrent networks as our LSTM, GRU and RNN, one node for each layer. PyTorch has the
 * gates of a weight in the order i, f, g, o (LSTM) and r, z, n (GRU), ONNX in i, o, f, g and z, r,
 * n: they are put in order by nodes, so that the weights themselves stay as they are in the file.
 */
#include <string.h>

#include "load/pt2.h"

enum { MOST_PARAMS = 4096 };

typedef struct rnn {
    const char *op;   /* "LSTM" */
    int gates;        /* 4, 3, 1 */
    const int *order; /* [gates] which of PyTorch's gates stands there */
    int layers, directions;
    bool biases, batch_first;
    const char *activation; /* of RNN */
    int32_t *params;        /* of each layer and direction: w_ih, w_hh, b_ih, b_hh */
    ubp_pt2_meta *metas;
    int n_params;
    int64_t hidden;
} rnn;

/* ---- Weights ----------------------------------------------------------------------------------
 */

/* The gates along axis 0 in ONNX's order. */
static int32_t in_order(ubp_at *a, const rnn *r, int32_t w)
{
    int32_t parts[4];
    if (r->gates == 1)
        return w;
    for (int i = 0; i < r->gates; i++)
        parts[i] =
            ubp_emit_slice(a->e, w, 0, r->order[i] * r->hidden, (r->order[i] + 1) * r->hidden, 1);
    return ubp_emit_concat(a->e, parts, r->gates, 0);
}

/* Parameter k of a layer's directions, behind each other: [directions, ...]. */
static int32_t stacked(ubp_at *a, const rnn *r, int layer, int k)
{
    const int64_t front = 0;
    const int each = r->biases ? 4 : 2;
    int32_t parts[2];
    for (int d = 0; d < r->directions; d++) {
        const int at = (layer * r->directions + d) * each;
        int32_t w = in_order(a, r, r->params[at + k]);
        if (k == 2) { /* both biases of a direction are one row */
            const int32_t both[] = {w, in_order(a, r, r->params[at + 3])};
            w = ubp_emit_concat(a->e, both, 2, 0);
        }
        parts[d] = ubp_emit_unsqueeze(a->e, w, &front, 1);
    }
    return r->directions == 1 ? parts[0] : ubp_emit_concat(a->e, parts, 2, 0);
}

/* ---- Layers -----------------------------------------------------------------------------------
 */

/* The part of a first state that belongs to a layer. */
static int32_t layer_state(ubp_at *a, const rnn *r, int32_t state, int layer)
{
    const int64_t at = (int64_t)layer * r->directions;
    if (state == UBP_NO_VALUE || r->layers == 1)
        return state;
    return ubp_emit_slice(a->e, state, 0, at, at + r->directions, 1);
}

/* One layer: x [T, B, in] becomes [T, B, directions * H]; its last states go to last[0..2). */
static int32_t run_layer(ubp_at *a, const rnn *r, int32_t x, const int32_t *states, int layer,
                         int32_t *last)
{
    static const int64_t perm[] = {0, 2, 1, 3};
    ubp_emit *e = a->e;
    int32_t out[3];
    const bool lstm = strcmp(r->op, "LSTM") == 0;
    const int32_t in[] = {x,
                          stacked(a, r, layer, 0),
                          stacked(a, r, layer, 1),
                          r->biases ? stacked(a, r, layer, 2) : UBP_NO_VALUE,
                          UBP_NO_VALUE,
                          layer_state(a, r, states[0], layer),
                          lstm ? layer_state(a, r, states[1], layer) : UBP_NO_VALUE};
    ubp_attr attrs[4] = {
        ubp_emit_int("hidden_size", r->hidden),
        ubp_emit_string("direction", r->directions == 2 ? "bidirectional" : "forward")};
    int n_attrs = 2;
    if (strcmp(r->op, "GRU") == 0)
        attrs[n_attrs++] = ubp_emit_int("linear_before_reset", 1);
    if (r->activation) {
        const char **names = ubp_at_array(a, 2, sizeof(*names));
        for (int d = 0; names && d < r->directions; d++)
            names[d] = r->activation;
        attrs[n_attrs] = (ubp_attr){.name = "activations",
                                    .kind = UBP_ATTR_STRINGS,
                                    .s = "",
                                    .n = names ? (size_t)r->directions : 0,
                                    .strings = names};
        n_attrs++;
    }
    ubp_emit_many(e, r->op, 7, in, n_attrs, attrs, lstm ? 3 : 2, out);
    last[0] = out[1];
    last[1] = lstm ? out[2] : UBP_NO_VALUE;
    const int64_t dims[] = {0, 0, r->directions * r->hidden}; /* 0: as it is */
    const int64_t squeezed = 1;
    if (r->directions == 1)
        return ubp_emit_squeeze(e, out[0], &squeezed, 1);
    return ubp_emit_2(e, "Reshape", ubp_emit_transpose(e, out[0], 4, perm),
                      ubp_emit_ints(e, dims, 3));
}

static bool read_rnn(ubp_at *a, rnn *r)
{
    static const int lstm[] = {0, 3, 1, 2}, gru[] = {1, 0, 2}, plain[] = {0};
    const char *word = ubp_at_word(a);
    r->op = strcmp(word, "Tanh") == 0 || strcmp(word, "Relu") == 0 ? "RNN" : word;
    r->activation = strcmp(r->op, "RNN") == 0 ? word : NULL;
    r->gates = strcmp(word, "LSTM") == 0 ? 4 : strcmp(word, "GRU") == 0 ? 3 : 1;
    r->order = r->gates == 4 ? lstm : r->gates == 3 ? gru : plain;
    r->biases = ubp_at_bool(a, "has_biases", true);
    const int64_t layers = ubp_at_int(a, "num_layers", 1);
    r->directions = ubp_at_bool(a, "bidirectional", false) ? 2 : 1;
    r->batch_first = ubp_at_bool(a, "batch_first", false);
    if (ubp_at_bool(a, "train", false) && ubp_at_float(a, "dropout", 0) > 0)
        ubp_at_refuse(a, "a dropout that is switched on (train mode)");
    ubp_at_ignore(a, "dropout");
    r->n_params = ubp_at_tensors(a, "params", &r->params, &r->metas);
    if (layers < 1 || layers > MOST_PARAMS)
        ubp_at_refuse(a, "%lld layers", (long long)layers);
    else if (r->n_params != layers * r->directions * (r->biases ? 4 : 2))
        ubp_at_refuse(a, "%d weights (a projection, proj_size, is not supported)", r->n_params);
    if (a->refused)
        return false;
    r->layers = (int)layers;
    r->hidden = r->metas[1].rank == 2 ? r->metas[1].dims[1] : -1;
    if (r->hidden < 1)
        ubp_at_refuse(a, "a hidden size that is not fixed");
    return !a->refused;
}

static void make_rnn(ubp_at *a)
{
    ubp_emit *e = a->e;
    rnn r = {.op = ""};
    ubp_pt2_meta m;
    int32_t *states = NULL, first[2] = {UBP_NO_VALUE, UBP_NO_VALUE};
    int32_t x = ubp_at_tensor(a, "input");
    if (strcmp(a->overload, "input") != 0) {
        ubp_at_refuse(a, "packed sequences");
        return;
    }
    if (!read_rnn(a, &r) || !ubp_at_meta(a, "input", &m))
        return;
    if (r.gates == 4) {
        const int n = ubp_at_tensors(a, "hx", &states, NULL);
        for (int k = 0; k < n && k < 2; k++)
            first[k] = states[k];
    } else {
        first[0] = ubp_at_tensor(a, "hx");
    }
    if (m.rank != 3) {
        ubp_at_refuse(a, "an input of %d axes", m.rank);
        return;
    }
    a->recurrent = true;
    int32_t *last = ubp_at_array(a, (size_t)r.layers * 2, sizeof(*last));
    if (!last)
        return;
    if (r.batch_first)
        x = ubp_emit_swap(e, x, 3, 0, 1);
    for (int i = 0; i < r.layers; i++) {
        int32_t state[2];
        x = run_layer(a, &r, x, first, i, state);
        last[i] = state[0];
        last[r.layers + i] = state[1];
    }
    ubp_at_give(a, 0, r.batch_first ? ubp_emit_swap(e, x, 3, 0, 1) : x);
    for (int k = 0; k < (r.gates == 4 ? 2 : 1); k++)
        ubp_at_give(a, 1 + k,
                    r.layers == 1 ? last[k] : ubp_emit_concat(e, last + k * r.layers, r.layers, 0));
}

/* ---- Cells ------------------------------------------------------------------------------------
 */

static int32_t weighted(ubp_at *a, int32_t x, const char *w, const char *b)
{
    const int32_t turned = ubp_emit_swap(a->e, ubp_at_tensor(a, w), 2, 0, 1);
    const int32_t y = ubp_emit_2(a->e, "MatMul", x, turned), bias = ubp_at_optional(a, b);
    return bias == UBP_NO_VALUE ? y : ubp_emit_2(a->e, "Add", y, bias);
}

static int32_t gate(ubp_at *a, int32_t all, int k, int64_t hidden)
{
    return ubp_emit_slice(a->e, all, -1, k * hidden, (k + 1) * hidden, 1);
}

static void make_cell(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int32_t *hx = NULL;
    const char *word = ubp_at_word(a);
    const bool lstm = strcmp(word, "LSTM") == 0;
    int32_t h, c = UBP_NO_VALUE;
    if (lstm) {
        if (ubp_at_tensors(a, "hx", &hx, NULL) != 2)
            return;
        h = hx[0];
        c = hx[1];
    } else {
        h = ubp_at_tensor(a, "hx");
    }
    const int32_t x = weighted(a, ubp_at_tensor(a, "input"), "w_ih", "b_ih");
    const int32_t y = weighted(a, h, "w_hh", "b_hh");
    if (!ubp_at_meta(a, "w_hh", &m) || m.rank != 2)
        return;
    const int64_t n = m.dims[1];
    if (lstm) {
        const int32_t all = ubp_emit_2(e, "Add", x, y);
        const int32_t keep = ubp_emit_2(e, "Mul", ubp_emit_1(e, "Sigmoid", gate(a, all, 1, n)), c);
        const int32_t more = ubp_emit_2(e, "Mul", ubp_emit_1(e, "Sigmoid", gate(a, all, 0, n)),
                                        ubp_emit_1(e, "Tanh", gate(a, all, 2, n)));
        c = ubp_emit_2(e, "Add", keep, more);
        h = ubp_emit_2(e, "Mul", ubp_emit_1(e, "Sigmoid", gate(a, all, 3, n)),
                       ubp_emit_1(e, "Tanh", c));
        ubp_at_give(a, 1, c);
    } else if (strcmp(word, "GRU") == 0) {
        const int32_t r =
            ubp_emit_1(e, "Sigmoid", ubp_emit_2(e, "Add", gate(a, x, 0, n), gate(a, y, 0, n)));
        const int32_t z =
            ubp_emit_1(e, "Sigmoid", ubp_emit_2(e, "Add", gate(a, x, 1, n), gate(a, y, 1, n)));
        const int32_t new_h = ubp_emit_1(
            e, "Tanh",
            ubp_emit_2(e, "Add", gate(a, x, 2, n), ubp_emit_2(e, "Mul", r, gate(a, y, 2, n))));
        h = ubp_emit_2(e, "Add", new_h, ubp_emit_2(e, "Mul", z, ubp_emit_2(e, "Sub", h, new_h)));
    } else {
        h = ubp_emit_1(e, word, ubp_emit_2(e, "Add", x, y));
    }
    ubp_at_give(a, 0, h);
}

const ubp_pt2_op ubp_pt2_ops_rnn[] = {
    {"lstm", make_rnn, "LSTM"},
    {"gru", make_rnn, "GRU"},
    {"rnn_tanh", make_rnn, "Tanh"},
    {"rnn_relu", make_rnn, "Relu"},
    {"lstm_cell", make_cell, "LSTM"},
    {"gru_cell", make_cell, "GRU"},
    {"rnn_tanh_cell", make_cell, "Tanh"},
    {"rnn_relu_cell", make_cell, "Relu"},
    {0},
};
