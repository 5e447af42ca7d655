/*
 * Filesystems that a program outside of the container serves: fuse-overlayfs, in place of the kernel's overlay. The program
 * is a child of the helper, so that nobody in the container's pid namespace sees it, in the helper's mount namespace,
 * where the filesystem is not mounted: else it would keep up the filesystem that keeps up the program. It is told what to
 * merge by whoever mounts the filesystem, init as a rule, and ends with the mount, or with the helper.
 */
#ifndef TSBUILD_FUSE_SERVER_H
#define TSBUILD_FUSE_SERVER_H

#include "container/layers.h"
#include "container/request.h"

/* Starts a server for each root of the container that wants one, to wait for its descriptors. 0, or -1 with the failure reported. */
int start_fuse_servers(struct container *container);

/* The helper's own ends, once init has them: servers that nobody tells anything end then. */
void close_fuse_servers(struct container *container);

/* Returns when the servers have ended, which they do with their mounts. */
void await_fuse_servers(struct container *container);

/*
 * What a server gets: the device, and those layers that have no path for it: the stub layer if there is one, EROFS images, and the empty folder
 * where overlay wants a layer. They are detached mounts, since the program looks up what a descriptor's path is. Other folders
 * it opens by their own, which may be others in a namespace or root of somebody else.
 */
struct fuse_stack {
    int device;
    bool has_stub;
    bool has_filling;
    const int *mounts;
    uint32_t mount_count;
};

/* 0, or -1 with errno. */
int send_fuse_stack(int server, const struct fuse_stack *stack);

#endif
