/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's operators that only move elements, first part: those that give views of their input, and
 * copies and casts.
 */
#include <string.h>

#include "load/pt2.h"

static const ubp_pt2_view RESHAPED = {.kind = UBP_PT2_RESHAPE}, SAME = {.kind = UBP_PT2_SAME},
                          OTHER = {.kind = UBP_PT2_OTHER};

/* self and what is said of it. */
static bool read_self(ubp_at *a, int32_t *x, ubp_pt2_meta *m)
{
    *x = ubp_at_tensor(a, "self");
    return ubp_at_meta(a, "self", m);
}

/* ---- Shapes -----------------------------------------------------------------------------------
 */

/* Whether PyTorch can give these sizes without copying, by the strides of its example. */
static bool is_view(const ubp_pt2_meta *from, const ubp_pt2_meta *to)
{
    ub_tensor t, view;
    int64_t have = 1, want = 1;
    if (!from->has_strides)
        return false;
    for (int i = 0; i < from->rank; i++)
        if (!ubp_mul_i64(have, from->sizes[i], &have))
            return false;
    for (int i = 0; i < to->rank; i++)
        if (to->sizes[i] < 0 || !ubp_mul_i64(want, to->sizes[i], &want))
            return false;
    if (have != want || ubp_tensor_describe(&t, UB_U8, from->rank, from->sizes, NULL) != UB_OK)
        return false;
    memcpy(t.strides, from->strides, sizeof(t.strides));
    return ubp_reshape_view(&view, &t, to->rank, to->sizes);
}

/* Gives x with the dims of the output; a view where PyTorch has one. */
static void give_reshaped(ubp_at *a, int32_t x, const ubp_pt2_meta *m, const ubp_pt2_size *sizes,
                          int n)
{
    ubp_pt2_meta out;
    int64_t dims[UB_MAX_RANK];
    int n_free = 0, n_minus = 0;
    bool zero = false;
    if (n > UB_MAX_RANK) {
        ubp_at_refuse(a, "%d axes", n);
        return;
    }
    for (int i = 0; i < n; i++) {
        const bool free = sizes[i].value != UBP_NO_VALUE;
        n_free += free;
        n_minus += !free && sizes[i].known == -1;
        zero |= !free && sizes[i].known == 0;
        dims[i] = free ? -1 : sizes[i].known;
    }
    /* What one size that is not fixed must be follows from the others. */
    if (n_free + n_minus <= 1 && !(zero && n_free + n_minus > 0)) {
        ubp_at_give(a, 0, ubp_emit_reshape(a->e, x, n, dims));
    } else {
        const int32_t in[] = {x, ubp_at_shape(a, sizes, n)};
        const ubp_attr zeros = ubp_emit_int("allowzero", 1);
        ubp_at_give(a, 0, ubp_emit_node(a->e, "Reshape", 2, in, zero, &zeros));
    }
    if (a->names[0] && ubp_at_out_meta(a, 0, &out) && is_view(m, &out))
        ubp_at_view(a, 0, RESHAPED);
}

static void make_view(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_pt2_size sizes[UBP_PT2_MAX_LIST];
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    if (ubp_at_given(a, "dtype")) {
        ubp_at_refuse(a, "another dtype for the same bytes");
        return;
    }
    const char *name = ubp_at_given(a, "size") ? "size" : "shape";
    const int n = ubp_at_sizes(a, name, sizes, UBP_PT2_MAX_LIST);
    give_reshaped(a, x, &m, sizes, n < 0 ? 0 : n);
    if (strcmp(a->base, "_unsafe_view") == 0)
        ubp_at_view(a, 0, (ubp_pt2_view){.kind = UBP_PT2_NO_VIEW});
}

/* view_as, reshape_as */
static void make_view_as(ubp_at *a)
{
    ubp_pt2_meta m, out;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int32_t other = ubp_at_tensor(a, "other");
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Reshape", x, ubp_emit_shape(a->e, other)));
    if (ubp_at_out_meta(a, 0, &out) && is_view(&m, &out))
        ubp_at_view(a, 0, RESHAPED);
}

/* The sizes of an input, those that are not fixed taken from it when it runs. */
static void sizes_of(ubp_at *a, int32_t x, const ubp_pt2_meta *m, ubp_pt2_size *sizes)
{
    for (int i = 0; i < m->rank; i++) {
        sizes[i] = (ubp_pt2_size){m->dims[i], UBP_NO_VALUE};
        if (m->dims[i] < 0)
            sizes[i].value = ubp_emit_size(a->e, x, i);
    }
}

/* The product of sizes first .. last; as a node where some are not fixed. */
static ubp_pt2_size product(ubp_at *a, const ubp_pt2_size *sizes, int first, int last)
{
    ubp_pt2_size out = {1, UBP_NO_VALUE};
    for (int i = first; i <= last; i++)
        if (sizes[i].value == UBP_NO_VALUE && !ubp_mul_i64(out.known, sizes[i].known, &out.known))
            ubp_at_refuse(a, "a size that is out of range");
    const int64_t known = out.known;
    for (int i = first; i <= last; i++) {
        if (sizes[i].value == UBP_NO_VALUE)
            continue;
        out.value = out.value == UBP_NO_VALUE ? sizes[i].value
                                              : ubp_emit_2(a->e, "Mul", out.value, sizes[i].value);
    }
    if (out.value != UBP_NO_VALUE && known != 1)
        out.value = ubp_emit_2(a->e, "Mul", out.value, ubp_emit_ints(a->e, &known, 1));
    return out;
}

static void make_flatten(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_pt2_size sizes[UB_MAX_RANK], flat[UB_MAX_RANK];
    int32_t x;
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    const int first = ubp_at_axis(a, "start_dim", 0, m.rank);
    const int last = ubp_at_axis(a, "end_dim", -1, m.rank);
    if (m.rank == 0) {
        flat[0] = (ubp_pt2_size){1, UBP_NO_VALUE};
        give_reshaped(a, x, &m, flat, 1);
        return;
    }
    sizes_of(a, x, &m, sizes);
    for (int i = 0; i < m.rank; i++) {
        if (i > first && i <= last)
            continue;
        flat[n++] = i == first ? product(a, sizes, first, last) : sizes[i];
    }
    give_reshaped(a, x, &m, flat, n);
}

static void make_unflatten(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_pt2_size sizes[UB_MAX_RANK], parts[UBP_PT2_MAX_LIST], out[UB_MAX_RANK + UBP_PT2_MAX_LIST];
    int32_t x;
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const int n_parts = ubp_at_sizes(a, "sizes", parts, UBP_PT2_MAX_LIST);
    sizes_of(a, x, &m, sizes);
    for (int i = 0; i < m.rank; i++) {
        if (i != axis)
            out[n++] = sizes[i];
        for (int k = 0; i == axis && k < n_parts; k++)
            out[n++] = parts[k];
    }
    give_reshaped(a, x, &m, out, n);
}

static void make_unsqueeze(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int64_t axis = ubp_at_axis(a, "dim", 0, m.rank + 1);
    ubp_at_give(a, 0, ubp_emit_unsqueeze(a->e, x, &axis, 1));
    ubp_at_view(a, 0, RESHAPED);
}

/* Axes of size 1 go; others stay, even when they are asked for. */
static void make_squeeze(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t asked[UB_MAX_RANK], axes[UB_MAX_RANK];
    int32_t x;
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    int n_asked = ubp_at_ints(a, "dim", asked, UB_MAX_RANK);
    if (n_asked < 0)
        for (n_asked = 0; n_asked < m.rank; n_asked++)
            asked[n_asked] = n_asked;
    for (int i = 0; i < n_asked; i++)
        if (ubp_normalize_axis(&asked[i], m.rank) && m.dims[asked[i]] == 1)
            axes[n++] = asked[i];
    ubp_at_give(a, 0, n > 0 ? ubp_emit_squeeze(a->e, x, axes, n) : x);
    ubp_at_view(a, 0, RESHAPED);
}

/* ---- Axes in another order --------------------------------------------------------------------
 */

static void give_permuted(ubp_at *a, int32_t x, int rank, const int64_t *perm)
{
    ubp_pt2_view view = {.kind = UBP_PT2_PERMUTE};
    bool seen[UB_MAX_RANK] = {false};
    for (int i = 0; i < rank; i++) {
        if (perm[i] < 0 || perm[i] >= rank || seen[perm[i]]) {
            ubp_at_refuse(a, "axes that are no permutation");
            return;
        }
        seen[perm[i]] = true;
        view.perm[i] = perm[i];
    }
    ubp_at_give(a, 0, ubp_emit_transpose(a->e, x, rank, perm));
    ubp_at_view(a, 0, view);
}

static void make_permute(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t perm[UB_MAX_RANK];
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int n = ubp_at_ints(a, "dims", perm, UB_MAX_RANK);
    for (int i = 0; i < n && i < m.rank; i++)
        perm[i] += perm[i] < 0 ? m.rank : 0;
    if (n == m.rank)
        give_permuted(a, x, m.rank, perm);
    else
        ubp_at_refuse(a, "%d axes of %d", n, m.rank);
}

/* transpose, t, numpy_T, mT: pairs of axes that are swapped. */
static void make_swap(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t perm[UB_MAX_RANK];
    int32_t x;
    const char *word = ubp_at_word(a);
    if (!read_self(a, &x, &m))
        return;
    int p = m.rank - 2, q = m.rank - 1;
    if (strcmp(word, "dim") == 0) {
        p = ubp_at_axis(a, ubp_at_given(a, "axis0") ? "axis0" : "dim0", 0, m.rank);
        q = ubp_at_axis(a, ubp_at_given(a, "axis1") ? "axis1" : "dim1", 0, m.rank);
    }
    for (int i = 0; i < m.rank; i++)
        perm[i] = strcmp(word, "all") == 0 ? m.rank - 1 - i : i == p ? q : i == q ? p : i;
    give_permuted(a, x, m.rank, perm);
}

static void make_movedim(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t from[UB_MAX_RANK], to[UB_MAX_RANK], perm[UB_MAX_RANK];
    bool moved[UB_MAX_RANK] = {false};
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int n = ubp_at_ints(a, "source", from, UB_MAX_RANK);
    if (ubp_at_ints(a, "destination", to, UB_MAX_RANK) != n) {
        ubp_at_refuse(a, "lists of axes that are not of one length");
        return;
    }
    for (int i = 0; i < m.rank; i++)
        perm[i] = -1;
    for (int i = 0; i < n; i++)
        if (ubp_normalize_axis(&from[i], m.rank) && ubp_normalize_axis(&to[i], m.rank)) {
            perm[to[i]] = from[i];
            moved[from[i]] = true;
        }
    for (int i = 0, next = 0; i < m.rank; i++) {
        if (perm[i] >= 0)
            continue;
        while (next < m.rank && moved[next])
            next++;
        perm[i] = next++;
    }
    give_permuted(a, x, m.rank, perm);
}

/* ---- Parts ------------------------------------------------------------------------------------
 */

static void give_slice(ubp_at *a, int32_t x, int axis, ubp_pt2_size start, ubp_pt2_size end,
                       int64_t step)
{
    ubp_emit *e = a->e;
    const int64_t at = axis;
    ubp_pt2_view view = OTHER;
    if (start.value == UBP_NO_VALUE && end.value == UBP_NO_VALUE)
        view = (ubp_pt2_view){.kind = UBP_PT2_SLICE,
                              .axis = axis,
                              .start = start.known,
                              .end = end.known,
                              .step = step};
    const int32_t in[] = {x, ubp_at_shape(a, &start, 1), ubp_at_shape(a, &end, 1),
                          ubp_emit_ints(e, &at, 1), ubp_emit_ints(e, &step, 1)};
    ubp_at_give(a, 0, ubp_emit_node(e, "Slice", 5, in, 0, NULL));
    ubp_at_view(a, 0, view);
}

static void make_slice(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const ubp_pt2_size start = ubp_at_size(a, "start", 0);
    const ubp_pt2_size end = ubp_at_size(a, "end", INT64_MAX);
    const int64_t step = ubp_at_int(a, "step", 1);
    if (step < 1)
        ubp_at_refuse(a, "step %lld", (long long)step);
    else
        give_slice(a, x, axis, start, end, step);
}

static void make_narrow(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const ubp_pt2_size start = ubp_at_size(a, "start", 0);
    const ubp_pt2_size length = ubp_at_size(a, "length", 0);
    ubp_pt2_size end = {0, UBP_NO_VALUE};
    if (start.value == UBP_NO_VALUE && length.value == UBP_NO_VALUE &&
        ubp_add_i64(start.known, length.known, &end.known))
        end.known = start.known < 0 && end.known == 0 ? INT64_MAX : end.known;
    else
        end.value =
            ubp_emit_2(a->e, "Add", ubp_at_shape(a, &start, 1), ubp_at_shape(a, &length, 1));
    give_slice(a, x, axis, start, end, 1);
}

static void make_select(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int64_t axis = ubp_at_axis(a, "dim", 0, m.rank);
    const ubp_pt2_size index = ubp_at_size(a, "index", 0);
    if (index.value != UBP_NO_VALUE) {
        const int64_t front = 0;
        const int32_t in[] = {x, ubp_emit_squeeze(a->e, index.value, &front, 1)};
        const ubp_attr attr = ubp_emit_int("axis", axis);
        ubp_at_give(a, 0, ubp_emit_node(a->e, "Gather", 2, in, 1, &attr));
        ubp_at_view(a, 0, OTHER);
        return;
    }
    const int64_t i = index.known, end = i == -1 ? INT64_MAX : i + (i < INT64_MAX);
    const int32_t part = ubp_emit_slice(a->e, x, (int)axis, i, end, 1);
    ubp_at_give(a, 0, ubp_emit_squeeze(a->e, part, &axis, 1));
    ubp_at_view(a, 0, (ubp_pt2_view){.kind = UBP_PT2_SELECT, .axis = (int)axis, .start = i});
}

/* Gives the outputs as parts of those sizes. */
static void give_split(ubp_at *a, int32_t x, int axis, const int64_t *sizes, int n, bool gone)
{
    ubp_emit *e = a->e;
    const int64_t at = axis;
    int64_t start = 0;
    if (n != a->n_out || n == 0) {
        ubp_at_refuse(a, "%d parts for %d outputs", n, a->n_out);
        return;
    }
    const int32_t in[] = {x, ubp_emit_ints(e, sizes, n)};
    const ubp_attr attr = ubp_emit_int("axis", axis);
    int32_t *out = ubp_at_array(a, (size_t)n, sizeof(*out));
    if (!out)
        return;
    ubp_emit_many(e, "Split", 2, in, 1, &attr, n, out);
    for (int k = 0; k < n; k++) {
        ubp_at_give(a, k, gone ? ubp_emit_squeeze(e, out[k], &at, 1) : out[k]);
        ubp_at_view(a, k,
                    (ubp_pt2_view){.kind = gone ? UBP_PT2_SELECT : UBP_PT2_SLICE,
                                   .axis = axis,
                                   .start = start,
                                   .end = start + sizes[k],
                                   .step = 1});
        start += sizes[k];
    }
}

/* split, chunk, unbind, split_with_sizes, tensor_split: how many entries each part gets. */
static void make_split(ubp_at *a)
{
    enum { MOST = 4096 };
    ubp_pt2_meta m;
    int64_t sizes[MOST];
    int32_t x;
    const char *word = ubp_at_word(a);
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const int64_t size = m.rank > 0 ? m.dims[axis] : -1;
    if (size < 0) {
        ubp_at_refuse(a, "an axis whose size is not fixed");
        return;
    }
    if (strcmp(word, "sizes") == 0) {
        const char *name = ubp_at_given(a, "split_sizes") ? "split_sizes" : "split_size";
        n = ubp_at_ints(a, name, sizes, UBP_PT2_MAX_LIST);
    } else {
        int64_t each = 1;
        if (strcmp(word, "chunk") == 0) {
            const int64_t chunks = ubp_at_int(a, "chunks", 1);
            each = chunks > 0 ? size / chunks + (size % chunks != 0) : 1;
        } else if (strcmp(word, "split") == 0) {
            each = ubp_at_int(a, "split_size", 1);
        }
        each = each < 1 ? 1 : each;
        for (int64_t at = 0; at < size && n < MOST; at += each)
            sizes[n++] = size - at < each ? size - at : each;
        if (size == 0 && strcmp(word, "unbind") != 0)
            sizes[n++] = 0;
    }
    give_split(a, x, axis, sizes, n, strcmp(word, "unbind") == 0);
}

static void make_tensor_split(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t at[UBP_PT2_MAX_LIST], sizes[UBP_PT2_MAX_LIST + 1];
    int32_t x;
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const int64_t size = m.rank > 0 ? m.dims[axis] : -1;
    if (size < 0) {
        ubp_at_refuse(a, "an axis whose size is not fixed");
        return;
    }
    if (ubp_at_given(a, "indices")) {
        const int k = ubp_at_ints(a, "indices", at, UBP_PT2_MAX_LIST);
        int64_t before = 0;
        for (int i = 0; i < k; i++) {
            int64_t end = at[i] < 0 ? at[i] + size : at[i];
            end = end < before ? before : end > size ? size : end;
            sizes[n++] = end - before;
            before = end;
        }
        sizes[n++] = size - before;
    } else {
        const int64_t sections = ubp_at_int(a, "sections", 1);
        if (sections < 1 || sections > UBP_PT2_MAX_LIST) {
            ubp_at_refuse(a, "%lld sections", (long long)sections);
            return;
        }
        for (; n < sections; n++)
            sizes[n] = size / sections + (n < size % sections);
    }
    give_split(a, x, axis, sizes, n, false);
}

/* ---- Broadcasting -----------------------------------------------------------------------------
 */

static void make_expand(ubp_at *a)
{
    ubp_pt2_meta m;
    ubp_pt2_size sizes[UBP_PT2_MAX_LIST];
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int n = ubp_at_sizes(a, "size", sizes, UBP_PT2_MAX_LIST);
    for (int i = 0; i < n; i++)
        if (sizes[i].value == UBP_NO_VALUE && sizes[i].known == -1)
            sizes[i].known = 1; /* as it is */
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Expand", x, ubp_at_shape(a, sizes, n < 0 ? 0 : n)));
    ubp_at_view(a, 0, OTHER);
}

static void make_expand_as(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "self"), other = ubp_at_tensor(a, "other");
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Expand", x, ubp_emit_shape(a->e, other)));
    ubp_at_view(a, 0, OTHER);
}

/* ---- The same, copies, casts ------------------------------------------------------------------
 */

static void make_alias(ubp_at *a)
{
    ubp_at_give(a, 0, ubp_at_tensor(a, "self"));
    ubp_at_view(a, 0, SAME);
}

static void make_clone(ubp_at *a)
{
    ubp_at_give(a, 0, ubp_at_tensor(a, "self"));
}

/* Whether the elements lie row-major without gaps. */
static bool is_contiguous(const ubp_pt2_meta *m)
{
    int64_t next = 1;
    for (int i = m->rank - 1; i >= 0; i--) {
        if (!m->has_strides || (m->sizes[i] != 1 && m->strides[i] != next))
            return false;
        if (!ubp_mul_i64(next, m->sizes[i], &next))
            return false;
    }
    return true;
}

/* A copy unless it lies so already. */
static void make_contiguous(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    ubp_at_give(a, 0, x);
    if (is_contiguous(&m))
        ubp_at_view(a, 0, SAME);
}

/* .to(): itself when nothing changes. */
static void make_to(ubp_at *a)
{
    ubp_pt2_meta m, out;
    int32_t x;
    if (!read_self(a, &x, &m) || !ubp_at_out_meta(a, 0, &out))
        return;
    ubp_at_ignore(a, "other");
    ubp_at_dtype(a, "dtype", out.dtype);
    const bool copy = ubp_at_bool(a, "copy", false) || strcmp(ubp_at_word(a), "copy") == 0;
    if (out.dtype == UB_UNDEFINED || m.dtype == UB_UNDEFINED) {
        ubp_at_refuse(a, "dtype %s", ubp_pt2_dtype_name(out.code));
        return;
    }
    ubp_at_give(a, 0, out.dtype != m.dtype ? ubp_emit_cast(a->e, x, out.dtype) : x);
    if (out.dtype == m.dtype && !copy)
        ubp_at_view(a, 0, SAME);
}

const ubp_pt2_op ubp_pt2_ops_move[] = {
    {"view", make_view, ""},
    {"reshape", make_view, ""},
    {"_unsafe_view", make_view, ""},
    {"view_copy", make_view, ""},
    {"view_as", make_view_as, ""},
    {"reshape_as", make_view_as, ""},
    {"flatten", make_flatten, ""},
    {"ravel", make_flatten, ""},
    {"unflatten", make_unflatten, ""},
    {"unsqueeze", make_unsqueeze, ""},
    {"squeeze", make_squeeze, ""},
    {"permute", make_permute, ""},
    {"transpose", make_swap, "dim"},
    {"swapaxes", make_swap, "dim"},
    {"swapdims", make_swap, "dim"},
    {"t", make_swap, "all"},
    {"numpy_T", make_swap, "all"},
    {"mT", make_swap, "last"},
    {"mH", make_swap, "last"},
    {"adjoint", make_swap, "last"},
    {"movedim", make_movedim, ""},
    {"moveaxis", make_movedim, ""},
    {"slice", make_slice, ""},
    {"narrow", make_narrow, ""},
    {"select", make_select, ""},
    {"split", make_split, "split"},
    {"unsafe_split", make_split, "split"},
    {"split_with_sizes", make_split, "sizes"},
    {"unsafe_split_with_sizes", make_split, "sizes"},
    {"chunk", make_split, "chunk"},
    {"unsafe_chunk", make_split, "chunk"},
    {"unbind", make_split, "unbind"},
    {"tensor_split", make_tensor_split, ""},
    {"expand", make_expand, ""},
    {"broadcast_to", make_expand, ""},
    {"expand_as", make_expand_as, ""},
    {"alias", make_alias, ""},
    {"detach", make_alias, ""},
    {"lift_fresh", make_alias, ""},
    {"lift_fresh_copy", make_clone, ""},
    {"clone", make_clone, ""},
    {"detach_copy", make_clone, ""},
    {"contiguous", make_contiguous, ""},
    {"to", make_to, ""},
    {"type_as", make_to, ""},
    {"_to_copy", make_to, "copy"},
    {0},
};
