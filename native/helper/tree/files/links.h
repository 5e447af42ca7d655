/* Which inodes with several names were met, by inode number within one filesystem. */
#ifndef TSBUILD_TREE_LINKS_H
#define TSBUILD_TREE_LINKS_H

#include "tree/base/buffer.h"

#include <sys/types.h>

struct links {
    struct link_slot {
        ino_t inode; /* 0 for a free slot */
        size_t path;
    } *slots;
    size_t size, used;
    struct buffer paths;
};

/* The path under which the inode was met first, or NULL when this is the first time and `path` has been remembered. */
const char *links_find_or_add(struct links *links, ino_t inode, const char *path, size_t length);
void links_free(struct links *links);

#endif
