/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch law, for every operator that has ONNX cases of one node: what the operator's batch rule
 * says of the samples is held against what its kernel does.
 *
 *   - Perturb sample j of the inputs: the entries of every other sample keep their bits, and so
 * does every output said to hold no samples.
 *   - Run sample i alone: the same bits as its entries in the batch.
 *   - Other memory layouts and thread counts: the same bits.
 *
 * The cases' own tensors are used; each axis of their inputs takes its turn as the batch, plain and
 * folded with others. An output that the rule calls coupled promises nothing; operators that would
 * then never be put to the test must be on the list of those that mix by nature.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_case.h"

#include "load/load.h"
#include "plan/plan.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS = 16, MAX_ELEMENTS = 40000 };

/* One call: the node of a case, tensors that are row-major, and the maps tried on its inputs. */
typedef struct trial {
    const char *name; /* of the case */
    const ubp_node *node;
    const void *attr;
    int n_in, n_out;
    ub_tensor in[PORTS]; /* rank -1: absent */
    ubp_samples maps[PORTS];
    int64_t n;
    ubp_arena *arena; /* of this trial */
} trial;

/* What the operator gives for a trial. */
typedef struct result {
    ub_tensor out[PORTS];
    ubp_samples maps[PORTS];
    bool pinned; /* the operator does not take one sample more */
} result;

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* ---- Elements and their samples ----------------------------------------------------------------
 */

/* The sample of element `flat` of a row-major tensor. */
static int64_t sample_of(const ub_tensor *t, const ubp_samples *s, int64_t n, int64_t flat)
{
    for (int axis = t->rank - 1; axis > s->axis; axis--)
        flat /= t->dims[axis];
    return flat % t->dims[s->axis] / s->inner % n;
}

static void *take(ubp_arena *arena, size_t size)
{
    void *p = ubp_arena_alloc(arena, size + 1);
    assert_non_null(p);
    return p;
}

/* A row-major copy with data of its own. */
static ub_tensor copy_of(const ub_tensor *t, ubp_arena *arena)
{
    ub_tensor copy = *t;
    ubp_tensor_set_strides(&copy);
    copy.buffer = NULL;
    copy.data = take(arena, ubp_tensor_bytes(&copy));
    if (ub_tensor_count(t) > 0)
        ubp_tensor_move(&copy, t);
    return copy;
}

/* Only sample i of t: the elements keep their order. */
static ub_tensor only_sample(const ub_tensor *t, const ubp_samples *s, int64_t n, int64_t i,
                             ubp_arena *arena)
{
    size_t size = ub_dtype_size(t->dtype);
    int64_t count = ub_tensor_count(t), kept = 0;
    ub_tensor one = *t;
    one.dims[s->axis] = s->outer * s->inner;
    ubp_tensor_set_strides(&one);
    one.data = take(arena, ubp_tensor_bytes(&one));
    for (int64_t e = 0; e < count; e++)
        if (sample_of(t, s, n, e) == i)
            memcpy((char *)one.data + (size_t)kept++ * size,
                   (const char *)t->data + (size_t)e * size, size);
    assert_int_equal(kept, ub_tensor_count(&one));
    return one;
}

/* Other values for sample j: integers among those that are there already, so that indices stay
 * indices. */
static void perturb(ub_tensor *t, const ubp_samples *s, int64_t n, int64_t j, ubp_arena *arena)
{
    size_t size = ub_dtype_size(t->dtype);
    int64_t count = ub_tensor_count(t);
    const ub_tensor before = copy_of(t, arena);
    for (int64_t e = 0; e < count; e++) {
        char *p = (char *)t->data + (size_t)e * size;
        if (sample_of(t, s, n, e) != j)
            continue;
        if (ubp_is_float(t->dtype))
            ubp_write_f64(p, t->dtype, (double)(random_bits() % 4001) / 500.0 - 4.0);
        else if (t->dtype == UB_BOOL)
            *p = (char)(random_bits() & 1);
        else
            memcpy(p, (const char *)before.data + random_bits() % (uint64_t)count * size, size);
    }
}

/* ---- Running the operator ----------------------------------------------------------------------
 */

static bool is_given(const ub_tensor *t)
{
    return t->rank >= 0;
}

/* dtype and dims of the outputs; false when the operator refuses. Inputs with samples show no data
 * where `blind` is set, as in a plan. */
static bool infer(const trial *t, const ub_tensor *in, bool blind, ub_tensor *out)
{
    ub_error err;
    ub_tensor seen[PORTS];
    const ub_tensor *ins[PORTS];
    ub_tensor *outs[PORTS];
    for (int i = 0; i < t->n_in; i++) {
        seen[i] = in[i];
        if (blind && t->maps[i].kind == UBP_SAMPLES_AXIS)
            seen[i].data = NULL;
        ins[i] = is_given(&in[i]) ? &seen[i] : NULL;
    }
    for (int k = 0; k < t->n_out; k++)
        outs[k] = t->node->out[k] >= 0 ? &out[k] : NULL;
    ubp_call call = {.op = t->node->op,
                     .node = t->node,
                     .attr = t->attr,
                     .n_in = t->n_in,
                     .n_out = t->n_out,
                     .in = ins,
                     .out = outs,
                     .err = &err};
    if (t->node->op->infer(&call) != UB_OK)
        return false;
    for (int k = 0; k < t->n_out; k++)
        if (outs[k] && ub_tensor_count(outs[k]) > MAX_ELEMENTS)
            return false;
    return true;
}

/* Strides as if the axes were stored in the opposite order. */
static void reverse_layout(ub_tensor *t)
{
    int64_t stride = (int64_t)ub_dtype_size(t->dtype);
    for (int axis = 0; axis < t->rank; axis++) {
        t->strides[axis] = stride;
        stride *= t->dims[axis] > 0 ? t->dims[axis] : 1;
    }
}

/* Runs the kernel on described outputs; the result is row-major. */
static bool run(const trial *t, const ub_tensor *in, ub_tensor *out, int threads, bool reversed)
{
    ub_error err;
    ubp_arena scratch = {0};
    ubp_run how = {.threads = threads, .scratch = &scratch, .strings = t->arena};
    const ub_tensor *ins[PORTS];
    ub_tensor *outs[PORTS], moved[PORTS], placed[PORTS];
    for (int i = 0; i < t->n_in; i++) {
        moved[i] = in[i];
        ins[i] = is_given(&in[i]) ? &moved[i] : NULL;
        if (reversed && ins[i]) {
            reverse_layout(&moved[i]);
            moved[i].data = take(t->arena, ubp_tensor_bytes(&in[i]));
            ubp_tensor_move(&moved[i], &in[i]);
        }
    }
    for (int k = 0; k < t->n_out; k++) {
        outs[k] = NULL;
        if (t->node->out[k] < 0)
            continue;
        ubp_tensor_set_strides(&out[k]);
        out[k].data = take(t->arena, ubp_tensor_bytes(&out[k]));
        placed[k] = out[k];
        if (reversed)
            reverse_layout(&placed[k]);
        outs[k] = &placed[k];
    }
    ubp_call call = {.op = t->node->op,
                     .node = t->node,
                     .attr = t->attr,
                     .n_in = t->n_in,
                     .n_out = t->n_out,
                     .in = ins,
                     .out = outs,
                     .run = &how,
                     .err = &err};
    bool ok = ubp_op_run(&call) == UB_OK;
    for (int k = 0; ok && k < t->n_out; k++)
        if (outs[k])
            out[k] = copy_of(&placed[k], t->arena);
    ubp_arena_release(&scratch);
    return ok;
}

/* Whether one sample more makes the axis of the map larger, and no other: the planner checks that.
 */
static bool grows_as_said(const ub_tensor *out, const ub_tensor *grown, const ubp_samples *s)
{
    bool same = out->rank == grown->rank;
    for (int a = 0; same && a < out->rank; a++) {
        bool carries = s->kind == UBP_SAMPLES_AXIS && s->axis == a;
        same = grown->dims[a] == out->dims[a] + (carries ? s->outer * s->inner : 0);
    }
    return same;
}

/* The maps of the outputs, as the planner asks for them: with the dims for one sample more where
 * those can be worked out. */
static void ask_rule(const trial *t, bool blind, result *r)
{
    ub_tensor more[PORTS], grown[PORTS], seen[PORTS];
    const ub_tensor *ins[PORTS];
    ub_tensor *outs[PORTS];
    ub_error err;
    bool grows = true;
    for (int i = 0; i < t->n_in; i++) {
        more[i] = seen[i] = t->in[i];
        ins[i] = is_given(&t->in[i]) ? &seen[i] : NULL;
        if (t->maps[i].kind != UBP_SAMPLES_AXIS)
            continue;
        if (blind)
            seen[i].data = NULL;
        more[i].data = NULL;
        more[i].dims[t->maps[i].axis] += t->maps[i].outer * t->maps[i].inner;
        ubp_tensor_set_strides(&more[i]);
    }
    for (int k = 0; k < t->n_out; k++)
        outs[k] = t->node->out[k] >= 0 ? &r->out[k] : NULL;
    grows = infer(t, more, true, grown);
    ubp_call call = {.op = t->node->op,
                     .node = t->node,
                     .attr = t->attr,
                     .n_in = t->n_in,
                     .n_out = t->n_out,
                     .in = ins,
                     .out = outs,
                     .err = &err};
    ubp_node_samples(&call, 0, t->n, t->maps, grows ? grown : NULL, r->maps);
    r->pinned = !grows;
    for (int k = 0; grows && k < t->n_out; k++)
        if (outs[k] && !grows_as_said(&r->out[k], &grown[k], &r->maps[k]))
            ubp_samples_couple(&(ubp_batch){.out = r->maps}, k, "grows otherwise");
}

/* ---- The law -----------------------------------------------------------------------------------
 */

static int violations;

static void broken(const trial *t, const char *what, int k)
{
    enum { SHOWN = 50 };
    if (violations++ >= SHOWN)
        return;
    print_message("%s (%s), output %d of %lld samples: %s\n", t->name, t->node->op->name, k,
                  (long long)t->n, what);
    for (int i = 0; i < t->n_in; i++)
        if (t->maps[i].kind == UBP_SAMPLES_AXIS)
            print_message("    input %d: samples on axis %d, outer %lld, inner %lld\n", i,
                          t->maps[i].axis, (long long)t->maps[i].outer,
                          (long long)t->maps[i].inner);
}

/* Elements of the same bits; of strings the text counts. */
static bool same_element(const ub_tensor *a, const ub_tensor *b, int64_t i)
{
    const size_t size = ub_dtype_size(a->dtype), at = (size_t)i * size;
    const char *x = (const char *)a->data + at, *y = (const char *)b->data + at;
    if (a->dtype == UB_STRING)
        return strcmp(ubp_string_at(x), ubp_string_at(y)) == 0;
    return memcmp(x, y, size) == 0;
}

static bool same_bits(const ub_tensor *a, const ub_tensor *b)
{
    bool same = ubp_same_dims(a, b);
    for (int64_t i = 0; same && i < ub_tensor_count(a); i++)
        same = same_element(a, b, i);
    return same;
}

/* Whether output k promises anything that a run can show. */
static bool promises(const trial *t, const result *r, int k)
{
    const ubp_samples *s = &r->maps[k];
    return t->node->out[k] >= 0 && !s->coupled && !s->sized && !s->positional;
}

static void check_maps(const trial *t, const result *r)
{
    for (int k = 0; k < t->n_out; k++) {
        const ubp_samples *s = &r->maps[k];
        if (t->node->out[k] < 0 || s->kind != UBP_SAMPLES_AXIS)
            continue;
        if (s->axis < 0 || s->axis >= r->out[k].rank ||
            r->out[k].dims[s->axis] != s->outer * t->n * s->inner)
            broken(t, "the map does not fit the axis", k);
    }
}

/* Whether all elements but those of sample j have the same bits. */
static bool others_same(const ub_tensor *a, const ub_tensor *b, const ubp_samples *s, int64_t n,
                        int64_t j)
{
    for (int64_t e = 0; e < ub_tensor_count(a); e++) {
        bool own = s->kind == UBP_SAMPLES_AXIS && sample_of(a, s, n, e) == j;
        if (!own && !same_element(a, b, e))
            return false;
    }
    return true;
}

static void check_perturbed(const trial *t, const result *r, int64_t j)
{
    ub_tensor in[PORTS], out[PORTS];
    for (int i = 0; i < t->n_in; i++) {
        in[i] = t->in[i];
        if (t->maps[i].kind != UBP_SAMPLES_AXIS)
            continue;
        in[i] = copy_of(&t->in[i], t->arena);
        perturb(&in[i], &t->maps[i], t->n, j, t->arena);
    }
    /* A case may not stand other numbers (a negative dim, an index out of range). */
    if (!infer(t, in, false, out) || !run(t, in, out, 1, false))
        return;
    for (int k = 0; k < t->n_out; k++) {
        const ubp_samples *s = &r->maps[k];
        if (!promises(t, r, k))
            continue;
        if (!ubp_same_dims(&out[k], &r->out[k]))
            broken(t, "the shape depends on the content of a sample", k);
        else if (!others_same(&out[k], &r->out[k], s, t->n, j))
            broken(t, "another sample changed with one that was perturbed", k);
    }
}

static void check_alone(const trial *t, const result *r, int64_t i)
{
    ub_tensor in[PORTS], out[PORTS];
    for (int p = 0; p < t->n_in; p++) {
        in[p] = t->in[p];
        if (t->maps[p].kind == UBP_SAMPLES_AXIS)
            in[p] = only_sample(&t->in[p], &t->maps[p], t->n, i, t->arena);
    }
    /* A shape that is written in the case may not fit one sample. */
    if (!infer(t, in, false, out) || !run(t, in, out, 1, false))
        return;
    trial alone = *t;
    result one;
    memcpy(alone.in, in, sizeof in);
    memcpy(one.out, out, sizeof out);
    alone.n = 1;
    ask_rule(&alone, infer(&alone, in, true, one.out), &one);
    for (int k = 0; k < t->n_out; k++) {
        const ubp_samples *s = &r->maps[k], *own = &one.maps[k];
        if (!promises(t, r, k))
            continue;
        if (!own->coupled && !one.pinned &&
            (own->kind != s->kind || own->axis != s->axis || own->inner != s->inner))
            broken(t, "the map of one sample is not that of the batch", k);
        ub_tensor want = r->out[k];
        if (s->kind == UBP_SAMPLES_AXIS)
            want = only_sample(&r->out[k], s, t->n, i, t->arena);
        if (!ubp_same_dims(&want, &out[k]) || !same_bits(&want, &out[k]))
            broken(t, "a sample alone is not what it is in the batch", k);
    }
}

/* Same bits for two threads, and for every tensor stored the other way round. */
static void check_layouts(const trial *t, const result *r)
{
    for (int way = 0; way < 2; way++) {
        ub_tensor out[PORTS];
        memcpy(out, r->out, sizeof out);
        assert_true(run(t, t->in, out, way == 0 ? 3 : 1, way == 1));
        for (int k = 0; k < t->n_out; k++)
            if (t->node->out[k] >= 0 && !same_bits(&r->out[k], &out[k]))
                broken(t, way == 0 ? "threads change bits" : "the layout changes bits", k);
    }
}

/* ---- Which operators were put to the test ------------------------------------------------------
 */

enum { MAX_OPS = 512, MAX_WHYS = 32 };
static int followed[MAX_OPS], tried[MAX_OPS];
static const char *whys[MAX_OPS][MAX_WHYS]; /* literals: what rules said of mixing */

static int op_index(const ubp_op *op)
{
    for (int i = 0; i < ubp_op_count(); i++)
        if (ubp_op_at(i) == op)
            return i;
    fail_msg("%s is not in the table", op->name);
    return 0;
}

static void note_why(const ubp_op *op, const ubp_samples *s)
{
    const char **seen = whys[op_index(op)];
    for (int i = 0; s->coupled && s->why && i < MAX_WHYS; i++) {
        if (seen[i] && strcmp(seen[i], s->why) == 0)
            return;
        if (!seen[i]) {
            seen[i] = s->why;
            return;
        }
    }
}

/* Tries one placing of samples: true when the operator took it. */
static bool try_maps(trial *t)
{
    result r;
    bool blind = infer(t, t->in, true, r.out);
    if (!infer(t, t->in, false, r.out) || !run(t, t->in, r.out, 1, false))
        return false;
    ask_rule(t, blind, &r);
    check_maps(t, &r);
    tried[op_index(t->node->op)]++;
    for (int k = 0; k < t->n_out; k++) {
        if (promises(t, &r, k) && r.maps[k].kind == UBP_SAMPLES_AXIS)
            followed[op_index(t->node->op)]++;
        if (t->node->out[k] >= 0 && !r.pinned)
            note_why(t->node->op, &r.maps[k]);
    }
    int64_t last = t->n > 3 ? 3 : t->n;
    for (int64_t s = 0; s < last; s++) {
        check_perturbed(t, &r, s);
        /* A shape or an operand in the case that fixes the number of samples: the planner then runs
         * the batch as a whole. */
        if (!r.pinned)
            check_alone(t, &r, s);
    }
    check_layouts(t, &r);
    return true;
}

/* Samples on an axis of the inputs in `mask`, wherever they have it with the same size. */
static void place(trial *t, unsigned mask, int axis, int64_t outer, int64_t inner)
{
    int64_t size = -1;
    ubp_arena arena = {0};
    t->arena = &arena;
    for (int i = 0; i < t->n_in; i++) {
        t->maps[i] = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        if (!(mask >> i & 1) || axis >= t->in[i].rank)
            continue;
        if (size < 0)
            size = t->in[i].dims[axis];
        if (t->in[i].dims[axis] != size)
            continue;
        t->maps[i].kind = UBP_SAMPLES_AXIS;
        t->maps[i].axis = axis;
        t->maps[i].outer = outer;
        t->maps[i].inner = inner;
    }
    if (size >= 0 && size % (outer * inner) == 0 && size / (outer * inner) >= 2) {
        t->n = size / (outer * inner);
        try_maps(t);
    }
    ubp_arena_release(&arena);
}

/* n tensors with other content one behind the other along an axis. */
static ub_tensor stack(const ub_tensor *t, const ubp_samples *s, int64_t n, ubp_arena *arena)
{
    ub_tensor all = *t;
    all.dims[s->axis] *= n;
    ubp_tensor_set_strides(&all);
    all.data = take(arena, ubp_tensor_bytes(&all));
    for (int64_t j = 0; j < n; j++) {
        ub_tensor part = *t;
        memcpy(part.strides, all.strides, sizeof part.strides);
        part.data = (char *)all.data + j * t->dims[s->axis] * all.strides[s->axis];
        ubp_tensor_move(&part, t);
    }
    for (int64_t j = 1; j < n; j++)
        perturb(&all, s, n, j, arena);
    return all;
}

/* The case's tensors are one sample; others are put behind them along the axis. */
static void place_stacked(trial *t, unsigned mask, int axis)
{
    enum { N = 3 };
    trial more = *t;
    ubp_arena arena = {0};
    bool any = false;
    more.arena = &arena;
    more.n = N;
    for (int i = 0; i < t->n_in; i++) {
        const ub_tensor *in = &t->in[i];
        more.maps[i] = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        if (!(mask >> i & 1) || axis >= in->rank || in->dims[axis] == 0)
            continue;
        any = true;
        more.maps[i].kind = UBP_SAMPLES_AXIS;
        more.maps[i].axis = axis;
        more.maps[i].inner = in->dims[axis];
        more.in[i] = stack(in, &more.maps[i], N, &arena);
    }
    if (any)
        try_maps(&more);
    ubp_arena_release(&arena);
}

static void try_case(trial *t)
{
    int rank = 0;
    unsigned all = (1u << t->n_in) - 1;
    for (int i = 0; i < t->n_in; i++)
        rank = t->in[i].rank > rank ? t->in[i].rank : rank;
    for (int axis = 0; axis < rank; axis++) {
        place(t, all, axis, 1, 1);
        place(t, all, axis, 1, 2);
        place(t, all, axis, 2, 1);
        place_stacked(t, all, axis);
        for (int i = 0; i < t->n_in && t->n_in > 1; i++) {
            place(t, 1u << i, axis, 1, 1);
            place_stacked(t, 1u << i, axis);
        }
    }
}

/* ---- The cases ---------------------------------------------------------------------------------
 */

/* The tensor a value has in the data set, or its constant. */
static bool find_tensor(const ubp_graph *g, int32_t value, const onnx_data *d, ub_tensor *out)
{
    if (g->values[value].constant) {
        *out = *g->values[value].constant;
        return true;
    }
    for (int i = 0; i < d->n_in && i < g->n_inputs; i++) {
        if (g->inputs[i] != value)
            continue;
        *out = d->in[i];
        return true;
    }
    return false;
}

static void load_case(const char *name, const char *folder)
{
    char path[ONNX_CASE_PATH];
    ub_error err;
    ubp_loaded l;
    onnx_data d = {0};
    ubp_arena arena = {0};
    trial t = {.name = name};
    memset(&l, 0, sizeof l);
    onnx_path(path, "%s/model.onnx", folder);
    if (ubp_load(&l, path, NULL, 0, &err) != UB_OK)
        return;
    bool good = l.graph->n_nodes == 1 && l.graph->nodes[0].op && l.graph->nodes[0].n_in <= PORTS &&
                l.graph->nodes[0].n_out <= PORTS &&
                onnx_data_read(&d, folder, 0, NULL, &err) == UB_OK;
    if (good) {
        t.node = &l.graph->nodes[0];
        t.n_in = t.node->n_in;
        t.n_out = t.node->n_out;
        good = ubp_node_attrs(&t.attr, t.node, &arena, &err) == UB_OK;
    }
    for (int i = 0; good && i < t.n_in; i++) {
        t.in[i].rank = -1;
        if (t.node->in[i] >= 0) {
            good = find_tensor(l.graph, t.node->in[i], &d, &t.in[i]) &&
                   ub_tensor_count(&t.in[i]) <= MAX_ELEMENTS;
            if (good)
                t.in[i] = copy_of(&t.in[i], &arena);
        }
    }
    if (good)
        try_case(&t);
    onnx_data_release(&d);
    ubp_arena_release(&arena);
    ubp_loaded_release(&l);
}

/* All cases below a folder of the build. */
static void try_folder(const char *cases)
{
    char path[ONNX_CASE_PATH], folder[ONNX_CASE_PATH];
    onnx_path(path, "%s/%s", UB_TEST_BUILD, cases);
    DIR *dir = opendir(path);
    if (!dir)
        fail_msg("no cases in %s: run its script in tests/tools", path);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        onnx_path(folder, "%s/%s", path, e->d_name);
        load_case(e->d_name, folder);
    }
    closedir(dir);
}

static void law_holds(void **state)
{
    (void)state;
    try_folder("onnx_suite/node");
    try_folder("runtime_cases/node");
    try_folder("runtime_cases/.law"); /* of operators whose values are random */
    assert_int_equal(violations, 0);
}

/* Operators that this test need not follow: no case of one node, made from shapes alone, or mixing
 * all samples by nature. */
static const char *const exempt[] = {
    "Scatter",
    "ImageDecoder", /* of one file */
    "RandomUniform",
    "RandomNormal",
    "Shape",
    "Size",
    "Range",
    "ConstantOfShape",
    "EyeLike",
    "BlackmanWindow",
    "HammingWindow",
    "HannWindow",
    "MelWeightMatrix", /* from shapes */
    "Unique",
    "NonZero",
    "NonMaxSuppression",
    "MaxUnpool",
    "StringSplit",
    "StringNormalizer",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLinear", /* mixing */
};

static void every_operator_was_tried(void **state)
{
    (void)state;
    int missing = 0;
    for (int i = 0; i < ubp_op_count(); i++) {
        bool skip = ubp_op_at(i)->flags & UBP_FLOW;
        for (int k = 0; k < UBP_COUNT(exempt); k++)
            skip = skip || strcmp(exempt[k], ubp_op_at(i)->name) == 0;
        if (skip || followed[i] > 0)
            continue;
        print_message("%s: tried %d times, its samples were never followed\n", ubp_op_at(i)->name,
                      tried[i]);
        missing++;
    }
    assert_int_equal(missing, 0);
}

/* For docs/ops.md: one line an operator, tabs between domain, name, placings tried, followed, and
 * what was said of mixing. */
static void findings_are_written(void **state)
{
    (void)state;
    FILE *f = fopen(UB_TEST_BUILD "/batch_law.tsv", "w");
    assert_non_null(f);
    for (int i = 0; i < ubp_op_count(); i++) {
        const ubp_op *op = ubp_op_at(i);
        fprintf(f, "%s\t%s\t%d\t%d\t", op->domain, op->name, tried[i], followed[i]);
        for (int k = 0; k < MAX_WHYS && whys[i][k]; k++)
            fprintf(f, "%s%s", k ? "; " : "", whys[i][k]);
        fprintf(f, "\n");
    }
    assert_int_equal(fclose(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(law_holds),
        cmocka_unit_test(every_operator_was_tried),
        cmocka_unit_test(findings_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
