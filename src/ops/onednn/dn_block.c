/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image between channels-last and blocks of 8 channels, as the kernels before AVX-512 like it.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

enum { BLOCK = UBP_DN_BLOCK, BYTES = BLOCK * (int)sizeof(float), GRAIN = 1 << 12 };

typedef struct job {
    float *dst;       /* [channels / 8][pixels][8], or [pixels][channels] */
    const float *src; /* the other of the two */
    ubp_dn_image image;
} job;

/* Pixels in tiles, so that their lines stay in the cache while their blocks are taken in turn. */
enum { TILE = 32 };

static int64_t tile_end(int64_t at, int64_t end)
{
    return end - at < TILE ? end : at + TILE;
}

static void to_part(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    const int64_t channels = j->image.channels, pixels = j->image.pixels;
    for (int64_t at = begin; at < end; at = tile_end(at, end))
        for (int64_t c = 0; c < channels; c += BLOCK)
            for (int64_t i = at; i < tile_end(at, end); i++)
                memcpy(j->dst + c * pixels + i * BLOCK, j->src + i * channels + c, BYTES);
}

static void from_part(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    const int64_t channels = j->image.channels, pixels = j->image.pixels;
    for (int64_t at = begin; at < end; at = tile_end(at, end))
        for (int64_t c = 0; c < channels; c += BLOCK)
            for (int64_t i = at; i < tile_end(at, end); i++)
                memcpy(j->dst + i * channels + c, j->src + c * pixels + i * BLOCK, BYTES);
}

void ubp_dn_to_blocks(float *dst, const float *src, const ubp_dn_image *image, int threads)
{
    job j = {.dst = dst, .src = src, .image = *image};
    ubp_parallel(threads, image->pixels, GRAIN / image->channels, to_part, &j);
}

void ubp_dn_from_blocks(float *dst, const float *src, const ubp_dn_image *image, int threads)
{
    job j = {.dst = dst, .src = src, .image = *image};
    ubp_parallel(threads, image->pixels, GRAIN / image->channels, from_part, &j);
}

ubp_dn_image ubp_dn_image_of(const ubp_dn_operand *o)
{
    ubp_dn_image image = {.channels = o->dims[1], .pixels = 1};
    for (int64_t i = 2; i < o->rank; i++)
        image.pixels *= o->dims[i]; /* fits: the extent was checked */
    return image;
}
