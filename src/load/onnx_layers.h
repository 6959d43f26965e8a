/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the layer finder: what its files share. From node names and metadata it works out, for
 * every use (call) of every module, which nodes belong to it; the values on its border follow from
 * that. What an exporter folded, merged or fused away is marked, so that no layer is ever answered
 * with a tensor that is not its own.
 */
#ifndef UBP_LOAD_ONNX_LAYERS_H
#define UBP_LOAD_ONNX_LAYERS_H

#include "load/load.h"

enum {
    UBP_MAX_SCOPES = 64, /* modules inside modules; more is taken for damaged */
    UBP_MAX_PATH = 4096, /* bytes of a module path; the same */
    UBP_ANY_MARK = -1    /* a scope that does not tell which call it is */
};

/* One module path. */
typedef struct ubp_module {
    const char *path;
    const char *type;  /* "torch.nn.modules.conv.Conv2d", "" when the file does not say */
    bool has_children; /* data nodes of modules inside it were seen */
    int32_t n_calls;
} ubp_module;

/* One module that a node belongs to. */
typedef struct ubp_scope {
    int32_t module;
    int32_t mark; /* TorchScript tells the calls of the innermost module apart: 0, 1, ... */
    int32_t call; /* once known, or -1 */
    bool starts;  /* a call surely starts here */
} ubp_scope;

/* What flows along an edge. */
typedef enum ubp_flow {
    UBP_FLOW_DATA,
    UBP_FLOW_CONST, /* weights, and what hangs on weights only */
    UBP_FLOW_SHAPE  /* shapes, and integer arithmetic on them */
} ubp_flow;

/* How far an edge tells the truth about who read what in the framework. */
typedef enum ubp_edge {
    UBP_EDGE_TRUE,
    UBP_EDGE_SHARED, /* the reader read an equal value, whose node was merged into this one's */
    UBP_EDGE_FUSED   /* something between the two was fused into the reader */
} ubp_edge;

/* One use of a module: a run of nodes that belong to it. */
typedef struct ubp_module_call {
    int32_t module, index; /* the index-th use of the module */
    int32_t parent;        /* call, or -1 */
    int32_t depth;         /* 1 for top-level modules */
    int32_t first_node;
    int32_t mark, n_marks; /* TorchScript: last mark seen, and how many different ones */
    size_t nodes, n_nodes; /* its data nodes: finder->call_nodes[nodes ...] */
    int32_t repeats;       /* its nodes repeat so often: maybe so many calls in a row; else 1 */
    bool uneven;           /* it is several calls, but its nodes do not repeat */
    int32_t layer;
    const char *no_in, *no_out;
} ubp_module_call;

/* A module without nodes of its own, folded into its neighbour. */
typedef struct ubp_folded {
    const char *path;
    const char *type;
    int32_t node;   /* the node it is part of */
    int32_t parent; /* call, or -1 */
    int32_t depth;
    int32_t index;
    int32_t n_more; /* folds of the same module after this one */
    int32_t in;     /* its input */
    const char *no_in, *no_out;
} ubp_folded;

/* Values that cross the border of a set of nodes, in the graph's arena. */
typedef struct ubp_border {
    int32_t *in, *out;
    int n_in, n_out;
    int32_t doubt_in, doubt_out; /* a reader over an edge that does not tell the truth, or -1 */
    ubp_edge doubt_in_kind;
    bool no_sequence; /* a recurrent module whose first output nothing uses */
} ubp_border;

typedef struct ubp_finder {
    ubp_graph *g;
    const ubp_onnx_meta *meta; /* [n_nodes] */
    const char *const *initializers;
    size_t n_initializers;
    bool dynamo; /* else TorchScript */
    ub_error *err;
    ubp_arena arena; /* working memory */

    ubp_module *modules;
    size_t n_modules, cap_modules;
    ubp_table module_ids; /* path -> modules[] */

    size_t *scope_at;  /* [n_nodes]: where the scopes of a node start, outermost first */
    int32_t *n_scoped; /* [n_nodes]: how many; -1: the file does not say where the node belongs */
    ubp_scope *scopes;
    size_t n_scopes, cap_scopes;

    uint8_t *node_flow, *value_flow; /* ubp_flow */
    size_t *read_first;              /* [n_nodes + 1] into reads and edges */
    int32_t *reads;                  /* values: inputs that are there, then captures of bodies */
    uint8_t *edges;                  /* ubp_edge */
    size_t *use_first;               /* [n_values + 1] into uses */
    int32_t *uses;                   /* data nodes that read it */
    size_t *use_reads;               /* which of reads and edges */
    bool *is_output;                 /* [n_values] */

    ubp_module_call *calls;
    size_t n_calls, cap_calls;
    int32_t *call_nodes;

    ubp_folded *folded;
    size_t n_folded, cap_folded;

    int32_t stamp; /* of the last set of nodes */
    int32_t *node_stamp, *made_stamp, *read_stamp, *node_pos;
} ubp_finder;

/* ---- onnx_layers.c --------------------------------------------------------------------------- */

/* The module of that path, made when there is none yet. */
ub_status ubp_module_find(ubp_finder *f, const char *path, int32_t *out);
/* Whether a module path is `ancestor` itself or lies inside it. */
bool ubp_path_within(const char *path, const char *ancestor);
ub_status ubp_scope_add(ubp_finder *f, int32_t module, int32_t mark);
/* Zeroed working memory; NULL and f->err filled when there is none. */
void *ubp_finder_array(ubp_finder *f, size_t count, size_t size);
/* The innermost module a node belongs to, or NULL. */
const ubp_module *ubp_node_module(const ubp_finder *f, int32_t node);
bool ubp_is_op(const ubp_node *n, const char *const *ops, int count);

/* ---- onnx_layers_dynamo.c, onnx_layers_torchscript.c -------------------------------------------
 */

/* Fill scopes of every node. *known false: the metadata is damaged, use none of it. */
ub_status ubp_scopes_dynamo(ubp_finder *f, bool *known);
ub_status ubp_scopes_torchscript(ubp_finder *f);

/* ---- onnx_layers_flow.c: data, constants, shapes; who reads what ------------------------------
 */

ub_status ubp_flow_find(ubp_finder *f);

/* ---- onnx_layers_merged.c: edges that do not tell the truth ------------------------------------
 */

ub_status ubp_merged_find(ubp_finder *f);

/* ---- onnx_layers_calls.c ------------------------------------------------------------------------
 */

ub_status ubp_calls_find(ubp_finder *f);
/* Whether the module of a call runs its children once each, in order. */
bool ubp_call_is_sequential(const ubp_finder *f, const ubp_module_call *c);

/* ---- onnx_layers_border.c -----------------------------------------------------------------------
 */

ub_status ubp_border_find(ubp_finder *f, ubp_border *out, const int32_t *nodes, size_t n);

/* ---- onnx_layers_folded.c -----------------------------------------------------------------------
 */

ub_status ubp_folded_find(ubp_finder *f);

/* ---- onnx_layers_write.c: the graph's layers
 * ----------------------------------------------------- */

ub_status ubp_layers_write(ubp_finder *f);

/* ---- onnx_layers_nodes.c: for files without modules --------------------------------------------
 */

ub_status ubp_layers_of_nodes(ubp_graph *g, ub_error *err);

#endif
