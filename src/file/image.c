/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures as float32 batches: one file, or all of a folder. Decoded bytes are converted to the
 * asked channels, resized, and normalised as ub_image_options says.
 */
#include "file/file.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- One picture ------------------------------------------------------------------------------
 */

/* The caller's options, or the defaults, checked. */
static ub_status check_options(ub_image_options *o, const ub_image_options *given, ub_error *err)
{
    const ub_image_options defaults = UB_IMAGE_OPTIONS_INIT;
    *o = given ? *given : defaults;
    if (o->size_of != sizeof(*o))
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "picture options: begin with UB_IMAGE_OPTIONS_INIT (size_of is %zu, not "
                        "%zu)",
                        o->size_of, sizeof(*o));
    if (o->channels != 0 && o->channels != 1 && o->channels != 3)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "picture options: %d channels; 1 (grey), 3 (RGB) or 0 (as the file has)",
                        o->channels);
    if (o->width < 0 || o->height < 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "picture options: size %d x %d", o->width, o->height);
    if (!isfinite(o->scale))
        return ubp_fail(err, UB_ERR_ARGUMENT, "picture options: scale %g", o->scale);
    for (int c = 0; c < (o->channels ? o->channels : 3); c++)
        if (!isfinite(o->mean[c]) || !isfinite(o->std[c]) || o->std[c] == 0)
            return ubp_fail(err, UB_ERR_ARGUMENT,
                            "picture options: mean %g and std %g of channel %d", o->mean[c],
                            o->std[c], c);
    return UB_OK;
}

static ub_status convert(ubp_image *image, const ub_image_options *o, ub_error *err)
{
    const int width = o->width ? o->width : image->width;
    const int height = o->height ? o->height : image->height;
    if (o->channels)
        UBP_TRY(ubp_image_set_channels(image, o->channels, err));
    UBP_TRY(ubp_image_check_size(width, height, err));
    return ubp_image_resize(image, width, height, err);
}

static ub_status load_pixels(ubp_image *image, const char *path, const ub_image_options *o,
                             ub_error *err)
{
    ub_buffer *file = NULL;
    *image = (ubp_image){0};
    UBP_TRY(ubp_map_file(&file, path, err));
    ub_status status = ubp_image_decode(image, file->data, file->size, err);
    ubp_buffer_unref(file);
    if (status == UB_OK)
        status = convert(image, o, err);
    if (status != UB_OK) {
        ubp_image_free(image);
        ubp_error_prefix(err, "cannot read '%s'", path);
    }
    return status;
}

/* A batch of n pictures of this size, not yet filled. */
static ub_status new_batch(ub_tensor **out, int64_t n, const ubp_image *image,
                           const ub_image_options *o, ub_error *err)
{
    const int64_t c = image->channels, h = image->height, w = image->width;
    const int64_t first[4] = {n, c, h, w}, last[4] = {n, h, w, c};
    return ub_tensor_new(out, UB_F32, 4, o->channels_last ? last : first, err);
}

/* dst[c][y][x] or dst[y][x][c] = (pixels[y][x][c] * scale - mean[c]) / std[c] */
static void normalize(float *dst, const ubp_image *image, const ub_image_options *o)
{
    const size_t n = (size_t)image->width * (size_t)image->height;
    const size_t channels = (size_t)image->channels;
    for (size_t c = 0; c < channels; c++) {
        const uint8_t *src = image->pixels + c; /* [H][W][C] */
        float *to = dst + (o->channels_last ? c : c * n);
        const size_t step = o->channels_last ? channels : 1;
        float value[256];
        for (int v = 0; v < 256; v++)
            value[v] = (float)((v * o->scale - o->mean[c]) / o->std[c]);
        for (size_t i = 0; i < n; i++)
            to[i * step] = value[src[i * channels]];
    }
}

ub_status ub_image_load(ub_tensor **out, const char *path, const ub_image_options *options,
                        ub_error *err)
{
    ub_image_options o;
    ubp_image image;
    *out = NULL;
    UBP_TRY(check_options(&o, options, err));
    UBP_TRY(load_pixels(&image, path, &o, err));
    const ub_status status = new_batch(out, 1, &image, &o, err);
    if (status == UB_OK)
        normalize((*out)->data, &image, &o);
    ubp_image_free(&image);
    return status;
}

/* ---- A folder ---------------------------------------------------------------------------------
 */

typedef struct paths {
    char **items; /* [n] folder/name, owned */
    size_t n, cap;
} paths;

/* Names that begin with a dot are hidden files, and macOS' companions of pictures. */
static bool is_picture(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot &&
           (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 ||
            strcasecmp(dot, ".jpeg") == 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void paths_free(paths *p)
{
    for (size_t i = 0; i < p->n; i++)
        ubp_free(p->items[i]);
    ubp_free(p->items);
}

static ub_status add_path(paths *p, const char *folder, const char *name, ub_error *err)
{
    ubp_text text = {0};
    UBP_TRY(ubp_grow((void **)&p->items, &p->cap, p->n, sizeof(*p->items), err));
    ubp_text_addf(&text, "%s/%s", folder, name);
    if (text.failed) {
        ubp_text_free(&text);
        return ubp_fail_memory(err, strlen(folder) + strlen(name) + 2);
    }
    p->items[p->n++] = text.s;
    return UB_OK;
}

/* The pictures of a folder in the byte order of their names. */
static ub_status list_folder(paths *p, const char *folder, ub_error *err)
{
    ub_status status = UB_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return ubp_fail_errno(err, errno, "cannot open '%s'", folder);
    while (status == UB_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno != 0)
            status = ubp_fail_errno(err, errno, "cannot read '%s'", folder);
        if (!entry)
            break;
        if (is_picture(entry->d_name))
            status = add_path(p, folder, entry->d_name, err);
    }
    closedir(dir);
    if (status == UB_OK && p->n == 0)
        status =
            ubp_fail(err, UB_ERR_FILE, "cannot read '%s': no .png, .jpg or .jpeg in it", folder);
    if (status == UB_OK)
        qsort(p->items, p->n, sizeof(*p->items), compare);
    return status;
}

static ub_status check_same(const ubp_image *image, const char *path, const ubp_image *first,
                            const char *first_path, ub_error *err)
{
    if (image->width == first->width && image->height == first->height &&
        image->channels == first->channels)
        return UB_OK;
    return ubp_fail(
        err, UB_ERR_SHAPE,
        "'%s' has %d x %d pixels and %d channels, '%s' %d x %d and %d: ask for one size "
        "and number of channels",
        path, image->width, image->height, image->channels, first_path, first->width, first->height,
        first->channels);
}

static ub_status load_all(ub_tensor **out, const paths *p, const ub_image_options *o, ub_error *err)
{
    ubp_image first = {0}; /* its size only */
    size_t each = 0;       /* elements of a picture */
    for (size_t i = 0; i < p->n; i++) {
        ubp_image image;
        UBP_TRY(load_pixels(&image, p->items[i], o, err));
        ub_status status = UB_OK;
        if (i == 0) {
            first = image;
            each = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
            status = new_batch(out, (int64_t)p->n, &image, o, err);
        } else {
            status = check_same(&image, p->items[i], &first, p->items[0], err);
        }
        if (status == UB_OK)
            normalize((float *)(*out)->data + i * each, &image, o);
        ubp_image_free(&image);
        UBP_TRY(status);
    }
    return UB_OK;
}

ub_status ub_image_load_folder(ub_tensor **out, const char *path, const ub_image_options *options,
                               ub_error *err)
{
    ub_image_options o;
    paths p = {0};
    *out = NULL;
    UBP_TRY(check_options(&o, options, err));
    ub_status status = list_folder(&p, path, err);
    if (status == UB_OK)
        status = load_all(out, &p, &o, err);
    if (status != UB_OK) {
        ub_tensor_free(*out);
        *out = NULL;
    }
    paths_free(&p);
    return status;
}
