/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RandomUniform, RandomNormal, their Like forms, Bernoulli, Multinomial: numbers from Philox4x32-10
 * with the node's seed as the key. ONNX leaves the numbers to the library; here they are the same
 * in every run, and a node without a seed has its place in the model for one.
 *
 * Operators with an input draw the same numbers for each entry of its first axis, where the samples
 * are: a sample then gets what it gets alone, in any batch. (Tensors of less than two dimensions
 * count through.) ONNX opset 22.
 */
#include "ops/move.h"
#include "ops/numbers.h"

#include <math.h>
#include <string.h>

typedef struct random_attr {
    uint64_t seed;
    double first, second; /* low and high, or mean and scale */
    int64_t dtype;        /* 0: that of the input */
    int64_t count;        /* Multinomial's sample_size */
    int rank;
    const int64_t *dims; /* [rank] */
} random_attr;

static ub_status read_seed(const ubp_node *n, random_attr *a, int64_t dtype, ub_error *err)
{
    double seed = 0;
    uint64_t bits;
    UBP_TRY(ubp_attr_int(n, "dtype", dtype, &a->dtype, err));
    UBP_TRY(ubp_attr_float(n, "seed", 0, &seed, err));
    memcpy(&bits, &seed, sizeof bits);
    /* No seed's bits look like these: they are no number. */
    a->seed = ubp_node_attr(n, "seed") ? bits : UINT64_MAX - (uint64_t)(uint32_t)n->order;
    return UB_OK;
}

static ub_status want_float_dtype(const ubp_node *n, const random_attr *a, ub_error *err)
{
    if (a->dtype == UB_UNDEFINED || ubp_is_float((ub_dtype)a->dtype))
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (%s): dtype %lld, expected a float type",
                    n->name, n->op_type, (long long)a->dtype);
}

static ub_status read_uniform(const ubp_node *n, random_attr *a, int64_t dtype, ub_error *err)
{
    UBP_TRY(read_seed(n, a, dtype, err));
    UBP_TRY(ubp_attr_float(n, "low", 0, &a->first, err));
    UBP_TRY(ubp_attr_float(n, "high", 1, &a->second, err));
    return want_float_dtype(n, a, err);
}

static ub_status read_normal(const ubp_node *n, random_attr *a, int64_t dtype, ub_error *err)
{
    UBP_TRY(read_seed(n, a, dtype, err));
    UBP_TRY(ubp_attr_float(n, "mean", 0, &a->first, err));
    UBP_TRY(ubp_attr_float(n, "scale", 1, &a->second, err));
    return want_float_dtype(n, a, err);
}

static ub_status read_shape(const ubp_node *n, random_attr *a, ub_error *err)
{
    UBP_TRY(ubp_attr_ints(n, "shape", &a->dims, &a->rank, err));
    if (a->rank >= 0 && a->rank <= UB_MAX_RANK)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): attribute 'shape' is missing or too long",
                    n->name, n->op_type);
}

static ub_status uniform_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    UBP_TRY(read_shape(n, attr, err));
    return read_uniform(n, attr, UB_F32, err);
}

static ub_status normal_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    UBP_TRY(read_shape(n, attr, err));
    return read_normal(n, attr, UB_F32, err);
}

static ub_status uniform_like_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return read_uniform(n, attr, UB_UNDEFINED, err);
}

static ub_status normal_like_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return read_normal(n, attr, UB_UNDEFINED, err);
}

static ub_status bernoulli_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    const random_attr *a = attr;
    (void)arena;
    UBP_TRY(read_seed(n, attr, UB_UNDEFINED, err));
    const ub_dtype d = (ub_dtype)a->dtype;
    if (d == UB_UNDEFINED || d == UB_BOOL || ubp_is_float(d) || ubp_is_integer(d))
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "node '%s' (Bernoulli): dtype %lld, expected a float, integer or bool", n->name,
                    (long long)a->dtype);
}

static ub_status multinomial_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    random_attr *a = attr;
    (void)arena;
    UBP_TRY(read_seed(n, a, UB_I32, err));
    UBP_TRY(ubp_attr_int(n, "sample_size", 1, &a->count, err));
    if ((a->dtype == UB_I32 || a->dtype == UB_I64) && a->count >= 1)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (Multinomial): dtype %lld with sample_size %lld, expected int32 or "
                    "int64 and at least 1",
                    n->name, (long long)a->dtype, (long long)a->count);
}

/* ---- Shapes and samples -----------------------------------------------------------------------
 */

static ub_status shape_infer(const ubp_call *c)
{
    const random_attr *a = c->attr;
    return ubp_set_out(c, 0, (ub_dtype)a->dtype, a->rank, a->dims);
}

static ub_status like_infer(const ubp_call *c)
{
    const random_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    const ub_dtype dtype = a->dtype ? (ub_dtype)a->dtype : x->dtype;
    if (!ubp_is_float(dtype))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "random numbers as %s, expected a float type",
                           ub_dtype_name(dtype));
    return ubp_set_out(c, 0, dtype, x->rank, x->dims);
}

static ub_status bernoulli_infer(const ubp_call *c)
{
    const random_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    UBP_TRY(ubp_want_float(c, 0));
    return ubp_set_out(c, 0, a->dtype ? (ub_dtype)a->dtype : x->dtype, x->rank, x->dims);
}

static ub_status multinomial_infer(const ubp_call *c)
{
    const random_attr *a = c->attr;
    UBP_TRY(ubp_want_float(c, 0));
    UBP_TRY(ubp_want_rank(c, 0, 2, 2));
    if (c->in[0]->dims[1] < 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a choice among no classes");
    return ubp_set_out(c, 0, (ub_dtype)a->dtype, 2, (const int64_t[]){c->in[0]->dims[0], a->count});
}

static void shape_batch(ubp_batch *b)
{
    (void)b; /* the same for every sample */
}

static void like_batch(ubp_batch *b)
{
    if (ubp_has_samples(b, 0) && b->in[0].axis == 0 && b->call->out[0]->rank >= 2)
        ubp_samples_axis(b, 0, 0, 0);
    else if (ubp_has_samples(b, 0))
        ubp_samples_couple(b, 0, "random numbers are drawn along the batch axis");
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    ubp_samples_fit(b, 0);
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef enum draw { DRAW_UNIFORM, DRAW_NORMAL, DRAW_COIN } draw;

typedef struct drawing {
    const random_attr *attr;
    const ub_tensor *p; /* DRAW_COIN: probabilities of its dtype, row-major */
    const ub_tensor *out;
    int64_t each; /* numbers until they begin anew */
    draw kind;
} drawing;

/* Number i of a seed: 53 bits, 0 <= u < 1; two to a block. */
static double unit(uint64_t seed, int64_t i, uint64_t stream)
{
    const uint64_t block = (uint64_t)i / 2;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    ubp_philox4x32(word, counter, key);
    const int at = (int)(i % 2) * 2;
    return ((double)(word[at] >> 5) * 67108864.0 + (double)(word[at + 1] >> 6)) * 0x1p-53;
}

static void draw_part(void *arg, int64_t begin, int64_t end)
{
    const drawing *j = arg;
    const random_attr *a = j->attr;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i % j->each;
        double v;
        if (j->kind == DRAW_NORMAL)
            v = a->first + a->second * ubp_random_normal_at(a->seed, (uint64_t)at);
        else
            v = unit(a->seed, at, 1);
        if (j->kind == DRAW_UNIFORM)
            v = a->first + v * (a->second - a->first);
        if (j->kind == DRAW_COIN)
            v = v < ubp_any_number(j->p, i);
        ubp_put_any(j->out, i, v);
    }
}

static ub_status run_draw(const ubp_call *c, draw kind)
{
    const ub_tensor *out = c->out[0];
    const bool rows = c->n_in > 0 && out->rank >= 2;
    drawing j = {c->attr, kind == DRAW_COIN ? c->in[0] : NULL, out, INT64_MAX, kind};
    if (rows)
        j.each = ubp_span(out->dims, 1, out->rank);
    ubp_run_parallel(c->run, ub_tensor_count(out), 1 << 12, draw_part, &j);
    return UB_OK;
}

static ub_status uniform_ref(const ubp_call *c)
{
    return run_draw(c, DRAW_UNIFORM);
}

static ub_status normal_ref(const ubp_call *c)
{
    return run_draw(c, DRAW_NORMAL);
}

static ub_status bernoulli_ref(const ubp_call *c)
{
    return run_draw(c, DRAW_COIN);
}

/* Where a number 0 <= u < 1 falls among classes of these logarithms of weights. */
static int64_t pick(const ub_tensor *x, int64_t first, int64_t classes, double u)
{
    double high = -INFINITY, total = 0, sum = 0;
    int64_t last = 0;
    for (int64_t k = 0; k < classes; k++)
        high = fmax(high, ubp_any_number(x, first + k));
    for (int64_t k = 0; k < classes; k++)
        total += exp(ubp_any_number(x, first + k) - high);
    for (int64_t k = 0; k < classes; k++) {
        const double weight = exp(ubp_any_number(x, first + k) - high);
        sum += weight;
        if (weight > 0)
            last = k;
        if (u * total < sum)
            return k;
    }
    return last;
}

static ub_status multinomial_ref(const ubp_call *c)
{
    const random_attr *a = c->attr;
    const ub_tensor *x = c->in[0], *out = c->out[0];
    for (int64_t row = 0; row < x->dims[0]; row++) {
        if (ubp_run_cancelled(c->run))
            return UBP_CANCELLED(c);
        for (int64_t i = 0; i < a->count; i++)
            ubp_put_any(out, row * a->count + i,
                        (double)pick(x, row * x->dims[1], x->dims[1], unit(a->seed, i, 1)));
    }
    return UB_OK;
}

#define RANDOM(NAME, INPUTS, ATTRS, SHAPE, BATCH, REF)                                             \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = INPUTS,                                                                          \
        .max_in = INPUTS,                                                                          \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .attr_size = sizeof(random_attr),                                                          \
        .attrs = ATTRS##_attrs,                                                                    \
        .infer = SHAPE##_infer,                                                                    \
        .batch = BATCH##_batch,                                                                    \
        .ref = REF##_ref,                                                                          \
    }
RANDOM(RandomUniform, 0, uniform, shape, shape, uniform);
RANDOM(RandomNormal, 0, normal, shape, shape, normal);
RANDOM(RandomUniformLike, 1, uniform_like, like, like, uniform);
RANDOM(RandomNormalLike, 1, normal_like, like, like, normal);
RANDOM(Bernoulli, 1, bernoulli, bernoulli, like, bernoulli);
RANDOM(Multinomial, 1, multinomial, multinomial, like, multinomial);
