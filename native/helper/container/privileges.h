#ifndef TSBUILD_CONTAINER_PRIVILEGES_H
#define TSBUILD_CONTAINER_PRIVILEGES_H

#include "request.h"

/*
 * Becomes the user of the request with its capabilities; what root's program gets by executing follows from the bounding
 * set, what another user's gets from the ambient one. Installs the seccomp program, which has to allow what this
 * and execve call. 0, or -1 with the failure reported.
 */
int drop_privileges(const struct container_process *process);

#endif
