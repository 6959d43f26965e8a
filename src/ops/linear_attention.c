/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LinearAttention: for each sample and key head a state (key width x value width) that decays,
 * takes in the outer product of key and (corrected) value, and is read by the queries of its group.
 * The state is kept in double. ONNX opset 27.
 */
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

enum { IN_Q, IN_K, IN_V, IN_STATE, IN_DECAY, IN_BETA };

typedef struct state_attr {
    int64_t heads, kv_heads;
    double scale;        /* 0: 1/sqrt(key width) */
    bool gated, correct; /* by decay; by what the state already holds */
} state_attr;

static ub_status state_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    state_attr *a = attr;
    const char *rule;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "q_num_heads", 0, &a->heads, err));
    UBP_TRY(ubp_attr_int(n, "kv_num_heads", 0, &a->kv_heads, err));
    UBP_TRY(ubp_attr_float(n, "scale", 0, &a->scale, err));
    UBP_TRY(ubp_attr_string(n, "update_rule", "gated_delta", &rule, err));
    a->gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    a->correct = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!a->gated && !a->correct && strcmp(rule, "linear") != 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (LinearAttention): update_rule '%.40s', expected linear, gated, "
                        "delta or gated_delta",
                        n->name, rule);
    if (a->kv_heads <= 0 || a->heads <= 0 || a->heads % a->kv_heads != 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (LinearAttention): %lld heads of queries on %lld of keys, "
                        "expected a multiple",
                        n->name, (long long)a->heads, (long long)a->kv_heads);
    return UB_OK;
}

typedef struct state_dims {
    int64_t batch, steps, key, value; /* key, value: width of a head */
} state_dims;

/* Input `in` is (batch, steps, one of two widths). */
static ub_status want_columns(const ubp_call *c, int in, const state_dims *d, int64_t a, int64_t b)
{
    UBP_TRY(ubp_want_rank(c, in, 3, 3));
    const int64_t *dims = c->in[in]->dims;
    if (dims[0] != d->batch || dims[1] != d->steps || (dims[2] != a && dims[2] != b))
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "input %d is (%lld, %lld, %lld), expected (%lld, %lld, %lld)", in,
                           (long long)dims[0], (long long)dims[1], (long long)dims[2],
                           (long long)d->batch, (long long)d->steps, (long long)a);
    return UB_OK;
}

static ub_status find_dims(const ubp_call *c, state_dims *d)
{
    const state_attr *a = c->attr;
    for (int i = IN_Q; i <= IN_V; i++)
        UBP_TRY(ubp_want_rank(c, i, 3, 3));
    const int64_t *q = c->in[IN_Q]->dims, *v = c->in[IN_V]->dims;
    if (q[2] % a->heads != 0 || v[2] % a->kv_heads != 0)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "the columns of query and value are no multiple of "
                           "their heads");
    *d = (state_dims){q[0], q[1], q[2] / a->heads, v[2] / a->kv_heads};
    UBP_TRY(want_columns(c, IN_K, d, d->key * a->kv_heads, d->key * a->kv_heads));
    return want_columns(c, IN_V, d, v[2], v[2]);
}

static ub_status check_optional(const ubp_call *c, const state_dims *d)
{
    const state_attr *a = c->attr;
    if (a->gated != ubp_has_in(c, IN_DECAY) || a->correct != ubp_has_in(c, IN_BETA))
        return ubp_op_fail(c, UB_ERR_FILE,
                           "decay goes with the gated rules, beta with the delta "
                           "rules; one is missing or too many");
    if (a->gated)
        UBP_TRY(want_columns(c, IN_DECAY, d, a->kv_heads, a->kv_heads * d->key));
    if (a->correct)
        UBP_TRY(want_columns(c, IN_BETA, d, a->kv_heads, 1));
    if (!ubp_has_in(c, IN_STATE))
        return UB_OK;
    UBP_TRY(ubp_want_float(c, IN_STATE));
    UBP_TRY(ubp_want_rank(c, IN_STATE, 4, 4));
    const int64_t *s = c->in[IN_STATE]->dims;
    if (s[0] != d->batch || s[1] != a->kv_heads || s[2] != d->key || s[3] != d->value)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "past_state does not have batch, heads and widths of "
                           "key and value");
    return UB_OK;
}

static ub_status state_infer(const ubp_call *c)
{
    const state_attr *a = c->attr;
    state_dims d = {0};
    UBP_TRY(ubp_want_float(c, IN_Q));
    for (int i = IN_K; i < c->n_in; i++)
        if (i != IN_STATE && ubp_has_in(c, i))
            UBP_TRY(ubp_want_same_dtype(c, IN_Q, i));
    UBP_TRY(find_dims(c, &d));
    UBP_TRY(check_optional(c, &d));
    const ub_dtype dtype = c->in[IN_Q]->dtype;
    int64_t columns;
    if (!ubp_mul_i64(a->heads, d.value, &columns))
        return ubp_op_fail(c, UB_ERR_SHAPE, "the output is too large");
    UBP_TRY(ubp_set_out(c, 0, dtype, 3, (const int64_t[]){d.batch, d.steps, columns}));
    return ubp_set_out(c, 1, ubp_has_in(c, IN_STATE) ? c->in[IN_STATE]->dtype : dtype, 4,
                       (const int64_t[]){d.batch, a->kv_heads, d.key, d.value});
}

static void state_batch(ubp_batch *b)
{
    ubp_rows_first(b, 6, "a recurrence over the batch axis");
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct scan {
    const ubp_call *c;
    state_dims d;
    double scale;
    double *state;  /* (batch, kv_heads, key, value) */
    double *update; /* (batch, kv_heads, value) */
} scan;

/* One step of one state: decays, corrects, takes in. */
static void take_in(const scan *j, int64_t row, int64_t h, double *state, double *update)
{
    const state_attr *a = j->c->attr;
    const ub_tensor *const *in = j->c->in;
    const state_dims *d = &j->d;
    const int64_t key = (row * a->kv_heads + h) * d->key;
    const int64_t value = (row * a->kv_heads + h) * d->value;
    for (int64_t k = 0; a->gated && k < d->key; k++) {
        const bool each = in[IN_DECAY]->dims[2] != a->kv_heads;
        const double g = exp(ubp_number(in[IN_DECAY], each ? key + k : row * a->kv_heads + h));
        for (int64_t v = 0; v < d->value; v++)
            state[k * d->value + v] *= g;
    }
    for (int64_t v = 0; v < d->value; v++)
        update[v] = ubp_number(in[IN_V], value + v);
    for (int64_t k = 0; a->correct && k < d->key; k++)
        for (int64_t v = 0; v < d->value; v++)
            update[v] -= state[k * d->value + v] * ubp_number(in[IN_K], key + k);
    for (int64_t v = 0; a->correct && v < d->value; v++)
        update[v] *=
            ubp_number(in[IN_BETA], in[IN_BETA]->dims[2] == 1 ? row : row * a->kv_heads + h);
    for (int64_t k = 0; k < d->key; k++)
        for (int64_t v = 0; v < d->value; v++)
            state[k * d->value + v] += ubp_number(in[IN_K], key + k) * update[v];
}

/* The queries of key head h read the state. */
static void read_out(const scan *j, int64_t row, int64_t h, const double *state, double *sum)
{
    const state_attr *a = j->c->attr;
    const state_dims *d = &j->d;
    const int64_t group = a->heads / a->kv_heads;
    for (int64_t q = h * group; q < (h + 1) * group && ubp_has_out(j->c, 0); q++) {
        memset(sum, 0, (size_t)d->value * sizeof(double));
        for (int64_t k = 0; k < d->key; k++) {
            const double x = ubp_number(j->c->in[IN_Q], (row * a->heads + q) * d->key + k);
            for (int64_t v = 0; v < d->value; v++)
                sum[v] += x * state[k * d->value + v];
        }
        for (int64_t v = 0; v < d->value; v++)
            ubp_put_number(j->c->out[0], (row * a->heads + q) * d->value + v, j->scale * sum[v]);
    }
}

static void scan_states(void *arg, int64_t begin, int64_t end)
{
    const scan *j = arg;
    const state_attr *a = j->c->attr;
    const state_dims *d = &j->d;
    const int64_t each = d->key * d->value;
    for (int64_t i = begin; i < end; i++) {
        double *state = j->state + i * each, *update = j->update + i * d->value;
        for (int64_t e = 0; e < each; e++)
            state[e] =
                ubp_has_in(j->c, IN_STATE) ? ubp_number(j->c->in[IN_STATE], i * each + e) : 0;
        for (int64_t t = 0; t < d->steps && !ubp_run_cancelled(j->c->run); t++) {
            const int64_t row = i / a->kv_heads * d->steps + t;
            take_in(j, row, i % a->kv_heads, state, update);
            read_out(j, row, i % a->kv_heads, state, update);
        }
        for (int64_t e = 0; ubp_has_out(j->c, 1) && e < each; e++)
            ubp_put_number(j->c->out[1], i * each + e, state[e]);
    }
}

static ub_status state_ref(const ubp_call *c)
{
    const state_attr *a = c->attr;
    scan j = {.c = c};
    size_t states, bytes, updates;
    UBP_TRY(find_dims(c, &j.d));
    j.scale = a->scale != 0 ? a->scale : 1 / sqrt((double)j.d.key);
    if (!ubp_mul_size((size_t)j.d.batch, (size_t)a->kv_heads, &states) ||
        !ubp_mul_size(states, (size_t)j.d.value * sizeof(double), &updates) ||
        !ubp_mul_size(updates, (size_t)j.d.key, &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    j.state = ubp_run_scratch(c, bytes);
    j.update = ubp_run_scratch(c, updates);
    if (!j.state || !j.update)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, (int64_t)states, 1, scan_states, &j);
    return ubp_run_cancelled(c->run) ? UBP_CANCELLED(c) : UB_OK;
}

const ubp_op ubp_op_LinearAttention = {
    .name = "LinearAttention",
    .domain = "",
    .min_in = 3,
    .max_in = 6,
    .min_out = 1,
    .max_out = 2,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(state_attr),
    .attrs = state_attrs,
    .infer = state_infer,
    .batch = state_batch,
    .ref = state_ref,
};
