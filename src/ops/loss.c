/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: minus the (logarithm of the) probability
 * of each label, times the weight of its class; as it is, or summed or averaged over everything.
 * Scores are (N, C, ...), labels (N, ...). Sums are taken in double, in order. ONNX opset 22 and
 * 13.
 */
#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

enum { IN_SCORES, IN_LABELS, IN_WEIGHTS };
enum { OUT_LOSS, OUT_LOG_PROB };

typedef enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN } reduction;

typedef struct loss_attr {
    reduction reduce;
    bool ignores;
    int64_t ignored;
} loss_attr;

static ub_status loss_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    static const char *const names[] = {"none", "sum", "mean"};
    loss_attr *a = attr;
    const char *reduce;
    (void)arena;
    UBP_TRY(ubp_attr_string(n, "reduction", "mean", &reduce, err));
    a->ignores = ubp_node_attr(n, "ignore_index") != NULL;
    UBP_TRY(ubp_attr_int(n, "ignore_index", 0, &a->ignored, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(reduce, names[i]) == 0) {
            a->reduce = (reduction)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (%s): reduction '%.40s', expected none, sum or mean", n->name,
                    n->op_type, reduce);
}

static ub_status loss_infer(const ubp_call *c)
{
    const loss_attr *a = c->attr;
    UBP_TRY(ubp_want_float(c, IN_SCORES));
    UBP_TRY(ubp_want_index(c, IN_LABELS));
    UBP_TRY(ubp_want_rank(c, IN_SCORES, 2, UB_MAX_RANK));
    const ub_tensor *x = c->in[IN_SCORES], *t = c->in[IN_LABELS];
    UBP_TRY(ubp_want_rank(c, IN_LABELS, x->rank - 1, x->rank - 1));
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != x->dims[i == 0 ? 0 : i + 1])
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "axis %d of the labels has %lld entries, expected "
                               "%lld",
                               i, (long long)t->dims[i], (long long)x->dims[i == 0 ? 0 : i + 1]);
    if (ubp_has_in(c, IN_WEIGHTS)) {
        UBP_TRY(ubp_want_same_dtype(c, IN_SCORES, IN_WEIGHTS));
        UBP_TRY(ubp_want_rank(c, IN_WEIGHTS, 1, 1));
        if (c->in[IN_WEIGHTS]->dims[0] != x->dims[1])
            return ubp_op_fail(c, UB_ERR_SHAPE, "%lld weights for %lld classes",
                               (long long)c->in[IN_WEIGHTS]->dims[0], (long long)x->dims[1]);
    }
    UBP_TRY(ubp_set_out(c, OUT_LOSS, x->dtype, a->reduce == REDUCE_NONE ? t->rank : 0, t->dims));
    return ubp_set_like(c, OUT_LOG_PROB, IN_SCORES);
}

static void loss_batch(ubp_batch *b)
{
    const loss_attr *a = b->call->attr;
    ubp_rows rows = {.why = "softmax over the batch axis"};
    const ubp_samples *s = &b->in[IN_SCORES], *t = &b->in[IN_LABELS];
    /* An axis behind the classes: that of the labels is one less. */
    int axis = 0;
    if (ubp_has_samples(b, IN_SCORES))
        axis = s->axis;
    else if (ubp_has_samples(b, IN_LABELS) && t->axis > 0)
        axis = t->axis + 1;
    const int label = axis > 1 ? axis - 1 : 0;
    rows.in_axis[IN_SCORES] = (int8_t)(axis == 1 ? UBP_ROWS_SHARED : axis);
    rows.in_axis[IN_LABELS] = (int8_t)label;
    rows.in_axis[IN_WEIGHTS] = UBP_ROWS_SHARED;
    rows.out_axis[OUT_LOSS] = (int8_t)label;
    rows.out_axis[OUT_LOG_PROB] = rows.in_axis[IN_SCORES];
    if (a->reduce != REDUCE_NONE &&
        (ubp_has_samples(b, IN_SCORES) || ubp_has_samples(b, IN_LABELS)))
        ubp_samples_couple(b, OUT_LOSS, "the loss is taken over the batch");
    /* The labels do not touch the probabilities. */
    ubp_rows_batch(b, &rows);
    if (a->reduce != REDUCE_NONE)
        b->out[OUT_LOSS].kind = UBP_SAMPLES_NONE;
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct places {
    const ub_tensor *x, *log_prob; /* (N, C, each); log_prob may be NULL */
    const int64_t *labels;         /* (N, each) */
    double *loss, *weight;         /* (N, each) */
    const ub_tensor *weights;      /* (C), or NULL */
    const loss_attr *attr;
    int64_t classes, each;
    bool softmax;
} places;

/* The logarithm of the sum of the exponentials of a place's scores, and their highest. */
static double log_sum(const places *j, int64_t first, double *high)
{
    double sum = 0;
    *high = ubp_number(j->x, first);
    for (int64_t k = 1; k < j->classes; k++) {
        const double v = ubp_number(j->x, first + k * j->each);
        *high = v > *high ? v : *high;
    }
    for (int64_t k = 0; k < j->classes; k++)
        sum += exp(ubp_number(j->x, first + k * j->each) - *high);
    return log(sum);
}

static void run_places(void *arg, int64_t begin, int64_t end)
{
    const places *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i / j->each * j->each * j->classes + i % j->each;
        const bool ignored = j->attr->ignores && j->labels[i] == j->attr->ignored;
        double high = 0, sum = 0;
        if (j->softmax && j->classes > 0)
            sum = log_sum(j, first, &high);
        for (int64_t k = 0; k < j->classes && j->log_prob; k++) {
            const int64_t at = first + k * j->each;
            ubp_put_number(j->log_prob, at, ubp_number(j->x, at) - high - sum);
        }
        j->weight[i] = 0;
        j->loss[i] = 0;
        if (ignored)
            continue;
        j->weight[i] = j->weights ? ubp_number(j->weights, j->labels[i]) : 1;
        j->loss[i] =
            -(ubp_number(j->x, first + j->labels[i] * j->each) - high - sum) * j->weight[i];
    }
}

static ub_status check_labels(const ubp_call *c, const places *j, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if ((j->labels[i] < 0 || j->labels[i] >= j->classes) &&
            !(j->attr->ignores && j->labels[i] == j->attr->ignored))
            return ubp_op_fail(c, UB_ERR_SHAPE, "label %lld, expected 0 to %lld",
                               (long long)j->labels[i], (long long)j->classes - 1);
    return UB_OK;
}

static void reduce_loss(const places *j, int64_t n, const ub_tensor *out)
{
    double loss = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        if (j->attr->reduce == REDUCE_NONE)
            ubp_put_number(out, i, j->loss[i]);
        loss += j->loss[i];
        weight += j->weight[i];
    }
    if (j->attr->reduce == REDUCE_SUM)
        ubp_put_number(out, 0, loss);
    if (j->attr->reduce == REDUCE_MEAN)
        ubp_put_number(out, 0, loss / weight);
}

static ub_status run_loss(const ubp_call *c, bool softmax)
{
    const ub_tensor *x = c->in[IN_SCORES];
    const int64_t n = ub_tensor_count(c->in[IN_LABELS]);
    int64_t *labels;
    places j = {.x = x,
                .log_prob = ubp_has_out(c, OUT_LOG_PROB) ? c->out[OUT_LOG_PROB] : NULL,
                .weights = ubp_has_in(c, IN_WEIGHTS) ? c->in[IN_WEIGHTS] : NULL,
                .attr = c->attr,
                .classes = x->dims[1],
                .each = ubp_span(x->dims, 2, x->rank),
                .softmax = softmax};
    size_t bytes;
    if (!ubp_mul_size((size_t)n, sizeof(double), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    UBP_TRY(ubp_index_data(c, IN_LABELS, &labels));
    j.labels = labels;
    UBP_TRY(check_labels(c, &j, n));
    j.loss = ubp_run_scratch(c, bytes);
    j.weight = ubp_run_scratch(c, bytes);
    if (!j.loss || !j.weight)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, n, 1024 / (j.classes + 1) + 1, run_places, &j);
    reduce_loss(&j, n, c->out[OUT_LOSS]);
    return UB_OK;
}

static ub_status likelihood_ref(const ubp_call *c)
{
    return run_loss(c, false);
}

static ub_status entropy_ref(const ubp_call *c)
{
    return run_loss(c, true);
}

#define LOSS(NAME, OUTPUTS, REF)                                                                   \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 2,                                                                               \
        .max_in = 3,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(loss_attr),                                                            \
        .attrs = loss_attrs,                                                                       \
        .infer = loss_infer,                                                                       \
        .batch = loss_batch,                                                                       \
        .ref = REF,                                                                                \
    }
LOSS(NegativeLogLikelihoodLoss, 1, likelihood_ref);
LOSS(SoftmaxCrossEntropyLoss, 2, entropy_ref);
