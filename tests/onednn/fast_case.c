/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fast_case.h. Operands are brought to the layouts a kernel asks for by ubp_tensor_move, as the
 * planner does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fast_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char fc_kernel[64];
bool fc_watched, fc_suspected;
static uint64_t state = 0x2545f4914f6cdd1du;

ubp_onednn *fc_session;

int fc_setup(void **unused)
{
    (void)unused;
    return ubp_onednn_new(&fc_session, NULL) == UB_OK ? 0 : -1;
}

int fc_teardown(void **unused)
{
    (void)unused;
    ubp_onednn_free(fc_session);
    return 0;
}

void fc_seed(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
}

int64_t fc_random(int64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)((state >> 11) % (uint64_t)below);
}

static float value(void)
{
    return (float)(fc_random(20001) - 10000) / 10000.0F;
}

float fast_residual(int64_t i)
{
    return (float)(i * 7919 % 2003 - 1001) / 500.0F;
}

/* ---- Making a case -----------------------------------------------------------------------------
 */

void fc_begin(fast_case *c, const char *op)
{
    memset(c, 0, sizeof *c);
    c->node.name = "case";
    c->node.op_type = op;
    c->node.domain = "";
    c->node.op = ubp_op_find(op, "");
    c->node.attrs = c->attrs;
    assert_non_null(c->node.op);
}

void fc_int(fast_case *c, const char *name, int64_t v)
{
    c->attrs[c->node.n_attrs++] = (ubp_attr){.name = name, .kind = UBP_ATTR_INT, .i = v};
}

void fc_ints(fast_case *c, const char *name, int n, const int64_t *v)
{
    int k = c->node.n_attrs++;
    memcpy(c->ints[k], v, (size_t)n * sizeof *v);
    c->attrs[k] =
        (ubp_attr){.name = name, .kind = UBP_ATTR_INTS, .n = (size_t)n, .ints = c->ints[k]};
}

void fc_text(fast_case *c, const char *name, const char *v)
{
    c->attrs[c->node.n_attrs++] =
        (ubp_attr){.name = name, .kind = UBP_ATTR_STRING, .s = v, .s_size = strlen(v)};
}

static ub_tensor new_tensor(int rank, const int64_t *dims)
{
    ub_tensor t;
    assert_int_equal(ubp_tensor_describe(&t, UB_F32, rank, dims, NULL), UB_OK);
    t.data = aligned_alloc(64, (ubp_tensor_bytes(&t) + 127) / 64 * 64);
    assert_non_null(t.data);
    return t;
}

void fc_input(fast_case *c, int i, int rank, const int64_t *dims, bool batched, bool constant)
{
    c->in[i] = new_tensor(rank, dims);
    c->batched[i] = batched;
    c->constant[i] = constant;
    if (c->n_in <= i)
        c->n_in = i + 1;
    float *v = c->in[i].data;
    int64_t n = ub_tensor_count(&c->in[i]);
    for (int64_t k = 0; k < n; k++)
        v[k] = value();
}

void fc_lengths(fast_case *c, int i, int64_t n, int64_t most)
{
    fc_input(c, i, 1, &n, true, false);
    c->in[i].dtype = UB_I32;
    for (int64_t k = 0; k < n; k++)
        ((int32_t *)c->in[i].data)[k] = (int32_t)(1 + fc_random(most));
}

void fc_ready(fast_case *c)
{
    const ubp_op *op = c->node.op;
    ub_error err = {0};
    c->attr = calloc(1, op->attr_size + 1);
    if (op->attrs && op->attrs(&c->node, c->attr, &c->arena, &err) != UB_OK)
        fail_msg("%s: %s", c->text, err.message);
}

void fc_end(fast_case *c)
{
    for (int i = 0; i < c->n_in; i++)
        free(c->in[i].data);
    free(c->attr);
    ubp_arena_release(&c->arena);
}

/* ---- Running ------------------------------------------------------------------------------------
 */

/* The inputs of samples [first, first + count), and the output's dims. */
static void slice(const fast_case *c, const fast_run *r, ub_tensor *in, ub_tensor *out, bool fast)
{
    const ub_tensor *in_p[FC_INPUTS] = {0};
    ub_tensor *out_p[1] = {out};
    ub_error err = {0};
    for (int i = 0; i < c->n_in; i++) {
        in[i] = c->in[i];
        if (c->batched[i] && r->count) {
            in[i].dims[0] = r->count;
            in[i].data = (char *)in[i].data + r->first * in[i].strides[0];
        }
        in_p[i] = c->in[i].data ? &in[i] : NULL;
    }
    memset(out, 0, sizeof *out);
    ubp_call call = {.op = c->node.op,
                     .node = &c->node,
                     .attr = c->attr,
                     .n_in = c->n_in,
                     .n_out = 1,
                     .in = in_p,
                     .out = out_p,
                     .err = &err};
    if (call.op->infer(&call) != UB_OK)
        fail_msg("%s: %s", c->text, err.message);
    (void)fast;
}

static void post(const char *name, const void *attr, double lo, double hi, float *data,
                 int64_t count)
{
    ubp_run run = {.threads = 1};
    float bounds[2] = {(float)lo, (float)hi};
    ub_tensor t = {.dtype = UB_F32, .rank = 1, .dims = {count}, .strides = {4}, .data = data};
    ub_tensor low = {.dtype = UB_F32, .data = &bounds[0]},
              high = {.dtype = UB_F32, .data = &bounds[1]};
    const ub_tensor *in[3] = {&t, &low, &high};
    ub_tensor *out[1] = {&t};
    ubp_call call = {.op = ubp_op_find(name, ""),
                     .attr = attr,
                     .n_in = strcmp(name, "Clip") == 0 ? 3 : 1,
                     .n_out = 1,
                     .in = in,
                     .out = out,
                     .run = &run};
    assert_int_equal(call.op->ref(&call), UB_OK);
}

/* ---- BatchNormalization behind a convolution ---------------------------------------------------
 */

enum { MOST_CHANNELS = 4096, LANES = 16 };

static const ubp_norm_attr norm_attr = {.epsilon = 1e-3F};

/* Scale, bias, mean and variance of channel c. */
static float norm_param(int which, int64_t c)
{
    const float r = fast_residual(7 * c + which);
    return which == 0 ? r : which < 3 ? 2 * r : r * r + 0.1F;
}

static void norm_params(ub_tensor *t, float *numbers, int64_t channels)
{
    assert_true(channels <= MOST_CHANNELS);
    for (int i = 0; i < 4; i++) {
        float *of = numbers + (int64_t)i * MOST_CHANNELS;
        for (int64_t c = 0; c < channels; c++)
            of[c] = norm_param(i, c);
        t[i] =
            (ub_tensor){.dtype = UB_F32, .rank = 1, .dims = {channels}, .strides = {4}, .data = of};
    }
}

/* The reference kernel over data: [n][channels][plane]. */
static void normalize(float *data, int64_t n, int64_t channels, int64_t plane)
{
    static float numbers[4 * MOST_CHANNELS];
    ub_tensor p[4], t = {.dtype = UB_F32, .rank = 3, .dims = {n, channels, plane}, .data = data};
    ubp_arena scratch = {0};
    ubp_run run = {.threads = 1, .scratch = &scratch};
    norm_params(p, numbers, channels);
    ubp_tensor_set_strides(&t);
    const ub_tensor *in[5] = {&t, &p[0], &p[1], &p[2], &p[3]};
    ub_tensor *out[1] = {&t};
    ubp_call call = {.op = ubp_op_find("BatchNormalization", ""),
                     .attr = &norm_attr,
                     .n_in = 5,
                     .n_out = 1,
                     .in = in,
                     .out = out,
                     .run = &run};
    assert_int_equal(call.op->ref(&call), UB_OK);
    ubp_arena_release(&scratch);
}

/* As the planner has it. */
static ubp_post norm_post(int64_t channels)
{
    static float numbers[4 * MOST_CHANNELS], factor[MOST_CHANNELS + LANES],
        shift[MOST_CHANNELS + LANES];
    ub_tensor p[4];
    norm_params(p, numbers, channels);
    memset(factor, 0, sizeof factor);
    memset(shift, 0, sizeof shift);
    ubp_affine_fill(factor, shift, channels, (double)norm_attr.epsilon, &p[0], &p[1], &p[2], &p[3]);
    return (ubp_post){.kind = UBP_POST_AFFINE,
                      .affine = {.channels = channels, .factor = factor, .shift = shift}};
}

float *fc_reference(const fast_case *c, const fast_run *r, int64_t *count)
{
    ub_tensor in[FC_INPUTS], out;
    const ub_tensor *in_p[FC_INPUTS] = {0};
    ub_tensor *out_p[1] = {&out};
    ub_error err = {0};
    ubp_arena scratch = {0};
    ubp_run run = {.threads = r->threads ? r->threads : 1, .scratch = &scratch};
    slice(c, r, in, &out, false);
    out = new_tensor(out.rank, out.dims);
    for (int i = 0; i < c->n_in; i++)
        in_p[i] = c->in[i].data ? &in[i] : NULL;
    ubp_call call = {.op = c->node.op,
                     .node = &c->node,
                     .attr = c->attr,
                     .n_in = c->n_in,
                     .n_out = 1,
                     .in = in_p,
                     .out = out_p,
                     .run = &run,
                     .err = &err};
    if (ubp_op_run(&call) != UB_OK)
        fail_msg("%s: %s", c->text, err.message);
    ubp_arena_release(&scratch);
    *count = ub_tensor_count(&out);
    return out.data;
}

/* t's elements in the layout `like`, in fresh memory. */
static ub_tensor laid_out(const ub_tensor *t, const ub_tensor *like)
{
    ub_tensor copy = new_tensor(t->rank, t->dims);
    copy.dtype = t->dtype;
    memcpy(copy.strides, like->strides, sizeof copy.strides);
    ubp_tensor_move(&copy, t);
    return copy;
}

static void fill_residual(ub_tensor *out, int64_t first)
{
    ub_tensor plain = new_tensor(out->rank, out->dims);
    int64_t n = ub_tensor_count(out), each = n / out->dims[0];
    for (int64_t i = 0; i < n; i++)
        ((float *)plain.data)[i] = fast_residual(first * each + i);
    ubp_tensor_move(out, &plain);
    free(plain.data);
}

float *fc_fast(const fast_case *c, ubp_onednn *d, const fast_run *r, int64_t *count)
{
    ub_tensor in[FC_INPUTS], want[FC_INPUTS] = {0}, out;
    const ub_tensor *in_p[FC_INPUTS] = {0};
    ub_tensor *out_p[1] = {&out};
    ub_error err = {0};
    ubp_fast *f = NULL;
    size_t scratch = 0;
    ubp_post posts[3];
    int n = 0;
    if (r->norm)
        posts[n++] = norm_post(c->in[1].dims[0]);
    if (r->sum)
        posts[n++] = (ubp_post){.kind = UBP_POST_SUM};
    if (r->op)
        posts[n++] = (ubp_post){.kind = UBP_POST_OP,
                                .op = ubp_op_find(r->op, ""),
                                .attr = r->attr,
                                .lo = r->lo,
                                .hi = r->hi};
    slice(c, r, in, &out, true);
    for (int i = 0; i < c->n_in; i++) {
        in_p[i] = c->in[i].data ? &in[i] : NULL;
        want[i] = in[i];
        if (!c->constant[i])
            in[i].data = NULL;
    }
    ubp_call call = {.op = c->node.op,
                     .node = &c->node,
                     .attr = c->attr,
                     .n_in = c->n_in,
                     .n_out = 1,
                     .in = in_p,
                     .out = out_p,
                     .err = &err};
    ub_status st = ubp_fast_prepare(&f, d, &call, posts, n, 0, want, &scratch);
    if (st == UBP_DECLINED)
        return NULL;
    if (st != UB_OK)
        fail_msg("%s: %s", c->text, err.message);
    snprintf(fc_kernel, sizeof fc_kernel, "%s", ubp_fast_kernel(f));

    ub_tensor moved[FC_INPUTS], from[FC_INPUTS], plain;
    fast_case again = *c;
    slice(&again, r, from, &plain, false);
    for (int i = 0; i < c->n_in; i++) {
        if (!in_p[i])
            continue;
        moved[i] = laid_out(&from[i], &want[i]);
        in_p[i] = &moved[i];
    }
    ub_tensor result = new_tensor(out.rank, out.dims), like = out;
    out = new_tensor(out.rank, out.dims);
    memcpy(out.strides, like.strides, sizeof out.strides);
    memset(out.data, 0x7f, ubp_tensor_bytes(&like));
    if (r->sum)
        fill_residual(&out, r->first);
    void *memory = aligned_alloc(64, (scratch + 127) / 64 * 64);
    int threads = r->threads ? r->threads : 1;
    ubp_arena arena = {0};
    ubp_run run = {.threads = threads, .onednn = d, .scratch = &arena};
    call.run = &run;
    int old = ubp_threads_enter(threads);
    ubp_invalid_raised(threads);
    st = ubp_fast_run(f, &call, memory);
    fc_suspected = ubp_fast_watches(f) && ubp_invalid_raised(threads);
    if (st == UB_OK && fc_suspected) {
        if (r->sum)
            fill_residual(&out, r->first);
        run.careful = true;
        st = ubp_fast_run(f, &call, memory);
    }
    fc_watched = ubp_fast_watches(f);
    ubp_threads_leave(old);
    ubp_arena_release(&arena);
    if (st != UB_OK)
        fail_msg("%s: %s", c->text, err.message);
    ubp_tensor_move(&result, &out);
    free(memory);
    free(out.data);
    for (int i = 0; i < c->n_in; i++)
        if (in_p[i])
            free(moved[i].data);
    ubp_fast_free(f);
    *count = ub_tensor_count(&result);
    return result.data;
}

/* ---- Checking -----------------------------------------------------------------------------------
 */

static void check_near(const fast_case *c, const float *fast, const float *ref, int64_t n)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double off = fabs((double)fast[i] - (double)ref[i]);
        if (fabs((double)ref[i]) > largest)
            largest = fabs((double)ref[i]);
        if (!(off <= worst))
            worst = off;
    }
    if (!(worst <= 1e-5 * largest))
        fail_msg("%s (%s): off by %g, largest magnitude %g", c->text, fc_kernel, worst, largest);
}

static int64_t differing(const float *a, const float *b, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += memcmp(&a[i], &b[i], sizeof *a) != 0;
    return count;
}

static int64_t samples(const fast_case *c)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->batched[i])
            return c->in[i].dims[0];
    return 1;
}

void fc_check(const fast_case *c, ubp_onednn *d)
{
    static const int threads[] = {1, 2, 3, 5};
    int64_t total, n = samples(c), each;
    fast_run r = {.threads = 1};
    float *alone = fc_fast(c, d, &r, &total);
    if (!alone) {
        if (!c->optional)
            fail_msg("%s: declined", c->text);
        return;
    }
    each = total / n;
    float *ref = fc_reference(c, &r, &total);
    check_near(c, alone, ref, total);
    free(ref);
    for (int64_t s = 0; s < n; s++) { /* each by itself is the truth for all others */
        int64_t count;
        float *one = fc_fast(c, d, &(fast_run){.first = s, .count = 1, .threads = 1}, &count);
        assert_non_null(one);
        assert_int_equal(count, each);
        memcpy(alone + s * each, one, (size_t)each * sizeof *one);
        free(one);
    }
    for (int64_t count = 1; count <= n; count++) {
        for (int t = 0; t < UBP_COUNT(threads); t++) {
            if (count > 3 && count < n && t != count % UBP_COUNT(threads))
                continue;
            int64_t got, first = fc_random(n - count + 1);
            r = (fast_run){.first = first, .count = count, .threads = threads[t]};
            float *fast = fc_fast(c, d, &r, &got);
            assert_non_null(fast);
            int64_t bad = differing(fast, alone + first * each, count * each);
            if (bad)
                fail_msg("%s (%s): %lld of %lld elements differ for batch %lld from sample %lld, "
                         "%d threads",
                         c->text, fc_kernel, (long long)bad, (long long)(count * each),
                         (long long)count, (long long)first, threads[t]);
            free(fast);
        }
    }
    free(alone);
}

/* A fused run and the bare one, followed by the posts of r. */
static void check_post(const fast_case *c, ubp_onednn *d, const fast_run *r)
{
    const fast_run plain = {.count = r->count, .threads = r->threads};
    int64_t n, got;
    float *bare = fc_fast(c, d, &plain, &n);
    if (!bare)
        return;
    const int64_t m = c->in[1].dims[0];
    if (r->norm)
        normalize(bare, r->count, m, n / r->count / m);
    for (int64_t k = 0; k < n && r->sum; k++)
        bare[k] += fast_residual(k);
    if (r->op)
        post(r->op, r->attr, r->lo, r->hi, bare, n);
    float *fused = fc_fast(c, d, r, &got);
    if (fused && differing(fused, bare, n))
        fail_msg("%s (%s): fused with %s%s%s differs", c->text, fc_kernel,
                 r->norm ? "a normalization, " : "", r->sum ? "a residual and " : "",
                 r->op ? r->op : "nothing");
    free(fused);
    free(bare);
}

void fc_check_posts(const fast_case *c, ubp_onednn *d, bool conv)
{
    static const ubp_activation_attr leaky = {.alpha = 0.3F};
    static const fast_run posts[] = {{0},
                                     {.op = "Relu"},
                                     {.op = "Clip", .lo = -0.25, .hi = 0.5},
                                     {.op = "LeakyRelu", .attr = &leaky}};
    for (int i = 0; i < UBP_COUNT(posts); i++)
        for (int k = 0; k < (conv ? 4 : 1); k++) {
            fast_run r = posts[i];
            r.count = samples(c) < 3 ? samples(c) : 3;
            r.threads = i ? 1 + (i - 1) % 3 : 1;
            r.sum = k & 1;
            r.norm = k & 2;
            check_post(c, d, &r);
        }
}
