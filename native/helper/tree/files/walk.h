/*
 * Walking a tree that nobody changes meanwhile: entries in byte order of their names, a directory before what is in it,
 * at any depth and without a descriptor for each level. Links are not followed.
 */
#ifndef TSBUILD_TREE_WALK_H
#define TSBUILD_TREE_WALK_H

#include <stddef.h>
#include <sys/stat.h>

struct walk_entry {
    const char *name; /* in the working directory, which is the entry's directory during the call */
    const char *path; /* from the root, in the form of beneath.h */
    size_t path_length;
    size_t depth; /* components of the path */
    struct stat stat;
};

/* 0 to go on, -1 to stop; a failure has been reported by then. Must leave the working directory alone. */
typedef int walk_visit(void *context, const struct walk_entry *entry);

/* The root itself is not visited. 0, or -1 with a report. Changes the working directory. */
int walk_tree(int root, walk_visit *visit, void *context);

#endif
