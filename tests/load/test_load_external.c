/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External data: read from files in the model's folder, each mapped once, also far beyond 2 GB;
 * refused when it is absent, too short, or leads out of the folder.
 */
#include "load/load.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_writer.h"

static char root[512], folder[600];

static const char *path_of(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* root/models/ with a model's data, root/secret outside of it. */
static int set_up(void **state)
{
    (void)state;
    const float v[] = {0, 1, 2, 3, 4, 5, 6, 7};
    snprintf(root, sizeof(root), "%s/external.XXXXXX", UB_TEST_BUILD);
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof(folder), "%s/models", root);
    assert_int_equal(mkdir(folder, 0755), 0);
    write_file("w.data", v, sizeof(v));
    write_file("../secret", v, sizeof(v));
    assert_int_equal(mkdir(path_of("sub"), 0755), 0);
    write_file("sub/w.data", v, sizeof(v));
    assert_int_equal(symlink("w.data", path_of("inside")), 0);
    assert_int_equal(symlink("../secret", path_of("outside")), 0);
    assert_int_equal(symlink("..", path_of("up")), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {"w.data",  "../secret", "sub/w.data", "inside",
                                        "outside", "up",        "big.data",   "m.onnx"};
    for (int i = 0; i < UBP_COUNT(files); i++)
        unlink(path_of(files[i]));
    rmdir(path_of("sub"));
    rmdir(folder);
    rmdir(root);
    return 0;
}

/* A float weight of n elements elsewhere; NULL leaves a key away. */
static msg external(const char *name, int64_t n, const char *location, const char *offset,
                    const char *length)
{
    msg t = write_tensor(name, 1, 1, &n);
    msg_int(&t, 14, 1);
    if (location)
        msg_put(&t, 13, write_entry("location", location));
    if (offset)
        msg_put(&t, 13, write_entry("offset", offset));
    if (length)
        msg_put(&t, 13, write_entry("length", length));
    return t;
}

static ub_status open_weights(ubp_loaded *l, msg a, msg b, ub_error *err)
{
    msg g = write_graph("x", "x");
    msg_put(&g, W_INITIALIZER, a);
    if (b.n > 0)
        msg_put(&g, W_INITIALIZER, b);
    msg m = write_model(g, 20);
    write_file("m.onnx", m.bytes, m.n);
    free(m.bytes);
    return ubp_load(l, path_of("m.onnx"), NULL, 0, err);
}

static const ub_tensor *weight(const ubp_loaded *l, const char *name)
{
    const int32_t v = ubp_table_find(&l->graph->value_names, name);
    assert_true(v >= 0);
    return l->graph->values[v].constant;
}

static void test_good_data(void **state)
{
    (void)state;
    ubp_loaded l;
    ub_error err = {0};
    assert_int_equal(open_weights(&l, external("a", 8, "w.data", NULL, NULL),
                                  external("b", 2, "./w.data", "8", "8"), &err),
                     UB_OK);
    assert_int_equal(l.n_external, 1);
    assert_true(((const float *)weight(&l, "a")->data)[7] == 7);
    assert_true(((const float *)weight(&l, "b")->data)[1] == 3);
    ubp_loaded_release(&l);

    assert_int_equal(open_weights(&l, external("a", 8, "inside", "0", NULL),
                                  external("b", 8, "sub/w.data", NULL, "32"), &err),
                     UB_OK);
    assert_int_equal(l.n_external, 2);
    assert_true(((const float *)weight(&l, "b")->data)[7] == 7);
    ubp_loaded_release(&l);
}

static void refuse(msg tensor, const char *message)
{
    ubp_loaded l;
    ub_error err = {0};
    assert_int_equal(open_weights(&l, tensor, (msg){0}, &err), UB_ERR_FILE);
    assert_string_equal(err.message, message);
}

static void test_paths_out_of_the_folder(void **state)
{
    (void)state;
    refuse(external("w", 8, "/etc/passwd", NULL, NULL),
           "external data '/etc/passwd' of tensor 'w' is an absolute path; only files in the"
           " model's folder are opened");
    refuse(external("w", 8, "../secret", NULL, NULL),
           "external data '../secret' of tensor 'w' leads out of the model's folder");
    refuse(external("w", 8, "sub/../../secret", NULL, NULL),
           "external data 'sub/../../secret' of tensor 'w' leads out of the model's folder");
    refuse(external("w", 8, "sub/..", NULL, NULL),
           "external data 'sub/..' of tensor 'w' leads out of the model's folder");
    refuse(external("w", 8, "outside", NULL, NULL),
           "external data 'outside' of tensor 'w' is a link that leads out of the model's folder");
    refuse(external("w", 8, "up/secret", NULL, NULL),
           "external data 'up/secret' of tensor 'w' is a link that leads out of the model's"
           " folder");
    refuse(external("w", 8, NULL, NULL, NULL),
           "tensor 'w' lies in another file, which is not named");
    refuse(external("w", 8, "none.data", NULL, NULL),
           "external data 'none.data' of tensor 'w' cannot be opened: No such file or directory");
}

static void test_ranges(void **state)
{
    (void)state;
    refuse(external("w", 8, "w.data", "4", NULL),
           "external data of tensor 'w' ends at byte 36, the file 'w.data' has 32");
    refuse(external("w", 1, "w.data", "9223372036854775807", NULL),
           "external data of tensor 'w' ends at byte 9223372036854775811, the file 'w.data' has"
           " 32");
    refuse(external("w", 2, "w.data", "0", "32"),
           "external data of tensor 'w' has 32 bytes, its shape needs 8");
    refuse(external("w", 2, "w.data", "-8", NULL),
           "tensor 'w': external data has offset '-8', expected a number of bytes");
    refuse(external("w", 2, "w.data", "0", "8 "),
           "tensor 'w': external data has length '8 ', expected a number of bytes");
    refuse(external("w", INT64_MAX, "w.data", NULL, NULL),
           "tensor 'w' has the impossible shape (9223372036854775807,)");
}

/* The model's name need not have a folder in it. */
static void test_relative_path(void **state)
{
    (void)state;
    char back[512];
    ubp_loaded l;
    assert_int_equal(open_weights(&l, external("a", 8, "w.data", NULL, NULL), (msg){0}, NULL),
                     UB_OK);
    ubp_loaded_release(&l);
    assert_non_null(getcwd(back, sizeof(back)));
    assert_int_equal(chdir(folder), 0);
    const ub_status status = ubp_load(&l, "m.onnx", NULL, 0, NULL);
    assert_int_equal(chdir(back), 0);
    assert_int_equal(status, UB_OK);
    ubp_loaded_release(&l);
}

static void test_memory_has_no_folder(void **state)
{
    (void)state;
    ubp_loaded l;
    ub_error err = {0};
    msg g = write_graph("x", "x");
    msg_put(&g, W_INITIALIZER, external("w", 8, "w.data", NULL, NULL));
    msg m = write_model(g, 20);
    assert_int_equal(ubp_load(&l, NULL, m.bytes, m.n, &err), UB_ERR_FILE);
    assert_string_equal(err.message, "tensor 'w' lies in the file 'w.data', which a model opened"
                                     " from memory cannot reach");
    free(m.bytes);
}

/* A sparse file of 5 GB: nothing but the asked pages is read. */
static void test_data_beyond_4_gb(void **state)
{
    (void)state;
    ubp_loaded l;
    const float v[] = {42, 43};
    const off_t at = (off_t)5 << 30;
    const int fd = open(path_of("big.data"), O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    if (pwrite(fd, v, sizeof(v), at) != (ssize_t)sizeof(v)) {
        close(fd);
        skip(); /* a file system that cannot hold it */
    }
    close(fd);
    assert_int_equal(open_weights(&l, external("first", (int64_t)1 << 30, "big.data", "0", NULL),
                                  external("last", 2, "big.data", "5368709120", "8"), NULL),
                     UB_OK);
    assert_int_equal(l.n_external, 1);
    assert_true(((const float *)weight(&l, "last")->data)[1] == 43);
    ubp_loaded_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_data),
        cmocka_unit_test(test_paths_out_of_the_folder),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_relative_path),
        cmocka_unit_test(test_memory_has_no_folder),
        cmocka_unit_test(test_data_beyond_4_gb),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
