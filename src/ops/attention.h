/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention: scaled dot products of queries and keys, masked, through a softmax, times values.
 * attention.c reads ONNX's operator, attention_run.c computes; ms_attention.c and exec/flex.c fill
 * a ubp_attention themselves.
 */
#ifndef UBP_ATTENTION_H
#define UBP_ATTENTION_H

#include "ops/ops.h"

/* Sizes of one call. Queries have heads of their own; each key and value head serves
 * heads / kv_heads of them, in order. */
typedef struct ubp_attention_dims {
    int64_t batch, heads, kv_heads;
    int64_t rows;       /* queries */
    int64_t past, keys; /* keys: past and new ones */
    int64_t width;      /* of a query and a key */
    int64_t value_width;
    bool packed; /* Q, K, V and Y are (batch, rows, heads*width) */
} ubp_attention_dims;

typedef enum ubp_attention_tap {
    UBP_TAP_PRODUCT, /* scaled Q K' */
    UBP_TAP_CAPPED,  /* after the soft cap */
    UBP_TAP_BIASED,  /* after the masks */
    UBP_TAP_WEIGHTS  /* after the softmax */
} ubp_attention_tap;

/* What is done with the scores. */
typedef struct ubp_attention_attr {
    bool causal;
    bool has_scale;
    double scale, softcap;   /* softcap 0: none */
    int64_t heads, kv_heads; /* of packed inputs; 0: not given */
    int64_t left, right;     /* window, -1: open */
    int64_t precision;       /* dtype of the softmax, 0: that of Q */
    ubp_attention_tap tap;
} ubp_attention_attr;

/* All tensors are row-major; q, k, v, past and the outputs are float32 or all float64. */
typedef struct ubp_attention {
    const ubp_attention_attr *attr;
    ubp_attention_dims d;
    const ub_tensor *q, *k, *v;
    const ub_tensor *mask; /* broadcasts to (batch, heads, rows, keys), its last dim may be
                              shorter; bool: may attend, else added. NULL: none */
    const ub_tensor *past_k, *past_v;              /* (batch, kv_heads, past, width), or NULL */
    const ub_tensor *lengths;                      /* (batch) integers: keys that count, or NULL */
    ub_tensor *y, *present_k, *present_v, *scores; /* all but y may be NULL */
} ubp_attention;

ub_status ubp_attention_run(const ubp_call *c, const ubp_attention *a);

/* The steps by themselves, for what is not packed and has no past: scores (batch, heads, rows,
 * keys) of the scaled products; their softmax, in place; y = scores times values. Of the call only
 * run and err are used. */
ub_status ubp_attention_scores(const ubp_call *c, const ubp_attention *a);
void ubp_attention_weights(const ubp_call *c, const ubp_attention *a);
void ubp_attention_values(const ubp_call *c, const ubp_attention *a);

#endif
