#ifndef TSBUILD_CONTAINER_RUN_H
#define TSBUILD_CONTAINER_RUN_H

#include "wire.h"

#include <sys/types.h>

/*
 * The mode `run`: one container from its start to its end. Forwards SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2
 * and, without a terminal of its own, SIGWINCH to the container's process; SIGALRM kills the container.
 * The death of the process that started it does too, and then its cgroups are removed here.
 */
int run_container(struct wire *request);

void report_pid(pid_t init);

/* The mode `exec`: one more process in a container that runs, with the same signals. Its end does not end the container. */
int run_exec(struct wire *request);

#endif
