/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flows where: data, constants, or shapes. Constants are weights and what hangs on weights
 * only; shapes are Shape, Size and arithmetic on them. Both cross the borders of modules freely in
 * an exported file, so they are neither inputs nor outputs of one; and reading a value only for its
 * shape is no use of it. Also: who reads which value.
 */
#include "load/onnx_layers.h"

#include <string.h>

/* Shape arithmetic, when all they read is constants and shapes. */
static const char *const SHAPE_ARITHMETIC[] = {
    "Gather", "Concat",  "Slice",      "Unsqueeze", "Squeeze",
    "Add",    "Mul",     "Div",        "Sub",       "Cast",
    "Mod",    "Reshape", "Identity",   "Expand",    "ConstantOfShape",
    "Sqrt",   "Range",   "Equal",      "Where",     "Floor",
    "Min",    "Max",     "ReduceProd", "CastLike",  "Neg",
    "Pow",    "Ceil"};
static const char *const SHAPE_SOURCES[] = {"Shape", "Size"};

/* ---- What a node reads ----------------------------------------------------------------------- */

/* Calls visit for every value that a node reads: inputs, then what its bodies capture. */
static size_t list_reads(const ubp_graph *g, const ubp_node *n, int32_t *to)
{
    size_t count = 0;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != UBP_NO_VALUE) {
            if (to)
                to[count] = n->in[i];
            count++;
        }
    for (int a = 0; a < n->n_attrs; a++) {
        if (n->attrs[a].kind != UBP_ATTR_GRAPH)
            continue;
        const ubp_graph *body = n->attrs[a].graph;
        for (int c = 0; c < body->n_captured; c++) {
            const int32_t v = ubp_table_find(&g->value_names, body->captured[c]);
            if (v < 0)
                continue;
            if (to)
                to[count] = v;
            count++;
        }
    }
    return count;
}

static ub_status find_reads(ubp_finder *f)
{
    const ubp_graph *g = f->g;
    f->read_first = ubp_finder_array(f, g->n_nodes + 1, sizeof(size_t));
    if (!f->read_first)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < g->n_nodes; i++)
        f->read_first[i + 1] = f->read_first[i] + list_reads(g, &g->nodes[i], NULL);
    const size_t total = f->read_first[g->n_nodes];
    f->reads = ubp_finder_array(f, total, sizeof(int32_t));
    f->edges = ubp_finder_array(f, total, 1);
    if (!f->reads || !f->edges)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < g->n_nodes; i++)
        list_reads(g, &g->nodes[i], f->reads + f->read_first[i]);
    return UB_OK;
}

/* ---- Data, constants, shapes ------------------------------------------------------------------
 */

/* A table of numbers (an embedding, say) picked from by shapes is data. */
static bool is_number_table(const ubp_finder *f, int32_t value)
{
    const ubp_value *v = &f->g->values[value];
    if (v->constant)
        return ubp_is_float(v->constant->dtype) && ub_tensor_count(v->constant) > 1;
    return f->value_flow[value] == UBP_FLOW_CONST && ubp_is_float(v->dtype) && v->rank > 0;
}

static ubp_flow node_flow(const ubp_finder *f, size_t node)
{
    const ubp_node *n = &f->g->nodes[node];
    const size_t begin = f->read_first[node], end = f->read_first[node + 1];
    bool has_data = false, has_shape = false, has_table = false;
    for (size_t r = begin; r < end; r++) {
        has_data |= f->value_flow[f->reads[r]] == UBP_FLOW_DATA;
        has_shape |= f->value_flow[f->reads[r]] == UBP_FLOW_SHAPE;
        has_table |= is_number_table(f, f->reads[r]);
    }
    if (begin == end)
        return strcmp(n->op_type, "Constant") == 0 ? UBP_FLOW_CONST : UBP_FLOW_DATA;
    if (!has_data && !has_shape)
        return UBP_FLOW_CONST;
    if (ubp_is_op(n, SHAPE_SOURCES, UBP_COUNT(SHAPE_SOURCES)))
        return UBP_FLOW_SHAPE;
    if (!has_data && !has_table && ubp_is_op(n, SHAPE_ARITHMETIC, UBP_COUNT(SHAPE_ARITHMETIC)))
        return UBP_FLOW_SHAPE;
    return UBP_FLOW_DATA;
}

static ub_status find_flow(ubp_finder *f)
{
    const ubp_graph *g = f->g;
    f->node_flow = ubp_finder_array(f, g->n_nodes, 1);
    f->value_flow = ubp_finder_array(f, g->n_values, 1);
    f->is_output = ubp_finder_array(f, g->n_values, sizeof(bool));
    if (!f->node_flow || !f->value_flow || !f->is_output)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < g->n_values; i++)
        f->value_flow[i] = g->values[i].constant ? UBP_FLOW_CONST : UBP_FLOW_DATA;
    for (int i = 0; i < g->n_outputs; i++)
        f->is_output[g->outputs[i]] = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ubp_node *n = &g->nodes[i];
        f->node_flow[i] = (uint8_t)node_flow(f, i);
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] != UBP_NO_VALUE)
                f->value_flow[n->out[k]] = f->node_flow[i];
    }
    return UB_OK;
}

/* ---- Who reads a value ------------------------------------------------------------------------
 */

static ub_status find_uses(ubp_finder *f)
{
    const ubp_graph *g = f->g;
    f->use_first = ubp_finder_array(f, g->n_values + 1, sizeof(size_t));
    size_t *at = ubp_finder_array(f, g->n_values + 1, sizeof(size_t));
    if (!f->use_first || !at)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t r = f->read_first[i]; r < f->read_first[i + 1]; r++)
            at[f->reads[r] + 1] += f->node_flow[i] == UBP_FLOW_DATA;
    for (size_t v = 0; v < g->n_values; v++)
        f->use_first[v + 1] = at[v + 1] += at[v];
    f->uses = ubp_finder_array(f, f->use_first[g->n_values], sizeof(int32_t));
    f->use_reads = ubp_finder_array(f, f->use_first[g->n_values], sizeof(size_t));
    if (!f->uses || !f->use_reads)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t r = f->read_first[i]; r < f->read_first[i + 1]; r++) {
            if (f->node_flow[i] != UBP_FLOW_DATA)
                continue;
            const size_t use = at[f->reads[r]]++;
            f->uses[use] = (int32_t)i;
            f->use_reads[use] = r;
        }
    }
    return UB_OK;
}

ub_status ubp_flow_find(ubp_finder *f)
{
    UBP_TRY(find_reads(f));
    UBP_TRY(find_flow(f));
    return find_uses(f);
}
