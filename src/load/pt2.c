/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .pt2 files of torch.export.save(): a zip archive of a program as JSON and of its weights as they
 * lie in memory.
 */
#include "load/load.h"

#include <string.h>

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool ubp_pt2_is(const ubp_zip *z)
{
    for (int i = 0; i < ubp_zip_count(z); i++) {
        const char *name = ubp_zip_name(z, i);
        if (ends_with(name, "/archive_format") || strcmp(name, "archive_format") == 0 ||
            ends_with(name, "serialized_exported_program.json") ||
            (strstr(name, "/models/") && ends_with(name, ".json")))
            return true;
    }
    return false;
}

ub_status ubp_load_pt2(ubp_loaded *out, const ubp_zip *z, ub_error *err)
{
    (void)out;
    (void)z;
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "a .pt2 file; this version does not open those");
}
