#ifndef TSBUILD_CONTAINER_PROCESS_H
#define TSBUILD_CONTAINER_PROCESS_H

#include "request.h"

/* What init has opened for the user's process. */
struct process_start {
    int root;
    int null;           /* the container's own /dev/null */
    int terminal;       /* slave, or -1 */
    int *cgroups;       /* where each takes in who writes "0"; -1 for one that the process was born in */
    uint32_t cgroup_count;
    bool is_cgroup_shared; /* no cgroup namespace of its own */
};

/* Turns the calling process, just forked, into the user's one. Returns only the exit code after a reported failure. */
int run_process(const struct container_process *process, const struct process_start *start);

#endif
