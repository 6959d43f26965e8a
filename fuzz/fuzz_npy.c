/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes read as a .npy file, and printed. */
#include "tensor/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    ub_tensor *t = NULL;
    char *text = NULL;
    if (ub_npy_parse(&t, bytes, size, NULL) != UB_OK)
        return 0;
    if (ub_tensor_str(&text, t, NULL) == UB_OK)
        ub_string_free(text);
    ub_tensor_free(t);
    return 0;
}
