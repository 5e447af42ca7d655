#ifndef TSBUILD_FUSE_MODES_H
#define TSBUILD_FUSE_MODES_H

#include "wire.h"

int run_settle(struct wire *request);

#endif
