/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RotaryEmbedding: pairs of elements of each head are turned by an angle that hangs on the
 * position; its cosine and sine come from tables. X is (batch, heads, rows, width) or (batch, rows,
 * heads*width). ONNX opset 23.
 */
#include "ops/move.h"
#include "ops/rows.h"

enum { IN_X, IN_COS, IN_SIN, IN_IDS };

typedef struct rotary_attr {
    int64_t heads, turned; /* turned: elements of a head, 0: all */
    bool interleaved;
} rotary_attr;

static ub_status rotary_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    rotary_attr *a = attr;
    int64_t interleaved;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "num_heads", 0, &a->heads, err));
    UBP_TRY(ubp_attr_int(n, "rotary_embedding_dim", 0, &a->turned, err));
    UBP_TRY(ubp_attr_int(n, "interleaved", 0, &interleaved, err));
    a->interleaved = interleaved != 0;
    if (a->heads < 0 || a->turned < 0)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (RotaryEmbedding): a negative num_heads or "
                        "rotary_embedding_dim",
                        n->name);
    return UB_OK;
}

typedef struct rotary_dims {
    int64_t batch, heads, rows, width, half; /* half: pairs that are turned */
    int64_t row_step, head_step;             /* elements of X between two rows, two heads */
} rotary_dims;

static ub_status find_dims(const ubp_call *c, rotary_dims *d)
{
    const rotary_attr *a = c->attr;
    UBP_TRY(ubp_want_rank(c, IN_X, 3, 4));
    const int64_t *x = c->in[IN_X]->dims;
    if (c->in[IN_X]->rank == 4) {
        *d = (rotary_dims){x[0], x[1], x[2], x[3], 0, x[3], x[2] * x[3]};
    } else {
        if (a->heads <= 0 || x[2] % a->heads != 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "%lld columns for %lld heads", (long long)x[2],
                               (long long)a->heads);
        *d = (rotary_dims){x[0], a->heads, x[1], x[2] / a->heads, 0, x[2], x[2] / a->heads};
    }
    const int64_t turned = a->turned ? a->turned : d->width;
    if (turned > d->width || turned % 2 != 0)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "%lld elements to turn of heads of %lld, expected an "
                           "even number",
                           (long long)turned, (long long)d->width);
    d->half = turned / 2;
    return UB_OK;
}

static ub_status rotary_infer(const ubp_call *c)
{
    rotary_dims d = {0};
    const bool ids = ubp_has_in(c, IN_IDS);
    UBP_TRY(ubp_want_float(c, IN_X));
    UBP_TRY(find_dims(c, &d));
    for (int i = IN_COS; i <= IN_SIN; i++) {
        UBP_TRY(ubp_want_same_dtype(c, IN_X, i));
        UBP_TRY(ubp_want_rank(c, i, ids ? 2 : 3, ids ? 2 : 3));
        const ub_tensor *t = c->in[i];
        const bool fits = ids || ((t->dims[0] == d.batch || t->dims[0] == 1) &&
                                  (t->dims[1] == d.rows || t->dims[1] == 1));
        if (t->dims[t->rank - 1] != d.half || !fits || !ubp_same_dims(t, c->in[IN_COS])) {
            char text[UBP_SHAPE_TEXT];
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "input %d has shape %s, expected a table of %lld columns for %lld "
                               "rows",
                               i, ubp_shape_text(text, t->rank, t->dims), (long long)d.half,
                               (long long)d.rows);
        }
    }
    if (ids) {
        UBP_TRY(ubp_want_index(c, IN_IDS));
        UBP_TRY(ubp_want_rank(c, IN_IDS, 2, 2));
        const int64_t *p = c->in[IN_IDS]->dims;
        if ((p[0] != d.batch && p[0] != 1) || p[1] != d.rows)
            return ubp_op_fail(c, UB_ERR_SHAPE, "position_ids (%lld, %lld), expected (%lld, %lld)",
                               (long long)p[0], (long long)p[1], (long long)d.batch,
                               (long long)d.rows);
    }
    return ubp_set_like(c, 0, IN_X);
}

static void rotary_batch(ubp_batch *b)
{
    const int8_t table = ubp_has_in(b->call, IN_IDS) ? UBP_ROWS_SHARED : 0;
    ubp_rows rows = {.in_axis = {0, table, table, 0}, .why = "positions along the batch axis"};
    /* Heads are turned alike. */
    if (ubp_has_samples(b, IN_X) && b->in[IN_X].axis == 1 && b->call->in[IN_X]->rank == 4)
        rows = (ubp_rows){.in_axis = {1, UBP_ROWS_SHARED, UBP_ROWS_SHARED, UBP_ROWS_SHARED},
                          .out_axis = {1},
                          .why = rows.why};
    ubp_rows_batch(b, &rows);
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct turning {
    const ubp_call *c;
    rotary_dims d;
    const int64_t *ids; /* (batch or 1, rows), or NULL */
} turning;

/* Where in the tables the row of a sample begins. */
static int64_t table_row(const turning *j, int64_t b, int64_t row)
{
    const int64_t *dims = j->c->in[IN_COS]->dims;
    if (j->ids)
        return j->ids[(j->c->in[IN_IDS]->dims[0] == 1 ? 0 : b) * j->d.rows + row] * j->d.half;
    return ((dims[0] == 1 ? 0 : b) * dims[1] + (dims[1] == 1 ? 0 : row)) * j->d.half;
}

#define TURN(T)                                                                                    \
    static void turn_##T(const turning *j, int64_t first, int64_t table)                           \
    {                                                                                              \
        const T *x = (const T *)j->c->in[IN_X]->data + first;                                      \
        const T *cosine = (const T *)j->c->in[IN_COS]->data + table;                               \
        const T *sine = (const T *)j->c->in[IN_SIN]->data + table;                                 \
        T *y = (T *)j->c->out[0]->data + first;                                                    \
        const bool pairs = ((const rotary_attr *)j->c->attr)->interleaved;                         \
        for (int64_t i = 0; i < j->d.half; i++) {                                                  \
            const int64_t a = pairs ? 2 * i : i, b = pairs ? 2 * i + 1 : j->d.half + i;            \
            const T u = x[a], v = x[b];                                                            \
            y[a] = cosine[i] * u - sine[i] * v;                                                    \
            y[b] = sine[i] * u + cosine[i] * v;                                                    \
        }                                                                                          \
        for (int64_t i = 2 * j->d.half; i < j->d.width; i++)                                       \
            y[i] = x[i];                                                                           \
    }
TURN(float)
TURN(double)
#undef TURN

static void turn_heads(void *arg, int64_t begin, int64_t end)
{
    const turning *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const int64_t head = i % j->d.heads, row = i / j->d.heads % j->d.rows;
        const int64_t b = i / j->d.heads / j->d.rows;
        const int64_t first =
            b * j->d.heads * j->d.rows * j->d.width + head * j->d.head_step + row * j->d.row_step;
        if (j->c->out[0]->dtype == UB_F64)
            turn_double(j, first, table_row(j, b, row));
        else
            turn_float(j, first, table_row(j, b, row));
    }
}

static ub_status rotary_ref(const ubp_call *c)
{
    turning j = {.c = c};
    UBP_TRY(find_dims(c, &j.d));
    if (ubp_has_in(c, IN_IDS)) {
        int64_t *ids;
        UBP_TRY(ubp_index_data(c, IN_IDS, &ids));
        UBP_TRY(
            ubp_want_in_bounds(c, ids, ub_tensor_count(c->in[IN_IDS]), c->in[IN_COS]->dims[0], 0));
        j.ids = ids;
    }
    ubp_run_parallel(c->run, j.d.batch * j.d.heads * j.d.rows, 2048 / (j.d.width + 1) + 1,
                     turn_heads, &j);
    return UB_OK;
}

const ubp_op ubp_op_RotaryEmbedding = {
    .name = "RotaryEmbedding",
    .domain = "",
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(rotary_attr),
    .attrs = rotary_attrs,
    .infer = rotary_infer,
    .batch = rotary_batch,
    .ref = rotary_ref,
};
