#ifndef TSBUILD_TREE_MEASURE_H
#define TSBUILD_TREE_MEASURE_H

#include "tree/files/totals.h"

/* Counts a tree anew, its root included and each inode once. 0, or -1 with a report. Changes the working directory. */
int measure_tree(int root, struct totals *totals);

#endif
