/* Mounting what fuse-overlayfs serves. */
#ifndef TSBUILD_FUSE_MOUNT_H
#define TSBUILD_FUSE_MOUNT_H

#include "container/layers.h"
#include "container/request.h"

/*
 * Merges the layers of `root` below its upperdir, if there is one, with a stub layer on top of them and a filling one at the bottom, each -1 for
 * none. A descriptor of the mount, which is attached nowhere yet and answers already; or -1 with errno.
 */
int mount_fuse(const struct container_root *root, const struct layers *layers, int stub, int filling);

#endif
