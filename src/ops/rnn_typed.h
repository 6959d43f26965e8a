/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One element type's share of rnn_run.c, which includes this file for float and double: RNN_T is
 * the element, RNN_SIGMOID and RNN_TANH its functions over a row, RNN_WIDE(name, ...) calls one of
 * its loops, RNN_(name) gives the functions their names.
 *
 * A cell works on some hidden units of one sample: their part of its row of H R' becomes the gates
 * in place, gate by gate, so that the loops over hidden units are simple.
 */

/* Gate g: what the state gives, plus what the input gives, plus both biases. */
static void RNN_(gate)(const rnn *j, const row *r, int g)
{
    const RNN_T *x = (const RNN_T *)(const void *)j->xw + r->xw + g * j->h;
    const RNN_T *wb = (const RNN_T *)(const void *)j->bias;
    RNN_T *v = (RNN_T *)(void *)j->hr + r->hr + g * r->count;
    if (!wb)
        RNN_WIDE(add_row, v, x, r->count);
    else
        RNN_WIDE(gate_row, v, x, wb + g * j->h + r->first, wb + j->gates + g * j->h + r->first,
                 r->count);
}

static void RNN_(function)(const rnn *j, const row *r, int f, RNN_T *v)
{
    const ubp_rnn_function *fn = &j->attr->f[j->direction][f];
    if (ubp_rnn_is_sigmoid(fn)) {
        RNN_SIGMOID(v, r->count);
    } else if (ubp_rnn_is_tanh(fn)) {
        RNN_TANH(v, r->count);
    } else {
        for (int64_t h = 0; h < r->count; h++)
            v[h] = (RNN_T)ubp_rnn_apply(fn, (double)v[h]);
    }
}

static void RNN_(activate)(const rnn *j, const row *r, int f, RNN_T *v)
{
    const RNN_T clip = (RNN_T)j->attr->clip;
    if (clip < (RNN_T)INFINITY) /* else there is no bound */
        RNN_WIDE(clip_row, v, clip, r->count);
    RNN_(function)(j, r, f, v);
}

/* v += peepholes of a gate * the cells. */
static void RNN_(peep)(const rnn *j, const row *r, int gate, const RNN_T *cell, RNN_T *v)
{
    const RNN_T *p = (const RNN_T *)(const void *)j->peepholes;
    for (int64_t h = 0; h < r->count && p; h++)
        v[h] += p[gate * j->h + r->first + h] * cell[h];
}

static void RNN_(rnn_cell)(const rnn *j, const row *r)
{
    RNN_T *v = (RNN_T *)(void *)j->hr + r->hr;
    RNN_(gate)(j, r, 0);
    RNN_(activate)(j, r, 0, v);
    memcpy((RNN_T *)(void *)r->next + r->at, v, (size_t)r->count * sizeof *v);
}

/* Gates in the order i, o, f, c; peepholes i, o, f. */
static void RNN_(lstm_cell)(const rnn *j, const row *r)
{
    RNN_T *cell = (RNN_T *)(void *)j->cell + r->at, *next = (RNN_T *)(void *)r->next + r->at;
    RNN_T *i = (RNN_T *)(void *)j->hr + r->hr, *o = i + r->count, *f = o + r->count;
    RNN_T *c = f + r->count;
    for (int g = 0; g < 4; g++)
        RNN_(gate)(j, r, g);
    RNN_(peep)(j, r, 0, cell, i);
    RNN_(peep)(j, r, 2, cell, f);
    RNN_(activate)(j, r, 0, i);
    RNN_(activate)(j, r, 1, c);
    if (!j->attr->input_forget)
        RNN_(activate)(j, r, 0, f);
    if (j->attr->input_forget)
        for (int64_t h = 0; h < r->count; h++)
            f[h] = 1 - i[h];
    RNN_WIDE(cell_row, cell, f, i, c, r->count);
    RNN_(peep)(j, r, 1, cell, o);
    RNN_(activate)(j, r, 0, o);
    /* ONNX Runtime does not clip the cell on its way to the output either. */
    memcpy(c, cell, (size_t)r->count * sizeof *c);
    RNN_(function)(j, r, 2, c);
    RNN_WIDE(times_row, next, o, c, r->count);
}

/* First half of a step of GRU: r, and r * H, which is then multiplied with R'. */
static void RNN_(gru_reset)(const rnn *j, const row *r)
{
    const RNN_T *state = (const RNN_T *)(const void *)r->state + r->at;
    RNN_T *reset = (RNN_T *)(void *)j->reset + r->at;
    RNN_T *v = (RNN_T *)(void *)j->hr + r->hr + r->count;
    RNN_(gate)(j, r, 1);
    RNN_(activate)(j, r, 0, v);
    for (int64_t h = 0; h < r->count; h++)
        reset[h] = v[h] * state[h];
}

/* Gates in the order z, r, h. */
static void RNN_(gru_cell)(const rnn *j, const row *r)
{
    const RNN_T *bias = (const RNN_T *)(const void *)j->bias;
    const RNN_T *state = (const RNN_T *)(const void *)r->state + r->at;
    RNN_T *next = (RNN_T *)(void *)r->next + r->at;
    RNN_T *z = (RNN_T *)(void *)j->hr + r->hr, *v = z + 2 * r->count;
    RNN_(gate)(j, r, 0);
    RNN_(activate)(j, r, 0, z);
    if (j->attr->linear_before_reset) {
        const RNN_T *wb = bias ? bias + 2 * j->h + r->first : NULL;
        const RNN_T *rb = bias ? wb + j->gates : NULL;
        const RNN_T *x = (const RNN_T *)(const void *)j->xw + r->xw + 2 * j->h;
        RNN_(gru_reset)(j, r);
        for (int64_t h = 0; h < r->count; h++) {
            RNN_T recurrent = rb ? v[h] + rb[h] : v[h];
            v[h] = (rb ? x[h] + wb[h] : x[h]) + z[r->count + h] * recurrent;
        }
    } else {
        RNN_(gate)(j, r, 2);
    }
    RNN_(activate)(j, r, 1, v);
    for (int64_t h = 0; h < r->count; h++)
        next[h] = (1 - z[h]) * v[h] + z[h] * state[h];
}

#undef RNN_T
#undef RNN_
#undef RNN_SIGMOID
#undef RNN_TANH
#undef RNN_WIDE
