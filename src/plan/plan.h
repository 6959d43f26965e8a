/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: from "these values, for these input shapes" to a list of steps. Prunes to what is asked,
 * works out shapes, folds constants, follows the samples through every op, chooses layouts and
 * kernels, and gives every buffer its place in one arena.
 */
#ifndef UBP_PLAN_H
#define UBP_PLAN_H

#include "graph/graph.h"
#include "ops/conv.h"
#include "ops/fast.h"
#include "ops/ops.h"
#include "ops/product.h"

#include <string.h>

/* ---- What is asked -------------------------------------------------------------------------- */

/* A value that is given from outside: a model input, or an inner value to start from. */
typedef struct ubp_given {
    int32_t value;
    const ub_tensor *tensor;     /* borrowed; data NULL when only shapes matter; NULL: a list */
    int batch_axis;              /* -1: no samples in it */
    const ubp_samples *samples;  /* NULL: batch_axis says it all; inputs of bodies have more */
    struct ubp_item *item;       /* of a list: see exec/item.h; borrowed */
    const struct ubp_fact *fact; /* all that is known of it, in place of tensor and samples; NULL:
                                    those say it */
} ubp_given;

typedef struct ubp_ask {
    const ubp_graph *graph;
    const int32_t *wanted; /* [n_wanted] values */
    int n_wanted;
    const ubp_given *given; /* [n_given] */
    int n_given;
    int64_t n;          /* samples in the given values */
    bool fixed_batch;   /* the file fixes the batch: another batch cannot be probed */
    bool partial;       /* work out what can be; ops not known and data not known are no errors */
    const ubp_run *run; /* for folding constants */
    size_t keep_bytes;  /* inner values may be put aside up to this many bytes */
    bool in_body;       /* the graph is a body, of: */
    int32_t holder;     /* the node of the model's graph that is named where samples mix */
    int depth;          /* of facts that are worked out inside facts */
} ubp_ask;

/* ---- Nodes ---------------------------------------------------------------------------------- */

/* Whether it is this operator of ai.onnx. */
static inline bool ubp_node_is(const ubp_node *n, const char *op)
{
    return n->op && n->domain[0] == '\0' && strcmp(n->op->name, op) == 0;
}
/* Of a Transpose of a tensor of this rank: order[i] is the input's axis that is axis i of the
 * result. False: it is none, or not of this rank. */
bool ubp_transpose_order(int order[UB_MAX_RANK], const ubp_node *n, int rank);

/* ---- inputs.c ------------------------------------------------------------------------------- */

/* Where the samples are in each model input: axes[n_inputs], -1 none. */
void ubp_input_axes(const ubp_graph *g, int *axes);
/* Where they are in an inner value, as far as the file's own annotations tell; else 0. */
int ubp_value_axis(const ubp_graph *g, int32_t value);

/* ---- unknown.c ------------------------------------------------------------------------------ */

/* Adds the kinds of operators that are not known, each once, among the marked nodes:
 * nodes[n_nodes], NULL: all. */
ub_status ubp_unknown_ops(ubp_text *out, const ubp_graph *g, const bool *nodes, ub_error *err);

/* ---- cone.c --------------------------------------------------------------------------------- */

/* The nodes that the wanted values hang on, in order, stopping at given and constant values: nodes
 * into *out (in arena). Ops not known are refused, all of them listed; so is a model input that is
 * needed and not given. */
ub_status ubp_cone(const ubp_ask *ask, int32_t **out, int *count, ubp_arena *arena, ub_error *err);

/* ---- facts.c -------------------------------------------------------------------------------- */

/* What is known of a value before anything runs. */
typedef struct ubp_fact {
    bool known;       /* reached; t is valid */
    bool varies;      /* dims or content change with the number of samples */
    ub_tensor t;      /* dtype, dims, strides; data for constants */
    ub_tensor *grown; /* the same for n + 1 samples; &t where it does not vary; NULL: unknown */
    ubp_samples samples;
} ubp_fact;

typedef struct ubp_facts {
    ubp_arena arena;
    ubp_fact *values; /* [n_values of the graph] */
    int32_t *nodes;   /* the cone, in order */
    int n_nodes;
    const void **attrs; /* [n_nodes of the graph] parsed attributes, of the cone's nodes */
    int64_t n;
    int32_t needs_data; /* the first node that no plan can have, or UBP_NO_NODE */
    int shared;         /* owners besides the first */
} ubp_facts;

/* Shapes, folded constants and the sample map of everything in the cone. When a shape hangs on
 * data, or a node has bodies or lists, needs_data names the first such node: the ask then runs step
 * by step, and what hangs on it may not be known. */
ub_status ubp_facts_new(ubp_facts **out, const ubp_ask *ask, ub_error *err);
/* One more owner, who frees it too: plans for the same ask share their constants. */
ubp_facts *ubp_facts_share(ubp_facts *f);
void ubp_facts_free(ubp_facts *f);

/* flow_facts.c: of the outputs of an If, Loop or Scan of the ask's graph, what can be known before
 * it runs; the others stay unknown. */
ub_status ubp_flow_facts(ubp_facts *f, const ubp_ask *ask, int32_t node, ub_error *err);

/* The pieces of it that running step by step uses as well. */
ub_status ubp_node_attrs(const void **out, const ubp_node *node, ubp_arena *arena, ub_error *err);
/* The samples of a node's outputs by its op's batch rule. in: [n_in]; out: [n_out]; grown: the
 * outputs' dims for n + 1 samples, or NULL. */
void ubp_node_samples(const ubp_call *call, int32_t node, int64_t n, const ubp_samples *in,
                      const ub_tensor *grown, ubp_samples *out);

/* ---- steps.c -------------------------------------------------------------------------------- */

typedef enum ubp_place_kind {
    UBP_PLACE_ARENA, /* offset in the session's workspace */
    UBP_PLACE_OWN,   /* a buffer of its own, made for each run: wanted values */
    UBP_PLACE_GIVEN, /* the caller's tensor */
    UBP_PLACE_CONST, /* weights and folded constants */
    UBP_PLACE_VIEW   /* part of another slot's memory */
} ubp_place_kind;

/* One tensor of a plan. */
typedef struct ubp_slot {
    int32_t value; /* of the graph, or UBP_NO_VALUE for a copy in another layout */
    ub_tensor t;   /* data is set when the plan is bound (constants: from the start) */
    ubp_place_kind place;
    int32_t root;    /* of a view: the slot that owns the memory (never itself a view) */
    int64_t offset;  /* arena: bytes from its start; view: bytes from root's data */
    size_t bytes;    /* of a root: memory it takes */
    int first, last; /* of a root: steps between which its memory is in use */
    int given;       /* UBP_PLACE_GIVEN: index in ask->given */
} ubp_slot;

/* Elementwise nodes that run together, a block of elements at a time, so that what one gives the
 * next stays in the cache. Each is its operator's own reference kernel. */
enum {
    UBP_CHAIN_NODES = 16,
    UBP_CHAIN_PARTS = 4 * UBP_CHAIN_NODES,
    UBP_CHAIN_TEAM = 16,   /* threads at most */
    UBP_CHAIN_BLOCK = 4096 /* elements, about */
};

typedef enum ubp_part_kind {
    UBP_PART_ROWS,   /* one of the step's inputs, as large as the result */
    UBP_PART_VECTOR, /* one of them, the same for every row */
    UBP_PART_SCALAR, /* one of them, a single number */
    UBP_PART_STORED, /* one of the step's outputs */
    UBP_PART_TEMP    /* a block of scratch memory */
} ubp_part_kind;

/* A tensor in a chain: number `at` of its kind. */
typedef struct ubp_part {
    ubp_part_kind kind;
    int at;
} ubp_part;

typedef struct ubp_chain_node {
    const ubp_node *node;
    const void *attr;
    int n_in, in[3], out; /* parts; in -1: absent */
} ubp_chain_node;

typedef struct ubp_chain {
    ubp_chain_node nodes[UBP_CHAIN_NODES];
    ubp_part parts[UBP_CHAIN_PARTS];
    int n_nodes, n_parts, n_temps;
    int64_t rows, columns; /* of the result in memory order; columns is a vector's length */
    int64_t block;         /* rows in a block */
} ubp_chain;

/* Attention as it is exported: product, elementwise nodes and a Softmax along the rows, product. A
 * thread takes a head (one matrix of the leading dims), or a block of its rows, through all of it,
 * so that the scores stay in the cache. */
enum {
    UBP_HEADS_NODES = 12,    /* between the products */
    UBP_HEADS_RANK = 6,      /* of a tensor at most */
    UBP_HEADS_SCORES_AT = -2 /* an operand: the scores */
};

/* The step's first inputs, and the parts of a thread's scratch memory. */
typedef enum ubp_heads_part {
    UBP_HEADS_Q,
    UBP_HEADS_K,
    UBP_HEADS_V,
    UBP_HEADS_SCORES,
    UBP_HEADS_RESULT,
    UBP_HEADS_PARTS
} ubp_heads_part;

typedef struct ubp_heads_node {
    const ubp_node *node;
    const void *attr;
    int n_in, in[3]; /* of the step's inputs, UBP_HEADS_SCORES_AT, or -1: absent */
} ubp_heads_node;

/* Of one thread: [product][0: a whole block of rows, 1: what is left in the last]. */
typedef struct ubp_heads_products {
    ubp_product p[2][2];
} ubp_heads_products;

typedef struct ubp_heads {
    struct ubp_heads *next; /* of the plan's */
    ubp_heads_node nodes[UBP_HEADS_NODES];
    int n_nodes;
    int lead;                     /* leading dims */
    int64_t dims[UBP_HEADS_RANK]; /* [lead] */
    int64_t heads;                /* their product */
    /* Q [rows][depth], K [depth][columns], scores [rows][columns], V [columns][width] of a head */
    int64_t rows, depth, columns, width;
    int64_t block, blocks;        /* rows in a block; blocks in a head */
    int team;                     /* threads at most */
    ubp_heads_products *products; /* [team] */
    bool ready;                   /* they were run before */
    bool copies[UBP_HEADS_V + 1]; /* Q, K, V do not lie as the products want them */
    size_t at[UBP_HEADS_PARTS];   /* bytes from a thread's scratch memory to each part */
    size_t kernel_at, scratch;    /* the same for what products need; how much */
    size_t slot_bytes;            /* of scratch memory for each thread */
} ubp_heads;

typedef struct ubp_plan_step {
    const ubp_node *node; /* NULL: a copy from in[0] to out[0] */
    const void *attr;
    const ubp_chain *chain; /* NULL: the node alone; else node is its first */
    ubp_heads *heads;       /* the same */
    ubp_fast *fast;         /* NULL: reference */
    const char *label;      /* "Conv+Add+Relu" */
    int n_in, n_out;
    int32_t *in, *out; /* slots; -1 absent */
    double gflop;
    const ub_tensor **in_tensors; /* [n_in], for ubp_call; point into the plan's slots */
    ub_tensor **out_tensors;      /* [n_out] */
} ubp_plan_step;

typedef struct ubp_plan {
    ubp_facts *facts; /* owned: constants live in it */
    ubp_arena arena;
    ubp_slot *slots;
    size_t n_slots, cap_slots;
    ubp_plan_step *steps;
    size_t n_steps, cap_steps;
    ubp_heads *heads; /* those of its steps */
    int32_t *wanted;  /* [n_wanted] slots: those of the ask, then the inner values put aside */
    int n_wanted, n_asked;
    size_t arena_bytes, own_bytes, scratch_bytes;
    bool careful; /* a run met a NaN, see ubp_fast_watches() */
} ubp_plan;

/* Takes facts over, also on failure. onednn may be NULL. */
ub_status ubp_plan_new(ubp_plan **out, ubp_facts *facts, const ubp_ask *ask,
                       struct ubp_onednn *onednn, ub_error *err);
void ubp_plan_free(ubp_plan *p);

/* ---- padded.c ------------------------------------------------------------------------------- */

/* The Pad that gives `value`, perhaps through Transposes; or UBP_NO_NODE. */
int32_t ubp_padded_by(const ubp_graph *g, int32_t value);
/* Of such a value: axis i of it is axis order[i] of the Pad's result. */
bool ubp_padded_order(int order[UB_MAX_RANK], const ubp_graph *g, int32_t value, int rank);
/* Whether the Conv reads what is in front of the Pad instead; with which attributes. conv->in[0] is
 * what it would read, parameters have data as far as it is known. */
bool ubp_padded_find(ubp_conv_attr *out, const ubp_call *pad, const ubp_call *conv,
                     const int *order);
/* The Pad's input with its axes as the Conv has them. */
void ubp_padded_turn(ub_tensor *t, const int *order);

/* ---- place.c -------------------------------------------------------------------------------- */

/* Gives every arena slot its offset such that slots in use at the same time do not overlap. */
ub_status ubp_plan_place(ubp_plan *p, ub_error *err);

/* ---- fuse.c --------------------------------------------------------------------------------- */

/* Uses of each value inside a plan; a wanted value counts as used once more. */
typedef struct ubp_uses {
    const ubp_facts *facts;
    const ubp_graph *graph;
    ubp_arena *arena; /* for what the fusions need */
    int32_t *count;   /* [n_values] */
    int32_t *user;    /* [n_values]: a node that reads it, or -1 */
    bool *computed;   /* [n_values]: has a slot already */
    bool *needed;     /* [n_nodes]: runs in this plan */
} ubp_uses;

enum { UBP_MAX_POSTS = 4, UBP_MAX_TRANSPOSES = 2 };

/* What can be done to a node's result before it is stored, in order. Transposes before each post,
 * and behind the last, are left out with it: they only say how the axes of the values lie. */
typedef struct ubp_fusion {
    int n;
    ubp_post posts[UBP_MAX_POSTS];
    int32_t nodes[UBP_MAX_POSTS];     /* the absorbed nodes */
    int32_t residuals[UBP_MAX_POSTS]; /* the other operand of an absorbed Add, or UBP_NO_VALUE */
    /* Behind i posts: the Transposes, the value behind them, and which axis of the first node's
     * result is its axis k. */
    int32_t transposes[UBP_MAX_POSTS + 1][UBP_MAX_TRANSPOSES];
    int n_transposes[UBP_MAX_POSTS + 1];
    int32_t results[UBP_MAX_POSTS + 1];
    int perm[UBP_MAX_POSTS + 1][UB_MAX_RANK];
} ubp_fusion;

/* The chain of absorbable nodes behind `node`. */
void ubp_fusion_find(ubp_fusion *out, const ubp_uses *uses, int32_t node);

#endif
