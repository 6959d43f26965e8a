/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the library, as CMakeLists.txt has it. */
#include "unbatch.h"

const char *ub_version(void)
{
    return UBP_VERSION;
}
