#include "run.h"

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

static pid_t clone_init(struct container *container, const struct wire *request, int life[2])
{
    int host = *container->port.bridge ? open_bridge_network(&container->port) : -1;
    if ((host < 0 && *container->port.bridge) || join_pid_namespace(container) < 0) return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, new_namespaces(container) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return report_failure(STAGE_NAMESPACES, "clone");
    if (pid == 0) {
        close(life[0]);
        _exit(run_init(container, request, &(struct outside){.life = life[1], .network = host}));
    }
    close(life[1]);
    if (host >= 0) close(host);
    wire_close(request);
    return pid;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)value);
    put_u32(at + 4, (uint32_t)(value >> 32));
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

/* Whether init, and with it everything in the container, has ended. */
static bool reap_init(pid_t init)
{
    int status;
    struct rusage usage;
    uint8_t payload[28];
    if (wait4(init, &status, WNOHANG, &usage) != init) return false;
    uint64_t time = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    put_u32(payload, (uint32_t)status);
    put_u64(payload + 4, time);
    put_u64(payload + 12, (uint64_t)usage.ru_inblock);
    put_u64(payload + 20, (uint64_t)usage.ru_oublock);
    report_record(REPORT_ENDED, payload, sizeof payload);
    return true;
}

/* What the kernel sends when the process that started us dies. Nobody sends it on purpose. */
#define PARENT_DIED SIGPWR

static bool is_orphan;

/* Reads one signal and acts on it; true when the container has ended. */
static bool handle_signal(int signals, pid_t init, const struct bridge *bridge)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info) return false;
    int received = (int)info.ssi_signo;
    if (received == SIGCHLD) return reap_init(init);
    if (received == PARENT_DIED) is_orphan = true;
    if (received == SIGWINCH && bridge) resize_terminal(bridge);
    else kill(init, received == SIGALRM || received == PARENT_DIED ? SIGKILL : received);
    return false;
}

static void serve_terminal(struct bridge *bridge, int signals, pid_t init)
{
    for (;;) {
        struct pollfd polled[] = {
            {.fd = signals, .events = POLLIN},
            {.fd = bridge->input, .events = POLLIN},
            {.fd = bridge->pending_count ? -1 : bridge->master, .events = POLLIN},
            {.fd = bridge->pending_count ? bridge->output : -1, .events = POLLOUT},
        };
        if (poll(polled, 4, -1) < 0) continue;
        if (polled[0].revents && handle_signal(signals, init, bridge)) break;
        if (polled[1].revents) pump_input(bridge);
        if (polled[2].revents || polled[3].revents) pump_output(bridge);
    }
    drain_output(bridge, signals);
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
    sigset_t awaited;
    int life[2];
    if (read_request(request, &container) < 0) {
        report_failure(STAGE_REQUEST, "run");
        return 1;
    }
    fill_awaited_signals(&awaited);
    sigaddset(&awaited, PARENT_DIED);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    int signals = signalfd(-1, &awaited, SFD_CLOEXEC);
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
    signal(SIGPIPE, SIG_IGN);
    bool has_terminal = container.process.stdio == STDIO_TERMINAL;
    int master = has_terminal ? receive_terminal(life[0]) : -1;
    if (!has_terminal) syscall(SYS_close_range, 0, 2, 0);
    if (master >= 0) {
        struct bridge bridge;
        open_bridge(&bridge, master);
        serve_terminal(&bridge, signals, init);
    } else {
        while (!handle_signal(signals, init, NULL)) {}
    }
    if (is_orphan) remove_cgroups(&container);
    return 0;
}
