/* SPDX-License-Identifier: Apache-2.0 */
/* Text read as a NumPy index and applied to a small array. */
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static float data[2 * 3 * 4];
    ub_tensor t, *out = NULL;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = 0;
    if (ub_tensor_wrap(&t, data, UB_F32, 3, (int64_t[]){2, 3, 4}, NULL) == UB_OK &&
        ub_tensor_index(&out, &t, text, NULL) == UB_OK)
        ub_tensor_free(out);
    free(text);
    return 0;
}
