/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operator call, run by its reference kernel and by the prepared one, over any part of a batch
 * and any number of threads. All tensors are float32, but for lengths of sequences.
 */
#ifndef FAST_CASE_H
#define FAST_CASE_H

#include "ops/attrs.h"
#include "ops/fast.h"

enum { FC_ATTRS = 8, FC_INPUTS = 8 };

typedef struct fast_case {
    char text[160]; /* for messages */
    ubp_node node;
    ubp_attr attrs[FC_ATTRS];
    int64_t ints[FC_ATTRS][8];
    ubp_arena arena;
    void *attr;
    int n_in;
    ub_tensor in[FC_INPUTS]; /* row-major */
    bool constant[FC_INPUTS];
    bool batched[FC_INPUTS]; /* axis 0 counts samples */
    bool optional;           /* declining is fine */
} fast_case;

/* How to run it. */
typedef struct fast_run {
    int64_t first, count; /* samples; count 0: all */
    int threads;
    bool norm;      /* a BatchNormalization of random statistics behind */
    bool sum;       /* add a residual, which is fast_residual(i) at element i of the batch */
    const char *op; /* an elementwise operator behind, or NULL */
    double lo, hi;  /* of Clip */
    const void *attr;
} fast_run;

/* What all tests of a program share. */
extern ubp_onednn *fc_session;
int fc_setup(void **unused);
int fc_teardown(void **unused);

void fc_begin(fast_case *c, const char *op);
void fc_int(fast_case *c, const char *name, int64_t v);
void fc_ints(fast_case *c, const char *name, int n, const int64_t *v);
/* Input i with random values; those of constants have mean 0. */
void fc_input(fast_case *c, int i, int rank, const int64_t *dims, bool batched, bool constant);
void fc_text(fast_case *c, const char *name, const char *v);
/* Input i: int32, for each of n samples a number of 1 to `most`. */
void fc_lengths(fast_case *c, int i, int64_t n, int64_t most);
/* Parses the attributes; call once the inputs are there. */
void fc_ready(fast_case *c);
void fc_end(fast_case *c);

/* The result of a run, row-major, to be freed with free(); *count elements. NULL: declined. */
float *fc_reference(const fast_case *c, const fast_run *r, int64_t *count);
float *fc_fast(const fast_case *c, ubp_onednn *d, const fast_run *r, int64_t *count);
/* The implementation of the last fc_fast(). */
extern char fc_kernel[64];
/* Whether it had an activation inside, and whether that had to be run again apart. */
extern bool fc_watched, fc_suspected;

float fast_residual(int64_t i);
int64_t fc_random(int64_t below);
void fc_seed(uint64_t seed);

/* Fails the test when the fast result differs from the reference by more than 1e-5 of the largest
 * magnitude, or from itself in one bit: for any batch, place in it, and number of threads. */
void fc_check(const fast_case *c, ubp_onednn *d);
/* Fails when a fused run differs in one bit from the bare run followed by the reference kernels of
 * the posts. conv: residuals and BatchNormalization too. */
void fc_check_posts(const fast_case *c, ubp_onednn *d, bool conv);

#endif
