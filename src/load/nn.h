/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn: networks built by calls from C. Each call of a layer becomes nodes of our operators at once,
 * through the words of emit.h, and a record that later becomes a layer of the graph. Shapes are
 * followed in the values' dims (-1 where free), so that a mistake is found where it is made.
 *
 * Nothing here returns a status: the first failure is kept in the network, later calls do nothing.
 */
#ifndef UBP_LOAD_NN_H
#define UBP_LOAD_NN_H

#include "load/emit.h"
#include "load/load.h"

enum { UBP_NN_DEPTH = 64, UBP_NN_OUTPUTS = 3 };

/* How the values of a weight begin. */
typedef enum ubp_nn_start {
    UBP_NN_FILL,      /* a */
    UBP_NN_UNIFORM,   /* -a to a */
    UBP_NN_NORMAL,    /* mean 0, deviation a */
    UBP_NN_ORTHOGONAL /* rows or columns, of rank 2 */
} ubp_nn_start;

typedef struct ubp_nn_init {
    ubp_nn_start start;
    double a;
    double b;         /* UBP_NN_FILL: of the elements first to last - 1 */
    int64_t from, to; /* 0, 0: none */
} ubp_nn_init;

typedef struct ubp_nn_weight {
    int32_t value;
    ubp_nn_init init;
} ubp_nn_weight;

/* A layer of the graph as it is made. */
typedef struct ubp_nn_record {
    const char *name, *type;
    int depth;
    bool is_node;
    int32_t parent;      /* record, or -1 */
    int32_t first, last; /* nodes first to last - 1 */
    int32_t *in, *out;   /* NULL: found when the network is complete */
    int n_in, n_out;
    int n_children; /* of a module: numbers for the names of the next ones */
} ubp_nn_record;

struct ub_nn {
    ubp_loaded loaded;
    ubp_graph *g;
    ubp_emit emit;
    ub_error error;
    uint64_t seed;
    const char *weights_path;
    ubp_nn_weight *weights;
    size_t n_weights, cap_weights;
    ubp_nn_record *records;
    size_t n_records, cap_records;
    ubp_table names; /* of records */
    ubp_table kinds; /* "conv2d" -> counts[] */
    int32_t *counts;
    size_t n_counts, cap_counts;
    int32_t parent; /* the record that ub_nn_begin() opened last, or -1 */
    int depth;
    int n_children;           /* of the network itself */
    int32_t last, last_layer; /* value and record of the layer made last */
    int32_t *outputs;
    size_t n_outputs, cap_outputs;
};

typedef struct ubp_nn_kind ubp_nn_kind;

/* One call of a layer. */
typedef struct ubp_nn_call {
    ub_nn *net;
    ubp_emit *e;
    const ubp_nn_kind *kind;
    const char *name; /* "encoder/dense" */
    const void *args;
    int32_t x; /* what it is applied to */
    ub_dtype dtype;
    int rank;
    int64_t dims[UB_MAX_RANK]; /* of x; -1: free */
    int32_t in[UB_NN_INPUTS];
    int n_in;
    int32_t out[UBP_NN_OUTPUTS];
    int n_out;
} ubp_nn_call;

/* A row of the table of layers. */
struct ubp_nn_kind {
    const char *what; /* "keras.Conv2D" */
    const char *base; /* of automatic names: "conv2d"; PyTorch numbers its modules */
    void (*build)(ubp_nn_call *c);
    int n; /* spatial axes */
    size_t size, name_at;
    const char *op; /* what it is made of, for builders of several kinds */
    bool is_node;   /* PyTorch has no module for it */
};

/* ---- nn.c -------------------------------------------------------------------------------------
 */

/* Refuses the layer: "layer 'conv2d' (Conv2D): ..." */
void ubp_nn_fail(ubp_nn_call *c, ub_status code, const char *fmt, ...) UBP_PRINTF(3, 4);
static inline bool ubp_nn_failed(const ubp_nn_call *c)
{
    return c->e->status != UB_OK;
}
/* "expected (...), found (...)" */
void ubp_nn_expect(ubp_nn_call *c, const char *expected);
/* "(None, 28, 28, 1)" into text of at least UBP_SHAPE_TEXT bytes. */
const char *ubp_nn_shape_text(char *text, int rank, const int64_t *dims);
/* The next output of the layer, with its dims (NULL: those of x). */
void ubp_nn_give(ubp_nn_call *c, int32_t value, int rank, const int64_t *dims);
/* Checks that a value belongs to this network and makes it an input of the layer. false: refused.
 */
bool ubp_nn_take(ubp_nn_call *c, ub_nn_value v);
/* Whether the layer is one of Keras. */
static inline bool ubp_nn_is_keras(const ubp_nn_call *c)
{
    return c->kind->what[0] == 'k';
}

/* Sizes along n axes: all of def where nothing is given, the first where only it is. Each must be
 * at least `least`. false: refused. */
bool ubp_nn_axes(ubp_nn_call *c, const char *what, const int64_t *given, int n, int64_t def,
                 int64_t least, int64_t *out);
/* How many sizes a shape in braces has. */
int ubp_nn_shape_rank(const int64_t *shape);
/* A size that must be given. false: refused. */
bool ubp_nn_want(ubp_nn_call *c, const char *what, int64_t value);
/* The size of an axis of x that must be known. false: refused. */
bool ubp_nn_known(ubp_nn_call *c, int axis, int64_t *out);

/* Channels last to first and back. */
int32_t ubp_nn_to_first(ubp_nn_call *c, int32_t v, int rank);
int32_t ubp_nn_to_last(ubp_nn_call *c, int32_t v, int rank);
/* 0 keeps the dim at its place, one may be -1. */
int32_t ubp_nn_reshape(ubp_nn_call *c, int32_t v, int rank, const int64_t *dims);
/* A node with one attribute or more. */
int32_t ubp_nn_node(ubp_nn_call *c, const char *op, int32_t x, int n_attrs, const ubp_attr *attrs);

/* ---- nn_weights.c -----------------------------------------------------------------------------
 */

/* The weight "layer/name" or "layer.name". */
int32_t ubp_nn_weight_new(ubp_nn_call *c, const char *name, int rank, const int64_t *dims,
                          ubp_nn_init init);
/* Glorot's bounds for a kernel of Keras. */
ubp_nn_init ubp_nn_glorot(int rank, const int64_t *dims);
/* Kaiming's for a = sqrt(5), as PyTorch's layers have it: 1/sqrt(fan_in). */
ubp_nn_init ubp_nn_kaiming(int64_t fan_in);
static inline ubp_nn_init ubp_nn_fill(double a)
{
    return (ubp_nn_init){.start = UBP_NN_FILL, .a = a};
}
static inline ubp_nn_init ubp_nn_uniform(double a)
{
    return (ubp_nn_init){.start = UBP_NN_UNIFORM, .a = a};
}
/* Values of the weights: from the file, or as they begin. */
ub_status ubp_nn_fill_weights(ub_nn *net, ub_error *err);

/* ---- nn_activation.c ---------------------------------------------------------------------------
 */

/* Keras' activation of that name; NULL: none. */
int32_t ubp_nn_activate(ubp_nn_call *c, int32_t x, const char *name);

/* ---- Builders: the table is in nn_kinds.c -------------------------------------------------------
 */

const ubp_nn_kind *ubp_nn_kind_find(const char *what);
void ubp_nn_build_input(ubp_nn_call *c);
void ubp_nn_build_keras_conv(ubp_nn_call *c);
void ubp_nn_build_keras_depthwise(ubp_nn_call *c);
void ubp_nn_build_keras_conv_transpose(ubp_nn_call *c);
void ubp_nn_build_torch_conv(ubp_nn_call *c);
void ubp_nn_build_torch_conv_transpose(ubp_nn_call *c);
void ubp_nn_build_keras_pool(ubp_nn_call *c);
void ubp_nn_build_keras_global(ubp_nn_call *c);
void ubp_nn_build_torch_pool(ubp_nn_call *c);
void ubp_nn_build_torch_adaptive(ubp_nn_call *c);
void ubp_nn_build_keras_batch_norm(ubp_nn_call *c);
void ubp_nn_build_keras_layer_norm(ubp_nn_call *c);
void ubp_nn_build_keras_group_norm(ubp_nn_call *c);
void ubp_nn_build_torch_batch_norm(ubp_nn_call *c);
void ubp_nn_build_torch_layer_norm(ubp_nn_call *c);
void ubp_nn_build_torch_group_norm(ubp_nn_call *c);
void ubp_nn_build_activation(ubp_nn_call *c);
void ubp_nn_build_slope(ubp_nn_call *c);
void ubp_nn_build_prelu(ubp_nn_call *c);
void ubp_nn_build_softmax(ubp_nn_call *c);
void ubp_nn_build_dense(ubp_nn_call *c);
void ubp_nn_build_linear(ubp_nn_call *c);
void ubp_nn_build_dropout(ubp_nn_call *c);
void ubp_nn_build_keras_flatten(ubp_nn_call *c);
void ubp_nn_build_torch_flatten(ubp_nn_call *c);
void ubp_nn_build_reshape(ubp_nn_call *c);
void ubp_nn_build_unflatten(ubp_nn_call *c);
void ubp_nn_build_embedding(ubp_nn_call *c);
void ubp_nn_build_merge(ubp_nn_call *c);
void ubp_nn_build_keras_recurrent(ubp_nn_call *c);
void ubp_nn_build_torch_recurrent(ubp_nn_call *c);
void ubp_nn_build_keras_attention(ubp_nn_call *c);
void ubp_nn_build_torch_attention(ubp_nn_call *c);

/* ---- nn_finish.c -------------------------------------------------------------------------------
 */

/* The complete network; out holds its graph and weights, net nothing any more. */
ub_status ubp_nn_finish(ubp_loaded *out, ub_nn *net, ub_error *err);

#endif
