/* What a tree occupies on its filesystem. */
#ifndef TSBUILD_TREE_TOTALS_H
#define TSBUILD_TREE_TOTALS_H

#include "tree/files/links.h"

#include <stdint.h>
#include <sys/stat.h>

struct totals {
    uint64_t inodes;
    uint64_t bytes;
};

static inline void totals_add(struct totals *totals, const struct stat *stat)
{
    totals->inodes++;
    totals->bytes += (uint64_t)stat->st_blocks * 512;
}

#endif
