/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of HDF5 that Keras writes, reading only: superblock 0 and 1, groups of symbol tables,
 * object headers of version 1, contiguous and compact datasets, string attributes. In: the bytes of
 * a file; out: views of them. Why not libhdf5: docs/decisions/hdf5-reader.md.
 *
 * Every address and size is checked before it is followed. Walks are short by construction (a
 * B-tree's level must fall, blocks of a header are counted) or take from a budget.
 */
#include "file/file.h"

#include <string.h>

struct ubp_hdf5 {
    const uint8_t *bytes;
    size_t size;
    uint64_t root;   /* object header of the root group */
    uint64_t budget; /* steps and bytes that may still be spent */
};

enum {
    MAX_BLOCKS = 256, /* of an object header */
    MAX_LEVEL = 32,   /* of a B-tree */
    MAX_STRINGS = 1 << 20,
    HEADER_PREFIX = 16,
    MESSAGE_PREFIX = 8,
    SYMBOL_ENTRY = 40
};

#define UNDEFINED_ADDRESS UINT64_MAX

/* Kinds of messages in an object header. */
enum {
    DATASPACE = 1,
    DATATYPE = 3,
    LAYOUT = 8,
    ATTRIBUTE = 12,
    CONTINUATION = 16,
    SYMBOL_TABLE = 17
};

/* Classes of datatypes. */
enum { FIXED = 0, FLOATING = 1, STRING = 3, OPAQUE = 5, ENUMERATION = 8, VARIABLE = 9 };

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* A range of the file being read; ok falls when something lies outside. */
typedef struct cursor {
    const uint8_t *at, *end;
    bool ok;
} cursor;

static cursor range(const ubp_hdf5 *h, uint64_t at, uint64_t size)
{
    if (at > h->size || size > h->size - at)
        return (cursor){.ok = false};
    return (cursor){h->bytes + at, h->bytes + at + size, true};
}

static const uint8_t *take(cursor *c, uint64_t n)
{
    const uint8_t *at = c->at;
    if (!c->ok || n > (uint64_t)(c->end - c->at)) {
        c->ok = false;
        return NULL;
    }
    c->at += n;
    return at;
}

/* A little-endian number of n bytes. */
static uint64_t number(cursor *c, int n)
{
    const uint8_t *at = take(c, (uint64_t)n);
    uint64_t v = 0;
    for (int i = n - 1; at && i >= 0; i--)
        v = v << 8 | at[i];
    return v;
}

static bool signature(cursor *c, const char *text)
{
    const uint8_t *at = take(c, strlen(text));
    return at && memcmp(at, text, strlen(text)) == 0;
}

static bool spend(ubp_hdf5 *h, uint64_t n)
{
    if (n > h->budget)
        return false;
    h->budget -= n;
    return true;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static ub_status read_superblock(ubp_hdf5 *h, ub_error *err)
{
    cursor c = range(h, 8, h->size - 8);
    const uint64_t version = number(&c, 1);
    if (version > 1)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "an HDF5 file with superblock %d, where Keras writes 0; save it again with"
                        " Keras, or with h5py's libver='earliest'",
                        (int)version);
    take(&c, 4);
    const uint64_t offsets = number(&c, 1), lengths = number(&c, 1);
    take(&c, 1 + 2 + 2 + 4 + (version == 1 ? 4 : 0));
    const uint64_t base = number(&c, 8);
    take(&c, 3 * 8 + 8); /* free space, end, driver; the root's name */
    h->root = number(&c, 8);
    if (!c.ok || offsets != 8 || lengths != 8 || base != 0 || h->root >= h->size)
        return ubp_fail(err, UB_ERR_FILE, "damaged HDF5 file: its superblock makes no sense");
    return UB_OK;
}

ub_status ubp_hdf5_open(ubp_hdf5 **out, const void *bytes, size_t size, ub_error *err)
{
    *out = NULL;
    if (size < 8 || memcmp(bytes, "\x89HDF\r\n\x1a\n", 8) != 0)
        return ubp_fail(err, UB_ERR_FILE, "not an HDF5 file: the signature is missing");
    ubp_hdf5 *h = ubp_calloc(1, sizeof(*h));
    if (!h)
        return ubp_fail_memory(err, sizeof(*h));
    h->bytes = bytes;
    h->size = size;
    h->budget = (uint64_t)64 * size + (1 << 20);
    const ub_status status = read_superblock(h, err);
    if (status == UB_OK)
        *out = h;
    else
        ubp_free(h);
    return status;
}

void ubp_hdf5_close(ubp_hdf5 *h)
{
    ubp_free(h);
}

/* ---- Object headers -------------------------------------------------------------------------- */

/* Called for each message; false stops. */
typedef bool (*message_fn)(void *arg, int kind, cursor body);

/* A block of messages; blocks it continues in are added to the list. */
static bool walk_block(cursor c, uint64_t (*blocks)[2], int *n_blocks, message_fn fn, void *arg)
{
    while (c.ok && c.end - c.at >= MESSAGE_PREFIX) {
        const int kind = (int)number(&c, 2);
        const uint64_t size = number(&c, 2), flags = number(&c, 1);
        take(&c, 3);
        const uint8_t *at = take(&c, size);
        if (!at)
            return false;
        cursor body = {at, at + size, true};
        if (kind == CONTINUATION && *n_blocks < MAX_BLOCKS) {
            blocks[*n_blocks][0] = number(&body, 8);
            blocks[*n_blocks][1] = number(&body, 8);
            ++*n_blocks;
        } else if (!(flags & 2) && !fn(arg, kind, body)) { /* 2: lies elsewhere, shared */
            return true;
        }
    }
    return true;
}

/* Visits the messages of an object; false when it is damaged. */
static bool walk_object(ubp_hdf5 *h, uint64_t at, message_fn fn, void *arg)
{
    uint64_t blocks[MAX_BLOCKS][2];
    int n = 1;
    cursor c = range(h, at, HEADER_PREFIX);
    const uint64_t version = number(&c, 1);
    take(&c, 7);
    blocks[0][0] = at + HEADER_PREFIX;
    blocks[0][1] = number(&c, 4);
    if (!c.ok || version != 1)
        return false;
    for (int i = 0; i < n; i++) {
        cursor block = range(h, blocks[i][0], blocks[i][1]);
        if (!block.ok || !spend(h, 16 + blocks[i][1] / 8) ||
            !walk_block(block, blocks, &n, fn, arg))
            return false;
    }
    return true;
}

/* ---- Groups ---------------------------------------------------------------------------------- */

/* The names of a group. */
typedef struct group {
    uint64_t tree;
    const uint8_t *names;
    uint64_t names_size;
} group;

static bool find_table(void *arg, int kind, cursor body)
{
    uint64_t *table = arg;
    if (kind != SYMBOL_TABLE)
        return true;
    table[0] = number(&body, 8);
    table[1] = number(&body, 8);
    table[2] = body.ok;
    return false;
}

static bool open_group(ubp_hdf5 *h, uint64_t object, group *g)
{
    uint64_t table[3] = {0, 0, 0};
    if (!walk_object(h, object, find_table, table) || !table[2])
        return false;
    cursor heap = range(h, table[1], 32);
    if (!signature(&heap, "HEAP"))
        return false;
    take(&heap, 4);
    g->names_size = number(&heap, 8);
    take(&heap, 8);
    const cursor names = range(h, number(&heap, 8), g->names_size);
    g->names = names.at;
    g->tree = table[0];
    return heap.ok && names.ok;
}

/* The n characters of name against the heap's text at offset; false when that is outside. */
static bool compare_name(const group *g, uint64_t offset, const char *name, size_t n, int *order)
{
    if (offset >= g->names_size)
        return false;
    const size_t room = (size_t)(g->names_size - offset);
    const char *text = (const char *)g->names + offset;
    const size_t m = strnlen(text, room);
    *order = memcmp(name, text, n < m ? n : m);
    if (*order == 0)
        *order = n < m ? -1 : n > m;
    return m < room;
}

/* The object of that name in a leaf. */
static uint64_t find_in_leaf(ubp_hdf5 *h, const group *g, uint64_t at, const char *name, size_t n)
{
    cursor head = range(h, at, 8);
    const bool good = signature(&head, "SNOD");
    take(&head, 2);
    const uint64_t count = number(&head, 2);
    cursor c = range(h, at + 8, count * SYMBOL_ENTRY);
    if (!good || !head.ok || !c.ok || !spend(h, count))
        return UNDEFINED_ADDRESS;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t text = number(&c, 8), object = number(&c, 8), cached = number(&c, 4);
        int order;
        take(&c, 20);
        /* 2: a symbolic link, which may lead anywhere */
        if (compare_name(g, text, name, n, &order) && order == 0)
            return cached == 2 ? UNDEFINED_ADDRESS : object;
    }
    return UNDEFINED_ADDRESS;
}

/* Down a B-tree: child i has the names behind key i, up to key i + 1. */
static uint64_t find_in_group(ubp_hdf5 *h, const group *g, const char *name, size_t n)
{
    uint64_t at = g->tree;
    int above = MAX_LEVEL;
    for (;;) {
        cursor c = range(h, at, 24);
        const bool good = signature(&c, "TREE");
        const uint64_t kind = number(&c, 1);
        const int level = (int)number(&c, 1);
        const uint64_t count = number(&c, 2);
        cursor keys = range(h, at + 24, count * 16 + 8);
        if (!good || !keys.ok || kind != 0 || level >= above || !spend(h, count))
            return UNDEFINED_ADDRESS;
        above = level;
        at = UNDEFINED_ADDRESS;
        for (uint64_t i = 0; i < count && at == UNDEFINED_ADDRESS; i++) {
            take(&keys, 8);
            const uint64_t child = number(&keys, 8);
            cursor next = keys;
            int order;
            if (!compare_name(g, number(&next, 8), name, n, &order))
                return UNDEFINED_ADDRESS;
            if (order <= 0)
                at = child;
        }
        if (at == UNDEFINED_ADDRESS || level == 0)
            break;
    }
    return at == UNDEFINED_ADDRESS ? at : find_in_leaf(h, g, at, name, n);
}

/* The object at "a/b/c". */
static uint64_t find_object(ubp_hdf5 *h, const char *path)
{
    uint64_t at = h->root;
    while (*path && at != UNDEFINED_ADDRESS) {
        const size_t n = strcspn(path, "/");
        group g;
        at = n > 0 && open_group(h, at, &g) ? find_in_group(h, &g, path, n) : UNDEFINED_ADDRESS;
        path += n + (path[n] == '/');
    }
    return at;
}

/* ---- Datatypes and shapes -------------------------------------------------------------------- */

typedef struct datatype {
    int class;
    uint32_t bits;
    uint64_t size;
    cursor properties;
} datatype;

static bool read_datatype(cursor *c, datatype *t)
{
    t->class = (int)(number(c, 1) & 15);
    t->bits = (uint32_t)number(c, 3);
    t->size = number(c, 4);
    t->properties = *c;
    return c->ok;
}

/* Dims of a dataspace; *count is their product. */
static bool read_dataspace(cursor *c, int *rank, int64_t *dims, uint64_t *count)
{
    const uint64_t version = number(c, 1);
    *rank = (int)number(c, 1);
    const uint64_t flags = number(c, 1);
    const uint64_t type = number(c, version == 1 ? 5 : 1);
    *count = version == 2 && type == 2 ? 0 : 1; /* 2: no elements at all */
    (void)flags;
    if (!c->ok || (version != 1 && version != 2) || *rank > UB_MAX_RANK)
        return false;
    for (int i = 0; i < *rank; i++) {
        const uint64_t dim = number(c, 8);
        if (dim > INT64_MAX || __builtin_mul_overflow(*count, dim, count))
            return false;
        dims[i] = (int64_t)dim;
    }
    return c->ok;
}

/* Floats of IEEE's layouts in little-endian order. */
static ub_dtype float_dtype(const datatype *t)
{
    cursor p = t->properties;
    take(&p, 2);
    const uint64_t precision = number(&p, 2), exponent = number(&p, 1);
    const uint64_t exponent_size = number(&p, 1), mantissa = number(&p, 1);
    const uint64_t mantissa_size = number(&p, 1);
    if (!p.ok || precision != t->size * 8 || mantissa != 0 || exponent != mantissa_size)
        return UB_UNDEFINED;
    if (t->size == 4)
        return exponent_size == 8 ? UB_F32 : UB_UNDEFINED;
    if (t->size == 8)
        return exponent_size == 11 ? UB_F64 : UB_UNDEFINED;
    return t->size != 2 ? UB_UNDEFINED : exponent_size == 5 ? UB_F16 : UB_BF16;
}

static ub_dtype integer_dtype(const datatype *t)
{
    static const ub_dtype with_sign[] = {UB_I8, UB_I16, UB_I32, UB_I64};
    static const ub_dtype without[] = {UB_U8, UB_U16, UB_U32, UB_U64};
    const int log = t->size == 1 ? 0 : t->size == 2 ? 1 : t->size == 4 ? 2 : t->size == 8 ? 3 : -1;
    return log < 0 ? UB_UNDEFINED : (t->bits & 8) ? with_sign[log] : without[log];
}

/* ---- Datasets -------------------------------------------------------------------------------- */

/* What a dataset's header says. */
typedef struct dataset {
    bool has_type, has_space, has_layout;
    datatype type;
    int rank;
    int64_t dims[UB_MAX_RANK];
    int layout; /* 0 compact, 1 contiguous */
    uint64_t at, size;
    const uint8_t *file;
} dataset;

static bool read_layout(dataset *d, cursor *c)
{
    const uint64_t version = number(c, 1);
    d->layout = (int)number(c, 1);
    if (version != 3 && version != 4)
        d->layout = -1;
    if (d->layout == 0) {
        d->size = number(c, 2);
        d->at = c->ok ? (uint64_t)(c->at - d->file) : 0;
        take(c, d->size);
    } else if (d->layout == 1) {
        d->at = number(c, 8);
        d->size = number(c, 8);
    }
    return c->ok;
}

static bool dataset_message(void *arg, int kind, cursor body)
{
    dataset *d = arg;
    uint64_t count;
    if (kind == DATASPACE)
        d->has_space = read_dataspace(&body, &d->rank, d->dims, &count);
    else if (kind == DATATYPE)
        d->has_type = read_datatype(&body, &d->type);
    else if (kind == LAYOUT)
        d->has_layout = read_layout(d, &body);
    return true;
}

/* Keras writes bfloat16 as opaque elements of two bytes and says so in an attribute. */
static bool is_bfloat16(ubp_hdf5 *h, const datatype *t, const char *path)
{
    char *text = NULL;
    ubp_arena arena = {.cap = 1 << 16};
    ub_error ignored;
    const bool yes = t->size == 2 &&
                     ubp_hdf5_string(&text, h, path, "dtype", &arena, &ignored) == UB_OK && text &&
                     strcmp(text, "bfloat16") == 0;
    ubp_arena_release(&arena);
    return yes;
}

static ub_dtype dtype_of(ubp_hdf5 *h, const datatype *t, const char *path)
{
    if (t->class == FIXED)
        return integer_dtype(t);
    if (t->class == FLOATING)
        return float_dtype(t);
    if (t->class == OPAQUE && is_bfloat16(h, t, path))
        return UB_BF16;
    return t->class == ENUMERATION && t->size == 1 ? UB_BOOL : UB_UNDEFINED;
}

/* Elements in the other byte order, or bools that may be other than 0 and 1: copied. */
static ub_status copy_elements(ub_tensor *t, const uint8_t *from, bool swap, ubp_arena *arena,
                               ub_error *err)
{
    const size_t bytes = ubp_tensor_bytes(t), each = ub_dtype_size(t->dtype);
    uint8_t *to = ubp_arena_alloc(arena, bytes);
    if (!to)
        return ubp_fail_memory(err, bytes);
    for (size_t i = 0; i < bytes; i++)
        to[i] = swap ? from[i - i % each + (each - 1 - i % each)] : (uint8_t)(from[i] != 0);
    t->data = to;
    return UB_OK;
}

ub_status ubp_hdf5_tensor(ub_tensor *out, ubp_hdf5 *h, const char *path, ubp_arena *arena,
                          ub_error *err)
{
    dataset d = {.file = h->bytes};
    const uint64_t object = find_object(h, path);
    *out = (ub_tensor){0};
    if (object == UNDEFINED_ADDRESS)
        return ubp_fail(err, UB_ERR_FILE, "the file has no dataset '%s'", path);
    if (!walk_object(h, object, dataset_message, &d) || !d.has_type || !d.has_space ||
        !d.has_layout)
        return ubp_fail(err, UB_ERR_FILE, "damaged file: dataset '%s' cannot be read", path);
    if (d.layout != 0 && d.layout != 1)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "dataset '%s' is stored in chunks, which Keras does not write; repack the"
                        " file with h5repack -l CONTI -f NONE",
                        path);
    const ub_dtype dtype = dtype_of(h, &d.type, path);
    if (dtype == UB_UNDEFINED)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "dataset '%s' has elements of %llu bytes of HDF5's class %d, which is no"
                        " dtype that is known",
                        path, (unsigned long long)d.type.size, d.type.class);
    UBP_TRY(ubp_tensor_describe(out, dtype, d.rank, d.dims, err));
    const size_t bytes = ubp_tensor_bytes(out);
    const cursor data = range(h, bytes ? d.at : 0, bytes);
    if (!data.ok || bytes > d.size)
        return ubp_fail(err, UB_ERR_FILE,
                        "damaged file: dataset '%s' has %zu bytes, which the file does not have",
                        path, bytes);
    const bool swap = d.type.class <= FLOATING && (d.type.bits & 1) && d.type.size > 1;
    if ((swap || dtype == UB_BOOL) && bytes > 0)
        return spend(h, bytes) ? copy_elements(out, data.at, swap, arena, err)
                               : ubp_fail(err, UB_ERR_FILE, "damaged HDF5 file: too much in it");
    out->data = (void *)(uintptr_t)data.at; /* only read */
    return UB_OK;
}

/* ---- String attributes ----------------------------------------------------------------------- */

/* An attribute being looked for, and then read. */
typedef struct attribute {
    const char *name;
    bool found, damaged;
    datatype type;
    uint64_t count;
    cursor data;
} attribute;

static bool read_attribute(attribute *a, cursor c)
{
    const uint64_t version = number(&c, 1), flags = number(&c, 1);
    const uint64_t name_size = number(&c, 2), type_size = number(&c, 2), space_size = number(&c, 2);
    const uint64_t round = version == 1 ? 7 : 0; /* version 1 pads to 8 bytes */
    take(&c, version == 3 ? 1 : 0);
    const char *name = (const char *)take(&c, (name_size + round) & ~round);
    const uint8_t *type = take(&c, (type_size + round) & ~round);
    const uint8_t *space = take(&c, (space_size + round) & ~round);
    int64_t dims[UB_MAX_RANK];
    int rank;
    if (!c.ok || version < 1 || version > 3 || strnlen(name, name_size) == name_size)
        return false;
    if (strcmp(name, a->name) != 0)
        return true;
    cursor in_type = {type, type + type_size, true}, in_space = {space, space + space_size, true};
    a->found = true;
    a->data = c;
    return !(version > 1 && flags) && read_datatype(&in_type, &a->type) &&
           read_dataspace(&in_space, &rank, dims, &a->count);
}

static bool attribute_message(void *arg, int kind, cursor body)
{
    attribute *a = arg;
    if (kind == ATTRIBUTE)
        a->damaged = !read_attribute(a, body);
    return !a->found && !a->damaged;
}

/* Object `index` of a global heap's collection. */
static cursor find_in_heap(ubp_hdf5 *h, uint64_t at, uint64_t index)
{
    cursor head = range(h, at, 16);
    const bool good = signature(&head, "GCOL");
    take(&head, 4);
    const uint64_t size = number(&head, 8);
    cursor c = range(h, at, size);
    take(&c, 16);
    while (good && c.ok && c.end - c.at >= 16 && spend(h, 1)) {
        const uint64_t number_here = number(&c, 2);
        take(&c, 6);
        const uint64_t bytes = number(&c, 8);
        const uint8_t *data = take(&c, bytes);
        if (!data || number_here == 0)
            break;
        if (number_here == index)
            return (cursor){data, data + bytes, true};
        const uint64_t pad = (8 - bytes % 8) % 8;
        take(&c, pad);
    }
    return (cursor){.ok = false};
}

/* The next string of an attribute's data. */
static bool next_string(ubp_hdf5 *h, attribute *a, cursor *text)
{
    if (a->type.class == STRING) {
        const uint8_t *at = take(&a->data, a->type.size);
        if (!at)
            return false;
        *text = (cursor){at, at + strnlen((const char *)at, (size_t)a->type.size), true};
        while ((a->type.bits & 15) == 2 && text->end > text->at && text->end[-1] == ' ')
            text->end--;
        return true;
    }
    const uint64_t length = number(&a->data, 4), heap = number(&a->data, 8),
                   index = number(&a->data, 4);
    if (!a->data.ok)
        return false;
    *text = (cursor){h->bytes, h->bytes, true};
    if (length == 0)
        return true;
    *text = find_in_heap(h, heap, index);
    if (!text->ok || length > (uint64_t)(text->end - text->at))
        return false;
    text->end = text->at + strnlen((const char *)text->at, (size_t)length);
    return true;
}

/* All strings of one attribute, behind the *n that are in *out. */
static ub_status read_strings(ubp_hdf5 *h, attribute *a, char ***out, size_t *n, size_t *cap,
                              ubp_arena *arena, ub_error *err)
{
    const bool variable = a->type.class == VARIABLE && (a->type.bits & 15) == 1;
    if (a->count == 0) /* NumPy writes an empty list as float64 of no elements */
        return UB_OK;
    if (a->type.class != STRING && !variable)
        return ubp_fail(err, UB_ERR_FILE, "attribute '%s' holds no text", a->name);
    for (uint64_t i = 0; i < a->count; i++) {
        cursor text;
        if (i >= MAX_STRINGS || !next_string(h, a, &text) ||
            !spend(h, (uint64_t)(text.end - text.at) + 16))
            return ubp_fail(err, UB_ERR_FILE, "damaged file: attribute '%s' cannot be read",
                            a->name);
        UBP_TRY(ubp_grow((void **)out, cap, *n, sizeof(char *), err));
        (*out)[*n] = ubp_arena_strndup(arena, (const char *)text.at, (size_t)(text.end - text.at));
        if (!(*out)[(*n)++])
            return ubp_fail_memory(err, (size_t)(text.end - text.at));
    }
    return UB_OK;
}

static ub_status find_strings(ubp_hdf5 *h, uint64_t object, const char *name, char ***out,
                              size_t *n, size_t *cap, bool *found, ubp_arena *arena, ub_error *err)
{
    attribute a = {.name = name};
    const bool good = walk_object(h, object, attribute_message, &a);
    *found = a.found;
    if (!good || a.damaged)
        return ubp_fail(err, UB_ERR_FILE, "damaged file: the attributes beside '%s' cannot be read",
                        name);
    return a.found ? read_strings(h, &a, out, n, cap, arena, err) : UB_OK;
}

ub_status ubp_hdf5_strings(char ***out, size_t *n, ubp_hdf5 *h, const char *path, const char *name,
                           ubp_arena *arena, ub_error *err)
{
    const uint64_t object = find_object(h, path);
    bool found = false;
    size_t cap = 0;
    char **list = NULL;
    *out = NULL;
    *n = 0;
    if (object == UNDEFINED_ADDRESS)
        return UB_OK;
    ub_status status = find_strings(h, object, name, &list, n, &cap, &found, arena, err);
    /* Keras splits what is too long for one attribute: name0, name1, ... */
    for (int i = 0; status == UB_OK && (i == 0 ? !found : found); i++) {
        const char *part = ubp_arena_printf(arena, "%s%d", name, i);
        status = part ? find_strings(h, object, part, &list, n, &cap, &found, arena, err)
                      : ubp_fail_memory(err, strlen(name));
    }
    if (status == UB_OK && *n > 0 && !(*out = ubp_arena_array(arena, *n, sizeof(char *))))
        status = ubp_fail_memory(err, *n * sizeof(char *));
    if (status == UB_OK && *n > 0)
        memcpy(*out, list, *n * sizeof(char *));
    ubp_free(list);
    return status;
}

ub_status ubp_hdf5_string(char **out, ubp_hdf5 *h, const char *path, const char *name,
                          ubp_arena *arena, ub_error *err)
{
    char **all;
    size_t n;
    *out = NULL;
    UBP_TRY(ubp_hdf5_strings(&all, &n, h, path, name, arena, err));
    if (n > 0)
        *out = all[0];
    return UB_OK;
}

ubp_hdf5_kind ubp_hdf5_find(ubp_hdf5 *h, const char *path)
{
    dataset d = {.file = h->bytes};
    group g;
    const uint64_t object = find_object(h, path);
    if (object == UNDEFINED_ADDRESS)
        return UBP_HDF5_NONE;
    if (open_group(h, object, &g))
        return UBP_HDF5_GROUP;
    return walk_object(h, object, dataset_message, &d) && d.has_layout ? UBP_HDF5_DATASET
                                                                       : UBP_HDF5_NONE;
}
