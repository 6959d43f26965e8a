/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention: two products of the gemm core for each sample and head with the softmax between. The
 * scores of all rows are held at once, as an output of their own may ask for them. A row's result
 * depends on that row, the keys and the values of its sample alone.
 */
#include "ops/attention.h"

#include "ops/gemm.h"
#include "ops/move.h"
#include "ops/softmax_lines.h"
#include "ops/vmath.h"

#include <math.h>
#include <string.h>

typedef struct attend {
    const ubp_attention *a;
    ub_dtype dtype;
    size_t size;          /* of an element */
    char *query, *key;    /* (batch, heads, rows, width), (batch, kv_heads, keys, width): scaled */
    char *k, *v;          /* (batch, kv_heads, keys, width or value_width): as present */
    char *scores;         /* (batch, heads, rows, keys) */
    char *tap;            /* the same, or NULL */
    int64_t mask_step[4]; /* elements of the mask for each of batch, heads, rows, keys */
} attend;

/* (batch, heads, past + new, width) from what lies in memory as (batch, new, heads*width) when
 * packed, else (batch, heads, new, width). */
static void gather_heads(const attend *j, char *dst, const ub_tensor *src, const ub_tensor *past,
                         int64_t heads, int64_t past_rows, int64_t rows, int64_t width)
{
    const size_t line = (size_t)width * j->size;
    for (int64_t i = 0; i < j->a->d.batch * heads; i++) {
        const int64_t b = i / heads, h = i % heads;
        if (past && past_rows > 0)
            memcpy(dst, (const char *)past->data + (size_t)(i * past_rows) * line,
                   (size_t)past_rows * line);
        dst += (size_t)past_rows * line;
        for (int64_t r = 0; r < rows; r++, dst += line) {
            const int64_t at = j->a->d.packed ? (b * rows + r) * heads + h : i * rows + r;
            memcpy(dst, (const char *)src->data + (size_t)at * line, line);
        }
    }
}

typedef struct scaling {
    char *dst;
    const char *src;
    ub_dtype dtype;
    double factor;
} scaling;

static void scale_part(void *arg, int64_t begin, int64_t end)
{
    const scaling *s = arg;
    for (int64_t i = begin; i < end; i++)
        if (s->dtype == UB_F32)
            ((float *)(void *)s->dst)[i] =
                ((const float *)(const void *)s->src)[i] * (float)s->factor;
        else
            ((double *)(void *)s->dst)[i] = ((const double *)(const void *)s->src)[i] * s->factor;
}

static void scale(const ubp_run *run, const attend *j, char *dst, const char *src, int64_t n,
                  double factor)
{
    scaling s = {dst, src, j->dtype, factor};
    ubp_run_parallel(run, n, 1 << 15, scale_part, &s);
}

/* ---- The products ---------------------------------------------------------------------------- */

static void locate_scores(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const attend *j = job->arg;
    const ubp_attention_dims *d = &j->a->d;
    const int64_t b = item / d->heads, h = item % d->heads / (d->heads / d->kv_heads);
    g->a = j->query + (size_t)(item * d->rows * d->width) * j->size;
    g->b = j->key + (size_t)((b * d->kv_heads + h) * d->keys * d->width) * j->size;
    g->c = j->scores + (size_t)(item * d->rows * d->keys) * j->size;
}

static void locate_output(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const attend *j = job->arg;
    const ubp_attention_dims *d = &j->a->d;
    const int64_t b = item / d->heads, own = item % d->heads;
    const int64_t h = own / (d->heads / d->kv_heads);
    const int64_t to = d->packed ? b * d->rows * d->heads + own : item * d->rows;
    g->a = j->scores + (size_t)(item * d->rows * d->keys) * j->size;
    g->b = j->v + (size_t)((b * d->kv_heads + h) * d->keys * d->value_width) * j->size;
    g->c = (char *)j->a->y->data + (size_t)(to * d->value_width) * j->size;
}

static void multiply_scores(const ubp_run *run, const attend *j)
{
    const ubp_attention_dims *d = &j->a->d;
    const ubp_gemm_job job = {.dtype = j->dtype,
                              .items = d->batch * d->heads,
                              .gemm = {.m = d->rows,
                                       .n = d->keys,
                                       .k = d->width,
                                       .a_row = d->width,
                                       .a_col = 1,
                                       .b_row = 1,
                                       .b_col = d->width,
                                       .c_row = d->keys,
                                       .c_col = 1},
                              .locate = locate_scores,
                              .arg = j};
    ubp_gemm_run(run, &job);
}

static void multiply_values(const ubp_run *run, const attend *j)
{
    const ubp_attention_dims *d = &j->a->d;
    const ubp_gemm_job job = {.dtype = j->dtype,
                              .items = d->batch * d->heads,
                              .gemm = {.m = d->rows,
                                       .n = d->value_width,
                                       .k = d->keys,
                                       .a_row = d->keys,
                                       .a_col = 1,
                                       .b_row = d->value_width,
                                       .b_col = 1,
                                       .c_row = (d->packed ? d->heads : 1) * d->value_width,
                                       .c_col = 1},
                              .locate = locate_output,
                              .arg = j};
    ubp_gemm_run(run, &job);
}

/* ---- The scores of one row ------------------------------------------------------------------- */

/* Keys [0, end) count for the sample; query `row` is at place row + offset among the keys. */
typedef struct reach {
    int64_t offset, end;
} reach;

static reach find_reach(const attend *j, int64_t b)
{
    const ubp_attention *a = j->a;
    reach r = {a->d.past, a->d.keys};
    if (!a->lengths)
        return r;
    const size_t size = ub_dtype_size(a->lengths->dtype);
    int64_t end =
        ubp_read_i64((const char *)a->lengths->data + (size_t)b * size, a->lengths->dtype);
    end = end < 0 ? 0 : end > a->d.keys ? a->d.keys : end;
    return (reach){end - a->d.rows, end};
}

static bool may_see(const ubp_attention_attr *attr, const reach *r, int64_t row, int64_t key)
{
    const int64_t place = row + r->offset;
    return key < r->end && (!attr->causal || key <= place) &&
           (attr->left < 0 || place - key <= attr->left) &&
           (attr->right < 0 || key - place <= attr->right);
}

/* What is added to the score: 0, what a float mask says, -inf. */
static double bias_at(const attend *j, const reach *r, const int64_t at[4])
{
    const ub_tensor *mask = j->a->mask;
    double bias = may_see(j->a->attr, r, at[2], at[3]) ? 0 : -INFINITY;
    if (!mask)
        return bias;
    if (at[3] >= mask->dims[mask->rank - 1])
        return -INFINITY;
    int64_t flat = 0;
    for (int i = 0; i < 4; i++)
        flat += at[i] * j->mask_step[i];
    const char *p = (const char *)mask->data + (size_t)flat * ub_dtype_size(mask->dtype);
    if (mask->dtype == UB_BOOL)
        return *p ? bias : -INFINITY;
    return bias + ubp_read_f64(p, mask->dtype);
}

/* A number as the softmax's dtype holds it. */
static double in_precision(int64_t precision, double x)
{
    if (precision == UB_F16)
        return (double)ubp_f16_to_f32(ubp_f64_to_f16(x));
    if (precision == UB_BF16)
        return (double)ubp_bf16_to_f32(ubp_f32_to_bf16((float)x));
    return x;
}

/* LINE: the softmax of a line where nothing is narrowed on the way, or NULL. */
#define ROW(T, EXP, LINE)                                                                          \
    static void softmax_##T(T *x, int64_t n, int64_t precision, bool masked)                       \
    {                                                                                              \
        double sum = 0;                                                                            \
        T high = (T)-INFINITY;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                          \
            x[i] = (T)in_precision(precision, (double)x[i]);                                       \
            high = x[i] > high || isnan(x[i]) ? x[i] : high;                                       \
        }                                                                                          \
        if (masked || high == (T)-INFINITY) {                                                      \
            memset(x, 0, (size_t)n * sizeof(T));                                                   \
            return;                                                                                \
        }                                                                                          \
        void (*const line)(const T *x, T *y, int64_t n) = LINE;                                    \
        if (line && precision != UB_F16 && precision != UB_BF16 && precision != UB_F64) {          \
            line(x, x, n);                                                                         \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                            \
            x[i] = precision == UB_F64 ? (T)exp((double)x[i] - (double)high) : EXP(x[i] - high);   \
        for (int64_t i = 0; i < n; i++)                                                            \
            sum += (double)x[i];                                                                   \
        for (int64_t i = 0; i < n; i++)                                                            \
            x[i] = (T)in_precision(precision, (double)x[i] / sum);                                 \
    }                                                                                              \
    static void finish_##T(const attend *j, int64_t row)                                           \
    {                                                                                              \
        const ubp_attention_attr *attr = j->a->attr;                                               \
        const ubp_attention_dims *d = &j->a->d;                                                    \
        T *x = (T *)(void *)j->scores + row * d->keys;                                             \
        T *tap = j->tap ? (T *)(void *)j->tap + row * d->keys : NULL;                              \
        const size_t bytes = (size_t)d->keys * sizeof(T);                                          \
        const reach r = find_reach(j, row / d->rows / d->heads);                                   \
        int64_t at[4] = {row / d->rows / d->heads, row / d->rows % d->heads, row % d->rows, 0};    \
        bool masked = true;                                                                        \
        if (tap && attr->tap == UBP_TAP_PRODUCT)                                                   \
            memcpy(tap, x, bytes);                                                                 \
        for (int64_t i = 0; i < d->keys && attr->softcap > 0; i++)                                 \
            x[i] = (T)(attr->softcap * tanh((double)x[i] / attr->softcap));                        \
        if (tap && attr->tap == UBP_TAP_CAPPED)                                                    \
            memcpy(tap, x, bytes);                                                                 \
        for (at[3] = 0; at[3] < d->keys; at[3]++) {                                                \
            const double bias = bias_at(j, &r, at);                                                \
            masked = masked && bias == -INFINITY;                                                  \
            x[at[3]] += (T)bias;                                                                   \
        }                                                                                          \
        if (tap && attr->tap == UBP_TAP_BIASED)                                                    \
            memcpy(tap, x, bytes);                                                                 \
        softmax_##T(x, d->keys, attr->precision, masked);                                          \
        if (tap && attr->tap == UBP_TAP_WEIGHTS)                                                   \
            memcpy(tap, x, bytes);                                                                 \
    }
ROW(float, ubp_expf, ubp_softmax_line)
ROW(double, exp, NULL)
#undef ROW

static void finish_rows(void *arg, int64_t begin, int64_t end)
{
    const attend *j = arg;
    for (int64_t i = begin; i < end; i++)
        if (j->dtype == UB_F64)
            finish_double(j, i);
        else
            finish_float(j, i);
}

/* Elements of the mask between two neighbours on each of the four axes; 0 where it broadcasts. */
static void find_mask_steps(attend *j)
{
    const ub_tensor *m = j->a->mask;
    int64_t step = 1;
    for (int i = m ? m->rank - 1 : -1; i >= 0; i--) {
        j->mask_step[4 - m->rank + i] = m->dims[i] == 1 ? 0 : step;
        step *= m->dims[i];
    }
}

/* Room for `count` lines of `width` elements. */
static ub_status room(const ubp_call *c, const attend *j, int64_t count, int64_t width, char **out)
{
    size_t bytes;
    *out = NULL;
    if (!ubp_mul_size((size_t)count, (size_t)width, &bytes) ||
        !ubp_mul_size(bytes, j->size, &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    *out = ubp_run_scratch(c, bytes);
    return *out ? UB_OK : UB_ERR_MEMORY;
}

/* Where the keys or values of all steps go: the output that asks for them, else scratch. */
static ub_status place_cache(const ubp_call *c, const attend *j, ub_tensor *present, int64_t width,
                             char **out)
{
    const ubp_attention_dims *d = &j->a->d;
    *out = present ? present->data : NULL;
    return *out ? UB_OK : room(c, j, d->batch * d->kv_heads * d->keys, width, out);
}

/* Queries and keys with the root of the factor on each. q: as they lie in memory. */
static ub_status scale_both(const ubp_call *c, attend *j, const char *q)
{
    const ubp_attention *a = j->a;
    const ubp_attention_dims *d = &a->d;
    const int64_t rows = d->batch * d->heads * d->rows, lines = d->batch * d->kv_heads * d->keys;
    const double factor = sqrt(a->attr->has_scale ? a->attr->scale : 1 / sqrt((double)d->width));
    UBP_TRY(room(c, j, rows, d->width, &j->query));
    UBP_TRY(room(c, j, lines, d->width, &j->key));
    scale(c->run, j, j->query, q, rows * d->width, factor);
    scale(c->run, j, j->key, j->k, lines * d->width, factor);
    return UB_OK;
}

ub_status ubp_attention_run(const ubp_call *c, const ubp_attention *a)
{
    const ubp_attention_dims *d = &a->d;
    attend j = {.a = a, .dtype = a->q->dtype, .size = ub_dtype_size(a->q->dtype)};
    const int64_t rows = d->batch * d->heads * d->rows;
    char *q;
    UBP_TRY(room(c, &j, rows, d->width, &q));
    UBP_TRY(room(c, &j, rows, d->keys, &j.scores));
    UBP_TRY(place_cache(c, &j, a->present_k, d->width, &j.k));
    UBP_TRY(place_cache(c, &j, a->present_v, d->value_width, &j.v));
    gather_heads(&j, q, a->q, NULL, d->heads, 0, d->rows, d->width);
    gather_heads(&j, j.k, a->k, a->past_k, d->kv_heads, d->past, d->keys - d->past, d->width);
    gather_heads(&j, j.v, a->v, a->past_v, d->kv_heads, d->past, d->keys - d->past, d->value_width);
    UBP_TRY(scale_both(c, &j, q));
    j.tap = a->scores ? a->scores->data : NULL;
    find_mask_steps(&j);
    multiply_scores(c->run, &j);
    ubp_run_parallel(c->run, rows, 4096 / (d->keys + 1) + 1, finish_rows, &j);
    multiply_values(c->run, &j);
    return UB_OK;
}

/* ---- The steps by themselves ------------------------------------------------------------------
 */

ub_status ubp_attention_scores(const ubp_call *c, const ubp_attention *a)
{
    attend j = {.a = a,
                .dtype = a->q->dtype,
                .size = ub_dtype_size(a->q->dtype),
                .k = a->k->data,
                .scores = a->scores->data};
    UBP_TRY(scale_both(c, &j, a->q->data));
    multiply_scores(c->run, &j);
    return UB_OK;
}

static void weigh_rows(void *arg, int64_t begin, int64_t end)
{
    const attend *j = arg;
    const int64_t keys = j->a->d.keys;
    for (int64_t i = begin; i < end; i++)
        if (j->dtype == UB_F64)
            softmax_double((double *)(void *)j->scores + i * keys, keys, 0, false);
        else
            softmax_float((float *)(void *)j->scores + i * keys, keys, 0, false);
}

void ubp_attention_weights(const ubp_call *c, const ubp_attention *a)
{
    const ubp_attention_dims *d = &a->d;
    attend j = {.a = a, .dtype = a->scores->dtype, .scores = a->scores->data};
    ubp_run_parallel(c->run, d->batch * d->heads * d->rows, 4096 / (d->keys + 1) + 1, weigh_rows,
                     &j);
}

void ubp_attention_values(const ubp_call *c, const ubp_attention *a)
{
    const attend j = {.a = a,
                      .dtype = a->v->dtype,
                      .size = ub_dtype_size(a->v->dtype),
                      .v = a->v->data,
                      .scores = a->scores->data};
    multiply_values(c->run, &j);
}
