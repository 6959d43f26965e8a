/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NodeProto and AttributeProto. A Constant becomes a constant value and leaves no node. Operators
 * that are not known, and known ones with attributes of a kind that the graph does not have, stay
 * as nodes without op: only a value that needs them is refused.
 */
#include "load/onnx.h"

#include <stdio.h>
#include <string.h>

enum {
    N_INPUT = 1,
    N_OUTPUT = 2,
    N_NAME = 3,
    N_OP_TYPE = 4,
    N_ATTRIBUTE = 5,
    N_DOMAIN = 7,
    N_OVERLOAD = 8,
    N_METADATA = 9
};
enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_G = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_TYPE = 20,
    A_REF = 21
};
/* AttributeProto.AttributeType */
enum {
    TYPE_FLOAT = 1,
    TYPE_INT = 2,
    TYPE_STRING = 3,
    TYPE_TENSOR = 4,
    TYPE_GRAPH = 5,
    TYPE_FLOATS = 6,
    TYPE_INTS = 7,
    TYPE_STRINGS = 8,
    TYPE_TYPE_PROTO = 13,
    TYPE_LAST = 14
};

/* A node as it is read. */
typedef struct reading {
    ubp_onnx_scope *s;
    ubp_rewrite rw; /* the node */
    ubp_onnx_meta meta;
    const char *overload; /* of the function it calls */
    bool foreign;         /* an attribute has a kind that the graph does not have */
    bool left_out;        /* the attribute just read says nothing that a run needs */
    bool is_constant;     /* op_type Constant */
    bool has_weight;      /* its value, when it is a tensor */
    ubp_onnx_weight weight;
} reading;

/* ---- Attributes ----------------------------------------------------------------------------- */

/* An attribute as it is read: which fields it has, how many elements its lists have. */
typedef struct attr_reading {
    int type; /* 0 when not said */
    ubp_proto_field s, t, g;
    double f;
    int64_t i;
    size_t n_ints, n_floats, n_strings;
    bool has_f, has_i;
    const char *ref; /* the attribute of the function that stands here, or NULL */
} attr_reading;

static double float_of(uint32_t bits)
{
    float f = 0;
    memcpy(&f, &bits, sizeof(f));
    return (double)f;
}

/* Elements in one field of a list: 1, or those of a packed run. */
static ub_status count_items(const ubp_proto *p, const ubp_proto_field *f, int wire, size_t *n,
                             ub_error *err)
{
    if (f->wire == wire) {
        ++*n;
        return UB_OK;
    }
    UBP_TRY(ubp_onnx_want(p, f, 2, err));
    if (wire == 5)
        *n += f->size / 4;
    for (size_t i = 0; wire == 0 && i < f->size; i++)
        *n += f->data[i] < 0x80; /* the last byte of a varint */
    return UB_OK;
}

static ub_status scan_field(attr_reading *a, ubp_attr *attr, const ubp_proto *p,
                            const ubp_proto_field *f, ubp_arena *arena, ub_error *err)
{
    switch (f->number) {
    case A_NAME:
        return ubp_onnx_string(p, f, arena, &attr->name, err);
    case A_F:
        a->has_f = true;
        a->f = float_of((uint32_t)f->value);
        return ubp_onnx_want(p, f, 5, err);
    case A_I:
        a->has_i = true;
        a->i = (int64_t)f->value;
        return ubp_onnx_want(p, f, 0, err);
    case A_S:
        a->s = *f;
        return ubp_onnx_want(p, f, 2, err);
    case A_T:
        a->t = *f;
        return ubp_onnx_want(p, f, 2, err);
    case A_G:
        a->g = *f;
        return ubp_onnx_want(p, f, 2, err);
    case A_FLOATS:
        return count_items(p, f, 5, &a->n_floats, err);
    case A_INTS:
        return count_items(p, f, 0, &a->n_ints, err);
    case A_STRINGS:
        a->n_strings++;
        return ubp_onnx_want(p, f, 2, err);
    case A_TYPE:
        a->type = f->value > TYPE_LAST ? -1 : (int)f->value;
        return ubp_onnx_want(p, f, 0, err);
    case A_REF:
        return ubp_onnx_string(p, f, arena, &a->ref, err);
    default:
        return UB_OK;
    }
}

/* Files of IR version 1 do not say the type; it is that of the field which is there. */
static int guess_type(const attr_reading *a)
{
    if (a->has_f)
        return TYPE_FLOAT;
    if (a->has_i)
        return TYPE_INT;
    if (a->s.data)
        return TYPE_STRING;
    if (a->t.data)
        return TYPE_TENSOR;
    if (a->g.data)
        return TYPE_GRAPH;
    if (a->n_floats > 0)
        return TYPE_FLOATS;
    return a->n_strings > 0 ? TYPE_STRINGS : TYPE_INTS;
}

static ub_status fill_ints(int64_t *ints, const ubp_proto *p, const ubp_proto_field *f, size_t *n,
                           ub_error *err)
{
    if (f->wire == 0) {
        ints[(*n)++] = (int64_t)f->value;
        return UB_OK;
    }
    ubp_proto packed = ubp_proto_sub(p, f);
    while (packed.at < packed.end) {
        uint64_t value = 0;
        UBP_TRY(ubp_proto_varint(&packed, &value, err));
        ints[(*n)++] = (int64_t)value;
    }
    return UB_OK;
}

static void fill_floats(double *floats, const ubp_proto_field *f, size_t *n)
{
    if (f->wire == 5) {
        floats[(*n)++] = float_of((uint32_t)f->value);
        return;
    }
    for (size_t i = 0; i + 4 <= f->size; i += 4) {
        uint32_t bits = 0;
        memcpy(&bits, f->data + i, 4);
        floats[(*n)++] = float_of(bits);
    }
}

/* The second walk over an attribute, for its list. */
static ub_status fill_list(ubp_attr *attr, const attr_reading *a, ubp_proto p, ubp_arena *arena,
                           ub_error *err)
{
    int64_t *ints = ubp_arena_array(arena, a->n_ints, sizeof(*ints));
    double *floats = ubp_arena_array(arena, a->n_floats, sizeof(*floats));
    const char **strings = ubp_arena_array(arena, a->n_strings, sizeof(*strings));
    size_t n_ints = 0, n_floats = 0, n_strings = 0;
    if (!ints || !floats || !strings)
        return ubp_fail_memory(err, (size_t)(p.end - p.at));
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            break;
        if (f.number == A_INTS)
            UBP_TRY(fill_ints(ints, &p, &f, &n_ints, err));
        else if (f.number == A_FLOATS)
            fill_floats(floats, &f, &n_floats);
        else if (f.number == A_STRINGS)
            UBP_TRY(ubp_onnx_string(&p, &f, arena, &strings[n_strings++], err));
    }
    attr->ints = ints;
    attr->floats = floats;
    attr->strings = strings;
    attr->n = attr->kind == UBP_ATTR_INTS     ? n_ints
              : attr->kind == UBP_ATTR_FLOATS ? n_floats
                                              : n_strings;
    return UB_OK;
}

static ub_status fill_string(ubp_attr *attr, const ubp_proto_field *f, ubp_arena *arena,
                             ub_error *err)
{
    attr->s = ubp_arena_strndup(arena, (const char *)f->data, f->size);
    attr->s_size = f->size;
    return attr->s ? UB_OK : ubp_fail_memory(err, f->size);
}

/* A tensor attribute. One whose dtype has no storage here makes the node foreign. */
static ub_status fill_tensor(reading *r, ubp_attr *attr, const ubp_proto *p,
                             const ubp_proto_field *f)
{
    ubp_onnx *o = r->s->onnx;
    ubp_arena *arena = &r->s->g->arena;
    ubp_onnx_weight w;
    UBP_TRY(ubp_onnx_weight_parse(&w, ubp_proto_sub(p, f), arena, o->err));
    if (r->is_constant && strcmp(attr->name, "value") == 0) {
        r->weight = w;
        r->has_weight = true;
        return UB_OK;
    }
    if (!ubp_onnx_weight_stored(&w)) {
        r->foreign = true;
        return UB_OK;
    }
    ub_tensor *t = ubp_arena_alloc(arena, sizeof(*t));
    if (!t)
        return ubp_fail_memory(o->err, sizeof(*t));
    attr->tensor = t;
    return ubp_onnx_weight_tensor(t, &w, o, arena, o->err);
}

static ub_status fill_graph(reading *r, ubp_attr *attr, const ubp_proto *p,
                            const ubp_proto_field *f)
{
    UBP_TRY(ubp_graph_body(r->s->g, &attr->graph, r->s->onnx->err));
    return ubp_onnx_graph(r->s->onnx, attr->graph, ubp_proto_sub(p, f), r->s->depth + 1);
}

static ub_status fill_attr(reading *r, ubp_attr *attr, const attr_reading *a, ubp_proto p)
{
    static const ubp_attr_kind kinds[] = {
        [TYPE_FLOAT] = UBP_ATTR_FLOAT,   [TYPE_INT] = UBP_ATTR_INT,
        [TYPE_STRING] = UBP_ATTR_STRING, [TYPE_TENSOR] = UBP_ATTR_TENSOR,
        [TYPE_GRAPH] = UBP_ATTR_GRAPH,   [TYPE_FLOATS] = UBP_ATTR_FLOATS,
        [TYPE_INTS] = UBP_ATTR_INTS,     [TYPE_STRINGS] = UBP_ATTR_STRINGS};
    ub_error *err = r->s->onnx->err;
    ubp_arena *arena = &r->s->g->arena;
    const int type = a->type ? a->type : guess_type(a);
    r->left_out = type == TYPE_TYPE_PROTO; /* of Optional: what it would hold */
    if (r->left_out)
        return UB_OK;
    if (type < 0 || ((type == TYPE_TENSOR || type == TYPE_GRAPH) &&
                     !(type == TYPE_TENSOR ? a->t.data : a->g.data)))
        return ubp_fail(err, UB_ERR_FILE, "damaged file: attribute '%s' has no value of its type",
                        attr->name);
    if (type >= UBP_COUNT(kinds)) {
        r->foreign = true; /* sparse tensors, types, lists of tensors */
        return UB_OK;
    }
    attr->kind = kinds[type];
    attr->i = a->i;
    attr->f = a->f;
    switch (attr->kind) {
    case UBP_ATTR_STRING:
        return fill_string(attr, &a->s, arena, err);
    case UBP_ATTR_TENSOR:
        return fill_tensor(r, attr, &p, &a->t);
    case UBP_ATTR_GRAPH:
        return fill_graph(r, attr, &p, &a->g);
    case UBP_ATTR_INTS:
    case UBP_ATTR_FLOATS:
    case UBP_ATTR_STRINGS:
        return fill_list(attr, a, p, arena, err);
    default:
        return UB_OK;
    }
}

/* An attribute that is one of the function's call; left out where the call leaves it out. */
static ub_status refer(reading *r, const ubp_attr *attr, const char *name)
{
    ub_error *err = r->s->onnx->err;
    if (!r->s->onnx->call)
        return ubp_fail(err, UB_ERR_FILE,
                        "attribute '%s' refers to one of a function outside of a function",
                        attr->name);
    const ubp_attr *actual = ubp_onnx_actual_attr(r->s->onnx, name);
    if (!actual)
        return UB_OK;
    if (actual->kind == UBP_ATTR_GRAPH)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "attribute '%s' of a function is a graph: not supported", name);
    ubp_attr *to = &r->rw.attrs[r->rw.node.n_attrs++];
    *to = *actual;
    to->name = attr->name;
    return UB_OK;
}

static ub_status read_attr(reading *r, ubp_proto message)
{
    ub_error *err = r->s->onnx->err;
    ubp_attr attr = {.name = "", .s = ""};
    attr_reading a = {0};
    ubp_proto p = message;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            break;
        UBP_TRY(scan_field(&a, &attr, &p, &f, &r->s->g->arena, err));
    }
    if (!*attr.name)
        return ubp_fail(err, UB_ERR_FILE,
                        "damaged file: node '%s' (%s) has an attribute without a"
                        " name",
                        r->rw.node.name, r->rw.node.op_type);
    if (a.ref && *a.ref)
        return refer(r, &attr, a.ref);
    const bool was_foreign = r->foreign;
    UBP_TRY(fill_attr(r, &attr, &a, message));
    /* What the graph cannot hold is left out: the node has no op then. */
    if (r->foreign == was_foreign && !r->left_out &&
        !(r->has_weight && attr.kind == UBP_ATTR_TENSOR))
        r->rw.attrs[r->rw.node.n_attrs++] = attr;
    return UB_OK;
}

ub_status ubp_onnx_attr(ubp_onnx_scope *s, ubp_proto message, ubp_attr *out)
{
    ubp_attr attr[1] = {0};
    reading r = {.s = s,
                 .rw = {.s = s,
                        .g = s->g,
                        .node = {.name = "", .op_type = "a function", .domain = ""},
                        .attrs = attr,
                        .err = s->onnx->err}};
    UBP_TRY(read_attr(&r, message));
    *out = attr[0];
    if (r.rw.node.n_attrs == 1 && attr[0].kind != UBP_ATTR_GRAPH)
        return UB_OK;
    return ubp_fail(s->onnx->err, UB_ERR_UNSUPPORTED,
                    "a function has an attribute of a kind that is not supported");
}

/* ---- Nodes ---------------------------------------------------------------------------------- */

/* Inputs and outputs with the empty name are left out. */
static ub_status read_edge(reading *r, const ubp_proto *p, const ubp_proto_field *f, int32_t *out)
{
    const char *name = NULL;
    *out = UBP_NO_VALUE;
    UBP_TRY(ubp_onnx_string(p, f, &r->s->g->arena, &name, r->s->onnx->err));
    UBP_TRY(ubp_onnx_rename(r->s->onnx, &r->s->g->arena, &name));
    return *name ? ubp_onnx_value(r->s, name, out) : UB_OK;
}

static ub_status read_meta(reading *r, ubp_proto message)
{
    static const char *const keys[] = {
        "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy",
        "pkg.onnxscript.rewriter.rule_name", "pkg.torch.onnx.fx_node"};
    const char **slots[] = {&r->meta.name_scopes, &r->meta.class_hierarchy, &r->meta.rule_name,
                            &r->meta.fx_node};
    ub_error *err = r->s->onnx->err;
    ubp_proto_field key, value;
    UBP_TRY(ubp_onnx_entry(message, &key, &value, err));
    for (int i = 0; i < UBP_COUNT(keys); i++)
        if (ubp_onnx_is(&key, keys[i]) && value.data)
            return ubp_onnx_string(&message, &value, &r->s->g->arena, slots[i], err);
    return UB_OK;
}

/* The first walk: names, and how many of what there are. */
static ub_status scan_node(reading *r, ubp_proto p, size_t *n_in, size_t *n_out, size_t *n_attrs)
{
    ub_error *err = r->s->onnx->err;
    ubp_arena *arena = &r->s->g->arena;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            return UB_OK;
        if (f.number == N_NAME)
            UBP_TRY(ubp_onnx_string(&p, &f, arena, &r->rw.node.name, err));
        else if (f.number == N_OP_TYPE)
            UBP_TRY(ubp_onnx_string(&p, &f, arena, &r->rw.node.op_type, err));
        else if (f.number == N_DOMAIN)
            UBP_TRY(ubp_onnx_string(&p, &f, arena, &r->rw.node.domain, err));
        else if (f.number == N_OVERLOAD)
            UBP_TRY(ubp_onnx_string(&p, &f, arena, &r->overload, err));
        *n_in += f.number == N_INPUT;
        *n_out += f.number == N_OUTPUT;
        *n_attrs += f.number == N_ATTRIBUTE;
    }
}

/* The second walk: edges, attributes, metadata. */
static ub_status fill_node(reading *r, ubp_proto p)
{
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, r->s->onnx->err));
        if (!more)
            return UB_OK;
        if (f.number == N_ATTRIBUTE || f.number == N_METADATA)
            UBP_TRY(ubp_onnx_want(&p, &f, 2, r->s->onnx->err));
        if (f.number == N_INPUT)
            UBP_TRY(read_edge(r, &p, &f, &r->rw.in[r->rw.node.n_in++]));
        else if (f.number == N_OUTPUT)
            UBP_TRY(read_edge(r, &p, &f, &r->rw.out[r->rw.node.n_out++]));
        else if (f.number == N_ATTRIBUTE)
            UBP_TRY(read_attr(r, ubp_proto_sub(&p, &f)));
        else if (f.number == N_METADATA)
            UBP_TRY(read_meta(r, ubp_proto_sub(&p, &f)));
    }
}

/* ---- Constants ------------------------------------------------------------------------------ */

ub_status ubp_onnx_constant(ubp_onnx_scope *s, const ubp_onnx_weight *w, int32_t value,
                            const char *node_name)
{
    ubp_onnx *o = s->onnx;
    if (ubp_onnx_weight_stored(w)) {
        ub_tensor t;
        UBP_TRY(ubp_onnx_weight_tensor(&t, w, o, &s->g->arena, o->err));
        return ubp_onnx_set_constant(s, value, &t);
    }
    const char *op =
        ubp_arena_printf(&s->g->arena, "constant of %s", ubp_onnx_dtype_name(w->dtype));
    if (!op)
        return ubp_fail_memory(o->err, 1);
    const ubp_node node = {
        .name = node_name, .op_type = op, .domain = "", .n_out = 1, .out = &value};
    return ubp_graph_node(s->g, &node, NULL, o->err);
}

/* value_int, value_ints, value_float, value_floats as a tensor; false for others. */
static ub_status number_constant(reading *r, bool *done)
{
    const ubp_attr *a = r->rw.node.n_attrs == 1 ? &r->rw.attrs[0] : NULL;
    ubp_arena *arena = &r->s->g->arena;
    ub_error *err = r->s->onnx->err;
    *done = a && (a->kind == UBP_ATTR_INT || a->kind == UBP_ATTR_INTS ||
                  a->kind == UBP_ATTR_FLOAT || a->kind == UBP_ATTR_FLOATS);
    if (!*done)
        return UB_OK;
    const bool is_int = a->kind == UBP_ATTR_INT || a->kind == UBP_ATTR_INTS;
    const bool is_list = a->kind == UBP_ATTR_INTS || a->kind == UBP_ATTR_FLOATS;
    const size_t n = is_list ? a->n : 1;
    const int64_t dim = (int64_t)n;
    ub_tensor t = {0};
    UBP_TRY(ubp_tensor_describe(&t, is_int ? UB_I64 : UB_F32, is_list ? 1 : 0, &dim, err));
    t.data = ubp_arena_alloc(arena, ubp_tensor_bytes(&t));
    if (!t.data)
        return ubp_fail_memory(err, ubp_tensor_bytes(&t));
    for (size_t i = 0; i < n; i++) {
        if (is_int)
            ((int64_t *)t.data)[i] = is_list ? a->ints[i] : a->i;
        else
            ((float *)t.data)[i] = (float)(is_list ? a->floats[i] : a->f);
    }
    return ubp_onnx_set_constant(r->s, r->rw.out[0], &t);
}

/* *done false: sparse, or strings; the node then stays, without op. */
static ub_status make_constant(reading *r, bool *done)
{
    *done = false;
    if (r->rw.node.n_out != 1 || r->rw.node.n_in != 0)
        return ubp_fail(
            r->s->onnx->err, UB_ERR_FILE,
            "damaged file: Constant '%s' has %d inputs and %d outputs, expected 0 and 1",
            r->rw.node.name, r->rw.node.n_in, r->rw.node.n_out);
    if (r->rw.out[0] == UBP_NO_VALUE) {
        *done = true;
        return UB_OK;
    }
    const ubp_attr *value = ubp_node_attr(&r->rw.node, "value");
    if (value && value->kind == UBP_ATTR_TENSOR) { /* the call's */
        *done = true;
        return ubp_onnx_set_constant(r->s, r->rw.out[0], value->tensor);
    }
    if (!r->has_weight)
        return number_constant(r, done);
    *done = true;
    return ubp_onnx_constant(r->s, &r->weight, r->rw.out[0], r->rw.node.name);
}

/* ---- Adding it ------------------------------------------------------------------------------ */

/* Kernels rely on the number of inputs and on the mandatory ones being there. */
static ub_status check_arity(const ubp_graph *g, const ubp_node *n, ub_error *err)
{
    char label[300];
    const ubp_op *op = n->op;
    bool good = n->n_in >= op->min_in && (op->max_in == 127 || n->n_in <= op->max_in) &&
                n->n_out >= op->min_out && (op->max_out == 127 || n->n_out <= op->max_out);
    for (int i = 0; good && i < op->min_in; i++)
        good = n->in[i] != UBP_NO_VALUE;
    if (good)
        return UB_OK;
    ubp_node numbered = *n;
    numbered.order = (int32_t)g->n_nodes;
    return ubp_fail(err, UB_ERR_FILE,
                    "node %s has %d inputs and %d outputs, or lacks one; expected %d to %d, and %d"
                    " to %d",
                    ubp_node_label(&numbered, label, sizeof(label)), n->n_in, n->n_out, op->min_in,
                    op->max_in, op->min_out, op->max_out);
}

/* All nodes made from one of the file have its metadata. */
static ub_status add_meta(reading *r)
{
    ubp_onnx *o = r->s->onnx;
    if (r->s->depth > 0)
        return UB_OK;
    while (o->n_meta < r->s->g->n_nodes) {
        UBP_TRY(ubp_grow((void **)&o->meta, &o->cap_meta, o->n_meta, sizeof(*o->meta), o->err));
        o->meta[o->n_meta++] = r->meta;
    }
    return UB_OK;
}

/* Brings a node of ai.onnx to the newest form and finds its operator. */
static ub_status modernize(ubp_rewrite *rw)
{
    char label[300];
    if (rw->opset == 0)
        return ubp_fail(rw->err, UB_ERR_FILE,
                        "node %s is of ai.onnx, whose version the model does not say",
                        ubp_node_label(&rw->node, label, sizeof(label)));
    UBP_TRY(ubp_onnx_modernize(rw));
    if (!rw->refused)
        rw->node.op = ubp_op_find(rw->node.op_type, "");
    return UB_OK;
}

/* Which of our operators one of another domain is. LabelEncoder first was a kind of CategoryMapper.
 */
static const char *domain_op(const ubp_node *n)
{
    const bool old = strcmp(n->domain, "ai.onnx.ml") == 0 &&
                     strcmp(n->op_type, "LabelEncoder") == 0 && ubp_node_attr(n, "classes_strings");
    return old ? "CategoryMapper" : n->op_type;
}

static ub_status add_node(reading *r)
{
    ubp_onnx *o = r->s->onnx;
    ubp_node *n = &r->rw.node;
    if (strcmp(n->domain, "ai.onnx") == 0)
        n->domain = "";
    const ubp_onnx_imports *imports = o->call ? &o->call->imports : &o->imports;
    n->opset = *n->domain ? ubp_table_find(&imports->domains, n->domain) : imports->opset;
    const int32_t function = ubp_onnx_find_function(o, n, r->overload);
    if (function >= 0 && !r->foreign)
        return ubp_onnx_inline(r->s, n, function, &r->meta);
    if (!r->foreign && !*n->domain)
        UBP_TRY(modernize(&r->rw));
    else if (!r->foreign)
        n->op = ubp_op_find(domain_op(n), n->domain);
    if (n->op)
        UBP_TRY(check_arity(r->s->g, n, o->err));
    UBP_TRY(ubp_graph_node(r->s->g, n, NULL, o->err));
    return ubp_onnx_fact_note(r->s, n);
}

/* Room for the edges and attributes of a node. */
static ub_status make_room(ubp_rewrite *rw, size_t n_in, size_t n_out, size_t n_attrs)
{
    ubp_arena *arena = &rw->g->arena;
    if (n_in > INT32_MAX || n_out > INT32_MAX || n_attrs > INT32_MAX)
        return ubp_fail(rw->err, UB_ERR_UNSUPPORTED, "node '%s' has too many inputs",
                        rw->node.name);
    rw->node.in = rw->in = ubp_arena_array(arena, n_in, sizeof(int32_t));
    rw->node.out = rw->out = ubp_arena_array(arena, n_out, sizeof(int32_t));
    rw->node.attrs = rw->attrs = ubp_arena_array(arena, n_attrs, sizeof(ubp_attr));
    return rw->in && rw->out && rw->attrs ? UB_OK
                                          : ubp_fail_memory(rw->err, n_attrs * sizeof(ubp_attr));
}

ub_status ubp_onnx_node(ubp_onnx_scope *s, ubp_proto message)
{
    const ubp_onnx_call *inside = s->onnx->call;
    reading r = {.s = s,
                 .meta = inside ? inside->meta : (ubp_onnx_meta){0},
                 .overload = "",
                 .rw = {.s = s,
                        .g = s->g,
                        .opset = inside ? inside->imports.opset : s->onnx->imports.opset,
                        .node = {.name = "", .op_type = "", .domain = ""},
                        .err = s->onnx->err}};
    const ubp_node *node = &r.rw.node;
    size_t n_in = 0, n_out = 0, n_attrs = 0;
    bool done = false;
    UBP_TRY(add_meta(&r)); /* for nodes that stand for odd initializers */
    UBP_TRY(scan_node(&r, message, &n_in, &n_out, &n_attrs));
    if (!*node->op_type)
        return ubp_fail(r.rw.err, UB_ERR_FILE, "damaged file: node '%s' names no operator",
                        node->name);
    if (inside && *node->name)
        UBP_TRY(ubp_onnx_rename(s->onnx, &s->g->arena, &r.rw.node.name));
    r.is_constant = strcmp(node->op_type, "Constant") == 0 &&
                    (!*node->domain || strcmp(node->domain, "ai.onnx") == 0);
    UBP_TRY(make_room(&r.rw, n_in, n_out, n_attrs));
    UBP_TRY(fill_node(&r, message));
    if (r.is_constant)
        UBP_TRY(make_constant(&r, &done));
    if (!done)
        UBP_TRY(add_node(&r));
    return add_meta(&r);
}
