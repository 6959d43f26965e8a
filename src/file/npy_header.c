/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a .npy file: NEP 1, and numpy/lib/format.py for versions 2 and 3. Bytes go in,
 * dtype and shape come out, and back. The header is a Python dict literal; only what NumPy itself
 * writes is read, nothing is evaluated. A written header is byte for byte NumPy's.
 */
#include "file/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
enum { MAGIC_SIZE = 6, ALIGN = 64 };

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_ORDER '<'
#else
#define HOST_ORDER '>'
#endif

/* ---- The fixed part ---------------------------------------------------------------------------
 */

static ub_status not_npy(const uint8_t *bytes, size_t size, ub_error *err)
{
    if (size == 0)
        return ubp_fail(err, UB_ERR_FILE, "not a .npy file: it is empty");
    if (size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
        return ubp_fail(err, UB_ERR_FILE, "not a .npy file but a zip archive, such as .npz");
    if (bytes[0] == 0x80)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "not a .npy file but perhaps a Python pickle, which is never run");
    return ubp_fail_at(err, UB_ERR_FILE, 0, "not a .npy file: it begins with byte 0x%02x",
                       (unsigned)bytes[0]);
}

ub_status ubp_npy_header_size(size_t *size, const uint8_t *bytes, size_t available, ub_error *err)
{
    const size_t compared = available < MAGIC_SIZE ? available : MAGIC_SIZE;
    if (compared == 0 || memcmp(bytes, MAGIC, compared) != 0)
        return not_npy(bytes, available, err);
    if (available < MAGIC_SIZE + 2)
        return ubp_fail_at(err, UB_ERR_FILE, (int64_t)available, "truncated: the file ends here");
    const int major = bytes[6], minor = bytes[7];
    if (major < 1 || major > 3 || minor != 0)
        return ubp_fail_at(err, UB_ERR_FILE, 6,
                           ".npy format version %d.%d is not known; 1.0, 2.0 and 3.0 are", major,
                           minor);
    const size_t prefix = major == 1 ? 10 : 12;
    if (available < prefix)
        return ubp_fail_at(err, UB_ERR_FILE, (int64_t)available, "truncated: the file ends here");
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (major > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > UBP_NPY_MAX_HEADER - prefix)
        return ubp_fail_at(err, UB_ERR_FILE, 8, "the .npy header claims %zu bytes; at most %d",
                           length, UBP_NPY_MAX_HEADER);
    *size = prefix + length;
    return UB_OK;
}

/* ---- The dict ---------------------------------------------------------------------------------
 */

typedef struct cursor {
    const char *start; /* of the file */
    const char *at, *end;
    ub_error *err;
} cursor;

static ub_status damaged(const cursor *c, const char *expected)
{
    return ubp_fail_at(c->err, UB_ERR_FILE, c->at - c->start, "damaged .npy header: expected %s",
                       expected);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

/* Whether the next character that is no space is `wanted`; steps over it then. */
static bool accept(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool accept_word(cursor *c, const char *word)
{
    skip_space(c);
    const size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

/* A quoted string without escapes, such as NumPy writes, into text of `size` bytes. */
static ub_status read_string(cursor *c, char *text, size_t size)
{
    const char quote = accept(c, '\'') ? '\'' : '"';
    if (quote == '"' && !accept(c, '"'))
        return damaged(c, "a string");
    size_t n = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (*c->at == '\\' || n + 1 >= size)
            return damaged(c, "a short string without escapes");
        text[n++] = *c->at;
    }
    text[n] = 0;
    return accept(c, quote) ? UB_OK : damaged(c, "the end of a string");
}

static ub_status unsupported(const cursor *c, const char *descr, const char *what)
{
    return ubp_fail(c->err, UB_ERR_UNSUPPORTED, "dtype '%s' is not supported: %s", descr, what);
}

/* Why a dtype of NumPy has no place here, NULL when NumPy does not know it either. */
static const char *refusal(char kind)
{
    switch (kind) {
    case 'O':
        return "Python objects are pickled, and a pickle is a program";
    case 'V':
        return "raw bytes have no meaning here (save bfloat16 and float8 as float32)";
    case 'f':
        return "floats have 16, 32 or 64 bits";
    case 'c':
        return "complex numbers";
    case 'M':
    case 'm':
        return "dates and times";
    default:
        return NULL;
    }
}

/* "U5", "S5": characters are elements; the axis for them is added when the shape is known. */
static ub_status parse_text_descr(const cursor *c, const char *descr, const char *name,
                                  ubp_npy_header *h)
{
    int64_t n = 0;
    const char *digit = name + 1;
    for (; *digit >= '0' && *digit <= '9' && n < INT32_MAX; digit++)
        n = n * 10 + *digit - '0';
    if (*digit || digit == name + 1)
        return ubp_fail(c->err, UB_ERR_FILE, "damaged .npy header: unknown dtype '%s'", descr);
    if (n == 0 || n > INT32_MAX)
        return unsupported(c, descr, "strings have 1 to 2147483647 characters");
    h->text = true;
    h->dtype = *name == 'U' ? UB_U32 : UB_U8;
    h->swap = *name == 'U' && (*descr == '<' || *descr == '>') && *descr != HOST_ORDER;
    h->characters = n;
    return UB_OK;
}

/* "<f4": byte order, kind, bytes of an element. */
static ub_status parse_descr(const cursor *c, const char *descr, ubp_npy_header *h)
{
    static const struct {
        char name[3];
        ub_dtype dtype;
    } known[] = {{"b1", UB_BOOL}, {"i1", UB_I8},  {"i2", UB_I16}, {"i4", UB_I32},
                 {"i8", UB_I64},  {"u1", UB_U8},  {"u2", UB_U16}, {"u4", UB_U32},
                 {"u8", UB_U64},  {"f2", UB_F16}, {"f4", UB_F32}, {"f8", UB_F64}};
    const bool ordered = *descr && strchr("<>|=", *descr);
    const char *name = descr + (ordered ? 1 : 0);
    for (int i = 0; i < UBP_COUNT(known); i++) {
        if (strcmp(name, known[i].name) != 0)
            continue;
        h->dtype = known[i].dtype;
        h->swap =
            (*descr == '<' || *descr == '>') && *descr != HOST_ORDER && ub_dtype_size(h->dtype) > 1;
        return UB_OK;
    }
    if (*name == 'U' || *name == 'S' || *name == 'a')
        return parse_text_descr(c, descr, name, h);
    const char *why = refusal(*name);
    return why ? unsupported(c, descr, why)
               : ubp_fail(c->err, UB_ERR_FILE, "damaged .npy header: unknown dtype '%s'", descr);
}

static ub_status read_descr(cursor *c, ubp_npy_header *h)
{
    char descr[32];
    skip_space(c);
    if (c->at < c->end && (*c->at == '[' || *c->at == '('))
        return ubp_fail(c->err, UB_ERR_UNSUPPORTED,
                        "structured dtypes are not supported: save each field as an array of its "
                        "own");
    UBP_TRY(read_string(c, descr, sizeof(descr)));
    return parse_descr(c, descr, h);
}

static ub_status read_dim(cursor *c, int64_t *dim)
{
    skip_space(c);
    const char *first = c->at;
    int64_t v = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (!ubp_mul_i64(v, 10, &v) || !ubp_add_i64(v, *c->at - '0', &v))
            return damaged(c, "a dimension below 2^63");
    if (c->at == first)
        return damaged(c, "a dimension");
    if (c->at < c->end && *c->at == 'L') /* as Python 2 wrote them */
        c->at++;
    *dim = v;
    return UB_OK;
}

/* "()", "(3,)", "(3, 4)". */
static ub_status read_shape(cursor *c, ubp_npy_header *h)
{
    if (!accept(c, '('))
        return damaged(c, "a tuple");
    h->rank = 0;
    bool comma = true;
    while (!accept(c, ')')) {
        if (!comma)
            return damaged(c, "',' or ')'");
        if (h->rank == UB_MAX_RANK)
            return ubp_fail(c->err, UB_ERR_UNSUPPORTED, "the array has more than %d dimensions",
                            UB_MAX_RANK);
        UBP_TRY(read_dim(c, &h->dims[h->rank++]));
        comma = accept(c, ',');
    }
    if (h->rank == 1 && !comma) /* "(3)" is a number, not a tuple */
        return damaged(c, "a tuple");
    return UB_OK;
}

static ub_status read_bool(cursor *c, bool *value)
{
    *value = accept_word(c, "True");
    return *value || accept_word(c, "False") ? UB_OK : damaged(c, "True or False");
}

static ub_status read_dict(cursor *c, ubp_npy_header *h)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    unsigned seen = 0;
    bool comma = true;
    if (!accept(c, '{'))
        return damaged(c, "'{'");
    while (!accept(c, '}')) {
        char key[32];
        if (!comma)
            return damaged(c, "',' or '}'");
        UBP_TRY(read_string(c, key, sizeof(key)));
        if (!accept(c, ':'))
            return damaged(c, "':'");
        unsigned bit = 0;
        if (strcmp(key, "descr") == 0)
            bit = DESCR;
        else if (strcmp(key, "fortran_order") == 0)
            bit = ORDER;
        else if (strcmp(key, "shape") == 0)
            bit = SHAPE;
        if (!bit || (seen & bit))
            return damaged(c, "the keys descr, fortran_order and shape, once each");
        seen |= bit;
        UBP_TRY(bit == DESCR   ? read_descr(c, h)
                : bit == ORDER ? read_bool(c, &h->fortran)
                               : read_shape(c, h));
        comma = accept(c, ',');
    }
    if (seen != ALL)
        return damaged(c, "the keys descr, fortran_order and shape");
    skip_space(c);
    if (h->text && h->rank == UB_MAX_RANK)
        return ubp_fail(c->err, UB_ERR_UNSUPPORTED, "the array of text has more than %d dimensions",
                        UB_MAX_RANK - 1);
    if (h->text)
        h->dims[h->rank++] = h->characters;
    return c->at == c->end ? UB_OK : damaged(c, "nothing more");
}

ub_status ubp_npy_header_parse(ubp_npy_header *h, const void *bytes, size_t size, ub_error *err)
{
    const uint8_t *start = bytes;
    *h = (ubp_npy_header){0};
    UBP_TRY(ubp_npy_header_size(&h->size, start, size, err));
    if (size < h->size)
        return ubp_fail_at(err, UB_ERR_FILE, (int64_t)size,
                           "truncated: the .npy header has %zu bytes, the file only %zu", h->size,
                           size);
    const char *text = bytes;
    cursor c = {text, text + (start[6] == 1 ? 10 : 12), text + h->size, err};
    return read_dict(&c, h);
}

ub_status ubp_npy_header_tensor(ub_tensor *t, const ubp_npy_header *h, ub_error *err)
{
    UBP_TRY(ubp_tensor_describe(t, h->dtype, h->rank, h->dims, err));
    if (!h->fortran)
        return UB_OK;
    /* The characters of a string lie together. */
    int64_t stride = (int64_t)ub_dtype_size(h->dtype) * (h->text ? h->characters : 1);
    for (int i = 0; i < t->rank - (h->text ? 1 : 0); i++) {
        t->strides[i] = stride;
        /* The same product that was checked for row-major order, unless a later dim is 0. */
        stride =
            t->dims[i] > 0 && !__builtin_mul_overflow(stride, t->dims[i], &stride) ? stride : 0;
    }
    return UB_OK;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

/* NumPy's name without the byte order, NULL where it has none. */
static const char *descr_of(ub_dtype dtype)
{
    switch (dtype) {
    case UB_F32:
        return "f4";
    case UB_F64:
        return "f8";
    case UB_F16:
        return "f2";
    case UB_U8:
        return "u1";
    case UB_I8:
        return "i1";
    case UB_U16:
        return "u2";
    case UB_I16:
        return "i2";
    case UB_U32:
        return "u4";
    case UB_I32:
        return "i4";
    case UB_U64:
        return "u8";
    case UB_I64:
        return "i8";
    case UB_BOOL:
        return "b1";
    default:
        return NULL;
    }
}

ub_status ubp_npy_header_text(ubp_text *out, const ub_tensor *t, int64_t characters, ub_error *err)
{
    const char *descr = descr_of(t->dtype);
    char text[24];
    if (characters > 0) {
        snprintf(text, sizeof text, "U%" PRId64, characters);
        descr = text;
    }
    if (!descr)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "arrays of %s cannot be saved",
                        ub_dtype_name(t->dtype));
    const size_t start = out->len;
    ubp_text_addn(out, MAGIC "\1\0\0\0", MAGIC_SIZE + 4); /* the length is set at the end */
    ubp_text_addf(out, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                  ub_dtype_size(t->dtype) > 1 ? HOST_ORDER : '|', descr);
    for (int i = 0; i < t->rank; i++)
        ubp_text_addf(out, "%s%" PRId64, i ? ", " : "", t->dims[i]);
    ubp_text_add(out, t->rank == 1 ? ",), }" : "), }");
    /* Room for the first dim to grow in place, as numpy/lib/format.py leaves it. */
    enum { GROWTH_DIGITS = 21 };
    const int digits = t->rank ? snprintf(NULL, 0, "%" PRId64, t->dims[0]) : GROWTH_DIGITS;
    const size_t used = out->len - start + (size_t)(GROWTH_DIGITS - digits) + 1;
    ubp_text_addf(out, "%*s\n", GROWTH_DIGITS - digits + ALIGN - (int)(used % ALIGN), "");
    if (out->failed)
        return ubp_fail_memory(err, out->len);
    const size_t length = out->len - start - (MAGIC_SIZE + 4);
    out->s[start + 8] = (char)(length & 0xFF);
    out->s[start + 9] = (char)(length >> 8);
    return UB_OK;
}
