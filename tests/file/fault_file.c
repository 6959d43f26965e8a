/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory anywhere in the file functions: the n-th allocation fails, for every n; each time
 * the answer is UB_ERR_MEMORY, nothing leaks and no file is left behind.
 */
#include "base/fault.h"
#include "file/file.h"
#include "file/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DATA UB_TEST_DATA "/file/data/"

typedef struct call {
    ub_status (*run)(ub_error *err);
} call;

static ub_tensor *tensor, *view; /* view: not contiguous, so that saving copies */

static ub_status save_npy(ub_error *err)
{
    return ub_npy_save("out.npy", view, err);
}

static ub_status format_npy(ub_error *err)
{
    char *bytes = NULL;
    size_t size = 0;
    const ub_status status = ub_npy_format(&bytes, &size, view, err);
    ub_string_free(bytes);
    return status;
}

static ub_status load_npy(ub_error *err)
{
    ub_tensor *t = NULL;
    const ub_status status = ub_npy_load(&t, "in.npy", err);
    ub_tensor_free(t);
    return status;
}

static ub_status load_mapped_npy(ub_error *err)
{
    ub_tensor *t = NULL;
    const ub_status status = ub_npy_load(&t, "big.npy", err);
    ub_tensor_free(t);
    return status;
}

static ub_status save_npz(ub_error *err)
{
    const char *names[] = {"a", "b"};
    const ub_tensor *tensors[] = {tensor, view};
    return ub_npz_save("out.npz", names, tensors, 2, err);
}

static ub_status load_npz(ub_error *err)
{
    ub_npz *z = NULL;
    const ub_status status = ub_npz_load(&z, "in.npz", err);
    ub_npz_free(z);
    return status;
}

static ub_status load_safetensors(ub_error *err)
{
    ub_safetensors *s = NULL;
    const ub_status status = ub_safetensors_load(&s, "in.safetensors.index.json", err);
    ub_safetensors_free(s);
    return status;
}

static ub_status load_png(ub_error *err)
{
    ub_image_options o = UB_IMAGE_OPTIONS_INIT;
    ub_tensor *t = NULL;
    o.channels = 1;
    o.width = 7;
    o.height = 20;
    const ub_status status = ub_image_load(&t, DATA "palette.png", &o, err);
    ub_tensor_free(t);
    return status;
}

static ub_status load_jpeg(ub_error *err)
{
    ub_tensor *t = NULL;
    const ub_status status = ub_image_load(&t, DATA "grey.jpg", NULL, err);
    ub_tensor_free(t);
    return status;
}

static ub_status load_folder(ub_error *err)
{
    ub_image_options o = UB_IMAGE_OPTIONS_INIT;
    ub_tensor *t = NULL;
    o.channels = 3;
    const ub_status status = ub_image_load_folder(&t, "pictures", &o, err);
    ub_tensor_free(t);
    return status;
}

static void copy_picture(const char *from, const char *to)
{
    size_t size = 0;
    uint8_t *bytes = scratch_read(from, &size);
    assert_non_null(bytes);
    assert_true(scratch_write(to, bytes, size));
    free(bytes);
}

/* Two tensors, one of them at an odd address, and another name; and an index of the file. */
static bool write_safetensors(void)
{
    static const char header[] = "{\"__metadata__\":{\"c\":\"a\"},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]},"
                                 "\"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    static const char index[] = "{\"weight_map\":{\"a\":\"in.safetensors\",\"b\":"
                                "\"in.safetensors\"}}";
    uint8_t bytes[8 + sizeof(header) - 1 + 9] = {sizeof(header) - 1};
    memcpy(bytes + 8, header, sizeof(header) - 1);
    return scratch_write("in.safetensors", bytes, sizeof(bytes)) &&
           scratch_write("in.safetensors.index.json", index, sizeof(index) - 1);
}

static int make_inputs(void **state)
{
    const int64_t dims[] = {3, 4}, big_dims[] = {1 << 18};
    ub_tensor reversed, *big = NULL;
    const char *names[] = {"a", "b"};
    if (scratch_make(state) != 0 || ub_tensor_new(&tensor, UB_F32, 2, dims, NULL) != UB_OK ||
        ub_tensor_permute(&reversed, tensor, NULL, NULL) != UB_OK ||
        ubp_tensor_handle(&view, &reversed, NULL) != UB_OK ||
        ub_tensor_new(&big, UB_F32, 1, big_dims, NULL) != UB_OK)
        return -1;
    const ub_tensor *tensors[] = {tensor, view};
    const bool ok = ub_npy_save("in.npy", tensor, NULL) == UB_OK &&
                    ub_npy_save("big.npy", big, NULL) == UB_OK &&
                    ub_npz_save("in.npz", names, tensors, 2, NULL) == UB_OK;
    ub_tensor_free(big);
    if (!ok || !write_safetensors() || mkdir("pictures", 0777) != 0)
        return -1;
    copy_picture(DATA "rgb.png", "pictures/b.png");
    copy_picture(DATA "grey.png", "pictures/a.png");
    copy_picture(DATA "rgb.jpg", "pictures/c.jpg");
    return 0;
}

static int free_inputs(void **state)
{
    ub_tensor_free(tensor);
    ub_tensor_free(view);
    return scratch_remove(state);
}

static void every_allocation_may_fail(void **state)
{
    const call *c = *state;
    const int files = scratch_count();
    const long live = fault_live();
    long n = 1;
    for (; fault_next(n); n++) {
        ub_error e = {0};
        const ub_status status = c->run(&e);
        if (!fault_stop()) {
            assert_int_equal(status, UB_OK);
        } else {
            /* libspng takes zlib's want of memory inside a picture for damage. */
            if (status != UB_ERR_MEMORY && !strstr(e.message, "damaged PNG: IDAT stream error"))
                fail_msg("allocation %ld: %d, %s", n, (int)status, e.message);
            assert_true(e.message[0] != 0);
            assert_int_equal(scratch_count(), files);
        }
        if (fault_live() != live)
            fail_msg("allocation %ld: %ld blocks leak", n, fault_live() - live);
    }
    assert_true(n > 2);
    unlink("out.npy");
    unlink("out.npz");
}

int main(void)
{
    static call calls[] = {{save_npy},    {format_npy},      {load_npy}, {load_mapped_npy},
                           {save_npz},    {load_npz},        {load_png}, {load_jpeg},
                           {load_folder}, {load_safetensors}};
#define TEST(i, name)                                                                              \
    {                                                                                              \
        name, every_allocation_may_fail, NULL, NULL, &calls[i]                                     \
    }
    const struct CMUnitTest tests[] = {
        TEST(0, "save npy"),         TEST(1, "format npy"), TEST(2, "load npy"),
        TEST(3, "load mapped npy"),  TEST(4, "save npz"),   TEST(5, "load npz"),
        TEST(6, "load png"),         TEST(7, "load jpeg"),  TEST(8, "load folder"),
        TEST(9, "load safetensors"),
    };
    return cmocka_run_group_tests(tests, make_inputs, free_inputs);
}
