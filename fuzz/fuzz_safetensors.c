/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes read as a .safetensors file; every tensor is read to its end. */
#include "file/file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static unsigned sum_bytes(const ub_tensor *t)
{
    const uint8_t *at = t->data;
    const size_t n = ubp_tensor_bytes(t);
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += at[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    ub_error err = {0};
    ub_buffer *file = NULL;
    ub_safetensors *s = NULL;
    volatile unsigned sum = 0;
    if (ubp_buffer_wrap(&file, (void *)(uintptr_t)bytes, size, NULL, NULL, NULL) != UB_OK)
        return 0;
    const ub_status status = ubp_safetensors_read(&s, file, &err);
    if (status != UB_OK && (status != err.code || strlen(err.message) == 0))
        abort();
    for (int i = 0; s && i < ub_safetensors_count(s); i++)
        sum += sum_bytes(ub_safetensors_tensor(s, i));
    (void)sum;
    ub_safetensors_free(s);
    ubp_buffer_unref(file);
    return 0;
}
