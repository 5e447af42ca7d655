#include "erofs/hash.h"

#include <string.h>
#include <sys/random.h>

uint64_t hash_seed(void)
{
    uint64_t seed = 0;
    /* Without chance the order of slots is guessable, and nothing else. */
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0) seed = 0x9e3779b97f4a7c15u;
    return seed;
}

static uint64_t mix(uint64_t one, uint64_t other)
{
    unsigned __int128 product = (unsigned __int128)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t hash = mix(seed ^ length, 0xa0761d6478bd642fu);
    for (size_t left = length; left > 0;) {
        uint64_t word = 0;
        size_t size = left < sizeof word ? left : sizeof word;
        memcpy(&word, at, size);
        hash = mix(hash ^ word ^ seed, 0xe7037ed1a0b428dbu);
        at += size;
        left -= size;
    }
    return mix(hash, 0x8ebc6af09c88c6e3u ^ seed);
}
