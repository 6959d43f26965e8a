/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TypeProto: what a file says of a value's dtype and shape. Of sequences and optionals only that
 * they are; a sequence of maps is one tensor here (ops/zip_map.c); and a rank that ub_tensor does
 * not have is left unknown (the value itself may never be asked for).
 */
#include "load/onnx.h"

enum { TYPE_TENSOR = 1, TYPE_SEQUENCE = 4, TYPE_MAP = 5, TYPE_OPTIONAL = 9 };
enum { LIST_ELEM = 1, TENSOR_ELEM = 1, TENSOR_SHAPE = 2, SHAPE_DIM = 1 };
enum { DIM_VALUE = 1, DIM_PARAM = 2 };

/* TensorShapeProto.Dimension: a number, a name, or neither. */
static ub_status read_dim(ubp_value *v, ubp_proto message, ubp_arena *arena, ub_error *err)
{
    int64_t dim = -1;
    const char *name = NULL;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, err));
        if (!more)
            break;
        if (f.number == DIM_VALUE) {
            UBP_TRY(ubp_onnx_want(&message, &f, 0, err));
            dim = (int64_t)f.value < 0 ? -1 : (int64_t)f.value;
        } else if (f.number == DIM_PARAM) {
            UBP_TRY(ubp_onnx_string(&message, &f, arena, &name, err));
        }
    }
    if (v->rank < UB_MAX_RANK) {
        v->dims[v->rank] = dim;
        v->dim_names[v->rank] = dim < 0 && name && *name ? name : NULL;
    }
    v->rank++;
    return UB_OK;
}

static ub_status read_shape(ubp_value *v, ubp_proto message, ubp_arena *arena, ub_error *err)
{
    v->rank = 0;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, err));
        if (!more)
            break;
        if (f.number != SHAPE_DIM)
            continue;
        UBP_TRY(ubp_onnx_want(&message, &f, 2, err));
        if (v->rank <= UB_MAX_RANK)
            UBP_TRY(read_dim(v, ubp_proto_sub(&message, &f), arena, err));
    }
    if (v->rank > UB_MAX_RANK)
        v->rank = -1;
    return UB_OK;
}

static ub_status read_tensor(ubp_value *v, ubp_proto message, ubp_arena *arena, ub_error *err)
{
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, err));
        if (!more)
            return UB_OK;
        if (f.number == TENSOR_ELEM) {
            UBP_TRY(ubp_onnx_want(&message, &f, 0, err));
            v->dtype = f.value <= INT16_MAX ? (ub_dtype)f.value : UB_UNDEFINED;
            if (v->dtype != UB_STRING && ub_dtype_size(v->dtype) == 0)
                v->dtype = UB_UNDEFINED;
        } else if (f.number == TENSOR_SHAPE) {
            UBP_TRY(ubp_onnx_want(&message, &f, 2, err));
            UBP_TRY(read_shape(v, ubp_proto_sub(&message, &f), arena, err));
        }
    }
}

/* The kind that one level of TypeProto says; *inner: what it is a list of. */
static ub_status read_level(ubp_value *v, ubp_proto message, ubp_proto *inner, ubp_arena *arena,
                            ub_error *err)
{
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, err));
        if (!more)
            return UB_OK;
        if (f.number == TYPE_MAP && v->kind == UB_KIND_SEQUENCE)
            v->kind = UB_KIND_TENSOR;
        if (f.number != TYPE_TENSOR && f.number != TYPE_SEQUENCE && f.number != TYPE_OPTIONAL)
            continue;
        UBP_TRY(ubp_onnx_want(&message, &f, 2, err));
        if (f.number == TYPE_TENSOR && v->kind == UB_KIND_TENSOR)
            UBP_TRY(read_tensor(v, ubp_proto_sub(&message, &f), arena, err));
        if (f.number == TYPE_TENSOR)
            continue;
        v->kind = f.number == TYPE_OPTIONAL     ? UB_KIND_OPTIONAL
                  : v->kind == UB_KIND_OPTIONAL ? UB_KIND_OPTIONAL_SEQUENCE
                                                : UB_KIND_SEQUENCE;
        *inner = ubp_proto_sub(&message, &f);
    }
}

/* An optional of a sequence of tensors is as deep as types go. */
ub_status ubp_onnx_type(ubp_value *v, ubp_proto message, ubp_arena *arena, ub_error *err)
{
    for (int depth = 0; depth < 3; depth++) {
        ubp_proto list = {0}, element = {0};
        UBP_TRY(read_level(v, message, &list, arena, err));
        while (list.base && !element.base) {
            ubp_proto_field f = {0};
            bool more = false;
            UBP_TRY(ubp_proto_next(&list, &f, &more, err));
            if (!more)
                break;
            if (f.number != LIST_ELEM)
                continue;
            UBP_TRY(ubp_onnx_want(&list, &f, 2, err));
            element = ubp_proto_sub(&list, &f);
        }
        if (!element.base)
            return UB_OK;
        message = element;
    }
    return UB_OK;
}
