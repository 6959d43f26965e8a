/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's elementwise arithmetic, comparisons and logic as our operators.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load/pt2.h"

/* ---- Words ------------------------------------------------------------------------------------
 */

/* Gives a result of dtype `is`, in the dtype that the file says (in-place operators keep theirs).
 */
static void give(ubp_at *a, int32_t v, ub_dtype is)
{
    ubp_pt2_meta m;
    if (ubp_at_out_meta(a, 0, &m) && m.dtype != is && m.dtype != UB_UNDEFINED)
        v = ubp_emit_cast(a->e, v, m.dtype);
    ubp_at_give(a, 0, v);
}

static int32_t number(ubp_at *a, ub_dtype d, double v)
{
    return ubp_emit_number(a->e, d, v);
}

/* The one tensor operand, as a float. */
static int32_t float_self(ubp_at *a, ub_dtype *d)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    *d = UB_F32;
    if (!ubp_at_meta(a, "self", &m))
        return x;
    if (ubp_is_float(m.dtype)) {
        *d = m.dtype;
        return x;
    }
    return ubp_emit_cast(a->e, x, UB_F32);
}

static int32_t truncated(ubp_at *a, int32_t x)
{
    return ubp_emit_2(a->e, "Mul", ubp_emit_1(a->e, "Sign", x),
                      ubp_emit_1(a->e, "Floor", ubp_emit_1(a->e, "Abs", x)));
}

/* ---- Two operands -----------------------------------------------------------------------------
 */

static void make_arith(ubp_at *a)
{
    const char *word = ubp_at_word(a);
    const bool reversed = *word == '~';
    const char *op = reversed ? word + 1 : word;
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    const double alpha = ubp_at_float(a, "alpha", 1);
    if (reversed) {
        const int32_t swap = x;
        x = y;
        y = swap;
    }
    /* rsub: other - alpha * self, which is the second operand in both cases. */
    if (alpha != 1)
        y = ubp_emit_2(a->e, "Mul", y, number(a, d, alpha));
    if (d == UB_BOOL)
        op = strcmp(op, "Mul") == 0 || strcmp(op, "Min") == 0   ? "And"
             : strcmp(op, "Add") == 0 || strcmp(op, "Max") == 0 ? "Or"
                                                                : "Xor";
    give(a, ubp_emit_2(a->e, op, x, y), d);
}

/* Python's %: what is left over has the sign of y. */
static int32_t python_mod(ubp_at *a, int32_t x, int32_t y, ub_dtype d)
{
    ubp_emit *e = a->e;
    const int32_t in[] = {x, y};
    if (!ubp_is_float(d))
        return ubp_emit_2(e, "Mod", x, y);
    const ubp_attr fmod_attr = ubp_emit_int("fmod", 1);
    const int32_t m = ubp_emit_node(e, "Mod", 2, in, 1, &fmod_attr), zero = number(a, d, 0);
    const int32_t other_sign =
        ubp_emit_2(e, "Xor", ubp_emit_2(e, "Less", m, zero), ubp_emit_2(e, "Less", y, zero));
    const int32_t left = ubp_emit_1(e, "Not", ubp_emit_2(e, "Equal", m, zero));
    return ubp_emit_3(e, "Where", ubp_emit_2(e, "And", left, other_sign),
                      ubp_emit_2(e, "Add", m, y), m);
}

static int32_t floor_div(ubp_at *a, int32_t x, int32_t y, ub_dtype d)
{
    ubp_emit *e = a->e;
    const int32_t whole = ubp_emit_2(e, "Sub", x, python_mod(a, x, y, d));
    const int32_t q = ubp_emit_2(e, "Div", whole, y);
    if (!ubp_is_float(d))
        return q;
    return ubp_emit_3(e, "Where", ubp_emit_2(e, "Equal", y, number(a, d, 0)),
                      ubp_emit_2(e, "Div", x, y), ubp_emit_1(e, "Round", q));
}

static void make_div(ubp_at *a)
{
    const char *mode = ubp_at_string(a, "rounding_mode", "");
    ub_dtype d = ubp_at_promote(a, "self", "other");
    if (strcmp(ubp_at_word(a), "floor") == 0)
        mode = "floor";
    if (!ubp_is_float(d) && !*mode)
        d = UB_F32;
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    int32_t q = UBP_NO_VALUE;
    if (strcmp(mode, "floor") == 0)
        q = floor_div(a, x, y, d);
    else
        q = ubp_emit_2(a->e, "Div", x, y);
    if (strcmp(mode, "trunc") == 0 && ubp_is_float(d))
        q = truncated(a, q);
    give(a, q, d);
}

static void make_mod(ubp_at *a)
{
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    const int32_t in[] = {ubp_at_operand(a, "self", d), ubp_at_operand(a, "other", d)};
    const ubp_attr fmod_attr = ubp_emit_int("fmod", 1);
    if (strcmp(ubp_at_word(a), "python") == 0)
        give(a, python_mod(a, in[0], in[1], d), d);
    else
        give(a, ubp_emit_node(a->e, "Mod", 2, in, 1, &fmod_attr), d);
}

/* Small whole powers and roots as PyTorch computes them. */
static int32_t plain_power(ubp_at *a, int32_t x, double p)
{
    ubp_emit *e = a->e;
    if (p == 1)
        return ubp_emit_1(e, "Identity", x);
    if (p == 2)
        return ubp_emit_2(e, "Mul", x, x);
    if (p == 3)
        return ubp_emit_2(e, "Mul", ubp_emit_2(e, "Mul", x, x), x);
    if (p == 0.5)
        return ubp_emit_1(e, "Sqrt", x);
    return UBP_NO_VALUE;
}

static void make_pow(ubp_at *a)
{
    ub_dtype d = ubp_at_promote(a, "self", "exponent");
    if (strcmp(a->base, "float_power") == 0)
        d = UB_F64;
    const int32_t x = ubp_at_operand(a, "self", d);
    int32_t y = UBP_NO_VALUE;
    if (!ubp_at_is_tensor(a, "exponent") && (ubp_is_float(d) || ubp_at_is_int(a, "exponent")))
        y = plain_power(a, x, ubp_at_float(a, "exponent", 1));
    if (y == UBP_NO_VALUE)
        y = ubp_emit_2(a->e, "Pow", x, ubp_at_operand(a, "exponent", d));
    give(a, y, d);
}

/* Whether it has a minus sign, -0 too. */
static int32_t is_negative(ubp_emit *e, int32_t y, int32_t zero)
{
    return ubp_emit_2(e, "Or", ubp_emit_2(e, "Less", y, zero),
                      ubp_emit_2(e, "Less", ubp_emit_1(e, "Reciprocal", y), zero));
}

static void make_copysign(ubp_at *a)
{
    ubp_emit *e = a->e;
    ub_dtype d = ubp_at_promote(a, "self", "other");
    d = ubp_is_float(d) ? d : UB_F32;
    const int32_t x = ubp_emit_1(e, "Abs", ubp_at_operand(a, "self", d));
    const int32_t y = ubp_at_operand(a, "other", d);
    give(a, ubp_emit_3(e, "Where", is_negative(e, y, number(a, d, 0)), ubp_emit_1(e, "Neg", x), x),
         d);
}

/* 0 below 0, 1 above it, the values at it. */
static void make_heaviside(ubp_at *a)
{
    ubp_emit *e = a->e;
    const ub_dtype d = ubp_at_promote(a, "self", "values");
    const int32_t x = ubp_at_operand(a, "self", d), zero = number(a, d, 0);
    const int32_t step = ubp_emit_cast(e, ubp_emit_2(e, "Greater", x, zero), d);
    give(a,
         ubp_emit_3(e, "Where", ubp_emit_2(e, "Equal", x, zero), ubp_at_operand(a, "values", d),
                    step),
         d);
}

static void make_atan2(ubp_at *a)
{
    ubp_emit *e = a->e;
    ub_dtype d = ubp_at_promote(a, "self", "other");
    d = ubp_is_float(d) ? d : UB_F32;
    const int32_t y = ubp_at_operand(a, "self", d), x = ubp_at_operand(a, "other", d);
    const int32_t zero = number(a, d, 0), pi = number(a, d, M_PI);
    const int32_t plain = ubp_emit_1(e, "Atan", ubp_emit_2(e, "Div", y, x));
    const int32_t turn =
        ubp_emit_3(e, "Where", is_negative(e, y, zero), ubp_emit_1(e, "Neg", pi), pi);
    const int32_t left = ubp_emit_2(e, "Less", x, zero);
    const int32_t turned = ubp_emit_2(e, "Add", plain, turn);
    const int32_t origin =
        ubp_emit_2(e, "And", ubp_emit_2(e, "Equal", x, zero), ubp_emit_2(e, "Equal", y, zero));
    give(a, ubp_emit_3(e, "Where", origin, zero, ubp_emit_3(e, "Where", left, turned, plain)), d);
}

/* fmax and fmin pass over NaN. */
static void make_fmax(ubp_at *a)
{
    ubp_emit *e = a->e;
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    const int32_t both = ubp_emit_2(e, ubp_at_word(a), x, y);
    if (!ubp_is_float(d)) {
        give(a, both, d);
        return;
    }
    const int32_t some = ubp_emit_3(e, "Where", ubp_emit_1(e, "IsNaN", y), x, both);
    give(a, ubp_emit_3(e, "Where", ubp_emit_1(e, "IsNaN", x), y, some), d);
}

static void make_logaddexp(ubp_at *a)
{
    ubp_emit *e = a->e;
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    const int32_t gap = ubp_emit_1(e, "Abs", ubp_emit_2(e, "Sub", x, y));
    const int32_t more = ubp_emit_1(e, "Softplus", ubp_emit_1(e, "Neg", gap));
    const int32_t sum = ubp_emit_2(e, "Add", ubp_emit_2(e, "Max", x, y), more);
    const int32_t infinite =
        ubp_emit_2(e, "And", ubp_emit_2(e, "Equal", x, y), ubp_emit_1(e, "IsInf", x));
    give(a, ubp_emit_3(e, "Where", infinite, x, sum), d);
}

static void make_xlogy(ubp_at *a)
{
    ubp_emit *e = a->e;
    ub_dtype d = ubp_at_promote(a, "self", "other");
    d = ubp_is_float(d) ? d : UB_F32;
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    const int32_t zero = number(a, d, 0);
    const int32_t none = ubp_emit_2(e, "And", ubp_emit_2(e, "Equal", x, zero),
                                    ubp_emit_1(e, "Not", ubp_emit_1(e, "IsNaN", y)));
    give(a, ubp_emit_3(e, "Where", none, zero, ubp_emit_2(e, "Mul", x, ubp_emit_1(e, "Log", y))),
         d);
}

static void make_hypot(ubp_at *a)
{
    ubp_emit *e = a->e;
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    give(a,
         ubp_emit_1(e, "Sqrt",
                    ubp_emit_2(e, "Add", ubp_emit_2(e, "Mul", x, x), ubp_emit_2(e, "Mul", y, y))),
         d);
}

/* ---- Comparisons and logic --------------------------------------------------------------------
 */

static void make_compare(ubp_at *a)
{
    const char *word = ubp_at_word(a);
    const bool negated = *word == '!';
    ub_dtype d = ubp_at_promote(a, "self", "other");
    if (d == UB_BOOL && strcmp(word + negated, "Equal") != 0)
        d = UB_I32;
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    int32_t r = ubp_emit_2(a->e, word + negated, x, y);
    if (negated)
        r = ubp_emit_1(a->e, "Not", r);
    give(a, r, UB_BOOL);
}

static void make_logical(ubp_at *a)
{
    const int32_t x = ubp_at_operand(a, "self", UB_BOOL), y = ubp_at_operand(a, "other", UB_BOOL);
    give(a, ubp_emit_2(a->e, ubp_at_word(a), x, y), UB_BOOL);
}

static void make_logical_not(ubp_at *a)
{
    give(a, ubp_emit_1(a->e, "Not", ubp_at_operand(a, "self", UB_BOOL)), UB_BOOL);
}

static void make_bitwise(ubp_at *a)
{
    const char *word = ubp_at_word(a);
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
    give(a, ubp_emit_2(a->e, d == UB_BOOL ? word + strlen("Bitwise") : word, x, y), d);
}

static void make_bitwise_not(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    if (ubp_at_meta(a, "self", &m))
        ubp_at_give(a, 0, ubp_emit_1(a->e, m.dtype == UB_BOOL ? "Not" : "BitwiseNot", x));
}

static void make_where(ubp_at *a)
{
    if (!ubp_at_given(a, "self")) {
        ubp_at_refuse(a, "a condition only, whose result has a size that hangs on data");
        return;
    }
    const ub_dtype d = ubp_at_promote(a, "self", "other");
    const int32_t in[] = {ubp_at_operand(a, "condition", UB_BOOL), ubp_at_operand(a, "self", d),
                          ubp_at_operand(a, "other", d)};
    give(a, ubp_emit_node(a->e, "Where", 3, in, 0, NULL), d);
}

static void make_masked_fill(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    const int32_t mask = ubp_at_operand(a, "mask", UB_BOOL);
    if (!ubp_at_meta(a, "self", &m))
        return;
    give(a, ubp_emit_3(a->e, "Where", mask, ubp_at_operand(a, "value", m.dtype), x), m.dtype);
}

/* ---- Limits -----------------------------------------------------------------------------------
 */

static void make_clamp(ubp_at *a)
{
    ubp_pt2_meta m;
    if (!ubp_at_out_meta(a, 0, &m))
        return;
    int32_t x = ubp_at_operand(a, "self", m.dtype);
    const bool lower = ubp_at_given(a, "min"), upper = ubp_at_given(a, "max");
    const int32_t low = lower ? ubp_at_operand(a, "min", m.dtype) : UBP_NO_VALUE;
    const int32_t high = upper ? ubp_at_operand(a, "max", m.dtype) : UBP_NO_VALUE;
    if ((lower && ubp_at_is_tensor(a, "min")) || (upper && ubp_at_is_tensor(a, "max"))) {
        x = lower ? ubp_emit_2(a->e, "Max", x, low) : x;
        x = upper ? ubp_emit_2(a->e, "Min", x, high) : x;
        ubp_at_give(a, 0, x);
        return;
    }
    ubp_at_give(a, 0, ubp_emit_3(a->e, "Clip", x, low, high));
}

static void make_nan_to_num(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return;
    if (!ubp_is_float(m.dtype)) {
        ubp_at_give(a, 0, ubp_emit_1(e, "Identity", x));
        return;
    }
    const double most = m.dtype == UB_F64    ? 1.7976931348623157e308
                        : m.dtype == UB_F16  ? 65504.0
                        : m.dtype == UB_BF16 ? 3.3895313892515355e38
                                             : 3.4028234663852886e38;
    const int32_t infinity = number(a, m.dtype, INFINITY);
    const int32_t up = number(a, m.dtype, ubp_at_float(a, "posinf", most));
    const int32_t down = number(a, m.dtype, ubp_at_float(a, "neginf", -most));
    const int32_t nan = number(a, m.dtype, ubp_at_float(a, "nan", 0));
    int32_t y = ubp_emit_3(e, "Where", ubp_emit_1(e, "IsNaN", x), nan, x);
    y = ubp_emit_3(e, "Where", ubp_emit_2(e, "Equal", x, infinity), up, y);
    const int32_t is_low = ubp_emit_2(e, "Equal", x, ubp_emit_1(e, "Neg", infinity));
    ubp_at_give(a, 0, ubp_emit_3(e, "Where", is_low, down, y));
}

/* ---- One operand ------------------------------------------------------------------------------
 */

/* Floats; integers become float32. */
static void make_float(ubp_at *a)
{
    ub_dtype d;
    const int32_t x = float_self(a, &d);
    give(a, ubp_emit_1(a->e, ubp_at_word(a), x), d);
}

/* Any dtype, which it keeps. */
static void make_same(ubp_at *a)
{
    ubp_at_give(a, 0, ubp_emit_1(a->e, ubp_at_word(a), ubp_at_tensor(a, "self")));
}

/* Of NaN it is 0. */
static void make_sign(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return;
    int32_t y = ubp_emit_1(e, m.dtype == UB_BOOL ? "Identity" : "Sign", x);
    if (ubp_is_float(m.dtype))
        y = ubp_emit_3(e, "Where", ubp_emit_1(e, "IsNaN", x), number(a, m.dtype, 0), y);
    ubp_at_give(a, 0, y);
}

/* Floor, Ceil, Round: of integers nothing. */
static void make_rounding(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    const int64_t decimals = ubp_at_int(a, "decimals", 0);
    if (!ubp_at_meta(a, "self", &m))
        return;
    if (decimals != 0 && ubp_is_float(m.dtype)) {
        const int32_t ten = number(a, m.dtype, pow(10, (double)llabs(decimals)));
        const int32_t up = ubp_emit_2(a->e, decimals > 0 ? "Mul" : "Div", x, ten);
        ubp_at_give(
            a, 0,
            ubp_emit_2(a->e, decimals > 0 ? "Div" : "Mul", ubp_emit_1(a->e, "Round", up), ten));
        return;
    }
    const char *op = ubp_is_float(m.dtype) ? ubp_at_word(a) : "Identity";
    if (strcmp(op, "trunc") == 0)
        ubp_at_give(a, 0, truncated(a, x));
    else if (strcmp(op, "frac") == 0)
        ubp_at_give(a, 0, ubp_emit_2(a->e, "Sub", x, truncated(a, x)));
    else
        ubp_at_give(a, 0, ubp_emit_1(a->e, op, x));
}

/* Functions made of others, each by its name. */
static int32_t composed(ubp_at *a, const char *what, int32_t x, ub_dtype d)
{
    ubp_emit *e = a->e;
    const int32_t one = number(a, d, 1);
    if (strcmp(what, "rsqrt") == 0)
        return ubp_emit_1(e, "Reciprocal", ubp_emit_1(e, "Sqrt", x));
    if (strcmp(what, "log2") == 0)
        return ubp_emit_2(e, "Div", ubp_emit_1(e, "Log", x), number(a, d, M_LN2));
    if (strcmp(what, "log10") == 0)
        return ubp_emit_2(e, "Div", ubp_emit_1(e, "Log", x), number(a, d, M_LN10));
    if (strcmp(what, "exp2") == 0)
        return ubp_emit_2(e, "Pow", number(a, d, 2), x);
    if (strcmp(what, "erfc") == 0)
        return ubp_emit_2(e, "Sub", one, ubp_emit_1(e, "Erf", x));
    if (strcmp(what, "deg2rad") == 0)
        return ubp_emit_2(e, "Mul", x, number(a, d, M_PI / 180));
    if (strcmp(what, "rad2deg") == 0)
        return ubp_emit_2(e, "Mul", x, number(a, d, 180 / M_PI));
    const int32_t two = number(a, d, 2);
    const int32_t small = ubp_emit_2(e, "Less", ubp_emit_1(e, "Abs", x), number(a, d, 0.25));
    if (strcmp(what, "expm1") == 0) { /* near 0 by tanh, which loses no digits there */
        const int32_t t = ubp_emit_1(e, "Tanh", ubp_emit_2(e, "Div", x, two));
        const int32_t near =
            ubp_emit_2(e, "Div", ubp_emit_2(e, "Mul", two, t), ubp_emit_2(e, "Sub", one, t));
        return ubp_emit_3(e, "Where", small, near,
                          ubp_emit_2(e, "Sub", ubp_emit_1(e, "Exp", x), one));
    }
    /* log1p */
    const int32_t part = ubp_emit_2(e, "Div", x, ubp_emit_2(e, "Add", two, x));
    const int32_t near = ubp_emit_2(e, "Mul", two, ubp_emit_1(e, "Atanh", part));
    return ubp_emit_3(e, "Where", small, near, ubp_emit_1(e, "Log", ubp_emit_2(e, "Add", one, x)));
}

static void make_composed(ubp_at *a)
{
    ub_dtype d;
    const int32_t x = float_self(a, &d);
    give(a, composed(a, ubp_at_word(a), x, d), d);
}

static void make_square(ubp_at *a)
{
    ubp_pt2_meta m, out;
    if (!ubp_at_meta(a, "self", &m) || !ubp_at_out_meta(a, 0, &out))
        return;
    int32_t x = ubp_at_tensor(a, "self");
    if (out.dtype != m.dtype) /* of a bool: an integer */
        x = ubp_emit_cast(a->e, x, out.dtype);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Mul", x, x));
}

static void make_logit(ubp_at *a)
{
    ubp_emit *e = a->e;
    ub_dtype d;
    int32_t x = float_self(a, &d);
    const int32_t one = number(a, d, 1);
    if (ubp_at_given(a, "eps")) {
        const double eps = ubp_at_float(a, "eps", 0);
        x = ubp_emit_3(e, "Clip", x, number(a, d, eps), number(a, d, 1 - eps));
    }
    give(a, ubp_emit_1(e, "Log", ubp_emit_2(e, "Div", x, ubp_emit_2(e, "Sub", one, x))), d);
}

static void make_is(ubp_at *a)
{
    const char *word = ubp_at_word(a);
    ub_dtype d;
    const int32_t x = float_self(a, &d);
    if (strcmp(word, "+") == 0 || strcmp(word, "-") == 0) {
        const ubp_attr attrs[] = {ubp_emit_int("detect_negative", *word == '-'),
                                  ubp_emit_int("detect_positive", *word == '+')};
        ubp_at_give(a, 0, ubp_emit_node(a->e, "IsInf", 1, &x, 2, attrs));
        return;
    }
    if (strcmp(word, "finite") != 0) {
        ubp_at_give(a, 0, ubp_emit_1(a->e, word, x));
        return;
    }
    const int32_t bad =
        ubp_emit_2(a->e, "Or", ubp_emit_1(a->e, "IsNaN", x), ubp_emit_1(a->e, "IsInf", x));
    ubp_at_give(a, 0, ubp_emit_1(a->e, "Not", bad));
}

/* ---- Three operands ---------------------------------------------------------------------------
 */

static void make_addc(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    if (!ubp_at_out_meta(a, 0, &m))
        return;
    const int32_t x = ubp_at_operand(a, "self", m.dtype);
    const int32_t y = ubp_at_operand(a, "tensor1", m.dtype);
    const int32_t z = ubp_at_operand(a, "tensor2", m.dtype);
    const double value = ubp_at_float(a, "value", 1);
    int32_t part = ubp_emit_2(e, ubp_at_word(a), y, z);
    if (value != 1)
        part = ubp_emit_2(e, "Mul", part, number(a, m.dtype, value));
    ubp_at_give(a, 0, ubp_emit_2(e, "Add", x, part));
}

static void make_lerp(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    if (!ubp_at_out_meta(a, 0, &m))
        return;
    const int32_t x = ubp_at_operand(a, "self", m.dtype), y = ubp_at_operand(a, "end", m.dtype);
    const int32_t w = ubp_at_operand(a, "weight", m.dtype);
    const int32_t step = ubp_emit_2(e, "Mul", w, ubp_emit_2(e, "Sub", y, x));
    ubp_at_give(a, 0, ubp_emit_2(e, "Add", x, step));
}

/* Writes what is given into self, whatever was there. */
static void make_copy(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return;
    const char *from = ubp_at_given(a, "src") ? "src" : "value";
    const int32_t y = strcmp(ubp_at_word(a), "zero") == 0 ? number(a, m.dtype, 0)
                                                          : ubp_at_operand(a, from, m.dtype);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Expand", y, ubp_emit_shape(a->e, x)));
}

const ubp_pt2_op ubp_pt2_ops_math[] = {
    {"add", make_arith, "Add"},
    {"sub", make_arith, "Sub"},
    {"subtract", make_arith, "Sub"},
    {"rsub", make_arith, "~Sub"},
    {"mul", make_arith, "Mul"},
    {"multiply", make_arith, "Mul"},
    {"maximum", make_arith, "Max"},
    {"minimum", make_arith, "Min"},
    {"div", make_div, ""},
    {"divide", make_div, ""},
    {"true_divide", make_div, ""},
    {"floor_divide", make_div, "floor"},
    {"remainder", make_mod, "python"},
    {"fmod", make_mod, ""},
    {"pow", make_pow, ""},
    {"float_power", make_pow, ""},
    {"atan2", make_atan2, ""},
    {"arctan2", make_atan2, ""},
    {"copysign", make_copysign, ""},
    {"heaviside", make_heaviside, ""},
    {"fmax", make_fmax, "Max"},
    {"fmin", make_fmax, "Min"},
    {"logaddexp", make_logaddexp, ""},
    {"xlogy", make_xlogy, ""},
    {"hypot", make_hypot, ""},
    {"eq", make_compare, "Equal"},
    {"ne", make_compare, "!Equal"},
    {"not_equal", make_compare, "!Equal"},
    {"lt", make_compare, "Less"},
    {"less", make_compare, "Less"},
    {"le", make_compare, "LessOrEqual"},
    {"less_equal", make_compare, "LessOrEqual"},
    {"gt", make_compare, "Greater"},
    {"greater", make_compare, "Greater"},
    {"ge", make_compare, "GreaterOrEqual"},
    {"greater_equal", make_compare, "GreaterOrEqual"},
    {"logical_and", make_logical, "And"},
    {"logical_or", make_logical, "Or"},
    {"logical_xor", make_logical, "Xor"},
    {"logical_not", make_logical_not, ""},
    {"bitwise_and", make_bitwise, "BitwiseAnd"},
    {"bitwise_or", make_bitwise, "BitwiseOr"},
    {"bitwise_xor", make_bitwise, "BitwiseXor"},
    {"__and__", make_bitwise, "BitwiseAnd"},
    {"__or__", make_bitwise, "BitwiseOr"},
    {"__xor__", make_bitwise, "BitwiseXor"},
    {"bitwise_not", make_bitwise_not, ""},
    {"where", make_where, ""},
    {"masked_fill", make_masked_fill, ""},
    {"clamp", make_clamp, ""},
    {"clip", make_clamp, ""},
    {"clamp_min", make_clamp, ""},
    {"clamp_max", make_clamp, ""},
    {"nan_to_num", make_nan_to_num, ""},
    {"abs", make_same, "Abs"},
    {"absolute", make_same, "Abs"},
    {"neg", make_same, "Neg"},
    {"negative", make_same, "Neg"},
    {"sign", make_sign, ""},
    {"sgn", make_sign, ""},
    {"positive", make_same, "Identity"},
    {"floor", make_rounding, "Floor"},
    {"ceil", make_rounding, "Ceil"},
    {"round", make_rounding, "Round"},
    {"trunc", make_rounding, "trunc"},
    {"fix", make_rounding, "trunc"},
    {"frac", make_rounding, "frac"},
    {"sqrt", make_float, "Sqrt"},
    {"reciprocal", make_float, "Reciprocal"},
    {"exp", make_float, "Exp"},
    {"log", make_float, "Log"},
    {"erf", make_float, "Erf"},
    {"special_erf", make_float, "Erf"},
    {"sin", make_float, "Sin"},
    {"cos", make_float, "Cos"},
    {"tan", make_float, "Tan"},
    {"asin", make_float, "Asin"},
    {"arcsin", make_float, "Asin"},
    {"acos", make_float, "Acos"},
    {"arccos", make_float, "Acos"},
    {"atan", make_float, "Atan"},
    {"arctan", make_float, "Atan"},
    {"sinh", make_float, "Sinh"},
    {"cosh", make_float, "Cosh"},
    {"tanh", make_float, "Tanh"},
    {"asinh", make_float, "Asinh"},
    {"acosh", make_float, "Acosh"},
    {"atanh", make_float, "Atanh"},
    {"sigmoid", make_float, "Sigmoid"},
    {"special_expit", make_float, "Sigmoid"},
    {"rsqrt", make_composed, "rsqrt"},
    {"log2", make_composed, "log2"},
    {"log10", make_composed, "log10"},
    {"exp2", make_composed, "exp2"},
    {"special_exp2", make_composed, "exp2"},
    {"expm1", make_composed, "expm1"},
    {"log1p", make_composed, "log1p"},
    {"erfc", make_composed, "erfc"},
    {"deg2rad", make_composed, "deg2rad"},
    {"rad2deg", make_composed, "rad2deg"},
    {"square", make_square, ""},
    {"logit", make_logit, ""},
    {"isnan", make_is, "IsNaN"},
    {"isinf", make_is, "IsInf"},
    {"isfinite", make_is, "finite"},
    {"isposinf", make_is, "+"},
    {"isneginf", make_is, "-"},
    {"addcmul", make_addc, "Mul"},
    {"addcdiv", make_addc, "Div"},
    {"lerp", make_lerp, ""},
    {"copy", make_copy, ""},
    {"fill", make_copy, ""},
    {"zero", make_copy, "zero"},
    {0},
};
