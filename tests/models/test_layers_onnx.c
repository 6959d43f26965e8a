/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of files exported by PyTorch against what PyTorch's hooks saw: every call of every module,
 * both sides, every tensor. A layer must give a value equal to the hook's, in the hook's order, or
 * refuse with a reason; never something else. How many of each is fixed per file.
 */
#include "api/address.h"
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "layer_table.h"

/* Of a file: modules' tensors that are answered (inputs, outputs), refused with a reason, and of
 * calls that the file knows nothing of. */
typedef struct counts {
    const char *file;
    int in, out, refused, absent;
} counts;

/* resnet_tiny makes 39 calls with 10 norms. dynamo folds those: 10 inputs of norms and 10 outputs
 * of convolutions are gone; TorchScript drops the norms with their names. Dropout and Identity
 * leave nothing behind, but where dynamo does not optimise. */
static const counts EXPECTED[] = {
    {"conv_seed.dynamo.onnx", 1, 1, 0, 0},
    {"conv_seed.torchscript.onnx", 1, 1, 0, 0},
    {"mlp.dynamo.onnx", 6, 6, 0, 2},
    {"mlp.torchscript.onnx", 6, 6, 0, 2},
    {"mlp.dynamo_noopt.onnx", 7, 7, 0, 0},
    {"mlp.torchscript_nofold.onnx", 6, 6, 0, 2},
    {"resnet_tiny.dynamo.onnx", 29, 29, 20, 0},
    {"resnet_tiny.torchscript.onnx", 29, 19, 10, 20},
    {"resnet_tiny.dynamo_noopt.onnx", 39, 39, 0, 0},
    {"resnet_tiny.torchscript_nofold.onnx", 39, 39, 0, 0},
    {"resnet_tiny.dynamo_external.onnx", 29, 29, 20, 0},
    {"mobilenetv3_tiny.dynamo.onnx", 54, 54, 22, 2},
    {"mobilenetv3_tiny.torchscript.onnx", 54, 43, 11, 24},
    {"mobilenetv3_tiny.dynamo_noopt.onnx", 66, 66, 0, 0},
    {"mobilenetv3_tiny.torchscript_nofold.onnx", 65, 65, 0, 2},
    {"vit_tiny.dynamo.onnx", 26, 26, 0, 12},
    {"vit_tiny.torchscript.onnx", 26, 26, 0, 12},
    {"lstm_text.dynamo.onnx", 3, 2, 3, 2},
    {"lstm_text.torchscript.onnx", 3, 2, 3, 2},
    {"gru_seq.dynamo.onnx", 3, 4, 0, 0},
    {"gru_seq.torchscript.onnx", 3, 4, 0, 0},
    {"transformer_encoder.dynamo.onnx", 16, 16, 0, 12},
    {"transformer_encoder.torchscript.onnx", 16, 16, 0, 12},
    {"unet_tiny.dynamo.onnx", 17, 17, 0, 0},
    {"unet_tiny.torchscript.onnx", 17, 17, 0, 0},
    {"shared_calls.dynamo.onnx", 20, 19, 1, 2},
    {"shared_calls.torchscript.onnx", 20, 19, 1, 2},
    {"merged.dynamo.onnx", 14, 16, 4, 4},
    {"merged.torchscript.onnx", 14, 16, 4, 4},
    {"twice.dynamo.onnx", 28, 26, 2, 0},
    {"twice.torchscript.onnx", 28, 27, 1, 0},
    {"norms.dynamo.onnx", 17, 17, 14, 2},
    {"norms.torchscript.onnx", 18, 14, 8, 10},
    {"norms.dynamo_noopt.onnx", 25, 25, 0, 0},
    {"norms.torchscript_nofold.onnx", 25, 25, 0, 0},
    {"cancelled.dynamo.onnx", 2, 2, 2, 0},
    {"positions.dynamo.onnx", 3, 4, 0, 2},
    {"positions.torchscript.onnx", 4, 5, 0, 0},
    {"stems.dynamo.onnx", 14, 15, 11, 2},
    {"stems.torchscript.onnx", 15, 13, 8, 6},
    {"stems.dynamo_noopt.onnx", 20, 20, 0, 2},
    {"stems.torchscript_nofold.onnx", 21, 21, 0, 0},
    {"layouts.dynamo.onnx", 6, 6, 2, 0},
    {"layouts.torchscript.onnx", 5, 5, 4, 0},
};

/* ---- One tensor ------------------------------------------------------------------------------ */

static void check_answer(const ubp_graph *g, const row *r, int k, const char *what,
                         const ubp_address *at)
{
    assert_int_equal(at->is_input, r->is_input);
    assert_int_equal(at->port, k);
    assert_true(at->layer >= 0);
    const ubp_layer *l = &g->layers[at->layer];
    if ((r->is_input ? l->n_in : l->n_out) > r->n)
        fail_msg("%s: %s: has more ports than PyTorch saw", r->file, what);
    if (!is_equal_value(&r->tensors[k], g->values[at->value].name))
        fail_msg("%s: %s is '%s', which differs from PyTorch's; equal are%s", r->file, what,
                 g->values[at->value].name, r->tensors[k].equal);
}

static void check_tensor(const ubp_graph *g, const row *r, int k, counts *found)
{
    char what[300];
    ubp_address at;
    ub_error err = {0};
    snprintf(what, sizeof(what), "%s:%s%d", r->layer, r->is_input ? "in" : "out", k);
    const ub_status status = ubp_address_parse(&at, g, what, &err);
    if (status == UB_OK) {
        check_answer(g, r, k, what, &at);
        *(r->is_input ? &found->in : &found->out) += 1;
        return;
    }
    if (status == UB_ERR_UNSUPPORTED) {
        assert_non_null(strstr(err.message, r->is_input ? "put of '" : "output of '"));
        found->refused++;
        return;
    }
    assert_int_equal(status, UB_ERR_ARGUMENT);
    if (ubp_table_find(&g->layer_names, r->layer) < 0)
        found->absent++;
    else if (!(r->is_input && k > 0 && is_repeated(r, k)))
        fail_msg("%s: %s: %s", r->file, what, err.message);
}

/* ---- One file -------------------------------------------------------------------------------- */

static void check_counts(const counts *found)
{
    for (int i = 0; i < UBP_COUNT(EXPECTED); i++) {
        const counts *e = &EXPECTED[i];
        if (strcmp(e->file, found->file) != 0)
            continue;
        if (e->in != found->in || e->out != found->out || e->refused != found->refused ||
            e->absent != found->absent)
            fail_msg("%s: %d inputs, %d outputs, %d refused, %d absent; expected %d, %d, %d, %d",
                     found->file, found->in, found->out, found->refused, found->absent, e->in,
                     e->out, e->refused, e->absent);
        return;
    }
    fail_msg("%s: %d, %d, %d, %d: not in the list", found->file, found->in, found->out,
             found->refused, found->absent);
}

static void open_model(ubp_loaded *l, const char *file)
{
    char path[512];
    ub_error err = {0};
    snprintf(path, sizeof(path), "%s/data/onnx/%s", UB_TEST_DATA, file);
    if (ubp_load(l, path, NULL, 0, &err) != UB_OK)
        fail_msg("%s: %s", file, err.message);
}

static void test_hooks(void **state)
{
    table t = {0};
    row r;
    ubp_loaded l = {0};
    counts found = {.file = NULL};
    int n_files = 0;
    (void)state;
    assert_true(table_open(&t, UB_TEST_DATA "/data/captures/layers.tsv"));
    while (table_next(&t, &r)) {
        if (!found.file || strcmp(found.file, r.file) != 0) {
            if (found.file)
                check_counts(&found);
            ubp_loaded_release(&l);
            open_model(&l, r.file);
            found = (counts){.file = r.file};
            n_files++;
        }
        for (int k = 0; k < r.n; k++)
            check_tensor(l.graph, &r, k, &found);
    }
    check_counts(&found);
    ubp_loaded_release(&l);
    free(t.text);
    assert_int_equal(n_files, UBP_COUNT(EXPECTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
