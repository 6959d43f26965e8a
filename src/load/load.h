/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: a model file becomes a graph. Foreign operators and old opsets become our operators here
 * and nowhere else; layers and their borders are recovered here.
 */
#ifndef UBP_LOAD_H
#define UBP_LOAD_H

#include "file/file.h"
#include "graph/graph.h"
#include "ops/ops.h"

/* A loaded file: the graph and what keeps its weights in memory. */
typedef struct ubp_loaded {
    ubp_graph *graph;
    ub_buffer *file;      /* mapping of the model file, or the caller's bytes */
    ub_buffer **external; /* mappings of external data files, and memory of replaced weights */
    size_t n_external, cap_external;
} ubp_loaded;

void ubp_loaded_release(ubp_loaded *l);

/* Opens by content: ONNX, .pt2, .keras, .h5. path NULL: bytes only, no external data. */
ub_status ubp_load(ubp_loaded *out, const char *path, const void *bytes, size_t size,
                   ub_error *err);

/* weights.c: each array of a .safetensors or .npz file replaces the constant of its name. strict:
 * every weight of the model must be in the file, and no other floats. note: what was replaced and
 * what has no counterpart is added to it; may be NULL. After a failure some may be replaced. */
ub_status ubp_weights_apply(ubp_loaded *loaded, const char *path, bool strict, ubp_text *note,
                            ub_error *err);

/* onnx.c: ModelProto -> graph. folder: where external data lies, NULL for none. */
ub_status ubp_load_onnx(ubp_loaded *out, const char *folder, const uint8_t *bytes, size_t size,
                        ub_error *err);

/* pt2.c: whether a zip file is what torch.export.save() wrote, and that as a graph. Weights are
 * views of out->file, which z was opened on. */
bool ubp_pt2_is(const ubp_zip *z);
ub_status ubp_load_pt2(ubp_loaded *out, const ubp_zip *z, ub_error *err);

/* keras.c: the archive .keras, and the .h5 that holds a whole model. Weights are views of the
 * bytes, which must stay (out->file; what had to be inflated joins out->external). */
bool ubp_keras_is(const ubp_zip *z);
ub_status ubp_load_keras(ubp_loaded *out, const ubp_zip *z, ub_error *err);
ub_status ubp_load_keras_h5(ubp_loaded *out, const void *bytes, size_t size, ub_error *err);

/* onnx_tensor.c: one TensorProto; raw data stays a view of bytes (buffer NULL) when it is aligned
 * and little-endian, else it is copied into arena. */
ub_status ubp_onnx_tensor(ub_tensor *out, const char **name, ubp_proto message, ubp_arena *arena,
                          ub_error *err);

/* What the layer finder needs of one node besides the graph; strings borrowed from the file. */
typedef struct ubp_onnx_meta {
    const char *name_scopes;     /* pkg.torch.onnx.name_scopes, or NULL */
    const char *class_hierarchy; /* pkg.torch.onnx.class_hierarchy, or NULL */
    const char *rule_name;       /* pkg.onnxscript.rewriter.rule_name, or NULL */
    const char *fx_node;         /* pkg.torch.onnx.fx_node, or NULL */
} ubp_onnx_meta;

/* onnx_layers.c: fills g->layers, node->layer and g->layer_names from exporters' metadata and node
 * names. producer_name: a version may follow it. meta: [n_nodes], in the order of g->nodes.
 * initializers: the names of the file's initializers (module paths are known from them). Called
 * after ubp_graph_sort(). Nodes added by opset rewriting carry the name and meta of the node they
 * came from. */
ub_status ubp_onnx_layers(ubp_graph *g, const char *producer_name, const ubp_onnx_meta *meta,
                          const char *const *initializers, size_t n_initializers, ub_error *err);

#endif
