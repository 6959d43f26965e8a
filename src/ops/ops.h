/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops: the operators. One row of a table per operator, one file per family; ops.def lists them all.
 * Semantics are those of ONNX's newest opset (older ones are rewritten by load/).
 *
 * An operator is described by functions over a ubp_call: tensors in, tensors out. The same struct
 * serves shape inference (data NULL: not known yet), the sample map, and running.
 */
#ifndef UBP_OPS_H
#define UBP_OPS_H

#include "graph/graph.h"

/* ---- What a kernel may use while it runs ---------------------------------------------------- */

typedef struct ubp_run {
    int threads;
    const volatile int *cancel; /* may be NULL */
    ubp_arena *scratch;         /* for temporary buffers; reset after each node */
    ubp_arena *strings;         /* the text of strings that are made; stays until the run is over */
    struct ubp_onednn *onednn;  /* NULL: reference kernels only */
    bool careful;               /* posts as passes of their own; see ubp_fast_watches() */
} ubp_run;

/* One call of an operator. */
typedef struct ubp_call {
    const ubp_op *op;
    const ubp_node *node; /* its name is for messages */
    const void *attr;     /* what op->attrs() parsed */
    int n_in, n_out;
    const ub_tensor *const *in; /* [n_in]; NULL where an optional input is left out */
    ub_tensor *const *out;      /* [n_out]; NULL where an optional output is not wanted */
    const ubp_run *run;         /* NULL while inferring */
    ub_error *err;
} ubp_call;

/* ---- The sample map: where the entries of sample s are ----------------------------------------
 */

typedef enum ubp_sample_kind {
    UBP_SAMPLES_NONE, /* no batch axis: the same for every sample, unless coupled */
    UBP_SAMPLES_AXIS  /* sample s has the indices (o*N + s)*inner + i of `axis` */
} ubp_sample_kind;

typedef struct ubp_samples {
    ubp_sample_kind kind;
    int axis;
    int64_t outer, inner; /* dims[axis] == outer * N * inner; 1, 1 unless folded */
    bool coupled;     /* a sample's entries depend on other samples (or on how many there are) */
    bool sized;       /* integers that count samples (shape arithmetic); data if used as shape */
    bool positional;  /* integers that number the rows of the batch (Range over it) */
    bool row_numbers; /* index tuples along the last axis, the first of each positional */
    const char *why;  /* set with coupled: one phrase, "softmax over the batch axis" */
    int32_t culprit;  /* set with coupled: the node where they mix; -1 while in the rule */
} ubp_samples;

/* What a batch rule sees. `n` is the number of samples. Dims of all tensors in call are known; data
 * of folded constants too. `grown` are the dims each output has when the batch is n + 1, or NULL
 * when that could not be worked out (then rely on the inputs' maps). */
typedef struct ubp_batch {
    const ubp_call *call;
    int64_t n;
    const ubp_samples *in;  /* [n_in]; absent inputs are NONE */
    ubp_samples *out;       /* [n_out], zeroed: NONE */
    const ub_tensor *grown; /* [n_out] or NULL */
} ubp_batch;

/* ---- The table
 * ----------------------------------------------------------------------------------- */

/* Returned by infer when an output's dims hang on the content of an input that is not known yet.
 * Not an error: the planner then runs the model step by step. */
#define UBP_NEEDS_DATA ((ub_status)1000)
/* Returned by a fast kernel's prepare that does not serve this case. */
#define UBP_DECLINED ((ub_status)1001)

enum {
    UBP_STRIDED = 1,    /* the reference kernel takes any strides of inputs and outputs; without
                           it all are row-major contiguous */
    UBP_WIDEN = 2,      /* has no own code for float16 and bfloat16: run in float32, round at the
                           end */
    UBP_SHAPE_ONLY = 4, /* reads only the dims of input 0 (Shape, Size) */
    UBP_CHEAP = 8,      /* elementwise: output 0 may take any layout all inputs share */
    UBP_BYTES = 16,     /* input 0 is copied from, byte by byte: it may lie at any address */
    UBP_FLOW = 256      /* has bodies, or takes or gives lists: run by exec/, not by ref */
};

struct ubp_op {
    const char *name;                        /* "Conv" */
    const char *domain;                      /* "" for ai.onnx */
    int8_t min_in, max_in, min_out, max_out; /* max_in 127: any number */
    uint32_t flags;
    size_t attr_size; /* of the parsed attributes; 0: none */
    /* Parses and checks attributes into attr (attr_size bytes, zeroed; arrays from arena). */
    ub_status (*attrs)(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err);
    /* Sets dtype, rank and dims of the outputs (ubp_tensor_describe), checking the inputs. */
    ub_status (*infer)(const ubp_call *call);
    /* Where the samples of the outputs are. Mandatory. */
    void (*batch)(ubp_batch *b);
    /* Output k as a view of input 0: sets out[k]->strides and *offset (bytes from in[0]->data);
     * false when it must be computed. NULL: never a view. in[0]->strides are valid, data is not. */
    bool (*view)(const ubp_call *call, int k, int64_t *offset);
    /* Plain C, every dtype the operator allows. Outputs are allocated. */
    ub_status (*ref)(const ubp_call *call);
    /* Multiply-accumulates of this call, for the summary; NULL: none. */
    int64_t (*macs)(const ubp_call *call);
};

/* The operator of that name and domain, or NULL. */
const ubp_op *ubp_op_find(const char *name, const char *domain);
int ubp_op_count(void);
const ubp_op *ubp_op_at(int i);

/* Runs the reference kernel whatever the strides and float16 dtypes are: makes contiguous and
 * widened copies in run->scratch where the kernel needs them. */
ub_status ubp_op_run(const ubp_call *call);

/* ---- attr.c: reading attributes ----------------------------------------------------------------
 */

/* Each gives the default when the attribute is absent, and refuses another kind. */
ub_status ubp_attr_int(const ubp_node *n, const char *name, int64_t def, int64_t *out,
                       ub_error *err);
ub_status ubp_attr_float(const ubp_node *n, const char *name, double def, double *out,
                         ub_error *err);
ub_status ubp_attr_string(const ubp_node *n, const char *name, const char *def, const char **out,
                          ub_error *err);
/* *count is -1 and *out NULL when absent. */
ub_status ubp_attr_ints(const ubp_node *n, const char *name, const int64_t **out, int *count,
                        ub_error *err);
ub_status ubp_attr_floats(const ubp_node *n, const char *name, const double **out, int *count,
                          ub_error *err);
/* The strings of a list, borrowed from the node. *count is -1 when absent. */
ub_status ubp_attr_strings(const ubp_node *n, const char *name, const char *const **out, int *count,
                           ub_error *err);

/* ---- check.c: words for shape rules. All messages name the node and the input ------------------
 */

ub_status ubp_want_rank(const ubp_call *c, int in, int min_rank, int max_rank);
ub_status ubp_want_float(const ubp_call *c, int in);
ub_status ubp_want_same_dtype(const ubp_call *c, int in_a, int in_b);
/* A shape or dtype that does not fit: UB_ERR_SHAPE, "node 'x' (Conv): ...". */
ub_status ubp_op_fail(const ubp_call *c, ub_status code, const char *fmt, ...) UBP_PRINTF(3, 4);
/* Output k gets this dtype and dims. */
ub_status ubp_set_out(const ubp_call *c, int k, ub_dtype dtype, int rank, const int64_t *dims);
/* Output k is like input i. */
ub_status ubp_set_like(const ubp_call *c, int k, int i);
/* The integers of a small 1-D (or scalar) int32/int64 input; UBP_NEEDS_DATA when not known.
 * At most max. */
ub_status ubp_in_ints(const ubp_call *c, int in, int64_t *out, int *count, int max);
/* Whether optional input `in` was given. */
static inline bool ubp_has_in(const ubp_call *c, int in)
{
    return in < c->n_in && c->in[in] != NULL;
}
static inline bool ubp_has_out(const ubp_call *c, int k)
{
    return k < c->n_out && c->out[k] != NULL;
}

/* ---- samples.c: words for batch rules -----------------------------------------------------------
 */

/* The usual first step: any coupled input makes every output coupled (kind is still set by the
 * rule), and so on for why and culprit. The planner calls it for every node before the rule's
 * answer is used; rules need not. */
void ubp_samples_inherit(ubp_batch *b);
/* Marks output k as mixing samples. why: a literal. */
void ubp_samples_couple(ubp_batch *b, int k, const char *why);
/* Output k has the map of input i, with its axis moved by `shift`. */
void ubp_samples_like(ubp_batch *b, int k, int i, int shift);
/* Elementwise with broadcasting over inputs [first, last]. */
void ubp_samples_broadcast(ubp_batch *b, int k, int first, int last);
/* Input 0 reshaped to output k's dims. */
void ubp_samples_reshape(ubp_batch *b, int k);
/* Output k is made from shapes alone: the axis that grows with the batch, if any. */
void ubp_samples_grown(ubp_batch *b, int k);
/* Axis `axis` of input i is reduced, sorted, normalised or otherwise mixed along: couples output k
 * when the batch lies on it. Returns whether it does. */
bool ubp_samples_mixes_axis(ubp_batch *b, int k, int i, int axis, const char *why);
/* Ready-made rules. */
void ubp_batch_elementwise(ubp_batch *b); /* broadcasting over all inputs, every output */
void ubp_batch_like_first(ubp_batch *b);  /* every output like input 0; other inputs must be NONE */
void ubp_batch_shape_only(ubp_batch *b);  /* Shape, Size: sized, no axis */

/* ---- loops.c: for reference kernels -------------------------------------------------------------
 */

/* Splits [0, n) over run->threads; see ubp_parallel. */
void ubp_run_parallel(const ubp_run *run, int64_t n, int64_t grain,
                      void (*fn)(void *arg, int64_t begin, int64_t end), void *arg);
/* Scratch memory until the node is done; 64-byte aligned. NULL: none left, *err filled. */
void *ubp_run_scratch(const ubp_call *c, size_t size);
/* Room for text of size bytes and its terminating 0. NULL: none left, *err filled. */
char *ubp_run_text(const ubp_call *c, size_t size);
/* The same with that text in it. */
const char *ubp_run_string(const ubp_call *c, const char *s, size_t size);
/* Whether the user asked to stop. */
static inline bool ubp_run_cancelled(const ubp_run *run)
{
    return run && run->cancel && *run->cancel;
}
#define UBP_CANCELLED(c) ubp_fail((c)->err, UB_ERR_CANCELLED, "interrupted")

#endif
