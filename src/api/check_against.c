/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_check_against: what another engine gave for the same inputs, its batch against its samples run
 * alone, and both against ours.
 */
#include "api/check.h"

#include <stdio.h>
#include <string.h>

typedef struct audit {
    ub_session *s;
    ub_report *report;
    const ub_npz *other;
    int64_t n;
    ub_error *err;
} audit;

static const ub_tensor *array(const ub_npz *z, const char *name)
{
    for (int i = 0; i < ub_npz_count(z); i++)
        if (strcmp(ub_npz_name(z, i), name) == 0)
            return ub_npz_tensor(z, i);
    return NULL;
}

/* Differences of the samples of two batches that have them at `map`. */
static ub_status compare_samples(audit *a, ub_finding *f, const ub_tensor *x, const ub_tensor *y,
                                 const ubp_samples *map)
{
    ub_tensor *fx = NULL, *fy = NULL;
    bool *touched = ubp_arena_array(&a->report->arena, (size_t)a->n + 1, sizeof *touched);
    if (!touched)
        return ubp_fail_memory(a->err, (size_t)a->n);
    ub_status st = ubp_samples_first(&fx, x, map, a->n, a->err);
    if (st == UB_OK)
        st = ubp_samples_first(&fy, y, map, a->n, a->err);
    for (int64_t i = 0; i < a->n && st == UB_OK; i++) {
        ub_tensor rx, ry;
        ubp_difference d = {0};
        st = ub_tensor_at(&rx, fx, i, a->err);
        if (st == UB_OK)
            st = ub_tensor_at(&ry, fy, i, a->err);
        if (st == UB_OK)
            st = ubp_check_compare(&d, &rx, &ry, a->err);
        f->compared += d.compared;
        f->differing += d.differing;
        touched[i] = d.differing > 0;
        if (touched[i] && f->sample < 0) {
            f->sample = i;
            ubp_check_index(f, &rx, d.first);
        }
        f->worst = d.worst > f->worst ? d.worst : f->worst;
        if (d.largest > 0 && d.worst / d.largest > f->relative)
            f->relative = d.worst / d.largest;
    }
    f->samples = touched;
    f->n_samples = a->n;
    ub_tensor_free(fx);
    ub_tensor_free(fy);
    return st;
}

static ub_status add(audit *a, ub_finding **out, const char *name, const char *detail)
{
    ub_finding *f = ubp_report_add(a->report, a->err);
    if (!f)
        return UB_ERR_MEMORY;
    f->what = ubp_arena_strdup(&a->report->arena, name);
    f->detail = detail;
    *out = f;
    return f->what ? UB_OK : ubp_fail_memory(a->err, strlen(name));
}

static ub_status audit_array(audit *a, const char *name, const ub_tensor *batch)
{
    char alone_name[1100];
    ubp_address at;
    ub_tensor *ours = NULL;
    ubp_samples map;
    UBP_TRY(ubp_address_parse(&at, a->s->model->graph, name, a->err));
    ubp_batch_ask ask = {.values = &at.value, .n_values = 1, .count = a->n};
    UBP_TRY(ubp_session_compute(a->s, &ours, &map, &ask, a->err));
    snprintf(alone_name, sizeof alone_name, "%s.alone", name);
    const ub_tensor *alone = array(a->other, alone_name);
    ub_finding *f;
    ub_status st = UB_OK;
    if (map.kind != UBP_SAMPLES_AXIS) {
        st = add(a, &f, name, "its samples cannot be told apart");
        if (st == UB_OK)
            f->verdict = UB_UNKNOWN;
        ub_tensor_free(ours);
        return st;
    }
    if (alone && (st = add(a, &f, name, "its samples alone against its batch")) == UB_OK) {
        st = compare_samples(a, f, alone, batch, &map);
        f->verdict = f->differing == 0 ? UB_HOLDS : map.coupled ? UB_MIXES : UB_BROKEN;
    }
    if (st == UB_OK && (st = add(a, &f, name, "its batch against unbatch's")) == UB_OK) {
        st = compare_samples(a, f, ours, batch, &map);
        f->verdict = f->differing == 0 ? UB_HOLDS : UB_UNKNOWN;
    }
    ub_tensor_free(ours);
    return st;
}

ub_status ub_check_against(ub_report **out, ub_session *s, const ub_npz *other, ub_error *err)
{
    *out = NULL;
    audit a = {.s = s, .other = other, .err = err};
    ub_status st = ubp_report_new(&a.report, err);
    if (st == UB_OK)
        st = ubp_session_samples(s, &a.n, err);
    for (int i = 0; i < ub_npz_count(other) && st == UB_OK; i++) {
        const char *name = ub_npz_name(other, i);
        const size_t n = strlen(name), tail = strlen(".alone");
        if (n > tail && strcmp(name + n - tail, ".alone") == 0)
            continue;
        st = audit_array(&a, name, ub_npz_tensor(other, i));
    }
    if (st == UB_OK && a.report->n == 0)
        st = ubp_fail(err, UB_ERR_ARGUMENT,
                      "the archive holds no array named like a value of the model");
    if (st == UB_OK)
        *out = a.report;
    else
        ub_report_free(a.report);
    return st;
}
