/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of ONNX: Q, K, V as (batch, heads, rows, width) or packed as (batch, rows,
 * heads*width); grouped heads, masks, windows, a cache inside (past and present) or outside
 * (nonpad_kv_seqlen). ONNX opset 25; 23 and 24 are parts of it.
 */
#include "ops/attention.h"

#include "ops/elementwise.h"
#include "ops/rows.h"

#include <math.h>

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_LENGTHS };
enum { OUT_Y, OUT_PRESENT_K, OUT_PRESENT_V, OUT_SCORES };

static ub_status attention_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_attention_attr *a = attr;
    int64_t causal, tap;
    (void)arena;
    a->has_scale = ubp_node_attr(n, "scale") != NULL;
    UBP_TRY(ubp_attr_float(n, "scale", 0, &a->scale, err));
    UBP_TRY(ubp_attr_float(n, "softcap", 0, &a->softcap, err));
    UBP_TRY(ubp_attr_int(n, "is_causal", 0, &causal, err));
    UBP_TRY(ubp_attr_int(n, "q_num_heads", 0, &a->heads, err));
    UBP_TRY(ubp_attr_int(n, "kv_num_heads", 0, &a->kv_heads, err));
    UBP_TRY(ubp_attr_int(n, "left_window_size", -1, &a->left, err));
    UBP_TRY(ubp_attr_int(n, "right_window_size", -1, &a->right, err));
    UBP_TRY(ubp_attr_int(n, "softmax_precision", 0, &a->precision, err));
    UBP_TRY(ubp_attr_int(n, "qk_matmul_output_mode", 0, &tap, err));
    a->causal = causal != 0;
    a->tap = (ubp_attention_tap)tap;
    if (tap < UBP_TAP_PRODUCT || tap > UBP_TAP_WEIGHTS)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (Attention): qk_matmul_output_mode %lld, expected 0 to 3",
                        n->name, (long long)tap);
    if (a->precision != 0 && !ubp_is_float((ub_dtype)a->precision))
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (Attention): softmax_precision %lld, expected a float type",
                        n->name, (long long)a->precision);
    if (a->heads < 0 || a->kv_heads < 0 || a->left < -1 || a->right < -1 || a->scale < 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (Attention): a negative number of heads, window or scale",
                        n->name);
    return UB_OK;
}

/* Heads and width of a packed last dim. */
static ub_status unpack(const ubp_call *c, int in, int64_t heads, int64_t *width)
{
    const int64_t dim = c->in[in]->dims[2];
    if (heads <= 0 || dim % heads != 0)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld columns for %lld heads", in,
                           (long long)dim, (long long)heads);
    *width = dim / heads;
    return UB_OK;
}

static ub_status packed_dims(const ubp_call *c, ubp_attention_dims *d)
{
    const ubp_attention_attr *a = c->attr;
    int64_t width = 0;
    d->packed = true;
    d->heads = a->heads;
    d->kv_heads = a->kv_heads;
    UBP_TRY(unpack(c, IN_Q, a->heads, &d->width));
    UBP_TRY(unpack(c, IN_K, a->kv_heads, &width));
    UBP_TRY(unpack(c, IN_V, a->kv_heads, &d->value_width));
    if (width != d->width)
        return ubp_op_fail(c, UB_ERR_SHAPE, "queries of width %lld, keys of width %lld",
                           (long long)d->width, (long long)width);
    return UB_OK;
}

static ub_status plain_dims(const ubp_call *c, ubp_attention_dims *d)
{
    const int64_t *q = c->in[IN_Q]->dims, *k = c->in[IN_K]->dims, *v = c->in[IN_V]->dims;
    d->heads = q[1];
    d->kv_heads = k[1];
    d->width = q[3];
    d->value_width = v[3];
    if (k[1] != v[1] || k[3] != q[3])
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "queries (%lld heads of %lld), keys (%lld of %lld) and values (%lld "
                           "heads) do not fit",
                           (long long)q[1], (long long)q[3], (long long)k[1], (long long)k[3],
                           (long long)v[1]);
    return UB_OK;
}

/* past_key and past_value: (batch, kv_heads, past, width or value_width). */
static ub_status past_dims(const ubp_call *c, ubp_attention_dims *d)
{
    if (ubp_has_in(c, IN_PAST_K) != ubp_has_in(c, IN_PAST_V))
        return ubp_op_fail(c, UB_ERR_FILE, "past_key and past_value come together, one is given");
    if (!ubp_has_in(c, IN_PAST_K))
        return UB_OK;
    UBP_TRY(ubp_want_rank(c, IN_PAST_K, 4, 4));
    UBP_TRY(ubp_want_rank(c, IN_PAST_V, 4, 4));
    UBP_TRY(ubp_want_same_dtype(c, IN_K, IN_PAST_K));
    UBP_TRY(ubp_want_same_dtype(c, IN_V, IN_PAST_V));
    const int64_t *k = c->in[IN_PAST_K]->dims, *v = c->in[IN_PAST_V]->dims;
    if (k[0] != d->batch || v[0] != d->batch || k[1] != d->kv_heads || v[1] != d->kv_heads ||
        k[2] != v[2] || k[3] != d->width || v[3] != d->value_width)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "past_key and past_value do not have the batch, heads and widths of K "
                           "and V");
    d->past = k[2];
    if (!ubp_add_i64(d->keys, d->past, &d->keys))
        return ubp_op_fail(c, UB_ERR_SHAPE, "past and new keys are too many");
    return UB_OK;
}

static ub_status find_dims(const ubp_call *c, ubp_attention_dims *d)
{
    *d = (ubp_attention_dims){0};
    UBP_TRY(ubp_want_rank(c, IN_Q, 3, 4));
    const int rank = c->in[IN_Q]->rank;
    UBP_TRY(ubp_want_rank(c, IN_K, rank, rank));
    UBP_TRY(ubp_want_rank(c, IN_V, rank, rank));
    UBP_TRY(rank == 3 ? packed_dims(c, d) : plain_dims(c, d));
    const int64_t *q = c->in[IN_Q]->dims, *k = c->in[IN_K]->dims, *v = c->in[IN_V]->dims;
    d->batch = q[0];
    d->rows = q[rank - 2];
    d->keys = k[rank - 2];
    if (k[0] != q[0] || v[0] != q[0] || v[rank - 2] != d->keys)
        return ubp_op_fail(c, UB_ERR_SHAPE, "Q, K and V do not have the same batch and keys");
    if (d->kv_heads <= 0 || d->heads % d->kv_heads != 0)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "%lld heads of queries on %lld of keys, expected a "
                           "multiple",
                           (long long)d->heads, (long long)d->kv_heads);
    return past_dims(c, d);
}

static ub_status check_mask(const ubp_call *c, const ubp_attention_dims *d)
{
    if (ubp_has_in(c, IN_MASK)) {
        const ub_tensor *m = c->in[IN_MASK];
        const int64_t whole[4] = {d->batch, d->heads, d->rows, d->keys};
        UBP_TRY(ubp_want_rank(c, IN_MASK, 1, 4));
        if (m->dtype != UB_BOOL)
            UBP_TRY(ubp_want_float(c, IN_MASK));
        for (int i = 0; i < m->rank; i++) {
            const int64_t most = whole[4 - m->rank + i];
            const bool last = i == m->rank - 1;
            if (last ? m->dims[i] > most : m->dims[i] != 1 && m->dims[i] != most)
                return ubp_op_fail(c, UB_ERR_SHAPE,
                                   "the mask has %lld entries on axis %d, expected %lld",
                                   (long long)m->dims[i], i, (long long)most);
        }
    }
    if (!ubp_has_in(c, IN_LENGTHS))
        return UB_OK;
    if (ubp_has_in(c, IN_PAST_K))
        return ubp_op_fail(c, UB_ERR_FILE, "nonpad_kv_seqlen and past_key exclude each other");
    UBP_TRY(ubp_want_rank(c, IN_LENGTHS, 1, 1));
    if (c->in[IN_LENGTHS]->dtype != UB_I64 || c->in[IN_LENGTHS]->dims[0] != d->batch)
        return ubp_op_fail(c, UB_ERR_SHAPE, "nonpad_kv_seqlen, expected %lld of int64",
                           (long long)d->batch);
    return UB_OK;
}

static ub_status attention_infer(const ubp_call *c)
{
    ubp_attention_dims d;
    for (int i = IN_Q; i <= IN_V; i++)
        UBP_TRY(ubp_want_float(c, i));
    UBP_TRY(ubp_want_same_dtype(c, IN_Q, IN_K));
    UBP_TRY(find_dims(c, &d));
    UBP_TRY(check_mask(c, &d));
    const ub_dtype q = c->in[IN_Q]->dtype, v = c->in[IN_V]->dtype;
    int64_t columns;
    if (!ubp_mul_i64(d.heads, d.value_width, &columns))
        return ubp_op_fail(c, UB_ERR_SHAPE, "the output is too large");
    const int64_t packed[] = {d.batch, d.rows, columns};
    const int64_t plain[] = {d.batch, d.heads, d.rows, d.value_width};
    const int64_t key[] = {d.batch, d.kv_heads, d.keys, d.width};
    const int64_t value[] = {d.batch, d.kv_heads, d.keys, d.value_width};
    const int64_t scores[] = {d.batch, d.heads, d.rows, d.keys};
    UBP_TRY(ubp_set_out(c, OUT_Y, q, d.packed ? 3 : 4, d.packed ? packed : plain));
    UBP_TRY(ubp_set_out(c, OUT_PRESENT_K, q, 4, key));
    UBP_TRY(ubp_set_out(c, OUT_PRESENT_V, v, 4, value));
    return ubp_set_out(c, OUT_SCORES, q, 4, scores);
}

static void attention_batch(ubp_batch *b)
{
    ubp_rows rows = {.why = "attention between samples"};
    if (ubp_has_in(b->call, IN_MASK) && b->call->in[IN_MASK]->rank < 4)
        rows.in_axis[IN_MASK] = UBP_ROWS_SHARED;
    ubp_rows_batch(b, &rows);
}

/* Optional tensors. */
static const ub_tensor *input(const ubp_call *c, int i)
{
    return ubp_has_in(c, i) ? c->in[i] : NULL;
}

static ub_tensor *output(const ubp_call *c, int k)
{
    return ubp_has_out(c, k) ? c->out[k] : NULL;
}

static ub_status attention_ref(const ubp_call *c)
{
    ubp_attention a = {.attr = c->attr,
                       .q = c->in[IN_Q],
                       .k = c->in[IN_K],
                       .v = c->in[IN_V],
                       .mask = input(c, IN_MASK),
                       .past_k = input(c, IN_PAST_K),
                       .past_v = input(c, IN_PAST_V),
                       .lengths = input(c, IN_LENGTHS),
                       .y = c->out[OUT_Y],
                       .present_k = output(c, OUT_PRESENT_K),
                       .present_v = output(c, OUT_PRESENT_V),
                       .scores = output(c, OUT_SCORES)};
    ub_tensor v, past_v, present;
    UBP_TRY(find_dims(c, &a.d));
    /* Values of another width than the queries are computed in the queries'. */
    UBP_TRY(ubp_ew_convert(c, a.v, a.q->dtype, &v));
    if (a.past_v) {
        UBP_TRY(ubp_ew_convert(c, a.past_v, a.q->dtype, &past_v));
        a.past_v = &past_v;
    }
    ub_tensor *const wanted = a.present_v;
    if (wanted && wanted->dtype != a.q->dtype) {
        UBP_TRY(ubp_tensor_describe(&present, a.q->dtype, 4, wanted->dims, c->err));
        present.data = ubp_run_scratch(c, ubp_tensor_bytes(&present));
        if (!present.data)
            return UB_ERR_MEMORY;
        a.present_v = &present;
    }
    a.v = &v;
    UBP_TRY(ubp_attention_run(c, &a));
    if (wanted && a.present_v != wanted)
        ubp_convert(wanted->data, wanted->dtype, present.data, present.dtype,
                    ub_tensor_count(wanted));
    return UB_OK;
}

/* Both products. */
static int64_t attention_macs(const ubp_call *c)
{
    ubp_attention_dims d;
    int64_t scores = 0, each = 0, all = 0;
    if (find_dims(c, &d) != UB_OK || !ubp_mul_i64(d.batch * d.heads, d.rows, &scores) ||
        !ubp_mul_i64(scores, d.keys, &scores) || !ubp_add_i64(d.width, d.value_width, &each) ||
        !ubp_mul_i64(scores, each, &all))
        return 0;
    return all;
}

const ubp_op ubp_op_Attention = {
    .name = "Attention",
    .domain = "",
    .min_in = 3,
    .max_in = 7,
    .min_out = 1,
    .max_out = 4,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_attention_attr),
    .attrs = attention_attrs,
    .infer = attention_infer,
    .batch = attention_batch,
    .ref = attention_ref,
    .macs = attention_macs,
};
