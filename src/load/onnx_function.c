/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the file's own (FunctionProto). A call becomes the function's nodes: formal names
 * become those of the call, all others get the call's name before them ("call/inner"), attributes
 * that refer to the function's become the call's. Nothing is left of the call itself.
 */
#include "load/onnx.h"

#include <string.h>

enum {
    FN_NAME = 1,
    FN_INPUT = 4,
    FN_OUTPUT = 5,
    FN_NODE = 7,
    FN_OPSET_IMPORT = 9,
    FN_DOMAIN = 10,
    FN_ATTRIBUTE_PROTO = 11,
    FN_OVERLOAD = 13
};
enum { MAX_DEPTH = 32, MAX_NODES = 1 << 20 };

/* ---- The table --------------------------------------------------------------------------------
 */

static const char *plain_domain(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

ub_status ubp_onnx_function(ubp_onnx *o, ubp_proto message, ubp_arena *arena)
{
    const char *domain = "", *name = "", *overload = "";
    ubp_proto p = message;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, o->err));
        if (!more)
            break;
        const char **to = f.number == FN_NAME       ? &name
                          : f.number == FN_DOMAIN   ? &domain
                          : f.number == FN_OVERLOAD ? &overload
                                                    : NULL;
        if (to)
            UBP_TRY(ubp_onnx_string(&p, &f, arena, to, o->err));
    }
    const char *key = ubp_arena_printf(arena, "%s:%s:%s", plain_domain(domain), name, overload);
    if (!key)
        return ubp_fail_memory(o->err, 1);
    UBP_TRY(ubp_grow((void **)&o->function_bodies, &o->cap_functions, o->n_functions,
                     sizeof(ubp_proto), o->err));
    o->function_bodies[o->n_functions] = message;
    return ubp_table_add(&o->functions, key, (int32_t)o->n_functions++, o->err);
}

int32_t ubp_onnx_find_function(const ubp_onnx *o, const ubp_node *node, const char *overload)
{
    ubp_text key = {0};
    if (o->functions.count == 0)
        return -1;
    ubp_text_addf(&key, "%s:%s:%s", plain_domain(node->domain), node->op_type, overload);
    const int32_t found = key.failed ? -1 : ubp_table_find(&o->functions, key.s);
    ubp_text_free(&key);
    return found;
}

/* ---- Names and attributes inside --------------------------------------------------------------
 */

ub_status ubp_onnx_rename(const ubp_onnx *o, ubp_arena *arena, const char **name)
{
    if (!o->call || !**name)
        return UB_OK;
    const int32_t formal = ubp_table_find(&o->call->formals, *name);
    *name = formal >= 0 ? o->call->actual[formal]
                        : ubp_arena_printf(arena, "%s%s", o->call->prefix, *name);
    return *name ? UB_OK : ubp_fail_memory(o->err, 1);
}

const ubp_attr *ubp_onnx_actual_attr(const ubp_onnx *o, const char *name)
{
    for (int i = 0; i < o->call->n_attrs; i++)
        if (strcmp(o->call->attrs[i].name, name) == 0)
            return &o->call->attrs[i];
    return NULL;
}

/* ---- One call ---------------------------------------------------------------------------------
 */

typedef struct inlining {
    ubp_onnx_scope *s;
    const ubp_node *node; /* the call */
    ubp_onnx_call call;
    int n_in, n_out; /* formal inputs and outputs met so far */
    int32_t n_names; /* in call.actual */
    /* Outputs of the function that are its inputs, or given twice: copied by an Identity. */
    const char **copy_from; /* [node->n_out] formal names, NULL: no copy */
} inlining;

/* "call/": its name, or that of its first output; a number behind it when that is taken. */
static ub_status make_prefix(inlining *x)
{
    ubp_onnx *o = x->s->onnx;
    ubp_graph *g = x->s->g;
    const char *name = x->node->name;
    for (int k = 0; k < x->node->n_out && !*name; k++)
        name = x->node->out[k] >= 0 ? g->values[x->node->out[k]].name : name;
    const char *prefix = ubp_arena_printf(&o->loaded->graph->arena, "%s/", name);
    for (int i = 1; prefix && ubp_table_find(&o->prefixes, prefix) >= 0; i++)
        prefix = ubp_arena_printf(&o->loaded->graph->arena, "%s#%d/", name, i);
    if (!prefix)
        return ubp_fail_memory(o->err, 1);
    x->call.prefix = prefix;
    return ubp_table_add(&o->prefixes, prefix, 0, o->err);
}

/* The formal name stands for a value of the graph, or for nothing. */
static ub_status add_formal(inlining *x, const char *formal, const int32_t *list, int n, int i)
{
    const ubp_graph *g = x->s->g;
    x->call.actual[x->n_names] = i < n && list[i] >= 0 ? g->values[list[i]].name : "";
    return ubp_table_add(&x->call.formals, formal, x->n_names++, x->s->onnx->err);
}

/* Inputs come before outputs whatever the order in the file. */
static ub_status read_ports(inlining *x, ubp_proto p, uint32_t field)
{
    ubp_onnx *o = x->s->onnx;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        const char *name = "";
        UBP_TRY(ubp_proto_next(&p, &f, &more, o->err));
        if (!more)
            return UB_OK;
        if (f.number != field)
            continue;
        UBP_TRY(ubp_onnx_string(&p, &f, &x->s->g->arena, &name, o->err));
        if (field == FN_INPUT) {
            UBP_TRY(add_formal(x, name, x->node->in, x->node->n_in, x->n_in++));
            continue;
        }
        const int k = x->n_out++;
        if (k >= x->node->n_out || x->node->out[k] < 0)
            continue; /* nobody wants it */
        if (ubp_table_find(&x->call.formals, name) >= 0)
            x->copy_from[k] = name;
        else
            UBP_TRY(add_formal(x, name, x->node->out, x->node->n_out, k));
    }
}

/* How many formal names and attributes there are at most, and the opsets. */
static ub_status count(inlining *x, ubp_proto p, size_t *n_names, size_t *n_attrs)
{
    ubp_onnx *o = x->s->onnx;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, o->err));
        if (!more)
            return UB_OK;
        *n_names += f.number == FN_INPUT || f.number == FN_OUTPUT;
        *n_attrs += f.number == FN_ATTRIBUTE_PROTO;
        if (f.number == FN_OPSET_IMPORT || f.number == FN_ATTRIBUTE_PROTO || f.number == FN_NODE)
            UBP_TRY(ubp_onnx_want(&p, &f, 2, o->err));
        if (f.number == FN_OPSET_IMPORT)
            UBP_TRY(
                ubp_onnx_read_opset(o, &x->call.imports, ubp_proto_sub(&p, &f), &x->s->g->arena));
    }
}

/* The call's attributes, behind them what the function has for those left out. */
static ub_status read_attrs(inlining *x, ubp_proto p, size_t n_defaults)
{
    ubp_onnx *o = x->s->onnx;
    const int n = x->node->n_attrs;
    ubp_attr *attrs = ubp_arena_array(&x->s->g->arena, (size_t)n + n_defaults + 1, sizeof *attrs);
    if (!attrs)
        return ubp_fail_memory(o->err, n_defaults * sizeof *attrs);
    if (n > 0)
        memcpy(attrs, x->node->attrs, (size_t)n * sizeof *attrs);
    x->call.attrs = attrs;
    x->call.n_attrs = n;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, o->err));
        if (!more)
            return UB_OK;
        if (f.number == FN_ATTRIBUTE_PROTO)
            UBP_TRY(ubp_onnx_attr(x->s, ubp_proto_sub(&p, &f), &attrs[x->call.n_attrs++]));
    }
}

static ub_status read_nodes(inlining *x, ubp_proto p)
{
    ubp_onnx *o = x->s->onnx;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, o->err));
        if (!more)
            return UB_OK;
        if (f.number != FN_NODE)
            continue;
        if (++o->n_inlined > MAX_NODES)
            return ubp_fail(o->err, UB_ERR_UNSUPPORTED,
                            "the model's functions make more than %d nodes", MAX_NODES);
        UBP_TRY(ubp_onnx_node(x->s, ubp_proto_sub(&p, &f)));
    }
}

static ub_status copy_outputs(inlining *x)
{
    for (int k = 0; k < x->node->n_out; k++) {
        int32_t from;
        const char *name = x->copy_from[k];
        if (!name)
            continue;
        UBP_TRY(ubp_onnx_rename(x->s->onnx, &x->s->g->arena, &name));
        if (!*name)
            return ubp_fail(x->s->onnx->err, UB_ERR_FILE,
                            "node '%s' (%s) wants an output that is an input it does not give",
                            x->node->name, x->node->op_type);
        UBP_TRY(ubp_onnx_value(x->s, name, &from));
        const ubp_node node = {.name = x->node->name,
                               .op_type = "Identity",
                               .domain = "",
                               .op = ubp_op_find("Identity", ""),
                               .n_in = 1,
                               .n_out = 1,
                               .in = &from,
                               .out = &x->node->out[k],
                               .helper = true};
        UBP_TRY(ubp_graph_node(x->s->g, &node, NULL, x->s->onnx->err));
        UBP_TRY(ubp_onnx_fact_note(x->s, &node));
    }
    return UB_OK;
}

static ub_status check_depth(const inlining *x, int32_t function)
{
    ubp_onnx *o = x->s->onnx;
    for (const ubp_onnx_call *c = o->call; c; c = c->outer)
        if (c->function == function)
            return ubp_fail(o->err, UB_ERR_FILE, "function '%s' calls itself", x->node->op_type);
    if (x->call.depth > MAX_DEPTH)
        return ubp_fail(o->err, UB_ERR_UNSUPPORTED, "functions call each other more than %d deep",
                        MAX_DEPTH);
    return UB_OK;
}

static ub_status prepare(inlining *x, ubp_proto body)
{
    ubp_onnx *o = x->s->onnx;
    size_t n_names = 0, n_attrs = 0;
    UBP_TRY(make_prefix(x));
    UBP_TRY(count(x, body, &n_names, &n_attrs));
    if (!x->call.imports.opset)
        x->call.imports.opset = o->imports.opset;
    UBP_TRY(ubp_onnx_check_opset(o, x->call.imports.opset));
    x->call.actual = ubp_arena_array(&x->s->g->arena, n_names + 1, sizeof(char *));
    x->copy_from = ubp_arena_array(&x->s->g->arena, (size_t)x->node->n_out + 1, sizeof(char *));
    if (!x->call.actual || !x->copy_from)
        return ubp_fail_memory(o->err, n_names * sizeof(char *));
    UBP_TRY(read_attrs(x, body, n_attrs));
    UBP_TRY(read_ports(x, body, FN_INPUT));
    UBP_TRY(read_ports(x, body, FN_OUTPUT));
    if (x->node->n_in <= x->n_in && x->node->n_out <= x->n_out)
        return UB_OK;
    return ubp_fail(o->err, UB_ERR_FILE,
                    "node '%s' calls function '%s' with %d inputs and %d outputs, it has %d and %d",
                    x->node->name, x->node->op_type, x->node->n_in, x->node->n_out, x->n_in,
                    x->n_out);
}

ub_status ubp_onnx_inline(ubp_onnx_scope *s, const ubp_node *call, int32_t function,
                          const ubp_onnx_meta *meta)
{
    ubp_onnx *o = s->onnx;
    const ubp_proto body = o->function_bodies[function];
    inlining x = {.s = s,
                  .node = call,
                  .call = {.outer = o->call,
                           .function = function,
                           .depth = o->call ? o->call->depth + 1 : 1,
                           .meta = *meta}};
    UBP_TRY(check_depth(&x, function));
    ub_status st = prepare(&x, body);
    const ubp_onnx_call *outer = o->call;
    o->call = &x.call;
    if (st == UB_OK)
        st = read_nodes(&x, body);
    if (st == UB_OK)
        st = copy_outputs(&x);
    o->call = outer;
    ubp_table_release(&x.call.formals);
    ubp_table_release(&x.call.imports.domains);
    return st;
}
