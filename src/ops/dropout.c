/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout: in a trained model the identity. In training mode elements are dropped by NumPy's
 * RandomState(seed).uniform(), a Mersenne twister (Matsumoto, Nishimura 1998), as ONNX's own cases
 * have it; a node without a seed has its place in the model for one. ONNX opset 22.
 */
#include "ops/move.h"
#include "ops/numbers.h"

#include <string.h>

enum { IN_DATA, IN_RATIO, IN_TRAINING };

static ub_status dropout_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(n, "seed", n->order, attr, err);
}

/* *ratio is 0 where nothing is dropped. */
static ub_status read_ratio(const ubp_call *c, double *ratio)
{
    *ratio = 0;
    if (!ubp_has_in(c, IN_TRAINING))
        return UB_OK;
    const ub_tensor *training = c->in[IN_TRAINING];
    if (training->dtype != UB_BOOL || ub_tensor_count(training) != 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "training_mode is not one bool");
    if (!training->data)
        return UBP_NEEDS_DATA;
    if (!*(const uint8_t *)training->data)
        return UB_OK;
    *ratio = 0.5;
    if (!ubp_has_in(c, IN_RATIO))
        return UB_OK;
    UBP_TRY(ubp_want_float(c, IN_RATIO));
    if (ub_tensor_count(c->in[IN_RATIO]) != 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "ratio is not one number");
    if (!c->in[IN_RATIO]->data)
        return UBP_NEEDS_DATA;
    *ratio = ubp_any_number(c->in[IN_RATIO], 0);
    if (*ratio >= 0 && *ratio < 1)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "a ratio of %g, expected 0 to less than 1", *ratio);
}

static ub_status dropout_infer(const ubp_call *c)
{
    double ratio;
    UBP_TRY(ubp_want_float(c, IN_DATA));
    UBP_TRY(read_ratio(c, &ratio));
    UBP_TRY(ubp_set_like(c, 0, IN_DATA));
    return ubp_set_out(c, 1, UB_BOOL, c->in[IN_DATA]->rank, c->in[IN_DATA]->dims);
}

/* The numbers that decide run on through the batch. */
static void dropout_batch(ubp_batch *b)
{
    double ratio = 0;
    const bool known = read_ratio(b->call, &ratio) == UB_OK;
    for (int k = 0; k < b->call->n_out; k++) {
        ubp_samples_like(b, k, IN_DATA, 0);
        if (b->in[IN_DATA].kind == UBP_SAMPLES_AXIS && (!known || ratio != 0))
            ubp_samples_couple(b, k, "elements are dropped at random through the whole batch");
    }
}

static bool dropout_view(const ubp_call *c, int k, int64_t *offset)
{
    double ratio;
    if (k != 0 || read_ratio(c, &ratio) != UB_OK || ratio != 0)
        return false;
    memcpy(c->out[0]->strides, c->in[IN_DATA]->strides, sizeof c->out[0]->strides);
    *offset = 0;
    return true;
}

/* ---- The Mersenne twister ---------------------------------------------------------------------
 */

enum { WORDS = 624, MIDDLE = 397 };

typedef struct twister {
    uint32_t word[WORDS];
    int next;
} twister;

static void twister_seed(twister *t, uint32_t seed)
{
    t->word[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++)
        t->word[i] = 1812433253u * (t->word[i - 1] ^ (t->word[i - 1] >> 30)) + i;
    t->next = WORDS;
}

static void twister_turn(twister *t)
{
    for (int i = 0; i < WORDS; i++) {
        const uint32_t y = (t->word[i] & 0x80000000u) | (t->word[(i + 1) % WORDS] & 0x7fffffffu);
        t->word[i] = t->word[(i + MIDDLE) % WORDS] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->next = 0;
}

static uint32_t twister_bits(twister *t)
{
    if (t->next == WORDS)
        twister_turn(t);
    uint32_t y = t->word[t->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* 53 bits, 0 <= u < 1. */
static double twister_unit(twister *t)
{
    const uint32_t a = twister_bits(t) >> 5, b = twister_bits(t) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* x, y and mask are row-major. */
static void drop(const ub_tensor *x, const ub_tensor *y, uint8_t *mask, double ratio, uint32_t seed)
{
    twister t;
    const int64_t n = ub_tensor_count(x);
    twister_seed(&t, seed);
    for (int64_t i = 0; i < n; i++) {
        mask[i] = twister_unit(&t) >= ratio;
        ubp_put_any(y, i, mask[i] ? ubp_any_number(x, i) * (1 / (1 - ratio)) : 0);
    }
}

static ub_status drop_some(const ubp_call *c, double ratio)
{
    const ub_tensor *like = c->in[IN_DATA];
    ub_tensor x, y, mask;
    UBP_TRY(ubp_tensor_describe(&x, like->dtype, like->rank, like->dims, c->err));
    UBP_TRY(ubp_tensor_describe(&mask, UB_BOOL, like->rank, like->dims, c->err));
    y = x;
    x.data = ubp_run_scratch(c, ubp_tensor_bytes(&x));
    y.data = ubp_run_scratch(c, ubp_tensor_bytes(&y));
    mask.data = ubp_run_scratch(c, ubp_tensor_bytes(&mask));
    if (!x.data || !y.data || !mask.data)
        return UB_ERR_MEMORY;
    ubp_tensor_move(&x, like);
    drop(&x, &y, mask.data, ratio, (uint32_t)(uint64_t) * (const int64_t *)c->attr);
    if (ubp_has_out(c, 0))
        ubp_tensor_move(c->out[0], &y);
    if (ubp_has_out(c, 1))
        ubp_tensor_move(c->out[1], &mask);
    return UB_OK;
}

static ub_status dropout_ref(const ubp_call *c)
{
    const uint8_t kept = 1;
    double ratio;
    UBP_TRY(read_ratio(c, &ratio));
    if (ratio != 0)
        return drop_some(c, ratio);
    if (ubp_has_out(c, 0))
        ubp_tensor_move(c->out[0], c->in[IN_DATA]);
    if (ubp_has_out(c, 1)) {
        const ub_tensor *m = c->out[1];
        const ub_tensor all = ubp_repeated(UB_BOOL, m->rank, m->dims, &kept);
        ubp_tensor_move(m, &all);
    }
    return UB_OK;
}

const ubp_op ubp_op_Dropout = {
    .name = "Dropout",
    .domain = "",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .attr_size = sizeof(int64_t),
    .attrs = dropout_attrs,
    .infer = dropout_infer,
    .batch = dropout_batch,
    .view = dropout_view,
    .ref = dropout_ref,
};
