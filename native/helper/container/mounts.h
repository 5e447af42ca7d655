#ifndef TSBUILD_CONTAINER_MOUNTS_H
#define TSBUILD_CONTAINER_MOUNTS_H

#include "request.h"

/*
 * Makes the binds of other mount namespaces, detached, while the host's /proc names them. 0, or -1 with the failure
 * reported.
 */
int prepare_foreign_mounts(struct container *container);

/* Makes each mount of something that is there, detached, while the host's paths can still be opened. 0, or -1 with the failure reported. */
int prepare_mounts(struct container *container, int scratch);

/* Makes those of filesystems of the container's own, detached, in its namespaces. 0, or -1 with the failure reported. */
int prepare_filesystems(struct container *container);

/*
 * Puts the prepared mounts in their places below `root`, which is the root by now. Mount points that are missing are
 * made, but never in an overlay root, where they would become part of a layer. 0, or -1 with the failure reported.
 */
int attach_mounts(const struct container *container, int root);

/* What hides a folder and what hides a file: each is attached once, and cloned from there afterwards. */
struct mask {
    int fd;
    bool is_attached;
};

struct masks {
    struct mask folder;
    struct mask file;
};

/* Makes the masks from the helper's own empty folder and null device. 0, or -1 with the failure reported. */
int prepare_masks(struct masks *masks, int scratch);

/* Hides `masked` and freezes `readonly` paths; those that do not exist are left out. 0, or -1 with the failure reported. */
int mask_paths(const struct container *container, struct masks *masks, int root);

#endif
