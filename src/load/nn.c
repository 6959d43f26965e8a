/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network being built: names, scopes, errors, and the call of one layer. See nn.h.
 */
#include "load/nn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Life ------------------------------------------------------------------------------------ */

ub_nn *ub_nn_new(uint64_t seed)
{
    ub_nn *net = ubp_calloc(1, sizeof(*net));
    if (!net)
        return NULL;
    net->seed = seed;
    net->parent = net->last_layer = -1;
    net->last = UBP_NO_VALUE;
    net->emit = (ubp_emit){.name = "", .err = &net->error};
    net->emit.status = ubp_graph_new(&net->loaded.graph, &net->error);
    net->g = net->emit.g = net->loaded.graph;
    return net;
}

void ub_nn_free(ub_nn *net)
{
    if (!net)
        return;
    ubp_loaded_release(&net->loaded);
    ubp_table_release(&net->names);
    ubp_table_release(&net->kinds);
    ubp_free(net->counts);
    ubp_free(net->records);
    ubp_free(net->weights);
    ubp_free(net->outputs);
    ubp_free(net);
}

/* Keeps the first failure. */
static bool keep(ub_nn *net, ub_status status)
{
    if (net->emit.status == UB_OK)
        net->emit.status = status;
    return net->emit.status == UB_OK;
}

static const char *keep_text(ub_nn *net, const char *text)
{
    if (!text)
        keep(net, ubp_fail_memory(&net->error, 1));
    return text ? text : "";
}

void ub_nn_weights(ub_nn *net, const char *path)
{
    if (net && net->emit.status == UB_OK)
        net->weights_path = keep_text(net, ubp_arena_strdup(&net->g->arena, path));
}

/* ---- Values ---------------------------------------------------------------------------------- */

ub_nn_value ub_nn_last(ub_nn *net)
{
    if (!net)
        return (ub_nn_value){NULL, UBP_NO_VALUE, -1};
    return (ub_nn_value){net, net->last, net->last_layer};
}

ub_nn_value ub_nn_self(ub_nn_value x)
{
    return x;
}

ub_nn_value ub_nn_other(ub_nn_value x, int k)
{
    if (!x.net || x.net->emit.status != UB_OK || x.layer < 0)
        return x;
    const ubp_nn_record *r = &x.net->records[x.layer];
    if (k < 0 || k >= r->n_out) {
        keep(x.net, ubp_fail(&x.net->error, UB_ERR_ARGUMENT,
                             "layer '%s' (%s): it has %d outputs, there is no output %d", r->name,
                             r->type, r->n_out, k));
        return x;
    }
    x.value = r->out[k];
    return x;
}

void ub_nn_output(ub_nn_value x)
{
    ub_nn *net = x.net;
    if (!net || net->emit.status != UB_OK)
        return;
    if (x.value == UBP_NO_VALUE) {
        keep(net, ubp_fail(&net->error, UB_ERR_ARGUMENT, "an output of nothing: add layers first"));
        return;
    }
    if (keep(net, ubp_grow((void **)&net->outputs, &net->cap_outputs, net->n_outputs,
                           sizeof(int32_t), &net->error)))
        net->outputs[net->n_outputs++] = x.value;
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* "keras.Conv2D" -> "Conv2D" */
static const char *type_of(const ubp_nn_kind *kind)
{
    return strchr(kind->what, '.') + 1;
}

void ubp_nn_fail(ubp_nn_call *c, ub_status code, const char *fmt, ...)
{
    char text[800];
    va_list args;
    if (ubp_nn_failed(c))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    keep(c->net,
         ubp_fail(&c->net->error, code, "layer '%s' (%s): %s", c->name, type_of(c->kind), text));
}

const char *ubp_nn_shape_text(char *text, int rank, const int64_t *dims)
{
    size_t at = 0;
    at += (size_t)snprintf(text, UBP_SHAPE_TEXT, "(");
    for (int i = 0; i < rank && at < UBP_SHAPE_TEXT; i++) {
        const char *comma = i > 0 ? ", " : "";
        at += dims[i] < 0 ? (size_t)snprintf(text + at, UBP_SHAPE_TEXT - at, "%sNone", comma)
                          : (size_t)snprintf(text + at, UBP_SHAPE_TEXT - at, "%s%lld", comma,
                                             (long long)dims[i]);
    }
    if (at < UBP_SHAPE_TEXT)
        snprintf(text + at, UBP_SHAPE_TEXT - at, rank == 1 ? ",)" : ")");
    return text;
}

void ubp_nn_expect(ubp_nn_call *c, const char *expected)
{
    char text[UBP_SHAPE_TEXT];
    ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s, expected %s",
                ubp_nn_shape_text(text, c->rank, c->dims), expected);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* The count of layers of this kind so far, one more afterwards. */
static int count_kind(ub_nn *net, const char *base)
{
    int32_t i = ubp_table_find(&net->kinds, base);
    if (i >= 0)
        return net->counts[i]++;
    const char *copy = keep_text(net, ubp_arena_strdup(&net->g->arena, base));
    if (!keep(net, ubp_grow((void **)&net->counts, &net->cap_counts, net->n_counts, sizeof(int32_t),
                            &net->error)))
        return 0;
    i = (int32_t)net->n_counts++;
    net->counts[i] = 1;
    keep(net, ubp_table_add(&net->kinds, copy, i, &net->error));
    return 0;
}

/* Keras counts the layers of a kind, PyTorch the modules of a Sequential. */
static const char *automatic_name(ub_nn *net, const char *base, bool numbered)
{
    ubp_arena *arena = &net->g->arena;
    int *children = net->parent < 0 ? &net->n_children : &net->records[net->parent].n_children;
    if (numbered)
        return keep_text(net, ubp_arena_printf(arena, "%d", *children));
    const int n = count_kind(net, base);
    return keep_text(net, n == 0 ? ubp_arena_strdup(arena, base)
                                 : ubp_arena_printf(arena, "%s_%d", base, n));
}

/* A name behind those of the scopes around it. */
static const char *full_name(ub_nn *net, const char *name, char separator)
{
    if (net->parent < 0)
        return keep_text(net, ubp_arena_strdup(&net->g->arena, name));
    return keep_text(net, ubp_arena_printf(&net->g->arena, "%s%c%s", net->records[net->parent].name,
                                           separator, name));
}

/* A record under a name of its own; -1: refused. */
static int32_t add_record(ub_nn *net, const char *name, const char *type)
{
    if (net->emit.status != UB_OK)
        return -1;
    if (ubp_table_find(&net->names, name) >= 0) {
        keep(net, ubp_fail(&net->error, UB_ERR_ARGUMENT, "two layers are called '%.200s'", name));
        return -1;
    }
    if (!keep(net, ubp_grow((void **)&net->records, &net->cap_records, net->n_records,
                            sizeof(ubp_nn_record), &net->error)))
        return -1;
    const int32_t r = (int32_t)net->n_records;
    if (!keep(net, ubp_table_add(&net->names, name, r, &net->error)))
        return -1;
    net->n_records++;
    net->records[r] = (ubp_nn_record){.name = name,
                                      .type = type,
                                      .depth = net->depth + 1,
                                      .parent = net->parent,
                                      .first = (int32_t)net->g->n_nodes};
    if (net->parent < 0)
        net->n_children++;
    else
        net->records[net->parent].n_children++;
    return r;
}

/* ---- Scopes ---------------------------------------------------------------------------------- */

/* "torch.Sequential" -> Sequential of PyTorch; false: neither framework. */
static bool read_scope(const char *what, bool *keras, const char **type)
{
    *keras = strncmp(what, "keras.", 6) == 0;
    *type = what + 6;
    return *keras || strncmp(what, "torch.", 6) == 0;
}

/* "Sequential" -> "sequential" */
static const char *lower_name(ub_nn *net, const char *type)
{
    char *name = ubp_arena_strdup(&net->g->arena, type);
    for (char *p = name; p && *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    return keep_text(net, name);
}

void ub_nn_begin(ub_nn *net, const char *what, const char *name)
{
    bool keras = false;
    const char *type = "";
    if (!net || net->emit.status != UB_OK)
        return;
    if (net->depth >= UBP_NN_DEPTH || !read_scope(what, &keras, &type)) {
        keep(net, ubp_fail(&net->error, UB_ERR_ARGUMENT,
                           "ub_nn_begin('%.100s'): \"keras.\" or \"torch.\" and a type were"
                           " expected, at most %d inside each other",
                           what, UBP_NN_DEPTH));
        return;
    }
    const char *own = name ? name : automatic_name(net, lower_name(net, type), !keras);
    const char *copy = keep_text(net, ubp_arena_strdup(&net->g->arena, type));
    const int32_t r = add_record(net, full_name(net, own, keras ? '/' : '.'), copy);
    if (r < 0)
        return;
    net->parent = r;
    net->depth++;
}

void ub_nn_end(ub_nn *net)
{
    if (!net || net->emit.status != UB_OK)
        return;
    if (net->parent < 0) {
        keep(net, ubp_fail(&net->error, UB_ERR_ARGUMENT, "ub_nn_end() without ub_nn_begin()"));
        return;
    }
    ubp_nn_record *r = &net->records[net->parent];
    r->last = (int32_t)net->g->n_nodes;
    net->parent = r->parent;
    net->depth--;
}

/* ---- One layer ------------------------------------------------------------------------------- */

bool ubp_nn_take(ubp_nn_call *c, ub_nn_value v)
{
    if (v.net != c->net) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "a value it is applied to belongs to another network");
        return false;
    }
    if (v.value == UBP_NO_VALUE) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "it is applied to nothing: begin with an input");
        return false;
    }
    bool is_new = c->n_in < UB_NN_INPUTS;
    for (int i = 0; i < c->n_in; i++)
        is_new &= c->in[i] != v.value;
    if (is_new)
        c->in[c->n_in++] = v.value;
    return true;
}

static bool set_x(ubp_nn_call *c, ub_nn_value at)
{
    if (!ubp_nn_take(c, at))
        return false;
    const ubp_value *v = &c->net->g->values[at.value];
    c->x = at.value;
    c->dtype = v->dtype;
    c->rank = v->rank;
    memcpy(c->dims, v->dims, sizeof(c->dims));
    return true;
}

void ubp_nn_give(ubp_nn_call *c, int32_t value, int rank, const int64_t *dims)
{
    if (ubp_nn_failed(c) || c->n_out == UBP_NN_OUTPUTS)
        return;
    /* A layer's output is a value of its own, so that its border is seen. */
    if (c->net->g->values[value].producer == UBP_NO_NODE)
        value = ubp_emit_1(c->e, "Identity", value);
    if (ubp_nn_failed(c))
        return;
    ubp_value *v = &c->net->g->values[value];
    v->dtype = c->dtype;
    v->rank = dims ? rank : c->rank;
    memcpy(v->dims, dims ? dims : c->dims, (size_t)v->rank * sizeof(int64_t));
    c->out[c->n_out++] = value;
}

/* The name that the arguments give, or NULL. */
static const char *given_name(const ubp_nn_kind *kind, const void *args)
{
    const char *name;
    memcpy(&name, (const char *)args + kind->name_at, sizeof(name));
    return name;
}

/* The arguments with the size this library knows; those of older headers are shorter. */
static void *copy_args(ub_nn *net, const ubp_nn_kind *kind, const void *args)
{
    size_t size = 0;
    memcpy(&size, args, sizeof(size));
    void *copy = ubp_arena_alloc(&net->g->arena, kind->size);
    if (!copy)
        keep(net, ubp_fail_memory(&net->error, kind->size));
    else
        memcpy(copy, args, size < kind->size ? size : kind->size);
    return copy;
}

static int32_t *copy_values(ub_nn *net, const int32_t *values, int n)
{
    int32_t *copy = ubp_arena_array(&net->g->arena, (size_t)n + 1, sizeof(int32_t));
    if (!copy)
        keep(net, ubp_fail_memory(&net->error, (size_t)n));
    else if (n > 0)
        memcpy(copy, values, (size_t)n * sizeof(int32_t));
    return copy;
}

static ub_nn_value finish_call(ubp_nn_call *c, int32_t r)
{
    ub_nn *net = c->net;
    if (!ubp_nn_failed(c) && r >= 0) {
        ubp_nn_record *record = &net->records[r];
        record->last = (int32_t)net->g->n_nodes;
        record->is_node = c->kind->is_node;
        record->n_in = c->n_in;
        record->n_out = c->n_out;
        record->in = copy_values(net, c->in, c->n_in);
        record->out = copy_values(net, c->out, c->n_out);
    }
    if (ubp_nn_failed(c) || c->n_out == 0)
        return (ub_nn_value){net, UBP_NO_VALUE, -1};
    net->last = c->out[0];
    net->last_layer = r;
    return ub_nn_last(net);
}

/* Values that are added know their network; the layer itself is applied to nothing. */
static ub_nn *find_net(ub_nn_value at, const ubp_nn_kind *kind, const void *args)
{
    if (!at.net && kind && kind->build == ubp_nn_build_merge)
        return ((const ub_nn_merge *)args)->of[0].net;
    return at.net;
}

ub_nn_value ub_nn_add(ub_nn_value at, const char *what, const void *args)
{
    const ubp_nn_kind *kind = ubp_nn_kind_find(what);
    ub_nn *net = find_net(at, kind, args);
    if (!net || net->emit.status != UB_OK)
        return (ub_nn_value){net, UBP_NO_VALUE, -1};
    if (!kind) {
        keep(net, ubp_fail(&net->error, UB_ERR_ARGUMENT, "there is no layer '%.100s'", what));
        return (ub_nn_value){net, UBP_NO_VALUE, -1};
    }
    ubp_nn_call c = {.net = net, .e = &net->emit, .kind = kind};
    const bool keras = ubp_nn_is_keras(&c);
    c.args = copy_args(net, kind, args);
    if (ubp_nn_failed(&c))
        return (ub_nn_value){net, UBP_NO_VALUE, -1};
    const char *name = given_name(kind, c.args);
    if (!name)
        name = automatic_name(net, kind->base,
                              !keras && !kind->is_node && kind->build != ubp_nn_build_input);
    c.name = full_name(net, name, keras ? '/' : '.');
    net->emit.name = c.name;
    if (kind->build == ubp_nn_build_input) {
        kind->build(&c);
        return finish_call(&c, -1);
    }
    if (kind->build != ubp_nn_build_merge && !set_x(&c, at))
        return (ub_nn_value){net, UBP_NO_VALUE, -1};
    const int32_t r = add_record(net, c.name, type_of(kind));
    if (r >= 0 && kind->is_node) /* no module: it takes no number */
        *(net->parent < 0 ? &net->n_children : &net->records[net->parent].n_children) -= 1;
    if (r >= 0)
        kind->build(&c);
    return finish_call(&c, r);
}
