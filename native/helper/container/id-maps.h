/* The ids of a container with a user namespace of its own, and mounts that show files by them. */
#ifndef TSBUILD_CONTAINER_ID_MAPS_H
#define TSBUILD_CONTAINER_ID_MAPS_H

#include "request.h"

/* What an id of the container is outside of it; the same where the container has no user namespace of its own. */
uint32_t map_id(const struct id_ranges *ranges, uint32_t id);

/* Maps the ids of the new user namespace that process `pid` is in. 0, or -1 with the failure reported. */
int write_id_maps(const struct container *container, pid_t pid);

/* A user namespace that has the container's ids and nobody in it. A descriptor, or -1 with the failure reported. */
int open_id_map(const struct container *container);

/*
 * Makes the detached mount `fd` show what belongs to an id on its filesystem as belonging to what that id of the container is
 * outside, and the other way round when something is made. `flags`: AT_RECURSIVE or 0. 0, or -1 with errno.
 */
int map_mount(int fd, int id_map, unsigned flags);

/*
 * What is made from now on belongs to the container's root, which overlay needs for its own folders on mounts that know no other
 * ids; the caller keeps its capabilities. 0, or -1 with the failure reported.
 */
int make_files_as_container_root(const struct container *container);

/* To be called in the new namespace once its ids are mapped. 0, or -1 with the failure reported. */
int become_namespace_root(void);

#endif
