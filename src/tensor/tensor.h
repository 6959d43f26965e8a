/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor: dtypes, shapes, strided views, NumPy indexing, printing, random numbers. The public
 * functions are declared in unbatch.h; this header has what other folders need besides.
 */
#ifndef UBP_TENSOR_H
#define UBP_TENSOR_H

#include "base/base.h"

/* ---- buffer.c: what keeps data alive -------------------------------------------------------- */

/* Reference-counted storage; the count is atomic. */
struct ub_buffer {
    _Atomic int refs;
    void *data;
    size_t size;
    void (*release)(struct ub_buffer *b); /* frees what data points to; NULL: nothing to free */
    void *owner;                          /* for release */
};

/* Fresh 64-byte aligned memory, zero-filled when zero is set. */
ub_status ubp_buffer_new(ub_buffer **out, size_t size, bool zero, ub_error *err);
/* Memory that release() gives back, e.g. a mapping. */
ub_status ubp_buffer_wrap(ub_buffer **out, void *data, size_t size, void (*release)(ub_buffer *),
                          void *owner, ub_error *err);
void ubp_buffer_ref(ub_buffer *b);   /* NULL is fine */
void ubp_buffer_unref(ub_buffer *b); /* NULL is fine */

/* ---- buffer_pool.c: buffers that the next run uses again ----------------------------------------
 */

typedef struct ubp_pool ubp_pool;

ub_status ubp_pool_new(ubp_pool **out, ub_error *err);
/* Frees what is idle; buffers that are still held live on. NULL is fine. */
void ubp_pool_close(ubp_pool *p);
/* Another request begins: idle memory is bounded by the most that one had in use. */
void ubp_pool_round(ubp_pool *p);
/* Idle memory, and with it what this request takes, also stays within so many bytes; SIZE_MAX:
 * no such bound. */
void ubp_pool_bound(ubp_pool *p, size_t bytes);
size_t ubp_pool_idle(ubp_pool *p);
/* An idle buffer that fits, *out NULL: there is none. As ubp_pool_buffer, not cleared; p NULL:
 * there is none. */
ub_status ubp_pool_reuse(ub_buffer **out, ubp_pool *p, size_t size, ub_error *err);
/* A buffer, used again or new; p NULL: new. */
ub_status ubp_pool_buffer(ub_buffer **out, ubp_pool *p, size_t size, ub_error *err);

/* ---- shape.c --------------------------------------------------------------------------------- */

/* Sets dtype, rank, dims and row-major strides; data and buffer NULL. Refuses rank over
 * UB_MAX_RANK, negative dims, and sizes over INT64_MAX bytes. */
ub_status ubp_tensor_describe(ub_tensor *t, ub_dtype dtype, int rank, const int64_t *dims,
                              ub_error *err);
/* Row-major strides for the dims t has. */
void ubp_tensor_set_strides(ub_tensor *t);
/* Bytes that a row-major tensor of these dims takes; dims were checked by ubp_tensor_describe. */
size_t ubp_tensor_bytes(const ub_tensor *t);
/* Refuses tensors that are a shape only: data NULL with elements to read, or rank -1. */
ub_status ubp_tensor_need_data(const ub_tensor *t, ub_error *err);
/* Whether every element lies at an address its dtype can be loaded from: weights in a file may
 * not. */
bool ubp_tensor_is_aligned(const ub_tensor *t);
bool ubp_same_dims(const ub_tensor *a, const ub_tensor *b);
/* "(1, 3, 224, 224)" into text of at least UBP_SHAPE_TEXT bytes; returns text. */
enum { UBP_SHAPE_TEXT = UB_MAX_RANK * 22 + 4 };
const char *ubp_shape_text(char *text, int rank, const int64_t *dims);
/* NumPy's broadcast of two shapes into dims; false when they do not fit. */
bool ubp_broadcast_dims(int *rank, int64_t *dims, int rank_a, const int64_t *a, int rank_b,
                        const int64_t *b);
/* -rank..rank-1 to 0..rank-1; false when outside. */
bool ubp_normalize_axis(int64_t *axis, int rank);
/* Lowest and one-past-highest byte, relative to data, that a strided view touches; both 0 when
 * empty; false on overflow. */
bool ubp_tensor_extent(const ub_tensor *t, int64_t *low, int64_t *high);

/* ---- view.c, reshape.c, copy.c, strided_move.c ----------------------------------------------- */

/* A new row-major tensor whose elements the caller is about to write: not cleared. */
ub_status ubp_tensor_make(ub_tensor **out, ub_dtype dtype, int rank, const int64_t *dims,
                          ub_error *err);

/* An owned handle on a view: takes a reference on view->buffer. */
ub_status ubp_tensor_handle(ub_tensor **out, const ub_tensor *view, ub_error *err);
/* Strides that give t the new dims without moving data; false when there are none. Counts must be
 * equal. Only `view->dims/rank/strides` are set. */
bool ubp_reshape_view(ub_tensor *view, const ub_tensor *t, int rank, const int64_t *dims);
/* dst[...] = src[...], same dims and dtype, any strides, no overlap. Never fails. */
void ubp_tensor_move(const ub_tensor *dst, const ub_tensor *src);

/* ---- dtype.c, half.c, narrow.c, dtype_convert.c ---------------------------------------------- */

/* Those that arithmetic operators take. */
static inline bool ubp_is_float(ub_dtype d)
{
    return d == UB_F32 || d == UB_F64 || d == UB_F16 || d == UB_BF16;
}
static inline bool ubp_is_signed(ub_dtype d)
{
    return d == UB_I8 || d == UB_I16 || d == UB_I32 || d == UB_I64;
}
static inline bool ubp_is_unsigned(ub_dtype d)
{
    return d == UB_U8 || d == UB_U16 || d == UB_U32 || d == UB_U64;
}
static inline bool ubp_is_integer(ub_dtype d)
{
    return ubp_is_signed(d) || ubp_is_unsigned(d);
}

/* Floats of eight bits and less: storage only, they are converted before anything is computed. */
static inline bool ubp_is_narrow_float(ub_dtype d)
{
    return (d >= UB_F8E4M3FN && d <= UB_F8E5M2FNUZ) || d == UB_F4E2M1 || d == UB_F8E8M0 ||
           d == UB_F6E2M3 || d == UB_F6E3M2;
}
/* Integers of four and two bits: storage only. */
static inline bool ubp_is_narrow_integer(ub_dtype d)
{
    return d == UB_U4 || d == UB_I4 || d == UB_U2 || d == UB_I2;
}
/* Bits of one element in a file or in BitCast's eyes; 0 where the dtype has no storage. */
int ubp_dtype_bits(ub_dtype dtype);
/* n elements of this dtype packed as ONNX packs kinds under eight bits (first in the lowest bits),
 * to a byte each. src has (n * bits + 7) / 8 bytes. */
void ubp_narrow_unpack(uint8_t *dst, const uint8_t *src, ub_dtype dtype, int64_t n);
/* A byte's lower bits as an element of that dtype is kept. */
uint8_t ubp_narrow_clean(uint8_t bits, ub_dtype dtype);
float ubp_narrow_to_f32(uint8_t bits, ub_dtype dtype);
/* Nearest even, as ml_dtypes: what is too large becomes infinity, else NaN, else the largest (of
 * float4_e2m1fn and the float6 kinds, whose NaN is a zero). saturate: too large and infinity become
 * the largest. */
uint8_t ubp_narrow_of_f32(float f, ub_dtype dtype, bool saturate);

float ubp_f16_to_f32(uint16_t h);
uint16_t ubp_f32_to_f16(float f);  /* nearest even */
uint16_t ubp_f64_to_f16(double d); /* one rounding */
float ubp_bf16_to_f32(uint16_t h);
uint16_t ubp_f32_to_bf16(float f); /* nearest even, NaN kept */
/* n elements, both contiguous; NumPy's astype: floats to integers truncate (out of range: as the
 * CPU does, no undefined behaviour), anything to bool is != 0. */
void ubp_convert(void *dst, ub_dtype dst_type, const void *src, ub_dtype src_type, int64_t n);
/* One element as a number. Integers of 64 bits pass through ubp_read_i64 exactly. */
double ubp_read_f64(const void *p, ub_dtype dtype);
int64_t ubp_read_i64(const void *p, ub_dtype dtype);
void ubp_write_f64(void *p, ub_dtype dtype, double v);
void ubp_write_i64(void *p, ub_dtype dtype, int64_t v);

/* ---- strings.c ------------------------------------------------------------------------------ */

/* The string of an element, "" for NULL. */
const char *ubp_string_at(const void *element);
void ubp_string_put(void *element, const char *s);
/* A row-major copy that has its text in its own memory. */
ub_status ubp_strings_copy(ub_tensor **out, const ub_tensor *t, ub_error *err);
/* *t, whose strings may belong to others, is replaced by such a copy (NULL on failure); tensors of
 * other dtypes stay. */
ub_status ubp_strings_own(ub_tensor **t, ub_error *err);
/* Copies the text of a row-major tensor of strings into the arena and points to it; nothing for
 * other dtypes. */
ub_status ubp_strings_keep(const ub_tensor *t, ubp_arena *arena, ub_error *err);
/* The character that terminated UTF-8 begins with, and its bytes (1 at the end, where it is 0). A
 * byte that begins none is U+FFFD. */
int ubp_utf8_next(const char *s, uint32_t *code);
/* Writes a character, at most 4 bytes, not terminated; returns how many. */
int ubp_utf8_put(char *s, uint32_t code);

/* ---- random.c ---------------------------------------------------------------------------------
 */

/* Philox4x32-10: four random words from a counter and a key. */
void ubp_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);
/* n values that hang on seed, stream and their place only. stream 0 of the normal ones is that of
 * ub_tensor_random_normal(). */
void ubp_random_normal(float *values, int64_t n, uint64_t seed, uint32_t stream);
/* From -bound to bound. */
void ubp_random_uniform(float *values, int64_t n, double bound, uint64_t seed, uint32_t stream);
/* Value i of ub_tensor_random_normal(seed). */
float ubp_random_normal_at(uint64_t seed, uint64_t i);

/* ---- index_parse.c ----------------------------------------------------------------------------
 */

/* A parsed index; arrays are owned. */
typedef struct ubp_index {
    int n;
    ub_index_item items[UB_MAX_RANK * 2];
    ub_tensor *arrays[UB_MAX_RANK * 2];
} ubp_index;

/* Text such as "[4, :, 10:20]"; the outer brackets may be left out. */
ub_status ubp_index_parse(ubp_index *out, const char *text, ub_error *err);
void ubp_index_release(ubp_index *ix);

#endif
