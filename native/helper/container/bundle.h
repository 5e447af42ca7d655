#ifndef TSBUILD_CONTAINER_BUNDLE_H
#define TSBUILD_CONTAINER_BUNDLE_H

#include "wire.h"

/*
 * The mode `bundle`: mounts a container's root filesystem at a bundle's rootfs and has another runtime run it. Mounts and
 * processes are in namespaces of ours, so that nothing of either outlives this helper. Request: that of `run`, then the
 * folder to mount at, the runtime's program, its arguments and its environment, and the cgroup v2
 * folder to show it in place of /sys/fs/cgroup, or "", mount points to hide from it, and
 * the group it will make, or "". Reports as `run` does.
 */
int run_bundle(struct wire *request);

#endif
