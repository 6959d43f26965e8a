/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of batch rules (samples.c) against brute force: every element of the inputs is given
 * the sample it belongs to, the elements are broadcast or reshaped by plain index arithmetic, and
 * the map the word answers must say of each output element what came out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/ops.h"

#include <stdio.h>
#include <string.h>

enum { NO_SAMPLE = -1, MIXED = -2, MOST = 4096 };

/* A call of up to three inputs with one output. */
typedef struct setup {
    ub_tensor in[3], out, grown;
    const ub_tensor *ins[3];
    ub_tensor *outs[1];
    ubp_samples in_maps[3], out_map;
    ubp_call call;
    ubp_batch b;
} setup;

static ub_tensor shape(ub_dtype dtype, int rank, const int64_t *dims)
{
    ub_tensor t;
    assert_int_equal(ubp_tensor_describe(&t, dtype, rank, dims, NULL), UB_OK);
    return t;
}

static ubp_samples on_axis(int axis, int64_t outer, int64_t inner)
{
    return (ubp_samples){
        .kind = UBP_SAMPLES_AXIS, .axis = axis, .outer = outer, .inner = inner, .culprit = -1};
}

static ubp_samples nowhere(void)
{
    return (ubp_samples){.outer = 1, .inner = 1, .culprit = -1};
}

/* Ties the parts together; in, out and the maps are filled. */
static ubp_batch *tie(setup *s, int n_in, int64_t n, bool grows)
{
    for (int i = 0; i < n_in; i++)
        s->ins[i] = &s->in[i];
    s->outs[0] = &s->out;
    s->call = (ubp_call){.n_in = n_in, .n_out = 1, .in = s->ins, .out = s->outs};
    s->out_map = (ubp_samples){.outer = 1, .inner = 1, .culprit = -1};
    s->b = (ubp_batch){.call = &s->call,
                       .n = n,
                       .in = s->in_maps,
                       .out = &s->out_map,
                       .grown = grows ? &s->grown : NULL};
    return &s->b;
}

static void split(const ub_tensor *t, int64_t flat, int64_t *index)
{
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        index[axis] = flat % t->dims[axis];
        flat /= t->dims[axis];
    }
}

/* The sample the map gives to an element. */
static int64_t label(const ub_tensor *t, const ubp_samples *s, int64_t n, int64_t flat)
{
    int64_t index[UB_MAX_RANK];
    if (s->kind != UBP_SAMPLES_AXIS)
        return NO_SAMPLE;
    split(t, flat, index);
    return index[s->axis] / s->inner % n;
}

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static int64_t random_below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

/* ---- Broadcasting ------------------------------------------------------------------------------
 */

/* The sample of an element of input i that lands on output element `flat`. */
static int64_t broadcast_label(const setup *s, int i, int64_t flat)
{
    int64_t index[UB_MAX_RANK], at = 0;
    const ub_tensor *t = &s->in[i];
    split(&s->out, flat, index);
    for (int axis = 0; axis < t->rank; axis++) {
        int64_t k = index[axis + s->out.rank - t->rank];
        at = at * t->dims[axis] + (t->dims[axis] == 1 ? 0 : k);
    }
    return label(t, &s->in_maps[i], s->b.n, at);
}

/* What brute force says of output element `flat`. */
static int64_t broadcast_truth(const setup *s, int64_t flat)
{
    int64_t found = NO_SAMPLE;
    for (int i = 0; i < s->call.n_in; i++) {
        int64_t own = broadcast_label(s, i, flat);
        if (own == NO_SAMPLE)
            continue;
        if (found != NO_SAMPLE && found != own)
            return MIXED;
        found = own;
    }
    return found;
}

/* An operand of the output's shape with some axes 1 or missing, samples somewhere or nowhere. */
static void random_operand(setup *s, int i, int64_t n)
{
    int64_t dims[UB_MAX_RANK];
    int drop = (int)random_below(s->out.rank + 1);
    int rank = s->out.rank - (i == 0 ? 0 : drop);
    for (int a = 0; a < rank; a++) {
        dims[a] = s->out.dims[a + s->out.rank - rank];
        if (i > 0 && random_below(3) == 0)
            dims[a] = 1;
    }
    s->in[i] = shape(UB_F32, rank, dims);
    s->in_maps[i] = nowhere();
    int axis = rank > 0 ? (int)random_below(rank) : 0;
    int64_t outer = 1 + random_below(2), inner = 1 + random_below(2);
    if (rank > 0 && random_below(3) != 0 && dims[axis] == outer * n * inner)
        s->in_maps[i] = on_axis(axis, outer, inner);
}

static void broadcast_is_right(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 4, 6, 12};
    int followed = 0, coupled = 0;
    for (int round = 0; round < 200000; round++) {
        setup s;
        int64_t n = 2 + random_below(2), dims[3];
        int rank = 1 + (int)random_below(3);
        for (int a = 0; a < rank; a++)
            dims[a] = sizes[random_below(UBP_COUNT(sizes))];
        s.out = shape(UB_F32, rank, dims);
        for (int i = 0; i < 2; i++)
            random_operand(&s, i, n);
        ubp_samples_broadcast(tie(&s, 2, n, false), 0, 0, 1);
        if (s.out_map.coupled) {
            coupled++;
            continue;
        }
        followed += s.out_map.kind == UBP_SAMPLES_AXIS;
        for (int64_t e = 0; e < ub_tensor_count(&s.out); e++)
            assert_int_equal(label(&s.out, &s.out_map, n, e), broadcast_truth(&s, e));
    }
    assert_true(followed > 1000);
    assert_true(coupled > 1000);
}

/* Operands that agree are never called coupled. */
static void broadcast_is_not_shy(void **state)
{
    (void)state;
    setup s;
    const int64_t x[] = {3, 8, 5}, row[] = {8, 1}, same[] = {3, 1, 1};
    s.out = s.in[0] = shape(UB_F32, 3, x);
    s.in_maps[0] = on_axis(0, 1, 1);
    s.in[1] = shape(UB_F32, 2, row);
    s.in_maps[1] = nowhere();
    s.in[2] = shape(UB_F32, 3, same);
    s.in_maps[2] = on_axis(0, 1, 1);
    ubp_samples_broadcast(tie(&s, 3, 3, false), 0, 0, 2);
    assert_false(s.out_map.coupled);
    assert_int_equal(s.out_map.kind, UBP_SAMPLES_AXIS);
    assert_int_equal(s.out_map.axis, 0);

    /* One sample: an axis of size 1 that is stretched is wholly that sample's. */
    const int64_t one[] = {1, 5}, big[] = {4, 5};
    s.in[0] = shape(UB_F32, 2, one);
    s.in[1] = s.out = shape(UB_F32, 2, big);
    s.in_maps[0] = on_axis(0, 1, 1);
    s.in_maps[1] = nowhere();
    ubp_samples_broadcast(tie(&s, 2, 1, false), 0, 0, 1);
    assert_false(s.out_map.coupled);
    assert_int_equal(s.out_map.inner, 4);
}

static void numbers_of_samples_are_no_data(void **state)
{
    (void)state;
    setup s;
    const int64_t x[] = {3, 5};
    s.out = s.in[0] = shape(UB_F32, 2, x);
    s.in_maps[0] = on_axis(0, 1, 1);
    s.in[1] = shape(UB_F32, 0, NULL);
    s.in_maps[1] = nowhere();
    s.in_maps[1].sized = true;
    ubp_samples_broadcast(tie(&s, 2, 3, false), 0, 0, 1);
    assert_true(s.out_map.coupled);
    assert_string_equal(s.out_map.why, "uses the number of samples as data");

    /* Shape arithmetic stays shape arithmetic. */
    s.in[0] = s.in[1] = s.out = shape(UB_I64, 0, NULL);
    s.in_maps[0] = nowhere();
    ubp_samples_broadcast(tie(&s, 2, 3, false), 0, 0, 1);
    assert_false(s.out_map.coupled);
    assert_true(s.out_map.sized);

    /* Row numbers times a constant are row numbers still. */
    const int64_t rows[] = {3};
    s.in[0] = s.out = shape(UB_I64, 1, rows);
    s.in_maps[0] = on_axis(0, 1, 1);
    s.in_maps[0].positional = true;
    s.in_maps[1] = nowhere();
    ubp_samples_broadcast(tie(&s, 2, 3, false), 0, 0, 1);
    assert_false(s.out_map.coupled);
    assert_true(s.out_map.positional);
    assert_int_equal(s.out_map.kind, UBP_SAMPLES_AXIS);

    /* ... and not data. */
    s.in[1] = shape(UB_I64, 1, rows);
    s.in_maps[1] = on_axis(0, 1, 1);
    ubp_samples_broadcast(tie(&s, 2, 3, false), 0, 0, 1);
    assert_true(s.out_map.coupled);
}

/* ---- Reshaping ---------------------------------------------------------------------------------
 */

/* Whether any map at all describes these labels on t. */
static bool expressible(const ub_tensor *t, const int64_t *labels, int64_t n)
{
    int64_t count = ub_tensor_count(t);
    for (int axis = 0; axis < t->rank; axis++)
        for (int64_t inner = 1; inner * n <= t->dims[axis]; inner++) {
            bool fits = t->dims[axis] % (inner * n) == 0;
            ubp_samples map = on_axis(axis, t->dims[axis] / (inner * n), inner);
            for (int64_t e = 0; fits && e < count; e++)
                fits = label(t, &map, n, e) == labels[e];
            if (fits)
                return true;
        }
    return false;
}

/* dims whose product is `count`. */
static int random_factors(int64_t count, int64_t *dims)
{
    int rank = 1 + (int)random_below(4);
    for (int a = 0; a < rank - 1; a++) {
        int64_t d;
        do {
            d = 1 + random_below(count);
        } while (count % d != 0);
        dims[a] = d;
        count /= d;
    }
    dims[rank - 1] = count;
    return rank;
}

static void reshape_is_right(void **state)
{
    (void)state;
    int followed = 0, coupled = 0;
    for (int round = 0; round < 30000; round++) {
        setup s;
        int64_t n = 2 + random_below(2), dims[4], labels[MOST];
        int64_t outer = 1 + random_below(3), inner = 1 + random_below(3);
        int rank = 1 + (int)random_below(3), axis = (int)random_below(rank);
        for (int a = 0; a < rank; a++)
            dims[a] = 1 + random_below(4);
        dims[axis] = outer * n * inner;
        s.in[0] = shape(UB_F32, rank, dims);
        s.in_maps[0] = on_axis(axis, outer, inner);
        int64_t count = ub_tensor_count(&s.in[0]);
        assert_true(count <= MOST);
        for (int64_t e = 0; e < count; e++)
            labels[e] = label(&s.in[0], &s.in_maps[0], n, e);
        rank = random_factors(count, dims);
        s.out = shape(UB_F32, rank, dims);
        ubp_samples_reshape(tie(&s, 1, n, false), 0);
        if (s.out_map.coupled) {
            assert_false(expressible(&s.out, labels, n));
            coupled++;
            continue;
        }
        assert_int_equal(s.out_map.kind, UBP_SAMPLES_AXIS);
        for (int64_t e = 0; e < count; e++)
            assert_int_equal(label(&s.out, &s.out_map, n, e), labels[e]);
        followed++;
    }
    assert_true(followed > 5000);
    assert_true(coupled > 5000);
}

/* A batch of one must be found on the axis it would be on in a larger batch. */
static void reshape_of_one_sample(void **state)
{
    (void)state;
    for (int round = 0; round < 30000; round++) {
        setup s, many;
        int64_t n = 2, dims[4], one[4];
        int64_t outer = 1 + random_below(3), inner = 1 + random_below(3);
        int rank = 1 + (int)random_below(3), axis = (int)random_below(rank);
        for (int a = 0; a < rank; a++)
            dims[a] = 1 + random_below(4);
        dims[axis] = outer * n * inner;
        many.in[0] = shape(UB_F32, rank, dims);
        many.in_maps[0] = on_axis(axis, outer, inner);
        memcpy(one, dims, sizeof one);
        one[axis] = outer * inner;
        s.in[0] = shape(UB_F32, rank, one);
        s.in_maps[0] = on_axis(axis, outer, inner);
        rank = random_factors(ub_tensor_count(&many.in[0]), dims);
        many.out = shape(UB_F32, rank, dims);
        ubp_samples_reshape(tie(&many, 1, n, false), 0);
        if (many.out_map.coupled)
            continue;
        dims[many.out_map.axis] /= n;
        s.out = shape(UB_F32, rank, dims);
        s.grown = many.out;
        ubp_samples_reshape(tie(&s, 1, 1, true), 0);
        assert_false(s.out_map.coupled);
        assert_int_equal(s.out_map.axis, many.out_map.axis);
        assert_int_equal(s.out_map.outer, many.out_map.outer);
        assert_int_equal(s.out_map.inner, many.out_map.inner);
    }
}

/* Without the dims of a larger batch: the usual reshapes of one sample. */
static void reshape_of_one_sample_blind(void **state)
{
    (void)state;
    static const struct {
        int64_t in[4], out[4];
        int in_rank, out_rank, in_axis, axis;
        int64_t in_inner, inner;
    } cases[] = {
        {{1, 3, 4, 5}, {1, 60}, 4, 2, 0, 0, 1, 1},   /* flatten */
        {{1, 7, 5}, {7, 5}, 3, 2, 0, 0, 1, 7},       /* fold the time */
        {{7, 5}, {1, 7, 5}, 2, 3, 0, 0, 7, 1},       /* and unfold it */
        {{1, 7, 6}, {1, 7, 2, 3}, 3, 4, 0, 0, 1, 1}, /* heads */
        {{1, 1, 5}, {1, 1, 5}, 3, 3, 1, 1, 1, 1},    /* nothing, samples on axis 1 */
    };
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        setup s;
        s.in[0] = shape(UB_F32, cases[i].in_rank, cases[i].in);
        s.out = shape(UB_F32, cases[i].out_rank, cases[i].out);
        s.in_maps[0] = on_axis(cases[i].in_axis, 1, cases[i].in_inner);
        ubp_samples_reshape(tie(&s, 1, 1, false), 0);
        assert_false(s.out_map.coupled);
        assert_int_equal(s.out_map.axis, cases[i].axis);
        assert_int_equal(s.out_map.inner, cases[i].inner);
    }
}

static void empty_tensors(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{0, 3}, {3, 0}, {0, 0}};
    for (int i = 0; i < UBP_COUNT(shapes); i++)
        for (int axis = 0; axis < 2; axis++)
            for (int64_t n = 0; n < 4; n++) {
                setup s;
                const int64_t flat[] = {0};
                s.in[0] = shape(UB_F32, 2, shapes[i]);
                if (s.in[0].dims[axis] != n)
                    continue;
                s.in_maps[0] = on_axis(axis, 1, 1);
                s.out = shape(UB_F32, 1, flat);
                ubp_samples_reshape(tie(&s, 1, n, false), 0);
                s.out = s.in[0];
                s.in[1] = s.in[0];
                s.in_maps[1] = nowhere();
                ubp_samples_broadcast(tie(&s, 2, n, false), 0, 0, 1);
                assert_int_equal(s.out_map.kind, UBP_SAMPLES_AXIS);
            }
}

/* ---- Made from shapes --------------------------------------------------------------------------
 */

static void grown_axis(void **state)
{
    (void)state;
    setup s;
    const int64_t now[] = {2, 6, 5}, more[] = {2, 8, 5}, odd[] = {2, 7, 5}, both[] = {3, 8, 5};
    s.in[0] = shape(UB_I64, 0, NULL);
    s.in_maps[0] = nowhere();
    s.in_maps[0].sized = true;
    s.out = shape(UB_F32, 3, now);

    s.grown = shape(UB_F32, 3, more);
    ubp_samples_grown(tie(&s, 1, 3, true), 0);
    assert_int_equal(s.out_map.kind, UBP_SAMPLES_AXIS);
    assert_int_equal(s.out_map.axis, 1);
    assert_int_equal(s.out_map.inner, 2);
    assert_false(s.out_map.coupled);

    s.grown = s.out;
    ubp_samples_grown(tie(&s, 1, 3, true), 0);
    assert_int_equal(s.out_map.kind, UBP_SAMPLES_NONE);
    assert_false(s.out_map.coupled);

    s.grown = shape(UB_F32, 3, odd);
    ubp_samples_grown(tie(&s, 1, 3, true), 0);
    assert_true(s.out_map.coupled);

    s.grown = shape(UB_F32, 3, both);
    ubp_samples_grown(tie(&s, 1, 3, true), 0);
    assert_true(s.out_map.coupled);

    ubp_samples_grown(tie(&s, 1, 3, false), 0);
    assert_true(s.out_map.coupled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcast_is_right),
        cmocka_unit_test(broadcast_is_not_shy),
        cmocka_unit_test(numbers_of_samples_are_no_data),
        cmocka_unit_test(reshape_is_right),
        cmocka_unit_test(reshape_of_one_sample),
        cmocka_unit_test(reshape_of_one_sample_blind),
        cmocka_unit_test(empty_tensors),
        cmocka_unit_test(grown_axis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
