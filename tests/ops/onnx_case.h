/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of ONNX's conformance cases on disk: a folder with model.onnx, case.json and
 * test_data_set_<i>/{input,output}_<j>.pb, as tests/tools/onnx_suite.py writes them.
 */
#ifndef ONNX_CASE_H
#define ONNX_CASE_H

#include "base/base.h"

enum { ONNX_CASE_PORTS = 64, ONNX_CASE_PATH = 4096 };

/* Writes a path of at most ONNX_CASE_PATH bytes; a longer one ends up empty. */
void onnx_path(char *path, const char *fmt, ...) UBP_PRINTF(2, 3);

/* A sequence or an optional. */
typedef struct onnx_list {
    ub_kind kind; /* UB_KIND_TENSOR: it is none */
    bool filled;  /* an optional holds something */
    int n;
    ub_tensor items[ONNX_CASE_PORTS];
} onnx_list;

/* One set of inputs with the outputs they must give. */
typedef struct onnx_data {
    int n_in, n_out;
    ub_tensor in[ONNX_CASE_PORTS], out[ONNX_CASE_PORTS];
    const onnx_list *in_list[ONNX_CASE_PORTS], *out_list[ONNX_CASE_PORTS]; /* NULL: a tensor */
    const char *in_name[ONNX_CASE_PORTS]; /* "" where the file has none */
    ub_buffer *files[2 * ONNX_CASE_PORTS];
    int n_files;
    ubp_arena arena;
} onnx_data;

/* Whether the case has a data set of this number. */
bool onnx_data_exists(const char *folder, int set);
/* Reads it; elements of a dtype this library does not have are refused. The model says which ports
 * are lists; NULL: none is. */
ub_status onnx_data_read(onnx_data *d, const char *folder, int set, const ub_model *m,
                         ub_error *err);
void onnx_data_release(onnx_data *d);

/* The tolerances in case.json; those of ONNX's own runner where it has none. */
void onnx_case_limits(const char *folder, double *rtol, double *atol);

/* Compares as ONNX's own runner: dtype and shape equal, |got - want| <= atol + rtol |want|, NaN
 * equal to NaN. False: why is in text. */
bool onnx_same(const ub_tensor *got, const ub_tensor *want, double rtol, double atol, char *text,
               size_t size);

#endif
