/* What a container's root filesystem is put together from: first what is opened by host paths, then what belongs in there. */
#ifndef TSBUILD_CONTAINER_SETUP_H
#define TSBUILD_CONTAINER_SETUP_H

#include "mounts.h"
#include "request.h"

struct setup {
    struct masks masks;
    int root;  /* the mount that is to become it */
    int start; /* see NO_START */
};

/*
 * Opens and mounts everything that has a path on the host, in a mount namespace of the caller's own. With ids of the
 * container's own it is called outside of its user namespace, for which what it makes stays detached. 0, or -1 with the
 * failure reported.
 */
int prepare_setup(struct container *container, struct setup *setup);

/* Makes it the root, with the container's own filesystems in it. A descriptor of the root, or -1 with the failure reported. */
int enter_setup(struct container *container, struct setup *setup);

#endif
