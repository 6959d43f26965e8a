/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and mapping files: the target is whole or untouched, and nothing else is left behind. */
#include "file/file.h"
#include "file/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <cmocka.h>

static ub_status put(const char *path, const char *text, ub_error *err)
{
    ubp_output out;
    UBP_TRY(ubp_output_open(&out, path, err));
    const ub_status status = ubp_output_write(&out, text, strlen(text), err);
    if (status == UB_OK)
        return ubp_output_commit(&out, err);
    ubp_output_abort(&out);
    return status;
}

static void assert_holds(const char *path, const char *text)
{
    size_t n = 0;
    uint8_t *bytes = scratch_read(path, &n);
    assert_non_null(bytes);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(bytes, text, n);
    free(bytes);
}

static int enter_empty(void **state)
{
    (void)state;
    return mkdir("in", 0777) == 0 && chdir("in") == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    if (chdir("..") != 0)
        return -1;
    return nftw("in", scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void writes_and_replaces(void **state)
{
    (void)state;
    ub_error e;
    struct stat st;
    const mode_t old = umask(027);
    assert_int_equal(put("a", "one", &e), UB_OK);
    assert_holds("a", "one");
    assert_int_equal(put("a", "second", &e), UB_OK);
    assert_holds("a", "second");
    assert_int_equal(put("./a", "", &e), UB_OK);
    assert_holds("a", "");
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    umask(old);
    assert_int_equal(scratch_count(), 1);
}

static void appears_only_when_complete(void **state)
{
    (void)state;
    ub_error e;
    ubp_output out;
    assert_int_equal(put("a", "old", &e), UB_OK);
    assert_int_equal(ubp_output_open(&out, "a", &e), UB_OK);
    assert_int_equal(ubp_output_write(&out, "new", 3, &e), UB_OK);
    assert_holds("a", "old");
    ubp_output_abort(&out);
    ubp_output_abort(&out);
    assert_holds("a", "old");
    assert_int_equal(scratch_count(), 1);
    assert_int_equal(ubp_output_open(&out, "a", &e), UB_OK);
    assert_int_equal(ubp_output_write(&out, "new", 3, &e), UB_OK);
    assert_int_equal(ubp_output_commit(&out, &e), UB_OK);
    ubp_output_abort(&out);
    assert_holds("a", "new");
    assert_int_equal(scratch_count(), 1);
}

static void refuses_by_name(void **state)
{
    (void)state;
    ub_error e;
    assert_int_equal(mkdir("d", 0777), 0);
    assert_int_equal(put("d", "x", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot write 'd': it is a folder");
    assert_int_equal(put("d/", "x", &e), UB_ERR_FILE);
    assert_int_equal(put("no/x", "x", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot write 'no/x': No such file or directory");
    assert_int_equal(put("", "x", &e), UB_ERR_FILE);
    assert_int_equal(put("new/", "x", &e), UB_ERR_FILE);
    assert_int_equal(scratch_count(), 1);
}

static void follows_links(void **state)
{
    (void)state;
    ub_error e;
    struct stat st;
    assert_int_equal(mkdir("d", 0777), 0);
    assert_int_equal(put("d/real", "old", &e), UB_OK);
    assert_int_equal(symlink("d/real", "link"), 0);
    assert_int_equal(put("link", "new", &e), UB_OK);
    assert_holds("d/real", "new");
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

/* A size limit fails as a full disk does: some bytes are written, then no more. */
static void full_disk_leaves_nothing(void **state)
{
    (void)state;
    ub_error e;
    struct rlimit old, small;
    assert_int_equal(put("a", "old", &e), UB_OK);
    char *text = malloc(10001);
    memset(text, 'x', 10000);
    text[10000] = 0;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const ub_status status = put("a", text, &e);
    const int64_t dims[] = {10000};
    ub_tensor t;
    ub_tensor_wrap(&t, text, UB_U8, 1, dims, NULL);
    const char *name = "x";
    const ub_tensor *tensors[] = {&t};
    ub_error npy, npz;
    const ub_status npy_status = ub_npy_save("a.npy", &t, &npy);
    const ub_status npz_status = ub_npz_save("a.npz", &name, tensors, 1, &npz);
    setrlimit(RLIMIT_FSIZE, &old);
    free(text);
    assert_int_equal(status, UB_ERR_FILE);
    assert_string_equal(e.message, "cannot write 'a': File too large");
    assert_holds("a", "old");
    assert_int_equal(npy_status, UB_ERR_FILE);
    assert_string_equal(npy.message, "cannot write 'a.npy': File too large");
    assert_int_equal(npz_status, UB_ERR_FILE);
    assert_non_null(strstr(npz.message, "cannot write 'a.npz': "));
    assert_non_null(strstr(npz.message, "File too large"));
    assert_int_equal(scratch_count(), 1);
}

static void closed_pipe_is_an_error(void **state)
{
    (void)state;
    ub_error e;
    ubp_output out;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    const int reader = open("pipe", O_RDONLY | O_NONBLOCK);
    assert_int_equal(ubp_output_open(&out, "pipe", &e), UB_OK);
    assert_int_equal(ubp_output_write(&out, "x", 1, &e), UB_OK);
    close(reader);
    assert_int_equal(ubp_output_write(&out, "x", 1, &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot write 'pipe': Broken pipe");
    ubp_output_abort(&out);
    assert_int_equal(access("pipe", F_OK), 0);
    assert_int_equal(scratch_count(), 1);
}

static void devices_are_written_directly(void **state)
{
    (void)state;
    ub_error e;
    struct stat st;
    assert_int_equal(put("/dev/null", "x", &e), UB_OK);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(put("/dev/full", "x", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot write '/dev/full': No space left on device");
}

/* ---- Mapping ----------------------------------------------------------------------------------
 */

static void maps_whole_files(void **state)
{
    (void)state;
    ub_error e;
    ub_buffer *b = NULL;
    assert_int_equal(put("a", "hello", &e), UB_OK);
    assert_int_equal(ubp_map_file(&b, "a", &e), UB_OK);
    assert_int_equal(b->size, 5);
    assert_memory_equal(b->data, "hello", 5);
    /* Replacing the file leaves what is mapped. */
    assert_int_equal(put("a", "HELLO", &e), UB_OK);
    assert_memory_equal(b->data, "hello", 5);
    ubp_buffer_unref(b);
    assert_int_equal(put("a", "", &e), UB_OK);
    assert_int_equal(ubp_map_file(&b, "a", &e), UB_OK);
    assert_int_equal(b->size, 0);
    ubp_buffer_unref(b);
}

static void private_mappings_do_not_write(void **state)
{
    (void)state;
    ub_error e;
    ub_buffer *b = NULL;
    assert_int_equal(put("a", "hello", &e), UB_OK);
    assert_int_equal(ubp_map_file_private(&b, "a", &e), UB_OK);
    memcpy(b->data, "HELLO", 5);
    assert_holds("a", "hello");
    ubp_buffer_unref(b);
}

static void says_why_it_cannot_open(void **state)
{
    (void)state;
    ub_error e;
    ub_buffer *b = NULL;
    assert_int_equal(ubp_map_file(&b, "x.onnx", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot open 'x.onnx': No such file or directory");
    assert_int_equal(ubp_map_file(&b, ".", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot open '.': it is a folder");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(ubp_map_file(&b, "pipe", &e), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot open 'pipe': it is not a regular file");
    assert_int_equal(put("a", "hello", &e), UB_OK);
    assert_int_equal(chmod("a", 0), 0);
    if (access("a", R_OK) != 0) { /* root may read it all the same */
        assert_int_equal(ubp_map_file(&b, "a", &e), UB_ERR_FILE);
        assert_string_equal(e.message, "cannot open 'a': Permission denied");
    }
    assert_null(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_empty, leave)
    const struct CMUnitTest tests[] = {
        TEST(writes_and_replaces),
        TEST(appears_only_when_complete),
        TEST(refuses_by_name),
        TEST(follows_links),
        TEST(full_disk_leaves_nothing),
        TEST(closed_pipe_is_an_error),
        TEST(devices_are_written_directly),
        TEST(maps_whole_files),
        TEST(private_mappings_do_not_write),
        TEST(says_why_it_cannot_open),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
