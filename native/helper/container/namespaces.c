#include "namespaces.h"

#include "report.h"
#include "stages.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

unsigned long new_namespaces(const struct container *container)
{
    unsigned long flags = CLONE_NEWNS;
    if (container->pid.kind == NAMESPACE_NEW) flags |= CLONE_NEWPID;
    if (container->ipc.kind == NAMESPACE_NEW) flags |= CLONE_NEWIPC;
    if (container->uts.kind == NAMESPACE_NEW) flags |= CLONE_NEWUTS;
    if (container->network.kind == NAMESPACE_NEW) flags |= CLONE_NEWNET;
    if (container->users.count) flags |= CLONE_NEWUSER;
    return flags;
}

/* The type is asked for, so that a path to another kind of namespace is refused. */
static int join(const struct namespace *namespace, int type)
{
    if (namespace->kind != NAMESPACE_JOINED) return 0;
    int fd = open(namespace->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, type) < 0) return report_failure(STAGE_NAMESPACES, namespace->path);
    close(fd);
    return 0;
}

int join_pid_namespace(const struct container *container)
{
    return join(&container->pid, CLONE_NEWPID);
}

int set_clocks(const struct pairs *offsets)
{
    if (offsets->count == 0) return 0;
    if (unshare(CLONE_NEWTIME) < 0) return report_failure(STAGE_NAMESPACES, "time");
    for (uint32_t i = 0; i < offsets->count; i++) {
        char line[128];
        int length = snprintf(line, sizeof line, "%s %s\n", offsets->items[i].key, offsets->items[i].value);
        int file = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
        if (file < 0 || write(file, line, (size_t)length) != length) return report_failure(STAGE_NAMESPACES, offsets->items[i].key);
        close(file);
    }
    return 0;
}

int enter_namespaces(const struct container *container)
{
    if (join(&container->ipc, CLONE_NEWIPC) < 0 || join(&container->uts, CLONE_NEWUTS) < 0 || join(&container->network, CLONE_NEWNET) < 0) return -1;
    return container->users.count ? 0 : set_clocks(&container->time_offsets);
}

int enter_own_clocks(const struct container *container)
{
    if (container->time_offsets.count == 0) return 0;
    int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0) return report_failure(STAGE_NAMESPACES, "time");
    return close(fd);
}
