/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/item.h"

static ub_status make(ubp_item **out, ubp_item_kind kind, ub_error *err)
{
    *out = ubp_calloc(1, sizeof **out);
    if (!*out)
        return ubp_fail_memory(err, sizeof **out);
    (*out)->refs = 1;
    (*out)->kind = kind;
    (*out)->samples = UBP_NO_SAMPLES;
    return UB_OK;
}

ub_status ubp_item_take(ubp_item **out, ub_tensor *t, const ubp_samples *samples, ub_error *err)
{
    const ub_status st = make(out, UBP_ITEM_TENSOR, err);
    if (st != UB_OK) {
        ub_tensor_free(t);
        return st;
    }
    (*out)->tensor = t;
    if (samples)
        (*out)->samples = *samples;
    return UB_OK;
}

ub_status ubp_item_view(ubp_item **out, const ub_tensor *view, const ubp_samples *samples,
                        ub_error *err)
{
    ub_tensor *handle;
    *out = NULL;
    UBP_TRY(ubp_tensor_handle(&handle, view, err));
    return ubp_item_take(out, handle, samples, err);
}

ub_status ubp_item_list(ubp_item **out, ubp_item_kind kind, int64_t n, ub_error *err)
{
    UBP_TRY(make(out, kind, err));
    (*out)->list = ubp_calloc((size_t)n + 1, sizeof(ubp_item *));
    if (!(*out)->list) {
        ubp_item_free(*out);
        *out = NULL;
        return ubp_fail_memory(err, (size_t)n * sizeof(ubp_item *));
    }
    (*out)->n = n;
    return UB_OK;
}

ubp_item *ubp_item_ref(ubp_item *item)
{
    if (item)
        item->refs++;
    return item;
}

/* Lists nest twice at most: an optional of a sequence of tensors. */
void ubp_item_free(ubp_item *item)
{
    if (!item || --item->refs > 0)
        return;
    for (int64_t i = 0; i < item->n; i++)
        ubp_item_free(item->list[i]);
    ubp_free(item->list);
    if (item->live)
        *item->live -= item->bytes;
    ub_tensor_free(item->tensor);
    ubp_free(item);
}

const char *ubp_item_word(const ubp_item *item)
{
    return item->kind == UBP_ITEM_TENSOR     ? "a tensor"
           : item->kind == UBP_ITEM_SEQUENCE ? "a sequence"
                                             : "an optional";
}
