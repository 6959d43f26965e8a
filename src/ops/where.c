/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where: x where the condition holds, else y, all three broadcast together. Moves elements by their
 * size, whatever their dtype. ONNX operator 16.
 */
#include "ops/elementwise.h"

/* p: dst, cond, x, y. Own loops where cond is a row and x and y are a row or one number each. */
#define WHERE(name, T)                                                                             \
    static void name(char *const *p, const int64_t *step, int64_t n, const void *arg)              \
    {                                                                                              \
        T *d = (T *)(void *)p[0];                                                                  \
        const uint8_t *c = (const uint8_t *)p[1];                                                  \
        const T *x = (const T *)(const void *)p[2], *y = (const T *)(const void *)p[3];            \
        const int64_t size = (int64_t)sizeof(T);                                                   \
        const bool rows = step[0] == size && step[1] == 1;                                         \
        (void)arg;                                                                                 \
        if (rows && step[2] == size && step[3] == size) {                                          \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const T a = x[i], b = y[i];                                                        \
                d[i] = c[i] ? a : b;                                                               \
            }                                                                                      \
        } else if (rows && step[2] == size && step[3] == 0) {                                      \
            const T b = *y;                                                                        \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const T a = x[i];                                                                  \
                d[i] = c[i] ? a : b;                                                               \
            }                                                                                      \
        } else if (rows && step[2] == 0 && step[3] == size) {                                      \
            const T a = *x;                                                                        \
            UBP_EW_LOOP(i, n)                                                                      \
            {                                                                                      \
                const T b = y[i];                                                                  \
                d[i] = c[i] ? a : b;                                                               \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const char *from = p[1][i * step[1]] ? p[2] + i * step[2] : p[3] + i * step[3];    \
                *(T *)(void *)(p[0] + i * step[0]) = *(const T *)(const void *)from;               \
            }                                                                                      \
        }                                                                                          \
    }

WHERE(where_1, uint8_t)
WHERE(where_2, uint16_t)
WHERE(where_4, uint32_t)
WHERE(where_8, uint64_t)

static ub_status where_infer(const ubp_call *c)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_same_dtype(c, 1, 2));
    UBP_TRY(ubp_ew_dims(c, &rank, dims));
    if (c->in[0]->dtype != UB_BOOL)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, expected bool",
                           ub_dtype_name(c->in[0]->dtype));
    if (ub_dtype_size(c->in[1]->dtype) == 0)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input 1 is %s, which is not supported",
                           ub_dtype_name(c->in[1]->dtype));
    return ubp_set_out(c, 0, c->in[1]->dtype, rank, dims);
}

static ub_status where_ref(const ubp_call *c)
{
    const ub_tensor *operands[] = {c->out[0], c->in[0], c->in[1], c->in[2]};
    size_t size = ub_dtype_size(c->in[1]->dtype);
    ubp_ew_fn fn = size == 1 ? where_1 : size == 2 ? where_2 : size == 4 ? where_4 : where_8;
    ubp_ew_walk(c->run, 4, operands, fn, NULL);
    return UB_OK;
}

const ubp_op ubp_op_Where = {
    .name = "Where",
    .domain = "",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_CHEAP,
    .infer = where_infer,
    .batch = ubp_batch_elementwise,
    .ref = where_ref,
};
