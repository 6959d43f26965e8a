/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edge of the reference kernels: whatever the strides and the float16 dtypes of a call are, the
 * kernel sees what its flags ask for. Inputs are copied (contiguous, aligned to their dtype) or
 * widened (float32) into scratch memory, outputs computed there and moved or rounded into their
 * place.
 */
#include "ops/ops.h"

static bool is_half(ub_dtype d)
{
    return d == UB_F16 || d == UB_BF16;
}

/* Parts of a conversion of contiguous elements. */
typedef struct convert_job {
    char *dst;       /* [n] */
    const char *src; /* [n] */
    ub_dtype dst_type, src_type;
} convert_job;

static void convert_part(void *arg, int64_t begin, int64_t end)
{
    const convert_job *j = arg;
    int64_t dst_size = (int64_t)ub_dtype_size(j->dst_type);
    int64_t src_size = (int64_t)ub_dtype_size(j->src_type);
    ubp_convert(j->dst + begin * dst_size, j->dst_type, j->src + begin * src_size, j->src_type,
                end - begin);
}

static void convert(const ubp_run *run, void *dst, ub_dtype dst_type, const void *src,
                    ub_dtype src_type, int64_t n)
{
    convert_job job = {dst, src, dst_type, src_type};
    ubp_run_parallel(run, n, 1 << 15, convert_part, &job);
}

/* A row-major tensor of these dims in scratch. */
static ub_status scratch_tensor(const ubp_call *c, ub_tensor *t, ub_dtype dtype,
                                const ub_tensor *like)
{
    UBP_TRY(ubp_tensor_describe(t, dtype, like->rank, like->dims, c->err));
    t->data = ubp_run_scratch(c, ubp_tensor_bytes(t));
    return t->data ? UB_OK : UB_ERR_MEMORY;
}

/* *seen is what the kernel gets for input t, number i: t itself, or a copy. */
static ub_status bring_in(const ubp_call *c, const ub_tensor *t, int i, bool widen, bool contiguous,
                          ub_tensor *copy, const ub_tensor **seen)
{
    const bool aligned = ubp_tensor_is_aligned(t) || (i == 0 && (c->op->flags & UBP_BYTES));
    *seen = t;
    if (!t->data || (!widen && aligned && (!contiguous || ub_tensor_is_contiguous(t))))
        return UB_OK;
    ub_tensor dense = *t;
    if (!aligned || !ub_tensor_is_contiguous(t)) {
        UBP_TRY(scratch_tensor(c, &dense, t->dtype, t));
        ubp_tensor_move(&dense, t);
    }
    *copy = dense;
    if (widen) {
        UBP_TRY(scratch_tensor(c, copy, UB_F32, t));
        convert(c->run, copy->data, UB_F32, dense.data, t->dtype, ub_tensor_count(t));
    }
    *seen = copy;
    return UB_OK;
}

/* *seen is where the kernel writes output t: t itself, or scratch memory. */
static ub_status make_room(const ubp_call *c, ub_tensor *t, bool widen, bool contiguous,
                           ub_tensor *temp, ub_tensor **seen)
{
    *seen = t;
    if (!widen && (!contiguous || ub_tensor_is_contiguous(t)))
        return UB_OK;
    UBP_TRY(scratch_tensor(c, temp, widen ? UB_F32 : t->dtype, t));
    *seen = temp;
    return UB_OK;
}

/* Brings what the kernel wrote to its place. */
static ub_status bring_out(const ubp_call *c, ub_tensor *t, ub_tensor *seen)
{
    if (seen == t)
        return UB_OK;
    if (seen->dtype == t->dtype) {
        ubp_tensor_move(t, seen);
        return UB_OK;
    }
    ub_tensor dense = *t;
    if (!ub_tensor_is_contiguous(t))
        UBP_TRY(scratch_tensor(c, &dense, t->dtype, t));
    convert(c->run, dense.data, t->dtype, seen->data, seen->dtype, ub_tensor_count(t));
    if (dense.data != t->data)
        ubp_tensor_move(t, &dense);
    return UB_OK;
}

ub_status ubp_op_run(const ubp_call *call)
{
    const ubp_op *op = call->op;
    bool contiguous = !(op->flags & UBP_STRIDED);
    bool widens = (op->flags & UBP_WIDEN) != 0;
    size_t n_in = (size_t)call->n_in, n_out = (size_t)call->n_out;
    ubp_arena *arena = call->run->scratch;
    ub_tensor *copies = ubp_arena_array(arena, n_in + n_out + 1, sizeof *copies);
    const ub_tensor **in = ubp_arena_array(arena, n_in + 1, sizeof *in);
    ub_tensor **out = ubp_arena_array(arena, n_out + 1, sizeof *out);
    if (!copies || !in || !out)
        return ubp_fail_memory(call->err, (n_in + n_out + 1) * sizeof *copies);

    for (int i = 0; i < call->n_in; i++) {
        const ub_tensor *t = call->in[i];
        bool unread = !t || (i == 0 && (op->flags & UBP_SHAPE_ONLY));
        in[i] = t;
        if (!unread)
            UBP_TRY(
                bring_in(call, t, i, widens && is_half(t->dtype), contiguous, &copies[i], &in[i]));
    }
    for (int k = 0; k < call->n_out; k++) {
        ub_tensor *t = call->out[k];
        if (t)
            UBP_TRY(make_room(call, t, widens && is_half(t->dtype), contiguous,
                              &copies[call->n_in + k], &out[k]));
    }

    ubp_call inner = *call;
    inner.in = in;
    inner.out = out;
    UBP_TRY(op->ref(&inner));
    for (int k = 0; k < call->n_out; k++)
        if (call->out[k])
            UBP_TRY(bring_out(call, call->out[k], out[k]));
    return UB_OK;
}
