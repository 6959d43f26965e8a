/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DynamicQuantizeLinear: float32 to uint8 with a scale and zero point from the range of the whole
 * tensor, 0 included. Samples therefore depend on each other. ONNX: DynamicQuantizeLinear-11.
 */
#include "ops/ops.h"

#include <math.h>

static ub_status dynamic_infer(const ubp_call *call)
{
    if (call->in[0]->dtype != UB_F32)
        return ubp_op_fail(call, UB_ERR_SHAPE, "input 0 is %s, expected float32",
                           ub_dtype_name(call->in[0]->dtype));
    UBP_TRY(ubp_set_out(call, 0, UB_U8, call->in[0]->rank, call->in[0]->dims));
    UBP_TRY(ubp_set_out(call, 1, UB_F32, 0, NULL));
    return ubp_set_out(call, 2, UB_U8, 0, NULL);
}

static void dynamic_batch(ubp_batch *b)
{
    ubp_samples_like(b, 0, 0, 0);
    for (int k = 0; k < b->call->n_out; k++) {
        if (b->in[0].kind == UBP_SAMPLES_AXIS)
            ubp_samples_couple(b, k, "the quantisation range is taken over the whole batch");
        else if (b->in[0].sized)
            ubp_samples_couple(b, k, "uses the number of samples as data");
    }
}

typedef struct quantize {
    const float *src;
    uint8_t *dst;
    float scale, zero;
} quantize;

static void run_part(void *arg, int64_t begin, int64_t end)
{
    const quantize *j = arg;
    for (int64_t i = begin; i < end; i++) {
        float v = rintf(j->src[i] / j->scale) + j->zero;
        j->dst[i] = !(v > 0) ? 0 : v > 255 ? 255 : (uint8_t)v;
    }
}

static ub_status dynamic_ref(const ubp_call *call)
{
    int64_t n = ub_tensor_count(call->in[0]);
    quantize j = {.src = call->in[0]->data};
    float low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = j.src[i] < low ? j.src[i] : low;
        high = j.src[i] > high ? j.src[i] : high;
    }
    /* A tensor of zeros has scale 1 / 255 in ONNX's reference implementation. */
    j.scale = (high == low ? 1 : high - low) / 255;
    float zero = rintf(-low / j.scale);
    j.zero = !(zero > 0) ? 0 : zero > 255 ? 255 : zero;
    if (ubp_has_out(call, 1))
        *(float *)call->out[1]->data = j.scale;
    if (ubp_has_out(call, 2))
        *(uint8_t *)call->out[2]->data = (uint8_t)j.zero;
    if (ubp_has_out(call, 0)) {
        j.dst = call->out[0]->data;
        ubp_run_parallel(call->run, n, 1 << 14, run_part, &j);
    }
    return UB_OK;
}

const ubp_op ubp_op_DynamicQuantizeLinear = {
    .name = "DynamicQuantizeLinear",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 3,
    .max_out = 3,
    .infer = dynamic_infer,
    .batch = dynamic_batch,
    .ref = dynamic_ref,
};
