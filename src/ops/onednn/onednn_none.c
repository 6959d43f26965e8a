/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The build without oneDNN: no fast kernels, everything runs on the reference kernels.
 */
#include "ops/fast.h"

ub_status ubp_onednn_new(ubp_onednn **out, ub_error *err)
{
    (void)err;
    *out = NULL;
    return UB_OK;
}

void ubp_onednn_free(ubp_onednn *d)
{
    (void)d;
}

const char *ubp_onednn_version(void)
{
    return "none";
}

ub_status ubp_fast_prepare(ubp_fast **out, ubp_onednn *d, const ubp_call *call,
                           const ubp_post *posts, int n_posts, int threads, ub_tensor *want,
                           size_t *scratch)
{
    (void)threads;
    (void)d;
    (void)call;
    (void)posts;
    (void)n_posts;
    (void)want;
    (void)scratch;
    *out = NULL;
    return UBP_DECLINED;
}

ub_status ubp_fast_ready(ubp_fast *f, const ubp_call *call)
{
    (void)f;
    (void)call;
    return UB_OK;
}

ub_status ubp_fast_run(ubp_fast *f, const ubp_call *call, void *scratch)
{
    (void)f;
    (void)scratch;
    return ubp_op_fail(call, UB_ERR_INTERNAL, "a build without oneDNN has no fast kernels");
}

bool ubp_fast_watches(const ubp_fast *f)
{
    (void)f;
    return false;
}

void ubp_fast_free(ubp_fast *f)
{
    (void)f;
}

const char *ubp_fast_kernel(const ubp_fast *f)
{
    (void)f;
    return "none";
}
