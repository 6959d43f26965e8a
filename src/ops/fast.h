/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fast: kernels that are prepared once, while a plan is made, and run many times. Today they are
 * oneDNN's (src/ops/onednn/, the only code that includes dnnl.h). In a build without oneDNN
 * ubp_onednn_new() gives NULL and everything is declined.
 *
 * The rule of the bitwise promise: a kernel is taken only if its bits for one sample do not depend
 * on the batch size, the number of threads, or on what is fused behind it. Where oneDNN would pick
 * an implementation that breaks this, prepare declines.
 */
#ifndef UBP_FAST_H
#define UBP_FAST_H

#include "ops/affine.h"
#include "ops/ops.h"

/* Engine, stream and packed weights of one session. Not shared between threads. */
typedef struct ubp_onednn ubp_onednn;

ub_status ubp_onednn_new(ubp_onednn **out, ub_error *err);
void ubp_onednn_free(ubp_onednn *d);
/* "oneDNN 2.6.3 (AVX-512)", or "none". */
const char *ubp_onednn_version(void);

/* Something done to the result before it is stored. */
typedef enum ubp_post_kind {
    UBP_POST_OP,    /* an elementwise unary op: Relu, Clip, Sigmoid, HardSwish, ... */
    UBP_POST_SUM,   /* added to what the output's memory holds already (a residual); the first post,
                       or the second behind UBP_POST_AFFINE */
    UBP_POST_BIAS,  /* a constant row is added to every row; the first post only */
    UBP_POST_AFFINE /* a factor and a shift for each channel; the first post of Conv only */
} ubp_post_kind;

typedef struct ubp_post {
    ubp_post_kind kind;
    const ubp_op *op;  /* of UBP_POST_OP */
    const void *attr;  /* parsed */
    double lo, hi;     /* of Clip: its bounds as float32 values */
    const void *bias;  /* of UBP_POST_BIAS: as many float32 as the result has columns */
    ubp_affine affine; /* of UBP_POST_AFFINE; both with zeros up to a multiple of 16 */
} ubp_post;

typedef struct ubp_fast ubp_fast;

/*
 * Prepares a kernel for this call. In: call->in have dims, dtype and their present strides;
 * constants have data too (they outlive the kernel). Out: want[i] is the layout input i must have
 * (its strides may differ from call->in[i]'s: the planner then copies); call->out[k]->strides are
 * set to the layout the kernel writes. Convolutions and poolings write channels-last. *scratch:
 * bytes the kernel needs while running.
 * threads: 1: it is only ever run by one thread, 0: by any number.
 * UBP_DECLINED: not served, or not without breaking the rule above; posts may be the reason, so
 * try with fewer.
 */
ub_status ubp_fast_prepare(ubp_fast **out, ubp_onednn *d, const ubp_call *call,
                           const ubp_post *posts, int n_posts, int threads, ub_tensor *want,
                           size_t *scratch);
/* Makes what the first run would make: before several threads run kernels of one session. */
ub_status ubp_fast_ready(ubp_fast *f, const ubp_call *call);
/* Runs it on call->in, call->out, in the layouts agreed; scratch is 64-byte aligned. Weights are
 * packed on the first run and kept in the session's ubp_onednn, shared by all plans. */
ub_status ubp_fast_run(ubp_fast *f, const ubp_call *call, void *scratch);
/* Whether a post is done inside the kernel that turns a NaN into a number, but raises the mark of
 * ubp_invalid_raised() when it meets one. Lower the mark before the run and look at it afterwards,
 * before fewer threads run anything: if it is up, what was computed is void, residuals included.
 * Then run all again with run->careful, which gives the bits of the posts as they are apart. */
bool ubp_fast_watches(const ubp_fast *f);
void ubp_fast_free(ubp_fast *f);
/* oneDNN's name of the implementation, for profiles. */
const char *ubp_fast_kernel(const ubp_fast *f);

#endif
