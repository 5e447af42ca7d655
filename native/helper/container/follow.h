/* What the helper outside does while a container's process runs. */
#ifndef TSBUILD_CONTAINER_FOLLOW_H
#define TSBUILD_CONTAINER_FOLLOW_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* What the kernel sends when the process that started us dies. Nobody sends it on purpose. */
#define PARENT_DIED SIGPWR

/* Blocks what is forwarded and gives a descriptor to read it from, or -1 with errno. */
int await_signals(void);

/*
 * Forwards signals to a child of ours until it ends, which is reported, and bridges the terminal that comes through
 * `life`, -1 for none. Returns whether the process that started us died.
 */
bool follow_process(pid_t pid, int signals, int life);

#endif
