/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elementwise: what the elementwise families share. A kernel is a loop over one row of elements;
 * the walker broadcasts, joins axes whatever the memory order is (row-major, channels-last, any
 * permutation), cuts the work for the threads, and calls the loop on long rows.
 *
 * Internal to src/ops: elementwise.c arith.c logic.c unary.c activation.c cast.c where.c.
 */
#ifndef UBP_ELEMENTWISE_H
#define UBP_ELEMENTWISE_H

#include "ops/ops.h"
#include "ops/wide.h"

enum { UBP_EW_OPERANDS = 4, UBP_EW_DTYPES = UB_BF16 + 1 };

/* Computes n elements: p[0] is the destination, p[1..] the sources; step[o] is how many bytes
 * operand o moves an element (0: the same value for all). A source may be the destination itself,
 * never a shifted part of it. */
typedef void (*ubp_ew_fn)(char *const *p, const int64_t *step, int64_t n, const void *arg);

/* A loop for each dtype of input 0; NULL: not allowed. float16 and bfloat16 use that of float32
 * (UBP_WIDEN). */
typedef struct ubp_ew_kernels {
    ubp_ew_fn fn[UBP_EW_DTYPES];
} ubp_ew_kernels;

/* Runs fn over all elements of operands[0] (the destination); the others broadcast to its dims. */
void ubp_ew_walk(const ubp_run *run, int n_operands, const ub_tensor *const *operands, ubp_ew_fn fn,
                 const void *arg);
/* The loop for this dtype, or NULL. */
ubp_ew_fn ubp_ew_kernel(const ubp_ew_kernels *k, ub_dtype dtype);

/* Shape rules: the dtype of input 0 must have a loop. The output's dtype is that of input 0, or
 * `out` when it is not UB_UNDEFINED; its dims are those of all inputs broadcast. */
ub_status ubp_ew_infer(const ubp_call *c, const ubp_ew_kernels *k, ub_dtype out);
/* All inputs broadcast together into dims; a message when they do not fit. */
ub_status ubp_ew_dims(const ubp_call *c, int *rank, int64_t *dims);
/* Input 0 alone is elementwise, the rest are parameters. */
ub_status ubp_ew_infer_first(const ubp_call *c, const ubp_ew_kernels *k, ub_dtype out);
/* Kernels: all inputs to output 0; the parsed attributes are the loop's arg. */
ub_status ubp_ew_ref(const ubp_call *c, const ubp_ew_kernels *k);

/* t itself when it has this dtype, else a row-major converted copy in scratch memory. */
ub_status ubp_ew_convert(const ubp_call *c, const ub_tensor *t, ub_dtype dtype, ub_tensor *out);

/* ---- Making loops ------------------------------------------------------------------------------
 */

/* Iterations are independent (see ubp_ew_fn): spares the check for overlap at run time. clang's
 * word for it warns about every loop with a library call. */
#if defined(__clang__)
#define UBP_EW_LOOP(i, n) for (int64_t i = 0; i < (n); i++)
#else
#define UBP_EW_LOOP(i, n) _Pragma("GCC ivdep") for (int64_t i = 0; i < (n); i++)
#endif

/* void name(...): dst = expr of x. `setup` declares what expr needs of attr, the parsed attributes.
 */
#define UBP_EW_UNARY_WITH(name, TD, TX, setup, expr)                                               \
    static void name(char *const *p, const int64_t *step, int64_t n, const void *attr)             \
    {                                                                                              \
        (void)attr;                                                                                \
        setup if (step[0] == (int64_t)sizeof(TD) && step[1] == (int64_t)sizeof(TX))                \
        {                                                                                          \
            TD *d = (TD *)(void *)p[0];                                                            \
            const TX *s = (const TX *)(const void *)p[1];                                          \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const TX x = s[i];                                                                 \
                d[i] = (TD)(expr);                                                                 \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const TX x = *(const TX *)(const void *)(p[1] + i * step[1]);                          \
            *(TD *)(void *)(p[0] + i * step[0]) = (TD)(expr);                                      \
        }                                                                                          \
    }
#define UBP_EW_UNARY(name, TD, TX, expr) UBP_EW_UNARY_WITH(name, TD, TX, , expr)

/* The same for functions of many operations, float32 to float32: compiled again for processors with
 * AVX2, which do eight elements at once and round without a call, and with AVX-512 (wide.h). Each
 * operation is the same (no multiply-add), so the bits are. */
#define UBP_EW_WIDE(name, setup, expr)                                                             \
    UBP_WIDE_VARIANTS(UBP_EW_UNARY_WITH, name, float, float, setup, expr)                          \
    static void name(char *const *p, const int64_t *step, int64_t n, const void *attr)             \
    {                                                                                              \
        UBP_WIDE_CALL(name, p, step, n, attr);                                                     \
    }

/* void name(...): dst = expr of x and y; own loops for two dense rows and for a row and a number.
 */
#define UBP_EW_BINARY(name, TD, TX, TY, expr)                                                      \
    static void name(char *const *p, const int64_t *step, int64_t n, const void *attr)             \
    {                                                                                              \
        TD *d = (TD *)(void *)p[0];                                                                \
        const TX *s = (const TX *)(const void *)p[1];                                              \
        const TY *t = (const TY *)(const void *)p[2];                                              \
        const bool row = step[0] == (int64_t)sizeof(TD);                                           \
        (void)attr;                                                                                \
        if (row && step[1] == (int64_t)sizeof(TX) && step[2] == (int64_t)sizeof(TY)) {             \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const TX x = s[i];                                                                 \
                const TY y = t[i];                                                                 \
                d[i] = (TD)(expr);                                                                 \
            }                                                                                      \
        } else if (row && step[1] == (int64_t)sizeof(TX) && step[2] == 0) {                        \
            const TY y = *t;                                                                       \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const TX x = s[i];                                                                 \
                d[i] = (TD)(expr);                                                                 \
            }                                                                                      \
        } else if (row && step[1] == 0 && step[2] == (int64_t)sizeof(TY)) {                        \
            const TX x = *s;                                                                       \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const TY y = t[i];                                                                 \
                d[i] = (TD)(expr);                                                                 \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const TX x = *(const TX *)(const void *)(p[1] + i * step[1]);                      \
                const TY y = *(const TY *)(const void *)(p[2] + i * step[2]);                      \
                *(TD *)(void *)(p[0] + i * step[0]) = (TD)(expr);                                  \
            }                                                                                      \
        }                                                                                          \
    }

/* The same for float32, compiled for wider vectors too. */
#define UBP_EW_BINARY_WIDE(name, expr)                                                             \
    UBP_WIDE_VARIANTS(UBP_EW_BINARY, name, float, float, float, expr)                              \
    static void name(char *const *p, const int64_t *step, int64_t n, const void *attr)             \
    {                                                                                              \
        UBP_WIDE_CALL(name, p, step, n, attr);                                                     \
    }

/* M(dtype, C type, unsigned type wide enough for its arithmetic) for the dtypes of a kind. */
#define UBP_EACH_SIGNED(M)                                                                         \
    M(I8, int8_t, uint32_t)                                                                        \
    M(I16, int16_t, uint32_t) M(I32, int32_t, uint32_t) M(I64, int64_t, uint64_t)
#define UBP_EACH_UNSIGNED(M)                                                                       \
    M(U8, uint8_t, uint32_t)                                                                       \
    M(U16, uint16_t, uint32_t) M(U32, uint32_t, uint32_t) M(U64, uint64_t, uint64_t)

/* The rows of a table of kernels whose loops are called <prefix>_I8, ... */
#define UBP_EW_SIGNED(prefix)                                                                      \
    [UB_I8] = prefix##_I8, [UB_I16] = prefix##_I16, [UB_I32] = prefix##_I32, [UB_I64] = prefix##_I64
#define UBP_EW_UNSIGNED(prefix)                                                                    \
    [UB_U8] = prefix##_U8, [UB_U16] = prefix##_U16, [UB_U32] = prefix##_U32, [UB_U64] = prefix##_U64
#define UBP_EW_FLOATS(prefix) [UB_F32] = prefix##_F32, [UB_F64] = prefix##_F64

/* The row of an operator whose inputs are all elementwise and whose table is <id>_kernels. */
#define UBP_EW_OP(id, inputs, out_dtype)                                                           \
    static ub_status id##_infer(const ubp_call *c)                                                 \
    {                                                                                              \
        return ubp_ew_infer(c, &id##_kernels, out_dtype);                                          \
    }                                                                                              \
    static ub_status id##_ref(const ubp_call *c)                                                   \
    {                                                                                              \
        return ubp_ew_ref(c, &id##_kernels);                                                       \
    }                                                                                              \
    const ubp_op ubp_op_##id = {                                                                   \
        .name = #id,                                                                               \
        .domain = "",                                                                              \
        .min_in = inputs,                                                                          \
        .max_in = inputs,                                                                          \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,                                              \
        .infer = id##_infer,                                                                       \
        .batch = ubp_batch_elementwise,                                                            \
        .ref = id##_ref,                                                                           \
    };

/* The same with attributes, read by <id>_attrs into an <id>_attr. */
#define UBP_EW_OP_ATTR(id, inputs, out_dtype)                                                      \
    static ub_status id##_infer(const ubp_call *c)                                                 \
    {                                                                                              \
        return ubp_ew_infer(c, &id##_kernels, out_dtype);                                          \
    }                                                                                              \
    static ub_status id##_ref(const ubp_call *c)                                                   \
    {                                                                                              \
        return ubp_ew_ref(c, &id##_kernels);                                                       \
    }                                                                                              \
    const ubp_op ubp_op_##id = {                                                                   \
        .name = #id,                                                                               \
        .domain = "",                                                                              \
        .min_in = inputs,                                                                          \
        .max_in = inputs,                                                                          \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,                                              \
        .attr_size = sizeof(id##_attr),                                                            \
        .attrs = id##_attrs,                                                                       \
        .infer = id##_infer,                                                                       \
        .batch = ubp_batch_elementwise,                                                            \
        .ref = id##_ref,                                                                           \
    };

#endif
