#ifndef TSBUILD_CONTAINER_PRIVILEGES_H
#define TSBUILD_CONTAINER_PRIVILEGES_H

#include "request.h"

/*
 * Becomes the user of the request with its capabilities: bounding as given, permitted and effective too for root and
 * empty for others, inheritable and ambient always empty. Installs the seccomp program, which has to allow what this
 * and execve call. 0, or -1 with the failure reported.
 */
int drop_privileges(const struct container_process *process);

#endif
