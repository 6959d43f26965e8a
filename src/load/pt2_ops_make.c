/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's operators that make tensors of nothing but sizes and numbers.
 */
#include <math.h>
#include <string.h>

#include "load/pt2.h"

/* The dtype that the file says of the output. */
static ub_dtype out_dtype(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_at_dtype(a, "dtype", UB_F32);
    if (!ubp_at_out_meta(a, 0, &m))
        return UB_F32;
    if (m.dtype == UB_UNDEFINED)
        ubp_at_refuse(a, "dtype %s", ubp_pt2_dtype_name(m.code));
    return m.dtype;
}

/* What all elements are: "0" and "1", or the argument of that name. */
static int32_t filler(ubp_at *a, ub_dtype d)
{
    const char *word = ubp_at_word(a);
    if (strcmp(word, "0") == 0 || strcmp(word, "1") == 0)
        return ubp_emit_number(a->e, d, *word - '0');
    return ubp_at_operand(a, word, d);
}

/* zeros, full and the like: of given sizes, or of those of self. */
static void make_full(ubp_at *a)
{
    ubp_pt2_size sizes[UBP_PT2_MAX_LIST];
    const ub_dtype d = out_dtype(a);
    const int32_t value = filler(a, d);
    ubp_at_ignore(a, "self");
    ubp_at_ignore(a, "physical_layout");
    const int n = ubp_at_sizes(a, "size", sizes, UBP_PT2_MAX_LIST);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Expand", value, ubp_at_shape(a, sizes, n < 0 ? 0 : n)));
}

static void make_like(ubp_at *a)
{
    const ub_dtype d = out_dtype(a);
    const int32_t x = ubp_at_tensor(a, "self");
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Expand", filler(a, d), ubp_emit_shape(a->e, x)));
}

static void make_scalar(ubp_at *a)
{
    const ub_dtype d = out_dtype(a);
    ubp_at_give(a, 0, ubp_emit_1(a->e, "Identity", ubp_at_operand(a, ubp_at_word(a), d)));
}

/* A number as a scalar of that dtype; sizes of the model are lists of one. */
static int32_t limit(ubp_at *a, const char *name, ub_dtype d, double def)
{
    const int64_t front = 0;
    if (!ubp_at_given(a, name))
        return ubp_emit_number(a->e, d, def);
    if (!ubp_at_is_int(a, name))
        return ubp_emit_number(a->e, d, ubp_at_float(a, name, def));
    const ubp_pt2_size s = ubp_at_size(a, name, 0);
    if (s.value == UBP_NO_VALUE)
        return ubp_emit_integer(a->e, d, s.known);
    const int32_t scalar = ubp_emit_squeeze(a->e, s.value, &front, 1);
    return d == UB_I64 ? scalar : ubp_emit_cast(a->e, scalar, d);
}

static void make_arange(ubp_at *a)
{
    const ub_dtype d = out_dtype(a);
    /* Counted in what represents the limits, then brought to the dtype. */
    const ub_dtype in = ubp_is_float(d) ? (d == UB_F64 ? UB_F64 : UB_F32) : UB_I64;
    const int32_t x = ubp_emit_3(a->e, "Range", limit(a, "start", in, 0), limit(a, "end", in, 0),
                                 limit(a, "step", in, 1));
    ubp_at_give(a, 0, in == d ? x : ubp_emit_cast(a->e, x, d));
}

/* n float32 numbers, from both ends, as PyTorch has them. */
static int32_t float_steps(ubp_at *a, double start, double end, int64_t n)
{
    float *v = ubp_at_array(a, (size_t)n, sizeof(*v));
    const float step = n > 1 ? ((float)end - (float)start) / (float)(n - 1) : 0;
    for (int64_t i = 0; v && i < n; i++)
        v[i] = i < n / 2 ? (float)start + step * (float)i : (float)end - step * (float)(n - i - 1);
    if (v && n == 1)
        v[0] = (float)start;
    return v ? ubp_emit_floats(a->e, v, n) : UBP_NO_VALUE;
}

/* The same in float64, by nodes. */
static int32_t double_steps(ubp_at *a, double start, double end, int64_t n)
{
    ubp_emit *e = a->e;
    const double step = n > 1 ? (end - start) / (double)(n - 1) : 0;
    const int32_t x =
        ubp_emit_3(e, "Range", ubp_emit_number(e, UB_F64, 0), ubp_emit_number(e, UB_F64, (double)n),
                   ubp_emit_number(e, UB_F64, 1));
    const int32_t each = ubp_emit_number(e, UB_F64, step);
    const int32_t back = ubp_emit_2(e, "Sub", ubp_emit_number(e, UB_F64, (double)(n - 1)), x);
    const int32_t low =
        ubp_emit_2(e, "Add", ubp_emit_number(e, UB_F64, start), ubp_emit_2(e, "Mul", each, x));
    const int32_t high = ubp_emit_2(e, "Sub", ubp_emit_number(e, UB_F64, n > 1 ? end : start),
                                    ubp_emit_2(e, "Mul", each, back));
    const int32_t half = ubp_emit_number(e, UB_F64, (double)(n / 2));
    return ubp_emit_3(e, "Where", ubp_emit_2(e, "Less", x, half), low, high);
}

static void make_linspace(ubp_at *a)
{
    enum { MOST = 1 << 16 };
    const ub_dtype d = out_dtype(a);
    const double start = ubp_at_float(a, "start", 0), end = ubp_at_float(a, "end", 0);
    const int64_t n = ubp_at_int(a, "steps", 1);
    if (n < 0 || n > MOST) {
        ubp_at_refuse(a, "%lld steps", (long long)n);
        return;
    }
    const int32_t x = d == UB_F64 ? double_steps(a, start, end, n) : float_steps(a, start, end, n);
    ubp_at_give(a, 0,
                d == UB_F32 || d == UB_F64 ? ubp_emit_1(a->e, "Identity", x)
                                           : ubp_emit_cast(a->e, x, d));
}

static void make_eye(ubp_at *a)
{
    const ub_dtype d = out_dtype(a);
    ubp_pt2_size sizes[] = {ubp_at_size(a, "n", 1), {0, UBP_NO_VALUE}};
    sizes[1] = ubp_at_given(a, "m") ? ubp_at_size(a, "m", 1) : sizes[0];
    const int32_t zero = ubp_emit_number(a->e, UB_F32, 0);
    const int32_t x = ubp_emit_2(a->e, "Expand", zero, ubp_at_shape(a, sizes, 2));
    const ubp_attr to = ubp_emit_int("dtype", UB_F32);
    const int32_t y = ubp_emit_node(a->e, "EyeLike", 1, &x, 1, &to);
    ubp_at_give(a, 0, d == UB_F32 ? y : ubp_emit_cast(a->e, y, d));
}

static void make_random(ubp_at *a)
{
    ubp_at_refuse(a, "random numbers");
}

const ubp_pt2_op ubp_pt2_ops_make[] = {
    {"zeros", make_full, "0"},           {"ones", make_full, "1"},
    {"empty", make_full, "0"}, /* what is in it is not said: zeros will do */
    {"empty_permuted", make_full, "0"},  {"full", make_full, "fill_value"},
    {"new_zeros", make_full, "0"},       {"new_ones", make_full, "1"},
    {"new_empty", make_full, "0"},       {"new_full", make_full, "fill_value"},
    {"zeros_like", make_like, "0"},      {"ones_like", make_like, "1"},
    {"empty_like", make_like, "0"},      {"full_like", make_like, "fill_value"},
    {"scalar_tensor", make_scalar, "s"}, {"arange", make_arange, ""},
    {"linspace", make_linspace, ""},     {"eye", make_eye, ""},
    {"rand", make_random, ""},           {"rand_like", make_random, ""},
    {"randn", make_random, ""},          {"randn_like", make_random, ""},
    {"randint", make_random, ""},        {"randint_like", make_random, ""},
    {"randperm", make_random, ""},       {"bernoulli", make_random, ""},
    {"normal", make_random, ""},         {"uniform", make_random, ""},
    {"multinomial", make_random, ""},    {0},
};
