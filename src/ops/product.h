/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product: the product of two float32 matrices inside a larger kernel, with the bits that a MatMul
 * of its own would have. Served by a prepared kernel or by the reference loops.
 */
#ifndef UBP_PRODUCT_H
#define UBP_PRODUCT_H

#include "ops/fast.h"

typedef struct ubp_product {
    const ubp_op *matmul;
    ubp_fast *fast;    /* NULL: the reference kernel */
    ub_tensor a, b, c; /* [m][k], [k][n], [m][n]; b.data is set where it is constant */
    size_t scratch;    /* bytes it needs while running */
} ubp_product;

/* Prepares the product of a and b as they are described; c is made. threads: 1: it is only ever run
 * by one thread, 0: by any number. node is for messages. UBP_DECLINED: no kernel of d takes them as
 * they lie; ubp_product_run() then takes the reference kernel. */
ub_status ubp_product_prepare(ubp_product *p, ubp_onednn *d, int threads, const ubp_node *node,
                              ub_error *err);
/* Makes what the first run would make, before several threads run products of one session. */
ub_status ubp_product_ready(const ubp_product *p, const ubp_call *call);
/* c = a b; b NULL: the constant. call is the kernel around it. scratch: p->scratch bytes. */
ub_status ubp_product_run(const ubp_product *p, const ubp_call *call, const void *a, const void *b,
                          void *c, void *scratch);
void ubp_product_free(ubp_product *p);

#endif
