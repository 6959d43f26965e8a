/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the loader of .pt2 files: what its files share. The program is a list of calls of ATen
 * operators on named tensors, some of which write into tensors that others are views of. It is
 * walked once, in order: every call becomes nodes of our operators, and what was written to gets a
 * new value.
 */
#ifndef UBP_LOAD_PT2_H
#define UBP_LOAD_PT2_H

#include <jansson.h>

#include "load/emit.h"
#include "load/load.h"

enum {
    UBP_PT2_MAX_DEPTH = 16, /* graphs inside graphs */
    UBP_PT2_MAX_CHAIN = 64, /* views of views */
    UBP_PT2_MAX_LIST = 256  /* integers in a list of an operator's argument */
};

/* ---- pt2_meta.c: what the file says of a tensor ---------------------------------------------- */

typedef struct ubp_pt2_meta {
    ub_dtype dtype; /* UB_UNDEFINED where there is no storage for it here */
    int code;       /* the file's number of the dtype */
    int rank;
    int64_t dims[UB_MAX_RANK];    /* -1 where symbolic */
    int64_t sizes[UB_MAX_RANK];   /* in the example that the program was exported with */
    int64_t strides[UB_MAX_RANK]; /* in elements, for these sizes */
    int64_t offset;
    bool has_strides; /* all of them are known */
} ubp_pt2_meta;

/* The dtype of a number in the file; UB_UNDEFINED when it has no storage here. */
ub_dtype ubp_pt2_dtype(int64_t code);
/* "complex64": for messages. */
const char *ubp_pt2_dtype_name(int64_t code);
/* Reads a TensorMeta; false when it is not one. */
bool ubp_pt2_read_meta(ubp_pt2_meta *m, const json_t *meta);
/* Sets dtype, dims and their names of a value from a TensorMeta. */
ub_status ubp_pt2_describe(ubp_graph *g, int32_t value, const json_t *meta, const char *batch,
                           ub_error *err);
/* The symbol that counts the samples, by the sizes of the inputs; NULL when all are fixed. Lives
 * in the arena. */
const char *ubp_pt2_batch_symbol(const json_t *graph, const json_t *signature, ubp_arena *arena);
/* A size as text, "4*batch", from the file's "Mul(Integer(4), Symbol('s77', ...))"; NULL when it
 * cannot be read. Lives in the arena. */
const char *ubp_pt2_size_text(const char *expression, const char *batch, ubp_arena *arena);

/* ---- The program ----------------------------------------------------------------------------- */

/* How a tensor is a view of another one. */
typedef enum ubp_pt2_view_kind {
    UBP_PT2_NO_VIEW,
    UBP_PT2_SAME,    /* the very same tensor */
    UBP_PT2_RESHAPE, /* the same elements in the same order */
    UBP_PT2_PERMUTE, /* perm */
    UBP_PT2_SLICE,   /* start, end, step along axis; end INT64_MAX: to the end */
    UBP_PT2_SELECT,  /* the entry `start` of axis, which is gone */
    UBP_PT2_OTHER    /* what it shows changes with its base, but writing to it is refused */
} ubp_pt2_view_kind;

typedef struct ubp_pt2_view {
    ubp_pt2_view_kind kind;
    int axis;
    int64_t start, end, step;
    int64_t perm[UB_MAX_RANK];
} ubp_pt2_view;

/* A tensor of the program: a place that is read and written, under any number of names. */
typedef struct ubp_pt2_tensor {
    int32_t value;      /* what it holds now */
    int32_t base;       /* tensor that it is a view of, or -1 */
    int32_t root;       /* the last of the bases; itself when it is no view */
    int32_t scope;      /* of the call that made the view */
    uint32_t version;   /* of a root: how often it was written; of a view: when it was made */
    int chain;          /* views between it and its root */
    bool fixed;         /* a weight, buffer or constant */
    const json_t *meta; /* TensorMeta, or NULL */
    const json_t *call; /* that made the view */
    int output;         /* which output of that */
    ubp_pt2_view view;
} ubp_pt2_tensor;

typedef enum ubp_pt2_kind {
    UBP_PT2_TENSOR,
    UBP_PT2_INT,    /* a size: known, or a value of the graph, int64 of shape [1] */
    UBP_PT2_NOTHING /* None, or what nothing here can be asked for */
} ubp_pt2_kind;

/* A name of the program. */
typedef struct ubp_pt2_entry {
    const char *name;
    ubp_pt2_kind kind;
    int32_t tensor;
    int32_t value; /* the value when it was made; of a size: its value, or UBP_NO_VALUE if known */
    int64_t known;
} ubp_pt2_entry;

/* One graph of the program: the whole, or one that a higher-order operator runs. */
typedef struct ubp_pt2_scope {
    ubp_table names;     /* -> entries */
    const json_t *metas; /* tensor_values */
} ubp_pt2_scope;

/* A tensor that a call read or made. */
typedef struct ubp_pt2_use {
    int32_t entry, value;
} ubp_pt2_use;

/* One call of an operator, for the layer finder. */
typedef struct ubp_pt2_call {
    const char *stack; /* nn_module_stack, or NULL */
    size_t first_node, n_nodes;
    size_t reads, n_reads; /* in uses */
    size_t made, n_made;
    bool recurrent; /* a whole recurrent network: all it makes is what the module returns */
} ubp_pt2_call;

typedef struct ubp_pt2 {
    ubp_loaded *loaded;
    ubp_graph *g;
    const ubp_zip *zip;
    const char *root;      /* folder of the archive, with its slash */
    const char *model;     /* name of the program */
    const json_t *program; /* models/NAME.json */
    const json_t *module;  /* graph_module */
    const char *batch;     /* the symbol that counts the samples, or NULL */
    ubp_emit emit;
    ub_error *err;

    ubp_pt2_tensor *tensors;
    size_t n_tensors, cap_tensors;
    ubp_pt2_entry *entries;
    size_t n_entries, cap_entries;
    ubp_pt2_scope *scopes; /* those of finished graphs too: views may be made again */
    size_t n_scopes, cap_scopes;
    ubp_pt2_call *calls;
    size_t n_calls, cap_calls;
    ubp_pt2_use *uses;
    size_t n_uses, cap_uses;
    int32_t *results; /* entries that the program returns */
    size_t n_results, cap_results;
    ubp_table ops;  /* base name -> row of the table of operators */
    bool recording; /* reads go to uses */
    int depth;      /* calls that are being made, one for another */
} ubp_pt2;

/* ---- pt2_weights.c --------------------------------------------------------------------------- */

/* Values for all parameters, buffers and constants that the signature lists; entries in scope 0. */
ub_status ubp_pt2_weights(ubp_pt2 *p);

/* ---- pt2_program.c: walking the calls -------------------------------------------------------- */

ub_status ubp_pt2_run(ubp_pt2 *p);
/* The entry of that name in a scope, or -1. */
int32_t ubp_pt2_find(const ubp_pt2 *p, int32_t scope, const char *name);
ub_status ubp_pt2_add_entry(ubp_pt2 *p, int32_t scope, const ubp_pt2_entry *e, int32_t *out);
/* A new tensor of that value under that name. */
ub_status ubp_pt2_add_tensor(ubp_pt2 *p, int32_t scope, const char *name, const ubp_pt2_tensor *t,
                             int32_t *entry);
/* Makes a call again for the tensors it reads now; the value of one of its outputs. */
ub_status ubp_pt2_again(ubp_pt2 *p, const json_t *call, int32_t scope, int output, int32_t *value);

/* ---- pt2_alias.c: views and what writes to them ---------------------------------------------- */

/* What the tensor holds now: a view whose base was written since is made again. */
ub_status ubp_pt2_read(ubp_pt2 *p, int32_t tensor, int32_t *value);
/* The tensor holds that from now on, and so do its base and all views of it. name: of the writing
 * call, for messages. */
ub_status ubp_pt2_write(ubp_pt2 *p, int32_t tensor, int32_t value, const char *name);

/* base with the slice `view` (axis, start, end, step) of an axis of that size (-1: not known)
 * replaced by value; UBP_NO_VALUE: when that cannot be written down. */
int32_t ubp_pt2_put_slice(ubp_emit *e, int32_t base, const ubp_pt2_view *view, int64_t size,
                          int32_t value);

/* ---- pt2_args.c: the arguments of a call ------------------------------------------------------
 */

/* A size that may be known only when the model runs. */
typedef struct ubp_pt2_size {
    int64_t known;
    int32_t value; /* int64 of shape [1], or UBP_NO_VALUE: known */
} ubp_pt2_size;

/* A call on its way to nodes. Words with `name` take the argument of that name of the operator's
 * schema; a word that finds another kind there fails or refuses. */
typedef struct ubp_at {
    ubp_pt2 *p;
    ubp_emit *e;
    const json_t *call, *inputs;
    int32_t scope;
    const char *target;   /* "torch.ops.aten.add_.Tensor" */
    const char *base;     /* "add" */
    const char *overload; /* "Tensor" */
    bool in_place;
    uint64_t taken;      /* inputs that were looked at, by position */
    const char *refused; /* why this form is not supported, or NULL */
    int n_out;
    int32_t *out;        /* [n_out] what the operator gives; UBP_NO_VALUE: not made */
    ubp_pt2_view *views; /* [n_out] how they are views of self */
    const char **names;  /* [n_out] in the file, NULL: None or no tensor */
    bool recurrent;
} ubp_at;

/* What the program says of an argument; false when it is no tensor. */
bool ubp_at_meta(ubp_at *a, const char *name, ubp_pt2_meta *m);
/* What it says of an output. */
bool ubp_at_out_meta(ubp_at *a, int k, ubp_pt2_meta *m);
/* Whether an argument is there and not None. */
bool ubp_at_given(ubp_at *a, const char *name);
/* A tensor's value; of an optional one that is not given: UBP_NO_VALUE. */
int32_t ubp_at_tensor(ubp_at *a, const char *name);
int32_t ubp_at_optional(ubp_at *a, const char *name);
bool ubp_at_is_tensor(ubp_at *a, const char *name);
/* A list of tensors, in the graph's arena; holes are UBP_NO_VALUE. metas may be NULL. */
int ubp_at_tensors(ubp_at *a, const char *name, int32_t **out, ubp_pt2_meta **metas);
int64_t ubp_at_int(ubp_at *a, const char *name, int64_t def);
double ubp_at_float(ubp_at *a, const char *name, double def);
bool ubp_at_bool(ubp_at *a, const char *name, bool def);
const char *ubp_at_string(ubp_at *a, const char *name, const char *def);
/* Fixed integers; -1 when not given. A single integer is a list of one. */
int ubp_at_ints(ubp_at *a, const char *name, int64_t *out, int max);
int ubp_at_floats(ubp_at *a, const char *name, double *out, int max);
/* Sizes; -1 when not given. */
int ubp_at_sizes(ubp_at *a, const char *name, ubp_pt2_size *out, int max);
ubp_pt2_size ubp_at_size(ubp_at *a, const char *name, int64_t def);
/* The i-th argument as a size: those of Python's operators have no names. */
ubp_pt2_size ubp_at_operand_size(ubp_at *a, size_t i);
/* The dtype that is asked for, or def. */
ub_dtype ubp_at_dtype(ubp_at *a, const char *name, ub_dtype def);
/* Whether a number is given as an integer (or bool) rather than a float. */
bool ubp_at_is_int(ubp_at *a, const char *name);
bool ubp_at_is_bool(ubp_at *a, const char *name);
/* Says that an argument has no part in what is computed. */
void ubp_at_ignore(ubp_at *a, const char *name);
/* An axis, counted from the front; refuses one that is not there. */
int ubp_at_axis(ubp_at *a, const char *name, int64_t def, int rank);
/* A list of sizes as a value, int64 of rank 1. */
int32_t ubp_at_shape(ubp_at *a, const ubp_pt2_size *sizes, int n);
/* Zeroed, in the graph's arena; NULL and a failure remembered when there is no memory. */
void *ubp_at_array(ubp_at *a, size_t count, size_t size);
/* The form is not supported: the nodes stay under a name that says so. */
void ubp_at_refuse(ubp_at *a, const char *fmt, ...) UBP_PRINTF(2, 3);
/* Gives output k. */
void ubp_at_give(ubp_at *a, int k, int32_t value);
/* Output k is a view of self. */
void ubp_at_view(ubp_at *a, int k, ubp_pt2_view view);

/* ---- pt2_ops*.c: the operators ----------------------------------------------------------------
 */

typedef struct ubp_pt2_op {
    const char *name; /* without "aten." and the overload */
    void (*make)(ubp_at *a);
    const char *word; /* for make: the ONNX operator, or another hint */
} ubp_pt2_op;

/* The families, each ended by a row without a name. */
extern const ubp_pt2_op ubp_pt2_ops_math[], ubp_pt2_ops_act[], ubp_pt2_ops_nn[],
    ubp_pt2_ops_product[], ubp_pt2_ops_arrange[], ubp_pt2_ops_pool[], ubp_pt2_ops_move[],
    ubp_pt2_ops_join[], ubp_pt2_ops_make[], ubp_pt2_ops_reduce[], ubp_pt2_ops_index[],
    ubp_pt2_ops_scatter[], ubp_pt2_ops_rnn[], ubp_pt2_ops_attention[], ubp_pt2_ops_resize[];

/* The row of an operator, or NULL. */
const ubp_pt2_op *ubp_pt2_op_find(const ubp_pt2 *p, const char *base);
ub_status ubp_pt2_op_table(ubp_pt2 *p);
/* The word of the row that is running. */
const char *ubp_at_word(const ubp_at *a);

/* ---- pt2_promote.c: dtypes of mixed operands --------------------------------------------------
 */

/* PyTorch's rule for two operands of an elementwise operator, tensors or numbers. */
ub_dtype ubp_at_promote(ubp_at *a, const char *x, const char *y);
/* An operand (tensor or number) in that dtype. */
int32_t ubp_at_operand(ubp_at *a, const char *name, ub_dtype dtype);

/* ---- pt2_layers.c ---------------------------------------------------------------------------- */

/* Fills g->layers from what was recorded. After ubp_graph_sort(). */
ub_status ubp_pt2_layers(ubp_pt2 *p);

#endif
