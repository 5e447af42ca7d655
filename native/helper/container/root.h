/* The container's `/`: mounted on top of the host's in a private mount namespace, then made the root. */
#ifndef TSBUILD_CONTAINER_ROOT_H
#define TSBUILD_CONTAINER_ROOT_H

#include "layers.h"
#include "request.h"

/*
 * The helper's own tmpfs: on the host's /proc, which is not needed any more, it holds the stub layer, generated files,
 * an empty folder and a null device for masks, and goes when the old root goes. A descriptor, or -1 with the failure
 * reported.
 */
int mount_scratch(void);

/* Takes the scratch space and layers off it again: what has been made of them stays. 0, or -1 with the failure reported. */
int uncover_proc(void);

/*
 * Attaches a detached mount where nobody looks, on the scratch space: kernels before 6.15 want an overlay's layers to be
 * mounted in this namespace. 0, or -1 with errno.
 */
int attach_layer(int fd);

/* Puts what is to be the root on top of the one that is. 0, or -1 with errno. */
int attach_root(int root);

/* Mounts the root, attached unless the container has ids of its own; `stub` is the stub layer's descriptor or -1. The mount's descriptor, or -1 with the failure reported. */
int mount_overlay(const struct container_root *root, const struct layers *layers, int scratch, int stub);

/* The same of a mount that was kept of an earlier container. */
int mount_kept(const struct container_root *root);

/*
 * A detached mount of what lies at `path` of an overlay that is mounted nowhere else; links on the way stay inside it.
 * `number` tells several in one container apart. A descriptor, or -1 with the failure reported.
 */
int open_in_layers(const struct container_root *root, const char *path, int scratch, uint32_t number);
int mount_directory(const struct container_root *root);

/* Makes the mount `root` the root of this mount namespace and lets go of the old one. 0, or -1 with the failure reported. */
int enter_root(int root);

#endif
