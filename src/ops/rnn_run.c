/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recurrent operators at work. For each direction X W' is one product over all steps; then each
 * step multiplies the states of all samples with R' and runs the cell, row by row. Products are
 * those of gemm.h, or a faster kernel's: then each thread may keep to its samples for all steps, or
 * to its part of the hidden units, where the threads meet once a step. A sample whose sequence is
 * shorter than T stops early: Y is zero behind its end, Y_h is its last state; in reverse it starts
 * at its own end.
 */
#include "ops/rnn.h"

#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/vmath.h"

#include <math.h>
#include <string.h>

typedef struct rnn {
    const ubp_call *call;
    const ubp_rnn_attr *attr;
    const ubp_rnn_products *products; /* NULL: those of gemm.h */
    bool wide;                        /* double, else float */
    int64_t size;                     /* of an element */
    int64_t t, n, i, h, d;
    int64_t gates; /* G * H: a row of the products */
    ubp_rnn_cut cut;
    /* of the direction at work */
    int direction;
    bool reverse;
    char *xw;                     /* [rows of X][G*H]: X W' */
    char *rt;                     /* [H][G*H]: R' */
    char *hr;                     /* [parts][samples][G][units]: H R' */
    char *state[2];               /* [N][H]: read and written in turns */
    char *cell;                   /* [N][H] */
    char *reset;                  /* [N][H]: r * H of GRU */
    const char *bias, *peepholes; /* [2][G*H], [3][H], or NULL */
    _Atomic int stop[2];          /* status of even and odd steps */
} rnn;

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
static ub_status times_r(const rnn *j, const char *rows, int64_t first, int64_t count)
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
    return UB_OK;
}

static ub_status times_w(const rnn *j)
{
    if (j->products)
        return j->products->times_w(j->products->arg, j->call, j->direction, j->xw);
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
    return UB_OK;
}

static void transpose_r(const rnn *j)
{
    const int64_t shape[2] = {j->h, j->gates};
    ub_tensor src = {.dtype = j->wide ? UB_F64 : UB_F32, .rank = 2}, dst;
    const char *r = j->call->in[UBP_RNN_R]->data;
    memcpy(src.dims, shape, sizeof shape);
    dst = src;
    ubp_tensor_set_strides(&dst);
    src.strides[0] = j->size;
    src.strides[1] = j->h * j->size;
    src.data = (void *)(uintptr_t)(r + j->direction * j->gates * j->h * j->size);
    dst.data = j->rt;
    ubp_tensor_move(&dst, &src);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* Hidden units of a sample in a step; element numbers of the first. */
typedef struct row {
    int64_t first, count; /* hidden units */
    int64_t xw, hr, at;   /* in the products, and in states and cells */
    const char *state;    /* of this step, all samples' */
    char *next;           /* of the next */
    int64_t time;
    bool over; /* the sample's sequence is */
} row;

/* What a thread does in a step. */
typedef struct step {
    const rnn *j;
    int64_t number;
    ubp_rnn_part part;
} step;

/* Element number of a part's products. */
static int64_t products_at(const rnn *j, const ubp_rnn_part *p)
{
    return p->sample * j->gates + j->n * ubp_rnn_gates(j->attr->kind) * p->unit;
}

#define ROW(name, F)                                                                               \
    static void name(float *v, int64_t n)                                                          \
    {                                                                                              \
        UBP_EW_LOOP(i, n) v[i] = F(v[i]);                                                          \
    }
UBP_WIDE_VARIANTS(ROW, sigmoid_row, ubp_sigmoidf)
UBP_WIDE_VARIANTS(ROW, tanh_row, ubp_tanhf)
#undef ROW

/* The loops over hidden units. */
#define GATE_ROW(name, T)                                                                          \
    static void name(T *v, const T *x, const T *wb, const T *rb, int64_t n)                        \
    {                                                                                              \
        UBP_EW_LOOP(i, n) v[i] = (x[i] + wb[i]) + (v[i] + rb[i]);                                  \
    }
#define ADD_ROW(name, T)                                                                           \
    static void name(T *v, const T *x, int64_t n)                                                  \
    {                                                                                              \
        UBP_EW_LOOP(i, n) v[i] += x[i];                                                            \
    }
#define CLIP_ROW(name, T)                                                                          \
    static void name(T *v, T clip, int64_t n)                                                      \
    {                                                                                              \
        UBP_EW_LOOP(i, n) v[i] = v[i] > clip ? clip : v[i] < -clip ? -clip : v[i];                 \
    }
#define CELL_ROW(name, T)                                                                          \
    static void name(T *cell, const T *f, const T *i, const T *c, int64_t n)                       \
    {                                                                                              \
        UBP_EW_LOOP(h, n) cell[h] = f[h] * cell[h] + i[h] * c[h];                                  \
    }
#define TIMES_ROW(name, T)                                                                         \
    static void name(T *v, const T *a, const T *b, int64_t n)                                      \
    {                                                                                              \
        UBP_EW_LOOP(i, n) v[i] = a[i] * b[i];                                                      \
    }
UBP_WIDE_VARIANTS(GATE_ROW, gate_row_f32, float)
UBP_WIDE_VARIANTS(ADD_ROW, add_row_f32, float)
UBP_WIDE_VARIANTS(CLIP_ROW, clip_row_f32, float)
UBP_WIDE_VARIANTS(CELL_ROW, cell_row_f32, float)
UBP_WIDE_VARIANTS(TIMES_ROW, times_row_f32, float)
GATE_ROW(gate_row_f64, double)
ADD_ROW(add_row_f64, double)
CLIP_ROW(clip_row_f64, double)
CELL_ROW(cell_row_f64, double)
TIMES_ROW(times_row_f64, double)

/* The usual LSTM in one pass, the operations of the loops above in their order. */
typedef struct lstm_row {
    const float *x, *v, *wb, *rb; /* [4 gates]: x_gate, v_gate, x_gate, x_gate apart */
    int64_t x_gate, v_gate;
    float *cell, *next;
} lstm_row;

#define LSTM_GATE(g)                                                                               \
    ((r->x[(g)*r->x_gate + h] + r->wb[(g)*r->x_gate + h]) +                                        \
     (r->v[(g)*r->v_gate + h] + r->rb[(g)*r->x_gate + h]))
#define LSTM_ROW(name, SIGMOID, TANH)                                                              \
    static void name(const lstm_row *r, int64_t n)                                                 \
    {                                                                                              \
        UBP_EW_LOOP(h, n)                                                                          \
        {                                                                                          \
            const float i = SIGMOID(LSTM_GATE(0)), f = SIGMOID(LSTM_GATE(2));                      \
            const float cell = f * r->cell[h] + i * TANH(LSTM_GATE(3));                            \
            r->cell[h] = cell;                                                                     \
            r->next[h] = SIGMOID(LSTM_GATE(1)) * TANH(cell);                                       \
        }                                                                                          \
    }
UBP_WIDE_VARIANTS(LSTM_ROW, lstm_row, ubp_sigmoidf, ubp_tanhf)

/* False: not the usual one. */
static bool usual_lstm_cell(const rnn *j, const row *r)
{
    const ubp_rnn_function *f = j->attr->f[j->direction];
    const float *wb = (const float *)(const void *)j->bias;
    if (!wb || j->peepholes || j->attr->input_forget || j->attr->clip < (double)INFINITY ||
        !ubp_rnn_is_sigmoid(&f[0]) || !ubp_rnn_is_tanh(&f[1]) || !ubp_rnn_is_tanh(&f[2]))
        return false;
    const lstm_row all = {.x = (const float *)(const void *)j->xw + r->xw,
                          .v = (const float *)(const void *)j->hr + r->hr,
                          .wb = wb + r->first,
                          .rb = wb + j->gates + r->first,
                          .x_gate = j->h,
                          .v_gate = r->count,
                          .cell = (float *)(void *)j->cell + r->at,
                          .next = (float *)(void *)r->next + r->at};
    UBP_WIDE_CALL(lstm_row, &all, r->count);
    return true;
}

#define RNN_WIDE(name, ...) UBP_WIDE_CALL(name##_f32, __VA_ARGS__)
#define RNN_T               float
#define RNN_(name)          f32_##name
#define RNN_SIGMOID(v, n)   UBP_WIDE_CALL(sigmoid_row, v, n)
#define RNN_TANH(v, n)      UBP_WIDE_CALL(tanh_row, v, n)
#include "ops/rnn_typed.h"

static void sigmoid_f64(double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = 1 / (1 + exp(-v[i]));
}

static void tanh_f64(double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = tanh(v[i]);
}

#define RNN_WIDE(name, ...) name##_f64(__VA_ARGS__)
#define RNN_T               double
#define RNN_(name)          f64_##name
#define RNN_SIGMOID(v, n)   sigmoid_f64(v, n)
#define RNN_TANH(v, n)      tanh_f64(v, n)
#include "ops/rnn_typed.h"

static void usual_or_f32_lstm_cell(const rnn *j, const row *r)
{
    if (!usual_lstm_cell(j, r))
        f32_lstm_cell(j, r);
}

static void (*cell_of(const rnn *j))(const rnn *, const row *)
{
    switch (j->attr->kind) {
    case UBP_LSTM:
        return j->wide ? f64_lstm_cell : usual_or_f32_lstm_cell;
    case UBP_GRU:
        return j->wide ? f64_gru_cell : f32_gru_cell;
    default:
        return j->wide ? f64_rnn_cell : f32_rnn_cell;
    }
}

static row row_of(const step *s, int64_t n)
{
    const rnn *j = s->j;
    const ubp_rnn_part *p = &s->part;
    const int64_t steps = length(j, n), width = ubp_rnn_gates(j->attr->kind) * p->units;
    row r = {.first = p->unit,
             .count = p->units,
             .hr = products_at(j, p) + (n - p->sample) * width,
             .at = n * j->h + p->unit,
             .state = j->state[s->number & 1],
             .next = j->state[~s->number & 1],
             .time = j->reverse ? steps - 1 - s->number : s->number,
             .over = s->number >= steps};
    const bool by_samples = j->attr->batch_first != (j->products && j->products->turned);
    r.xw = (by_samples ? n * j->t + r.time : r.time * j->n + n) * j->gates + p->unit;
    return r;
}

static void reset_rows(void *arg, int64_t begin, int64_t end)
{
    const step *s = arg;
    for (int64_t n = begin; n < end; n++) {
        const row r = row_of(s, n);
        if (!r.over)
            (s->j->wide ? f64_gru_reset : f32_gru_reset)(s->j, &r);
    }
}

static void cell_rows(void *arg, int64_t begin, int64_t end)
{
    const step *s = arg;
    const rnn *j = s->j;
    char *y = ubp_has_out(j->call, 0) ? j->call->out[0]->data : NULL;
    void (*cell)(const rnn *, const row *) = cell_of(j);
    for (int64_t n = begin; n < end; n++) {
        const row r = row_of(s, n);
        const size_t bytes = (size_t)(r.count * j->size);
        char *next = r.next + r.at * j->size;
        if (r.over) {
            memcpy(next, r.state + r.at * j->size, bytes);
            continue;
        }
        cell(j, &r);
        const int64_t at = j->attr->batch_first ? (n * j->t + r.time) * j->d + j->direction
                                                : (r.time * j->d + j->direction) * j->n + n;
        if (y)
            memcpy(y + (at * j->h + r.first) * j->size, next, bytes);
    }
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* One after the other, the samples of each shared out. */
static ub_status run_steps(const rnn *j)
{
    const int64_t grain = 4096 / (j->h + 1) + 1; /* rows of cells that are worth a thread */
    const ubp_run *run = j->call->run;
    const bool split = ubp_rnn_is_split(j->attr);
    for (step s = {.j = j, .part = ubp_rnn_part_of(&j->cut, 0)}; s.number < j->t; s.number++) {
        const char *state = j->state[s.number & 1];
        if (ubp_run_cancelled(run))
            return UBP_CANCELLED(j->call);
        if (j->products)
            UBP_TRY(j->products->times_r(j->products->arg, j->call, j->direction, 0, state, j->hr));
        else
            UBP_TRY(times_r(j, state, 0, split ? 2 * j->h : j->gates));
        if (split) {
            ubp_run_parallel(run, j->n, grain, reset_rows, &s);
            UBP_TRY(times_r(j, j->reset, 2 * j->h, j->h));
        }
        ubp_run_parallel(run, j->n, grain, cell_rows, &s);
    }
    return UB_OK;
}

static ub_status run_part(const rnn *j, int number, step *s)
{
    const ubp_rnn_products *p = j->products;
    s->part = ubp_rnn_part_of(&j->cut, number);
    const char *states = j->state[s->number & 1] + s->part.sample * j->h * j->size;
    UBP_TRY(p->times_r(p->arg, j->call, j->direction, number, states,
                       j->hr + products_at(j, &s->part) * j->size));
    cell_rows(s, s->part.sample, s->part.sample + s->part.samples);
    return UB_OK;
}

/* A thread's parts in all steps. With hidden units to a part, a step reads what all have written in
 * the one before: they meet in between. Whoever has to stop says so before all meet; all look
 * behind it, at a mark that no one touches before the next meeting but one. */
static void run_member(void *arg, int member, int team)
{
    rnn *j = arg;
    for (step s = {.j = j}; s.number < j->t; s.number++) {
        _Atomic int *stop = &j->stop[s.number & 1];
        for (int part = member; part < j->cut.parts; part += team) {
            const ub_status st = run_part(j, part, &s);
            if (st != UB_OK)
                *stop = (int)st;
        }
        if (ubp_run_cancelled(j->call->run))
            *stop = UB_ERR_CANCELLED;
        if (!j->cut.by_samples)
            ubp_team_wait(team);
        if (*stop)
            return;
    }
}

static ub_status run_parts(rnn *j)
{
    const int threads = j->call->run->threads;
    j->stop[0] = j->stop[1] = UB_OK;
    ubp_team(threads < j->cut.parts ? threads : j->cut.parts, run_member, j);
    const int stop = j->stop[0] ? j->stop[0] : j->stop[1];
    if (stop == UB_ERR_CANCELLED)
        return UBP_CANCELLED(j->call);
    return stop ? ubp_op_fail(j->call, (ub_status)stop, "a product failed") : UB_OK;
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
    const char *b = input(j, UBP_RNN_B), *p = input(j, UBP_RNN_P);
    j->bias = b ? b + j->direction * 2 * j->gates * j->size : NULL;
    j->peepholes = p ? p + j->direction * 3 * j->h * j->size : NULL;
    if (!j->products)
        transpose_r(j);
    UBP_TRY(times_w(j));
    load_state(j, j->state[0], UBP_RNN_H0);
    if (j->attr->kind == UBP_LSTM)
        load_state(j, j->cell, UBP_RNN_C0);
    UBP_TRY(j->cut.parts > 1 ? run_parts(j) : run_steps(j));
    store_state(j, j->state[j->t & 1], 1);
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

ub_status ubp_rnn_run(const ubp_call *call, const ubp_rnn_products *products)
{
    const ubp_rnn_attr *a = call->attr;
    const ub_tensor *x = call->in[UBP_RNN_X];
    rnn j = {.call = call,
             .attr = a,
             .products = products,
             .wide = x->dtype == UB_F64,
             .size = (int64_t)ub_dtype_size(x->dtype),
             .t = x->dims[a->batch_first],
             .n = x->dims[!a->batch_first],
             .i = x->dims[2],
             .h = call->in[UBP_RNN_R]->dims[2],
             .d = a->direction == UBP_BOTH ? 2 : 1};
    j.gates = ubp_rnn_gates(a->kind) * j.h;
    j.cut = products ? products->cut
                     : (ubp_rnn_cut){.samples = j.n, .hidden = j.h, .parts = 1, .by_samples = true};
    for (int64_t n = 0; n < j.n; n++)
        if (length(&j, n) < 0 || length(&j, n) > j.t)
            return ubp_op_fail(call, UB_ERR_SHAPE, "sequence_lens[%lld] is %lld of %lld steps",
                               (long long)n, (long long)length(&j, n), (long long)j.t);
    if (ubp_has_out(call, 0) && ubp_has_in(call, UBP_RNN_LENGTHS))
        memset(call->out[0]->data, 0, ubp_tensor_bytes(call->out[0]));
    if (products) {
        j.xw = products->xw;
    } else {
        UBP_TRY(allocate(&j, &j.xw, j.t * j.n, j.gates));
        UBP_TRY(allocate(&j, &j.rt, j.h, j.gates));
    }
    UBP_TRY(allocate(&j, &j.hr, j.n, j.gates));
    UBP_TRY(allocate(&j, &j.state[0], j.n, j.h));
    UBP_TRY(allocate(&j, &j.state[1], j.n, j.h));
    UBP_TRY(allocate(&j, &j.cell, j.n, j.h));
    UBP_TRY(allocate(&j, &j.reset, j.n, j.h));
    for (j.direction = 0; j.direction < j.d; j.direction++) {
        j.reverse = a->direction == UBP_REVERSE || j.direction == 1;
        UBP_TRY(run_direction(&j));
    }
    return UB_OK;
}

ub_status ubp_rnn_ref(const ubp_call *call)
{
    return ubp_rnn_run(call, NULL);
}
