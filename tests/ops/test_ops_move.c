/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operators that move elements, beyond ONNX's cases: views give the elements NumPy gives, on
 * inputs of any strides; sizes and indices that no tensor has are refused; what hangs on data says
 * so; and the batch rules follow the samples where exporters need them to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/ops.h"

#include <string.h>

enum { PORTS = 5, ATTRS = 3, ROOM = 512 };

/* One call of one node. */
typedef struct sheet {
    ubp_node node;
    ubp_attr attrs[ATTRS];
    int64_t parsed[32];
    ub_tensor in[PORTS], out[PORTS], grown[PORTS];
    const ub_tensor *ins[PORTS];
    ub_tensor *outs[PORTS];
    ubp_samples in_maps[PORTS], out_maps[PORTS];
    int64_t data[PORTS][ROOM]; /* of the inputs */
    float result[ROOM];
    ubp_arena arena;
    ubp_run run;
    ubp_call c;
    ub_error err;
} sheet;

static sheet s; /* the one on the table: too large for a stack */

static void begin(const char *op, int n_out)
{
    ubp_arena_release(&s.arena);
    memset(&s, 0, sizeof s);
    s.node = (ubp_node){.name = "n", .op_type = op, .domain = "", .op = ubp_op_find(op, "")};
    assert_non_null(s.node.op);
    s.node.attrs = s.attrs;
    s.run = (ubp_run){.threads = 2, .scratch = &s.arena};
    s.c = (ubp_call){.op = s.node.op,
                     .node = &s.node,
                     .attr = s.parsed,
                     .n_out = n_out,
                     .in = s.ins,
                     .out = s.outs,
                     .run = &s.run,
                     .err = &s.err};
    for (int k = 0; k < n_out; k++)
        s.outs[k] = &s.out[k];
    assert_true(s.node.op->attr_size <= sizeof s.parsed);
}

static void attr_int(const char *name, int64_t i)
{
    s.attrs[s.node.n_attrs++] = (ubp_attr){.name = name, .kind = UBP_ATTR_INT, .i = i};
}

static void attr_ints(const char *name, const int64_t *ints, size_t n)
{
    s.attrs[s.node.n_attrs++] =
        (ubp_attr){.name = name, .kind = UBP_ATTR_INTS, .ints = ints, .n = n};
}

static void attr_text(const char *name, const char *text)
{
    s.attrs[s.node.n_attrs++] =
        (ubp_attr){.name = name, .kind = UBP_ATTR_STRING, .s = text, .s_size = strlen(text)};
}

static ub_tensor *input(ub_dtype dtype, int rank, const int64_t *dims)
{
    int i = s.c.n_in++;
    assert_int_equal(ubp_tensor_describe(&s.in[i], dtype, rank, dims, NULL), UB_OK);
    s.ins[i] = &s.in[i];
    s.in_maps[i] = (ubp_samples){.outer = 1, .inner = 1, .culprit = -1};
    return &s.in[i];
}

/* An input whose data is not there: a shape of up to 4 dims, ending with -1. */
static ub_tensor *shaped(ub_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t dims[4] = {a, b, c, d};
    int rank = 0;
    while (rank < 4 && dims[rank] >= 0)
        rank++;
    return input(dtype, rank, dims);
}

/* 0, 1, 2, ... in float32. */
static ub_tensor *counting(int64_t a, int64_t b, int64_t c, int64_t d)
{
    ub_tensor *t = shaped(UB_F32, a, b, c, d);
    assert_true(ub_tensor_count(t) <= ROOM);
    t->data = s.data[s.c.n_in - 1];
    for (int64_t i = 0; i < ub_tensor_count(t); i++)
        ((float *)t->data)[i] = (float)i;
    return t;
}

/* Integers of rank 1. */
static ub_tensor *ints(int n, ...)
{
    int64_t dim = n;
    ub_tensor *t = input(UB_I64, 1, &dim);
    va_list args;
    va_start(args, n);
    t->data = s.data[s.c.n_in - 1];
    for (int i = 0; i < n; i++)
        ((int64_t *)t->data)[i] = va_arg(args, int64_t);
    va_end(args);
    return t;
}

#define I(x) ((int64_t)(x))

static ub_status infer(void)
{
    memset(s.parsed, 0, sizeof s.parsed);
    if (s.node.op->attrs) {
        ub_status st = s.node.op->attrs(&s.node, s.parsed, &s.arena, &s.err);
        if (st != UB_OK)
            return st;
    }
    return s.node.op->infer(&s.c);
}

/* ---- Views --------------------------------------------------------------------------------------
 */

static void same_values(const ub_tensor *t, const float *want, int64_t n)
{
    ub_tensor dense;
    assert_int_equal(ub_tensor_count(t), n);
    assert_int_equal(ubp_tensor_describe(&dense, t->dtype, t->rank, t->dims, NULL), UB_OK);
    dense.data = s.result;
    ubp_tensor_move(&dense, t);
    for (int64_t i = 0; i < n; i++)
        assert_float_equal(s.result[i], want[i], 0);
}

/* Output k, by the kernel and, where there is one, as a view. */
static void gives(int k, bool viewed, const float *want, int64_t n)
{
    float memory[ROOM];
    assert_int_equal(infer(), UB_OK);
    ub_tensor plain = s.out[k];
    int64_t offset = 0;
    bool is_view = s.node.op->view && s.node.op->view(&s.c, k, &offset);
    assert_int_equal(is_view, viewed);
    if (viewed) {
        s.out[k].data = (char *)s.in[0].data + offset;
        same_values(&s.out[k], want, n);
    }
    for (int i = 0; i < s.c.n_out; i++)
        s.outs[i] = i == k ? &s.out[k] : NULL;
    s.out[k] = plain;
    s.out[k].data = memory;
    assert_int_equal(ubp_op_run(&s.c), UB_OK);
    same_values(&s.out[k], want, n);
    for (int i = 0; i < s.c.n_out; i++)
        s.outs[i] = &s.out[i];
}

#define GIVES(k, viewed, ...)                                                                      \
    do {                                                                                           \
        const float want_[] = {__VA_ARGS__};                                                       \
        gives(k, viewed, want_, (int64_t)(sizeof want_ / sizeof want_[0]));                        \
    } while (0)

/* x = np.arange(24).reshape(2, 3, 4); what stands here is NumPy's answer. */
static void views_are_numpys(void **state)
{
    (void)state;
    const int64_t turned[3] = {2, 0, 1};
    begin("Slice", 1); /* x[:, ::-1, 1:4:2] */
    counting(2, 3, 4, -1);
    ints(2, I(-1), I(1));
    ints(2, INT64_MIN, INT64_MAX);
    ints(2, I(1), I(-1));
    ints(2, I(-1), I(2));
    GIVES(0, true, 9, 11, 5, 7, 1, 3, 21, 23, 17, 19, 13, 15);

    begin("Transpose", 1); /* x.transpose(2, 0, 1) */
    attr_ints("perm", turned, 3);
    counting(2, 3, 4, -1);
    GIVES(0, true, 0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19,
          23);

    begin("Split", 2); /* np.split(x, [1], 2)[1] */
    attr_int("axis", -1);
    counting(2, 3, 4, -1);
    ints(2, I(1), I(3));
    GIVES(1, true, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23);

    begin("Gather", 1); /* x[:, [-1]] */
    attr_int("axis", 1);
    counting(2, 3, 4, -1);
    ints(1, I(-1));
    GIVES(0, true, 8, 9, 10, 11, 20, 21, 22, 23);

    begin("Gather", 1); /* x[:, [2, 0]] */
    attr_int("axis", 1);
    counting(2, 3, 4, -1);
    ints(2, I(2), I(0));
    GIVES(0, false, 8, 9, 10, 11, 0, 1, 2, 3, 20, 21, 22, 23, 12, 13, 14, 15);

    begin("Expand", 1); /* np.broadcast_to(np.arange(3)[:, None], (2, 3, 2)) */
    counting(3, 1, -1, -1);
    ints(3, I(2), I(1), I(2));
    GIVES(0, true, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2);
}

/* The same on x stored column by column: np.asfortranarray(x). */
static void strided_inputs(void **state)
{
    (void)state;
    begin("Reshape", 1); /* x.reshape(4, 2), x of 2 x 4, is no view */
    ub_tensor *t = counting(2, 4, -1, -1);
    t->strides[0] = 4;
    t->strides[1] = 8; /* x = [[0, 2, 4, 6], [1, 3, 5, 7]] */
    ints(2, I(-1), I(2));
    GIVES(0, false, 0, 2, 4, 6, 1, 3, 5, 7);

    begin("Unsqueeze", 1); /* x[:, None] is one */
    t = counting(2, 4, -1, -1);
    t->strides[0] = 4;
    t->strides[1] = 8;
    ints(1, I(1));
    GIVES(0, true, 0, 2, 4, 6, 1, 3, 5, 7);

    begin("Pad", 1); /* np.pad(x, ((1, 0), (0, 2)), mode="reflect") */
    attr_text("mode", "reflect");
    t = counting(2, 4, -1, -1);
    t->strides[0] = 4;
    t->strides[1] = 8;
    ints(4, I(1), I(0), I(0), I(2));
    GIVES(0, false, 1, 3, 5, 7, 5, 3, 0, 2, 4, 6, 4, 2, 1, 3, 5, 7, 5, 3);

    begin("Tile", 1); /* np.tile(x, (1, 2)) */
    t = counting(2, 4, -1, -1);
    t->strides[0] = 4;
    t->strides[1] = 8;
    ints(2, I(1), I(2));
    GIVES(0, false, 0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7, 1, 3, 5, 7);

    begin("Concat", 1); /* np.concatenate([x, np.arange(2).reshape(2, 1)], 1) */
    attr_int("axis", 1);
    t = counting(2, 4, -1, -1);
    t->strides[0] = 4;
    t->strides[1] = 8;
    counting(2, 1, -1, -1);
    GIVES(0, false, 0, 2, 4, 6, 0, 1, 3, 5, 7, 1);
}

/* ---- Sizes from files ---------------------------------------------------------------------------
 */

static void refused(ub_status code, const char *says)
{
    ub_status st = infer();
    if (st == UB_OK && s.out[0].rank >= 0) {
        float memory[ROOM];
        assert_true(ub_tensor_count(&s.out[0]) <= ROOM);
        s.out[0].data = memory;
        st = ubp_op_run(&s.c);
    }
    assert_int_equal(st, code);
    if (!strstr(s.err.message, says))
        fail_msg("%s: '%s' does not say '%s'", s.node.op_type, s.err.message, says);
}

static void impossible_sizes(void **state)
{
    (void)state;
    begin("Range", 1); /* 2^61 integers of 8 bytes */
    for (int i = 0; i < 3; i++)
        ints(1, i == 0 ? I(0) : i == 1 ? I(1) << 61 : I(1));
    refused(UB_ERR_SHAPE, "bytes");
    begin("Range", 1); /* the difference of the two does not fit int64 */
    for (int i = 0; i < 3; i++)
        ints(1, i == 0 ? INT64_MIN : i == 1 ? INT64_MAX : I(1));
    refused(UB_ERR_SHAPE, "Range");
    begin("Range", 1);
    for (int i = 0; i < 3; i++)
        ints(1, i == 1 ? I(9) : I(0));
    refused(UB_ERR_SHAPE, "delta of 0");
    begin("Expand", 1);
    counting(1, -1, -1, -1);
    ints(2, I(1) << 40, I(1) << 40);
    refused(UB_ERR_SHAPE, "bytes");
    begin("Tile", 1);
    counting(4, -1, -1, -1);
    ints(1, I(1) << 62);
    refused(UB_ERR_SHAPE, "repeats");
    begin("Pad", 1);
    counting(4, -1, -1, -1);
    ints(2, INT64_MAX, INT64_MAX);
    refused(UB_ERR_SHAPE, "pads");
    begin("Pad", 1);
    counting(4, -1, -1, -1);
    ints(2, INT64_MIN, I(0));
    refused(UB_ERR_SHAPE, "pads");
    begin("Reshape", 1);
    counting(4, -1, -1, -1);
    ints(3, I(1) << 40, I(1) << 40, I(-1));
    refused(UB_ERR_SHAPE, "too large");
    begin("ConstantOfShape", 1);
    ints(2, I(-1), I(4));
    refused(UB_ERR_SHAPE, "negative");
}

static void impossible_indices(void **state)
{
    (void)state;
    begin("Gather", 1);
    counting(4, -1, -1, -1);
    ints(2, I(0), I(4));
    refused(UB_ERR_SHAPE, "index 4 is outside axis 0, which has 4 entries");
    begin("GatherND", 1);
    counting(4, 2, -1, -1);
    ints(2, I(0), INT64_MIN);
    refused(UB_ERR_SHAPE, "outside axis 1");
    begin("ScatterElements", 1);
    counting(4, -1, -1, -1);
    ints(1, I(-5));
    counting(1, -1, -1, -1);
    refused(UB_ERR_SHAPE, "index -5");
    begin("Split", 2);
    counting(4, -1, -1, -1);
    ints(2, I(5), I(-1));
    refused(UB_ERR_SHAPE, "does not fit");
    begin("TopK", 2);
    counting(4, -1, -1, -1);
    ints(1, I(5));
    refused(UB_ERR_SHAPE, "k is 5");
    begin("Slice", 1);
    counting(4, -1, -1, -1);
    ints(1, I(0));
    ints(1, I(4));
    ints(1, I(0));
    ints(1, I(0));
    refused(UB_ERR_SHAPE, "step of 0");
    begin("Transpose", 1);
    const int64_t twice[2] = {1, 1};
    attr_ints("perm", twice, 2);
    counting(2, 2, -1, -1);
    refused(UB_ERR_SHAPE, "twice");
    begin("DepthToSpace", 1);
    attr_int("blocksize", INT64_MAX);
    counting(1, 4, 1, 1);
    refused(UB_ERR_FILE, "blocksize");
}

/* Shapes that hang on data that is not there are asked for, not guessed. */
static void unknown_data(void **state)
{
    static const char *const by_shape[] = {"Reshape", "Expand", "Tile", "Pad", "CenterCropPad"};
    static const char *const by_content[] = {"NonZero", "Unique"};
    (void)state;
    for (int i = 0; i < UBP_COUNT(by_shape); i++) {
        begin(by_shape[i], 1);
        shaped(UB_F32, 2, 3, -1, -1);
        shaped(UB_I64, 2, -1, -1, -1);
        assert_int_equal(infer(), UBP_NEEDS_DATA);
    }
    for (int i = 0; i < UBP_COUNT(by_content); i++) {
        begin(by_content[i], 1);
        shaped(UB_F32, 2, 3, -1, -1);
        assert_int_equal(infer(), UBP_NEEDS_DATA);
    }
    begin("ConstantOfShape", 1);
    shaped(UB_I64, 2, -1, -1, -1);
    assert_int_equal(infer(), UBP_NEEDS_DATA);
}

/* ---- Where the samples are ----------------------------------------------------------------------
 */

static void samples_on(int i, int axis, int64_t outer, int64_t inner)
{
    s.in_maps[i].kind = UBP_SAMPLES_AXIS;
    s.in_maps[i].axis = axis;
    s.in_maps[i].outer = outer;
    s.in_maps[i].inner = inner;
}

static const ubp_samples *follow(int64_t n)
{
    assert_int_equal(infer(), UB_OK);
    for (int k = 0; k < s.c.n_out; k++)
        s.out_maps[k] = (ubp_samples){.outer = 1, .inner = 1, .culprit = -1};
    ubp_batch b = {.call = &s.c, .n = n, .in = s.in_maps, .out = s.out_maps};
    s.node.op->batch(&b);
    return &s.out_maps[0];
}

static void expect_axis(int64_t n, int axis, int64_t outer, int64_t inner)
{
    const ubp_samples *map = follow(n);
    if (map->coupled)
        fail_msg("%s: coupled: %s", s.node.op_type, map->why);
    assert_int_equal(map->kind, UBP_SAMPLES_AXIS);
    assert_int_equal(map->axis, axis);
    assert_int_equal(map->outer, outer);
    assert_int_equal(map->inner, inner);
}

static void expect_mixed(int64_t n, const char *why)
{
    const ubp_samples *map = follow(n);
    assert_true(map->coupled);
    if (!strstr(map->why, why))
        fail_msg("%s: '%s' does not say '%s'", s.node.op_type, map->why, why);
}

/* The rows of 3 samples of 4 entries each, one after the other: (12, 5). */
static void folded_rows(const char *op)
{
    begin(op, 1);
    shaped(UB_F32, 12, 5, -1, -1);
    samples_on(0, 0, 1, 4);
}

static void slices_of_the_batch(void **state)
{
    (void)state;
    folded_rows("Slice"); /* all of it */
    ints(1, I(0));
    ints(1, INT64_MAX);
    expect_axis(3, 0, 1, 4);
    folded_rows("Slice"); /* the second entry of each pair of a sample */
    ints(1, I(1));
    ints(1, INT64_MAX);
    ints(1, I(0));
    ints(1, I(2));
    expect_axis(3, 0, 1, 2);
    folded_rows("Slice"); /* sample 0 alone */
    ints(1, I(0));
    ints(1, I(4));
    expect_mixed(3, "single samples");
    begin("Slice", 1); /* of two copies of the batch the second */
    shaped(UB_F32, 6, 5, -1, -1);
    samples_on(0, 0, 2, 1);
    ints(1, I(3));
    ints(1, I(6));
    expect_axis(3, 0, 1, 1);
    begin("Split", 2); /* and both */
    shaped(UB_F32, 6, 5, -1, -1);
    samples_on(0, 0, 2, 1);
    expect_axis(3, 0, 1, 1);
    begin("Slice", 1); /* backwards, also when one entry is left */
    shaped(UB_F32, 1, 5, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(1, I(-1));
    ints(1, INT64_MIN);
    ints(1, I(0));
    ints(1, I(-1));
    expect_mixed(1, "single samples");
}

static void joined_batches(void **state)
{
    (void)state;
    for (int mixed = 0; mixed < 2; mixed++) {
        begin("Concat", 1); /* x and its mirror image */
        attr_int("axis", 0);
        shaped(UB_F32, 6, 5, -1, -1);
        shaped(UB_F32, 6, 5, -1, -1);
        samples_on(0, 0, 1, 2);
        samples_on(1, 0, mixed ? 2 : 1, mixed ? 1 : 2);
        if (mixed)
            expect_mixed(3, "different ways");
        else
            expect_axis(3, 0, 2, 2);
    }
    begin("Concat", 1);
    attr_int("axis", 1);
    shaped(UB_F32, 3, 5, -1, -1);
    shaped(UB_F32, 3, 1, -1, -1); /* a constant of three rows */
    samples_on(0, 0, 1, 1);
    expect_mixed(3, "a row per place");
    begin("Tile", 1);
    shaped(UB_F32, 6, 5, -1, -1);
    samples_on(0, 0, 1, 2);
    ints(2, I(4), I(1));
    expect_axis(3, 0, 4, 2);
}

static void moved_axes(void **state)
{
    (void)state;
    const int64_t turned[3] = {1, 2, 0};
    begin("Transpose", 1);
    attr_ints("perm", turned, 3);
    shaped(UB_F32, 6, 5, 4, -1);
    samples_on(0, 0, 1, 2);
    expect_axis(3, 2, 1, 2);
    begin("Flatten", 1); /* (T, N, C) to (T * N, C) */
    attr_int("axis", 2);
    shaped(UB_F32, 7, 3, 4, -1);
    samples_on(0, 1, 1, 1);
    expect_axis(3, 0, 7, 1);
    begin("Flatten", 1); /* (N, T, C) to (N * T, C) */
    attr_int("axis", 2);
    shaped(UB_F32, 3, 7, 4, -1);
    samples_on(0, 0, 1, 1);
    expect_axis(3, 0, 1, 7);
    begin("Unsqueeze", 1);
    shaped(UB_F32, 6, 5, -1, -1);
    samples_on(0, 0, 1, 2);
    ints(2, I(0), I(2));
    expect_axis(3, 1, 1, 2);
    begin("OneHot", 1);
    attr_int("axis", 0);
    shaped(UB_I64, 3, 5, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(1, I(9));
    counting(2, -1, -1, -1);
    expect_axis(3, 1, 1, 1);
}

static void picked_rows(void **state)
{
    (void)state;
    begin("Gather", 1); /* words looked up in a table */
    shaped(UB_F32, 100, 8, -1, -1);
    shaped(UB_I64, 3, 7, -1, -1);
    samples_on(1, 0, 1, 1);
    expect_axis(3, 0, 1, 1);
    begin("Gather", 1); /* x[:, 0] */
    attr_int("axis", 1);
    shaped(UB_F32, 7, 3, 8, -1);
    samples_on(0, 1, 1, 1);
    ints(1, I(0));
    expect_mixed(3, "by number");
    begin("Gather", 1); /* each its own row: x[np.arange(3)] */
    shaped(UB_F32, 3, 8, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(3, I(0), I(1), I(2));
    samples_on(1, 0, 1, 1);
    s.in_maps[1].positional = true;
    expect_axis(3, 0, 1, 1);
    begin("Gather", 1); /* said to be so, but not */
    shaped(UB_F32, 3, 8, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(3, I(0), I(2), I(1));
    samples_on(1, 0, 1, 1);
    s.in_maps[1].positional = true;
    expect_mixed(3, "by number");
}

/* x[np.arange(3), k]: Concat makes the pairs, GatherND reads them. */
static void picked_places(void **state)
{
    (void)state;
    begin("Concat", 1);
    attr_int("axis", 1);
    ints(3, I(0), I(1), I(2));
    s.in[0].rank = 2;
    s.in[0].dims[1] = 1;
    s.in[0].strides[1] = 8;
    shaped(UB_I64, 3, 1, -1, -1);
    samples_on(0, 0, 1, 1);
    samples_on(1, 0, 1, 1);
    s.in_maps[0].positional = true;
    expect_axis(3, 0, 1, 1);
    assert_true(s.out_maps[0].row_numbers);
    for (int known = 0; known < 2; known++) {
        begin("GatherND", 1);
        shaped(UB_F32, 3, 7, 8, -1);
        shaped(UB_I64, 3, 2, -1, -1);
        samples_on(0, 0, 1, 1);
        samples_on(1, 0, 1, 1);
        s.in_maps[1].row_numbers = known;
        if (known)
            expect_axis(3, 0, 1, 1);
        else
            expect_mixed(3, "by number");
    }
    begin("ScatterND", 1); /* x[np.arange(3), k] = u */
    shaped(UB_F32, 3, 7, 8, -1);
    shaped(UB_I64, 3, 2, -1, -1);
    shaped(UB_F32, 3, 8, -1, -1);
    for (int i = 0; i < 3; i++)
        samples_on(i, 0, 1, 1);
    s.in_maps[1].row_numbers = true;
    expect_axis(3, 0, 1, 1);
}

static void mixing_by_nature(void **state)
{
    (void)state;
    begin("CumSum", 1);
    shaped(UB_F32, 3, 5, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(1, I(0));
    expect_mixed(3, "running sum");
    begin("TopK", 2);
    attr_int("axis", 0);
    shaped(UB_F32, 3, 5, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(1, I(1));
    expect_mixed(3, "TopK");
    begin("Pad", 1);
    shaped(UB_F32, 3, 5, -1, -1);
    samples_on(0, 0, 1, 1);
    ints(4, I(1), I(0), I(0), I(0));
    expect_mixed(3, "samples");
    begin("NonZero", 1);
    counting(3, 5, -1, -1);
    samples_on(0, 0, 1, 1);
    expect_mixed(3, "together");
    begin("DepthToSpace", 1);
    attr_int("blocksize", 2);
    shaped(UB_F32, 1, 12, 2, 2);
    samples_on(0, 1, 1, 4);
    expect_mixed(3, "reach over");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_numpys), cmocka_unit_test(strided_inputs),
        cmocka_unit_test(impossible_sizes), cmocka_unit_test(impossible_indices),
        cmocka_unit_test(unknown_data),     cmocka_unit_test(slices_of_the_batch),
        cmocka_unit_test(joined_batches),   cmocka_unit_test(moved_axes),
        cmocka_unit_test(picked_rows),      cmocka_unit_test(picked_places),
        cmocka_unit_test(mixing_by_nature),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ubp_arena_release(&s.arena);
    return failed;
}
