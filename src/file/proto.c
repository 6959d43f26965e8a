/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), over nanopb's decoder: a
 * bounded cursor gives one field after the other, byte fields as views of the file. What a field
 * means is the caller's business. Groups (wire types 3 and 4) are obsolete and refused: no format
 * read here has them.
 */
#include "file/file.h"

#include <inttypes.h>
#include <pb_decode.h>

static pb_istream_t stream_of(const ubp_proto *p)
{
    return pb_istream_from_buffer(p->at, (size_t)(p->end - p->at));
}

static int64_t offset_of(const ubp_proto *p)
{
    return p->at - p->base;
}

/* Reads the length and the place of a byte field. */
static ub_status read_bytes(const ubp_proto *p, pb_istream_t *s, ubp_proto_field *f, ub_error *err)
{
    uint64_t size = 0;
    if (!pb_decode_varint(s, &size))
        return ubp_fail_at(err, UB_ERR_FILE, offset_of(p),
                           "damaged protobuf: the length of field %" PRIu32 " is no number",
                           f->number);
    if (size > s->bytes_left)
        return ubp_fail_at(err, UB_ERR_FILE, offset_of(p),
                           "damaged protobuf: field %" PRIu32 " has %" PRIu64
                           " bytes, its message has only %zu left",
                           f->number, size, s->bytes_left);
    f->data = p->end - s->bytes_left;
    f->size = (size_t)size;
    s->bytes_left -= f->size;
    return UB_OK;
}

static ub_status read_number(const ubp_proto *p, pb_istream_t *s, ubp_proto_field *f, ub_error *err)
{
    uint32_t value32 = 0;
    bool ok = false;
    if (f->wire == PB_WT_VARINT)
        ok = pb_decode_varint(s, &f->value);
    else if (f->wire == PB_WT_64BIT)
        ok = pb_decode_fixed64(s, &f->value);
    else
        ok = pb_decode_fixed32(s, &value32);
    if (!ok)
        return ubp_fail_at(
            err, UB_ERR_FILE, offset_of(p),
            "damaged protobuf: the number in field %" PRIu32 " is cut off or too long", f->number);
    if (f->wire == PB_WT_32BIT)
        f->value = value32;
    return UB_OK;
}

ub_status ubp_proto_next(ubp_proto *p, ubp_proto_field *f, bool *more, ub_error *err)
{
    pb_istream_t s = stream_of(p);
    pb_wire_type_t wire = PB_WT_VARINT;
    bool end = false;
    *f = (ubp_proto_field){0};
    *more = false;
    if (p->at == p->end)
        return UB_OK;
    if (!pb_decode_tag(&s, &wire, &f->number, &end) || f->number == 0)
        return ubp_fail_at(err, UB_ERR_FILE, offset_of(p), "damaged protobuf: no field here");
    f->wire = (int)wire;
    if (wire == PB_WT_STRING)
        UBP_TRY(read_bytes(p, &s, f, err));
    else if (wire == PB_WT_VARINT || wire == PB_WT_64BIT || wire == PB_WT_32BIT)
        UBP_TRY(read_number(p, &s, f, err));
    else
        return ubp_fail_at(err, UB_ERR_FILE, offset_of(p),
                           "damaged protobuf: field %" PRIu32 " has wire type %d", f->number,
                           f->wire);
    p->at = p->end - s.bytes_left;
    *more = true;
    return UB_OK;
}

ubp_proto ubp_proto_sub(const ubp_proto *p, const ubp_proto_field *f)
{
    return (ubp_proto){p->base, f->data, f->data + f->size};
}

ub_status ubp_proto_varint(ubp_proto *p, uint64_t *value, ub_error *err)
{
    pb_istream_t s = stream_of(p);
    if (!pb_decode_varint(&s, value))
        return ubp_fail_at(err, UB_ERR_FILE, offset_of(p),
                           "damaged protobuf: a packed number is cut off or too long");
    p->at = p->end - s.bytes_left;
    return UB_OK;
}
