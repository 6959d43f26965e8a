/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes of torch.onnx.export(..., dynamo=True). Each node carries, as Python's repr of a list of
 * strings, the paths of the modules around it (pkg.torch.onnx.name_scopes) and their types
 * (pkg.torch.onnx.class_hierarchy). The first is the model itself (''), the last the fx node.
 */
#include "load/onnx_layers.h"

#include <string.h>

/* First scope of nodes that the exporter itself added. */
static const char NO_STACK[] = "_empty_nn_module_stack_from_metadata_hook";

/* The strings of one list. */
typedef struct list {
    const char *items[UBP_MAX_SCOPES];
    int n;
} list;

/* ---- Python's repr of a list of strings ------------------------------------------------------ */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

/* The character that a one-letter escape stands for, or 0. repr() writes these and no others. */
static char plain_escape(char c)
{
    switch (c) {
    case '\\':
    case '\'':
    case '"':
        return c;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return '\0';
    }
}

/* What follows a backslash. An escape is longer than what it stands for. */
static bool parse_escape(const char **at, char **to)
{
    const char c = **at;
    const char plain = plain_escape(c);
    if (plain) {
        (*at)++;
        *(*to)++ = plain;
        return true;
    }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0)
        return false;
    uint32_t code = 0;
    for ((*at)++; digits > 0; digits--) {
        const int h = hex_value(**at);
        if (h < 0)
            return false;
        code = code << 4 | (uint32_t)h;
        (*at)++;
    }
    if (code == 0 || code > 0x10FFFF)
        return false;
    *to = put_utf8(*to, code);
    return true;
}

/* A quoted string into to (as long as the rest of the text at most); moves both. */
static bool parse_string(const char **at, char **to)
{
    const char quote = *(*at)++;
    if (quote != '\'' && quote != '"')
        return false;
    while (**at != quote) {
        if (**at == '\0')
            return false;
        if (**at == '\\') {
            (*at)++;
            if (!parse_escape(at, to))
                return false;
        } else {
            *(*to)++ = *(*at)++;
        }
    }
    (*at)++;
    *(*to)++ = '\0';
    return true;
}

/* Exactly "['a', 'b']". *good false: something else, or too long. buffer: as long as text. */
static void parse_list(list *out, const char *text, char *buffer, bool *good)
{
    *good = false;
    out->n = 0;
    if (*text++ != '[')
        return;
    while (*text != ']') {
        if (out->n == UBP_MAX_SCOPES)
            return;
        if (out->n > 0 && (*text++ != ',' || *text++ != ' '))
            return;
        char *start = buffer;
        if (!parse_string(&text, &buffer) || strlen(start) > UBP_MAX_PATH)
            return;
        out->items[out->n++] = start;
    }
    *good = text[1] == '\0';
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static bool has_module(const ubp_finder *f, size_t node, int32_t module)
{
    for (size_t i = f->scope_at[node]; i < f->n_scopes; i++)
        if (f->scopes[i].module == module)
            return true;
    return false;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Behind an operation in place, torch.export runs a view (a Flatten, say) again where its result is
 * first used, and names the module of that. These modules have no views of their own. */
static bool is_stray_view(const char *type, const char *target)
{
    static const char *const views[] = {"aten.view.",      "aten.flatten.",   "aten.reshape.",
                                        "aten.squeeze.",   "aten.unsqueeze.", "aten.permute.",
                                        "aten.transpose.", "aten.select.",    "aten.slice."};
    static const char *const viewless[] = {"torch.nn.modules.linear.", "torch.nn.modules.conv.",
                                           "torch.nn.modules.batchnorm.",
                                           "torch.nn.modules.dropout.", "torch.nn.modules.sparse."};
    const char *dot = strrchr(type, '.');
    bool is_view = false, is_viewless = dot && strcmp(dot, ".Linear") == 0;
    for (int i = 0; i < UBP_COUNT(views); i++)
        is_view |= starts_with(target, views[i]);
    for (int i = 0; i < UBP_COUNT(viewless); i++)
        is_viewless |= starts_with(type, viewless[i]);
    return is_view && is_viewless;
}

/* All but the last are modules; '' is the model. */
static ub_status add_scopes(ubp_finder *f, size_t node, const list *names, const list *types)
{
    if (names->n == 0 || strcmp(names->items[0], NO_STACK) == 0)
        return UB_OK;
    const bool typed = types->n == names->n && types->n > 1;
    f->scope_at[node] = f->n_scopes;
    for (int i = 0; i + 1 < names->n; i++) {
        int32_t module = -1;
        if (!*names->items[i] ||
            (typed && i + 2 == names->n && is_stray_view(types->items[i], types->items[i + 1])))
            continue;
        UBP_TRY(ubp_module_find(f, names->items[i], &module));
        if (has_module(f, node, module))
            continue;
        ubp_module *m = &f->modules[module];
        if (!*m->type && typed) {
            m->type = ubp_arena_strdup(&f->arena, types->items[i]);
            if (!m->type)
                return ubp_fail_memory(f->err, strlen(types->items[i]));
        }
        UBP_TRY(ubp_scope_add(f, module, UBP_ANY_MARK));
    }
    f->n_scoped[node] = (int32_t)(f->n_scopes - f->scope_at[node]);
    return UB_OK;
}

/* The longest metadata of the file, so that one buffer serves all. */
static size_t longest(const ubp_finder *f)
{
    size_t most = 0;
    for (size_t i = 0; i < f->g->n_nodes; i++) {
        const char *texts[] = {f->meta[i].name_scopes, f->meta[i].class_hierarchy};
        for (int k = 0; k < UBP_COUNT(texts); k++)
            if (texts[k] && strlen(texts[k]) > most)
                most = strlen(texts[k]);
    }
    return most;
}

ub_status ubp_scopes_dynamo(ubp_finder *f, bool *known)
{
    const size_t size = longest(f) + 1;
    char *buffer = ubp_finder_array(f, 2, size);
    if (!buffer)
        return UB_ERR_MEMORY;
    *known = true;
    for (size_t i = 0; i < f->g->n_nodes && *known; i++) {
        const ubp_onnx_meta *meta = &f->meta[i];
        list names, types = {.n = 0};
        bool typed = true;
        f->n_scoped[i] = -1;
        if (!meta->name_scopes)
            continue;
        parse_list(&names, meta->name_scopes, buffer, known);
        if (meta->class_hierarchy)
            parse_list(&types, meta->class_hierarchy, buffer + size, &typed);
        if (!typed)
            types.n = 0;
        if (*known)
            UBP_TRY(add_scopes(f, i, &names, &types));
    }
    return UB_OK;
}
