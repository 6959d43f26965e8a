/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products with quantised weights of com.microsoft, version 1: MatMulNBits (2, 4 or 8 bits, a scale
 * for each block of a row) and DynamicQuantizeMatMul (the left side is rounded to bytes over its
 * whole range, so that samples mix).
 */
#include "ops/follow.h"
#include "ops/gemm.h"
#include "ops/move.h"
#include "ops/numbers.h"

#include <math.h>

/* Scratch for a * b doubles or floats of `size` bytes. */
static ub_status room(const ubp_call *c, int64_t a, int64_t b, size_t size, void *out)
{
    size_t bytes;
    if (!ubp_mul_size((size_t)a, (size_t)b, &bytes) || !ubp_mul_size(bytes, size, &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    void *p = ubp_run_scratch(c, bytes);
    __builtin_memcpy(out, &p, sizeof p);
    return p ? UB_OK : UB_ERR_MEMORY;
}

static int64_t rows_of(const ub_tensor *t)
{
    return ubp_span(t->dims, 0, t->rank - 1);
}

/* The left side's rows are on their own; what is on the right is shared. */
static void rows_batch(ubp_batch *b)
{
    const ub_tensor *x = b->call->in[0];
    ubp_samples_keep(b, 0, 0);
    ubp_samples_mixes_axis(b, 0, 0, x->rank - 1, "a product over the batch axis");
    ubp_follow_data(b, 0, 0);
    for (int i = 1; i < b->call->n_in; i++)
        ubp_follow_shared(b, 0, i);
}

/* ---- MatMulNBits ------------------------------------------------------------------------------
 */

enum { IN_A, IN_B, IN_SCALES, IN_ZEROS, IN_GROUPS, IN_BIAS };

typedef struct bits_attr {
    int64_t n, k, bits, block, blocks; /* blocks: of a row */
} bits_attr;

static ub_status bits_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    bits_attr *a = attr;
    int64_t packed;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "N", 0, &a->n, err));
    UBP_TRY(ubp_attr_int(n, "K", 0, &a->k, err));
    UBP_TRY(ubp_attr_int(n, "bits", 4, &a->bits, err));
    UBP_TRY(ubp_attr_int(n, "block_size", 0, &a->block, err));
    UBP_TRY(ubp_attr_int(n, "weight_prepacked", 0, &packed, err));
    if (a->n < 1 || a->k < 1 || a->n > INT32_MAX || a->k > INT32_MAX || a->block < 16 ||
        a->block > INT32_MAX || (a->block & (a->block - 1)) != 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (MatMulNBits): N %lld, K %lld, block_size %lld; the last is a "
                        "power of two from 16",
                        n->name, (long long)a->n, (long long)a->k, (long long)a->block);
    if (packed != 0 || (a->bits != 2 && a->bits != 4 && a->bits != 8))
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "node '%s' (MatMulNBits): %lld bits, weight_prepacked %lld; 2, 4 and 8 "
                        "bits that are not prepacked are supported",
                        n->name, (long long)a->bits, (long long)packed);
    a->blocks = (a->k + a->block - 1) / a->block;
    return UB_OK;
}

static ub_status bits_infer(const ubp_call *c)
{
    const bits_attr *a = c->attr;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_float(c, IN_A));
    UBP_TRY(ubp_want_rank(c, IN_A, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_same_dtype(c, IN_A, IN_SCALES));
    const ub_tensor *x = c->in[IN_A], *w = c->in[IN_B];
    const int64_t blob = a->block * a->bits / 8;
    if (ubp_has_in(c, IN_GROUPS))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "g_idx is not supported");
    if (w->dtype != UB_U8 || ub_tensor_count(w) != a->n * a->blocks * blob ||
        ub_tensor_count(c->in[IN_SCALES]) != a->n * a->blocks || x->dims[x->rank - 1] != a->k)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "A, B and scales do not fit N %lld, K %lld in blocks of %lld",
                           (long long)a->n, (long long)a->k, (long long)a->block);
    if (ubp_has_in(c, IN_ZEROS)) {
        const ub_tensor *z = c->in[IN_ZEROS];
        const int64_t packed = (a->blocks * a->bits + 7) / 8;
        const int64_t want = a->n * (z->dtype == UB_U8 ? packed : a->blocks);
        if ((z->dtype != UB_U8 && z->dtype != x->dtype) || ub_tensor_count(z) != want)
            return ubp_op_fail(c, UB_ERR_SHAPE, "zero_points of %lld, expected %lld",
                               (long long)ub_tensor_count(z), (long long)want);
    }
    if (ubp_has_in(c, IN_BIAS)) {
        UBP_TRY(ubp_want_same_dtype(c, IN_A, IN_BIAS));
        if (ub_tensor_count(c->in[IN_BIAS]) != a->n)
            return ubp_op_fail(c, UB_ERR_SHAPE, "a bias of %lld, expected %lld",
                               (long long)ub_tensor_count(c->in[IN_BIAS]), (long long)a->n);
    }
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == x->rank - 1 ? a->n : x->dims[i];
    return ubp_set_out(c, 0, x->dtype, x->rank, dims);
}

/* Number i of packed ones, the lowest bits of a byte first. */
static int unpack(const uint8_t *p, int64_t i, int64_t bits)
{
    const int64_t at = i * bits;
    return p[at / 8] >> (at % 8) & ((1 << bits) - 1);
}

typedef struct unpacking {
    const ubp_call *c;
    const ub_tensor *to; /* (n, k) */
} unpacking;

static void unpack_rows(void *arg, int64_t begin, int64_t end)
{
    const unpacking *j = arg;
    const ubp_call *c = j->c;
    const bits_attr *a = c->attr;
    const ub_tensor *zeros = ubp_has_in(c, IN_ZEROS) ? c->in[IN_ZEROS] : NULL;
    const int64_t blob = a->block * a->bits / 8, line = (a->blocks * a->bits + 7) / 8;
    const uint8_t *bytes = c->in[IN_B]->data;
    for (int64_t row = begin; row < end; row++)
        for (int64_t i = 0; i < a->k; i++) {
            const int64_t block = row * a->blocks + i / a->block;
            double zero = (double)(1 << (a->bits - 1));
            if (zeros && zeros->dtype == UB_U8)
                zero = unpack((const uint8_t *)zeros->data + row * line, i / a->block, a->bits);
            else if (zeros)
                zero = ubp_number(zeros, block);
            const int q = unpack(bytes + block * blob, i % a->block, a->bits);
            ubp_put_number(j->to, row * a->k + i,
                           ((double)q - zero) * ubp_number(c->in[IN_SCALES], block));
        }
}

static ub_status bits_ref(const ubp_call *c)
{
    const bits_attr *a = c->attr;
    const ub_tensor *x = c->in[IN_A], *y = c->out[0];
    ub_tensor w = {.dtype = x->dtype};
    UBP_TRY(room(c, a->n, a->k, ub_dtype_size(x->dtype), &w.data));
    unpacking j = {c, &w};
    ubp_run_parallel(c->run, a->n, 4096 / a->k + 1, unpack_rows, &j);
    const ubp_gemm_job job = {.dtype = x->dtype,
                              .items = 1,
                              .gemm = {.m = rows_of(x),
                                       .n = a->n,
                                       .k = a->k,
                                       .a = x->data,
                                       .a_row = a->k,
                                       .a_col = 1,
                                       .b = w.data,
                                       .b_row = 1,
                                       .b_col = a->k,
                                       .c = y->data,
                                       .c_row = a->n,
                                       .c_col = 1}};
    ubp_gemm_run(c->run, &job);
    for (int64_t i = 0; ubp_has_in(c, IN_BIAS) && i < ub_tensor_count(y); i++)
        ubp_put_number(y, i, ubp_number(y, i) + ubp_number(c->in[IN_BIAS], i % a->n));
    return UB_OK;
}

static int64_t bits_macs(const ubp_call *c)
{
    const bits_attr *a = c->attr;
    int64_t macs = 0;
    return ubp_mul_i64(rows_of(c->in[IN_A]), a->n * a->k, &macs) ? macs : 0;
}

const ubp_op ubp_op_ms_MatMulNBits = {
    .name = "MatMulNBits",
    .domain = "com.microsoft",
    .min_in = 3,
    .max_in = 6,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(bits_attr),
    .attrs = bits_attrs,
    .infer = bits_infer,
    .batch = rows_batch,
    .ref = bits_ref,
    .macs = bits_macs,
};

/* ---- DynamicQuantizeMatMul --------------------------------------------------------------------
 */

enum { D_A, D_B, D_SCALE, D_ZERO, D_BIAS };

/* One element, or one a column. */
static ub_status want_columns(const ubp_call *c, int in, int64_t columns)
{
    const int64_t n = ub_tensor_count(c->in[in]);
    if (n == 1 || n == columns)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld elements, expected 1 or %lld", in,
                       (long long)n, (long long)columns);
}

static ub_status dynamic_infer(const ubp_call *c)
{
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_rank(c, D_A, 1, UB_MAX_RANK));
    const ub_tensor *x = c->in[D_A], *w = c->in[D_B];
    if (w->rank != 2 || x->dtype != UB_F32 || c->in[D_SCALE]->dtype != UB_F32 ||
        (w->dtype != UB_U8 && w->dtype != UB_I8))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED,
                           "float32 times a matrix of bytes is supported, this is %s times %s of "
                           "%d dimensions",
                           ub_dtype_name(x->dtype), ub_dtype_name(w->dtype), w->rank);
    if (x->dims[x->rank - 1] != w->dims[0])
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld columns times %lld rows",
                           (long long)x->dims[x->rank - 1], (long long)w->dims[0]);
    UBP_TRY(want_columns(c, D_SCALE, w->dims[1]));
    if (ubp_has_in(c, D_ZERO)) {
        UBP_TRY(ubp_want_same_dtype(c, D_B, D_ZERO));
        UBP_TRY(want_columns(c, D_ZERO, w->dims[1]));
    }
    if (ubp_has_in(c, D_BIAS)) {
        UBP_TRY(ubp_want_same_dtype(c, D_A, D_BIAS));
        UBP_TRY(want_columns(c, D_BIAS, w->dims[1]));
    }
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == x->rank - 1 ? w->dims[1] : x->dims[i];
    return ubp_set_out(c, 0, UB_F32, x->rank, dims);
}

static void dynamic_batch(ubp_batch *b)
{
    rows_batch(b);
    if (b->in[D_A].kind == UBP_SAMPLES_AXIS)
        ubp_samples_couple(b, 0, "the quantisation range is taken over the whole batch");
}

/* x as whole numbers less zero point, by DynamicQuantizeLinear; returns the scale. */
static float round_over_range(const ub_tensor *x, double *to)
{
    const float *v = x->data;
    float low = 0, high = 0;
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    const float scale = high > low ? (high - low) / 255 : 1;
    const float zero = rintf(fminf(fmaxf(-low / scale, 0), 255));
    for (int64_t i = 0; i < ub_tensor_count(x); i++)
        to[i] = (double)(fminf(fmaxf(rintf(v[i] / scale) + zero, 0), 255) - zero);
    return scale;
}

static double column(const ub_tensor *t, int64_t k)
{
    return ubp_any_number(t, ub_tensor_count(t) > 1 ? k : 0);
}

static ub_status dynamic_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[D_A], *w = c->in[D_B], *y = c->out[0];
    const int64_t rows = rows_of(x), columns = w->dims[1];
    double *a = NULL, *b = NULL, *sums = NULL; /* (rows, k), (k, columns), (rows, columns) */
    UBP_TRY(room(c, rows, w->dims[0], sizeof *a, &a));
    UBP_TRY(room(c, w->dims[0], columns, sizeof *b, &b));
    UBP_TRY(room(c, rows, columns, sizeof *sums, &sums));
    const float scale = round_over_range(x, a);
    for (int64_t i = 0; i < ub_tensor_count(w); i++)
        b[i] =
            ubp_any_number(w, i) - (ubp_has_in(c, D_ZERO) ? column(c->in[D_ZERO], i % columns) : 0);
    const ubp_gemm_job job = {.dtype = UB_F64,
                              .items = 1,
                              .gemm = {.m = rows,
                                       .n = columns,
                                       .k = w->dims[0],
                                       .a = a,
                                       .a_row = w->dims[0],
                                       .a_col = 1,
                                       .b = b,
                                       .b_row = columns,
                                       .b_col = 1,
                                       .c = sums,
                                       .c_row = columns,
                                       .c_col = 1}};
    ubp_gemm_run(c->run, &job);
    for (int64_t i = 0; i < rows * columns; i++) {
        const float factor = scale * (float)column(c->in[D_SCALE], i % columns);
        const double bias = ubp_has_in(c, D_BIAS) ? column(c->in[D_BIAS], i % columns) : 0;
        ubp_put_number(y, i, sums[i] * (double)factor + bias);
    }
    return UB_OK;
}

static ub_status no_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)n;
    (void)attr;
    (void)arena;
    (void)err;
    return UB_OK;
}

const ubp_op ubp_op_ms_DynamicQuantizeMatMul = {
    .name = "DynamicQuantizeMatMul",
    .domain = "com.microsoft",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(int),
    .attrs = no_attrs,
    .infer = dynamic_infer,
    .batch = dynamic_batch,
    .ref = dynamic_ref,
};
