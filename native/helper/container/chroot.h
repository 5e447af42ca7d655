#ifndef TSBUILD_CONTAINER_CHROOT_H
#define TSBUILD_CONTAINER_CHROOT_H

#include "wire.h"

/*
 * The mode `chroot`, for where neither namespaces nor mounts can be had: copies the layers into one tree, runs the process
 * there, and moves what it changed to the upper directory. Request and reports are those of `run`; of the mounts
 * only files are made.
 */
int run_chroot(struct wire *request);

#endif
