/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keras: what the files of the Keras loader share. A model's configuration (JSON) becomes models,
 * layers and calls; each call of a layer becomes nodes in ONNX's operators, written by the
 * builders of keras_*.c through the words of keras_emit.c.
 *
 * Words have no status of their own: the first failure is kept in the loader, later words do
 * nothing and give UBP_NO_VALUE, and the caller of a builder looks once.
 */
#ifndef UBP_KERAS_H
#define UBP_KERAS_H

#include <jansson.h>

#include "load/load.h"

enum {
    UBP_KERAS_DEPTH = 24,         /* of models in models, and of lists in arguments */
    UBP_KERAS_PORTS = 256,        /* tensors of one argument list or result */
    UBP_KERAS_MAX_CALLS = 1 << 20 /* of layers, in all */
};

typedef struct ubp_keras ubp_keras;
typedef struct ubp_keras_layer ubp_keras_layer;
typedef struct ubp_keras_model ubp_keras_model;
typedef struct ubp_keras_call ubp_keras_call;

/* Which steps of a sequence count: as a rule, made into a value when it is first used. */
typedef struct ubp_keras_mask {
    int32_t value;      /* bool (N, T), or UBP_NO_VALUE until it is used */
    int32_t source;     /* the tensor it is made from */
    int rank;           /* of the source */
    ub_dtype dtype;     /* of the source */
    bool whole_feature; /* Masking: any element along the last axis differs; else Embedding's != */
    double number;      /* that does not count */
} ubp_keras_mask;

/* A tensor on its way through the layers. */
typedef struct ubp_kt {
    int32_t value; /* UBP_NO_VALUE: none */
    int rank;
    ub_dtype dtype;
    ubp_keras_mask *mask; /* or NULL */
    const json_t *shape;  /* as the file says, or NULL */
} ubp_kt;

/* Builds the nodes of one call: reads call->x, sets call->out and n_out. */
typedef void (*ubp_keras_builder)(ubp_keras_call *c);

struct ubp_keras_layer {
    const char *type;  /* class name */
    const char *name;  /* as in the file */
    const char *path;  /* "outer/inner" */
    const char *store; /* where the archive has its variables: "layers/dense_1" */
    const char *parts; /* components that its variables' names have in an .h5: "inner/dense" */
    const char *group; /* of an .h5 */
    const json_t *entry;
    const json_t *config;
    bool is_op;             /* an operation on tensors (keras.ops), not a layer */
    ubp_keras_model *model; /* a nested model, or NULL */
    int n_nodes;            /* calls in the model it is in */
    ub_dtype compute;       /* of its dtype policy */
    bool checked;           /* the name of its variables was compared */
};

struct ubp_keras_model {
    const char *path; /* "" for the whole */
    const char *store, *parts, *group;
    bool sequential;
    const json_t *config;
    ubp_keras_layer *layers; /* [n] in the file's order */
    int n_runs;              /* so far */
    size_t n;
    ubp_table names;
    ubp_keras_model *next; /* in ubp_keras.models */
};

/* What a run of a model has computed. */
typedef struct ubp_keras_results {
    ubp_kt *out; /* NULL: not yet */
    int n_out;
} ubp_keras_results;

typedef struct ubp_keras_run {
    ubp_keras_model *model;
    int *first;                 /* [n] of each layer in results */
    ubp_keras_results *results; /* one per call */
    const ubp_kt *inputs;       /* [n_inputs] */
    int n_inputs;
    int number; /* which run of this model */
} ubp_keras_run;

/* One call of a layer. */
struct ubp_keras_call {
    ubp_keras *k;
    ubp_keras_layer *layer;
    const json_t *config;      /* layer->config */
    const char *name;          /* "shared#1" */
    ubp_keras_run *run;        /* the model around it; NULL inside wrappers and Sequential */
    const json_t *args;        /* what it is called with: array, or NULL */
    const json_t *kwargs;      /* object, or NULL */
    ubp_kt x[UBP_KERAS_PORTS]; /* tensors of the first argument */
    int n_x;
    ubp_kt out[UBP_KERAS_PORTS];
    int n_out;
    ub_dtype compute;
};

/* A layer of the graph as it is made; becomes a ubp_layer at the end. */
typedef struct ubp_keras_record {
    const char *path, *name, *type;
    int call, depth;
    int32_t parent;
    int32_t *in, *out;
    int n_in, n_out;
    int32_t first, last; /* nodes, in the order they were added */
} ubp_keras_record;

struct ubp_keras {
    ubp_loaded *loaded;
    ubp_graph *g;
    ub_error *err;
    ub_status status; /* the first failure */
    ubp_hdf5 *h5;
    bool keras2;           /* written by Keras 2 or 1 */
    bool legacy;           /* .h5: variables by name */
    const char *vars_root; /* "layers", or what Keras 2.13 calls it */
    ubp_arena arena;       /* for the time of loading */
    ubp_keras_model *models;
    ubp_keras_record *records;
    size_t n_records, cap_records;
    int32_t parent; /* record of the layer being built, or -1 */
    const char *node_name;
    int n_calls;
    struct ubp_keras_group *groups; /* of an .h5, read when first used */
};

/* ---- keras_config.c: JSON to models and layers -------------------------------------------------
 */

/* What a class and config say; where: the path of the model around it, "" for the whole. */
ub_status ubp_keras_read_model(ubp_keras *k, ubp_keras_model **out, const json_t *entry,
                               const ubp_keras_layer *layer, int depth);
/* A layer inside another (Bidirectional, TimeDistributed). attribute: what the archive calls it;
 * part: what names in an .h5 have for it, or NULL. */
ub_status ubp_keras_inner_layer(ubp_keras *k, ubp_keras_layer *out, const ubp_keras_layer *outer,
                                const json_t *entry, const char *attribute, bool named);
void ubp_keras_release_models(ubp_keras *k);
/* Members of configurations, with a default where they are absent or null. */
const json_t *ubp_keras_get(const json_t *object, const char *name);
const char *ubp_keras_text(const json_t *object, const char *name, const char *def);
bool ubp_keras_flag(const json_t *object, const char *name, bool def);
double ubp_keras_number(const json_t *object, const char *name, double def);
int64_t ubp_keras_int(const json_t *object, const char *name, int64_t def);
/* An integer or list of them; a single one is repeated `n` times. False unless there are n. */
bool ubp_keras_ints(const json_t *value, int n, int64_t *out);
/* The dtype of a name or of a dtype policy: what it computes in. */
ub_status ubp_keras_policy(ubp_keras *k, const json_t *dtype, const char *path, ub_dtype *out);

/* ---- keras_run.c: calls in order ---------------------------------------------------------------
 */

/* Runs a model on tensors. */
ub_status ubp_keras_run_model(ubp_keras *k, ubp_keras_model *m, const ubp_kt *inputs, int n_inputs,
                              ubp_kt *out, int *n_out, int depth);
/* Builds one call of a layer; depth counts nested models and wrappers. */
ub_status ubp_keras_build(ubp_keras_call *c, int depth);
/* Builds an inner layer's call on x, without a record of its own. */
void ubp_keras_build_inner(ubp_keras_call *outer, ubp_keras_layer *layer, const ubp_kt *x, int n_x,
                           ubp_kt *out, int *n_out);
/* The argument of that name, or at that place; NULL when there is none or it is null. */
const json_t *ubp_keras_arg(const ubp_keras_call *c, int place, const char *name);
/* Whether a JSON value stands for a tensor of the model. */
bool ubp_keras_is_tensor(const ubp_keras_call *c, const json_t *value);
/* The tensor, number or list of numbers that an argument stands for. dtype of plain numbers. */
ubp_kt ubp_keras_tensor(ubp_keras_call *c, const json_t *value, ub_dtype dtype);
/* All tensors in an argument, lists flattened; returns how many. */
int ubp_keras_tensors(ubp_keras_call *c, const json_t *value, ubp_kt *out, int most);

/* ---- keras_layers.c: which builder ------------------------------------------------------------
 */

ubp_keras_builder ubp_keras_find_layer(const char *type);
ubp_keras_builder ubp_keras_find_op(const char *type);
/* Whether masks pass through layers of this class. */
bool ubp_keras_passes_mask(const char *type);

/* ---- keras_weights.c --------------------------------------------------------------------------
 */

/* A variable: the index-th under `store`/sub/vars, or the one of that name in an .h5. part: a
 * component before the name that tells it from others ("query"), or NULL. */
ubp_kt ubp_keras_weight(ubp_keras_call *c, const char *sub, const char *part, int index,
                        const char *name);
/* Whether there is such a variable. */
bool ubp_keras_has_weight(ubp_keras_call *c, const char *sub, int index);
/* Dim `axis` of a constant, counted from the end where negative. */
int64_t ubp_keras_dim(const ubp_keras_call *c, ubp_kt t, int axis);

/* ---- keras_emit.c: words ------------------------------------------------------------------------
 */

/* Refuses the layer: "layer 'x' (Conv2D): ..." */
void ubp_keras_fail(ubp_keras_call *c, ub_status code, const char *fmt, ...) UBP_PRINTF(3, 4);
static inline bool ubp_keras_failed(const ubp_keras_call *c)
{
    return c->k->status != UB_OK;
}

typedef ubp_kt kt;
static inline ubp_attr ubp_k_int(const char *name, int64_t i)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_INT, .i = i};
}
static inline ubp_attr ubp_k_float(const char *name, double f)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_FLOAT, .f = f};
}
static inline ubp_attr ubp_k_string(const char *name, const char *s)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_STRING, .s = s, .s_size = __builtin_strlen(s)};
}
/* v is copied when the node is made. */
static inline ubp_attr ubp_k_list(const char *name, int n, const int64_t *v)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_INTS, .n = (size_t)n, .ints = v};
}

/* A node with one output of that rank and dtype, or with n_out of them. */
kt ubp_k_node(ubp_keras_call *c, const char *op, int rank, ub_dtype dtype, int n_in, const kt *in,
              int n_attrs, const ubp_attr *attrs);
void ubp_k_node_outputs(ubp_keras_call *c, const char *op, int n_in, const kt *in, int n_attrs,
                        const ubp_attr *attrs, int n_out, kt *out);
kt ubp_k_one(ubp_keras_call *c, const char *op, kt a);
kt ubp_k_one_with(ubp_keras_call *c, const char *op, kt a, int n_attrs, const ubp_attr *attrs);
/* Elementwise with broadcasting; of two dtypes the wider is taken. */
kt ubp_k_two(ubp_keras_call *c, const char *op, kt a, kt b);
/* The same, giving bool. */
kt ubp_k_compare(ubp_keras_call *c, const char *op, kt a, kt b);
kt ubp_k_not(ubp_keras_call *c, kt a);
kt ubp_k_where(ubp_keras_call *c, kt condition, kt a, kt b);
kt ubp_k_cast(ubp_keras_call *c, kt a, ub_dtype dtype);
kt ubp_k_number(ubp_keras_call *c, ub_dtype dtype, double value); /* a scalar */
kt ubp_k_numbers(ubp_keras_call *c, ub_dtype dtype, int n, const double *values);
kt ubp_k_array(ubp_keras_call *c, ub_dtype dtype, int rank, const int64_t *dims,
               const double *values);
kt ubp_k_ints(ubp_keras_call *c, int n, const int64_t *values);
/* a op number */
kt ubp_k_with(ubp_keras_call *c, const char *op, kt a, double number);
kt ubp_k_clip(ubp_keras_call *c, kt a, double low, double high); /* NAN: no bound */
kt ubp_k_transpose(ubp_keras_call *c, kt a, const int64_t *perm);
kt ubp_k_move_axis(ubp_keras_call *c, kt a, int from, int to);
/* Swaps the last two axes. */
kt ubp_k_swap_last(ubp_keras_call *c, kt a);
/* 0 keeps a dim, -1 is what is left. */
kt ubp_k_reshape(ubp_keras_call *c, kt a, int n, const int64_t *dims);
kt ubp_k_unsqueeze(ubp_keras_call *c, kt a, int axis);
kt ubp_k_squeeze(ubp_keras_call *c, kt a, int axis);
kt ubp_k_reduce(ubp_keras_call *c, const char *op, kt a, int n_axes, const int64_t *axes,
                bool keep);
kt ubp_k_concat(ubp_keras_call *c, int n, const kt *parts, int axis);
/* end INT64_MAX: to the end. */
kt ubp_k_slice(ubp_keras_call *c, kt a, int axis, int64_t start, int64_t end, int64_t step);
kt ubp_k_flip(ubp_keras_call *c, kt a, int axis);
kt ubp_k_gather(ubp_keras_call *c, kt a, kt index, int axis);
/* pads: [rank] before, [rank] after. */
kt ubp_k_pad(ubp_keras_call *c, kt a, const int64_t *pads);
kt ubp_k_matmul(ubp_keras_call *c, kt a, kt b);
kt ubp_k_einsum(ubp_keras_call *c, const char *equation, int n, const kt *in, int rank);
kt ubp_k_softmax(ubp_keras_call *c, kt a, int axis);
/* The dims of a as int64 (rank,), for shape arithmetic. */
kt ubp_k_shape(ubp_keras_call *c, kt a);
/* One dim as int64 (1,). */
kt ubp_k_dim(ubp_keras_call *c, kt a, int axis);
/* Axis of a config, -rank..rank-1, to 0..rank-1; refuses others. */
int ubp_k_axis(ubp_keras_call *c, int64_t axis, int rank);
/* To channels first and back, when `last`. */
kt ubp_k_to_first(ubp_keras_call *c, kt a, bool last);
kt ubp_k_to_last(ubp_keras_call *c, kt a, bool last);
/* The one output of a call. */
void ubp_k_give(ubp_keras_call *c, kt out);
/* Input 0 in the dtype that the layer computes in. */
kt ubp_k_input(ubp_keras_call *c);
/* Input i: floats in the dtype that the layer computes in, others as they are. */
kt ubp_k_input_as_is(ubp_keras_call *c, int i);
/* Dim `axis` of a tensor as the file says it; refuses the layer where the file does not. */
int64_t ubp_k_known_dim(ubp_keras_call *c, kt a, int axis);
/* n equal numbers. */
kt ubp_k_filled(ubp_keras_call *c, ub_dtype dtype, int64_t n, double value);
/* bool (N, T), made when first asked for; value UBP_NO_VALUE when there is no mask. */
kt ubp_k_mask(ubp_keras_call *c, ubp_keras_mask *mask);
/* A mask that is a value. */
ubp_keras_mask *ubp_k_new_mask(ubp_keras_call *c, kt value);
/* The mask of an argument: the one given by name, or the tensor's own. */
kt ubp_k_mask_of(ubp_keras_call *c, const char *name, kt of);

/* ---- keras_activation.c ------------------------------------------------------------------------
 */

/* An activation as the config writes it: a name, an object, or null for none. */
kt ubp_k_activation(ubp_keras_call *c, const json_t *activation, kt x);
kt ubp_k_named_activation(ubp_keras_call *c, const char *name, kt x);

#define UBP_KERAS_BUILDER(name) void ubp_keras_##name(ubp_keras_call *c)
UBP_KERAS_BUILDER(activation_layer);
UBP_KERAS_BUILDER(relu_layer);
UBP_KERAS_BUILDER(leaky_relu_layer);
UBP_KERAS_BUILDER(thresholded_relu_layer);
UBP_KERAS_BUILDER(prelu_layer);
UBP_KERAS_BUILDER(elu_layer);
UBP_KERAS_BUILDER(softmax_layer);
UBP_KERAS_BUILDER(multi_head_attention);
UBP_KERAS_BUILDER(grouped_query_attention);
UBP_KERAS_BUILDER(attention);
UBP_KERAS_BUILDER(additive_attention);
UBP_KERAS_BUILDER(dense);
UBP_KERAS_BUILDER(einsum_dense);
UBP_KERAS_BUILDER(layer_scale);
UBP_KERAS_BUILDER(custom_scale);
UBP_KERAS_BUILDER(embedding);
UBP_KERAS_BUILDER(masking);
UBP_KERAS_BUILDER(add);
UBP_KERAS_BUILDER(subtract);
UBP_KERAS_BUILDER(multiply);
UBP_KERAS_BUILDER(maximum);
UBP_KERAS_BUILDER(minimum);
UBP_KERAS_BUILDER(concatenate);
UBP_KERAS_BUILDER(dot);
UBP_KERAS_BUILDER(nothing);
UBP_KERAS_BUILDER(wrapper);
UBP_KERAS_BUILDER(time_distributed);
UBP_KERAS_BUILDER(conv);
UBP_KERAS_BUILDER(depthwise_conv);
UBP_KERAS_BUILDER(separable_conv);
UBP_KERAS_BUILDER(conv_transpose);
UBP_KERAS_BUILDER(batch_normalization);
UBP_KERAS_BUILDER(layer_normalization);
UBP_KERAS_BUILDER(rms_normalization);
UBP_KERAS_BUILDER(group_normalization);
UBP_KERAS_BUILDER(unit_normalization);
UBP_KERAS_BUILDER(normalization);
UBP_KERAS_BUILDER(rescaling);
UBP_KERAS_BUILDER(op_binary);
UBP_KERAS_BUILDER(op_unary);
UBP_KERAS_BUILDER(op_composed);
UBP_KERAS_BUILDER(op_activation);
UBP_KERAS_BUILDER(op_parametric);
UBP_KERAS_BUILDER(op_softmax);
UBP_KERAS_BUILDER(op_clip);
UBP_KERAS_BUILDER(op_cast);
UBP_KERAS_BUILDER(op_where);
UBP_KERAS_BUILDER(op_reduce);
UBP_KERAS_BUILDER(op_arg);
UBP_KERAS_BUILDER(op_reshape);
UBP_KERAS_BUILDER(op_transpose);
UBP_KERAS_BUILDER(op_swap_axes);
UBP_KERAS_BUILDER(op_expand_dims);
UBP_KERAS_BUILDER(op_squeeze);
UBP_KERAS_BUILDER(op_concatenate);
UBP_KERAS_BUILDER(op_flip);
UBP_KERAS_BUILDER(op_split);
UBP_KERAS_BUILDER(op_repeat);
UBP_KERAS_BUILDER(op_tile);
UBP_KERAS_BUILDER(op_pad);
UBP_KERAS_BUILDER(op_get_item);
UBP_KERAS_BUILDER(op_take);
UBP_KERAS_BUILDER(op_matmul);
UBP_KERAS_BUILDER(op_einsum);
UBP_KERAS_BUILDER(max_pooling);
UBP_KERAS_BUILDER(average_pooling);
UBP_KERAS_BUILDER(global_max);
UBP_KERAS_BUILDER(global_average);
UBP_KERAS_BUILDER(global_average_1d);
UBP_KERAS_BUILDER(adaptive_max);
UBP_KERAS_BUILDER(adaptive_average);
UBP_KERAS_BUILDER(recurrent);
UBP_KERAS_BUILDER(bidirectional);
UBP_KERAS_BUILDER(flatten);
UBP_KERAS_BUILDER(reshape);
UBP_KERAS_BUILDER(permute);
UBP_KERAS_BUILDER(repeat_vector);
UBP_KERAS_BUILDER(zero_padding);
UBP_KERAS_BUILDER(cropping);
UBP_KERAS_BUILDER(up_sampling);
UBP_KERAS_BUILDER(resizing);
UBP_KERAS_BUILDER(center_crop);
UBP_KERAS_BUILDER(op_tensorflow);

#endif
