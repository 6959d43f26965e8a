/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .pt2 files of torch.export.save(): a zip archive of a program as JSON and of its weights as they
 * lie in memory. Pickles in it (example inputs, custom objects) are never read.
 */
#include "load/pt2.h"

#include <string.h>

enum { MOST_JSON = 1 << 29, SCHEMA_MAJOR = 8 };

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool ubp_pt2_is(const ubp_zip *z)
{
    for (int i = 0; i < ubp_zip_count(z); i++) {
        const char *name = ubp_zip_name(z, i);
        if (ends_with(name, "/archive_format") || strcmp(name, "archive_format") == 0 ||
            ends_with(name, "serialized_exported_program.json") ||
            (strstr(name, "/models/") && ends_with(name, ".json")))
            return true;
    }
    return false;
}

/* ---- The archive ------------------------------------------------------------------------------
 */

/* A small text member, without blanks at its end; "" when there is none. */
static ub_status read_text(const ubp_pt2 *p, const char *name, char *text, size_t size)
{
    ub_buffer *bytes = NULL;
    const char *path = ubp_arena_printf(&p->g->arena, "%s%s", p->root, name);
    *text = '\0';
    if (!path)
        return ubp_fail_memory(p->err, strlen(name));
    const int i = ubp_zip_find(p->zip, path);
    if (i < 0)
        return UB_OK;
    UBP_TRY(ubp_zip_member(&bytes, p->zip, i, 1 << 16, p->err));
    size_t n = bytes->size < size - 1 ? bytes->size : size - 1;
    if (n > 0)
        memcpy(text, bytes->data, n);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    text[n] = '\0';
    ubp_buffer_unref(bytes);
    return UB_OK;
}

/* The folder that all members are in, as the file was called when it was saved. */
static ub_status find_root(ubp_pt2 *p)
{
    const char *first = ubp_zip_count(p->zip) > 0 ? ubp_zip_name(p->zip, 0) : "";
    const char *slash = strchr(first, '/');
    const size_t n = slash ? (size_t)(slash - first) + 1 : 0;
    p->root = ubp_arena_strndup(&p->g->arena, first, n);
    return p->root ? UB_OK : ubp_fail_memory(p->err, n);
}

static ub_status check_layout(const ubp_pt2 *p)
{
    char text[64];
    for (int i = 0; i < ubp_zip_count(p->zip); i++)
        if (ends_with(ubp_zip_name(p->zip, i), "serialized_exported_program.json"))
            return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                            "a .pt2 file of an older torch, whose weights are a pickle"
                            " (serialized_state_dict.pt); load it with torch.export.load() and"
                            " save it with torch 2.9 or newer");
    UBP_TRY(read_text(p, "archive_format", text, sizeof(text)));
    if (strcmp(text, "pt2") != 0)
        return ubp_fail(p->err, UB_ERR_FILE,
                        "damaged .pt2 file: archive_format is '%s', expected 'pt2'", text);
    UBP_TRY(read_text(p, "archive_version", text, sizeof(text)));
    if (strcmp(text, "0") != 0)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "a .pt2 file of archive version '%s'; version 0 is known", text);
    UBP_TRY(read_text(p, "byteorder", text, sizeof(text)));
    if (*text && strcmp(text, "little") != 0)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "a .pt2 file with byte order '%s'; little is supported", text);
    return UB_OK;
}

/* The name of the program: "model", or that of the only one. */
static ub_status find_model(ubp_pt2 *p, int *member)
{
    const char *folder = ubp_arena_printf(&p->g->arena, "%smodels/", p->root);
    const size_t skip = folder ? strlen(folder) : 0;
    int n = 0;
    if (!folder)
        return ubp_fail_memory(p->err, 1);
    *member = -1;
    for (int i = 0; i < ubp_zip_count(p->zip); i++) {
        const char *name = ubp_zip_name(p->zip, i);
        if (strncmp(name, folder, skip) != 0 || !ends_with(name, ".json"))
            continue;
        n++;
        if (*member < 0 || strcmp(name + skip, "model.json") == 0)
            *member = i;
    }
    if (*member < 0)
        return ubp_fail(p->err, UB_ERR_FILE,
                        "damaged .pt2 file: there is no program (models/model.json) in it");
    const char *name = ubp_zip_name(p->zip, *member) + skip;
    if (n > 1 && strcmp(name, "model.json") != 0)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "a .pt2 file of %d programs, none of them called 'model'; save one each",
                        n);
    p->model = ubp_arena_strndup(&p->g->arena, name, strlen(name) - strlen(".json"));
    return p->model ? UB_OK : ubp_fail_memory(p->err, strlen(name));
}

/* ---- The program ------------------------------------------------------------------------------
 */

static ub_status check_schema(ubp_pt2 *p)
{
    const json_t *version = json_object_get(p->program, "schema_version");
    const json_t *major = json_object_get(version, "major");
    if (!json_is_integer(major) || json_integer_value(major) != SCHEMA_MAJOR)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "a program of schema version %lld; version %d is known: save it with"
                        " another release of torch",
                        json_is_integer(major) ? (long long)json_integer_value(major) : -1,
                        SCHEMA_MAJOR);
    p->module = json_object_get(p->program, "graph_module");
    const char *torch = json_string_value(json_object_get(p->program, "torch_version"));
    p->g->producer =
        ubp_arena_printf(&p->g->arena, "pytorch%s%s", torch ? " " : "", torch ? torch : "");
    return p->g->producer ? UB_OK : ubp_fail_memory(p->err, 1);
}

static ub_status read_program(ubp_pt2 *p)
{
    UBP_TRY(check_schema(p));
    UBP_TRY(ubp_pt2_op_table(p));
    UBP_TRY(ubp_pt2_run(p));
    UBP_TRY(ubp_graph_sort(p->g, p->err));
    return ubp_pt2_layers(p);
}

static ub_status load(ubp_pt2 *p)
{
    int member = -1;
    ub_buffer *bytes = NULL;
    json_error_t problem;
    UBP_TRY(find_root(p));
    UBP_TRY(check_layout(p));
    UBP_TRY(find_model(p, &member));
    UBP_TRY(ubp_zip_member(&bytes, p->zip, member, MOST_JSON, p->err));
    json_t *program = json_loadb(bytes->data, bytes->size, 0, &problem);
    ubp_buffer_unref(bytes);
    if (!program)
        return ubp_fail(p->err, UB_ERR_FILE, "damaged .pt2 file: models/%s.json: %s", p->model,
                        problem.text);
    p->program = program;
    const ub_status status = read_program(p);
    json_decref(program);
    return status;
}

ub_status ubp_load_pt2(ubp_loaded *out, const ubp_zip *z, ub_error *err)
{
    ubp_pt2 p = {.loaded = out, .zip = z, .err = err};
    UBP_TRY(ubp_graph_new(&out->graph, err));
    p.g = out->graph;
    p.emit = (ubp_emit){.g = p.g, .name = "", .err = err};
    const ub_status status = load(&p);
    for (size_t i = 0; i < p.n_scopes; i++)
        ubp_table_release(&p.scopes[i].names);
    ubp_table_release(&p.ops);
    ubp_free(p.tensors);
    ubp_free(p.entries);
    ubp_free(p.scopes);
    ubp_free(p.calls);
    ubp_free(p.uses);
    ubp_free(p.results);
    return status;
}
