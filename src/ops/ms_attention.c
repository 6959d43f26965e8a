/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MultiHeadAttention of com.microsoft, version 1: attention over packed queries, keys and values
 * with a bias of their own, a padding mask for keys, a bias of the scores, and a cache. Packed
 * QKV, shared buffers and beams are refused.
 */
#include "ops/attention.h"

#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

enum { IN_Q, IN_K, IN_V, IN_BIAS, IN_PADDING, IN_SCORES, IN_PAST_K, IN_PAST_V, IN_USED, IN_BEAMS };
enum { OUT_Y, OUT_K, OUT_V, OUT_SCORES };

typedef struct heads_attr {
    ubp_attention_attr attention;
    double masked; /* added to the score of a masked key */
} heads_attr;

static ub_status heads_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    heads_attr *a = attr;
    ubp_attention_attr *own = &a->attention;
    int64_t forward;
    (void)arena;
    *own = (ubp_attention_attr){.left = -1, .right = -1};
    UBP_TRY(ubp_attr_int(n, "num_heads", 0, &own->heads, err));
    UBP_TRY(ubp_attr_int(n, "unidirectional", 0, &forward, err));
    UBP_TRY(ubp_attr_float(n, "scale", 0, &own->scale, err));
    UBP_TRY(ubp_attr_float(n, "mask_filter_value", -10000, &a->masked, err));
    own->has_scale = own->scale != 0;
    own->kv_heads = own->heads;
    own->causal = forward != 0;
    if (own->heads >= 1 && own->scale >= 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (MultiHeadAttention): %lld heads, a scale of %g",
                    n->name, (long long)own->heads, own->scale);
}

static ub_status find_dims(const ubp_call *c, ubp_attention_dims *d)
{
    const heads_attr *a = c->attr;
    const int64_t heads = a->attention.heads;
    for (int i = IN_Q; i <= IN_V; i++)
        if (!ubp_has_in(c, i) || c->in[i]->rank != 3)
            return ubp_op_fail(c, UB_ERR_UNSUPPORTED,
                               "queries, keys and values apart, (batch, rows, columns) each, are "
                               "supported; input %d is not",
                               i);
    const int64_t *q = c->in[IN_Q]->dims, *k = c->in[IN_K]->dims, *v = c->in[IN_V]->dims;
    if (q[2] % heads != 0 || v[2] % heads != 0 || k[2] != q[2] || k[0] != q[0] || v[0] != q[0] ||
        v[1] != k[1])
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "queries, keys and values do not fit %lld heads or "
                           "each other",
                           (long long)heads);
    *d = (ubp_attention_dims){.batch = q[0],
                              .heads = heads,
                              .kv_heads = heads,
                              .rows = q[1],
                              .keys = k[1],
                              .width = q[2] / heads,
                              .value_width = v[2] / heads,
                              .packed = true};
    if (ubp_has_in(c, IN_PAST_K) != ubp_has_in(c, IN_PAST_V))
        return ubp_op_fail(c, UB_ERR_FILE, "past_key and past_value come together, one is given");
    if (!ubp_has_in(c, IN_PAST_K))
        return UB_OK;
    UBP_TRY(ubp_want_rank(c, IN_PAST_K, 4, 4));
    UBP_TRY(ubp_want_rank(c, IN_PAST_V, 4, 4));
    const int64_t *pk = c->in[IN_PAST_K]->dims, *pv = c->in[IN_PAST_V]->dims;
    if (pk[0] != d->batch || pk[1] != heads || pk[3] != d->width || pv[0] != d->batch ||
        pv[1] != heads || pv[2] != pk[2] || pv[3] != d->value_width)
        return ubp_op_fail(c, UB_ERR_SHAPE, "past_key or past_value do not fit keys and values");
    d->past = pk[2];
    if (!ubp_add_i64(d->keys, d->past, &d->keys))
        return ubp_op_fail(c, UB_ERR_SHAPE, "past and new keys are too many");
    return UB_OK;
}

static ub_status check_masks(const ubp_call *c, const ubp_attention_dims *d)
{
    if (ubp_has_in(c, IN_PADDING)) {
        const ub_tensor *p = c->in[IN_PADDING];
        if (p->dtype != UB_I32 || p->rank != 2 || p->dims[0] != d->batch || p->dims[1] != d->keys)
            return ubp_op_fail(c, UB_ERR_UNSUPPORTED,
                               "a key_padding_mask of int32 (%lld, %lld) is supported",
                               (long long)d->batch, (long long)d->keys);
    }
    if (!ubp_has_in(c, IN_SCORES))
        return UB_OK;
    UBP_TRY(ubp_want_same_dtype(c, IN_Q, IN_SCORES));
    UBP_TRY(ubp_want_rank(c, IN_SCORES, 4, 4));
    const int64_t *s = c->in[IN_SCORES]->dims;
    if ((s[0] == 1 || s[0] == d->batch) && (s[1] == 1 || s[1] == d->heads) && s[2] == d->rows &&
        s[3] == d->keys)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "attention_bias does not broadcast to the scores");
}

static ub_status heads_infer(const ubp_call *c)
{
    ubp_attention_dims d;
    UBP_TRY(ubp_want_float(c, IN_Q));
    if (ubp_has_in(c, IN_USED) || ubp_has_in(c, IN_BEAMS) || ubp_has_out(c, OUT_SCORES))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED,
                           "past_sequence_length, cache_indirection and the output qk are not "
                           "supported");
    UBP_TRY(find_dims(c, &d));
    for (int i = IN_K; i < c->n_in; i++)
        if (i != IN_PADDING && ubp_has_in(c, i))
            UBP_TRY(ubp_want_same_dtype(c, IN_Q, i));
    UBP_TRY(check_masks(c, &d));
    const int64_t bias = d.heads * (2 * d.width + d.value_width);
    if (ubp_has_in(c, IN_BIAS) && ub_tensor_count(c->in[IN_BIAS]) != bias)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a bias of %lld, expected %lld",
                           (long long)ub_tensor_count(c->in[IN_BIAS]), (long long)bias);
    const ub_dtype dtype = c->in[IN_Q]->dtype;
    const int64_t y[] = {d.batch, d.rows, d.heads * d.value_width};
    const int64_t k[] = {d.batch, d.heads, d.keys, d.width};
    const int64_t v[] = {d.batch, d.heads, d.keys, d.value_width};
    UBP_TRY(ubp_set_out(c, OUT_Y, dtype, 3, y));
    UBP_TRY(ubp_set_out(c, OUT_K, dtype, 4, k));
    return ubp_set_out(c, OUT_V, dtype, 4, v);
}

static void heads_batch(ubp_batch *b)
{
    ubp_rows rows = {.why = "attention between samples"};
    rows.in_axis[IN_BIAS] = UBP_ROWS_SHARED;
    ubp_rows_batch(b, &rows);
}

/* x plus the part of the bias from `first` on; x itself where there is none. */
static ub_status add_bias(const ubp_call *c, int in, int64_t first, ub_tensor *out)
{
    const ub_tensor *x = c->in[in];
    *out = *x;
    if (!ubp_has_in(c, IN_BIAS))
        return UB_OK;
    out->data = ubp_run_scratch(c, ubp_tensor_bytes(x));
    if (!out->data)
        return UB_ERR_MEMORY;
    for (int64_t i = 0; i < ub_tensor_count(x); i++)
        ubp_put_number(out, i,
                       ubp_number(x, i) + ubp_number(c->in[IN_BIAS], first + i % x->dims[2]));
    return UB_OK;
}

/* Padding and bias of the scores as one mask (batch, heads or 1, rows, keys). */
static ub_status join_masks(const ubp_call *c, const ubp_attention_dims *d, ub_tensor *out)
{
    const heads_attr *a = c->attr;
    const ub_tensor *scores = ubp_has_in(c, IN_SCORES) ? c->in[IN_SCORES] : NULL;
    const ub_tensor *padding = ubp_has_in(c, IN_PADDING) ? c->in[IN_PADDING] : NULL;
    const int64_t heads = scores ? scores->dims[1] : 1, plane = d->rows * d->keys;
    const int64_t dims[] = {d->batch, heads, d->rows, d->keys};
    UBP_TRY(ubp_tensor_describe(out, c->in[IN_Q]->dtype, 4, dims, c->err));
    out->data = ubp_run_scratch(c, ubp_tensor_bytes(out));
    if (!out->data)
        return UB_ERR_MEMORY;
    for (int64_t i = 0; i < ub_tensor_count(out); i++) {
        const int64_t b = i / plane / heads;
        double v = 0;
        if (scores)
            v = ubp_number(scores, scores->dims[0] == 1 ? i % (heads * plane) : i);
        if (padding && ((const int32_t *)padding->data)[b * d->keys + i % d->keys] == 0)
            v += a->masked;
        ubp_put_number(out, i, v);
    }
    return UB_OK;
}

static ub_status heads_ref(const ubp_call *c)
{
    const heads_attr *a = c->attr;
    ub_tensor q, k, v, mask;
    ubp_attention run = {.attr = &a->attention,
                         .q = &q,
                         .k = &k,
                         .v = &v,
                         .past_k = ubp_has_in(c, IN_PAST_K) ? c->in[IN_PAST_K] : NULL,
                         .past_v = ubp_has_in(c, IN_PAST_V) ? c->in[IN_PAST_V] : NULL,
                         .y = c->out[OUT_Y],
                         .present_k = ubp_has_out(c, OUT_K) ? c->out[OUT_K] : NULL,
                         .present_v = ubp_has_out(c, OUT_V) ? c->out[OUT_V] : NULL};
    UBP_TRY(find_dims(c, &run.d));
    const int64_t columns = run.d.heads * run.d.width;
    UBP_TRY(add_bias(c, IN_Q, 0, &q));
    UBP_TRY(add_bias(c, IN_K, columns, &k));
    UBP_TRY(add_bias(c, IN_V, 2 * columns, &v));
    if (ubp_has_in(c, IN_PADDING) || ubp_has_in(c, IN_SCORES)) {
        UBP_TRY(join_masks(c, &run.d, &mask));
        run.mask = &mask;
    }
    return ubp_attention_run(c, &run);
}

const ubp_op ubp_op_ms_MultiHeadAttention = {
    .name = "MultiHeadAttention",
    .domain = "com.microsoft",
    .min_in = 1,
    .max_in = 10,
    .min_out = 1,
    .max_out = 4,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(heads_attr),
    .attrs = heads_attrs,
    .infer = heads_infer,
    .batch = heads_batch,
    .ref = heads_ref,
};
