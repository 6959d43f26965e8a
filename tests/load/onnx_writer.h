/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes small ONNX messages, also wrong ones. A message that is put into another is freed by that.
 * Field numbers as in onnx.proto.
 */
#ifndef ONNX_WRITER_H
#define ONNX_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct msg {
    uint8_t *bytes;
    size_t n, cap;
} msg;

static inline void msg_raw(msg *m, const void *bytes, size_t n)
{
    if (m->n + n > m->cap) {
        m->cap = (m->n + n) * 2 + 64;
        m->bytes = realloc(m->bytes, m->cap);
        if (!m->bytes)
            abort();
    }
    if (n > 0)
        memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static inline void msg_base128(msg *m, uint64_t v)
{
    do {
        const uint8_t b = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        msg_raw(m, &b, 1);
        v >>= 7;
    } while (v);
}

static inline void msg_int(msg *m, uint32_t field, int64_t v)
{
    msg_base128(m, (uint64_t)field << 3);
    msg_base128(m, (uint64_t)v);
}

static inline void msg_float(msg *m, uint32_t field, float v)
{
    msg_base128(m, (uint64_t)field << 3 | 5);
    msg_raw(m, &v, sizeof(v));
}

static inline void msg_bytes(msg *m, uint32_t field, const void *bytes, size_t n)
{
    msg_base128(m, (uint64_t)field << 3 | 2);
    msg_base128(m, n);
    msg_raw(m, bytes, n);
}

static inline void msg_str(msg *m, uint32_t field, const char *s)
{
    msg_bytes(m, field, s, strlen(s));
}

static inline void msg_put(msg *m, uint32_t field, msg sub)
{
    msg_bytes(m, field, sub.bytes, sub.n);
    free(sub.bytes);
}

/* ---- ONNX ------------------------------------------------------------------------------------ */

enum {
    W_NODE = 1,
    W_INITIALIZER = 5,
    W_INPUT = 11,
    W_OUTPUT = 12,
    W_VALUE_INFO = 13,
    W_SPARSE = 15
};

/* "a, b, , c": names by commas. */
static inline void write_names(msg *m, uint32_t field, const char *names)
{
    while (*names) {
        const size_t n = strcspn(names, ",");
        msg_bytes(m, field, names, n);
        names += n;
        names += *names == ',';
        names += *names == ' ';
    }
}

static inline msg write_node(const char *op, const char *name, const char *in, const char *out)
{
    msg m = {0};
    write_names(&m, 1, in);
    write_names(&m, 2, out);
    msg_str(&m, 3, name);
    msg_str(&m, 4, op);
    return m;
}

static inline msg write_attr(const char *name, int type)
{
    msg m = {0};
    msg_str(&m, 1, name);
    msg_int(&m, 20, type);
    return m;
}

static inline msg write_attr_int(const char *name, int64_t v)
{
    msg m = write_attr(name, 2);
    msg_int(&m, 3, v);
    return m;
}

/* TensorProto without elements. */
static inline msg write_tensor(const char *name, int dtype, int rank, const int64_t *dims)
{
    msg m = {0};
    for (int i = 0; i < rank; i++)
        msg_int(&m, 1, dims[i]);
    msg_int(&m, 2, dtype);
    msg_str(&m, 8, name);
    return m;
}

static inline msg write_floats(const char *name, int64_t n, const float *v)
{
    msg m = write_tensor(name, 1, 1, &n);
    msg_bytes(&m, 9, v, (size_t)n * sizeof(float));
    return m;
}

/* StringStringEntryProto. */
static inline msg write_entry(const char *key, const char *value)
{
    msg m = {0};
    msg_str(&m, 1, key);
    msg_str(&m, 2, value);
    return m;
}

/* ValueInfoProto; rank < 0: no shape, dtype 0: no type. Dims < 0 have the name "batch". */
static inline msg write_info(const char *name, int dtype, int rank, const int64_t *dims)
{
    msg m = {0}, type = {0}, tensor = {0}, shape = {0};
    msg_str(&m, 1, name);
    if (dtype == 0)
        return m;
    for (int i = 0; i < rank; i++) {
        msg dim = {0};
        if (dims[i] < 0)
            msg_str(&dim, 2, "batch");
        else
            msg_int(&dim, 1, dims[i]);
        msg_put(&shape, 1, dim);
    }
    msg_int(&tensor, 1, dtype);
    if (rank >= 0)
        msg_put(&tensor, 2, shape);
    msg_put(&type, 1, tensor);
    msg_put(&m, 2, type);
    return m;
}

static inline msg write_model(msg graph, int64_t opset)
{
    msg m = {0}, id = {0};
    msg_int(&m, 1, 10);
    msg_str(&m, 2, "test");
    msg_str(&m, 3, "1.0");
    msg_put(&m, 7, graph);
    msg_int(&id, 2, opset);
    msg_put(&m, 8, id);
    return m;
}

/* A graph with one float input x and one output y. */
static inline msg write_graph(const char *in, const char *out)
{
    msg g = {0};
    if (*in)
        msg_put(&g, W_INPUT, write_info(in, 1, 2, (const int64_t[]){-1, 4}));
    if (*out)
        msg_put(&g, W_OUTPUT, write_info(out, 1, -1, NULL));
    return g;
}

#endif
