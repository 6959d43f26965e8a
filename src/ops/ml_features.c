/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ai.onnx.ml does to features before a model: Scaler, Normalizer, Binarizer, Imputer,
 * FeatureVectorizer, ArrayFeatureExtractor, OneHotEncoder. Opset 1.
 */
#include "ops/ml.h"
#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

typedef enum norm { NORM_MAX, NORM_L1, NORM_L2 } norm;

typedef struct feature_attr {
    const double *first, *second; /* offset and scale; values to impute */
    int64_t n_first, n_second;
    double number; /* threshold, or what is replaced */
    norm norm;
    bool whole; /* Imputer: of integers */
    const int64_t *ints;
    int64_t n_ints;
    ubp_ml_labels categories;
    bool zeros;
} feature_attr;

static ub_status scaler_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    feature_attr *a = attr;
    UBP_TRY(ubp_ml_numbers(n, "offset", &a->first, &a->n_first, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "scale", &a->second, &a->n_second, arena, err));
    if (a->n_first == a->n_second && a->n_first > 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (Scaler): %lld offsets and %lld scales", n->name,
                    (long long)a->n_first, (long long)a->n_second);
}

static ub_status normalizer_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    static const char *const names[] = {"MAX", "L1", "L2"};
    feature_attr *a = attr;
    const char *name;
    (void)arena;
    UBP_TRY(ubp_attr_string(n, "norm", "MAX", &name, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            a->norm = (norm)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (Normalizer): norm '%.40s', expected MAX, L1 or L2", n->name, name);
}

static ub_status binarizer_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    feature_attr *a = attr;
    (void)arena;
    return ubp_attr_float(n, "threshold", 0, &a->number, err);
}

static ub_status imputer_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    feature_attr *a = attr;
    int64_t number = 0;
    UBP_TRY(ubp_ml_numbers(n, "imputed_value_floats", &a->first, &a->n_first, arena, err));
    UBP_TRY(ubp_ml_ints(n, "imputed_value_int64s", &a->ints, &a->n_ints, err));
    UBP_TRY(ubp_attr_float(n, "replaced_value_float", 0, &a->number, err));
    UBP_TRY(ubp_attr_int(n, "replaced_value_int64", 0, &number, err));
    a->whole = a->n_ints > 0;
    if (a->whole)
        a->number = (double)number;
    if ((a->n_first > 0) != a->whole)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (Imputer): expected either imputed_value_floats or "
                    "imputed_value_int64s",
                    n->name);
}

static ub_status encoder_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    feature_attr *a = attr;
    int64_t zeros;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "zeros", 1, &zeros, err));
    UBP_TRY(ubp_ml_read_labels(n, "cats_int64s", "cats_strings", &a->categories, err));
    a->zeros = zeros != 0;
    if (a->categories.n > 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (OneHotEncoder): no categories", n->name);
}

static ub_status vectorizer_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    feature_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_ml_ints(n, "inputdimensions", &a->ints, &a->n_ints, err));
    int64_t sum = 0;
    bool good = a->n_ints == n->n_in;
    for (int64_t i = 0; good && i < a->n_ints; i++)
        good = a->ints[i] >= 0 && ubp_add_i64(sum, a->ints[i], &sum);
    if (good)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (FeatureVectorizer): inputdimensions do not fit %d inputs", n->name,
                    n->n_in);
}

/* ---- Elementwise along rows -------------------------------------------------------------------
 */

static ub_status want_numbers(const ubp_call *c)
{
    const ub_tensor *x = c->in[0];
    if (ubp_is_float(x->dtype) || ubp_is_integer(x->dtype))
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, expected numbers", ub_dtype_name(x->dtype));
}

/* The last axis has one value each of `count` (or one for all). */
static ub_status want_columns(const ubp_call *c, int64_t count)
{
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    const int64_t columns = c->in[0]->dims[c->in[0]->rank - 1];
    if (count == 1 || count == columns)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "%lld values for %lld features", (long long)count,
                       (long long)columns);
}

static ub_status scaler_infer(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    UBP_TRY(want_numbers(c));
    UBP_TRY(want_columns(c, a->n_first));
    return ubp_set_out(c, 0, UB_F32, c->in[0]->rank, c->in[0]->dims);
}

static ub_status normalizer_infer(const ubp_call *c)
{
    UBP_TRY(want_numbers(c));
    UBP_TRY(ubp_want_rank(c, 0, 1, 2));
    return ubp_set_out(c, 0, UB_F32, c->in[0]->rank, c->in[0]->dims);
}

static ub_status binarizer_infer(const ubp_call *c)
{
    UBP_TRY(want_numbers(c));
    return ubp_set_like(c, 0, 0);
}

static ub_status imputer_infer(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    UBP_TRY(want_numbers(c));
    if (a->whole != ubp_is_integer(c->in[0]->dtype))
        return ubp_op_fail(c, UB_ERR_SHAPE, "%s with values that are %s",
                           ub_dtype_name(c->in[0]->dtype), a->whole ? "integers" : "floats");
    UBP_TRY(want_columns(c, a->whole ? a->n_ints : a->n_first));
    return ubp_set_like(c, 0, 0);
}

/* Features may differ by their place on the last axis. */
static void columns_batch(ubp_batch *b)
{
    ubp_samples_keep(b, 0, 0);
    ubp_samples_mixes_axis(b, 0, 0, b->call->in[0]->rank - 1, "features made of several samples");
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
}

static int64_t columns_of(const ub_tensor *x)
{
    return x->rank ? x->dims[x->rank - 1] : 1;
}

static ub_status scaler_ref(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    const int64_t columns = columns_of(c->in[0]);
    for (int64_t i = 0; i < ub_tensor_count(c->in[0]); i++) {
        const int64_t k = a->n_first == 1 ? 0 : i % columns;
        ubp_put_number(c->out[0], i, (ubp_any_number(c->in[0], i) - a->first[k]) * a->second[k]);
    }
    return UB_OK;
}

static ub_status normalizer_ref(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    const int64_t columns = columns_of(x);
    const int64_t rows = columns ? ub_tensor_count(x) / columns : 0;
    for (int64_t row = 0; row < rows; row++) {
        double size = a->norm == NORM_MAX ? -INFINITY : 0;
        for (int64_t i = row * columns; i < (row + 1) * columns; i++) {
            const double v = ubp_any_number(x, i);
            if (a->norm == NORM_MAX)
                size = v > size ? v : size;
            else
                size += a->norm == NORM_L1 ? fabs(v) : v * v;
        }
        if (a->norm == NORM_L2)
            size = sqrt(size);
        for (int64_t i = row * columns; i < (row + 1) * columns; i++)
            ubp_put_number(c->out[0], i, ubp_any_number(x, i) / (size == 0 ? 1 : size));
    }
    return UB_OK;
}

static ub_status binarizer_ref(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    for (int64_t i = 0; i < ub_tensor_count(c->in[0]); i++)
        ubp_put_any(c->out[0], i, ubp_any_number(c->in[0], i) > a->number);
    return UB_OK;
}

static ub_status imputer_ref(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    const ub_tensor *x = c->in[0], *y = c->out[0];
    const size_t size = ub_dtype_size(x->dtype);
    const int64_t columns = columns_of(x), values = a->whole ? a->n_ints : a->n_first;
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        const int64_t k = values == 1 ? 0 : i % columns;
        const char *from = (const char *)x->data + (size_t)i * size;
        char *to = (char *)y->data + (size_t)i * size;
        const double v = ubp_read_f64(from, x->dtype);
        if (v != a->number && !(isnan(v) && isnan(a->number)))
            ubp_copy_element(to, from, size);
        else if (a->whole)
            ubp_write_i64(to, y->dtype, a->ints[k]);
        else
            ubp_write_f64(to, y->dtype, a->first[k]);
    }
    return UB_OK;
}

/* ---- FeatureVectorizer ------------------------------------------------------------------------
 */

/* (rows, features) of an input; one row where it has one dimension. */
static int64_t rows_of(const ub_tensor *t)
{
    return t->rank == 2 ? t->dims[0] : 1;
}

static ub_status vectorizer_infer(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    int64_t columns = 0;
    for (int i = 0; i < c->n_in; i++) {
        UBP_TRY(ubp_want_rank(c, i, 1, 2));
        UBP_TRY(ubp_want_same_dtype(c, 0, i));
        if (rows_of(c->in[i]) != rows_of(c->in[0]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "inputs 0 and %d have different numbers of rows",
                               i);
        columns += a->ints[i];
    }
    UBP_TRY(want_numbers(c));
    return ubp_set_out(c, 0, UB_F32, 2, (const int64_t[]){rows_of(c->in[0]), columns});
}

static void vectorizer_batch(ubp_batch *b)
{
    ubp_rows_first(b, UBP_ROWS_PORTS, "features made of several samples");
    for (int i = 0; i < b->call->n_in; i++)
        if (ubp_has_samples(b, i) && b->call->in[i]->rank < 2)
            ubp_samples_couple(b, 0, "features made of several samples");
}

static ub_status vectorizer_ref(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    const ub_tensor *y = c->out[0];
    int64_t at = 0;
    memset(y->data, 0, ubp_tensor_bytes(y));
    for (int i = 0; i < c->n_in; at += a->ints[i], i++) {
        const ub_tensor *x = c->in[i];
        const int64_t columns = x->dims[x->rank - 1];
        for (int64_t row = 0; row < y->dims[0]; row++)
            for (int64_t k = 0; k < columns && k < a->ints[i]; k++)
                ubp_put_number(y, row * y->dims[1] + at + k, ubp_any_number(x, row * columns + k));
    }
    return UB_OK;
}

/* ---- ArrayFeatureExtractor, OneHotEncoder -----------------------------------------------------
 */

static ub_status extractor_infer(const ubp_call *c)
{
    int64_t dims[UB_MAX_RANK] = {1, 1};
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_index(c, 1));
    const ub_tensor *x = c->in[0];
    const int rank = x->rank == 1 ? 2 : x->rank;
    if (x->rank > 1)
        memcpy(dims, x->dims, sizeof dims);
    dims[rank - 1] = ub_tensor_count(c->in[1]);
    return ubp_set_out(c, 0, x->dtype, rank, dims);
}

/* Each sample takes its own entries of a table that is everybody's, such as the names of classes:
 * the indices lie flat along the last axis. */
static bool takes_own_entries(ubp_batch *b)
{
    const ubp_samples *s = &b->in[1];
    const ub_tensor *index = b->call->in[1];
    int64_t outer, inner;
    if (ubp_has_samples(b, 0) || b->in[0].coupled || b->in[0].sized || b->in[0].positional ||
        !ubp_has_samples(b, 1) || s->coupled || s->positional ||
        !ubp_mul_i64(ubp_span(index->dims, 0, s->axis), s->outer, &outer) ||
        !ubp_mul_i64(ubp_span(index->dims, s->axis + 1, index->rank), s->inner, &inner))
        return false;
    const int rank = b->call->in[0]->rank;
    ubp_samples_axis(b, 0, 1, rank == 1 ? 1 : rank - 1);
    b->out[0].outer = outer;
    b->out[0].inner = inner;
    ubp_samples_fit(b, 0);
    return true;
}

static void extractor_batch(ubp_batch *b)
{
    if (takes_own_entries(b))
        return;
    if (!ubp_samples_plain(b, 1, 1, "which features are taken hangs on the samples"))
        return;
    const int rank = b->call->in[0]->rank;
    if (ubp_has_samples(b, 0) && b->in[0].axis < rank - 1)
        ubp_samples_axis(b, 0, 0, b->in[0].axis);
    else if (ubp_has_samples(b, 0))
        ubp_samples_couple(b, 0, "features made of several samples");
    ubp_samples_words(b, 0, 0);
    ubp_samples_fit(b, 0);
}

static ub_status extractor_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[0], *y = c->out[0];
    const size_t size = ub_dtype_size(x->dtype);
    const int64_t columns = x->dims[x->rank - 1], taken = ub_tensor_count(c->in[1]);
    const int64_t rows = ubp_span(x->dims, 0, x->rank - 1);
    int64_t *index;
    UBP_TRY(ubp_index_data(c, 1, &index));
    UBP_TRY(ubp_want_in_bounds(c, index, taken, columns, x->rank - 1));
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < taken; k++)
            ubp_copy_element((char *)y->data + (size_t)(row * taken + k) * size,
                             (const char *)x->data + (size_t)(row * columns + index[k]) * size,
                             size);
    return UB_OK;
}

static ub_status encoder_infer(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    int64_t dims[UB_MAX_RANK];
    const ub_tensor *x = c->in[0];
    if (!a->categories.strings)
        UBP_TRY(want_numbers(c));
    else if (x->dtype != UB_STRING)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, the categories are strings",
                           ub_dtype_name(x->dtype));
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK - 1));
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = a->categories.n;
    return ubp_set_out(c, 0, UB_F32, x->rank + 1, dims);
}

static void encoder_batch(ubp_batch *b)
{
    if (ubp_has_samples(b, 0))
        ubp_samples_axis(b, 0, 0, b->in[0].axis);
    if (b->in[0].sized || b->in[0].positional)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    ubp_samples_fit(b, 0);
}

/* The category of what p holds; n: none. Floats are cut; far too large ones and NaN are none. */
static int64_t category(const ubp_ml_labels *l, const char *p, ub_dtype dtype)
{
    int64_t k = 0, v = 0;
    if (l->strings) {
        while (k < l->n && strcmp(l->strings[k], ubp_string_at(p)) != 0)
            k++;
        return k;
    }
    if (ubp_is_float(dtype)) {
        const double number = trunc(ubp_read_f64(p, dtype));
        if (!(number >= -0x1p63 && number < 0x1p63))
            return l->n;
        v = (int64_t)number;
    } else {
        v = ubp_read_i64(p, dtype);
    }
    while (k < l->n && l->ints[k] != v)
        k++;
    return k;
}

static ub_status encoder_ref(const ubp_call *c)
{
    const feature_attr *a = c->attr;
    const ubp_ml_labels *l = &a->categories;
    const ub_tensor *x = c->in[0], *y = c->out[0];
    const size_t size = ub_dtype_size(x->dtype);
    memset(y->data, 0, ubp_tensor_bytes(y));
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        const int64_t k = category(l, (const char *)x->data + (size_t)i * size, x->dtype);
        if (k < l->n)
            ubp_put_number(y, i * l->n + k, 1);
        else if (!a->zeros)
            return ubp_op_fail(c, UB_ERR_SHAPE, "element %lld is none of the categories",
                               (long long)i);
    }
    return UB_OK;
}

static ub_status no_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)n;
    (void)attr;
    (void)arena;
    (void)err;
    return UB_OK;
}

#define FEATURES(NAME, INPUTS_LEAST, INPUTS_MOST, ATTRS, BATCH, FAMILY)                            \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "ai.onnx.ml",                                                                    \
        .min_in = INPUTS_LEAST,                                                                    \
        .max_in = INPUTS_MOST,                                                                     \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .attr_size = sizeof(feature_attr),                                                         \
        .attrs = ATTRS,                                                                            \
        .infer = FAMILY##_infer,                                                                   \
        .batch = BATCH,                                                                            \
        .ref = FAMILY##_ref,                                                                       \
    }
FEATURES(Scaler, 1, 1, scaler_attrs, columns_batch, scaler);
FEATURES(Normalizer, 1, 1, normalizer_attrs, columns_batch, normalizer);
FEATURES(Binarizer, 1, 1, binarizer_attrs, ubp_batch_elementwise, binarizer);
FEATURES(Imputer, 1, 1, imputer_attrs, columns_batch, imputer);
FEATURES(FeatureVectorizer, 1, 127, vectorizer_attrs, vectorizer_batch, vectorizer);
FEATURES(ArrayFeatureExtractor, 2, 2, no_attrs, extractor_batch, extractor);
FEATURES(OneHotEncoder, 1, 1, encoder_attrs, encoder_batch, encoder);
