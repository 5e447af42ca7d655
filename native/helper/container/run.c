#include "run.h"

#include "follow.h"
#include "fuse/server.h"
#include "id-maps.h"
#include "init.h"
#include "kernel.h"
#include "namespaces.h"
#include "network.h"
#include "process.h"
#include "report.h"
#include "request.h"
#include "root.h"
#include "stages.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/* What only their owner may open anew belongs to the container's user. */
static int give_pipes(const struct container *container)
{
    const struct container_process *process = &container->process;
    struct stat stat;
    for (int fd = 0; fd < 3 && process->stdio == STDIO_PIPES; fd++) {
        if (fstat(fd, &stat) < 0 || !S_ISFIFO(stat.st_mode)) continue;
        if (fchown(fd, map_id(&container->users, process->uid), map_id(&container->groups, process->gid)) < 0) return report_failure(STAGE_STDIO, "pipe");
    }
    return 0;
}

/* A process of a user namespace can only lower what it inherits. */
static int raise_hard_limits(const struct container_process *process)
{
    for (uint32_t i = 0; i < process->limit_count; i++) {
        struct rlimit limit;
        const struct limit *wanted = &process->limits[i];
        if (getrlimit(wanted->resource, &limit) < 0 || limit.rlim_max >= wanted->hard) continue;
        limit.rlim_max = wanted->hard;
        if (setrlimit(wanted->resource, &limit) < 0) return report_failure(STAGE_LIMITS, "rlimit");
    }
    return 0;
}

/*
 * Root of a user namespace has no privilege over the host: what takes it is done here, in a mount namespace of the
 * helper's own that init gets a copy of.
 */
static int prepare_outside(struct container *container, struct outside *outside)
{
    static struct setup setup;
    int v2, folder;
    struct process_start start = {.cgroup_count = container->cgroup_count};
    if (unshare(CLONE_NEWNS) < 0 || kernel_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return report_failure(STAGE_NAMESPACES, "/");
    if (set_clocks(&container->time_offsets) < 0 || give_pipes(container) < 0 || raise_hard_limits(&container->process) < 0) return -1;
    if (open_cgroups(container->cgroups, &start, &v2, &folder) < 0) return -1;
    if ((container->root.id_map = open_id_map(container)) < 0) return -1;
    outside->setup = &setup;
    outside->cgroups = start.cgroups;
    /* A new proc can be mounted only where a whole one is seen, and no user namespace be made where "/" is covered. */
    if (make_files_as_container_root(container) < 0 || prepare_setup(container, &setup) < 0 || uncover_proc() < 0) return -1;
    setfsuid(0);
    setfsgid(0);
    return 0;
}

/* The rest of it, once there is init. */
static int admit(const struct container *container, pid_t init, int host, int life)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d", (int)init);
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || set_oom_score(&container->process, folder) < 0) return -1;
    close(folder);
    if (write_id_maps(container, init) < 0 || (host >= 0 && make_container_link(&container->port, host, init) < 0)) return -1;
    return write(life, "g", 1) == 1 ? 0 : report_failure(STAGE_INIT, "ids");
}

static pid_t clone_init(struct container *container, const struct wire *request, int life[2])
{
    bool has_own_ids = container->users.count > 0;
    int host = *container->port.bridge ? open_bridge_network(&container->port) : -1;
    if ((host < 0 && *container->port.bridge) || join_pid_namespace(container) < 0) return -1;
    struct outside outside = {.life = life[1], .network = has_own_ids ? -1 : host, .state = -1, .go = -1};
    if (has_own_ids && prepare_outside(container, &outside) < 0) return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, new_namespaces(container) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return report_failure(STAGE_NAMESPACES, "clone");
    if (pid == 0) {
        close(life[0]);
        _exit(run_init(container, request, &outside));
    }
    close(life[1]);
    close_fuse_servers(container);
    if (has_own_ids && admit(container, pid, host, life[0]) < 0) return -1;
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
    pid_t init = start_fuse_servers(&container) < 0 ? -1 : clone_init(&container, request, life);
    if (init < 0) return 1;
    bool is_orphan = follow_process(init, signals, container.process.stdio == STDIO_TERMINAL ? life[0] : -1);
    await_fuse_servers(&container);
    if (is_orphan) remove_cgroups(&container);
    return 0;
}
