/* Blocks of one deflate stream, compressed apart from each other by ISA-L or by the zlib that node contains. */
#ifndef TSBUILD_DEFLATER_H
#define TSBUILD_DEFLATER_H

#include "isal-library.h"
#include "node-exports.h"

#define BLOCK_BYTES (512u * 1024)
#define DICTIONARY_BYTES (32u * 1024)
/* What cannot be compressed is stored, with a few bytes for each 64 KiB. */
#define DEFLATED_BYTES (BLOCK_BYTES + 16u * 1024)

struct deflater {
    const struct isal_library *isal; /* NULL for zlib */
    int level; /* zlib's */
    struct isal_zstream stream;
    uint8_t isal_level[ISAL_LEVEL_BYTES];
};

struct deflation {
    /* Follows the dictionary, which is what came before it in the stream. */
    const uint8_t *block, *dictionary;
    size_t block_bytes, dictionary_bytes;
    /* Of DEFLATED_BYTES. */
    uint8_t *output;
    size_t produced;
};

/* Raw deflate that ends on a byte with an empty stored block, as zlib's sync flush does. 0, or -1. */
int deflater_run(struct deflater *deflater, struct deflation *deflation);

#endif
