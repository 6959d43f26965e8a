/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNorms that an exporter folded into the convolution before them. One node is left, which
 * gives the norm's output: the convolution's output and the norm's input are not in the file.
 *
 * dynamo names the node after the norm; whose the weight is tells of the convolution
 * (onnxscript/rewriter/rules/common/_fuse_batchnorm.py). TorchScript names it after the
 * convolution, gives both weights new names, and leaves no trace of the norm's
 * (torch/csrc/jit/passes/onnx/eval_peephole.cpp).
 */
#include "load/onnx_layers.h"

#include <stdio.h>
#include <string.h>

static const char *const CONVOLUTIONS[] = {"Conv", "ConvTranspose", "Gemm"};
static const char KEEP_DYNAMO[] =
    "export with optimize=False (torch.onnx.export(..., dynamo=True)) or use .pt2";
static const char KEEP_TORCHSCRIPT[] =
    "export with do_constant_folding=False (torch.onnx.export(..., dynamo=False)) or use .pt2";

static ub_status reason(ubp_finder *f, const char **slot, const char *text)
{
    if (!text)
        return ubp_fail_memory(f->err, 1);
    if (!*slot)
        *slot = text;
    return UB_OK;
}

/* The call of the j-th module around a node. */
static ubp_module_call *call_of(const ubp_finder *f, int32_t node, int32_t j)
{
    const int32_t call = f->scopes[f->scope_at[node] + (size_t)j].call;
    return call < 0 ? NULL : &f->calls[call];
}

/* ---- dynamo ---------------------------------------------------------------------------------- */

/* The module whose weight the node reads: "q" of "q.weight". false: none. */
static bool weight_owner(const ubp_finder *f, const ubp_node *n, char *path)
{
    static const char suffix[] = ".weight";
    if (n->n_in < 2 || n->in[1] == UBP_NO_VALUE || !f->g->values[n->in[1]].constant)
        return false;
    const char *name = f->g->values[n->in[1]].name;
    const size_t size = strlen(name), m = strlen(suffix);
    if (size <= m || size >= UBP_MAX_PATH || strcmp(name + size - m, suffix) != 0)
        return false;
    memcpy(path, name, size - m);
    path[size - m] = '\0';
    return true;
}

/* Shared weights of other modules also look as if they belonged elsewhere: a fold needs a norm. */
static bool is_fold(const ubp_finder *f, int32_t node)
{
    const char *rule = f->meta[node].rule_name, *type = ubp_node_module(f, node)->type;
    return (rule && strstr(rule, "FuseBatchNorm")) || strstr(type, ".BatchNorm");
}

/* Modules that hold the norm but not the convolution have no input here. */
static ub_status mark_norm(ubp_finder *f, int32_t node, const char *conv)
{
    const char *norm = ubp_node_module(f, node)->path;
    for (int32_t j = 0; j < f->n_scoped[node]; j++) {
        ubp_module_call *c = call_of(f, node, j);
        if (!c || ubp_path_within(conv, f->modules[c->module].path))
            continue;
        UBP_TRY(
            reason(f, &c->no_in,
                   ubp_arena_printf(&f->g->arena,
                                    "the input of '%s' (the output of '%s') is not in this file:"
                                    " BatchNorm '%s' was folded into '%s'; %s",
                                    f->modules[c->module].path, conv, norm, conv, KEEP_DYNAMO)));
    }
    return UB_OK;
}

/* The latest call of a module that began before the node, or NULL. */
static ubp_module_call *latest_call(ubp_finder *f, const int32_t *latest, const char *path)
{
    const int32_t module = ubp_table_find(&f->module_ids, path);
    return module < 0 || latest[module] < 0 ? NULL : &f->calls[latest[module]];
}

/* Modules that hold the convolution but not the norm have no output here. conv: changed and put
 * back. */
static ub_status mark_around_conv(ubp_finder *f, int32_t node, char *conv, const int32_t *latest)
{
    const char *norm = ubp_node_module(f, node)->path;
    for (char *dot = strrchr(conv, '.'); dot;) {
        *dot = '\0';
        ubp_module_call *c = latest_call(f, latest, conv);
        if (c && !ubp_path_within(norm, conv))
            UBP_TRY(reason(f, &c->no_out,
                           ubp_arena_printf(&f->g->arena,
                                            "the output of '%s' is not in this file: BatchNorm"
                                            " '%s' was folded into it; %s",
                                            conv, norm, KEEP_DYNAMO)));
        char *next = strrchr(conv, '.');
        *dot = '.';
        dot = next;
    }
    return UB_OK;
}

/* The convolution: a layer without nodes. */
static ub_status add_folded(ubp_finder *f, int32_t node, const char *conv, ubp_table *counts)
{
    const ubp_node *n = &f->g->nodes[node];
    ubp_folded folded = {
        .type = n->op_type, .node = node, .parent = -1, .depth = 1, .in = n->in[0]};
    for (int32_t j = 0; j < f->n_scoped[node]; j++) {
        const ubp_scope *s = &f->scopes[f->scope_at[node] + (size_t)j];
        if (s->call >= 0 && ubp_path_within(conv, f->modules[s->module].path)) {
            folded.parent = s->call;
            folded.depth = j + 2;
        }
    }
    const int32_t module = ubp_table_find(&f->module_ids, conv);
    const int32_t first = ubp_table_find(counts, conv);
    folded.index = module < 0 ? 0 : f->modules[module].n_calls;
    if (first >= 0)
        folded.index += ++f->folded[first].n_more;
    folded.path = ubp_arena_strdup(&f->g->arena, conv);
    if (!folded.path || folded.in == UBP_NO_VALUE)
        return folded.path ? UB_OK : ubp_fail_memory(f->err, strlen(conv));
    UBP_TRY(reason(f, &folded.no_out,
                   ubp_arena_printf(&f->g->arena,
                                    "the output of '%s' is not in this file: BatchNorm '%s' was"
                                    " folded into it; %s",
                                    conv, ubp_node_module(f, node)->path, KEEP_DYNAMO)));
    if (f->edges[f->read_first[node]] == UBP_EDGE_FUSED)
        UBP_TRY(reason(f, &folded.no_in,
                       ubp_arena_printf(&f->g->arena,
                                        "the input of '%s' is not certain in this file: an"
                                        " operation before it was fused into it too (%s); %s",
                                        conv, f->meta[node].rule_name, KEEP_DYNAMO)));
    UBP_TRY(ubp_grow((void **)&f->folded, &f->cap_folded, f->n_folded, sizeof(folded), f->err));
    f->folded[f->n_folded++] = folded;
    return ubp_table_add(counts, folded.path, (int32_t)f->n_folded - 1, f->err);
}

static ub_status find_dynamo(ubp_finder *f, ubp_table *counts)
{
    char conv[UBP_MAX_PATH];
    int32_t *latest = ubp_finder_array(f, f->n_modules, sizeof(int32_t));
    if (!latest)
        return UB_ERR_MEMORY;
    for (size_t m = 0; m < f->n_modules; m++)
        latest[m] = -1;
    for (int32_t i = 0; i < (int32_t)f->g->n_nodes; i++) {
        if (f->node_flow[i] != UBP_FLOW_DATA)
            continue;
        for (int32_t j = 0; j < f->n_scoped[i]; j++) {
            const ubp_scope *s = &f->scopes[f->scope_at[i] + (size_t)j];
            latest[s->module] = s->call;
        }
        const ubp_node *n = &f->g->nodes[i];
        if (f->n_scoped[i] <= 0 || !ubp_is_op(n, CONVOLUTIONS, UBP_COUNT(CONVOLUTIONS)) ||
            !weight_owner(f, n, conv) || strcmp(conv, ubp_node_module(f, i)->path) == 0 ||
            !is_fold(f, i))
            continue;
        UBP_TRY(mark_norm(f, i, conv));
        UBP_TRY(mark_around_conv(f, i, conv, latest));
        UBP_TRY(add_folded(f, i, conv, counts));
    }
    return UB_OK;
}

/* ---- TorchScript ----------------------------------------------------------------------------- */

static bool is_renamed(const ubp_finder *f, const ubp_node *n, int i)
{
    const int32_t v = i < n->n_in ? n->in[i] : UBP_NO_VALUE;
    return v != UBP_NO_VALUE && f->value_flow[v] == UBP_FLOW_CONST &&
           strncmp(f->g->values[v].name, "onnx::", strlen("onnx::")) == 0;
}

/* Whether the file has the child that follows "parent.k": a Sequential that goes on with it has
 * nothing in between. *beyond: or one that comes later. */
static bool has_next_child(const ubp_finder *f, const char *path, bool *beyond)
{
    enum { MOST_SKIPPED = 3 };
    char next[UBP_MAX_PATH + 32];
    const char *dot = strrchr(path, '.');
    const char *digits = dot ? dot + 1 : path;
    int64_t number = 0;
    for (const char *d = digits; *d && number < 100000; d++)
        number = number * 10 + (*d - '0'); /* a child of a Sequential: digits */
    *beyond = false;
    for (int k = 1; k <= MOST_SKIPPED; k++) {
        snprintf(next, sizeof(next), "%.*s%lld", (int)(digits - path), path, (long long)number + k);
        const bool found = ubp_table_find(&f->module_ids, next) >= 0;
        if (found && k == 1)
            return true;
        *beyond |= found;
    }
    return false;
}

static bool is_child_of_sequential(const ubp_finder *f, const ubp_module_call *c)
{
    return c->parent >= 0 ? ubp_call_is_sequential(f, &f->calls[c->parent])
                          : strspn(f->modules[c->module].path, "0123456789") ==
                                strlen(f->modules[c->module].path);
}

/* Whether an operator without weights, in a module next to this one, reads the value: then the
 * norm may well stand between the two (convolution, norm, activation side by side). */
static bool is_read_beside(const ubp_finder *f, const ubp_module_call *c, int32_t value)
{
    static const char *const weighted[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
    for (size_t u = f->use_first[value]; u < f->use_first[value + 1]; u++) {
        const int32_t reader = f->uses[u];
        if (f->n_scoped[reader] != c->depth)
            continue;
        const ubp_module_call *beside = call_of(f, reader, c->depth - 1);
        if (beside && beside != c && beside->parent == c->parent &&
            !ubp_is_op(&f->g->nodes[reader], weighted, UBP_COUNT(weighted)))
            return true;
    }
    return false;
}

/* Whether the norm behind the convolution is likely inside this module, which ends with it: no name
 * tells. A Sequential that goes on with its next child has no norm in between; a module that folds
 * a norm behind another convolution has norms of its own; and Sequential(convolution, norm) is a
 * common module. */
static bool owns_norm(const ubp_finder *f, const ubp_module_call *c, int32_t n_inner, int32_t out)
{
    bool beyond = false;
    if (is_child_of_sequential(f, c))
        return has_next_child(f, f->modules[c->module].path, &beyond) ||
               (!beyond && (n_inner > 0 || ubp_call_is_sequential(f, c)));
    return (n_inner > 0 || ubp_call_is_sequential(f, c)) && !is_read_beside(f, c, out);
}

/* "bn1", "norm", "BatchNorm2d": a leaf of that name may be a norm with an activation. */
static bool sounds_like_norm(const char *path)
{
    const char *dot = strrchr(path, '.');
    const char *last = dot ? dot + 1 : path;
    return strstr(last, "bn") || strstr(last, "norm") || strstr(last, "Norm") || strstr(last, "BN");
}

/* Modules that read the convolution and are its only readers may begin with the norm (a norm with
 * an activation in it; a block that normalises first). An operator that sounds otherwise does not.
 */
static ub_status mark_readers(ubp_finder *f, int32_t node, int32_t out)
{
    const char *conv = ubp_node_module(f, node)->path;
    const size_t first = f->use_first[out], end = f->use_first[out + 1];
    if (first == end || f->is_output[out])
        return UB_OK;
    const int32_t reader = f->uses[first];
    for (int32_t j = 0; j < f->n_scoped[reader]; j++) {
        ubp_module_call *c = call_of(f, reader, j);
        bool all = c && !ubp_path_within(conv, f->modules[c->module].path);
        for (size_t u = first; u < end && all; u++)
            all = f->n_scoped[f->uses[u]] > j && call_of(f, f->uses[u], j) == c;
        if (!all ||
            (!f->modules[c->module].has_children && !sounds_like_norm(f->modules[c->module].path)))
            continue;
        UBP_TRY(reason(f, &c->no_in,
                       ubp_arena_printf(&f->g->arena,
                                        "the input of '%s' may not be in this file: a BatchNorm"
                                        " was folded into '%s', and the file does not say whether"
                                        " it stood at the beginning of '%s'; %s",
                                        f->modules[c->module].path, conv,
                                        f->modules[c->module].path, KEEP_TORCHSCRIPT)));
    }
    return UB_OK;
}

/* Whether the norm surely follows the module directly, as a child of the same Sequential: the file
 * has a gap where it was, and goes on behind it. */
static bool is_followed_by_norm(const ubp_finder *f, const ubp_module_call *c)
{
    bool beyond = false;
    return is_child_of_sequential(f, c) &&
           !has_next_child(f, f->modules[c->module].path, &beyond) && beyond;
}

static ub_status mark_torchscript(ubp_finder *f, int32_t node, const int32_t *n_folds)
{
    const int32_t last = f->n_scoped[node] - 1;
    const int32_t out = f->g->nodes[node].n_out > 0 ? f->g->nodes[node].out[0] : UBP_NO_VALUE;
    const char *conv = ubp_node_module(f, node)->path;
    for (int32_t j = last; j >= 0 && out != UBP_NO_VALUE; j--) {
        ubp_module_call *c = call_of(f, node, j);
        if (!c)
            return UB_OK;
        if (j < last && f->call_nodes[c->nodes + c->n_nodes - 1] != node)
            break; /* it goes on behind the convolution, as do all modules around it */
        if (j < last && owns_norm(f, c, n_folds[c - f->calls] - 1, out))
            return UB_OK;
        const char *path = f->modules[c->module].path;
        const char *text =
            j == last ? ubp_arena_printf(&f->g->arena,
                                         "the output of '%s' is not in this file: the BatchNorm"
                                         " behind it was folded into it; %s",
                                         path, KEEP_TORCHSCRIPT)
                      : ubp_arena_printf(&f->g->arena,
                                         "the output of '%s' may not be in this file: a BatchNorm"
                                         " was folded into '%s', at its end, and the file does not"
                                         " say whether it is part of '%s' or follows it; %s",
                                         path, conv, path, KEEP_TORCHSCRIPT);
        UBP_TRY(reason(f, &c->no_out, text));
        if (is_followed_by_norm(f, c))
            return UB_OK;
    }
    return out == UBP_NO_VALUE ? UB_OK : mark_readers(f, node, out);
}

static bool is_torchscript_fold(const ubp_finder *f, int32_t node)
{
    const ubp_node *n = &f->g->nodes[node];
    return f->node_flow[node] == UBP_FLOW_DATA && f->n_scoped[node] > 0 &&
           ubp_is_op(n, CONVOLUTIONS, 2) && is_renamed(f, n, 1) && is_renamed(f, n, 2);
}

static ub_status find_torchscript(ubp_finder *f)
{
    int32_t *n_folds = ubp_finder_array(f, f->n_calls, sizeof(int32_t)); /* inside each call */
    if (!n_folds)
        return UB_ERR_MEMORY;
    for (int32_t i = 0; i < (int32_t)f->g->n_nodes; i++)
        for (int32_t j = 0; is_torchscript_fold(f, i) && j < f->n_scoped[i]; j++)
            if (call_of(f, i, j))
                n_folds[f->scopes[f->scope_at[i] + (size_t)j].call]++;
    for (int32_t i = 0; i < (int32_t)f->g->n_nodes; i++)
        if (is_torchscript_fold(f, i))
            UBP_TRY(mark_torchscript(f, i, n_folds));
    return UB_OK;
}

ub_status ubp_folded_find(ubp_finder *f)
{
    ubp_table counts = {0};
    const ub_status status = f->dynamo ? find_dynamo(f, &counts) : find_torchscript(f);
    ubp_table_release(&counts);
    return status;
}
