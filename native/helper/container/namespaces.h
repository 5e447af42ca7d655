#ifndef TSBUILD_CONTAINER_NAMESPACES_H
#define TSBUILD_CONTAINER_NAMESPACES_H

#include "request.h"

/* CLONE_NEW* of the namespaces that init is to have for itself. */
unsigned long new_namespaces(const struct container *container);

/* By the helper outside, whose children then are in the pid namespace to join. 0, or -1 with the failure reported. */
int join_pid_namespace(const struct container *container);

/* By init: the others to join, and clocks of its own for its children. 0, or -1 with the failure reported. */
int enter_namespaces(const struct container *container);

/* By a process that goes on into the time namespace that enter_namespaces made for its children. 0, or -1 with the failure reported. */
int enter_own_clocks(const struct container *container);

/* For processes that are made from now on. 0, or -1 with the failure reported. */
int set_clocks(const struct pairs *offsets);

#endif
