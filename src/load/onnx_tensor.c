/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorProto. Elements lie in raw_data (little-endian, as here), in a typed list (float_data,
 * int32_data, ...), or in another file. raw_data and packed floats are the same bytes, so both stay
 * views; lists of varints are decoded into the arena, which takes at most eight times their bytes.
 * Kinds under eight bits are packed in files and unpacked into the arena.
 */
#include "load/onnx.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are used as they lie in the file: little-endian"
#endif

enum {
    T_DIMS = 1,
    T_DTYPE = 2,
    T_SEGMENT = 3,
    T_FLOATS = 4,
    T_INT32S = 5,
    T_STRINGS = 6,
    T_INT64S = 7,
    T_NAME = 8,
    T_RAW = 9,
    T_DOUBLES = 10,
    T_UINT64S = 11,
    T_EXTERNAL = 13,
    T_LOCATION = 14
};

/* An unaligned tensor up to this is copied: it lies beside its header, which was read already. */
enum { SMALL_BYTES = 512 };

const char *ubp_onnx_dtype_name(int dtype)
{
    const char *name = ub_dtype_name((ub_dtype)dtype);
    return dtype == UB_UNDEFINED || strcmp(name, "undefined") != 0 ? name : NULL;
}

/* ---- What the message says ------------------------------------------------------------------- */

/* Dims come before the name in the file, so messages say where instead. */
static ub_status add_dim(ubp_onnx_weight *w, const ubp_proto *p, uint64_t value, ub_error *err)
{
    const int64_t offset = ubp_onnx_offset(p, p->at);
    if (w->rank == UB_MAX_RANK)
        return ubp_fail_at(err, UB_ERR_UNSUPPORTED, offset, "a tensor has more than %d dimensions",
                           UB_MAX_RANK);
    if ((int64_t)value < 0)
        return ubp_fail_at(err, UB_ERR_FILE, offset, "a tensor has a negative dimension, %lld",
                           (long long)value);
    w->dims[w->rank++] = (int64_t)value;
    return UB_OK;
}

static ub_status read_dims(ubp_onnx_weight *w, const ubp_proto *p, const ubp_proto_field *f,
                           ub_error *err)
{
    if (f->wire == 0)
        return add_dim(w, p, f->value, err);
    UBP_TRY(ubp_onnx_want(p, f, 2, err));
    ubp_proto packed = ubp_proto_sub(p, f);
    while (packed.at < packed.end) {
        uint64_t value = 0;
        UBP_TRY(ubp_proto_varint(&packed, &value, err));
        UBP_TRY(add_dim(w, &packed, value, err));
    }
    return UB_OK;
}

/* Decimal text, as external data's offset and length are. */
static ub_status read_decimal(const ubp_onnx_weight *w, const ubp_proto_field *key,
                              const ubp_proto_field *f, uint64_t *out, ub_error *err)
{
    uint64_t v = 0;
    bool good = f->size > 0 && f->size <= 19;
    for (size_t i = 0; good && i < f->size; i++) {
        good = f->data[i] >= '0' && f->data[i] <= '9';
        v = v * 10 + (uint64_t)(f->data[i] - '0');
    }
    if (!good || v > INT64_MAX)
        return ubp_fail(err, UB_ERR_FILE,
                        "tensor '%s': external data has %.*s '%.*s', expected a"
                        " number of bytes",
                        w->name, (int)key->size, (const char *)key->data,
                        (int)(f->size > 40 ? 40 : f->size), (const char *)f->data);
    *out = v;
    return UB_OK;
}

static ub_status read_external(ubp_onnx_weight *w, ubp_proto message, ubp_arena *arena,
                               ub_error *err)
{
    ubp_proto_field key, value;
    UBP_TRY(ubp_onnx_entry(message, &key, &value, err));
    if (ubp_onnx_is(&key, "location"))
        return ubp_onnx_string(&message, &value, arena, &w->location, err);
    if (ubp_onnx_is(&key, "offset"))
        return read_decimal(w, &key, &value, &w->offset, err);
    if (ubp_onnx_is(&key, "length")) {
        w->has_length = true;
        return read_decimal(w, &key, &value, &w->length, err);
    }
    return UB_OK; /* checksum, basepath */
}

static ub_status read_field(ubp_onnx_weight *w, const ubp_proto *p, const ubp_proto_field *f,
                            ubp_arena *arena, ub_error *err)
{
    switch (f->number) {
    case T_DIMS:
        return read_dims(w, p, f, err);
    case T_DTYPE:
        UBP_TRY(ubp_onnx_want(p, f, 0, err));
        w->dtype = f->value > INT16_MAX ? -1 : (int)f->value;
        return UB_OK;
    case T_SEGMENT:
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "tensor '%s' is stored in segments, which are not supported", w->name);
    case T_NAME:
        return ubp_onnx_string(p, f, arena, &w->name, err);
    case T_RAW:
        w->raw = *f;
        return ubp_onnx_want(p, f, 2, err);
    case T_FLOATS:
    case T_INT32S:
    case T_STRINGS:
    case T_INT64S:
    case T_DOUBLES:
    case T_UINT64S:
        w->typed = f->number;
        return UB_OK;
    case T_EXTERNAL:
        UBP_TRY(ubp_onnx_want(p, f, 2, err));
        return read_external(w, ubp_proto_sub(p, f), arena, err);
    case T_LOCATION:
        UBP_TRY(ubp_onnx_want(p, f, 0, err));
        w->is_external = f->value == 1;
        return UB_OK;
    default:
        return UB_OK;
    }
}

ub_status ubp_onnx_weight_parse(ubp_onnx_weight *w, ubp_proto message, ubp_arena *arena,
                                ub_error *err)
{
    *w = (ubp_onnx_weight){.name = "", .message = message};
    ubp_proto p = message;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            break;
        UBP_TRY(read_field(w, &p, &f, arena, err));
    }
    if (w->dtype <= 0 || !ubp_onnx_dtype_name(w->dtype))
        return ubp_fail(err, UB_ERR_FILE, "tensor '%s' has an unknown element type (%d)", w->name,
                        w->dtype);
    return UB_OK;
}

bool ubp_onnx_weight_stored(const ubp_onnx_weight *w)
{
    return ub_dtype_size((ub_dtype)w->dtype) > 0;
}

/* ---- Typed lists ----------------------------------------------------------------------------- */

/* The list where elements of a dtype may lie, and its wire type when not packed. */
static uint32_t typed_field(ub_dtype dtype, int *wire)
{
    *wire = 0;
    switch (dtype) {
    case UB_F32:
        *wire = 5;
        return T_FLOATS;
    case UB_F64:
        *wire = 1;
        return T_DOUBLES;
    case UB_I64:
        return T_INT64S;
    case UB_U32:
    case UB_U64:
        return T_UINT64S;
    default:
        return T_INT32S; /* float16 and bfloat16 too: their bits */
    }
}

/* Elements that one entry of raw_data or of a typed list of bytes packs together, in bits: those of
 * six bits have an entry each in a list. */
static bool is_packed(ub_dtype dtype, bool in_list)
{
    const int bits = ubp_dtype_bits(dtype);
    return bits == 2 || bits == 4 || (bits == 6 && !in_list);
}

/* Bytes of `count` elements as files pack them. */
static size_t packed_size(ub_dtype dtype, size_t count)
{
    const size_t bits = (size_t)ubp_dtype_bits(dtype);
    return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

/* Writes one element, keeping the low bits: a list of int32 holds every smaller type. */
static void put(uint8_t *at, ub_dtype dtype, uint64_t value)
{
    if (dtype == UB_BOOL)
        value = value != 0;
    else if (ubp_dtype_bits(dtype) == 6)
        value &= 0x3f;
    memcpy(at, &value, ub_dtype_size(dtype));
}

typedef struct decoder {
    const ubp_onnx_weight *w;
    ub_dtype dtype;
    int wire;
    size_t item, count, done;
    uint8_t *dst; /* [count] elements */
    ub_error *err;
} decoder;

static ub_status fail_count(const decoder *d, const char *found)
{
    char text[UBP_SHAPE_TEXT];
    return ubp_fail(d->err, UB_ERR_FILE, "tensor '%s' of shape %s has %s than its %zu elements",
                    d->w->name, ubp_shape_text(text, d->w->rank, d->w->dims), found, d->count);
}

/* One field of the list: one element, or a packed run of them. */
static ub_status decode_field(decoder *d, const ubp_proto *p, const ubp_proto_field *f)
{
    if (f->wire == d->wire) {
        if (d->done == d->count)
            return fail_count(d, "more");
        put(d->dst + d->done++ * d->item, d->dtype, f->value);
        return UB_OK;
    }
    UBP_TRY(ubp_onnx_want(p, f, 2, d->err));
    if (d->wire != 0) {
        if (f->size % d->item != 0 || f->size / d->item > d->count - d->done)
            return fail_count(d, "more");
        if (f->size > 0)
            memcpy(d->dst + d->done * d->item, f->data, f->size);
        d->done += f->size / d->item;
        return UB_OK;
    }
    ubp_proto packed = ubp_proto_sub(p, f);
    while (packed.at < packed.end) {
        uint64_t value = 0;
        UBP_TRY(ubp_proto_varint(&packed, &value, d->err));
        if (d->done == d->count)
            return fail_count(d, "more");
        put(d->dst + d->done++ * d->item, d->dtype, value);
    }
    return UB_OK;
}

/* The one packed field that holds all elements as they are used, or NULL data. */
static ub_status find_packed(const ubp_onnx_weight *w, uint32_t number, size_t size,
                             ubp_proto_field *out, ub_error *err)
{
    ubp_proto p = w->message;
    *out = (ubp_proto_field){0};
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            return UB_OK;
        if (f.number == number && f.wire == 2 && f.size == size) {
            *out = f;
            return UB_OK;
        }
    }
}

static ub_status decode(decoder *d)
{
    ubp_proto p = d->w->message;
    uint32_t number = typed_field(d->dtype, &d->wire);
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, d->err));
        if (!more)
            break;
        if (f.number == number)
            UBP_TRY(decode_field(d, &p, &f));
    }
    return d->done == d->count ? UB_OK : fail_count(d, "fewer");
}

/* ---- Where the elements are ------------------------------------------------------------------ */

static ub_status use_bytes(ub_tensor *out, const uint8_t *bytes, size_t size, bool keep_unaligned,
                           ubp_arena *arena, ub_error *err)
{
    const size_t item = ub_dtype_size(out->dtype);
    if ((uintptr_t)bytes % item == 0 || (keep_unaligned && size > SMALL_BYTES)) {
        out->data = (void *)(uintptr_t)bytes; /* constants are only read */
        return UB_OK;
    }
    out->data = ubp_arena_alloc(arena, size);
    if (!out->data)
        return ubp_fail_memory(err, size);
    if (size > 0)
        memcpy(out->data, bytes, size);
    return UB_OK;
}

static ub_status use_typed(ub_tensor *out, const ubp_onnx_weight *w, size_t size, bool keep,
                           ubp_arena *arena, ub_error *err)
{
    decoder d = {.w = w, .dtype = out->dtype, .item = ub_dtype_size(out->dtype), .err = err};
    d.count = size / d.item;
    const uint32_t number = typed_field(d.dtype, &d.wire);
    if (w->typed != number && size > 0)
        return fail_count(&d, "fewer");
    if (d.wire != 0) {
        ubp_proto_field f;
        UBP_TRY(find_packed(w, number, size, &f, err));
        if (f.data)
            return use_bytes(out, f.data, size, keep, arena, err);
    }
    /* At least one byte of the file per element: a shape alone allocates nothing. */
    if (d.count > (size_t)(w->message.end - w->message.at))
        return fail_count(&d, "fewer");
    out->data = d.dst = ubp_arena_alloc(arena, size);
    return d.dst ? decode(&d) : ubp_fail_memory(err, size);
}

/* Packed elements: from raw_data, another file, or a list whose entries are the packed bytes. */
static ub_status use_packed(ub_tensor *out, const ubp_onnx_weight *w, const uint8_t *bytes,
                            ubp_arena *arena, ub_error *err)
{
    const int64_t count = ub_tensor_count(out);
    ub_tensor entries = *out;
    if (!bytes) {
        /* The list is read as the bytes it holds. */
        const int64_t size = (int64_t)packed_size(out->dtype, (size_t)count);
        UBP_TRY(ubp_tensor_describe(&entries, UB_U8, 1, &size, err));
        UBP_TRY(use_typed(&entries, w, (size_t)size, false, arena, err));
        bytes = entries.data;
    }
    out->data = ubp_arena_alloc(arena, (size_t)count);
    if (!out->data)
        return ubp_fail_memory(err, (size_t)count);
    ubp_narrow_unpack(out->data, bytes, out->dtype, count);
    return UB_OK;
}

/* Strings are copied into the arena: in the file they have no end mark. */
static ub_status use_strings(ub_tensor *out, const ubp_onnx_weight *w, ubp_arena *arena,
                             ub_error *err)
{
    decoder d = {.w = w, .dtype = UB_STRING, .count = (size_t)ub_tensor_count(out), .err = err};
    enum { LEAST = 2 }; /* bytes of the message for an empty string */
    ubp_proto p = w->message;
    if (w->is_external || w->raw.size > 0)
        return ubp_fail(err, UB_ERR_FILE, "tensor '%s' of strings is not in string_data", w->name);
    if (d.count > (size_t)(p.end - p.at) / LEAST)
        return fail_count(&d, "fewer");
    const char **elements = ubp_arena_array(arena, d.count + 1, sizeof *elements);
    if (!elements)
        return ubp_fail_memory(err, d.count * sizeof *elements);
    out->data = elements;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            break;
        if (f.number != T_STRINGS)
            continue;
        UBP_TRY(ubp_onnx_want(&p, &f, 2, err));
        if (d.done == d.count)
            return fail_count(&d, "more");
        if (f.size > 0 && memchr(f.data, 0, f.size))
            return ubp_fail(err, UB_ERR_UNSUPPORTED, "tensor '%s' has a string with a zero byte",
                            w->name);
        elements[d.done] = ubp_arena_strndup(arena, (const char *)f.data, f.size);
        if (!elements[d.done++])
            return ubp_fail_memory(err, f.size);
    }
    return d.done == d.count ? UB_OK : fail_count(&d, "fewer");
}

ub_status ubp_onnx_weight_tensor(ub_tensor *out, const ubp_onnx_weight *w, ubp_onnx *o,
                                 ubp_arena *arena, ub_error *err)
{
    if (!ubp_onnx_weight_stored(w))
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "tensor '%s' has elements of %s", w->name,
                        ubp_onnx_dtype_name(w->dtype));
    if (ubp_tensor_describe(out, (ub_dtype)w->dtype, w->rank, w->dims, NULL) != UB_OK) {
        char text[UBP_SHAPE_TEXT];
        return ubp_fail(err, UB_ERR_FILE, "tensor '%s' has the impossible shape %s", w->name,
                        ubp_shape_text(text, w->rank, w->dims));
    }
    if (out->dtype == UB_STRING)
        return use_strings(out, w, arena, err);
    const bool listed = !w->is_external && (!w->raw.data || (w->raw.size == 0 && w->typed));
    const bool packed = is_packed(out->dtype, listed);
    const size_t size =
        packed ? packed_size(out->dtype, ubp_tensor_bytes(out)) : ubp_tensor_bytes(out);
    if (w->is_external) {
        const uint8_t *bytes = NULL;
        if (!o)
            return ubp_fail(err, UB_ERR_FILE, "tensor '%s' lies in another file", w->name);
        UBP_TRY(ubp_onnx_external(o, w, size, &bytes));
        return packed ? use_packed(out, w, bytes, arena, err)
                      : use_bytes(out, bytes, size, true, arena, err);
    }
    if (listed)
        return packed ? use_packed(out, w, NULL, arena, err)
                      : use_typed(out, w, size, o != NULL, arena, err);
    if (w->raw.size != size) {
        char text[UBP_SHAPE_TEXT];
        const int64_t offset = ubp_onnx_offset(&w->message, w->raw.data);
        return ubp_fail_at(err, UB_ERR_FILE, offset,
                           "tensor '%s' of shape %s and %s needs %zu bytes, its raw_data has %zu",
                           w->name, ubp_shape_text(text, w->rank, w->dims),
                           ub_dtype_name(out->dtype), size, w->raw.size);
    }
    return packed ? use_packed(out, w, w->raw.data, arena, err)
                  : use_bytes(out, w->raw.data, size, o != NULL, arena, err);
}

ub_status ubp_onnx_tensor(ub_tensor *out, const char **name, ubp_proto message, ubp_arena *arena,
                          ub_error *err)
{
    ubp_onnx_weight w;
    UBP_TRY(ubp_onnx_weight_parse(&w, message, arena, err));
    if (name)
        *name = w.name;
    return ubp_onnx_weight_tensor(out, &w, NULL, arena, err);
}
