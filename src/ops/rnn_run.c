/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recurrent operators at work. For each direction X W' is one product over all steps; then each
 * step multiplies the states of all samples with R' and runs the cell, row by row. Products are
 * those of gemm.h; the cell computes in double and stores in the dtype of X. A sample whose
 * sequence is shorter than T stops early: Y is zero behind its end, Y_h is its last state; in
 * reverse it starts at its own end.
 */
#include "ops/rnn.h"

#include "ops/gemm.h"

#include <math.h>
#include <string.h>

typedef struct rnn {
    const ubp_call *call;
    const ubp_rnn_attr *attr;
    bool wide;    /* double, else float */
    int64_t size; /* of an element */
    int64_t t, n, i, h, d;
    int64_t gates; /* G * H: a row of the products */
    /* of the direction at work */
    int direction;
    bool reverse;
    int64_t step;
    char *xw;                     /* [rows of X][G*H]: X W' */
    char *rt;                     /* [H][G*H]: R' */
    char *hr;                     /* [N][G*H]: H R' */
    char *state, *cell;           /* [N][H] */
    char *reset;                  /* [N][H]: r * H of GRU */
    const char *bias, *peepholes; /* [2][G*H], [3][H], or NULL */
} rnn;

static double get(const rnn *j, const void *p, int64_t at)
{
    return j->wide ? ((const double *)p)[at] : (double)((const float *)p)[at];
}

static void put(const rnn *j, void *p, int64_t at, double v)
{
    if (j->wide)
        ((double *)p)[at] = v;
    else
        ((float *)p)[at] = (float)v;
}

static const void *input(const rnn *j, int i)
{
    return ubp_has_in(j->call, i) ? j->call->in[i]->data : NULL;
}

static int64_t length(const rnn *j, int64_t n)
{
    const int32_t *lengths = input(j, UBP_RNN_LENGTHS);
    return lengths ? lengths[n] : j->t;
}

/* Element number of the first of sample n's H numbers in a state (D, N, H) or (N, D, H). */
static int64_t state_at(const rnn *j, int64_t n)
{
    return (j->attr->batch_first ? n * j->d + j->direction : j->direction * j->n + n) * j->h;
}

/* ---- Products -------------------------------------------------------------------------------- */

/* hr columns [first, first + count) = rows R', rows [N][H]. */
static void times_r(const rnn *j, const char *rows, int64_t first, int64_t count)
{
    ubp_gemm_job job = {.dtype = j->wide ? UB_F64 : UB_F32,
                        .items = 1,
                        .gemm = {.m = j->n,
                                 .n = count,
                                 .k = j->h,
                                 .a = rows,
                                 .a_row = j->h,
                                 .a_col = 1,
                                 .b = j->rt + first * j->size,
                                 .b_row = j->gates,
                                 .b_col = 1,
                                 .c = j->hr + first * j->size,
                                 .c_row = j->gates,
                                 .c_col = 1}};
    ubp_gemm_run(j->call->run, &job);
}

static void times_w(const rnn *j)
{
    const char *w = j->call->in[UBP_RNN_W]->data;
    ubp_gemm_job job = {.dtype = j->wide ? UB_F64 : UB_F32,
                        .items = 1,
                        .gemm = {.m = j->t * j->n,
                                 .n = j->gates,
                                 .k = j->i,
                                 .a = j->call->in[UBP_RNN_X]->data,
                                 .a_row = j->i,
                                 .a_col = 1,
                                 .b = w + j->direction * j->gates * j->i * j->size,
                                 .b_row = 1,
                                 .b_col = j->i,
                                 .c = j->xw,
                                 .c_row = j->gates,
                                 .c_col = 1}};
    ubp_gemm_run(j->call->run, &job);
}

static void transpose_r(const rnn *j)
{
    const char *r = j->call->in[UBP_RNN_R]->data;
    r += j->direction * j->gates * j->h * j->size;
    for (int64_t g = 0; g < j->gates; g++)
        for (int64_t h = 0; h < j->h; h++)
            put(j, j->rt, h * j->gates + g, get(j, r, g * j->h + h));
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* A sample in a step: where its numbers are. */
typedef struct row {
    int64_t n;
    int64_t xw, hr; /* element numbers of its products */
    int64_t at;     /* of its state */
} row;

/* What gate g of hidden unit h gets from the input (with its bias) and from the state. */
static double from_input(const rnn *j, const row *r, int g, int64_t h)
{
    double v = get(j, j->xw, r->xw + g * j->h + h);
    return j->bias ? v + get(j, j->bias, g * j->h + h) : v;
}

static double from_state(const rnn *j, const row *r, int g, int64_t h)
{
    double v = get(j, j->hr, r->hr + g * j->h + h);
    return j->bias ? v + get(j, j->bias, j->gates + g * j->h + h) : v;
}

static double activate(const rnn *j, int f, double x)
{
    double clip = j->attr->clip;
    x = x > clip ? clip : x < -clip ? -clip : x;
    return ubp_rnn_apply(&j->attr->f[j->direction][f], x);
}

static double peephole(const rnn *j, int gate, int64_t h, double c)
{
    return j->peepholes ? get(j, j->peepholes, gate * j->h + h) * c : 0;
}

static void rnn_cell(const rnn *j, const row *r)
{
    for (int64_t h = 0; h < j->h; h++)
        put(j, j->state, r->at + h,
            activate(j, 0, from_input(j, r, 0, h) + from_state(j, r, 0, h)));
}

/* Gates in the order i, o, f, c; peepholes i, o, f. */
static void lstm_cell(const rnn *j, const row *r)
{
    enum { I, O, F, C };
    for (int64_t h = 0; h < j->h; h++) {
        double old = get(j, j->cell, r->at + h);
        double i = activate(
            j, 0, from_input(j, r, I, h) + from_state(j, r, I, h) + peephole(j, 0, h, old));
        double f = j->attr->input_forget
                       ? 1 - i
                       : activate(j, 0,
                                  from_input(j, r, F, h) + from_state(j, r, F, h) +
                                      peephole(j, 2, h, old));
        double c = activate(j, 1, from_input(j, r, C, h) + from_state(j, r, C, h));
        c = f * old + i * c;
        put(j, j->cell, r->at + h, c);
        double o =
            activate(j, 0, from_input(j, r, O, h) + from_state(j, r, O, h) + peephole(j, 1, h, c));
        /* ONNX Runtime does not clip the cell on its way to the output either. */
        put(j, j->state, r->at + h, o * ubp_rnn_apply(&j->attr->f[j->direction][2], c));
    }
}

enum { Z, R, HIDDEN }; /* gates of GRU */

/* First half of a GRU step: r * H, which is then multiplied with R'. */
static void gru_reset(const rnn *j, const row *r)
{
    for (int64_t h = 0; h < j->h; h++)
        put(j, j->reset, r->at + h,
            activate(j, 0, from_input(j, r, R, h) + from_state(j, r, R, h)) *
                get(j, j->state, r->at + h));
}

static void gru_cell(const rnn *j, const row *r)
{
    for (int64_t h = 0; h < j->h; h++) {
        double z = activate(j, 0, from_input(j, r, Z, h) + from_state(j, r, Z, h));
        double recurrent = from_state(j, r, HIDDEN, h);
        if (j->attr->linear_before_reset)
            recurrent *= activate(j, 0, from_input(j, r, R, h) + from_state(j, r, R, h));
        double hidden = activate(j, 1, from_input(j, r, HIDDEN, h) + recurrent);
        put(j, j->state, r->at + h, (1 - z) * hidden + z * get(j, j->state, r->at + h));
    }
}

/* The row of sample n in this step; false when its sequence is over. */
static bool find_row(const rnn *j, int64_t n, row *r, int64_t *time)
{
    int64_t steps = length(j, n);
    *time = j->reverse ? steps - 1 - j->step : j->step;
    r->n = n;
    r->xw = (j->attr->batch_first ? n * j->t + *time : *time * j->n + n) * j->gates;
    r->hr = n * j->gates;
    r->at = n * j->h;
    return j->step < steps;
}

static void reset_rows(void *arg, int64_t begin, int64_t end)
{
    const rnn *j = arg;
    row r;
    int64_t time;
    for (int64_t n = begin; n < end; n++)
        if (find_row(j, n, &r, &time))
            gru_reset(j, &r);
}

static void cell_rows(void *arg, int64_t begin, int64_t end)
{
    const rnn *j = arg;
    char *y = ubp_has_out(j->call, 0) ? j->call->out[0]->data : NULL;
    row r;
    int64_t time;
    for (int64_t n = begin; n < end; n++) {
        if (!find_row(j, n, &r, &time))
            continue;
        if (j->attr->kind == UBP_LSTM)
            lstm_cell(j, &r);
        else if (j->attr->kind == UBP_GRU)
            gru_cell(j, &r);
        else
            rnn_cell(j, &r);
        int64_t at = j->attr->batch_first ? (n * j->t + time) * j->d + j->direction
                                          : (time * j->d + j->direction) * j->n + n;
        if (y)
            memcpy(y + at * j->h * j->size, j->state + r.at * j->size, (size_t)(j->h * j->size));
    }
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void load_state(const rnn *j, char *state, int in)
{
    const char *src = input(j, in);
    size_t bytes = (size_t)(j->h * j->size);
    for (int64_t n = 0; n < j->n; n++) {
        if (src)
            memcpy(state + n * j->h * j->size, src + state_at(j, n) * j->size, bytes);
        else
            memset(state + n * j->h * j->size, 0, bytes);
    }
}

static void store_state(const rnn *j, const char *state, int k)
{
    if (!ubp_has_out(j->call, k))
        return;
    for (int64_t n = 0; n < j->n; n++)
        memcpy((char *)j->call->out[k]->data + state_at(j, n) * j->size, state + n * j->h * j->size,
               (size_t)(j->h * j->size));
}

static ub_status run_direction(rnn *j)
{
    const ubp_run *run = j->call->run;
    const int64_t grain = 512 / (j->h + 1) + 1;
    const char *b = input(j, UBP_RNN_B), *p = input(j, UBP_RNN_P);
    j->bias = b ? b + j->direction * 2 * j->gates * j->size : NULL;
    j->peepholes = p ? p + j->direction * 3 * j->h * j->size : NULL;
    transpose_r(j);
    times_w(j);
    load_state(j, j->state, UBP_RNN_H0);
    if (j->attr->kind == UBP_LSTM)
        load_state(j, j->cell, UBP_RNN_C0);
    const bool split = j->attr->kind == UBP_GRU && !j->attr->linear_before_reset;
    for (j->step = 0; j->step < j->t; j->step++) {
        if (ubp_run_cancelled(run))
            return UBP_CANCELLED(j->call);
        times_r(j, j->state, 0, split ? 2 * j->h : j->gates);
        if (split) {
            ubp_run_parallel(run, j->n, grain, reset_rows, j);
            times_r(j, j->reset, 2 * j->h, j->h);
        }
        ubp_run_parallel(run, j->n, grain, cell_rows, j);
    }
    store_state(j, j->state, 1);
    if (j->attr->kind == UBP_LSTM)
        store_state(j, j->cell, 2);
    return UB_OK;
}

/* rows * columns elements. */
static ub_status allocate(const rnn *j, char **out, int64_t rows, int64_t columns)
{
    size_t size;
    if (!ubp_mul_size((size_t)rows, (size_t)columns, &size) ||
        !ubp_mul_size(size, (size_t)j->size, &size))
        return ubp_fail_memory(j->call->err, SIZE_MAX);
    *out = ubp_run_scratch(j->call, size);
    return *out ? UB_OK : UB_ERR_MEMORY;
}

ub_status ubp_rnn_ref(const ubp_call *call)
{
    const ubp_rnn_attr *a = call->attr;
    const ub_tensor *x = call->in[UBP_RNN_X];
    rnn j = {.call = call,
             .attr = a,
             .wide = x->dtype == UB_F64,
             .size = (int64_t)ub_dtype_size(x->dtype),
             .t = x->dims[a->batch_first],
             .n = x->dims[!a->batch_first],
             .i = x->dims[2],
             .h = call->in[UBP_RNN_R]->dims[2],
             .d = a->direction == UBP_BOTH ? 2 : 1};
    j.gates = ubp_rnn_gates(a->kind) * j.h;
    for (int64_t n = 0; n < j.n; n++)
        if (length(&j, n) < 0 || length(&j, n) > j.t)
            return ubp_op_fail(call, UB_ERR_SHAPE, "sequence_lens[%lld] is %lld of %lld steps",
                               (long long)n, (long long)length(&j, n), (long long)j.t);
    if (ubp_has_out(call, 0))
        memset(call->out[0]->data, 0, ubp_tensor_bytes(call->out[0]));
    UBP_TRY(allocate(&j, &j.xw, j.t * j.n, j.gates));
    UBP_TRY(allocate(&j, &j.rt, j.h, j.gates));
    UBP_TRY(allocate(&j, &j.hr, j.n, j.gates));
    UBP_TRY(allocate(&j, &j.state, j.n, j.h));
    UBP_TRY(allocate(&j, &j.cell, j.n, j.h));
    UBP_TRY(allocate(&j, &j.reset, j.n, j.h));
    for (j.direction = 0; j.direction < j.d; j.direction++) {
        j.reverse = a->direction == UBP_REVERSE || j.direction == 1;
        UBP_TRY(run_direction(&j));
    }
    return UB_OK;
}
