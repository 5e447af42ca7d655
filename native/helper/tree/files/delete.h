/* Deleting trees by descriptor: any depth, any mode, bounded memory, links never followed. */
#ifndef TSBUILD_TREE_DELETE_H
#define TSBUILD_TREE_DELETE_H

#include "tree/files/totals.h"

/*
 * Deletes what `name` in `directory` is, with everything in it; that it is gone already is no failure. `inodes` counts
 * what was deleted. 0, or -1 with errno and no report.
 */
int delete_tree(int directory, const char *name, uint64_t *inodes);

#endif
