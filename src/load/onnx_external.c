/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights in other files. The location is a path relative to the model's folder and must stay in
 * it: absolute paths, '..' and links that lead out are refused, for a model file is not trusted to
 * name files of the machine. Each file is mapped once.
 */
#include "load/onnx.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = ubp_malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

/* Whether a component of the path is "..". */
static bool climbs(const char *path)
{
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == 0))
            return true;
    }
    return false;
}

static ub_status check_location(const ubp_onnx *o, const ubp_onnx_weight *w, ub_error *err)
{
    const char *location = w->location;
    if (!location || !*location)
        return ubp_fail(err, UB_ERR_FILE, "tensor '%s' lies in another file, which is not named",
                        w->name);
    if (location[0] == '/' || location[0] == '\\' || (location[0] && location[1] == ':'))
        return ubp_fail(err, UB_ERR_FILE,
                        "external data '%s' of tensor '%s' is an absolute path; only files in the"
                        " model's folder are opened",
                        location, w->name);
    if (climbs(location) || strchr(location, '\\'))
        return ubp_fail(err, UB_ERR_FILE,
                        "external data '%s' of tensor '%s' leads out of the model's folder",
                        location, w->name);
    if (!o->folder)
        return ubp_fail(err, UB_ERR_FILE,
                        "tensor '%s' lies in the file '%s', which a model opened from memory cannot"
                        " reach",
                        w->name, location);
    return UB_OK;
}

/* The model's folder without links, found once. */
static ub_status resolve_folder(ubp_onnx *o, ub_error *err)
{
    char path[PATH_MAX];
    if (o->real_folder)
        return UB_OK;
    if (!realpath(o->folder, path))
        return ubp_fail(err, UB_ERR_FILE, "cannot open the model's folder '%s': %s", o->folder,
                        strerror(errno));
    o->real_folder = copy_text(path);
    return o->real_folder ? UB_OK : ubp_fail_memory(err, strlen(path));
}

/* The path of the data without links, [PATH_MAX]; it must begin with the folder's. */
static ub_status resolve(const ubp_onnx *o, const ubp_onnx_weight *w, char *out, ub_error *err)
{
    ubp_text path = {0};
    ubp_text_add(&path, o->real_folder);
    ubp_text_add(&path, "/");
    ubp_text_add(&path, w->location);
    if (path.failed) {
        ubp_text_free(&path);
        return ubp_fail_memory(err, strlen(w->location));
    }
    const bool found = realpath(path.s, out) != NULL;
    const int why = errno;
    ubp_text_free(&path);
    if (!found)
        return ubp_fail(err, UB_ERR_FILE, "external data '%s' of tensor '%s' cannot be opened: %s",
                        w->location, w->name, strerror(why));
    const size_t n = strlen(o->real_folder);
    const bool at_root = strcmp(o->real_folder, "/") == 0;
    if (strncmp(out, o->real_folder, n) == 0 && (at_root || out[n] == '/'))
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "external data '%s' of tensor '%s' is a link that leads out of the model's"
                    " folder",
                    w->location, w->name);
}

/* The mapping of a resolved path. */
static ub_status map_once(ubp_onnx *o, const char *path, const ub_buffer **out, ub_error *err)
{
    ubp_loaded *l = o->loaded;
    for (size_t i = 0; i < l->n_external; i++) {
        if (strcmp(o->external[i], path) == 0) {
            *out = l->external[i];
            return UB_OK;
        }
    }
    const size_t n = l->n_external;
    UBP_TRY(ubp_grow((void **)&o->external, &o->cap_external, n, sizeof(char *), err));
    UBP_TRY(ubp_grow((void **)&l->external, &l->cap_external, n, sizeof(ub_buffer *), err));
    char *copy = copy_text(path);
    if (!copy)
        return ubp_fail_memory(err, strlen(path));
    const ub_status status = ubp_map_file(&l->external[n], path, err);
    if (status != UB_OK) {
        ubp_free(copy);
        return status;
    }
    o->external[n] = copy;
    *out = l->external[l->n_external++];
    return UB_OK;
}

/* The file that w lies in. Weights mostly lie in the same file as the one before. */
static ub_status find_file(ubp_onnx *o, const ubp_onnx_weight *w, const ub_buffer **out,
                           ub_error *err)
{
    char path[PATH_MAX];
    *out = o->last_external;
    if (o->last_location && w->location && strcmp(o->last_location, w->location) == 0)
        return UB_OK;
    UBP_TRY(check_location(o, w, err));
    UBP_TRY(resolve_folder(o, err));
    UBP_TRY(resolve(o, w, path, err));
    UBP_TRY(map_once(o, path, out, err));
    o->last_location = w->location;
    o->last_external = *out;
    return UB_OK;
}

ub_status ubp_onnx_external(ubp_onnx *o, const ubp_onnx_weight *w, size_t size, const uint8_t **out)
{
    ub_error *err = o->err;
    const ub_buffer *b = NULL;
    UBP_TRY(find_file(o, w, &b, err));
    if (w->has_length && w->length != size)
        return ubp_fail(err, UB_ERR_FILE,
                        "external data of tensor '%s' has %llu bytes, its shape needs %zu", w->name,
                        (unsigned long long)w->length, size);
    if (w->offset > b->size || size > b->size - w->offset)
        return ubp_fail(err, UB_ERR_FILE,
                        "external data of tensor '%s' ends at byte %llu, the file '%s' has %zu",
                        w->name, (unsigned long long)w->offset + size, w->location, b->size);
    *out = (const uint8_t *)b->data + w->offset;
    return UB_OK;
}
