/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes the dtype or nothing at all: Cast, CastLike, BitCast, Identity. ONNX operators Cast
 * 28, CastLike 25, BitCast 26, Identity 25. Complex numbers are refused by name.
 */
#include "ops/string_ops.h"

#include <string.h>

/* Input 0 as it is. */
static bool same_view(const ubp_call *c, int64_t *offset)
{
    const ub_tensor *t = c->in[0];
    for (int i = 0; i < t->rank; i++)
        c->out[0]->strides[i] = t->strides[i];
    *offset = 0;
    return true;
}

/* ---- Cast, CastLike ----------------------------------------------------------------------------
 */

typedef enum cast_rounding { ROUND_UP, ROUND_DOWN, ROUND_NEAREST } cast_rounding;

typedef struct cast_attr {
    int64_t to;
    bool saturate;          /* to floats of eight bits: too large becomes the largest */
    cast_rounding rounding; /* to float8_e8m0fnu */
} cast_attr;

static ub_status cast_like_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    cast_attr *a = attr;
    int64_t saturate = 1;
    const char *mode = "up";
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "saturate", 1, &saturate, err));
    UBP_TRY(ubp_attr_string(node, "round_mode", "up", &mode, err));
    a->saturate = saturate != 0;
    a->rounding = strcmp(mode, "down") == 0      ? ROUND_DOWN
                  : strcmp(mode, "nearest") == 0 ? ROUND_NEAREST
                                                 : ROUND_UP;
    if (a->rounding != ROUND_UP || strcmp(mode, "up") == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (%s): round_mode is '%s', expected up, down or nearest", node->name,
                    node->op_type, mode);
}

static ub_status cast_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    cast_attr *a = attr;
    UBP_TRY(cast_like_attrs(node, attr, arena, err));
    UBP_TRY(ubp_attr_int(node, "to", UB_UNDEFINED, &a->to, err));
    if (a->to != UB_UNDEFINED)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): attribute 'to' is missing", node->name,
                    node->op_type);
}

static ub_status cast_to(const ubp_call *c, int64_t to)
{
    const ub_tensor *t = c->in[0];
    if (ub_dtype_size(t->dtype) == 0)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "casts from %s are not supported",
                           ub_dtype_name(t->dtype));
    if (to < 0 || to > INT16_MAX || strcmp(ub_dtype_name((ub_dtype)to), "undefined") == 0)
        return ubp_op_fail(c, UB_ERR_FILE, "casts to dtype %lld, which ONNX does not have",
                           (long long)to);
    if (ub_dtype_size((ub_dtype)to) == 0)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "casts to %s are not supported",
                           ub_dtype_name((ub_dtype)to));
    return ubp_set_out(c, 0, (ub_dtype)to, t->rank, t->dims);
}

static ub_status want_first(const ubp_call *c)
{
    return c->in[0] ? UB_OK : ubp_op_fail(c, UB_ERR_FILE, "input 0 is missing");
}

static ub_status cast_infer(const ubp_call *c)
{
    const cast_attr *a = c->attr;
    UBP_TRY(want_first(c));
    return cast_to(c, a->to);
}

static ub_status cast_like_infer(const ubp_call *c)
{
    UBP_TRY(want_first(c));
    if (!c->in[1])
        return ubp_op_fail(c, UB_ERR_FILE, "input 1 is missing");
    return cast_to(c, c->in[1]->dtype);
}

/* CastLike looks at the dtype of input 1 only. */
static void cast_batch(ubp_batch *b)
{
    ubp_samples_broadcast(b, 0, 0, 0);
}

static bool cast_view(const ubp_call *c, int k, int64_t *offset)
{
    return k == 0 && c->in[0]->dtype == c->out[0]->dtype && same_view(c, offset);
}

typedef struct cast_arg {
    ub_dtype dst, src;
    const cast_attr *attr;
} cast_arg;

/* The exponent of |f|, rounded as asked; infinity and NaN are NaN. ONNX's rule is not ml_dtypes':
 * the sign is dropped, and 0 is 2^-127. */
static uint8_t to_e8m0(float f, const cast_attr *a)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    const uint32_t exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffff, half = 0x400000;
    bool up = a->rounding == ROUND_UP && fraction > 0;
    if (exponent == 0xff)
        return 0xff;
    if (a->rounding == ROUND_NEAREST)
        up = fraction > half || (fraction == half && exponent > 0);
    if (exponent == 0xfe && a->saturate)
        up = false;
    return (uint8_t)(exponent + up);
}

/* n dense elements. */
static void cast_dense(void *dst, const void *src, int64_t n, const cast_arg *a)
{
    enum { BLOCK = 256 };
    float block[BLOCK];
    uint8_t *out = dst;
    if (!ubp_is_narrow_float(a->dst)) {
        ubp_convert(dst, a->dst, src, a->src, n);
        return;
    }
    for (int64_t done = 0; done < n; done += BLOCK) {
        const int64_t m = n - done < BLOCK ? n - done : BLOCK;
        ubp_convert(block, UB_F32, (const char *)src + done * (int64_t)ub_dtype_size(a->src),
                    a->src, m);
        for (int64_t i = 0; i < m; i++)
            out[done + i] = a->dst == UB_F8E8M0
                                ? to_e8m0(block[i], a->attr)
                                : ubp_narrow_of_f32(block[i], a->dst, a->attr->saturate);
    }
}

/* A row; rows with gaps go through small dense buffers. */
static void cast_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    enum { CHUNK = 256 };
    const cast_arg *a = arg;
    const int64_t dst_size = (int64_t)ub_dtype_size(a->dst);
    const int64_t src_size = (int64_t)ub_dtype_size(a->src);
    char src[CHUNK * 8], dst[CHUNK * 8];
    if (step[0] == dst_size && step[1] == src_size) {
        cast_dense(p[0], p[1], n, a);
        return;
    }
    for (int64_t done = 0; done < n; done += CHUNK) {
        const int64_t m = n - done < CHUNK ? n - done : CHUNK;
        for (int64_t i = 0; i < m; i++)
            memcpy(src + i * src_size, p[1] + (done + i) * step[1], (size_t)src_size);
        cast_dense(dst, src, m, a);
        for (int64_t i = 0; i < m; i++)
            memcpy(p[0] + (done + i) * step[0], dst + i * dst_size, (size_t)dst_size);
    }
}

static ub_status cast_ref(const ubp_call *c)
{
    const cast_arg arg = {c->out[0]->dtype, c->in[0]->dtype, c->attr};
    const ub_tensor *operands[] = {c->out[0], c->in[0]};
    if (arg.dst == arg.src)
        ubp_tensor_move(c->out[0], c->in[0]);
    else if (arg.dst == UB_STRING || arg.src == UB_STRING)
        return ubp_cast_strings(c, c->out[0], c->in[0]);
    else
        ubp_ew_walk(c->run, 2, operands, cast_row, &arg);
    return UB_OK;
}

const ubp_op ubp_op_Cast = {
    .name = "Cast",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .attr_size = sizeof(cast_attr),
    .attrs = cast_attrs,
    .infer = cast_infer,
    .batch = cast_batch,
    .view = cast_view,
    .ref = cast_ref,
};

const ubp_op ubp_op_CastLike = {
    .name = "CastLike",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .attr_size = sizeof(cast_attr),
    .attrs = cast_like_attrs,
    .infer = cast_like_infer,
    .batch = cast_batch,
    .view = cast_view,
    .ref = cast_ref,
};

/* ---- BitCast: the same bits under another dtype of as many --------------------------------------
 */

static ub_status bit_cast_infer(const ubp_call *c)
{
    const cast_attr *a = c->attr;
    UBP_TRY(want_first(c));
    UBP_TRY(cast_to(c, a->to));
    ub_dtype from = c->in[0]->dtype, to = (ub_dtype)a->to;
    if (from == UB_STRING || to == UB_STRING)
        return ubp_op_fail(c, UB_ERR_SHAPE, "strings have no bits to reinterpret");
    if (ubp_dtype_bits(from) == ubp_dtype_bits(to))
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "%s and %s have elements of different sizes",
                       ub_dtype_name(from), ub_dtype_name(to));
}

/* Of fewer than eight bits the rest of the byte hangs on the dtype. */
static bool bit_cast_view(const ubp_call *c, int k, int64_t *offset)
{
    return k == 0 && ubp_dtype_bits(c->in[0]->dtype) >= 8 && same_view(c, offset);
}

static void clean_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    const ub_dtype *dtype = arg;
    for (int64_t i = 0; i < n; i++)
        *(uint8_t *)(p[0] + i * step[0]) =
            ubp_narrow_clean(*(const uint8_t *)(p[1] + i * step[1]), *dtype);
}

static ub_status bit_cast_ref(const ubp_call *c)
{
    ub_tensor bytes = *c->in[0];
    const ub_tensor *operands[] = {c->out[0], c->in[0]};
    bytes.dtype = c->out[0]->dtype;
    if (ubp_dtype_bits(bytes.dtype) >= 8)
        ubp_tensor_move(c->out[0], &bytes);
    else
        ubp_ew_walk(c->run, 2, operands, clean_row, &bytes.dtype);
    return UB_OK;
}

const ubp_op ubp_op_BitCast = {
    .name = "BitCast",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .attr_size = sizeof(cast_attr),
    .attrs = cast_attrs,
    .infer = bit_cast_infer,
    .batch = cast_batch,
    .view = bit_cast_view,
    .ref = bit_cast_ref,
};

/* ---- Identity ----------------------------------------------------------------------------------
 */

static ub_status identity_infer(const ubp_call *c)
{
    return ubp_set_like(c, 0, 0);
}

static bool identity_view(const ubp_call *c, int k, int64_t *offset)
{
    return k == 0 && same_view(c, offset);
}

static ub_status identity_ref(const ubp_call *c)
{
    ubp_tensor_move(c->out[0], c->in[0]);
    return UB_OK;
}

const ubp_op ubp_op_Identity = {
    .name = "Identity",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .infer = identity_infer,
    .batch = ubp_batch_elementwise,
    .view = identity_view,
    .ref = identity_ref,
};
