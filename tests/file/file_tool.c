/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file functions as a program that the Python comparisons talk to: one command a line with tabs
 * between its words, one line of answer: status, offset and message of the error, or what was read.
 *
 *     npy IN OUT        reads a .npy, writes it to OUT
 *     npz IN OUT        the same for .npz
 *     image IN OUT CHANNELS WIDTH HEIGHT LAST SCALE MEAN0 MEAN1 MEAN2 STD0 STD1 STD2
 *     folder IN OUT ... the same for a folder of pictures
 */
#include "file/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16 };

static int split(char *line, char **words)
{
    int n = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *w = strtok(line, "\t"); w && n < WORDS; w = strtok(NULL, "\t"))
        words[n++] = w;
    return n;
}

static void print_list(int n, const int64_t *v)
{
    printf("\t");
    for (int i = 0; i < n; i++)
        printf("%s%" PRId64, i ? "," : "", v[i]);
}

static ub_status answer_tensor(ub_tensor *t, const char *out, ub_error *err)
{
    UBP_TRY(ub_npy_save(out, t, err));
    printf("0\t%s", ub_dtype_name(t->dtype));
    print_list(t->rank, t->dims);
    print_list(t->rank, t->strides);
    printf("\t%s\n", t->buffer && t->buffer->release && t->buffer->data != t->data ? "mapped" : "");
    return UB_OK;
}

static ub_status do_npz(const char *in, const char *out, ub_error *err)
{
    enum { MOST = 64 };
    const char *names[MOST];
    const ub_tensor *tensors[MOST];
    ub_npz *z = NULL;
    UBP_TRY(ub_npz_load(&z, in, err));
    const int n = ub_npz_count(z) < MOST ? ub_npz_count(z) : MOST;
    for (int i = 0; i < n; i++) {
        names[i] = ub_npz_name(z, i);
        tensors[i] = ub_npz_tensor(z, i);
    }
    const ub_status status = ub_npz_save(out, names, tensors, n, err);
    ub_npz_free(z);
    if (status == UB_OK)
        printf("0\t%d\n", n);
    return status;
}

static ub_status do_image(char **w, ub_error *err)
{
    ub_image_options o = UB_IMAGE_OPTIONS_INIT;
    ub_tensor *t = NULL;
    o.channels = atoi(w[3]);
    o.width = atoi(w[4]);
    o.height = atoi(w[5]);
    o.channels_last = atoi(w[6]) != 0;
    o.scale = atof(w[7]);
    for (int c = 0; c < 3; c++) {
        o.mean[c] = atof(w[8 + c]);
        o.std[c] = atof(w[11 + c]);
    }
    UBP_TRY(w[0][0] == 'i' ? ub_image_load(&t, w[1], &o, err)
                           : ub_image_load_folder(&t, w[1], &o, err));
    const ub_status status = answer_tensor(t, w[2], err);
    ub_tensor_free(t);
    return status;
}

static ub_status do_npy(const char *in, const char *out, ub_error *err)
{
    ub_tensor *t = NULL;
    UBP_TRY(ub_npy_load(&t, in, err));
    const ub_status status = answer_tensor(t, out, err);
    ub_tensor_free(t);
    return status;
}

int main(void)
{
    char line[8192];
    while (fgets(line, sizeof(line), stdin)) {
        char *w[WORDS];
        const int n = split(line, w);
        ub_error e = {0};
        ub_status status = UB_ERR_ARGUMENT;
        if (n == 3 && strcmp(w[0], "npy") == 0)
            status = do_npy(w[1], w[2], &e);
        else if (n == 3 && strcmp(w[0], "npz") == 0)
            status = do_npz(w[1], w[2], &e);
        else if (n == 14)
            status = do_image(w, &e);
        if (status != UB_OK)
            printf("%d\t%" PRId64 "\t%s\n", (int)status, e.offset, e.message);
        fflush(stdout);
    }
    return 0;
}
