/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures: those of data/ against what Pillow read from them (make_pictures.py), and damaged ones.
 * More sizes and kinds are compared in file_pillow.py.
 */
#include "file/file.h"
#include "file/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DATA UB_TEST_DATA "/file/data/"
static const ub_image_options bytes_as_they_are = {
    sizeof(ub_image_options), 0, 0, 0, true, 1, {0, 0, 0, 0}, {1, 1, 1, 1}};

static void pixels_are_pillows(void **state)
{
    (void)state;
    ub_error e;
    ub_npz *want = NULL;
    assert_int_equal(ub_npz_load(&want, DATA "pictures.npz", &e), UB_OK);
    assert_int_equal(ub_npz_count(want), 22);
    for (int i = 0; i < ub_npz_count(want); i++) {
        char path[PATH_MAX];
        ub_tensor *got = NULL;
        ub_image_options o = bytes_as_they_are;
        const char *mode = strchr(ub_npz_name(want, i), ':');
        snprintf(path, sizeof(path), DATA "%.*s", (int)(mode - ub_npz_name(want, i)),
                 ub_npz_name(want, i));
        o.channels = strcmp(mode, ":L") == 0 ? 1 : 3;
        if (ub_image_load(&got, path, &o, &e) != UB_OK)
            fail_msg("%s", e.message);
        const uint8_t *pixels = ub_npz_tensor(want, i)->data;
        const float *values = got->data;
        assert_true(got->rank == 4 && got->dims[0] == 1 && got->dims[1] == 9);
        assert_true(got->dims[2] == 13 && got->dims[3] == o.channels);
        assert_int_equal(ub_tensor_count(got), ub_tensor_count(ub_npz_tensor(want, i)));
        for (int64_t k = 0; k < ub_tensor_count(got); k++)
            if (values[k] != (float)pixels[k])
                fail_msg("%s: element %d is %g, not %d", ub_npz_name(want, i), (int)k,
                         (double)values[k], pixels[k]);
        ub_tensor_free(got);
    }
    ub_npz_free(want);
}

static void channels_are_the_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int channels;
    } cases[] = {{"rgb.png", 3},        {"grey.png", 1}, {"bits.png", 1},
                 {"palette.png", 3},    {"rgba.png", 3}, {"rgb.jpg", 3},
                 {"grey_alpha.png", 1}, {"grey.jpg", 1}, {"deep_grey.png", 1}};
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        ub_error e;
        ub_tensor *t = NULL;
        char path[PATH_MAX];
        snprintf(path, sizeof(path), DATA "%s", cases[i].name);
        assert_int_equal(ub_image_load(&t, path, NULL, &e), UB_OK);
        assert_true(t->dims[1] == cases[i].channels && t->dims[2] == 9 && t->dims[3] == 13);
        ub_tensor_free(t);
    }
}

static void values_follow_the_formula(void **state)
{
    (void)state;
    ub_error e;
    ub_tensor *raw = NULL, *t = NULL;
    ub_image_options o = {sizeof(o), 3, 0, 0, false, 2, {1, 2, 3, 0}, {4, 5, -6, 0}};
    assert_int_equal(ub_image_load(&raw, DATA "rgb.png", &bytes_as_they_are, &e), UB_OK);
    assert_int_equal(ub_image_load(&t, DATA "rgb.png", &o, &e), UB_OK);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 9 * 13; i++) {
            const double byte = (double)((float *)raw->data)[i * 3 + c];
            assert_true(((float *)t->data)[c * 9 * 13 + i] ==
                        (float)((byte * 2 - o.mean[c]) / o.std[c]));
        }
    ub_tensor_free(raw);
    ub_tensor_free(t);
}

static void refuses_bad_options(void **state)
{
    (void)state;
    ub_error e;
    ub_tensor *t = NULL;
    for (int i = 0; i < 9; i++) {
        ub_image_options o = UB_IMAGE_OPTIONS_INIT;
        ub_status want = UB_ERR_ARGUMENT;
        switch (i) {
        case 0:
            o.size_of = 0;
            break;
        case 1:
            o.channels = 2;
            break;
        case 2:
            o.channels = -1;
            break;
        case 3:
            o.width = -1;
            break;
        case 4:
            o.std[1] = 0;
            break;
        case 5:
            o.mean[0] = (double)NAN;
            break;
        case 6:
            o.scale = (double)INFINITY;
            break;
        case 7:
            o.width = o.height = 65500;
            want = UB_ERR_FILE;
            break;
        default:
            o.width = INT32_MAX;
            want = UB_ERR_FILE;
        }
        assert_int_equal(ub_image_load(&t, DATA "rgb.png", &o, &e), want);
        assert_int_equal(ub_image_load_folder(&t, DATA, &o, &e), want);
        assert_null(t);
    }
}

static void assert_refused(const char *path, ub_status status, const char *part)
{
    ub_error e;
    ub_tensor *t = NULL;
    assert_int_equal(ub_image_load(&t, path, NULL, &e), status);
    assert_null(t);
    if (!strstr(e.message, part))
        fail_msg("%s", e.message);
}

static void refuses_by_first_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {{"", 0, "cannot read 'x': no picture: the file is empty"},
                 {"GIF89a", 6, "a GIF picture; PNG and JPEG are supported"},
                 {"BM......", 8, "a BMP picture"},
                 {"II*\0....", 8, "a TIFF picture"},
                 {"RIFF....WEBP", 12, "a WebP picture"},
                 {"\0\0\0\x1c"
                  "ftypheic",
                  12, "a HEIC or AVIF picture"},
                 {"\x93NUMPY\1\0", 8, "a .npy array"},
                 {"hello", 5, "neither PNG nor JPEG: the file begins with byte 0x68"},
                 {"\x89PNG", 4, "damaged PNG"},
                 {"\x89PNG\r\n\x1a\n", 8, "damaged PNG"},
                 {"\xFF\xD8\xFF", 3, "damaged JPEG"},
                 {"\xFF", 1, "neither PNG nor JPEG"}};
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        assert_true(scratch_write("x", cases[i].bytes, cases[i].size));
        assert_refused("x", UB_ERR_FILE, cases[i].part);
    }
    assert_refused("none.png", UB_ERR_FILE, "cannot open 'none.png': No such file or directory");
    assert_refused(".", UB_ERR_FILE, "it is a folder");
    assert_refused(DATA "cmyk.jpg", UB_ERR_UNSUPPORTED, "CMYK");
}

static void refuses_claims_before_allocating(void **state)
{
    (void)state;
    assert_refused(DATA "claims.png", UB_ERR_FILE, "a picture of 65000 x 65000");
    size_t size = 0;
    uint8_t *jpeg = scratch_read(DATA "rgb.jpg", &size);
    uint8_t *frame = memmem(jpeg, size, "\xFF\xC0", 2);
    assert_non_null(frame);
    memcpy(frame + 5, "\xFD\xE8\xFD\xE8", 4); /* height and width 65000 */
    assert_true(scratch_write("x", jpeg, size));
    assert_refused("x", UB_ERR_FILE, "a picture of 65000 x 65000");
    free(jpeg);
}

static void survives_cuts_and_flips(void **state)
{
    (void)state;
    static const char *const names[] = {"rgb.png",       "palette.png", "grey_alpha.png",
                                        "deep_grey.png", "rgb.jpg",     "progressive.jpg"};
    ub_error e;
    ubp_image image;
    for (int i = 0; i < UBP_COUNT(names); i++) {
        char path[PATH_MAX];
        size_t size = 0;
        snprintf(path, sizeof(path), DATA "%s", names[i]);
        uint8_t *bytes = scratch_read(path, &size);
        assert_non_null(bytes);
        assert_int_equal(ubp_image_decode(&image, bytes, size, &e), UB_OK);
        ubp_image_free(&image);
        for (size_t n = 0; n < size; n++) {
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, bytes, n);
            /* Without its last bytes a file may still hold all pixels. */
            const ub_status status = ubp_image_decode(&image, cut, n, &e);
            assert_true(status != UB_OK || n + 30 > size);
            ubp_image_free(&image);
            free(cut);
        }
        for (size_t at = 0; at < size; at++)
            for (int v = 1; v < 256; v = v * 2 + 1) {
                bytes[at] ^= (uint8_t)v;
                const ub_status status = ubp_image_decode(&image, bytes, size, &e);
                bytes[at] ^= (uint8_t)v;
                assert_true((status == UB_OK) == (image.pixels != NULL));
                ubp_image_free(&image);
            }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_pillows),
        cmocka_unit_test(channels_are_the_files),
        cmocka_unit_test(values_follow_the_formula),
        cmocka_unit_test(refuses_bad_options),
        cmocka_unit_test(refuses_by_first_bytes),
        cmocka_unit_test(refuses_claims_before_allocating),
        cmocka_unit_test(survives_cuts_and_flips),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
