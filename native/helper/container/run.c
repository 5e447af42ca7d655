#include "run.h"

#include "follow.h"
#include "init.h"
#include "kernel.h"
#include "namespaces.h"
#include "network.h"
#include "report.h"
#include "request.h"
#include "stages.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

void report_pid(pid_t init)
{
    uint8_t payload[4];
    put_u32(payload, (uint32_t)init);
    report_record(REPORT_STARTED, payload, sizeof payload);
}

static pid_t clone_init(struct container *container, const struct wire *request, int life[2])
{
    int host = *container->port.bridge ? open_bridge_network(&container->port) : -1;
    if ((host < 0 && *container->port.bridge) || join_pid_namespace(container) < 0) return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, new_namespaces(container) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return report_failure(STAGE_NAMESPACES, "clone");
    if (pid == 0) {
        close(life[0]);
        _exit(run_init(container, request, &(struct outside){.life = life[1], .network = host, .state = -1, .go = -1}));
    }
    close(life[1]);
    if (host >= 0) close(host);
    wire_close(request);
    report_pid(pid);
    return pid;
}

/* Nobody is left who would: the process that made them is gone. They are busy until the kernel has buried the last process. */
static void remove_cgroups(const struct container *container)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (uint32_t i = 0; i < container->cgroup_count; i++) {
        for (int tries = 0; tries < 500 && rmdir(container->cgroups[i].folder) < 0 && errno == EBUSY; tries++) nanosleep(&pause, NULL);
    }
}

/* The request goes once init has its copy; the names of the groups are needed until the end. */
static int keep_cgroup_names(struct container *container)
{
    for (uint32_t i = 0; i < container->cgroup_count; i++) {
        container->cgroups[i].folder = strdup(container->cgroups[i].folder);
        if (!container->cgroups[i].folder) return report_failure(STAGE_INIT, "memory");
    }
    return 0;
}

int run_container(struct wire *request)
{
    static struct container container;
    int life[2];
    if (read_request(request, &container) < 0) {
        report_failure(STAGE_REQUEST, "run");
        return 1;
    }
    int signals = await_signals();
    if (signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life) < 0) {
        report_failure(STAGE_INIT, "descriptors");
        return 1;
    }
    /* Nothing inside may look into us or into init, which inherits this. */
    prctl(PR_SET_DUMPABLE, 0);
    if (keep_cgroup_names(&container) < 0) return 1;
    /* Until here the parent's death was ours too. */
    if (prctl(PR_SET_PDEATHSIG, PARENT_DIED) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    pid_t init = clone_init(&container, request, life);
    if (init < 0) return 1;
    bool is_orphan = follow_process(init, signals, container.process.stdio == STDIO_TERMINAL ? life[0] : -1);
    if (is_orphan) remove_cgroups(&container);
    return 0;
}
