/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives in memory: views of stored members, inflated ones, damage. */
#include "file/file.h"
#include "file/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zip.h>
#include <cmocka.h>

enum { BIG = 100000 };

static char zeros[BIG];

static void add(zip_t *z, const char *name, const void *data, size_t size, int method)
{
    zip_source_t *source = zip_source_buffer(z, data, size, 0);
    const zip_int64_t i = zip_file_add(z, name, source, 0);
    assert_true(i >= 0);
    assert_int_equal(zip_set_file_compression(z, (zip_uint64_t)i, method, 0), 0);
}

/* Two stored members, one deflated one, an empty one. */
static void make_archive(void)
{
    int code = 0;
    zip_t *z = zip_open("x.zip", ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(z);
    add(z, "root/a", "0123456789", 10, ZIP_CM_STORE);
    add(z, "root/zeros", zeros, BIG, ZIP_CM_DEFLATE);
    add(z, "root/empty", "", 0, ZIP_CM_STORE);
    add(z, "root/b", "abc", 3, ZIP_CM_STORE);
    assert_int_equal(zip_close(z), 0);
}

static ub_status open_bytes(ubp_zip **z, ub_buffer **file, uint8_t *bytes, size_t size, ub_error *e)
{
    assert_int_equal(ubp_buffer_wrap(file, bytes, size, NULL, NULL, NULL), UB_OK);
    return ubp_zip_open(z, *file, e);
}

static void views_stored_members(void **state)
{
    (void)state;
    ub_error e;
    ub_buffer *file = NULL, *b = NULL;
    ubp_zip *z = NULL;
    const uint8_t *data = NULL;
    size_t size = 0;
    make_archive();
    assert_int_equal(ubp_map_file(&file, "x.zip", &e), UB_OK);
    const uint8_t *begin = file->data;
    assert_int_equal(ubp_zip_open(&z, file, &e), UB_OK);
    assert_int_equal(ubp_zip_count(z), 4);
    assert_string_equal(ubp_zip_name(z, 3), "root/b");
    assert_int_equal(ubp_zip_find(z, "root/zeros"), 1);
    assert_int_equal(ubp_zip_find(z, "zeros"), -1);
    assert_true(ubp_zip_is_stored(z, 0));
    assert_false(ubp_zip_is_stored(z, 1));
    assert_int_equal(ubp_zip_view(z, 0, &data, &size, &e), UB_OK);
    assert_int_equal(size, 10);
    assert_memory_equal(data, "0123456789", 10);
    assert_true(data > begin && data + size <= begin + file->size);
    assert_int_equal(ubp_zip_view(z, 2, &data, &size, &e), UB_OK);
    assert_int_equal(size, 0);
    assert_int_equal(ubp_zip_view(z, 1, &data, &size, &e), UB_ERR_UNSUPPORTED);
    assert_string_equal(e.message, "'root/zeros' in the zip file is compressed");
    assert_int_equal(ubp_zip_member(&b, z, 3, 3, &e), UB_OK);
    ubp_zip_close(z);
    ubp_buffer_unref(file); /* the member keeps the archive's memory */
    assert_int_equal(b->size, 3);
    assert_memory_equal(b->data, "abc", 3);
    ubp_buffer_unref(b);
}

static void inflates_within_a_limit(void **state)
{
    (void)state;
    ub_error e;
    ub_buffer *file = NULL, *b = NULL;
    ubp_zip *z = NULL;
    make_archive();
    assert_int_equal(ubp_map_file(&file, "x.zip", &e), UB_OK);
    assert_int_equal(ubp_zip_open(&z, file, &e), UB_OK);
    ubp_buffer_unref(file);
    assert_int_equal(ubp_zip_member(&b, z, 1, BIG, &e), UB_OK);
    assert_int_equal(b->size, BIG);
    assert_memory_equal(b->data, zeros, BIG);
    ubp_buffer_unref(b);
    assert_int_equal(ubp_zip_member(&b, z, 1, BIG - 1, &e), UB_ERR_UNSUPPORTED);
    assert_string_equal(e.message, "'root/zeros' in the zip file has 100000 bytes; at most 99999"
                                   " are read");
    assert_null(b);
    ubp_zip_close(z);
}

/* Reads all of an archive, whatever is in it. */
static ub_status read_all(uint8_t *bytes, size_t size)
{
    ub_error e = {0};
    ub_buffer *file = NULL;
    ubp_zip *z = NULL;
    ub_status status = open_bytes(&z, &file, bytes, size, &e);
    for (int i = 0; status == UB_OK && i < ubp_zip_count(z); i++) {
        ub_buffer *b = NULL;
        status = ubp_zip_member(&b, z, i, 10 * BIG, &e);
        unsigned sum = 0;
        for (size_t k = 0; b && k < b->size; k++)
            sum += ((const uint8_t *)b->data)[k];
        volatile unsigned sink = sum; /* the bytes are really read */
        (void)sink;
        ubp_buffer_unref(b);
    }
    assert_true(status == UB_OK || *e.message);
    ubp_zip_close(z);
    ubp_buffer_unref(file);
    return status;
}

static void survives_cuts_and_flips(void **state)
{
    (void)state;
    size_t size = 0;
    make_archive();
    uint8_t *bytes = scratch_read("x.zip", &size);
    assert_non_null(bytes);
    assert_int_equal(read_all(bytes, size), UB_OK);
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n + 1); /* of exact size, so that AddressSanitizer sees its end */
        memcpy(cut, bytes, n);
        assert_int_not_equal(read_all(cut, n), UB_OK);
        free(cut);
    }
    for (size_t i = 0; i < size; i++)
        for (int v = 1; v < 256; v = v * 2 + 1) {
            bytes[i] ^= (uint8_t)v;
            read_all(bytes, size);
            bytes[i] ^= (uint8_t)v;
        }
    free(bytes);
}

static void refuses_by_name(void **state)
{
    (void)state;
    ub_error e;
    ub_buffer *file = NULL;
    ubp_zip *z = NULL;
    size_t size = 0;
    uint8_t none = 0;
    assert_int_equal(open_bytes(&z, &file, &none, 0, &e), UB_ERR_FILE);
    assert_string_equal(e.message, "not a zip file: it is empty");
    ubp_buffer_unref(file);
    make_archive();
    uint8_t *bytes = scratch_read("x.zip", &size);
    /* In both of its headers, the second name becomes the first. */
    for (uint8_t *at = bytes; (at = memmem(at, (size_t)(bytes + size - at), "root/b", 6)); at++)
        memcpy(at, "root/a", 6);
    assert_int_equal(open_bytes(&z, &file, bytes, size, &e), UB_ERR_FILE);
    assert_string_equal(e.message, "damaged zip file: two members are called 'root/a'");
    ubp_buffer_unref(file);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_stored_members),
        cmocka_unit_test(inflates_within_a_limit),
        cmocka_unit_test(survives_cuts_and_flips),
        cmocka_unit_test(refuses_by_name),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
