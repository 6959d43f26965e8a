/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorMeta: dtype, sizes and strides of a tensor of a .pt2 program. Sizes may be expressions of
 * symbols, written by SymPy: "Mul(Integer(4), Symbol('s77', positive=True, integer=True))". They
 * become text such as "4*batch", where the symbol of the samples is called "batch".
 */
#include "load/pt2.h"

#include <string.h>

/* ---- dtypes -----------------------------------------------------------------------------------
 */

/* Numbers of torch/_export/serde/schema.py, which are not those of c10. */
static const struct {
    int code;
    ub_dtype dtype;
    const char *name;
} dtypes[] = {
    {1, UB_U8, "uint8"},
    {2, UB_I8, "int8"},
    {3, UB_I16, "int16"},
    {4, UB_I32, "int32"},
    {5, UB_I64, "int64"},
    {6, UB_F16, "float16"},
    {7, UB_F32, "float32"},
    {8, UB_F64, "float64"},
    {9, UB_UNDEFINED, "complex32"},
    {10, UB_UNDEFINED, "complex64"},
    {11, UB_UNDEFINED, "complex128"},
    {12, UB_BOOL, "bool"},
    {13, UB_BF16, "bfloat16"},
    {28, UB_U16, "uint16"},
    {29, UB_UNDEFINED, "float8_e4m3fn"},
    {30, UB_UNDEFINED, "float8_e5m2"},
    {31, UB_UNDEFINED, "float8_e4m3fnuz"},
    {32, UB_UNDEFINED, "float8_e5m2fnuz"},
    {33, UB_UNDEFINED, "float8_e8m0fnu"},
    {34, UB_U32, "uint32"},
    {35, UB_U64, "uint64"},
};

ub_dtype ubp_pt2_dtype(int64_t code)
{
    for (int i = 0; i < UBP_COUNT(dtypes); i++)
        if (dtypes[i].code == code)
            return dtypes[i].dtype;
    return UB_UNDEFINED;
}

const char *ubp_pt2_dtype_name(int64_t code)
{
    for (int i = 0; i < UBP_COUNT(dtypes); i++)
        if (dtypes[i].code == code)
            return dtypes[i].name;
    return "an unknown dtype";
}

/* ---- Sizes as text ----------------------------------------------------------------------------
 */

enum { MOST_DEPTH = 24, MOST_TEXT = 200 };

typedef struct reader {
    const char *at;
    const char *batch;
    ubp_text *out;
    bool bad;
} reader;

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static void skip_spaces(reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t')
        r->at++;
}

static size_t word_size(const reader *r)
{
    size_t n = 0;
    while (is_word(r->at[n]))
        n++;
    return n;
}

static bool take(reader *r, char c)
{
    skip_spaces(r);
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

/* "'s77', positive=True, integer=True)": the name; assumptions are passed over. */
static void read_symbol(reader *r)
{
    if (!take(r, '\'')) {
        r->bad = true;
        return;
    }
    const size_t n = word_size(r);
    const bool batch = r->batch && strlen(r->batch) == n && memcmp(r->at, r->batch, n) == 0;
    if (batch)
        ubp_text_add(r->out, "batch");
    else
        ubp_text_addn(r->out, r->at, n);
    r->at += n;
    const char *end = strchr(r->at, ')');
    r->bad |= n == 0 || *r->at != '\'' || !end;
    if (end)
        r->at = end + 1;
}

static void read_expression(reader *r, int depth);

/* The operands, with that between them, in brackets where their sum would be misread. */
static void read_operands(reader *r, int depth, const char *between)
{
    for (int i = 0; !r->bad; i++) {
        if (i > 0)
            ubp_text_add(r->out, between);
        read_expression(r, depth + 1);
        if (take(r, ')'))
            return;
        r->bad |= !take(r, ',');
    }
}

static void read_function(reader *r, const char *name, size_t n, int depth)
{
    static const struct {
        const char *name, *between;
    } infix[] = {{"Mul", "*"}, {"FloorDiv", "//"}, {"Mod", "%"}, {"PythonMod", "%"}};
    for (int i = 0; i < UBP_COUNT(infix); i++)
        if (strlen(infix[i].name) == n && memcmp(name, infix[i].name, n) == 0) {
            read_operands(r, depth, infix[i].between);
            return;
        }
    if (n == 3 && memcmp(name, "Add", 3) == 0) {
        const bool inner = depth > 0;
        ubp_text_add(r->out, inner ? "(" : "");
        read_operands(r, depth, "+");
        ubp_text_add(r->out, inner ? ")" : "");
        return;
    }
    ubp_text_addn(r->out, name, n);
    ubp_text_add(r->out, "(");
    read_operands(r, depth, ", ");
    ubp_text_add(r->out, ")");
}

static void read_expression(reader *r, int depth)
{
    skip_spaces(r);
    const char *name = r->at;
    const size_t n = word_size(r);
    r->at += n;
    if (depth > MOST_DEPTH || n == 0 || r->out->len > MOST_TEXT) {
        r->bad = true;
    } else if (!take(r, '(')) {
        ubp_text_addn(r->out, name, n); /* a plain number */
    } else if (n == 6 && memcmp(name, "Symbol", n) == 0) {
        read_symbol(r);
    } else if (n == 7 && memcmp(name, "Integer", n) == 0) {
        const size_t digits = word_size(r);
        ubp_text_addn(r->out, r->at, digits);
        r->at += digits;
        r->bad |= digits == 0 || !take(r, ')');
    } else {
        read_function(r, name, n, depth);
    }
}

const char *ubp_pt2_size_text(const char *expression, const char *batch, ubp_arena *arena)
{
    ubp_text text = {0};
    reader r = {.at = expression, .batch = batch, .out = &text};
    read_expression(&r, 0);
    skip_spaces(&r);
    const bool good = !r.bad && !*r.at && text.s && !text.failed && text.len <= MOST_TEXT;
    const char *out = good ? ubp_arena_strdup(arena, text.s) : NULL;
    ubp_text_free(&text);
    return out;
}

/* ---- TensorMeta -------------------------------------------------------------------------------
 */

/* {"as_int": 3}, or {"as_expr": {"expr_str": ..., "hint": {"as_int": 4}}}. *known false for the
 * latter. */
static bool read_size(const json_t *size, int64_t *hint, bool *known)
{
    const json_t *number = json_object_get(size, "as_int");
    *known = number != NULL;
    if (!number)
        number =
            json_object_get(json_object_get(json_object_get(size, "as_expr"), "hint"), "as_int");
    *hint = json_is_integer(number) ? json_integer_value(number) : -1;
    return json_is_integer(number) || json_object_get(size, "as_expr") != NULL;
}

bool ubp_pt2_read_meta(ubp_pt2_meta *m, const json_t *meta)
{
    const json_t *sizes = json_object_get(meta, "sizes");
    const json_t *strides = json_object_get(meta, "strides");
    const json_t *code = json_object_get(meta, "dtype");
    const size_t rank = json_array_size(sizes);
    bool known = false;
    *m = (ubp_pt2_meta){.rank = 0};
    if (!json_is_array(sizes) || !json_is_integer(code) || rank > UB_MAX_RANK)
        return false;
    m->code = (int)json_integer_value(code);
    m->dtype = ubp_pt2_dtype(json_integer_value(code));
    m->rank = (int)rank;
    m->has_strides = json_array_size(strides) == rank;
    for (size_t i = 0; i < rank; i++) {
        if (!read_size(json_array_get(sizes, i), &m->sizes[i], &known))
            return false;
        if (known && m->sizes[i] < 0)
            return false;
        m->dims[i] = known ? m->sizes[i] : -1;
        m->has_strides &= read_size(json_array_get(strides, i), &m->strides[i], &known) &&
                          m->sizes[i] >= 0 && m->strides[i] >= 0;
    }
    if (!read_size(json_object_get(meta, "storage_offset"), &m->offset, &known))
        m->offset = 0;
    return true;
}

ub_status ubp_pt2_describe(ubp_graph *g, int32_t value, const json_t *meta, const char *batch,
                           ub_error *err)
{
    ubp_pt2_meta m;
    if (!ubp_pt2_read_meta(&m, meta))
        return ubp_fail(err, UB_ERR_FILE, "damaged .pt2 file: the shape of '%s' cannot be read",
                        g->values[value].name);
    ubp_value *v = &g->values[value];
    v->dtype = m.dtype;
    v->rank = m.rank;
    for (int i = 0; i < m.rank; i++) {
        v->dims[i] = m.dims[i];
        v->dim_names[i] = NULL;
        if (m.dims[i] >= 0)
            continue;
        const json_t *size = json_array_get(json_object_get(meta, "sizes"), (size_t)i);
        const json_t *text = json_object_get(json_object_get(size, "as_expr"), "expr_str");
        if (json_is_string(text))
            v->dim_names[i] = ubp_pt2_size_text(json_string_value(text), batch, &g->arena);
    }
    return UB_OK;
}

/* ---- The batch --------------------------------------------------------------------------------
 */

/* The symbol that a size is, or NULL when it is a number or an expression. */
static const char *plain_symbol(const json_t *size, ubp_arena *arena)
{
    const json_t *text = json_object_get(json_object_get(size, "as_expr"), "expr_str");
    const char *symbol =
        json_is_string(text) ? ubp_pt2_size_text(json_string_value(text), NULL, arena) : NULL;
    for (const char *c = symbol; c && *c; c++)
        if (!is_word(*c) || *c == '.' || *c == '-')
            return NULL;
    return symbol;
}

/* The first axis is where the samples are unless it is fixed in every input; then the first symbol
 * there is counts them. */
const char *ubp_pt2_batch_symbol(const json_t *graph, const json_t *signature, ubp_arena *arena)
{
    const json_t *values = json_object_get(graph, "tensor_values");
    const char *any = NULL;
    size_t i = 0;
    json_t *spec = NULL;
    json_array_foreach(json_object_get(signature, "input_specs"), i, spec)
    {
        const json_t *arg = json_object_get(json_object_get(spec, "user_input"), "arg");
        const json_t *name = json_object_get(json_object_get(arg, "as_tensor"), "name");
        const json_t *meta =
            json_is_string(name) ? json_object_get(values, json_string_value(name)) : NULL;
        size_t axis = 0;
        json_t *size = NULL;
        json_array_foreach(json_object_get(meta, "sizes"), axis, size)
        {
            const char *symbol = plain_symbol(size, arena);
            if (symbol && axis == 0)
                return symbol;
            if (symbol && !any)
                any = symbol;
        }
    }
    return any;
}
