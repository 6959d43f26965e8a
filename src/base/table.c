/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name -> number: open addressing with linear probing. Names come from files, so the hash is
 * SipHash-1-3 (Aumasson and Bernstein, 2012) with a key drawn for each table: a file cannot choose
 * names that all fall into one slot. Nothing visible depends on the key.
 */
#include "base/base.h"

#include <string.h>
#include <unistd.h>

typedef struct ubp_table_slot {
    const char *name; /* borrowed; NULL: free */
    uint64_t hash;
    int32_t value;
} slot;

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_name(const uint64_t key[2], const char *name)
{
    uint64_t v[4] = {0x736f6d6570736575u ^ key[0], 0x646f72616e646f6du ^ key[1],
                     0x6c7967656e657261u ^ key[0], 0x7465646279746573u ^ key[1]};
    const size_t n = strlen(name);
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)(unsigned char)name[i] << (i % 8 * 8);
        if (i % 8 == 7) {
            v[3] ^= word;
            sip_round(v);
            v[0] ^= word;
            word = 0;
        }
    }
    word |= (uint64_t)n << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot of the name, or the free one where it belongs; the table is never full. */
static slot *find_slot(const ubp_table *t, const char *name, uint64_t hash)
{
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        slot *s = &t->slots[i];
        if (!s->name || (s->hash == hash && strcmp(s->name, name) == 0))
            return s;
    }
}

/* Doubles the table when it is three quarters full. */
static ub_status make_room(ubp_table *t, ub_error *err)
{
    if (t->count < t->cap / 4 * 3)
        return UB_OK;
    const size_t cap = t->cap ? t->cap * 2 : 16;
    slot *slots = ubp_calloc(cap, sizeof(slot));
    if (!slots)
        return ubp_fail_memory(err, cap * sizeof(slot));
    /* Without a source of randomness the key stays fixed: slower at worst, never wrong. */
    if (!t->cap && getentropy(t->key, sizeof(t->key)) != 0)
        t->key[0] = t->key[1] = (uintptr_t)slots;
    ubp_table old = *t;
    t->slots = slots;
    t->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].name)
            *find_slot(t, old.slots[i].name, old.slots[i].hash) = old.slots[i];
    ubp_free(old.slots);
    return UB_OK;
}

ub_status ubp_table_add(ubp_table *t, const char *name, int32_t value, ub_error *err)
{
    UBP_TRY(make_room(t, err));
    const uint64_t hash = hash_name(t->key, name);
    slot *s = find_slot(t, name, hash);
    if (!s->name) {
        *s = (slot){name, hash, value};
        t->count++;
    }
    return UB_OK;
}

int32_t ubp_table_find(const ubp_table *t, const char *name)
{
    if (!t->cap)
        return -1;
    const slot *s = find_slot(t, name, hash_name(t->key, name));
    return s->name ? s->value : -1;
}

void ubp_table_release(ubp_table *t)
{
    ubp_free(t->slots);
    *t = (ubp_table){0};
}
