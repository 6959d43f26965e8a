/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fourier transforms: radix 2 for powers of two, else Bluestein's way, a convolution with a chirp
 * done in a power of two. See fft.h.
 */
#include "ops/fft.h"

#include <math.h>
#include <string.h>

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif

static ubp_complex times(ubp_complex a, ubp_complex b)
{
    return (ubp_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* e^(sign * 2 pi i k / n), 0 <= k < n. */
static ubp_complex root(int64_t k, int64_t n, int sign)
{
    const double angle = 2 * M_PI * (double)k / (double)n;
    return (ubp_complex){cos(angle), sign * sin(angle)};
}

/* Elements in the order of their numbers with the bits turned round. */
static void reverse_bits(ubp_complex *x, int64_t n)
{
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            const ubp_complex t = x[i];
            x[i] = x[j];
            x[j] = t;
        }
    }
}

/* n is a power of two; turns are the roots of unity of n. `conjugate`: the other direction. */
static void transform(ubp_complex *x, int64_t n, const ubp_complex *turns, bool conjugate)
{
    reverse_bits(x, n);
    for (int64_t half = 1; half < n; half *= 2)
        for (int64_t start = 0; start < n; start += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                ubp_complex w = turns[k * (n / (2 * half))];
                w.im = conjugate ? -w.im : w.im;
                const ubp_complex u = x[start + k], v = times(w, x[start + k + half]);
                x[start + k] = (ubp_complex){u.re + v.re, u.im + v.im};
                x[start + k + half] = (ubp_complex){u.re - v.re, u.im - v.im};
            }
}

static ub_status make_chirp(const ubp_call *c, ubp_fft *f)
{
    f->chirp = ubp_run_scratch(c, (size_t)f->n * sizeof *f->chirp);
    f->filter = ubp_run_scratch(c, (size_t)f->padded * sizeof *f->filter);
    if (!f->chirp || !f->filter)
        return UB_ERR_MEMORY;
    memset(f->filter, 0, (size_t)f->padded * sizeof *f->filter);
    /* k^2 mod 2n, kept by its steps: k^2 itself may not fit. */
    for (int64_t k = 0, square = 0; k < f->n; k++) {
        f->chirp[k] = root(square, 2 * f->n, f->sign);
        square = (square + 2 * k + 1) % (2 * f->n);
    }
    for (int64_t k = 0; k < f->n; k++) {
        const ubp_complex w = {f->chirp[k].re, -f->chirp[k].im};
        f->filter[k] = w;
        f->filter[k ? f->padded - k : 0] = w;
    }
    transform(f->filter, f->padded, f->turns, false);
    return UB_OK;
}

ub_status ubp_fft_plan(const ubp_call *c, ubp_fft *f, int64_t n, int sign)
{
    enum { MOST = 1 << 28 };
    *f = (ubp_fft){.n = n, .padded = 1, .sign = sign};
    if (n < 1 || n > MOST)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a Fourier transform of length %lld, expected 1 to %d",
                           (long long)n, MOST);
    while (f->padded < n)
        f->padded *= 2;
    const bool power = f->padded == n;
    while (!power && f->padded < 2 * n - 1)
        f->padded *= 2;
    f->turns = ubp_run_scratch(c, (size_t)(f->padded / 2 + 1) * sizeof *f->turns);
    if (!f->turns)
        return UB_ERR_MEMORY;
    for (int64_t k = 0; k < f->padded / 2; k++)
        f->turns[k] = root(k, f->padded, sign);
    return power ? UB_OK : make_chirp(c, f);
}

void ubp_fft_run(const ubp_fft *f, ubp_complex *x, ubp_complex *work)
{
    if (!f->chirp) {
        transform(x, f->n, f->turns, false);
        return;
    }
    memset(work, 0, (size_t)f->padded * sizeof *work);
    for (int64_t k = 0; k < f->n; k++)
        work[k] = times(x[k], f->chirp[k]);
    transform(work, f->padded, f->turns, false);
    for (int64_t k = 0; k < f->padded; k++)
        work[k] = times(work[k], f->filter[k]);
    transform(work, f->padded, f->turns, true);
    for (int64_t k = 0; k < f->n; k++) {
        x[k] = times(work[k], f->chirp[k]);
        x[k].re /= (double)f->padded;
        x[k].im /= (double)f->padded;
    }
}
