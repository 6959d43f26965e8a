/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AveragePool and GlobalAveragePool in float32, channels-last, one sample at a time like the
 * convolutions.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

static bool takes(const char *name)
{
    return strncmp(name, "jit:", 4) == 0;
}

/* The window covers the image. */
static void global_window(ubp_window *win, const ub_tensor *x)
{
    memset(win, 0, sizeof *win);
    win->n = x->rank - 2;
    for (int i = 0; i < win->n; i++) {
        win->kernel[i] = win->in[i] = x->dims[2 + i];
        win->stride[i] = win->dilation[i] = win->out[i] = 1;
    }
}

/* With ceil_mode the last window may reach beyond the pads; oneDNN wants pads that hold it. Where
 * such a reach would count in an average, or a window lies in the pads altogether, false. */
static bool fill_window(ubp_dn_spec *s, const ubp_window *win)
{
    s->n = win->n;
    for (int i = 0; i < win->n; i++) {
        int64_t span = (win->kernel[i] - 1) * win->dilation[i] + 1;
        int64_t reach = (win->out[i] - 1) * win->stride[i] + span - win->in[i] - win->begin[i];
        s->kernel[i] = win->kernel[i];
        s->stride[i] = win->stride[i];
        s->dilation[i] = win->dilation[i] - 1;
        s->begin[i] = win->begin[i];
        s->end[i] = reach > 0 ? reach : 0;
        if (s->begin[i] >= win->kernel[i] || s->end[i] >= win->kernel[i])
            return false;
        if (s->kind == UBP_DN_AVERAGE_POOL_PADS && s->end[i] > win->end[i])
            return false;
    }
    return true;
}

static ub_status describe(ubp_dn_spec *s, const ubp_call *call)
{
    ubp_window win;
    bool global = strcmp(call->op->name, "GlobalAveragePool") == 0;
    memset(s, 0, sizeof *s);
    s->threads = UBP_DN_THREADS;
    if (global)
        global_window(&win, call->in[0]);
    else
        UBP_TRY(ubp_pool_window(call, &win));
    if (!global && ((const ubp_pool_attr *)call->attr)->count_include_pad)
        s->kind = UBP_DN_AVERAGE_POOL_PADS;
    else
        s->kind = UBP_DN_AVERAGE_POOL;
    return fill_window(s, &win) ? UB_OK : UBP_DECLINED;
}

ub_status ubp_dn_average_pool(ubp_fast *f, const ubp_dn_request *r)
{
    enum { LIGHT = 200000 };
    const ubp_call *call = r->call;
    const ub_tensor *x = call->in[0];
    ubp_dn_spec spec;
    if (x->dtype != UB_F32 || x->rank < 3 || x->rank > 2 + UBP_DN_SPATIAL || x->dims[0] < 1 ||
        r->n_posts > 0)
        return UBP_DECLINED;
    UBP_TRY(describe(&spec, call));
    if (!ubp_dn_operand_of_image(&spec.src, x) || !ubp_dn_operand_of_image(&spec.dst, call->out[0]))
        return UBP_DECLINED;
    UBP_TRY(ubp_dn_prim_get(&f->prim, f->d, &spec, takes, call));
    f->run = ubp_dn_run_items;
    f->items = x->dims[0];
    f->src_item = (size_t)(ub_tensor_count(x) / x->dims[0]) * sizeof(float);
    f->dst_item = (size_t)(ub_tensor_count(call->out[0]) / x->dims[0]) * sizeof(float);
    f->light = ub_tensor_count(x) / x->dims[0] < LIGHT;
    ubp_dn_channels_last(&r->want[0]);
    ubp_dn_channels_last(call->out[0]);
    return UB_OK;
}
