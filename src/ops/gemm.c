/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multiply-accumulate core: cuts the products into tiles and spreads them over threads. What
 * one tile does is in gemm_typed.h; the order of additions is described in gemm.h.
 */
#include "ops/gemm.h"

#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

/* The loops run on wider vectors where the processor has them. The bits stay: the compiler may not
 * contract a*b+c, and lanes are independent. Not with sanitizers, which do not know ifuncs. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__AVX2__)
#define GEMM_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define GEMM_CLONES
#endif

#define GEMM_INLINE static inline __attribute__((always_inline))

typedef float vec_f32 __attribute__((vector_size(32)));
typedef double vec_f64 __attribute__((vector_size(32)));
typedef uint32_t vec_u32 __attribute__((vector_size(32)));
typedef uint64_t vec_u64 __attribute__((vector_size(32)));

#define GEMM_ADD(s, b, a) ((s) += (b) * (a))
#define GEMM_T            float
#define GEMM_V            vec_f32
#define GEMM_(name)       f32_##name
#include "ops/gemm_typed.h"

#define GEMM_T      double
#define GEMM_V      vec_f64
#define GEMM_(name) f64_##name
#include "ops/gemm_typed.h"

#define GEMM_T      uint32_t
#define GEMM_V      vec_u32
#define GEMM_(name) u32_##name
#include "ops/gemm_typed.h"

#define GEMM_T      uint64_t
#define GEMM_V      vec_u64
#define GEMM_(name) u64_##name
#include "ops/gemm_typed.h"

/* float32 with one rounding for a multiplication and its addition: not for reference sessions,
 * whose bits are the same on every processor. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GEMM_FMA 1
#undef GEMM_ADD
#undef GEMM_CLONES
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define GEMM_ADD(s, b, a) ((s) = (vec_f32)_mm256_fmadd_ps((b), _mm256_set1_ps(a), (s)))
#define GEMM_CLONES
#define GEMM_T      float
#define GEMM_V      vec_f32
#define GEMM_(name) fma_##name
#include "ops/gemm_typed.h"
#pragma GCC pop_options
#endif

_Static_assert((int)f32_COLS == (int)UBP_GEMM_NR && 2 * (int)f64_COLS == (int)UBP_GEMM_NR,
               "pack functions rely on the width of a panel");

bool ubp_gemm_takes(ub_dtype dtype)
{
    return dtype == UB_F32 || dtype == UB_F64 || dtype == UB_I32 || dtype == UB_U32 ||
           dtype == UB_I64 || dtype == UB_U64;
}

typedef struct tiling {
    const ubp_gemm_job *job;
    int64_t columns; /* of a panel */
    int64_t panels;  /* in n */
    int64_t blocks;  /* of rows in m */
    bool fma;
} tiling;

static void run_tile(const tiling *t, int64_t index)
{
    const ubp_gemm_job *job = t->job;
    ubp_gemm g = job->gemm;
    int64_t item = index / (t->panels * t->blocks);
    int64_t block = index / t->panels % t->blocks;
    int64_t n0 = index % t->panels * t->columns;
    int64_t m0 = block * UBP_GEMM_ROWS;
    int64_t m1 = m0 + UBP_GEMM_ROWS < g.m ? m0 + UBP_GEMM_ROWS : g.m;
    if (job->locate)
        job->locate(job, item, &g);
    switch (job->dtype) {
    case UB_F32:
#ifdef GEMM_FMA
        if (t->fma) {
            fma_tile(&g, m0, m1, n0);
            break;
        }
#endif
        f32_tile(&g, m0, m1, n0);
        break;
    case UB_F64:
        f64_tile(&g, m0, m1, n0);
        break;
    case UB_I32:
    case UB_U32:
        u32_tile(&g, m0, m1, n0);
        break;
    default:
        u64_tile(&g, m0, m1, n0);
        break;
    }
}

static void run_tiles(void *arg, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        run_tile(arg, i);
}

void ubp_gemm_run(const ubp_run *run, const ubp_gemm_job *job)
{
    enum { WORTH = 1 << 16 }; /* multiplications that pay for waking a thread */
    const ubp_gemm *g = &job->gemm;
    tiling t = {.job = job};
#ifdef GEMM_FMA
    t.fma = run->onednn && job->dtype == UB_F32 && __builtin_cpu_supports("avx2") &&
            __builtin_cpu_supports("fma");
#endif
    t.columns = ub_dtype_size(job->dtype) == 8 ? UBP_GEMM_NR / 2 : UBP_GEMM_NR;
    if (g->m <= 0 || g->n <= 0 || job->items <= 0)
        return;
    t.panels = (g->n - 1) / t.columns + 1;
    t.blocks = (g->m - 1) / UBP_GEMM_ROWS + 1;
    int64_t rows = g->m < UBP_GEMM_ROWS ? g->m : UBP_GEMM_ROWS;
    int64_t each = rows * t.columns * (g->k < WORTH ? g->k + 1 : WORTH);
    ubp_run_parallel(run, job->items * t.panels * t.blocks, WORTH / each + 1, run_tiles, &t);
}
