#ifndef TSBUILD_CONTAINER_WAITING_H
#define TSBUILD_CONTAINER_WAITING_H

/*
 * For an init that has started its process: it can wait, kill and report from here on, and nothing else. A container that was given
 * CAP_SYS_PTRACE may trace its init, and would else come by every capability and out of its filter. 0, or -1 with the failure reported.
 */
int keep_only_waiting(void);

#endif
