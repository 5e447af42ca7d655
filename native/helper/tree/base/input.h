/* Reading a stream through one large buffer, without copying what can be used where it lies. */
#ifndef TSBUILD_TREE_INPUT_H
#define TSBUILD_TREE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    int fd;
    uint8_t *bytes;
    size_t start, end;
    uint64_t taken; /* bytes handed out so far */
    bool can_seek;  /* a regular file, of `size` bytes */
    uint64_t size;
};

/* A regular file is read from its beginning. */
void input_open(struct input *input, int fd);
/* The next `length` bytes, at most INPUT_MAX_TAKE, valid until the next call. 1, 0 when fewer are left, -1 with a report. */
int input_take(struct input *input, size_t length, const uint8_t **bytes);
/* Between 1 and `most` bytes, whatever is there. 1, 0 at the end, -1 with a report. */
int input_some(struct input *input, size_t most, const uint8_t **bytes, size_t *length);
/* Passes over bytes, without reading them where that can be. 1, 0 when fewer are left, -1 with a report. */
int input_skip(struct input *input, uint64_t length);

#define INPUT_MAX_TAKE ((size_t)1 << 20)

#endif
