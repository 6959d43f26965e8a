/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products inside kernels: a call of MatMul is made around the two matrices.
 */
#include "ops/product.h"

/* The operands of one call. */
typedef struct operands {
    ub_tensor a, b, c;
    const ub_tensor *in[2];
    ub_tensor *out[1];
} operands;

static ubp_call matmul_of(const ubp_product *p, operands *o, const ubp_node *node)
{
    *o = (operands){.a = p->a, .b = p->b, .c = p->c};
    o->in[0] = &o->a;
    o->in[1] = &o->b;
    o->out[0] = &o->c;
    return (ubp_call){
        .op = p->matmul, .node = node, .n_in = 2, .n_out = 1, .in = o->in, .out = o->out};
}

static bool same_strides(const ub_tensor *t, const ub_tensor *want)
{
    return t->strides[0] == want->strides[0] && t->strides[1] == want->strides[1];
}

ub_status ubp_product_prepare(ubp_product *p, ubp_onednn *d, int threads, const ubp_node *node,
                              ub_error *err)
{
    operands o;
    p->matmul = ubp_op_find("MatMul", "");
    p->c = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {p->a.dims[0], p->b.dims[1]}};
    ubp_tensor_set_strides(&p->c);
    if (!d)
        return UBP_DECLINED;
    ubp_call call = matmul_of(p, &o, node);
    ub_tensor want[2] = {p->a, p->b};
    call.err = err;
    const ub_status st = ubp_fast_prepare(&p->fast, d, &call, NULL, 0, threads, want, &p->scratch);
    if (st != UB_OK || (same_strides(&p->a, &want[0]) && same_strides(&p->b, &want[1]) &&
                        same_strides(&p->c, &o.c)))
        return st;
    ubp_product_free(p);
    return UBP_DECLINED;
}

ub_status ubp_product_ready(const ubp_product *p, const ubp_call *call)
{
    operands o;
    if (!p->fast)
        return UB_OK;
    ubp_call one = matmul_of(p, &o, call->node);
    one.run = call->run;
    one.err = call->err;
    return ubp_fast_ready(p->fast, &one);
}

ub_status ubp_product_run(const ubp_product *p, const ubp_call *call, const void *a, const void *b,
                          void *c, void *scratch)
{
    operands o;
    ubp_call one = matmul_of(p, &o, call->node);
    one.run = call->run;
    one.err = call->err;
    o.a.data = (void *)(uintptr_t)a;
    o.c.data = c;
    if (b)
        o.b.data = (void *)(uintptr_t)b;
    return p->fast ? ubp_fast_run(p->fast, &one, scratch) : p->matmul->ref(&one);
}

void ubp_product_free(ubp_product *p)
{
    ubp_fast_free(p->fast);
    p->fast = NULL;
    p->scratch = 0;
}
