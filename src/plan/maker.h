/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maker: what the files that turn nodes into steps share. Internal to src/plan: steps.c padded.c
 * chain.c heads.c.
 */
#ifndef UBP_MAKER_H
#define UBP_MAKER_H

#include "plan/plan.h"

/* A Conv that reads what is in front of a Pad. */
typedef struct ubp_padded {
    int32_t pad, x;         /* the Pad and its input */
    int order[UB_MAX_RANK]; /* axis i of what the Conv reads is axis order[i] of x */
    bool turned;            /* it is not 0, 1, 2 ... */
    ubp_conv_attr attr;     /* in place of the Conv's own */
} ubp_padded;

typedef struct ubp_maker {
    ubp_plan *p;
    const ubp_ask *ask;
    const ubp_graph *g;
    struct ubp_onednn *onednn;
    ubp_uses uses;
    int32_t *slot_of;               /* [n_values] */
    int32_t *remaining;             /* [n_values] reads still to come, wanted counted */
    bool *absorbed;                 /* [n_nodes] */
    ubp_padded **padded;            /* [n_nodes]: of Convs, or NULL */
    struct ubp_heads_found **heads; /* [n_nodes]: of attention's last products */
    ub_error *err;
} ubp_maker;

/* ---- steps.c -------------------------------------------------------------------------------- */

ub_status ubp_make_slot(ubp_maker *m, int32_t *out, int32_t value, const ub_tensor *t,
                        ubp_place_kind place);
/* The slot a value is read from: made for given values and constants on first use. */
ub_status ubp_make_read(ubp_maker *m, int32_t *out, int32_t value);
ub_status ubp_make_step(ubp_maker *m, ubp_plan_step **out, int n_in, int n_out);
/* A slot with the elements of `from` in the layout of `want`: `from` itself where that is its
 * layout. Constants are copied here and now, others by a step. */
ub_status ubp_make_layout(ubp_maker *m, int32_t *out, int32_t from, const ub_tensor *want,
                          bool any_place);
/* ubp_make_read() in the layout it has; weights that lie askew in the file are copied. What a
 * caller gave may still lie askew. */
ub_status ubp_make_aligned(ubp_maker *m, int32_t *out, int32_t value);
bool ubp_make_same_strides(const ub_tensor *a, const ub_tensor *b);
/* The node's inputs are read, its outputs computed. */
void ubp_make_done(ubp_maker *m, const ubp_node *n);
/* Whether this step may overwrite the memory of `slot`: it is all of its root's, and nobody reads
 * that afterwards. in: [n_in] what else the step reads. */
bool ubp_make_dies(const ubp_maker *m, int32_t slot, const int32_t *in, int n_in);

/* ---- padded.c ------------------------------------------------------------------------------- */

ub_status ubp_make_padded(ubp_maker *m);

/* ---- chain.c -------------------------------------------------------------------------------- */

/* Whether the node, an elementwise one, may be joined with others: its kernel takes each element of
 * all operands before it writes that of the result, which may lie where an operand does. */
bool ubp_make_joins(const ubp_node *n);
/* Makes one step of node number `at` of the cone and the elementwise nodes that follow from it;
 * *made false: there is nothing to join. */
ub_status ubp_make_chain(ubp_maker *m, int at, bool *made);

/* ---- heads.c ---------------------------------------------------------------------------- */

/* *made: the node begins an attention, whose step comes later, or ends one and is that step. */
ub_status ubp_make_heads(ubp_maker *m, int32_t index, bool *made);
void ubp_heads_free(ubp_plan *p);

#endif
