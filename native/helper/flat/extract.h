#ifndef TSBUILD_FLAT_EXTRACT_H
#define TSBUILD_FLAT_EXTRACT_H

#include "container/layers.h"

#include <time.h>

/* Of what we change ourselves after the copy and put back: such an inode does not count as changed. */
struct own_changes {
    struct own_change { dev_t device; ino_t inode; } *items;
    int count;
};

/*
 * Moves what was changed in `tree` after `since` into the empty folder `upper`, in the form of an overlay upper directory;
 * `tree` is of no use afterwards. The kernel keeps the time of the last change of an inode, and no process can set it.
 * Names of the root that `skipped` lists, up to NULL, are left out. 0, or -1 with errno.
 */
int extract_changes(const struct layers *layers, const struct timespec *since, const struct own_changes *own, const char *const *skipped, const int tree_and_upper[2]);

#endif
