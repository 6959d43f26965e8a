/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention in its parts, so that its weights are a value that can be asked for:
 * NODE.attn_weights.
 */
#include <math.h>

#include "load/pt2.h"

/* Keys and values that several heads share, once for each. */
static int32_t share_heads(ubp_at *a, int32_t x, const ubp_pt2_meta *m, int64_t times)
{
    ubp_emit *e = a->e;
    const int at = m->rank - 3;
    int64_t shape[UB_MAX_RANK], wanted[UB_MAX_RANK];
    const int64_t behind = at + 1;
    if (at < 0 || m->rank + 1 > UB_MAX_RANK) {
        ubp_at_refuse(a, "enable_gqa and a key of %d axes", m->rank);
        return x;
    }
    for (int i = 0; i <= m->rank; i++)
        shape[i] = i == behind ? times : 1;
    for (int i = 0; i < m->rank; i++)
        wanted[i] = m->dims[i];
    wanted[at] = m->dims[at] * times;
    int n_free = 0;
    for (int i = 0; i < m->rank; i++)
        n_free += wanted[i] < 0;
    if (n_free > 1 || wanted[at] < 0) {
        ubp_at_refuse(a, "enable_gqa and sizes that are not fixed");
        return x;
    }
    const int32_t wide = ubp_emit_2(e, "Expand", ubp_emit_unsqueeze(e, x, &behind, 1),
                                    ubp_emit_ints(e, shape, m->rank + 1));
    return ubp_emit_reshape(e, wide, m->rank, wanted);
}

/* -inf where the key comes after the query. */
static int32_t causal_mask(ubp_at *a, int32_t q, int32_t k, const ubp_pt2_meta *mq,
                           const ubp_pt2_meta *mk)
{
    ubp_emit *e = a->e;
    int64_t dims[2] = {mq->dims[mq->rank - 2], mk->dims[mk->rank - 2]};
    int32_t shape = UBP_NO_VALUE;
    if (dims[0] >= 0 && dims[1] >= 0) {
        shape = ubp_emit_ints(e, dims, 2);
    } else {
        const int32_t sizes[] = {ubp_emit_size(e, q, mq->rank - 2),
                                 ubp_emit_size(e, k, mk->rank - 2)};
        shape = ubp_emit_concat(e, sizes, 2, 0);
    }
    const int32_t ones = ubp_emit_2(e, "Expand", ubp_emit_number(e, UB_F32, 1), shape);
    const ubp_attr lower = ubp_emit_int("upper", 0);
    const int32_t seen = ubp_emit_cast(e, ubp_emit_node(e, "Trilu", 1, &ones, 1, &lower), UB_BOOL);
    return ubp_emit_3(e, "Where", seen, ubp_emit_number(e, mq->dtype, 0),
                      ubp_emit_number(e, mq->dtype, -INFINITY));
}

/* The mask as numbers that are added; *any whether there is one. */
static int32_t read_mask(ubp_at *a, int32_t q, int32_t k, const ubp_pt2_meta *mq,
                         const ubp_pt2_meta *mk)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int32_t mask = ubp_at_optional(a, "attn_mask");
    if (mask != UBP_NO_VALUE && ubp_at_meta(a, "attn_mask", &m)) {
        if (m.dtype == UB_BOOL)
            mask = ubp_emit_3(e, "Where", mask, ubp_emit_number(e, mq->dtype, 0),
                              ubp_emit_number(e, mq->dtype, -INFINITY));
        else if (m.dtype != mq->dtype)
            mask = ubp_emit_cast(e, mask, mq->dtype);
    }
    if (ubp_at_bool(a, "is_causal", false))
        mask = causal_mask(a, q, k, mq, mk);
    return mask;
}

/* A query that may see nothing gets zeros, not NaN. */
static int32_t safe(ubp_at *a, int32_t scores, int32_t weights, const ubp_pt2_meta *m)
{
    ubp_emit *e = a->e;
    const int64_t last = m->rank - 1;
    const int32_t most = ubp_emit_reduce(e, "ReduceMax", scores, &last, 1, true);
    const int32_t blind = ubp_emit_2(e, "Equal", most, ubp_emit_number(e, m->dtype, -INFINITY));
    return ubp_emit_3(e, "Where", blind, ubp_emit_number(e, m->dtype, 0), weights);
}

static void make_attention(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta mq, mk, mv;
    int32_t q = ubp_at_tensor(a, "query"), k = ubp_at_tensor(a, "key");
    int32_t v = ubp_at_tensor(a, "value");
    if (!ubp_at_meta(a, "query", &mq) || !ubp_at_meta(a, "key", &mk) ||
        !ubp_at_meta(a, "value", &mv))
        return;
    ubp_at_ignore(a, "return_debug_mask");
    if (ubp_at_float(a, "dropout_p", 0) > 0)
        ubp_at_refuse(a, "a dropout that is switched on (train mode)");
    if (mq.rank < 2 || mk.rank < 2 || mq.rank > UB_MAX_RANK - 1 || mq.dims[mq.rank - 1] <= 0) {
        ubp_at_refuse(a, "a query of %d axes or of no fixed width", mq.rank);
        return;
    }
    if (ubp_at_bool(a, "enable_gqa", false) && mq.rank > 2 && mk.rank > 2 &&
        mk.dims[mk.rank - 3] > 0) {
        const int64_t times = mq.dims[mq.rank - 3] / mk.dims[mk.rank - 3];
        k = share_heads(a, k, &mk, times);
        v = share_heads(a, v, &mv, times);
    }
    const double scale = ubp_at_float(a, "scale", 1 / sqrt((double)mq.dims[mq.rank - 1]));
    const int32_t scaled = ubp_emit_2(e, "Mul", q, ubp_emit_number(e, mq.dtype, scale));
    const int32_t turned = ubp_emit_swap(e, k, mk.rank, mk.rank - 2, mk.rank - 1);
    int32_t scores = ubp_emit_2(e, "MatMul", scaled, turned);
    const int32_t mask = read_mask(a, q, k, &mq, &mk);
    if (mask != UBP_NO_VALUE)
        scores = ubp_emit_2(e, "Add", scores, mask);
    const ubp_attr axis = ubp_emit_int("axis", -1);
    int32_t weights = ubp_emit_node(e, "Softmax", 1, &scores, 1, &axis);
    if (mask != UBP_NO_VALUE)
        weights = safe(a, scores, weights, &mq);
    const char *name = ubp_arena_printf(&a->p->g->arena, "%s.attn_weights", e->name);
    if (a->p->recording && name) /* not when it is made again */
        weights = ubp_emit_named(e, weights, name);
    ubp_at_give(a, 0, ubp_emit_2(e, "MatMul", weights, v));
}

const ubp_pt2_op ubp_pt2_ops_attention[] = {
    {"scaled_dot_product_attention", make_attention, ""},
    {"_scaled_dot_product_flash_attention_for_cpu", make_attention, ""},
    {"_scaled_dot_product_flash_attention", make_attention, ""},
    {"_scaled_dot_product_attention_math", make_attention, ""},
    {0},
};
