/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes opened as a Keras model: four bytes with the length of config.json, that text, and
 * model.weights.h5. The archive around them is put together here, so that every input gets past it.
 */
#include "load/load.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { LOCAL = 30, CENTRAL = 46, END = 22 };

static void put(uint8_t *at, size_t v, int n)
{
    for (int i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* A stored member: local header, name, data. Returns what it takes. */
static size_t put_local(uint8_t *at, const char *name, const uint8_t *data, size_t n)
{
    const size_t m = strlen(name);
    memset(at, 0, LOCAL);
    memcpy(at, "PK\3\4", 4);
    put(at + 4, 20, 2);
    put(at + 18, n, 4);
    put(at + 22, n, 4);
    put(at + 26, m, 2);
    memcpy(at + LOCAL, name, m);
    if (n > 0)
        memcpy(at + LOCAL + m, data, n);
    return LOCAL + m + n;
}

static size_t put_central(uint8_t *at, const char *name, size_t n, size_t offset)
{
    const size_t m = strlen(name);
    memset(at, 0, CENTRAL);
    memcpy(at, "PK\1\2", 4);
    put(at + 6, 20, 2);
    put(at + 20, n, 4);
    put(at + 24, n, 4);
    put(at + 28, m, 2);
    put(at + 42, offset, 4);
    memcpy(at + CENTRAL, name, m);
    return CENTRAL + m;
}

static size_t put_archive(uint8_t *zip, const uint8_t *text, size_t n_text, const uint8_t *h5,
                          size_t n_h5)
{
    const size_t second = put_local(zip, "config.json", text, n_text);
    const size_t directory = second + put_local(zip + second, "model.weights.h5", h5, n_h5);
    size_t at = directory;
    at += put_central(zip + at, "config.json", n_text, 0);
    at += put_central(zip + at, "model.weights.h5", n_h5, second);
    memset(zip + at, 0, END);
    memcpy(zip + at, "PK\5\6", 4);
    put(zip + at + 8, 2, 2);
    put(zip + at + 10, 2, 2);
    put(zip + at + 12, at - directory, 4);
    put(zip + at + 16, directory, 4);
    return at + END;
}

/* The bytes of every weight are really read. */
static unsigned sum_weights(const ubp_graph *g)
{
    unsigned sum = 0;
    for (size_t i = 0; i < g->n_values; i++) {
        const ub_tensor *t = g->values[i].constant;
        for (size_t k = 0; t && k < ubp_tensor_bytes(t); k++)
            sum += ((const uint8_t *)t->data)[k];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    ubp_loaded l;
    ub_error err = {0};
    if (size < 4 || size > 1 << 22)
        return 0;
    size_t n = bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16;
    n = n < size - 4 ? n : size - 4;
    uint8_t *zip = malloc(size + 512);
    if (!zip)
        return 0;
    const size_t total = put_archive(zip, bytes + 4, n, bytes + 4 + n, size - 4 - n);
    uint8_t *exact = realloc(zip, total);
    zip = exact ? exact : zip;
    const ub_status status = ubp_load(&l, NULL, zip, total, &err);
    if (status == UB_OK) {
        volatile unsigned sink = sum_weights(l.graph);
        (void)sink;
        ubp_loaded_release(&l);
    } else if (status != err.code || strlen(err.message) == 0 || strchr(err.message, '\n')) {
        abort();
    }
    free(zip);
    return 0;
}
