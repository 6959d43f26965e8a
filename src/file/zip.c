/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zip archives in memory, as .pt2 and .keras are. libzip reads the directory and inflates; where
 * the bytes of a stored member lie it does not tell, so the directory is walked once more for the
 * local headers, and each member's name and size must agree with what libzip found. Stored members
 * are views of the archive, whose checksums are not compared: that would read every page.
 */
#include "file/file.h"

#include <inttypes.h>
#include <string.h>
#include <zip.h>

typedef struct member {
    const char *name; /* libzip's, alive with the archive */
    uint64_t local;   /* where its local header begins */
    uint64_t size;    /* bytes it holds, uncompressed */
    uint64_t packed;  /* bytes it takes in the archive */
    uint16_t method, encryption;
} member;

struct ubp_zip {
    ub_buffer *file;
    zip_t *archive;
    int n;
    member *members; /* [n] */
    ubp_table names;
};

/* Sizes and signatures of APPNOTE 6.3, section 4.3. */
enum { LOCAL_SIZE = 30, ENTRY_SIZE = 46, END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20 };
enum { COMMENT_MOST = 0xFFFF, EXTRA64 = 1 };

/* No deflate stream grows more than 1032-fold (zlib.net/zlib_tech.html); a little is added for the
 * shortest ones. */
enum { DEFLATE_MOST = 1032, DEFLATE_SLACK = 1024 };

static uint64_t read_le(const uint8_t *at, int size)
{
    uint64_t v = 0;
    for (int i = size - 1; i >= 0; i--)
        v = v << 8 | at[i];
    return v;
}

/* `size` bytes of the archive from `at`, or NULL when they are not all in it. */
static const uint8_t *bytes_at(const ub_buffer *file, uint64_t at, uint64_t size)
{
    if (at > file->size || size > file->size - at)
        return NULL;
    return (const uint8_t *)file->data + at;
}

static ub_status fail_zip(ub_error *err, zip_error_t *error, const char *doing)
{
    const bool memory = zip_error_code_zip(error) == ZIP_ER_MEMORY;
    return ubp_fail(err, memory ? UB_ERR_MEMORY : UB_ERR_FILE, "%s: %s", doing,
                    zip_error_strerror(error));
}

static ub_status fail_directory(ub_error *err)
{
    return ubp_fail(err, UB_ERR_FILE, "damaged zip file: its directory is not where it should be");
}

/* ---- The directory ----------------------------------------------------------------------------
 */

/* Where the directory begins: from the end record, the last one in the file that a comment of the
 * length it claims follows, or from the ZIP64 one that lies before it. */
static ub_status find_directory(const ub_buffer *file, uint64_t *at, ub_error *err)
{
    const uint8_t *end = NULL;
    uint64_t where = 0;
    for (uint64_t comment = 0; !end && comment <= COMMENT_MOST; comment++) {
        if (file->size < END_SIZE + comment)
            return fail_directory(err);
        where = file->size - END_SIZE - comment;
        const uint8_t *p = (const uint8_t *)file->data + where;
        if (memcmp(p, "PK\5\6", 4) == 0 && read_le(p + 20, 2) == comment)
            end = p;
    }
    if (!end)
        return fail_directory(err);
    *at = read_le(end + 16, 4);
    if (*at != UINT32_MAX && read_le(end + 10, 2) != UINT16_MAX)
        return UB_OK;
    const uint8_t *locator =
        where < LOCATOR_SIZE ? NULL : bytes_at(file, where - LOCATOR_SIZE, LOCATOR_SIZE);
    if (!locator || memcmp(locator, "PK\6\7", 4) != 0)
        return UB_OK;
    const uint8_t *end64 = bytes_at(file, read_le(locator + 8, 8), END64_SIZE);
    if (!end64 || memcmp(end64, "PK\6\6", 4) != 0)
        return fail_directory(err);
    *at = read_le(end64 + 48, 8);
    return UB_OK;
}

/* An entry's local header when its field of 32 bits is too small: the ZIP64 extra field holds, in
 * this order, those of size, packed size and place that are too large for theirs. */
static bool find_local64(const uint8_t *entry, const uint8_t *extra, uint64_t size, uint64_t *at)
{
    const uint64_t skip = 8 * ((uint64_t)(read_le(entry + 24, 4) == UINT32_MAX) +
                               (uint64_t)(read_le(entry + 20, 4) == UINT32_MAX));
    while (size >= 4) {
        const uint64_t id = read_le(extra, 2), length = read_le(extra + 2, 2);
        if (length > size - 4)
            return false;
        if (id == EXTRA64 && length >= skip + 8) {
            *at = read_le(extra + 4 + skip, 8);
            return true;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return false;
}

/* The entry at *at is that of m: sets m->local and moves *at behind it. */
static ub_status find_local(const ub_buffer *file, member *m, uint64_t *at, ub_error *err)
{
    const uint8_t *entry = bytes_at(file, *at, ENTRY_SIZE);
    if (!entry || memcmp(entry, "PK\1\2", 4) != 0)
        return fail_directory(err);
    const uint64_t name_size = read_le(entry + 28, 2), extra_size = read_le(entry + 30, 2);
    const uint64_t all = ENTRY_SIZE + name_size + extra_size + read_le(entry + 32, 2);
    const uint64_t packed = read_le(entry + 20, 4);
    if (!bytes_at(file, *at, all) || name_size != strlen(m->name) ||
        memcmp(entry + ENTRY_SIZE, m->name, name_size) != 0 ||
        (packed != UINT32_MAX && packed != m->packed))
        return fail_directory(err);
    m->local = read_le(entry + 42, 4);
    if (m->local == UINT32_MAX &&
        !find_local64(entry, entry + ENTRY_SIZE + name_size, extra_size, &m->local))
        return fail_directory(err);
    *at += all;
    return UB_OK;
}

static ub_status read_entry(ubp_zip *z, int i, uint64_t *at, ub_error *err)
{
    const uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                            ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    zip_stat_t st;
    if (zip_stat_index(z->archive, (zip_uint64_t)i, ZIP_FL_ENC_RAW, &st) != 0)
        return fail_zip(err, zip_get_error(z->archive), "damaged zip file");
    if ((st.valid & needed) != needed)
        return fail_directory(err);
    member *m = &z->members[i];
    *m = (member){.name = zip_get_name(z->archive, (zip_uint64_t)i, ZIP_FL_ENC_RAW),
                  .size = st.size,
                  .packed = st.comp_size,
                  .method = st.comp_method,
                  .encryption = st.encryption_method};
    if (!m->name)
        return fail_zip(err, zip_get_error(z->archive), "damaged zip file");
    UBP_TRY(find_local(z->file, m, at, err));
    if (ubp_table_find(&z->names, m->name) >= 0)
        return ubp_fail(err, UB_ERR_FILE, "damaged zip file: two members are called '%s'", m->name);
    return ubp_table_add(&z->names, m->name, i, err);
}

static ub_status read_directory(ubp_zip *z, ub_error *err)
{
    uint64_t at = 0;
    const int64_t n = zip_get_num_entries(z->archive, 0);
    if (n < 0 || n > INT32_MAX)
        return ubp_fail(err, UB_ERR_FILE, "damaged zip file: %" PRId64 " members", n);
    z->members = ubp_calloc((size_t)n, sizeof(*z->members));
    if (!z->members)
        return ubp_fail_memory(err, (size_t)n * sizeof(*z->members));
    z->n = (int)n;
    UBP_TRY(find_directory(z->file, &at, err));
    for (int i = 0; i < z->n; i++)
        UBP_TRY(read_entry(z, i, &at, err));
    return UB_OK;
}

/* ---- Opening ----------------------------------------------------------------------------------
 */

static ub_status open_archive(ubp_zip *z, ub_error *err)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(z->file->data, z->file->size, 0, &error);
    z->archive = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    ub_status status = UB_OK;
    if (!z->archive) {
        zip_source_free(source);
        status = fail_zip(err, &error, "damaged zip file");
    }
    zip_error_fini(&error);
    return status;
}

ub_status ubp_zip_open(ubp_zip **out, ub_buffer *file, ub_error *err)
{
    *out = NULL;
    if (file->size == 0)
        return ubp_fail(err, UB_ERR_FILE, "not a zip file: it is empty");
    ubp_zip *z = ubp_calloc(1, sizeof(*z));
    if (!z)
        return ubp_fail_memory(err, sizeof(*z));
    z->file = file;
    ubp_buffer_ref(file);
    ub_status status = open_archive(z, err);
    if (status == UB_OK)
        status = read_directory(z, err);
    if (status != UB_OK) {
        ubp_zip_close(z);
        return status;
    }
    *out = z;
    return UB_OK;
}

void ubp_zip_close(ubp_zip *z)
{
    if (!z)
        return;
    if (z->archive)
        zip_discard(z->archive);
    ubp_table_release(&z->names);
    ubp_free(z->members);
    ubp_buffer_unref(z->file);
    ubp_free(z);
}

int ubp_zip_count(const ubp_zip *z)
{
    return z->n;
}

const char *ubp_zip_name(const ubp_zip *z, int i)
{
    return z->members[i].name;
}

int ubp_zip_find(const ubp_zip *z, const char *name)
{
    return ubp_table_find(&z->names, name);
}

/* ---- Members ----------------------------------------------------------------------------------
 */

static ub_status check_method(const member *m, ub_error *err)
{
    if (m->encryption != ZIP_EM_NONE)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "'%s' in the zip file is encrypted", m->name);
    if (m->method != ZIP_CM_STORE && m->method != ZIP_CM_DEFLATE)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "'%s' in the zip file has compression method %d; stored and deflated"
                        " members are supported",
                        m->name, m->method);
    return UB_OK;
}

ub_status ubp_zip_view(const ubp_zip *z, int i, const uint8_t **data, size_t *size, ub_error *err)
{
    const member *m = &z->members[i];
    UBP_TRY(check_method(m, err));
    if (m->method != ZIP_CM_STORE)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "'%s' in the zip file is compressed", m->name);
    const uint8_t *local = bytes_at(z->file, m->local, LOCAL_SIZE);
    if (!local || memcmp(local, "PK\3\4", 4) != 0)
        return ubp_fail_at(err, UB_ERR_FILE, (int64_t)m->local,
                           "damaged zip file: '%s' does not begin where the directory says",
                           m->name);
    const uint64_t begin = m->local + LOCAL_SIZE + read_le(local + 26, 2) + read_le(local + 28, 2);
    const uint8_t *bytes = bytes_at(z->file, begin, m->size);
    if (!bytes || m->size != m->packed)
        return ubp_fail_at(
            err, UB_ERR_FILE, (int64_t)begin,
            "damaged zip file: '%s' claims %" PRIu64 " bytes, the file has %" PRIu64 " left",
            m->name, m->size, begin < z->file->size ? z->file->size - begin : UINT64_C(0));
    *data = bytes;
    *size = (size_t)m->size;
    return UB_OK;
}

bool ubp_zip_is_stored(const ubp_zip *z, int i)
{
    return z->members[i].method == ZIP_CM_STORE;
}

/* Reads `size` bytes and the end behind them, where libzip compares the checksum. */
static ub_status inflate_all(zip_file_t *file, const member *m, uint8_t *bytes, ub_error *err)
{
    size_t got = 0;
    uint8_t more = 0;
    for (;;) {
        const bool full = got == m->size;
        const int64_t n =
            zip_fread(file, full ? &more : bytes + got, full ? 1 : (size_t)m->size - got);
        if (n < 0) {
            ub_status status = fail_zip(err, zip_file_get_error(file), "damaged");
            ubp_error_prefix(err, "'%s' in the zip file", m->name);
            return status;
        }
        if (n == 0 && full)
            return UB_OK;
        if (n == 0 || full)
            return ubp_fail(err, UB_ERR_FILE,
                            "damaged zip file: '%s' does not have the %" PRIu64
                            " bytes that the directory says",
                            m->name, m->size);
        got += (size_t)n;
    }
}

static ub_status inflate_member(ub_buffer **out, const ubp_zip *z, int i, ub_error *err)
{
    const member *m = &z->members[i];
    UBP_TRY(ubp_buffer_new(out, (size_t)m->size, false, err));
    zip_file_t *file = zip_fopen_index(z->archive, (zip_uint64_t)i, 0);
    if (!file)
        return fail_zip(err, zip_get_error(z->archive), "damaged zip file");
    const ub_status status = inflate_all(file, m, (*out)->data, err);
    zip_fclose(file);
    return status;
}

static void release_view(ub_buffer *b)
{
    ubp_buffer_unref(b->owner);
}

static ub_status view_member(ub_buffer **out, const ubp_zip *z, int i, ub_error *err)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    UBP_TRY(ubp_zip_view(z, i, &data, &size, err));
    UBP_TRY(ubp_buffer_wrap(out, (void *)(uintptr_t)data, size, release_view, z->file, err));
    ubp_buffer_ref(z->file);
    return UB_OK;
}

ub_status ubp_zip_member(ub_buffer **out, const ubp_zip *z, int i, size_t most, ub_error *err)
{
    *out = NULL;
    const member *m = &z->members[i];
    UBP_TRY(check_method(m, err));
    if (m->size > most)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "'%s' in the zip file has %" PRIu64 " bytes; at most %zu are read", m->name,
                        m->size, most);
    if (m->method == ZIP_CM_STORE)
        return view_member(out, z, i, err);
    /* Nothing is allocated before the size was compared with what the bytes there can hold. */
    if (m->packed > z->file->size || m->size > m->packed * DEFLATE_MOST + DEFLATE_SLACK)
        return ubp_fail(err, UB_ERR_FILE,
                        "damaged zip file: '%s' claims to hold %" PRIu64 " bytes in %" PRIu64,
                        m->name, m->size, m->packed);
    const ub_status status = inflate_member(out, z, i, err);
    if (status != UB_OK) {
        ubp_buffer_unref(*out);
        *out = NULL;
    }
    return status;
}
