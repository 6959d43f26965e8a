/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights of built networks: constants in the framework's shapes, under the framework's names.
 * Their values come last: from a file, or from Philox with the network's seed and the number of the
 * weight, so that a network is the same wherever and however often it is built.
 */
#include "load/nn.h"

#include <math.h>
#include <string.h>

/* ---- How they begin ----------------------------------------------------------------------------
 */

/* keras/src/initializers/random_initializers.py, compute_fans() */
ubp_nn_init ubp_nn_glorot(int rank, const int64_t *dims)
{
    double field = 1;
    for (int i = 0; i < rank - 2; i++)
        field *= (double)dims[i];
    const double in = field * (double)dims[rank > 1 ? rank - 2 : 0];
    const double out = field * (double)dims[rank - 1];
    return ubp_nn_uniform(sqrt(6 / (in + out)));
}

ubp_nn_init ubp_nn_kaiming(int64_t fan_in)
{
    return ubp_nn_uniform(fan_in > 0 ? 1 / sqrt((double)fan_in) : 0);
}

int32_t ubp_nn_weight_new(ubp_nn_call *c, const char *name, int rank, const int64_t *dims,
                          ubp_nn_init init)
{
    ub_nn *net = c->net;
    ub_error *err = &net->error;
    int32_t value = UBP_NO_VALUE;
    if (ubp_nn_failed(c))
        return UBP_NO_VALUE;
    ub_tensor *t = ubp_arena_alloc(&net->g->arena, sizeof(*t));
    const char *full =
        ubp_arena_printf(&net->g->arena, "%s%c%s", c->name, ubp_nn_is_keras(c) ? '/' : '.', name);
    c->e->status = !t || !full ? ubp_fail_memory(err, sizeof(*t))
                               : ubp_tensor_describe(t, UB_F32, rank, dims, err);
    if (!ubp_nn_failed(c))
        c->e->status = ubp_graph_value(net->g, full, &value, err);
    if (!ubp_nn_failed(c))
        c->e->status = ubp_grow((void **)&net->weights, &net->cap_weights, net->n_weights,
                                sizeof(ubp_nn_weight), err);
    if (ubp_nn_failed(c))
        return UBP_NO_VALUE;
    net->weights[net->n_weights++] = (ubp_nn_weight){value, init};
    ubp_value *v = &net->g->values[value];
    v->constant = t;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    return value;
}

/* ---- Their values ------------------------------------------------------------------------------
 */

/* An orthogonal matrix from one of normal values: Gram-Schmidt on the vectors of the shorter side.
 * That is the Q of a QR decomposition whose R has a positive diagonal, as Keras makes it. Recurrent
 * kernels are at least three times as long as wide: normal values are far from dependent, and once
 * over is enough. values: [rows][cols] */
static void orthogonalize(float *values, int64_t rows, int64_t cols)
{
    const bool by_rows = rows < cols;
    const int64_t n = by_rows ? rows : cols, length = by_rows ? cols : rows;
    const int64_t next = by_rows ? cols : 1, step = by_rows ? 1 : cols;
    for (int64_t i = 0; i < n; i++) {
        float *v = values + i * next; /* [length], elements `step` apart */
        double sum = 0;
        for (int64_t j = 0; j < i; j++) {
            const float *u = values + j * next;
            double dot = 0;
            for (int64_t k = 0; k < length; k++)
                dot += (double)v[k * step] * (double)u[k * step];
            for (int64_t k = 0; k < length; k++)
                v[k * step] = (float)((double)v[k * step] - dot * (double)u[k * step]);
        }
        for (int64_t k = 0; k < length; k++)
            sum += (double)v[k * step] * (double)v[k * step];
        for (int64_t k = 0; k < length; k++)
            v[k * step] = (float)((double)v[k * step] / sqrt(sum));
    }
}

static void fill(const ubp_nn_weight *w, const ub_tensor *t, uint64_t seed, uint32_t stream)
{
    const int64_t n = ub_tensor_count(t);
    float *values = t->data; /* [n] */
    switch (w->init.start) {
    case UBP_NN_FILL:
        for (int64_t i = 0; i < n; i++)
            values[i] = (float)(i >= w->init.from && i < w->init.to ? w->init.b : w->init.a);
        break;
    case UBP_NN_UNIFORM:
        ubp_random_uniform(values, n, w->init.a, seed, stream);
        break;
    case UBP_NN_NORMAL:
        ubp_random_normal(values, n, seed, stream);
        for (int64_t i = 0; i < n; i++)
            values[i] = (float)(w->init.a * (double)values[i]);
        break;
    case UBP_NN_ORTHOGONAL:
        ubp_random_normal(values, n, seed, stream);
        orthogonalize(values, t->dims[0], t->dims[1]);
        break;
    }
}

ub_status ubp_nn_fill_weights(ub_nn *net, ub_error *err)
{
    ubp_loaded *l = &net->loaded;
    if (net->weights_path)
        return ubp_weights_apply(l, net->weights_path, true, NULL, err);
    for (size_t i = 0; i < net->n_weights; i++) {
        ub_tensor *t = (ub_tensor *)(uintptr_t)net->g->values[net->weights[i].value].constant;
        ub_buffer *memory = NULL;
        UBP_TRY(ubp_grow((void **)&l->external, &l->cap_external, l->n_external,
                         sizeof(ub_buffer *), err));
        UBP_TRY(ubp_buffer_new(&memory, ubp_tensor_bytes(t), false, err));
        l->external[l->n_external++] = memory;
        t->data = memory->data;
        t->buffer = memory;
        fill(&net->weights[i], t, net->seed, (uint32_t)i + 1);
    }
    return UB_OK;
}
