/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rnn: what the recurrent operators LSTM, GRU and RNN share. T steps, N batch, I inputs, H hidden,
 * D directions, G gates (4, 3, 1).
 */
#ifndef UBP_RNN_H
#define UBP_RNN_H

#include "ops/ops.h"

typedef enum ubp_rnn_kind { UBP_RNN, UBP_GRU, UBP_LSTM } ubp_rnn_kind;

typedef enum ubp_rnn_direction { UBP_FORWARD, UBP_REVERSE, UBP_BOTH } ubp_rnn_direction;

typedef struct ubp_rnn_function {
    int kind; /* place in the list of names in rnn.c */
    double alpha, beta;
} ubp_rnn_function;

typedef struct ubp_rnn_attr {
    ubp_rnn_kind kind;
    ubp_rnn_direction direction;
    int64_t hidden_size;      /* 0: absent */
    bool batch_first;         /* layout 1 */
    bool input_forget;        /* LSTM: the forget gate is 1 - the input gate */
    bool linear_before_reset; /* GRU */
    double clip;              /* of the activations' inputs; infinite: none */
    ubp_rnn_function f[2][3]; /* [direction][f, g, h] */
} ubp_rnn_attr;

/* Places in the list of inputs, and the number of gates. */
enum {
    UBP_RNN_X,
    UBP_RNN_W,
    UBP_RNN_R,
    UBP_RNN_B,
    UBP_RNN_LENGTHS,
    UBP_RNN_H0,
    UBP_RNN_C0,
    UBP_RNN_P
};

static inline int ubp_rnn_gates(ubp_rnn_kind kind)
{
    return kind == UBP_LSTM ? 4 : kind == UBP_GRU ? 3 : 1;
}

bool ubp_rnn_is_sigmoid(const ubp_rnn_function *f);
bool ubp_rnn_is_tanh(const ubp_rnn_function *f);
double ubp_rnn_apply(const ubp_rnn_function *f, double x);
/* rnn_run.c: the reference kernel of all three. */
ub_status ubp_rnn_ref(const ubp_call *call);

/* How threads share the work of all steps: each takes some of the samples, or, where these are few,
 * some of the hidden units of all of them. */
typedef struct ubp_rnn_cut {
    int64_t samples, hidden;
    int parts;
    bool by_samples;
} ubp_rnn_cut;

typedef struct ubp_rnn_part {
    int64_t sample, samples; /* the first, and how many */
    int64_t unit, units;
} ubp_rnn_part;

static inline ubp_rnn_part ubp_rnn_part_of(const ubp_rnn_cut *c, int part)
{
    enum { VECTOR = 16 };
    ubp_rnn_part p = {.samples = c->samples, .units = c->hidden};
    if (c->by_samples) {
        p.sample = c->samples * part / c->parts;
        p.samples = c->samples * (part + 1) / c->parts - p.sample;
    } else {
        const int64_t vectors = c->hidden / VECTOR;
        p.unit = vectors * part / c->parts * VECTOR;
        p.units =
            (part + 1 == c->parts ? c->hidden : vectors * (part + 1) / c->parts * VECTOR) - p.unit;
    }
    return p;
}

/* The matrix products of a faster kernel, float32. */
typedef struct ubp_rnn_products {
    void *arg;
    ubp_rnn_cut cut;
    char *xw;    /* [T*N][G*H]: room for what times_w gives */
    bool turned; /* X lies, and its products with it, as if the other of T and N came first */
    /* out: rows of G*H, X [T*N][I] by W' of a direction */
    ub_status (*times_w)(void *arg, const ubp_call *call, int direction, char *out);
    /* out: rows of G * units of the part, states of its samples by their columns of R'; called by
     * several threads at once, writes no message */
    ub_status (*times_r)(void *arg, const ubp_call *call, int direction, int part,
                         const char *states, char *out);
} ubp_rnn_products;

/* The same with other products; not for GRU whose reset gate comes before its product. */
ub_status ubp_rnn_run(const ubp_call *call, const ubp_rnn_products *products);
static inline bool ubp_rnn_is_split(const ubp_rnn_attr *a)
{
    return a->kind == UBP_GRU && !a->linear_before_reset;
}

#endif
