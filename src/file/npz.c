/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .npz files: zip archives of .npy members, as np.savez and np.savez_compressed write them, read
 * and written with libzip. Members that are no .npy are passed over. Nothing is allocated for a
 * member before its size was compared with what its compressed bytes can hold, so memory stays
 * within a constant factor of the file.
 */
#include "file/file.h"

#include <inttypes.h>
#include <string.h>
#include <zip.h>

struct ub_npz {
    int n;
    char **names;        /* [n] owned */
    ub_tensor **tensors; /* [n] owned */
    size_t names_cap, tensors_cap;
};

/* No deflate stream grows more than 1032-fold (zlib.net/zlib_tech.html); a little is added for the
 * shortest ones. */
enum { DEFLATE_MOST = 1032, DEFLATE_SLACK = 1024 };

static ub_status fail_zip(ub_error *err, zip_error_t *error, const char *doing)
{
    const bool memory = zip_error_code_zip(error) == ZIP_ER_MEMORY;
    return ubp_fail(err, memory ? UB_ERR_MEMORY : UB_ERR_FILE, "%s: %s", doing,
                    zip_error_strerror(error));
}

/* ---- Reading one member -----------------------------------------------------------------------
 */

typedef struct member {
    zip_file_t *file;
    uint64_t size;        /* bytes it holds, uncompressed, by the directory */
    uint64_t packed_size; /* bytes it takes in the archive, by the directory */
    bool stored;
    ub_error *err;
} member;

/* Reads `size` bytes, or fewer where the member ends. */
static ub_status read_some(const member *m, void *bytes, size_t size, size_t *got)
{
    uint8_t *at = bytes;
    *got = 0;
    while (*got < size) {
        const int64_t n = zip_fread(m->file, at + *got, size - *got);
        if (n < 0)
            return fail_zip(m->err, zip_file_get_error(m->file), "damaged");
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return UB_OK;
}

static ub_status read_exactly(const member *m, void *bytes, size_t size)
{
    size_t got = 0;
    UBP_TRY(read_some(m, bytes, size, &got));
    if (got < size)
        return ubp_fail(m->err, UB_ERR_FILE, "truncated: %zu bytes were expected, %zu found", size,
                        got);
    return UB_OK;
}

/* Behind the last byte libzip compares the member's checksum. */
static ub_status read_end(const member *m)
{
    uint8_t more = 0;
    size_t got = 0;
    UBP_TRY(read_some(m, &more, 1, &got));
    if (got > 0)
        return ubp_fail(m->err, UB_ERR_FILE, "it holds more than its header says");
    return UB_OK;
}

static ub_status read_header(const member *m, ubp_npy_header *h)
{
    uint8_t bytes[UBP_NPY_PREFIX];
    size_t got = 0, size = 0;
    UBP_TRY(read_some(m, bytes, sizeof(bytes), &got));
    UBP_TRY(ubp_npy_header_size(&size, bytes, got, m->err));
    uint8_t *header = ubp_malloc(size);
    if (!header)
        return ubp_fail_memory(m->err, size);
    /* The shortest header NumPy can read is longer than the prefix. */
    const size_t first = got < size ? got : size;
    memcpy(header, bytes, first);
    ub_status status = read_exactly(m, header + first, size - first);
    if (status == UB_OK)
        status = first < got ? ubp_fail(m->err, UB_ERR_FILE, "damaged .npy header")
                             : ubp_npy_header_parse(h, header, size, m->err);
    ubp_free(header);
    return status;
}

/* Refuses, before anything is allocated, what the member cannot hold. */
static ub_status check_claim(const member *m, const ubp_npy_header *h, size_t need)
{
    size_t whole = 0;
    if (!ubp_add_size(h->size, need, &whole) || m->size != whole)
        return ubp_fail(m->err, UB_ERR_FILE,
                        "damaged: its header asks for %zu bytes of elements, it has %" PRId64, need,
                        (int64_t)m->size - (int64_t)h->size);
    const uint64_t most = m->stored ? m->packed_size
                          : m->packed_size > UINT64_MAX / 2 / DEFLATE_MOST
                              ? UINT64_MAX
                              : m->packed_size * DEFLATE_MOST + DEFLATE_SLACK;
    if (whole > most)
        return ubp_fail(m->err, UB_ERR_FILE, "damaged: it claims to hold %zu bytes in %" PRIu64,
                        whole, m->packed_size);
    return UB_OK;
}

static ub_status read_tensor(const member *m, ub_tensor **out)
{
    ubp_npy_header h;
    ub_tensor t;
    UBP_TRY(read_header(m, &h));
    UBP_TRY(ubp_npy_header_tensor(&t, &h, m->err));
    const size_t need = ubp_tensor_bytes(&t);
    UBP_TRY(check_claim(m, &h, need));
    UBP_TRY(ubp_buffer_new(&t.buffer, need, false, m->err));
    t.data = t.buffer->data;
    ub_status status = read_exactly(m, t.data, need);
    if (status == UB_OK)
        status = read_end(m);
    if (status == UB_OK) {
        ubp_npy_to_host(&h, t.data, need);
        status = ubp_tensor_handle(out, &t, m->err);
    }
    ubp_buffer_unref(t.buffer);
    if (status == UB_OK && h.text)
        status = ubp_npy_strings(out, m->err);
    return status;
}

static ub_status check_member(const member *m, const zip_stat_t *st, size_t archive_size)
{
    const uint64_t needed =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((st->valid & needed) != needed || st->comp_size > archive_size)
        return ubp_fail(m->err, UB_ERR_FILE, "damaged: its place in the archive is wrong");
    if (st->encryption_method != ZIP_EM_NONE)
        return ubp_fail(m->err, UB_ERR_UNSUPPORTED, "it is encrypted");
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE)
        return ubp_fail(m->err, UB_ERR_UNSUPPORTED,
                        "compression method %d; stored and deflated members are supported",
                        st->comp_method);
    return UB_OK;
}

static ub_status read_member(ub_tensor **out, zip_t *archive, uint64_t index, const zip_stat_t *st,
                             size_t archive_size, ub_error *err)
{
    member m = {NULL, st->size, st->comp_size, st->comp_method == ZIP_CM_STORE, err};
    UBP_TRY(check_member(&m, st, archive_size));
    m.file = zip_fopen_index(archive, index, 0);
    if (!m.file)
        return fail_zip(err, zip_get_error(archive), "damaged");
    const ub_status status = read_tensor(&m, out);
    zip_fclose(m.file);
    return status;
}

/* ---- Reading the archive ----------------------------------------------------------------------
 */

/* Adds a name without its ".npy"; the tensor follows. */
static ub_status add_name(ub_npz *z, ubp_table *seen, const char *name, size_t length,
                          ub_error *err)
{
    const size_t count = (size_t)z->n;
    UBP_TRY(ubp_grow((void **)&z->names, &z->names_cap, count, sizeof(*z->names), err));
    UBP_TRY(ubp_grow((void **)&z->tensors, &z->tensors_cap, count, sizeof(*z->tensors), err));
    char *copy = ubp_malloc(length + 1);
    if (!copy)
        return ubp_fail_memory(err, length + 1);
    memcpy(copy, name, length);
    copy[length] = 0;
    z->names[z->n] = copy;
    z->tensors[z->n] = NULL;
    z->n++;
    if (ubp_table_find(seen, copy) >= 0)
        return ubp_fail(err, UB_ERR_FILE, "damaged: two members have this name");
    return ubp_table_add(seen, copy, z->n - 1, err);
}

static ub_status read_archive(ub_npz *z, zip_t *archive, size_t archive_size, ub_error *err)
{
    static const char suffix[] = ".npy";
    const size_t suffix_size = sizeof(suffix) - 1;
    ubp_table seen = {0};
    ub_status status = UB_OK;
    const int64_t n = zip_get_num_entries(archive, 0);
    if (n > INT32_MAX)
        return ubp_fail(err, UB_ERR_FILE, "damaged: %" PRId64 " members", n);
    for (int64_t i = 0; i < n && status == UB_OK; i++) {
        zip_stat_t st;
        if (zip_stat_index(archive, (zip_uint64_t)i, 0, &st) != 0 || !(st.valid & ZIP_STAT_NAME)) {
            status = fail_zip(err, zip_get_error(archive), "damaged");
            break;
        }
        const size_t length = strlen(st.name);
        if (length < suffix_size || strcmp(st.name + length - suffix_size, suffix) != 0)
            continue;
        status = add_name(z, &seen, st.name, length - suffix_size, err);
        if (status == UB_OK)
            status =
                read_member(&z->tensors[z->n - 1], archive, (uint64_t)i, &st, archive_size, err);
        if (status != UB_OK)
            ubp_error_prefix(err, "%s", st.name);
    }
    ubp_table_release(&seen);
    return status;
}

static ub_status open_archive(zip_t **out, const ub_buffer *file, ub_error *err)
{
    zip_error_t error;
    zip_error_init(&error);
    if (file->size == 0)
        return ubp_fail(err, UB_ERR_FILE, "not a .npz file: it is empty");
    zip_source_t *source = zip_source_buffer_create(file->data, file->size, 0, &error);
    *out = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    ub_status status = UB_OK;
    if (!*out) {
        zip_source_free(source);
        status = fail_zip(err, &error, "not a .npz file");
    }
    zip_error_fini(&error);
    return status;
}

static ub_status load(ub_npz *z, const char *path, ub_error *err)
{
    ub_buffer *file = NULL;
    zip_t *archive = NULL;
    UBP_TRY(ubp_map_file(&file, path, err));
    ub_status status = open_archive(&archive, file, err);
    if (status == UB_OK)
        status = read_archive(z, archive, file->size, err);
    if (status != UB_OK)
        ubp_error_prefix(err, "cannot read '%s'", path);
    if (archive)
        zip_discard(archive);
    ubp_buffer_unref(file);
    return status;
}

ub_status ub_npz_load(ub_npz **out, const char *path, ub_error *err)
{
    *out = NULL;
    ub_npz *z = ubp_calloc(1, sizeof(*z));
    if (!z)
        return ubp_fail_memory(err, sizeof(*z));
    const ub_status status = load(z, path, err);
    if (status != UB_OK) {
        ub_npz_free(z);
        return status;
    }
    *out = z;
    return UB_OK;
}

void ub_npz_free(ub_npz *z)
{
    if (!z)
        return;
    for (int i = 0; i < z->n; i++) {
        ubp_free(z->names[i]);
        ub_tensor_free(z->tensors[i]);
    }
    ubp_free(z->names);
    ubp_free(z->tensors);
    ubp_free(z);
}

int ub_npz_count(const ub_npz *z)
{
    return z->n;
}

const char *ub_npz_name(const ub_npz *z, int i)
{
    return i >= 0 && i < z->n ? z->names[i] : NULL;
}

const ub_tensor *ub_npz_tensor(const ub_npz *z, int i)
{
    return i >= 0 && i < z->n ? z->tensors[i] : NULL;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

/* One member as it is written: libzip reads it from these two places when the archive is closed. */
typedef struct part {
    ubp_text name; /* with ".npy" */
    ubp_npy_written npy;
    zip_buffer_fragment_t bytes[2]; /* the header, the elements */
} part;

static ub_status part_make(part *p, const char *name, const ub_tensor *t, ub_error *err)
{
    ubp_text_addf(&p->name, "%s.npy", name);
    if (p->name.failed)
        return ubp_fail_memory(err, strlen(name) + 5);
    UBP_TRY(ubp_npy_encode(&p->npy, t, err));
    p->bytes[0] = (zip_buffer_fragment_t){(zip_uint8_t *)p->npy.header.s, p->npy.header.len};
    /* libzip only reads it. */
    p->bytes[1] = (zip_buffer_fragment_t){(zip_uint8_t *)(uintptr_t)p->npy.bytes, p->npy.size};
    return UB_OK;
}

static void parts_free(part *parts, int n)
{
    for (int i = 0; parts && i < n; i++) {
        ubp_text_free(&parts[i].name);
        ubp_npy_written_release(&parts[i].npy);
    }
    ubp_free(parts);
}

static ub_status add_part(zip_t *archive, const part *p, ub_error *err)
{
    /* The date of every member is 1980-01-01, DOS's first day: equal arrays give equal files. */
    enum { DOS_TIME = 0, DOS_DATE = 0x21 };
    zip_source_t *source = zip_source_buffer_fragment(archive, p->bytes, 2, 0);
    if (!source)
        return fail_zip(err, zip_get_error(archive), p->name.s);
    const int64_t i = zip_file_add(archive, p->name.s, source, 0);
    if (i < 0) {
        zip_source_free(source);
        return fail_zip(err, zip_get_error(archive), p->name.s);
    }
    if (zip_set_file_compression(archive, (zip_uint64_t)i, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive, (zip_uint64_t)i, DOS_TIME, DOS_DATE, 0) != 0)
        return fail_zip(err, zip_get_error(archive), p->name.s);
    return UB_OK;
}

/* Writes the archive in place of the file at path, which is our temporary one. */
static ub_status write_archive(const char *path, const part *parts, int n, ub_error *err)
{
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_TRUNCATE, &code);
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const ub_status status = fail_zip(err, &error, "cannot begin");
        zip_error_fini(&error);
        return status;
    }
    ub_status status = UB_OK;
    for (int i = 0; i < n && status == UB_OK; i++)
        status = add_part(archive, &parts[i], err);
    if (status == UB_OK && zip_close(archive) == 0)
        return UB_OK;
    if (status == UB_OK)
        status = fail_zip(err, zip_get_error(archive), "cannot finish");
    zip_discard(archive);
    return status;
}

static ub_status save_parts(const char *path, const part *parts, int n, ub_error *err)
{
    ubp_output file;
    UBP_TRY(ubp_output_open(&file, path, err));
    ub_status status = UB_OK;
    if (!file.temp_path)
        status = ubp_fail(err, UB_ERR_FILE, "it is not a regular file");
    else
        status = write_archive(file.temp_path, parts, n, err);
    if (status != UB_OK)
        ubp_error_prefix(err, "cannot write '%s'", path);
    /* libzip wrote another file and gave it our temporary name. */
    if (status == UB_OK)
        status = ubp_output_reopen(&file, err);
    if (status == UB_OK)
        return ubp_output_commit(&file, err);
    ubp_output_abort(&file);
    return status;
}

ub_status ub_npz_save(const char *path, const char *const *names, const ub_tensor *const *tensors,
                      int n, ub_error *err)
{
    /* libzip removes an archive without members instead of writing it. */
    if (n < 1)
        return ubp_fail(err, UB_ERR_ARGUMENT, "an .npz file needs at least one array");
    part *parts = ubp_calloc((size_t)n, sizeof(*parts));
    ubp_table seen = {0};
    ub_status status = parts ? UB_OK : ubp_fail_memory(err, (size_t)n * sizeof(*parts));
    for (int i = 0; i < n && status == UB_OK; i++) {
        if (ubp_table_find(&seen, names[i]) >= 0)
            status = ubp_fail(err, UB_ERR_ARGUMENT, "two arrays are called '%s'", names[i]);
        else
            status = ubp_table_add(&seen, names[i], i, err);
        if (status == UB_OK)
            status = part_make(&parts[i], names[i], tensors[i], err);
    }
    if (status == UB_OK)
        status = save_parts(path, parts, n, err);
    ubp_table_release(&seen);
    parts_free(parts, n);
    return status;
}
