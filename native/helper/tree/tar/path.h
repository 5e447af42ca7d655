/* Paths of archives: what they may be, and the one spelling they get. */
#ifndef TSBUILD_TREE_TAR_PATH_H
#define TSBUILD_TREE_TAR_PATH_H

#include "tree/base/buffer.h"

/*
 * Writes `bytes` as a path relative to the root: leading, doubled and trailing slashes and "." are dropped. ".." is
 * refused at any place: tools disagree about what it means. 0, or -1 with a report.
 */
int tar_normalize_path(struct buffer *path, const char *bytes, size_t length);

enum whiteout {
    WHITEOUT_NONE,
    WHITEOUT_NAME,     /* `.wh.NAME`; the name is what follows the prefix */
    WHITEOUT_OPAQUE_MARKER,
    WHITEOUT_IGNORED,  /* bookkeeping of AUFS, which Docker also passes over */
    WHITEOUT_MALFORMED,
    WHITEOUT_BELOW,    /* below a directory with a whiteout's name */
};

/* What a normalized path says. @see image-spec layer.md "Whiteouts" */
enum whiteout tar_whiteout_kind(const char *path, size_t length);

#endif
