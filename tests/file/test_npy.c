/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .npy bytes that are right, odd and damaged. What NumPy itself writes and reads is compared in
 * file_numpy.py; the headers here are spelled out after numpy/lib/format.py.
 */
#include "file/file.h"
#include "file/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A .npy file of this version, header text and number of zero bytes behind; to be freed. */
static uint8_t *make(int version, const char *header, size_t n, size_t *size)
{
    const size_t length = strlen(header), prefix = version == 1 ? 10 : 12;
    *size = prefix + length + n;
    uint8_t *bytes = calloc(1, *size);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (uint8_t)version;
    bytes[8] = (uint8_t)length;
    bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + prefix, header, length);
    return bytes;
}

static ub_status parse(ub_tensor **t, int version, const char *header, size_t n, ub_error *e)
{
    size_t size = 0;
    uint8_t *bytes = make(version, header, n, &size);
    const ub_status status = ub_npy_parse(t, bytes, size, e);
    free(bytes);
    return status;
}

static void reads_what_numpy_may_write(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }          \n",
        "{\"shape\": (2,3,), \"descr\": \"<i2\", \"fortran_order\": False}",
        " { 'fortran_order' : False , 'shape' : ( 2L , 3L ) , 'descr' : 'i2' } \n",
        "{'descr': '=i2', 'fortran_order': True, 'shape': (2, 3)}",
        "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3), }",
    };
    for (int i = 0; i < UBP_COUNT(headers); i++)
        for (int version = 1; version <= 3; version++) {
            ub_error e = {0};
            ub_tensor *t = NULL;
            if (parse(&t, version, headers[i], 12, &e) != UB_OK)
                fail_msg("%s: %s", headers[i], e.message);
            assert_int_equal(t->dtype, UB_I16);
            assert_true(t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3);
            assert_int_equal(t->strides[0], i == 3 ? 2 : 6);
            ub_tensor_free(t);
        }
}

static void refuses_with_reason(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        ub_status status;
        const char *part;
    } cases[] = {
#define HEADER(descr, order, shape)                                                                \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"
        {HEADER("'|O'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "'|O' is not supported: Python"},
        {HEADER("'<c8'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "complex"},
        {HEADER("'<f16'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "16, 32 or 64 bits"},
        {HEADER("'<U0'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "characters"},
        {HEADER("'<U3000000000'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "characters"},
        {HEADER("'|S3x'", "False", "(2,)"), UB_ERR_FILE, "unknown dtype"},
        {HEADER("'<U3'", "False", "(2,)"), UB_ERR_FILE, "truncated"},
        {HEADER("'<M8[s]'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "dates"},
        {HEADER("'|V2'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "bfloat16"},
        {HEADER("[('a', '<f4')]", "False", "(2,)"), UB_ERR_UNSUPPORTED, "structured"},
        {HEADER("('<f4', (2,))", "False", "(2,)"), UB_ERR_UNSUPPORTED, "structured"},
        {HEADER("'<q4'", "False", "(2,)"), UB_ERR_FILE, "unknown dtype '<q4'"},
        {HEADER("'<'", "False", "(2,)"), UB_ERR_FILE, "unknown dtype"},
        {HEADER("''", "False", "(2,)"), UB_ERR_FILE, "unknown dtype"},
        {HEADER("'<f44'", "False", "(2,)"), UB_ERR_UNSUPPORTED, "floats have"},
        {HEADER("'<f4\\x00'", "False", "(2,)"), UB_ERR_FILE, "without escapes"},
        {HEADER("'0123456789012345678901234567890123456789'", "False", "(2,)"), UB_ERR_FILE,
         "short string"},
        {HEADER("f4", "False", "(2,)"), UB_ERR_FILE, "expected a string"},
        {HEADER("'<f4'", "0", "(2,)"), UB_ERR_FILE, "expected True or False"},
        {HEADER("'<f4'", "False", "(-2,)"), UB_ERR_FILE, "expected a dimension"},
        {HEADER("'<f4'", "False", "(2)"), UB_ERR_FILE, "expected a tuple"},
        {HEADER("'<f4'", "False", "2"), UB_ERR_FILE, "expected a tuple"},
        {HEADER("'<f4'", "False", "(2 3)"), UB_ERR_FILE, "expected ',' or ')'"},
        {HEADER("'<f4'", "False", "(,)"), UB_ERR_FILE, "expected a dimension"},
        {HEADER("'<f4'", "False", "(2,,)"), UB_ERR_FILE, "expected a dimension"},
        {HEADER("'<f4'", "False", "(__import__('os'),)"), UB_ERR_FILE, "expected a dimension"},
        {HEADER("'<f4'", "False", "(99999999999999999999,)"), UB_ERR_FILE, "below 2^63"},
        {HEADER("'<f4'", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), UB_ERR_UNSUPPORTED,
         "more than 16 dimensions"},
        {HEADER("'<f4'", "False", "(2,)") " x", UB_ERR_FILE, "expected nothing more"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", UB_ERR_FILE,
         "once each"},
        {"{'descr': '<f4', 'other': 1, 'fortran_order': False, 'shape': (2,)}", UB_ERR_FILE,
         "once each"},
        {"{'descr': '<f4', 'shape': (2,)}", UB_ERR_FILE, "expected the keys"},
        {"{'descr': '<f4' 'shape': (2,)}", UB_ERR_FILE, "expected ',' or '}'"},
        {"{'descr' '<f4'}", UB_ERR_FILE, "expected ':'"},
        {"{}", UB_ERR_FILE, "expected the keys"},
        {"", UB_ERR_FILE, "expected '{'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), ", UB_ERR_FILE,
         "expected a string"},
        /* Sizes: more than the bytes there are, up to more than there are numbers. */
        {HEADER("'<f4'", "False", "(3,)"), UB_ERR_FILE,
         "needs 12 bytes after the header, the file has 8"},
        {HEADER("'<f8'", "True", "(1000000, 1000000)"), UB_ERR_FILE, "needs 8000000000000 bytes"},
    };
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        ub_error e = {0};
        ub_tensor *t = NULL;
        const ub_status status = parse(&t, 1, cases[i].header, 8, &e);
        if (status != cases[i].status || !strstr(e.message, cases[i].part))
            fail_msg("%s: %d, %s", cases[i].header, (int)status, e.message);
        assert_null(t);
    }
}

static void refuses_sizes_beyond_numbers(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        HEADER("'<f4'", "False", "(4611686018427387904, 4)"),
        HEADER("'<f8'", "True", "(9223372036854775807,)"),
        HEADER("'|u1'", "False", "(9223372036854775807, 2)"),
    };
    for (int i = 0; i < UBP_COUNT(shapes); i++) {
        ub_error e = {0};
        ub_tensor *t = NULL;
        assert_int_not_equal(parse(&t, 1, shapes[i], 8, &e), UB_OK);
        assert_null(t);
        assert_true(e.message[0] != 0);
    }
}

static void refuses_other_files(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        {"", 0, "it is empty"},
        {"PK\3\4xxxx", 8, "zip archive"},
        {"\x80\x04\x95xxxx", 7, "pickle"},
        {"hello world", 11, "begins with byte 0x68"},
        {"\x93NUMPY", 6, "truncated"},
        {"\x93NUMPY\1\0\1", 9, "truncated"},
        {"\x93NUMPY\0\0\0\0\0\0", 12, "version 0.0"},
        {"\x93NUMPY\4\0\0\0\0\0", 12, "version 4.0"},
        {"\x93NUMPY\1\1\0\0\0\0", 12, "version 1.1"},
        {"\x93NUMPY\2\0\xFF\xFF\xFF\xFF", 12, "claims 4294967295 bytes"},
        {"\x93NUMPY\1\0\x76\0{", 11, "the .npy header has 128 bytes, the file only 11"},
    };
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        ub_error e = {0};
        ub_tensor *t = NULL;
        assert_int_not_equal(ub_npy_parse(&t, cases[i].bytes, cases[i].size, &e), UB_OK);
        if (!strstr(e.message, cases[i].part))
            fail_msg("case %d: %s", i, e.message);
    }
}

static void swaps_and_cleans(void **state)
{
    (void)state;
    ub_error e;
    size_t size = 0;
    ub_tensor *t = NULL;
    uint8_t *bytes = make(1, HEADER("'>u4'", "False", "(2,)"), 8, &size);
    memcpy(bytes + size - 8, "\1\2\3\4\xA0\xB0\xC0\xD0", 8);
    assert_int_equal(ub_npy_parse(&t, bytes, size, &e), UB_OK);
    const uint32_t *v = t->data;
    assert_true(v[0] == 0x01020304 && v[1] == 0xA0B0C0D0);
    ub_tensor_free(t);
    free(bytes);
    /* A bool is 0 or 1 here, whatever the file has; NumPy takes all but 0 for true. */
    bytes = make(1, HEADER("'|b1'", "False", "(4,)"), 4, &size);
    memcpy(bytes + size - 4, "\0\1\2\xFF", 4);
    assert_int_equal(ub_npy_parse(&t, bytes, size, &e), UB_OK);
    assert_memory_equal(t->data, "\0\1\1\1", 4);
    ub_tensor_free(t);
    free(bytes);
}

/* ---- Damage ------------------------------------------------------------------------------------
 */

/* Reads every element a tensor claims to have, so that ASan sees one that is not there. */
static uint64_t touch(const ub_tensor *t)
{
    ub_tensor *copy = NULL;
    uint64_t sum = 0;
    assert_int_equal(ub_tensor_copy(&copy, t, NULL), UB_OK);
    const uint8_t *bytes = copy->data;
    for (size_t i = 0; i < ubp_tensor_bytes(copy); i++)
        sum += bytes[i];
    ub_tensor_free(copy);
    return sum;
}

static void survives_cuts_and_flips(void **state)
{
    (void)state;
    static const char *const headers[] = {
        HEADER("'<f4'", "False", "(3, 4)") "\n",
        HEADER("'>f8'", "True", "(2, 3)") "\n",
        HEADER("'|b1'", "False", "(48,)") "\n",
        HEADER("'<i2'", "True", "(2, 0, 5)") "\n",
    };
    for (int i = 0; i < UBP_COUNT(headers); i++) {
        size_t size = 0;
        uint8_t *bytes = make(i % 3 + 1, headers[i], i == 3 ? 0 : 48, &size);
        for (size_t n = 0; n < size; n++) {
            /* A copy of its own size, so that a read beyond it is seen. */
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, bytes, n);
            ub_error e = {0};
            ub_tensor *t = NULL;
            const ub_status status = ub_npy_parse(&t, cut, n, &e);
            /* All but the closing new line is needed. */
            assert_int_equal(status, UB_ERR_FILE);
            assert_true(e.offset <= (int64_t)n && e.message[0]);
            free(cut);
        }
        for (size_t at = 0; at < size; at++)
            for (int v = 1; v < 256; v++) {
                ub_error e = {0};
                ub_tensor *t = NULL;
                bytes[at] ^= (uint8_t)v;
                const ub_status status = ub_npy_parse(&t, bytes, size, &e);
                bytes[at] ^= (uint8_t)v;
                assert_true((status == UB_OK) == (t != NULL));
                assert_true(status == UB_OK || e.message[0]);
                if (t)
                    touch(t);
                ub_tensor_free(t);
            }
        free(bytes);
    }
}

/* ---- Files -------------------------------------------------------------------------------------
 */

static void large_files_are_mapped(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    ub_error e;
    ub_tensor *t = NULL, *back = NULL;
    const int64_t dims[] = {4, N / 4};
    assert_int_equal(ub_tensor_new(&t, UB_F32, 2, dims, &e), UB_OK);
    for (int i = 0; i < N; i++)
        ((float *)t->data)[i] = (float)i;
    assert_int_equal(ub_npy_save("big.npy", t, &e), UB_OK);
    assert_int_equal(ub_npy_load(&back, "big.npy", &e), UB_OK);
    assert_int_equal(back->buffer->size, (size_t)N * 4 + 128);
    assert_memory_equal(back->data, t->data, (size_t)N * 4);
    /* Written to in memory, not in the file; and alive when the file has been replaced. */
    ((float *)back->data)[0] = 7;
    assert_int_equal(ub_npy_save("big.npy", back, &e), UB_OK);
    ub_tensor_free(back);
    assert_int_equal(ub_npy_load(&back, "big.npy", &e), UB_OK);
    assert_true(((float *)back->data)[0] == 7 && ((float *)back->data)[N - 1] == N - 1);
    ub_tensor_free(back);
    ub_tensor_free(t);
}

static void errors_name_the_file(void **state)
{
    (void)state;
    ub_error e;
    ub_tensor *t = NULL;
    assert_int_equal(ub_npy_load(&t, "none.npy", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot open 'none.npy': No such file or directory");
    assert_true(scratch_write("bad.npy", "", 0));
    assert_int_equal(ub_npy_load(&t, "bad.npy", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot read 'bad.npy': not a .npy file: it is empty");
    assert_null(t);
}

static void saves_views_and_refuses_complex(void **state)
{
    (void)state;
    ub_error e;
    ub_tensor *t = NULL, *back = NULL, view, row;
    const int64_t dims[] = {3, 4};
    assert_int_equal(ub_tensor_new(&t, UB_I32, 2, dims, &e), UB_OK);
    for (int i = 0; i < 12; i++)
        ((int32_t *)t->data)[i] = i;
    assert_int_equal(ub_tensor_permute(&view, t, NULL, &e), UB_OK);
    assert_int_equal(ub_tensor_slice(&row, &view, 0, UB_SLICE_NONE, UB_SLICE_NONE, -2, &e), UB_OK);
    assert_int_equal(ub_npy_save("v.npy", &row, &e), UB_OK);
    assert_int_equal(ub_npy_load(&back, "v.npy", &e), UB_OK);
    static const int32_t want[] = {3, 7, 11, 1, 5, 9};
    assert_true(back->rank == 2 && back->dims[0] == 2 && back->dims[1] == 3);
    assert_memory_equal(back->data, want, sizeof(want));
    ub_tensor_free(back);
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(ub_npy_format(&bytes, &size, &row, &e), UB_OK);
    assert_int_equal(size, 128 + 24);
    ub_string_free(bytes);
    ub_tensor_free(t);
    assert_int_equal(ub_tensor_new(&t, UB_BF16, 2, dims, &e), UB_OK);
    t->dtype = UB_C64;
    assert_int_equal(ub_npy_save("b.npy", t, &e), UB_ERR_UNSUPPORTED);
    assert_string_equal(e.message, "arrays of complex64 cannot be saved");
    assert_int_equal(ub_npy_format(&bytes, &size, t, &e), UB_ERR_UNSUPPORTED);
    assert_null(bytes);
    assert_int_equal(access("b.npy", F_OK), -1);
    ub_tensor_free(t);
}

/* np.array([["a", "x\u20ac"], ["", "\U0001f600!"]]), and np.array([b"ab", b"c"]) in Fortran order.
 */
static void text(void **state)
{
    (void)state;
    static const char *const words[] = {"a", "x\xe2\x82\xac", NULL, "\xf0\x9f\x98\x80!"};
    static const uint32_t codes[] = {'a', 0, 'x', 0x20ac, 0, 0, 0x1f600, '!'};
    const int64_t dims[] = {2, 2};
    ub_error e = {0};
    ub_tensor t, *back = NULL;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(ub_tensor_wrap(&t, (void *)(uintptr_t)words, UB_STRING, 2, dims, &e), UB_OK);
    assert_int_equal(ub_npy_format(&bytes, &size, &t, &e), UB_OK);
    assert_int_equal(size, 128 + sizeof codes);
    assert_non_null(
        strstr(bytes + 10, "{'descr': '<U2', 'fortran_order': False, 'shape': (2, 2), }"));
    assert_memory_equal(bytes + 128, codes, sizeof codes);
    assert_int_equal(ub_npy_parse(&back, bytes, size, &e), UB_OK);
    ub_string_free(bytes); /* the tensor has its own text */
    assert_int_equal(back->dtype, UB_STRING);
    assert_true(back->rank == 2 && back->dims[0] == 2 && back->dims[1] == 2);
    for (int i = 0; i < 4; i++)
        assert_string_equal(ubp_string_at((const char **)back->data + i), ubp_string_at(&words[i]));
    ub_tensor *column = NULL, *picked = NULL;
    assert_int_equal(ub_tensor_index(&column, back, "[:, 1]", &e), UB_OK);
    assert_int_equal(ub_tensor_index(&picked, back, "[[1, 0], 0]", &e), UB_OK);
    ub_tensor_free(back); /* views and copies keep it */
    assert_string_equal(ubp_string_at((char *)column->data + column->strides[0]), words[3]);
    assert_string_equal(ubp_string_at(picked->data), "");
    assert_string_equal(ubp_string_at((char *)picked->data + 8), "a");
    ub_tensor_free(column);
    ub_tensor_free(picked);
    static const char fortran[] = "\x93NUMPY\1\0\x39\0{'descr': '|S2', 'fortran_order': True, "
                                  "'shape': (2,), }\nabc\0";
    assert_int_equal(ub_npy_parse(&back, fortran, sizeof fortran - 1, &e), UB_OK);
    assert_string_equal(ubp_string_at(back->data), "ab");
    assert_string_equal(ubp_string_at((char *)back->data + 8), "c");
    ub_tensor_free(back);
}

/* What NumPy lacks is saved as the next type that has all its values. */
static void saves_what_numpy_lacks(void **state)
{
    (void)state;
    static const struct {
        ub_dtype dtype, saved;
    } kinds[] = {{UB_BF16, UB_F32},   {UB_F8E4M3FN, UB_F32},   {UB_F8E4M3FNUZ, UB_F32},
                 {UB_F8E5M2, UB_F32}, {UB_F8E5M2FNUZ, UB_F32}, {UB_F8E8M0, UB_F32},
                 {UB_F4E2M1, UB_F32}, {UB_F6E2M3, UB_F32},     {UB_F6E3M2, UB_F32},
                 {UB_I4, UB_I8},      {UB_I2, UB_I8},          {UB_U4, UB_U8},
                 {UB_U2, UB_U8},      {UB_F16, UB_F16},        {UB_BOOL, UB_BOOL}};
    for (int i = 0; i < UBP_COUNT(kinds); i++) {
        ub_error e = {0};
        ub_tensor *t = NULL, *back = NULL;
        const int64_t n = 2;
        assert_int_equal(ub_tensor_new(&t, kinds[i].dtype, 1, &n, &e), UB_OK);
        ubp_write_f64(t->data, kinds[i].dtype, 1.0);
        ubp_write_f64((char *)t->data + t->strides[0], kinds[i].dtype, 0.5);
        assert_int_equal(ub_npy_dtype(kinds[i].dtype), kinds[i].saved);
        assert_int_equal(ub_npy_save("k.npy", t, &e), UB_OK);
        assert_int_equal(ub_npy_load(&back, "k.npy", &e), UB_OK);
        assert_int_equal(back->dtype, kinds[i].saved);
        for (int k = 0; k < 2; k++)
            assert_true(ubp_read_f64((char *)back->data + k * back->strides[0], back->dtype) ==
                        ubp_read_f64((char *)t->data + k * t->strides[0], t->dtype));
        ub_tensor_free(t);
        ub_tensor_free(back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_may_write),
        cmocka_unit_test(refuses_with_reason),
        cmocka_unit_test(refuses_sizes_beyond_numbers),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(swaps_and_cleans),
        cmocka_unit_test(survives_cuts_and_flips),
        cmocka_unit_test(large_files_are_mapped),
        cmocka_unit_test(saves_what_numpy_lacks),
        cmocka_unit_test(text),
        cmocka_unit_test(errors_name_the_file),
        cmocka_unit_test(saves_views_and_refuses_complex),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
