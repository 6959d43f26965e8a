/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the ONNX loader: what its files share. A model is read in one walk over protobuf fields;
 * weights are only located, never read. Field numbers are those of onnx.proto.
 */
#ifndef UBP_LOAD_ONNX_H
#define UBP_LOAD_ONNX_H

#include "load/load.h"

enum {
    UBP_ONNX_OPSET_MIN = 6,  /* the oldest opset whose every operator is rewritten */
    UBP_ONNX_OPSET_MAX = 28, /* onnx 1.23 */
    UBP_ONNX_MAX_DEPTH = 32  /* bodies inside bodies */
};

/* One file being loaded. */
typedef struct ubp_onnx {
    ubp_loaded *loaded;
    const char *folder; /* where external data lies; NULL: cannot be reached */
    char *real_folder;  /* the same without links, once it was needed; owned */
    char **external;    /* [loaded->n_external] real paths of the mapped files; owned */
    size_t cap_external;
    int64_t opset;             /* of ai.onnx */
    ubp_table functions;       /* "domain:name" of the file's own functions */
    const char **initializers; /* names; owned */
    size_t n_initializers, cap_initializers;
    ubp_onnx_meta *meta; /* of the model graph's nodes, by ubp_node.order; owned */
    size_t n_meta, cap_meta;
    ub_error *err;
} ubp_onnx;

/* One graph of it being filled: the model's, or a body. */
typedef struct ubp_onnx_scope {
    ubp_onnx *onnx;
    ubp_graph *g;
    int depth;
    ubp_table info_names; /* what the file says of values: name -> infos[] */
    ubp_proto *infos;     /* TypeProto; owned */
    size_t n_infos, cap_infos;
} ubp_onnx_scope;

/* ---- onnx.c ---------------------------------------------------------------------------------- */

/* GraphProto into g, sorted. */
ub_status ubp_onnx_graph(ubp_onnx *o, ubp_graph *g, ubp_proto message, int depth);
/* The value of that name, with the dtype and dims that the file says of it. */
ub_status ubp_onnx_value(ubp_onnx_scope *s, const char *name, int32_t *out);
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

#endif
