/* The layers below, seen as overlayfs merges them: whiteouts and opaque directories respected, nothing mounted. */
#ifndef TSBUILD_TREE_LOWERS_H
#define TSBUILD_TREE_LOWERS_H

#include "tree/base/buffer.h"
#include "tree/files/xattrs.h"
#include "wire.h"

#include <stdbool.h>
#include <sys/stat.h>

struct lowers {
    size_t count;
    int *roots; /* top layer first */
    enum overlay_namespace space;
    /* The directory that was looked into last, open in each layer that has a part of it: its other entries cost one step. */
    struct buffer directory;
    int *parts;
    size_t part_count;
};

/* Reads the list of layers from the request and opens them. 0, or -1 with a report. */
int lowers_open(struct lowers *lowers, struct wire *request, enum overlay_namespace space);
/*
 * What stands at `path`, relative and without links, "." and "..". 1 with `stat` and the directory it is in, which
 * stays open until the next call; 0 for nothing; -1 with a report.
 */
int lowers_find(struct lowers *lowers, const char *path, struct stat *stat, int *directory);

#endif
