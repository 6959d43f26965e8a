/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing files so that nothing is lost: the bytes go to a temporary name in the folder of the
 * target and take its name only when all of them are on the disk, so the target is at any time
 * either what it was or complete. A symbolic link is followed, not replaced. What is no regular
 * file
 * (/dev/null, a named pipe) is written to directly.
 */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ub_status fail(const ubp_output *out, ub_error *err)
{
    return ubp_fail_errno(err, errno, "cannot write '%s'", out->path);
}

static char *copy_text(const char *s, size_t n)
{
    char *copy = ubp_malloc(n + 1);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = 0;
    }
    return copy;
}

/* Sets out->path: the target itself where path is a symbolic link. */
static ub_status set_path(ubp_output *out, const char *path, ub_error *err)
{
    char real[PATH_MAX];
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, real))
        path = real;
    out->path = copy_text(path, strlen(path));
    return out->path ? UB_OK : ubp_fail_memory(err, strlen(path) + 1);
}

/* Opens a fresh file beside the target; its mode is what the umask leaves of rw-rw-rw-. */
static ub_status open_temp(ubp_output *out, ub_error *err)
{
    enum { TRIES = 100, NAME_SIZE = 32 };
    const char *slash = strrchr(out->path, '/');
    const size_t folder = slash ? (size_t)(slash - out->path) + 1 : 0;
    out->temp_path = ubp_malloc(folder + NAME_SIZE);
    if (!out->temp_path)
        return ubp_fail_memory(err, folder + NAME_SIZE);
    memcpy(out->temp_path, out->path, folder);
    for (int i = 0; i < TRIES; i++) {
        uint64_t number = 0;
        if (getentropy(&number, sizeof(number)) != 0)
            number = (uint64_t)getpid() << 32 | (uint64_t)i;
        snprintf(out->temp_path + folder, NAME_SIZE, ".unbatch-%016" PRIx64, number);
        out->fd = open(out->temp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out->fd >= 0 || errno != EEXIST)
            break;
    }
    if (out->fd >= 0)
        return UB_OK;
    const ub_status status = fail(out, err);
    ubp_free(out->temp_path);
    out->temp_path = NULL;
    return status;
}

static ub_status open_target(ubp_output *out, ub_error *err)
{
    struct stat st;
    const bool exists = stat(out->path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return ubp_fail(err, UB_ERR_FILE, "cannot write '%s': it is a folder", out->path);
    if (!exists || S_ISREG(st.st_mode))
        return open_temp(out, err);
    out->fd = open(out->path, O_WRONLY | O_CLOEXEC);
    return out->fd >= 0 ? UB_OK : fail(out, err);
}

ub_status ubp_output_open(ubp_output *out, const char *path, ub_error *err)
{
    *out = (ubp_output){.fd = -1};
    ub_status status = set_path(out, path, err);
    if (status == UB_OK)
        status = open_target(out, err);
    if (status != UB_OK)
        ubp_output_abort(out);
    return status;
}

ub_status ubp_output_write(ubp_output *out, const void *bytes, size_t size, ub_error *err)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = write(out->fd, at, size < SSIZE_MAX ? size : SSIZE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(out, err);
        at += n;
        size -= (size_t)n;
    }
    return UB_OK;
}

ub_status ubp_output_reopen(ubp_output *out, ub_error *err)
{
    close(out->fd);
    out->fd = open(out->temp_path, O_WRONLY | O_CLOEXEC);
    return out->fd >= 0 ? UB_OK : fail(out, err);
}

ub_status ubp_output_commit(ubp_output *out, ub_error *err)
{
    ub_status status = UB_OK;
    if (out->temp_path && fsync(out->fd) != 0)
        status = fail(out, err);
    /* Some file systems tell of a full disk only here; after EINTR the descriptor is closed too. */
    const int closed = close(out->fd);
    out->fd = -1;
    if (status == UB_OK && closed != 0 && errno != EINTR)
        status = fail(out, err);
    if (status == UB_OK && out->temp_path && rename(out->temp_path, out->path) != 0)
        status = fail(out, err);
    if (status == UB_OK) {
        ubp_free(out->temp_path);
        out->temp_path = NULL;
    }
    ubp_output_abort(out);
    return status;
}

void ubp_output_abort(ubp_output *out)
{
    /* A path tells an output in use from a zeroed one, whose fd 0 is not ours. */
    if (out->path && out->fd >= 0)
        close(out->fd);
    if (out->temp_path)
        unlink(out->temp_path);
    ubp_free(out->temp_path);
    ubp_free(out->path);
    *out = (ubp_output){.fd = -1};
}
