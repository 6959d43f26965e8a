/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adagrad, Adam, Momentum: one step of training, elementwise. Inputs are the rate, the number of
 * steps, then for n tensors: all values, all gradients, then all of each kind of memory; outputs
 * are the values and memories. Computed in double. ONNX ai.onnx.preview.training opset 1.
 */
#include "ops/follow.h"
#include "ops/numbers.h"

#include <math.h>
#include <string.h>

enum { IN_RATE, IN_COUNT, IN_FIRST, MEMORIES = 2 };

typedef struct step_attr {
    double alpha, beta, epsilon, norm, norm_post, decay;
    bool nesterov;
} step_attr;

static ub_status adagrad_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    step_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_float(n, "decay_factor", 0, &a->decay, err));
    UBP_TRY(ubp_attr_float(n, "epsilon", 1e-6, &a->epsilon, err));
    return ubp_attr_float(n, "norm_coefficient", 0, &a->norm, err);
}

static ub_status adam_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    step_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_float(n, "alpha", 0.9, &a->alpha, err));
    UBP_TRY(ubp_attr_float(n, "beta", 0.999, &a->beta, err));
    UBP_TRY(ubp_attr_float(n, "epsilon", 1e-6, &a->epsilon, err));
    UBP_TRY(ubp_attr_float(n, "norm_coefficient", 0, &a->norm, err));
    return ubp_attr_float(n, "norm_coefficient_post", 0, &a->norm_post, err);
}

static ub_status momentum_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    step_attr *a = attr;
    const char *mode;
    (void)arena;
    UBP_TRY(ubp_attr_float(n, "alpha", 0, &a->alpha, err));
    UBP_TRY(ubp_attr_float(n, "beta", 0, &a->beta, err));
    UBP_TRY(ubp_attr_float(n, "norm_coefficient", 0, &a->norm, err));
    UBP_TRY(ubp_attr_string(n, "mode", "", &mode, err));
    a->nesterov = strcmp(mode, "nesterov") == 0;
    if (a->nesterov || strcmp(mode, "standard") == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (Momentum): mode '%.40s', expected standard or nesterov", n->name,
                    mode);
}

/* ---- Shapes and samples -----------------------------------------------------------------------
 */

/* How many tensors are trained, with `kinds` inputs each. */
static int tensors(const ubp_call *c, int kinds)
{
    return (c->n_in - IN_FIRST) / kinds;
}

static ub_status step_infer(const ubp_call *c, int kinds)
{
    const int n = tensors(c, kinds);
    if (c->n_in < IN_FIRST + kinds || (c->n_in - IN_FIRST) % kinds != 0 ||
        c->n_out != n * (kinds - 1))
        return ubp_op_fail(c, UB_ERR_FILE,
                           "%d inputs and %d outputs, expected 2 and %d a tensor, "
                           "and %d a tensor",
                           c->n_in, c->n_out, kinds, kinds - 1);
    UBP_TRY(ubp_want_float(c, IN_RATE));
    for (int i = 0; i < c->n_in; i++)
        if (!ubp_has_in(c, i))
            return ubp_op_fail(c, UB_ERR_FILE, "input %d is missing", i);
    if (c->in[IN_COUNT]->dtype != UB_I64 || ub_tensor_count(c->in[IN_RATE]) != 1 ||
        ub_tensor_count(c->in[IN_COUNT]) != 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "rate and count are not one number, one int64");
    for (int i = IN_FIRST; i < c->n_in; i++) {
        const int x = IN_FIRST + (i - IN_FIRST) % n;
        UBP_TRY(ubp_want_float(c, i));
        UBP_TRY(ubp_want_same_dtype(c, x, i));
        if (!ubp_same_dims(c->in[x], c->in[i]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "inputs %d and %d have different shapes", x, i);
    }
    for (int k = 0; k < c->n_out; k++)
        UBP_TRY(ubp_set_like(c, k, IN_FIRST + k % n));
    return UB_OK;
}

static void step_batch(ubp_batch *b, int kinds)
{
    const int n = tensors(b->call, kinds);
    for (int k = 0; k < b->call->n_out; k++) {
        ubp_follow f = ubp_follow_begin(b, k);
        ubp_follow_shared(b, k, IN_RATE);
        ubp_follow_shared(b, k, IN_COUNT);
        for (int i = IN_FIRST + k % n; i < b->call->n_in; i += n) {
            ubp_follow_data(b, k, i);
            if (ubp_follow_has(&f, i))
                ubp_follow_input(&f, i, b->in[i].axis);
        }
        for (int i = IN_FIRST + k % n; f.found && i < b->call->n_in; i += n)
            if (!ubp_follow_has(&f, i) && b->n != 1)
                ubp_samples_couple(b, k, "an operand has fixed entries for each sample");
        ubp_follow_end(&f);
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct training {
    const step_attr *attr;
    double rate, count;
    double x, g, memory[MEMORIES]; /* of one element; x and memory are changed */
} training;

static void adagrad_step(training *t)
{
    const step_attr *a = t->attr;
    const double g = a->norm * t->x + t->g;
    t->memory[0] += g * g;
    t->x -= t->rate / (1 + t->count * a->decay) * g / (sqrt(t->memory[0]) + a->epsilon);
}

static void adam_step(training *t)
{
    const step_attr *a = t->attr;
    const double g = a->norm * t->x + t->g;
    double rate = t->rate;
    t->memory[0] = a->alpha * t->memory[0] + (1 - a->alpha) * g;
    t->memory[1] = a->beta * t->memory[1] + (1 - a->beta) * g * g;
    if (t->count > 0)
        rate *= sqrt(1 - pow(a->beta, t->count)) / (1 - pow(a->alpha, t->count));
    t->x -= rate * t->memory[0] / (sqrt(t->memory[1]) + a->epsilon);
    t->x *= 1 - a->norm_post;
}

static void momentum_step(training *t)
{
    const step_attr *a = t->attr;
    const double g = a->norm * t->x + t->g;
    t->memory[0] = a->alpha * t->memory[0] + (t->count > 0 ? a->beta : 1) * g;
    t->x -= t->rate * (a->nesterov ? g + a->alpha * t->memory[0] : t->memory[0]);
}

static ub_status run_step(const ubp_call *c, int kinds, void (*step)(training *t))
{
    const int n = tensors(c, kinds);
    training t = {.attr = c->attr,
                  .rate = ubp_any_number(c->in[IN_RATE], 0),
                  .count = (double)ubp_read_i64(c->in[IN_COUNT]->data, UB_I64)};
    for (int k = 0; k < n; k++) {
        const ub_tensor *const *in = c->in + IN_FIRST + k;
        const int64_t count = ub_tensor_count(in[0]);
        if (ubp_run_cancelled(c->run))
            return UBP_CANCELLED(c);
        for (int64_t i = 0; i < count; i++) {
            t.x = ubp_number(in[0], i);
            t.g = ubp_number(in[n], i);
            for (int m = 0; m < kinds - 2; m++)
                t.memory[m] = ubp_number(in[(2 + m) * n], i);
            step(&t);
            if (ubp_has_out(c, k))
                ubp_put_number(c->out[k], i, t.x);
            for (int m = 0; m < kinds - 2; m++)
                if (ubp_has_out(c, (1 + m) * n + k))
                    ubp_put_number(c->out[(1 + m) * n + k], i, t.memory[m]);
        }
    }
    return UB_OK;
}

/* KINDS: values, gradients and memories. */
#define OPTIMIZER(NAME, FAMILY, KINDS)                                                             \
    static ub_status FAMILY##_infer(const ubp_call *c)                                             \
    {                                                                                              \
        return step_infer(c, KINDS);                                                               \
    }                                                                                              \
    static void FAMILY##_batch(ubp_batch *b)                                                       \
    {                                                                                              \
        step_batch(b, KINDS);                                                                      \
    }                                                                                              \
    static ub_status FAMILY##_ref(const ubp_call *c)                                               \
    {                                                                                              \
        return run_step(c, KINDS, FAMILY##_step);                                                  \
    }                                                                                              \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "ai.onnx.preview.training",                                                      \
        .min_in = 2 + (KINDS),                                                                     \
        .max_in = 127,                                                                             \
        .min_out = (KINDS)-1,                                                                      \
        .max_out = 127,                                                                            \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(step_attr),                                                            \
        .attrs = FAMILY##_attrs,                                                                   \
        .infer = FAMILY##_infer,                                                                   \
        .batch = FAMILY##_batch,                                                                   \
        .ref = FAMILY##_ref,                                                                       \
    };
OPTIMIZER(Adagrad, adagrad, 3)
OPTIMIZER(Adam, adam, 4)
OPTIMIZER(Momentum, momentum, 3)
