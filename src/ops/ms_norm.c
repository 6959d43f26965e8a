/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalisations that ONNX Runtime's optimizer writes: SkipLayerNormalization and
 * SkipSimplifiedLayerNormalization (a sum before), EmbedLayerNormalization (three tables before) of
 * com.microsoft. Rows are the last axis; statistics in double, in two passes. Version 1.
 */
#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>

typedef struct norm_attr {
    double epsilon;
    int64_t mask_type; /* EmbedLayerNormalization */
} norm_attr;

static ub_status norm_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    norm_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_float(n, "epsilon", 1e-12, &a->epsilon, err));
    return ubp_attr_int(n, "mask_index_type", 1, &a->mask_type, err);
}

/* Input `in` has `width` elements. */
static ub_status want_width(const ubp_call *c, int in, int64_t width)
{
    if (!ubp_has_in(c, in))
        return UB_OK;
    UBP_TRY(ubp_want_rank(c, in, 1, 1));
    UBP_TRY(ubp_want_float(c, in));
    if (c->in[in]->dims[0] == width)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld elements, expected %lld", in,
                       (long long)c->in[in]->dims[0], (long long)width);
}

/* A row is the sum of parts of the same width. */
typedef struct summed {
    const ub_tensor *parts[4]; /* NULL: absent */
    int64_t rows[4];           /* how many rows part has: it begins anew after them */
    const int64_t *picks[4];   /* row numbers in place of the own, or NULL */
    const ub_tensor *gamma, *beta, *y, *sum;
    int64_t width;
    double epsilon;
    bool centre;
} summed;

static double element(const summed *j, int64_t row, int64_t i)
{
    double v = 0;
    for (int p = 0; p < 4; p++) {
        if (!j->parts[p])
            continue;
        const int64_t own = row % j->rows[p], from = j->picks[p] ? j->picks[p][own] : own;
        v += ubp_number(j->parts[p], from * j->width + i);
    }
    return v;
}

static void sum_rows(void *arg, int64_t begin, int64_t end)
{
    const summed *j = arg;
    for (int64_t row = begin; row < end; row++) {
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < j->width && j->centre; i++)
            mean += element(j, row, i);
        mean /= (double)j->width;
        for (int64_t i = 0; i < j->width; i++)
            squares += (element(j, row, i) - mean) * (element(j, row, i) - mean);
        const double inverse = 1 / sqrt(squares / (double)j->width + j->epsilon);
        for (int64_t i = 0; i < j->width; i++) {
            const double v = element(j, row, i);
            const double scaled = (v - mean) * inverse * ubp_number(j->gamma, i);
            if (j->y)
                ubp_put_number(j->y, row * j->width + i,
                               scaled + (j->beta ? ubp_number(j->beta, i) : 0));
            if (j->sum)
                ubp_put_number(j->sum, row * j->width + i, v);
        }
    }
}

static const ub_tensor *optional(const ubp_call *c, int in)
{
    return ubp_has_in(c, in) ? c->in[in] : NULL;
}

static const ub_tensor *wanted(const ubp_call *c, int k)
{
    return ubp_has_out(c, k) ? c->out[k] : NULL;
}

/* ---- SkipLayerNormalization and its kin -------------------------------------------------------
 */

enum { IN_X, IN_SKIP, IN_GAMMA };
enum { OUT_Y, OUT_MEAN, OUT_INVERSE, OUT_SUM };

static ub_status skip_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_float(c, IN_X));
    UBP_TRY(ubp_want_same_dtype(c, IN_X, IN_SKIP));
    UBP_TRY(ubp_want_rank(c, IN_X, 2, 3));
    const ub_tensor *x = c->in[IN_X], *skip = c->in[IN_SKIP];
    bool fits = skip->rank >= 2 && skip->rank <= x->rank;
    for (int i = 1; fits && i <= skip->rank; i++) {
        const int64_t dim = skip->dims[skip->rank - i];
        fits = dim == x->dims[x->rank - i] || (i == 3 && dim == 1);
    }
    if (!fits)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 1 does not broadcast to input 0");
    for (int i = IN_GAMMA; i < c->n_in; i++)
        UBP_TRY(want_width(c, i, x->dims[x->rank - 1]));
    if (ubp_has_out(c, OUT_MEAN) || ubp_has_out(c, OUT_INVERSE))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED,
                           "mean and inv_std_var, for training, are not supported");
    UBP_TRY(ubp_set_like(c, OUT_Y, IN_X));
    return ubp_set_like(c, OUT_SUM, IN_X);
}

static void skip_batch(ubp_batch *b)
{
    const int rank = b->call->in[IN_X]->rank, skip = b->call->in[IN_SKIP]->rank;
    const int axis = ubp_has_samples(b, IN_X) && b->in[IN_X].axis < rank - 1 ? b->in[IN_X].axis : 0;
    const int own = axis - rank + skip; /* the same axis of the skip */
    ubp_rows rows = {.why = "normalisation over the batch axis"};
    for (int i = 0; i < UBP_ROWS_PORTS; i++) {
        rows.in_axis[i] = UBP_ROWS_SHARED;
        rows.out_axis[i] = (int8_t)axis;
    }
    rows.in_axis[IN_X] = (int8_t)axis;
    rows.in_axis[IN_SKIP] = (int8_t)(own >= 0 ? own : UBP_ROWS_SHARED);
    ubp_rows_batch(b, &rows);
}

static ub_status run_skip(const ubp_call *c, bool centre)
{
    const norm_attr *a = c->attr;
    const ub_tensor *x = c->in[IN_X], *skip = c->in[IN_SKIP];
    const int bias = centre ? 4 : 3;
    const int64_t width = x->dims[x->rank - 1];
    if (ub_tensor_count(x) == 0)
        return UB_OK;
    summed j = {.parts = {x, skip, optional(c, bias)},
                .rows = {ub_tensor_count(x) / width, ub_tensor_count(skip) / width, 1},
                .gamma = c->in[IN_GAMMA],
                .beta = centre ? optional(c, 3) : NULL,
                .y = wanted(c, OUT_Y),
                .sum = wanted(c, OUT_SUM),
                .width = width,
                .epsilon = a->epsilon,
                .centre = centre};
    ubp_run_parallel(c->run, j.rows[0], 4096 / width + 1, sum_rows, &j);
    return UB_OK;
}

static ub_status skip_ref(const ubp_call *c)
{
    return run_skip(c, true);
}

static ub_status skip_simple_ref(const ubp_call *c)
{
    return run_skip(c, false);
}

/* ---- EmbedLayerNormalization ------------------------------------------------------------------
 */

enum { IN_IDS, IN_SEGMENTS, IN_WORDS, IN_PLACES, IN_KINDS, IN_G, IN_B, IN_MASK, IN_POSITIONS };
enum { OUT_EMBEDDED, OUT_MASK, OUT_EMBEDDING };

static ub_status want_table(const ubp_call *c, int in, int64_t width)
{
    UBP_TRY(ubp_want_float(c, in));
    UBP_TRY(ubp_want_same_dtype(c, IN_WORDS, in));
    UBP_TRY(ubp_want_rank(c, in, 2, 2));
    if (c->in[in]->dims[1] == width)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "table %d has %lld columns, expected %lld", in,
                       (long long)c->in[in]->dims[1], (long long)width);
}

static ub_status embed_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_index(c, IN_IDS));
    UBP_TRY(ubp_want_rank(c, IN_IDS, 2, 2));
    UBP_TRY(ubp_want_rank(c, IN_WORDS, 2, 2));
    const int64_t *ids = c->in[IN_IDS]->dims, width = c->in[IN_WORDS]->dims[1];
    UBP_TRY(want_table(c, IN_WORDS, width));
    UBP_TRY(want_table(c, IN_PLACES, width));
    if (ubp_has_in(c, IN_SEGMENTS) != ubp_has_in(c, IN_KINDS))
        return ubp_op_fail(c, UB_ERR_FILE, "segment ids and their table come together");
    if (ubp_has_in(c, IN_KINDS)) {
        UBP_TRY(want_table(c, IN_KINDS, width));
        UBP_TRY(ubp_want_index(c, IN_SEGMENTS));
        if (!ubp_same_dims(c->in[IN_IDS], c->in[IN_SEGMENTS]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "segment ids differ in shape from input ids");
    }
    UBP_TRY(ubp_want_float(c, IN_G));
    UBP_TRY(want_width(c, IN_G, width));
    UBP_TRY(want_width(c, IN_B, width));
    if (ubp_has_in(c, IN_MASK)) {
        UBP_TRY(ubp_want_index(c, IN_MASK));
        if (!ubp_same_dims(c->in[IN_IDS], c->in[IN_MASK]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "the mask differs in shape from input ids");
    }
    if (ubp_has_in(c, IN_POSITIONS)) {
        UBP_TRY(ubp_want_index(c, IN_POSITIONS));
        UBP_TRY(ubp_want_rank(c, IN_POSITIONS, 2, 2));
        const int64_t *p = c->in[IN_POSITIONS]->dims;
        if ((p[0] != ids[0] && p[0] != 1) || p[1] != ids[1])
            return ubp_op_fail(c, UB_ERR_SHAPE, "position ids differ in shape from input ids");
    } else if (ids[1] > c->in[IN_PLACES]->dims[0]) {
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld places in a table of %lld", (long long)ids[1],
                           (long long)c->in[IN_PLACES]->dims[0]);
    }
    const int64_t dims[] = {ids[0], ids[1], width};
    UBP_TRY(ubp_set_out(c, OUT_EMBEDDED, c->in[IN_WORDS]->dtype, 3, dims));
    UBP_TRY(ubp_set_out(c, OUT_MASK, UB_I32, 1, dims));
    return ubp_set_out(c, OUT_EMBEDDING, c->in[IN_WORDS]->dtype, 3, dims);
}

static void embed_batch(ubp_batch *b)
{
    ubp_rows rows = {.why = "tables or places along the batch axis"};
    for (int i = IN_WORDS; i <= IN_B; i++)
        rows.in_axis[i] = UBP_ROWS_SHARED;
    ubp_rows_batch(b, &rows);
}

/* Row numbers of input `in`, checked. */
static ub_status take_rows(const ubp_call *c, int in, int table, const int64_t **out)
{
    int64_t *v;
    UBP_TRY(ubp_index_data(c, in, &v));
    UBP_TRY(ubp_want_in_bounds(c, v, ub_tensor_count(c->in[in]), c->in[table]->dims[0], 0));
    *out = v;
    return UB_OK;
}

/* How many of the mask's entries count, a sample. */
static void count_mask(const ubp_call *c)
{
    const int64_t *ids = c->in[IN_IDS]->dims;
    const ub_tensor *mask = optional(c, IN_MASK);
    for (int64_t row = 0; row < ids[0]; row++) {
        int32_t n = 0;
        for (int64_t i = 0; mask && i < ids[1]; i++)
            n += ubp_any_number(mask, row * ids[1] + i) == 1;
        ((int32_t *)c->out[OUT_MASK]->data)[row] = n;
    }
}

static ub_status embed_ref(const ubp_call *c)
{
    const norm_attr *a = c->attr;
    const int64_t *ids = c->in[IN_IDS]->dims, rows = ids[0] * ids[1];
    const ub_tensor *positions = optional(c, IN_POSITIONS);
    summed j = {.parts = {c->in[IN_WORDS], c->in[IN_PLACES], optional(c, IN_KINDS)},
                .rows = {rows, positions ? ub_tensor_count(positions) : ids[1], rows},
                .gamma = c->in[IN_G],
                .beta = optional(c, IN_B),
                .y = wanted(c, OUT_EMBEDDED),
                .sum = wanted(c, OUT_EMBEDDING),
                .width = c->in[IN_WORDS]->dims[1],
                .epsilon = a->epsilon,
                .centre = true};
    UBP_TRY(take_rows(c, IN_IDS, IN_WORDS, &j.picks[0]));
    if (positions)
        UBP_TRY(take_rows(c, IN_POSITIONS, IN_PLACES, &j.picks[1]));
    if (j.parts[2])
        UBP_TRY(take_rows(c, IN_SEGMENTS, IN_KINDS, &j.picks[2]));
    if (j.width > 0)
        ubp_run_parallel(c->run, rows, 4096 / j.width + 1, sum_rows, &j);
    if (ubp_has_out(c, OUT_MASK))
        count_mask(c);
    return UB_OK;
}

#define NORM(NAME, LEAST, MOST, OUTPUTS, INFER, BATCH, REF)                                        \
    const ubp_op ubp_op_ms_##NAME = {                                                              \
        .name = #NAME,                                                                             \
        .domain = "com.microsoft",                                                                 \
        .min_in = LEAST,                                                                           \
        .max_in = MOST,                                                                            \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(norm_attr),                                                            \
        .attrs = norm_attrs,                                                                       \
        .infer = INFER,                                                                            \
        .batch = BATCH,                                                                            \
        .ref = REF,                                                                                \
    }
NORM(SkipLayerNormalization, 3, 5, 4, skip_infer, skip_batch, skip_ref);
NORM(SkipSimplifiedLayerNormalization, 3, 4, 4, skip_infer, skip_batch, skip_simple_ref);
NORM(EmbedLayerNormalization, 1, 9, 3, embed_infer, embed_batch, embed_ref);
