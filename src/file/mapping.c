/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files as memory: a path goes in, a buffer whose release unmaps it comes out. The file must
 * not be shortened while it is mapped (reading beyond its new end would be SIGBUS); replacing it by
 * rename, as writing.c does, is fine.
 */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void unmap(ub_buffer *b)
{
    munmap(b->data, b->size);
}

static ub_status map_fd(ub_buffer **out, int fd, const char *path, int protection, ub_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ubp_fail_errno(err, errno, "cannot open '%s'", path);
    if (S_ISDIR(st.st_mode))
        return ubp_fail(err, UB_ERR_FILE, "cannot open '%s': it is a folder", path);
    if (!S_ISREG(st.st_mode))
        return ubp_fail(err, UB_ERR_FILE, "cannot open '%s': it is not a regular file", path);
    if ((uint64_t)st.st_size > PTRDIFF_MAX)
        return ubp_fail(err, UB_ERR_MEMORY, "cannot map '%s': it is too large", path);
    const size_t size = (size_t)st.st_size;
    if (size == 0) /* mmap refuses a length of 0 */
        return ubp_buffer_new(out, 0, false, err);
    void *data = mmap(NULL, size, protection, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (data == MAP_FAILED)
        return ubp_fail_errno(err, errno, "cannot map '%s'", path);
    void *owner = protection & PROT_WRITE ? NULL : data; /* read-only: may be forgotten */
    const ub_status status = ubp_buffer_wrap(out, data, size, unmap, owner, err);
    if (status != UB_OK)
        munmap(data, size);
    return status;
}

static ub_status map(ub_buffer **out, const char *path, int protection, ub_error *err)
{
    *out = NULL;
    /* O_NONBLOCK: opening a pipe that nobody writes to must not hang. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ubp_fail_errno(err, errno, "cannot open '%s'", path);
    const ub_status status = map_fd(out, fd, path, protection, err);
    close(fd);
    return status;
}

ub_status ubp_map_file(ub_buffer **out, const char *path, ub_error *err)
{
    return map(out, path, PROT_READ, err);
}

ub_status ubp_map_file_private(ub_buffer **out, const char *path, ub_error *err)
{
    return map(out, path, PROT_READ | PROT_WRITE, err);
}

void ubp_map_advise(const ub_buffer *b, ubp_map_advice advice)
{
    static const int flags[] = {MADV_NORMAL, MADV_RANDOM, MADV_DONTNEED};
    if (b && b->release == unmap && b->owner)
        madvise(b->data, b->size, flags[advice]); /* only advice: no harm when it fails */
}
