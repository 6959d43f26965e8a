/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CausalConvWithState: each channel of (batch, channels, length) is convolved with its own kernel
 * over the elements up to it; what lies before the first comes from a state (batch, channels, k-1)
 * or is zero. Then SiLU, if asked for. Sums are taken in double, in order. ONNX opset 27.
 */
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

enum { IN_X, IN_W, IN_BIAS, IN_STATE };

static ub_status causal_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    bool *silu = attr;
    const char *name;
    (void)arena;
    UBP_TRY(ubp_attr_string(n, "activation", "none", &name, err));
    *silu = strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0;
    if (!*silu && strcmp(name, "none") != 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (CausalConvWithState): activation '%.40s', expected silu, "
                        "swish or none",
                        n->name, name);
    return UB_OK;
}

static ub_status causal_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_float(c, IN_X));
    UBP_TRY(ubp_want_rank(c, IN_X, 3, 3));
    UBP_TRY(ubp_want_rank(c, IN_W, 3, 3));
    for (int i = IN_W; i < c->n_in; i++)
        if (ubp_has_in(c, i))
            UBP_TRY(ubp_want_same_dtype(c, IN_X, i));
    const int64_t *x = c->in[IN_X]->dims, *w = c->in[IN_W]->dims;
    if (w[0] != x[1] || w[1] != 1 || w[2] < 1)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "weights (%lld, %lld, %lld), expected (%lld, 1, at least 1)",
                           (long long)w[0], (long long)w[1], (long long)w[2], (long long)x[1]);
    const int64_t state[] = {x[0], x[1], w[2] - 1};
    if (ubp_has_in(c, IN_BIAS)) {
        UBP_TRY(ubp_want_rank(c, IN_BIAS, 1, 1));
        if (c->in[IN_BIAS]->dims[0] != x[1])
            return ubp_op_fail(c, UB_ERR_SHAPE, "%lld biases for %lld channels",
                               (long long)c->in[IN_BIAS]->dims[0], (long long)x[1]);
    }
    if (ubp_has_in(c, IN_STATE)) {
        UBP_TRY(ubp_want_rank(c, IN_STATE, 3, 3));
        if (memcmp(c->in[IN_STATE]->dims, state, sizeof state) != 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "past_state, expected (%lld, %lld, %lld)",
                               (long long)state[0], (long long)state[1], (long long)state[2]);
    }
    UBP_TRY(ubp_set_like(c, 0, IN_X));
    return ubp_set_out(c, 1, c->in[IN_X]->dtype, 3, state);
}

static void causal_batch(ubp_batch *b)
{
    ubp_rows_batch(b, &(ubp_rows){.in_axis = {0, UBP_ROWS_SHARED, UBP_ROWS_SHARED, 0},
                                  .why = "convolution over the batch axis"});
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Element i of a line that starts with the state's before - 1 elements. */
static double with_past(const ubp_call *c, int64_t line, int64_t i, int64_t past)
{
    if (i >= past)
        return ubp_number(c->in[IN_X], line * c->in[IN_X]->dims[2] + i - past);
    return ubp_has_in(c, IN_STATE) ? ubp_number(c->in[IN_STATE], line * past + i) : 0;
}

static void run_lines(void *arg, int64_t begin, int64_t end)
{
    const ubp_call *c = arg;
    const bool silu = *(const bool *)c->attr;
    const int64_t length = c->in[IN_X]->dims[2], taps = c->in[IN_W]->dims[2];
    for (int64_t line = begin; line < end; line++) {
        const int64_t channel = line % c->in[IN_X]->dims[1];
        for (int64_t i = 0; i < length && ubp_has_out(c, 0); i++) {
            double sum = ubp_has_in(c, IN_BIAS) ? ubp_number(c->in[IN_BIAS], channel) : 0;
            for (int64_t k = 0; k < taps; k++)
                sum += ubp_number(c->in[IN_W], channel * taps + k) *
                       with_past(c, line, i + k, taps - 1);
            ubp_put_number(c->out[0], line * length + i, silu ? sum / (1 + exp(-sum)) : sum);
        }
        for (int64_t i = 0; i < taps - 1 && ubp_has_out(c, 1); i++)
            ubp_put_number(c->out[1], line * (taps - 1) + i,
                           with_past(c, line, length + i, taps - 1));
    }
}

static ub_status causal_ref(const ubp_call *c)
{
    ubp_call call = *c;
    const int64_t *x = c->in[IN_X]->dims;
    ubp_run_parallel(c->run, x[0] * x[1], 2048 / (x[2] + 1) + 1, run_lines, &call);
    return UB_OK;
}

static int64_t causal_macs(const ubp_call *c)
{
    int64_t macs = 0;
    return ubp_mul_i64(ub_tensor_count(c->in[IN_X]), c->in[IN_W]->dims[2], &macs) ? macs : 0;
}

const ubp_op ubp_op_CausalConvWithState = {
    .name = "CausalConvWithState",
    .domain = "",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 2,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(bool),
    .attrs = causal_attrs,
    .infer = causal_infer,
    .batch = causal_batch,
    .ref = causal_ref,
    .macs = causal_macs,
};
