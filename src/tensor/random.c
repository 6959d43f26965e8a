/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard normal float32 values: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011) as counter and seed to four 32-bit words, two of which
 * give two values by Box and Muller. Value i comes from block i / 4. Logarithm, sine and cosine are
 * written out here in double arithmetic, so that every machine and C library gives the same bits.
 */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

void ubp_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* ln(n / 2^32) for n in 1 .. 2^32: ln(m * 2^e) = e ln 2 + 2 atanh((m-1)/(m+1)), m near 1. */
static double log_unit(uint64_t n)
{
    double m = (double)n;
    uint64_t bits;
    memcpy(&bits, &m, sizeof(bits));
    int exponent = (int)(bits >> 52) - 1023 - 32;
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0; /* |s| < 0.172 */
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * z + 1.0 / k;
    return exponent * 0.69314718055994530942 + 2 * s * sum;
}

/* Sine and cosine of 2 pi n / 2^32, by Taylor's series within an eighth of a turn of an axis. */
static void sincos_turn(uint32_t n, double *sine, double *cosine)
{
    uint32_t quarter = (n + 0x20000000u) >> 30; /* 0 .. 3, and the rest -1/8 .. 1/8 of a turn */
    int32_t rest = (int32_t)(n - (quarter << 30));
    double a = rest * (6.28318530717958647693 / 4294967296.0), z = a * a, s = 1, c = 1;
    for (int k = 15; k >= 3; k -= 2)
        s = 1 - s * z / (double)(k * (k - 1));
    for (int k = 16; k >= 2; k -= 2)
        c = 1 - c * z / (double)(k * (k - 1));
    s *= a;
    *sine = quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c;
    *cosine = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
}

static void random_block(uint32_t word[4], uint64_t block, uint64_t seed, uint32_t stream)
{
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, 0};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    ubp_philox4x32(word, counter, key);
}

static void normal_block(float out[4], uint64_t block, uint64_t seed, uint32_t stream)
{
    uint32_t word[4];
    random_block(word, block, seed, stream);
    for (int i = 0; i < 4; i += 2) {
        double radius = sqrt(-2 * log_unit((uint64_t)word[i] + 1)), sine, cosine;
        sincos_turn(word[i + 1], &sine, &cosine);
        out[i] = (float)(radius * cosine);
        out[i + 1] = (float)(radius * sine);
    }
}

void ubp_random_normal(float *values, int64_t n, uint64_t seed, uint32_t stream)
{
    for (int64_t i = 0; i < n; i += 4) {
        float block[4];
        normal_block(block, (uint64_t)i / 4, seed, stream);
        memcpy(values + i, block, (size_t)(n - i < 4 ? n - i : 4) * sizeof(float));
    }
}

void ubp_random_uniform(float *values, int64_t n, double bound, uint64_t seed, uint32_t stream)
{
    uint32_t word[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            random_block(word, (uint64_t)i / 4, seed, stream);
        const double unit = ((double)word[i % 4] + 0.5) / 4294967296.0; /* 0 to 1, never either */
        values[i] = (float)(bound * (2 * unit - 1));
    }
}

float ubp_random_normal_at(uint64_t seed, uint64_t i)
{
    float block[4];
    normal_block(block, i / 4, seed, 0);
    return block[i % 4];
}

ub_status ub_tensor_random_normal(ub_tensor **out, int rank, const int64_t *dims, uint64_t seed,
                                  ub_error *err)
{
    UBP_TRY(ubp_tensor_make(out, UB_F32, rank, dims, err));
    ubp_random_normal((*out)->data, ub_tensor_count(*out), seed, 0);
    return UB_OK;
}
