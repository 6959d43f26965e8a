/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a model by its content, never by its file name. What cannot be an ONNX file (a ModelProto
 * begins with a small field tag) is named by its signature, so that the message says what the user
 * has in hand.
 */
#include "load/load.h"

#include <stdio.h>
#include <string.h>

typedef struct signature {
    size_t at, size;
    const char *bytes, *text, *name;
} signature;

static const char zip_signature[] = "PK\3\4", hdf5_signature[] = "\x89HDF\r\n\x1a\n";

static const signature signatures[] = {
    {0, 6, "\x93NUMPY", "'NUMPY'", "a NumPy array"},
    {0, 4, "GGUF", "'GGUF'", "a GGUF file"},
    {4, 4, "TFL3", "a TFLite header", "a TensorFlow Lite file"},
    {4, 4, "ORTM", "an ORT header", "ONNX Runtime's own .ort format"},
    {0, 2, "\x1f\x8b", "a gzip header", "a compressed file"},
    {0, 2, "\x80\x02", "a pickle header", "a Python pickle"},
    {0, 2, "\x80\x04", "a pickle header", "a Python pickle"},
    {0, 4, "\x89PNG", "'PNG'", "a picture"},
    {0, 3, "\xff\xd8\xff", "a JPEG header", "a picture"},
    {8, 2, "{\"", "a JSON header", "a safetensors file: weights without a network"},
    {0, 1, "{", "'{'", "JSON text"},
    {0, 1, "<", "'<'", "XML or HTML text"},
    {0, 8, "version ", "'version '", "perhaps a Git LFS pointer in place of the file"},
};

static bool starts_with(const uint8_t *bytes, size_t size, size_t at, const char *what, size_t n)
{
    return size >= at + n && memcmp(bytes + at, what, n) == 0;
}

static ub_status check_signature(const uint8_t *bytes, size_t size, ub_error *err)
{
    if (size == 0)
        return ubp_fail(err, UB_ERR_FILE, "not a model: the file is empty");
    for (int i = 0; i < UBP_COUNT(signatures); i++) {
        const signature *s = &signatures[i];
        if (starts_with(bytes, size, s->at, s->bytes, s->size))
            return ubp_fail(err, UB_ERR_FILE,
                            "not a model: starts with %s (%s); ONNX, .pt2, .keras and .h5"
                            " files are opened",
                            s->text, s->name);
    }
    return UB_OK;
}

/* ---- Zip files --------------------------------------------------------------------------------
 */

/* Whether a member's name is `name`, or ends with it below the archive's root folder. */
static bool is_member(const char *member, const char *name)
{
    const char *slash = strchr(member, '/');
    return strcmp(member, name) == 0 || (slash && strcmp(slash + 1, name) == 0);
}

static bool has_member(const ubp_zip *z, const char *name)
{
    for (int i = 0; i < ubp_zip_count(z); i++)
        if (is_member(ubp_zip_name(z, i), name))
            return true;
    return false;
}

static bool has_suffix(const ubp_zip *z, const char *suffix)
{
    const size_t n = strlen(suffix);
    for (int i = 0; i < ubp_zip_count(z); i++) {
        const char *name = ubp_zip_name(z, i);
        if (strlen(name) >= n && strcmp(name + strlen(name) - n, suffix) == 0)
            return true;
    }
    return false;
}

/* What no loader is for: says what it is and what to do. */
static ub_status refuse_zip(const ubp_zip *z, ub_error *err)
{
    if (has_member(z, "constants.pkl"))
        return ubp_fail(err, UB_ERR_FILE,
                        "a TorchScript file: Python code, which is never run; save the model with"
                        " torch.export.save() or as ONNX");
    if (has_member(z, "data.pkl"))
        return ubp_fail(err, UB_ERR_FILE,
                        "a pickle of torch.save(), which is never loaded; save the model with"
                        " torch.export.save() or as ONNX");
    if (has_suffix(z, ".npy"))
        return ubp_fail(err, UB_ERR_FILE, "not a model: a NumPy .npz archive");
    return ubp_fail(err, UB_ERR_FILE,
                    "not a model: a zip file of %d members, none of which a .pt2 or .keras file"
                    " has",
                    ubp_zip_count(z));
}

static ub_status load_archive(ubp_loaded *out, const ubp_zip *z, ub_error *err)
{
    if (ubp_keras_is(z))
        return ubp_load_keras(out, z, err);
    if (ubp_pt2_is(z))
        return ubp_load_pt2(out, z, err);
    return refuse_zip(z, err);
}

static ub_status load_zip(ubp_loaded *out, ub_error *err)
{
    ubp_zip *z = NULL;
    UBP_TRY(ubp_zip_open(&z, out->file, err));
    const ub_status status = load_archive(out, z, err);
    ubp_zip_close(z);
    return status;
}

/* ---- Any file ---------------------------------------------------------------------------------
 */

/* folder NULL: bytes only. out->file holds the bytes. */
static ub_status load_content(ubp_loaded *out, const char *folder, ub_error *err)
{
    const uint8_t *bytes = out->file->data;
    const size_t size = out->file->size;
    if (starts_with(bytes, size, 0, zip_signature, sizeof(zip_signature) - 1))
        return load_zip(out, err);
    if (starts_with(bytes, size, 0, hdf5_signature, sizeof(hdf5_signature) - 1))
        return ubp_load_keras_h5(out, bytes, size, err);
    UBP_TRY(check_signature(bytes, size, err));
    return ubp_load_onnx(out, folder, bytes, size, err);
}

/* The folder of a path, to free with ubp_free(). */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t n = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *folder = ubp_malloc(n + 1);
    if (!folder)
        return NULL;
    memcpy(folder, slash ? path : ".", n);
    folder[n] = 0;
    return folder;
}

static ub_status load_path(ubp_loaded *out, const char *path, ub_error *err)
{
    UBP_TRY(ubp_map_file(&out->file, path, err));
    ubp_map_advise(out->file, UBP_MAP_SPARSE);
    char *folder = folder_of(path);
    if (!folder)
        return ubp_fail_memory(err, strlen(path));
    const ub_status status = load_content(out, folder, err);
    ubp_free(folder);
    ubp_map_advise(out->file, UBP_MAP_FORGET);
    ubp_map_advise(out->file, UBP_MAP_NORMAL);
    return status;
}

/* The caller keeps the bytes; the buffer only names them. */
static ub_status load_bytes(ubp_loaded *out, const void *bytes, size_t size, ub_error *err)
{
    void *data = (void *)(uintptr_t)bytes;
    UBP_TRY(ubp_buffer_wrap(&out->file, data, size, NULL, NULL, err));
    return load_content(out, NULL, err);
}

ub_status ubp_load(ubp_loaded *out, const char *path, const void *bytes, size_t size, ub_error *err)
{
    *out = (ubp_loaded){0};
    const ub_status status = path ? load_path(out, path, err) : load_bytes(out, bytes, size, err);
    if (status != UB_OK)
        ubp_loaded_release(out);
    return status;
}

void ubp_loaded_release(ubp_loaded *l)
{
    ubp_graph_free(l->graph);
    ubp_buffer_unref(l->file);
    for (size_t i = 0; i < l->n_external; i++)
        ubp_buffer_unref(l->external[i]);
    ubp_free(l->external);
    *l = (ubp_loaded){0};
}
