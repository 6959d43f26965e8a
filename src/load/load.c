/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a model by its content. What cannot be an ONNX file (a ModelProto begins with a small field
 * tag) is named by its signature, so that the message says what the user has in hand.
 */
#include "load/load.h"

#include <stdio.h>
#include <string.h>

typedef struct signature {
    size_t at, size;
    const char *bytes, *text, *name;
} signature;

static const signature signatures[] = {
    {0, 4, "PK\3\4", "'PK'", "a zip file, as .keras, .pt2 and .pt are"},
    {0, 8, "\x89HDF\r\n\x1a\n", "'HDF'", "an HDF5 file, as .h5 is"},
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

static ub_status check_signature(const uint8_t *bytes, size_t size, ub_error *err)
{
    if (size == 0)
        return ubp_fail(err, UB_ERR_FILE, "not an ONNX model: the file is empty");
    for (int i = 0; i < UBP_COUNT(signatures); i++) {
        const signature *s = &signatures[i];
        if (size >= s->at + s->size && memcmp(bytes + s->at, s->bytes, s->size) == 0)
            return ubp_fail(err, UB_ERR_FILE,
                            "not an ONNX model: starts with %s (%s); this version opens ONNX"
                            " only",
                            s->text, s->name);
    }
    return UB_OK;
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
    const uint8_t *bytes = out->file->data;
    UBP_TRY(check_signature(bytes, out->file->size, err));
    char *folder = folder_of(path);
    if (!folder)
        return ubp_fail_memory(err, strlen(path));
    const ub_status status = ubp_load_onnx(out, folder, bytes, out->file->size, err);
    ubp_free(folder);
    ubp_map_advise(out->file, UBP_MAP_FORGET);
    ubp_map_advise(out->file, UBP_MAP_NORMAL);
    return status;
}

ub_status ubp_load(ubp_loaded *out, const char *path, const void *bytes, size_t size, ub_error *err)
{
    *out = (ubp_loaded){0};
    ub_status status = UB_OK;
    if (path) {
        status = load_path(out, path, err);
    } else {
        status = check_signature(bytes, size, err);
        if (status == UB_OK)
            status = ubp_load_onnx(out, NULL, bytes, size, err);
    }
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
