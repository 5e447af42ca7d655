/* One entry of a changeset, as the tar reader gives it and the tar writer takes it. */
#ifndef TSBUILD_TREE_TAR_ENTRY_H
#define TSBUILD_TREE_TAR_ENTRY_H

#include "tree/files/xattrs.h"

#include <stddef.h>
#include <stdint.h>

/* Also what the tar header calls them. */
enum entry_type {
    ENTRY_FILE = '0',
    ENTRY_HARD_LINK = '1',
    ENTRY_SYMLINK = '2',
    ENTRY_CHAR = '3',
    ENTRY_BLOCK = '4',
    ENTRY_DIRECTORY = '5',
    ENTRY_FIFO = '6',
};

struct entry {
    enum entry_type type;
    struct buffer path; /* relative, without "." and empty components; empty is the root */
    struct buffer link; /* a symlink's target as it is, a hard link's in the form of `path` */
    uint32_t mode;      /* 0..07777 */
    uint32_t uid, gid;
    uint64_t size; /* of a file's body, 0 for others */
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t major, minor;
    struct xattrs xattrs;
};

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META_PREFIX ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

#define MAX_NAME 255
/* Deeper trees than any tool makes on purpose; a limit keeps the cost of one entry bounded. */
#define MAX_PATH_BYTES ((size_t)1 << 18)
#define MAX_DEPTH 8192
#define MAX_LINK_TARGET 4095

#endif
