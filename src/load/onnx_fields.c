/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small parts of ONNX messages: strings, key-value pairs, wire types. Protobuf would skip a known
 * field of another wire type; here it is an error, since only damage makes one.
 */
#include "load/onnx.h"

#include <string.h>

int64_t ubp_onnx_offset(const ubp_proto *p, const uint8_t *at)
{
    return at - p->base;
}

ub_status ubp_onnx_want(const ubp_proto *p, const ubp_proto_field *f, int wire, ub_error *err)
{
    if (f->wire == wire)
        return UB_OK;
    return ubp_fail_at(err, UB_ERR_FILE, ubp_onnx_offset(p, p->at),
                       "damaged file: the field before, %u, has wire type %d, expected %d",
                       (unsigned)f->number, f->wire, wire);
}

ub_status ubp_onnx_string(const ubp_proto *p, const ubp_proto_field *f, ubp_arena *arena,
                          const char **out, ub_error *err)
{
    UBP_TRY(ubp_onnx_want(p, f, 2, err));
    if (f->size > 0 && memchr(f->data, 0, f->size))
        return ubp_fail_at(err, UB_ERR_FILE, ubp_onnx_offset(p, f->data),
                           "damaged file: a name holds a zero byte");
    *out = ubp_arena_strndup(arena, (const char *)f->data, f->size);
    return *out ? UB_OK : ubp_fail_memory(err, f->size);
}

ub_status ubp_onnx_entry(ubp_proto message, ubp_proto_field *key, ubp_proto_field *value,
                         ub_error *err)
{
    *key = *value = (ubp_proto_field){0};
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, err));
        if (!more)
            return UB_OK;
        if (f.number != 1 && f.number != 2)
            continue;
        UBP_TRY(ubp_onnx_want(&message, &f, 2, err));
        *(f.number == 1 ? key : value) = f;
    }
}

bool ubp_onnx_is(const ubp_proto_field *f, const char *text)
{
    return f->size == strlen(text) && memcmp(f->data, text, f->size) == 0;
}
