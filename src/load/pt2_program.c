/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over a program: its inputs, its calls in order, what it returns.
 */
#include "load/pt2.h"

#include <string.h>

/* ---- Names ------------------------------------------------------------------------------------
 */

int32_t ubp_pt2_find(const ubp_pt2 *p, int32_t scope, const char *name)
{
    return ubp_table_find(&p->scopes[scope].names, name);
}

ub_status ubp_pt2_add_entry(ubp_pt2 *p, int32_t scope, const ubp_pt2_entry *e, int32_t *out)
{
    if (p->n_entries >= INT32_MAX)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED, "the program has too many names");
    const char *name = ubp_arena_strdup(&p->g->arena, e->name);
    if (!name)
        return ubp_fail_memory(p->err, strlen(e->name));
    if (*name && ubp_pt2_find(p, scope, name) >= 0)
        return ubp_fail(p->err, UB_ERR_FILE, "damaged .pt2 file: '%s' is given twice", name);
    UBP_TRY(
        ubp_grow((void **)&p->entries, &p->cap_entries, p->n_entries, sizeof(*p->entries), p->err));
    p->entries[p->n_entries] = *e;
    p->entries[p->n_entries].name = name;
    *out = (int32_t)p->n_entries++;
    return *name ? ubp_table_add(&p->scopes[scope].names, name, *out, p->err) : UB_OK;
}

ub_status ubp_pt2_add_tensor(ubp_pt2 *p, int32_t scope, const char *name, const ubp_pt2_tensor *t,
                             int32_t *entry)
{
    UBP_TRY(
        ubp_grow((void **)&p->tensors, &p->cap_tensors, p->n_tensors, sizeof(*p->tensors), p->err));
    const int32_t number = (int32_t)p->n_tensors;
    ubp_pt2_tensor *mine = &p->tensors[p->n_tensors++];
    *mine = *t;
    mine->root = t->base >= 0 ? p->tensors[t->base].root : number;
    const ubp_pt2_entry e = {
        .name = name, .kind = UBP_PT2_TENSOR, .tensor = number, .value = t->value};
    return ubp_pt2_add_entry(p, scope, &e, entry);
}

static ub_status add_scope(ubp_pt2 *p, const json_t *graph, int32_t *out)
{
    UBP_TRY(ubp_grow((void **)&p->scopes, &p->cap_scopes, p->n_scopes, sizeof(*p->scopes), p->err));
    p->scopes[p->n_scopes] = (ubp_pt2_scope){.metas = json_object_get(graph, "tensor_values")};
    *out = (int32_t)p->n_scopes++;
    return UB_OK;
}

static ub_status fail_damaged(const ubp_pt2 *p, const char *what)
{
    return ubp_fail(p->err, UB_ERR_FILE, "damaged .pt2 file: %s", what);
}

/* ---- The form of a call -----------------------------------------------------------------------
 */

/* Names of outputs, in order: a list counts as its elements. to NULL: only counts. */
static int list_outputs(const json_t *outputs, const char **to)
{
    int n = 0;
    size_t i = 0, k = 0;
    json_t *out = NULL, *one = NULL;
    json_array_foreach(outputs, i, out)
    {
        const json_t *list = json_object_get(out, "as_tensors");
        const json_t *tensor = json_object_get(out, "as_tensor");
        if (!list) {
            if (!tensor)
                tensor = json_object_get(json_object_get(out, "as_optional_tensor"), "as_tensor");
            if (to)
                to[n] = json_string_value(json_object_get(tensor, "name"));
            n++;
            continue;
        }
        json_array_foreach(list, k, one)
        {
            if (to)
                to[n] = json_string_value(json_object_get(one, "name"));
            n++;
        }
    }
    return n;
}

/* "torch.ops.aten.add_.Tensor" -> "add", in place, "Tensor". */
static ub_status split_target(ubp_at *a)
{
    static const char prefix[] = "torch.ops.aten.", scalar[] = "torch.ops.prims.scalar_tensor.";
    ubp_arena *arena = &a->p->g->arena;
    const char *target = a->target;
    a->base = a->overload = "";
    if (strncmp(target, scalar, sizeof(scalar) - 1) == 0) /* which is ATen's */
        target = "torch.ops.aten.scalar_tensor.default";
    if (strncmp(target, prefix, sizeof(prefix) - 1) != 0)
        return UB_OK;
    const char *base = target + sizeof(prefix) - 1;
    const char *dot = strchr(base, '.');
    size_t n = dot ? (size_t)(dot - base) : strlen(base);
    a->overload = dot ? dot + 1 : "";
    a->in_place = n > 1 && base[n - 1] == '_' && base[n - 2] != '_';
    a->base = ubp_arena_strndup(arena, base, n - a->in_place);
    return a->base ? UB_OK : ubp_fail_memory(a->p->err, n);
}

static ub_status start_call(ubp_pt2 *p, ubp_at *a, const json_t *call, int32_t scope)
{
    const char *target = json_string_value(json_object_get(call, "target"));
    const char *name = json_string_value(json_object_get(call, "name"));
    *a = (ubp_at){.p = p, .e = &p->emit, .call = call, .scope = scope, .target = target};
    a->inputs = json_object_get(call, "inputs");
    if (!target || !json_is_array(a->inputs))
        return fail_damaged(p, "a node has no target or no inputs");
    const json_t *outputs = json_object_get(call, "outputs");
    a->n_out = list_outputs(outputs, NULL);
    const size_t n = (size_t)a->n_out;
    a->out = ubp_arena_array(&p->g->arena, n, sizeof(*a->out));
    a->views = ubp_arena_array(&p->g->arena, n, sizeof(*a->views));
    a->names = ubp_arena_array(&p->g->arena, n, sizeof(*a->names));
    if (!a->out || !a->views || !a->names)
        return ubp_fail_memory(p->err, n * sizeof(*a->views));
    for (size_t k = 0; k < n; k++)
        a->out[k] = UBP_NO_VALUE;
    list_outputs(outputs, a->names);
    if (!p->recording && p->depth > 1)
        return split_target(a); /* made for another call: counts as part of that */
    if (!name && n > 0)
        name = a->names[0];
    p->emit.name = ubp_arena_strdup(&p->g->arena, name ? name : "");
    return p->emit.name ? split_target(a) : ubp_fail_memory(p->err, 1);
}

/* ---- Making it --------------------------------------------------------------------------------
 */

const char *ubp_at_word(const ubp_at *a)
{
    return ubp_pt2_op_find(a->p, a->base)->word;
}

/* Arguments without a part in the result. */
static bool is_idle(const char *name)
{
    static const char *const idle[] = {
        "device",   "layout",        "pin_memory",   "memory_format",      "non_blocking",
        "implicit", "cudnn_enabled", "cudnn_enable", "generator",          "requires_grad",
        "stable",   "copy",          "momentum",     "scale_grad_by_freq", "sparse"};
    for (int i = 0; i < UBP_COUNT(idle); i++)
        if (strcmp(idle[i], name) == 0)
            return true;
    return false;
}

/* Refuses what the operator's row has not looked at. */
static void check_taken(ubp_at *a)
{
    size_t i = 0;
    json_t *input = NULL;
    json_array_foreach(a->inputs, i, input)
    {
        const char *name = json_string_value(json_object_get(input, "name"));
        const json_t *arg = json_object_get(input, "arg");
        if (i < 64 && a->taken >> i & 1)
            continue;
        if (!name || is_idle(name) || json_object_get(arg, "as_none"))
            continue;
        ubp_at_refuse(a, "argument '%.60s'", name);
    }
}

/* All tensors that a call reads, for a node that stands for it. */
static int read_all(ubp_at *a, int32_t **out)
{
    size_t i = 0;
    json_t *input = NULL;
    int n = 0;
    *out = ubp_arena_array(&a->p->g->arena, json_array_size(a->inputs), sizeof(**out));
    json_array_foreach(a->inputs, i, input)
    {
        const char *name = json_string_value(json_object_get(input, "name"));
        if (*out && name && json_object_get(json_object_get(input, "arg"), "as_tensor"))
            (*out)[n++] = ubp_at_optional(a, name);
    }
    return *out ? n : 0;
}

/* "aten.index_put (a mask of data)": a node that is refused when it is needed. */
static ub_status stand_in(ubp_at *a)
{
    int32_t *in = NULL;
    static const char prefix[] = "torch.ops.";
    const size_t skip = sizeof(prefix) - 1;
    const char *target = strncmp(a->target, prefix, skip) == 0 ? a->target + skip : a->target;
    const char *why = a->refused;
    const int n = read_all(a, &in);
    const char *what = why ? ubp_arena_printf(&a->p->g->arena, "%s with %s", target, why)
                           : ubp_arena_strdup(&a->p->g->arena, target);
    if (!in || !what)
        return ubp_fail_memory(a->p->err, 1);
    ubp_emit_unknown(a->e, what, "torch", n, in, a->n_out, a->out);
    return a->e->status;
}

static ub_status make(ubp_at *a)
{
    const ubp_pt2_op *op = *a->base ? ubp_pt2_op_find(a->p, a->base) : NULL;
    if (!op)
        return stand_in(a);
    op->make(a);
    if (!a->refused && a->e->status == UB_OK)
        check_taken(a);
    if (a->e->status == UB_OK && a->refused)
        return stand_in(a);
    /* What its row does not make (a norm's statistics) is refused when it is needed. */
    for (int k = 0; k < a->n_out && a->e->status == UB_OK; k++) {
        if (a->out[k] != UBP_NO_VALUE || !a->names[k] || strstr(a->names[k], "_unused_"))
            continue;
        const char *what = ubp_arena_printf(&a->p->g->arena, "aten.%s with output %d", a->base, k);
        if (!what)
            return ubp_fail_memory(a->p->err, 1);
        ubp_emit_unknown(a->e, what, "torch", 0, NULL, 1, &a->out[k]);
    }
    return a->e->status;
}

/* ---- What it gives ----------------------------------------------------------------------------
 */

/* The tensor that the first argument is, or -1. */
static int32_t self_tensor(ubp_at *a)
{
    const json_t *arg = json_object_get(json_array_get(a->inputs, 0), "arg");
    const char *name =
        json_string_value(json_object_get(json_object_get(arg, "as_tensor"), "name"));
    const int32_t entry = name ? ubp_pt2_find(a->p, a->scope, name) : -1;
    if (entry < 0 || a->p->entries[entry].kind != UBP_PT2_TENSOR)
        return -1;
    return a->p->entries[entry].tensor;
}

static ub_status note_made(ubp_pt2 *p, int32_t entry)
{
    UBP_TRY(ubp_grow((void **)&p->uses, &p->cap_uses, p->n_uses, sizeof(*p->uses), p->err));
    p->uses[p->n_uses++] = (ubp_pt2_use){entry, p->entries[entry].value};
    return UB_OK;
}

/* Output k under its name: the same tensor as self, a view of it, or one of its own. */
static ub_status bind(ubp_at *a, int k, int32_t self)
{
    ubp_pt2 *p = a->p;
    int32_t entry = 0;
    const json_t *meta = json_object_get(p->scopes[a->scope].metas, a->names[k]);
    const ubp_pt2_view_kind kind = self >= 0 ? a->views[k].kind : UBP_PT2_NO_VIEW;
    const int32_t value = ubp_emit_named(a->e, a->out[k], a->names[k]);
    UBP_TRY(a->e->status);
    if (meta)
        UBP_TRY(ubp_pt2_describe(p->g, value, meta, p->batch, p->err));
    if (a->in_place || kind == UBP_PT2_SAME) {
        if (a->in_place && kind != UBP_PT2_SAME)
            UBP_TRY(ubp_pt2_write(p, self, value, p->emit.name));
        const ubp_pt2_entry e = {
            .name = a->names[k], .kind = UBP_PT2_TENSOR, .tensor = self, .value = value};
        UBP_TRY(ubp_pt2_add_entry(p, a->scope, &e, &entry));
        return note_made(p, entry);
    }
    ubp_pt2_tensor t = {.value = value, .base = -1, .meta = meta};
    if (kind != UBP_PT2_NO_VIEW && p->tensors[self].chain < UBP_PT2_MAX_CHAIN) {
        t.base = self;
        t.version = p->tensors[p->tensors[self].root].version;
        t.chain = p->tensors[self].chain + 1;
        t.scope = a->scope;
        t.call = a->call;
        t.output = k;
        t.view = a->views[k];
    } else if (kind != UBP_PT2_NO_VIEW) {
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "node '%s' is a view of a view of a view ..., more than %d deep",
                        p->emit.name, UBP_PT2_MAX_CHAIN);
    }
    UBP_TRY(ubp_pt2_add_tensor(p, a->scope, a->names[k], &t, &entry));
    return note_made(p, entry);
}

/* Only the node that gives the call's first output is found by its name. */
static void mark_helpers(ubp_pt2 *p, const ubp_at *a, size_t first)
{
    int32_t main = UBP_NO_NODE;
    for (int k = 0; k < a->n_out && main < (int32_t)first; k++)
        if (a->names[k]) {
            const int32_t entry = ubp_pt2_find(p, a->scope, a->names[k]);
            if (entry >= 0 && p->entries[entry].value >= 0)
                main = p->g->values[p->entries[entry].value].producer;
        }
    for (size_t i = first; i < p->g->n_nodes; i++)
        p->g->nodes[i].helper = (int32_t)i != main && main >= (int32_t)first;
}

static ub_status run_aten(ubp_pt2 *p, const json_t *call, int32_t scope)
{
    ubp_at a;
    UBP_TRY(start_call(p, &a, call, scope));
    UBP_TRY(make(&a));
    const int32_t self = self_tensor(&a);
    if (a.in_place && self < 0)
        return fail_damaged(p, "a node writes in place, but not into a tensor");
    if (a.in_place && a.n_out > 0 && a.views[0].kind != UBP_PT2_NO_VIEW &&
        a.views[0].kind != UBP_PT2_SAME)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "node '%s' (%s) changes the shape of a tensor in place; use the operation"
                        " without the underscore in the model's code",
                        p->emit.name, a.target);
    p->calls[p->n_calls - 1].n_reads = p->n_uses - p->calls[p->n_calls - 1].reads;
    p->calls[p->n_calls - 1].made = p->n_uses;
    p->calls[p->n_calls - 1].recurrent = a.recurrent;
    for (int k = 0; k < a.n_out; k++)
        if (a.names[k] && a.out[k] != UBP_NO_VALUE)
            UBP_TRY(bind(&a, k, self));
    ubp_pt2_call *record = &p->calls[p->n_calls - 1];
    record->n_made = p->n_uses - record->made;
    record->n_nodes = p->g->n_nodes - record->first_node;
    mark_helpers(p, &a, record->first_node);
    return UB_OK;
}

ub_status ubp_pt2_again(ubp_pt2 *p, const json_t *call, int32_t scope, int output, int32_t *value)
{
    ubp_at a;
    const bool recording = p->recording;
    if (p->depth >= UBP_PT2_MAX_DEPTH)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED, "views hang on views more than %d deep",
                        UBP_PT2_MAX_DEPTH);
    p->depth++;
    p->recording = false;
    ub_status status = start_call(p, &a, call, scope);
    if (status == UB_OK)
        status = make(&a);
    p->recording = recording;
    p->depth--;
    *value = status == UB_OK && output < a.n_out ? a.out[output] : UBP_NO_VALUE;
    return status;
}

/* ---- Sizes ------------------------------------------------------------------------------------
 */

/* The name of the number that a call gives, or NULL. */
static const char *number_name(const json_t *call)
{
    const json_t *out = json_array_get(json_object_get(call, "outputs"), 0);
    void *at = json_object_iter((json_t *)(uintptr_t)out); /* only read */
    const json_t *value = at ? json_object_iter_value(at) : NULL;
    return json_string_value(json_object_get(value, "as_name"));
}

static int32_t size_value(ubp_emit *e, ubp_pt2_size s)
{
    return s.value != UBP_NO_VALUE ? s.value : ubp_emit_ints(e, &s.known, 1);
}

/* What Python's operator gives for two known integers; false when it cannot be said. */
static bool fold(char op, int64_t x, int64_t y, int64_t *out)
{
    switch (op) {
    case '+':
        return ubp_add_i64(x, y, out);
    case '-':
        return !__builtin_sub_overflow(x, y, out);
    case '*':
        return ubp_mul_i64(x, y, out);
    case '/':
    case '%':
        if (y <= 0 || x < 0) /* sizes are not negative */
            return false;
        *out = op == '/' ? x / y : x % y;
        return true;
    case '<':
        *out = x < y ? x : y;
        return true;
    default:
        *out = x > y ? x : y;
        return true;
    }
}

static ubp_pt2_size arithmetic(ubp_at *a, char op)
{
    static const char *const words[] = {"+Add", "-Sub", "*Mul", "%Mod", "<Min", ">Max"};
    ubp_pt2_size out = {0, UBP_NO_VALUE};
    const ubp_pt2_size in[] = {ubp_at_operand_size(a, 0), ubp_at_operand_size(a, 1)};
    if (json_array_size(a->inputs) != 2)
        ubp_at_refuse(a, "%zu operands", json_array_size(a->inputs));
    if (in[0].value == UBP_NO_VALUE && in[1].value == UBP_NO_VALUE) {
        if (!fold(op, in[0].known, in[1].known, &out.known))
            ubp_at_refuse(a, "numbers that are out of range");
        return out;
    }
    const int32_t x = size_value(a->e, in[0]), y = size_value(a->e, in[1]);
    if (op == '/') /* rounded down: what is left over is taken off first */
        out.value =
            ubp_emit_2(a->e, "Div", ubp_emit_2(a->e, "Sub", x, ubp_emit_2(a->e, "Mod", x, y)), y);
    for (int i = 0; i < UBP_COUNT(words); i++)
        if (words[i][0] == op)
            out.value = ubp_emit_2(a->e, words[i] + 1, x, y);
    return out;
}

static ubp_pt2_size axis_size(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_pt2_size out = {0, UBP_NO_VALUE};
    const int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return out;
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (axis < m.rank && m.dims[axis] >= 0)
        out.known = m.dims[axis];
    else
        out.value = ubp_emit_size(a->e, x, axis);
    return out;
}

static ubp_pt2_size element_count(ubp_at *a)
{
    const int64_t one = 1;
    ubp_pt2_size out = {0, UBP_NO_VALUE};
    out.value = ubp_emit_reshape(a->e, ubp_emit_1(a->e, "Size", ubp_at_tensor(a, "self")), 1, &one);
    return out;
}

/* A call that gives a number. One that is not known makes a name that is refused when it is used.
 */
static ub_status run_number(ubp_pt2 *p, const json_t *call, int32_t scope, const char *name)
{
    static const struct {
        const char *target;
        char op;
    } operators[] = {{"_operator.add", '+'},      {"_operator.sub", '-'}, {"_operator.mul", '*'},
                     {"_operator.floordiv", '/'}, {"_operator.mod", '%'}, {"torch.sym_max", '>'},
                     {"torch.sym_min", '<'}};
    ubp_at a;
    ubp_pt2_size s = {0, UBP_NO_VALUE};
    int32_t entry = 0;
    bool known = false;
    UBP_TRY(start_call(p, &a, call, scope));
    if (strcmp(a.target, "torch.ops.aten.sym_size.int") == 0) {
        s = axis_size(&a);
        known = true;
    } else if (strcmp(a.target, "torch.ops.aten.sym_numel.default") == 0) {
        s = element_count(&a);
        known = true;
    }
    for (int i = 0; i < UBP_COUNT(operators); i++)
        if (strcmp(a.target, operators[i].target) == 0) {
            s = arithmetic(&a, operators[i].op);
            known = true;
        }
    UBP_TRY(p->emit.status);
    known = known && !a.refused;
    const ubp_pt2_entry e = {.name = name,
                             .kind = known ? UBP_PT2_INT : UBP_PT2_NOTHING,
                             .value = s.value,
                             .known = s.known};
    UBP_TRY(ubp_pt2_add_entry(p, scope, &e, &entry));
    ubp_pt2_call *record = &p->calls[p->n_calls - 1];
    record->n_reads = p->n_uses - record->reads;
    record->made = p->n_uses;
    record->n_nodes = p->g->n_nodes - record->first_node;
    for (size_t i = record->first_node; i < p->g->n_nodes; i++)
        p->g->nodes[i].helper = i + 1 < p->g->n_nodes;
    return UB_OK;
}

/* ---- Graphs inside graphs ---------------------------------------------------------------------
 */

static ub_status run_graph(ubp_pt2 *p, const json_t *graph, int32_t scope, int depth);

/* A name of the outer graph (or a number) under the name that the inner one has for it. */
static ub_status hand_in(ubp_pt2 *p, int32_t outer, int32_t inner, const json_t *arg,
                         const json_t *as)
{
    const char *to = json_string_value(json_object_get(json_object_get(as, "as_tensor"), "name"));
    if (!to)
        to = json_string_value(json_object_get(json_object_get(as, "as_sym_int"), "as_name"));
    const char *from =
        json_string_value(json_object_get(json_object_get(arg, "as_tensor"), "name"));
    if (!from)
        from = json_string_value(json_object_get(json_object_get(arg, "as_sym_int"), "as_name"));
    const int32_t entry = from ? ubp_pt2_find(p, outer, from) : -1;
    if (to && entry >= 0) {
        const char *name = ubp_arena_strdup(&p->g->arena, to);
        return name ? ubp_table_add(&p->scopes[inner].names, name, entry, p->err)
                    : ubp_fail_memory(p->err, strlen(to));
    }
    return fail_damaged(p, "a graph inside the graph reads what nothing gives");
}

static ub_status hand_out(ubp_pt2 *p, int32_t outer, int32_t inner, const json_t *call,
                          const json_t *graph)
{
    const json_t *outputs = json_object_get(call, "outputs");
    const json_t *results = json_object_get(graph, "outputs");
    const int n = list_outputs(outputs, NULL), m = list_outputs(results, NULL);
    const char **names = ubp_arena_array(&p->g->arena, (size_t)n, sizeof(*names));
    const char **from = ubp_arena_array(&p->g->arena, (size_t)m, sizeof(*from));
    if (!names || !from)
        return ubp_fail_memory(p->err, (size_t)n * sizeof(*names));
    list_outputs(outputs, names);
    list_outputs(results, from);
    for (int k = 0; k < n && k < m; k++) {
        const int32_t entry = from[k] ? ubp_pt2_find(p, inner, from[k]) : -1;
        if (!names[k])
            continue;
        if (entry < 0)
            return fail_damaged(p, "a graph inside the graph returns what nothing gives");
        const char *name = ubp_arena_strdup(&p->g->arena, names[k]);
        if (!name)
            return ubp_fail_memory(p->err, strlen(names[k]));
        UBP_TRY(ubp_table_add(&p->scopes[outer].names, name, entry, p->err));
    }
    return UB_OK;
}

/* The graph is run as if its calls stood here: arguments first .. are its inputs. */
static ub_status inline_graph(ubp_pt2 *p, const json_t *call, int32_t scope, size_t at, int depth)
{
    const json_t *inputs = json_object_get(call, "inputs");
    const json_t *holder = json_object_get(json_array_get(inputs, at), "arg");
    const json_t *graph = json_object_get(json_object_get(holder, "as_graph"), "graph");
    const json_t *names = json_object_get(graph, "inputs");
    int32_t inner = 0;
    if (!json_is_object(graph))
        return fail_damaged(p, "a higher-order operator has no graph");
    if (json_array_size(names) != json_array_size(inputs) - at - 1)
        return fail_damaged(p, "a graph inside the graph has another number of inputs");
    UBP_TRY(add_scope(p, graph, &inner));
    for (size_t i = 0; i < json_array_size(names); i++)
        UBP_TRY(hand_in(p, scope, inner, json_object_get(json_array_get(inputs, at + 1 + i), "arg"),
                        json_array_get(names, i)));
    UBP_TRY(run_graph(p, graph, inner, depth + 1));
    return hand_out(p, scope, inner, call, graph);
}

static bool first_is_false(const json_t *call, size_t i)
{
    const json_t *input = json_array_get(json_object_get(call, "inputs"), i);
    return json_is_false(json_object_get(json_object_get(input, "arg"), "as_bool"));
}

static ub_status run_higher(ubp_pt2 *p, const json_t *call, int32_t scope, const char *kind,
                            int depth)
{
    const char *name = json_string_value(json_object_get(call, "name"));
    if (strcmp(kind, "wrap_with_set_grad_enabled") == 0)
        return inline_graph(p, call, scope, 1, depth);
    if (strcmp(kind, "wrap_with_autocast") == 0) {
        if (first_is_false(call, 2))
            return inline_graph(p, call, scope, 4, depth);
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "node '%s' runs part of the model under autocast, which changes dtypes"
                        " inside of operators; export the model without torch.autocast, with its"
                        " weights in the dtype that is wanted",
                        name ? name : kind);
    }
    return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                    "node '%s' (%s) is control flow on data: which branch runs hangs on the whole"
                    " batch; write it with torch.where(), so that each sample has its own",
                    name ? name : kind, kind);
}

/* ---- One graph --------------------------------------------------------------------------------
 */

/* Calls that only check something. */
static bool is_check(const char *target)
{
    static const char *const checks[] = {
        "torch.ops.aten._assert_tensor_metadata", "torch.ops.aten._assert_scalar",
        "torch.ops.aten._assert_async",           "torch.ops.aten.sym_constrain_range",
        "torch.ops.aten._functional_assert_",     "torch.ops.aten._functional_sym_constrain_range"};
    for (int i = 0; i < UBP_COUNT(checks); i++)
        if (strncmp(target, checks[i], strlen(checks[i])) == 0)
            return true;
    return false;
}

static ub_status run_call(ubp_pt2 *p, const json_t *call, int32_t scope, int depth)
{
    static const char higher[] = "torch.ops.higher_order.";
    const char *target = json_string_value(json_object_get(call, "target"));
    if (!target)
        return fail_damaged(p, "a node has no target");
    if (strncmp(target, higher, sizeof(higher) - 1) == 0)
        return run_higher(p, call, scope, target + sizeof(higher) - 1, depth);
    if (is_check(target))
        return UB_OK;
    UBP_TRY(ubp_grow((void **)&p->calls, &p->cap_calls, p->n_calls, sizeof(*p->calls), p->err));
    const json_t *metadata = json_object_get(call, "metadata");
    p->calls[p->n_calls++] =
        (ubp_pt2_call){.stack = json_string_value(json_object_get(metadata, "nn_module_stack")),
                       .first_node = p->g->n_nodes,
                       .reads = p->n_uses,
                       .made = p->n_uses};
    p->recording = true;
    p->depth = 0;
    const char *number = number_name(call);
    const ub_status status = number ? run_number(p, call, scope, number) : run_aten(p, call, scope);
    p->recording = false;
    return status;
}

static ub_status run_graph(ubp_pt2 *p, const json_t *graph, int32_t scope, int depth)
{
    const json_t *nodes = json_object_get(graph, "nodes");
    size_t i = 0;
    json_t *call = NULL;
    if (!json_is_array(nodes))
        return fail_damaged(p, "the graph has no nodes");
    if (depth > UBP_PT2_MAX_DEPTH)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED, "graphs are nested more than %d deep",
                        UBP_PT2_MAX_DEPTH);
    json_array_foreach(nodes, i, call)
    {
        UBP_TRY(run_call(p, call, scope, depth));
    }
    return UB_OK;
}

/* ---- Inputs and outputs -----------------------------------------------------------------------
 */

static ub_status add_input(ubp_pt2 *p, const json_t *arg)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(arg, "as_tensor"), "name"));
    ubp_graph *g = p->g;
    ubp_pt2_tensor t = {.base = -1};
    int32_t entry = 0;
    if (!name && (json_object_get(arg, "as_sym_int") || json_object_get(arg, "as_sym_float") ||
                  json_object_get(arg, "as_custom_obj")))
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "an input of the program is no tensor; export it with that argument as a"
                        " tensor or as a fixed number");
    if (!name)
        return UB_OK; /* a number or None that was baked in */
    t.meta = json_object_get(p->scopes[0].metas, name);
    if (ubp_table_find(&g->value_names, name) >= 0)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED, "input '%s' has the name of a weight", name);
    UBP_TRY(ubp_graph_value(g, name, &t.value, p->err));
    g->values[t.value].is_input = true;
    UBP_TRY(ubp_pt2_describe(g, t.value, t.meta, p->batch, p->err));
    if (g->values[t.value].dtype == UB_UNDEFINED)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED, "input '%s' has a dtype that is not supported",
                        name);
    g->input_names[g->n_inputs] = g->values[t.value].name;
    g->inputs[g->n_inputs++] = t.value;
    return ubp_pt2_add_tensor(p, 0, name, &t, &entry);
}

/* Python numbers and None that the program takes are fixed in the file. */
static ub_status add_constant_input(ubp_pt2 *p, const json_t *one)
{
    const char *name = json_string_value(json_object_get(one, "name"));
    const json_t *number = json_object_get(json_object_get(one, "value"), "as_int");
    int32_t entry = 0;
    if (!name)
        return UB_OK;
    const ubp_pt2_entry e = {.name = name,
                             .kind = json_is_integer(number) ? UBP_PT2_INT : UBP_PT2_NOTHING,
                             .value = UBP_NO_VALUE,
                             .known = json_integer_value(number)};
    return ubp_pt2_add_entry(p, 0, &e, &entry);
}

static ub_status add_inputs(ubp_pt2 *p, const json_t *signature)
{
    const json_t *specs = json_object_get(signature, "input_specs");
    const size_t n = json_array_size(specs);
    size_t i = 0;
    json_t *spec = NULL;
    ubp_graph *g = p->g;
    g->inputs = ubp_arena_array(&g->arena, n, sizeof(*g->inputs));
    g->input_names = ubp_arena_array(&g->arena, n, sizeof(*g->input_names));
    if (!g->inputs || !g->input_names)
        return ubp_fail_memory(p->err, n * sizeof(char *));
    json_array_foreach(specs, i, spec)
    {
        const json_t *user = json_object_get(spec, "user_input");
        const json_t *constant = json_object_get(spec, "constant_input");
        if (user)
            UBP_TRY(add_input(p, json_object_get(user, "arg")));
        else if (constant)
            UBP_TRY(add_constant_input(p, constant));
        else if (json_object_get(spec, "custom_obj") || json_object_get(spec, "token"))
            return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                            "the program holds objects that are no tensors (custom_obj, token),"
                            " which are code; export a model without them");
    }
    return UB_OK;
}

static ub_status add_output(ubp_pt2 *p, const json_t *arg)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(arg, "as_tensor"), "name"));
    ubp_graph *g = p->g;
    int32_t value = UBP_NO_VALUE;
    if (!name)
        return UB_OK; /* None or a number */
    const int32_t entry = ubp_pt2_find(p, 0, name);
    if (entry < 0 || p->entries[entry].kind != UBP_PT2_TENSOR)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "output '%s' of the program is given by no operation that is known", name);
    p->emit.name = "";
    UBP_TRY(ubp_pt2_read(p, p->entries[entry].tensor, &value));
    /* What was written to since has another value than the one of that name. */
    const char *title = p->entries[entry].name;
    if (value != p->entries[entry].value && value != UBP_NO_VALUE &&
        strcmp(g->values[value].name, title) != 0) {
        title = ubp_arena_printf(&g->arena, "%s.final", title);
        if (!title)
            return ubp_fail_memory(p->err, strlen(name));
        value = ubp_emit_named(&p->emit, value, title);
        UBP_TRY(p->emit.status);
        title = g->values[value].name;
        UBP_TRY(ubp_pt2_describe(g, value, p->tensors[p->entries[entry].tensor].meta, p->batch,
                                 p->err));
    }
    UBP_TRY(p->emit.status);
    g->output_names[g->n_outputs] = title;
    g->outputs[g->n_outputs++] = value;
    UBP_TRY(
        ubp_grow((void **)&p->results, &p->cap_results, p->n_results, sizeof(*p->results), p->err));
    p->results[p->n_results++] = entry;
    return UB_OK;
}

static ub_status add_outputs(ubp_pt2 *p, const json_t *signature)
{
    const json_t *specs = json_object_get(signature, "output_specs");
    const size_t n = json_array_size(specs);
    size_t i = 0;
    json_t *spec = NULL;
    ubp_graph *g = p->g;
    g->outputs = ubp_arena_array(&g->arena, n, sizeof(*g->outputs));
    g->output_names = ubp_arena_array(&g->arena, n, sizeof(*g->output_names));
    if (!g->outputs || !g->output_names)
        return ubp_fail_memory(p->err, n * sizeof(char *));
    json_array_foreach(specs, i, spec)
    {
        const json_t *user = json_object_get(spec, "user_output");
        if (user)
            UBP_TRY(add_output(p, json_object_get(user, "arg")));
    }
    return UB_OK;
}

/* A program that changes its buffers was exported in training. */
static ub_status check_mutations(ubp_pt2 *p, const json_t *signature)
{
    size_t i = 0;
    json_t *spec = NULL;
    json_array_foreach(json_object_get(signature, "output_specs"), i, spec)
    {
        const json_t *mutation = json_object_get(spec, "buffer_mutation");
        const char *name = json_string_value(json_object_get(mutation, "buffer_name"));
        if (mutation)
            return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                            "the program changes its buffer '%s' at every run, as a model in train"
                            " mode does, where samples depend on each other; call model.eval()"
                            " before torch.export.export()",
                            name ? name : "");
    }
    return UB_OK;
}

ub_status ubp_pt2_run(ubp_pt2 *p)
{
    const json_t *graph = json_object_get(p->module, "graph");
    const json_t *signature = json_object_get(p->module, "signature");
    int32_t scope = 0;
    if (!json_is_object(graph) || !json_is_array(json_object_get(signature, "input_specs")))
        return fail_damaged(p, "there is no graph or no signature in it");
    UBP_TRY(check_mutations(p, signature));
    UBP_TRY(add_scope(p, graph, &scope));
    p->batch = ubp_pt2_batch_symbol(graph, signature, &p->g->arena);
    UBP_TRY(ubp_pt2_weights(p));
    UBP_TRY(add_inputs(p, signature));
    UBP_TRY(run_graph(p, graph, scope, 0));
    return add_outputs(p, signature);
}
