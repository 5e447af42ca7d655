/* The helper's modes for trees: each reads its request, does its work, and returns the exit code. */
#ifndef TSBUILD_TREE_MODES_H
#define TSBUILD_TREE_MODES_H

#include "wire.h"

int run_pack_tree(struct wire *request);
int run_pack_list(struct wire *request);
int run_unpack(struct wire *request);
int run_measure(struct wire *request);
int run_sync(struct wire *request);
int run_remove(struct wire *request);
int run_index(struct wire *request);
int run_mount(struct wire *request);

#endif
