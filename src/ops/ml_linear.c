/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LinearRegressor and LinearClassifier of ai.onnx.ml: scores of each row are its features times the
 * coefficients of each target, plus an intercept. Sums are taken in double, in order. Opset 1.
 */
#include "ops/ml.h"
#include "ops/numbers.h"

typedef struct linear_attr {
    const double *coefficients, *intercepts; /* (targets, features), (targets) */
    int64_t n_coefficients, n_intercepts, targets;
    ubp_ml_labels labels; /* classifiers only */
    ubp_ml_transform transform;
    bool classifies;
} linear_attr;

static ub_status read_model(const ubp_node *n, linear_attr *a, ubp_arena *arena, ub_error *err)
{
    UBP_TRY(ubp_ml_numbers(n, "coefficients", &a->coefficients, &a->n_coefficients, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "intercepts", &a->intercepts, &a->n_intercepts, arena, err));
    return ubp_ml_read_transform(n, &a->transform, err);
}

static ub_status check_targets(const ubp_node *n, const linear_attr *a, ub_error *err)
{
    if (a->targets >= 1 && a->n_coefficients % a->targets == 0 &&
        (a->n_intercepts == 0 || a->n_intercepts == a->targets))
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (%s): %lld coefficients and %lld intercepts for %lld targets",
                    n->name, n->op_type, (long long)a->n_coefficients, (long long)a->n_intercepts,
                    (long long)a->targets);
}

static ub_status regressor_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    linear_attr *a = attr;
    UBP_TRY(read_model(n, a, arena, err));
    UBP_TRY(ubp_attr_int(n, "targets", 1, &a->targets, err));
    return check_targets(n, a, err);
}

static ub_status classifier_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    linear_attr *a = attr;
    a->classifies = true;
    UBP_TRY(read_model(n, a, arena, err));
    UBP_TRY(ubp_ml_read_labels(n, "classlabels_ints", "classlabels_strings", &a->labels, err));
    /* Two classes may share one set of coefficients. */
    a->targets = a->n_intercepts > 0 ? a->n_intercepts : a->labels.n;
    if (a->labels.strings && a->labels.n == 1)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "node '%s' (LinearClassifier): one label that is a string: ONNX does not "
                        "say what stands for the other class",
                        n->name);
    if (a->labels.n != a->targets && !(a->targets == 1 && a->labels.n <= 2))
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (LinearClassifier): %lld labels for %lld "
                        "scores",
                        n->name, (long long)a->labels.n, (long long)a->targets);
    return check_targets(n, a, err);
}

static bool makes_two(const linear_attr *a)
{
    return a->classifies && a->targets == 1 && a->labels.n == 2;
}

static ub_status linear_infer(const ubp_call *c)
{
    const linear_attr *a = c->attr;
    int64_t rows = 0, features = 0;
    UBP_TRY(ubp_ml_want_rows(c, &rows, &features));
    if (features != a->n_coefficients / a->targets)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld features for %lld coefficients a target",
                           (long long)features, (long long)(a->n_coefficients / a->targets));
    const int64_t dims[] = {rows, makes_two(a) ? 2 : a->targets};
    if (!a->classifies)
        return ubp_set_out(c, 0, UB_F32, 2, dims);
    UBP_TRY(ubp_set_out(c, 0, ubp_ml_label_dtype(&a->labels), 1, dims));
    return ubp_set_out(c, 1, UB_F32, 2, dims);
}

typedef struct linear_run {
    const ubp_call *c;
    double *scores; /* (rows, targets + 1) */
    int64_t features;
} linear_run;

/* Writes the label of a row, by its scores before any transform. */
static void put_label(const ub_tensor *to, int64_t row, const linear_attr *a, const double *s)
{
    int64_t best = 0;
    if (a->targets == 1 && a->labels.n < 2) { /* yes or no, in integers */
        const int64_t yes = a->labels.n ? a->labels.ints[0] : 1;
        ((int64_t *)to->data)[row] = s[0] > 0 ? yes : 0;
        return;
    }
    if (a->targets == 1)
        best = s[0] > 0;
    for (int64_t k = 1; k < a->targets; k++)
        best = s[k] > s[best] ? k : best;
    ubp_ml_put_label(to, row, &a->labels, best);
}

static void linear_rows(void *arg, int64_t begin, int64_t end)
{
    const linear_run *j = arg;
    const ubp_call *c = j->c;
    const linear_attr *a = c->attr;
    const ub_tensor *scores = a->classifies ? (c->n_out > 1 ? c->out[1] : NULL) : c->out[0];
    for (int64_t row = begin; row < end; row++) {
        double *s = j->scores + row * (a->targets + 1);
        for (int64_t t = 0; t < a->targets; t++) {
            double sum = 0;
            for (int64_t k = 0; k < j->features; k++)
                sum += ubp_any_number(c->in[0], row * j->features + k) *
                       a->coefficients[t * j->features + k];
            s[t] = sum + (a->n_intercepts ? a->intercepts[t] : 0);
        }
        if (a->classifies && ubp_has_out(c, 0))
            put_label(c->out[0], row, a, s);
        const int64_t n = ubp_ml_finish(s, a->targets, a->transform,
                                        makes_two(a) ? UBP_ML_COMPLEMENT : UBP_ML_ALONE);
        for (int64_t k = 0; k < n && scores && k < scores->dims[1]; k++)
            ubp_put_number(scores, row * scores->dims[1] + k, s[k]);
    }
}

static ub_status linear_ref(const ubp_call *c)
{
    const linear_attr *a = c->attr;
    linear_run j = {.c = c};
    int64_t rows = 0;
    size_t bytes;
    UBP_TRY(ubp_ml_want_rows(c, &rows, &j.features));
    if (!ubp_mul_size((size_t)rows, (size_t)(a->targets + 1) * sizeof(double), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    j.scores = ubp_run_scratch(c, bytes);
    if (!j.scores)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, rows, 256, linear_rows, &j);
    return UB_OK;
}

#define LINEAR(NAME, OUTPUTS, ATTRS)                                                               \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "ai.onnx.ml",                                                                    \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .attr_size = sizeof(linear_attr),                                                          \
        .attrs = ATTRS,                                                                            \
        .infer = linear_infer,                                                                     \
        .batch = ubp_ml_rows_batch,                                                                \
        .ref = linear_ref,                                                                         \
    }
LINEAR(LinearRegressor, 1, regressor_attrs);
LINEAR(LinearClassifier, 2, classifier_attrs);
