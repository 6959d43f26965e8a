/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edges that do not tell the truth. Both exporters merge equal operations on the same value: of a
 * SiLU that every block applies to the same embedding only the first is left, and all blocks read
 * it there. Taken at its word, such an edge would make the SiLU an output of the first block and an
 * input of all others. dynamo's rewriter also fuses neighbours (two Transposes, a Pad into a Conv)
 * which may belong to different modules.
 *
 * dynamo keeps the text of each fx node: an argument of it that is nowhere in the file, but is
 * called like the node now read, was merged. TorchScript keeps nothing: there a value that is read
 * in the same role inside and outside the module that made it is taken for merged; and of two
 * Transposes of different modules that cancelled out, some leave one half behind. Where they do
 * not, nothing can be known.
 * (onnx_ir: passes/common/common_subexpression_elimination.py; torch: _jit_pass_cse.)
 */
#include "load/onnx_layers.h"

#include <string.h>

/* Rewrites that take in a neighbour's operation (onnxscript/rewriter/rules/common). */
static const char *const FUSING[] = {
    "TransposeTranspose",     "ReshapeReshape",         "CastCast",
    "UnsqueezeUnsqueeze",     "SqueezeReshape",         "FuseConvPad",
    "FuseConvIntegerPad",     "FuseSuccessiveRelu",     "FuseSuccessiveClip",
    "FuseSuccessiveReluClip", "FuseSuccessiveClipRelu", "FuseSuccessiveMin",
    "FuseSuccessiveMax",      "FuseMinMaxToClip",       "FuseMaxMinToClip"};
/* fx operations that are never dropped for doing nothing; but two in a row may cancel out. */
static const char *const CANCELLING[] = {"permute", "transpose", "t"};

/* ---- dynamo: the text of fx nodes --------------------------------------------------------------
 */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/* The next "%name" of the text, or NULL. */
static const char *next_name(const char *text, size_t *size)
{
    const char *at = strchr(text, '%');
    if (!at)
        return NULL;
    for (*size = 0; is_name_char(at[1 + *size]);)
        (*size)++;
    return at + 1;
}

/* "relu_12" without its number. */
static size_t base_size(const char *name, size_t size)
{
    size_t n = size;
    while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9')
        n--;
    return n > 1 && n < size && name[n - 1] == '_' ? n - 1 : size;
}

static bool same_text(const char *a, size_t n_a, const char *b, size_t n_b)
{
    return n_a == n_b && memcmp(a, b, n_a) == 0;
}

/* The fx name of each node, "" where there is none; and all of them by name. */
typedef struct fx {
    const char **names;
    ubp_table by_name;
} fx;

static ub_status find_names(ubp_finder *f, fx *x)
{
    x->names = ubp_finder_array(f, f->g->n_nodes, sizeof(char *));
    if (!x->names)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < f->g->n_nodes; i++) {
        const char *text = f->meta[i].fx_node;
        size_t size = 0;
        x->names[i] = "";
        if (!text || !(text = next_name(text, &size)))
            continue;
        x->names[i] = ubp_arena_strndup(&f->arena, text, size);
        if (!x->names[i])
            return ubp_fail_memory(f->err, size);
        UBP_TRY(ubp_table_add(&x->by_name, x->names[i], (int32_t)i, f->err));
    }
    return UB_OK;
}

/* Whether an fx name is nowhere in the file: its operation was dropped, merged or fused. */
static bool is_gone(const ubp_finder *f, const fx *x, const char *name, size_t size)
{
    char copy[256];
    if (size >= sizeof(copy))
        return false;
    memcpy(copy, name, size);
    copy[size] = '\0';
    return ubp_table_find(&x->by_name, copy) < 0 && ubp_table_find(&f->g->value_names, copy) < 0;
}

static bool may_cancel(const char *name, size_t size)
{
    for (int i = 0; i < UBP_COUNT(CANCELLING); i++)
        if (same_text(name, base_size(name, size), CANCELLING[i], strlen(CANCELLING[i])))
            return true;
    return false;
}

/* What the edge from v to node is, by the arguments of node's fx text. from: the fx name of what
 * gives v, "" for inputs of the model. */
static ubp_edge judge(const ubp_finder *f, const fx *x, size_t node, const char *from,
                      const ubp_value *v)
{
    const size_t base = base_size(from, strlen(from));
    bool merged = false, fused = false;
    size_t size = 0;
    const char *at = next_name(f->meta[node].fx_node, &size); /* itself */
    while (at && (at = next_name(at, &size))) {
        if (same_text(at, size, from, strlen(from)) ||
            same_text(at, size, v->name, strlen(v->name)))
            return UBP_EDGE_TRUE;
        if (!is_gone(f, x, at, size))
            continue;
        merged |= same_text(at, base_size(at, size), from, base);
        fused |= may_cancel(at, size);
    }
    const char *rule = f->meta[node].rule_name;
    for (int i = 0; rule && i < UBP_COUNT(FUSING); i++)
        fused |= strstr(rule, FUSING[i]) != NULL;
    return merged ? UBP_EDGE_SHARED : fused ? UBP_EDGE_FUSED : UBP_EDGE_TRUE;
}

static ub_status find_dynamo(ubp_finder *f, fx *x)
{
    UBP_TRY(find_names(f, x));
    for (size_t i = 0; i < f->g->n_nodes; i++) {
        if (f->node_flow[i] != UBP_FLOW_DATA || !*x->names[i])
            continue;
        for (size_t r = f->read_first[i]; r < f->read_first[i + 1]; r++) {
            const ubp_value *v = &f->g->values[f->reads[r]];
            const char *from = v->producer == UBP_NO_NODE ? "" : x->names[v->producer];
            if (f->value_flow[f->reads[r]] == UBP_FLOW_DATA && strcmp(from, x->names[i]) != 0)
                f->edges[r] = (uint8_t)judge(f, x, i, from, v);
        }
    }
    return UB_OK;
}

/* ---- TorchScript: the same role twice
 * ------------------------------------------------------------ */

/* How many modules two nodes share. */
static int32_t shared_scopes(const ubp_finder *f, int32_t a, int32_t b)
{
    int32_t n = 0;
    while (n < f->n_scoped[a] && n < f->n_scoped[b] &&
           f->scopes[f->scope_at[a] + (size_t)n].module ==
               f->scopes[f->scope_at[b] + (size_t)n].module)
        n++;
    return n;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static bool same_role(const ubp_finder *f, int32_t a, int32_t b)
{
    const ubp_module *x = ubp_node_module(f, a), *y = ubp_node_module(f, b);
    return x && y && x != y && strcmp(last_part(x->path), last_part(y->path)) == 0 &&
           strcmp(f->g->nodes[a].op_type, f->g->nodes[b].op_type) == 0;
}

/* Operations with weights are never merged: no two modules have the same. */
static bool reads_weight(const ubp_finder *f, int32_t node)
{
    for (size_t r = f->read_first[node]; r < f->read_first[node + 1]; r++) {
        const ubp_value *v = &f->g->values[f->reads[r]];
        if (v->constant && ubp_node_module(f, node) &&
            ubp_path_within(v->name, ubp_node_module(f, node)->path))
            return true;
    }
    return false;
}

/* Whether a reader inside the module that made v, and that `reader` is outside of, does the same
 * as `reader`. The module's own readers come first in the list. */
static bool has_twin(const ubp_finder *f, int32_t v, int32_t producer, int32_t reader)
{
    enum { MAX_TRIED = 64 };
    const int32_t shared = shared_scopes(f, producer, reader);
    const size_t first = f->use_first[v], end = f->use_first[v + 1];
    if (shared == f->n_scoped[producer])
        return false;
    for (size_t u = first; u < end && u < first + MAX_TRIED; u++)
        if (f->uses[u] != reader && shared_scopes(f, producer, f->uses[u]) > shared &&
            same_role(f, f->uses[u], reader))
            return true;
    return false;
}

static void find_shared(ubp_finder *f)
{
    for (int32_t i = 0; i < (int32_t)f->g->n_nodes; i++) {
        const ubp_node *n = &f->g->nodes[i];
        if (f->node_flow[i] != UBP_FLOW_DATA || f->n_scoped[i] <= 0 || reads_weight(f, i))
            continue;
        for (int k = 0; k < n->n_out; k++) {
            const int32_t v = n->out[k];
            if (v == UBP_NO_VALUE)
                continue;
            for (size_t u = f->use_first[v]; u < f->use_first[v + 1]; u++)
                if (f->n_scoped[f->uses[u]] > 0 && has_twin(f, v, i, f->uses[u]))
                    f->edges[f->use_reads[u]] = UBP_EDGE_SHARED;
        }
    }
}

/* ---- TorchScript: Transposes that cancelled out ------------------------------------------------
 */

static bool is_transpose(const ubp_finder *f, int32_t node, const int64_t *order)
{
    const ubp_node *n = &f->g->nodes[node];
    const ubp_attr *perm = ubp_node_attr(n, "perm");
    return strcmp(n->op_type, "Transpose") == 0 &&
           (!order || (perm && perm->kind == UBP_ATTR_INTS && perm->n == 4 &&
                       memcmp(perm->ints, order, 4 * sizeof(*order)) == 0));
}

static bool is_in_module(const ubp_finder *f, int32_t node, const ubp_module *m)
{
    for (int32_t j = 0; j < f->n_scoped[node]; j++)
        if (&f->modules[f->scopes[f->scope_at[node] + (size_t)j].module] == m)
            return true;
    return false;
}

static bool is_read_outside(const ubp_finder *f, int32_t node, const ubp_module *m)
{
    const int32_t v = f->g->nodes[node].n_out > 0 ? f->g->nodes[node].out[0] : UBP_NO_VALUE;
    if (v == UBP_NO_VALUE || f->is_output[v])
        return v != UBP_NO_VALUE;
    for (size_t u = f->use_first[v]; u < f->use_first[v + 1]; u++)
        if (!is_in_module(f, f->uses[u], m))
            return true;
    return false;
}

/* A module gives Transpose(v), and others read v itself: those had a Transpose that undid it. */
static void find_undone(ubp_finder *f)
{
    for (int32_t i = 0; i < (int32_t)f->g->n_nodes; i++) {
        const ubp_module *m = ubp_node_module(f, i);
        if (f->node_flow[i] != UBP_FLOW_DATA || !m || !is_transpose(f, i, NULL) ||
            f->read_first[i] == f->read_first[i + 1] || !is_read_outside(f, i, m))
            continue;
        const int32_t v = f->reads[f->read_first[i]], from = f->g->values[v].producer;
        if (from == UBP_NO_NODE || ubp_node_module(f, from) != m)
            continue;
        for (size_t u = f->use_first[v]; u < f->use_first[v + 1]; u++)
            if (!is_in_module(f, f->uses[u], m))
                f->edges[f->use_reads[u]] = UBP_EDGE_SHARED;
    }
}

static void doubt_reads(ubp_finder *f, int32_t node)
{
    for (size_t r = f->read_first[node]; r < f->read_first[node + 1]; r++)
        f->edges[r] = UBP_EDGE_FUSED;
}

static void doubt_uses(ubp_finder *f, int32_t node)
{
    for (int k = 0; k < f->g->nodes[node].n_out; k++) {
        const int32_t v = f->g->nodes[node].out[k];
        for (size_t u = 0; v != UBP_NO_VALUE && u < f->use_first[v + 1] - f->use_first[v]; u++)
            f->edges[f->use_reads[f->use_first[v] + u]] = UBP_EDGE_FUSED;
    }
}

/* A norm of channels-last data inside a channels-first network permutes on both sides. Where only
 * one Transpose is left, its counterpart met a neighbour's and both are gone. */
static void find_half_permuted(ubp_finder *f)
{
    static const int64_t last[] = {0, 2, 3, 1}, first[] = {0, 3, 1, 2};
    const int32_t n_nodes = (int32_t)f->g->n_nodes;
    for (int32_t i = 0, end = 0; i < n_nodes; i = end) {
        const ubp_module *m = ubp_node_module(f, i);
        int32_t head = -1, tail = -1;
        for (end = i; end < n_nodes && ubp_node_module(f, end) == m; end++) {
            if (f->node_flow[end] != UBP_FLOW_DATA)
                continue;
            head = head < 0 ? end : head;
            tail = end;
        }
        if (!m || m->has_children || head == tail)
            continue;
        if (is_transpose(f, tail, first) && !is_transpose(f, head, NULL))
            doubt_reads(f, head);
        if (is_transpose(f, head, last) && !is_transpose(f, tail, NULL))
            doubt_uses(f, tail);
    }
}

ub_status ubp_merged_find(ubp_finder *f)
{
    if (!f->dynamo) {
        find_shared(f);
        find_undone(f);
        find_half_permuted(f);
        return UB_OK;
    }
    fx x = {0};
    const ub_status status = find_dynamo(f, &x);
    ubp_table_release(&x.by_name);
    return status;
}
