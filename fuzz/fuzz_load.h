/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes opened as a model. Weights are copied to exact memory by the fuzzer already; every constant
 * is read to its end, since a view outside of the file would only show there.
 */
#ifndef FUZZ_LOAD_H
#define FUZZ_LOAD_H

#include "load/load.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static unsigned sum_bytes(const ub_tensor *t)
{
    const uint8_t *at = t->data;
    const size_t n = ubp_tensor_bytes(t);
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += at[i];
    return sum;
}

static unsigned walk(const ubp_graph *g)
{
    unsigned sum = 0;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i].constant)
            sum += sum_bytes(g->values[i].constant);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ubp_node *n = &g->nodes[i];
        for (int k = 0; k < n->n_in; k++) /* the order must hold */
            if (n->in[k] != UBP_NO_VALUE && g->values[n->in[k]].producer >= (int32_t)i)
                abort();
        for (int k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].kind == UBP_ATTR_TENSOR)
                sum += sum_bytes(n->attrs[k].tensor);
    }
    return sum;
}

static int fuzz_load(const uint8_t *bytes, size_t size)
{
    ubp_loaded l;
    ub_error err = {0};
    const ub_status status = ubp_load(&l, NULL, bytes, size, &err);
    if (status != UB_OK) {
        if (status != err.code || strlen(err.message) == 0 || strchr(err.message, '\n'))
            abort();
        return 0;
    }
    volatile unsigned sink = walk(l.graph); /* the bytes are really read */
    (void)sink;
    ubp_loaded_release(&l);
    return 0;
}

#endif
