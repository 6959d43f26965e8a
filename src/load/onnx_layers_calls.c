/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: which run of nodes is one use of a module. Nodes stand in the order in which the framework
 * ran them, so a module that comes back after nodes outside it was called again. Calls in a row
 * leave no such gap: then the run of nodes repeats itself. Where the module cannot have repeated
 * it by itself (a Sequential, an operator of torch.nn), the run is cut into its calls; elsewhere
 * it stays one run, with the number of repetitions noted.
 */
#include "load/onnx_layers.h"

#include <string.h>

typedef struct runner {
    ubp_finder *f;
    int64_t turn;      /* number of data nodes seen */
    int64_t *seen_at;  /* [n_modules] the last turn in which the module was there */
    int32_t *current;  /* [n_modules] its latest call, or -1 */
    uint64_t *hashes;  /* [n_nodes] what a data node does, its data inputs aside */
    uint64_t *weights; /* [n_values] what a constant is */
    int32_t *border;   /* [n_nodes] scratch */
} runner;

/* ---- Runs ------------------------------------------------------------------------------------ */

static ub_status open_call(runner *r, int32_t node, int32_t depth, ubp_scope *s, int32_t parent)
{
    ubp_finder *f = r->f;
    UBP_TRY(ubp_grow((void **)&f->calls, &f->cap_calls, f->n_calls, sizeof(*f->calls), f->err));
    r->current[s->module] = (int32_t)f->n_calls;
    f->calls[f->n_calls++] = (ubp_module_call){.module = s->module,
                                               .index = f->modules[s->module].n_calls++,
                                               .parent = parent,
                                               .depth = depth,
                                               .first_node = node,
                                               .mark = UBP_ANY_MARK,
                                               .repeats = 1,
                                               .layer = -1};
    return UB_OK;
}

/* A call of the module around it, a gap, a known start, or another mark: a new call. */
static bool starts_call(const runner *r, const ubp_scope *s, bool outer_starts)
{
    const ubp_finder *f = r->f;
    if (outer_starts || s->starts || r->seen_at[s->module] != r->turn - 1)
        return true;
    const int32_t mark = f->calls[r->current[s->module]].mark;
    return !f->modules[s->module].has_children && s->mark != UBP_ANY_MARK && mark != s->mark;
}

static ub_status run_node(runner *r, int32_t node)
{
    ubp_finder *f = r->f;
    bool starts = false;
    int32_t parent = -1;
    r->turn++;
    for (int32_t j = 0; j < f->n_scoped[node]; j++) {
        ubp_scope *s = &f->scopes[f->scope_at[node] + (size_t)j];
        starts = starts_call(r, s, starts);
        if (starts)
            UBP_TRY(open_call(r, node, j + 1, s, parent));
        r->seen_at[s->module] = r->turn;
        s->call = parent = r->current[s->module];
        ubp_module_call *c = &f->calls[parent];
        c->n_nodes++;
        if (s->mark != UBP_ANY_MARK && s->mark != c->mark) {
            c->mark = s->mark;
            c->n_marks++;
        }
    }
    return UB_OK;
}

/* Each call's data nodes, in order. */
static ub_status list_nodes(runner *r)
{
    ubp_finder *f = r->f;
    size_t total = 0;
    for (size_t c = 0; c < f->n_calls; c++) {
        f->calls[c].nodes = total;
        total += f->calls[c].n_nodes;
        f->calls[c].n_nodes = 0;
    }
    if (!f->call_nodes) /* as many however the runs are cut */
        f->call_nodes = ubp_finder_array(f, total, sizeof(int32_t));
    if (!f->call_nodes)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < f->g->n_nodes; i++) {
        for (int32_t j = 0; f->node_flow[i] == UBP_FLOW_DATA && j < f->n_scoped[i]; j++) {
            ubp_module_call *c = &f->calls[f->scopes[f->scope_at[i] + (size_t)j].call];
            f->call_nodes[c->nodes + c->n_nodes++] = (int32_t)i;
        }
    }
    return UB_OK;
}

static ub_status find_runs(runner *r)
{
    ubp_finder *f = r->f;
    f->n_calls = 0;
    r->turn = 1;
    for (size_t m = 0; m < f->n_modules; m++) {
        f->modules[m].n_calls = 0;
        r->seen_at[m] = -1;
        r->current[m] = -1;
    }
    for (size_t i = 0; i < f->g->n_nodes; i++)
        if (f->node_flow[i] == UBP_FLOW_DATA && f->n_scoped[i] >= 0)
            UBP_TRY(run_node(r, (int32_t)i));
    return list_nodes(r);
}

/* ---- What a node does, as a number ----------------------------------------------------------- */

/* FNV-1a. Equal numbers for unequal nodes would only mislead about a file made for that. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ b[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *s)
{
    return mix(hash, s, strlen(s) + 1);
}

static uint64_t mix_attr(uint64_t hash, const ubp_attr *a)
{
    hash = mix_text(hash, a->name);
    hash = mix(hash, &a->kind, sizeof(a->kind));
    switch (a->kind) {
    case UBP_ATTR_INT:
        return mix(hash, &a->i, sizeof(a->i));
    case UBP_ATTR_FLOAT:
        return mix(hash, &a->f, sizeof(a->f));
    case UBP_ATTR_STRING:
        return mix(hash, a->s, a->s_size);
    case UBP_ATTR_INTS:
        return mix(hash, a->ints, a->n * sizeof(*a->ints));
    case UBP_ATTR_FLOATS:
        return mix(hash, a->floats, a->n * sizeof(*a->floats));
    case UBP_ATTR_GRAPH:
        return mix(hash, &a->graph, sizeof(a->graph));
    default:
        return hash;
    }
}

static uint64_t node_hash(const ubp_finder *f, const uint64_t *weights, size_t node)
{
    const ubp_node *n = &f->g->nodes[node];
    uint64_t hash = mix_text(mix_text(0xcbf29ce484222325u, n->op_type), n->domain);
    for (int a = 0; a < n->n_attrs; a++)
        hash = mix_attr(hash, &n->attrs[a]);
    for (int i = 0; i < n->n_in; i++) {
        const int32_t v = n->in[i];
        const uint64_t weight = v == UBP_NO_VALUE ? 1 : weights[v];
        hash = mix(hash, &weight, sizeof(weight));
    }
    return hash;
}

/* A small constant is its elements (exporters write one anew for each call), a large one itself. */
static uint64_t weight_hash(const ubp_value *v, int32_t number)
{
    enum { SMALL = 256 };
    const ub_tensor *t = v->constant;
    if (ubp_tensor_bytes(t) > SMALL)
        return mix(0xcbf29ce484222325u, &number, sizeof(number));
    uint64_t hash = mix(0xcbf29ce484222325u, &t->dtype, sizeof(t->dtype));
    hash = mix(hash, t->dims, (size_t)t->rank * sizeof(t->dims[0]));
    return mix(hash, t->data, ubp_tensor_bytes(t));
}

static void hash_nodes(runner *r)
{
    const ubp_finder *f = r->f;
    for (size_t v = 0; v < f->g->n_values; v++)
        if (f->g->values[v].constant)
            r->weights[v] = weight_hash(&f->g->values[v], (int32_t)v);
    for (size_t i = 0; i < f->g->n_nodes; i++) {
        const ubp_node *n = &f->g->nodes[i];
        r->hashes[i] = node_hash(f, r->weights, i);
        for (int k = 0; f->node_flow[i] == UBP_FLOW_CONST && k < n->n_out; k++)
            if (n->out[k] != UBP_NO_VALUE)
                r->weights[n->out[k]] = mix(r->hashes[i], &k, sizeof(k));
        const int32_t n_scoped = f->n_scoped[i];
        if (n_scoped > 0) {
            const ubp_scope *s = &f->scopes[f->scope_at[i] + (size_t)n_scoped - 1];
            r->hashes[i] = mix(r->hashes[i], &s->module, sizeof(s->module));
        }
    }
}

/* ---- Runs that repeat themselves ---------------------------------------------------------------
 */

/* The shortest period of the nodes' hashes that divides n (Knuth, Morris, Pratt), n if none. */
static size_t shortest_period(runner *r, const int32_t *nodes, size_t n)
{
    int32_t *border = r->border; /* of each beginning: its longest border */
    border[0] = 0;
    for (size_t i = 1; i < n; i++) {
        int32_t k = border[i - 1];
        while (k > 0 && r->hashes[nodes[i]] != r->hashes[nodes[k]])
            k = border[k - 1];
        border[i] = k + (r->hashes[nodes[i]] == r->hashes[nodes[k]]);
    }
    const size_t period = n - (size_t)border[n - 1];
    return n % period == 0 ? period : n;
}

/* How far back in its own repetition a read value was made; 0: before it. */
static int32_t made_back(const ubp_finder *f, size_t read, int32_t pos, int32_t period)
{
    const int32_t producer = f->g->values[f->reads[read]].producer;
    if (producer == UBP_NO_NODE || f->node_flow[producer] != UBP_FLOW_DATA ||
        f->node_stamp[producer] != f->stamp)
        return 0;
    const int32_t from = f->node_pos[producer];
    return from / period == pos / period ? pos - from : 0;
}

/* Whether the edges inside each repetition are the same too. */
static bool same_edges(const ubp_finder *f, const int32_t *nodes, size_t n, size_t period)
{
    for (size_t i = period; i < n; i++) {
        const size_t a = f->read_first[nodes[i]], b = f->read_first[nodes[i - period]];
        const size_t count = f->read_first[nodes[i] + 1] - a;
        if (f->read_first[nodes[i - period] + 1] - b != count)
            return false;
        for (size_t k = 0; k < count; k++)
            if (made_back(f, a + k, (int32_t)i, (int32_t)period) !=
                made_back(f, b + k, (int32_t)(i - period), (int32_t)period))
                return false;
    }
    return true;
}

/* How often the call's run of nodes repeats itself. */
static int32_t count_repeats(runner *r, const ubp_module_call *c)
{
    ubp_finder *f = r->f;
    const int32_t *nodes = f->call_nodes + c->nodes;
    const size_t period = shortest_period(r, nodes, c->n_nodes);
    if (period == c->n_nodes)
        return 1;
    f->stamp++;
    for (size_t i = 0; i < c->n_nodes; i++) {
        f->node_stamp[nodes[i]] = f->stamp;
        f->node_pos[nodes[i]] = (int32_t)i;
    }
    return same_edges(f, nodes, c->n_nodes, period) ? (int32_t)(c->n_nodes / period) : 1;
}

/* Whether all nodes lie in modules "path.0", "path.1", ...: what only a Sequential has. */
static bool has_numbered_children(const ubp_finder *f, const ubp_module_call *c)
{
    const char *path = f->modules[c->module].path;
    for (size_t i = 0; i < c->n_nodes; i++) {
        const int32_t node = f->call_nodes[c->nodes + i];
        if (f->n_scoped[node] <= c->depth)
            return false;
        const ubp_scope *s = &f->scopes[f->scope_at[node] + (size_t)c->depth];
        const char *child = f->modules[s->module].path + strlen(path);
        if (!ubp_path_within(f->modules[s->module].path, path) || *child != '.')
            return false;
        for (child++; *child; child++)
            if (*child < '0' || *child > '9')
                return false;
    }
    return true;
}

bool ubp_call_is_sequential(const ubp_finder *f, const ubp_module_call *c)
{
    const char *type = f->modules[c->module].type;
    if (*type)
        return strcmp(type, "torch.nn.modules.container.Sequential") == 0;
    return has_numbered_children(f, c);
}

/* Whether a run that repeats itself must be several calls. */
static bool cannot_repeat(const ubp_finder *f, const ubp_module_call *c)
{
    const char *type = f->modules[c->module].type;
    return strncmp(type, "torch.nn.modules.", strlen("torch.nn.modules.")) == 0 ||
           ubp_call_is_sequential(f, c);
}

/* Notes where the pieces of a run start. */
static void cut_run(ubp_finder *f, const ubp_module_call *c, int32_t pieces)
{
    const size_t length = c->n_nodes / (size_t)pieces;
    for (size_t i = length; i < c->n_nodes; i += length) {
        const int32_t node = f->call_nodes[c->nodes + i];
        f->scopes[f->scope_at[node] + (size_t)c->depth - 1].starts = true;
    }
}

/* How many calls a run is when that is sure, else 0 (and the repeats are noted). TorchScript tells
 * by its marks where the module has nodes of its own. */
static int32_t sure_calls(runner *r, ubp_module_call *c)
{
    const ubp_finder *f = r->f;
    if (c->n_marks == 1)
        return 1;
    const int32_t repeats = count_repeats(r, c);
    if (c->n_marks > 1) {
        c->repeats = c->n_marks;
        c->uneven = repeats % c->n_marks != 0;
        return c->uneven ? 0 : c->n_marks;
    }
    c->repeats = repeats;
    return repeats == 1 || cannot_repeat(f, c) ? repeats : 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Cutting a run may cut runs inside it, and those may repeat themselves in turn. What still does
 * after the last round stays one run. */
static ub_status find_calls(runner *r)
{
    enum { MAX_ROUNDS = 8 };
    ubp_finder *f = r->f;
    bool again = true;
    for (int round = 0; again && round <= MAX_ROUNDS; round++) {
        again = false;
        UBP_TRY(find_runs(r));
        for (size_t c = 0; c < f->n_calls; c++) {
            const int32_t pieces = sure_calls(r, &f->calls[c]);
            if (pieces <= 1 || round == MAX_ROUNDS)
                continue;
            cut_run(f, &f->calls[c], pieces);
            again = true;
        }
    }
    return UB_OK;
}

ub_status ubp_calls_find(ubp_finder *f)
{
    runner r = {.f = f};
    r.seen_at = ubp_finder_array(f, f->n_modules, sizeof(int64_t));
    r.current = ubp_finder_array(f, f->n_modules, sizeof(int32_t));
    r.hashes = ubp_finder_array(f, f->g->n_nodes, sizeof(uint64_t));
    r.border = ubp_finder_array(f, f->g->n_nodes, sizeof(int32_t));
    r.weights = ubp_finder_array(f, f->g->n_values, sizeof(uint64_t));
    if (!r.seen_at || !r.current || !r.hashes || !r.border || !r.weights)
        return UB_ERR_MEMORY;
    hash_nodes(&r);
    return find_calls(&r);
}
