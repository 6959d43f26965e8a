/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth and bits, with broadcasting: And Or Xor Not; Equal Greater GreaterOrEqual Less LessOrEqual;
 * BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift. A bool is one byte; any byte but 0 is read
 * as true, only 0 and 1 are written. ONNX operators 7 to 19 (BitShift 28).
 */
#include "ops/elementwise.h"

#include <string.h>

/* ---- And Or Xor Not ----------------------------------------------------------------------------
 */

UBP_EW_BINARY(and_BOOL, uint8_t, uint8_t, uint8_t, (x != 0) & (y != 0))
UBP_EW_BINARY(or_BOOL, uint8_t, uint8_t, uint8_t, (x | y) != 0)
UBP_EW_BINARY(xor_BOOL, uint8_t, uint8_t, uint8_t, (x != 0) != (y != 0))
UBP_EW_UNARY(not_BOOL, uint8_t, uint8_t, x == 0)

static const ubp_ew_kernels And_kernels = {{[UB_BOOL] = and_BOOL}};
static const ubp_ew_kernels Or_kernels = {{[UB_BOOL] = or_BOOL}};
static const ubp_ew_kernels Xor_kernels = {{[UB_BOOL] = xor_BOOL}};
static const ubp_ew_kernels Not_kernels = {{[UB_BOOL] = not_BOOL}};

UBP_EW_OP(And, 2, UB_BOOL)
UBP_EW_OP(Or, 2, UB_BOOL)
UBP_EW_OP(Xor, 2, UB_BOOL)
UBP_EW_OP(Not, 1, UB_BOOL)

/* ---- Comparisons: false with a NaN -------------------------------------------------------------
 */

#define EQUAL(id, T, U)         UBP_EW_BINARY(equal_##id, uint8_t, T, T, x == y)
#define GREATER(id, T, U)       UBP_EW_BINARY(greater_##id, uint8_t, T, T, x > y)
#define GREATER_EQUAL(id, T, U) UBP_EW_BINARY(greater_equal_##id, uint8_t, T, T, x >= y)
#define LESS(id, T, U)          UBP_EW_BINARY(less_##id, uint8_t, T, T, x < y)
#define LESS_EQUAL(id, T, U)    UBP_EW_BINARY(less_equal_##id, uint8_t, T, T, x <= y)
#define EACH_NUMBER(M)                                                                             \
    UBP_EACH_SIGNED(M) UBP_EACH_UNSIGNED(M) M(F32, float, float) M(F64, double, double)

EACH_NUMBER(EQUAL)
EACH_NUMBER(GREATER)
EACH_NUMBER(GREATER_EQUAL)
EACH_NUMBER(LESS)
EACH_NUMBER(LESS_EQUAL)
UBP_EW_BINARY(equal_BOOL, uint8_t, uint8_t, uint8_t, (x != 0) == (y != 0))

#define NUMBERS(prefix) UBP_EW_SIGNED(prefix), UBP_EW_UNSIGNED(prefix), UBP_EW_FLOATS(prefix)

/* Bytes are compared, no normal form is made. */
static void equal_STRING(char *const *p, const int64_t *step, int64_t n, const void *attr)
{
    (void)attr;
    for (int64_t i = 0; i < n; i++)
        *(uint8_t *)(p[0] + i * step[0]) =
            strcmp(ubp_string_at(p[1] + i * step[1]), ubp_string_at(p[2] + i * step[2])) == 0;
}

static const ubp_ew_kernels Equal_kernels = {
    {NUMBERS(equal), [UB_BOOL] = equal_BOOL, [UB_STRING] = equal_STRING}};
static const ubp_ew_kernels Greater_kernels = {{NUMBERS(greater)}};
static const ubp_ew_kernels GreaterOrEqual_kernels = {{NUMBERS(greater_equal)}};
static const ubp_ew_kernels Less_kernels = {{NUMBERS(less)}};
static const ubp_ew_kernels LessOrEqual_kernels = {{NUMBERS(less_equal)}};

UBP_EW_OP(Equal, 2, UB_BOOL)
UBP_EW_OP(Greater, 2, UB_BOOL)
UBP_EW_OP(GreaterOrEqual, 2, UB_BOOL)
UBP_EW_OP(Less, 2, UB_BOOL)
UBP_EW_OP(LessOrEqual, 2, UB_BOOL)

/* ---- Bitwise -----------------------------------------------------------------------------------
 */

#define BIT_AND(id, T, U) UBP_EW_BINARY(bit_and_##id, T, T, T, (x) & (y))
#define BIT_OR(id, T, U)  UBP_EW_BINARY(bit_or_##id, T, T, T, x | y)
#define BIT_XOR(id, T, U) UBP_EW_BINARY(bit_xor_##id, T, T, T, x ^ y)
#define BIT_NOT(id, T, U) UBP_EW_UNARY(bit_not_##id, T, T, ~x)
#define EACH_INTEGER(M)   UBP_EACH_SIGNED(M) UBP_EACH_UNSIGNED(M)
#define INTEGERS(prefix)  UBP_EW_SIGNED(prefix), UBP_EW_UNSIGNED(prefix)

EACH_INTEGER(BIT_AND)
EACH_INTEGER(BIT_OR)
EACH_INTEGER(BIT_XOR)
EACH_INTEGER(BIT_NOT)

static const ubp_ew_kernels BitwiseAnd_kernels = {{INTEGERS(bit_and)}};
static const ubp_ew_kernels BitwiseOr_kernels = {{INTEGERS(bit_or)}};
static const ubp_ew_kernels BitwiseXor_kernels = {{INTEGERS(bit_xor)}};
static const ubp_ew_kernels BitwiseNot_kernels = {{INTEGERS(bit_not)}};

UBP_EW_OP(BitwiseAnd, 2, UB_UNDEFINED)
UBP_EW_OP(BitwiseOr, 2, UB_UNDEFINED)
UBP_EW_OP(BitwiseXor, 2, UB_UNDEFINED)
UBP_EW_OP(BitwiseNot, 1, UB_UNDEFINED)

/* ---- BitShift ----------------------------------------------------------------------------------
 */

typedef struct shift_attr {
    bool left;
} shift_attr;

static ub_status shift_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    shift_attr *a = attr;
    const char *direction;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "direction", "", &direction, err));
    a->left = strcmp(direction, "LEFT") == 0;
    if (a->left || strcmp(direction, "RIGHT") == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (BitShift): direction is '%s', expected LEFT or RIGHT", node->name,
                    direction);
}

/* As many bits as the type has, or more, shift everything out but the sign; a negative count is
 * read as a large one. Right shifts of signed numbers keep the sign. */
#define SHIFT_LEFT(id, T, U)                                                                       \
    static T left_of_##id(T x, T y)                                                                \
    {                                                                                              \
        return (T)((uint64_t)y >= 8 * sizeof(T) ? 0 : (uint64_t)x << (uint64_t)y);                 \
    }                                                                                              \
    UBP_EW_BINARY(left_##id, T, T, T, left_of_##id(x, y))
#define SHIFT_RIGHT_SIGNED(id, T, U)                                                               \
    static T right_of_##id(T x, T y)                                                               \
    {                                                                                              \
        uint64_t bits = (uint64_t)y < 8 * sizeof(T) ? (uint64_t)y : 8 * sizeof(T) - 1;             \
        return (T)(x >> bits);                                                                     \
    }                                                                                              \
    UBP_EW_BINARY(right_##id, T, T, T, right_of_##id(x, y))
#define SHIFT_RIGHT_UNSIGNED(id, T, U)                                                             \
    UBP_EW_BINARY(right_##id, T, T, T, y < 8 * sizeof(T) ? (T)(x >> y) : (T)0)

EACH_INTEGER(SHIFT_LEFT)
UBP_EACH_SIGNED(SHIFT_RIGHT_SIGNED)
UBP_EACH_UNSIGNED(SHIFT_RIGHT_UNSIGNED)

static const ubp_ew_kernels left_kernels = {{INTEGERS(left)}};
static const ubp_ew_kernels right_kernels = {{INTEGERS(right)}};

static ub_status shift_infer(const ubp_call *c)
{
    return ubp_ew_infer(c, &left_kernels, UB_UNDEFINED);
}

static ub_status shift_ref(const ubp_call *c)
{
    const shift_attr *a = c->attr;
    return ubp_ew_ref(c, a->left ? &left_kernels : &right_kernels);
}

const ubp_op ubp_op_BitShift = {
    .name = "BitShift",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .attr_size = sizeof(shift_attr),
    .attrs = shift_attrs,
    .infer = shift_infer,
    .batch = ubp_batch_elementwise,
    .ref = shift_ref,
};
