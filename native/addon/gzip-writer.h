/*
 * What comes through one descriptor leaves through another as one gzip member. Threads of its own read, compress several
 * blocks at once, and write, so that the bytes pass neither the main thread nor the heap; both sides are hashed on the way.
 */
#ifndef TSBUILD_GZIP_WRITER_H
#define TSBUILD_GZIP_WRITER_H

#include "deflater.h"

#include <pthread.h>
#include <stdbool.h>

#define MAX_WORKERS 8
/* So many more blocks than workers may wait to be compressed or written. */
#define SPARE_BLOCKS 4
#define MAX_BLOCKS (MAX_WORKERS + SPARE_BLOCKS)

struct gzip_block {
    uint8_t *input; /* the dictionary, then the block */
    uint8_t *output;
    size_t block_bytes, dictionary_bytes, packed_bytes;
    bool is_packed;
};

struct gzip_side {
    int fd;
    evp_digest *digest;
    uint64_t bytes;
};

struct gzip_writer {
    struct gzip_side input, output;
    const struct isal_library *isal; /* NULL for zlib */
    int level;
    /* From the writing thread: how much was written, now and then, and once, last, that it is over. */
    void (*progressed)(void *context, uint64_t written_bytes);
    void (*ended)(void *context);
    void *context;
    int error; /* of `syscall`; 0 when all went well */
    const char *syscall;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t reader, workers[MAX_WORKERS];
    unsigned worker_count, block_count;
    struct gzip_block blocks[MAX_BLOCKS];
    /* Blocks are counted from the first to the last and lie in turn in `blocks`. */
    uint64_t read_blocks, claimed_blocks, written_blocks;
    bool is_read, is_stopped;
    uint32_t checksum;
};

/* Duplicates the descriptors and begins. 0, or -1 with `error` and `syscall` set; then nothing is left but to close it. */
int gzip_writer_start(struct gzip_writer *writer, int input_fd, int output_fd);
/* After `ended`, or when it did not start. */
void gzip_writer_close(struct gzip_writer *writer);

#endif
