/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole use of the library through its public header: a model's inputs are given, every output
 * and layer is asked for. Every failure must be one clear line with its code. For tests that damage
 * files or let allocations fail.
 */
#ifndef WHOLE_RUN_H
#define WHOLE_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unbatch.h"

enum { MAX_INPUTS = 4, MAX_INPUT_ELEMENTS = 1 << 16, SAMPLES = 2 };

/* One line of text with the code that was returned, and no bug of the library. */
static inline void check_error(ub_status status, const ub_error *err, const char *when)
{
    if (status == UB_OK)
        return;
    if (status != err->code || strlen(err->message) < 5 || strchr(err->message, '\n') ||
        status == UB_ERR_INTERNAL)
        fail_msg("%s: status %d, code %d, message '%s'", when, (int)status, (int)err->code,
                 err->message);
}

/* Zeros in the shape that the port says, two samples; NULL when it asks for much or says nothing.
 */
static inline ub_status make_port_tensor(ub_tensor **out, const ub_port *p, ub_error *err)
{
    int64_t dims[UB_MAX_RANK], count = 1;
    *out = NULL;
    for (int a = 0; a < p->rank; a++) {
        dims[a] = p->dims[a] < 0 ? SAMPLES : p->dims[a];
        if (dims[a] > MAX_INPUT_ELEMENTS || (count *= dims[a]) > MAX_INPUT_ELEMENTS)
            return UB_OK;
    }
    if (p->rank < 0 || ub_dtype_size(p->dtype) == 0)
        return UB_OK;
    return ub_tensor_new(out, p->dtype, p->rank, dims, err);
}

/* Asks for the value; it is dropped. */
static inline ub_status ask_for(ub_session *s, const char *name, const char *tail, ub_error *err)
{
    char what[512];
    ub_tensor *t = NULL;
    if (snprintf(what, sizeof what, "%s%s", name, tail) >= (int)sizeof what)
        return UB_OK;
    const ub_status status = ub_get(&t, s, what, err);
    check_error(status, err, what);
    ub_tensor_free(t);
    return status;
}

/* The first failure to come, or UB_OK; what is asked for after it is asked for all the same. */
static inline ub_status ask_for_all(ub_session *s, const ub_model *m, ub_error *err)
{
    ub_status first = UB_OK;
    for (int i = 0; i < ub_model_output_count(m); i++) {
        const ub_status status = ask_for(s, ub_model_output(m, i)->name, "", err);
        first = first ? first : status;
    }
    for (int i = 0; i < ub_model_layer_count(m) && i < 20; i++) {
        const ub_status status = ask_for(s, ub_model_layer(m, i)->name, i % 2 ? ":in" : "[1]", err);
        first = first ? first : status;
    }
    return first;
}

static inline ub_status use_session(const ub_model *m, const ub_session_options *options,
                                    ub_tensor **inputs, ub_error *err)
{
    ub_session *s = NULL;
    ub_summary *summary = NULL;
    ub_status status = ub_session_new(&s, m, options, err);
    for (int i = 0; i < ub_model_input_count(m) && i < MAX_INPUTS && status == UB_OK; i++) {
        const ub_port *p = ub_model_input(m, i);
        status = make_port_tensor(&inputs[i], p, err);
        if (status == UB_OK && inputs[i])
            status = ub_session_set(s, p->name, inputs[i], err);
    }
    if (status == UB_OK)
        status = ask_for_all(s, m, err);
    if (s && ub_summarize(&summary, s, err) == UB_OK)
        ub_summary_free(summary);
    ub_session_free(s);
    return status;
}

/* Everything that can be asked of an open model. */
static inline ub_status use_model(const ub_model *m, const ub_session_options *options,
                                  ub_error *err)
{
    ub_tensor *inputs[MAX_INPUTS] = {0};
    ub_names *names = NULL;
    ub_status status = ub_match(&names, m, "**", err);
    check_error(status, err, "match");
    ub_names_free(names);
    /* A damaged model may hold nothing that ** could stand for. */
    if (status != UB_ERR_MEMORY) {
        status = use_session(m, options, inputs, err);
        check_error(status, err, "session");
    }
    for (int i = 0; i < MAX_INPUTS; i++)
        ub_tensor_free(inputs[i]);
    return status;
}

/* A file of tests/data, to be freed. */
static inline uint8_t *read_test_file(const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/data/onnx/%s", UB_TEST_DATA, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

#endif
