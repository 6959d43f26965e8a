/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BMP (uncompressed, 1 to 32 bits), PNM (P1 to P6, up to 16 bits) and TIFF (uncompressed strips of
 * 8 bits) bytes as 8-bit grey or RGB pixels; alpha is dropped.
 */
#include "file/file.h"

#include <string.h>

/* ---- BMP ------------------------------------------------------------------------------------- */

static uint32_t little(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    for (int i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

typedef struct bmp {
    const uint8_t *colours, *rows; /* palette of B, G, R, _; pixels */
    uint32_t n_colours;
    int bits;
    int64_t width, height, pitch; /* pitch: bytes of a row */
    bool top_down;
} bmp;

static ub_status read_bmp(bmp *b, const uint8_t *bytes, size_t size, ub_error *err)
{
    enum { FILE_HEADER = 14, HEADER = 40 };
    if (size < FILE_HEADER + HEADER)
        return ubp_fail(err, UB_ERR_FILE, "damaged BMP: it ends in its header");
    const uint32_t start = little(bytes + 10, 4), header = little(bytes + 14, 4);
    const int32_t height = (int32_t)little(bytes + 22, 4);
    const uint32_t packed = little(bytes + 30, 4);
    b->width = (int32_t)little(bytes + 18, 4);
    b->height = height < 0 ? -(int64_t)height : height;
    b->top_down = height < 0;
    b->bits = (int)little(bytes + 28, 2);
    if (header < HEADER || packed != 0 ||
        !(b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 24 || b->bits == 32))
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "a BMP picture of %d bits with compression %u and a header of %u bytes; "
                        "uncompressed ones of 1, 4, 8, 24 and 32 bits are supported",
                        b->bits, packed, header);
    UBP_TRY(ubp_image_check_size(b->width, b->height, err));
    b->pitch = (b->width * b->bits + 31) / 32 * 4;
    b->n_colours = b->bits > 8 ? 0 : little(bytes + 46, 4);
    if (b->bits <= 8 && b->n_colours == 0)
        b->n_colours = 1u << b->bits;
    if (header > size - FILE_HEADER || b->n_colours > 256 ||
        size - FILE_HEADER - header < (size_t)b->n_colours * 4 || start > size ||
        (int64_t)(size - start) < b->pitch * b->height)
        return ubp_fail(err, UB_ERR_FILE, "damaged BMP: it ends before its last row");
    b->colours = bytes + FILE_HEADER + header;
    b->rows = bytes + start;
    return UB_OK;
}

static ub_status decode_bmp(ubp_image *out, const uint8_t *bytes, size_t size, ub_error *err)
{
    bmp b = {0};
    UBP_TRY(read_bmp(&b, bytes, size, err));
    UBP_TRY(ubp_image_new(out, (int)b.width, (int)b.height, 3, err));
    uint8_t *to = out->pixels;
    for (int64_t y = 0; y < b.height; y++) {
        const uint8_t *row = b.rows + (b.top_down ? y : b.height - 1 - y) * b.pitch;
        for (int64_t x = 0; x < b.width; x++, to += 3) {
            const uint8_t *pixel = row + x * b.bits / 8;
            if (b.bits <= 8) {
                const int shift = 8 - b.bits - (int)(x * b.bits % 8);
                const uint32_t index = (uint32_t)(*pixel >> shift) & ((1u << b.bits) - 1);
                if (index >= b.n_colours)
                    return ubp_fail(err, UB_ERR_FILE, "damaged BMP: colour %u of %u", index,
                                    b.n_colours);
                pixel = b.colours + (size_t)index * 4;
            }
            to[0] = pixel[2];
            to[1] = pixel[1];
            to[2] = pixel[0];
        }
    }
    return UB_OK;
}

/* ---- PNM ------------------------------------------------------------------------------------- */

typedef struct pnm {
    const uint8_t *p, *end;
} pnm;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number in the text, past white space and comments; false when there is none, or one over
 * `most`. `digits`: at most so many. */
static bool next_number(pnm *t, int64_t most, int digits, int64_t *out)
{
    int64_t v = 0;
    int n = 0;
    while (t->p < t->end && (is_space(*t->p) || *t->p == '#')) {
        const bool comment = *t->p == '#';
        while (comment && t->p < t->end && *t->p != '\n')
            t->p++;
        if (t->p < t->end)
            t->p++;
    }
    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9' && n < digits && v <= most; t->p++, n++)
        v = v * 10 + (*t->p - '0');
    *out = v;
    return n > 0 && v <= most;
}

/* Element i of the pixels; false when the file ends before it. */
static bool pnm_element(pnm *t, char kind, int64_t most, int64_t width, int64_t i, int64_t *v)
{
    if (kind <= '3')
        return next_number(t, most, kind == '1' ? 1 : 6, v);
    const size_t left = (size_t)(t->end - t->p);
    if (kind == '4') {
        const size_t at = (size_t)(i / width * ((width + 7) / 8) + i % width / 8);
        *v = at < left ? t->p[at] >> (7 - i % width % 8) & 1 : 0;
        return at < left;
    }
    const size_t bytes = most > 255 ? 2 : 1, at = (size_t)i * bytes;
    if (left < bytes || at > left - bytes)
        return false;
    *v = bytes == 2 ? t->p[at] << 8 | t->p[at + 1] : t->p[at];
    return *v <= most;
}

static ub_status decode_pnm(ubp_image *out, const uint8_t *bytes, size_t size, ub_error *err)
{
    const char kind = (char)bytes[1];
    const bool bits = kind == '1' || kind == '4', colour = kind == '3' || kind == '6';
    pnm t = {bytes + 2, bytes + size};
    int64_t width, height, most = 1;
    if (!next_number(&t, INT32_MAX, 10, &width) || !next_number(&t, INT32_MAX, 10, &height) ||
        (!bits && (!next_number(&t, 65535, 6, &most) || most < 1)))
        return ubp_fail(err, UB_ERR_FILE, "damaged PNM: no size in its header");
    UBP_TRY(ubp_image_check_size(width, height, err));
    if (kind >= '4' && t.p < t.end)
        t.p++; /* one white space ends the header */
    UBP_TRY(ubp_image_new(out, (int)width, (int)height, colour ? 3 : 1, err));
    for (int64_t i = 0; i < width * height * (colour ? 3 : 1); i++) {
        int64_t v;
        if (!pnm_element(&t, kind, most, width, i, &v))
            return ubp_fail(err, UB_ERR_FILE, "damaged PNM: element %lld is missing or too large",
                            (long long)i);
        v = bits ? 1 - v : v;
        out->pixels[i] = (uint8_t)((v * 255 + most / 2) / most);
    }
    return UB_OK;
}

/* ---- TIFF ------------------------------------------------------------------------------------ */

/* The first picture's tags that count here, with TIFF's defaults. */
typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big; /* byte order */
    uint32_t width, height, bits, packed, colours, parts, rows, planar;
    size_t strips;                  /* where the offsets of strips stand */
    uint32_t n_strips, strip_bytes; /* strip_bytes: of an offset, 2 or 4 */
} tiff;

/* `bytes` bytes at `at`, 0 beyond the end. */
static uint32_t tiff_number(const tiff *t, size_t at, uint32_t bytes)
{
    uint32_t v = 0;
    if (at > t->size || t->size - at < bytes)
        return 0;
    for (uint32_t i = 0; i < bytes; i++)
        v |= (uint32_t)t->bytes[at + i] << 8 * (t->big ? bytes - 1 - i : i);
    return v;
}

static void read_tag(tiff *t, size_t at)
{
    enum { SHORT = 3 };
    const uint32_t tag = tiff_number(t, at, 2), count = tiff_number(t, at + 4, 4);
    const uint32_t size = tiff_number(t, at + 2, 2) == SHORT ? 2 : 4;
    /* Values of up to four bytes stand in the tag itself. */
    const size_t where = count <= 4 / size ? at + 8 : tiff_number(t, at + 8, 4);
    const uint32_t v = tiff_number(t, where, size);
    uint32_t *const into = tag == 256   ? &t->width
                           : tag == 257 ? &t->height
                           : tag == 258 ? &t->bits
                           : tag == 259 ? &t->packed
                           : tag == 262 ? &t->colours
                           : tag == 277 ? &t->parts
                           : tag == 278 ? &t->rows
                           : tag == 284 ? &t->planar
                                        : NULL;
    if (into)
        *into = v;
    if (tag != 273)
        return;
    t->strips = where;
    t->n_strips = count;
    t->strip_bytes = size;
}

static ub_status read_tiff(tiff *t, ub_error *err)
{
    enum { MINISWHITE, MINISBLACK, RGB };
    const size_t at = tiff_number(t, 4, 4);
    const uint32_t tags = tiff_number(t, at, 2);
    if (at < 8 || tags == 0)
        return ubp_fail(err, UB_ERR_FILE, "damaged TIFF: no picture in it");
    for (uint32_t i = 0; i < tags && at + 2 + (size_t)i * 12 < t->size; i++)
        read_tag(t, at + 2 + (size_t)i * 12);
    const bool grey = t->colours == MINISBLACK && t->parts >= 1;
    if (t->packed != 1 || t->bits != 8 || t->planar != 1 || t->parts > 8 ||
        !(grey || (t->colours == RGB && t->parts >= 3)))
        return ubp_fail(
            err, UB_ERR_UNSUPPORTED,
            "a TIFF picture of %u bits with compression %u and colours %u; uncompressed "
            "grey and RGB ones of 8 bits are supported",
            t->bits, t->packed, t->colours);
    return ubp_image_check_size(t->width, t->height, err);
}

static ub_status decode_tiff(ubp_image *out, const uint8_t *bytes, size_t size, ub_error *err)
{
    tiff t = {.bytes = bytes,
              .size = size,
              .big = *bytes == 'M',
              .bits = 1,
              .packed = 1,
              .parts = 1,
              .rows = UINT32_MAX,
              .planar = 1};
    UBP_TRY(read_tiff(&t, err));
    const int channels = t.parts >= 3 ? 3 : 1;
    const size_t line = (size_t)t.width * t.parts;
    UBP_TRY(ubp_image_new(out, (int)t.width, (int)t.height, channels, err));
    for (uint32_t y = 0; y < t.height; y++) {
        const uint32_t strip = t.rows ? y / t.rows : 0;
        const size_t from =
            (size_t)tiff_number(&t, t.strips + (size_t)strip * t.strip_bytes, t.strip_bytes) +
            (t.rows ? y % t.rows : y) * line;
        if (strip >= t.n_strips || from > size || size - from < line)
            return ubp_fail(err, UB_ERR_FILE, "damaged TIFF: row %u is missing", y);
        uint8_t *to = out->pixels + (size_t)y * t.width * (size_t)channels;
        for (uint32_t x = 0; x < t.width; x++)
            memcpy(to + x * (uint32_t)channels, bytes + from + (size_t)x * t.parts,
                   (size_t)channels);
    }
    return UB_OK;
}

/* ---- Which ----------------------------------------------------------------------------------- */

bool ubp_is_bitmap(const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    if (size < 8)
        return false;
    return (p[0] == 'B' && p[1] == 'M') || memcmp(p, "II*\0", 4) == 0 ||
           memcmp(p, "MM\0*", 4) == 0 ||
           (p[0] == 'P' && p[1] >= '1' && p[1] <= '6' && is_space(p[2]));
}

ub_status ubp_bitmap_decode(ubp_image *out, const void *bytes, size_t size, ub_error *err)
{
    const char *p = bytes;
    *out = (ubp_image){0};
    if (!ubp_is_bitmap(bytes, size))
        return ubp_fail(err, UB_ERR_FILE, "neither BMP nor PNM nor TIFF");
    const ub_status status = *p == 'B'   ? decode_bmp(out, bytes, size, err)
                             : *p == 'P' ? decode_pnm(out, bytes, size, err)
                                         : decode_tiff(out, bytes, size, err);
    if (status != UB_OK)
        ubp_image_free(out);
    return status;
}
