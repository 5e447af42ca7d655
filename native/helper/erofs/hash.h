/* A hash of few bytes, seeded by chance: what an archive names its files does not decide how they collide. */
#ifndef TSBUILD_EROFS_HASH_H
#define TSBUILD_EROFS_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_seed(void);
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length);

#endif
