/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch: open trained neural networks one sample at a time.
 *
 * The file is in reading order: errors, tensors, simple calls, models, sessions, files.
 *
 * Ownership, once for the whole file: what comes back through `**out` is yours, free it with
 * ub_<thing>_free() (NULL is fine); a `const` pointer returned by value belongs to its parent and
 * dies with it; pointers given to a callback die when it returns.
 *
 * Errors: every fallible function returns a ub_status and fills *err when err is not NULL. The
 * library never prints, never exits, and keeps no global state.
 *
 * Threads: a ub_model is immutable and may be shared; a ub_session belongs to one thread at a time.
 */
#ifndef UNBATCH_H
#define UNBATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(UNBATCH_STATIC) || !defined(__GNUC__)
#define UB_API
#else
#define UB_API __attribute__((visibility("default")))
#endif

/* The version of the library, "MAJOR.MINOR.PATCH". */
UB_API const char *ub_version(void);

/* ------------------------------------------------------------------------------------------------
 * Errors
 * --------------------------------------------------------------------------------------------- */

/* The values are the exit codes of the command line tool. */
typedef enum ub_status {
    UB_OK = 0,
    UB_ERR_CHECK = 1,       /* a check did not hold */
    UB_ERR_ARGUMENT = 2,    /* bad argument, unknown or ambiguous name, index out of range */
    UB_ERR_FILE = 3,        /* a file cannot be read, is damaged, or cannot be written */
    UB_ERR_UNSUPPORTED = 4, /* the model asks for something this library does not do */
    UB_ERR_SHAPE = 5,       /* shapes or dtypes do not fit */
    UB_ERR_MEMORY = 6,      /* out of memory, or over the session's memory limit */
    UB_ERR_INTERNAL = 7,    /* a bug in this library */
    UB_ERR_CANCELLED = 130  /* the session's cancel flag was set */
} ub_status;

/* One error: filled by the function that found it, in the caller's own storage. */
typedef struct ub_error {
    ub_status code;
    int64_t offset;     /* byte offset in the file the message speaks of, or -1 */
    char message[1024]; /* one line: what was found, what was expected; never empty on failure */
} ub_error;

/* ------------------------------------------------------------------------------------------------
 * Tensors: strided views, as NumPy's
 * --------------------------------------------------------------------------------------------- */

enum { UB_MAX_RANK = 16 };

/*
 * Element types. The numbers are those of ONNX's TensorProto.DataType.
 *
 * Kinds of fewer than eight bits take a byte each in memory (so that any view of them can be
 * strided): int4 and int2 as the int8_t of that value, uint4 and uint2 as the uint8_t, the small
 * floats as their bits, the upper bits of the byte 0. Files pack them; they are unpacked on the way
 * in.
 *
 * Strings are pointers. A tensor that came through `**out` holds their text too; one you wrap
 * points to yours, which must stay as long as the tensor and its views.
 */
typedef enum ub_dtype {
    UB_UNDEFINED = 0,
    UB_F32 = 1,
    UB_U8 = 2,
    UB_I8 = 3,
    UB_U16 = 4,
    UB_I16 = 5,
    UB_I32 = 6,
    UB_I64 = 7,
    UB_STRING = 8, /* const char *, terminated UTF-8; NULL is "" */
    UB_BOOL = 9,   /* one byte, 0 or 1 */
    UB_F16 = 10,
    UB_F64 = 11,
    UB_U32 = 12,
    UB_U64 = 13,
    UB_C64 = 14,  /* complex: known by name, has no storage here */
    UB_C128 = 15, /* the same */
    UB_BF16 = 16,
    UB_F8E4M3FN = 17,   /* no infinity */
    UB_F8E4M3FNUZ = 18, /* no infinity, no -0 */
    UB_F8E5M2 = 19,
    UB_F8E5M2FNUZ = 20, /* no infinity, no -0 */
    UB_U4 = 21,
    UB_I4 = 22,
    UB_F4E2M1 = 23, /* neither infinity nor NaN */
    UB_F8E8M0 = 24, /* powers of two and NaN: the scales of MX formats */
    UB_U2 = 25,
    UB_I2 = 26,
    UB_F6E2M3 = 27, /* neither infinity nor NaN */
    UB_F6E3M2 = 28  /* the same */
} ub_dtype;

/* Bytes of one element, 0 where the dtype has no storage here. */
UB_API size_t ub_dtype_size(ub_dtype dtype);
/* NumPy's name ("float32", "bool") or that of ml_dtypes ("bfloat16", "float8_e4m3fn", "int4");
 * "undefined" for an unknown number. */
UB_API const char *ub_dtype_name(ub_dtype dtype);
/* The dtype NumPy's name stands for, UB_UNDEFINED if none. */
UB_API ub_dtype ub_dtype_from_name(const char *name);

typedef struct ub_buffer ub_buffer;

/*
 * A view of elements: element (i0, i1, ...) lies at data + i0*strides[0] + i1*strides[1] + ...
 * Read the fields freely. A ub_tensor made by value (ub_tensor_at, ub_tensor_slice, ub_tensor_wrap)
 * borrows the data of what it was made from and needs no freeing; one that came through `**out`
 * shares ownership of its data and is freed with ub_tensor_free().
 */
typedef struct ub_tensor {
    ub_dtype dtype;
    int rank;                     /* 0 for a scalar */
    int64_t dims[UB_MAX_RANK];    /* dims[0 .. rank-1], each >= 0 */
    int64_t strides[UB_MAX_RANK]; /* in bytes, may be 0 or negative */
    void *data;                   /* element (0, 0, ...) */
    ub_buffer *buffer;            /* what keeps data alive: counted by what came through `**out`,
                                     only named by views; NULL where the memory is yours */
} ub_tensor;

/* A new tensor, row-major, zero-filled. */
UB_API ub_status ub_tensor_new(ub_tensor **out, ub_dtype dtype, int rank, const int64_t *dims,
                               ub_error *err);
/* Releases a tensor that came through `**out`; NULL is fine. */
UB_API void ub_tensor_free(ub_tensor *t);
/* A row-major view of your own memory; nothing is copied or freed. */
UB_API ub_status ub_tensor_wrap(ub_tensor *view, void *data, ub_dtype dtype, int rank,
                                const int64_t *dims, ub_error *err);
/* Number of elements. */
UB_API int64_t ub_tensor_count(const ub_tensor *t);
/* Whether the elements lie row-major without gaps. */
UB_API bool ub_tensor_is_contiguous(const ub_tensor *t);

/* x[i] along the first axis, as a view: constant time, no allocation. Negative i counts from the
 * end. */
UB_API ub_status ub_tensor_at(ub_tensor *view, const ub_tensor *t, int64_t i, ub_error *err);
/* x[start:stop:step] along an axis, NumPy's rules, as a view; UB_SLICE_NONE leaves a bound out. */
#define UB_SLICE_NONE INT64_MIN
UB_API ub_status ub_tensor_slice(ub_tensor *view, const ub_tensor *t, int axis, int64_t start,
                                 int64_t stop, int64_t step, ub_error *err);

/* One part of a NumPy index. */
typedef enum ub_index_kind {
    UB_INDEX_INT,      /* value */
    UB_INDEX_SLICE,    /* start, stop, step; UB_SLICE_NONE where left out */
    UB_INDEX_ELLIPSIS, /* ... */
    UB_INDEX_NEWAXIS,  /* None */
    UB_INDEX_ARRAY     /* array: integers of any shape, or a boolean mask; borrowed */
} ub_index_kind;

typedef struct ub_index_item {
    ub_index_kind kind;
    int64_t value, start, stop, step;
    const ub_tensor *array;
} ub_index_item;

/* x[items...] with NumPy's basic and advanced indexing. A view of t where NumPy gives a view (it
 * then shares t's buffer, or t's memory where t only borrows), else a copy. */
UB_API ub_status ub_tensor_index_items(ub_tensor **out, const ub_tensor *t,
                                       const ub_index_item *items, int n_items, ub_error *err);
/* The same from text, with or without the outer brackets: "[4, :, 10:20]", "..., [0, 2], None",
 * "[[True, False, True]]". */
UB_API ub_status ub_tensor_index(ub_tensor **out, const ub_tensor *t, const char *text,
                                 ub_error *err);

/* Same elements, other dims; one dim may be -1. A view when strides allow, else a copy. */
UB_API ub_status ub_tensor_reshape(ub_tensor **out, const ub_tensor *t, int rank,
                                   const int64_t *dims, ub_error *err);
/* Axes in another order, as a view; axes NULL reverses them. */
UB_API ub_status ub_tensor_permute(ub_tensor *view, const ub_tensor *t, const int *axes,
                                   ub_error *err);
/* Without an axis of length 1; axis UB_ALL_AXES drops all of them. A view. */
#define UB_ALL_AXES INT32_MIN
UB_API ub_status ub_tensor_squeeze(ub_tensor *view, const ub_tensor *t, int axis, ub_error *err);
/* With a new axis of length 1 before `axis` (0 .. rank, or negative as NumPy's expand_dims). */
UB_API ub_status ub_tensor_expand_dims(ub_tensor *view, const ub_tensor *t, int axis,
                                       ub_error *err);
/* Broadcast to dims by NumPy's rules, as a view with strides of 0. */
UB_API ub_status ub_tensor_broadcast(ub_tensor *view, const ub_tensor *t, int rank,
                                     const int64_t *dims, ub_error *err);
/* A row-major copy. */
UB_API ub_status ub_tensor_copy(ub_tensor **out, const ub_tensor *t, ub_error *err);
/* A row-major copy in another dtype, as NumPy's astype (float to float rounds to nearest even). */
UB_API ub_status ub_tensor_cast(ub_tensor **out, const ub_tensor *t, ub_dtype dtype, ub_error *err);
/* Copies src into dst, which has the same dims; dtypes may differ, the two must not overlap. */
UB_API ub_status ub_tensor_copy_into(const ub_tensor *dst, const ub_tensor *src, ub_error *err);
/* NumPy's str() of the array with default print options; a string to free with ub_string_free(). */
UB_API ub_status ub_tensor_str(char **out, const ub_tensor *t, ub_error *err);
UB_API void ub_string_free(char *s);

/* Standard normal float32 values from Philox4x32-10 (Salmon et al., SC 2011) with Box-Muller: value
 * i depends on (seed, i) only, so any part of any batch is the same whoever makes it. */
UB_API ub_status ub_tensor_random_normal(ub_tensor **out, int rank, const int64_t *dims,
                                         uint64_t seed, ub_error *err);

/* ------------------------------------------------------------------------------------------------
 * Arrays and pictures in files
 * --------------------------------------------------------------------------------------------- */

/* Reads a .npy file, format 1 to 3, either byte order, C or Fortran order. Large files in the
 * machine's byte order are mapped, not read. */
UB_API ub_status ub_npy_load(ub_tensor **out, const char *path, ub_error *err);
/* The dtype a .npy file has for it: what NumPy lacks becomes float32 (bfloat16 and the smaller
 * floats), int8 (int4, int2) or uint8 (uint4, uint2), with the same values. */
UB_API ub_dtype ub_npy_dtype(ub_dtype dtype);
/* Writes a .npy file: to a temporary name in the same folder first, then renamed. */
UB_API ub_status ub_npy_save(const char *path, const ub_tensor *t, ub_error *err);
/* Reads .npy bytes from memory; the elements are copied. */
UB_API ub_status ub_npy_parse(ub_tensor **out, const void *bytes, size_t size, ub_error *err);
/* Makes the .npy bytes of a tensor; free them with ub_string_free(). */
UB_API ub_status ub_npy_format(char **out, size_t *size, const ub_tensor *t, ub_error *err);

/* The arrays of an .npz file, in file order. */
typedef struct ub_npz ub_npz;
UB_API ub_status ub_npz_load(ub_npz **out, const char *path, ub_error *err);
UB_API void ub_npz_free(ub_npz *z);
UB_API int ub_npz_count(const ub_npz *z);
UB_API const char *ub_npz_name(const ub_npz *z, int i);
UB_API const ub_tensor *ub_npz_tensor(const ub_npz *z, int i);
/* Writes n arrays, stored; to a temporary name first, then renamed. */
UB_API ub_status ub_npz_save(const char *path, const char *const *names,
                             const ub_tensor *const *tensors, int n, ub_error *err);

/* The tensors of a .safetensors file, in file order, or of all files that an index
 * (model.safetensors.index.json) names. They are views of the mapped file: do not change it while
 * they are used, and do not write to them. A tied tensor comes under all of its names. */
typedef struct ub_safetensors ub_safetensors;
UB_API ub_status ub_safetensors_load(ub_safetensors **out, const char *path, ub_error *err);
UB_API void ub_safetensors_free(ub_safetensors *s);
UB_API int ub_safetensors_count(const ub_safetensors *s);
UB_API const char *ub_safetensors_name(const ub_safetensors *s, int i);
UB_API const ub_tensor *ub_safetensors_tensor(const ub_safetensors *s, int i);

/* How a picture becomes a tensor. */
typedef struct ub_image_options {
    size_t size_of;     /* sizeof(ub_image_options) */
    int channels;       /* 1 grey, 3 RGB; 0: as the file has */
    int width, height;  /* resized to this (antialiased, triangle filter); 0: as the file has */
    bool channels_last; /* false: (1, C, H, W); true: (1, H, W, C) */
    double scale;       /* value = (byte * scale - mean[c]) / std[c]; default 1/255 */
    double mean[4];     /* default 0 */
    double std[4];      /* default 1 */
} ub_image_options;
#define UB_IMAGE_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(ub_image_options), 0, 0, 0, false, 1.0 / 255.0, {0, 0, 0, 0},                       \
        {                                                                                          \
            1, 1, 1, 1                                                                             \
        }                                                                                          \
    }

/* Reads a PNG or JPEG file into a float32 batch of one. */
UB_API ub_status ub_image_load(ub_tensor **out, const char *path, const ub_image_options *options,
                               ub_error *err);
/* Reads every .png, .jpg and .jpeg of a folder, in the order of their names, into one batch; all
 * must come out the same size. */
UB_API ub_status ub_image_load_folder(ub_tensor **out, const char *path,
                                      const ub_image_options *options, ub_error *err);

/* ------------------------------------------------------------------------------------------------
 * Simple call
 * --------------------------------------------------------------------------------------------- */

/*
 * One layer's input or output from a model file, in one call:
 *
 *     ub_get_file(&t, "resnet50.onnx", "layer3.0.conv1:in[4]", x, &err);
 *
 * `what` is an address, see ub_get(). x is the model's only input (batch and all).
 */
UB_API ub_status ub_get_file(ub_tensor **out, const char *path, const char *what,
                             const ub_tensor *x, ub_error *err);

/* ------------------------------------------------------------------------------------------------
 * Models: immutable, shared between threads
 * --------------------------------------------------------------------------------------------- */

typedef struct ub_model ub_model;

/* Opens a model file (.onnx). Weights stay in the file until they are used; do not change the file
 * while the model is open. */
UB_API ub_status ub_open(ub_model **out, const char *path, ub_error *err);

typedef struct ub_open_options {
    size_t size_of; /* sizeof(ub_open_options) */
    /* A .safetensors file (or the index of several) or an .npz: each array replaces the weight of
     * that name: PyTorch's keys ("layer1.0.conv1.weight"), "layer/kernel" of Keras. Shapes must be
     * equal; floats of another size are converted. ub_model_note() tells which names have no
     * counterpart. Refused where an exporter has changed the weights (folded BatchNorm). */
    const char *weights;
} ub_open_options;
#define UB_OPEN_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(ub_open_options), (const char *)0                                                   \
    }
/* Opens a model file in another than the usual way; options NULL: the usual one. */
UB_API ub_status ub_open_with(ub_model **out, const char *path, const ub_open_options *options,
                              ub_error *err);
/* The same from memory, which must outlive the model. External data cannot be reached. */
UB_API ub_status ub_open_memory(ub_model **out, const void *bytes, size_t size, ub_error *err);
UB_API void ub_model_free(ub_model *m);
/* What opening had to say besides the model, one line, or "". */
UB_API const char *ub_model_note(const ub_model *m);

/* What a value is when the model runs. */
typedef enum ub_kind {
    UB_KIND_TENSOR,
    UB_KIND_SEQUENCE,         /* a list of tensors */
    UB_KIND_OPTIONAL,         /* a tensor, or nothing */
    UB_KIND_OPTIONAL_SEQUENCE /* a list of tensors, or nothing */
} ub_kind;

/* What a model says of one of its inputs or outputs. */
typedef struct ub_port {
    const char *name;
    ub_dtype dtype;
    int rank;                           /* -1: not said */
    int64_t dims[UB_MAX_RANK];          /* -1 where free */
    const char *dim_names[UB_MAX_RANK]; /* the name of a free dim ("batch"), or NULL */
    int batch_axis;                     /* where the samples are; -1: none */
    ub_kind kind;                       /* of a list nothing else is said */
} ub_port;

UB_API int ub_model_input_count(const ub_model *m);
UB_API int ub_model_output_count(const ub_model *m);
UB_API const ub_port *ub_model_input(const ub_model *m, int i);
UB_API const ub_port *ub_model_output(const ub_model *m, int i);

/* A layer: the user's name for a part of the model, with the values that cross its border. Of a
 * module of PyTorch those are tensors that its operations read and did not make, each once, in the
 * order of first use (which in a .pt2 file need not be that of the arguments, unless the module was
 * exported with preserve_module_call_signature), and tensors of it that others read. A module that
 * several own goes by the path it is called by. Calls are counted as PyTorch counts them; one that
 * runs no operation (the second of an Identity) leaves nothing in the file and is no
 * layer. */
typedef struct ub_layer {
    const char *name;    /* what to type: "layer3.0.conv1"; second call "fc1#1" */
    const char *type;    /* "Conv2d" where the file tells, else the ONNX op, else "" */
    int depth;           /* 1 for top-level modules */
    bool is_node;        /* made from an ONNX node, not from a module of the framework */
    int n_inputs;        /* how many values cross into it, as the file has them */
    int n_outputs;       /* how many come out of it */
    int64_t n_params;    /* elements of its weights, those of its sub-layers included */
    const char *missing; /* NULL, or why its input or output is not in the file (folded) */
} ub_layer;

UB_API int ub_model_layer_count(const ub_model *m);
UB_API const ub_layer *ub_model_layer(const ub_model *m, int i);

/* ------------------------------------------------------------------------------------------------
 * Sessions: one model, one set of inputs, one thread
 * --------------------------------------------------------------------------------------------- */

typedef struct ub_session ub_session;

typedef struct ub_session_options {
    size_t size_of;      /* sizeof(ub_session_options) */
    int threads;         /* 0: as many as the machine has cores */
    size_t memory_limit; /* bytes for values and scratch; 0: no limit */
    bool reference;      /* only the plain C kernels, for checking */
    bool alone;          /* each sample as if run by itself, also where the model mixes samples */
    /* Set to non-zero (from a signal handler or another thread) to stop: UB_ERR_CANCELLED. */
    const volatile int *cancel;
    /* Called between steps with the share done, 0 to 1; may be NULL. */
    void (*progress)(double done, void *payload);
    void *payload;
    /* Bytes for values kept from one request for the next ones, which then start from them: what
     * was asked for, and inner values on the way to it as far as they fit. 0: none. All are
     * forgotten when a value is given or taken back. The tensors you get share the kept memory: do
     * not write to them; and change a given tensor only by giving it again. */
    size_t cache_bytes;
} ub_session_options;
#define UB_SESSION_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(ub_session_options), 0, 0, false, false, (const volatile int *)0, 0, (void *)0, 0   \
    }

/* options NULL: the defaults. The model must outlive the session. A session keeps the memory of
 * large tensors that were freed for its next results, at most what one request had in use. */
UB_API ub_status ub_session_new(ub_session **out, const ub_model *m,
                                const ub_session_options *options, ub_error *err);
UB_API void ub_session_free(ub_session *s);

/* Gives a value to a model input (name NULL: the only one), or to any inner value by its address
 * ("layer2", "layer3:in"): what lies above is then not computed and not asked for. The tensor is
 * borrowed and must stay until it is replaced or the session ends. dtype and dims must fit. What
 * was computed and is given again leads to the same bits, but for the result of a Pad in front of a
 * Conv: the Conv pads by itself when it is computed, and reads what is given when it is given. */
UB_API ub_status ub_session_set(ub_session *s, const char *name, const ub_tensor *value,
                                ub_error *err);
/* The same for an input that is a sequence (n elements, perhaps none) or an optional (n 0 or 1; of
 * a sequence: elements NULL for nothing). The tensors are borrowed like value. */
UB_API ub_status ub_session_set_list(ub_session *s, const char *name,
                                     const ub_tensor *const *elements, int n, ub_error *err);
/* Takes all given values back. */
UB_API void ub_session_clear(ub_session *s);

/*
 * One value:
 *
 *     NAME[#CALL][:in[K]|:out[K]][SLICE]
 *
 * NAME is a layer, a node or a tensor of the file; CALL which use of a layer used several times;
 * :in or :out (the default) which side, K which of several (":in1" is the second input). SLICE is
 * NumPy's, and its first index is always the sample, wherever the batch is stored: [4] of a (T, N,
 * C) value is (T, C). Only what the asked samples need is computed. Without SLICE the value comes
 * whole, as stored.
 */
UB_API ub_status ub_get(ub_tensor **out, ub_session *s, const char *what, ub_error *err);
/*
 * Inside If, Loop, Scan and SequenceMap the address says where:
 *
 *     IF/then/NAME    IF/else/NAME    LOOP/K/NAME    SCAN/K/NAME
 *
 * IF, LOOP: a node (without a name of its own: that of its first output); K the iteration, from 0;
 * NAME a node or tensor of the body, or such an address again. A branch or iteration that did not
 * run is UB_ERR_ARGUMENT and says what ran. LIST/K is element K of a sequence (of an optional: of
 * what it holds), wherever LIST is; a sequence as a whole comes from ub_get_list().
 */
/* Several values in one run; on failure none is returned. */
UB_API ub_status ub_get_many(ub_tensor **out, ub_session *s, const char *const *what, int n,
                             ub_error *err);
/* Makes the plan that ub_get_many() of the same would run, and chooses its kernels, without running
 * anything; a later get of the same finds it. Values inside bodies and lists have no plan. */
UB_API ub_status ub_prepare(ub_session *s, const char *const *what, int n, ub_error *err);
/* Like ub_get, but SLICE indexes the stored shape. */
UB_API ub_status ub_get_raw(ub_tensor **out, ub_session *s, const char *what, ub_error *err);
/* All elements of a sequence or an optional, in one run; a tensor comes as the only element. what:
 * an address without SLICE. The elements are stored as the model makes them. */
typedef struct ub_list ub_list;
UB_API ub_status ub_get_list(ub_list **out, ub_session *s, const char *what, ub_error *err);
UB_API void ub_list_free(ub_list *l);
UB_API ub_kind ub_list_kind(const ub_list *l);
/* Elements; 0 for an optional that holds nothing. */
UB_API int64_t ub_list_count(const ub_list *l);
/* Whether an optional holds something; true for what is no optional. */
UB_API bool ub_list_filled(const ub_list *l);
UB_API const ub_tensor *ub_list_at(const ub_list *l, int64_t i);
/* What the last get had to say besides its answer ("sample 4 depends on its batch through node
 * ..."), "" when nothing. Valid until the next call on s. */
UB_API const char *ub_session_note(const ub_session *s);

/* Whether an address stands for a tensor or a list, as far as the file and its operators tell. */
UB_API ub_status ub_value_kind(ub_kind *out, const ub_model *m, const char *what, ub_error *err);

/* The addresses a pattern stands for, in the model's order: "layer3.*", "**", "@inputs",
 * "@outputs", or one exact address. */
typedef struct ub_names ub_names;
UB_API ub_status ub_match(ub_names **out, const ub_model *m, const char *pattern, ub_error *err);
/* The class labels that the columns of a classifier's scores have: for the output of ai.onnx.ml's
 * ZipMap (which is the tensor of scores here) and for the scores of its classifiers. *out is NULL
 * where there are none. */
UB_API ub_status ub_columns(ub_names **out, const ub_model *m, const char *what, ub_error *err);
UB_API void ub_names_free(ub_names *n);
UB_API int ub_names_count(const ub_names *n);
UB_API const char *ub_names_at(const ub_names *n, int i);

/* ------------------------------------------------------------------------------------------------
 * Looking at a model: shapes, costs, where the samples are
 * --------------------------------------------------------------------------------------------- */

/* One layer under the session's inputs. */
typedef struct ub_row {
    const ub_layer *layer;
    ub_tensor in;        /* dtype and dims of its first input; rank -1: unknown; data NULL */
    ub_tensor out;       /* of its first output */
    int64_t macs;        /* multiply-accumulates for all samples, -1: unknown */
    int batch_axis;      /* of the output; -1: none */
    int64_t batch_inner; /* entries a sample has along that axis (1 unless folded) */
    const char *mixed;   /* NULL, or why a sample of it depends on other samples */
} ub_row;

typedef struct ub_summary ub_summary;
/* Works out every layer's shapes without running anything. Inputs need shapes only: tensors set
 * with data NULL will do. Inputs not set get the model's own shapes, free dims 1. */
UB_API ub_status ub_summarize(ub_summary **out, ub_session *s, ub_error *err);
UB_API void ub_summary_free(ub_summary *sum);
UB_API int ub_summary_count(const ub_summary *sum);
UB_API const ub_row *ub_summary_row(const ub_summary *sum, int i);

/* One value inside a body of If, Loop, Scan or SequenceMap. */
typedef struct ub_inner {
    const char *address; /* for ub_get(): "IF/then/x", "LOOP/K/x" with a number for each K */
    const char *type;    /* of the node that gives it; "" for an input of the body */
    const char *holder;  /* the node of the model's own graph that it is in */
    int depth;           /* bodies around it, 1 at least */
    ub_kind kind;
    ub_dtype dtype;            /* as the file says, or UB_UNDEFINED */
    int rank;                  /* as the file says; -1: it does not */
    int64_t dims[UB_MAX_RANK]; /* -1 where free */
} ub_inner;

/* What the bodies of the model hold, in its order; borrowed from sum. NULL when out of range. */
UB_API int ub_summary_inner_count(const ub_summary *sum);
UB_API const ub_inner *ub_summary_inner(const ub_summary *sum, int i);
/* Ops in the model that this library does not know, one line ("Foo (domain, opset 3)"), or "". */
UB_API const char *ub_model_unsupported(const ub_model *m);

/* One step of the last run, for finding where the time goes. A large batch may run in blocks of
 * samples: figures are then of all blocks together. */
typedef struct ub_step {
    const char *name;   /* node name */
    const char *op;     /* "Conv+Relu" */
    const char *kernel; /* "brgconv:avx512_core", "reference" */
    double ms;          /* of the last run */
    double gflop;       /* 0 where not counted */
    double gbyte;       /* what it reads and writes, each once */
} ub_step;
/* Turns the clock on or off for the session's runs. */
UB_API void ub_session_profile(ub_session *s, bool on);
UB_API int ub_session_step_count(const ub_session *s);
UB_API const ub_step *ub_session_step(const ub_session *s, int i);

/* What a session did so far. */
typedef struct ub_session_counts {
    size_t size_of;       /* sizeof(ub_session_counts) */
    int64_t plans, steps; /* plans made; kernel calls and copies run */
    double plan_ms;       /* time that making plans took, all of them together */
    int64_t reused;       /* values taken from cache_bytes instead of being computed */
    size_t cached_bytes;  /* what is kept there now */
} ub_session_counts;
#define UB_SESSION_COUNTS_INIT                                                                     \
    {                                                                                              \
        sizeof(ub_session_counts), 0, 0, 0, 0, 0                                                   \
    }
UB_API void ub_session_count(const ub_session *s, ub_session_counts *out);

/* ------------------------------------------------------------------------------------------------
 * Checks: are a sample's bits its own, where do samples mix, where does a NaN begin
 * --------------------------------------------------------------------------------------------- */

typedef enum ub_verdict {
    UB_HOLDS,  /* looked at and found to hold */
    UB_BROKEN, /* looked at and found not to hold */
    UB_MIXES,  /* the model itself mixes samples here */
    UB_UNKNOWN /* could not be looked at; detail says why */
} ub_verdict;

/* One line of a report. */
typedef struct ub_finding {
    ub_verdict verdict;
    const char *what;      /* the address of the value it is about, or "" */
    const char *node, *op; /* the node it is about and its operator, or "" */
    const char *detail;    /* one line for people, or "" */
    int64_t sample;        /* the first sample concerned, or -1 */
    const bool *samples;   /* [n_samples] all that are; NULL where not told apart */
    int64_t n_samples;
    int rank;                    /* of index; -1: no element is pointed at */
    int64_t index[UB_MAX_RANK];  /* of the first element concerned, in the stored shape */
    int64_t compared, differing; /* elements */
    double worst;                /* largest absolute difference */
    double relative;             /* the same over the value's largest magnitude */
} ub_finding;

typedef struct ub_report ub_report;
UB_API void ub_report_free(ub_report *r);
UB_API int ub_report_count(const ub_report *r);
UB_API const ub_finding *ub_report_at(const ub_report *r, int i);
/* Whether no finding is UB_BROKEN. */
UB_API bool ub_report_holds(const ub_report *r);

/*
 * Runs the session's inputs in many ways: each sample alone, the whole batch and parts of it in
 * other orders, with 1, 2, 3 and 5 threads, each value by itself and all together, twice; and
 * compares bits. One finding a value; what: its addresses, none (n 0): every layer's inputs and
 * outputs. Values whose samples the model mixes are compared between runs of the whole batch only.
 */
UB_API ub_status ub_check_invariance(ub_report **out, ub_session *s, const char *const *what, int n,
                                     ub_error *err);
/*
 * Audits another engine by what it gave for the session's inputs: array NAME holds its value NAME
 * for the whole batch, and NAME.alone the values of the samples run one by one, put together. One
 * finding for each NAME that has both: do they have the same bits, and by how much does a sample
 * drift; and one for each NAME against this library's value (never UB_BROKEN).
 */
UB_API ub_status ub_check_against(ub_report **out, ub_session *s, const ub_npz *other,
                                  ub_error *err);
/*
 * One finding for each node where samples mix (UB_MIXES), with the reason and the layers behind it.
 * Inputs may be shapes only; with data there is one more finding for each output: by how much its
 * samples move (relative) when they are run alone or when their neighbours are 20 times as large.
 */
UB_API ub_status ub_check_coupling(ub_report **out, ub_session *s, ub_error *err);
/*
 * The first value in data-flow order that holds a NaN, and the first that holds an infinity, with
 * element, samples, and the ranges of what its node read; then each output that holds one. No
 * findings: all is finite.
 */
UB_API ub_status ub_check_nan(ub_report **out, ub_session *s, ub_error *err);

#ifdef __cplusplus
}
#endif

/* Building models, in the words of Keras and PyTorch. */
#include "unbatch_nn.h"

#endif
