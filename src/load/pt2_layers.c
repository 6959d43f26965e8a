/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of a .pt2 program. Every call of an operator carries the modules it ran in, each with a
 * key that tells the calls of a module apart. What a module's calls read and did not make is its
 * input, what they made and others read its output. Modules without operators of their own are only
 * in module_call_graph.
 */
#include <stdlib.h>
#include <string.h>

#include "load/pt2.h"

/* One use of a module. */
typedef struct use {
    const char *path, *type; /* in the graph's arena */
    int number;              /* how many uses of it came before */
    int depth;
    int32_t parent;        /* use, or -1 */
    size_t calls, n_calls; /* in finder->members */
    size_t position;       /* for the order of layers: twice the first call; odd: behind it */
    size_t last;           /* call */
    const json_t *signature;
    int32_t *in, *out;
    int n_in, n_out;
    const char *no_in, *no_out;
    int32_t layer;
} use;

typedef struct finder {
    ubp_pt2 *p;
    ubp_arena arena;
    use *uses;
    size_t n_uses, cap_uses;
    ubp_table keys;   /* nn_module_stack key -> use */
    ubp_table names;  /* "fc1@1" -> use */
    size_t *stack_at; /* [n_calls + 1] into stack */
    int32_t *stack;   /* uses, outermost first */
    size_t n_stack, cap_stack;
    size_t *members;   /* calls of each use */
    size_t *reader_at; /* [n_entries + 1] into readers */
    size_t *readers;   /* calls */
    bool *is_result;   /* [n_entries] */
    size_t stamp;
    size_t *call_stamp, *entry_stamp, *read_stamp;
} finder;

static void *array(finder *f, size_t count, size_t size)
{
    void *a = ubp_arena_array(&f->arena, count, size);
    if (!a)
        ubp_fail_memory(f->p->err, count);
    return a;
}

/* ---- nn_module_stack --------------------------------------------------------------------------
 */

typedef struct piece {
    const char *s;
    size_t n;
} piece;

/* "key,path,type": commas inside brackets do not part. */
static int split_entry(const char *s, size_t n, piece out[3])
{
    int count = 0, depth = 0;
    size_t start = 0;
    for (size_t i = 0; i <= n && count < 3; i++) {
        const char c = i < n ? s[i] : ',';
        depth += c == '(' || c == '[';
        depth -= c == ')' || c == ']';
        if ((c == ',' && depth <= 0 && count < 2) || i == n) {
            out[count++] = (piece){s + start, i - start};
            start = i + 1;
        }
    }
    return count;
}

/* The n of "...@n"; -1: there is none. */
static int call_number(const char *s, size_t n)
{
    int number = 0;
    size_t digits = 0;
    while (digits < n && digits < 8 && s[n - 1 - digits] >= '0' && s[n - 1 - digits] <= '9')
        digits++;
    if (digits == 0 || digits == n || s[n - 1 - digits] != '@')
        return -1;
    for (size_t i = n - digits; i < n; i++)
        number = number * 10 + (s[i] - '0');
    return number;
}

static ub_status add_use(finder *f, const use *u, int32_t *out)
{
    ubp_pt2 *p = f->p;
    UBP_TRY(ubp_grow((void **)&f->uses, &f->cap_uses, f->n_uses, sizeof(use), p->err));
    *out = (int32_t)f->n_uses;
    f->uses[f->n_uses++] = *u;
    const char *name =
        u->number > 0 ? ubp_arena_printf(&f->arena, "%s@%d", u->path, u->number) : u->path;
    return name ? ubp_table_add(&f->names, name, *out, p->err) : ubp_fail_memory(p->err, 1);
}

static ub_status make_use(finder *f, const piece *part, const char *key, int32_t parent,
                          size_t call, int32_t *out)
{
    ubp_arena *arena = &f->p->g->arena;
    const int number = call_number(part[0].s, part[0].n);
    piece type = part[2];
    for (size_t i = 0; i < part[2].n; i++) /* torch.nn.modules.conv.Conv2d -> Conv2d */
        if (part[2].s[i] == '.')
            type = (piece){part[2].s + i + 1, part[2].n - i - 1};
    const use u = {.path = ubp_arena_strndup(arena, part[1].s, part[1].n),
                   .type = ubp_arena_strndup(arena, type.s, type.n),
                   .number = number > 0 ? number : 0,
                   .depth = parent < 0 ? 1 : f->uses[parent].depth + 1,
                   .parent = parent,
                   .position = 2 * call,
                   .last = call};
    if (!u.path || !u.type)
        return ubp_fail_memory(f->p->err, part[1].n);
    UBP_TRY(add_use(f, &u, out));
    return ubp_table_add(&f->keys, key, *out, f->p->err);
}

/* Pushes one entry of a call's stack. The network itself is no layer. */
static ub_status push_entry(finder *f, const char *s, size_t n, int32_t *parent, size_t call)
{
    static const char none[] = "_empty_nn_module_stack_from_metadata_hook";
    piece part[3];
    if (split_entry(s, n, part) != 3 || part[1].n == 0 ||
        (part[0].n == sizeof(none) - 1 && memcmp(part[0].s, none, part[0].n) == 0))
        return UB_OK;
    const char *key = ubp_arena_strndup(&f->arena, part[0].s, part[0].n);
    if (!key)
        return ubp_fail_memory(f->p->err, part[0].n);
    int32_t u = ubp_table_find(&f->keys, key);
    if (u < 0)
        UBP_TRY(make_use(f, part, key, *parent, call, &u));
    UBP_TRY(ubp_grow((void **)&f->stack, &f->cap_stack, f->n_stack, sizeof(*f->stack), f->p->err));
    f->stack[f->n_stack++] = u;
    f->uses[u].n_calls++;
    f->uses[u].last = call;
    *parent = u;
    return UB_OK;
}

static ub_status read_stacks(finder *f)
{
    const ubp_pt2 *p = f->p;
    f->stack_at = array(f, p->n_calls + 1, sizeof(*f->stack_at));
    if (!f->stack_at)
        return UB_ERR_MEMORY;
    for (size_t c = 0; c < p->n_calls; c++) {
        int32_t parent = -1;
        f->stack_at[c] = f->n_stack;
        for (const char *s = p->calls[c].stack; s && *s;) {
            const char *end = strchr(s, ';');
            const size_t n = end ? (size_t)(end - s) : strlen(s);
            UBP_TRY(push_entry(f, s, n, &parent, c));
            s = end ? end + 1 : NULL;
        }
    }
    f->stack_at[p->n_calls] = f->n_stack;
    return UB_OK;
}

/* The calls of each use, in order. */
static ub_status list_members(finder *f)
{
    f->members = array(f, f->n_stack, sizeof(*f->members));
    if (!f->members)
        return UB_ERR_MEMORY;
    size_t at = 0;
    for (size_t u = 0; u < f->n_uses; u++) {
        f->uses[u].calls = at;
        at += f->uses[u].n_calls;
        f->uses[u].n_calls = 0;
    }
    for (size_t c = 0; c < f->p->n_calls; c++)
        for (size_t s = f->stack_at[c]; s < f->stack_at[c + 1]; s++) {
            use *u = &f->uses[f->stack[s]];
            if (u->n_calls > 0 && f->members[u->calls + u->n_calls - 1] == c)
                continue; /* named twice in one stack */
            f->members[u->calls + u->n_calls++] = c;
        }
    return UB_OK;
}

/* ---- Borders ----------------------------------------------------------------------------------
 */

static ub_status list_readers(finder *f)
{
    const ubp_pt2 *p = f->p;
    f->reader_at = array(f, p->n_entries + 2, sizeof(*f->reader_at));
    f->readers = array(f, p->n_uses, sizeof(*f->readers));
    f->is_result = array(f, p->n_entries, sizeof(*f->is_result));
    f->call_stamp = array(f, p->n_calls, sizeof(*f->call_stamp));
    f->entry_stamp = array(f, p->n_entries, sizeof(*f->entry_stamp));
    f->read_stamp = array(f, p->n_entries, sizeof(*f->read_stamp));
    if (!f->reader_at || !f->readers || !f->is_result || !f->call_stamp || !f->entry_stamp ||
        !f->read_stamp)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < p->n_results; i++)
        f->is_result[p->results[i]] = true;
    for (size_t c = 0; c < p->n_calls; c++)
        for (size_t i = 0; i < p->calls[c].n_reads; i++)
            f->reader_at[p->uses[p->calls[c].reads + i].entry + 2]++;
    for (size_t e = 2; e < p->n_entries + 2; e++)
        f->reader_at[e] += f->reader_at[e - 1];
    for (size_t c = 0; c < p->n_calls; c++)
        for (size_t i = 0; i < p->calls[c].n_reads; i++)
            f->readers[f->reader_at[p->uses[p->calls[c].reads + i].entry + 1]++] = c;
    return UB_OK;
}

static bool is_fixed(const finder *f, int32_t entry)
{
    const ubp_pt2_entry *e = &f->p->entries[entry];
    return e->kind != UBP_PT2_TENSOR || f->p->tensors[e->tensor].fixed;
}

/* Marks the calls of a use and what they make; lists what they read from outside, in order of
 * first use. to NULL: only counts. */
static int list_inputs(finder *f, const use *u, int32_t *to)
{
    const ubp_pt2 *p = f->p;
    int n = 0;
    f->stamp++;
    for (size_t i = 0; i < u->n_calls; i++) {
        const ubp_pt2_call *c = &p->calls[f->members[u->calls + i]];
        f->call_stamp[f->members[u->calls + i]] = f->stamp;
        for (size_t r = c->reads; r < c->reads + c->n_reads; r++) {
            const int32_t entry = p->uses[r].entry;
            if (f->entry_stamp[entry] == f->stamp || f->read_stamp[entry] == f->stamp ||
                is_fixed(f, entry))
                continue;
            f->read_stamp[entry] = f->stamp;
            if (to)
                to[n] = p->uses[r].value;
            n++;
        }
        for (size_t m = c->made; m < c->made + c->n_made; m++)
            f->entry_stamp[p->uses[m].entry] = f->stamp;
    }
    return n;
}

static bool leaves(const finder *f, int32_t entry)
{
    if (f->is_result[entry])
        return true;
    for (size_t r = f->reader_at[entry]; r < f->reader_at[entry + 1]; r++)
        if (f->call_stamp[f->readers[r]] != f->stamp)
            return true;
    return false;
}

/* After list_inputs(), which marked the calls. Whole recurrent networks return all they make. */
static int list_outputs(const finder *f, const use *u, int32_t *to)
{
    const ubp_pt2 *p = f->p;
    const int32_t number = (int32_t)(u - f->uses);
    int n = 0;
    int32_t last = UBP_NO_VALUE;
    for (size_t i = 0; i < u->n_calls; i++) {
        const size_t call = f->members[u->calls + i];
        const ubp_pt2_call *c = &p->calls[call];
        const bool all = c->recurrent && f->stack[f->stack_at[call + 1] - 1] == number;
        for (size_t m = c->made; m < c->made + c->n_made; m++) {
            last = p->uses[m].value;
            if (!all && !leaves(f, p->uses[m].entry))
                continue;
            if (to)
                to[n] = last;
            n++;
        }
    }
    if (n == 0 && last != UBP_NO_VALUE) {
        if (to)
            to[0] = last;
        n = 1;
    }
    return n;
}

static ub_status find_border(finder *f, use *u)
{
    ubp_arena *arena = &f->p->g->arena;
    u->n_in = list_inputs(f, u, NULL);
    u->n_out = list_outputs(f, u, NULL);
    u->in = ubp_arena_array(arena, (size_t)u->n_in, sizeof(*u->in));
    u->out = ubp_arena_array(arena, (size_t)u->n_out, sizeof(*u->out));
    if (!u->in || !u->out)
        return ubp_fail_memory(f->p->err, (size_t)u->n_in * sizeof(*u->in));
    list_inputs(f, u, u->in);
    list_outputs(f, u, u->out);
    return UB_OK;
}

/* ---- module_call_graph ------------------------------------------------------------------------
 */

/* Names of a signature as values; *list in the graph's arena. read: of the use, which knows what a
 * tensor held when it was read. */
static ub_status signature_values(finder *f, const use *u, const json_t *names, int32_t **list,
                                  int *n)
{
    const ubp_pt2 *p = f->p;
    size_t i = 0;
    json_t *one = NULL;
    *n = 0;
    *list = ubp_arena_array(&p->g->arena, json_array_size(names), sizeof(**list));
    if (!*list)
        return ubp_fail_memory(p->err, json_array_size(names) * sizeof(**list));
    json_array_foreach(names, i, one)
    {
        const char *name =
            json_string_value(json_object_get(json_object_get(one, "as_tensor"), "name"));
        const int32_t entry = name ? ubp_pt2_find(p, 0, name) : -1;
        if (entry < 0 || p->entries[entry].kind != UBP_PT2_TENSOR)
            continue;
        int32_t value = p->entries[entry].value;
        for (size_t c = 0; c < u->n_calls; c++) {
            const ubp_pt2_call *call = &p->calls[f->members[u->calls + c]];
            for (size_t r = call->reads; r < call->reads + call->n_reads; r++)
                if (p->uses[r].entry == entry) {
                    value = p->uses[r].value;
                    c = u->n_calls - 1;
                    break;
                }
        }
        (*list)[(*n)++] = value;
    }
    return UB_OK;
}

static ub_status apply_signature(finder *f, use *u, const json_t *signature)
{
    const use none = {.n_calls = 0};
    UBP_TRY(signature_values(f, u, json_object_get(signature, "inputs"), &u->in, &u->n_in));
    UBP_TRY(signature_values(f, &none, json_object_get(signature, "outputs"), &u->out, &u->n_out));
    u->signature = signature;
    return UB_OK;
}

/* The use of the module around fqn ("a.b.0@1": that of "a.b" in the same call), or -1. */
static int32_t find_parent(const finder *f, const char *fqn)
{
    char name[512];
    const size_t all = strlen(fqn);
    const int number = call_number(fqn, all);
    const char *at = strrchr(fqn, '@');
    size_t n = number >= 0 && at ? (size_t)(at - fqn) : all;
    if (all + 16 > sizeof(name))
        return -1;
    while (n > 0) {
        while (n > 0 && fqn[n - 1] != '.')
            n--;
        if (n == 0)
            return -1;
        n--; /* the dot */
        memcpy(name, fqn, n);
        strcpy(name + n, number > 0 && at ? at : "");
        const int32_t u = ubp_table_find(&f->names, name);
        if (u >= 0)
            return u;
    }
    return -1;
}

/* What child i of a Sequential is given: what child i - 1 gave. */
static bool given_by_sibling(const finder *f, const use *parent, const char *path, int number,
                             int32_t *value, size_t *behind)
{
    const char *dot = strrchr(path, '.');
    const char *index = dot ? dot + 1 : path;
    char name[512], *end = NULL;
    const long i = strtol(index, &end, 10);
    if (strcmp(parent->type, "Sequential") != 0 || end == index || *end || i < 0 ||
        strlen(path) + 32 > sizeof(name))
        return false;
    *behind = parent->position;
    if (i == 0) {
        *value = parent->n_in > 0 ? parent->in[0] : UBP_NO_VALUE;
        return parent->n_in > 0;
    }
    const int n = (int)(index - path);
    if (number > 0)
        snprintf(name, sizeof(name), "%.*s%ld@%d", n, path, i - 1, number);
    else
        snprintf(name, sizeof(name), "%.*s%ld", n, path, i - 1);
    const int32_t sibling = ubp_table_find(&f->names, name);
    if (sibling < 0 || f->uses[sibling].n_out != 1)
        return false;
    *value = f->uses[sibling].out[0];
    *behind =
        f->uses[sibling].n_calls > 0 ? 2 * f->uses[sibling].last + 1 : f->uses[sibling].position;
    return true;
}

/* A module without operators: what it is given it gives. */
static ub_status add_empty(finder *f, const char *fqn, const json_t *signature, size_t behind)
{
    ubp_pt2 *p = f->p;
    ubp_arena *arena = &p->g->arena;
    const size_t all = strlen(fqn);
    const int number = call_number(fqn, all);
    const size_t n = number >= 0 ? (size_t)(strrchr(fqn, '@') - fqn) : all;
    int32_t value = UBP_NO_VALUE, made = 0;
    use u = {.path = ubp_arena_strndup(arena, fqn, n),
             .type = "",
             .number = number > 0 ? number : 0,
             .parent = find_parent(f, fqn),
             .position = behind,
             .last = behind / 2};
    if (!u.path)
        return ubp_fail_memory(p->err, n);
    u.depth = u.parent < 0 ? 1 : f->uses[u.parent].depth + 1;
    if (signature) {
        UBP_TRY(apply_signature(f, &u, signature));
    } else if (u.parent >= 0 &&
               given_by_sibling(f, &f->uses[u.parent], u.path, u.number, &value, &u.position)) {
        u.in = u.out = ubp_arena_alloc(arena, sizeof(int32_t));
        if (!u.in)
            return ubp_fail_memory(p->err, sizeof(int32_t));
        u.in[0] = value;
        u.n_in = u.n_out = 1;
    } else {
        u.no_in = u.no_out = ubp_arena_printf(
            arena,
            "module '%s' has no operations of its own in this file, which does not say what it was"
            " given; export with preserve_module_call_signature=('%s',)",
            u.path, u.path);
        if (!u.no_in)
            return ubp_fail_memory(p->err, n);
    }
    return add_use(f, &u, &made);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The fqn of every entry of module_call_graph, sorted: fqns[n]. */
static ub_status sort_fqns(finder *f, const json_t *graph, const char ***fqns, size_t *n)
{
    size_t i = 0;
    json_t *one = NULL;
    *n = 0;
    *fqns = array(f, json_array_size(graph), sizeof(**fqns));
    if (!*fqns)
        return UB_ERR_MEMORY;
    json_array_foreach(graph, i, one)
    {
        const char *fqn = json_string_value(json_object_get(one, "fqn"));
        if (fqn)
            (*fqns)[(*n)++] = fqn;
    }
    if (*n > 0)
        qsort(*fqns, *n, sizeof(**fqns), compare_names);
    return UB_OK;
}

/* Whether other modules lie inside: then it is a list of modules, which is not called itself.
 * Those inside of "a" stand together: from the first fqn that is not before "a.". */
static bool holds_others(const char *const *fqns, size_t n, const char *fqn)
{
    const size_t length = strlen(fqn);
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strncmp(fqns[mid], fqn, length);
        if (order < 0 || (order == 0 && (unsigned char)fqns[mid][length] < '.'))
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && strncmp(fqns[low], fqn, length) == 0 && fqns[low][length] == '.';
}

static ub_status read_call_graph(finder *f)
{
    const json_t *graph = json_object_get(f->p->module, "module_call_graph");
    const char **fqns = NULL;
    size_t i = 0, behind = 0, n = 0;
    json_t *one = NULL;
    UBP_TRY(sort_fqns(f, graph, &fqns, &n));
    json_array_foreach(graph, i, one)
    {
        const char *fqn = json_string_value(json_object_get(one, "fqn"));
        const json_t *signature = json_object_get(one, "signature");
        if (!fqn || !*fqn)
            continue;
        signature = json_is_object(signature) ? signature : NULL;
        const int32_t u = ubp_table_find(&f->names, fqn);
        if (u >= 0) {
            if (signature)
                UBP_TRY(apply_signature(f, &f->uses[u], signature));
            behind = f->uses[u].n_calls > 0 ? 2 * f->uses[u].last + 1 : f->uses[u].position;
        } else if (signature || !holds_others(fqns, n, fqn)) {
            UBP_TRY(add_empty(f, fqn, signature, behind));
        }
    }
    return UB_OK;
}

/* ---- The graph's layers -----------------------------------------------------------------------
 */

static int compare_uses(const void *a, const void *b)
{
    const use *x = *(use *const *)a, *y = *(use *const *)b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* place: from a node's number when it was made to its place in the graph. */
static ub_status list_nodes(finder *f, const use *u, const int32_t *place, ubp_layer *l)
{
    const ubp_pt2 *p = f->p;
    size_t n = 0;
    for (size_t i = 0; i < u->n_calls; i++)
        n += p->calls[f->members[u->calls + i]].n_nodes;
    int32_t *nodes = ubp_arena_array(&p->g->arena, n, sizeof(*nodes));
    if (!nodes || n > INT32_MAX)
        return ubp_fail_memory(p->err, n * sizeof(*nodes));
    n = 0;
    for (size_t i = 0; i < u->n_calls; i++) {
        const ubp_pt2_call *c = &p->calls[f->members[u->calls + i]];
        for (size_t k = 0; k < c->n_nodes; k++)
            nodes[n++] = place[c->first_node + k];
    }
    l->nodes = nodes;
    l->n_nodes = (int)n;
    return UB_OK;
}

static ub_status write_layer(finder *f, const use *u, const int32_t *place, ubp_layer *l)
{
    const ubp_pt2 *p = f->p;
    *l = (ubp_layer){.path = u->path,
                     .name = u->path,
                     .type = u->type,
                     .call = u->number,
                     .depth = u->depth,
                     .parent = u->parent < 0 ? -1 : f->uses[u->parent].layer,
                     .n_in = u->no_in ? 0 : u->n_in,
                     .n_out = u->no_out ? 0 : u->n_out,
                     .in = u->in,
                     .out = u->out,
                     .no_in = u->no_in,
                     .no_out = u->no_out};
    if (u->number > 0)
        l->name = ubp_arena_printf(&p->g->arena, "%s#%d", u->path, u->number);
    if (!l->name)
        return ubp_fail_memory(p->err, strlen(u->path));
    if (l->n_out == 0 && !l->no_out) {
        l->no_out = ubp_arena_printf(&p->g->arena, "module '%s' gives no tensor", u->path);
        if (!l->no_out)
            return ubp_fail_memory(p->err, strlen(u->path));
    }
    return list_nodes(f, u, place, l);
}

/* Real names first, so that no alias takes one; the first call is also path#0. */
static ub_status write_names(ubp_pt2 *p)
{
    ubp_graph *g = p->g;
    for (size_t i = 0; i < g->n_layers; i++)
        UBP_TRY(ubp_table_add(&g->layer_names, g->layers[i].name, (int32_t)i, p->err));
    for (size_t i = 0; i < g->n_layers; i++) {
        if (g->layers[i].call != 0)
            continue;
        const char *name = ubp_arena_printf(&g->arena, "%s#0", g->layers[i].path);
        if (!name)
            return ubp_fail_memory(p->err, strlen(g->layers[i].path));
        UBP_TRY(ubp_table_add(&g->layer_names, name, (int32_t)i, p->err));
    }
    return UB_OK;
}

static ub_status write_layers(finder *f)
{
    ubp_graph *g = f->p->g;
    use **order = array(f, f->n_uses, sizeof(*order));
    int32_t *place = array(f, g->n_nodes, sizeof(*place));
    g->layers = ubp_arena_array(&g->arena, f->n_uses, sizeof(*g->layers));
    if (!order || !place || !g->layers)
        return ubp_fail_memory(f->p->err, f->n_uses * sizeof(*g->layers));
    for (size_t i = 0; i < g->n_nodes; i++)
        place[g->nodes[i].order] = (int32_t)i;
    for (size_t i = 0; i < f->n_uses; i++)
        order[i] = &f->uses[i];
    if (f->n_uses > 0)
        qsort(order, f->n_uses, sizeof(*order), compare_uses);
    for (size_t i = 0; i < f->n_uses; i++)
        order[i]->layer = (int32_t)i;
    for (size_t i = 0; i < f->n_uses; i++)
        UBP_TRY(write_layer(f, order[i], place, &g->layers[i]));
    g->n_layers = f->n_uses;
    for (size_t c = 0; c < f->p->n_calls; c++) {
        const ubp_pt2_call *call = &f->p->calls[c];
        if (f->stack_at[c] == f->stack_at[c + 1])
            continue;
        const int32_t inner = f->stack[f->stack_at[c + 1] - 1];
        for (size_t k = 0; k < call->n_nodes; k++)
            g->nodes[place[call->first_node + k]].layer = f->uses[inner].layer;
    }
    return write_names(f->p);
}

static ub_status find_layers(finder *f)
{
    UBP_TRY(read_stacks(f));
    UBP_TRY(list_members(f));
    UBP_TRY(list_readers(f));
    for (size_t u = 0; u < f->n_uses; u++)
        UBP_TRY(find_border(f, &f->uses[u]));
    UBP_TRY(read_call_graph(f));
    return write_layers(f);
}

ub_status ubp_pt2_layers(ubp_pt2 *p)
{
    finder f = {.p = p};
    const ub_status status = find_layers(&f);
    ubp_table_release(&f.keys);
    ubp_table_release(&f.names);
    ubp_free(f.uses);
    ubp_free(f.stack);
    ubp_arena_release(&f.arena);
    return status;
}
