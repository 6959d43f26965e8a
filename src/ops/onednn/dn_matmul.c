/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul and Gemm in float32, in one call for all rows. Rows, columns and matrices of a stack may
 * be samples, so the order of additions may depend on K alone. oneDNN 2's AVX-512 matmul is such:
 * it cuts K by a rule that sees only K, as long as A is not transposed (or K is one block). Its
 * older matmul, gemm:jit, is not; there a product with constant weights becomes a convolution of
 * one row of pixels, whose kernels add K up in one chain.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

enum { ONE_BLOCK = 512 }; /* K up to which a transposed A gives the same sums */

static bool takes_brgemm(const char *name)
{
    return strncmp(name, "brg:avx512", 10) == 0;
}

static bool takes_chain(const char *name)
{
    return strncmp(name, "jit_1x1:", 8) == 0 || strncmp(name, "jit:", 4) == 0;
}

/* ---- The product that a call asks for ----------------------------------------------------------
 */

/* dst = a b, all of one rank; a: [.., M, K], b: [.., K, N]. */
typedef struct product {
    ub_tensor a, b, dst;
    const ub_tensor *bias; /* [N] or NULL */
    bool constant;         /* b */
    bool stack;            /* b is a stack of matrices, perhaps one a sample */
} product;

/* t with dims of 1 in front, up to rank. */
static bool raise_rank(ub_tensor *t, int rank)
{
    int by = rank - t->rank;
    if (by < 0 || rank > UB_MAX_RANK)
        return false;
    memmove(t->dims + by, t->dims, (size_t)t->rank * sizeof *t->dims);
    memmove(t->strides + by, t->strides, (size_t)t->rank * sizeof *t->strides);
    for (int i = 0; i < by; i++) {
        t->dims[i] = 1;
        t->strides[i] = 0;
    }
    t->rank = rank;
    return true;
}

static void append_one(ub_tensor *t)
{
    t->dims[t->rank] = 1;
    t->strides[t->rank] = 0;
    t->rank++;
}

/* All rows of a as one matrix when b is only one. False when a's layout does not allow it. */
static bool flatten(product *p)
{
    int r = p->a.rank;
    int64_t rows = 1;
    for (int i = 0; i < r - 2; i++)
        if (p->b.dims[i] != 1)
            return true;
    if (r == 2)
        return true;
    for (int i = 0; i < r - 1; i++)
        rows *= p->a.dims[i]; /* fits: the tensor exists */
    const int64_t dims[2] = {rows, p->a.dims[r - 1]}, to[2] = {rows, p->dst.dims[r - 1]};
    const ub_tensor from = p->a;
    if (!ubp_reshape_view(&p->a, &from, 2, dims))
        return false;
    memcpy(p->dst.dims, to, sizeof to);
    p->dst.rank = 2;
    ubp_tensor_set_strides(&p->dst);
    memmove(p->b.dims, p->b.dims + r - 2, 2 * sizeof *p->b.dims);
    memmove(p->b.strides, p->b.strides + r - 2, 2 * sizeof *p->b.strides);
    p->b.rank = 2;
    return true;
}

/* From a and b as they lie; false: not served. */
static bool matmul_product(product *p, const ubp_call *call, const ub_tensor *a, const ub_tensor *b)
{
    memset(p, 0, sizeof *p);
    p->a = *a;
    p->b = *b;
    p->dst = *call->out[0];
    p->constant = b->data != NULL;
    p->stack = b->rank > 2;
    if (p->b.rank == 1) {
        append_one(&p->b);
        append_one(&p->dst);
    }
    if (p->a.rank == 1) { /* (K) is one row; dst has no axis for it */
        int r = p->dst.rank;
        raise_rank(&p->a, 2);
        append_one(&p->dst);
        p->dst.dims[r] = p->dst.dims[r - 1];
        p->dst.dims[r - 1] = 1;
    }
    int rank = p->a.rank > p->b.rank ? p->a.rank : p->b.rank;
    ubp_tensor_set_strides(&p->dst);
    if (!raise_rank(&p->a, rank) || !raise_rank(&p->b, rank) || p->dst.rank != rank)
        return false;
    return flatten(p);
}

static void swap_axes(ub_tensor *t)
{
    int64_t d = t->dims[0], s = t->strides[0];
    t->dims[0] = t->dims[1];
    t->strides[0] = t->strides[1];
    t->dims[1] = d;
    t->strides[1] = s;
}

/* alpha and beta of 1 only, and a C that is one row for certain: a computed C of rank 2 may have
 * as many rows as there are samples. */
static bool gemm_product(product *p, const ubp_call *call, const ub_tensor *a, const ub_tensor *b)
{
    const ubp_gemm_attr *attr = call->attr;
    memset(p, 0, sizeof *p);
    p->a = *a;
    p->b = *b;
    p->dst = *call->out[0];
    p->constant = b->data != NULL;
    if (attr->trans_a)
        swap_axes(&p->a);
    if (attr->trans_b)
        swap_axes(&p->b);
    ubp_tensor_set_strides(&p->dst);
    if (attr->alpha != 1)
        return false;
    if (!ubp_has_in(call, 2) || attr->beta == 0)
        return true;
    const ub_tensor *c = call->in[2];
    p->bias = c;
    return attr->beta == 1 && c->rank >= 1 && c->dims[c->rank - 1] == p->dst.dims[1] &&
           (c->rank == 1 || (c->data && c->dims[0] == 1));
}

/* ---- Layouts that the kernel takes -------------------------------------------------------------
 */

/* Strides of o as if its axes, outermost first, were `order`. */
static void dense(ubp_dn_operand *o, const int *order)
{
    int64_t stride = 1;
    for (int64_t i = o->rank - 1; i >= 0; i--) {
        o->strides[order[i]] = stride;
        stride *= o->dims[order[i]];
    }
}

/* Whether t lies dense with its axes in `order`; o then has exactly those strides. */
static bool lies(ubp_dn_operand *o, const ub_tensor *t, const int *order)
{
    ubp_dn_operand want;
    if (!ubp_dn_operand_of(o, t))
        return false;
    want = *o;
    dense(&want, order);
    for (int64_t i = 0; i < o->rank; i++)
        if (o->dims[i] != 1 && o->strides[i] != want.strides[i])
            return false;
    *o = want;
    return true;
}

enum { PLAIN, TRANSPOSED, MIDDLE, MIDDLE_TRANSPOSED, NONE };

/* Which of oneDNN's four layouts t has: rows, columns, and both with the two axes in the middle of
 * four exchanged, as attention heads lie. */
static int layout_of(ubp_dn_operand *o, const ub_tensor *t)
{
    int orders[4][UBP_DN_RANK];
    int r = t->rank;
    if (r < 2 || r > UBP_DN_RANK)
        return NONE;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < r; i++)
            orders[k][i] = i;
    orders[TRANSPOSED][r - 2] = r - 1;
    orders[TRANSPOSED][r - 1] = r - 2;
    static const int middle[4] = {0, 2, 1, 3}, middle_transposed[4] = {0, 3, 1, 2};
    if (r == 4) {
        memcpy(orders[MIDDLE], middle, sizeof middle);
        memcpy(orders[MIDDLE_TRANSPOSED], middle_transposed, sizeof middle);
    }
    for (int k = 0; k < (r == 4 ? 4 : 2); k++)
        if (lies(o, t, orders[k]))
            return k;
    return NONE;
}

/* ---- Preparing ----------------------------------------------------------------------------------
 */

/* b goes to the primitive's own layout once, or as it lies when it is computed. */
static bool fill_weights(ubp_fast *f, ubp_dn_operand *weights, const product *p, int *layout)
{
    *layout = layout_of(weights, &p->b);
    if (!p->constant || p->b.rank != 2)
        return *layout != NONE;
    if (!ubp_dn_operand_of(&f->weights_shape, &p->b))
        return false;
    *weights = f->weights_shape;
    memset(weights->strides, 0, sizeof weights->strides);
    f->constant = true;
    *layout = PLAIN;
    return true;
}

/* The AVX-512 matmul. */
static ub_status as_matmul(ubp_fast *f, const product *p, const ubp_call *call)
{
    static const int middle[4] = {0, 2, 1, 3};
    ubp_dn_spec spec;
    int layout;
    memset(&spec, 0, sizeof spec);
    spec.kind = UBP_DN_MATMUL;
    /* Moves rows and columns between threads, not K. */
    spec.threads = f->threads ? f->threads : f->d->cores;
    if (layout_of(&spec.src, &p->a) == NONE || !ubp_dn_operand_of(&spec.dst, &p->dst) ||
        !fill_weights(f, &spec.weights, p, &layout))
        return UBP_DECLINED;
    if (p->bias || f->row) {
        /* One row for all; the kernel adds it to the finished sum. */
        const int64_t n = p->dst.dims[p->dst.rank - 1];
        spec.bias = (ubp_dn_operand){.rank = p->dst.rank};
        for (int i = 0; i < p->dst.rank; i++) {
            spec.bias.dims[i] = i + 1 < p->dst.rank ? 1 : n;
            spec.bias.strides[i] = i + 1 < p->dst.rank ? n : 1;
        }
    }
    if (layout == MIDDLE) /* heads: the usual Transpose and Reshape behind then cost nothing */
        dense(&spec.dst, middle);
    UBP_TRY(ubp_dn_prim_get(&f->prim, f->d, &spec, takes_brgemm, call));
    f->run = ubp_dn_run_whole;
    f->items = 1;
    f->post_count = ub_tensor_count(&p->dst);
    ubp_tensor_set_strides(call->out[0]);
    if (layout == MIDDLE)
        for (int i = 0; i < 4; i++)
            call->out[0]->strides[i] = spec.dst.strides[i] * (int64_t)sizeof(float);
    return UB_OK;
}

static void set_rows(ubp_dn_spec *s, int64_t rows, int64_t k, int64_t n)
{
    s->src =
        (ubp_dn_operand){.rank = 4, .dims = {1, k, 1, rows}, .strides = {rows * k, 1, rows * k, k}};
    s->dst =
        (ubp_dn_operand){.rank = 4, .dims = {1, n, 1, rows}, .strides = {rows * n, 1, rows * n, n}};
}

/* Where oneDNN has the convolution for one row only, or another implementation for all, the rows
 * are run one by one: which kernel serves may not depend on their number. */
static ub_status pick_rows(ubp_fast *f, ubp_dn_spec *spec, int64_t rows, int64_t k, int64_t n,
                           const ubp_call *call)
{
    ubp_dn_prim *all = NULL;
    set_rows(spec, 1, k, n);
    f->run = ubp_dn_run_items;
    f->items = rows;
    f->light = true;
    f->src_item = (size_t)k * sizeof(float);
    f->dst_item = (size_t)n * sizeof(float);
    f->post_count = n;
    UBP_TRY(ubp_dn_prim_get(&f->prim, f->d, spec, takes_chain, call));
    if (rows == 1)
        return UB_OK;
    set_rows(spec, rows, k, n);
    ub_status st = ubp_dn_prim_get(&all, f->d, spec, takes_chain, call);
    if (st == UB_OK && strcmp(all->name, f->prim->name) == 0) {
        ubp_dn_prim *one = f->prim;
        f->prim = all;
        all = one;
        f->run = ubp_dn_run_whole;
        f->items = 1;
        f->post_count = rows * n;
    }
    ubp_dn_prim_release(f->d, all);
    return st == UBP_DECLINED ? UB_OK : st;
}

/* A 1x1 convolution over an image of one line: rows are pixels, K and N are channels. Not for a
 * stack: one of a single matrix may be a batch of one, and one of several is not served. */
static ub_status as_convolution(ubp_fast *f, const product *p, const ubp_call *call)
{
    ubp_dn_spec spec;
    ubp_dn_operand a, b;
    if (f->row) /* here it would start the sum */
        return UBP_DECLINED;
    if (!p->constant || p->stack || p->a.rank != 2 || layout_of(&a, &p->a) != PLAIN ||
        !ubp_dn_operand_of(&b, &p->b))
        return UBP_DECLINED;
    int64_t k = a.dims[1], n = b.dims[1];
    memset(&spec, 0, sizeof spec);
    spec.kind = UBP_DN_CONV;
    spec.n = 2;
    spec.threads = f->threads ? f->threads : UBP_DN_THREADS;
    spec.kernel[0] = spec.kernel[1] = spec.stride[0] = spec.stride[1] = 1;
    f->weights_shape = (ubp_dn_operand){
        .rank = 4, .dims = {n, k, 1, 1}, .strides = {b.strides[1], b.strides[0], 1, 1}};
    spec.weights = (ubp_dn_operand){.rank = 4, .dims = {n, k, 1, 1}};
    if (p->bias)
        spec.bias = (ubp_dn_operand){.rank = 1, .dims = {n}, .strides = {1}};
    f->constant = true;
    UBP_TRY(pick_rows(f, &spec, a.dims[0], k, n, call));
    UBP_TRY(ubp_dn_fit_cores(f, takes_chain, call));
    ubp_tensor_set_strides(call->out[0]);
    return UB_OK;
}

static ub_status prepare(ubp_fast *f, const ubp_dn_request *r, const ub_tensor *a,
                         const ub_tensor *b)
{
    const ubp_call *call = r->call;
    bool gemm = strcmp(call->op->name, "Gemm") == 0;
    product p;
    ubp_dn_operand o;
    if (gemm ? !gemm_product(&p, call, a, b) : !matmul_product(&p, call, a, b))
        return UBP_DECLINED;
    int layout = layout_of(&o, &p.a);
    if ((layout == TRANSPOSED || layout == MIDDLE_TRANSPOSED) && p.a.dims[p.a.rank - 1] > ONE_BLOCK)
        return UBP_DECLINED;
    ub_status st = as_matmul(f, &p, call);
    if (st == UBP_DECLINED)
        st = as_convolution(f, &p, call);
    if (st != UB_OK)
        return st;
    r->want[0] = *a;
    r->want[1] = *b;
    if (p.bias)
        ubp_tensor_set_strides(&r->want[2]);
    return UB_OK;
}

/* Row-major as the product reads it. */
static void straighten(ub_tensor *t, bool transposed)
{
    if (transposed)
        swap_axes(t);
    ubp_tensor_set_strides(t);
    if (transposed)
        swap_axes(t);
}

ub_status ubp_dn_matmul(ubp_fast *f, const ubp_dn_request *r)
{
    const ubp_call *call = r->call;
    const ubp_gemm_attr *attr = strcmp(call->op->name, "Gemm") == 0 ? call->attr : NULL;
    ub_tensor a = *call->in[0], b = *call->in[1];
    const bool row = r->n_posts > 0 && r->posts[0].kind == UBP_POST_BIAS;
    if (a.dtype != UB_F32 || a.rank < 1 || b.rank < 1 || (row && b.rank < 2) ||
        !ubp_dn_take_posts(f, r->posts, row, r->n_posts))
        return UBP_DECLINED;
    f->row = row ? r->posts[0].bias : NULL;
    /* As they lie; else with one or both brought to rows. */
    ub_status st = prepare(f, r, &a, &b);
    if (st == UBP_DECLINED) {
        straighten(&a, attr && attr->trans_a);
        st = prepare(f, r, &a, call->in[1]);
    }
    if (st == UBP_DECLINED) {
        straighten(&b, attr && attr->trans_b);
        st = prepare(f, r, &a, &b);
    }
    return st;
}
