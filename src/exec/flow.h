/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside exec: running step by step. A runner is one run of the model; each graph in it (the
 * model's, bodies) is run by ubp_run_graph(); operators with bodies or lists by ubp_flow_run().
 */
#ifndef UBP_EXEC_FLOW_H
#define UBP_EXEC_FLOW_H

#include "exec/exec.h"

typedef struct ubp_runner {
    const ubp_control *control;
    ubp_tap *tap; /* NULL: none */
    size_t live;  /* bytes of computed values */
    int depth;    /* 0 in the model's graph */
} ubp_runner;

/* One call of an operator with bodies or lists. */
typedef struct ubp_flow {
    ubp_runner *r;
    const ubp_ask *ask; /* of the graph the node is in */
    const ubp_node *node;
    int32_t holder;      /* the node of the model's graph that all this belongs to */
    int tap_step;        /* the step of the tap that is this node; -1: none is */
    ubp_item *const *in; /* [node->n_in]; NULL where left out */
    ubp_item **out;      /* [node->n_out], to be filled */
    const bool *wanted;  /* [node->n_out] whether somebody reads it */
    ub_error *err;
} ubp_flow;

/* ---- eager.c -------------------------------------------------------------------------------- */

/* Runs a graph node by node. tap_step: the step of the tap that lies in this graph, or -1. */
ub_status ubp_run_graph(ubp_runner *r, ubp_item **results, const ubp_ask *ask, int tap_step,
                        ub_error *err);
/* A new row-major tensor, counted and within the memory limit; not cleared. */
ub_status ubp_runner_tensor(ubp_runner *r, ubp_item **out, ub_dtype dtype, int rank,
                            const int64_t *dims, ub_error *err);

/* ---- body.c --------------------------------------------------------------------------------- */

/* The body in an attribute; refuses an attribute that holds none. */
ub_status ubp_flow_body(const ubp_flow *f, const char *attr, const ubp_graph **out);
/* Runs a body once. in: [body->n_formal]; out: [body->n_outputs], owned. branch: its attribute
 * where the node has several. */
ub_status ubp_body_run(const ubp_flow *f, const ubp_graph *body, const char *branch,
                       int64_t iteration, ubp_item *const *in, ubp_item **out);
/* "node 'loop' (Loop): ...". */
ub_status ubp_flow_fail(const ubp_flow *f, ub_status code, const char *fmt, ...) UBP_PRINTF(3, 4);
/* The tensor of an item that must be one. what: "input 1" and so on. */
ub_status ubp_flow_tensor(const ubp_flow *f, const ubp_item *item, const char *what,
                          const ub_tensor **out);
/* The one number or truth value of an item. */
ub_status ubp_flow_scalar(const ubp_flow *f, const ubp_item *item, const char *what, int64_t *out);
/* Marks a map as mixing samples; why: a literal. */
void ubp_flow_couple(const ubp_flow *f, ubp_samples *s, const char *why);
/* Whether a number that decides what runs hangs on samples. */
bool ubp_flow_by_sample(const ubp_item *item);
/* item, its own map replaced. Takes item over. */
ub_status ubp_flow_remap(const ubp_flow *f, ubp_item **item, const ubp_samples *map);

/* ---- stack.c: rows that come one by one ----------------------------------------------------- */

typedef struct ubp_stack {
    ubp_item *rows; /* [cap, ...]; NULL before the first */
    int64_t n, cap;
    ubp_samples map; /* of a row */
} ubp_stack;

/* room: how many rows are expected, 0 when unknown. */
ub_status ubp_stack_add(const ubp_flow *f, ubp_stack *s, const ubp_item *row, int64_t room);
/* What was stacked along `axis`, last row first when reversed; like: the value of the body that
 * says dtype and shape where there are no rows. Empties the stack. */
ub_status ubp_stack_finish(const ubp_flow *f, ubp_stack *s, ubp_item **out, const ubp_value *like,
                           int64_t axis, bool reversed);
void ubp_stack_release(ubp_stack *s);
/* Entry i of t along an axis, without the axis: a view. */
ub_status ubp_flow_row(const ubp_flow *f, const ubp_item *from, int axis, int64_t i,
                       ubp_item **out);

/* ---- flow.c, scan.c, flex.c, lists.c -------------------------------------------------------- */

ub_status ubp_flow_run(const ubp_flow *f);

ub_status ubp_flow_scan(const ubp_flow *f);
ub_status ubp_flow_flex(const ubp_flow *f);

ub_status ubp_list_construct(const ubp_flow *f);
ub_status ubp_list_empty(const ubp_flow *f);
ub_status ubp_list_at(const ubp_flow *f);
ub_status ubp_list_insert(const ubp_flow *f);
ub_status ubp_list_erase(const ubp_flow *f);
ub_status ubp_list_length(const ubp_flow *f);
ub_status ubp_list_split(const ubp_flow *f);
ub_status ubp_list_concat(const ubp_flow *f);
ub_status ubp_list_optional(const ubp_flow *f);
ub_status ubp_list_has_element(const ubp_flow *f);
ub_status ubp_list_get_element(const ubp_flow *f);

#endif
