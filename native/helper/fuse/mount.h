/* Mounting what fuse-overlayfs serves. */
#ifndef TSBUILD_FUSE_MOUNT_H
#define TSBUILD_FUSE_MOUNT_H

#include "container/layers.h"
#include "container/request.h"

/*
 * Merges `lowers`, top first, below the upperdir of `layers` if there is one. A descriptor of the mount, which is
 * attached nowhere yet and answers already; or -1 with errno.
 */
int mount_fuse(const struct container_root *root, const struct layers *layers, const int *lowers, uint32_t count);

#endif
