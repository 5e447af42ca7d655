/*
 * The part of libisal.so.2's interface that is used. The library is looked for on the machine at run time: nothing of it is
 * linked, and its headers need not be there. Sizes and offsets are those of its interface, which its soname fixes.
 */
#ifndef TSBUILD_ISAL_LIBRARY_H
#define TSBUILD_ISAL_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

/* One stream of compression. */
struct isal_zstream {
    uint8_t *next_in;
    uint32_t avail_in;
    uint32_t total_in;
    uint8_t *next_out;
    uint32_t avail_out;
    uint32_t total_out;
    void *hufftables;
    uint32_t level;
    uint32_t level_buf_size;
    uint8_t *level_buf;
    uint16_t end_of_stream;
    uint16_t flush;
    uint16_t gzip_flag;
    uint16_t hist_bits;
    /* The library's own state takes 82,320 bytes; a later one of this soname may use its spare room a little differently. */
    uint8_t internal[128 * 1024];
};

/* One stream of decompression. */
struct isal_inflate_state {
    uint8_t *next_out;
    uint32_t avail_out;
    uint32_t total_out;
    uint8_t *next_in;
    uint64_t read_in;
    uint32_t avail_in;
    int32_t read_in_length;
    uint8_t code_tables[21120];
    int32_t block_state;
    uint32_t dict_length;
    uint32_t is_last_block;
    uint32_t crc_flag;
    uint32_t crc;
    uint8_t internal[128 * 1024];
};

_Static_assert(sizeof(void *) != 8 || offsetof(struct isal_zstream, internal) == 64, "isal_zstream");
_Static_assert(sizeof(void *) != 8 || offsetof(struct isal_inflate_state, block_state) == 21160, "inflate_state");
_Static_assert(sizeof(void *) != 8 || offsetof(struct isal_inflate_state, crc_flag) == 21172, "inflate_state");

#define ISAL_SYNC_FLUSH 1
#define ISAL_WRITES_GZIP 1
/* The header is left to the caller, the trailer is checked. */
#define ISAL_CHECKS_TRAILER 6
#define ISAL_INVALID_HEADER (-4)
#define ISAL_BLOCK_FINISHED 5
/* Level 3, the most thorough, works in 4 KiB + 16 KiB + 64 KiB of tables and 256 KiB of tokens. */
#define ISAL_LEVEL 3
#define ISAL_LEVEL_BYTES (84 * 1024 + 256 * 1024)

struct isal_library {
    void (*deflate_init)(struct isal_zstream *stream);
    int (*deflate_set_dictionary)(struct isal_zstream *stream, const uint8_t *dictionary, uint32_t length);
    int (*deflate)(struct isal_zstream *stream);
    void (*inflate_init)(struct isal_inflate_state *state);
    int (*inflate)(struct isal_inflate_state *state);
};

/* Finds the library and tries it, once. NULL when it cannot be used, which `*reason` then explains. */
const struct isal_library *get_isal(const char **reason);

#endif
