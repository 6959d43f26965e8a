/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dtypes of mixed operands, by PyTorch's rule: tensors with axes count first, then tensors without,
 * then Python's numbers; one of a lower rank only counts when its kind (bool, integer, float) is
 * higher. ONNX's operators want one dtype, so operands are cast to the common one.
 */
#include "load/pt2.h"

/* Of one kind of operand: UB_UNDEFINED when there is none. */
typedef struct ranks {
    ub_dtype axes, scalar, number;
} ranks;

static int kind_of(ub_dtype d)
{
    return ubp_is_float(d) ? 2 : ubp_is_integer(d) ? 1 : 0;
}

/* torch.promote_types(). */
static ub_dtype join(ub_dtype a, ub_dtype b)
{
    static const ub_dtype wider[] = {UB_I16, UB_I32, UB_I64};
    if (a == UB_UNDEFINED || a == b)
        return b;
    if (b == UB_UNDEFINED)
        return a;
    if (kind_of(a) != kind_of(b))
        return kind_of(a) > kind_of(b) ? a : b;
    const size_t x = ub_dtype_size(a), y = ub_dtype_size(b);
    if (kind_of(a) == 2) /* float16 and bfloat16 meet in float32 */
        return x == y ? UB_F32 : x > y ? a : b;
    if (ubp_is_unsigned(a) == ubp_is_unsigned(b))
        return x > y ? a : b;
    const size_t u = ubp_is_unsigned(a) ? x : y, s = ubp_is_unsigned(a) ? y : x;
    if (s > u)
        return ubp_is_unsigned(a) ? b : a;
    for (int i = 0; i < UBP_COUNT(wider); i++)
        if (ub_dtype_size(wider[i]) > u)
            return wider[i];
    return UB_F32;
}

static ub_dtype combine(ub_dtype higher, ub_dtype lower)
{
    if (higher == UB_UNDEFINED)
        return lower;
    if (lower == UB_UNDEFINED || ubp_is_float(higher))
        return higher;
    return higher == UB_BOOL || ubp_is_float(lower) ? join(higher, lower) : higher;
}

static void add_operand(ubp_at *a, const char *name, ranks *r)
{
    ubp_pt2_meta m;
    if (!ubp_at_is_tensor(a, name)) {
        const ub_dtype d = ubp_at_is_bool(a, name)  ? UB_BOOL
                           : ubp_at_is_int(a, name) ? UB_I64
                                                    : UB_F32;
        r->number = join(r->number, d);
    } else if (ubp_at_meta(a, name, &m)) {
        ub_dtype *to = m.rank > 0 ? &r->axes : &r->scalar;
        *to = join(*to, m.dtype);
    }
}

ub_dtype ubp_at_promote(ubp_at *a, const char *x, const char *y)
{
    ranks r = {UB_UNDEFINED, UB_UNDEFINED, UB_UNDEFINED};
    add_operand(a, x, &r);
    add_operand(a, y, &r);
    const ub_dtype d = combine(combine(r.axes, r.scalar), r.number);
    if (d == UB_UNDEFINED)
        ubp_at_refuse(a, "a dtype that has no storage here");
    return d;
}

int32_t ubp_at_operand(ubp_at *a, const char *name, ub_dtype dtype)
{
    ubp_pt2_meta m;
    if (ubp_at_is_tensor(a, name)) {
        const int32_t x = ubp_at_tensor(a, name);
        if (!ubp_at_meta(a, name, &m) || m.dtype == dtype)
            return x;
        return ubp_emit_cast(a->e, x, dtype);
    }
    if (ubp_is_float(dtype) || !ubp_at_is_int(a, name))
        return ubp_emit_number(a->e, dtype, ubp_at_float(a, name, 0));
    const ubp_pt2_size s = ubp_at_size(a, name, 0);
    if (s.value == UBP_NO_VALUE)
        return ubp_emit_integer(a->e, dtype, s.known);
    return dtype == UB_I64 ? s.value : ubp_emit_cast(a->e, s.value, dtype);
}
