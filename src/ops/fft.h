/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fft: the discrete Fourier transform of complex numbers in double, any length. The order of
 * operations depends on the length alone.
 */
#ifndef UBP_FFT_H
#define UBP_FFT_H

#include "ops/ops.h"

typedef struct ubp_complex {
    double re, im;
} ubp_complex;

/* A transform of one length and direction; immutable once planned, so threads may share it. */
typedef struct ubp_fft {
    int64_t n;
    int64_t padded;      /* power of two the work is done in: n itself, or >= 2n - 1 */
    int sign;            /* of the exponent: -1 forward, 1 inverse; nothing is divided */
    ubp_complex *turns;  /* [padded / 2]: roots of unity of `padded` */
    ubp_complex *chirp;  /* [n], NULL for powers of two */
    ubp_complex *filter; /* [padded]: the transformed chirp */
} ubp_fft;

/* Memory comes from run->scratch. */
ub_status ubp_fft_plan(const ubp_call *c, ubp_fft *f, int64_t n, int sign);
/* How many numbers of work space one transform takes. */
static inline int64_t ubp_fft_room(const ubp_fft *f)
{
    return f->chirp ? f->padded : 0;
}
/* x [n] is replaced by its transform. work: [ubp_fft_room()]. */
void ubp_fft_run(const ubp_fft *f, ubp_complex *x, ubp_complex *work);

#endif
