#ifndef TSBUILD_CONTAINER_MOUNT_POINTS_H
#define TSBUILD_CONTAINER_MOUNT_POINTS_H

#include "layers.h"
#include "request.h"

/*
 * The stub layer: a folder in `scratch`, or beside the workdir where tmpfs does not keep attributes of users (before Linux 6.6), to be the topmost lower layer, with the mount points that the image
 * lacks, so that making them does not touch the upperdir. Folders of the image that have to be in it as parents get the
 * image's metadata, since the merged folder shows that of its topmost instance. Writes an O_PATH descriptor to *stub,
 * or -1 when nothing is missing. 0, or -1 with the failure reported.
 */
int make_mount_points(const struct container *container, struct layers *layers, int scratch, int *stub);

#endif
