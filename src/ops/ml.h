/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ml: what the operators of ai.onnx.ml share: attributes, rows of features, what is done with
 * scores at the end. Rows are on axis 0 and do not touch each other. Where the specification is
 * silent, ONNX Runtime is followed.
 */
#ifndef UBP_ML_H
#define UBP_ML_H

#include "ops/ops.h"

typedef enum ubp_ml_transform {
    UBP_ML_NONE,
    UBP_ML_SOFTMAX,
    UBP_ML_LOGISTIC,
    UBP_ML_SOFTMAX_ZERO, /* scores of zero stay zero */
    UBP_ML_PROBIT
} ubp_ml_transform;

/* A score alone of two classes, and what the other class gets. Only LOGISTIC, and PROBIT of the one
 * score, are applied then. */
typedef enum ubp_ml_second {
    UBP_ML_ALONE,      /* no other class */
    UBP_ML_COMPLEMENT, /* 1 - score; with LOGISTIC as below */
    UBP_ML_OPPOSITE    /* -score, before the transform */
} ubp_ml_second;

/* Attribute post_transform. */
ub_status ubp_ml_read_transform(const ubp_node *n, ubp_ml_transform *out, ub_error *err);
/* Attribute `name` as numbers in the arena: floats, or the tensor `name`_as_tensor. *count is 0
 * when it is absent. */
ub_status ubp_ml_numbers(const ubp_node *n, const char *name, const double **out, int64_t *count,
                         ubp_arena *arena, ub_error *err);
/* Integers; *count is 0 when absent. */
ub_status ubp_ml_ints(const ubp_node *n, const char *name, const int64_t **out, int64_t *count,
                      ub_error *err);

/* The labels of a classifier, or categories: integers or strings. */
typedef struct ubp_ml_labels {
    int64_t n;
    const int64_t *ints;        /* [n], or NULL */
    const char *const *strings; /* [n], or NULL; the node's */
} ubp_ml_labels;

/* The attribute of those two that is there, strings first; n is 0 when there is none. */
ub_status ubp_ml_read_labels(const ubp_node *n, const char *ints, const char *strings,
                             ubp_ml_labels *out, ub_error *err);
/* UB_I64 or UB_STRING. */
ub_dtype ubp_ml_label_dtype(const ubp_ml_labels *l);
/* Writes label k as element i of a tensor of that dtype. */
void ubp_ml_put_label(const ub_tensor *to, int64_t i, const ubp_ml_labels *l, int64_t k);

/* Input 0 is (N, features) of numbers, or (features) for one row. */
ub_status ubp_ml_want_rows(const ubp_call *c, int64_t *rows, int64_t *features);
/* Rows stay where they are in every output. */
void ubp_ml_rows_batch(ubp_batch *b);

/* Transforms the scores of a row in place; [n] has room for two where `second` makes two of one.
 * Returns how many there are then. */
int64_t ubp_ml_finish(double *scores, int64_t n, ubp_ml_transform transform, ubp_ml_second second);

#endif
