/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: bytes and containers. Mapped files, atomic writing, protobuf, npy, npz,
 * safetensors, pictures. Knows no networks. All bytes it reads are untrusted. The public parts
 * (ub_npy_*, ub_npz_*, ub_safetensors_*, ub_image_*) are declared in unbatch.h.
 */
#ifndef UBP_FILE_H
#define UBP_FILE_H

#include "tensor/tensor.h"

/* ---- mapping.c ---------------------------------------------------------------------------------
 */

/* A whole file, read-only in memory; buffer->data, buffer->size. An empty file gives size 0. */
ub_status ubp_map_file(ub_buffer **out, const char *path, ub_error *err);
/* The same, and writable: what is written there stays in memory, the file does not change. */
ub_status ubp_map_file_private(ub_buffer **out, const char *path, ub_error *err);

/* How a mapping will be read. Nothing happens to buffers that are no mapping of ubp_map_file(). */
typedef enum ubp_map_advice {
    UBP_MAP_NORMAL,
    UBP_MAP_SPARSE, /* few bytes here and there: the disk should not read ahead */
    UBP_MAP_FORGET  /* what was read is not resident any more; it can be read again */
} ubp_map_advice;
void ubp_map_advise(const ub_buffer *b, ubp_map_advice advice);

/* ---- writing.c: nothing is lost ---------------------------------------------------------------
 */

/* A file being written under a temporary name in the folder of path. */
typedef struct ubp_output {
    char *path, *temp_path; /* temp_path NULL: path is no regular file and written to directly */
    int fd;
} ubp_output;

ub_status ubp_output_open(ubp_output *out, const char *path, ub_error *err);
ub_status ubp_output_write(ubp_output *out, const void *bytes, size_t size, ub_error *err);
/* Opens temp_path again, after something else wrote a file of that name. */
ub_status ubp_output_reopen(ubp_output *out, ub_error *err);
/* Flushes to disk, closes and renames; on failure the temporary file is gone. */
ub_status ubp_output_commit(ubp_output *out, ub_error *err);
/* Closes and removes the temporary file. Fine after a failed open, and after commit. */
void ubp_output_abort(ubp_output *out);

/* ---- npy_header.c, npy.c -----------------------------------------------------------------------
 */

typedef struct ubp_npy_header {
    ub_dtype dtype;
    bool swap;    /* the elements are in the other byte order */
    bool fortran; /* first axis runs fastest */
    bool text;    /* dtype S or U: dims have one more, for the characters of a string, which are the
                     elements (uint8, uint32); see ubp_npy_strings() */
    int rank;
    int64_t dims[UB_MAX_RANK];
    int64_t characters; /* of text */
    size_t size;        /* bytes before the elements */
} ubp_npy_header;

/* The first bytes that tell how long the header is, and the longest that is read. */
enum { UBP_NPY_PREFIX = 12, UBP_NPY_MAX_HEADER = 1 << 16 };

/* Length of the header from the file's first bytes. */
ub_status ubp_npy_header_size(size_t *size, const uint8_t *bytes, size_t available, ub_error *err);
ub_status ubp_npy_header_parse(ubp_npy_header *h, const void *bytes, size_t size, ub_error *err);
/* Dims and strides of the elements as they lie in the file; data and buffer NULL. */
ub_status ubp_npy_header_tensor(ub_tensor *t, const ubp_npy_header *h, ub_error *err);
/* Makes elements as they lie in the file ours: byte order, bools 0 or 1. */
void ubp_npy_to_host(const ubp_npy_header *h, void *data, size_t bytes);
/* The header NumPy would write for row-major elements of t; characters: of each string, else 0. */
ub_status ubp_npy_header_text(ubp_text *out, const ub_tensor *t, int64_t characters, ub_error *err);

/* npy_text.c: characters (the last axis) become strings: *t is replaced, NULL on failure. */
ub_status ubp_npy_strings(ub_tensor **t, ub_error *err);
/* The other way: row-major characters for t's strings, all of one length, at least 1. */
ub_status ubp_npy_characters(ub_tensor **out, const ub_tensor *t, ub_error *err);

/* npy.c: what is written for a tensor. */
typedef struct ubp_npy_written {
    ubp_text header;
    const void *bytes; /* the elements: t's own, or those of copy */
    size_t size;
    ub_tensor *copy;
} ubp_npy_written;

/* t must stay until the result is released. */
ub_status ubp_npy_encode(ubp_npy_written *out, const ub_tensor *t, ub_error *err);
void ubp_npy_written_release(ubp_npy_written *w);

/* ---- zip.c -------------------------------------------------------------------------------------
 */

/* A zip archive in memory; members are numbered in the order of its directory. */
typedef struct ubp_zip ubp_zip;

/* Takes a reference on file. Two members of one name are refused. */
ub_status ubp_zip_open(ubp_zip **out, ub_buffer *file, ub_error *err);
void ubp_zip_close(ubp_zip *z); /* NULL is fine */
int ubp_zip_count(const ubp_zip *z);
const char *ubp_zip_name(const ubp_zip *z, int i);
int ubp_zip_find(const ubp_zip *z, const char *name); /* -1: none */
/* Whether member i lies in the archive as it is: then it can be viewed. */
bool ubp_zip_is_stored(const ubp_zip *z, int i);
/* The bytes of a stored member: a view of the archive. */
ub_status ubp_zip_view(const ubp_zip *z, int i, const uint8_t **data, size_t *size, ub_error *err);
/* The bytes of any member: a view that keeps the archive's memory alive where it is stored, else
 * inflated, with its checksum compared. Refused when it has more than `most` bytes. Outlives z. */
ub_status ubp_zip_member(ub_buffer **out, const ubp_zip *z, int i, size_t most, ub_error *err);

/* ---- safetensors.c ----------------------------------------------------------------------------
 */

/* The same from a buffer that holds a whole file. */
ub_status ubp_safetensors_read(ub_safetensors **out, ub_buffer *file, ub_error *err);

/* ---- image_decode.c, image_resize.c ------------------------------------------------------------
 */

typedef struct ubp_image {
    int width, height, channels; /* 1 grey, 3 RGB */
    uint8_t *pixels;             /* [H][W][C], owned */
} ubp_image;

/* A PNG or JPEG file's bytes; 1 or 3 channels as the file has them, alpha dropped. */
ub_status ubp_image_decode(ubp_image *out, const void *bytes, size_t size, ub_error *err);
/* To 1 or 3 channels. */
ub_status ubp_image_set_channels(ubp_image *image, int channels, ub_error *err);
ub_status ubp_image_resize(ubp_image *image, int width, int height, ub_error *err);
ub_status ubp_image_check_size(int64_t width, int64_t height, ub_error *err);
/* Pixels not set; the size was checked. */
ub_status ubp_image_new(ubp_image *out, int width, int height, int channels, ub_error *err);
void ubp_image_free(ubp_image *image);

/* image_bitmap.c: whether it is a BMP, PNM (P1 to P6) or TIFF file, and its pixels. */
bool ubp_is_bitmap(const void *bytes, size_t size);
ub_status ubp_bitmap_decode(ubp_image *out, const void *bytes, size_t size, ub_error *err);

/* ---- proto.c: protobuf wire format, over nanopb's decoder --------------------------------------
 */

/* A bounded range of bytes of one message. */
typedef struct ubp_proto {
    const uint8_t *base; /* start of the file, for offsets in messages */
    const uint8_t *at, *end;
} ubp_proto;

/* One field as read: number, and value or bytes by its wire type. */
typedef struct ubp_proto_field {
    uint32_t number;
    int wire;            /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t value;      /* varint and fixed */
    const uint8_t *data; /* bytes: a view of the file */
    size_t size;
} ubp_proto_field;

/* The next field of the message; *more false at its end. A damaged field is UB_ERR_FILE with its
 * offset. */
ub_status ubp_proto_next(ubp_proto *p, ubp_proto_field *f, bool *more, ub_error *err);
/* A sub-message. */
ubp_proto ubp_proto_sub(const ubp_proto *p, const ubp_proto_field *f);
/* Next varint of a packed field. */
ub_status ubp_proto_varint(ubp_proto *p, uint64_t *value, ub_error *err);

/* ---- hdf5.c: what Keras writes of HDF5, reading only -------------------------------------------
 */

/* An open file. One thread at a time: looking things up counts how much was looked at. */
typedef struct ubp_hdf5 ubp_hdf5;

typedef enum ubp_hdf5_kind { UBP_HDF5_NONE, UBP_HDF5_GROUP, UBP_HDF5_DATASET } ubp_hdf5_kind;

/* bytes must stay until it is closed; views point into them. */
ub_status ubp_hdf5_open(ubp_hdf5 **out, const void *bytes, size_t size, ub_error *err);
void ubp_hdf5_close(ubp_hdf5 *h); /* NULL is fine */
/* What lies at "a/b/c"; "" is the root. */
ubp_hdf5_kind ubp_hdf5_find(ubp_hdf5 *h, const char *path);
/* A dataset: a view of the file's bytes at any address (buffer NULL), or a copy in arena. */
ub_status ubp_hdf5_tensor(ub_tensor *out, ubp_hdf5 *h, const char *path, ubp_arena *arena,
                          ub_error *err);
/* The strings of an attribute, or of its parts name0, name1, ...; *n is 0 when there is none. */
ub_status ubp_hdf5_strings(char ***out, size_t *n, ubp_hdf5 *h, const char *path, const char *name,
                           ubp_arena *arena, ub_error *err);
/* One string; *out NULL when there is none. */
ub_status ubp_hdf5_string(char **out, ubp_hdf5 *h, const char *path, const char *name,
                          ubp_arena *arena, ub_error *err);

#endif
