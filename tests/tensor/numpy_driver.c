/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs tensor functions on cases that compare_numpy.py writes to stdin, and writes what comes out
 * to stdout for it to compare with NumPy. Both are streams of int64, native byte order:
 *
 *     case   := op, operands          tensor := dtype rank dims.. strides.. offset nbytes bytes
 *     answer := status, then for UB_OK what the op gives:
 *               array := dtype rank dims.. is_view nbytes bytes (row-major);  text := nbytes bytes
 *               else text (the message)
 *
 * Elements of results are read one by one here, not through the library's own copying.
 */
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INDEX_TEXT,
    INDEX_ITEMS,
    RESHAPE,
    PERMUTE,
    SQUEEZE,
    EXPAND,
    BROADCAST,
    AT,
    SLICE,
    COPY,
    CAST,
    COPY_INTO,
    STR,
    RANDOM
};

static void die(const char *why)
{
    fprintf(stderr, "numpy_driver: %s\n", why);
    exit(1);
}

static void get(void *p, size_t n)
{
    if (n && fread(p, 1, n, stdin) != n)
        die("input ends within a case");
}

static int64_t get_int(void)
{
    int64_t v = 0;
    get(&v, sizeof(v));
    return v;
}

static void put(const void *p, size_t n)
{
    if (n && fwrite(p, 1, n, stdout) != n)
        die("cannot write");
}

static void put_int(int64_t v)
{
    put(&v, sizeof(v));
}

/* A tensor over memory of its own: exactly as long as the case says, for the address sanitizer. */
typedef struct input {
    ub_tensor t;
    char *bytes;
    int64_t size;
} input;

static input get_tensor(void)
{
    input in = {0};
    in.t.dtype = (ub_dtype)get_int();
    in.t.rank = (int)get_int();
    get(in.t.dims, (size_t)in.t.rank * sizeof(int64_t));
    get(in.t.strides, (size_t)in.t.rank * sizeof(int64_t));
    int64_t offset = get_int();
    in.size = get_int();
    in.bytes = malloc((size_t)in.size + 1);
    if (!in.bytes)
        die("out of memory");
    get(in.bytes, (size_t)in.size);
    in.t.data = in.bytes + offset;
    return in;
}

static int get_dims(int64_t *dims)
{
    int64_t rank = get_int();
    if (rank > UB_MAX_RANK)
        die("too many dims in a case");
    get(dims, (size_t)rank * sizeof(*dims));
    return (int)rank;
}

static void put_array(const ub_tensor *t, const input *in)
{
    size_t item = ub_dtype_size(t->dtype);
    int64_t n = ub_tensor_count(t), index[UB_MAX_RANK] = {0};
    const char *at = t->data;
    put_int(t->dtype);
    put_int(t->rank);
    put(t->dims, (size_t)t->rank * sizeof(int64_t));
    put_int(in && n && at >= in->bytes && at < in->bytes + in->size);
    put_int(n * (int64_t)item);
    for (int64_t i = 0; i < n; i++) {
        put(at, item);
        for (int axis = t->rank - 1; axis >= 0; axis--) {
            at += t->strides[axis];
            if (++index[axis] < t->dims[axis])
                break;
            at -= t->strides[axis] * t->dims[axis];
            index[axis] = 0;
        }
    }
}

static void put_text(const char *s)
{
    put_int((int64_t)strlen(s));
    put(s, strlen(s));
}

static bool put_status(ub_status status, const ub_error *err)
{
    put_int(status);
    if (status != UB_OK) {
        if (!err->message[0] || err->code != status)
            die("a failure without message or code");
        put_text(err->message);
    }
    return status == UB_OK;
}

static ub_status index_by_items(ub_tensor **out, const ub_tensor *t, ub_error *err)
{
    enum { MOST = 64 };
    ub_index_item items[MOST] = {0};
    input arrays[MOST] = {0};
    int64_t n = get_int();
    if (n > MOST)
        die("too many items in a case");
    for (int64_t i = 0; i < n; i++) {
        items[i].kind = (ub_index_kind)get_int();
        items[i].value = get_int();
        items[i].start = get_int();
        items[i].stop = get_int();
        items[i].step = get_int();
        if (items[i].kind == UB_INDEX_ARRAY) {
            arrays[i] = get_tensor();
            items[i].array = &arrays[i].t;
        }
    }
    ub_status status = ub_tensor_index_items(out, t, items, (int)n, err);
    for (int64_t i = 0; i < n; i++)
        free(arrays[i].bytes);
    return status;
}

static ub_status index_by_text(ub_tensor **out, const ub_tensor *t, ub_error *err)
{
    int64_t n = get_int();
    char *text = calloc((size_t)n + 1, 1);
    if (!text)
        die("out of memory");
    get(text, (size_t)n);
    ub_status status = ub_tensor_index(out, t, text, err);
    free(text);
    return status;
}

/* Ops that give a tensor to free. */
static ub_status run_owned(int64_t op, ub_tensor **out, const ub_tensor *t, ub_error *err)
{
    int64_t dims[UB_MAX_RANK];
    int rank = 0;
    switch (op) {
    case INDEX_TEXT:
        return index_by_text(out, t, err);
    case INDEX_ITEMS:
        return index_by_items(out, t, err);
    case RESHAPE:
        rank = get_dims(dims);
        return ub_tensor_reshape(out, t, rank, dims, err);
    case CAST:
        return ub_tensor_cast(out, t, (ub_dtype)get_int(), err);
    default:
        return ub_tensor_copy(out, t, err);
    }
}

/* Ops that give a view by value. */
static ub_status run_view(int64_t op, ub_tensor *view, const ub_tensor *t, ub_error *err)
{
    int64_t dims[UB_MAX_RANK];
    int axes[UB_MAX_RANK], rank = 0;
    switch (op) {
    case PERMUTE:
        rank = get_dims(dims);
        for (int i = 0; i < rank; i++)
            axes[i] = (int)dims[i];
        return ub_tensor_permute(view, t, rank ? axes : NULL, err);
    case SQUEEZE:
        return ub_tensor_squeeze(view, t, (int)get_int(), err);
    case EXPAND:
        return ub_tensor_expand_dims(view, t, (int)get_int(), err);
    case BROADCAST:
        rank = get_dims(dims);
        return ub_tensor_broadcast(view, t, rank, dims, err);
    case AT:
        return ub_tensor_at(view, t, get_int(), err);
    default:
        get(dims, 4 * sizeof(dims[0]));
        return ub_tensor_slice(view, t, (int)dims[0], dims[1], dims[2], dims[3], err);
    }
}

static void run_case(int64_t op)
{
    ub_error err = {0};
    if (op == RANDOM) {
        int64_t dims[UB_MAX_RANK];
        int rank = get_dims(dims);
        ub_tensor *out = NULL;
        if (put_status(ub_tensor_random_normal(&out, rank, dims, (uint64_t)get_int(), &err), &err))
            put_array(out, NULL);
        ub_tensor_free(out);
        return;
    }
    input in = get_tensor();
    if (op == STR) {
        char *text = NULL;
        if (put_status(ub_tensor_str(&text, &in.t, &err), &err))
            put_text(text);
        ub_string_free(text);
    } else if (op == COPY_INTO) {
        input dst = get_tensor();
        if (put_status(ub_tensor_copy_into(&dst.t, &in.t, &err), &err)) {
            put_int(dst.size);
            put(dst.bytes, (size_t)dst.size);
        }
        free(dst.bytes);
    } else if (op == PERMUTE || op == SQUEEZE || op == EXPAND || op == BROADCAST || op == AT ||
               op == SLICE) {
        ub_tensor view;
        if (put_status(run_view(op, &view, &in.t, &err), &err))
            put_array(&view, &in);
    } else {
        ub_tensor *out = NULL;
        if (put_status(run_owned(op, &out, &in.t, &err), &err))
            put_array(out, &in);
        else if (out)
            die("a tensor came out of a failure");
        ub_tensor_free(out);
    }
    free(in.bytes);
}

int main(void)
{
    int64_t op = 0;
    while (fread(&op, sizeof(op), 1, stdin) == 1)
        run_case(op);
    return fflush(stdout) == 0 ? 0 : 1;
}
