/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex: RE2's syntax as far as a yes or no over the whole string needs it, in time that is linear
 * in the string whatever the pattern is.
 */
#ifndef UBP_REGEX_H
#define UBP_REGEX_H

#include "base/base.h"

typedef struct ubp_regex ubp_regex;

/* In the arena. NULL: *why says what is wrong with the pattern, or is NULL when memory ran out. */
const ubp_regex *ubp_regex_make(const char *pattern, ubp_arena *arena, const char **why);
/* Whether the whole of s matches. false: out of memory. */
bool ubp_regex_match(const ubp_regex *r, const char *s, bool *matched);

#endif
