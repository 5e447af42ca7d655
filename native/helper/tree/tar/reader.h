/*
 * Reading a tar that nobody vouches for: v7, ustar, GNU, star and PAX. What readers disagree about is refused rather
 * than guessed, and nothing is allocated because a header says so.
 */
#ifndef TSBUILD_TREE_TAR_READER_H
#define TSBUILD_TREE_TAR_READER_H

#include "tree/base/input.h"
#include "tree/tar/entry.h"
#include "tree/tar/pax.h"

#include <stdbool.h>

struct tar_reader {
    struct input input;
    struct entry entry; /* the current one; paths are normalized */
    struct pax pax;
    struct buffer meta, long_name, long_link;
    bool has_long_name, has_long_link;
    uint64_t unread; /* of the current body */
    uint64_t padding;
    uint64_t count;
};

void tar_open(struct tar_reader *reader, int fd);
/* Goes to the next entry, past what is unread of the current one. 1, 0 at the end of the archive, -1 with a report. */
int tar_next(struct tar_reader *reader);
/* The next bytes of the current body. 1, 0 at its end, -1 with a report. */
int tar_body(struct tar_reader *reader, const uint8_t **bytes, size_t *length);
/* Reads what follows the end marker to the end of the stream, so that whoever writes it can finish. */
int tar_drain(struct tar_reader *reader);

#endif
