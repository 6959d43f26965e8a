/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the n-th allocation of the library fail, and counts what is not freed. Link a test with the
 * target `fault`: malloc and its kin of the static library then come through fault.c (ld's --wrap).
 *
 *     for (long n = 1; fault_next(n); n++)
 *         assert(call fails with UB_ERR_MEMORY and fault_live() is what it was);
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>

/* Lets the n-th allocation from now fail; false when the one set before was not reached, so that
 * there is nothing left to try. It then sets nothing. */
bool fault_next(long n);
/* No allocation fails any more; whether one did. */
bool fault_stop(void);
/* Blocks that were allocated and not freed. */
long fault_live(void);

#endif
