/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SVMRegressor and SVMClassifier of ai.onnx.ml: a kernel between each row and the support vectors;
 * one number a row, or a vote between each pair of classes, with libsvm's probabilities where the
 * file has them. In double, in order. Opset 1.
 */
#include "ops/ml.h"
#include "ops/numbers.h"

#include <math.h>
#include <string.h>

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID } kernel;

typedef struct svm_attr {
    const double *coefficients, *vectors, *rho, *prob_a, *prob_b;
    int64_t n_coefficients, n_numbers, n_rho, n_prob, n_vectors; /* n_numbers: in vectors */
    ubp_ml_labels labels;
    const int64_t *per_class;
    int64_t classes, n_per_class;
    double gamma, coef0, degree;
    kernel kernel;
    ubp_ml_transform transform;
    bool one_class, classifies, positive;
} svm_attr;

static ub_status bad(const ubp_node *n, ub_error *err, const char *what)
{
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): %s", n->name, n->op_type, what);
}

static ub_status read_kernel(const ubp_node *n, svm_attr *a, ub_error *err)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const char *name;
    const double *params;
    int count, found = -1;
    UBP_TRY(ubp_attr_string(n, "kernel_type", "LINEAR", &name, err));
    UBP_TRY(ubp_attr_floats(n, "kernel_params", &params, &count, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        found = strcmp(name, names[i]) == 0 ? i : found;
    if (found < 0 || (count > 0 && count != 3))
        return bad(n, err, "kernel_type is not known, or kernel_params are not three numbers");
    a->kernel = (kernel)found;
    a->gamma = count == 3 ? params[0] : 0;
    a->coef0 = count == 3 ? params[1] : 0;
    a->degree = count == 3 ? params[2] : 0;
    return UB_OK;
}

static ub_status read_model(const ubp_node *n, svm_attr *a, ubp_arena *arena, ub_error *err)
{
    int64_t second = 0;
    UBP_TRY(read_kernel(n, a, err));
    UBP_TRY(ubp_ml_read_transform(n, &a->transform, err));
    UBP_TRY(ubp_ml_numbers(n, "coefficients", &a->coefficients, &a->n_coefficients, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "support_vectors", &a->vectors, &a->n_numbers, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "rho", &a->rho, &a->n_rho, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "prob_a", &a->prob_a, &a->n_prob, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "prob_b", &a->prob_b, &second, arena, err));
    if (second != a->n_prob || a->n_rho < 1 || a->n_coefficients < 1)
        return bad(n, err,
                   "prob_a and prob_b differ in length, or rho or coefficients are "
                   "missing");
    return UB_OK;
}

static ub_status regressor_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    svm_attr *a = attr;
    int64_t one_class;
    UBP_TRY(read_model(n, a, arena, err));
    UBP_TRY(ubp_attr_int(n, "n_supports", 0, &a->n_vectors, err));
    UBP_TRY(ubp_attr_int(n, "one_class", 0, &one_class, err));
    a->one_class = one_class != 0;
    if (a->n_vectors < 0 || (a->n_vectors > 0 && (a->n_numbers % a->n_vectors != 0 ||
                                                  a->n_coefficients < a->n_vectors)))
        return bad(n, err, "support_vectors and coefficients do not fit n_supports");
    if (a->n_vectors == 0)
        a->kernel = LINEAR;
    return UB_OK;
}

/* Votes between pairs need coefficients (classes - 1, vectors), rho and perhaps probabilities for
 * each pair. */
static ub_status check_pairs(const ubp_node *n, const svm_attr *a, ub_error *err)
{
    const int64_t pairs = a->classes * (a->classes - 1) / 2;
    if (a->n_per_class != a->classes || a->classes < 2 || a->n_numbers % a->n_vectors != 0 ||
        a->n_coefficients / a->n_vectors != a->classes - 1 ||
        a->n_coefficients % a->n_vectors != 0 || a->n_rho != pairs ||
        (a->n_prob != 0 && a->n_prob != pairs))
        return bad(n, err,
                   "vectors_per_class, coefficients, rho and prob_a do not fit the number "
                   "of classes");
    return UB_OK;
}

static ub_status classifier_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    enum { MOST_CLASSES = 1 << 15 };
    svm_attr *a = attr;
    a->classifies = a->positive = true;
    UBP_TRY(read_model(n, a, arena, err));
    UBP_TRY(ubp_ml_read_labels(n, "classlabels_ints", "classlabels_strings", &a->labels, err));
    a->classes = a->labels.n;
    UBP_TRY(ubp_ml_ints(n, "vectors_per_class", &a->per_class, &a->n_per_class, err));
    if (a->classes < 1 || a->classes > MOST_CLASSES)
        return bad(n, err, "no class labels, or too many");
    if (a->labels.strings && a->classes == 1)
        return bad(n, err, "one label that is a string, at least two were expected");
    for (int64_t i = 0; i < a->n_coefficients; i++)
        a->positive = a->positive && a->coefficients[i] >= 0;
    for (int64_t i = 0; i < a->n_per_class; i++)
        if (a->per_class[i] < 0 || !ubp_add_i64(a->n_vectors, a->per_class[i], &a->n_vectors))
            return bad(n, err, "a negative number in vectors_per_class");
    if (a->n_vectors > 0)
        return check_pairs(n, a, err);
    a->kernel = LINEAR;
    if (a->n_coefficients % a->classes != 0)
        return bad(n, err, "coefficients are no multiple of the classes");
    return UB_OK;
}

/* ---- Shapes -----------------------------------------------------------------------------------
 */

static int64_t wanted_features(const svm_attr *a)
{
    if (a->n_vectors > 0)
        return a->n_numbers / a->n_vectors;
    return a->classifies ? a->n_coefficients / a->classes : a->n_coefficients;
}

/* How many scores a row has before the last transform. */
static int64_t score_count(const svm_attr *a)
{
    if (!a->classifies)
        return 1;
    if (a->n_vectors == 0 || a->n_prob > 0)
        return a->classes;
    return a->classes * (a->classes - 1) / 2;
}

/* One score of two classes becomes two. */
static bool makes_two(const svm_attr *a)
{
    return a->classifies && a->classes == 2 && score_count(a) == 1 && a->transform != UBP_ML_PROBIT;
}

static ub_status svm_infer(const ubp_call *c)
{
    const svm_attr *a = c->attr;
    int64_t rows = 0, features = 0;
    UBP_TRY(ubp_ml_want_rows(c, &rows, &features));
    if (features != wanted_features(a))
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld features, expected %lld", (long long)features,
                           (long long)wanted_features(a));
    const int64_t dims[] = {rows, makes_two(a) ? 2 : score_count(a)};
    if (!a->classifies)
        return ubp_set_out(c, 0, UB_F32, 2, dims);
    UBP_TRY(ubp_set_out(c, 0, ubp_ml_label_dtype(&a->labels), 1, dims));
    return ubp_set_out(c, 1, UB_F32, 2, dims);
}

/* ---- One row ----------------------------------------------------------------------------------
 */

static double apply_kernel(const svm_attr *a, const double *x, const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a->kernel == RBF ? (x[i] - v[i]) * (x[i] - v[i]) : x[i] * v[i];
    switch (a->kernel) {
    case POLY:
        return pow(a->gamma * sum + a->coef0, a->degree);
    case SIGMOID:
        return tanh(a->gamma * sum + a->coef0);
    case RBF:
        return exp(-a->gamma * sum);
    default:
        return sum;
    }
}

/* Scores of the pairs of classes, and how many of them each class wins. kernels: [vectors]. */
static void vote_pairs(const svm_attr *a, const double *kernels, double *scores, double *votes)
{
    int64_t pair = 0, first = 0;
    memset(votes, 0, (size_t)a->classes * sizeof *votes);
    for (int64_t i = 0; i < a->classes; first += a->per_class[i], i++) {
        int64_t second = first + a->per_class[i];
        for (int64_t k = i + 1; k < a->classes; second += a->per_class[k], k++, pair++) {
            double sum = 0;
            for (int64_t v = first; v < first + a->per_class[i]; v++)
                sum += a->coefficients[(k - 1) * a->n_vectors + v] * kernels[v];
            for (int64_t v = second; v < second + a->per_class[k]; v++)
                sum += a->coefficients[i * a->n_vectors + v] * kernels[v];
            scores[pair] = sum + a->rho[pair];
            votes[scores[pair] > 0 ? i : k] += 1;
        }
    }
}

/* libsvm's way from probabilities of pairs to those of classes (Wu, Lin, Weng 2004, second method).
 * pairs, q: (classes, classes); p: [classes]; qp: [classes]. */
static void couple_pairs(int64_t n, const double *pairs, double *q, double *qp, double *p)
{
    enum { ROUNDS = 100 };
    for (int64_t t = 0; t < n; t++) {
        p[t] = 1.0 / (double)n;
        q[t * n + t] = 0;
        for (int64_t j = 0; j < n; j++)
            if (j != t)
                q[t * n + t] += pairs[j * n + t] * pairs[j * n + t];
        for (int64_t j = 0; j < n; j++)
            if (j != t)
                q[t * n + j] = -pairs[j * n + t] * pairs[t * n + j];
    }
    for (int round = 0; round < ROUNDS; round++) {
        double pqp = 0, worst = 0;
        for (int64_t t = 0; t < n; t++) {
            qp[t] = 0;
            for (int64_t j = 0; j < n; j++)
                qp[t] += q[t * n + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (int64_t t = 0; t < n; t++)
            worst = fmax(worst, fabs(qp[t] - pqp));
        if (worst < 0.005 / (double)n)
            return;
        for (int64_t t = 0; t < n; t++) {
            const double diff = (-qp[t] + pqp) / q[t * n + t];
            p[t] += diff;
            pqp = (pqp + diff * (diff * q[t * n + t] + 2 * qp[t])) / (1 + diff) / (1 + diff);
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + diff * q[t * n + j]) / (1 + diff);
                p[j] /= 1 + diff;
            }
        }
    }
}

/* scores of pairs become probabilities of classes. work: (2 classes + 1, classes). */
static void to_probabilities(const svm_attr *a, double *scores, double *work)
{
    const int64_t n = a->classes;
    double *pairs = work, *q = work + n * n, *qp = q + n * n;
    for (int64_t i = 0, pair = 0; i < n; i++)
        for (int64_t k = i + 1; k < n; k++, pair++) {
            const double p = 1 / (1 + exp(scores[pair] * a->prob_a[pair] + a->prob_b[pair]));
            pairs[i * n + k] = fmin(fmax(p, 1e-7), 1 - 1e-7);
            pairs[k * n + i] = 1 - pairs[i * n + k];
        }
    couple_pairs(n, pairs, q, qp, scores);
}

static int64_t highest(const double *v, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = v[i] > v[best] ? i : best;
    return best;
}

/* As ONNX Runtime: with one border, the label hangs on its sign where there are no probabilities.
 */
static void put_label(const ub_tensor *to, int64_t row, const svm_attr *a, const double *votes,
                      const double *scores)
{
    const double *by = a->n_vectors > 0 ? votes : scores;
    int64_t best = highest(by, a->classes);
    if (a->n_rho == 1 && a->classes == 1) { /* yes or no, in integers */
        ((int64_t *)to->data)[row] = by[best] > 0 ? 1 : 0;
        return;
    }
    const bool one_border = a->n_rho == 1 && a->classes == 2 && a->n_prob == 0 && !a->n_vectors;
    if (one_border && (a->positive ? scores[best] >= 0.5 : scores[best] > 0))
        best = 1;
    ubp_ml_put_label(to, row, &a->labels, best);
}

/* ---- All rows ---------------------------------------------------------------------------------
 */

typedef struct svm_run {
    const ubp_call *c;
    double *work; /* (rows, room) */
    int64_t features, room;
} svm_run;

static double regress(const svm_attr *a, const double *x, int64_t features)
{
    double sum = 0;
    if (a->n_vectors == 0)
        sum = apply_kernel(a, x, a->coefficients, features);
    for (int64_t v = 0; v < a->n_vectors; v++)
        sum += a->coefficients[v] * apply_kernel(a, x, a->vectors + v * features, features);
    sum += a->rho[0];
    return a->one_class ? (sum > 0 ? 1 : -1) : sum;
}

static void classify_row(const svm_run *j, int64_t row, const double *x, double *scores)
{
    const ubp_call *c = j->c;
    const svm_attr *a = c->attr;
    const int64_t pairs = a->classes * (a->classes - 1) / 2 + 1;
    double *votes = scores + pairs + a->classes, *kernels = votes + a->classes;
    for (int64_t v = 0; v < a->n_vectors; v++)
        kernels[v] = apply_kernel(a, x, a->vectors + v * j->features, j->features);
    for (int64_t k = 0; a->n_vectors == 0 && k < a->classes; k++)
        scores[k] = a->rho[0] + apply_kernel(a, x, a->coefficients + k * j->features, j->features);
    if (a->n_vectors > 0)
        vote_pairs(a, kernels, scores, votes);
    if (a->n_vectors > 0 && a->n_prob > 0)
        to_probabilities(a, scores, kernels + a->n_vectors);
    if (ubp_has_out(c, 0))
        put_label(c->out[0], row, a, votes, scores);
    const int64_t n = ubp_ml_finish(scores, score_count(a), a->transform,
                                    makes_two(a) ? UBP_ML_OPPOSITE : UBP_ML_ALONE);
    for (int64_t k = 0; k < n && ubp_has_out(c, 1); k++)
        ubp_put_number(c->out[1], row * n + k, scores[k]);
}

static void svm_rows(void *arg, int64_t begin, int64_t end)
{
    const svm_run *j = arg;
    const svm_attr *a = j->c->attr;
    for (int64_t row = begin; row < end && !ubp_run_cancelled(j->c->run); row++) {
        double *x = j->work + row * j->room, *scores = x + j->features;
        for (int64_t k = 0; k < j->features; k++)
            x[k] = ubp_any_number(j->c->in[0], row * j->features + k);
        if (a->classifies) {
            classify_row(j, row, x, scores);
            continue;
        }
        scores[0] = regress(a, x, j->features);
        ubp_ml_finish(scores, 1, a->transform, UBP_ML_ALONE);
        ubp_put_number(j->c->out[0], row, scores[0]);
    }
}

static ub_status svm_ref(const ubp_call *c)
{
    const svm_attr *a = c->attr;
    svm_run j = {.c = c};
    int64_t rows = 0;
    size_t bytes;
    UBP_TRY(ubp_ml_want_rows(c, &rows, &j.features));
    /* The features, scores of pairs and classes, votes, kernels, three squares of classes. */
    j.room = j.features + 2 + a->n_vectors + a->classes * (a->classes + 3) +
             a->classes * (2 * a->classes + 1);
    if (!ubp_mul_size((size_t)rows, (size_t)j.room * sizeof(double), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    j.work = ubp_run_scratch(c, bytes);
    if (!j.work)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, rows, 16, svm_rows, &j);
    return ubp_run_cancelled(c->run) ? UBP_CANCELLED(c) : UB_OK;
}

#define SVM(NAME, OUTPUTS, ATTRS)                                                                  \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "ai.onnx.ml",                                                                    \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .attr_size = sizeof(svm_attr),                                                             \
        .attrs = ATTRS,                                                                            \
        .infer = svm_infer,                                                                        \
        .batch = ubp_ml_rows_batch,                                                                \
        .ref = svm_ref,                                                                            \
    }
SVM(SVMRegressor, 1, regressor_attrs);
SVM(SVMClassifier, 2, classifier_attrs);
