/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resizing with an antialiasing triangle filter, bit for bit as Pillow's resize(size, BILINEAR)
 * (libImaging/Resample.c), which torchvision applies to pictures: first along x, then along y, each
 * in integers with 22 bits of fraction and rounded to bytes. (Pillow 13 goes along y first for some
 * sizes; the bytes then differ by 1 at most.) At the border the filter is cut off and its weights
 * scaled to sum to 1.
 */
#include "file/file.h"

#include <math.h>

enum { FRACTION_BITS = 32 - 8 - 2 };

/* For each output position: which inputs, and their weights. */
typedef struct weights {
    int n, most;      /* outputs; most weights of one */
    int *first, *len; /* [n] */
    int32_t *w;       /* [n][most] */
} weights;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* The weights of output i: w[k] is that of input first + k. */
static void fill(weights *t, int i, int in, double scale, double width)
{
    int32_t *w = t->w + (size_t)i * (size_t)t->most;
    const double center = (i + 0.5) * scale;
    int first = (int)(center - width + 0.5), end = (int)(center + width + 0.5);
    if (first < 0)
        first = 0;
    if (end > in)
        end = in;
    double sum = 0;
    for (int k = first; k < end; k++)
        sum += triangle((k - center + 0.5) * (1 / width));
    for (int k = first; k < end; k++) {
        const double v = triangle((k - center + 0.5) * (1 / width)) / (sum != 0 ? sum : 1);
        w[k - first] = (int32_t)(v * (1 << FRACTION_BITS) + 0.5);
    }
    t->first[i] = first;
    t->len[i] = end - first;
}

static void weights_free(weights *t)
{
    ubp_free(t->first);
    ubp_free(t->len);
    ubp_free(t->w);
}

static ub_status weights_make(weights *t, int in, int out, ub_error *err)
{
    /* The triangle spans two inputs, or two outputs where those are wider. */
    const double scale = (double)in / out, width = scale > 1 ? scale : 1;
    t->n = out;
    t->most = (int)ceil(width) * 2 + 1;
    t->first = ubp_calloc((size_t)out, sizeof(int));
    t->len = ubp_calloc((size_t)out, sizeof(int));
    t->w = ubp_calloc((size_t)out * (size_t)t->most, sizeof(int32_t));
    if (!t->first || !t->len || !t->w) {
        weights_free(t);
        return ubp_fail_memory(err, (size_t)out * (size_t)t->most * sizeof(int32_t));
    }
    for (int i = 0; i < out; i++)
        fill(t, i, in, scale, width);
    return UB_OK;
}

/* dst = sum over k of w[k] * src[k * step], rounded. The weights are >= 0 and sum to 1 but for
 * their own rounding, so the result needs a limit above only. */
static uint8_t weigh(const uint8_t *src, size_t step, const int32_t *w, int n)
{
    int32_t sum = 1 << (FRACTION_BITS - 1);
    for (int k = 0; k < n; k++)
        sum += w[k] * src[(size_t)k * step];
    sum >>= FRACTION_BITS;
    return sum > 255 ? 255 : (uint8_t)sum;
}

static void resize_rows(ubp_image *to, const ubp_image *from, const weights *t)
{
    const size_t c = (size_t)from->channels;
    for (int y = 0; y < to->height; y++) {
        const uint8_t *src = from->pixels + (size_t)y * (size_t)from->width * c; /* [W][C] */
        uint8_t *dst = to->pixels + (size_t)y * (size_t)to->width * c;           /* [W'][C] */
        for (int x = 0; x < to->width; x++)
            for (size_t k = 0; k < c; k++)
                *dst++ = weigh(src + (size_t)t->first[x] * c + k, c,
                               t->w + (size_t)x * (size_t)t->most, t->len[x]);
    }
}

static void resize_columns(ubp_image *to, const ubp_image *from, const weights *t)
{
    const size_t row = (size_t)from->width * (size_t)from->channels;
    for (int y = 0; y < to->height; y++) {
        const uint8_t *src = from->pixels + (size_t)t->first[y] * row; /* [len][W*C] */
        uint8_t *dst = to->pixels + (size_t)y * row;                   /* [W*C] */
        for (size_t i = 0; i < row; i++)
            dst[i] = weigh(src + i, row, t->w + (size_t)y * (size_t)t->most, t->len[y]);
    }
}

/* One of width and height is the image's own. */
static ub_status resize_axis(ubp_image *image, int width, int height, ub_error *err)
{
    weights t;
    ubp_image to;
    const bool rows = width != image->width;
    UBP_TRY(weights_make(&t, rows ? image->width : image->height, rows ? width : height, err));
    /* Between the two passes a picture may be larger than before and after both. */
    ub_status status = ubp_image_check_size(width, height, err);
    if (status == UB_OK)
        status = ubp_image_new(&to, width, height, image->channels, err);
    if (status == UB_OK) {
        if (rows)
            resize_rows(&to, image, &t);
        else
            resize_columns(&to, image, &t);
        ubp_image_free(image);
        *image = to;
    }
    weights_free(&t);
    return status;
}

ub_status ubp_image_resize(ubp_image *image, int width, int height, ub_error *err)
{
    if (width != image->width)
        UBP_TRY(resize_axis(image, width, image->height, err));
    if (height != image->height)
        UBP_TRY(resize_axis(image, width, height, err));
    return UB_OK;
}
