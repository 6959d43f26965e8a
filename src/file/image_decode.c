/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG (libspng) and JPEG (libjpeg-turbo) bytes as 8-bit grey or RGB pixels, the same bytes as
 * Pillow's Image.open(path).convert("L") or .convert("RGB"): alpha is dropped, not blended;
 * palettes are looked up; of 16 bits the upper 8 are kept; no gamma, no colour profile and no EXIF
 * rotation is applied.
 */
#include "file/file.h"

#include <spng.h>
#include <string.h>
#include <turbojpeg.h>

/* The largest picture: JPEG's own limit on a side, and pixels that take 768 MiB. */
enum { SIDE_MOST = 65500, PIXELS_MOST = 1 << 28 };
/* What a PNG may have in chunks that are no pixels. */
enum { CHUNK_MOST = 1 << 24, CHUNKS_MOST = 1 << 26 };

ub_status ubp_image_check_size(int64_t width, int64_t height, ub_error *err)
{
    if (width >= 1 && height >= 1 && width <= SIDE_MOST && height <= SIDE_MOST &&
        width * height <= PIXELS_MOST)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "a picture of %lld x %lld; a side may have %d pixels, the whole %d",
                    (long long)width, (long long)height, SIDE_MOST, PIXELS_MOST);
}

ub_status ubp_image_new(ubp_image *out, int width, int height, int channels, ub_error *err)
{
    *out = (ubp_image){width, height, channels, NULL};
    const size_t size = (size_t)width * (size_t)height * (size_t)channels;
    out->pixels = ubp_malloc(size);
    return out->pixels ? UB_OK : ubp_fail_memory(err, size);
}

void ubp_image_free(ubp_image *image)
{
    ubp_free(image->pixels);
    *image = (ubp_image){0};
}

ub_status ubp_image_set_channels(ubp_image *image, int channels, ub_error *err)
{
    if (image->channels == channels)
        return UB_OK;
    ubp_image to;
    UBP_TRY(ubp_image_new(&to, image->width, image->height, channels, err));
    const size_t n = (size_t)image->width * (size_t)image->height;
    const uint8_t *src = image->pixels; /* [H][W][3] or [H][W] */
    uint8_t *dst = to.pixels;           /* [H][W] or [H][W][3] */
    for (size_t i = 0; i < n; i++) {
        if (channels == 3)
            memset(dst + 3 * i, src[i], 3);
        else /* ITU-R 601 luma, 16 bits of fraction, as Pillow's L24 in libImaging/Convert.c */
            dst[i] = (uint8_t)((src[3 * i] * 19595u + src[3 * i + 1] * 38470u +
                                src[3 * i + 2] * 7471u + 0x8000u) >>
                               16);
    }
    ubp_image_free(image);
    *image = to;
    return UB_OK;
}

/* ---- PNG ----------------------------------------------------------------------------------------
 */

static ub_status fail_png(ub_error *err, int code)
{
    /* zlib's inflateInit fails for want of memory only. */
    if (code == SPNG_EMEM || code == SPNG_EZLIB_INIT)
        return ubp_fail(err, UB_ERR_MEMORY, "out of memory in a PNG picture");
    return ubp_fail(err, UB_ERR_FILE, "damaged PNG: %s", spng_strerror(code));
}

static ub_status decode_png_pixels(ubp_image *out, spng_ctx *png, ub_error *err)
{
    struct spng_ihdr ihdr;
    size_t size = 0;
    int code = spng_get_ihdr(png, &ihdr);
    if (code != 0)
        return fail_png(err, code);
    UBP_TRY(ubp_image_check_size(ihdr.width, ihdr.height, err));
    code = spng_decoded_image_size(png, SPNG_FMT_RGB8, &size);
    if (code != 0)
        return fail_png(err, code);
    UBP_TRY(ubp_image_new(out, (int)ihdr.width, (int)ihdr.height, 3, err));
    if (size != (size_t)ihdr.width * ihdr.height * 3)
        return ubp_fail(err, UB_ERR_INTERNAL, "libspng wants %zu bytes for a PNG of %u x %u", size,
                        ihdr.width, ihdr.height);
    /* RGB is the one form libspng makes of every kind of PNG. */
    code = spng_decode_image(png, out->pixels, size, SPNG_FMT_RGB8, 0);
    if (code != 0)
        return fail_png(err, code);
    if (ihdr.color_type != SPNG_COLOR_TYPE_GRAYSCALE &&
        ihdr.color_type != SPNG_COLOR_TYPE_GRAYSCALE_ALPHA)
        return UB_OK;
    for (size_t i = 0; i < size / 3; i++)
        out->pixels[i] = out->pixels[3 * i];
    out->channels = 1;
    return UB_OK;
}

static ub_status decode_png(ubp_image *out, const void *bytes, size_t size, ub_error *err)
{
    struct spng_alloc memory = {ubp_malloc, ubp_realloc, ubp_calloc, ubp_free};
    spng_ctx *png = spng_ctx_new2(&memory, 0);
    if (!png)
        return fail_png(err, SPNG_EMEM);
    int code = spng_set_image_limits(png, SIDE_MOST, SIDE_MOST);
    if (code == 0)
        code = spng_set_chunk_limits(png, CHUNK_MOST, CHUNKS_MOST);
    if (code == 0)
        code = spng_set_png_buffer(png, bytes, size);
    const ub_status status = code == 0 ? decode_png_pixels(out, png, err) : fail_png(err, code);
    spng_ctx_free(png);
    return status;
}

/* ---- JPEG ---------------------------------------------------------------------------------------
 */

static ub_status decode_jpeg_pixels(ubp_image *out, tjhandle jpeg, const void *bytes, size_t size,
                                    ub_error *err)
{
    int width = 0, height = 0, sampling = 0, colors = 0;
    if (tjDecompressHeader3(jpeg, bytes, size, &width, &height, &sampling, &colors) != 0)
        return ubp_fail(err, UB_ERR_FILE, "damaged JPEG: %s", tjGetErrorStr2(jpeg));
    if (width == 0 || height == 0) /* tables only, which is no failure for turbojpeg */
        return ubp_fail(err, UB_ERR_FILE, "damaged JPEG: no picture in it");
    if (colors == TJCS_CMYK || colors == TJCS_YCCK)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "a JPEG picture in CMYK, for printing; grey and RGB are supported");
    UBP_TRY(ubp_image_check_size(width, height, err));
    const int channels = colors == TJCS_GRAY ? 1 : 3;
    UBP_TRY(ubp_image_new(out, width, height, channels, err));
    /* A warning is a failure too: libjpeg fills what is missing of a truncated file with grey. */
    if (tjDecompress2(jpeg, bytes, size, out->pixels, width, 0, height,
                      channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_LIMITSCANS) != 0)
        return ubp_fail(err, UB_ERR_FILE, "damaged JPEG: %s", tjGetErrorStr2(jpeg));
    return UB_OK;
}

static ub_status decode_jpeg(ubp_image *out, const void *bytes, size_t size, ub_error *err)
{
    tjhandle jpeg = tjInitDecompress();
    if (!jpeg)
        return ubp_fail(err, UB_ERR_MEMORY, "out of memory in a JPEG picture");
    const ub_status status = decode_jpeg_pixels(out, jpeg, bytes, size, err);
    tjDestroy(jpeg);
    return status;
}

/* ---- Which -------------------------------------------------------------------------------------
 */

static bool begins_with(const void *bytes, size_t size, const char *mark, size_t mark_size)
{
    return size >= mark_size && memcmp(bytes, mark, mark_size) == 0;
}

static ub_status not_picture(const uint8_t *bytes, size_t size, ub_error *err)
{
    static const struct {
        const char *mark;
        size_t size;
        const char *what;
    } known[] = {{"GIF8", 4, "a GIF picture"},         {"BM", 2, "a BMP picture"},
                 {"II*\0", 4, "a TIFF picture"},       {"MM\0*", 4, "a TIFF picture"},
                 {"RIFF", 4, "a WebP picture"},        {"\0\0\1\0", 4, "a Windows icon"},
                 {"\xFF\x0A", 2, "a JPEG XL picture"}, {"%PDF", 4, "a PDF document"},
                 {"\x93NUMPY", 6, "a .npy array"},     {"PK\3\4", 4, "a zip archive"},
                 {"<", 1, "an SVG or HTML text"}};
    if (size == 0)
        return ubp_fail(err, UB_ERR_FILE, "no picture: the file is empty");
    for (int i = 0; i < UBP_COUNT(known); i++)
        if (begins_with(bytes, size, known[i].mark, known[i].size))
            return ubp_fail(err, UB_ERR_FILE, "%s; PNG and JPEG are supported", known[i].what);
    if (size >= 12 && memcmp(bytes + 4, "ftyp", 4) == 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "a HEIC or AVIF picture or a film; PNG and JPEG are supported");
    return ubp_fail_at(err, UB_ERR_FILE, 0,
                       "neither PNG nor JPEG: the file begins with byte 0x%02x", (unsigned)*bytes);
}

ub_status ubp_image_decode(ubp_image *out, const void *bytes, size_t size, ub_error *err)
{
    ub_status status = UB_OK;
    *out = (ubp_image){0};
    if (begins_with(bytes, size, "\x89PNG", 4))
        status = decode_png(out, bytes, size, err);
    else if (begins_with(bytes, size, "\xFF\xD8\xFF", 3))
        status = decode_jpeg(out, bytes, size, err);
    else
        status = not_picture(bytes, size, err);
    if (status != UB_OK)
        ubp_image_free(out);
    return status;
}
