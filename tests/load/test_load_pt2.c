/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .pt2 files: what is refused and with which words; weights are views of the file; where the
 * samples are agrees with the sizes that the file says; damaged files open or are refused with one
 * line. Bytes lie in memory of their exact size, so that a sanitizer sees a read past the end.
 */
#include "load/load.h"
#include "plan/plan.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/data/pt2/%s.pt2", UB_TEST_DATA, name);
    return path;
}

static void open_model(ubp_loaded *l, const char *name)
{
    ub_error err = {0};
    if (ubp_load(l, path_of(name), NULL, 0, &err) != UB_OK)
        fail_msg("%s: %s", name, err.message);
}

/* ---- Refused ---------------------------------------------------------------------------------
 */

static void refuse(const char *name, ub_status status, const char *message)
{
    ubp_loaded l;
    ub_error err = {0};
    assert_int_equal(ubp_load(&l, path_of(name), NULL, 0, &err), status);
    assert_string_equal(err.message, message);
    assert_null(l.graph);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("refuse_bad_offset", UB_ERR_FILE,
           "damaged .pt2 file: weight '1.weight' has a negative storage offset");
    refuse("refuse_bad_path", UB_ERR_FILE,
           "damaged .pt2 file: weight '1.weight' has a path_name that leads out of its folder");
    refuse("refuse_bad_strides", UB_ERR_FILE,
           "damaged .pt2 file: weight '1.weight' has sizes and strides that reach outside of its"
           " record");
    refuse("refuse_truncated", UB_ERR_FILE, "damaged zip file: Not a zip archive");
    refuse("refuse_pickled", UB_ERR_UNSUPPORTED,
           "weight '1.weight' is a pickle, which is never loaded; save the model with plain tensors"
           " as weights");
    refuse("refuse_old_layout", UB_ERR_UNSUPPORTED,
           "a .pt2 file of an older torch, whose weights are a pickle (serialized_state_dict.pt);"
           " load it with torch.export.load() and save it with torch 2.9 or newer");
    refuse("refuse_cond", UB_ERR_UNSUPPORTED,
           "node 'cond' (cond) is control flow on data: which branch runs hangs on the whole batch;"
           " write it with torch.where(), so that each sample has its own");
    refuse("refuse_train_mode", UB_ERR_UNSUPPORTED,
           "node 'batch_norm' (batch_norm) takes its statistics from the batch, so that samples"
           " depend on each other: the program was exported in train mode; call model.eval() before"
           " torch.export.export()");
}

/* ---- Weights ---------------------------------------------------------------------------------
 */

static bool in_file(const ubp_loaded *l, const ub_tensor *t)
{
    const char *begin = l->file->data, *at = t->data;
    return at >= begin && at + ubp_tensor_bytes(t) <= begin + l->file->size;
}

static const ub_tensor *weight(const ubp_loaded *l, const char *name)
{
    const int32_t v = ubp_table_find(&l->graph->value_names, name);
    if (v < 0 || !l->graph->values[v].constant)
        fail_msg("there is no weight '%s'", name);
    return l->graph->values[v].constant;
}

static void test_weights_are_views(void **state)
{
    (void)state;
    ubp_loaded l;
    int n = 0;
    open_model(&l, "resnet_tiny");
    for (size_t i = 0; i < l.graph->n_values; i++) {
        const ubp_value *v = &l.graph->values[i];
        if (!v->constant || !*v->name)
            continue;
        assert_true(in_file(&l, v->constant));
        assert_true(ub_tensor_is_contiguous(v->constant));
        n++;
    }
    assert_int_equal(n, 62); /* of the state_dict, without 10 num_batches_tracked */
    assert_int_equal(weight(&l, "layer1.0.conv1.weight")->rank, 4);
    ubp_loaded_release(&l);
}

/* Those that do not lie row-major are copied. */
static void test_strided_weights(void **state)
{
    (void)state;
    ubp_loaded l;
    open_model(&l, "edge");
    assert_true(in_file(&l, weight(&l, "p1")));
    assert_ptr_equal((const char *)weight(&l, "p0")->data + 64, weight(&l, "p1")->data);
    const ub_tensor *turned = weight(&l, "pt"), *conv = weight(&l, "conv.weight");
    assert_false(in_file(&l, turned));
    assert_true(ub_tensor_is_contiguous(turned) && turned->dims[0] == 3 && turned->dims[1] == 8);
    assert_true(ub_tensor_is_contiguous(conv) && conv->dims[1] == 2 && conv->dims[3] == 3);
    assert_int_equal(weight(&l, "bf")->dtype, UB_BF16);
    assert_int_equal(weight(&l, "scalar")->rank, 0);
    float scalar = 0; /* it may lie at any address */
    memcpy(&scalar, weight(&l, "scalar")->data, sizeof(scalar));
    assert_true(scalar == 3.5F);
    ubp_loaded_release(&l);
}

/* ---- Where the samples are -------------------------------------------------------------------
 */

enum { SAMPLES = 6 };

/* "batch" -> 1, "4*batch" -> 4; 0: another size. */
static int64_t per_sample(const char *name)
{
    int64_t factor = 0;
    if (!name)
        return 0;
    if (strcmp(name, "batch") == 0)
        return 1;
    char tail[16] = "";
    return sscanf(name, "%" SCNd64 "*%15s", &factor, tail) == 2 && strcmp(tail, "batch") == 0
               ? factor
               : 0;
}

static int check_maps(const char *name)
{
    ubp_loaded l;
    ub_error err = {0};
    ubp_facts *f = NULL;
    ubp_given given[4];
    ub_tensor shapes[4];
    int axes[4], n = 0;
    int32_t *wanted = calloc(1 << 16, sizeof(*wanted));
    open_model(&l, name);
    const ubp_graph *g = l.graph;
    assert_true(g->n_inputs <= 4 && g->n_values < 1 << 16);
    ubp_input_axes(g, axes);
    for (int i = 0; i < g->n_inputs; i++) {
        const ubp_value *v = &g->values[g->inputs[i]];
        int64_t dims[UB_MAX_RANK];
        for (int a = 0; a < v->rank; a++)
            dims[a] = v->dims[a] < 0 ? SAMPLES : v->dims[a];
        assert_int_equal(ubp_tensor_describe(&shapes[i], v->dtype, v->rank, dims, NULL), UB_OK);
        given[i] = (ubp_given){.value = g->inputs[i], .tensor = &shapes[i], .batch_axis = axes[i]};
    }
    int n_wanted = 0;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i].producer >= 0)
            wanted[n_wanted++] = (int32_t)i;
    ubp_arena scratch = {0};
    const ubp_run run = {.threads = 1, .scratch = &scratch};
    const ubp_ask ask = {.graph = g,
                         .wanted = wanted,
                         .n_wanted = n_wanted,
                         .given = given,
                         .n_given = g->n_inputs,
                         .n = SAMPLES,
                         .run = &run};
    if (ubp_facts_new(&f, &ask, &err) != UB_OK)
        fail_msg("%s: %s", name, err.message);
    for (size_t i = 0; i < g->n_values; i++) {
        const ubp_value *v = &g->values[i];
        const ubp_samples *s = &f->values[i].samples;
        if (!*v->name || v->producer < 0 || v->rank < 0)
            continue;
        int axis = -1;
        for (int a = 0; a < v->rank; a++)
            if (v->dims[a] < 0) {
                axis = a;
                assert_non_null(v->dim_names[a]);
            } else {
                assert_int_equal(v->dims[a], f->values[i].t.dims[a]);
            }
        assert_int_equal(v->rank, f->values[i].t.rank);
        assert_int_equal(v->dtype, f->values[i].t.dtype);
        if (s->coupled || (axis < 0) != (s->kind == UBP_SAMPLES_NONE))
            fail_msg("%s: '%s': %s", name, v->name, s->coupled ? s->why : "has no batch");
        if (axis >= 0 && (s->axis != axis || s->outer * s->inner != per_sample(v->dim_names[axis])))
            fail_msg("%s: '%s': axis %d is %s; samples on axis %d, %d each", name, v->name, axis,
                     v->dim_names[axis], s->axis, (int)(s->outer * s->inner));
        n++;
    }
    ubp_facts_free(f);
    ubp_arena_release(&scratch);
    ubp_loaded_release(&l);
    free(wanted);
    return n;
}

static void test_sample_maps(void **state)
{
    static const char *const names[] = {"conv_seed",
                                        "mlp",
                                        "resnet_tiny",
                                        "mobilenetv3_tiny",
                                        "vit_tiny",
                                        "lstm_text",
                                        "edge",
                                        "gru_seq",
                                        "transformer_encoder",
                                        "unet_tiny",
                                        "twice",
                                        "norms",
                                        "stems",
                                        "shared_calls",
                                        "layouts",
                                        "positions",
                                        "merged",
                                        "nograd",
                                        "mlp.decomposed",
                                        "resnet_tiny.decomposed",
                                        "writes",
                                        "vit_tiny.decomposed",
                                        "transformer_encoder.decomposed"};
    int n = 0;
    (void)state;
    for (int i = 0; i < UBP_COUNT(names); i++)
        n += check_maps(names[i]);
    print_message("%d values\n", n);
}

/* ---- Damage ----------------------------------------------------------------------------------
 */

static unsigned sum_bytes(const ub_tensor *t)
{
    const uint8_t *at = t->data;
    unsigned sum = 0;
    for (size_t i = 0; i < ubp_tensor_bytes(t); i++)
        sum += at[i];
    return sum;
}

/* Whether the bytes open. */
static bool try_open(const uint8_t *bytes, size_t size)
{
    ubp_loaded l;
    ub_error err = {0};
    const ub_status status = ubp_load(&l, NULL, bytes, size, &err);
    if (status == UB_OK) {
        volatile unsigned sum = 0; /* the bytes are really read */
        for (size_t i = 0; i < l.graph->n_values; i++)
            if (l.graph->values[i].constant)
                sum += sum_bytes(l.graph->values[i].constant);
        (void)sum;
        ubp_loaded_release(&l);
        return true;
    }
    assert_true(status == UB_ERR_FILE || status == UB_ERR_UNSUPPORTED || status == UB_ERR_SHAPE);
    assert_int_equal(err.code, status);
    assert_true(strlen(err.message) > 10);
    assert_null(strchr(err.message, '\n'));
    return false;
}

static uint8_t *read_model(const char *name, size_t *size)
{
    ub_buffer *b = NULL;
    assert_int_equal(ubp_map_file(&b, path_of(name), NULL), UB_OK);
    uint8_t *bytes = malloc(b->size);
    assert_non_null(bytes);
    memcpy(bytes, b->data, b->size);
    *size = b->size;
    ubp_buffer_unref(b);
    return bytes;
}

static void test_cuts(void **state)
{
    size_t size = 0;
    (void)state;
    uint8_t *bytes = read_model("mlp", &size);
    for (size_t n = 0; n < size; n += 61) {
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, bytes, n);
        assert_false(try_open(cut, n));
        free(cut);
    }
    free(bytes);
}

static void test_flips(void **state)
{
    static const char *const names[] = {"mlp", "edge", "nograd", "shared_calls.preserved"};
    int opened = 0, tried = 0;
    (void)state;
    for (int k = 0; k < UBP_COUNT(names); k++) {
        size_t size = 0;
        uint8_t *bytes = read_model(names[k], &size);
        assert_true(try_open(bytes, size));
        for (size_t i = 0; i < size; i += 17) {
            const uint8_t old = bytes[i];
            bytes[i] = (uint8_t)(i % 3 == 0 ? '9' : i % 3 == 1 ? old ^ 1 : old ^ 0x80);
            opened += try_open(bytes, size);
            tried++;
            bytes[i] = old;
        }
        free(bytes);
    }
    assert_true(opened > 0 && opened < tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_weights_are_views),
        cmocka_unit_test(test_strided_weights),
        cmocka_unit_test(test_sample_maps),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
