/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier of ai.onnx.ml (opset 5): each row of
 * features walks down every tree; the votes of the leaves it ends in are added, in the order of the
 * trees, in double. ml_tree_read.c builds the trees.
 */
#include "ops/ml_tree.h"

#include "ops/numbers.h"

#include <math.h>
#include <string.h>

static ub_status tree_infer(const ubp_call *c)
{
    const ubp_forest *f = c->attr;
    int64_t rows = 0, features = 0;
    UBP_TRY(ubp_ml_want_rows(c, &rows, &features));
    if (features < f->features)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld features, the trees ask for %lld",
                           (long long)features, (long long)f->features);
    const ub_dtype dtype = c->in[0]->dtype;
    if (f->kind == UBP_FOREST_CLASSES) {
        UBP_TRY(ubp_set_out(c, 0, ubp_ml_label_dtype(&f->labels), 1, &rows));
        return ubp_set_out(c, 1, UB_F32, 2, (const int64_t[]){rows, f->targets});
    }
    return ubp_set_out(c, 0, f->kind == UBP_FOREST_NEW ? dtype : UB_F32, 2,
                       (const int64_t[]){rows, f->targets});
}

/* ---- One row ----------------------------------------------------------------------------------
 */

static bool is_member(const ubp_forest *f, const ubp_tree_node *n, double x)
{
    for (int64_t i = 0; i < n->n_members; i++)
        if (f->members[n->first_member + i] == x)
            return true;
    return false;
}

static bool goes_yes(const ubp_forest *f, const ubp_tree_node *n, double x)
{
    if (isnan(x))
        return n->nan_yes;
    switch (n->mode) {
    case UBP_TREE_LEQ:
        return x <= n->split;
    case UBP_TREE_LT:
        return x < n->split;
    case UBP_TREE_GTE:
        return x >= n->split;
    case UBP_TREE_GT:
        return x > n->split;
    case UBP_TREE_EQ:
        return x == n->split;
    case UBP_TREE_NEQ:
        return x != n->split;
    default:
        return is_member(f, n, x);
    }
}

/* The leaf where a row ends; the reader made sure that there are no rings. */
static const ubp_tree_leaf *walk(const ubp_forest *f, const ub_tensor *x, int64_t first, int64_t at)
{
    while (at >= 0) {
        const ubp_tree_node *n = &f->nodes[at];
        at = goes_yes(f, n, ubp_any_number(x, first + n->feature)) ? n->yes : n->no;
    }
    return &f->leaves[-at - 1];
}

/* Adds the votes of all trees; voted[t] says whether target t got any. */
static void vote(const ubp_forest *f, const ub_tensor *x, int64_t first, double *sum, bool *voted)
{
    memset(sum, 0, (size_t)f->targets * sizeof *sum);
    memset(voted, 0, (size_t)f->targets);
    for (int64_t t = 0; t < f->n_roots; t++) {
        const ubp_tree_leaf *leaf = walk(f, x, first, f->roots[t]);
        for (int64_t i = 0; i < leaf->n_votes; i++) {
            const ubp_tree_vote *v = &f->votes[leaf->first_vote + i];
            double *s = &sum[v->target];
            if (f->aggregate == UBP_TREE_MIN)
                *s = !voted[v->target] || v->weight < *s ? v->weight : *s;
            else if (f->aggregate == UBP_TREE_MAX)
                *s = !voted[v->target] || v->weight > *s ? v->weight : *s;
            else
                *s += v->weight;
            voted[v->target] = true;
        }
    }
    for (int64_t t = 0; t < f->targets && f->aggregate == UBP_TREE_AVERAGE; t++)
        sum[t] /= (double)f->n_roots;
}

/* Which label a row has; the scores become what is written. As ONNX Runtime: with two classes and
 * votes for one of them, the score is that of the second, and the first gets what is left. */
static int64_t classify(const ubp_forest *f, double *s, const bool *voted)
{
    int64_t best = 0;
    if (f->targets == 2 && f->one_class) {
        const int64_t own = voted[1] ? 1 : 0;
        s[0] = s[own] + (f->n_base == 2 ? f->base[1] : f->n_base == 1 ? f->base[0] : 0);
        const bool yes = s[0] > (f->positive ? 0.5 : 0);
        ubp_ml_finish(s, 1, f->transform, f->positive ? UBP_ML_COMPLEMENT : UBP_ML_OPPOSITE);
        return yes;
    }
    for (int64_t k = 0; k < f->targets; k++)
        s[k] += f->n_base == f->targets ? f->base[k] : 0;
    for (int64_t k = 1; k < f->targets; k++)
        best = s[k] > s[best] ? k : best;
    ubp_ml_finish(s, f->targets, f->transform, UBP_ML_ALONE);
    return best;
}

/* ---- All rows ---------------------------------------------------------------------------------
 */

typedef struct tree_run {
    const ubp_call *c;
    double *scores; /* (rows, targets + 1) */
    bool *voted;    /* (rows, targets) */
    int64_t features;
} tree_run;

static void tree_rows(void *arg, int64_t begin, int64_t end)
{
    const tree_run *j = arg;
    const ubp_call *c = j->c;
    const ubp_forest *f = c->attr;
    const int at = f->kind == UBP_FOREST_CLASSES ? 1 : 0;
    for (int64_t row = begin; row < end && !ubp_run_cancelled(c->run); row++) {
        double *s = j->scores + row * (f->targets + 1);
        bool *voted = j->voted + row * f->targets;
        vote(f, c->in[0], row * j->features, s, voted);
        if (f->kind == UBP_FOREST_CLASSES) {
            const int64_t label = classify(f, s, voted);
            if (ubp_has_out(c, 0))
                ubp_ml_put_label(c->out[0], row, &f->labels, label);
        } else {
            for (int64_t t = 0; t < f->targets && f->n_base == f->targets; t++)
                s[t] += f->base[t];
            ubp_ml_finish(s, f->targets, f->transform, UBP_ML_ALONE);
        }
        for (int64_t t = 0; ubp_has_out(c, at) && t < f->targets; t++)
            ubp_put_any(c->out[at], row * f->targets + t, s[t]);
    }
}

static ub_status tree_ref(const ubp_call *c)
{
    const ubp_forest *f = c->attr;
    tree_run j = {.c = c};
    int64_t rows = 0;
    size_t bytes, flags;
    UBP_TRY(ubp_ml_want_rows(c, &rows, &j.features));
    if (!ubp_mul_size((size_t)rows, (size_t)(f->targets + 1) * sizeof(double), &bytes) ||
        !ubp_mul_size((size_t)rows, (size_t)f->targets, &flags))
        return ubp_fail_memory(c->err, SIZE_MAX);
    j.scores = ubp_run_scratch(c, bytes);
    j.voted = ubp_run_scratch(c, flags);
    if (!j.scores || !j.voted)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, rows, 16, tree_rows, &j);
    return ubp_run_cancelled(c->run) ? UBP_CANCELLED(c) : UB_OK;
}

#define FOREST(NAME, OUTPUTS, ATTRS)                                                               \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "ai.onnx.ml",                                                                    \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .attr_size = sizeof(ubp_forest),                                                           \
        .attrs = ATTRS,                                                                            \
        .infer = tree_infer,                                                                       \
        .batch = ubp_ml_rows_batch,                                                                \
        .ref = tree_ref,                                                                           \
    }
FOREST(TreeEnsemble, 1, ubp_forest_read_new);
FOREST(TreeEnsembleRegressor, 1, ubp_forest_read_regressor);
FOREST(TreeEnsembleClassifier, 2, ubp_forest_read_classifier);
