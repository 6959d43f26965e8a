/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph: the model as data. Values (tensors on edges), nodes (calls of our operators, which are
 * ONNX's newest), attributes, weights as views of the file, layers (the names users know, and which
 * values cross their borders). Built once by load/, immutable afterwards.
 */
#ifndef UBP_GRAPH_H
#define UBP_GRAPH_H

#include "tensor/tensor.h"

typedef struct ubp_graph ubp_graph;
typedef struct ubp_op ubp_op; /* ops/ops.h */

enum { UBP_NO_VALUE = -1, UBP_NO_NODE = -1 };

typedef enum ubp_attr_kind {
    UBP_ATTR_INT,
    UBP_ATTR_FLOAT,
    UBP_ATTR_STRING,
    UBP_ATTR_TENSOR,
    UBP_ATTR_GRAPH,
    UBP_ATTR_INTS,
    UBP_ATTR_FLOATS,
    UBP_ATTR_STRINGS
} ubp_attr_kind;

typedef struct ubp_attr {
    const char *name;
    ubp_attr_kind kind;
    int64_t i;
    double f;
    const char *s; /* terminated; may hold any bytes up to s_size */
    size_t s_size;
    const ub_tensor *tensor;
    ubp_graph *graph;
    size_t n; /* of ints, floats, strings */
    const int64_t *ints;
    const double *floats;
    const char *const *strings;
} ubp_attr;

/* A tensor (or a list of them) on an edge. */
typedef struct ubp_value {
    const char *name;          /* as in the file; unique within its graph; "" for a made-up value */
    ub_dtype dtype;            /* as the file says, or UB_UNDEFINED */
    int rank;                  /* as the file says, or -1 */
    int64_t dims[UB_MAX_RANK]; /* -1 where free */
    const char *dim_names[UB_MAX_RANK]; /* of free dims, or NULL; an expression such as "4*batch" is
                                           kept as text */
    int32_t producer;                   /* node, or UBP_NO_NODE */
    int32_t producer_out;               /* which output of it */
    const ub_tensor *constant;          /* weights and other fixed values, or NULL; row-major. A
                                           view of the file may lie at any address, whatever its
                                           dtype's alignment */
    bool is_input;
    ub_kind kind; /* as the file says; where it says nothing, a tensor */
} ubp_value;

typedef struct ubp_node {
    const char *name;    /* as in the file, may be "" */
    const char *op_type; /* as in the file: "Conv" */
    const char *domain;  /* "" for ai.onnx */
    int64_t opset;       /* the version of the domain that the file imports; 0: it says none */
    const ubp_op *op;    /* NULL: not known to this library */
    int n_in, n_out;
    int n_captured;     /* the last of its inputs: what its bodies read of this graph */
    const int32_t *in;  /* [n_in] values, UBP_NO_VALUE where left out */
    const int32_t *out; /* [n_out] values, UBP_NO_VALUE where not wanted */
    int n_attrs;
    const ubp_attr *attrs; /* [n_attrs] */
    int32_t layer;         /* the innermost module it belongs to, or -1 */
    bool helper;           /* made while rewriting the node it has its name from; not found by it */
    int32_t order;         /* when it was added: 0 for the first; kept by ubp_graph_sort() */
} ubp_node;

/* A module of the framework (or a node under its own name), one use of it. */
typedef struct ubp_layer {
    const char *path; /* "layer3.0.conv1" */
    const char *name; /* path, or "fc1#1" for a later call */
    const char *type; /* "Conv2d", "" where the file does not say */
    int call;
    int depth;
    bool is_node;
    int32_t parent; /* layer, or -1 */
    int n_in, n_out, n_nodes;
    const int32_t *in;    /* values that cross into it, in order of first use */
    const int32_t *out;   /* values that leave it */
    const int32_t *nodes; /* all nodes in it, those of sub-layers too */
    const char *no_in;    /* NULL, or why its input is not in this file */
    const char *no_out;   /* NULL, or why its output is not in this file */
} ubp_layer;

struct ubp_graph {
    ubp_arena arena;   /* holds everything below but values and nodes, which grow */
    ubp_value *values; /* do not keep pointers into these two while building */
    ubp_node *nodes;   /* in topological order once ubp_graph_sort() ran */
    ubp_layer *layers;
    size_t n_values, cap_values, n_nodes, cap_nodes, n_layers;
    int32_t *inputs; /* values fed by the user; weights are not among them */
    int32_t *outputs;
    int n_inputs, n_outputs;
    const char **input_names;  /* [n_inputs] */
    const char **output_names; /* [n_outputs]; a value may be output under two names */
    ubp_table value_names, layer_names;
    ubp_table node_names; /* filled by ubp_graph_sort() */
    const char *producer; /* "pytorch 2.13.0", for messages */

    /* Bodies of If, Loop, Scan and SequenceMap are graphs of their own. Sorting the graph around
     * them closes them: what they capture becomes inputs of the node that holds them and, behind
     * their own, of each of its bodies. */
    bool is_body;
    int n_formal;          /* the first of its inputs: those that the file lists */
    const char **captured; /* [n_captured] names that a body reads and the graph around it gives */
    int n_captured;        /* both filled by ubp_graph_sort(); those of bodies inside it too */
    ubp_graph *bodies, *next_body; /* the graphs made by ubp_graph_body(g), freed with g */
};

/* ---- build.c: for load/ --------------------------------------------------------------------- */

ub_status ubp_graph_new(ubp_graph **out, ub_error *err);
void ubp_graph_free(ubp_graph *g);
/* An empty graph for an attribute of a node of g. */
ub_status ubp_graph_body(ubp_graph *g, ubp_graph **out, ub_error *err);
/* The value of that name, made when there is none yet. name is copied. "" always makes a new
 * one. */
ub_status ubp_graph_value(ubp_graph *g, const char *name, int32_t *out, ub_error *err);
/* A made-up constant: data is copied into the graph's arena. */
ub_status ubp_graph_constant(ubp_graph *g, const ub_tensor *t, int32_t *out, ub_error *err);
/* A made-up constant of int64, rank 1 (or 0 when n < 0: one element). */
ub_status ubp_graph_ints(ubp_graph *g, const int64_t *v, int n, int32_t *out, ub_error *err);
/* Appends a node (arrays and attributes are copied; strings must already live in g->arena or be
 * literals) and sets the producer of its outputs. A value with two producers is refused. out may be
 * NULL. */
ub_status ubp_graph_node(ubp_graph *g, const ubp_node *node, int32_t *out, ub_error *err);
/* How messages call a node: its name, or that of its first output where it has none. */
const char *ubp_node_title(const ubp_graph *g, const ubp_node *n);
/* The attribute of that name, or NULL. */
const ubp_attr *ubp_node_attr(const ubp_node *n, const char *name);
/* What a message calls a node: "'conv1' (Conv)", or "number 4 (Conv)" when it has no name. */
const char *ubp_node_label(const ubp_node *n, char *text, size_t size);

/* ---- sort.c --------------------------------------------------------------------------------- */

/* Puts the nodes in topological order, keeping file order where it is one. A cycle is refused by
 * naming a node of it; so is a read of a value that nothing gives. Bodies are sorted before the
 * graph around them. */
ub_status ubp_graph_sort(ubp_graph *g, ub_error *err);

/* ---- close.c: the last part of sorting ------------------------------------------------------ */

/* Makes what the bodies of g's nodes capture inputs of these nodes and of the bodies. A captured
 * constant is a constant inside too. */
ub_status ubp_graph_close(ubp_graph *g, ub_error *err);
#endif
