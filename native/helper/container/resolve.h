/*
 * Path resolution inside a root, links included, for paths whose last components need not exist. It serves two trees:
 * the layers before they are mounted, and the mounted root.
 */
#ifndef TSBUILD_CONTAINER_RESOLVE_H
#define TSBUILD_CONTAINER_RESOLVE_H

#include <limits.h>
#include <stdbool.h>

enum entry_kind { ENTRY_MISSING, ENTRY_FOLDER, ENTRY_LINK, ENTRY_OTHER, ENTRY_COVERED };

struct entry {
    enum entry_kind kind;
    char link[PATH_MAX]; /* what an ENTRY_LINK points to */
};

/* A resolved path has no leading or trailing slash, no "." or ".." and no link in it; "" is the root. */
struct tree {
    /* Looks at a resolved path, not following it. 0, or -1 with errno. */
    int (*look)(struct tree *tree, const char *path, struct entry *entry);
};

/*
 * Writes where `path` leads to `resolved` (PATH_MAX bytes) and says what is there: ENTRY_MISSING when some last
 * components do not exist, ENTRY_COVERED when the tree answers that for a parent (what lies below is not its own).
 * 0, or -1 with errno: ELOOP, ENOTDIR, ENAMETOOLONG.
 */
int resolve_in_tree(struct tree *tree, const char *path, char *resolved, enum entry_kind *kind);

/* Copies the next component of *path to `name` (NAME_MAX + 1 bytes), moving *path behind it. Its length, 0 at the end, -1 with errno. */
int next_component(const char **path, char *name);

#endif
