#ifndef TSBUILD_CONTAINER_PROCESS_H
#define TSBUILD_CONTAINER_PROCESS_H

#include "request.h"

#define START_FIFO "start"

/* What init has opened for the user's process. */
struct process_start {
    int root;
    int null;           /* the container's own /dev/null */
    int terminal;       /* slave, or -1 */
    int *cgroups;       /* where each takes in who writes "0"; -1 for one that the process was born in */
    uint32_t cgroup_count;
    int state;             /* the folder of START_FIFO, which is waited for, or -1 */
    bool is_cgroup_shared; /* no cgroup namespace of its own */
    int gate;              /* where a byte says that the image may run, or -1 */
    bool has_oom_score;    /* set from outside: a process that comes into a user namespace may not open its own files of /proc before it executes */
};

/*
 * Opens them by host path, before the host's root is gone. *v2 becomes the index of the v2 group, *folder its descriptor. A process
 * that moves only itself, by "tasks" of v1, takes no lock; by "cgroup.procs" it waits for an RCU grace period, 4 to 15 ms.
 */
int open_cgroups(const struct cgroup *cgroups, struct process_start *start, int *v2, int *folder);

/* `folder` is that of a process in /proc. 0, or -1 with the failure reported. */
int set_oom_score(const struct container_process *process, int folder);

/* The container's own null device, or -1 with the failure reported: an image can have put something else there. */
int open_null(int root);

/* Turns the calling process, just forked, into the user's one. Returns only the exit code after a reported failure. */
int run_process(const struct container_process *process, const struct process_start *start);

/* The same where there are no namespaces: the root is entered by chroot, and there are no groups and no label. */
int run_chrooted_process(const struct container_process *process, const struct process_start *start);

#endif
