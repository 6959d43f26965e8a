/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the ONNX loader: what its files share. A model is read in one walk over protobuf fields;
 * weights are only located, never read. Field numbers are those of onnx.proto.
 */
#ifndef UBP_LOAD_ONNX_H
#define UBP_LOAD_ONNX_H

#include "load/load.h"

enum {
    UBP_ONNX_OPSET_MAX = 28, /* onnx 1.23 */
    UBP_ONNX_MAX_DEPTH = 32  /* bodies inside bodies */
};

/* Versions of the operators' domains: the model's, or a function's. */
typedef struct ubp_onnx_imports {
    int64_t opset;     /* of ai.onnx; 0: not said */
    ubp_table domains; /* other domains -> their opset */
} ubp_onnx_imports;

struct ubp_onnx_call;

/* One file being loaded. */
typedef struct ubp_onnx {
    ubp_loaded *loaded;
    const char *folder; /* where external data lies; NULL: cannot be reached */
    char *real_folder;  /* the same without links, once it was needed; owned */
    char **external;    /* [loaded->n_external] real paths of the mapped files; owned */
    size_t cap_external;
    const char *last_location; /* the file that the weight before lay in; NULL: none yet */
    const ub_buffer *last_external;
    ubp_onnx_imports imports;
    ubp_table functions;        /* "domain:name:overload" of the file's own -> function_bodies */
    ubp_proto *function_bodies; /* [n_functions] FunctionProto; owned */
    size_t n_functions, cap_functions;
    const struct ubp_onnx_call *call; /* the function being put in, NULL: none */
    size_t n_inlined;                 /* nodes read so far that came from functions */
    ubp_table prefixes;               /* names of calls, so that no two are alike */
    size_t n_large;                   /* weights passed by whose pages were not given back yet */
    const char **initializers;        /* names; owned */
    size_t n_initializers, cap_initializers;
    ubp_onnx_meta *meta; /* of the model graph's nodes, by ubp_node.order; owned */
    size_t n_meta, cap_meta;
    ub_error *err;
} ubp_onnx;

/* What follows from the file about a value that it says nothing of. */
typedef struct ubp_onnx_fact {
    ub_dtype dtype; /* UB_UNDEFINED: not known */
    int rank;       /* -1: not known */
} ubp_onnx_fact;

/* One graph of it being filled: the model's, or a body. */
typedef struct ubp_onnx_scope {
    ubp_onnx *onnx;
    ubp_graph *g;
    int depth;
    ubp_table info_names; /* what the file says of values: name -> infos[] */
    ubp_proto *infos;     /* TypeProto; owned */
    size_t n_infos, cap_infos;
    ubp_onnx_fact *facts; /* [n_facts] by value; owned */
    size_t n_facts, cap_facts;
} ubp_onnx_scope;

/* ---- onnx.c ---------------------------------------------------------------------------------- */

/* GraphProto into g, sorted. */
ub_status ubp_onnx_graph(ubp_onnx *o, ubp_graph *g, ubp_proto message, int depth);
/* The value of that name, with the dtype and dims that the file says of it. */
ub_status ubp_onnx_value(ubp_onnx_scope *s, const char *name, int32_t *out);
/* Refuses an opset that is newer than what is known. */
ub_status ubp_onnx_check_opset(const ubp_onnx *o, int64_t opset);
/* OperatorSetIdProto. */
ub_status ubp_onnx_read_opset(ubp_onnx *o, ubp_onnx_imports *to, ubp_proto message,
                              ubp_arena *arena);
/* Makes a value a constant. The value must not be given by anything else. */
ub_status ubp_onnx_set_constant(ubp_onnx_scope *s, int32_t value, const ub_tensor *t);

/* ---- onnx_fields.c: strings and pairs -------------------------------------------------------- */

/* Checks the wire type of a field that has the number of a known one. */
ub_status ubp_onnx_want(const ubp_proto *p, const ubp_proto_field *f, int wire, ub_error *err);
/* Offset in the file of where p stands. */
int64_t ubp_onnx_offset(const ubp_proto *p, const uint8_t *at);
/* A field's bytes as a terminated string in the arena. Zero bytes are refused. */
ub_status ubp_onnx_string(const ubp_proto *p, const ubp_proto_field *f, ubp_arena *arena,
                          const char **out, ub_error *err);
/* StringStringEntryProto; both fields are views, size 0 when absent. */
ub_status ubp_onnx_entry(ubp_proto message, ubp_proto_field *key, ubp_proto_field *value,
                         ub_error *err);
bool ubp_onnx_is(const ubp_proto_field *f, const char *text);

/* ---- onnx_type.c: TypeProto ------------------------------------------------------------------ */

/* dtype, rank and dims of a value, where the file says them. */
/* onnx_kinds.c: fills in what is a sequence or an optional, in g (sorted) and its bodies. */
void ubp_onnx_kinds(ubp_graph *g);

ub_status ubp_onnx_type(ubp_value *v, ubp_proto message, ubp_arena *arena, ub_error *err);

/* ---- onnx_tensor.c: TensorProto -------------------------------------------------------------- */

/* What a TensorProto says, before its elements are located. */
typedef struct ubp_onnx_weight {
    const char *name; /* in the arena, "" when absent */
    int dtype;        /* TensorProto.DataType; may be one that ub_tensor does not have */
    int rank;
    int64_t dims[UB_MAX_RANK];
    ubp_proto message;
    ubp_proto_field raw; /* raw_data; data NULL when absent */
    uint32_t typed;      /* the field number of typed elements, 0 when there are none */
    bool is_external;
    const char *location; /* of external data, or NULL */
    uint64_t offset, length;
    bool has_length;
} ubp_onnx_weight;

ub_status ubp_onnx_weight_parse(ubp_onnx_weight *w, ubp_proto message, ubp_arena *arena,
                                ub_error *err);
/* Whether its dtype has a storage here. */
bool ubp_onnx_weight_stored(const ubp_onnx_weight *w);
/* The tensor: a view of the file, or of an external one through o; elements that are stored as
 * numbers one by one, and small unaligned ones, are copied into the arena. o NULL: no external
 * data, and everything unaligned is copied. */
ub_status ubp_onnx_weight_tensor(ub_tensor *out, const ubp_onnx_weight *w, ubp_onnx *o,
                                 ubp_arena *arena, ub_error *err);
/* "float8e4m3fn", "string", ...: the words for a TensorProto.DataType. */
const char *ubp_onnx_dtype_name(int dtype);

/* ---- onnx_external.c ------------------------------------------------------------------------- */

/* size bytes of the external data of w. */
ub_status ubp_onnx_external(ubp_onnx *o, const ubp_onnx_weight *w, size_t size,
                            const uint8_t **out);

/* ---- onnx_node.c: NodeProto, AttributeProto -------------------------------------------------- */

ub_status ubp_onnx_node(ubp_onnx_scope *s, ubp_proto message);
/* Puts a constant (or, where its dtype has no storage here, a node of an unknown operator that
 * says so) under the value. */
ub_status ubp_onnx_constant(ubp_onnx_scope *s, const ubp_onnx_weight *w, int32_t value,
                            const char *node_name);

/* AttributeProto, as an attribute of no node; kinds that the graph does not have are refused. */
ub_status ubp_onnx_attr(ubp_onnx_scope *s, ubp_proto message, ubp_attr *out);

/* ---- onnx_function.c: functions of the file's own ---------------------------------------------
 */

/* A call of a function while its nodes are put in its place. */
typedef struct ubp_onnx_call {
    const struct ubp_onnx_call *outer;
    int32_t function;
    int depth;
    const char *prefix;  /* "call/", of all names inside but the formal ones */
    ubp_table formals;   /* formal name -> actual[] */
    const char **actual; /* "" where left out; in the arena */
    int n_attrs;
    const ubp_attr *attrs; /* of the call, then the function's defaults */
    ubp_onnx_imports imports;
    ubp_onnx_meta meta; /* of the call: what nodes inside have that say nothing themselves */
} ubp_onnx_call;

/* Notes a FunctionProto. */
ub_status ubp_onnx_function(ubp_onnx *o, ubp_proto message, ubp_arena *arena);
/* The file's function that a node calls, or -1. */
int32_t ubp_onnx_find_function(const ubp_onnx *o, const ubp_node *node, const char *overload);
/* Puts the function's nodes in place of a call of it. */
ub_status ubp_onnx_inline(ubp_onnx_scope *s, const ubp_node *call, int32_t function,
                          const ubp_onnx_meta *meta);
/* A name of the file as the graph has it: unchanged outside of functions. */
ub_status ubp_onnx_rename(const ubp_onnx *o, ubp_arena *arena, const char **name);
/* The attribute of the call that an attribute inside the function refers to, or NULL. */
const ubp_attr *ubp_onnx_actual_attr(const ubp_onnx *o, const char *name);

/* ---- onnx_facts.c: dtypes and ranks, for rewriting ------------------------------------------- */

/* What the file says of the value, or what follows from the nodes before. */
ubp_onnx_fact ubp_onnx_fact_of(const ubp_onnx_scope *s, int32_t value);
/* Notes what follows for the outputs of a node in its newest form. */
ub_status ubp_onnx_fact_note(ubp_onnx_scope *s, const ubp_node *node);

/* ---- onnx_rewrite.c: words for rewriting a node ---------------------------------------------- */

/* A node on its way from the file's opset to the newest. */
typedef struct ubp_rewrite {
    ubp_onnx_scope *s;
    ubp_graph *g;
    int64_t opset;
    ubp_node node;   /* in, out and attrs are those below */
    int32_t *in;     /* [node.n_in] */
    int32_t *out;    /* [node.n_out] */
    ubp_attr *attrs; /* [node.n_attrs] */
    bool refused;    /* stays without op */
    ub_error *err;
} ubp_rewrite;

/* Input k, UBP_NO_VALUE when there is none. */
int32_t ubp_rw_in(const ubp_rewrite *rw, int k);
ub_status ubp_rw_set_in(ubp_rewrite *rw, int k, int32_t value);
void ubp_rw_drop(ubp_rewrite *rw, const char *attr);
ub_status ubp_rw_set_int(ubp_rewrite *rw, const char *attr, int64_t value);
ub_status ubp_rw_set_float(ubp_rewrite *rw, const char *attr, float value);
/* value: a literal. */
ub_status ubp_rw_set_string(ubp_rewrite *rw, const char *attr, const char *value);
/* Attribute of integers -> constant input k, where the attribute is there. */
ub_status ubp_rw_ints_to_in(ubp_rewrite *rw, const char *attr, int k);
/* A constant scalar of the dtype of input 0. */
ub_status ubp_rw_scalar(ubp_rewrite *rw, double number, int32_t *out);
/* A constant float32 list. */
ub_status ubp_rw_floats(ubp_rewrite *rw, const double *v, int n, int32_t *out);
/* A helper node with one output, which is *out. attr NULL: none. */
ub_status ubp_rw_helper(ubp_rewrite *rw, const char *op_type, int n_in, const int32_t *in,
                        const ubp_attr *attr, int n_attrs, int32_t *out);
/* The form is not supported: the node stays, under a name that says so. what: a literal. */
void ubp_rw_refuse(ubp_rewrite *rw, const char *what);

/* ---- onnx_opset.c, onnx_opset_inputs.c, onnx_opset_math.c ------------------------------------ */

/* Rewrites a node of ai.onnx from rw->opset to the newest. */
ub_status ubp_onnx_modernize(ubp_rewrite *rw);

ub_status ubp_fix_axes(ubp_rewrite *rw);
ub_status ubp_fix_concat(ubp_rewrite *rw);
ub_status ubp_fix_dft(ubp_rewrite *rw);
ub_status ubp_fix_pad(ubp_rewrite *rw);
ub_status ubp_fix_reshape(ubp_rewrite *rw);
ub_status ubp_fix_resize_10(ubp_rewrite *rw);
ub_status ubp_fix_resize_empty(ubp_rewrite *rw);
ub_status ubp_fix_scan(ubp_rewrite *rw);
ub_status ubp_fix_scatter(ubp_rewrite *rw);
ub_status ubp_fix_slice(ubp_rewrite *rw);
ub_status ubp_fix_split(ubp_rewrite *rw);
ub_status ubp_fix_tile(ubp_rewrite *rw);
ub_status ubp_fix_topk(ubp_rewrite *rw);
ub_status ubp_fix_upsample(ubp_rewrite *rw);

ub_status ubp_fix_batchnorm(ubp_rewrite *rw);
ub_status ubp_fix_broadcast(ubp_rewrite *rw);
ub_status ubp_fix_cast(ubp_rewrite *rw);
ub_status ubp_fix_clip(ubp_rewrite *rw);
ub_status ubp_fix_dropout(ubp_rewrite *rw);
ub_status ubp_fix_gridsample(ubp_rewrite *rw);
ub_status ubp_fix_groupnorm(ubp_rewrite *rw);
ub_status ubp_fix_lp_pool(ubp_rewrite *rw);
ub_status ubp_fix_prelu(ubp_rewrite *rw);
ub_status ubp_fix_roialign(ubp_rewrite *rw);
ub_status ubp_fix_selu(ubp_rewrite *rw);
ub_status ubp_fix_softmax(ubp_rewrite *rw);

#endif
