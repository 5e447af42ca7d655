/*
 * A layer as a request names it, in whichever format it is kept:
 *   u8 kind, text path, and for EROFS text tar, text held
 * The path of an EROFS layer is its index, whose files lie in the tar. What is held is a mount of it attached nowhere, which is
 * cloned where the kernel can; "" is none.
 */
#ifndef TSBUILD_LAYER_LOWER_H
#define TSBUILD_LAYER_LOWER_H

#include "wire.h"

enum lower_kind {
    LOWER_DIRECTORY,
    LOWER_EROFS,
    LOWER_EROFS_LOOP, /* by loop devices, for kernels that cannot mount a file */
};

struct lower {
    enum lower_kind kind;
    const char *path;
    const char *tar;
    int held; /* opened while /proc can still be seen; -1 for none */
};

/* What one takes at least in a request. */
#define LOWER_LEAST 6

struct lower lower_read(struct wire *wire);
/*
 * Opens the root directory of a layer. That of an EROFS layer is a mount of its own which nobody sees and which ends with
 * the last descriptor; `flags` are for directories. -1 with errno.
 */
int lower_open(const struct lower *lower, int flags);
/* The same read-only, and so that nothing outside of the layer can be reached from it, for who reads what nobody vouches for. */
int lower_open_alone(const struct lower *lower);

#endif
