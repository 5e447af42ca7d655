/* What the files of the mode unpack share. */
#ifndef TSBUILD_TREE_UNPACK_H
#define TSBUILD_TREE_UNPACK_H

#include "tree/files/lowers.h"
#include "tree/files/totals.h"
#include "tree/tar/reader.h"

#include <stdbool.h>

/*
 * An open directory of the target. One is kept from entry to entry, and it is always the directory that the current
 * entry lies in: whatever an entry replaces is inside it, so that it never outlives its path.
 */
struct parent {
    int fd;                /* -1 when nothing is open */
    struct buffer request; /* the path that was asked for */
    struct buffer path;    /* the same without links */
};

/* Metadata of directories, which is set when everything else is done: what is made in a directory changes its time. */
struct directories {
    struct buffer records;
    size_t *places;
    size_t count, capacity;
};

struct unpack {
    int root;
    enum overlay_namespace space;
    bool makes_whiteouts; /* not in a bottom layer, where there is nothing to hide */
    bool has_lowers;      /* whether `lowers` is what lies below; otherwise that is not known yet */
    struct lowers lowers;
    struct tar_reader reader;
    struct parent parent;
    struct directories directories;
    struct totals totals;
    bool has_replaced; /* an entry replaced another, so that `totals` counts both */
    uint64_t max_bytes, body_bytes;
    bool has_root, is_root_opaque;
};

/* Each 0, or -1 with a report. */

/*
 * Opens the directory that `path` lies in, as a process in the merged tree would find it, and makes it where it is
 * missing. 1, without a report, when something that is no directory is in the way.
 */
int parent_open(struct unpack *unpack, struct parent *parent, const struct buffer *path);
/* Remembers a directory just made or opened as parent of what comes next; takes over `fd`. */
void parent_set(struct parent *parent, int fd, const struct buffer *request, const struct buffer *path);
/* Whether a directory of the target hides what the layers below have at a path without links. 1, 0, -1. */
int is_hidden(struct unpack *unpack, const char *path);
/* What the layers below have there, and in which open directory. 1, 0 for nothing, -1. */
int find_below(struct unpack *unpack, const char *path, struct stat *stat, int *directory);

/* Makes the current entry in its open parent under `name`. */
int make_node(struct unpack *unpack, const char *name);
int make_whiteout(struct unpack *unpack, const char *name);
int make_opaque(struct unpack *unpack, int directory, const char *path);
int make_hard_link(struct unpack *unpack, const char *name);
/* Removes what an earlier entry of this layer left under the name, if anything. */
int remove_earlier(struct unpack *unpack, const char *name);

int directories_add(struct directories *directories, const struct buffer *path, const struct entry *entry);
int directories_finish(struct unpack *unpack);

#endif
