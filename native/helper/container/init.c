#include "init.h"

#include "await-byte.h"
#include "id-maps.h"
#include "kernel.h"
#include "namespaces.h"
#include "network.h"
#include "process.h"
#include "report.h"
#include "setup.h"
#include "stages.h"
#include "terminal.h"
#include "waiting.h"

#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

void fill_awaited_signals(sigset_t *signals)
{
    static const int awaited[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM};
    sigemptyset(signals);
    for (size_t i = 0; i < sizeof awaited / sizeof *awaited; i++) sigaddset(signals, awaited[i]);
}

/* The parent can be gone before its death would be told; then its end of `life` is closed. */
static int die_with_helper(int life)
{
    struct pollfd other = {.fd = life};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&other, 1, 0) < 0) return report_failure(STAGE_INIT, "parent");
    return other.revents & POLLHUP ? -1 : 0;
}

/* The helper maps the ids of the new user namespace, then says so; when it cannot, its end of `life` closes. */
static int become_root(int life)
{
    return await_byte(life) ? become_namespace_root() : -1;
}

/* By host path, unless the helper has done that where init has no privilege over the host. */
static int open_root(struct container *container, const struct outside *outside)
{
    struct setup setup;
    if (outside->setup) return enter_setup(container, outside->setup);
    if (kernel_mount(NULL, "/", NULL, MS_REC | (container->has_slaves ? MS_SLAVE : MS_PRIVATE), NULL) < 0) return report_failure(STAGE_NAMESPACES, "/");
    return prepare_setup(container, &setup) < 0 ? -1 : enter_setup(container, &setup);
}

static int set_names(const struct container *container)
{
    if (sethostname(container->hostname, strlen(container->hostname)) < 0) return report_failure(STAGE_HOSTNAME, container->hostname);
    if (setdomainname(container->domainname, strlen(container->domainname)) < 0) return report_failure(STAGE_HOSTNAME, container->domainname);
    return 0;
}

/* The user's process waits at its end of the gate until init has given up its privileges, and its executing closes that end. */
struct launch {
    const struct container_process *process;
    const struct process_start *start;
    int gate;
};

static int run_launch(void *argument)
{
    const struct launch *launch = argument;
    close(launch->gate);
    _exit(run_process(launch->process, launch->start));
}

/*
 * Starts the user's process, which shares this memory until it executes: copying page tables only to drop them would take
 * 0.1 ms. Until then init touches nothing that it reads.
 */
static pid_t start_sharing(const struct launch *launch)
{
    static _Alignas(16) char stack[256 * 1024];
    return clone(run_launch, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)launch);
}

/* For a time namespace of its own, which older kernels do not let a process enter whose memory is shared. */
static pid_t start_copying(const struct launch *launch)
{
    pid_t pid = fork();
    if (pid == 0) run_launch((void *)launch);
    return pid;
}

/*
 * The same for a process born in its v2 cgroup `folder`, which clone(2) cannot ask for and which saves the wait of moving
 * it. `file` is the group's cgroup.procs, which needs not be written then.
 */
static pid_t start_in_cgroup(const struct launch *launch, int folder, int *file)
{
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (__u64)folder};
    int procs = *file;
    *file = -1;
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) run_launch((void *)launch);
    if (pid > 0 || errno != ENOSYS) return pid;
    *file = procs;
    return start_sharing(launch);
}

/* Whoever waits for this acts on the namespaces before anything is mounted in them. */
static int wait_for_go(int go)
{
    if (go < 0) return 0;
    report_record(REPORT_NAMESPACED, NULL, 0);
    bool may_go = await_byte(go);
    close(go);
    return may_go ? 0 : -1;
}

/* Opens for the user's process what it cannot open itself. *v2 and *folder are as open_cgroups has them. */
static int prepare_process(struct container *container, const struct outside *outside, struct process_start *start, int v2[2])
{
    if (enter_namespaces(container) < 0 || (container->uts.kind == NAMESPACE_NEW && set_names(container) < 0)) return -1;
    if (container->network.kind == NAMESPACE_NEW && connect_network(&container->port, outside->network) < 0) return -1;
    if (wait_for_go(outside->go) < 0) return -1;
    if (!start->cgroups && open_cgroups(container->cgroups, start, &v2[0], &v2[1]) < 0) return -1;
    if ((start->root = open_root(container, outside)) < 0) return -1;
    if ((start->null = open_null(start->root)) < 0) return -1;
    start->is_cgroup_shared = container->cgroup.kind == NAMESPACE_HOST;
    bool has_terminal = container->process.stdio == STDIO_TERMINAL;
    if (has_terminal && (start->terminal = make_terminal(start->root, 0, outside->life, true)) < 0) return -1;
    if (has_terminal && outside->console) size_terminal(start->terminal, outside->console);
    return container->awaits_network ? await_network() : 0;
}

static pid_t start_process(struct container *container, const struct outside *outside, int *gate)
{
    int v2[2] = {-1, -1}, gates[2];
    static struct process_start start;
    static struct launch launch;
    start = (struct process_start){.terminal = -1, .state = -1, .cgroup_count = container->cgroup_count, .cgroups = outside->cgroups, .has_oom_score = outside->setup != NULL};
    if (prepare_process(container, outside, &start, v2) < 0) return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gates) < 0) return report_failure(STAGE_INIT, "descriptors");
    *gate = gates[0];
    start.gate = gates[1];
    launch = (struct launch){.process = &container->process, .start = &start, .gate = gates[0]};
    pid_t pid = v2[0] >= 0 ? start_in_cgroup(&launch, v2[1], &start.cgroups[v2[0]]) : container->time_offsets.count > 0 ? start_copying(&launch) : start_sharing(&launch);
    close(gates[1]);
    return pid < 0 ? report_failure(STAGE_INIT, "process") : pid;
}

/* From the moment that anything of the image runs, init has nothing worth taking. */
static int let_process_run(int gate)
{
    if (keep_only_waiting() < 0) return -1;
    if (write(gate, "g", 1) != 1) return report_failure(STAGE_INIT, "gate");
    await_byte(gate);
    return 0;
}

int run_first(struct container *container, const struct outside *outside)
{
    int v2[2] = {-1, -1};
    struct process_start start = {.terminal = -1, .gate = -1, .state = outside->state, .cgroup_count = container->cgroup_count};
    umask(0);
    if (prepare_process(container, outside, &start, v2) < 0) return 1;
    if (enter_own_clocks(container) < 0) return 1;
    return run_process(&container->process, &start);
}

/* Nothing of the container stays open or readable here: its pipes end with its own processes. */
static void forget_container(const struct wire *request)
{
    wire_close(request);
    syscall(SYS_close_range, 0, report_fd() - 1, 0);
    syscall(SYS_close_range, report_fd() + 1, ~0u, 0);
}

static void report_exit(int status)
{
    uint8_t payload[4];
    for (int i = 0; i < 4; i++) payload[i] = (uint8_t)((uint32_t)status >> (8 * i));
    report_record(REPORT_EXITED, payload, sizeof payload);
}

/* Whether the user's process was among those that had ended; then its status is in *status. */
static bool reap(pid_t process, int *status)
{
    for (pid_t pid; (pid = waitpid(-1, status, WNOHANG)) > 0;) {
        if (pid == process) return true;
    }
    return false;
}

/*
 * Without a pid namespace of its own, the end of init ends nobody else: what the process left behind becomes init's child
 * and is killed, one generation after the other.
 */
static void kill_leftovers(void)
{
    char path[64], pids[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (;;) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = file < 0 ? 0 : read(file, pids, sizeof pids - 1);
        if (file >= 0) close(file);
        pids[length > 0 ? length : 0] = 0;
        char *end = pids;
        for (long pid; (pid = strtol(end, &end, 10)) > 0;) {
            if (*end == ' ') kill((pid_t)pid, SIGKILL);
        }
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
    }
}

int run_init(struct container *container, const struct wire *request, const struct outside *outside)
{
    bool is_first = container->pid.kind == NAMESPACE_NEW;
    sigset_t awaited;
    fill_awaited_signals(&awaited);
    umask(0); /* what is made here has the mode it is made with */
    /* Becoming root takes away what makes us die with the helper, so it comes first. */
    if (container->users.count && become_root(outside->life) < 0) return 1;
    if (die_with_helper(outside->life) < 0) return 1;
    if (!is_first) prctl(PR_SET_CHILD_SUBREAPER, 1);
    int gate = -1;
    pid_t process = start_process(container, outside, &gate);
    if (process < 0 || let_process_run(gate) < 0) return 1;
    forget_container(request);
    for (int status;;) {
        int received = sigwaitinfo(&awaited, NULL);
        if (received == SIGCHLD && reap(process, &status)) {
            report_exit(status);
            if (!is_first) kill_leftovers();
            return 0;
        }
        if (received > 0 && received != SIGCHLD && received != SIGALRM) kill(process, received);
    }
}
