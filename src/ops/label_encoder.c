/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ai.onnx.ml LabelEncoder: each element becomes the value that stands beside it in a list of keys,
 * or the default. Keys and values are strings, integers or floats, given as attributes of their
 * kind or as tensors; of a key that occurs twice the last counts, NaN is a key like others.
 * ai.onnx.ml opset 4; opset 1 is category_mapper.c's.
 */
#include "ops/string_ops.h"

#include <stdlib.h>
#include <string.h>

/* A list in one of three kinds. */
typedef struct list {
    ub_dtype dtype; /* of the elements as a tensor has them; UB_UNDEFINED: absent */
    int64_t n;
    const char *const *strings; /* [n] */
    const int64_t *ints;        /* [n] */
    const double *floats;       /* [n] */
} list;

typedef struct encoder_attr {
    list keys, values, none; /* none: one element, the default */
    int64_t *order;          /* [keys.n] sorted by key, of equal ones the last first */
} encoder_attr;

/* ---- Attributes -------------------------------------------------------------------------------
 */

static ub_status list_of_tensor(const ubp_node *node, const ub_tensor *t, list *out,
                                ubp_arena *arena, ub_error *err)
{
    const int64_t n = ub_tensor_count(t);
    *out = (list){.dtype = t->dtype, .n = n};
    if (t->dtype == UB_STRING) {
        out->strings = t->data;
        return UB_OK;
    }
    const bool whole = ubp_is_integer(t->dtype);
    if (!whole && !ubp_is_float(t->dtype))
        return ubp_fail(err, UB_ERR_SHAPE, "node '%s' (%s): labels of %s", node->name,
                        node->op_type, ub_dtype_name(t->dtype));
    void *data = ubp_arena_array(arena, (size_t)n + 1, sizeof(int64_t));
    if (!data)
        return ubp_fail_memory(err, (size_t)n * sizeof(int64_t));
    ubp_convert(data, whole ? UB_I64 : UB_F64, t->data, t->dtype, n);
    out->ints = whole ? data : NULL;
    out->floats = whole ? NULL : data;
    return UB_OK;
}

/* <prefix>_strings, _int64s, _floats or _tensor, whichever the node has. */
static ub_status read_list(const ubp_node *node, const char *prefix, list *out, ubp_arena *arena,
                           ub_error *err)
{
    char name[32];
    *out = (list){.dtype = UB_UNDEFINED};
    for (int i = 0; i < node->n_attrs; i++) {
        const ubp_attr *a = &node->attrs[i];
        const size_t n = strlen(prefix);
        if (strncmp(a->name, prefix, n) != 0)
            continue;
        strncpy(name, a->name + n, sizeof name - 1);
        name[sizeof name - 1] = '\0';
        if (strcmp(name, "strings") == 0 && a->kind == UBP_ATTR_STRINGS)
            *out = (list){.dtype = UB_STRING, .n = (int64_t)a->n, .strings = a->strings};
        else if (strcmp(name, "int64s") == 0 && a->kind == UBP_ATTR_INTS)
            *out = (list){.dtype = UB_I64, .n = (int64_t)a->n, .ints = a->ints};
        else if (strcmp(name, "floats") == 0 && a->kind == UBP_ATTR_FLOATS)
            *out = (list){.dtype = UB_F32, .n = (int64_t)a->n, .floats = a->floats};
        else if (strcmp(name, "tensor") == 0 && a->kind == UBP_ATTR_TENSOR)
            UBP_TRY(list_of_tensor(node, a->tensor, out, arena, err));
    }
    return UB_OK;
}

/* default_tensor or the default of the values' kind. */
static ub_status read_default(const ubp_node *node, const list *values, list *out, ubp_arena *arena,
                              ub_error *err)
{
    const ubp_attr *t = ubp_node_attr(node, "default_tensor");
    if (t && t->kind == UBP_ATTR_TENSOR) {
        UBP_TRY(list_of_tensor(node, t->tensor, out, arena, err));
        if (out->n == 1 && out->dtype == values->dtype)
            return UB_OK;
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): the default is not one %s", node->name,
                        node->op_type, ub_dtype_name(values->dtype));
    }
    const char **s = ubp_arena_alloc(arena, sizeof *s);
    int64_t *i = ubp_arena_alloc(arena, sizeof *i);
    double *f = ubp_arena_alloc(arena, sizeof *f);
    if (!s || !i || !f)
        return ubp_fail_memory(err, sizeof *s);
    *out = (list){.dtype = values->dtype, .n = 1, .strings = s, .ints = i, .floats = f};
    UBP_TRY(ubp_attr_string(node, "default_string", "_Unused", s, err));
    UBP_TRY(ubp_attr_int(node, "default_int64", -1, i, err));
    return ubp_attr_float(node, "default_float", -0.0, f, err);
}

/* ---- Order ------------------------------------------------------------------------------------
 */

static int compare_floats(double a, double b)
{
    if (a != a || b != b)
        return (a != a) - (b != b); /* NaN last, all the same */
    return (a > b) - (a < b);
}

/* Key i of a against key k of b, lists of one kind. */
static int compare_keys(const list *a, int64_t i, const list *b, int64_t k)
{
    if (a->dtype == UB_STRING)
        return strcmp(ubp_string_at(&a->strings[i]), ubp_string_at(&b->strings[k]));
    if (a->ints)
        return (a->ints[i] > b->ints[k]) - (a->ints[i] < b->ints[k]);
    return compare_floats(a->floats[i], b->floats[k]);
}

/* Merges order [from, middle) and [middle, to), later keys first among equals. */
static void merge(const list *keys, int64_t *order, int64_t *space, int64_t from, int64_t middle,
                  int64_t to)
{
    int64_t a = from, b = middle;
    for (int64_t i = from; i < to; i++) {
        const bool left =
            b == to || (a < middle && compare_keys(keys, order[a], keys, order[b]) < 0);
        space[i] = left ? order[a++] : order[b++];
    }
    memcpy(order + from, space + from, (size_t)(to - from) * sizeof *order);
}

static ub_status sort_keys(encoder_attr *a, ubp_arena *arena, ub_error *err)
{
    const int64_t n = a->keys.n;
    a->order = ubp_arena_array(arena, (size_t)n + 1, sizeof *a->order);
    int64_t *space = ubp_arena_array(arena, (size_t)n + 1, sizeof *space);
    if (!a->order || !space)
        return ubp_fail_memory(err, (size_t)n * sizeof *space);
    for (int64_t i = 0; i < n; i++)
        a->order[i] = i;
    for (int64_t run = 1; run < n; run *= 2)
        for (int64_t from = 0; from + run < n; from += 2 * run)
            merge(&a->keys, a->order, space, from, from + run,
                  from + 2 * run < n ? from + 2 * run : n);
    return UB_OK;
}

static ub_status encoder_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    encoder_attr *a = attr;
    UBP_TRY(read_list(node, "keys_", &a->keys, arena, err));
    UBP_TRY(read_list(node, "values_", &a->values, arena, err));
    if (!a->keys.dtype || !a->values.dtype || a->keys.n != a->values.n)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): %lld keys and %lld values, expected as many of either",
                        node->name, node->op_type, (long long)a->keys.n, (long long)a->values.n);
    UBP_TRY(read_default(node, &a->values, &a->none, arena, err));
    return sort_keys(a, arena, err);
}

/* ---- Shape, kernel -----------------------------------------------------------------------------
 */

static ub_status encoder_infer(const ubp_call *c)
{
    const encoder_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    if (x->dtype != a->keys.dtype)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, the keys are %s",
                           ub_dtype_name(x->dtype), ub_dtype_name(a->keys.dtype));
    return ubp_set_out(c, 0, a->values.dtype, x->rank, x->dims);
}

/* The key's place in order, the first of equal ones; -1: none. */
static int64_t find_key(const encoder_attr *a, const list *one)
{
    int64_t low = 0, high = a->keys.n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (compare_keys(&a->keys, a->order[middle], one, 0) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == a->keys.n || compare_keys(&a->keys, a->order[low], one, 0) != 0)
        return -1;
    return a->order[low];
}

static void encode_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    const ubp_call *c = arg;
    const encoder_attr *a = c->attr;
    for (int64_t i = 0; i < n; i++) {
        const char *src = p[1] + i * step[1];
        char *dst = p[0] + i * step[0];
        const char *text = NULL;
        int64_t whole = 0;
        double number = 0;
        list one = {.dtype = a->keys.dtype, .n = 1, .strings = &text};
        if (a->keys.dtype == UB_STRING) {
            text = ubp_string_at(src);
        } else if (a->keys.ints) {
            whole = ubp_read_i64(src, a->keys.dtype);
            one.ints = &whole;
        } else {
            number = ubp_read_f64(src, a->keys.dtype);
            one.floats = &number;
        }
        const int64_t found = find_key(a, &one), at = found < 0 ? 0 : found;
        const list *from = found < 0 ? &a->none : &a->values;
        if (a->values.dtype == UB_STRING)
            ubp_string_put(dst, ubp_string_at(&from->strings[at]));
        else if (a->values.ints)
            ubp_write_i64(dst, a->values.dtype, from->ints[at]);
        else
            ubp_write_f64(dst, a->values.dtype, from->floats[at]);
    }
}

static ub_status encoder_ref(const ubp_call *c)
{
    const ub_tensor *operands[] = {c->out[0], c->in[0]};
    ubp_ew_walk(c->run, 2, operands, encode_row, c);
    return UB_OK;
}

const ubp_op ubp_op_LabelEncoder = {
    .name = "LabelEncoder",
    .domain = "ai.onnx.ml",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(encoder_attr),
    .attrs = encoder_attrs,
    .infer = encoder_infer,
    .batch = ubp_batch_elementwise,
    .ref = encoder_ref,
};
