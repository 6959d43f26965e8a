/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for making nodes of our operators, for loaders of formats whose operators are not ours. A
 * failure is remembered: what is asked after it gives UBP_NO_VALUE and does nothing, so that a
 * composition of several nodes can be written down as an expression and checked once at its end.
 */
#ifndef UBP_LOAD_EMIT_H
#define UBP_LOAD_EMIT_H

#include "graph/graph.h"

typedef struct ubp_emit {
    ubp_graph *g;
    const char *name; /* of the nodes that are made; lives in the graph's arena */
    ub_status status; /* the first failure, which err has */
    ub_error *err;
} ubp_emit;

/* The end of an expression: whether all went well so far. */
static inline bool ubp_emit_ok(const ubp_emit *e)
{
    return e->status == UB_OK;
}

/* ---- Nodes: each gives its first output, a value without a name --------------------------------
 */

/* in may hold UBP_NO_VALUE for what is left out. op: a literal. */
int32_t ubp_emit_node(ubp_emit *e, const char *op, int n_in, const int32_t *in, int n_attrs,
                      const ubp_attr *attrs);
int32_t ubp_emit_1(ubp_emit *e, const char *op, int32_t a);
int32_t ubp_emit_2(ubp_emit *e, const char *op, int32_t a, int32_t b);
int32_t ubp_emit_3(ubp_emit *e, const char *op, int32_t a, int32_t b, int32_t c);
/* Fills out[n_out]. */
void ubp_emit_many(ubp_emit *e, const char *op, int n_in, const int32_t *in, int n_attrs,
                   const ubp_attr *attrs, int n_out, int32_t *out);
/* A node of an operator that is not known, which says why: refused by name when it is needed.
 * what, domain: in the graph's arena, or literals. */
void ubp_emit_unknown(ubp_emit *e, const char *what, const char *domain, int n_in,
                      const int32_t *in, int n_out, int32_t *out);

/* ---- Attributes: name is a literal ----------------------------------------------------------- */

ubp_attr ubp_emit_int(const char *name, int64_t v);
ubp_attr ubp_emit_float(const char *name, double v);
ubp_attr ubp_emit_string(const char *name, const char *v); /* v in the arena, or a literal */
/* Copied into the graph's arena. */
ubp_attr ubp_emit_list(ubp_emit *e, const char *name, const int64_t *v, int n);

/* ---- Constants ------------------------------------------------------------------------------- */

int32_t ubp_emit_number(ubp_emit *e, ub_dtype dtype, double v);   /* a scalar */
int32_t ubp_emit_integer(ubp_emit *e, ub_dtype dtype, int64_t v); /* a scalar, exact */
int32_t ubp_emit_ints(ubp_emit *e, const int64_t *v, int n);      /* int64, rank 1 */
int32_t ubp_emit_floats(ubp_emit *e, const float *v, int64_t n);  /* float32, rank 1 */
/* A tensor of equal elements, which takes no memory in the file's graph. */
int32_t ubp_emit_full(ubp_emit *e, int32_t scalar, int rank, const int64_t *dims);

/* ---- Common nodes ---------------------------------------------------------------------------- */

int32_t ubp_emit_cast(ubp_emit *e, int32_t v, ub_dtype to);
int32_t ubp_emit_transpose(ubp_emit *e, int32_t v, int rank, const int64_t *perm);
/* Swaps two axes of a value of that rank. */
int32_t ubp_emit_swap(ubp_emit *e, int32_t v, int rank, int a, int b);
int32_t ubp_emit_reshape(ubp_emit *e, int32_t v, int rank, const int64_t *dims); /* one may be -1 */
int32_t ubp_emit_unsqueeze(ubp_emit *e, int32_t v, const int64_t *axes, int n);
int32_t ubp_emit_squeeze(ubp_emit *e, int32_t v, const int64_t *axes, int n);
int32_t ubp_emit_slice(ubp_emit *e, int32_t v, int axis, int64_t start, int64_t end, int64_t step);
int32_t ubp_emit_concat(ubp_emit *e, const int32_t *v, int n, int axis);
/* op: a Reduce...; axes NULL: all of them. */
int32_t ubp_emit_reduce(ubp_emit *e, const char *op, int32_t v, const int64_t *axes, int n,
                        bool keepdims);
/* int64, rank 1, one element: the size of an axis. */
int32_t ubp_emit_size(ubp_emit *e, int32_t v, int axis);
int32_t ubp_emit_shape(ubp_emit *e, int32_t v);

/* ---- Names ----------------------------------------------------------------------------------- */

/* Gives the value that name, by an Identity where it is a constant, an input or has one already.
 * A name that is taken is made unique. */
int32_t ubp_emit_named(ubp_emit *e, int32_t v, const char *name);

#endif
