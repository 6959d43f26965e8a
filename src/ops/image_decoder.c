/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ImageDecoder: the bytes of a picture file as (H, W, channels) of uint8. PNG, JPEG, BMP, PNM and
 * uncompressed TIFF; JPEG 2000 and WebP are refused by name. A damaged file is an error here, where
 * ONNX would give an empty tensor. ONNX opset 20.
 */
#include "file/file.h"
#include "ops/move.h"

#include <string.h>

typedef enum pixel_format { PIXELS_RGB, PIXELS_BGR, PIXELS_GREY } pixel_format;

static ub_status decoder_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    static const char *const names[] = {"RGB", "BGR", "Grayscale"};
    const char *name;
    (void)arena;
    UBP_TRY(ubp_attr_string(n, "pixel_format", "RGB", &name, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *(pixel_format *)attr = (pixel_format)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (ImageDecoder): pixel_format '%.40s', expected RGB, BGR or "
                    "Grayscale",
                    n->name, name);
}

/* The picture of input 0, to be freed; its message gets the node's name. */
static ub_status decode(const ubp_call *c, ubp_image *out)
{
    ub_tensor bytes;
    void *owned;
    ub_error why = {0};
    UBP_TRY(ubp_dense_input(c, 0, &bytes, &owned));
    const size_t size = ubp_tensor_bytes(&bytes);
    const char *p = bytes.data;
    ub_status status;
    if (size >= 12 && memcmp(p, "\0\0\0\x0cjP  ", 8) == 0)
        status = ubp_fail(&why, UB_ERR_UNSUPPORTED, "a JPEG 2000 picture");
    else
        status = ubp_is_bitmap(p, size) ? ubp_bitmap_decode(out, p, size, &why)
                                        : ubp_image_decode(out, p, size, &why);
    ubp_free(owned);
    if (status == UB_OK)
        return UB_OK;
    /* What else a picture may be is for files that are opened as such. */
    char *instead = strstr(why.message, "; PNG and JPEG");
    if (instead)
        *instead = '\0';
    return ubp_op_fail(c, status, "%.300s; PNG, JPEG, BMP, PNM and TIFF are decoded", why.message);
}

static ub_status decoder_infer(const ubp_call *c)
{
    const pixel_format *format = c->attr;
    ubp_image image = {0};
    if (c->in[0]->dtype != UB_U8)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, expected uint8",
                           ub_dtype_name(c->in[0]->dtype));
    UBP_TRY(ubp_want_rank(c, 0, 1, 1));
    if (!c->in[0]->data)
        return UBP_NEEDS_DATA;
    UBP_TRY(decode(c, &image));
    const int64_t dims[] = {image.height, image.width, *format == PIXELS_GREY ? 1 : 3};
    ubp_image_free(&image);
    return ubp_set_out(c, 0, UB_U8, 3, dims);
}

static void decoder_batch(ubp_batch *b)
{
    if (ubp_samples_plain(b, 0, 0, "a picture file made of several samples"))
        ubp_samples_grown(b, 0);
}

static ub_status decoder_ref(const ubp_call *c)
{
    const pixel_format *format = c->attr;
    const ub_tensor *out = c->out[0];
    ubp_image image = {0};
    UBP_TRY(decode(c, &image));
    ub_status status = ubp_image_set_channels(&image, *format == PIXELS_GREY ? 1 : 3, c->err);
    const bool same = out->dims[0] == image.height && out->dims[1] == image.width;
    if (status == UB_OK && !same)
        status = ubp_op_fail(c, UB_ERR_INTERNAL, "the picture has changed its size");
    if (status == UB_OK) {
        uint8_t *to = out->data; /* [H][W][channels] */
        memcpy(to, image.pixels, ubp_tensor_bytes(out));
        for (int64_t i = 0; *format == PIXELS_BGR && i < out->dims[0] * out->dims[1]; i++) {
            const uint8_t red = to[3 * i];
            to[3 * i] = to[3 * i + 2];
            to[3 * i + 2] = red;
        }
    }
    ubp_image_free(&image);
    return status;
}

const ubp_op ubp_op_ImageDecoder = {
    .name = "ImageDecoder",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(pixel_format),
    .attrs = decoder_attrs,
    .infer = decoder_infer,
    .batch = decoder_batch,
    .ref = decoder_ref,
};
