/* Writing a stream through one large buffer that callers may fill in place. */
#ifndef TSBUILD_TREE_OUTPUT_H
#define TSBUILD_TREE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

struct output {
    int fd;
    uint8_t *bytes;
    size_t length;
    uint64_t total; /* bytes put in so far */
};

void output_open(struct output *output, int fd);
/* Each 0, or -1 with a report. */
int output_put(struct output *output, const void *bytes, size_t length);
int output_zeros(struct output *output, uint64_t length);
/* Copies exactly `length` bytes of `fd` from `offset` on. 1 when the file ends before that. */
int output_file(struct output *output, int fd, uint64_t offset, uint64_t length);
int output_flush(struct output *output);

#endif
