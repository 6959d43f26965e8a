/* SPDX-License-Identifier: Apache-2.0 */
/* .npz archives that are right and damaged. NumPy's own are compared in file_numpy.py. */
#include "file/file.h"
#include "file/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zip.h>
#include <cmocka.h>

static void save_two(const char *path)
{
    ub_error e;
    static float a[] = {1, 2, 3, 4, 5, 6};
    static uint8_t b[] = {7, 8, 9};
    ub_tensor ta, tb;
    const int64_t da[] = {2, 3}, db[] = {3};
    ub_tensor_wrap(&ta, a, UB_F32, 2, da, NULL);
    ub_tensor_wrap(&tb, b, UB_U8, 1, db, NULL);
    const char *names[] = {"conv1:in[4]", "/layer3/Relu_output_0"};
    const ub_tensor *tensors[] = {&ta, &tb};
    if (ub_npz_save(path, names, tensors, 2, &e) != UB_OK)
        fail_msg("%s", e.message);
}

static void writes_and_reads(void **state)
{
    (void)state;
    ub_error e;
    ub_npz *z = NULL;
    struct stat st;
    const mode_t old = umask(022);
    save_two("two.npz");
    umask(old);
    assert_int_equal(stat("two.npz", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(ub_npz_load(&z, "two.npz", &e), UB_OK);
    assert_int_equal(ub_npz_count(z), 2);
    assert_string_equal(ub_npz_name(z, 0), "conv1:in[4]");
    assert_string_equal(ub_npz_name(z, 1), "/layer3/Relu_output_0");
    const ub_tensor *t = ub_npz_tensor(z, 0);
    static const float want[] = {1, 2, 3, 4, 5, 6};
    assert_true(t->dtype == UB_F32 && t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3);
    assert_memory_equal(t->data, want, sizeof(want));
    assert_memory_equal(ub_npz_tensor(z, 1)->data, "\7\10\11", 3);
    assert_null(ub_npz_name(z, 2));
    assert_null(ub_npz_tensor(z, -1));
    ub_npz_free(z);
}

static void equal_arrays_give_equal_files(void **state)
{
    (void)state;
    size_t n = 0, m = 0;
    save_two("a.npz");
    save_two("b.npz");
    uint8_t *a = scratch_read("a.npz", &n), *b = scratch_read("b.npz", &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

static void refuses_bad_names(void **state)
{
    (void)state;
    ub_error e;
    float v = 1;
    ub_tensor t;
    ub_tensor_wrap(&t, &v, UB_F32, 0, NULL, NULL);
    const char *names[] = {"x", "x"};
    const ub_tensor *tensors[] = {&t, &t};
    assert_int_equal(ub_npz_save("n.npz", names, tensors, 2, &e), UB_ERR_ARGUMENT);
    assert_string_equal(e.message, "two arrays are called 'x'");
    assert_int_equal(ub_npz_save("n.npz", names, tensors, 0, &e), UB_ERR_ARGUMENT);
    assert_int_equal(ub_npz_save("/dev/null", names, tensors, 1, &e), UB_ERR_FILE);
    assert_int_equal(ub_npz_save("no/n.npz", names, tensors, 1, &e), UB_ERR_FILE);
    t.dtype = UB_C64;
    assert_int_equal(ub_npz_save("n.npz", names, tensors, 1, &e), UB_ERR_UNSUPPORTED);
    assert_int_equal(access("n.npz", F_OK), -1);
}

static ub_status load(const uint8_t *bytes, size_t size, ub_error *e)
{
    ub_npz *z = NULL;
    assert_true(scratch_write("x.npz", bytes, size));
    const ub_status status = ub_npz_load(&z, "x.npz", e);
    assert_true((status == UB_OK) == (z != NULL));
    assert_true(status == UB_OK || strstr(e->message, "cannot read 'x.npz': ") == e->message);
    ub_npz_free(z);
    return status;
}

static void survives_cuts_and_flips(void **state)
{
    (void)state;
    ub_error e;
    size_t size = 0;
    save_two("two.npz");
    uint8_t *bytes = scratch_read("two.npz", &size);
    assert_non_null(bytes);
    for (size_t n = 0; n < size; n++)
        assert_int_not_equal(load(bytes, n, &e), UB_OK);
    const uint8_t *elements = memmem(bytes, size, "\0\0\x80\x3F\0\0\0\x40", 8);
    const size_t at = (size_t)(elements - bytes);
    for (size_t i = 0; i < size; i++)
        for (int v = 1; v < 256; v = v * 2 + 1) {
            bytes[i] ^= (uint8_t)v;
            const ub_status status = load(bytes, size, &e);
            bytes[i] ^= (uint8_t)v;
            /* The checksum sees every flip in the elements. */
            if (i >= at && i < at + 24)
                assert_int_equal(status, UB_ERR_FILE);
        }
    free(bytes);
}

/* An archive of one member, as any program may make it. */
static void make_archive(const char *name, const void *data, size_t size, int method)
{
    int code = 0;
    zip_t *z = zip_open("x.npz", ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(z);
    zip_source_t *source = zip_source_buffer(z, data, size, 0);
    const zip_int64_t i = zip_file_add(z, name, source, 0);
    assert_true(i >= 0);
    assert_int_equal(zip_set_file_compression(z, (zip_uint64_t)i, method, 0), 0);
    assert_int_equal(zip_close(z), 0);
}

static void assert_refused(ub_status status, const char *part)
{
    ub_error e;
    ub_npz *z = NULL;
    assert_int_equal(ub_npz_load(&z, "x.npz", &e), status);
    if (!strstr(e.message, part))
        fail_msg("%s", e.message);
}

static void sizes_come_from_the_npy_header(void **state)
{
    (void)state;
    char bytes[4096] = "\x93NUMPY\1\0\x76\0";
    static const char small[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (10,), }";
    static const char huge[] =
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000000,), }";
    /* A member that inflates to more than its header needs, and one to less. */
    memset(bytes + 10, ' ', 118);
    memcpy(bytes + 10, small, sizeof(small) - 1);
    make_archive("a.npy", bytes, sizeof(bytes), ZIP_CM_DEFLATE);
    assert_refused(UB_ERR_FILE, "a.npy: damaged: its header asks for 10 bytes of elements");
    make_archive("a.npy", bytes, 137, ZIP_CM_STORE);
    assert_refused(UB_ERR_FILE, "asks for 10 bytes of elements, it has 9");
    /* A header that asks for 4 TB: refused before anything is allocated. */
    memset(bytes + 10, ' ', 118);
    memcpy(bytes + 10, huge, sizeof(huge) - 1);
    make_archive("a.npy", bytes, sizeof(bytes), ZIP_CM_DEFLATE);
    assert_refused(UB_ERR_FILE, "asks for 4000000000000 bytes of elements");
    make_archive("a.npy", bytes, 11, ZIP_CM_STORE);
    assert_refused(UB_ERR_FILE, "a.npy: ");
    make_archive("a.npy", "hello, world", 12, ZIP_CM_STORE);
    assert_refused(UB_ERR_FILE, "a.npy: not a .npy file");
    make_archive("a.npy", "", 0, ZIP_CM_STORE);
    assert_refused(UB_ERR_FILE, "a.npy: not a .npy file: it is empty");
}

/* The directory claims, in both its places, a size that the packed bytes cannot hold. */
static void a_bomb_is_not_allocated(void **state)
{
    (void)state;
    static const char huge[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2000000000,), }";
    char bytes[128] = "\x93NUMPY\1\0\x76\0";
    memset(bytes + 10, ' ', 118);
    memcpy(bytes + 10, huge, sizeof(huge) - 1);
    make_archive("a.npy", bytes, sizeof(bytes), ZIP_CM_DEFLATE);
    size_t size = 0;
    uint8_t *file = scratch_read("x.npz", &size);
    const uint32_t real = 128, claim = 2000000000u + 128;
    int found = 0;
    for (size_t i = 0; i + 4 <= size; i++)
        if (memcmp(file + i, &real, 4) == 0) {
            memcpy(file + i, &claim, 4);
            found++;
        }
    assert_int_equal(found, 2);
    assert_true(scratch_write("x.npz", file, size));
    free(file);
    assert_refused(UB_ERR_FILE, "claims to hold 2000000128 bytes in ");
}

static void passes_over_other_members(void **state)
{
    (void)state;
    ub_error e;
    ub_npz *z = NULL;
    make_archive("readme.txt", "hello", 5, ZIP_CM_STORE);
    assert_int_equal(ub_npz_load(&z, "x.npz", &e), UB_OK);
    assert_int_equal(ub_npz_count(z), 0);
    ub_npz_free(z);
    assert_true(scratch_write("x.npz", "", 0));
    assert_refused(UB_ERR_FILE, "not a .npz file: it is empty");
    assert_true(scratch_write("x.npz", "hello", 5));
    assert_refused(UB_ERR_FILE, "not a .npz file: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads),
        cmocka_unit_test(equal_arrays_give_equal_files),
        cmocka_unit_test(refuses_bad_names),
        cmocka_unit_test(survives_cuts_and_flips),
        cmocka_unit_test(sizes_come_from_the_npy_header),
        cmocka_unit_test(a_bomb_is_not_allocated),
        cmocka_unit_test(passes_over_other_members),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
