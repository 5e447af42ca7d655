/* The helper's modes for snapshots that are copies: each reads its request, does its work, and returns the exit code. */
#ifndef TSBUILD_FLAT_MODES_H
#define TSBUILD_FLAT_MODES_H

#include "wire.h"

int run_flatten(struct wire *request);
int run_extract(struct wire *request);

#endif
