/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onednn: private header of the kernels over oneDNN. One spec (plain numbers) describes a
 * primitive; the session keeps the primitives and the packed weights that its kernels use.
 *
 * How the bitwise promise is kept (measurements: docs/decisions/onednn-kernels.md). oneDNN
 * chooses blocks, and with them the order of additions, from the batch and from the number of
 * threads that are current when a primitive is created. So convolutions and poolings are created
 * for ONE sample and a FIXED number of threads, and run once for each sample; only how the finished
 * primitive's work is handed to threads differs from run to run, and that does not move a sum.
 */
#ifndef UBP_ONEDNN_H
#define UBP_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>

#include "ops/attrs.h"
#include "ops/fast.h"

/* Threads that primitives are created for, whatever the session has; convolutions with kernels over
 * 1x1 do better with fewer (ResNet-50 on two threads: 9.0 ms for 32, 8.8 for 16, 8.8 for 2). */
enum {
    UBP_DN_THREADS = 32,
    UBP_DN_WINDOW_THREADS = 16,
    UBP_DN_BLOCK = 8, /* channels of a block */
    UBP_DN_SPATIAL = 3,
    UBP_DN_RANK = 6,
    UBP_DN_NAME = 64
};

/* Samples of a batch of n that one convolution primitive takes. With UB_MEASURE_WHOLE_BATCH it is
 * all of them, which breaks the bitwise promise: bench/bits.py measures what that costs with it. */
#ifdef UB_MEASURE_WHOLE_BATCH
#define UBP_DN_CONV_SAMPLES(n) (n)
#else
#define UBP_DN_CONV_SAMPLES(n) ((void)(n), 1)
#endif

/* ---- dn_api.c: what differs between oneDNN 2 and 3 ---------------------------------------------
 */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t ubp_dn_desc;        /* owned */
typedef const_dnnl_memory_desc_t ubp_dn_const; /* borrowed */
#else
typedef dnnl_memory_desc_t *ubp_dn_desc;
typedef const dnnl_memory_desc_t *ubp_dn_const;
#endif

typedef enum ubp_dn_kind {
    UBP_DN_CONV = 1,
    UBP_DN_AVERAGE_POOL, /* pads do not count */
    UBP_DN_AVERAGE_POOL_PADS,
    UBP_DN_MATMUL,
    UBP_DN_LAYER_NORM /* weights and bias are scale and shift */
} ubp_dn_kind;

/* A float32 operand. Strides count elements; all zero: as the primitive likes it. */
typedef struct ubp_dn_operand {
    int64_t rank;  /* 0: none */
    int64_t block; /* UBP_DN_BLOCK: an image in blocks of channels, whatever strides say; or 0 */
    int64_t dims[UBP_DN_RANK], strides[UBP_DN_RANK];
} ubp_dn_operand;

/* Everything a primitive is made from. Numbers only, zeroed before it is filled, so that equal
 * specs are equal bytes. */
typedef struct ubp_dn_spec {
    int64_t kind, n, threads, sum;
    int64_t affine;              /* each channel of the result times a number, plus one */
    int64_t act;                 /* dnnl_alg_kind_t of an activation done inside, 0: none */
    int64_t act_alpha, act_beta; /* the bits of floats */
    int64_t epsilon;             /* the bits of a float */
    ubp_dn_operand src, weights, bias, dst;
    int64_t kernel[UBP_DN_SPATIAL], stride[UBP_DN_SPATIAL], dilation[UBP_DN_SPATIAL];
    int64_t begin[UBP_DN_SPATIAL], end[UBP_DN_SPATIAL];
} ubp_dn_spec;

dnnl_status_t ubp_dn_desc_new(ubp_dn_desc *out, const ubp_dn_operand *o);
/* A number for each channel of the result. */
ubp_dn_operand ubp_dn_channels(const ubp_dn_spec *s);
dnnl_status_t ubp_dn_desc_copy(ubp_dn_desc *out, ubp_dn_const d);
void ubp_dn_desc_free(ubp_dn_desc d); /* NULL is fine */
/* Finds the first implementation of spec that takes(name) accepts; *out NULL when there is none. */
dnnl_status_t ubp_dn_find(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const ubp_dn_spec *spec,
                          bool (*takes)(const char *name));
dnnl_status_t ubp_dn_reorder_new(dnnl_primitive_t *out, dnnl_engine_t engine, ubp_dn_const from,
                                 ubp_dn_const to);
dnnl_status_t ubp_dn_memory_new(dnnl_memory_t *out, dnnl_engine_t engine, ubp_dn_const d,
                                void *data);

/* ---- dn_session.c: engine, primitives and packed weights of one session -------------------------
 */

typedef struct ubp_dn_prim {
    struct ubp_dn_prim *next;
    int refs;
    ubp_dn_spec spec;
    dnnl_primitive_desc_t desc;
    _Atomic(dnnl_primitive_t) primitive;           /* made on the first use, under the lock */
    ubp_dn_const src, weights, bias, dst, scratch; /* borrowed from desc */
    size_t scratch_bytes;
    char name[UBP_DN_NAME];
} ubp_dn_prim;

/* Weights in a primitive's own layout. */
typedef struct ubp_dn_packed {
    struct ubp_dn_packed *next;
    int refs;
    const void *from; /* the constant; it outlives every kernel that refers to this */
    ubp_dn_operand shape;
    ubp_dn_desc desc;
    void *data;
} ubp_dn_packed;

struct ubp_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int team;  /* samples that may be computed at once */
    int cores; /* of this machine, at most UBP_DN_THREADS */
    ubp_dn_prim *prims;
    ubp_dn_packed *packed;
    ubp_pages pages; /* of the packed weights */
    /* Of what runs make when they first need it: code of primitives, packed weights. Several runs
     * may go on at once, plans are made and freed between them. */
    pthread_mutex_t lock;
};

/* The primitive of spec, made when there is none yet; UBP_DECLINED when no implementation is
 * taken. Release it with ubp_dn_prim_release(). */
ub_status ubp_dn_prim_get(ubp_dn_prim **out, ubp_onednn *d, const ubp_dn_spec *spec,
                          bool (*takes)(const char *name), const ubp_call *call);
void ubp_dn_prim_release(ubp_onednn *d, ubp_dn_prim *p);
/* Makes p->primitive if it is not there yet. */
ub_status ubp_dn_prim_ready(ubp_onednn *d, ubp_dn_prim *p, const ubp_call *call);
/* Constant weights at `from`, laid out as `shape` says, in the layout `to`. */
ub_status ubp_dn_packed_get(ubp_dn_packed **out, ubp_onednn *d, const void *from,
                            const ubp_dn_operand *shape, ubp_dn_const to, const ubp_call *call);
void ubp_dn_packed_release(ubp_onednn *d, ubp_dn_packed *p);
/* UB_ERR_INTERNAL (or MEMORY) that names the node and what oneDNN said. */
ub_status ubp_dn_fail(const ubp_call *call, dnnl_status_t status, const char *doing);

/* ---- dn_fast.c: a prepared kernel
 * ---------------------------------------------------------------- */

enum { UBP_DN_POSTS = 4 };

/* A memory object and what it is bound to. */
typedef struct ubp_dn_bound {
    dnnl_memory_t memory; /* NULL: none */
    const void *data;
} ubp_dn_bound;

/* Those that one thread binds to a sample's data. */
typedef struct ubp_dn_slot {
    ubp_dn_bound src, dst, scratch;
} ubp_dn_slot;

typedef struct ubp_dn_pooling ubp_dn_pooling;     /* dn_max_pool.c */
typedef struct ubp_dn_recurrent ubp_dn_recurrent; /* dn_rnn.c */
typedef struct ubp_dn_spread ubp_dn_spread;       /* dn_conv_transpose.c */

struct ubp_fast {
    ubp_onednn *d;
    ubp_dn_prim *prim;       /* NULL: not oneDNN's */
    ubp_dn_prim *acting;     /* the same with the first posts inside; NULL: none */
    int n_inside;            /* how many */
    ubp_dn_pooling *pooling; /* owned */
    ubp_dn_recurrent *rnn;   /* owned */
    ubp_dn_spread *spread;   /* owned */
    size_t own_scratch;      /* of what has no prim: bytes of scratch memory */
    ub_status (*run)(ubp_fast *f, const ubp_call *call, void *scratch);
    /* The call is `items` runs of the primitive. */
    int64_t items;
    size_t src_item, dst_item; /* bytes from one item to the next */
    bool serial;               /* one thread an item: the implementation splits sums over threads */
    int threads;               /* that its primitives are made for; 0: as many as pay */
    bool light;                /* too little work in an item to share it between threads */
    int64_t interleave;        /* channels to bring from planes to channels-last; 0: none */
    int64_t plane;             /* pixels of a plane */
    bool blocked;              /* the primitive wants and gives images in blocks of channels */
    size_t slot_bytes;         /* of scratch memory for each thread */
    size_t src_bytes;          /* of them, for the source in another layout */
    size_t dst_bytes;          /* and for the result in blocks */
    int team;                  /* slots that scratch has room for */
    ubp_dn_operand weights_shape;
    bool constant; /* weights are packed on the first run, else they lie as the primitive wants */
    ubp_dn_packed *packed;
    const void *row; /* the bias of a post; NULL: that of the call */
    ubp_dn_bound weights, bias;
    ubp_affine by;          /* a factor and a shift for each channel, where a post asks for them */
    float *numbers;         /* owned: those of `by`, if they are its own */
    ubp_dn_bound affine[2]; /* they, for primitives that have them inside */
    ubp_dn_slot *slots;     /* [n_slots] */
    int n_slots;
    int n_posts;
    ubp_post posts[UBP_DN_POSTS];
    int64_t post_count; /* elements of dst in an item */
};

/* Takes the posts from `first` on into f; false: some is not served. */
bool ubp_dn_take_posts(ubp_fast *f, const ubp_post *posts, int first, int n);
/* dn_items.c: f->run of what is made for one sample, and of what takes all at once. */
ub_status ubp_dn_run_items(ubp_fast *f, const ubp_call *call, void *scratch);
ub_status ubp_dn_run_whole(ubp_fast *f, const ubp_call *call, void *scratch);
/* Does nothing where b is bound to data already, as it mostly is from the run before. */
dnnl_status_t ubp_dn_bind(ubp_dn_bound *b, const void *data);
/* Weights, bias and at least n slots are ready. Allocates on the first run only. */
ub_status ubp_dn_fast_bind(ubp_fast *f, const ubp_call *call, int n);
/* Runs the posts from `first` on over count elements at data, where they lie. */
ub_status ubp_dn_run_posts(const ubp_fast *f, const ubp_call *call, int first, void *data,
                           int64_t count, int threads);
/* The primitive of this run: the one with posts inside, unless the run is careful. */
ubp_dn_prim *ubp_dn_prim_now(const ubp_fast *f, const ubp_call *call);
/* Puts the primitive of spec in the place of f->prim if it is the same implementation with the same
 * packed weights (whatever the weights, where it works on blocks and f->prim does not). */
ub_status ubp_dn_trade(ubp_fast *f, const ubp_dn_spec *spec, bool (*takes)(const char *name),
                       bool *traded, const ubp_call *call);
/* Puts in the place of f->prim one that is made for the threads of this machine, if f->prim is of a
 * family where that moves no sum. */
ub_status ubp_dn_fit_cores(ubp_fast *f, bool (*takes)(const char *name), const ubp_call *call);
/* Whether brgconv_1x1 derives the block of input channels from the packed weights alone: that of
 * oneDNN 2 does on caches of half a megabyte and up. */
bool ubp_dn_cuts_by_weights(void);
/* Adds each output up in one chain, whatever the batch and the threads. */
bool ubp_dn_one_chain(const ubp_dn_prim *p);
/* Runs the primitive p of f on slot's memory with at most `threads` threads. */
dnnl_status_t ubp_dn_execute(const ubp_fast *f, const ubp_dn_prim *p, const ubp_dn_slot *slot,
                             int threads);

/* Fills an operand from a tensor; false: strides that oneDNN cannot take, or too large. */
bool ubp_dn_operand_of(ubp_dn_operand *o, const ub_tensor *t);
/* One sample of the image t, in channels-last. */
bool ubp_dn_operand_of_image(ubp_dn_operand *o, const ub_tensor *t);
/* Sets t's strides to channels-last without gaps; dims are (N, C, ...). */
void ubp_dn_channels_last(ub_tensor *t);

/* dn_block.c: one image between pixels of all channels and blocks of channels. */
typedef struct ubp_dn_image {
    int64_t channels; /* a multiple of UBP_DN_BLOCK */
    int64_t pixels;
} ubp_dn_image;
/* dst[channels / 8][pixels][8] = src[pixels][channels] */
void ubp_dn_to_blocks(float *dst, const float *src, const ubp_dn_image *image, int threads);
/* dst[pixels][channels] = src[channels / 8][pixels][8] */
void ubp_dn_from_blocks(float *dst, const float *src, const ubp_dn_image *image, int threads);
/* One sample's image in operand o. */
ubp_dn_image ubp_dn_image_of(const ubp_dn_operand *o);

/* ---- one file an operator
 * ------------------------------------------------------------------------ */

typedef struct ubp_dn_request {
    const ubp_call *call;
    const ubp_post *posts;
    int n_posts;
    ub_tensor *want;
    int threads; /* 1: only ever run by one thread; 0: by any number */
} ubp_dn_request;

/* As ubp_fast_prepare(). */
ub_status ubp_dn_fast_new(ubp_fast **out, ubp_onednn *d, const ubp_dn_request *r, size_t *scratch);

/* Each fills f (new, zeroed) or gives UBP_DECLINED. */
ub_status ubp_dn_conv(ubp_fast *f, const ubp_dn_request *r);         /* dn_conv.c */
ub_status ubp_dn_average_pool(ubp_fast *f, const ubp_dn_request *r); /* dn_average_pool.c */
ub_status ubp_dn_max_pool(ubp_fast *f, const ubp_dn_request *r);     /* dn_max_pool.c */
ub_status ubp_dn_matmul(ubp_fast *f, const ubp_dn_request *r);       /* dn_matmul.c */
ub_status ubp_dn_layer_norm(ubp_fast *f, const ubp_dn_request *r);   /* dn_layer_norm.c */
ub_status ubp_dn_batch_norm(ubp_fast *f, const ubp_dn_request *r);   /* dn_batch_norm.c */
ub_status ubp_dn_rnn(ubp_fast *f, const ubp_dn_request *r);          /* dn_rnn.c */
void ubp_dn_rnn_free(ubp_dn_recurrent *rnn);
ub_status ubp_dn_conv_transpose(ubp_fast *f, const ubp_dn_request *r); /* dn_conv_transpose.c */
void ubp_dn_spread_free(ubp_dn_spread *s);

#endif
