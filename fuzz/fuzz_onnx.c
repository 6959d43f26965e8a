/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes opened as an ONNX model. */
#include "fuzz_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return fuzz_load(bytes, size);
}
