/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operators of ai.onnx.ml share; see ml.h.
 */
#include "ops/ml.h"

#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ub_status ubp_ml_read_transform(const ubp_node *n, ubp_ml_transform *out, ub_error *err)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const char *name;
    UBP_TRY(ubp_attr_string(n, "post_transform", "NONE", &name, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (ubp_ml_transform)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): post_transform '%.40s' is not known",
                    n->name, n->op_type, name);
}

/* The tensor's elements in the arena. */
static ub_status tensor_numbers(const ubp_node *n, const ubp_attr *a, const double **out,
                                int64_t *count, ubp_arena *arena, ub_error *err)
{
    const ub_tensor *t = a->tensor;
    if (a->kind != UBP_ATTR_TENSOR || !t || !t->data ||
        (!ubp_is_float(t->dtype) && !ubp_is_integer(t->dtype)))
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): attribute '%s' is not a tensor of numbers", n->name,
                        n->op_type, a->name);
    const int64_t total = ub_tensor_count(t);
    const size_t size = ub_dtype_size(t->dtype);
    double *v = ubp_arena_array(arena, (size_t)total + 1, sizeof *v);
    if (!v)
        return ubp_fail_memory(err, (size_t)total * sizeof *v);
    for (int64_t i = 0; i < total; i++) {
        uint64_t element = 0; /* the file may have it at any address */
        memcpy(&element, (const char *)t->data + (size_t)i * size, size);
        v[i] = ubp_read_f64(&element, t->dtype);
    }
    *out = v;
    *count = total;
    return UB_OK;
}

ub_status ubp_ml_numbers(const ubp_node *n, const char *name, const double **out, int64_t *count,
                         ubp_arena *arena, ub_error *err)
{
    char longer[64];
    int k = 0;
    *out = NULL;
    *count = 0;
    snprintf(longer, sizeof longer, "%s_as_tensor", name);
    const ubp_attr *tensor = ubp_node_attr(n, longer), *own = ubp_node_attr(n, name);
    if (tensor)
        return tensor_numbers(n, tensor, out, count, arena, err);
    if (own && own->kind == UBP_ATTR_TENSOR)
        return tensor_numbers(n, own, out, count, arena, err);
    UBP_TRY(ubp_attr_floats(n, name, out, &k, err));
    *count = k > 0 ? k : 0;
    return UB_OK;
}

ub_status ubp_ml_ints(const ubp_node *n, const char *name, const int64_t **out, int64_t *count,
                      ub_error *err)
{
    int k = 0;
    UBP_TRY(ubp_attr_ints(n, name, out, &k, err));
    *count = k > 0 ? k : 0;
    return UB_OK;
}

ub_status ubp_ml_read_labels(const ubp_node *n, const char *ints, const char *strings,
                             ubp_ml_labels *out, ub_error *err)
{
    int k = 0;
    *out = (ubp_ml_labels){0};
    UBP_TRY(ubp_attr_strings(n, strings, &out->strings, &k, err));
    out->n = k > 0 ? k : 0;
    if (out->n > 0)
        return UB_OK;
    out->strings = NULL;
    return ubp_ml_ints(n, ints, &out->ints, &out->n, err);
}

ub_dtype ubp_ml_label_dtype(const ubp_ml_labels *l)
{
    return l->strings ? UB_STRING : UB_I64;
}

void ubp_ml_put_label(const ub_tensor *to, int64_t i, const ubp_ml_labels *l, int64_t k)
{
    if (l->strings)
        ubp_string_put((char *)to->data + (size_t)i * sizeof(char *), l->strings[k]);
    else
        ((int64_t *)to->data)[i] = l->ints[k];
}

ub_status ubp_ml_want_rows(const ubp_call *c, int64_t *rows, int64_t *features)
{
    UBP_TRY(ubp_want_rank(c, 0, 1, 2));
    const ub_tensor *x = c->in[0];
    if (!ubp_is_float(x->dtype) && !ubp_is_integer(x->dtype))
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, expected numbers",
                           ub_dtype_name(x->dtype));
    *rows = x->rank == 2 ? x->dims[0] : 1;
    *features = x->dims[x->rank - 1];
    return UB_OK;
}

void ubp_ml_rows_batch(ubp_batch *b)
{
    ubp_rows rows = {.why = "features made of several samples"};
    if (b->call->in[0]->rank < 2)
        rows.in_axis[0] = UBP_ROWS_SHARED;
    ubp_rows_batch(b, &rows);
}

/* ---- Scores -----------------------------------------------------------------------------------
 */

static double logistic(double x)
{
    const double v = 1 / (1 + exp(-fabs(x)));
    return x < 0 ? 1 - v : v;
}

/* The normal distribution's inverse, by Winitzki's formula, as ONNX Runtime has it. */
static double probit(double p)
{
    const double x = 2 * p - 1, square = (1 - x) * (1 + x);
    if (square == 0)
        return 0;
    const double l = log(square), v = 2 / (3.14159 * 0.147) + 0.5 * l;
    const double root = sqrt(-v + sqrt(v * v - 1 / 0.147 * l));
    return 1.41421356 * (x < 0 ? -root : root);
}

static void softmax(double *s, int64_t n, bool keep_zero)
{
    double high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        high = s[i] > high ? s[i] : high;
    for (int64_t i = 0; i < n; i++) {
        const bool zero = keep_zero && fabs(s[i]) <= 1e-7;
        s[i] = zero ? s[i] * exp(-high) : exp(s[i] - high);
        sum += s[i];
    }
    for (int64_t i = 0; i < n; i++)
        s[i] = sum == 0 ? 0.5 : s[i] / sum;
}

int64_t ubp_ml_finish(double *scores, int64_t n, ubp_ml_transform transform, ubp_ml_second second)
{
    if (n == 1 && second != UBP_ML_ALONE && transform != UBP_ML_PROBIT) {
        const bool complement = second == UBP_ML_COMPLEMENT && transform != UBP_ML_LOGISTIC;
        scores[1] = scores[0];
        scores[0] = complement ? 1 - scores[1] : -scores[1];
        n = 2;
        if (transform != UBP_ML_LOGISTIC)
            return n;
    }
    for (int64_t i = 0; i < n && transform == UBP_ML_LOGISTIC; i++)
        scores[i] = logistic(scores[i]);
    for (int64_t i = 0; i < n && transform == UBP_ML_PROBIT; i++)
        scores[i] = probit(scores[i]);
    if (transform == UBP_ML_SOFTMAX || transform == UBP_ML_SOFTMAX_ZERO)
        softmax(scores, n, transform == UBP_ML_SOFTMAX_ZERO);
    return n;
}
