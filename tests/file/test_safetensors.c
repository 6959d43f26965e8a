/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .safetensors files that are right and damaged, and indexes over several. Files that the
 * safetensors library writes are compared in tests/torch/replace_weights.py.
 */
#include "file/file.h"
#include "file/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A file of this header and so many bytes 0, 1, 2, ... of elements. */
static void write_file(const char *path, const char *header, size_t data)
{
    uint8_t bytes[2048] = {0};
    const size_t n = strlen(header);
    assert_true(8 + n + data <= sizeof(bytes));
    bytes[0] = (uint8_t)n;
    bytes[1] = (uint8_t)(n >> 8);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data; i++)
        bytes[8 + n + i] = (uint8_t)i;
    assert_true(scratch_write(path, bytes, 8 + n + data));
}

static ub_safetensors *load(const char *path)
{
    ub_error e;
    ub_safetensors *s = NULL;
    if (ub_safetensors_load(&s, path, &e) != UB_OK)
        fail_msg("%s", e.message);
    return s;
}

static void check_tensor(const ub_safetensors *s, int i, const char *name, ub_dtype dtype,
                         const char *shape, const void *bytes)
{
    char text[UBP_SHAPE_TEXT];
    const ub_tensor *t = ub_safetensors_tensor(s, i);
    assert_string_equal(ub_safetensors_name(s, i), name);
    assert_int_equal(t->dtype, dtype);
    assert_string_equal(ubp_shape_text(text, t->rank, t->dims), shape);
    assert_true(ubp_tensor_is_aligned(t) && ub_tensor_is_contiguous(t));
    assert_memory_equal(t->data, bytes, ubp_tensor_bytes(t));
}

static void reads_what_is_there(void **state)
{
    (void)state;
    const uint8_t all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const uint8_t truth[] = {1, 1, 1, 1, 1};
    /* The length of the header puts "b" at an odd address. */
    write_file("good.safetensors",
               "{\"__metadata__\":{\"format\":\"pt\",\"tied\":\"b\",\"f\":\"b\"},"
               "\"f\":{\"dtype\":\"BOOL\",\"shape\":[5],\"data_offsets\":[8,13]},"
               "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
               "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[13,13]}}",
               13);
    ub_safetensors *s = load("good.safetensors");
    assert_int_equal(ub_safetensors_count(s), 4);
    check_tensor(s, 0, "f", UB_BOOL, "(5,)", truth);
    check_tensor(s, 1, "b", UB_F32, "(1, 2)", all);
    check_tensor(s, 2, "none", UB_I64, "(0, 7)", all);
    check_tensor(s, 3, "tied", UB_F32, "(1, 2)", all);
    assert_null(ub_safetensors_name(s, 4));
    assert_null(ub_safetensors_tensor(s, -1));
    ub_safetensors_free(s);
}

static void views_need_no_copy(void **state)
{
    (void)state;
    const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    write_file("view.safetensors", header, 3);
    ub_safetensors *s = load("view.safetensors");
    const ub_tensor *t = ub_safetensors_tensor(s, 0);
    assert_ptr_equal(t->data, (char *)t->buffer->data + 8 + strlen(header));
    ub_safetensors_free(s);
}

static void refuse(const char *header, size_t data, ub_status code, const char *message)
{
    ub_error e = {0};
    ub_safetensors *s = NULL;
    write_file("bad.safetensors", header, data);
    assert_int_equal(ub_safetensors_load(&s, "bad.safetensors", &e), code);
    assert_null(s);
    if (!strstr(e.message, message) || !strstr(e.message, "cannot read 'bad.safetensors': "))
        fail_msg("'%s' is not in '%s'", message, e.message);
}

#define ENTRY(name, dtype, shape, range)                                                           \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" range "}"

static void refuses_damage(void **state)
{
    (void)state;
    refuse("{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 7, UB_ERR_FILE, "the file has 7 bytes of");
    refuse("{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 9, UB_ERR_FILE,
           "the tensors take 8 bytes, the file has 9");
    refuse("{" ENTRY("a", "F32", "[3]", "[0,8]") "}", 8, UB_ERR_FILE,
           "its shape needs 12 bytes, it has 8");
    refuse("{" ENTRY("a", "F32", "[2]", "[8,0]") "}", 8, UB_ERR_FILE, "lie at 8 to 0");
    refuse("{" ENTRY("a", "F32", "[2]", "[-8,0]") "}", 8, UB_ERR_FILE, "no pair of whole numbers");
    refuse("{" ENTRY("a", "F32", "[2]", "[0,8,9]") "}", 8, UB_ERR_FILE, "no pair of whole numbers");
    refuse("{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[1]", "[4,8]") "}", 8,
           UB_ERR_FILE, "tensor 'b' begins at byte 4 of the elements, where the one before ends");
    refuse("{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[5,9]") "}", 9,
           UB_ERR_FILE, "tensor 'b' begins at byte 5");
    refuse("{" ENTRY("a", "F32", "[4611686018427387904,4]", "[0,8]") "}", 8, UB_ERR_SHAPE, "");
    refuse("{" ENTRY("a", "F32", "[2.0]", "[0,8]") "}", 8, UB_ERR_FILE, "no whole number");
    refuse("{" ENTRY("a", "F32", "2", "[0,8]") "}", 8, UB_ERR_FILE, "no shape");
    refuse("{" ENTRY("a", "C64", "[1]", "[0,8]") "}", 8, UB_ERR_UNSUPPORTED,
           "tensor 'a': dtype C64 is not supported");
    refuse("{\"a\":3}", 0, UB_ERR_FILE, "there is no dtype");
    refuse("{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("a", "U8", "[1]", "[1,2]") "}", 2,
           UB_ERR_FILE, "damaged header: duplicate object key");
    refuse("{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1,
           UB_ERR_UNSUPPORTED, "17 dims");
    refuse("[1]", 0, UB_ERR_FILE, "no JSON object");
    refuse("{\"a\":", 0, UB_ERR_FILE, "damaged header");
}

static void refuses_lengths(void **state)
{
    (void)state;
    ub_error e;
    ub_safetensors *s = NULL;
    const uint8_t huge[12] = {255, 255, 255, 255, 255, 255, 255, 255, '{', '}'};
    for (size_t n = 0; n < 8; n++) {
        scratch_write("short.safetensors", huge, n);
        assert_int_equal(ub_safetensors_load(&s, "short.safetensors", &e), UB_ERR_FILE);
    }
    scratch_write("short.safetensors", huge, 12);
    assert_int_equal(ub_safetensors_load(&s, "short.safetensors", &e), UB_ERR_FILE);
    assert_non_null(strstr(e.message, "a header of 18446744073709551615 bytes in a file of 12"));
    assert_int_equal(ub_safetensors_load(&s, "none.safetensors", &e), UB_ERR_FILE);
}

/* Every cut of a good file is refused. */
static void refuses_every_cut(void **state)
{
    (void)state;
    size_t size = 0;
    write_file("whole.safetensors", "{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 8);
    uint8_t *bytes = scratch_read("whole.safetensors", &size);
    for (size_t n = 0; n < size; n++) {
        ub_error e;
        ub_safetensors *s = NULL;
        scratch_write("cut.safetensors", bytes, n);
        assert_int_equal(ub_safetensors_load(&s, "cut.safetensors", &e), UB_ERR_FILE);
    }
    free(bytes);
}

static ub_status load_index(const char *text, ub_safetensors **s, ub_error *e)
{
    assert_true(scratch_write("model.safetensors.index.json", text, strlen(text)));
    return ub_safetensors_load(s, "model.safetensors.index.json", e);
}

static void reads_an_index(void **state)
{
    (void)state;
    ub_error e;
    ub_safetensors *s = NULL;
    const uint8_t bytes[] = {0, 1, 2, 3};
    write_file("one.safetensors", "{" ENTRY("a", "U8", "[3]", "[0,3]") "}", 3);
    write_file("two.safetensors",
               "{" ENTRY("b", "U8", "[4]", "[0,4]") "," ENTRY("a", "U8", "[1]", "[4,5]") "}", 5);
    assert_int_equal(load_index("{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":"
                                "\"one.safetensors\",\"b\":\"two.safetensors\"}}",
                                &s, &e),
                     UB_OK);
    assert_int_equal(ub_safetensors_count(s), 2); /* "a" of the second file is not asked for */
    check_tensor(s, 0, "a", UB_U8, "(3,)", bytes);
    check_tensor(s, 1, "b", UB_U8, "(4,)", bytes);
    ub_safetensors_free(s);
    static const char *const bad[][2] = {
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "lies in '../one.safetensors'; the"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "plain name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "plain name"},
        {"{\"weight_map\":{\"a\":7}}", "plain name"},
        {"{\"weight_map\":{\"c\":\"one.safetensors\"}}", "'c' is not in 'one.safetensors'"},
        {"{\"weight_map\":{\"a\":\"three.safetensors\"}}", "three.safetensors"},
        {"{}", "no weight_map"},
        {"", "damaged header"},
    };
    for (int i = 0; i < UBP_COUNT(bad); i++) {
        assert_int_equal(load_index(bad[i][0], &s, &e), UB_ERR_FILE);
        assert_null(s);
        if (!strstr(e.message, bad[i][1]))
            fail_msg("'%s' is not in '%s'", bad[i][1], e.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there), cmocka_unit_test(views_need_no_copy),
        cmocka_unit_test(refuses_damage),      cmocka_unit_test(refuses_lengths),
        cmocka_unit_test(refuses_every_cut),   cmocka_unit_test(reads_an_index),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
