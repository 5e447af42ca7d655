/* The mounted root as a tree to resolve and make paths in. */
#ifndef TSBUILD_CONTAINER_MOUNTED_TREE_H
#define TSBUILD_CONTAINER_MOUNTED_TREE_H

#include "resolve.h"

#include <sys/types.h>

struct mounted_tree {
    struct tree tree;
    int root;
    dev_t device; /* of the root */
    bool may_write_root;
    bool keeps_times; /* folders do not show that something was made in them */
    /* What is made belongs to these. */
    uid_t uid;
    gid_t gid;
};

/* A tree in which nothing may be made on the root's own filesystem, and what is made is root's. */
struct mounted_tree open_mounted_tree(int root);

/*
 * Makes the folder or empty file that `path` names, with the parents it lacks, and opens it with O_PATH. Links, also
 * dangling ones, are followed inside the root. -1 with errno.
 */
int make_in_tree(struct mounted_tree *tree, const char *path, bool is_folder);

#endif
